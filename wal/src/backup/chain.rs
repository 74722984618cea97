//! Pure: the groups and frames of a segment, verified as its bytes come by, in memory for one frame.
//!
//! A log as it was written is a chain without holes: a group, its frames, zeros to the next block where it is padded,
//! the next group. Whatever breaks it is damage: nothing that a backup could hold in good faith.

use crate::format::checksum::Binding;
use crate::format::frame::{Bad, FRAME_HEADER_BYTES, FrameKind, FrameRef, decode};
use crate::format::group::{GROUP_FRAME_BYTES, GroupHead, align};
use crate::format::packed::PackedRef;
use crate::limits::{BODY_BYTES_MAX, HEAD_BYTES_MAX};
use crate::lsn::Lsn;

/// One frame of the chain, verified.
#[derive(Clone, Copy, Debug)]
pub(super) enum Link<'a> {
    /// The first frame of a group.
    Group(Lsn, GroupHead),
    /// Any other frame, with its bytes and the engine time of its group.
    Frame { lsn: Lsn, frame: FrameRef<'a>, bytes: &'a [u8], time_us: u64 },
    /// The group that was begun last is complete.
    Complete,
    /// A record of a packed segment.
    Packed(PackedRef<'a>),
}

/// More bytes no group has: a group is four MiB of records, or one record.
const GROUP_BYTES_MAX: u64 =
    (GROUP_FRAME_BYTES + FRAME_HEADER_BYTES + HEAD_BYTES_MAX + BODY_BYTES_MAX) as u64;

/// A chain as far as it came by.
#[derive(Debug)]
pub(super) struct Chain {
    binding: Binding,
    /// Where the first byte of `rest` stands.
    at: Lsn,
    /// Bytes that are not a whole frame yet.
    rest: Vec<u8>,
    /// Where the group that is open ends, and whether it is padded.
    group: Option<(Lsn, bool)>,
    /// Zeros follow up to here.
    padding: Lsn,
    time_us: u64,
}

/// The place at which the chain is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken(pub(super) Lsn);

impl Chain {
    /// The chain that begins with a group at `from`.
    pub(super) fn new(from: Lsn, binding: Binding) -> Self {
        Self { binding, at: from, rest: Vec::new(), group: None, padding: from, time_us: 0 }
    }

    /// Takes the next bytes and hands every frame that they complete to `visit`, in order.
    ///
    /// # Errors
    ///
    /// [`Broken`], as `E`; or what `visit` answers.
    pub(super) fn feed<E: From<Broken>>(
        &mut self,
        bytes: &[u8],
        mut visit: impl FnMut(Link<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut bytes = bytes;
        let mut begun = std::mem::take(&mut self.rest);
        while !begun.is_empty() && !bytes.is_empty() {
            let (more, left) = bytes.split_at(self.lacking(&begun)?.min(bytes.len()));
            begun.extend_from_slice(more);
            bytes = left;
            if let Some(step) = self.step(&begun, &mut visit)? {
                debug_assert_eq!(step, begun.len());
                self.at = self.at.plus(step as u64);
                begun.clear();
            }
        }
        if begun.is_empty() {
            while let Some(step) = self.step(bytes, &mut visit)? {
                self.at = self.at.plus(step as u64);
                bytes = &bytes[step..];
            }
            begun.extend_from_slice(bytes);
        }
        self.rest = begun;
        Ok(())
    }

    /// Bytes that a frame lacks which is begun: to know its length, or to be whole.
    fn lacking(&self, begun: &[u8]) -> Result<usize, Broken> {
        let whole = whole_frame(begun).map_err(|_| Broken(self.at))?;
        Ok(whole.unwrap_or(FRAME_HEADER_BYTES).saturating_sub(begun.len()))
    }

    /// The chain ends here: whether that is behind a group.
    pub(super) fn finish(&self) -> Result<(), Broken> {
        let whole = self.rest.is_empty() && self.group.is_none() && self.padding <= self.at;
        if whole { Ok(()) } else { Err(Broken(self.at)) }
    }

    /// How many bytes the next thing takes; `None` where more bytes are needed.
    fn step<E: From<Broken>>(
        &mut self,
        bytes: &[u8],
        visit: &mut impl FnMut(Link<'_>) -> Result<(), E>,
    ) -> Result<Option<usize>, E> {
        let broken = || E::from(Broken(self.at));
        if let Some(left) = self.padding.bytes_since(self.at).filter(|left| *left > 0) {
            let zeros = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let good = bytes[..zeros].iter().all(|&byte| byte == 0);
            return if good { Ok((zeros > 0).then_some(zeros)) } else { Err(broken()) };
        }
        let Some(whole) = whole_frame(bytes).map_err(|_| broken())? else { return Ok(None) };
        let end = self.at.checked_add(whole as u64).ok_or_else(broken)?;
        if self.group.is_some_and(|(group_end, _)| end > group_end) {
            return Err(broken());
        }
        if bytes.len() < whole {
            return Ok(None);
        }
        let frame = decode(&bytes[..whole], self.at, self.binding).map_err(|_| broken())?;
        match (frame.kind, self.group) {
            (FrameKind::Group, None) => {
                let head = GroupHead::decode(frame.head).ok_or_else(broken)?;
                let group_end = self.at.checked_add(u64::from(head.bytes)).ok_or_else(broken)?;
                let sane = group_end >= end && u64::from(head.bytes) <= GROUP_BYTES_MAX;
                if !frame.body.is_empty() || head.time_us < self.time_us || !sane {
                    return Err(broken());
                }
                self.time_us = head.time_us;
                self.group = Some((group_end, head.padded));
                visit(Link::Group(self.at, head))?;
            }
            (FrameKind::Group, Some(_)) | (_, None) => return Err(broken()),
            (_, Some(_)) => {
                let (lsn, bytes, time_us) = (self.at, &bytes[..whole], self.time_us);
                visit(Link::Frame { lsn, frame, bytes, time_us })?;
            }
        }
        if let Some((group_end, padded)) = self.group
            && end == group_end
        {
            self.group = None;
            self.padding = if padded { align(end).ok_or_else(broken)? } else { end };
            visit(Link::Complete)?;
        }
        Ok(Some(whole))
    }
}

/// Bytes of the frame at the front; `None` where its header is not there yet.
fn whole_frame(bytes: &[u8]) -> Result<Option<usize>, Bad> {
    let Some(header) = bytes.first_chunk::<FRAME_HEADER_BYTES>() else { return Ok(None) };
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let (head, body) = (word(4) as usize, word(8) as usize);
    if head > HEAD_BYTES_MAX || body > BODY_BYTES_MAX {
        return Err(Bad::Length);
    }
    Ok(Some(FRAME_HEADER_BYTES + head + body))
}
