//! Door: commits: how many a second, how long each takes, and what goes to the device for them.

use std::path::Path;
use std::time::Duration;

use super::fill::commits;
use crate::account::Account;
use crate::case::Case;
use crate::disk;
use crate::engine::{Engine, Kind, Result};
use crate::engines;
use crate::keys::Values;
use crate::line::Measured;
use crate::race::{Lap, Until, lap};

/// Before a lap a store is given so long to outgrow its beginnings.
pub const WARM_UP: Duration = Duration::from_millis(300);

/// Commits before bytes are counted.
const WARM_UP_COMMITS: u64 = 500;

/// Commits a second.
pub fn rate(kind: Kind, case: &Case, dir: &Path) -> Result<Measured> {
    let engine = engines::open(kind, &case.opening(dir))?;
    let run = |until| work(&*engine, case, until);
    run(Until::Time(WARM_UP.min(Duration::from_secs_f64(case.seconds))))?;
    let before = Account::now(dir);
    let lap = run(Until::Time(Duration::from_secs_f64(case.seconds)))?;
    let after = Account::now(dir);
    engine.close()?;
    Ok(measured(&lap, "commits/s", &before, &after))
}

/// Bytes to the device for each byte of payload: keys and values.
pub fn bytes(kind: Kind, case: &Case, dir: &Path) -> Result<Measured> {
    let engine = engines::open(kind, &case.opening(dir))?;
    let each = |commits: u64| Until::Calls(commits.div_ceil(case.threads as u64));
    work(&*engine, case, each(WARM_UP_COMMITS))?;
    disk::settle(dir)?;
    let before = Account::now(dir);
    let lap = work(&*engine, case, each(case.commits))?;
    engine.close()?;
    disk::settle(dir)?;
    let after = Account::now(dir);
    let commits = lap.calls.total() as f64;
    let payload = commits * (16 + case.value_bytes) as f64;
    let process = (after.process_bytes - before.process_bytes) as f64;
    let device = after.device_bytes.saturating_sub(before.device_bytes) as f64;
    Ok(Measured::new(process / payload, "bytes/byte")
        .with("device_bytes_per_byte", device / payload)
        .with("process_bytes_per_commit", process / commits)
        .with("device_bytes_per_commit", device / commits))
}

/// Commits, on as many threads as the case says.
pub fn work(engine: &dyn Engine, case: &Case, until: Until) -> Result<Lap> {
    let values = Values::new(case.value_bytes);
    lap(engine, case.threads, until, &|thread, session, runner| {
        commits(case, &values, thread, session, runner)
    })
}

/// A lap in figures.
pub fn measured(lap: &Lap, unit: &str, before: &Account, after: &Account) -> Measured {
    Measured::new(lap.rate(), unit)
        .with("p50_us", lap.calls.quantile_us(0.5))
        .with("p99_us", lap.calls.quantile_us(0.99))
        .with("max_us", lap.calls.quantile_us(1.0))
        .with("cpu_us", (after.cpu_us - before.cpu_us) / lap.calls.total().max(1) as f64)
}
