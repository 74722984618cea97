//! Door: locks, and waiting for a place in the log.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;
use std::thread::Thread;

pub use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};

use crate::lsn::Lsn;

/// A place that only moves forward, readable without a lock.
#[derive(Debug)]
pub struct Watermark(AtomicU64);

impl Watermark {
    /// Stands at `lsn`.
    #[must_use]
    pub const fn new(lsn: Lsn) -> Self {
        Self(AtomicU64::new(lsn.raw()))
    }

    /// Where it stands.
    #[inline]
    #[must_use]
    pub fn get(&self) -> Lsn {
        Lsn::from_raw(self.0.load(Ordering::Acquire))
    }

    /// Moves it to `lsn`, unless it is already past it.
    pub fn raise(&self, lsn: Lsn) {
        self.0.fetch_max(lsn.raw(), Ordering::AcqRel);
    }
}

/// Somebody to wake.
#[derive(Debug)]
pub enum Sleeper {
    /// A parked thread.
    Thread(Thread),
    /// A task of whatever executor.
    Task(Waker),
}

impl Sleeper {
    /// Whether it is the same thread, or the same task.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Task(one), Self::Task(other)) => one.will_wake(other),
            (Self::Thread(one), Self::Thread(other)) => one.id() == other.id(),
            _ => false,
        }
    }

    /// Wakes it.
    pub fn wake(self) {
        match self {
            Self::Thread(thread) => thread.unpark(),
            Self::Task(waker) => waker.wake(),
        }
    }
}

/// Who waits for which place. A waiter that looks at the watermark under this list's lock, and then adds itself, is
/// never missed: the watermark is raised before the list is drained.
#[derive(Debug, Default)]
pub struct Waiters {
    list: Mutex<BTreeMap<(Lsn, u64), Sleeper>>,
    next: AtomicU64,
}

/// One entry of [`Waiters`].
pub type WaitKey = (Lsn, u64);

impl Waiters {
    /// Adds a waiter for `place`, unless `done` says, under the list's lock, that there is nothing to wait for.
    pub fn add(&self, place: Lsn, sleeper: Sleeper, done: impl FnOnce() -> bool) -> Option<WaitKey> {
        let mut list = self.list.lock();
        if done() {
            return None;
        }
        let key = (place, self.next.fetch_add(1, Ordering::Relaxed));
        list.insert(key, sleeper);
        Some(key)
    }

    /// Puts another sleeper in place of a waiter's, unless it was woken meanwhile.
    pub fn replace(&self, key: WaitKey, sleeper: Sleeper) -> bool {
        match self.list.lock().get_mut(&key) {
            Some(entry) => {
                *entry = sleeper;
                true
            }
            None => false,
        }
    }

    /// Takes a waiter off the list that lost interest.
    pub fn remove(&self, key: WaitKey) {
        self.list.lock().remove(&key);
    }

    /// Takes everybody off the list who waits for a place up to and including `place`.
    #[must_use]
    pub fn reached(&self, place: Lsn) -> Vec<Sleeper> {
        let mut list = self.list.lock();
        if list.first_key_value().is_none_or(|((first, _), _)| *first > place) {
            return Vec::new();
        }
        let rest = list.split_off(&(place, u64::MAX));
        let woken = std::mem::replace(&mut *list, rest);
        drop(list);
        woken.into_values().collect()
    }
}
