//! Door: reading a packed segment: from a place in the log to a frame, by the directory at the file's end.
//!
//! The directory is verified whole when it is first asked; of it only the first place of each block stays in memory.

use bytes::Bytes;

use super::file::{Segment, shared};
use crate::error::{Error, ErrorKind, Result};
use crate::format::ascending::until;
use crate::format::frame::{FRAME_HEADER_BYTES, PART_HEADER_BYTES, decode_part};
use crate::format::packed::{
    DirectoryEntry, Footer, PackedRef, decode_directory, find_entry, find_part, lengths,
};
use crate::limits::BLOCK_BYTES;
use crate::lsn::Lsn;
use crate::raw;
use crate::vfs::Map;

/// Most bytes of a frame that are read before its length is known.
const FIRST_READ_BYTES: usize = 16 << 10;

/// Bytes before the part of most frames that have one.
const FRONT_BYTES: usize = 96;

/// The directory of a packed segment, verified.
#[derive(Debug)]
pub struct Directory {
    /// What the file says at its end.
    pub footer: Footer,
    /// The first place of each block.
    fences: Vec<Lsn>,
}

impl Directory {
    /// Blocks that it has.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.fences.len()
    }

    /// The place at which a block begins; [`Lsn::MAX`] behind the last.
    #[must_use]
    pub fn fence(&self, block: usize) -> Lsn {
        self.fences.get(block).copied().unwrap_or(Lsn::MAX)
    }

    /// The block that holds the last entry not behind `lsn`; `None` where all are.
    #[must_use]
    #[inline]
    pub fn block_of(&self, lsn: Lsn) -> Option<usize> {
        let range = self.fences.first()?.raw()..self.footer.complete.raw();
        until(self.fences.len(), lsn.raw(), range, |n| self.fences[n].raw()).checked_sub(1)
    }

    /// Where a block begins in the file.
    fn offset(&self, block: usize) -> u64 {
        self.footer.directory() + block as u64 * BLOCK_BYTES
    }
}

impl Segment {
    /// The directory of this packed segment.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`]: it is damaged. [`ErrorKind::Io`].
    pub fn directory(&self) -> Result<&Directory> {
        if let Some(directory) = self.packed.get() {
            return Ok(directory);
        }
        let footer = self.footer()?;
        let (mut fences, mut last, mut records) = (Vec::new(), Lsn::NONE, 0);
        for block in 0..footer.blocks {
            let entries = self.entries_at(&footer, block)?;
            let (first, behind) = (entries[0].lsn, entries[entries.len() - 1].lsn);
            if first <= last || first < self.base || behind >= self.capacity_end() {
                return Err(self.bad("directory", footer.directory() + block * BLOCK_BYTES));
            }
            records += entries.len() as u64;
            fences.push(first);
            last = behind;
        }
        if records != footer.records {
            return Err(self.bad("directory", footer.directory()));
        }
        Ok(self.packed.get_or_init(|| Directory { footer, fences }))
    }

    /// The block at the file's end.
    ///
    /// # Errors
    ///
    /// As [`Segment::directory`].
    pub fn footer(&self) -> Result<Footer> {
        let Some(offset) = self.disk_bytes().checked_sub(BLOCK_BYTES) else {
            return Err(self.bad("footer", 0));
        };
        let block = self.read_at(offset, BLOCK_BYTES as usize)?;
        Footer::decode(&block, offset, self.binding).map_err(|_| self.bad("footer", offset))
    }

    /// The entries of one block of the directory.
    ///
    /// # Errors
    ///
    /// As [`Segment::directory`].
    pub fn entries(&self, block: usize) -> Result<Vec<DirectoryEntry>> {
        let footer = self.directory()?.footer;
        self.entries_at(&footer, block as u64)
    }

    fn entries_at(&self, footer: &Footer, block: u64) -> Result<Vec<DirectoryEntry>> {
        let offset = footer.directory() + block * BLOCK_BYTES;
        let bytes = self.read_at(offset, BLOCK_BYTES as usize)?;
        decode_directory(&bytes, offset, self.binding).map_err(|_| self.bad("directory", offset))
    }

    /// Where the frame of the record at `lsn` stands in the file; `None` where no such record is there.
    ///
    /// # Errors
    ///
    /// As [`Segment::directory`].
    pub fn find(&self, lsn: Lsn) -> Result<Option<u64>> {
        Ok(self.last_until(lsn)?.filter(|entry| entry.lsn == lsn).map(|entry| entry.at))
    }

    /// The last record not behind `lsn`.
    ///
    /// # Errors
    ///
    /// As [`Segment::directory`].
    pub fn last_until(&self, lsn: Lsn) -> Result<Option<DirectoryEntry>> {
        let directory = self.directory()?;
        let Some(block) = directory.block_of(lsn) else { return Ok(None) };
        if let Some(map) = self.mapped()? {
            let entries = self.lent_at(map, directory.offset(block), BLOCK_BYTES as usize)?;
            let behind = directory.fence(block + 1).min(directory.footer.complete);
            let range = directory.fence(block)..behind;
            return Ok(find_entry(entries, lsn, range)); // verified with the directory
        }
        let entries = self.entries(block)?;
        Ok(entries[..entries.partition_point(|entry| entry.lsn <= lsn)].last().copied())
    }

