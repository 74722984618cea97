//! Door: zeros that are written ahead, in a new segment and in one that was only allocated; and whether a file has nothing else.

use std::io::{self, IoSlice};
use std::ops::Range;

use crate::vfs::VfsFile;

/// How the space of a new segment is got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Zeros are written: later small synced writes overwrite blocks, and cost no journal commit.
    Zeros {
        /// Bytes after which they are synced.
        step_bytes: u64,
    },
    /// Space is allocated: cheaper where large groups would pay the bandwidth twice.
    Allocate,
}

/// Zeros of a new segment are synced after so many bytes: a commit's sync waits for those that the disk was given before it. Where
/// commits share syncs, few at a time: twice what such a sync brings at the most, so that zeros are written faster than they are used
/// on any disk. Who commits alone is better off with few long waits, one commit's each, than with many short ones.
const STEP_BYTES_SHARED: u64 = ZEROS_WRITE_BYTES as u64;
const STEP_BYTES_ALONE: u64 = 1 << 20;

/// Zeros of one write. What one write puts in the page cache, Linux keeps there as one piece (a large folio), and each later
/// write and sync of a block in it goes through all the piece's blocks. Pieces as large as large groups cost those nothing.
const ZEROS_WRITE_BYTES: usize = 64 << 10;

static ZEROS: [u8; ZEROS_WRITE_BYTES] = [0; ZEROS_WRITE_BYTES];

impl Fill {
    /// Zeros, where the last sync was shared by so many.
    pub(crate) fn zeros(company: u32) -> Self {
        Self::Zeros { step_bytes: if company < 2 { STEP_BYTES_ALONE } else { STEP_BYTES_SHARED } }
    }

    /// Gets the space of a new file, from `start` to `end`; zeros are durable step by step.
    ///
    /// # Errors
    ///
    /// Those of the calls.
    pub(super) fn fill(self, file: &dyn VfsFile, start: u64, end: u64) -> io::Result<()> {
        let Self::Zeros { step_bytes } = self else { return file.allocate(end) };
        let mut at = start;
        while at < end {
            let step = (at + step_bytes).min(end);
            write_zeros(file, at..step)?;
            file.sync()?;
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
pub(super) fn write_zeros(file: &dyn VfsFile, range: Range<u64>) -> io::Result<()> {
    let mut at = range.start;
    while at < range.end {
        let bytes = usize::try_from(range.end - at).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
        file.write_at(&mut [IoSlice::new(&ZEROS[..bytes])], at)?;
        at += bytes as u64;
    }
    Ok(())
}

/// Whether nothing but zeros stands in a file from `at` on. Every byte that was ever written is read, in pieces that stay in a
/// processor's cache while they are looked at: prepared segments are long, and they are met at every opening after a kill. What
/// was only got is zeros, which reading would make memory of.
///
/// # Errors
///
/// Those of the reads.
pub(crate) fn is_zeros(file: &dyn VfsFile, mut at: u64) -> io::Result<bool> {
    const READ_BYTES: usize = 64 << 10;
    let mut buf = vec![0; READ_BYTES];
    while let Some(run) = file.written(at)?.filter(|run| run.end > at) {
        at = at.max(run.start);
        while at < run.end {
            let wanted = usize::try_from(run.end - at).map_or(READ_BYTES, |left| left.min(READ_BYTES));
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
