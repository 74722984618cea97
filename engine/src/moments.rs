//! Door: the moments that somebody holds open: snapshots, and what reads across time.
//!
//! Invariant: a moment is granted and entered under one lock, the same under which who drops anything looks who holds
//! what. So what a snapshot shows was not dropped before it was entered, and is not dropped while it is.

use std::collections::BTreeMap;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use savehold_wal::Lsn;

use crate::ids::Version;

/// An open snapshot, for whoever looks why history is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenSnapshot {
    /// The moment that it holds.
    pub version: Version,
    /// How long it has been open.
    pub age: Duration,
    /// Who opened it: a name that was given, else file and line of the call, and the thread.
    pub owner: String,
}

/// The open snapshots of a store.
#[derive(Debug, Default)]
pub(crate) struct Moments {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    next: u64,
    open: BTreeMap<u64, Open>,
}

#[derive(Debug)]
struct Open {
    moment: Lsn,
    since: Duration,
    owner: Owner,
}

#[derive(Clone, Debug)]
enum Owner {
    Call(&'static Location<'static>, Option<String>),
    Named(String),
}

impl Owner {
    fn text(&self) -> String {
        match self {
            Self::Call(place, None) => format!("{}:{}", place.file(), place.line()),
            Self::Call(place, Some(thread)) => format!("{}:{}, thread {thread}", place.file(), place.line()),
            Self::Named(name) => name.clone(),
        }
    }
}

/// Holds a moment until it is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    moments: Arc<Moments>,
    number: u64,
    pub(crate) moment: Lsn,
}

impl Moments {
    /// Holds the moment that `grant` says, for the caller of the public call at `place`; `now` is the monotonic clock.
    pub(crate) fn hold<E>(
        self: &Arc<Self>,
        place: &'static Location<'static>,
        now: Duration,
        grant: impl FnOnce() -> Result<Lsn, E>,
    ) -> Result<Hold, E> {
        let thread = std::thread::current().name().map(str::to_owned);
        let mut held = self.held.lock();
        let moment = grant()?;
        let number = held.next;
        held.next += 1;
        held.open.insert(number, Open { moment, since: now, owner: Owner::Call(place, thread) });
        Ok(Hold { moments: self.clone(), number, moment })
    }

    /// How many are open.
    pub(crate) fn count(&self) -> usize {
        self.held.lock().open.len()
    }

    /// Who holds what, the oldest moment first; `now` is the monotonic clock.
    pub(crate) fn open(&self, now: Duration) -> Vec<OpenSnapshot> {
        let held = self.held.lock();
        let mut all: Vec<OpenSnapshot> = held
            .open
            .values()
            .map(|open| OpenSnapshot {
                version: open.moment.into(),
                age: now.saturating_sub(open.since),
                owner: open.owner.text(),
            })
            .collect();
        all.sort_by_key(|open| open.version);
        all
    }
}

impl Hold {
    /// Names who holds it.
    pub(crate) fn name(&self, name: String) {
        if let Some(open) = self.moments.held.lock().open.get_mut(&self.number) {
            open.owner = Owner::Named(name);
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.moments.held.lock().open.remove(&self.number);
    }
}
