//! Corridor: a record or a part of one, verified, by its place.

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};
use crate::format::frame::{
    Bad, FRAME_HEADER_BYTES, FrameKind, PART_HEADER_BYTES, decode, decode_head, decode_part,
};
use crate::format::header::SegmentKind;
use crate::limits::{BODY_BYTES_MAX, HEAD_BYTES_MAX};
use crate::log::{Log, forked, segment_in};
use crate::lsn::Lsn;
use crate::raw;
use crate::segment::file::Segment;

/// A record as it was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place.
    pub lsn: Lsn,
    /// Its head.
    pub head: Bytes,
    /// The parts of its body, each with its offset in the record.
    pub parts: Vec<(u32, Bytes)>,
}

impl Record {
    /// The whole body, its parts behind one another.
    #[must_use]
    pub fn body(&self) -> Bytes {
        match self.parts.as_slice() {
            [] => Bytes::new(),
            [(_, part)] => part.clone(),
            parts => parts.iter().flat_map(|(_, part)| part.iter().copied()).collect(),
        }
    }
}

/// Parts up to this size are copied: that costs less than sharing the map, which other threads share at the same time,
/// and a small value does not keep a whole file mapped. Larger ones share it.
const COPIED_BYTES_MAX: u32 = 4 << 10;

/// Most bytes of a record that are read before its length is known.
const FIRST_READ_BYTES: usize = 16 << 10;

impl Log {
    /// The record at `lsn`, every byte verified.
    pub(crate) fn read(&self, lsn: Lsn) -> Result<Record> {
        let segment = self.readable(lsn)?;
        if segment.kind == SegmentKind::Packed {
            return read_packed(&segment, lsn);
        }
        let mut bytes = segment.read(lsn, FIRST_READ_BYTES)?;
        let needed = frame_bytes(&bytes).ok_or_else(|| damaged(&segment, lsn, "record"))?;
        if needed > bytes.len() {
            bytes = segment.read(lsn, needed)?;
        }
        let frame = decode(&bytes, lsn, segment.binding).map_err(|_| damaged(&segment, lsn, "record"))?;
        if frame.kind != FrameKind::Record {
            return Err(gone(lsn));
        }
        let parts = frame
            .parts(lsn)
            .map(|part| part.map(|(offset, part)| (offset, bytes.slice_ref(part))))
            .collect::<Result<_, _>>()
            .map_err(|_| damaged(&segment, lsn, "body of the record"))?;
        Ok(Record { lsn, head: bytes.slice_ref(frame.head), parts })
    }

    /// The head of the record at `lsn`, verified; its body is not looked at.
    pub(crate) fn read_head(&self, lsn: Lsn) -> Result<Bytes> {
        let segment = self.readable(lsn)?;
        if segment.kind == SegmentKind::Packed {
            let at = segment.find(lsn)?.ok_or_else(|| gone(lsn))?;
            let bytes = segment.packed_frame(at)?;
            return segment.packed_record(&bytes, at, lsn).map(|packed| bytes.slice_ref(packed.head));
        }
        let header = segment.read(lsn, FRAME_HEADER_BYTES)?;
        let field =
            |at: usize| header.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
        let (Some(head_len), Some(_)) = (field(4), frame_bytes(&header)) else {
            return Err(damaged(&segment, lsn, "record"));
        };
        let whole = segment.read(lsn, FRAME_HEADER_BYTES + head_len as usize)?;
        match decode_head(&whole, lsn, segment.binding) {
            Ok((FrameKind::Record, head)) => Ok(whole.slice_ref(head)),
            Ok(_) => Err(gone(lsn)),
            Err(_) => Err(damaged(&segment, lsn, "record")),
        }
    }

    /// One part of the record at `lsn`, verified: `offset` bytes behind it, `bytes` long. Of a record that has its place and is
    /// not in the files yet too.
    #[inline]
    pub(crate) fn read_part(&self, lsn: Lsn, offset: u32, bytes: u32) -> Result<Bytes> {
        let copied = bytes <= COPIED_BYTES_MAX;
        self.part(lsn, offset, bytes, copied, Bytes::copy_from_slice, Bytes::slice_ref)
    }

    /// Lets `look` see that part where it stands.
    #[inline]
    pub(crate) fn look_at_part<R>(
        &self,
        lsn: Lsn,
        offset: u32,
        bytes: u32,
        look: impl Fn(&[u8]) -> R,
    ) -> Result<R> {
        self.part(lsn, offset, bytes, true, &look, |_, part| look(part))
    }

