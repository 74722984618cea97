//! Corridor: opening: tables that can be used, then the log behind them.
//!
//! 1. Open the tables that MANIFEST names; what follows a damaged or missing one counts as missing too.
//! 2. Make missing tables anew from the log.
//! 3. Replay what is behind them into memory; where that takes too much, make tables of it on the way.
//!
//! A crash in between leaves what MANIFEST named before, or what it names once 2 or 3 is done; the log loses nothing.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use savehold_wal::{Lsn, Verify, Wal};

use crate::error::{Error, Result};
use crate::estimate::{Course, Rates};
use crate::index::table::Table;
use crate::index::{Index, Judge};
use crate::load::{Loaded, Replaying, Tail, is_no_space, load_tail, remake, verify_before};
use crate::planted::{self, Fault};
use crate::retention::Holds;
use crate::shelf::Shelf;

/// An index that says all that the log says.
pub(crate) struct Recovered {
    pub(crate) index: Index,
    pub(crate) shelf: Shelf,
    /// What was replayed into memory.
    pub(crate) tail: Loaded,
    /// By which the next restart is estimated.
    pub(crate) rates: Rates,
    /// Why tables had to be made anew.
    pub(crate) damage: Vec<Error>,
}

/// The steps of recovery.
///
/// # Errors
///
/// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt): the log is damaged where it must be replayed.
pub(crate) fn recover(wal: &Wal, how: Replaying) -> Result<Recovered> {
    let begun = wal.env().clock.monotonic();
    let found = Shelf::open(wal)?;
    let (shelf, mut tables) = (found.shelf, found.tables);
    let usable = shelf.manifest.lock().through();
    if usable < found.through {
        match make(wal, &shelf, &mut tables, usable..found.through, how) {
            // where tables cannot be written, all of it goes into memory
            Err(e) if is_no_space(&e) => {}
            made => made?,
        }
    }
    let (from, rates) = {
        let manifest = shelf.manifest.lock();
        (manifest.through(), manifest.rates)
    };
    if how.verify == Verify::Bodies && from > Lsn::NONE {
        verify_before(wal, from, how)?;
    }
    let from = if planted::has(Fault::ReplayLate) { Lsn::from_raw(from.raw() + 4096) } else { from };
    let tail = replay(wal, &shelf, &mut tables, from, how)?;
    let (from, judged) = {
        let manifest = shelf.manifest.lock();
        (manifest.through(), manifest.judged)
    };
    tables.reverse();
    let index = Index::over(tail.index, tables, from, judged);
    let took = wal.env().clock.monotonic().saturating_sub(begun);
    let rates = note(wal, rates, tail.all, took);
    Ok(Recovered { index, shelf, tail: tail.loaded, rates, damage: found.damage })
}

/// Replays the log from `from` on, and names and adds the tables that are made on the way.
fn replay(wal: &Wal, shelf: &Shelf, tables: &mut Vec<Arc<Table>>, from: Lsn, how: Replaying) -> Result<Tail> {
    let mut plan = shelf.manifest.lock().terms.plan(Holds::default(), Lsn::NONE); // nobody holds anything yet
    let judge: Option<&mut (dyn Judge + Send)> =
        if wal.read_only().is_some() { None } else { Some(&mut plan) };
    let mut tail = load_tail(wal, shelf, from, how, judge)?;
    let made = std::mem::take(&mut tail.made);
    if made.is_empty() {
        return Ok(tail);
    }
    match shelf.name(wal, |manifest| manifest.add_remade(made.iter().map(|(named, _)| named.clone()))) {
        Err(e) if is_no_space(&e) => load_tail(wal, shelf, from, how, None),
        named => {
            named?;
            tables.extend(made.into_iter().map(|(_, table)| table));
            Ok(tail)
        }
    }
}

/// Makes tables of a range, names them and adds them.
fn make(
    wal: &Wal,
    shelf: &Shelf,
    tables: &mut Vec<Arc<Table>>,
    range: Range<Lsn>,
    how: Replaying,
) -> Result<()> {
    if let Some(e) = wal.read_only() {
        return Err(e.into());
    }
    let mut plan = shelf.manifest.lock().terms.plan(Holds::default(), Lsn::NONE); // nobody holds anything yet
    let made = remake(wal, shelf, range, how, &mut plan)?;
    shelf.name(wal, |manifest| manifest.add_remade(made.iter().map(|(named, _)| named.clone())))?;
    tables.extend(made.into_iter().map(|(_, table)| table));
    Ok(())
}

/// Tells the log's report what this took and what it was estimated to take, and learns from it.
fn note(wal: &Wal, rates: Rates, tail: Loaded, took: Duration) -> Rates {
    let (Loaded { replayed, versions }, report) = (tail, wal.report());
    let course = Course { bytes: replayed.bytes, versions, unproven: report.unproven_bytes() };
    let estimated = rates.restart(rates.replay_ps(course.bytes, versions), course.unproven);
    wal.note_replayed(replayed.records, took, estimated);
    rates.after(course, took, if report.clean { Duration::ZERO } else { report.judging })
}
