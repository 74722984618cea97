//! Door: a file that is open a second time, so that two can sync it at once.
//!
//! A system that could not write bytes back tells that to the next sync of each opening of the file (Linux since 4.13:
//! `errseq_t`, Documentation/core-api/errseq.rst). Two syncs of one opening at once would leave it to chance which of them hears it, and the other would call
//! durable what is lost.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::sync::Mutex;
use crate::vfs::{OpenMode, Vfs, VfsFile};

/// The second opening, while it is needed.
#[derive(Debug, Default)]
pub struct Beside(Mutex<Option<Arc<dyn VfsFile>>>);

impl Beside {
    /// Opens it. To be done before anything is written that is to be synced.
    ///
    /// # Errors
    ///
    /// Those of opening.
    pub fn open(&self, vfs: &dyn Vfs, path: &Path) -> io::Result<()> {
        let opened = vfs.open(path, OpenMode::Write)?;
        *self.0.lock() = Some(opened);
        Ok(())
    }

    /// Closes it: all that was written is durable.
    pub fn close(&self) {
        let opened = self.0.lock().take();
        drop(opened);
    }

    /// The second opening, if there is one.
    pub fn get(&self) -> Option<Arc<dyn VfsFile>> {
        self.0.lock().clone()
    }
}