    /// The part, made of the map's memory where `lent` says so and there is a map, else of what was read.
    #[inline]
    fn part<R>(
        &self,
        lsn: Lsn,
        offset: u32,
        bytes: u32,
        lent: bool,
        of_lent: impl FnOnce(&[u8]) -> R,
        of_read: impl FnOnce(&Bytes, &[u8]) -> R,
    ) -> Result<R> {
        if lsn >= self.accepted.get() {
            match self.part_on_its_way(lsn, offset, bytes)? {
                Some(part) => return Ok(of_read(&part, &part)),
                None if lsn >= self.accepted.get() => return Err(gone(lsn)),
                None => {} // by now it is in the files
            }
        }
        let segments = self.segments.read();
        let segment = segment_in(&segments, lsn).ok_or_else(|| gone(lsn))?;
        if segment.kind == SegmentKind::Packed {
            if lent && let Some(map) = segment.mapped()? {
                let part = segment.packed_part_in(map, lsn, offset, bytes)?.ok_or_else(|| gone(lsn))?;
                return Ok(of_lent(part));
            }
            let part = segment.packed_part(lsn, offset, bytes)?.ok_or_else(|| gone(lsn))?;
            return Ok(of_read(&part, &part));
        }
        let at = lsn.checked_add(u64::from(offset)).ok_or_else(|| gone(lsn))?;
        let whole = PART_HEADER_BYTES + bytes as usize;
        let is_good = |part: &[u8]| part.len() == bytes as usize;
        if lent && let Some(there) = segment.lent(at, whole)? {
            // how long it is stands in its first line: nothing of the others would be asked for before that one has come
            raw::prefetch_behind_first(there, whole);
            return match decode_part(there, lsn, offset) {
                Ok(part) if is_good(part) => Ok(of_lent(part)),
                _ => Err(damaged(segment, at, "part")),
            };
        }
        let whole = segment.read(at, whole)?;
        match decode_part(&whole, lsn, offset) {
            Ok(part) if is_good(part) => Ok(of_read(&whole, part)),
            _ => Err(damaged(segment, at, "part")),
        }
    }

    /// The part of a record that has its place and may not be in the files yet; `None` where no such bytes wait.
    #[cold]
    fn part_on_its_way(&self, lsn: Lsn, offset: u32, bytes: u32) -> Result<Option<Bytes>> {
        if self.is_forked() {
            return Err(forked()); // it is on its way in the process that placed it, whose lock may be held here for ever
        }
        let Some(at) = lsn.checked_add(u64::from(offset)) else { return Ok(None) };
        let waits = self.order.lock().bytes_at(at, PART_HEADER_BYTES + bytes as usize);
        let Some(whole) = waits else { return Ok(None) };
        match decode_part(&whole, lsn, offset) {
            Ok(part) if part.len() == bytes as usize => Ok(Some(whole.slice_ref(part))),
            _ => {
                let say =
                    format!("no part of {bytes} bytes stands at {at} of what is on its way to the disk");
                Err(Error::new(ErrorKind::Corrupt, say).at(at))
            }
        }
    }

    fn readable(&self, lsn: Lsn) -> Result<std::sync::Arc<Segment>> {
        if lsn >= self.accepted.get() {
            return Err(gone(lsn));
        }
        self.segment_of(lsn).ok_or_else(|| gone(lsn))
    }
}

fn read_packed(segment: &Segment, lsn: Lsn) -> Result<Record> {
    let at = segment.find(lsn)?.ok_or_else(|| gone(lsn))?;
    let bytes = segment.packed_frame(at)?;
    let packed = segment.packed_record(&bytes, at, lsn)?;
    let part = |(offset, part): (u32, Result<&[u8], Bad>)| match part {
        Ok(part) => Ok((offset, bytes.slice_ref(part))),
        Err(_) => {
            let say = format!(
                "the body of the record at {lsn} is damaged ({}, offset {at}): everything else is readable; run `savehold verify`",
                segment.path.display()
            );
            Err(Error::new(ErrorKind::Corrupt, say).at(lsn))
        }
    };
    Ok(Record {
        lsn,
        head: bytes.slice_ref(packed.head),
        parts: packed.parts().map(part).collect::<Result<_>>()?,
    })
}

/// The length that a frame's header states, if it keeps the limits.
fn frame_bytes(bytes: &[u8]) -> Option<usize> {
    let field = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize);
    let (head, body) = (field(4)?, field(8)?);
    (head <= HEAD_BYTES_MAX && body <= BODY_BYTES_MAX).then_some(FRAME_HEADER_BYTES + head + body)
}

fn gone(lsn: Lsn) -> Error {
    Error::new(
        ErrorKind::Gone,
        format!("no record at {lsn}: it was retired, or never written; read from the log's begin on"),
    )
    .at(lsn)
}

fn damaged(segment: &Segment, at: Lsn, what: &str) -> Error {
    let say = format!(
        "the {what} at {at} is damaged ({}, offset {}): everything else is readable; run `savehold verify`",
        segment.path.display(),
        segment.file_offset(at)
    );
    Error::new(ErrorKind::Corrupt, say).at(at)
}
