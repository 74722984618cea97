//! Door: one segment file, prepared, written at its end, read anywhere. Never truncated, never reused.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::beside::Beside;
use super::catalog::SegmentEntry;
use super::fill::{Fill, write_zeros};
use super::name::{LOG_DIR, segment_name};
use super::packed::Directory;
use crate::error::{Error, ErrorKind, Result};
use crate::format::checksum::{Binding, StoreId};
use crate::format::frame::Bad;
use crate::format::header::{DATA_OFFSET, SegmentHeader, SegmentKind};
use crate::limits::BLOCK_BYTES;
use crate::lsn::Lsn;
#[cfg(feature = "planted")]
use crate::planted::{self, Planted};
use crate::vfs::{Map, OpenMode, Vfs, VfsFile, lacks_files, read_exact_at};

mod bytes;

pub(super) use bytes::shared;

/// Whether files are read through maps or by `pread`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Maps, where the disk has them; what no sync follows may be stored to one.
    Mapped,
    /// `pread`: an unreadable sector is an error, not a signal.
    Pread,
}

/// An open segment file.
#[derive(Debug)]
pub struct Segment {
    /// LSN of its first data byte.
    pub base: Lsn,
    /// Bytes of LSN space that it owns.
    pub capacity: u64,
    /// Tells files of the same base apart.
    pub generation: u32,
    /// What it is.
    pub kind: SegmentKind,
    /// What binds its frames to it.
    pub binding: Binding,
    /// Its file's path.
    pub path: PathBuf,
    /// The file.
    pub file: Arc<dyn VfsFile>,
    /// Bytes of data that the file has: a rest or packed segment is no longer than what it holds.
    there: u64,
    /// Of a packed segment, once it was asked for.
    pub(super) packed: OnceLock<Directory>,
    /// Of a packed segment: see [`Segment::complete`].
    complete: Lsn,
    end: AtomicU64,
    judged: AtomicU64,
    /// Before it, blocks were written already: later writes overwrite them.
    filled: AtomicU64,
    mapped: OnceLock<Option<Map>>,
    access: Access,
    /// For a second sync at the same time.
    pub beside: Beside,
}

impl Segment {
    /// Makes a segment file, durable with its name in the directory: the first half of preparing. No LSN in it may
    /// be handed out before the catalog names it. `between` is called now and then where it takes long.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Full`]: no space, [`ErrorKind::Busy`]: too many files are open; nothing was left behind.
    /// [`ErrorKind::Halted`]: a write or sync failed.
    pub fn prepare(
        vfs: &dyn Vfs,
        root: &Path,
        header: &SegmentHeader,
        fill: Fill,
        access: Access,
        between: &mut dyn FnMut(),
    ) -> Result<Self> {
        let dir = root.join(LOG_DIR);
        let path = dir.join(segment_name(header.base, header.generation));
        let made = Self::write_new(vfs, &path, header, fill, between).and_then(|file| {
            #[cfg(feature = "planted")]
            if planted::is(Planted::SkipPrepareDirSync) {
                return Ok(file);
            }
            vfs.sync_dir(&dir)?;
            Ok(file)
        });
        match made {
            Ok(file) => {
                let made = Self::over(file, path, &entry_of(header), header.capacity, header.store, access);
                if fill == Fill::Allocate {
                    made.set_filled(made.base);
                }
                Ok(made)
            }
            Err(e) => {
                let kind = match e.kind() {
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Full,
                    _ if lacks_files(&e) => ErrorKind::Busy,
                    _ => ErrorKind::Halted,
                };
                _ = vfs.remove(&path); // best effort: an unnamed segment without groups is removed at the next open
                Err(Error::io(kind, "preparing segment", &path, e))
            }
        }
    }

    fn write_new(
        vfs: &dyn Vfs,
        path: &Path,
        header: &SegmentHeader,
        fill: Fill,
        between: &mut dyn FnMut(),
    ) -> io::Result<Arc<dyn VfsFile>> {
        let file = match vfs.open(path, OpenMode::CreateNew) {
            // left by a crash while it was being prepared: nothing was ever written in it, for nothing named it
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => vfs.open(path, OpenMode::Truncate)?,
            other => other?,
        };
        fill.fill(&*file, DATA_OFFSET, DATA_OFFSET + header.capacity, between)?;
        file.write_at(&mut [IoSlice::new(&header.encode())], 0)?;
        #[cfg(feature = "planted")]
        if planted::is(Planted::SkipHeaderSync) {
            return Ok(file);
        }
        file.sync()?;
        Ok(file)
    }

