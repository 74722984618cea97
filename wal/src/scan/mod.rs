//! Pure: reading a segment's bytes front to back. Gathers facts and writes nothing; `tail` judges them.
//!
//! Three gaits. `groups` hops from group to group by their first frames. `probe` looks behind damage, at each 4 KiB
//! boundary, where every group after a sync begins. `walk` goes through the frames of one group.

pub(crate) mod pieces;
pub mod tail;

use crate::format::checksum::Binding;
use crate::format::frame::{Bad, FrameKind, FrameRef, decode, decode_bare};
use crate::format::group::{GROUP_FRAME_BYTES, GROUP_HEAD_BYTES, GroupHead, StatedEnd, align, decode_ends};
use crate::limits::BLOCK_BYTES;
use crate::lsn::Lsn;
use crate::raw;

/// How far ahead heads are fetched, and the bytes that are fetched at once.
const RECORDS_AHEAD: usize = 6;
const LINE_BYTES: usize = 64;

/// How far ahead whole records are fetched where all of them is read, how long those are, and how much of each is: the processor
/// guesses the lines of longer ones by itself, but no page's first ones.
const WHOLE_AHEAD: usize = 2;
const WHOLE_BYTES_MIN: usize = 512;
const WHOLE_BYTES_MAX: usize = 2048;

/// A run of log bytes in one file: the byte at `base` is `data[0]`.
#[derive(Clone, Copy, Debug)]
pub struct Span<'a> {
    /// LSN of the first byte.
    pub base: Lsn,
    /// What binds frames to the file.
    pub binding: Binding,
    /// The bytes, as far as they may be read.
    pub data: &'a [u8],
}

/// A group in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupAt {
    /// Where it begins.
    pub lsn: Lsn,
    /// What its first frame says.
    pub head: GroupHead,
}

/// How much of each frame a walk verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    /// Header and head: enough where the log is proven.
    Heads,
    /// Every byte.
    Bodies,
}

impl<'a> Span<'a> {
    /// The bytes from `lsn` on; empty outside the span.
    #[inline]
    #[must_use]
    pub fn from(&self, lsn: Lsn) -> &'a [u8] {
        let at = lsn.bytes_since(self.base).and_then(|n| usize::try_from(n).ok());
        at.and_then(|at| self.data.get(at..)).unwrap_or_default()
    }

    /// Behind the last byte.
    #[must_use]
    pub fn end(&self) -> Lsn {
        self.base.checked_add(self.data.len() as u64).unwrap_or(Lsn::MAX)
    }

    /// The group that begins at `lsn`.
    ///
    /// # Errors
    ///
    /// Why there is none; [`Bad::Length`] also where the group would reach past the span.
    #[inline]
    pub fn group(&self, lsn: Lsn) -> Result<GroupAt, Bad> {
        let group = self.group_head(lsn)?;
        if group.head.bytes as usize > self.from(lsn).len() { Err(Bad::Length) } else { Ok(group) }
    }

    /// The group that begins at `lsn`, which may reach past the span.
    ///
    /// # Errors
    ///
    /// Why there is none.
    #[inline]
    pub fn group_head(&self, lsn: Lsn) -> Result<GroupAt, Bad> {
        let bytes = self.from(lsn);
        // Wherever a group may begin it is asked for, of a value's bytes too: no checksum of what they call their length.
        match decode_bare::<GROUP_HEAD_BYTES>(bytes, lsn, self.binding)? {
            (FrameKind::Group, head) => {
                GroupHead::decode(head).map(|head| GroupAt { lsn, head }).ok_or(Bad::Kind)
            }
            _ => Err(Bad::Kind),
        }
    }

    /// Groups in a chain from `lsn` on, ending before the first bad one.
    #[must_use]
    pub fn groups(&self, lsn: Lsn) -> Groups<'a> {
        Groups { span: *self, at: lsn }
    }

    /// Groups at block boundaries from `lsn` on, whatever lies between.
    pub fn probe(&self, lsn: Lsn) -> impl Iterator<Item = GroupAt> + use<'a> {
        let span = *self;
        let first = align(lsn).unwrap_or(Lsn::MAX);
        let blocks = span.end().bytes_since(first).unwrap_or(0).div_ceil(BLOCK_BYTES);
        (0..blocks).filter_map(move |n| span.group(first.plus(n * BLOCK_BYTES)).ok())
    }

    /// Hands every frame behind the group's first one to `visit`, in order.
    ///
    /// # Errors
    ///
    /// The place of the first bad frame, or of the first bad body where bodies are verified.
    #[inline]
    pub fn walk(
        &self,
        group: GroupAt,
        verify: Verify,
        mut visit: impl FnMut(Lsn, FrameRef<'a>),
    ) -> Result<(), Lsn> {
        let bytes = self.from(group.lsn);
        let group_bytes = &bytes[..bytes.len().min(group.head.bytes as usize)];
        let mut at = GROUP_FRAME_BYTES;
        while at < group_bytes.len() {
            let lsn = group.lsn.within(at);
            let frame = decode(&group_bytes[at..], lsn, self.binding).map_err(|_| lsn)?;
            if verify == Verify::Bodies {
                fetch_whole(bytes, at + WHOLE_AHEAD * frame.bytes(), frame.bytes());
                if !frame.body_is_good(lsn) {
                    return Err(lsn);
                }
            }
            // Records are often as long as the one before: what is not read of their bodies lets no processor guess that.
            let soon = at + RECORDS_AHEAD * frame.bytes();
            raw::prefetch_at(bytes, soon);
            raw::prefetch_at(bytes, soon + LINE_BYTES);
            visit(lsn, frame);
            at += frame.bytes();
        }
        Ok(())
    }

    /// The ends that the segment's first group states; `None` where no good first group stands.
    #[must_use]
    pub fn stated_ends(&self) -> Option<Vec<StatedEnd>> {
        let group = self.group(self.base).ok()?;
        let lsn = self.base.plus(GROUP_FRAME_BYTES as u64);
        let frame = decode(self.from(lsn), lsn, self.binding).ok()?;
        if group.head.frames == 0 || frame.kind != FrameKind::Ends { None } else { decode_ends(frame.head) }
    }
}

