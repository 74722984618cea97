//! Corridor: opening a store after a kill and after a clean close, against reading its files.

use std::path::Path;
use std::time::Duration;

use savehold::Options;
use savehold_wal::env::Env;

use super::figure::{Better, Figure, column};
use super::image;
use super::place::Place;
use super::sample::median;
use super::{ROUNDS, keys};
use crate::args::Workload;
use crate::exit::{Exit, Failure};
use crate::output::Cell;

/// Measures it.
pub(super) fn measure(env: &Env, place: &Place, work: &Workload) -> Result<Figure, Failure> {
    let written = place.join("store");
    let store = keys::filled(&written, work, keys::BUDGET)?;
    let (mut killed, mut clean, mut floors, mut replaying) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut bytes, mut records) = (0, 0);
    for round in 0..ROUNDS {
        let dir = place.join(&format!("killed-{round}"));
        image::copy(env, &written, &dir)?;
        let begun = env.clock.monotonic();
        bytes = image::read(env, &dir)?;
        floors.push(ms(env.clock.monotonic().saturating_sub(begun)));
        let (took, report) = open(env, &dir, work)?;
        killed.push(ms(took));
        replaying.push(ms(report.replaying));
        records = report.replayed_records;
        clean.push(ms(open(env, &dir, work)?.0));
    }
    store.close()?;
    let details = vec![
        (column("after a clean close, ms", "clean_ms"), Cell::Float(median(clean))),
        (column("of it replaying, ms", "replaying_ms"), Cell::Float(median(replaying))),
        (column("records replayed", "records"), Cell::Count(records)),
        (column("files of the log", "log_bytes"), Cell::Bytes(bytes)),
    ];
    Ok(Figure {
        what: "ms to open after a kill, and to read one key",
        value: median(killed),
        floor: median(floors),
        better: Better::Less,
        details,
    })
}

/// Opens the store in `dir`, reads one key, and closes it.
fn open(env: &Env, dir: &Path, work: &Workload) -> Result<(Duration, savehold::RecoveryReport), Failure> {
    let begun = env.clock.monotonic();
    let store = Options::new().open(dir)?;
    let last = keys::players(&store)?.get(&keys::key(work.records - 1))?;
    let took = env.clock.monotonic().saturating_sub(begun);
    let report = store.recovery();
    store.close()?;
    match last {
        Some(_) => Ok((took, report)),
        None => Err(Failure::new(Exit::Damaged, "the last key that was written is absent", "report it")),
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