    /// Opens the file of a segment that the catalog names, its header checked against the entry.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`]: missing, unreadable or another segment. [`ErrorKind::Format`]: a newer format.
    pub fn open(
        vfs: &dyn Vfs,
        root: &Path,
        entry: &SegmentEntry,
        store: StoreId,
        access: Access,
        mode: OpenMode,
    ) -> Result<Self> {
        let path = root.join(LOG_DIR).join(segment_name(entry.base, entry.generation));
        let file = vfs.open(&path, mode).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => corrupt(&path, "is named in MANIFEST and missing"),
            _ => Error::io(ErrorKind::Io, "opening", &path, e),
        })?;
        let header = read_header(&*file, &path)?;
        let expected = (store, entry.base, entry.capacity, entry.number, entry.generation, entry.kind);
        if (header.store, header.base, header.capacity, header.number, header.generation, header.kind)
            != expected
        {
            return Err(corrupt(&path, "is another segment than the one that MANIFEST names"));
        }
        let len = file.len().map_err(|e| Error::io(ErrorKind::Io, "asking the length of", &path, e))?;
        let packed = entry.kind == SegmentKind::Packed;
        let data = len.saturating_sub(DATA_OFFSET);
        let there = if packed { data } else { data.min(entry.capacity) };
        let mut segment = Self::over(file, path, entry, there, store, access);
        // Its length was durable before it was named: where it is shorter, what is missing may have been anything.
        if there < entry.made() {
            return Err(segment.short());
        }
        if packed {
            let footer = segment.footer()?; // it stands at the very end
            segment.set_judged(footer.judgement);
            segment.complete = footer.complete_in(segment.base..segment.capacity_end());
        }
        Ok(segment)
    }

    fn over(
        file: Arc<dyn VfsFile>,
        path: PathBuf,
        entry: &SegmentEntry,
        there: u64,
        store: StoreId,
        access: Access,
    ) -> Self {
        Self {
            base: entry.base,
            capacity: entry.capacity,
            generation: entry.generation,
            kind: entry.kind,
            binding: entry.binding(store),
            path,
            file,
            there,
            packed: OnceLock::new(),
            complete: Lsn::NONE,
            end: AtomicU64::new(entry.end.unwrap_or(Lsn::MAX).raw()),
            judged: AtomicU64::new(0),
            filled: AtomicU64::new(Lsn::MAX.raw()),
            mapped: OnceLock::new(),
            access,
            beside: Beside::default(),
        }
    }

    /// Behind the last LSN that it owns.
    #[must_use]
    pub fn capacity_end(&self) -> Lsn {
        self.base.plus(self.capacity)
    }

    /// Behind its last good frame; `None` while that is not yet a fact.
    #[must_use]
    pub fn end(&self) -> Option<Lsn> {
        let end = Lsn::from_raw(self.end.load(Ordering::Acquire));
        (end != Lsn::MAX).then_some(end)
    }

    /// States the end.
    pub fn set_end(&self, end: Lsn) {
        self.end.store(end.raw(), Ordering::Release);
    }

    /// The newest judgement, by the caller's numbers, by which nothing in it was to be dropped; 0 for none.
    #[must_use]
    pub fn judged(&self) -> u64 {
        self.judged.load(Ordering::Acquire)
    }

    /// States that nothing in it is to be dropped by this judgement.
    pub fn set_judged(&self, judgement: u64) {
        self.judged.fetch_max(judgement, Ordering::AcqRel);
    }

    /// No record that may have been given up ever stood in its places at or behind it; [`Lsn::NONE`]: none was.
    #[must_use]
    pub fn complete(&self) -> Lsn {
        self.complete
    }

    /// Where space begins that was only allocated; [`Lsn::MAX`] where none is, or where nobody knows.
    #[must_use]
    pub fn filled(&self) -> Lsn {
        Lsn::from_raw(self.filled.load(Ordering::Relaxed))
    }

    fn set_filled(&self, through: Lsn) {
        self.filled.store(through.raw(), Ordering::Relaxed);
    }

    /// Finds out where space begins that was only allocated. To be asked before anything is read: what
    /// is read counts as written. Where the system does not say, none counts as such.
    pub fn find_filled(&self) {
        if let Ok(runs) = self.written() {
            let filled = runs.last().map_or(self.base, |run| run.end);
            self.set_filled(if filled < self.capacity_end() { filled } else { Lsn::MAX });
        }
    }

    /// Writes zeros from `from`, behind which nothing was written, over the next `bytes` bytes of its space. The sync that
    /// follows makes them durable with what stands before them.
    ///
    /// # Errors
    ///
    /// Those of the write; what was written before it stays.
    pub fn fill_ahead(&self, from: Lsn, bytes: u64) -> io::Result<()> {
        let through = from.plus(bytes).min(self.capacity_end());
        write_zeros(&*self.file, self.file_offset(from)..self.file_offset(through))?;
        self.set_filled(if through < self.capacity_end() { through } else { Lsn::MAX });
        Ok(())
    }

    /// Where the byte at `lsn` stands in the file.
    #[must_use]
    pub fn file_offset(&self, lsn: Lsn) -> u64 {
        DATA_OFFSET + lsn.bytes_since(self.base).expect("the caller looked the segment up")
    }

    /// Where anything may stand that was ever written, in order, from block to block. To be asked before anything is read:
    /// what is read counts as written.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`].
    pub(crate) fn written(&self) -> Result<Vec<Range<Lsn>>> {
        let (mut runs, mut at, end) = (Vec::new(), DATA_OFFSET, DATA_OFFSET.saturating_add(self.there));
        while at < end {
            let run = self.file.written(at);
            let run = run.map_err(|e| Error::io(ErrorKind::Io, "looking for data in", &self.path, e))?;
            let Some(run) = run.filter(|run| run.start < end && run.end > at) else { break };
            let first = (run.start - DATA_OFFSET) / BLOCK_BYTES * BLOCK_BYTES;
            runs.push(self.base.plus(first)..self.base.plus(run.end.min(end) - DATA_OFFSET));
            at = run.end;
        }
        Ok(runs)
    }

    /// Bytes of data that the file has.
    #[must_use]
    pub fn there(&self) -> u64 {
        self.there
    }

    /// The file's map; `None` where it is read by `pread`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`].
    pub fn map(&self) -> Result<Option<Map>> {
        Ok(self.mapped()?.cloned())
    }

    /// The data in a map of the file, from the base to `end`.
    #[must_use]
    #[inline]
    pub fn data_in<'m>(&self, map: &'m Map, end: Lsn) -> &'m [u8] {
        let data = map.get(DATA_OFFSET as usize..).unwrap_or_default();
        let bytes = end.bytes_since(self.base).and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        &data[..bytes.min(data.len())]
    }

    /// Bytes that the file has on the disk, as far as is known without asking.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        DATA_OFFSET + self.there
    }

    /// Length of the file.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`].
    pub fn file_len(&self) -> Result<u64> {
        self.file.len().map_err(|e| Error::io(ErrorKind::Io, "asking the length of", &self.path, e))
    }

    fn short(&self) -> Error {
        corrupt(&self.path, "is shorter than it was made")
    }

    /// As [`Segment::map`], borrowed.
    ///
    /// # Errors
    ///
    /// As [`Segment::map`].
    pub(crate) fn mapped(&self) -> Result<Option<&Map>> {
        if self.access == Access::Pread {
            return Ok(None);
        }
        if let Some(map) = self.mapped.get() {
            return Ok(map.as_ref());
        }
        let map = self
            .file
            .map(DATA_OFFSET + self.there)
            .map_err(|e| Error::io(ErrorKind::Io, "mapping", &self.path, e))?;
        Ok(self.mapped.get_or_init(|| map).as_ref())
    }
}

