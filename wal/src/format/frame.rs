//! Pure: the frame, a record with its header on disk, and the parts of its body.
//!
//! ```text
//! offset  0        4          8          12     13     16              16+head
//!         +--------+----------+----------+------+------+---------------+------------------------+
//!         | crc32  | head len | body len | kind | zero | head          | body: part part …      |
//!         +--------+----------+----------+------+------+---------------+------------------------+
//!
//! part    0        4          8
//!         +--------+----------+-----------+
//!         | crc32  | len      | bytes     |
//!         +--------+----------+-----------+
//! ```
//!
//! The frame's crc32 covers bytes 4 to 16+head, then the frame's LSN and the file's binding (`checksum`). A part's
//! crc32 covers its bytes, then the LSN and the part's offset in the frame; there is none over the whole body, so a
//! read verifies what it returns and nothing more. Parts fill the body exactly.
//! head len ≤ `HEAD_BYTES_MAX`, body len ≤ `BODY_BYTES_MAX`, both checked before anything is read or allocated.
//! Little-endian. Kind numbers are on disk for ever: add, never renumber. A header of zeros is no frame: nothing was
//! written there.

use std::cell::Cell;

use bytes::Bytes;

use super::checksum::{self, Binding, Unplaced};
use super::cursor::Take;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{BODY_BYTES_MAX, HEAD_BYTES_MAX};
use crate::lsn::Lsn;

/// Bytes before the head.
pub const FRAME_HEADER_BYTES: usize = 16;

/// Bytes before a part's own bytes.
pub const PART_HEADER_BYTES: usize = 8;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameKind {
    /// The beginning of a group: see `group`.
    Group = 1,
    /// A record of the caller's.
    Record = 2,
    /// How earlier segments ended: see `group`.
    Ends = 3,
    /// Bytes that a repair found damaged: the head is as many zeros.
    Lost = 4,
    /// What compaction kept of a record, in a packed segment: see `packed`.
    Packed = 5,
}

impl FrameKind {
    const fn from_u8(n: u8) -> Option<Self> {
        match n {
            1 => Some(Self::Group),
            2 => Some(Self::Record),
            3 => Some(Self::Ends),
            4 => Some(Self::Lost),
            5 => Some(Self::Packed),
            _ => None,
        }
    }
}

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// A header of zeros, or no room for a header: nothing was written here.
    Nothing,
    /// A length over its limit, or past the end of what may be read.
    Length,
    /// The checksum does not fit the bytes and their place.
    Checksum,
    /// The checksum fits, but the kind or a reserved field is not known: a newer format.
    Kind,
}

/// A frame in its place, its header and head verified, its body not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRef<'a> {
    /// What it holds.
    pub kind: FrameKind,
    /// Verified.
    pub head: &'a [u8],
    /// Not verified: see [`FrameRef::parts`].
    pub body: &'a [u8],
}

impl<'a> FrameRef<'a> {
    /// Bytes of the whole frame.
    #[must_use]
    pub fn bytes(&self) -> usize {
        FRAME_HEADER_BYTES + self.head.len() + self.body.len()
    }

    /// The parts of the body, each verified as it is reached.
    #[must_use]
    pub fn parts(&self, lsn: Lsn) -> Parts<'a> {
        Parts { body: self.body, lsn, at: FRAME_HEADER_BYTES + self.head.len() }
    }

    /// True when the parts fill the body and every one is good.
    #[must_use]
    pub fn body_is_good(&self, lsn: Lsn) -> bool {
        self.parts(lsn).all(|part| part.is_ok())
    }
}

/// Reads the frame at the front of `bytes`, which stand at `lsn` of the file that `binding` names and may reach
/// past the frame.
///
/// # Errors
///
/// Why there is no frame.
#[inline]
pub fn decode(bytes: &[u8], lsn: Lsn, binding: Binding) -> Result<FrameRef<'_>, Bad> {
    let header = decode_header(bytes)?;
    let (_, rest) = bytes.split_at(FRAME_HEADER_BYTES);
    if header.head_len + header.body_len > rest.len() {
        return Err(Bad::Length);
    }
    let kind = header.verify(bytes, lsn, binding)?;
    let (head, rest) = rest.split_at(header.head_len);
    Ok(FrameRef { kind, head, body: &rest[..header.body_len] })
}

/// Reads a frame that has a head of `HEAD` bytes and no body, as [`decode`] does.
///
/// # Errors
///
/// As [`decode`]; [`Bad::Kind`], no checksum compared, where the header says other lengths.
#[inline]
pub(crate) fn decode_bare<const HEAD: usize>(
    bytes: &[u8],
    lsn: Lsn,
    binding: Binding,
) -> Result<(FrameKind, &[u8; HEAD]), Bad> {
    let header = decode_header(bytes)?;
    if (header.head_len, header.body_len) != (HEAD, 0) {
        return Err(Bad::Kind);
    }
    let head = bytes[FRAME_HEADER_BYTES..].first_chunk().ok_or(Bad::Length)?;
    Ok((header.verify(bytes, lsn, binding)?, head))
}

