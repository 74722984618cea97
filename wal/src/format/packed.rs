//! Pure: packed segments, written by compaction: the records that survived of several neighbours, each with its place.
//!
//! ```text
//! file      header, two blocks · frames, behind one another · zeros · directory, blocks of 4 KiB · note, zeros to the next
//!           4 KiB · footer, one block
//!
//! frame     0        4          8          12     13     16      24      32             36      40
//!           +--------+----------+----------+------+------+-------+-------+-------------+-------+------------------
//!           | crc32  | head len | body len | kind | zero | LSN   | time  | body offset | parts | places · head | parts …
//!           +--------+----------+----------+------+------+-------+-------+-------------+-------+------------------
//! place     u32 offset of the part in its record as first written, u32 offset in this frame's body; ascending
//!
//! directory 0        4      8                                4092
//!           +--------+------+------------------------ … -----+--------+
//!           | count  | zero | (u64 LSN, u64 file offset) …   | crc32  |
//!           +--------+------+------------------------ … -----+--------+
//!
//! footer    0        8         12     16          24          32        40        48           56       64         68
//!           +--------+---------+------+-----------+-----------+---------+---------+------------+--------+----------+
//!           | magic  | version | zero | judged at | judgement | records | dropped | frames end | blocks | note len |
//!           +--------+---------+------+-----------+-----------+---------+---------+------------+--------+----------+
//!           68           72         80      4092
//!           +------------+----------+-- … --+-------+
//!           | note crc32 | complete | zeros | crc32 |
//!           +------------+----------+-- … --+-------+
//! ```
//!
//! A frame is one of kind 5 (`frame`), its head everything from the LSN on; its crc32 ends with its own LSN and the file's
//! binding. *body offset*: where the body began in the record as first written. A part keeps the checksum that it was
//! written with, so it is bound to its record and its offset there. The head is the caller's, without what was dropped.
//! The crc32 of a block ends with the block's file offset, in place of an LSN, and the file's binding. Frames and entries
//! of the directory ascend by LSN. *judged at*: what was dropped was no longer listed at this place of the log.
//! *judgement*: the number of the judgement, the caller's. *dropped*: records that are gone whole. *note*: bytes of the
//! caller, at most 1 MiB. *complete*: no record ever stood in these places at or behind it, kept or not; the base where
//! none did. magic is `SAVEPACK`. Little-endian, for ever.

use std::ops::Range;

use super::ascending::{guess, until};
use super::checksum::{Binding, Unplaced};
use super::cursor::{Put, Take};
use super::frame::{
    Bad, FRAME_HEADER_BYTES, FrameKind, FrameRef, PART_HEADER_BYTES, decode, decode_part, frame_crc,
    put_header,
};
use super::header::DATA_OFFSET;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{BLOCK_BYTES, BODY_BYTES_MAX, HEAD_BYTES_MAX};
use crate::lsn::Lsn;
use crate::raw;

const BLOCK: usize = BLOCK_BYTES as usize;
const CRC_AT: usize = BLOCK - 4;
const MAGIC: &[u8; 8] = b"SAVEPACK";
const VERSION: u32 = 1;
/// Bytes of a packed head before its places.
const FIXED_BYTES: usize = 24;
const PLACE_BYTES: usize = 8;
const ENTRY_BYTES: usize = 16;

/// Bytes of the largest record as first written.
const FRAME_BYTES_MAX: usize = FRAME_HEADER_BYTES + HEAD_BYTES_MAX + BODY_BYTES_MAX;

/// Largest note of the caller.
pub const NOTE_BYTES_MAX: usize = 1 << 20;

/// Most entries of a block of the directory.
pub const ENTRIES_MAX: usize = (CRC_AT - 8) / ENTRY_BYTES;

/// A record in a packed segment, its header and head verified, its parts not.
#[derive(Clone, Copy, Debug)]
pub struct PackedRef<'a> {
    /// Its place.
    pub lsn: Lsn,
    /// Engine time of its group, microseconds since 1970.
    pub time_us: u64,
    /// Where its body began, in the record as first written.
    pub body_offset: u32,
    /// The caller's head, without what was dropped.
    pub head: &'a [u8],
    places: &'a [u8],
    body: &'a [u8],
    bytes: usize,
}

/// Bytes before the parts of the frame at the front of `bytes`, and of the whole frame, if the lengths keep the limits.
#[must_use]
#[inline]
pub fn lengths(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut take = Take(bytes.get(4..)?);
    let (head, body) = (take.u32()? as usize, take.u32()? as usize);
    let start = FRAME_HEADER_BYTES + head;
    (head <= HEAD_BYTES_MAX && body <= BODY_BYTES_MAX).then_some((start, start + body))
}

