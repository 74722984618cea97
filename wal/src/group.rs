//! Pure: which frame stands where. Called under the sequencing lock; touches no file.
//!
//! Invariants:
//! - *Final*: a place handed out never changes. A group is closed under the same lock that fills it.
//! - *Aligned*: what a sync follows ends at a 4 KiB boundary, so bytes once synced are never written again.
//! - *Whole*: no record and no group spans segments. The last block of each segment is kept for a mark.
//! - *Stated*: the first group of a segment states how those before it ended.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::format::frame::{FRAME_HEADER_BYTES, Frame, FrameKind, put_own};
use crate::format::group::{GROUP_FRAME_BYTES, StatedEnd, align, encode_ends};
use crate::limits::{BLOCK_BYTES, GROUP_BYTES_MAX};
use crate::lsn::Lsn;
use crate::options::Durability;
use crate::raw;
use crate::segment::file::Segment;

/// Frames up to this size are copied behind one another; larger ones are written from where they are.
const COPY_BYTES_MAX: usize = 32 << 10;

/// Lines of memory behind a frame that are fetched for the next one.
const NEXT_LINES: usize = 3;
const LINE_BYTES: usize = 64;

/// A buffered run without any boundary for this long gets one, so that several threads can enter the log.
const RUN_BYTES_MAX: u64 = 256 << 10;