    /// The whole frame at an offset of the file.
    ///
    /// # Errors
    ///
    /// As [`Segment::directory`].
    pub fn packed_frame(&self, at: u64) -> Result<Bytes> {
        let mut bytes = self.read_at(at, FIRST_READ_BYTES)?;
        let (_, whole) = lengths(&bytes).ok_or_else(|| self.bad("record", at))?;
        if whole > bytes.len() {
            bytes = self.read_at(at, whole)?;
        }
        if whole > bytes.len() { Err(self.bad("record", at)) } else { Ok(bytes.slice(..whole)) }
    }

    /// The frame in `bytes`, which stand at an offset of the file, decoded; it must be the record at `lsn`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`].
    pub fn packed_record<'a>(&self, bytes: &'a [u8], at: u64, lsn: Lsn) -> Result<PackedRef<'a>> {
        match PackedRef::decode(bytes, self.binding) {
            Ok(packed) if packed.lsn == lsn => Ok(packed),
            _ => Err(self.bad("record", at).at(lsn)),
        }
    }

    /// One part of the record at `lsn`, verified, by its offset in the record as first written; `None` where it is not
    /// there.
    ///
    /// # Errors
    ///
    /// As [`Segment::directory`].
    pub fn packed_part(&self, lsn: Lsn, offset: u32, bytes: u32) -> Result<Option<Bytes>> {
        if let Some(map) = self.mapped()? {
            let found = self.part_in(map, lsn, offset, bytes)?;
            return Ok(found.map(|(at, part)| shared(map, at, part.len())));
        }
        let Some(at) = self.find(lsn)? else { return Ok(None) };
        let mut front = self.read_at(at, FIRST_READ_BYTES)?;
        let (start, _) = lengths(&front).ok_or_else(|| self.bad("record", at).at(lsn))?;
        if start > front.len() {
            front = self.read_at(at, start)?;
        }
        debug_assert!(start >= FRAME_HEADER_BYTES);
        let Some(place) = find_part(&front[..start.min(front.len())], offset) else {
            let bytes = self.packed_frame(at)?; // what is not there went, or its place is damaged
            return self.packed_record(&bytes, at, lsn).map(|_| None);
        };
        let stands = at + start as u64 + u64::from(place);
        let whole = self.read_at(stands, PART_HEADER_BYTES + bytes as usize)?;
        match decode_part(&whole, lsn, offset) {
            Ok(part) if part.len() == bytes as usize => Ok(Some(whole.slice_ref(part))),
            _ => Err(self.bad("part", stands).at(lsn)),
        }
    }

    /// As [`Segment::packed_part`], borrowed from `map`, which is the file's.
    ///
    /// # Errors
    ///
    /// As [`Segment::directory`].
    pub(crate) fn packed_part_in<'m>(
        &self,
        map: &'m Map,
        lsn: Lsn,
        offset: u32,
        bytes: u32,
    ) -> Result<Option<&'m [u8]>> {
        Ok(self.part_in(map, lsn, offset, bytes)?.map(|(_, part)| part))
    }

    /// A part, and where its bytes begin in the file.
    #[inline]
    fn part_in<'m>(
        &self,
        map: &'m Map,
        lsn: Lsn,
        offset: u32,
        bytes: u32,
    ) -> Result<Option<(usize, &'m [u8])>> {
        let Some(at) = self.find(lsn)? else { return Ok(None) };
        let frame = self.lent_at(map, at, usize::MAX)?;
        let whole = PART_HEADER_BYTES.saturating_add(bytes as usize);
        raw::prefetch_behind_first(frame, whole.saturating_add(FRONT_BYTES));
        let (start, _) = lengths(frame).ok_or_else(|| self.bad("record", at).at(lsn))?;
        let front = frame.get(..start).ok_or_else(|| self.bad("record", at).at(lsn))?;
        let Some(place) = find_part(front, offset) else {
            let bytes = self.packed_frame(at)?; // what is not there went, or its place is damaged
            return self.packed_record(&bytes, at, lsn).map(|_| None);
        };
        let part = frame[start..].get(place as usize..).unwrap_or_default();
        match decode_part(&part[..whole.min(part.len())], lsn, offset) {
            // it is in the map, so its place is a `usize`
            Ok(part) if part.len() == bytes as usize => {
                Ok(Some((at as usize + start + place as usize + PART_HEADER_BYTES, part)))
            }
            _ => Err(self.bad("part", at + start as u64 + u64::from(place)).at(lsn)),
        }
    }

    /// The caller's note to the judgement by which it was packed.
    ///
    /// # Errors
    ///
    /// As [`Segment::directory`].
    pub fn note(&self) -> Result<Vec<u8>> {
        let footer = self.footer()?;
        let bytes = self.read_at(footer.note(), footer.note_bytes as usize)?;
        match crc32fast::hash(&bytes) == footer.note_crc {
            true => Ok(bytes.to_vec()),
            false => Err(self.bad("note", footer.note())),
        }
    }

    fn bad(&self, what: &str, offset: u64) -> Error {
        let say = format!(
            "the {what} is damaged ({}, offset {offset}): everything else is readable; run `savehold verify`",
            self.path.display()
        );
        Error::new(ErrorKind::Corrupt, say)
    }
}

#[cfg(test)]
mod tests;
