//! Door: what opening, reading and committing cost, by the size of the store. Commits come last: they change it.

use std::path::Path;
use std::time::{Duration, Instant};

use super::get::{expect, reads, touch};
use super::write::{WARM_UP, work};
use crate::case::Case;
use crate::engine::{Kind, Result};
use crate::engines;
use crate::keys::key;
use crate::line::Measured;
use crate::race::Until;

/// Reads a second; beside it milliseconds until the first one is answered after a kill, and commits a second.
pub fn measure(kind: Kind, case: &Case, dir: &Path) -> Result<Measured> {
    let begun = Instant::now();
    let engine = engines::open(kind, &case.opening(dir))?;
    let last = case.keys - 1;
    expect(engine.session(0)?.get(&key(last))?, case, last)?;
    let open_ms = begun.elapsed().as_secs_f64() * 1e3;
    touch(&*engine, case)?;
    let read = reads(&*engine, case)?.rate();
    let time = Duration::from_secs_f64(case.seconds);
    work(&*engine, case, Until::Time(WARM_UP.min(time)))?;
    let committed = work(&*engine, case, Until::Time(time))?;
    engine.close()?;
    Ok(Measured::new(read, "reads/s")
        .with("open_ms", open_ms)
        .with("commits_per_second", committed.rate())
        .with("commit_p50_us", committed.calls.quantile_us(0.5)))
}