/// Asks for the lines of a record of so many bytes.
#[inline(always)]
fn fetch_whole(log: &[u8], at: usize, bytes: usize) {
    if (WHOLE_BYTES_MIN..WHOLE_BYTES_MAX).contains(&bytes) {
        (at..at + bytes).step_by(LINE_BYTES).for_each(|line| raw::prefetch_at(log, line));
    }
}

/// A chain of groups; see [`Span::groups`].
#[derive(Clone, Copy, Debug)]
pub struct Groups<'a> {
    span: Span<'a>,
    at: Lsn,
}

impl Groups<'_> {
    /// Where the chain stands: after the last group handed out, behind its padding.
    #[must_use]
    pub fn at(&self) -> Lsn {
        self.at
    }
}

impl Iterator for Groups<'_> {
    type Item = GroupAt;

    #[inline]
    fn next(&mut self) -> Option<GroupAt> {
        let group = self.span.group(self.at).ok()?;
        self.at = group.head.next(self.at)?;
        Some(group)
    }
}

/// What a skim over one segment finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skim {
    /// Groups in the chain from the front.
    pub groups: u64,
    /// Where the chain ends.
    pub chain_end: Lsn,
    /// Groups behind the end of the chain, at block boundaries.
    pub groups_behind: u64,
    /// The largest `durable_through` of any of them.
    pub durable_through: Lsn,
    /// The largest time of any of them.
    pub time_us: u64,
}

/// Hops over the groups of a segment and looks behind where they end.
#[must_use]
pub fn skim(span: &Span<'_>) -> Skim {
    let mut skim = Skim::at(span.base);
    let mut chain = span.groups(span.base);
    while let Some(group) = chain.next() {
        skim.follow(&group, chain.at());
    }
    for group in span.probe(skim.chain_end) {
        skim.find(&group);
    }
    skim
}

impl Skim {
    /// Nothing was looked at yet.
    pub(crate) fn at(base: Lsn) -> Self {
        Self { groups: 0, chain_end: base, groups_behind: 0, durable_through: Lsn::NONE, time_us: 0 }
    }

    /// The chain goes on with `group`, behind which it stands at `next`.
    pub(crate) fn follow(&mut self, group: &GroupAt, next: Lsn) {
        (self.groups, self.chain_end) = (self.groups + 1, next);
        self.note(group);
    }

    /// A group stands behind the end of the chain.
    pub(crate) fn find(&mut self, group: &GroupAt) {
        self.groups_behind += 1;
        self.note(group);
    }

    /// The chain goes on with that of `next`, which begins where this one ends.
    fn join(&mut self, next: &Self) {
        (self.groups, self.chain_end) = (self.groups + next.groups, next.chain_end);
        self.durable_through = self.durable_through.max(next.durable_through);
        self.time_us = self.time_us.max(next.time_us);
    }

    fn note(&mut self, group: &GroupAt) {
        self.durable_through = self.durable_through.max(group.head.durable_through);
        self.time_us = self.time_us.max(group.head.time_us);
    }
}

/// Verifies every byte from `from`, where a group begins, and says where the first bad frame or body stands: behind
/// the last good group where there is none.
#[must_use]
pub fn first_bad(span: &Span<'_>, from: Lsn) -> Lsn {
    let mut chain = span.groups(from);
    for group in chain.by_ref() {
        if let Err(bad) = span.walk(group, Verify::Bodies, |_, _| {}) {
            return bad;
        }
    }
    chain.at()
}

/// Verifies as [`first_bad`] does, and says where the last group ends that is good as a whole.
#[must_use]
pub fn last_whole(span: &Span<'_>, from: Lsn) -> Lsn {
    let is_good = |group: &GroupAt| span.walk(*group, Verify::Bodies, |_, _| {}).is_ok();
    let good = span.groups(from).take_while(is_good);
    good.last().map_or(from, |group| group.head.next(group.lsn).unwrap_or(from))
}

#[cfg(test)]
mod tests;
