//! Corridor: saving a profile: its present state becomes an entry, which is placed under the session's token.
//!
//! A save is validated like any commit: only while the lease stands, only over the version that memory knows, and never
//! an older state behind a newer one.

use std::any::Any;
use std::rc::Rc;
use std::sync::Arc;

use savehold_wal::{Lsn, Placed};

use super::ground::{self, Ground, NotSaved};
use super::live::{Base, Live, Phase, Picture};
use super::playable::Playable;
use crate::commit::How;
use crate::entry::{Entry, EntryHead};
use crate::error::{Error, ErrorKind, Result};
use crate::lease::Ended;
use crate::memory::Memory;
use crate::record::Cause;
use crate::txn::{OVERTAKEN, Remembered, Tx};

/// What a save came to.
pub(crate) enum Save {
    /// It has its place.
    Placed(Placed),
    /// The log has this state already, at this place.
    Unchanged(Lsn),
}

impl Save {
    /// The version that has the state.
    pub(crate) fn lsn(&self) -> Lsn {
        match self {
            Self::Placed(placed) => placed.lsn,
            Self::Unchanged(lsn) => *lsn,
        }
    }
}

impl<T: Playable> Live<T> {
    /// Places a save of the present state, unless the log has it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Ended`]: the session is over. [`ErrorKind::Full`], [`ErrorKind::Busy`], [`ErrorKind::Halted`] …:
    /// nothing was written.
    pub(crate) fn save(&self, cause: Cause, how: How) -> Result<Save> {
        let mut met = None;
        loop {
            let picture = self.picture(false, false);
            if met == Some(picture.base.lsn) {
                break; // not by another save or transaction of ours
            }
            if picture.is_placed {
                return Ok(Save::Unchanged(picture.base.lsn));
            }
            let (entry, base) = self.entry(&picture.value, &picture.base)?;
            let saving = Saving { live: self, picture: &picture, base };
            let save = ground::Save {
                full: &self.full,
                seen: picture.base.lsn,
                entry,
                token: self.session.token(),
                cause,
                memory: &saving,
            };
            match self.ground().save(save, how) {
                Ok(placed) => return Ok(Save::Placed(placed)),
                Err(NotSaved::Conflict) => met = Some(picture.base.lsn),
                Err(NotSaved::Barred(e)) => return Err(self.barred(e)),
                Err(NotSaved::Failed(e)) => return Err(self.named(e)),
            }
        }
        Err(self.named(Error::new(ErrorKind::Conflict, OVERTAKEN)))
    }

    /// The entry of a value, and what memory knows of it once it stands in the log.
    pub(crate) fn entry(&self, value: &T, base: &Base) -> Result<(Entry, Base)> {
        let encoded =
            self.shared.rules.encode(value, &base.unknown, &base.schema).map_err(|e| self.named(e))?;
        let head = EntryHead { schema: encoded.section, format: encoded.format, ..base.head.clone() };
        let base =
            Base { lsn: Lsn::NONE, head: head.clone(), unknown: encoded.unknown, schema: encoded.schema };
        Ok((Entry { head, value: encoded.bytes }, base))
    }

    /// The log refused the token: the session is over, and says why.
    pub(crate) fn barred(&self, e: Error) -> Error {
        match self.session.why_ended() {
            Some(why) => {
                self.lose(why.clone());
                self.over(&why).caused_by(e)
            }
            None => self.named(e),
        }
    }
}

/// A save on its way to its place.
struct Saving<'a, T: Playable> {
    live: &'a Live<T>,
    picture: &'a Picture<T>,
    base: Base,
}

impl<T: Playable> Memory for Saving<'_, T> {
    fn hold(&self) -> bool {
        self.live.lock().placed_revision <= self.picture.revision
    }

    fn let_go(&self) {}

    fn apply(&self, placed: Placed) {
        self.live.placed(placed, self.picture, self.picture.value.clone(), self.base.clone());
    }
}

/// The same, for transactions that save a profile beside other things.
pub(crate) struct LastSave<T: Playable> {
    pub(crate) live: Arc<Live<T>>,
    pub(crate) picture: Picture<T>,
    pub(crate) base: Option<Base>,
    pub(crate) why: Ended,
}

impl<T: Playable> Remembered for LastSave<T> {
    fn subject(&self) -> *const () {
        Arc::as_ptr(&self.live).cast()
    }

    fn as_any(self: Rc<Self>) -> Rc<dyn Any> {
        self
    }

    fn finish(&self, _: &Tx<'_>) -> Result<()> {
        Ok(()) // it was written when it was opened
    }
}

impl<T: Playable> Memory for LastSave<T> {
    fn hold(&self) -> bool {
        let state = self.live.lock();
        state.placed_revision <= self.picture.revision && state.revision == self.picture.revision
    }

    fn let_go(&self) {}

    fn apply(&self, placed: Placed) {
        if let Some(base) = &self.base {
            self.live.placed(placed, &self.picture, self.picture.value.clone(), base.clone());
        }
        self.live.lock().phase = Phase::Over(self.why.clone());
    }
}
