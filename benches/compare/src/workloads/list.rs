//! Door: listing the keys of a prefix, in order.

use std::path::Path;
use std::time::Duration;

use super::write::measured;
use crate::account::Account;
use crate::case::Case;
use crate::engine::{Kind, Result};
use crate::engines;
use crate::keys::{Numbers, key};
use crate::line::Measured;
use crate::race::{Runner, Until, lap};

/// Digits of a prefix: a hundred keys have it.
const PREFIX_BYTES: usize = 14;
const LISTED: u64 = 100;

/// Keys listed a second, a hundred at a time, everything in memory.
pub fn measure(kind: Kind, case: &Case, dir: &Path) -> Result<Measured> {
    let engine = engines::open(kind, &case.opening(dir))?;
    let mut session = engine.session(0)?;
    for number in (0..case.keys).step_by(LISTED as usize) {
        session.list(&key(number)[..PREFIX_BYTES])?; // each page was touched
    }
    drop(session);
    let before = Account::now(dir);
    let time = Duration::from_secs_f64(case.seconds);
    let lap = lap(&*engine, case.threads, Until::Time(time), &|thread, session, runner: &mut Runner| {
        let mut numbers = Numbers::new(thread, case.keys, case.pick);
        while let Some(begun) = runner.next() {
            let number = numbers.next();
            let found = session.list(&key(number)[..PREFIX_BYTES])?;
            let first = number - number % LISTED;
            if found != LISTED.min(case.keys - first) {
                return Err(format!("{found} keys are listed beside key {number}").into());
            }
            runner.done(begun, found);
        }
        Ok(())
    })?;
    let after = Account::now(dir);
    engine.close()?;
    Ok(measured(&lap, "keys/s", &before, &after))
}
