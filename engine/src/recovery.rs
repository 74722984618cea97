//! Corridor: opening: tables that can be used, then the log behind them.
//!
//! 1. Open the tables that MANIFEST names; what follows a damaged or missing one counts as missing too.
//! 2. Make missing tables anew from the log.
//! 3. Of a tail too long for memory, make tables at once, all but the last segments.
//! 4. Replay the rest into memory.
//!
//! A crash in between leaves what MANIFEST named before, or what it names once 2 or 3 is done; the log loses nothing.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use savehold_wal::{Lsn, Verify, Wal};

use crate::error::{Error, ErrorKind, Result};
use crate::estimate::{Course, Rates};
use crate::index::Index;
use crate::index::table::Table;
use crate::load::{Loaded, Replaying, load, long_before, remake, verify_before};
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
    let mut wanted = found.through;
    if let Some(place) = long_before(wal, found.through, how) {
        wanted = place;
    }
    if usable < wanted {
        match make(wal, &shelf, &mut tables, usable..wanted, how) {
            // where tables cannot be written, all of it goes into memory
            Err(e) if matches!(e.kind(), ErrorKind::Full | ErrorKind::Io | ErrorKind::ReadOnly) => {}
            made => made?,
        }
    }
    let (from, rates, judged) = {
        let manifest = shelf.manifest.lock();
        (manifest.through(), manifest.rates, manifest.judged)
    };
    if how.verify == Verify::Bodies && from > Lsn::NONE {
        verify_before(wal, from, how)?;
    }
    tables.reverse();
    let index = Index::new(wal.env().entropy.next_u64(), tables, from, judged);
    let from = if planted::has(Fault::ReplayLate) { Lsn::from_raw(from.raw() + 4096) } else { from };
    let tail = load(wal, &index.tail(), from..Lsn::MAX, how)?;
    let took = wal.env().clock.monotonic().saturating_sub(begun);
    let rates = note(wal, rates, tail, took);
    Ok(Recovered { index, shelf, tail, rates, damage: found.damage })
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
