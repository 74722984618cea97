//! Door: the bytes of a segment file, through its map where there is one, else by `pread`.

use std::io;

use bytes::Bytes;

use super::Segment;
use crate::error::{Error, ErrorKind, Result};
use crate::format::header::SegmentKind;
use crate::limits::BLOCK_BYTES;
use crate::lsn::Lsn;
#[cfg(feature = "planted")]
use crate::planted::{self, Planted};
use crate::vfs::{Advice, Map, read_exact_at};

/// Part of a map, as bytes that are shared.
struct MapTail {
    map: Map,
    at: usize,
    bytes: usize,
}

impl AsRef<[u8]> for MapTail {
    fn as_ref(&self) -> &[u8] {
        &self.map[self.at..self.at + self.bytes]
    }
}

impl Segment {
    /// Up to `bytes` bytes at `lsn`; fewer only where the file ends.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`]; [`ErrorKind::Corrupt`] where the file is shorter than it was made.
    pub fn read(&self, lsn: Lsn, bytes: usize) -> Result<Bytes> {
        debug_assert!(self.kind != SegmentKind::Packed, "read by its directory");
        self.read_at(self.file_offset(lsn), bytes)
    }

    /// Up to `bytes` bytes at an offset of the file; fewer only where it ends.
    pub(in super::super) fn read_at(&self, offset: u64, bytes: usize) -> Result<Bytes> {
        let bytes = self.bytes_there(offset, bytes);
        if let Some(map) = self.mapped()? {
            let at = self.place_in(map, offset, bytes)?;
            return Ok(shared(map, at, bytes));
        }
        let mut buf = vec![0; bytes];
        self.fill(&mut buf, offset)?;
        Ok(buf.into())
    }

    /// As [`Segment::read`], borrowed from the file's map; `None` where it is read by `pread`.
    ///
    /// # Errors
    ///
    /// As [`Segment::read`].
    #[inline]
    pub fn lent(&self, lsn: Lsn, bytes: usize) -> Result<Option<&[u8]>> {
        let Some(map) = self.mapped()? else { return Ok(None) };
        self.lent_at(map, self.file_offset(lsn), bytes).map(Some)
    }

    /// Up to `bytes` bytes at an offset of the file, borrowed from its map; fewer only where the file ends.
    #[inline]
    pub(in super::super) fn lent_at<'m>(&self, map: &'m Map, offset: u64, bytes: usize) -> Result<&'m [u8]> {
        let bytes = self.bytes_there(offset, bytes);
        let at = self.place_in(map, offset, bytes)?;
        Ok(&map[at..at + bytes])
    }

    /// How many of so many bytes at an offset the file has.
    #[inline]
    fn bytes_there(&self, offset: u64, bytes: usize) -> usize {
        let room = self.disk_bytes().saturating_sub(offset);
        bytes.min(usize::try_from(room).unwrap_or(usize::MAX))
    }

    /// Where so many bytes at an offset begin in the map, which has them all.
    #[inline]
    fn place_in(&self, map: &Map, offset: u64, bytes: usize) -> Result<usize> {
        let at = usize::try_from(offset).unwrap_or(usize::MAX);
        match at.checked_add(bytes) {
            Some(end) if end <= map.len() => Ok(at),
            _ => Err(self.short()),
        }
    }

    /// Fills `buf` from `lsn` by `pread`.
    ///
    /// # Errors
    ///
    /// As [`Segment::read`].
    pub fn read_into(&self, buf: &mut [u8], lsn: Lsn) -> Result<()> {
        self.fill(buf, self.file_offset(lsn))
    }

    fn fill(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        read_exact_at(&*self.file, buf, offset).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => self.short(),
            _ => {
                let doing = format!("reading offset {offset} of");
                Error::io(ErrorKind::Io, &doing, &self.path, e)
            }
        })
    }

    /// Drops the cached pages of `bytes` bytes from `from` on, and reads them again.
    ///
    /// # Errors
    ///
    /// As [`Segment::read`].
    pub fn reread(&self, from: Lsn, bytes: u64) -> Result<Vec<u8>> {
        let offset = self.file_offset(from);
        let io = |e| Error::io(ErrorKind::Io, "dropping cached pages of", &self.path, e);
        let advice = Advice::Drop;
        #[cfg(feature = "planted")]
        let advice = if planted::is(Planted::TrustCache) { Advice::Random } else { advice };
        self.file.advise(offset, bytes.next_multiple_of(BLOCK_BYTES), advice).map_err(io)?;
        let there = self.file_len()?.saturating_sub(offset).min(bytes);
        let mut data = vec![0; usize::try_from(there).expect("inside a segment")];
        self.read_into(&mut data, from)?;
        Ok(data)
    }
}

/// Bytes of a map, which stays as long as they do.
pub(in super::super) fn shared(map: &Map, at: usize, bytes: usize) -> Bytes {
    Bytes::from_owner(MapTail { map: map.clone(), at, bytes })
}
