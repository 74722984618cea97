//! Pure: what a restart would have to replay, in the time that it is estimated to take.

use std::sync::atomic::{AtomicU64, Ordering};

use savehold_wal::Lsn;
use savehold_wal::limits::BLOCK_BYTES;

/// Picoseconds of replay that are due.
#[derive(Debug, Default)]
pub(crate) struct Debt {
    /// For what was committed since the last checkpoint began.
    tail: AtomicU64,
    /// For what a checkpoint is writing out.
    frozen: AtomicU64,
    /// Behind the last record that was counted.
    end: AtomicU64,
}

impl Debt {
    /// Adds what a commit makes due; the sum of the tail before and after.
    #[inline]
    pub(crate) fn add(&self, ps: u64) -> (u64, u64) {
        let before = self.tail.fetch_add(ps, Ordering::Relaxed);
        (before, before.saturating_add(ps))
    }

    /// Bytes of log that a record of so many bytes, which ends at `end`, takes with all that stands before it: padding
    /// too, but not what a new segment leaves out.
    #[inline]
    pub(crate) fn bytes(&self, bytes: u64, end: Lsn) -> u64 {
        let before = self.end.fetch_max(end.raw(), Ordering::Relaxed);
        end.raw().saturating_sub(before).min(bytes + 2 * BLOCK_BYTES)
    }

    /// What was committed since the last checkpoint began.
    #[inline]
    pub(crate) fn tail(&self) -> u64 {
        self.tail.load(Ordering::Relaxed)
    }

    /// All of it.
    #[inline]
    pub(crate) fn total(&self) -> u64 {
        self.tail().saturating_add(self.frozen.load(Ordering::Relaxed))
    }

    /// A checkpoint begins: what is due so far is being written out. Under the commit lock.
    pub(crate) fn freeze(&self) {
        let tail = self.tail.swap(0, Ordering::Relaxed);
        self.frozen.fetch_add(tail, Ordering::Relaxed);
    }

    /// A checkpoint is done.
    pub(crate) fn thaw(&self) {
        self.frozen.store(0, Ordering::Relaxed);
    }
}
