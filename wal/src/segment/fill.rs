//! Door: zeros that are written ahead, in a new segment, in one that was only allocated, and where records are going to be stored; and whether a file has nothing else.

use std::io::{self, IoSlice};
use std::ops::Range;

use crate::vfs::VfsFile;

/// How the space of a new segment is got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Zeros are written: later small synced writes overwrite blocks, and cost no journal commit.
    Zeros(Steps),
    /// Space is allocated: cheaper where large groups would pay the bandwidth twice.
    Allocate,
}

/// After how many bytes the zeros of a new segment are synced: a commit's sync waits for those that the disk was given before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steps {
    /// 64 KiB, where commits share syncs: twice what such a sync brings at the most, so that zeros are written faster than they
    /// are used on any disk.
    Short,
    /// 1 MiB, where one commits alone, who is better off with few long waits, one commit's each, than with many short ones.
    Long,
}

impl Steps {
    /// For commits of which the last sync had so many.
    pub(crate) fn beside(company: u32) -> Self {
        if company < 2 { Self::Long } else { Self::Short }
    }

    const fn bytes(self) -> u64 {
        match self {
            Self::Short => ZEROS_WRITE_BYTES as u64,
            Self::Long => 1 << 20,
        }
    }
}

/// Zeros of one write. What one write puts in the page cache, Linux keeps there as one piece (a large folio), and each later
/// write and sync of a block in it goes through all the piece's blocks. Pieces as large as large groups cost those nothing.
const ZEROS_WRITE_BYTES: usize = 64 << 10;

static ZEROS: [u8; ZEROS_WRITE_BYTES] = [0; ZEROS_WRITE_BYTES];

impl Fill {
    /// Gets the space of a new file, from `start` to `end`; zeros are durable step by step, and `between` is called behind each: on a
    /// slow disk they take their time.
    ///
    /// # Errors
    ///
    /// Those of the calls.
    pub(super) fn fill(
        self,
        file: &dyn VfsFile,
        start: u64,
        end: u64,
        between: &mut dyn FnMut(),
    ) -> io::Result<()> {
        let Self::Zeros(steps) = self else { return file.allocate(end) };
        let mut at = start;
        while at < end {
            let step = (at + steps.bytes()).min(end);
            write_zeros(file, at..step)?;
            file.sync()?;
            between();
            at = step;
        }
        Ok(())
    }
}

/// Writes zeros, without a sync.
///
/// # Errors
///
/// Those of the writes; what was written before stays.
pub(crate) fn write_zeros(file: &dyn VfsFile, range: Range<u64>) -> io::Result<()> {
    let mut at = range.start;
    while at < range.end {
        let bytes = usize::try_from(range.end - at).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
        file.write_at(&mut [IoSlice::new(&ZEROS[..bytes])], at)?;
        at += bytes as u64;
    }
    Ok(())
}

/// Whether nothing but zeros stands in a part of a file. Every byte of it that was ever written is read, in pieces that stay in a
/// processor's cache while they are looked at: prepared segments are long, and they are met at every opening after a kill. What
/// was only got is zeros, which reading would make memory of.
///
/// # Errors
///
/// Those of the reads.
pub(crate) fn is_zeros(file: &dyn VfsFile, range: Range<u64>) -> io::Result<bool> {
    const READ_BYTES: usize = 64 << 10;
    let mut buf = vec![0; READ_BYTES];
    let mut at = range.start;
    while at < range.end
        && let Some(run) = file.written(at)?.filter(|run| run.end > at)
    {
        let end = run.end.min(range.end);
        at = at.max(run.start);
        while at < end {
            let wanted = usize::try_from(end - at).map_or(READ_BYTES, |left| left.min(READ_BYTES));
            let read = file.read_at(&mut buf[..wanted], at)?;
            // there is no way out of the inner loop: it is many bytes at a time then
            if buf[..read].chunks(4096).any(|few| few.iter().fold(0, |all, byte| all | byte) != 0) {
                return Ok(false);
            }
            if read == 0 {
                return Ok(true);
            }
            at += read as u64;
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::sim::SimDisk;
    use crate::vfs::{OpenMode, Vfs as _};

    const BYTES: u64 = 2 << 20;

    fn file(disk: &SimDisk) -> Arc<dyn VfsFile> {
        disk.open(Path::new("/file"), OpenMode::CreateNew).unwrap()
    }

    #[test]
    fn who_commits_alone_waits_seldom_and_many_wait_shortly() {
        for (company, syncs) in [(0, 2), (1, 2), (2, 32), (64, 32)] {
            let disk = SimDisk::memory();
            let (file, before) = (file(&disk), disk.counts());
            let mut between = 0;
            Fill::Zeros(Steps::beside(company)).fill(&*file, 0, BYTES, &mut || between += 1).unwrap();
            let counts = disk.counts();
            assert_eq!(between, syncs, "what else is due is looked at behind each");
            assert_eq!(counts.syncs - before.syncs, syncs, "beside {company}");
            assert_eq!(counts.bytes_written - before.bytes_written, BYTES);
            assert!(is_zeros(&*file, 0..BYTES).unwrap());
        }
    }

    #[test]
    fn any_byte_in_a_file_is_found_and_space_that_was_only_got_is_zeros() {
        let disk = SimDisk::memory();
        let file = file(&disk);
        Fill::Allocate.fill(&*file, 0, BYTES, &mut || ()).unwrap();
        assert!(is_zeros(&*file, 0..BYTES).unwrap());
        for at in [0, 4096, BYTES / 2 + 77, BYTES - 1] {
            file.write_at(&mut [IoSlice::new(&[1])], at).unwrap();
            assert!(!is_zeros(&*file, 0..BYTES).unwrap() && !is_zeros(&*file, at..at + 1).unwrap(), "{at}");
            assert!(is_zeros(&*file, at + 1..BYTES).unwrap(), "behind {at}");
            assert!(is_zeros(&*file, 0..at).unwrap(), "before {at}");
            file.write_at(&mut [IoSlice::new(&[0])], at).unwrap();
        }
        assert!(is_zeros(&*file, 0..BYTES).unwrap());
    }
}