/// Bytes of a group behind the first.
#[derive(Debug)]
pub(crate) enum Chunk {
    /// Frames copied behind one another.
    Copied(Vec<u8>),
    /// A frame that others have too.
    Shared(Bytes),
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Copied(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

/// Frames that will be written with one call.
#[derive(Debug)]
pub(crate) struct Group {
    /// Where its first frame stands.
    pub(crate) start: Lsn,
    /// Behind its last frame.
    pub(crate) end: Lsn,
    /// Counts the groups of this handle, and begins again at zero.
    pub(crate) number: u32,
    /// Where it stands.
    pub(crate) segment: Arc<Segment>,
    /// For the first group of a segment: the segment before it, which must be durable first.
    pub(crate) predecessor: Option<Arc<Segment>>,
    /// The bytes, beginning with room for the group's own frame.
    pub(crate) first: Vec<u8>,
    /// What follows them: frames too large to be copied, and what stands between those.
    pub(crate) more: Vec<Chunk>,
    /// Frames behind the group's own.
    pub(crate) frames: u32,
    /// Records among them.
    pub(crate) records: u32,
    /// Their bytes.
    pub(crate) record_bytes: u64,
    /// A sync follows the write.
    pub(crate) synced: bool,
    /// Zeros follow to the next block.
    pub(crate) padded: bool,
    open: bool,
}

impl Group {
    fn new(start: Lsn, segment: Arc<Segment>, mut first: Vec<u8>) -> Self {
        first.clear();
        first.resize(GROUP_FRAME_BYTES, 0);
        Self {
            start,
            end: start.plus(GROUP_FRAME_BYTES as u64),
            number: 0,
            segment,
            predecessor: None,
            first,
            more: Vec::new(),
            frames: 0,
            records: 0,
            record_bytes: 0,
            synced: false,
            padded: false,
            open: true,
        }
    }

    /// Nothing but its own frame.
    pub(crate) fn is_mark(&self) -> bool {
        self.frames == 0
    }

    /// Behind its padding, if it has any.
    pub(crate) fn padded_end(&self) -> Lsn {
        if self.padded { align(self.end).expect("capacities are multiples of a block") } else { self.end }
    }

    /// Where its bytes stand in the file of its segment, padding included.
    pub(crate) fn in_file(&self) -> Range<u64> {
        self.segment.file_offset(self.start)..self.segment.file_offset(self.padded_end())
    }

    /// Where its bytes stand in the file of its segment, if there are none that it shares, with all padding that may come.
    pub(crate) fn place(&self) -> Option<Range<u64>> {
        let start = self.segment.file_offset(self.start);
        let end = start + self.first.len() as u64;
        self.more.is_empty().then(|| start..end.next_multiple_of(BLOCK_BYTES))
    }

    fn takes(&self, bytes: u64) -> bool {
        let held = self.end.bytes_since(self.start).unwrap_or(0);
        self.open && held + bytes <= GROUP_BYTES_MAX && self.end.plus(bytes) <= data_end(&self.segment)
    }

    /// Gives the frame the next place and takes what will be written.
    fn push(&mut self, frame: &mut Frame) -> Lsn {
        let lsn = self.end;
        frame.place(lsn, self.segment.binding);
        self.end = lsn.plus(frame.len() as u64);
        self.frames += 1;
        if frame.len() > COPY_BYTES_MAX {
            self.more.push(Chunk::Shared(frame.share()));
        } else {
            let copied = self.copied();
            copied.extend_from_slice(frame.bytes());
            // what stood in this memory before was read on another core: its lines come while the next frame is made
            let next = copied.as_ptr().wrapping_add(copied.len());
            (0..NEXT_LINES).for_each(|line| raw::prefetch(next.wrapping_add(LINE_BYTES * (line + 1))));
        }
        lsn
    }

    /// Places a frame of the log's own, without a body.
    fn push_own(&mut self, kind: FrameKind, head: &[u8]) {
        let (lsn, binding) = (self.end, self.segment.binding);
        let bytes = self.copied();
        let start = bytes.len();
        bytes.resize(start + FRAME_HEADER_BYTES + head.len(), 0);
        put_own(&mut bytes[start..], kind, head, lsn, binding);
        self.end = lsn.plus((FRAME_HEADER_BYTES + head.len()) as u64);
        self.frames += 1;
    }

    /// The bytes from `at` on, if they are in it and, where frames of others are among its bytes, in one of these or between two:
    /// a copy, but of such a frame.
    pub(crate) fn bytes_at(&self, at: Lsn, bytes: usize) -> Option<Bytes> {
        let mut start = usize::try_from(at.bytes_since(self.start)?).ok()?;
        let mut copied = self.first.as_slice();
        for chunk in &self.more {
            if start < copied.len() {
                break;
            }
            start -= copied.len();
            copied = match chunk {
                Chunk::Shared(frame) if start < frame.len() => {
                    let end = start.checked_add(bytes)?;
                    return (end <= frame.len()).then(|| frame.slice(start..end));
                }
                chunk => chunk.as_ref(),
            };
        }
        copied.get(start..start.checked_add(bytes)?).map(Bytes::copy_from_slice)
    }

    /// The bytes, in the order in which they stand in the log.
    #[cfg(test)]
    pub(crate) fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(self.first.as_slice()).chain(self.more.iter().map(AsRef::as_ref))
    }

    /// Adds its padding.
    pub(crate) fn pad(&mut self) {
        let padding = self.padded_end().bytes_since(self.end).expect("behind the end");
        debug_assert!(padding < BLOCK_BYTES);
        if let (1.., Ok(padding)) = (padding, usize::try_from(padding)) {
            let last = self.copied();
            last.resize(last.len() + padding, 0);
        }
    }

    /// Where bytes are copied to: behind all that is there.
    fn copied(&mut self) -> &mut Vec<u8> {
        if self.more.is_empty() {
            return &mut self.first;
        }
        if let Some(Chunk::Shared(_)) = self.more.last() {
            self.more.push(Chunk::Copied(Vec::new()));
        }
        match self.more.last_mut() {
            Some(Chunk::Copied(bytes)) => bytes,
            _ => unreachable!("the last one was just seen to"),
        }
    }
}

/// Where a record was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Its place.
    pub lsn: Lsn,
    /// Behind its last byte.
    pub end: Lsn,
    /// The number of its group, where that is known.
    pub(crate) group: Option<u32>,
}

impl Placed {
    /// Of a record that somebody else placed.
    #[must_use]
    pub const fn at(lsn: Lsn, end: Lsn) -> Self {
        Self { lsn, end, group: None }
    }
}

/// There is no prepared room for a frame of this many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoRoom;

/// The order of the log.
#[derive(Debug)]
pub(crate) struct Sequencer {
    /// Where the next group begins, unless the last one is still open.
    at: Lsn,
    /// The last place from which on there was no boundary.
    run_start: Lsn,
    groups: VecDeque<Group>,
    /// The number of the next group.
    number: u32,
    /// The segment that is being filled.
    active: Option<Arc<Segment>>,
    /// The prepared one behind it.
    next: Option<Arc<Segment>>,
    /// Ends that no segment states yet.
    unstated: Vec<StatedEnd>,
    /// An empty buffer, kept for the next group.
    spare: Vec<u8>,
}

impl Sequencer {
    /// A log that goes on at `at` in `active`, or in the first segment that will be prepared.
    pub(crate) fn new(at: Lsn, active: Option<Arc<Segment>>, unstated: Vec<StatedEnd>) -> Self {
        Self {
            at,
            run_start: at,
            groups: VecDeque::new(),
            number: 0,
            active,
            next: None,
            unstated,
            spare: Vec::new(),
        }
    }