/// What a header says, its lengths within the limits, its checksum not yet compared.
#[derive(Clone, Copy)]
struct Header {
    crc: u32,
    head_len: usize,
    body_len: usize,
    kind: [u8; 4],
}

#[inline]
fn decode_header(bytes: &[u8]) -> Result<Header, Bad> {
    let Some(header) = bytes.first_chunk::<FRAME_HEADER_BYTES>() else {
        return Err(Bad::Nothing);
    };
    if *header == [0; FRAME_HEADER_BYTES] {
        return Err(Bad::Nothing);
    }
    let four = |at: usize| [header[at], header[at + 1], header[at + 2], header[at + 3]];
    let word = |at: usize| u32::from_le_bytes(four(at));
    let (head_len, body_len) = (word(4) as usize, word(8) as usize);
    if head_len > HEAD_BYTES_MAX || body_len > BODY_BYTES_MAX {
        return Err(Bad::Length);
    }
    Ok(Header { crc: word(0), head_len, body_len, kind: four(12) })
}

impl Header {
    /// The kind, once the checksum fits; `bytes` hold the head.
    #[inline]
    fn verify(&self, bytes: &[u8], lsn: Lsn, binding: Binding) -> Result<FrameKind, Bad> {
        let covered = &bytes[4..FRAME_HEADER_BYTES + self.head_len];
        if checksum::frame(covered, lsn, binding) != self.crc {
            return Err(Bad::Checksum);
        }
        match self.kind {
            [kind, 0, 0, 0] => FrameKind::from_u8(kind).ok_or(Bad::Kind),
            _ => Err(Bad::Kind),
        }
    }
}

/// Lengths of head and body that the header at the front of `bytes` states, within their limits; its checksum is not
/// compared.
#[must_use]
pub fn lengths(bytes: &[u8]) -> Option<(usize, usize)> {
    decode_header(bytes).ok().map(|header| (header.head_len, header.body_len))
}

/// Reads the header and head at the front of `bytes`, which need not reach further.
///
/// # Errors
///
/// As [`decode`].
pub fn decode_head(bytes: &[u8], lsn: Lsn, binding: Binding) -> Result<(FrameKind, &[u8]), Bad> {
    let header = decode_header(bytes)?;
    let head = bytes.get(FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + header.head_len).ok_or(Bad::Length)?;
    header.verify(bytes, lsn, binding).map(|kind| (kind, head))
}

/// Reads the part at the front of `bytes`, which stand `offset` bytes behind the record's `lsn`.
///
/// # Errors
///
/// [`Bad::Length`] or [`Bad::Checksum`].
#[inline]
pub fn decode_part(bytes: &[u8], lsn: Lsn, offset: u32) -> Result<&[u8], Bad> {
    let mut take = Take(bytes);
    let (Some(crc), Some(len)) = (take.u32(), take.u32()) else { return Err(Bad::Length) };
    let part = take.bytes(len as usize).ok_or(Bad::Length)?;
    if Unplaced::of(part).part_at(lsn, offset) == crc { Ok(part) } else { Err(Bad::Checksum) }
}

/// The parts of one body; see [`FrameRef::parts`].
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    body: &'a [u8],
    lsn: Lsn,
    at: usize,
}

impl<'a> Iterator for Parts<'a> {
    /// The part's offset in the record and its bytes.
    type Item = Result<(u32, &'a [u8]), Bad>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.body.is_empty() {
            return None;
        }
        let Ok(offset) = u32::try_from(self.at) else {
            self.body = &[];
            return Some(Err(Bad::Length));
        };
        let part = decode_part(self.body, self.lsn, offset);
        let step = part.map_or(self.body.len(), |part| PART_HEADER_BYTES + part.len());
        self.body = &self.body[step..];
        self.at += step;
        Some(part.map(|part| (offset, part)))
    }
}

/// A frame on its way to the log: encoded and checksummed, all but its place.
#[derive(Clone, Debug)]
pub struct Frame {
    bytes: FrameBytes,
    head: Unplaced,
    head_bytes: usize,
    first_part: Option<(u32, Unplaced)>,
    more_parts: Vec<(u32, Unplaced)>,
}

