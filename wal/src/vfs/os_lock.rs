//! Door: locks of the operating system: `flock`, on a directory itself where that can be.

use std::fs::File;
use std::io;

use rustix::fs::FlockOperation;
use rustix::io::{Errno, retry_on_intr};

use super::DirLock;
use crate::raw;

/// A descriptor whose `flock` nobody else can have until it is dropped.
///
/// A child made by a fork has the same one: the lock is let go where it was taken, for closing alone leaves it to whatever
/// child has not come to its exec; and in a child it is closed alone, for it is still the parent's.
#[derive(Debug)]
pub(super) struct OsLock {
    held: File,
    process: u32,
}

impl OsLock {
    /// The lock of a directory that is open, or of a file in it where the system locks no directories; `None` where somebody
    /// has it.
    pub(super) fn exclusive(
        dir: File,
        file: impl FnOnce() -> io::Result<File>,
    ) -> io::Result<Option<Box<dyn DirLock>>> {
        match try_lock(&dir, FlockOperation::NonBlockingLockExclusive) {
            Ok(locked) => Ok(locked.then(|| Self::of(dir))),
            Err(e) if locks_no_directories(e) => {
                let file = file()?;
                let locked = try_lock(&file, FlockOperation::NonBlockingLockExclusive)?;
                Ok(locked.then(|| Self::of(file)))
            }
            Err(e) => Err(e.into()),
        }
    }

    /// A lock of a directory that is open, which others may have beside it; `None` where somebody has an exclusive one.
    pub(super) fn shared(dir: File) -> io::Result<Option<Box<dyn DirLock>>> {
        let locked = try_lock(&dir, FlockOperation::NonBlockingLockShared)?;
        Ok(locked.then(|| Self::of(dir)))
    }

    fn of(held: File) -> Box<dyn DirLock> {
        Box::new(Self { held, process: raw::process_id() })
    }
}

impl DirLock for OsLock {}

impl Drop for OsLock {
    fn drop(&mut self) {
        if raw::process_id() == self.process {
            _ = retry_on_intr(|| rustix::fs::flock(&self.held, FlockOperation::Unlock)); // closing it does the rest
        }
    }
}

/// Takes the lock of an open file; false where somebody has it.
fn try_lock(file: &File, how: FlockOperation) -> rustix::io::Result<bool> {
    match retry_on_intr(|| rustix::fs::flock(file, how)) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Whether a system says so of every lock of a directory, or of one that is open to read only (as NFS does). After anything
/// else, a want of memory say, somebody may have the directory's own lock, beside which a file's is worth nothing.
fn locks_no_directories(e: Errno) -> bool {
    [Errno::BADF, Errno::INVAL, Errno::ISDIR, Errno::NOSYS, Errno::OPNOTSUPP].contains(&e)
}

#[cfg(test)]
mod tests {
    use super::super::os::{OsVfs, open_dir};
    use super::*;
    use crate::vfs::Vfs as _;

    #[test]
    fn lock_stays_with_its_process_when_a_child_drops_it() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = temporary.path();
        let dir_itself = open_dir(dir).unwrap();
        let inherited = OsLock { held: dir_itself.try_clone().unwrap(), process: raw::process_id() + 1 };
        let held = OsLock { held: dir_itself, process: raw::process_id() };
        assert!(try_lock(&held.held, FlockOperation::NonBlockingLockExclusive).unwrap());
        drop(inherited);
        assert!(OsVfs.lock(dir).unwrap().is_none());
        drop(held);
        assert!(OsVfs.lock(dir).unwrap().is_some());
    }

    #[test]
    fn only_a_system_that_locks_no_directories_has_a_file_locked_instead() {
        for never in [Errno::BADF, Errno::INVAL, Errno::ISDIR, Errno::NOSYS, Errno::OPNOTSUPP] {
            assert!(locks_no_directories(never), "{never:?}");
        }
        for now in [Errno::NOLCK, Errno::NOMEM, Errno::IO, Errno::WOULDBLOCK, Errno::INTR] {
            assert!(!locks_no_directories(now), "{now:?}: somebody else may have locked the directory");
        }
    }
}