    /// Gives `frame` its place and completes its checksums. The frame's bytes are gone afterwards.
    ///
    /// # Errors
    ///
    /// [`NoRoom`]: nothing changed; a segment of [`Sequencer::room_for`] must be prepared first.
    pub(crate) fn push(&mut self, frame: &mut Frame, durability: Durability) -> Result<Placed, NoRoom> {
        let bytes = frame.len() as u64;
        if !self.groups.back().is_some_and(|group| group.takes(bytes)) {
            self.open_group(bytes)?;
        }
        let group = self.groups.back_mut().expect("one was just found or opened");
        let lsn = group.push(frame);
        group.records += 1;
        group.record_bytes += bytes;
        group.synced |= durability == Durability::Synced;
        Ok(Placed { lsn, end: group.end, group: Some(group.number) })
    }

    fn open_group(&mut self, bytes: u64) -> Result<(), NoRoom> {
        let needed = GROUP_FRAME_BYTES as u64 + bytes;
        match self.active.clone() {
            Some(active) if fits(&active, self.closing().1, needed) => {
                self.close_last();
                let group = Group::new(self.at, active, std::mem::take(&mut self.spare));
                self.add(group);
                Ok(())
            }
            _ => self.begin_next(bytes),
        }
    }

    fn add(&mut self, mut group: Group) {
        group.number = self.number;
        self.number = self.number.wrapping_add(1);
        self.groups.push_back(group);
    }

    /// Begins the prepared segment with a group that states how those before it ended.
    fn begin_next(&mut self, bytes: u64) -> Result<(), NoRoom> {
        match &self.next {
            Some(next) if next.capacity >= self.room_for(bytes) => {}
            _ => return Err(NoRoom),
        }
        let next = self.next.take().ok_or(NoRoom)?;
        self.close_last();
        let mut ends = std::mem::take(&mut self.unstated);
        let mut group = Group::new(next.base, next.clone(), std::mem::take(&mut self.spare));
        if let Some(last) = self.active.replace(next) {
            last.set_end(self.at);
            ends.push(StatedEnd { base: last.base, generation: last.generation, end: self.at });
            group.predecessor = Some(last);
        }
        group.push_own(FrameKind::Ends, &encode_ends(&ends));
        self.at = group.start;
        self.run_start = group.start;
        self.add(group);
        Ok(())
    }

    /// Begins the prepared segment with a group that holds no record.
    ///
    /// # Errors
    ///
    /// [`NoRoom`]: none is prepared.
    pub(crate) fn roll(&mut self) -> Result<(), NoRoom> {
        self.begin_next(0)
    }

    /// Smallest capacity of a next segment that can begin with a frame of `bytes`.
    pub(crate) fn room_for(&self, bytes: u64) -> u64 {
        let ends = (FRAME_HEADER_BYTES + encode_ends(&self.unstated).len()) as u64 + 24;
        (GROUP_FRAME_BYTES as u64 + ends + bytes).next_multiple_of(BLOCK_BYTES) + BLOCK_BYTES
    }

    /// True where a frame of `bytes` finds room without another segment.
    pub(crate) fn has_room(&self, bytes: u64) -> bool {
        let needed = GROUP_FRAME_BYTES as u64 + bytes;
        self.active.as_ref().is_some_and(|active| fits(active, self.closing().1, needed))
            || self.next.as_ref().is_some_and(|next| next.capacity >= self.room_for(bytes))
    }

    /// Where a group of `bytes` would begin that nothing is in front of; `None` where something waits, where there is no room, or
    /// where a boundary is due.
    pub(crate) fn alone(&self, bytes: u64) -> Option<(Lsn, &Arc<Segment>)> {
        let active = self.active.as_ref().filter(|active| fits(active, self.at, bytes))?;
        let run = self.at.bytes_since(self.run_start).unwrap_or(0);
        (self.groups.is_empty() && run < RUN_BYTES_MAX).then_some((self.at, active))
    }

    /// Goes on behind a group that was stored [alone](Sequencer::alone).
    pub(crate) fn pass(&mut self, bytes: u64) {
        self.at = self.at.plus(bytes);
        self.number = self.number.wrapping_add(1);
    }

