//! Door: the bar. A transaction that scanned ranges and met one conflict after another holds up the writers of what it
//! reads, until it is through.
//!
//! Invariants:
//! - One has the bar at a time, first come first served.
//! - Who has it waits for nobody: turns on keys are taken before, and what more it reads is barred without waiting.
//! - A writer waits for at most one holder, then it goes on, whoever has the bar next: neither side starves the other.
//! - The bar only makes conflicts rare, as turns do: validation never trusts it. Who was past it when it was raised may
//!   still cause one more.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ThreadId;

use savehold_wal::sync::{Condvar, Mutex};

use crate::ids::CollectionId;

#[derive(Default)]
pub(crate) struct Bar {
    state: Mutex<State>,
    lowered: Condvar,
    /// Whether anybody has it: while nobody has, no writer need look.
    raised: AtomicBool,
}

#[derive(Default)]
struct State {
    /// Holders so far, those that wait too.
    asked: u64,
    /// Holders that are through.
    served: u64,
    holder: Option<ThreadId>,
    barred: BTreeSet<CollectionId>,
    /// Writers that wait.
    waiting: usize,
}

impl Bar {
    /// Takes the bar, in turn, and holds up the writers of these collections until the guard goes.
    pub(crate) fn raise(&self, collections: impl IntoIterator<Item = CollectionId>) -> Raised<'_> {
        let mut state = self.state.lock();
        let turn = state.asked;
        state.asked += 1;
        while state.served < turn {
            self.lowered.wait(&mut state);
        }
        state.holder = Some(std::thread::current().id());
        state.barred = collections.into_iter().collect();
        self.raised.store(true, Ordering::Release);
        Raised(self)
    }

    /// Waits while another thread has the bar and holds up one of these collections.
    #[inline]
    pub(crate) fn pass(&self, collections: impl Iterator<Item = CollectionId>) {
        if self.raised.load(Ordering::Acquire) {
            self.wait(collections);
        }
    }

    #[cold]
    fn wait(&self, mut collections: impl Iterator<Item = CollectionId>) {
        let mut state = self.state.lock();
        let own = state.holder == Some(std::thread::current().id());
        if own || !collections.any(|collection| state.barred.contains(&collection)) {
            return;
        }
        let served = state.served;
        state.waiting += 1;
        while state.served == served {
            self.lowered.wait(&mut state);
        }
        state.waiting -= 1;
    }

    /// Writers that wait.
    #[cfg(test)]
    fn waiting(&self) -> usize {
        self.state.lock().waiting
    }
}

/// The bar, held by the thread that raised it.
pub(crate) struct Raised<'a>(&'a Bar);

impl Raised<'_> {
    /// Holds up the writers of these collections too.
    pub(crate) fn extend(&self, collections: impl IntoIterator<Item = CollectionId>) {
        self.0.state.lock().barred.extend(collections);
    }
}

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.served += 1;
        state.holder = None;
        state.barred.clear();
        self.0.raised.store(false, Ordering::Release);
        drop(state);
        self.0.lowered.notify_all();
    }
}

#[cfg(test)]
mod tests;
