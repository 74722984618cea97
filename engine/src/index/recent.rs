//! Pure: what was written lately, kept only while somebody watches, so that a range that a transaction has read can
//! be validated without looking at its keys.
//!
//! The ring is exact from `covered` on: it holds every version newer than that. A question that reaches back further
//! is answered by the keys themselves. Nothing slips between: an insertion raises `newest` and then looks whether
//! anybody watches; a watch says so and then reads `newest`. One of them sees the other.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use savehold_wal::Lsn;
use savehold_wal::sync::Mutex;

use super::range::KeyRange;

/// Bytes of keys and bookkeeping at which the oldest writes are forgotten.
const BYTES_MAX: usize = 4 << 20;

/// The recent writes of an index.
#[derive(Default)]
pub(super) struct Recent {
    /// The newest LSN that was ever inserted.
    newest: AtomicU64,
    watched: AtomicBool,
    ring: Mutex<Ring>,
}

#[derive(Default)]
struct Ring {
    /// How many watch from each LSN on.
    watches: BTreeMap<Lsn, usize>,
    /// Writes by ascending LSN.
    writes: VecDeque<Write>,
    bytes: usize,
    /// Every version newer than this is in `writes`, while anybody watches.
    covered: Lsn,
}

struct Write {
    lsn: Lsn,
    collection: u32,
    key: Box<[u8]>,
}

impl Write {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.key.len()
    }
}

impl Recent {
    /// Announces versions up to `newest`, before they are told; whether they are to be told.
    #[inline(always)]
    pub(super) fn announce(&self, newest: Lsn) -> bool {
        if self.newest.load(Ordering::SeqCst) < newest.raw() {
            self.newest.fetch_max(newest.raw(), Ordering::SeqCst);
        }
        self.watched.load(Ordering::SeqCst)
    }

    /// Tells of a new version, once it is in the index.
    #[cold]
    pub(super) fn tell(&self, lsn: Lsn, collection: u32, key: &[u8]) {
        let mut ring = self.ring.lock();
        if lsn <= ring.covered || ring.watches.is_empty() {
            return;
        }
        let write = Write { lsn, collection, key: key.into() };
        ring.bytes += write.bytes();
        let at = ring.writes.partition_point(|write| write.lsn <= lsn);
        ring.writes.insert(at, write);
        while ring.bytes > BYTES_MAX {
            ring.forget_oldest();
        }
    }

    /// Whether a key of `range` got a version newer than `since`, or `None` where that reaches back too far.
    pub(super) fn touched(&self, collection: u32, range: &KeyRange<'_>, since: Lsn) -> Option<bool> {
        let ring = self.ring.lock();
        if ring.watches.is_empty() || since < ring.covered {
            return None;
        }
        let first = ring.writes.partition_point(|write| write.lsn <= since);
        Some(
            ring.writes
                .range(first..)
                .any(|write| write.collection == collection && range.contains(&write.key)),
        )
    }

    /// Watches from `since` on until the guard is dropped.
    pub(super) fn watch(self: &Arc<Self>, since: Lsn) -> WatchGuard {
        let mut ring = self.ring.lock();
        if ring.watches.is_empty() {
            self.watched.store(true, Ordering::SeqCst);
            ring.covered = Lsn::from_raw(self.newest.load(Ordering::SeqCst));
        }
        *ring.watches.entry(since).or_default() += 1;
        WatchGuard { recent: self.clone(), since }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.ring.lock().bytes
    }

    fn unwatch(&self, since: Lsn) {
        let mut ring = self.ring.lock();
        if let Some(watches) = ring.watches.get_mut(&since) {
            *watches -= 1;
            if *watches == 0 {
                ring.watches.remove(&since);
            }
        }
        match ring.watches.first_key_value() {
            Some((&oldest, _)) => {
                while ring.writes.front().is_some_and(|write| write.lsn <= oldest) {
                    ring.forget_oldest();
                }
            }
            None => {
                self.watched.store(false, Ordering::SeqCst);
                ring.writes = VecDeque::new();
                ring.bytes = 0;
            }
        }
    }
}

impl Ring {
    fn forget_oldest(&mut self) {
        if let Some(write) = self.writes.pop_front() {
            self.bytes -= write.bytes();
            self.covered = self.covered.max(write.lsn);
        }
    }
}

/// Keeps the recent writes of an index, from an LSN on, until it is dropped.
#[must_use = "writes are remembered only while the guard lives"]
pub struct WatchGuard {
    recent: Arc<Recent>,
    since: Lsn,
}

impl WatchGuard {
    /// The moment from which on writes are remembered.
    #[must_use]
    pub fn since(&self) -> Lsn {
        self.since
    }
}

impl Drop for WatchGuard {
    fn drop(&mut self) {
        self.recent.unwatch(self.since);
    }
}
