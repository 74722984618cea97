//! Corridor: giving space back now, and not when it falls due.

use std::ops::ControlFlow;

use crate::compaction::Compacted;
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::Result;
use crate::options::Progress;
use crate::store::Store;

impl Store {
    /// Drops what history no longer keeps, now, and gives the disk space of everything that is dead back. Commits and readers
    /// go on meanwhile. The store does the same by itself in the background, for what is worth it.
    ///
    /// `progress` is told how far each round is, every MiB or so; `Break` stops it: what was packed so far stays packed.
    ///
    /// ```
    /// # fn main() -> savehold::Result<()> {
    /// # let store = savehold::Store::in_memory()?;
    /// use std::ops::ControlFlow::Continue;
    ///
    /// let done = store.compact(|_| Continue(()))?;
    /// println!("{} bytes of log became {}", done.bytes_before, done.bytes_after);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Full`]: even what is packed first finds no space. [`ErrorKind::Corrupt`]: a file is damaged, and stays as
    /// it is. [`ErrorKind::Io`], [`ErrorKind::Halted`]. Nothing is lost by any of them.
    pub fn compact(&self, progress: impl FnMut(Progress) -> ControlFlow<()>) -> Result<Compacted> {
        self.core.compact(progress)
    }
}
