//! Door: a packed segment file while it is written, front to back: frames, directory, footer.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::format::checksum::Binding;
use crate::format::header::{DATA_OFFSET, SegmentHeader};
use crate::format::packed::{
    DirectoryEntry, ENTRIES_MAX, Footer, NOTE_BYTES_MAX, Survivor, encode_directory,
};
use crate::limits::BLOCK_BYTES;
use crate::lsn::Lsn;
use crate::vfs::{OpenMode, Vfs, VfsFile, is_full};

/// Bytes of the pieces in which it is written, each at a multiple of as many: Linux keeps each in one piece of the page cache (a
/// large folio) then, which a map of the file needs one entry for.
const WRITE_BYTES: usize = 2 << 20;
/// Bytes after which the file is synced, so that no commit's sync waits for many of them.
const SYNC_BYTES: u64 = 4 << 20;

/// By what it was judged what stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judged<'a> {
    /// What goes was no longer listed at this place.
    pub at: Lsn,
    /// The caller's number of the judgement.
    pub number: u64,
    /// What the caller keeps with it, at most 1 MiB.
    pub note: &'a [u8],
}

impl Judged<'_> {
    /// Refuses a note that is too long: who packs asks before anything is read or written.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`].
    pub fn check(&self) -> Result<()> {
        if self.note.len() > NOTE_BYTES_MAX {
            let say = format!("a note of {} bytes is over {NOTE_BYTES_MAX}: shorten it", self.note.len());
            return Err(Error::new(ErrorKind::TooLarge, say));
        }
        Ok(())
    }
}

/// A packed file while it is written. Sixteen bytes of memory a record, and a buffer.
#[derive(Debug)]
pub struct PackedFile {
    file: Arc<dyn VfsFile>,
    path: PathBuf,
    binding: Binding,
    /// Its first place.
    base: Lsn,
    buffer: Vec<u8>,
    /// Where the buffer begins in the file.
    at: u64,
    unsynced: u64,
    entries: Vec<DirectoryEntry>,
}

impl PackedFile {
    /// Begins the file at `path`, over whatever a crash left there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Full`], [`ErrorKind::Io`].
    pub fn new(vfs: &dyn Vfs, path: &Path, header: &SegmentHeader) -> Result<Self> {
        let file = vfs.open(path, OpenMode::Truncate).map_err(|e| not_written(path, e))?;
        Ok(Self::over(file, path, header))
    }

    /// Begins it in a file that is open and empty, and that messages call `path`.
    #[must_use]
    pub fn over(file: Arc<dyn VfsFile>, path: &Path, header: &SegmentHeader) -> Self {
        Self {
            file,
            path: path.to_path_buf(),
            binding: header.binding(),
            base: header.base,
            buffer: header.encode(),
            at: 0,
            unsynced: 0,
            entries: Vec::new(),
        }
    }

    /// Adds a record, whose place is behind that of the one before.
    ///
    /// # Errors
    ///
    /// As [`PackedFile::new`]; [`ErrorKind::TooLarge`]: it has more parts than a packed record may.
    pub fn put(&mut self, survivor: &Survivor<'_>) -> Result<()> {
        debug_assert!(self.entries.last().is_none_or(|last| last.lsn < survivor.lsn));
        let at = self.at + self.buffer.len() as u64;
        survivor.encode(self.binding, &mut self.buffer)?;
        self.entries.push(DirectoryEntry { lsn: survivor.lsn, at });
        self.write_pieces()
    }

    /// Ends the file and makes it durable, all but its name; says how many bytes it has. `complete`: no record ever stood
    /// in its places at or behind it; [`Lsn::NONE`]: none did.
    ///
    /// # Errors
    ///
    /// As [`PackedFile::new`]; [`ErrorKind::TooLarge`]: the note is too long.
    pub fn finish(mut self, judged: Judged<'_>, dropped: u64, complete: Lsn) -> Result<u64> {
        judged.check()?;
        let entries = std::mem::take(&mut self.entries);
        let behind_last = entries.last().map_or(self.base, |last| last.lsn.plus(1));
        let footer = Footer {
            judged: judged.at,
            judgement: judged.number,
            records: entries.len() as u64,
            dropped,
            frames_end: self.at + self.buffer.len() as u64,
            blocks: entries.len().div_ceil(ENTRIES_MAX) as u64,
            note_bytes: u32::try_from(judged.note.len()).expect("NOTE_BYTES_MAX"),
            note_crc: crc32fast::hash(judged.note),
            complete: complete.max(behind_last),
        };
        self.pad(footer.directory());
        for block in entries.chunks(ENTRIES_MAX) {
            let offset = self.at + self.buffer.len() as u64;
            self.buffer.extend(encode_directory(block, offset, self.binding));
            self.write_pieces()?;
        }
        self.buffer.extend_from_slice(judged.note);
        self.pad(footer.offset());
        debug_assert_eq!(footer.offset(), self.at + self.buffer.len() as u64);
        self.buffer.extend(footer.encode(self.binding));
        self.write_pieces()?;
        if !self.buffer.is_empty() {
            self.write(self.buffer.len())?;
        }
        self.sync()?;
        debug_assert!(self.at >= DATA_OFFSET + BLOCK_BYTES);
        Ok(self.at)
    }

