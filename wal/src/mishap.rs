//! Corridor: a panic in the middle of writing. It is a mistake, of ours or of the file system that was given; what was begun is
//! ended by nobody, so the log halts: those who wait hear of it, where they would wait for ever.

use std::thread::panicking;

use crate::error::{Error, ErrorKind};
use crate::log::Log;

/// Halts the log when it is dropped by a panic that began after it was made.
pub(crate) struct Mishap<'l> {
    log: &'l Log,
    /// The thread panicked before: what it writes while it cleans up is written like anything else.
    before: bool,
}

impl Log {
    /// Watches over what this thread writes, until it is dropped. To be made before any lock is taken.
    pub(crate) fn watch(&self) -> Mishap<'_> {
        Mishap { log: self, before: panicking() }
    }
}

impl Drop for Mishap<'_> {
    fn drop(&mut self) {
        if panicking() && !self.before {
            self.log.halt(&Error::new(ErrorKind::Halted, "a thread panicked in the middle of writing"));
        }
    }
}
