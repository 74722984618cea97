//! Door: who packs the log, and what came of it; see `compaction`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use savehold_wal::sync::Mutex;
use savehold_wal::{Lsn, Packed};

use crate::bell::Bell;
use crate::error::Error;
use crate::pace::Pace;

/// Who packs the log, one at a time, and what came of it.
#[derive(Default)]
pub(crate) struct Packer {
    /// Held while the log is packed.
    pub(crate) work: Mutex<Left>,
    pub(crate) bell: Arc<Bell>,
    /// How fast it goes in the background.
    pub(crate) pace: Mutex<Pace>,
    /// What the index looked like when it was last seen to, and when that was, in quarters of an hour.
    pub(crate) seen: Mutex<(u64, Lsn, u64)>,
    /// Why packing failed the last time, if it did.
    pub(crate) failure: Mutex<Option<Error>>,
    /// The store is about to be closed: what packs gives up.
    ending: AtomicBool,
    /// Many endings stay in the index because files are not settled.
    waiting: AtomicBool,
    files: AtomicU64,
    written: AtomicU64,
    freed: AtomicU64,
}

/// Files that are left alone.
#[derive(Debug, Default)]
pub(crate) struct Left {
    /// By which judgement packing them gained nothing.
    judged: u64,
    bases: BTreeSet<Lsn>,
    /// What is damaged in the file stays there as it is: until the store is opened again.
    damaged: BTreeSet<Lsn>,
}

impl Left {
    /// Whether the file that begins at `base` is left alone by this judgement.
    pub(crate) fn has(&mut self, base: Lsn, judged: u64) -> bool {
        if self.judged != judged {
            self.bases.clear();
        }
        self.judged = judged;
        self.bases.contains(&base) || self.damaged.contains(&base)
    }

    /// Leaves a file alone until more is dropped from the index.
    pub(crate) fn leave(&mut self, base: Lsn) {
        self.bases.insert(base);
    }

    /// Leaves a file alone that cannot be read.
    pub(crate) fn leave_damaged(&mut self, base: Lsn) {
        self.damaged.insert(base);
    }
}

impl Packer {
    /// Counts what was packed.
    pub(crate) fn note(&self, packed: &Packed) {
        self.files.fetch_add(packed.segments, Ordering::Relaxed);
        self.written.fetch_add(packed.bytes_after, Ordering::Relaxed);
        self.freed.fetch_add(packed.bytes_before.saturating_sub(packed.bytes_after), Ordering::Relaxed);
    }

    /// Notes whether many endings wait for files to be settled.
    pub(crate) fn note_waiting(&self, waiting: bool) {
        self.waiting.store(waiting, Ordering::Relaxed);
    }

    /// Whether many endings wait for files to be settled.
    pub(crate) fn is_waited_for(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Has whoever packs give up: the store is about to be closed.
    pub(crate) fn end(&self) {
        self.ending.store(true, Ordering::Release);
        self.bell.stop();
    }

    /// Whether the store is about to be closed.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    /// Segments that were packed since open, bytes that were written for it, bytes that came free.
    pub(crate) fn counts(&self) -> [u64; 3] {
        [&self.files, &self.written, &self.freed].map(|count| count.load(Ordering::Relaxed))
    }
}
