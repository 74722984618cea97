//! Corridor: the archive of an open store, kept current in the background by a thread of its own, since its destination
//! may be slow or gone. Nothing else ever waits for it, but closing, for a while.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use savehold_wal::backup::{Archive, Packing, Thinned, Thinning};
use savehold_wal::env::Env;
use savehold_wal::sync::{Condvar, Mutex};
use savehold_wal::{Lsn, Sealed, Wal};

use crate::error::{Error, ErrorKind, Result};
use crate::ids::Version;
use crate::packer::Left;
use crate::stats::ArchiveStats;

/// Closing waits this long for the archive to catch up.
const LAST_STEP_WAIT: Duration = Duration::from_secs(5);

/// Says what the archive is to note of the store, as it is now.
pub(crate) type Note = Box<dyn Fn() -> Vec<u8> + Send + Sync>;

/// The archive of an open store, and how it fares.
pub(crate) struct Archiving {
    to: PathBuf,
    interval: Duration,
    note: Note,
    archive: Mutex<Archive>,
    /// Who thins it; see `compaction`.
    pub(crate) thinner: Mutex<Thinner>,
    state: Mutex<State>,
    /// Woken when the store closes.
    ring: Condvar,
    /// Woken when the thread has ended.
    ended: Condvar,
}

/// How far the archive is thinned.
#[derive(Default)]
pub(crate) struct Thinner {
    pub(crate) left: Left,
    /// What the index looked like when nothing was worth it, and when that was, in quarters of an hour.
    pub(crate) seen: (u64, Lsn, u64),
    /// When what failed is tried again (boot clock).
    pub(crate) retry_at: Duration,
}

struct State {
    through: Lsn,
    /// When the archive last held all that was durable (boot clock).
    current_at: Duration,
    /// When the next step is due (boot clock).
    due: Duration,
    failure: Option<Error>,
    /// Why thinning failed the last time, if it did.
    thinning_failure: Option<Error>,
    stop: bool,
    ended: bool,
}

impl State {
    fn is_superseded(&self) -> bool {
        self.failure.as_ref().is_some_and(|e| e.kind() == ErrorKind::Superseded)
    }
}

impl Archiving {
    /// An archive in the directory `to`, whose first step is due now.
    pub(crate) fn new(env: &Env, to: &Path, packing: Packing, interval: Duration, note: Note) -> Self {
        let now = env.clock.boot();
        Self {
            to: to.to_path_buf(),
            interval,
            note,
            archive: Mutex::new(Archive::new(env, to, packing)),
            thinner: Mutex::default(),
            state: Mutex::new(State {
                through: Lsn::NONE,
                current_at: now,
                due: now,
                failure: None,
                thinning_failure: None,
                stop: false,
                ended: false,
            }),
            ring: Condvar::new(),
            ended: Condvar::new(),
        }
    }

    /// The background thread: a step at each interval, until the store closes or is gone, and a last one where it closes.
    /// Behind each step it is thinned.
    pub(crate) fn run<C>(self: &Arc<Self>, core: &Weak<C>, wal: impl Fn(&C) -> &Wal, thin: impl Fn(&C)) {
        loop {
            let stop = self.state.lock().stop;
            let Some(core) = core.upgrade() else { break };
            self.step(wal(&core));
            if !stop {
                _ = catch_unwind(AssertUnwindSafe(|| thin(&core))); // a mistake of ours there ends no steps
            }
            drop(core);
            let mut state = self.state.lock();
            if stop || state.is_superseded() {
                break;
            }
            if !state.stop {
                self.ring.wait_for(&mut state, self.interval);
            }
        }
        self.state.lock().ended = true;
        self.ended.notify_all();
    }

    /// It holds everything before this place.
    pub(crate) fn through(&self) -> Lsn {
        let state = self.state.lock();
        if state.is_superseded() { Lsn::MAX } else { state.through } // what it lacks then it never gets
    }

