//! Corridor: from a place in the log to its engine time, and back. Times stand in groups; the nearest group at a block
//! boundary is found first, then the chain is followed.

use std::sync::Arc;

use crate::error::Result;
use crate::limits::BLOCK_BYTES;
use crate::log::Log;
use crate::lsn::Lsn;
use crate::scan::{GroupAt, Span};
use crate::segment::file::{Segment, View};

impl Log {
    /// Engine time of the group that holds `lsn`, microseconds since 1970; `None` outside the log.
    pub(crate) fn time_of(&self, lsn: Lsn) -> Result<Option<u64>> {
        let Some(segment) = self.segment_of(lsn).filter(|_| lsn < self.accepted.get()) else {
            return Ok(None);
        };
        let view = segment.view()?;
        let span = self.span_of(&segment, &view);
        let holds = |group: &GroupAt| group.head.next(group.lsn).is_some_and(|next| next > lsn);
        let from = entry_before(&span, lsn);
        Ok(span.groups(from).find(holds).map(|group| group.head.time_us))
    }

    /// Behind the last group whose engine time is not later than `time_us`; `None` where all are later.
    pub(crate) fn at_time(&self, time_us: u64) -> Result<Option<Lsn>> {
        let segments = self.segments.read().clone();
        let begun = |segment: &Arc<Segment>| -> Result<Option<u64>> {
            let view = segment.view()?;
            Ok(self.span_of(segment, &view).group(segment.base).ok().map(|group| group.head.time_us))
        };
        for segment in segments.iter().rev() {
            match begun(segment)? {
                Some(first) if first <= time_us => {
                    let view = segment.view()?;
                    return Ok(Some(last_until(&self.span_of(segment, &view), time_us)));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    fn span_of<'a>(&self, segment: &Segment, view: &'a View) -> Span<'a> {
        let end = segment.end().unwrap_or(segment.capacity_end()).min(self.accepted.get());
        let bytes = end.bytes_since(segment.base).and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        let data = view.data();
        Span { base: segment.base, binding: segment.binding, data: &data[..bytes.min(data.len())] }
    }
}

/// The last group at a block boundary at or before `lsn`, or the front.
fn entry_before(span: &Span<'_>, lsn: Lsn) -> Lsn {
    let mut blocks = lsn.bytes_since(span.base).unwrap_or(0) / BLOCK_BYTES;
    while blocks > 0 {
        let at = span.base.plus(blocks * BLOCK_BYTES);
        if span.group(at).is_ok() {
            return at;
        }
        blocks -= 1;
    }
    span.base
}

/// Halves the blocks of a segment whose first group is early enough, then follows the chain.
fn last_until(span: &Span<'_>, time_us: u64) -> Lsn {
    let (mut low, mut high) = (0, span.end().bytes_since(span.base).unwrap_or(0) / BLOCK_BYTES);
    while low < high {
        let middle = span.base.plus((low + high).div_ceil(2) * BLOCK_BYTES);
        let entry = entry_before(span, middle.min(span.end()));
        match span.group(entry) {
            Ok(group) if group.head.time_us <= time_us => low = (low + high).div_ceil(2),
            _ => high = (low + high).div_ceil(2) - 1,
        }
    }
    let mut at = entry_before(span, span.base.plus(low * BLOCK_BYTES));
    for group in span.groups(at).take_while(|group| group.head.time_us <= time_us) {
        at = group.head.next(group.lsn).unwrap_or(at);
    }
    at
}
