//! Pure: remembers the first failed write or sync and refuses the rest, so that no caller needs to remember.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::{Advice, Map, VfsFile};

/// What all files that one log writes share: open until a write or a sync fails, shut for ever after.
///
/// A failed sync may have lost bytes that a later sync would report as fine; a failed write leaves a hole in what is
/// ordered. So after the first failure nothing is written any more, and every caller gets that same error. Reads are
/// not its business. Calls that may fail without harm (preparing a file that nothing stands in yet) go around it.
///
/// Clones share one state.
#[derive(Clone, Default)]
pub struct Latch(Arc<OnceLock<Arc<io::Error>>>);

impl Latch {
    /// An open latch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs a write or a sync, unless one failed before; a failure shuts the latch.
    ///
    /// # Errors
    ///
    /// The first failure of all, whoever had it; also where it happened elsewhere while this call was under way,
    /// since a system reports lost bytes to one caller only.
    pub fn guard<T>(&self, action: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.check()?;
        let outcome = action().map_err(|e| self.shut(e));
        self.check()?;
        outcome
    }

    /// The first failure, if there was one.
    #[must_use]
    pub fn failure(&self) -> Option<Arc<io::Error>> {
        self.0.get().cloned()
    }

    /// Answers the first failure, if there was one.
    ///
    /// # Errors
    ///
    /// A copy of the first failure.
    pub fn check(&self) -> io::Result<()> {
        self.0.get().map_or(Ok(()), |first| Err(copy_of(first)))
    }

    /// Shuts the latch for a reason of the caller's, and answers the first failure: this one, or one before it.
    pub fn shut(&self, error: io::Error) -> io::Error {
        copy_of(self.0.get_or_init(|| Arc::new(error)))
    }

    /// The same file behind this latch: writes, syncs and allocations are refused after the first failed write or
    /// sync. A failed allocation does not shut the latch.
    #[must_use]
    pub fn file(&self, file: Arc<dyn VfsFile>) -> Arc<dyn VfsFile> {
        Arc::new(Latched { latch: self.clone(), file })
    }
}

impl fmt::Debug for Latch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.get() {
            None => f.write_str("Latch(open)"),
            Some(first) => write!(f, "Latch(shut: {first})"),
        }
    }
}

#[derive(Debug)]
struct Latched {
    latch: Latch,
    file: Arc<dyn VfsFile>,
}

impl VfsFile for Latched {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }

    fn write_at(&self, bufs: &mut [io::IoSlice<'_>], offset: u64) -> io::Result<()> {
        self.latch.guard(|| self.file.write_at(bufs, offset))
    }

    fn sync(&self) -> io::Result<()> {
        self.latch.guard(|| self.file.sync())
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.latch.check()?;
        self.file.allocate(bytes)
    }

    fn written(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        self.file.written(offset)
    }

    fn advise(&self, offset: u64, bytes: u64, advice: Advice) -> io::Result<()> {
        self.file.advise(offset, bytes, advice)
    }

    fn map(&self, bytes: u64) -> io::Result<Option<Map>> {
        self.file.map(bytes)
    }
}

/// The same error again: the system's number where it has one, else kind and sentence.
fn copy_of(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

#[cfg(test)]
mod tests;