    /// Its segments that may be thinned, the oldest first.
    pub(crate) fn sealed(&self) -> Vec<Sealed> {
        self.archive.lock().sealed()
    }

    /// Begins to thin a range of them; steps go on meanwhile.
    pub(crate) fn thinning(&self, packing: savehold_wal::Packing<'_>) -> Result<Option<Thinning>> {
        self.archive.lock().thinning(packing).map_err(|e| Error::from(e).within(self.to.display()))
    }

    /// Puts what was thinned in its place.
    pub(crate) fn put_in_place(&self, thinned: Thinned) -> Result<bool> {
        self.archive.lock().put_in_place(thinned).map_err(|e| Error::from(e).within(self.to.display()))
    }

    /// Thinning came to this.
    pub(crate) fn note_thinning(&self, failure: Option<Error>) {
        self.state.lock().thinning_failure = failure;
    }

    /// Does a step that is due while its thread thins.
    pub(crate) fn step_if_due(&self, wal: &Wal) {
        if wal.env().threads == savehold_wal::env::Threads::Own
            && wal.env().clock.boot() >= self.state.lock().due
        {
            self.step(wal);
        }
    }

    /// Whether a newer timeline of the store archives there.
    pub(crate) fn is_superseded(&self) -> bool {
        self.state.lock().is_superseded()
    }

    /// Does a step that is due, where there is no thread; says when the next one will be.
    pub(crate) fn tick(&self, wal: &Wal) -> Option<Duration> {
        let (due, over) = {
            let state = self.state.lock();
            (state.due, state.is_superseded() || state.ended)
        };
        if over {
            return None;
        }
        let now = wal.env().clock.boot();
        if now >= due {
            self.step(wal);
            return Some(self.interval);
        }
        Some(due - now)
    }

    fn step(&self, wal: &Wal) {
        let begun = wal.env().clock.boot();
        let note = (self.note)();
        let stepped = self.archive.lock().step(wal, &note);
        let mut state = self.state.lock();
        state.due = begun.saturating_add(self.interval);
        match stepped {
            Ok(step) => {
                (state.through, state.current_at, state.failure) = (step.through, begun, None);
            }
            Err(e) => state.failure = Some(Error::from(e).within(self.to.display())),
        }
    }

    /// The store is closing: a last step, for which closing waits a while, not for ever.
    pub(crate) fn finish(&self, wal: &Wal) {
        let own = wal.env().threads == savehold_wal::env::Threads::Own;
        _ = wal.sync(); // where that fails, closing says so
        let mut state = self.state.lock();
        state.stop = true;
        if !own {
            let over = state.is_superseded() || std::mem::replace(&mut state.ended, true);
            drop(state);
            if !over {
                self.step(wal);
            }
            return;
        }
        self.ring.notify_all();
        let until = wal.env().clock.monotonic() + LAST_STEP_WAIT;
        while !state.ended {
            let left = until.saturating_sub(wal.env().clock.monotonic());
            if left.is_zero() {
                return;
            }
            self.ended.wait_for(&mut state, left);
        }
    }

    /// How it fares.
    pub(crate) fn stats(&self, wal: &Wal) -> ArchiveStats {
        let durable = wal.durable();
        let state = self.state.lock();
        let behind_bytes = durable.bytes_since(state.through.max(wal.timeline_first()));
        let behind_bytes = behind_bytes.unwrap_or(0);
        let since = wal.env().clock.boot().saturating_sub(state.current_at);
        ArchiveStats {
            to: self.to.clone(),
            through: Version::from(Lsn::from_raw(state.through.raw().saturating_sub(1))),
            behind_bytes,
            behind: if behind_bytes == 0 { Duration::ZERO } else { since },
            failure: state.failure.clone(),
            thinning_failure: state.thinning_failure.clone(),
        }
    }
}

impl fmt::Debug for Archiving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Archiving({})", self.to.display())
    }
}