impl<'a> PackedRef<'a> {
    /// Reads the frame at the front of `bytes`.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub fn decode(bytes: &'a [u8], binding: Binding) -> Result<Self, Bad> {
        let lsn = bytes.get(FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + 8).and_then(|b| Take(b).u64());
        let lsn = Lsn::from_raw(lsn.ok_or(Bad::Nothing)?);
        let frame = decode(bytes, lsn, binding)?;
        Self::of(&frame).filter(|_| frame.kind == FrameKind::Packed).ok_or(Bad::Kind)
    }

    fn of(frame: &FrameRef<'a>) -> Option<Self> {
        let mut take = Take(frame.head);
        let (lsn, time_us, body_offset) = (Lsn::from_raw(take.u64()?), take.u64()?, take.u32()?);
        let count = take.u32()? as usize;
        let places = take.bytes(count.checked_mul(PLACE_BYTES)?)?;
        let packed =
            Self { lsn, time_us, body_offset, head: take.0, places, body: frame.body, bytes: frame.bytes() };
        packed.fits().then_some(packed)
    }

    /// Whether places and lengths are those of a record that could have been written.
    fn fits(&self) -> bool {
        let ascending = self.places().is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1);
        let inside = |((offset, at), end): ((u32, u32), usize)| {
            let whole = (at as usize).checked_add(PART_HEADER_BYTES).is_some_and(|body| body <= end);
            offset >= self.body_offset
                && (offset as usize) < FRAME_BYTES_MAX
                && whole
                && end <= self.body.len()
        };
        let head = FRAME_HEADER_BYTES + self.head.len() <= self.body_offset as usize;
        let parts = self.body.is_empty() == self.places.is_empty();
        ascending
            && head
            && parts
            && self.places().zip(self.ends()).all(inside)
            && self.lsn.checked_add(2 * FRAME_BYTES_MAX as u64).is_some()
    }

    /// Bytes of the whole frame.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The parts that are there: offset in the record as first written, and the verified bytes.
    pub fn parts(&self) -> impl Iterator<Item = (u32, Result<&'a [u8], Bad>)> + use<'a> {
        let (lsn, body) = (self.lsn, self.body);
        self.places().map(move |(offset, at)| {
            (offset, decode_part(body.get(at as usize..).unwrap_or_default(), lsn, offset))
        })
    }

    /// The same, each with its header and without a look at its checksum.
    pub fn raw_parts(&self) -> impl Iterator<Item = (u32, &'a [u8])> + use<'a> {
        let body = self.body;
        self.places().zip(self.ends()).map(move |((offset, at), end)| (offset, &body[at as usize..end]))
    }

    /// The same record, to be packed again with these parts of it.
    #[must_use]
    pub fn survivor<'s>(&'s self, parts: &'s [(u32, &'s [u8])]) -> Survivor<'s> {
        let Self { lsn, time_us, body_offset, head, .. } = *self;
        Survivor { lsn, time_us, body_offset, head, parts }
    }

    /// True when every part is good.
    #[must_use]
    pub fn body_is_good(&self) -> bool {
        self.parts().all(|(_, part)| part.is_ok())
    }

    fn places(&self) -> impl Iterator<Item = (u32, u32)> + use<'a> {
        self.places.chunks_exact(PLACE_BYTES).map(place)
    }

    /// Where in the body each part ends.
    fn ends(&self) -> impl Iterator<Item = usize> + use<'a> {
        self.places().skip(1).map(|(_, at)| at as usize).chain([self.body.len()])
    }
}

fn place(bytes: &[u8]) -> (u32, u32) {
    let mut take = Take(bytes);
    (take.u32().unwrap_or(0), take.u32().unwrap_or(0))
}

/// Where in a frame's body the part stands that had this offset: of a frame's front, header and head, whose checksum need
/// not be looked at, for the part has its own. `None` where there is no such part.
#[must_use]
#[inline]
pub fn find_part(front: &[u8], offset: u32) -> Option<u32> {
    let mut take = Take(front.get(FRAME_HEADER_BYTES + 20..)?);
    let count = take.u32()? as usize;
    let places = take.bytes(count.checked_mul(PLACE_BYTES)?)?;
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = (low + high) / 2;
        let (found, at) = place(&places[middle * PLACE_BYTES..]);
        match found.cmp(&offset) {
            std::cmp::Ordering::Equal => return Some(at),
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
        }
    }
    None
}

