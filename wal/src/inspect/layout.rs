//! Pure: the bytes of a new segment that holds the sound frames of an old one, each at its own place.
//!
//! A log is a chain without holes: where frames are lost, a frame of kind `Lost` takes their place, and where a group's
//! own frame is lost, a new one. Frames are bound to the new file; parts know no file and stay as they are.

use crate::format::checksum::Binding;
use crate::format::frame::{FRAME_HEADER_BYTES, FrameKind, put_own, rebind};
use crate::format::group::{GROUP_FRAME_BYTES, GroupHead, align};
use crate::lsn::Lsn;

/// A segment in the making.
#[derive(Debug)]
pub(super) struct Layout {
    base: Lsn,
    binding: Binding,
    data: Vec<u8>,
    /// The group that is open, its frames counted.
    group: Option<(Lsn, GroupHead)>,
    time_us: u64,
}

impl Layout {
    /// Nothing yet, from `base` on, for the file that `binding` names. `time_us`: engine time of what stands before it.
    pub(super) fn new(base: Lsn, binding: Binding, time_us: u64) -> Self {
        Self { base, binding, data: Vec::new(), group: None, time_us }
    }

    /// Engine time of the last group.
    pub(super) fn time_us(&self) -> u64 {
        self.time_us
    }

    /// Adds a group's own frame; false where it cannot stand at `lsn`: what the group before it lost is marked all the same.
    pub(super) fn group(&mut self, lsn: Lsn, head: GroupHead) -> bool {
        self.end_group(lsn);
        let at = self.at();
        let in_next_block = self.group.is_some() && align(at) == Some(lsn);
        let said_so = self.group.is_some_and(|(_, head)| head.padded);
        if lsn != at && !(in_next_block && said_so) {
            let filled = self.fill(lsn);
            if !filled && !in_next_block {
                return false;
            }
        }
        let padded = self.at() != lsn;
        self.close(padded);
        self.data.resize(self.offset(lsn), 0);
        self.open(lsn, head);
        true
    }

    /// Adds a new frame of a group in the place of one that is lost: its records follow, and all that belongs to it.
    pub(super) fn lost_group(&mut self, lsn: Lsn) {
        let (durable_through, bytes) = (Lsn::NONE, GROUP_FRAME_BYTES as u32);
        let (time_us, frames) = (self.time_us, 0);
        self.group(lsn, GroupHead { durable_through, time_us, bytes, frames, padded: true, mark: false });
    }

    /// Bytes that are no frame, and no padding, follow: nobody knows how many of them the open group had.
    pub(super) fn rubble(&mut self) {
        if let Some((_, head)) = &mut self.group {
            head.padded = false;
        }
    }

    /// Adds any other frame; false, and nothing changes, where it cannot stand at `lsn`.
    pub(super) fn frame(&mut self, lsn: Lsn, bytes: &[u8], head_len: usize) -> bool {
        if (lsn != self.at() || self.group.is_none()) && !self.fill(lsn) {
            return false;
        }
        self.push(lsn, bytes, head_len);
        true
    }

    /// The finished bytes, up to `most`; none where nothing was added. `end`: where all that was there ended, if that is known.
    pub(super) fn finish(mut self, end: Option<Lsn>, most: Lsn) -> Vec<u8> {
        if self.data.is_empty() {
            return self.data;
        }
        self.end_group(end.unwrap_or(most));
        let padded = self.group.is_some_and(|(_, head)| head.padded) && align(self.at()) == end;
        if let Some(end) = end.filter(|end| *end > self.at() && !padded) {
            self.fill(end);
        }
        self.close(false);
        self.data
    }

    /// Behind the last byte.
    pub(super) fn at(&self) -> Lsn {
        self.base.plus(self.data.len() as u64)
    }

    /// Says of what the open group said it had besides, before `next`, that it is lost.
    fn end_group(&mut self, next: Lsn) {
        let said = self.group.and_then(|(lsn, head)| lsn.checked_add(u64::from(head.bytes)));
        if let Some(end) = said.filter(|end| *end > self.at() && *end <= next) {
            self.fill(end);
        }
    }

    /// Says of everything up to `lsn` that it is lost.
    fn fill(&mut self, lsn: Lsn) -> bool {
        let Some(gap) = lsn.bytes_since(self.at()).and_then(|gap| usize::try_from(gap).ok()) else {
            return false;
        };
        let lost = match self.group {
            Some(_) => Some(gap),
            None => gap.checked_sub(GROUP_FRAME_BYTES),
        };
        let Some(lost) = lost.filter(|lost| *lost == 0 || *lost >= FRAME_HEADER_BYTES) else { return false };
        if self.group.is_none() {
            let head = GroupHead {
                durable_through: Lsn::NONE,
                time_us: self.time_us,
                bytes: 0,
                frames: 0,
                padded: false,
                mark: false,
            };
            self.open(self.at(), head);
        }
        self.push_lost(lost);
        true
    }

    /// One frame holds no more than a head may have.
    fn push_lost(&mut self, mut bytes: usize) {
        const STEP: usize = 16 << 20;
        while bytes > 0 {
            let step = if bytes > 2 * STEP { STEP } else { bytes };
            let (lsn, start) = (self.at(), self.data.len());
            self.data.resize(start + step, 0);
            put_own(
                &mut self.data[start..],
                FrameKind::Lost,
                &vec![0; step - FRAME_HEADER_BYTES],
                lsn,
                self.binding,
            );
            if let Some((_, head)) = &mut self.group {
                head.frames += 1;
            }
            bytes -= step;
        }
    }

    fn push(&mut self, lsn: Lsn, bytes: &[u8], head_len: usize) {
        let start = self.data.len();
        self.data.extend_from_slice(bytes);
        rebind(&mut self.data[start..], head_len, lsn, self.binding);
        if let Some((_, head)) = &mut self.group {
            head.frames += 1;
        }
    }

    fn open(&mut self, lsn: Lsn, head: GroupHead) {
        self.time_us = self.time_us.max(head.time_us);
        self.group = Some((lsn, GroupHead { frames: 0, ..head }));
        self.data.resize(self.data.len() + GROUP_FRAME_BYTES, 0);
    }

    fn close(&mut self, padded: bool) {
        let Some((lsn, head)) = self.group.take() else { return };
        let start = self.offset(lsn);
        let bytes = u32::try_from(self.data.len() - start).expect("bounded by SEGMENT_BYTES_LIMIT");
        let mark = head.mark && head.frames == 0;
        let head = GroupHead { bytes, padded, mark, ..head }.encode();
        put_own(&mut self.data[start..], FrameKind::Group, &head, lsn, self.binding);
    }

    fn offset(&self, lsn: Lsn) -> usize {
        let bytes = lsn.bytes_since(self.base).and_then(|n| usize::try_from(n).ok());
        bytes.expect("frames come in order, within one segment")
    }
}