impl Frame {
    /// A record of the caller's: a head and the parts of a body.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`] over `HEAD_BYTES_MAX` or `BODY_BYTES_MAX`.
    pub fn record(head: &[u8], parts: &[&[u8]]) -> Result<Self> {
        let body = parts.iter().map(|part| PART_HEADER_BYTES + part.len()).sum::<usize>();
        check(head.len(), body)?;
        let mut writer = FrameWriter::new(head.len() + body);
        writer.put_head(head);
        for part in parts {
            writer.part(|out| {
                out.extend_from_slice(part);
                Ok(())
            })?;
        }
        writer.finish()
    }

    /// Bytes that the frame takes in the log.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a frame is never empty")]
    pub fn len(&self) -> usize {
        self.bytes().len()
    }

    /// Its head.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        &self.bytes()[FRAME_HEADER_BYTES..self.body_offset()]
    }

    /// Where its body begins.
    #[must_use]
    pub fn body_offset(&self) -> usize {
        FRAME_HEADER_BYTES + self.head_bytes
    }

    /// The offset of part `n` in the frame: what the caller stores to read it again.
    #[must_use]
    pub fn part_offset(&self, n: usize) -> Option<u32> {
        let part = if n == 0 { self.first_part } else { self.more_parts.get(n - 1).copied() };
        part.map(|(offset, _)| offset)
    }

    /// Completes the checksums for the place the frame was given: once, before the bytes are shared.
    #[inline]
    pub(crate) fn place(&mut self, lsn: Lsn, binding: Binding) {
        let FrameBytes::Own(bytes) = &mut self.bytes else { unreachable!("a frame is placed once") };
        for (offset, crc) in self.first_part.iter().chain(&self.more_parts) {
            let at = *offset as usize;
            bytes[at..at + 4].copy_from_slice(&crc.part_at(lsn, *offset).to_le_bytes());
        }
        bytes[..4].copy_from_slice(&self.head.frame_at(lsn, binding).to_le_bytes());
    }

    /// The bytes; their checksums are finished once the frame has its place.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match &self.bytes {
            FrameBytes::Own(own) => own,
            FrameBytes::Shared(shared) => shared,
        }
    }

    /// The bytes, shared from now on: only after [`Frame::place`].
    pub(crate) fn share(&mut self) -> Bytes {
        let shared = match &mut self.bytes {
            FrameBytes::Own(own) => Bytes::from(std::mem::take(own)),
            FrameBytes::Shared(shared) => shared.clone(),
        };
        self.bytes = FrameBytes::Shared(shared.clone());
        shared
    }

    /// The bytes, where the log writes these very ones: a large frame that has its place.
    #[must_use]
    pub fn shared(&self) -> Option<&Bytes> {
        match &self.bytes {
            FrameBytes::Own(_) => None,
            FrameBytes::Shared(shared) => Some(shared),
        }
    }

    /// Gives its memory up for the next frame that is written on this thread.
    pub fn reuse(self) {
        if let FrameBytes::Own(bytes) = self.bytes
            && bytes.capacity() <= SPARE_BYTES_MAX
        {
            _ = SPARE.try_with(|spare| spare.set(bytes)); // a thread that ends keeps nothing
        }
    }
}

/// The bytes of a frame.
#[derive(Clone, Debug)]
enum FrameBytes {
    /// Of a small frame, which the log copies.
    Own(Vec<u8>),
    /// Of a large frame: the log writes these very bytes.
    Shared(Bytes),
}

