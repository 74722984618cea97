//! Corridor: commits of new values, against a bare write and sync of a prepared file.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use savehold::{Collection, ErrorKind, Options, Stats, Store};
use savehold_wal::env::Env;

use super::ROUNDS;
use super::figure::{Better, Figure, column};
use super::keys::{self, Numbers};
use super::place::Place;
use super::race::{self, Lap, Runner};
use super::sample::median;
use super::sync::Prepared;
use crate::args::Workload;
use crate::exit::Failure;
use crate::output::Cell;

/// The store's laps are so much longer than the floor's.
const LAP_PARTS: u32 = 4;

/// The first segments are small: a store that has just begun is given so long to outgrow them.
const WARM_UP: Duration = Duration::from_millis(300);

/// Measures it.
pub(super) fn measure(env: &Env, place: &Place, work: &Workload) -> Result<Figure, Failure> {
    let store = Options::new().durability(keys::durability(work)).open(place.join("store"))?;
    let what = if work.hot { "commits/s of one key" } else { "commits/s" };
    let figure = rounds(env, place, work, &store, what, |thread, runner| {
        commits(&keys::players(&store)?, work, thread, runner)
    })?;
    store.close()?;
    Ok(figure)
}

/// What one thread does: commits new values, `in_flight` of them under way at once.
fn commits(
    players: &Collection<Bytes>,
    work: &Workload,
    thread: usize,
    runner: &mut Runner<'_>,
) -> Result<(), Failure> {
    let (mut numbers, value) = (Numbers::new(thread, work), keys::value(work.value_size));
    if work.in_flight == 1 {
        while let Some(begun) = runner.go_on() {
            players.set(&numbers.key(), &value)?;
            runner.done(begun);
        }
        return Ok(());
    }
    let mut under_way = VecDeque::with_capacity(work.in_flight as usize);
    while let Some(begun) = runner.go_on() {
        if under_way.len() == work.in_flight as usize {
            answered(under_way.pop_front(), runner)?;
        }
        under_way.push_back((begun, players.set_async(&numbers.key(), &value)));
    }
    under_way.into_iter().try_for_each(|first| answered(Some(first), runner))
}

/// Waits for the oldest ticket. One that found too much under way was not begun, and does not count.
fn answered<T>(
    first: Option<(Duration, savehold::Ticket<T>)>,
    runner: &mut Runner<'_>,
) -> Result<(), Failure> {
    let Some((begun, ticket)) = first else { return Ok(()) };
    match ticket.wait() {
        Ok(_) => runner.done(begun),
        Err(e) if e.kind() == ErrorKind::Busy => {}
        Err(e) => return Err(e.into()),
    }
    Ok(())
}

/// Rounds of `run` on all threads and of bare writes, by turns.
pub(super) fn rounds(
    env: &Env,
    place: &Place,
    work: &Workload,
    store: &Store,
    what: &'static str,
    run: impl Fn(usize, &mut Runner<'_>) -> Result<(), Failure> + Sync,
) -> Result<Figure, Failure> {
    let mut bare = Prepared::make(env, &place.join("floor"), work)?;
    let part = Duration::from_secs(work.seconds) / (ROUNDS as u32 * (LAP_PARTS + 1));
    let threads = usize::from(work.threads);
    race::lap(&env.clock, threads, WARM_UP, &run)?;
    let before = store.stats();
    let (mut ours, mut floors) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        floors.push(bare.lap(&env.clock, part)?);
        ours.push(race::lap(&env.clock, threads, part * LAP_PARTS, &run)?);
    }
    Ok(figure(what, &ours, &floors, &before, &store.stats()))
}

fn figure(what: &'static str, ours: &[Lap], floors: &[Lap], before: &Stats, after: &Stats) -> Figure {
    let of = |laps: &[Lap], each: &dyn Fn(&Lap) -> f64| median(laps.iter().map(each).collect());
    let (p50, floor_p50) =
        (of(ours, &|lap| lap.sample.quantile_us(0.5)), of(floors, &|lap| lap.sample.quantile_us(0.5)));
    let each_round = ours.iter().zip(floors);
    let latency_ratio =
        median(each_round.map(|(a, b)| a.sample.quantile_us(0.5) / b.sample.quantile_us(0.5)).collect());
    let (commits, syncs) = (after.commits - before.commits, after.syncs - before.syncs);
    let per_sync = if syncs == 0 { Cell::Nothing } else { Cell::Float(commits as f64 / syncs as f64) };
    let details = vec![
        (column("median, µs", "p50_us"), Cell::Float(p50)),
        (
            column("99 of 100 within, µs", "p99_us"),
            Cell::Float(of(ours, &|lap| lap.sample.quantile_us(0.99))),
        ),
        (column("median of the floor, µs", "floor_p50_us"), Cell::Float(floor_p50)),
        (column("median, times the floor's", "latency_ratio"), Cell::Float(latency_ratio)),
        (column("commits", "commits"), Cell::Count(commits)),
        (column("syncs", "syncs"), Cell::Count(syncs)),
        (column("commits per sync", "commits_per_sync"), per_sync),
        (
            column("runs repeated after a conflict", "conflicts"),
            Cell::Count(after.conflicts - before.conflicts),
        ),
    ];
    Figure { what, value: of(ours, &Lap::rate), floor: of(floors, &Lap::rate), better: Better::More, details }
}