/// The catalog's entry for a segment with this header.
#[must_use]
pub fn entry_of(header: &SegmentHeader) -> SegmentEntry {
    SegmentEntry {
        base: header.base,
        capacity: header.capacity,
        number: header.number,
        generation: header.generation,
        kind: header.kind,
        end: (header.end != Lsn::NONE).then_some(header.end),
        damaged: false,
    }
}

/// Reads the header of a segment file.
///
/// # Errors
///
/// [`ErrorKind::Corrupt`]: both blocks are unreadable. [`ErrorKind::Format`]: a newer format.
pub fn read_header(file: &dyn VfsFile, path: &Path) -> Result<SegmentHeader> {
    let len = file.len().map_err(|e| Error::io(ErrorKind::Io, "asking the length of", path, e))?;
    let mut blocks = vec![0; usize::try_from(len.min(DATA_OFFSET)).expect("two blocks")];
    read_exact_at(file, &mut blocks, 0)
        .map_err(|e| Error::io(ErrorKind::Io, "reading the header of", path, e))?;
    SegmentHeader::decode(&blocks).map_err(|bad| match bad {
        Bad::Kind => {
            let say =
                format!("{} is of a newer format than this program: use the newer program", path.display());
            Error::new(ErrorKind::Format, say)
        }
        _ => corrupt(path, "has no readable header"),
    })
}

/// An error about a file that is not what it was promised to be.
#[must_use]
pub fn corrupt(path: &Path, what: &str) -> Error {
    let say = format!(
        "{} {what}: nothing was changed; run `savehold verify`, then `savehold repair --to NEW_DIR --report FILE`",
        path.display()
    );
    Error::new(ErrorKind::Corrupt, say)
}