/// A record to be packed.
#[derive(Clone, Copy, Debug)]
pub struct Survivor<'a> {
    /// Its place.
    pub lsn: Lsn,
    /// Engine time of its group, microseconds since 1970.
    pub time_us: u64,
    /// Where its body began, in the record as first written.
    pub body_offset: u32,
    /// The caller's head, without what was dropped.
    pub head: &'a [u8],
    /// The parts that stay, ascending: offset in the record as first written, and the part with its header.
    pub parts: &'a [(u32, &'a [u8])],
}

impl Survivor<'_> {
    /// Appends its frame to `out`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`]: its head and its places are more than a frame's head may be.
    pub fn encode(&self, binding: Binding, out: &mut Vec<u8>) -> Result<()> {
        let head_len = FIXED_BYTES + PLACE_BYTES * self.parts.len() + self.head.len();
        if head_len > HEAD_BYTES_MAX {
            let say =
                format!("the record at {} has too many parts to be packed: it stays where it is", self.lsn);
            return Err(Error::new(ErrorKind::TooLarge, say).at(self.lsn));
        }
        debug_assert!(
            FRAME_HEADER_BYTES + self.head.len() <= self.body_offset as usize,
            "a head only gets shorter"
        );
        let (start, number) = (out.len(), |n: usize| u32::try_from(n).expect("bounded by BODY_BYTES_MAX"));
        let body_len = self.parts.iter().map(|(_, part)| part.len()).sum();
        out.extend_from_slice(&[0; FRAME_HEADER_BYTES]);
        put_header(&mut out[start..], FrameKind::Packed, head_len, body_len);
        let mut put = Put(std::mem::take(out));
        put.u64(self.lsn.raw()).u64(self.time_us).u32(self.body_offset).u32(number(self.parts.len()));
        let mut at = 0;
        for (offset, part) in self.parts {
            put.u32(*offset).u32(number(at));
            at += part.len();
        }
        put.bytes(self.head);
        self.parts.iter().for_each(|(_, part)| _ = put.bytes(part));
        *out = put.0;
        let crc = frame_crc(&out[start..], head_len, self.lsn, binding);
        out[start..start + 4].copy_from_slice(&crc.to_le_bytes());
        Ok(())
    }
}

/// Where the frame of a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// The record's place.
    pub lsn: Lsn,
    /// Where its frame begins in the file.
    pub at: u64,
}

/// One block of the directory, up to [`ENTRIES_MAX`] entries, to stand at `offset` of the file.
#[must_use]
pub fn encode_directory(entries: &[DirectoryEntry], offset: u64, binding: Binding) -> Vec<u8> {
    let mut put = Put::default();
    put.u32(u32::try_from(entries.len()).expect("ENTRIES_MAX at the most")).u32(0);
    entries.iter().for_each(|entry| _ = put.u64(entry.lsn.raw()).u64(entry.at));
    sealed(put.0, offset, binding)
}

/// Reads a block of the directory that stands at `offset`: at least one entry, ascending.
///
/// # Errors
///
/// Why it is none.
pub fn decode_directory(block: &[u8], offset: u64, binding: Binding) -> Result<Vec<DirectoryEntry>, Bad> {
    let mut take = Take(opened(block, offset, binding)?);
    let entries = |take: &mut Take<'_>| {
        let (count, zero) = (take.u32()? as usize, take.u32()?);
        let entry =
            |take: &mut Take<'_>| Some(DirectoryEntry { lsn: Lsn::from_raw(take.u64()?), at: take.u64()? });
        let entries: Vec<DirectoryEntry> = (0..count.min(ENTRIES_MAX)).map_while(|_| entry(take)).collect();
        let ascending = entries.is_sorted_by(|a, b| a.lsn < b.lsn && a.at < b.at);
        (zero == 0 && (1..=ENTRIES_MAX).contains(&count) && entries.len() == count && ascending)
            .then_some(entries)
    };
    entries(&mut take).ok_or(Bad::Kind)
}

/// Where the frame of the record at `lsn`, or of the last one before it, stands by a block of the directory that was
/// verified before, and that is for the places in `range`. Looks at no more of it than it needs.
#[must_use]
#[inline]
pub fn find_entry(block: &[u8], lsn: Lsn, range: Range<Lsn>) -> Option<DirectoryEntry> {
    let range = range.start.raw()..range.end.raw();
    // nearly always the line that is wanted: it comes together with that of the count
    raw::prefetch_at(block, 8 + guess(ENTRIES_MAX, lsn.raw(), range.clone()) * ENTRY_BYTES);
    let mut take = Take(block);
    let (count, _) = (take.u32()? as usize, take.u32()?);
    let entries = take.0;
    let word = |at: usize| entries[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let count = count.min(entries.len() / ENTRY_BYTES);
    let found = until(count, lsn.raw(), range, |n| word(n * ENTRY_BYTES)).checked_sub(1)?;
    let entry = found * ENTRY_BYTES;
    Some(DirectoryEntry { lsn: Lsn::from_raw(word(entry)), at: word(entry + 8) })
}

/// What a packed segment says at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footer {
    /// What was dropped was no longer listed at this place of the log.
    pub judged: Lsn,
    /// The caller's number of the judgement.
    pub judgement: u64,
    /// Records that the file holds.
    pub records: u64,
    /// Records that are gone whole, from all files that it was made of; what a repair found lost counts as one each time.
    pub dropped: u64,
    /// Behind the last frame, in the file.
    pub frames_end: u64,
    /// Blocks of the directory.
    pub blocks: u64,
    /// Bytes of the caller's note.
    pub note_bytes: u32,
    /// Their checksum.
    pub note_crc: u32,
    /// Behind the newest record that ever stood in the places of the file, kept or not; its base where none did.
    pub complete: Lsn,
}

