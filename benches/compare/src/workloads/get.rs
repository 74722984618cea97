//! Door: reads of keys at random, and the memory that the store takes for it.

use std::path::Path;
use std::time::Duration;

use super::write::measured;
use crate::account::{Account, Memory};
use crate::case::Case;
use crate::engine::{Engine, Kind, Result};
use crate::engines;
use crate::keys::{Numbers, key};
use crate::line::Measured;
use crate::race::{Lap, Runner, Until, lap};

/// Reads between two looks at the clock.
const BATCH: u64 = 64;

/// Every so-manieth key is read before, so that each page was touched.
const WARM_UP_STEP: usize = 8;

/// Reads a second, everything in memory.
pub fn measure(kind: Kind, case: &Case, dir: &Path) -> Result<Measured> {
    let engine = engines::open(kind, &case.opening(dir))?;
    touch(&*engine, case)?;
    let before = Account::now(dir);
    let lap = reads(&*engine, case)?;
    let (after, memory) = (Account::now(dir), Memory::now());
    engine.close()?;
    let per_key = |bytes: u64| bytes as f64 / case.keys as f64;
    Ok(measured(&lap, "reads/s", &before, &after)
        .with("anonymous_bytes_per_key", per_key(memory.anonymous))
        .with("mapped_bytes_per_key", per_key(memory.mapped)))
}

/// Reads some of the keys, so that each page was touched.
pub fn touch(engine: &dyn Engine, case: &Case) -> Result<()> {
    let mut session = engine.session(0)?;
    for number in (0..case.keys).step_by(WARM_UP_STEP) {
        expect(session.get(&key(number))?, case, number)?;
    }
    Ok(())
}

/// Reads keys at random for as long as the case says.
pub fn reads(engine: &dyn Engine, case: &Case) -> Result<Lap> {
    let time = Duration::from_secs_f64(case.seconds);
    lap(engine, case.threads, Until::Time(time), &|thread, session, runner: &mut Runner| {
        let mut numbers = Numbers::new(thread, case.keys, case.pick);
        while let Some(begun) = runner.next() {
            for _ in 0..BATCH {
                let number = numbers.next();
                expect(session.get(&key(number))?, case, number)?;
            }
            runner.done(begun, BATCH);
        }
        Ok(())
    })
}

/// That a key is there with a value as long as it was written.
pub fn expect(found: Option<usize>, case: &Case, number: u64) -> Result<()> {
    match found {
        Some(bytes) if bytes == case.value_bytes => Ok(()),
        found => Err(format!("key {number} was written, and {found:?} bytes are there").into()),
    }
}
