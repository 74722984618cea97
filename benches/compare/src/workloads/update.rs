//! Door: read, change, write, by the engine's own transaction, compare-and-set or closure.

use std::path::Path;
use std::time::Duration;

use super::fill::in_batches;
use super::write::{WARM_UP, measured};
use crate::account::Account;
use crate::case::Case;
use crate::disk;
use crate::engine::{Engine, Kind, Result};
use crate::engines;
use crate::keys::{Numbers, Values, key};
use crate::line::Measured;
use crate::race::{Lap, Until, lap};

/// Threads that fill a store whose commits are synced one by one.
const FILLERS: u64 = 64;

/// Updates a second.
pub fn measure(kind: Kind, case: &Case, dir: &Path) -> Result<Measured> {
    let engine = engines::open(kind, &case.opening(dir))?;
    prepare(kind, &*engine, case)?;
    disk::settle(dir)?;
    let run = |time: Duration| work(&*engine, case, Until::Time(time));
    run(WARM_UP.min(Duration::from_secs_f64(case.seconds)))?;
    let before = Account::now(dir);
    let lap = run(Duration::from_secs_f64(case.seconds))?;
    let after = Account::now(dir);
    engine.close()?;
    Ok(measured(&lap, "updates/s", &before, &after))
}

/// A value for every key.
fn prepare(kind: Kind, engine: &dyn Engine, case: &Case) -> Result<()> {
    if kind != Kind::RaftEngine {
        return in_batches(engine, case, &Values::new(case.value_bytes));
    }
    // What it has under keys is written by its updates alone.
    let share = case.keys.div_ceil(FILLERS);
    lap(engine, FILLERS as usize, Until::Calls(share), &|thread, session, _| {
        let first = thread as u64 * share;
        (first..case.keys.min(first + share)).try_for_each(|number| session.update(&key(number), changed))
    })?;
    Ok(())
}

fn work(engine: &dyn Engine, case: &Case, until: Until) -> Result<Lap> {
    lap(engine, case.threads, until, &|thread, session, runner| {
        let mut numbers = Numbers::new(thread, case.keys, case.pick);
        while let Some(begun) = runner.next() {
            session.update(&key(numbers.next()), changed)?;
            runner.done(begun, 1);
        }
        Ok(())
    })
}

/// What an update makes of a value: a number in front counted up; of none, 1 KiB.
fn changed(value: &mut Vec<u8>) {
    if value.len() < 1024 {
        value.resize(1024, 7);
    }
    if let Some(number) = value.first_chunk_mut::<8>() {
        *number = (u64::from_le_bytes(*number).wrapping_add(1)).to_le_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_counts_up_and_keeps_the_size() {
        let mut value = Vec::new();
        changed(&mut value);
        let first = u64::from_le_bytes(*value.first_chunk().expect("eight bytes"));
        changed(&mut value);
        assert_eq!(u64::from_le_bytes(*value.first_chunk().expect("eight bytes")), first + 1);
        assert_eq!(value.len(), 1024);
    }
}
