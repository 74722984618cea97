//! Corridor: reads at random, against a chase of pointers through memory of the same size.

use savehold::Options;
use savehold_wal::env::Env;
use std::time::Duration;

use super::ROUNDS;
use super::chase::Chase;
use super::figure::{Better, Figure, column};
use super::keys::{self, Numbers};
use super::place::Place;
use super::race::{self, Lap};
use super::sample::median;
use crate::args::Workload;
use crate::exit::{Exit, Failure};
use crate::output::Cell;

/// Reads, and steps of the chase, between two looks at the clock.
const BATCH: u32 = 64;

/// Measures it.
pub(super) fn measure(env: &Env, place: &Place, work: &Workload) -> Result<Figure, Failure> {
    let dir = place.join("store");
    let store = keys::filled(&dir, work, keys::BUDGET)?;
    let log_bytes = store.stats().log_bytes_written;
    store.close()?;
    let store = Options::new().open(dir)?;
    let index_bytes = store.stats().index_bytes;
    let (players, threads) = (keys::players(&store)?, usize::from(work.threads));
    let chase = Chase::new(log_bytes + index_bytes);
    let part = Duration::from_secs(work.seconds) / (2 * ROUNDS as u32 + 1);
    let get = |time| {
        race::lap(&env.clock, threads, time, |thread, runner| {
            let mut numbers = Numbers::new(thread, work);
            while let Some(begun) = runner.go_on() {
                for _ in 0..BATCH {
                    let entry = players.get(&numbers.key())?.ok_or_else(absent)?;
                    std::hint::black_box(entry.value.first());
                }
                runner.done_many(begun, BATCH);
            }
            Ok(())
        })
    };
    let steps = |time| {
        race::lap(&env.clock, threads, time, |thread, runner| {
            let mut at = chase.start(thread);
            while let Some(begun) = runner.go_on() {
                at = std::hint::black_box(chase.follow(at, BATCH));
                runner.done_many(begun, BATCH);
            }
            Ok(())
        })
    };
    get(part)?; // every page of the log is mapped
    let (mut ours, mut floors) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        floors.push(steps(part)?);
        ours.push(get(part)?);
    }
    store.close()?;
    Ok(figure(work, &ours, &floors, log_bytes, index_bytes))
}

fn figure(work: &Workload, ours: &[Lap], floors: &[Lap], log_bytes: u64, index_bytes: u64) -> Figure {
    let (value, floor) =
        (median(ours.iter().map(Lap::rate).collect()), median(floors.iter().map(Lap::rate).collect()));
    let p50 = |laps: &[Lap]| median(laps.iter().map(|lap| lap.sample.quantile_us(0.5)).collect());
    let details = vec![
        (column("records", "records"), Cell::Count(work.records)),
        (column("median, µs", "p50_us"), Cell::Float(p50(ours))),
        (column("median of a step, µs", "floor_p50_us"), Cell::Float(p50(floors))),
        (column("steps for each read", "steps_per_get"), Cell::Float(floor / value)),
        (column("log", "log_bytes"), Cell::Bytes(log_bytes)),
        (column("index", "index_bytes"), Cell::Bytes(index_bytes)),
    ];
    Figure { what: "reads/s", value, floor, better: Better::More, details }
}

fn absent() -> Failure {
    Failure::new(Exit::Damaged, "a key that was written is absent", "run `savehold verify`")
}
