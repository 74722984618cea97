//! Door: what the store's own thread has to do, and the thread itself; see `upkeep`.

use std::sync::Weak;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;

use crate::bell::Bell;

/// Something that other rooms have to do from time to time.
pub(crate) trait Duty: Send + Sync {
    /// Does what is due, and says after what time something will be next.
    fn tend(&self) -> Option<Duration>;

    /// The store is about to be closed: does what must be done before.
    fn end(&self) {}
}

/// The thread, and what it does beside leases.
#[derive(Default)]
pub(crate) struct Upkeep {
    pub(crate) thread: Mutex<Option<JoinHandle<()>>>,
    pub(crate) duties: Mutex<Vec<Weak<dyn Duty>>>,
    /// No thread is begun any more.
    pub(crate) closed: Mutex<bool>,
}

impl Upkeep {
    /// Ends the thread and waits for its end, unless this is that thread.
    pub(crate) fn stop(&self, bell: &Bell) {
        bell.stop();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != std::thread::current().id()) {
            _ = thread.join(); // it catches what panics in it
        }
    }
}
