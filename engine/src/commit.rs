//! Corridor: from a draft to a place in the log and to its answer.
//!
//! 1. Wait where a scan that met too many conflicts holds the writers up. Encode and checksum, outside any lock.
//! 2. Wait until the log takes that many bytes.
//! 3. Under the commit lock: validate, place, apply. Log order, commit order and the order of what memory shows are one.
//! 4. Outside: wait for the answer, or hand out a ticket.
//!
//! Where the log has no room yet, the lock is given up, room is made, and step 3 begins anew.

use savehold_wal::{Append, Durability, Frame, Lsn, NotNow, Placed, Urgency};

use crate::apply::apply;
use crate::core::Core;
use crate::draft::{Draft, FullKey};
use crate::error::{Error, Result};
use crate::planted::{self, Fault};

/// Why a draft was not committed.
#[derive(Debug)]
pub(crate) enum NotCommitted {
    /// What the run saw has changed: these keys, or a range where there are none.
    Conflict(Vec<FullKey>),
    /// Nothing was written.
    Failed(Error),
}

impl From<Error> for NotCommitted {
    fn from(e: Error) -> Self {
        Self::Failed(e)
    }
}

/// How a commit is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct How {
    /// When it is answered.
    pub(crate) durability: Durability,
    /// Whether the call waits for room, or answers `Busy`.
    pub(crate) patience: Patience,
}

/// What a call does where too much is in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// It waits.
    Waits,
    /// It answers `Busy`.
    AnswersBusy,
}

impl Core {
    /// Gives a draft its place, validated against everything placed before it.
    pub(crate) fn place(&self, draft: &Draft<'_>, how: How) -> Result<Placed, NotCommitted> {
        self.bar.pass(draft.writes.iter().map(|((collection, _), _)| *collection));
        let mut frame = draft.encode()?;
        let bytes = frame.len() as u64;
        match how.patience {
            Patience::Waits => self.wal.admit(bytes).map_err(Error::from)?,
            Patience::AnswersBusy => self.wal.admit_now(bytes).map_err(Error::from)?,
        }
        let append = Append { durability: how.durability, urgency: urgency_of(draft) };
        loop {
            match self.try_place(draft, &mut frame, append) {
                Ok(placed) => return Ok(placed),
                Err(Refused::Conflict(keys)) => return Err(NotCommitted::Conflict(keys)),
                Err(Refused::Log(NotNow::Refused(e))) => return Err(NotCommitted::Failed(e.into())),
                Err(Refused::Log(NotNow::NoRoom)) => self.wal.make_room(bytes).map_err(Error::from)?,
            }
        }
    }

    fn try_place(&self, draft: &Draft<'_>, frame: &mut Frame, append: Append) -> Result<Placed, Refused> {
        let _order = self.order.lock();
        if let Some(keys) = draft.conflicts(&self.index) {
            return Err(Refused::Conflict(keys));
        }
        let placed = self.wal.try_place(frame, append).map_err(|e| {
            if planted::has(Fault::ApplyRefused) {
                self.show(Lsn::from_raw(self.sequenced().raw() + 1), frame);
            }
            Refused::Log(e)
        })?;
        self.in_flight.push(placed.lsn, frame, self.wal.accepted(), |frame| self.show(placed.lsn, frame));
        self.raise_sequenced(placed.lsn);
        Ok(placed)
    }

    /// Enters a record of ours into the index.
    fn show(&self, lsn: Lsn, frame: &Frame) {
        let body_offset = u32::try_from(frame.body_offset()).expect("bounded by HEAD_BYTES_MAX");
        apply(&mut &self.index, lsn, body_offset, frame.head()).expect("just encoded");
    }

    /// The newest place in commit order, with writes behind it remembered for the validation of ranges.
    pub(crate) fn watch(&self) -> (Lsn, crate::index::WatchGuard) {
        let _order = self.order.lock();
        let moment = self.sequenced();
        (moment, self.index.watch(moment))
    }
}

enum Refused {
    Conflict(Vec<FullKey>),
    Log(NotNow),
}

/// Removing makes room: it may use the reserve of a full disk.
fn urgency_of(draft: &Draft<'_>) -> Urgency {
    let removes = |(_, write): &(FullKey, crate::draft::Write)| matches!(write, crate::draft::Write::Remove);
    if draft.writes.iter().all(removes) { Urgency::Reserve } else { Urgency::Ordinary }
}
