//! Corridor: a segment's bytes as a scan wants them: its map where there is one, else a window that is read anew where
//! the scan leaves it.
//!
//! However long a segment or a record is, no more is in memory than the window, or one head where that is longer:
//! bodies are passed over, or checked piece by piece.

use std::ops::Range;

use crate::error::Result;
use crate::format::checksum::Unplaced;
use crate::format::frame::{FRAME_HEADER_BYTES, FrameKind, PART_HEADER_BYTES, decode_head, lengths};
use crate::format::group::{GROUP_FRAME_BYTES, StatedEnd, align, decode_ends};
use crate::limits::BLOCK_BYTES;
use crate::lsn::Lsn;
use crate::scan::pieces::Piece;
use crate::scan::{GroupAt, Skim, Span, Verify};
use crate::segment::file::Segment;
use crate::vfs::Map;

/// Bytes that are read at a time by who goes through a segment: an ordinary group fits.
pub(crate) const WINDOW_BYTES: usize = 4 << 20;

/// Bytes that are read at a time by who looks at single places.
pub(crate) const GLANCE_BYTES: usize = 4 << 10;

/// A view of one segment from its base to `end`.
#[derive(Debug)]
pub(crate) struct Window<'s> {
    segment: &'s Segment,
    end: Lsn,
    map: Option<Map>,
    step: usize,
    buf: Vec<u8>,
    from: Lsn,
    filled: usize,
}

impl<'s> Window<'s> {
    /// Over the segment's own map, or by reads of `step` bytes into `buf`.
    pub(crate) fn new(segment: &'s Segment, end: Lsn, step: usize, buf: Vec<u8>) -> Result<Self> {
        Ok(Self::over(segment, end, segment.map()?, step, buf))
    }

    /// Over `map`, or by reads of `step` bytes into `buf`.
    pub(crate) fn over(segment: &'s Segment, end: Lsn, map: Option<Map>, step: usize, buf: Vec<u8>) -> Self {
        let end = end.min(segment.base.plus(segment.there()));
        Self { segment, end, map, step, buf, from: segment.base, filled: 0 }
    }

    /// The buffer, to be used again.
    pub(crate) fn into_buf(self) -> Vec<u8> {
        self.buf
    }

