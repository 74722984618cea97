//! Pure: every frame of a segment that validates, whatever lies between.
//!
//! A frame's checksum is bound to its place and its file, so a frame that validates is a fact by itself: behind damage
//! the walk goes on at the next one, at whatever byte it begins. What cannot be read in between is *rubble*.

use crate::format::frame::{
    Bad, FRAME_HEADER_BYTES, FrameKind, FrameRef, PART_HEADER_BYTES, decode, decode_head, decode_part,
};
use crate::format::group::{GROUP_FRAME_BYTES, GROUP_HEAD_BYTES, GroupHead, align};
use crate::lsn::Lsn;
use crate::scan::Span;

/// One thing that stands in a segment, in order of place.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found<'a> {
    /// The first frame of a group.
    Group(Lsn, GroupHead),
    /// Any other frame, with its bytes and the engine time of the last group before it.
    Frame { lsn: Lsn, frame: FrameRef<'a>, bytes: &'a [u8], time_us: u64 },
    /// Bytes that are no frame, before one that is; the head of the first lost record, if that survived.
    Rubble { from: Lsn, to: Lsn, head: Option<&'a [u8]> },
    /// A group's own frame is lost; its records follow.
    LostGroup(Lsn),
    /// A byte in the padding of a group that is not zero.
    Padding(Lsn),
}

/// Times the length of a span that a search behind damage hashes at the most, groups' own frames aside: bytes made to
/// look like frames cost no more than that.
const SEARCH_FACTOR: usize = 8;

/// Hands everything in `span` to `visit`, in order; says where the last good frame and its padding end.
///
/// # Errors
///
/// What `visit` answers.
pub(super) fn walk<'a, E>(
    span: &Span<'a>,
    mut visit: impl FnMut(Found<'a>) -> Result<(), E>,
) -> Result<Lsn, E> {
    let (mut at, mut time_us, mut group) = (span.base, 0, None::<(Lsn, bool)>);
    let mut budget = span.data.len().saturating_mul(SEARCH_FACTOR).saturating_add(1 << 20);
    loop {
        if let Some((end, padded)) = group
            && at >= end
        {
            group = None;
            if padded && at == end {
                let next = align(at).unwrap_or(Lsn::MAX).min(span.end().max(at));
                if let Some(dirt) = first_not_zero(span, at, next) {
                    visit(Found::Padding(dirt))?;
                }
                at = next;
            }
        }
        let bytes = span.from(at);
        if bytes.is_empty() {
            return Ok(at);
        }
        let Ok(frame) = frame_at(span, at) else {
            let Some(next) = search(span, at, &mut budget) else { return Ok(at) };
            let own = group.is_none() && next.bytes_since(at) == Some(GROUP_FRAME_BYTES as u64);
            visit(match own {
                true => Found::LostGroup(at),
                false => Found::Rubble { from: at, to: next, head: lost_head(span, at) },
            })?;
            at = next;
            continue;
        };
        let end = at.plus(frame.bytes() as u64);
        match GroupHead::decode(frame.head).filter(|_| frame.kind == FrameKind::Group) {
            Some(head) => {
                time_us = head.time_us.max(time_us);
                group = at.checked_add(u64::from(head.bytes)).map(|end| (end, head.padded));
                visit(Found::Group(at, head))?;
            }
            None => visit(Found::Frame { lsn: at, frame, bytes: &bytes[..frame.bytes()], time_us })?,
        }
        at = end;
    }
}

/// Where the last byte that is not zero ends, from `from` on; `from` where all are zero.
pub(super) fn last_not_zero(span: &Span<'_>, from: Lsn) -> Lsn {
    let used = span.from(from).iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    from.plus(used as u64)
}

/// The head of the record that begins at `at` and whose body is cut off.
pub(super) fn lost_head<'a>(span: &Span<'a>, at: Lsn) -> Option<&'a [u8]> {
    match decode_head(span.from(at), at, span.binding) {
        Ok((FrameKind::Record, head)) => Some(head),
        _ => None,
    }
}

/// The parts of a body that do not validate: offset in the record and bytes, the part's header included.
pub(super) fn bad_parts(lsn: Lsn, frame: &FrameRef<'_>) -> Vec<(u32, u32)> {
    let (mut bad, mut at) = (Vec::new(), 0);
    let start = FRAME_HEADER_BYTES + frame.head.len();
    while at < frame.body.len() {
        let rest = &frame.body[at..];
        let Ok(offset) = u32::try_from(start + at) else { return bad };
        let stated =
            rest.get(4..8).map(|len| len.iter().rev().fold(0_usize, |n, &b| n << 8 | usize::from(b)));
        let whole = stated.map_or(usize::MAX, |len| len.saturating_add(PART_HEADER_BYTES)).min(rest.len());
        if decode_part(rest, lsn, offset).is_err() {
            bad.push((offset, u32::try_from(whole).unwrap_or(u32::MAX)));
        }
        at += whole;
    }
    bad
}

fn frame_at<'a>(span: &Span<'a>, at: Lsn) -> Result<FrameRef<'a>, Bad> {
    let frame = decode(span.from(at), at, span.binding)?;
    if frame.kind == FrameKind::Group && (GroupHead::decode(frame.head).is_none() || !frame.body.is_empty()) {
        return Err(Bad::Kind);
    }
    Ok(frame)
}

/// The first frame behind `from`.
fn search(span: &Span<'_>, from: Lsn, budget: &mut usize) -> Option<Lsn> {
    let bytes = span.from(from);
    for at in 1..bytes.len().saturating_sub(FRAME_HEADER_BYTES - 1) {
        let header = &bytes[at..at + FRAME_HEADER_BYTES];
        if header[12] == 0 || header[13..16] != [0; 3] || header[12] > FrameKind::Lost as u8 {
            continue;
        }
        let head = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
        if head > bytes.len() - at {
            continue;
        }
        match budget.checked_sub(FRAME_HEADER_BYTES + head) {
            Some(left) => *budget = left,
            None if head > GROUP_HEAD_BYTES => continue,
            None => {}
        }
        let lsn = from.plus(at as u64);
        if frame_at(span, lsn).is_ok() {
            return Some(lsn);
        }
    }
    None
}

fn first_not_zero(span: &Span<'_>, from: Lsn, to: Lsn) -> Option<Lsn> {
    let bytes = usize::try_from(to.bytes_since(from)?).ok()?;
    let at = span.from(from).iter().take(bytes).position(|&byte| byte != 0)?;
    Some(from.plus(at as u64))
}
