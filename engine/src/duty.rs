//! Door: what the store's own threads have to do, and the threads themselves; see `upkeep`.

use std::sync::Weak;
use std::thread::{JoinHandle, ThreadId};
use std::time::Duration;

use savehold_wal::sync::{Condvar, Mutex};

/// Something that other rooms have to do from time to time.
pub(crate) trait Duty: Send + Sync {
    /// Does what is due, and says after what time something will be next.
    fn tend(&self) -> Option<Duration>;

    /// The store is about to be closed: does what must be done before.
    fn end(&self) {}
}

/// The threads, and what they do beside leases and tables.
#[derive(Default)]
pub(crate) struct Upkeep {
    pub(crate) threads: Mutex<Vec<JoinHandle<()>>>,
    pub(crate) duties: Mutex<Vec<Weak<dyn Duty>>>,
    /// No thread is begun any more.
    pub(crate) closed: Mutex<bool>,
    end: Mutex<End>,
    ended: Condvar,
}

/// What whoever closes a store does that another closes already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Late {
    /// He waits for the other.
    Waits,
    /// The other may be waiting for him.
    GoesOn,
}

/// How far the store is closed.
#[derive(Default)]
struct End {
    /// Who closes it.
    by: Option<ThreadId>,
    done: bool,
    /// Threads of the store's own, for whose end it waits.
    own: Vec<ThreadId>,
}

impl Upkeep {
    /// A thread of the store's own was begun.
    pub(crate) fn add(&self, threads: &mut Vec<JoinHandle<()>>, thread: JoinHandle<()>) {
        self.end.lock().own.push(thread.thread().id());
        threads.push(thread);
    }

    /// Runs `end`, whoever comes first. Who comes later waits until it is done, unless `end` might be waiting for him: it
    /// is run by this very thread or ends it, or `late` says so.
    pub(crate) fn end_once(&self, late: Late, end: impl FnOnce()) {
        let here = std::thread::current().id();
        let mut state = self.end.lock();
        if let Some(by) = state.by {
            let awaited = late == Late::GoesOn || by == here || state.own.contains(&here);
            while !state.done && !awaited {
                self.ended.wait(&mut state);
            }
            return;
        }
        state.by = Some(here);
        drop(state);
        let _done = Done(self);
        end();
    }

    /// Waits for the end of the threads, whose bells were told to stop; not for that of the thread that asks.
    pub(crate) fn join(&self) {
        let threads = std::mem::take(&mut *self.threads.lock());
        let others = threads.into_iter().filter(|thread| thread.thread().id() != std::thread::current().id());
        for thread in others {
            _ = thread.join(); // it catches what panics in it
        }
    }
}

/// Says that the store is closed, by unwinding too.
struct Done<'a>(&'a Upkeep);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.end.lock().done = true;
        self.0.ended.notify_all();
    }
}
