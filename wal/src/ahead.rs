//! Corridor: having the system fetch what is read next, where reading shows that it is not in the page cache.
//!
//! What is touched in a map comes from the disk in pieces of some hundred kilobytes, one after the other. Whoever goes
//! through a file tells the system of the next megabytes, once a few took as long as only a disk does; of what is in the
//! cache nothing is told, which would cost as much as reading some of it.

use std::time::Duration;

use crate::env::Env;
use crate::lsn::Lsn;
use crate::segment::file::Segment;
use crate::vfs::Advice;

/// Bytes that are looked at together.
pub(crate) const STEP_BYTES: u64 = 4 << 20;

/// A step that takes less than this is in the page cache.
pub(crate) const SLOW: Duration = Duration::from_micros(1500);

/// Steps that the system fetches ahead.
pub(crate) const STEPS: usize = 8;

/// Tells the system to fetch part of a segment. That it cannot is for whoever reads it to find out.
pub(crate) fn fetch(segment: &Segment, from: Lsn, to: Lsn) {
    let bytes = to.bytes_since(from).unwrap_or(0);
    if bytes > 0 {
        _ = segment.file.advise(segment.file_offset(from), bytes, Advice::Soon);
    }
}

/// Somebody who goes through one segment from front to back.
pub(crate) struct Passer<'a> {
    env: &'a Env,
    segment: &'a Segment,
    /// Where this step began, and when.
    from: Lsn,
    begun: Duration,
    /// The system was told of everything before.
    fetched: Lsn,
}

impl<'a> Passer<'a> {
    /// At `from`.
    pub(crate) fn from(env: &'a Env, segment: &'a Segment, from: Lsn) -> Self {
        let begun = env.clock.monotonic();
        Self { env, segment, from, begun, fetched: from }
    }

    /// It came to `at`.
    #[inline]
    pub(crate) fn pass(&mut self, at: Lsn) {
        if at.bytes_since(self.from).is_some_and(|bytes| bytes >= STEP_BYTES) {
            self.step(at);
        }
    }

    #[cold]
    fn step(&mut self, at: Lsn) {
        let now = self.env.clock.monotonic();
        if now.saturating_sub(self.begun) >= SLOW {
            // no more than two steps: the segment may end anywhere, and what lies behind is fetched for nothing
            let end = self.segment.capacity_end();
            let until = at.checked_add(2 * STEP_BYTES).map_or(end, |until| until.min(end));
            fetch(self.segment, at.max(self.fetched), until);
            self.fetched = until;
        }
        (self.from, self.begun) = (at, now);
    }
}
