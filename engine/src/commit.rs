//! Corridor: from a draft to a place in the log and to its answer.
//!
//! 1. Wait where a scan that met too many conflicts holds the writers up. Encode and checksum, outside any lock.
//! 2. Wait until the log takes that many bytes.
//! 3. Under the commit lock: validate, place, apply. Log order, commit order and the order of what memory shows are one.
//!    Leases are validated there too: a commit and a grant cannot both have come first.
//! 4. Outside: wait for the answer, or hand out a ticket.
//!
//! Where the log has no room yet, the lock is given up, room is made, and step 3 begins anew. Where a lease that is over
//! stands in the way, the commit ends it in its own record: it is drafted wider, and begins anew.

use std::time::Duration;

use savehold_wal::sync::lock_soon;
use savehold_wal::{Append, Durability, Frame, Lsn, NotNow, Placed, Urgency};

use crate::apply::{Live, apply};
use crate::core::Core;
use crate::debt::{Due, Size};
use crate::draft::{Draft, FullKey, Write};
use crate::error::{Error, Result};
use crate::index::TailIndex;
use crate::inner_key::is_wiped;
use crate::lease::{Barred, Noted};
use crate::planted::{self, Fault};

/// Why a draft was not committed.
#[derive(Debug)]
pub(crate) enum NotCommitted {
    /// What the run saw has changed: these keys, or a range where there are none.
    Conflict(Vec<FullKey>),
    /// A lease forbids it, on this key if on one; decided on what stands up to this place, and to be told when that has
    /// its answer.
    Barred(Lsn, Error, Option<FullKey>),
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
    /// Whether it may use the reserve of a full disk, whatever it writes.
    pub(crate) urgency: Urgency,
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
    /// Gives a draft its place as it is; `fence` is the room above, which sees to leases that are over.
    pub(crate) fn place_as_it_is(&self, draft: &Draft<'_>, how: How) -> Result<Placed, Refused> {
        self.bar.pass(draft.writes.iter().map(|((collection, _), _)| *collection));
        let mut frame = draft.encode()?;
        let bytes = frame.len() as u64;
        match how.patience {
            Patience::Waits => self.wal.admit(bytes).map_err(Error::from)?,
            Patience::AnswersBusy => self.wal.admit_now(bytes).map_err(Error::from)?,
        }
        let append = Append { durability: how.durability, urgency: urgency_of(draft, how) };
        let size = Size {
            bytes,
            versions: draft.writes.len() as u64,
            key_bytes: draft.writes.iter().map(|((_, key), _)| key.as_bytes().len() as u64).sum(),
        };
        loop {
            match self.try_place(draft, &mut frame, append, size) {
                Ok(Place { placed, due, told }) => {
                    frame.reuse();
                    if told {
                        self.attend();
                    }
                    self.owe(placed, due);
                    self.spare(bytes, placed.end);
                    return Ok(placed);
                }
                Err(Refused::Log(NotNow::NoRoom)) => self.wal.make_room(bytes).map_err(Error::from)?,
                Err(refused) => return Err(refused),
            }
        }
    }

    fn try_place(
        &self,
        draft: &Draft<'_>,
        frame: &mut Frame,
        append: Append,
        size: Size,
    ) -> Result<Place, Refused> {
        let tail = lock_soon(&self.order);
        // where nothing was placed since the first read, nothing that was read can have changed
        let holds = draft.remembered.is_empty() && self.sequenced() == draft.moment;
        if !holds && let Some(keys) = draft.conflicts(&self.index)? {
            return Err(Refused::Conflict(keys));
        }
        let mut now = Duration::ZERO;
        if self.leases.any() || draft.claim.is_some() {
            now = self.boot();
            self.check_leases(draft, now)?;
        }
        if draft.memory.is_some_and(|memory| !memory.hold()) {
            return Err(Refused::Conflict(Vec::new()));
        }
        let entering = self.horizon.entering();
        let placing = |acknowledged| entering.begin(acknowledged);
        let placed = self.wal.try_place(frame, append, placing).map_err(|e| {
            draft.memory.inspect(|memory| memory.let_go());
            if planted::has(Fault::ApplyRefused) {
                show(&tail, Lsn::from_raw(self.sequenced().raw() + 1), frame);
            }
            Refused::Log(e)
        })?;
        let noted = show(&tail, placed.lsn, frame); // whoever finds a version by it reads it from the log already
        let leased = !noted.is_empty() || draft.claim.is_some();
        let told = leased && self.leases.apply(placed.lsn.into(), noted, draft.claim, now);
        draft.memory.inspect(|memory| memory.apply(placed));
        self.horizon.raise(placed.lsn);
        drop(entering);
        Ok(Place { placed, due: self.count_due(placed.end, size), told })
    }

    /// Whether the leases that stand allow it. Under the commit lock.
    #[cold]
    fn check_leases(&self, draft: &Draft<'_>, now: Duration) -> Result<(), Refused> {
        if planted::has(Fault::DropFence) || planted::has(Fault::FenceEarly) {
            return Ok(());
        }
        let keys =
            draft.writes.iter().map(|(key, _)| key).filter(|(collection, _)| !collection.is_reserved());
        let checked = self.leases.check(draft.claim, keys, now);
        checked.map_err(|barred| Refused::Lease(barred, self.sequenced()))
    }

    /// The newest place in commit order, with writes behind it remembered for the validation of ranges.
    pub(crate) fn watch(&self) -> (Lsn, crate::index::WatchGuard) {
        let _order = self.order.lock();
        let moment = self.sequenced();
        (moment, self.index.watch(moment))
    }
}

/// The place that a draft got.
struct Place {
    placed: Placed,
    /// What was due before and after.
    due: (Due, Due),
    /// Somebody who waits for a lease is to be told.
    told: bool,
}

/// Enters a record of ours into the tail of the index; says what it says of leases.
fn show(index: &TailIndex, lsn: Lsn, frame: &Frame) -> Noted {
    let body_offset = u32::try_from(frame.body_offset()).expect("bounded by HEAD_BYTES_MAX");
    let mut live = Live { index, record: frame.bytes(), noted: Noted::default() };
    apply(&mut live, lsn, body_offset, frame.head()).expect("just encoded");
    live.noted
}

/// Why a draft got no place.
pub(crate) enum Refused {
    Conflict(Vec<FullKey>),
    /// Decided on what stands up to this place.
    Lease(Barred, Lsn),
    Log(NotNow),
    Failed(Error),
}

impl From<Error> for Refused {
    fn from(e: Error) -> Self {
        Self::Failed(e)
    }
}

impl From<Refused> for NotCommitted {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Conflict(keys) => Self::Conflict(keys),
            Refused::Log(NotNow::Refused(e)) => Self::Failed(e.into()),
            Refused::Failed(e) => Self::Failed(e),
            Refused::Log(NotNow::NoRoom) | Refused::Lease(..) => unreachable!("seen to before"),
        }
    }
}

/// What ends leases, and what only removes, makes room: it may use the reserve of a full disk, as may what was asked for so.
/// The mark of a wipe is part of a removal.
fn urgency_of(draft: &Draft<'_>, how: How) -> Urgency {
    let removes = |(key, write): &(FullKey, Write)| matches!(write, Write::Remove) || is_wiped(key);
    let ends = draft.claim.is_some_and(|claim| !claim.ends.is_empty());
    if ends || draft.writes.iter().all(removes) { Urgency::Reserve } else { how.urgency }
}