impl Footer {
    /// Where the directory begins in the file.
    #[must_use]
    pub fn directory(&self) -> u64 {
        self.frames_end.next_multiple_of(BLOCK_BYTES)
    }

    /// Where the note begins.
    #[must_use]
    pub fn note(&self) -> u64 {
        self.directory() + self.blocks * BLOCK_BYTES
    }

    /// Where the footer itself stands.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.note() + u64::from(self.note_bytes).next_multiple_of(BLOCK_BYTES)
    }

    /// No record that ever stood in these places, which are the file's, stood at or behind it; [`Lsn::NONE`]: none did.
    /// Where the footer says what cannot be, any may have.
    #[must_use]
    pub fn complete_in(&self, places: Range<Lsn>) -> Lsn {
        match self.complete {
            base if base == places.start && self.records == 0 && self.dropped == 0 => Lsn::NONE,
            complete if complete > places.start && complete <= places.end => complete,
            _ => places.end,
        }
    }

    /// The block.
    #[must_use]
    pub fn encode(&self, binding: Binding) -> Vec<u8> {
        let mut put = Put::default();
        put.bytes(MAGIC).u32(VERSION).u32(0).u64(self.judged.raw()).u64(self.judgement).u64(self.records);
        put.u64(self.dropped).u64(self.frames_end).u64(self.blocks).u32(self.note_bytes).u32(self.note_crc);
        put.u64(self.complete.raw());
        sealed(put.0, self.offset(), binding)
    }

    /// Reads the block that stands at `offset`, the last one of the file.
    ///
    /// # Errors
    ///
    /// Why it is none.
    pub fn decode(block: &[u8], offset: u64, binding: Binding) -> Result<Self, Bad> {
        let mut take = Take(opened(block, offset, binding)?);
        Self::decode_fields(&mut take).filter(|footer| footer.fits(offset)).ok_or(Bad::Kind)
    }

    fn decode_fields(take: &mut Take<'_>) -> Option<Self> {
        let (magic, version, zero) = (take.array::<8>()?, take.u32()?, take.u32()?);
        let footer = Self {
            judged: Lsn::from_raw(take.u64()?),
            judgement: take.u64()?,
            records: take.u64()?,
            dropped: take.u64()?,
            frames_end: take.u64()?,
            blocks: take.u64()?,
            note_bytes: take.u32()?,
            note_crc: take.u32()?,
            complete: Lsn::from_raw(take.u64()?),
        };
        (&magic == MAGIC && version == VERSION && zero == 0).then_some(footer)
    }

    /// Whether the fields agree with where the footer stands.
    fn fits(&self, offset: u64) -> bool {
        self.blocks == self.records.div_ceil(ENTRIES_MAX as u64)
            && self.frames_end >= DATA_OFFSET
            && self.blocks <= offset / BLOCK_BYTES
            && self.frames_end <= offset
            && self.note_bytes as usize <= NOTE_BYTES_MAX
            && self.offset() == offset
    }
}

fn sealed(mut block: Vec<u8>, offset: u64, binding: Binding) -> Vec<u8> {
    block.resize(CRC_AT, 0);
    let crc = Unplaced::of(&block).frame_at(Lsn::from_raw(offset), binding);
    block.extend_from_slice(&crc.to_le_bytes());
    block
}

fn opened(block: &[u8], offset: u64, binding: Binding) -> Result<&[u8], Bad> {
    let (Some(covered), Some(crc), BLOCK) = (block.get(..CRC_AT), block.get(CRC_AT..BLOCK), block.len())
    else {
        return Err(Bad::Length);
    };
    match Unplaced::of(covered).frame_at(Lsn::from_raw(offset), binding).to_le_bytes() == crc {
        true => Ok(covered),
        false => Err(Bad::Checksum),
    }
}

#[cfg(test)]
mod tests;