    /// Bytes that hold at least `bytes` from `lsn` on, or all up to the end.
    #[inline]
    pub(crate) fn span(&mut self, lsn: Lsn, bytes: usize) -> Result<Span<'_>> {
        let Self { segment, .. } = *self;
        if self.map.is_none() && !self.holds(lsn, bytes) {
            self.fill(lsn, bytes)?;
        }
        let (base, data) = match &self.map {
            Some(map) => (segment.base, segment.data_in(map, self.end)),
            None => (self.from, &self.buf[..self.filled]),
        };
        Ok(Span { base, binding: segment.binding, data })
    }

    /// All of it, where it is mapped.
    pub(crate) fn whole(&self) -> Option<Span<'_>> {
        let map = self.map.as_ref()?;
        let data = self.segment.data_in(map, self.end);
        Some(Span { base: self.segment.base, binding: self.segment.binding, data })
    }

    fn holds(&self, lsn: Lsn, bytes: usize) -> bool {
        let Some(at) = lsn.bytes_since(self.from) else { return false };
        let held = (self.filled as u64).saturating_sub(at);
        held >= bytes as u64 || self.from.plus(self.filled as u64) >= self.end && self.filled > 0
    }

    #[cold]
    fn fill(&mut self, lsn: Lsn, bytes: usize) -> Result<()> {
        let room = self.end.bytes_since(lsn).and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        let wanted = bytes.max(self.step).min(room);
        (self.from, self.filled) = (lsn, 0);
        if self.buf.len() < wanted {
            self.buf.resize(wanted, 0);
        }
        self.segment.read_into(&mut self.buf[..wanted], lsn)?;
        self.filled = wanted;
        if self.buf.len() > self.step.max(wanted) {
            self.buf.truncate(self.step.max(wanted)); // a long head is behind us
            self.buf.shrink_to_fit();
        }
        Ok(())
    }

    /// The group that begins at `lsn`, if a whole one does: its first frame is good, and it ends inside.
    #[inline]
    pub(crate) fn group(&mut self, lsn: Lsn) -> Result<Option<GroupAt>> {
        let end = self.end;
        let group = self.span(lsn, GROUP_FRAME_BYTES)?.group_head(lsn).ok();
        Ok(group.filter(|group| end.bytes_since(lsn).is_some_and(|room| u64::from(group.head.bytes) <= room)))
    }

    /// The first group at a block boundary from `from` on and before `to`.
    pub(crate) fn probe(&mut self, from: Lsn, to: Lsn) -> Result<Option<GroupAt>> {
        let mut at = align(from).unwrap_or(Lsn::MAX);
        while at < to.min(self.end) {
            if let Some(group) = self.group(at)? {
                return Ok(Some(group));
            }
            at = at.plus(BLOCK_BYTES);
        }
        Ok(None)
    }

    /// The last group at a block boundary at or before `lsn`, or the front.
    pub(crate) fn entry_before(&mut self, lsn: Lsn) -> Result<Lsn> {
        let mut blocks = lsn.bytes_since(self.segment.base).unwrap_or(0) / BLOCK_BYTES;
        while blocks > 0 {
            let at = self.segment.base.plus(blocks * BLOCK_BYTES);
            if self.group(at)?.is_some() {
                return Ok(at);
            }
            blocks -= 1;
        }
        Ok(self.segment.base)
    }

    /// Hands every frame behind the group's first one to `visit`, in order: its place, kind and head. Answers the place
    /// of the first bad frame, or of the first bad body where bodies are verified.
    #[inline]
    pub(crate) fn walk(
        &mut self,
        group: GroupAt,
        verify: Verify,
        mut visit: impl FnMut(Lsn, FrameKind, &[u8]),
    ) -> Result<Result<(), Lsn>> {
        let bytes = group.head.bytes as usize;
        if self.map.is_none() && bytes > self.step {
            return self.walk_wide(group, verify, visit);
        }
        let span = self.span(group.lsn, bytes)?;
        Ok(span.walk(group, verify, |lsn, frame| visit(lsn, frame.kind, frame.head)))
    }

    /// [`Window::walk`] through a group that is longer than the window.
    fn walk_wide(
        &mut self,
        group: GroupAt,
        verify: Verify,
        mut visit: impl FnMut(Lsn, FrameKind, &[u8]),
    ) -> Result<Result<(), Lsn>> {
        let end = group.lsn.plus(u64::from(group.head.bytes));
        let mut at = group.lsn.plus(GROUP_FRAME_BYTES as u64);
        while at < end {
            let Some((head, body)) = lengths(self.span(at, FRAME_HEADER_BYTES)?.from(at)) else {
                return Ok(Err(at));
            };
            let (start, behind) = (FRAME_HEADER_BYTES + head, (FRAME_HEADER_BYTES + head + body) as u64);
            if end.bytes_since(at).is_none_or(|room| behind > room) {
                return Ok(Err(at));
            }
            let span = self.span(at, start)?;
            if decode_head(span.from(at), at, span.binding).is_err()
                || verify == Verify::Bodies && !self.body_is_good(at, start, start + body)?
            {
                return Ok(Err(at));
            }
            let span = self.span(at, start)?;
            let Ok((kind, head)) = decode_head(span.from(at), at, span.binding) else { return Ok(Err(at)) };
            visit(at, kind, head);
            at = at.plus(behind);
        }
        Ok(Ok(()))
    }

    /// True where the parts of the record at `lsn` fill its body and every one is good.
    fn body_is_good(&mut self, lsn: Lsn, start: usize, end: usize) -> Result<bool> {
        let mut at = start;
        while at < end {
            let here = lsn.plus(at as u64);
            let span = self.span(here, PART_HEADER_BYTES)?;
            let Some(header) = span.from(here).first_chunk::<PART_HEADER_BYTES>() else { return Ok(false) };
            let word =
                |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
            let (crc, len) = (word(0), word(4) as usize);
            if len > (end - at).saturating_sub(PART_HEADER_BYTES) {
                return Ok(false);
            }
            let found = self.checksum(here.plus(PART_HEADER_BYTES as u64), len)?;
            let Ok(offset) = u32::try_from(at) else { return Ok(false) };
            if found.part_at(lsn, offset) != crc {
                return Ok(false);
            }
            at += PART_HEADER_BYTES + len;
        }
        Ok(true)
    }

    fn checksum(&mut self, from: Lsn, bytes: usize) -> Result<Unplaced> {
        let (mut sum, mut done) = (Unplaced::of(&[]), 0);
        while done < bytes {
            let (at, step) = (from.plus(done as u64), (bytes - done).min(self.step));
            let span = self.span(at, step)?;
            let piece = span.from(at);
            if piece.is_empty() {
                break; // the end: whoever asked finds the sum wrong
            }
            let piece = &piece[..piece.len().min(bytes - done)];
            (sum, done) = (sum.then(piece), done + piece.len());
        }
        Ok(sum)
    }

    /// The ends that the segment's first group states; `None` where no good first group stands.
    pub(crate) fn stated_ends(&mut self) -> Result<Option<Vec<StatedEnd>>> {
        let base = self.segment.base;
        let Some(group) = self.group(base)?.filter(|group| group.head.frames > 0) else { return Ok(None) };
        let at = group.lsn.plus(GROUP_FRAME_BYTES as u64);
        let Some((head, _)) = lengths(self.span(at, FRAME_HEADER_BYTES)?.from(at)) else { return Ok(None) };
        let span = self.span(at, FRAME_HEADER_BYTES + head)?;
        Ok(match decode_head(span.from(at), at, span.binding) {
            Ok((FrameKind::Ends, head)) => decode_ends(head),
            _ => None,
        })
    }

    /// Hops over the groups of the segment and looks behind where they end. Space that was got for what was never written is
    /// not read: a segment may have 64 MiB of it, which would all become pages of zeros. Recovery has synced the segment
    /// before, so that what the system says of it does not hang on what it has in memory.
    /// `passed` is told where it is.
    pub(crate) fn skim(&mut self, passed: impl FnMut(Lsn)) -> Result<Skim> {
        let written = self.segment.written()?;
        let mut skim = Skim::at(self.segment.base);
        self.chain(&mut skim, Lsn::MAX, passed)?;
        for run in written {
            let mut from = run.start.max(skim.chain_end);
            while let Some(group) = self.probe(from, run.end)? {
                skim.find(&group);
                from = group.lsn.plus(BLOCK_BYTES);
            }
        }
        Ok(skim)
    }

    /// As [`Window::skim`], the piece `range` of the segment, which begins and ends at block boundaries, for who goes through it
    /// beside others.
    pub(crate) fn skim_piece(&mut self, range: Range<Lsn>, passed: impl FnMut(Lsn)) -> Result<Piece> {
        let mut written = self.segment.written()?;
        written.iter_mut().for_each(|run| *run = run.start.max(range.start)..run.end.min(range.end));
        let base = self.segment.base;
        let entered = if range.start == base { Some(base) } else { self.probe_all(&written, range.start)? };
        let mut chain = Skim::at(entered.unwrap_or(range.end));
        let (mut ended, mut strays) = (false, false);
        if entered.is_some() {
            ended = !self.chain(&mut chain, range.end, passed)?;
            strays = ended && self.probe_all(&written, chain.chain_end)?.is_some();
        }
        Ok(Piece { range, entered, chain, ended, strays })
    }

    /// The first group at a block boundary in any of `runs` from `from` on.
    fn probe_all(&mut self, runs: &[Range<Lsn>], from: Lsn) -> Result<Option<Lsn>> {
        for run in runs {
            if let Some(group) = self.probe(run.start.max(from), run.end)? {
                return Ok(Some(group.lsn));
            }
        }
        Ok(None)
    }

    /// Follows the chain from where `skim` stands to the first block boundary at or behind `to`: true where it comes so far.
    fn chain(&mut self, skim: &mut Skim, to: Lsn, mut passed: impl FnMut(Lsn)) -> Result<bool> {
        let is_left = |at: Lsn| at >= to && at.offset().is_multiple_of(BLOCK_BYTES);
        if let Some(span) = self.whole() {
            // the same as below without a look, at each step, at where the bytes are
            let mut groups = span.groups(skim.chain_end);
            while !is_left(skim.chain_end)
                && let Some(group) = groups.next()
            {
                skim.follow(&group, groups.at());
                passed(groups.at());
            }
        }
        while !is_left(skim.chain_end) {
            let Some(group) = self.group(skim.chain_end)? else { return Ok(false) };
            let Some(next) = group.head.next(group.lsn) else { return Ok(false) };
            skim.follow(&group, next);
            passed(next);
        }
        Ok(true)
    }

    /// Whether a group begins at any block boundary.
    pub(crate) fn has_groups(&mut self) -> Result<bool> {
        let written = self.segment.written()?;
        Ok(self.probe_all(&written, self.segment.base)?.is_some())
    }
}

#[cfg(test)]
mod tests;