    /// Whether the last group would be padded if it were closed now, and where the next one would begin.
    fn closing(&self) -> (bool, Lsn) {
        let Some(group) = self.groups.back().filter(|group| group.open) else { return (false, self.at) };
        let run = group.end.bytes_since(self.run_start).unwrap_or(0);
        let padded = group.padded || group.synced || run >= RUN_BYTES_MAX;
        (padded, if padded { align(group.end).unwrap_or(Lsn::MAX) } else { group.end })
    }

    fn close_last(&mut self) {
        let (padded, at) = self.closing();
        let Some(group) = self.groups.back_mut().filter(|group| group.open) else { return };
        (group.open, group.padded, self.at) = (false, padded, at);
        if group.padded {
            self.run_start = self.at;
        }
    }

    /// The oldest group that waits to be written, closed.
    pub(crate) fn take(&mut self) -> Option<Group> {
        if self.groups.len() == 1 {
            self.close_last();
        }
        self.groups.pop_front()
    }

    /// Gives a written group's buffer back.
    pub(crate) fn reuse(&mut self, buffer: Vec<u8>) {
        if buffer.capacity() <= 2 * GROUP_BYTES_MAX as usize && buffer.capacity() > self.spare.capacity() {
            self.spare = buffer;
        }
    }

    /// Groups that wait to be written, the newest first.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &Group> {
        self.groups.iter().rev()
    }

    /// The oldest group that waits to be written.
    pub(crate) fn oldest(&self) -> Option<&Group> {
        self.groups.front()
    }

    /// True while groups wait to be written.
    pub(crate) fn has_work(&self) -> bool {
        !self.groups.is_empty()
    }

    /// True where a sync follows the oldest group that waits, or precedes it.
    pub(crate) fn wants_sync(&self) -> bool {
        self.groups.front().is_some_and(|group| group.synced || group.predecessor.is_some())
    }

    /// Records in the group that is being filled.
    pub(crate) fn records_waiting(&self) -> u32 {
        self.groups.back().map_or(0, |group| group.records)
    }

    /// Behind the last frame that was given a place.
    pub(crate) fn tail(&self) -> Lsn {
        self.groups.back().filter(|group| group.open).map_or(self.at, |group| group.end)
    }

    /// Ends what was placed so far at a block boundary, with a mark where nothing waits; says where that is and in
    /// which segment. A sync of everything before it may follow.
    pub(crate) fn cut(&mut self) -> Option<(Lsn, Arc<Segment>)> {
        let active = self.active.clone()?;
        match self.groups.back_mut().filter(|group| group.open) {
            Some(group) => group.padded = true,
            None if self.at.offset().is_multiple_of(BLOCK_BYTES) => return Some((self.at, active)),
            None => self.push_mark(&active),
        }
        self.close_last();
        Some((self.at, active))
    }

    /// Places a mark in a block of its own; `None` where something waits, or where no block is left.
    pub(crate) fn mark(&mut self) -> Option<(Lsn, Arc<Segment>)> {
        let active = self.active.clone()?;
        let aligned = self.at.offset().is_multiple_of(BLOCK_BYTES);
        if self.has_work() || !aligned || self.at.plus(BLOCK_BYTES) > active.capacity_end() {
            return None;
        }
        self.push_mark(&active);
        self.close_last();
        Some((self.at, active))
    }

    fn push_mark(&mut self, active: &Arc<Segment>) {
        let mut group = Group::new(self.at, active.clone(), std::mem::take(&mut self.spare));
        group.padded = true;
        self.add(group);
    }

    /// The segment that is being filled.
    pub(crate) fn active(&self) -> Option<&Arc<Segment>> {
        self.active.as_ref()
    }

    /// The prepared segment.
    pub(crate) fn next(&self) -> Option<&Arc<Segment>> {
        self.next.as_ref()
    }

    /// Takes the prepared segment away: one that is too small is replaced.
    pub(crate) fn take_next(&mut self) -> Option<Arc<Segment>> {
        self.next.take()
    }

    /// Hands over a prepared and named segment.
    pub(crate) fn set_next(&mut self, next: Arc<Segment>) {
        self.next = Some(next);
    }
}

fn data_end(segment: &Segment) -> Lsn {
    segment.base.plus(segment.capacity - BLOCK_BYTES)
}

fn fits(segment: &Segment, at: Lsn, bytes: u64) -> bool {
    at.checked_add(bytes).is_some_and(|end| end <= data_end(segment))
}

#[cfg(test)]
mod tests;
