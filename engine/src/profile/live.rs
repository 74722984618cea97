//! Door: a profile in memory: its present state, what the log has of it, and who may change it.
//!
//! Invariants:
//! - `value` changes only with `revision`, under the state's lock: by an update that has the turn, or by a commit while
//!   it has its place in the log (under the commit lock too).
//! - `placed_revision` grows in commit order: a save of an older state never stands behind a newer one in the log.
//! - Once the session is over, or ending, no change is taken; the handle keeps the reason.
//! - The program's own code runs with no lock held.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use savehold_wal::env::Threads;
use savehold_wal::sync::{Condvar, Mutex, MutexGuard};
use savehold_wal::{Lsn, Placed};

use super::ground::{Engine, Ground};
use super::keep::Unknown;
use super::playable::Playable;
use super::schema::Schema;
use super::shared::Shared;
use crate::entry::EntryHead;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::Version;
use crate::key::{FullKey, Key};
use crate::lease::Ended;
use crate::session::Session;

/// A profile whose session this process has.
pub(crate) struct Live<T: Playable> {
    pub(crate) shared: Arc<Shared<T>>,
    pub(crate) key: Key,
    pub(crate) full: FullKey,
    pub(crate) session: Session,
    state: Mutex<State<T>>,
    /// Rung when nobody has the turn any more.
    free: Condvar,
}

pub(crate) struct State<T> {
    pub(crate) value: Arc<T>,
    /// Grows with every change of the value.
    pub(crate) revision: u64,
    pub(crate) phase: Phase,
    busy: Busy,
    /// Transactions that were overtaken and now have the profile to themselves.
    reserved: u32,
    /// The document as the log has it.
    pub(crate) base: Arc<Base>,
    /// The newest revision that has its place in the log.
    pub(crate) placed_revision: u64,
    /// Since when there has been a change that the log has not (boot clock).
    pub(crate) unsaved_since: Option<Duration>,
    /// When the next save is due (boot clock).
    pub(crate) save_at: Duration,
    /// Bytes of the value, as stored.
    pub(crate) bytes: usize,
    /// Saves on their way, oldest first.
    flights: VecDeque<(Placed, Saved<T>)>,
    saved: Saved<T>,
    /// Why the last save failed, until one succeeds.
    pub(crate) fault: Option<Error>,
}

/// Whether changes are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Active,
    /// The reason is known; the last save is on its way.
    Ending(Ended),
    Over(Ended),
}

/// Who has the turn to change the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Busy {
    Nobody,
    /// An update, or a hook: its code is running.
    Update,
    /// A commit: it is getting its place.
    Commit,
}

/// What the log has of a document, beside its value.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    pub(crate) lsn: Lsn,
    pub(crate) head: EntryHead,
    pub(crate) unknown: Unknown,
    pub(crate) schema: Schema,
}

/// What the store is known to hold of a profile.
#[derive(Debug)]
#[non_exhaustive]
pub struct Saved<T> {
    /// The value.
    pub value: Arc<T>,
    /// The version that has it.
    pub version: Version,
}

impl<T> Clone for Saved<T> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), version: self.version }
    }
}

/// The present state of a profile, for a save.
pub(crate) struct Picture<T> {
    pub(crate) value: Arc<T>,
    pub(crate) revision: u64,
    pub(crate) base: Arc<Base>,
    pub(crate) taken_at: Duration,
    /// The log has it already.
    pub(crate) is_placed: bool,
}

impl<T: Playable> Live<T> {
    pub(crate) fn new(
        shared: Arc<Shared<T>>,
        key: Key,
        full: FullKey,
        session: Session,
        value: T,
        bytes: usize,
        base: Base,
    ) -> Self {
        let value = Arc::new(value);
        let saved = Saved { value: value.clone(), version: base.lsn.into() };
        let state = State {
            value,
            revision: 0,
            phase: Phase::Active,
            busy: Busy::Nobody,
            reserved: 0,
            base: Arc::new(base),
            placed_revision: 0,
            unsaved_since: None,
            save_at: Duration::MAX,
            bytes,
            flights: VecDeque::new(),
            saved,
            fault: None,
        };
        Self { shared, key, full, session, state: Mutex::new(state), free: Condvar::new() }
    }

    pub(super) fn ground(&self) -> &Engine {
        &self.shared.ground
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock()
    }

    /// The present value.
    pub(crate) fn value(&self) -> Arc<T> {
        self.state.lock().value.clone()
    }

    /// Why the session is over, or ending.
    pub(crate) fn ended(&self) -> Option<Ended> {
        match &self.state.lock().phase {
            Phase::Active => self.session.why_ended(),
            Phase::Ending(why) | Phase::Over(why) => Some(why.clone()),
        }
    }

    /// The error of a call on a session that is over.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Ended`]: it is.
    pub(crate) fn check(&self) -> Result<()> {
        match self.ended() {
            Some(why) => Err(self.over(&why)),
            None => Ok(()),
        }
    }

    #[cold]
    pub(crate) fn over(&self, why: &Ended) -> Error {
        let say = format!("the session is over ({why}): nothing was changed; start it again to go on");
        self.named(Error::new(ErrorKind::Ended, say))
    }

    /// An error about this profile says which.
    pub(crate) fn named(&self, e: Error) -> Error {
        e.within(format_args!("{}/{}", self.shared.ground.name(), self.key))
    }

