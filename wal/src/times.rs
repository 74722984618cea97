//! Corridor: from a place in the log to its engine time, and back. Times stand in groups; the nearest group at a block
//! boundary is found first, then the chain is followed.

use std::sync::Arc;

use crate::error::Result;
use crate::format::header::SegmentKind;
use crate::format::packed::DirectoryEntry;
use crate::limits::BLOCK_BYTES;
use crate::log::Log;
use crate::lsn::Lsn;
use crate::segment::file::Segment;
use crate::window::{GLANCE_BYTES, Window};

impl Log {
    /// Engine time of the group that holds `lsn`, microseconds since 1970; `None` outside the log.
    pub(crate) fn time_of(&self, lsn: Lsn) -> Result<Option<u64>> {
        let Some(segment) = self.segment_of(lsn).filter(|_| lsn < self.accepted.get()) else {
            return Ok(None);
        };
        if segment.kind == SegmentKind::Packed {
            let entry = segment.last_until(lsn)?;
            return entry.map(|entry| time_at(&segment, entry)).transpose();
        }
        let mut window = self.glance(&segment)?;
        let mut at = window.entry_before(lsn)?;
        while let Some(group) = window.group(at)? {
            match group.head.next(at) {
                Some(next) if next <= lsn => at = next,
                Some(_) => return Ok(Some(group.head.time_us)),
                None => break,
            }
        }
        Ok(None)
    }

    /// Behind the last group whose engine time is not later than `time_us`; `None` where all are later.
    pub(crate) fn at_time(&self, time_us: u64) -> Result<Option<Lsn>> {
        let segments = self.segments.read();
        for segment in segments.iter().rev() {
            if segment.kind == SegmentKind::Packed {
                match first_later(segment, time_us)? {
                    Some(behind) => return Ok(Some(behind)),
                    None => continue,
                }
            }
            let mut window = self.glance(segment)?;
            if window.group(segment.base)?.is_some_and(|first| first.head.time_us <= time_us) {
                let end = self.end_of(segment);
                return last_until(&mut window, segment, end, time_us).map(Some);
            }
        }
        Ok(None)
    }

    fn glance<'s>(&self, segment: &'s Arc<Segment>) -> Result<Window<'s>> {
        Window::new(segment, self.end_of(segment), GLANCE_BYTES, Vec::new())
    }

    fn end_of(&self, segment: &Segment) -> Lsn {
        segment.end().unwrap_or(segment.capacity_end()).min(self.accepted.get())
    }
}

/// Engine time of a record in a packed segment.
fn time_at(segment: &Segment, entry: DirectoryEntry) -> Result<u64> {
    let bytes = segment.packed_frame(entry.at)?;
    Ok(segment.packed_record(&bytes, entry.at, entry.lsn)?.time_us)
}

/// Where the first later record of a packed segment begins, or what it owns ends; `None` where all are later. No place
/// that was told for the same time before it was packed lies behind that.
fn first_later(segment: &Segment, time_us: u64) -> Result<Option<Lsn>> {
    let directory = segment.directory()?;
    let (mut low, mut high) = (0, directory.blocks());
    while low < high {
        let middle = (low + high) / 2;
        match time_at(segment, segment.entries(middle)?[0])? {
            first if first <= time_us => low = middle + 1,
            _ => high = middle,
        }
    }
    let Some(block) = low.checked_sub(1) else { return Ok(None) };
    for entry in segment.entries(block)? {
        if time_at(segment, entry)? > time_us {
            return Ok(Some(entry.lsn));
        }
    }
    Ok(Some(directory.fence(low).min(segment.capacity_end())))
}

/// Halves the blocks of a segment whose first group is early enough, then follows the chain.
fn last_until(window: &mut Window<'_>, segment: &Segment, end: Lsn, time_us: u64) -> Result<Lsn> {
    let (mut low, mut high) = (0, end.bytes_since(segment.base).unwrap_or(0) / BLOCK_BYTES);
    while low < high {
        let half = (low + high).div_ceil(2);
        let middle = segment.base.plus(half * BLOCK_BYTES);
        let entry = window.entry_before(middle.min(end))?;
        match window.group(entry)? {
            Some(group) if group.head.time_us <= time_us => low = half,
            _ => high = half - 1,
        }
    }
    let mut at = window.entry_before(segment.base.plus(low * BLOCK_BYTES))?;
    while let Some(group) = window.group(at)?.filter(|group| group.head.time_us <= time_us)
        && let Some(next) = group.head.next(at)
    {
        at = next;
    }
    Ok(at)
}
