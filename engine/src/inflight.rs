//! Pure: values that have their place in the log and are not in its files yet.
//!
//! Invariant: whoever finds a version in the index finds its value here or, once the system has it, in the file. An
//! entry goes only after the log's accepted place has passed it.

use std::collections::VecDeque;

use bytes::Bytes;
use parking_lot::Mutex;
use savehold_wal::Lsn;

use crate::planted::{self, Fault};

/// One record on its way.
#[derive(Debug)]
struct Placed {
    lsn: Lsn,
    /// The body, and where it begins in the record.
    body: Bytes,
    body_offset: u32,
}

/// Records on their way, in the order of their places.
#[derive(Debug, Default)]
pub(crate) struct InFlight(Mutex<VecDeque<Placed>>);

impl InFlight {
    /// Adds a record; called in commit order. Forgets those that the system has.
    pub(crate) fn push(&self, lsn: Lsn, body: Bytes, body_offset: u32, accepted: Lsn) {
        if planted::has(Fault::LoseInFlight) {
            return;
        }
        let mut list = self.0.lock();
        while list.front().is_some_and(|first| first.lsn < accepted) {
            list.pop_front();
        }
        list.push_back(Placed { lsn, body, body_offset });
    }

    /// The part at `offset` in the record at `lsn`, if that record is still on its way.
    pub(crate) fn part(&self, lsn: Lsn, offset: u32, bytes: u32) -> Option<Bytes> {
        const HEADER: usize = savehold_wal::format::frame::PART_HEADER_BYTES;
        let list = self.0.lock();
        let at = list.binary_search_by_key(&lsn, |placed| placed.lsn).ok()?;
        let placed = &list[at];
        let start = (offset - placed.body_offset) as usize + HEADER;
        Some(placed.body.slice(start..start + bytes as usize))
    }
}
