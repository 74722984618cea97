//! Corridor: records one after the other, every byte verified. For tools and for users of the log alone; an engine
//! replays with `replay_into`.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};
use crate::format::frame::{FrameKind, decode};
use crate::format::group::GroupHead;
use crate::format::header::SegmentKind;
use crate::log::Log;
use crate::lsn::Lsn;
use crate::reader::Record;
use crate::scan::Span;
use crate::segment::file::Segment;

/// The records from a place on, as they stood when this was made.
#[derive(Debug)]
pub struct Replay {
    log: Arc<Log>,
    segments: VecDeque<(Arc<Segment>, Lsn)>,
    /// Where the next group begins in the first of `segments`.
    at: Lsn,
    /// Frames of the present group.
    frames: VecDeque<Lsn>,
    from: Lsn,
}

/// Bytes that hold most groups.
const FIRST_READ_BYTES: usize = 32 << 10;

impl Replay {
    pub(crate) fn new(log: Arc<Log>, from: Lsn) -> Result<Self> {
        let through = log.accepted.get();
        let list = log.segments.read();
        if let Some(first) = list.first()
            && from < first.base
            && from != Lsn::NONE
        {
            let say = format!("the log begins at {}: what was before was retired", first.base);
            return Err(Error::new(ErrorKind::Gone, say).at(from));
        }
        let ends = list.iter().map(|s| (s.clone(), s.end().unwrap_or(s.capacity_end()).min(through)));
        let segments: VecDeque<_> = ends.filter(|(s, end)| *end > s.base && *end > from).collect();
        let at = segments.front().map_or(Lsn::NONE, |(s, _)| s.base);
        Ok(Self { log, segments, at, frames: VecDeque::new(), from })
    }

    /// Reads the frames of the next group; false at the end of the log.
    fn next_group(&mut self) -> Result<bool> {
        while let Some((segment, end)) = self.segments.front().cloned() {
            if self.at >= end {
                self.segments.pop_front();
                self.at = self.segments.front().map_or(Lsn::NONE, |(s, _)| s.base);
                continue;
            }
            if segment.kind == SegmentKind::Packed {
                self.next_block(&segment, end)?;
                return Ok(true);
            }
            let (bytes, at) = (self.group_bytes(&segment, end)?, self.at);
            let span = Span { base: at, binding: segment.binding, data: &bytes };
            let group = span.group(at).map_err(|_| damaged(&segment, at))?;
            let frames = &mut self.frames;
            let walked = span.walk(group, crate::scan::Verify::Heads, |lsn, frame| {
                if frame.kind == FrameKind::Record && lsn >= self.from {
                    frames.push_back(lsn);
                }
            });
            walked.map_err(|bad| damaged(&segment, bad))?;
            self.at = group.head.next(at).ok_or_else(|| damaged(&segment, at))?;
            return Ok(true);
        }
        Ok(false)
    }

    /// The bytes of the group at `self.at`: a first read that holds most groups, then all of it.
    fn group_bytes(&self, segment: &Segment, end: Lsn) -> Result<Bytes> {
        let room = end.bytes_since(self.at).and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        let bytes = segment.read(self.at, room.min(FIRST_READ_BYTES))?;
        let head = match decode(&bytes, self.at, segment.binding) {
            Ok(frame) => GroupHead::decode(frame.head),
            Err(_) => None, // the caller says what is damaged
        };
        match head {
            Some(head) if head.bytes as usize > bytes.len() => {
                segment.read(self.at, room.min(head.bytes as usize))
            }
            _ => Ok(bytes),
        }
    }

    /// Reads the places of one block of a packed segment's directory.
    fn next_block(&mut self, segment: &Segment, end: Lsn) -> Result<()> {
        let directory = segment.directory()?;
        let block = (0..directory.blocks()).find(|block| directory.fence(*block) >= self.at);
        let Some(block) = block else {
            self.at = end;
            return Ok(());
        };
        let places = segment.entries(block)?.into_iter().map(|entry| entry.lsn);
        self.frames.extend(places.filter(|lsn| *lsn >= self.from));
        self.at = directory.fence(block + 1).min(end);
        Ok(())
    }

    fn stop<T>(&mut self, e: Error) -> Option<Result<T>> {
        self.segments.clear();
        self.frames.clear();
        Some(Err(e))
    }
}

impl Iterator for Replay {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Result<Record>> {
        loop {
            if let Some(lsn) = self.frames.pop_front() {
                match self.log.read(lsn) {
                    Err(e) if e.kind() == ErrorKind::Gone => continue, // given up meanwhile
                    read => return Some(read),
                }
            }
            match self.next_group() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(e) => return self.stop(e),
            }
        }
    }
}

pub(crate) fn damaged(segment: &Segment, at: Lsn) -> Error {
    let say = format!(
        "the log is damaged at {at} ({}, offset {}): run `savehold verify`",
        segment.path.display(),
        segment.file_offset(at.max(segment.base))
    );
    Error::new(ErrorKind::Corrupt, say).at(at)
}
