//! Door: turns. Who met a conflict on a key lines up there, first come first served.
//!
//! Whoever has the turn of one key runs the work of those behind it too, so that a hot key costs no wake-up for each
//! update. Validation never trusts a turn: it only makes conflicts rare.
//!
//! Invariants:
//! - The first of a queue has the turn; it leaves the queue when its turn ends, by unwinding too, and wakes the next.
//! - Turns on several keys are taken in key order, so that no two wait for each other.
//! - Work that another ran is done when its owner wakes; it is run once.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::thread::Thread;

use savehold_wal::Placed;
use savehold_wal::raw::{Loan, lend};
use savehold_wal::sync::Mutex;

use crate::draft::FullKey;

/// Works of others that one holder runs before it gives the turn on.
const SERVED_MAX: usize = 256;

const WAITING: u8 = 0;
const HAS_TURN: u8 = 1;
const DONE: u8 = 2;

#[derive(Default)]
pub(crate) struct Turns {
    queues: Mutex<HashMap<FullKey, VecDeque<Arc<Waiter>>>>,
    /// Keys with a queue: while it is zero nobody need look.
    busy: AtomicUsize,
}

struct Waiter {
    state: AtomicU8,
    thread: Thread,
    /// Work that the holder may run; none where a transaction wants several keys.
    loan: Option<Loan<Option<Placed>>>,
}

impl Turns {
    /// True where somebody has a turn on any key.
    #[inline]
    pub(crate) fn any(&self) -> bool {
        self.busy.load(Ordering::Acquire) > 0
    }

    /// True where somebody has a turn on `key`.
    pub(crate) fn is_queued(&self, key: &FullKey) -> bool {
        self.any() && self.queues.lock().contains_key(key)
    }

    /// Runs `work` in turn on `key`, on this thread or on the holder's; it must not unwind, and says what it placed in the log
    /// where its owner waits for the answer to that. `wake` wakes the owner of work that was run here once that is there; any
    /// other is woken at once.
    pub(crate) fn run(
        &self,
        key: &FullKey,
        work: &mut (dyn FnMut() -> Option<Placed> + Send),
        wake: impl Fn(Placed, Thread),
    ) {
        lend(work, |loan| {
            let waiter = self.enter(key, Some(loan.clone()));
            if waiter.wait() == DONE {
                return;
            }
            let turn = Turn { turns: self, key, waiter: &waiter };
            loan.run();
            for _ in 0..SERVED_MAX {
                let Some(other) = turn.second() else { return };
                let placed = other.loan.as_ref().and_then(|loan| loan.run()).flatten();
                other.state.store(DONE, Ordering::Release);
                match placed {
                    Some(placed) => wake(placed, other.thread.clone()),
                    None => other.thread.unpark(),
                }
            }
        });
    }

    /// Takes a turn on each of `keys`, which stand in order, each once. Held until the guard goes.
    pub(crate) fn take<'a>(&'a self, keys: &'a [FullKey]) -> Held<'a> {
        let mut held = Held { turns: self, keys: Vec::with_capacity(keys.len()) };
        for key in keys {
            let waiter = self.enter(key, None);
            held.keys.push((key, waiter.clone()));
            waiter.wait();
        }
        held
    }

    fn enter(&self, key: &FullKey, loan: Option<Loan<Option<Placed>>>) -> Arc<Waiter> {
        let mut queues = self.queues.lock();
        let queue = queues.entry(key.clone()).or_default();
        let state = if queue.is_empty() { HAS_TURN } else { WAITING };
        let waiter = Arc::new(Waiter { state: AtomicU8::new(state), thread: std::thread::current(), loan });
        queue.push_back(waiter.clone());
        if state == HAS_TURN {
            self.busy.fetch_add(1, Ordering::AcqRel);
        }
        waiter
    }

    /// Ends a turn: the next in the queue has it.
    fn leave(&self, key: &FullKey, waiter: &Arc<Waiter>) {
        let mut queues = self.queues.lock();
        let Some(queue) = queues.get_mut(key) else { return };
        queue.retain(|other| !Arc::ptr_eq(other, waiter));
        let next = queue.front().cloned();
        if next.is_none() {
            queues.remove(key);
            self.busy.fetch_sub(1, Ordering::AcqRel);
        }
        drop(queues);
        if let Some(next) = next
            && next.state.compare_exchange(WAITING, HAS_TURN, Ordering::AcqRel, Ordering::Acquire).is_ok()
        {
            next.thread.unpark();
        }
    }
}

impl Waiter {
    /// Parks until it has the turn, or until its work was done by another.
    fn wait(&self) -> u8 {
        loop {
            match self.state.load(Ordering::Acquire) {
                WAITING => std::thread::park(),
                state => return state,
            }
        }
    }
}

/// A turn on one key.
struct Turn<'a> {
    turns: &'a Turns,
    key: &'a FullKey,
    waiter: &'a Arc<Waiter>,
}

impl Turn<'_> {
    /// Takes the second of the queue out of it, if its work may be run here.
    fn second(&self) -> Option<Arc<Waiter>> {
        let mut queues = self.turns.queues.lock();
        let queue = queues.get_mut(self.key)?;
        queue.get(1).filter(|other| other.loan.is_some())?;
        queue.remove(1)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turns.leave(self.key, self.waiter);
    }
}

/// Turns on several keys.
pub(crate) struct Held<'a> {
    turns: &'a Turns,
    keys: Vec<(&'a FullKey, Arc<Waiter>)>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        for (key, waiter) in self.keys.drain(..).rev() {
            self.turns.leave(key, &waiter);
        }
    }
}
