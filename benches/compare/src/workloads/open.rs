//! Door: opening what a killed process left behind, until the first read is answered.

use std::path::Path;
use std::time::Instant;

use savehold_wal::draw::Draw;

use super::get::expect;
use crate::account::Memory;
use crate::case::{Case, Workload};
use crate::engine::{Kind, Result};
use crate::engines;
use crate::keys::key;
use crate::line::Measured;

/// Keys that are looked for when the time is taken.
const PROBES: u64 = 1000;

/// Records replayed a second, or milliseconds until it is open.
pub fn measure(kind: Kind, case: &Case, dir: &Path) -> Result<Measured> {
    let opening = case.opening(dir);
    let before = Memory::now();
    let begun = Instant::now();
    let engine = engines::open(kind, &opening)?;
    let recovered = engine.recovered();
    let mut session = engine.session(0)?;
    if recovered.is_none() {
        expect(session.get(&key(case.keys - 1))?, case, case.keys - 1)?;
    }
    let took = begun.elapsed();
    let memory = Memory::now();
    if let Some(replayed) = engine.replayed().filter(|_| case.setting.keeps_the_log())
        && replayed < case.keys
    {
        return Err(format!("of {} records in the log {replayed} were replayed", case.keys).into());
    }
    match recovered {
        Some(records) if records != case.keys => {
            return Err(format!("{} records were written, and {records} are there", case.keys).into());
        }
        Some(_) => {}
        None => {
            let mut draw = Draw::from_seed(case.keys);
            for _ in 0..PROBES {
                let number = draw.below(case.keys);
                expect(session.get(&key(number))?, case, number)?;
            }
        }
    }
    drop(session);
    engine.close()?;
    let ms = took.as_secs_f64() * 1e3;
    let measured = match case.workload {
        Workload::Open => Measured::new(ms, "ms"),
        _ => Measured::new(case.keys as f64 / took.as_secs_f64(), "records/s"),
    };
    Ok(measured
        .with("open_ms", ms)
        .with("peak_bytes", memory.peak.saturating_sub(before.anonymous) as f64)
        .with("anonymous_bytes", memory.anonymous.saturating_sub(before.anonymous) as f64))
}
