//! Pure: where a log stands, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::log::Log;
use crate::lsn::Lsn;

/// What a log has done since it was opened, and where it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Records answered.
    pub records: u64,
    /// Groups written.
    pub groups: u64,
    /// Syncs of segments.
    pub syncs: u64,
    /// Bytes of log, padding included.
    pub bytes: u64,
    /// Marks written.
    pub marks: u64,
    /// Segments prepared.
    pub segments_prepared: u64,
    /// Segments that the log has.
    pub segments: u64,
    /// Bytes that their files have.
    pub capacity: u64,
    /// Bytes placed and not yet answered.
    pub in_flight: u64,
    /// Everything before it is durable.
    pub durable: Lsn,
    /// The system has everything before it.
    pub accepted: Lsn,
}

impl Log {
    /// Where the log stands now.
    pub(crate) fn stats(&self) -> Stats {
        let log = self;
        let counted = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let segments = log.segments.read();
        Stats {
            records: counted(&log.counters.records),
            groups: counted(&log.counters.groups),
            syncs: counted(&log.counters.syncs),
            bytes: counted(&log.counters.bytes),
            marks: counted(&log.counters.marks),
            segments_prepared: counted(&log.counters.segments),
            segments: segments.len() as u64,
            capacity: segments.iter().map(|s| s.disk_bytes()).sum(),
            in_flight: counted(&log.in_flight),
            durable: log.durable.get(),
            accepted: log.accepted.get(),
        }
    }
}