thread_local! {
    /// Memory of the last small frame that this thread was done with.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A thread keeps no more than that.
const SPARE_BYTES_MAX: usize = 8 << 10;

/// A record's frame while it is written, front to back, without a copy: its head, then its parts.
#[derive(Debug)]
pub struct FrameWriter {
    bytes: Vec<u8>,
    head: Unplaced,
    head_bytes: usize,
    first_part: Option<(u32, Unplaced)>,
    more_parts: Vec<(u32, Unplaced)>,
}

impl FrameWriter {
    /// Begins a frame, with room for so many bytes of head and body.
    #[must_use]
    pub fn new(room: usize) -> Self {
        let mut bytes = SPARE.try_with(Cell::take).unwrap_or_default();
        bytes.clear();
        bytes.reserve(FRAME_HEADER_BYTES + room);
        bytes.extend_from_slice(&[0; FRAME_HEADER_BYTES]);
        Self { bytes, head: Unplaced::of(&[]), head_bytes: 0, first_part: None, more_parts: Vec::new() }
    }

    /// Lets `write` append the head. Once, and before any part.
    ///
    /// # Errors
    ///
    /// What `write` answers: the frame is then of no use.
    pub fn head<E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        debug_assert!(self.first_part.is_none() && self.head_bytes == 0);
        write(&mut self.bytes)?;
        self.head_bytes = self.bytes.len() - FRAME_HEADER_BYTES;
        Ok(())
    }

    fn put_head(&mut self, head: &[u8]) {
        self.bytes.extend_from_slice(head);
        self.head_bytes = head.len();
    }

    /// Lets `write` append the next part.
    ///
    /// # Errors
    ///
    /// What `write` answers: the frame is then of no use.
    pub fn part<E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        let offset = self.bytes.len();
        self.bytes.extend_from_slice(&[0; PART_HEADER_BYTES]);
        write(&mut self.bytes)?;
        let part = &self.bytes[offset + PART_HEADER_BYTES..];
        // over the limit these do not fit their fields: `finish` refuses the frame
        let (len, crc) = (u32::try_from(part.len()).unwrap_or(u32::MAX), Unplaced::of(part));
        self.bytes[offset + 4..offset + PART_HEADER_BYTES].copy_from_slice(&len.to_le_bytes());
        let placed = (u32::try_from(offset).unwrap_or(u32::MAX), crc);
        if self.first_part.is_none() {
            self.first_part = Some(placed);
        } else {
            self.more_parts.push(placed);
        }
        Ok(())
    }

    /// The frame, all but its place.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`] over `HEAD_BYTES_MAX` or `BODY_BYTES_MAX`.
    pub fn finish(self) -> Result<Frame> {
        check(self.head_bytes, self.bytes.len() - FRAME_HEADER_BYTES - self.head_bytes)?;
        Ok(self.finish_as(FrameKind::Record))
    }

    fn finish_as(mut self, kind: FrameKind) -> Frame {
        let body = self.bytes.len() - FRAME_HEADER_BYTES - self.head_bytes;
        put_header(&mut self.bytes, kind, self.head_bytes, body);
        self.head = Unplaced::of(&self.bytes[4..FRAME_HEADER_BYTES + self.head_bytes]);
        let Self { bytes, head, head_bytes, first_part, more_parts } = self;
        Frame { bytes: FrameBytes::Own(bytes), head, head_bytes, first_part, more_parts }
    }
}

fn check(head: usize, body: usize) -> Result<()> {
    let over = |what, bytes, max| {
        let say = format!(
            "a record's {what} of {bytes} bytes is over the limit of {max}: split it over several records"
        );
        Err(Error::new(ErrorKind::TooLarge, say))
    };
    match (head, body) {
        (HEAD_OVER.., _) => over("head", head, HEAD_BYTES_MAX),
        (_, BODY_OVER..) => over("body", body, BODY_BYTES_MAX),
        _ => Ok(()),
    }
}

const HEAD_OVER: usize = HEAD_BYTES_MAX + 1;
const BODY_OVER: usize = BODY_BYTES_MAX + 1;

pub(super) fn put_header(bytes: &mut [u8], kind: FrameKind, head: usize, body: usize) {
    bytes[4..8].copy_from_slice(&length(head).to_le_bytes());
    bytes[8..12].copy_from_slice(&length(body).to_le_bytes());
    bytes[12..FRAME_HEADER_BYTES].copy_from_slice(&[kind as u8, 0, 0, 0]);
}

/// Writes a frame of the log's own, without a body, to the front of `out`: `FRAME_HEADER_BYTES` and the head's.
pub(crate) fn put_own(out: &mut [u8], kind: FrameKind, head: &[u8], lsn: Lsn, binding: Binding) {
    debug_assert!(head.len() <= HEAD_BYTES_MAX);
    let out = &mut out[..FRAME_HEADER_BYTES + head.len()];
    put_header(out, kind, head.len(), 0);
    out[FRAME_HEADER_BYTES..].copy_from_slice(head);
    let crc = checksum::frame(&out[4..], lsn, binding);
    out[..4].copy_from_slice(&crc.to_le_bytes());
}

/// The checksum of the frame at the front of `frame`, its header and its head of `head_len` bytes written.
pub(super) fn frame_crc(frame: &[u8], head_len: usize, lsn: Lsn, binding: Binding) -> u32 {
    checksum::frame(&frame[4..FRAME_HEADER_BYTES + head_len], lsn, binding)
}

/// Writes a verified frame's header checksum anew, for another file: its parts know nothing of the file.
pub(crate) fn rebind(frame: &mut [u8], head_len: usize, lsn: Lsn, binding: Binding) {
    let crc = checksum::frame(&frame[4..FRAME_HEADER_BYTES + head_len], lsn, binding);
    frame[..4].copy_from_slice(&crc.to_le_bytes());
}

fn length(n: usize) -> u32 {
    u32::try_from(n).expect("bounded by BODY_BYTES_MAX and HEAD_BYTES_MAX")
}

const _: () = assert!(FRAME_HEADER_BYTES + HEAD_BYTES_MAX + BODY_BYTES_MAX <= u32::MAX as usize);

#[cfg(test)]
mod tests;
