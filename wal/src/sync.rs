//! Door: locks, and waiting for a place in the log.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use std::task::Waker;
use std::thread::Thread;

pub use parking_lot::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard};

use crate::lsn::Lsn;

/// Looks before whoever wants a lock that is held for less than a microsecond lets the system see to it.
const LOOKS: u32 = 64;

/// Locks what is held for less time than it takes to give way to another thread, let alone to be woken.
#[inline]
pub fn lock_soon<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    for _ in 0..LOOKS {
        if let Some(guard) = lock.try_lock() {
            return guard;
        }
        std::hint::spin_loop();
    }
    lock.lock()
}

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

/// In a structure laid out in order: what follows begins on cache lines of its own, two at a time as processors fetch them.
/// Threads that write it take nothing away from those who read what stands before.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct NewLine;

/// A value that is replaced as a whole and read all the time. Each reading thread has a slot with a copy behind an
/// [`Arc`] of its own, which few others share: threads that read at once do not write to one cache line.
///
/// While a replacement is under way some threads see the value before and others the new one: both must answer alike.
pub struct Copies<T> {
    slots: [Slot<T>; SLOTS],
    /// Whoever replaces it.
    change: Mutex<()>,
}

/// Slots: threads that seldom are more at once.
pub const SLOTS: usize = 8;

/// A slot on cache lines of its own.
#[repr(align(128))]
struct Slot<T>(RwLock<Arc<T>>);

/// The slot of this thread, below [`SLOTS`]: few others have the same.
#[inline]
#[must_use]
pub fn slot() -> usize {
    thread_local! {
        static SLOT: usize = {
            static NEXT: AtomicUsize = AtomicUsize::new(0);
            NEXT.fetch_add(1, Ordering::Relaxed) % SLOTS
        };
    }
    SLOT.with(|slot| *slot)
}

impl<T: Clone> Copies<T> {
    /// This value in every slot.
    #[must_use]
    pub fn new(value: &T) -> Self {
        Self {
            slots: std::array::from_fn(|_| Slot(RwLock::new(Arc::new(value.clone())))),
            change: Mutex::new(()),
        }
    }

    /// The value, for as long as it takes.
    #[inline]
    #[must_use]
    pub fn read(&self) -> Arc<T> {
        self.slots[slot()].0.read().clone()
    }

    /// Replaces the value by what `change` makes of it; every read that begins after this returns sees the new one.
    pub fn replace(&self, change: impl FnOnce(&T) -> T) {
        let _one = self.change.lock();
        let value = change(&self.read());
        for slot in &self.slots {
            *slot.0.write() = Arc::new(value.clone());
        }
    }
}

impl<T: Clone + fmt::Debug> fmt::Debug for Copies<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read().fmt(f)
    }
}

/// What many hold at once and give up again, each thread counting in its [slot].
pub struct Shares<T>([Share<T>; SLOTS]);

/// A share of what [`Shares`] hand out.
pub struct Share<T>(Arc<Counted<T>>);

/// What a slot counts, on cache lines of its own.
#[repr(align(128))]
struct Counted<T>(Arc<T>);

impl<T> Shares<T> {
    /// Of `all`.
    #[must_use]
    pub fn new(all: &Arc<T>) -> Self {
        Self(std::array::from_fn(|_| Share(Arc::new(Counted(all.clone())))))
    }

    /// One more.
    #[inline]
    #[must_use]
    pub fn share(&self) -> Share<T> {
        Share(self.0[slot()].0.clone())
    }
}

impl<T> fmt::Debug for Shares<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shares")
    }
}

impl<T> Deref for Share<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0.0
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
/// never missed: the watermark is raised before the list is drained. Nor is one where the list is not even locked because
/// nobody seems to wait: who waits says so before looking at the watermark, and whoever raised it looks behind that whether
/// anybody does. One of them sees the other.
#[derive(Debug, Default)]
pub struct Waiters {
    /// Somebody may wait. Cleared under the list's lock.
    any: AtomicBool,
    list: Mutex<BTreeMap<(Lsn, u64), Sleeper>>,
    next: AtomicU64,
}

/// One entry of [`Waiters`].
pub type WaitKey = (Lsn, u64);

impl Waiters {
    /// Adds a waiter for `place`, unless `done` says, under the list's lock, that there is nothing to wait for.
    pub fn add(&self, place: Lsn, sleeper: Sleeper, done: impl FnOnce() -> bool) -> Option<WaitKey> {
        let mut list = self.list.lock();
        self.any.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if done() {
            self.any.store(!list.is_empty(), Ordering::Relaxed);
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
        let mut list = self.list.lock();
        list.remove(&key);
        self.any.store(!list.is_empty(), Ordering::Relaxed);
    }

    /// Takes everybody off the list who waits for a place up to and including `place`. What they wait for was done before.
    #[must_use]
    pub fn reached(&self, place: Lsn) -> Vec<Sleeper> {
        fence(Ordering::SeqCst);
        if !self.any.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let mut list = self.list.lock();
        if list.first_key_value().is_none_or(|((first, _), _)| *first > place) {
            return Vec::new();
        }
        let rest = list.split_off(&(place, u64::MAX));
        let woken = std::mem::replace(&mut *list, rest);
        self.any.store(!list.is_empty(), Ordering::Relaxed);
        drop(list);
        woken.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_is_woken_though_the_list_is_not_looked_at_while_nobody_seems_to_wait() {
        const STEPS: u64 = 20_000;
        let (waiters, reached) = (Waiters::default(), [const { Watermark::new(Lsn::NONE) }; 2]);
        crate::schedule::share(2, |me| {
            for step in (1..=STEPS).map(Lsn::from_raw) {
                reached[me].raise(step);
                waiters
                    .reached(Lsn::from_raw(2 * step.raw() + me as u64))
                    .into_iter()
                    .for_each(Sleeper::wake);
                let other = &reached[1 - me];
                let place = Lsn::from_raw(2 * step.raw() + 1 - me as u64);
                let own = || Sleeper::Thread(std::thread::current());
                while other.get() < step {
                    if let Some(key) = waiters.add(place, own(), || other.get() >= step) {
                        std::thread::park();
                        waiters.remove(key);
                    }
                }
            }
        });
        assert!(!waiters.any.into_inner(), "nobody is left");
    }

    #[test]
    fn what_is_shared_goes_with_the_last_share() {
        let all = Arc::new(7);
        let shares = Shares::new(&all);
        let held = crate::schedule::share(2 * SLOTS, |_| shares.share());
        drop(shares);
        assert!(held.iter().all(|share| **share == 7 && Arc::strong_count(&all) > 1));
        drop(held);
        assert_eq!(Arc::strong_count(&all), 1);
    }

    #[test]
    fn a_copy_replaced_on_one_thread_is_seen_on_all() {
        let copies = Copies::new(&vec![1]);
        copies.replace(|before| [&before[..], &[2]].concat());
        assert_eq!(*copies.read(), [1, 2]);
        let seen = crate::schedule::share(2 * SLOTS, |_| copies.read().to_vec());
        assert!(seen.iter().all(|seen| seen == &[1, 2]));
    }
}