    fn pad(&mut self, to: u64) {
        let bytes = usize::try_from(to - self.at).expect("less than a block more than the buffer");
        self.buffer.resize(bytes, 0);
    }

    /// Writes what is whole pieces of the buffer.
    fn write_pieces(&mut self) -> Result<()> {
        match self.buffer.len() / WRITE_BYTES {
            0 => Ok(()),
            pieces => self.write(pieces * WRITE_BYTES),
        }
    }

    /// Writes so many bytes of the buffer.
    fn write(&mut self, bytes: usize) -> Result<()> {
        let written = self.file.write_at(&mut [IoSlice::new(&self.buffer[..bytes])], self.at);
        written.map_err(|e| not_written(&self.path, e))?;
        self.at += bytes as u64;
        self.unsynced += bytes as u64;
        self.buffer.drain(..bytes);
        if self.unsynced >= SYNC_BYTES { self.sync() } else { Ok(()) }
    }

    fn sync(&mut self) -> Result<()> {
        self.unsynced = 0;
        self.file.sync().map_err(|e| not_written(&self.path, e))
    }
}

/// An error of writing a packed file.
#[must_use]
pub fn not_written(path: &Path, e: io::Error) -> Error {
    let kind = if is_full(&e) { ErrorKind::Full } else { ErrorKind::Io };
    Error::io(kind, "packing into", path, e)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::checksum::StoreId;
    use crate::format::header::SegmentKind;
    use crate::sim::SimDisk;

    const LSN: Lsn = Lsn::new(1, 4096);

    /// A file with these parts, one a record: what it says it has, what stands in it, and the header and frames alone.
    fn packed(parts: &[usize]) -> (u64, Vec<u8>, Vec<u8>) {
        let header = SegmentHeader {
            kind: SegmentKind::Packed,
            store: StoreId([7; 16]),
            base: LSN,
            capacity: 64 << 20,
            number: 1,
            created_us: 0,
            generation: 1,
            end: LSN.plus(64 << 20),
        };
        let (disk, path) = (SimDisk::new(1), Path::new("/packed"));
        let mut file = PackedFile::new(&disk, path, &header).unwrap();
        let mut frames = header.encode();
        for (n, bytes) in parts.iter().enumerate() {
            let part = vec![n as u8 + 1; *bytes];
            let survivor = Survivor {
                lsn: LSN.plus(n as u64),
                time_us: 0,
                body_offset: 100,
                head: b"head",
                parts: &[(100, &part)],
            };
            survivor.encode(header.binding(), &mut frames).unwrap();
            file.put(&survivor).unwrap();
        }
        let bytes = file.finish(Judged::default(), 0, Lsn::NONE).unwrap();
        let file = disk.open(path, OpenMode::Read).unwrap();
        let mut there = vec![0; file.len().unwrap() as usize];
        assert_eq!(file.read_at(&mut there, 0).unwrap(), there.len());
        (bytes, there, frames)
    }

    #[test]
    fn a_file_holds_what_was_put_wherever_pieces_end() {
        let piece = WRITE_BYTES;
        for parts in [
            vec![],
            vec![10, 20],
            vec![piece],
            vec![3 * piece + 5, 7],
            vec![piece / 3; 10],
            vec![piece - 5000, 3000, 3000],
        ] {
            let (bytes, there, frames) = packed(&parts);
            assert_eq!(bytes, there.len() as u64, "{parts:?}");
            assert!(there.starts_with(&frames), "{parts:?}");
        }
    }

    #[test]
    fn a_file_may_end_where_a_piece_does() {
        let lengths = (1..=16).map(|blocks| {
            let (bytes, there, frames) = packed(&[WRITE_BYTES - 4096 * blocks]);
            assert_eq!(bytes, there.len() as u64);
            assert!(there.starts_with(&frames));
            bytes
        });
        assert!(lengths.into_iter().any(|bytes| bytes == WRITE_BYTES as u64), "none does");
    }
}
