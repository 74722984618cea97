//! Door: many threads that wait for one thing, woken by one call of the system, where waking each of them takes a call of its
//! own.
//!
//! *Never missed.* The word is changed after what is waited for was done. Whoever sleeps has marked the word as he saw it
//! before he looked whether it was done, and sleeps only while it is as he marked it.

use std::sync::atomic::{AtomicU32, Ordering};

/// Set in the word while somebody may sleep.
const SLEEPERS: u32 = 1;

/// One ring.
const RING: u32 = 2;

/// What threads sleep at until it rings.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Bell<B: Beds = Native> {
    /// How often it rang, and whether anybody sleeps.
    word: AtomicU32,
    beds: B,
}

/// Where threads sleep.
pub trait Beds: Default {
    /// Sleeps while `word` is `asleep`; may wake sooner.
    fn sleep_while(&self, word: &AtomicU32, asleep: u32);
    /// Wakes everybody; `word` was changed before.
    fn wake_all(&self, word: &AtomicU32);
}

impl<B: Beds> Bell<B> {
    /// Sleeps until `done`, which is asked at first and after each ring.
    pub fn sleep_until(&self, done: impl Fn() -> bool) {
        loop {
            let seen = self.word.load(Ordering::Acquire);
            if done() {
                return;
            }
            let asleep = seen | SLEEPERS;
            let mark = || self.word.compare_exchange(seen, asleep, Ordering::AcqRel, Ordering::Acquire);
            if seen == asleep || mark().is_ok() {
                self.beds.sleep_while(&self.word, asleep);
            }
        }
    }

    /// Wakes everybody. What they wait for was done before.
    pub fn ring(&self) {
        let rung = |word: u32| Some((word & !SLEEPERS).wrapping_add(RING));
        let before = self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, rung);
        if before.is_ok_and(|word| word & SLEEPERS != 0) {
            self.beds.wake_all(&self.word);
        }
    }
}

/// The kernel's own: `futex(2)`.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[derive(Debug, Default)]
pub struct Futex;

#[cfg(any(target_os = "linux", target_os = "android"))]
impl Beds for Futex {
    fn sleep_while(&self, word: &AtomicU32, asleep: u32) {
        use rustix::thread::futex::{Flags, wait};
        _ = wait(word, Flags::PRIVATE, asleep, None); // too late or interrupted: the caller looks again
    }

    fn wake_all(&self, word: &AtomicU32) {
        use rustix::thread::futex::{Flags, wake};
        _ = wake(word, Flags::PRIVATE, i32::MAX.cast_unsigned());
    }
}

/// The beds of this system.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub type Native = Futex;

/// A condition variable of the standard library: that of `parking_lot` wakes one thread and leaves the others to the lock.
#[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
#[derive(Debug, Default)]
pub struct Dormitory {
    lock: std::sync::Mutex<()>,
    rung: std::sync::Condvar,
}

#[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
impl Beds for Dormitory {
    fn sleep_while(&self, word: &AtomicU32, asleep: u32) {
        let mut held = self.lock.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        while word.load(Ordering::Acquire) == asleep {
            held = self.rung.wait(held).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }

    fn wake_all(&self, _: &AtomicU32) {
        drop(self.lock.lock()); // who looked at the word before it was changed sleeps by now
        self.rung.notify_all();
    }
}

/// The beds of this system.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub type Native = Dormitory;

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;
    use crate::schedule::share;

    /// Steps of many threads: each waits for all before it goes on, so that one ring missed is a test that hangs.
    fn step_together<B: Beds + Sync>() {
        const THREADS: u64 = 8;
        let (bell, arrived) = (Bell::<B>::default(), AtomicU64::new(0));
        share(THREADS as usize, |_| {
            for step in 1..=2_000 {
                if arrived.fetch_add(1, Ordering::AcqRel) + 1 == step * THREADS {
                    bell.ring();
                } else {
                    bell.sleep_until(|| arrived.load(Ordering::Acquire) >= step * THREADS);
                }
            }
        });
        assert_eq!(arrived.into_inner(), 2_000 * THREADS);
    }

    #[test]
    fn no_ring_is_missed() {
        step_together::<Native>();
        step_together::<Dormitory>();
    }

    #[test]
    fn what_is_done_already_is_not_waited_for() {
        Bell::<Native>::default().sleep_until(|| true);
        Bell::<Dormitory>::default().sleep_until(|| true);
    }
}
