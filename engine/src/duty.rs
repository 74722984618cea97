//! Door: what the store's own threads have to do, and the threads themselves; see `upkeep`.

use std::sync::Weak;
use std::thread::JoinHandle;
use std::time::Duration;

use savehold_wal::sync::Mutex;

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
}

impl Upkeep {
    /// Waits for the end of the threads, whose bells were told to stop; not for that of the thread that asks.
    pub(crate) fn join(&self) {
        let threads = std::mem::take(&mut *self.threads.lock());
        let others = threads.into_iter().filter(|thread| thread.thread().id() != std::thread::current().id());
        for thread in others {
            _ = thread.join(); // it catches what panics in it
        }
    }
}
