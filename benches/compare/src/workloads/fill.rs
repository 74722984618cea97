//! Door: a store that is there before the measurement begins.

use std::path::Path;

use crate::case::{Case, Setting, Workload};
use crate::engine::{Engine, Kind, Result, Session};
use crate::engines;
use crate::keys::{Numbers, Pick, Values, key};
use crate::race::{self, Until};

/// Records in one commit, where nobody asks for single ones.
const BATCH: u64 = 1000;

/// How a store is left.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// Closed.
    Closed,
    /// Open, everything written: somebody will kill this process.
    Open,
}

/// Writes every key of the case once, or twice where the store is tidied. Where the store is to be replayed each record is a commit
/// of its own.
pub fn fill(kind: Kind, case: &Case, dir: &Path, leave: Leave) -> Result<()> {
    let engine = engines::open(kind, &case.opening(dir))?;
    let values = Values::new(case.value_bytes);
    match case.workload {
        Workload::Replay | Workload::Open => one_by_one(kind, &*engine, case, &values)?,
        _ => in_batches(&*engine, case, &values)?,
    }
    if case.setting == Setting::Tidied {
        again(&*engine, case, &values)?;
        engine.tidy()?;
    }
    engine.settle()?;
    match leave {
        Leave::Closed => engine.close(),
        Leave::Open => {
            std::mem::forget(engine); // its threads go on, as those of a running program do
            Ok(())
        }
    }
}

/// All keys, many in a commit.
pub fn in_batches(engine: &dyn Engine, case: &Case, values: &Values) -> Result<()> {
    let mut session = engine.session(0)?;
    for first in (0..case.keys).step_by(BATCH as usize) {
        let numbers = first..case.keys.min(first + BATCH);
        session.put_many(&mut numbers.map(|number| (key(number), values.of(number))))?;
    }
    Ok(())
}

/// All keys, with other values and in an order that is none, many in a commit.
fn again(engine: &dyn Engine, case: &Case, values: &Values) -> Result<()> {
    let mut numbers: Vec<u64> = (0..case.keys).collect();
    let mut draw = Numbers::new(0, case.keys, Pick::Uniform);
    (0..numbers.len()).for_each(|at| numbers.swap(at, draw.next() as usize));
    let mut session = engine.session(0)?;
    for numbers in numbers.chunks(BATCH as usize) {
        session.put_many(&mut numbers.iter().map(|number| (key(*number), values.of(number + 1))))?;
    }
    Ok(())
}

/// All keys, each in a commit of its own.
fn one_by_one(kind: Kind, engine: &dyn Engine, case: &Case, values: &Values) -> Result<()> {
    // Where each commit is synced many write, so that they share the syncs. A log of `okaywal` knows nothing else.
    let threads = if kind == Kind::Okaywal || case.setting.is_durable() { 64 } else { 1 };
    let share = case.keys.div_ceil(threads);
    race::lap(engine, threads as usize, Until::Calls(share), &|thread, session, _| {
        let first = thread as u64 * share;
        for number in first..case.keys.min(first + share) {
            session.put(&key(number), values.of(number))?;
        }
        Ok(())
    })?;
    Ok(())
}

/// Commits as the case asks for, of values of keys drawn at random.
pub fn commits(
    case: &Case,
    values: &Values,
    thread: usize,
    session: &mut dyn Session,
    runner: &mut race::Runner,
) -> Result<()> {
    let mut numbers = Numbers::new(thread, case.keys, case.pick);
    if case.in_flight == 1 {
        while let Some(begun) = runner.next() {
            let number = numbers.next();
            session.put(&key(number), values.of(runner.called() ^ number))?;
            runner.done(begun, 1);
        }
        return Ok(());
    }
    // Both closures look at the same runner, by turns.
    let state = std::cell::RefCell::new((runner, std::collections::VecDeque::with_capacity(case.in_flight)));
    let mut count = 0;
    let mut items = std::iter::from_fn(|| {
        let mut state = state.borrow_mut();
        let begun = state.0.begins(count)?;
        state.1.push_back(begun);
        count += 1;
        let number = numbers.next();
        Some((key(number), values.of(number ^ count)))
    });
    session.flow(case.in_flight, &mut items, &mut |_| {
        let mut state = state.borrow_mut();
        if let Some(begun) = state.1.pop_front() {
            state.0.answered(begun);
        }
    })
}
