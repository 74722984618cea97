//! Corridor: giving up the oldest segments. Name the rest first, make that durable, then remove the files.

use std::io::{self, IoSlice};
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::format::header::DATA_OFFSET;
use crate::limits::QUARANTINE_MAX;
use crate::log::Log;
use crate::lsn::Lsn;
use crate::segment::catalog::{Catalog, SegmentEntry};
use crate::segment::file::Segment;
use crate::segment::name::QUARANTINE_DIR;
use crate::vfs::{OpenMode, is_full};

impl Log {
    /// Gives up what ends at or before `before`; says how many bytes came free.
    pub(crate) fn retire(&self, before: Lsn) -> Result<u64> {
        let _one = self.packing.lock();
        let mut catalog = self.catalog.lock();
        let mut named = Catalog::clone(&catalog);
        self.note_ends(&mut named);
        let last_begun = named.segments.iter().rposition(|e| e.end.is_some()).unwrap_or(0);
        let old =
            |(n, e): &(usize, &SegmentEntry)| *n <= last_begun && e.end.is_some_and(|end| end <= before);
        let going: Vec<SegmentEntry> =
            named.segments.iter().enumerate().filter(old).map(|(_, e)| *e).collect();
        if going.is_empty() {
            return Ok(0);
        }
        let segments = self.segments.read();
        let files: Vec<Arc<Segment>> = segments
            .iter()
            .filter(|s| going.iter().any(|e| (e.base, e.generation) == (s.base, s.generation)))
            .cloned()
            .collect();
        for segment in &files {
            let entry = going.iter().find(|e| (e.base, e.generation) == (segment.base, segment.generation));
            if entry.is_some_and(|e| e.damaged) {
                self.quarantine(segment)?;
            }
        }
        named.segments.retain(|e| !going.contains(e));
        self.name(&mut catalog, named)?;
        going.iter().filter_map(|e| e.end).for_each(|end| self.complete.raise(end));
        let remove = |segment: &Arc<Segment>| {
            self.drop_segment(segment.base, segment.generation);
            let freed = segment.file_len().unwrap_or(0);
            let _held = self.held_directory()?;
            let removed = self.env.vfs.remove(&segment.path).map(|()| freed);
            removed.map_err(|e| Error::io(ErrorKind::Io, "removing", &segment.path, e))
        };
        let removed: Vec<Result<u64>> = files.iter().map(remove).collect(); // one that stays keeps no other
        removed.into_iter().sum()
    }

    /// Copies what lies behind a segment's end, without the zeros at its tail; the newest few copies are kept.
    pub(crate) fn quarantine(&self, segment: &Segment) -> Result<()> {
        let Some(end) = segment.end() else { return Ok(()) };
        let there = segment.file_len()?.saturating_sub(segment.file_offset(end));
        let mut bytes = vec![0; usize::try_from(there).expect("bounded by SEGMENT_BYTES_LIMIT")];
        segment.read_into(&mut bytes, end)?;
        let used = bytes.iter().rposition(|&b| b != 0).map_or(0, |last| last + 1);
        if used == 0 {
            return Ok(());
        }
        let dir = self.root.join(QUARANTINE_DIR);
        let name = format!(
            "{:016x}-{}-at-{}.bin",
            segment.base.raw(),
            segment.generation,
            DATA_OFFSET + end.raw() - segment.base.raw()
        );
        let _held = self.held_directory()?;
        let write = || -> io::Result<()> {
            self.env.vfs.create_dir(&dir)?;
            let file = self.env.vfs.open(&dir.join(&name), OpenMode::Truncate)?;
            file.write_at(&mut [IoSlice::new(&bytes[..used])], 0)?;
            file.sync()?;
            let mut names = self.env.vfs.list(&dir)?;
            names.sort();
            let over = names.len().saturating_sub(QUARANTINE_MAX);
            names[..over].iter().try_for_each(|old| self.env.vfs.remove(&dir.join(old)))?;
            self.env.vfs.sync_dir(&dir)
        };
        match write() {
            Err(e) if is_full(&e) => {
                _ = self.env.vfs.remove(&dir.join(&name)); // giving up is what makes room: evidence yields
                Ok(())
            }
            done => done.map_err(|e| Error::io(ErrorKind::Io, "quarantining in", &dir, e)),
        }
    }
}
