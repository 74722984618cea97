//! Pure: what a recovery lacks that found no space or may write nothing, and what the log then answers to every write.
//!
//! From the first step that finds none, or from the beginning where nothing can be written, recovery changes nothing more. It goes on reading and judging, and the log is
//! served to read: all of it was synced, read anew from the medium and verified, so the next open judges the same.

use std::path::Path;

use crate::error::{Error, ErrorKind, Result};
use crate::limits::BLOCK_BYTES;

/// Why recovery changes nothing more.
#[derive(Clone, Debug)]
pub(crate) struct Shortage(Lacks, Error);

/// What is lacking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lacks {
    Space,
    Leave,
}

impl Shortage {
    /// A step that failed for want of space is no error: it ends all changing. Any other failure stays one.
    pub(crate) fn of(step: Result<()>) -> Result<Option<Self>> {
        match step {
            Ok(()) => Ok(None),
            Err(e) if e.lacks_space() => Ok(Some(Self(Lacks::Space, e))),
            Err(e) => Err(e),
        }
    }

    /// Nothing in the directory can be written.
    pub(crate) fn of_leave(e: Error) -> Self {
        Self(Lacks::Leave, e)
    }

    /// Whether more space would end it.
    pub(crate) fn is_of_space(&self) -> bool {
        self.0 == Lacks::Space
    }

    /// What every write is answered, while `needed` bytes of files are to be written and `free` are there.
    pub(crate) fn refusal(&self, root: &Path, needed: u64, free: u64) -> Error {
        if !self.is_of_space() {
            let say = format!(
                "{} is open to read only: it cannot be written ({}). To write, mount it to be written, or give this user leave; or copy \
                 the directory, and open the copy",
                root.display(),
                self.1.message()
            );
            return Error::new(ErrorKind::ReadOnly, say);
        }
        let say = format!(
            "{} is open to read only: recovery needs {needed} bytes of disk for files of its own, and {free} are free ({}). \
             Everything that was acknowledged is readable, nothing was changed; free some space, then close and open again",
            root.display(),
            self.1.message()
        );
        Error::new(ErrorKind::ReadOnly, say)
    }

    /// The error of a step that nothing can be served without.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self(Lacks::Leave, e) => e,
            Self(Lacks::Space, e) => {
                Error::new(ErrorKind::Full, format!("{}: free some space, then open again", e.message()))
            }
        }
    }
}

/// Space that a file of `bytes` takes.
pub(crate) fn space_of(bytes: u64) -> u64 {
    bytes.next_multiple_of(BLOCK_BYTES)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn only_a_full_disk_is_a_shortage() {
        let failed =
            |kind| Err(Error::io(ErrorKind::Io, "writing", Path::new("/s/f"), io::Error::from(kind)));
        assert!(matches!(Shortage::of(Ok(())), Ok(None)));
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            let found = Shortage::of(failed(kind)).unwrap().unwrap();
            let refusal = found.refusal(Path::new("/s"), 8192, 100);
            assert_eq!(refusal.kind(), ErrorKind::ReadOnly);
            for word in ["/s ", "8192 bytes", "100 are free", "open again"] {
                assert!(refusal.message().contains(word), "{refusal}");
            }
            assert_eq!(found.into_error().kind(), ErrorKind::Full);
        }
        assert_eq!(Shortage::of(failed(io::ErrorKind::PermissionDenied)).unwrap_err().kind(), ErrorKind::Io);
    }

    #[test]
    fn what_lacks_leave_asks_for_no_space() {
        let e =
            Error::io(ErrorKind::ReadOnly, "writing", Path::new("/s/LOCK"), io::Error::other("read-only"));
        let found = Shortage::of_leave(e);
        let refusal = found.refusal(Path::new("/s"), 8192, 100);
        assert_eq!(
            (refusal.kind(), found.clone().into_error().kind()),
            (ErrorKind::ReadOnly, ErrorKind::ReadOnly)
        );
        assert!(refusal.message().contains("/s/LOCK") && refusal.message().contains("copy"), "{refusal}");
        assert!(!refusal.message().contains("8192"), "{refusal}");
    }

    #[test]
    fn space_is_counted_in_blocks() {
        assert_eq!([0, 1, 4096, 4097].map(space_of), [0, 4096, 4096, 8192]);
    }
}