    /// The present state, for a save or a transaction; waits for an update whose code is running. `alone`: from now on
    /// until [`Live::share`] no update begins.
    pub(crate) fn picture(&self, wait: bool, alone: bool) -> Picture<T> {
        let mut state = self.state.lock();
        if alone {
            state.reserved += 1;
        }
        while wait && state.busy == Busy::Update {
            self.free.wait(&mut state);
        }
        Picture {
            value: state.value.clone(),
            revision: state.revision,
            base: state.base.clone(),
            taken_at: self.ground().boot(),
            is_placed: state.revision == state.placed_revision,
        }
    }

    /// Updates may begin again.
    pub(crate) fn share(&self) {
        self.state.lock().reserved -= 1;
        self.free.notify_all();
    }

    /// Takes the turn to change the value, in whatever phase: when it comes, the value is the newest.
    pub(crate) fn turn(&self) -> Turn<'_, T> {
        let mut state = self.state.lock();
        while state.busy != Busy::Nobody || state.reserved > 0 {
            self.free.wait(&mut state);
        }
        state.busy = Busy::Update;
        Turn { live: self, value: state.value.clone() }
    }

    /// [`Live::turn`], waited for no longer than `time`, for whoever must not wait for the program. Where a store has no
    /// threads nobody could give it back meanwhile.
    pub(crate) fn turn_within(&self, time: Duration) -> Option<Turn<'_, T>> {
        let env = self.ground().env();
        let until = env.clock.monotonic().saturating_add(time);
        let mut state = self.state.lock();
        while state.busy != Busy::Nobody || state.reserved > 0 {
            let left = until.saturating_sub(env.clock.monotonic());
            if left.is_zero() || env.threads == Threads::None {
                return None;
            }
            self.free.wait_for(&mut state, left);
        }
        state.busy = Busy::Update;
        Some(Turn { live: self, value: state.value.clone() })
    }

    /// Whether somebody has the turn, or a transaction the profile to itself.
    pub(crate) fn is_taken(&self) -> bool {
        let state = self.state.lock();
        state.busy != Busy::Nobody || state.reserved > 0
    }

    /// Under the commit lock: takes hold of the revision `seen` for a commit that replaces it.
    pub(crate) fn hold(&self, seen: u64) -> bool {
        let mut state = self.state.lock();
        let holds = state.revision == seen && state.busy == Busy::Nobody && state.phase == Phase::Active;
        if holds {
            state.busy = Busy::Commit;
        }
        holds
    }

    /// The commit is over.
    pub(crate) fn let_go(&self) {
        self.state.lock().busy = Busy::Nobody;
        self.free.notify_all();
    }

    /// Under the commit lock: a commit got its place, with the value of a revision.
    pub(crate) fn placed(&self, placed: Placed, picture: &Picture<T>, value: Arc<T>, base: Base) {
        let mut state = self.state.lock();
        state.placed_revision = picture.revision;
        state.unsaved_since = (state.revision != picture.revision).then_some(picture.taken_at);
        if state.unsaved_since.is_none() {
            state.save_at = Duration::MAX;
        }
        state.base = Arc::new(Base { lsn: placed.lsn, ..base });
        state.fault = None;
        state.settle(self.ground().acknowledged());
        state.flights.push_back((placed, Saved { value, version: placed.lsn.into() }));
    }

    /// What the store is known to hold.
    pub(crate) fn last_saved(&self) -> Saved<T> {
        let acknowledged = self.ground().acknowledged();
        let mut state = self.state.lock();
        state.settle(acknowledged);
        state.saved.clone()
    }
}

impl<T> State<T> {
    /// Saves that have their answer are what the store holds.
    fn settle(&mut self, acknowledged: Lsn) {
        while self.flights.front().is_some_and(|(placed, _)| placed.end <= acknowledged) {
            self.saved = self.flights.pop_front().expect("it was there").1;
        }
    }

    /// The value changes.
    pub(crate) fn change(&mut self, value: Arc<T>, bytes: usize) {
        self.value = value;
        self.bytes = bytes;
        self.revision += 1;
    }
}

/// The turn to change a profile's value, until it is dropped.
pub(crate) struct Turn<'a, T: Playable> {
    live: &'a Live<T>,
    pub(crate) value: Arc<T>,
}

impl<T: Playable> Turn<'_, T> {
    /// The value changes; `save_at` says when a save is due, if none was before: answered where it was asked.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Ended`]: the session ended meanwhile.
    pub(crate) fn install(
        &self,
        value: T,
        bytes: usize,
        now: Duration,
        save_at: impl FnOnce() -> Duration,
    ) -> Result<Option<Duration>> {
        let mut state = self.live.state.lock();
        if let Phase::Over(why) | Phase::Ending(why) = &state.phase {
            return Err(self.live.over(why));
        }
        state.change(Arc::new(value), bytes);
        if state.unsaved_since.is_some() {
            return Ok(None);
        }
        state.unsaved_since = Some(now);
        state.save_at = save_at();
        Ok(Some(state.save_at))
    }

    /// The value changes for the last time, by the program's last word on it.
    pub(crate) fn install_last(&self, value: T, bytes: usize, now: Duration) {
        let mut state = self.live.state.lock();
        state.change(Arc::new(value), bytes);
        state.unsaved_since.get_or_insert(now);
    }
}

impl<T: Playable> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        self.live.let_go();
    }
}

impl<T: Playable> fmt::Debug for Live<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} ({:?})", self.shared.ground.name(), self.key, self.state.lock().phase)
    }
}
