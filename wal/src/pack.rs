//! Corridor: packing: several sealed neighbours become one file that holds only what stays, each part with its address.
//!
//! 1. Choose the neighbours: ended, not the active one, in one timeline.
//! 2. Write the packed file under a temporary name: header, frames, directory, footer; sync it every few MiB.
//! 3. Rename it, sync the directory: its name exists only when all of it is durable.
//! 4. Name it in MANIFEST in place of its sources, in one step; replace MANIFEST once more, so that the one before names
//!    no source either. Where there is no space for that, the one before goes.
//! 5. Readers go to it from now on; who reads a source goes on reading.
//! 6. Remove the sources.
//!
//! A crash before step 4 leaves the sources, and a file that the next open removes; after it, the packed file, and sources
//! that the next open removes. What stays and what goes is the caller's to judge; nothing is changed where anything in a
//! source cannot be read.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::format::frame::{FRAME_HEADER_BYTES, FrameKind, FrameRef, PART_HEADER_BYTES};
use crate::format::header::{SegmentHeader, SegmentKind};
use crate::format::packed::Survivor;
use crate::log::Log;
use crate::lsn::Lsn;
use crate::scan::{Span, Verify};
use crate::segment::catalog::{Catalog, SegmentEntry, generation_behind};
use crate::segment::file::{Segment, entry_of};
use crate::segment::name::{LOG_DIR, UNFINISHED, segment_name};
use crate::segment::packing::{Judged, PackedFile, not_written};
use crate::vfs::OpenMode;
use crate::window::{GLANCE_BYTES, Window};

/// A record that may be kept, in part or whole.
#[derive(Debug)]
pub struct Candidate<'a> {
    /// Its place.
    pub lsn: Lsn,
    /// Its head.
    pub head: &'a [u8],
    /// Where its body began, in the record as first written.
    pub body_offset: u32,
    /// Its parts: offset in the record as first written, and bytes.
    pub parts: &'a [(u32, u32)],
}

/// What stays of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stay {
    /// All of it.
    Whole,
    /// Nothing: its place is empty from now on.
    Nothing,
    /// These parts, by their offsets, ascending, under another head.
    Parts {
        /// The head, without what goes.
        head: Vec<u8>,
        /// Offsets of the parts that stay.
        parts: Vec<u32>,
    },
}

/// What packing is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packing<'a> {
    /// Segments from the first one that begins here or behind it…
    pub from: Lsn,
    /// …to the last one that begins before here.
    pub to: Lsn,
    /// By what it is judged what stays.
    pub judged: Judged<'a>,
}

/// A segment that may be packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sealed {
    /// Its first place.
    pub base: Lsn,
    /// Behind its last record.
    pub end: Lsn,
    /// Behind the last place that it owns.
    pub space_end: Lsn,
    /// Bytes of its file.
    pub bytes: u64,
    /// Records in it, of a segment that is packed already.
    pub packed: Option<u64>,
    /// The newest judgement by which nothing in it was to be dropped.
    pub judged: u64,
    /// Where the log was when it was judged; of a segment as it was written, its end.
    pub judged_at: Lsn,
    /// It may be the first of those that are packed.
    pub first: bool,
}

/// What packing did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Packed {
    /// Segments that became one.
    pub segments: u64,
    /// Records that stay, in part or whole.
    pub records: u64,
    /// Records that are gone whole by it.
    pub dropped: u64,
    /// Bytes that the files had.
    pub bytes_before: u64,
    /// Bytes that the packed one has.
    pub bytes_after: u64,
}

/// What is packed, as the catalog names it and as it is read.
type Sources = (Vec<SegmentEntry>, Vec<Arc<Segment>>);

impl Log {
    /// Packs the segments that lie in `packing`; `None` where there is none to pack. `judge` says what stays; `pace` is
    /// told the bytes read and written since the last time, may wait, and may stop it: nothing is changed then.
    pub(crate) fn pack(
        &self,
        packing: Packing<'_>,
        judge: &mut dyn FnMut(&Candidate<'_>) -> Result<Stay>,
        pace: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<Option<Packed>> {
        self.check()?;
        packing.judged.check()?;
        let _one = self.packing.lock();
        let Some((entries, sources)) = self.sources(packing)? else { return Ok(None) };
        let header = self.packed_header(&entries)?;
        let (packed, mut done) = self.write_packed(&header, &sources, packing.judged, judge, pace)?;
        self.put_in_place(&header, &entries, &sources, Arc::new(packed))?;
        done.segments = sources.len() as u64;
        Ok(Some(done))
    }

    /// Segments that may be packed, oldest first: ended, behind nothing that is still written.
    pub(crate) fn sealed(&self) -> Result<Vec<Sealed>> {
        let segments = self.segments.read();
        let same = |e: &SegmentEntry, s: &Segment| (s.base, s.generation) == (e.base, e.generation);
        let mut sealed = Vec::new();
        for entry in self.sealed_entries() {
            let Some(segment) = segments.iter().find(|s| same(&entry, s)) else { continue };
            let packed = segment.kind == SegmentKind::Packed;
            let footer = packed.then(|| segment.footer()).transpose()?;
            sealed.push(Sealed {
                base: entry.base,
                end: entry.end.unwrap_or(entry.base),
                space_end: entry.capacity_end(),
                bytes: segment.disk_bytes(),
                packed: footer.as_ref().map(|footer| footer.records),
                judged: segment.judged(),
                judged_at: footer.map_or(entry.end.unwrap_or(entry.base), |footer| footer.judged),
                first: self.begins_alone(&entry),
            });
        }
        Ok(sealed)
    }

    fn sealed_entries(&self) -> Vec<SegmentEntry> {
        let mut named = Catalog::clone(&self.catalog.lock());
        self.note_ends(&mut named);
        let active = self.order.lock().frames.active().map_or(Lsn::MAX, |active| active.base);
        let last = named.segments.iter().rposition(|e| e.kind == SegmentKind::Log && e.end != Some(e.base));
        let sealed = named.segments[..last.unwrap_or(0)].iter();
        sealed.filter(|e| e.end.is_some() && e.base < active).copied().collect()
    }

    /// Step 1.
    fn sources(&self, packing: Packing<'_>) -> Result<Option<Sources>> {
        let inside = |e: &SegmentEntry| e.base >= packing.from && e.base < packing.to;
        let entries: Vec<SegmentEntry> = self.sealed_entries().into_iter().filter(inside).collect();
        let Some(first) = entries.first() else { return Ok(None) };
        let one = entries.iter().all(|e| e.base.timeline() == first.base.timeline());
        if !self.begins_alone(first) || !one {
            let say = "segments are packed from a whole one on, within one timeline: choose another range";
            return Err(Error::new(ErrorKind::Invalid, say).at(first.base));
        }
        let list = self.segments.read();
        let find = |e: &SegmentEntry| {
            list.iter().find(|s| (s.base, s.generation) == (e.base, e.generation)).cloned()
        };
        let sources: Option<Vec<Arc<Segment>>> = entries.iter().map(find).collect();
        Ok(sources.map(|sources| (entries, sources)))
    }

    /// Whether it lies in no other segment's space, as a rest segment does that a recovery wrote.
    fn begins_alone(&self, first: &SegmentEntry) -> bool {
        let before = |e: &SegmentEntry| (e.base, e.generation) < (first.base, first.generation);
        let catalog = self.catalog.lock();
        !catalog.segments.iter().any(|e| before(e) && e.capacity_end() > first.base)
    }

    fn packed_header(&self, entries: &[SegmentEntry]) -> Result<SegmentHeader> {
        let catalog = self.catalog.lock();
        let (first, last) = (entries[0].base, entries[entries.len() - 1]);
        let behind = catalog.segments.iter().map(|e| e.base).filter(|base| *base > last.base).min();
        let end = behind.map_or(last.capacity_end(), |behind| behind.min(last.capacity_end()));
        let same = catalog.segments.iter().filter(|e| e.base == first).map(|e| e.generation);
        Ok(SegmentHeader {
            kind: SegmentKind::Packed,
            store: self.store,
            base: first,
            capacity: end.bytes_since(first).expect("one timeline"),
            number: self.env.entropy.next_u64(),
            created_us: self.env.clock.wall_us(),
            generation: same.max().map_or(Ok(0), generation_behind)?,
            end,
        })
    }

    /// Steps 2 and 3.
    fn write_packed(
        &self,
        header: &SegmentHeader,
        sources: &[Arc<Segment>],
        judged: Judged<'_>,
        judge: &mut dyn FnMut(&Candidate<'_>) -> Result<Stay>,
        pace: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<(Segment, Packed)> {
        let dir = self.root.join(LOG_DIR);
        let name = segment_name(header.base, header.generation);
        let (path, unfinished) = (dir.join(&name), dir.join(format!("{name}{UNFINISHED}")));
        let file =
            self.held_directory().and_then(|_held| PackedFile::new(&*self.env.vfs, &unfinished, header))?;
        let written = write_all(Out::new(file), sources, judged, judge, pace);
        let done = written.and_then(|done| {
            let _held = self.held_directory()?;
            self.env.vfs.rename(&unfinished, &path).map_err(|e| not_written(&path, e))?;
            self.env.vfs.sync_dir(&dir).map_err(|e| not_written(&dir, e))?;
            Ok(done)
        });
        let done = done.inspect_err(|_| {
            self.remove_own(&unfinished);
            self.remove_own(&path);
        })?;
        let access = self.options.access;
        let segment = Segment::open(
            &*self.env.vfs,
            &self.root,
            &entry_of(header),
            header.store,
            access,
            OpenMode::Write,
        )?;
        Ok((segment, done))
    }

    /// Steps 4 to 6.
    fn put_in_place(
        &self,
        header: &SegmentHeader,
        entries: &[SegmentEntry],
        sources: &[Arc<Segment>],
        packed: Arc<Segment>,
    ) -> Result<()> {
        #[cfg(feature = "planted")]
        if crate::planted::is(crate::planted::Planted::RemoveSourcesEarly) {
            sources.iter().for_each(|source| _ = self.env.vfs.remove(&source.path));
        }
        let mut catalog = self.catalog.lock();
        self.check()?;
        let mut damaged = entries.iter().zip(sources).filter(|(entry, _)| entry.damaged);
        damaged.try_for_each(|(_, source)| self.quarantine(source)).inspect_err(|_| {
            self.remove_own(&packed.path); // nothing names it, and it takes the space that is lacking
        })?;
        let mut named = Catalog::clone(&catalog);
        self.note_ends(&mut named);
        let is_source =
            |e: &SegmentEntry| entries.iter().any(|s| (s.base, s.generation) == (e.base, e.generation));
        named.segments.retain(|e| !is_source(e));
        named.name(entry_of(header));
        if let Err(e) = self.name(&mut catalog, named) {
            if e.kind().is_short() {
                self.remove_own(&packed.path); // else the catalog on the disk may name it
            }
            return Err(e);
        }
        self.complete.raise(packed.complete());
        self.swap_segments(sources, &packed);
        self.name_again(&mut catalog)?; // where it fails the sources stay, unnamed: the next open removes them
        #[cfg(feature = "planted")]
        if crate::planted::is(crate::planted::Planted::RemoveSourcesEarly) {
            return Ok(());
        }
        drop(catalog);
        let remove = |source: &Arc<Segment>| {
            let _held = self.held_directory()?;
            let removed = self.env.vfs.remove(&source.path);
            removed.map_err(|e| Error::io(ErrorKind::Io, "removing", &source.path, e))
        };
        let removed: Vec<Result<()>> = sources.iter().map(remove).collect(); // one that stays keeps no other
        removed.into_iter().collect()
    }
}

/// Every record of the sources, judged, and the file's end.
fn write_all(
    mut out: Out,
    sources: &[Arc<Segment>],
    judged: Judged<'_>,
    judge: &mut dyn FnMut(&Candidate<'_>) -> Result<Stay>,
    pace: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<Packed> {
    for source in sources {
        out.done.bytes_before += source.disk_bytes();
        match source.kind {
            SegmentKind::Packed => pack_packed(&mut out, source, judge, pace)?,
            _ => pack_plain(&mut out, source, judge, pace)?,
        }
    }
    out.finish(judged)
}

fn pack_plain(
    out: &mut Out,
    source: &Segment,
    judge: &mut dyn FnMut(&Candidate<'_>) -> Result<Stay>,
    pace: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<()> {
    let (mut at, end) = (source.base, source.end().unwrap_or(source.base));
    let mut window = Window::new(source, end, GLANCE_BYTES, Vec::new())?;
    while at < end {
        let group = window.group(at)?.ok_or_else(|| damaged(source, at))?;
        let bytes = source.read(at, group.head.bytes as usize)?;
        let span = Span { base: at, binding: source.binding, data: &bytes };
        let mut failed = Ok(());
        let walked = span.walk(group, Verify::Heads, |lsn, frame| match frame.kind {
            FrameKind::Record if failed.is_ok() => {
                failed = pack_record(out, source, lsn, group.head.time_us, &frame, judge);
            }
            FrameKind::Lost => {
                out.before = out.before.saturating_add(1);
                out.stood_before(lsn.plus(frame.bytes() as u64));
            }
            _ => {}
        });
        walked.map_err(|bad| damaged(source, bad))?;
        failed?;
        tell(u64::from(group.head.bytes), pace)?;
        at = group.head.next(at).ok_or_else(|| damaged(source, at))?;
    }
    Ok(())
}

fn pack_record(
    out: &mut Out,
    source: &Segment,
    lsn: Lsn,
    time_us: u64,
    frame: &FrameRef<'_>,
    judge: &mut dyn FnMut(&Candidate<'_>) -> Result<Stay>,
) -> Result<()> {
    let body_offset = u32::try_from(FRAME_HEADER_BYTES + frame.head.len()).expect("HEAD_BYTES_MAX");
    let parts = raw_parts(frame.body, body_offset).ok_or_else(|| damaged(source, lsn))?;
    out.record(Survivor { lsn, time_us, body_offset, head: frame.head, parts: &parts }, judge)
}

/// The parts that fill a body, each with its header: offset in the record and bytes.
pub(crate) fn raw_parts(body: &[u8], body_offset: u32) -> Option<Vec<(u32, &[u8])>> {
    let (mut parts, mut at) = (Vec::new(), 0);
    while at < body.len() {
        let len = u32::from_le_bytes(body.get(at + 4..at + PART_HEADER_BYTES)?.try_into().ok()?) as usize;
        let whole = body.get(at..at.checked_add(PART_HEADER_BYTES)?.checked_add(len)?)?;
        parts.push((body_offset.checked_add(u32::try_from(at).ok()?)?, whole));
        at += whole.len();
    }
    Some(parts)
}

fn pack_packed(
    out: &mut Out,
    source: &Segment,
    judge: &mut dyn FnMut(&Candidate<'_>) -> Result<Stay>,
    pace: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<()> {
    out.before = out.before.saturating_add(source.directory()?.footer.dropped);
    out.stood_before(source.complete());
    for block in 0..source.directory()?.blocks() {
        for entry in source.entries(block)? {
            let bytes = source.packed_frame(entry.at)?;
            let packed = source.packed_record(&bytes, entry.at, entry.lsn)?;
            let parts: Vec<(u32, &[u8])> = packed.raw_parts().collect();
            out.record(packed.survivor(&parts), judge)?;
            tell(bytes.len() as u64, pace)?;
        }
    }
    Ok(())
}

/// The packed file, and what was judged so far.
pub(crate) struct Out {
    file: PackedFile,
    /// Records that were dropped before from what is packed again.
    before: u64,
    /// No record stood at or behind it in what is packed.
    complete: Lsn,
    pub(crate) done: Packed,
}

impl Out {
    /// Nothing yet, into this file.
    pub(crate) fn new(file: PackedFile) -> Self {
        Self { file, before: 0, complete: Lsn::NONE, done: Packed::default() }
    }

    /// Notes that records may have stood before this place that nobody can see any more.
    pub(crate) fn stood_before(&mut self, complete: Lsn) {
        self.complete = self.complete.max(complete);
    }

    /// Ends the file, durable but for its name.
    pub(crate) fn finish(self, judged: Judged<'_>) -> Result<Packed> {
        let Self { file, before, complete, mut done } = self;
        done.bytes_after = file.finish(judged, before.saturating_add(done.dropped), complete)?;
        Ok(done)
    }

    /// A record, judged.
    pub(crate) fn record(
        &mut self,
        record: Survivor<'_>,
        judge: &mut dyn FnMut(&Candidate<'_>) -> Result<Stay>,
    ) -> Result<()> {
        let bytes = |part: &[u8]| u32::try_from(part.len() - PART_HEADER_BYTES).expect("BODY_BYTES_MAX");
        let parts: Vec<(u32, u32)> =
            record.parts.iter().map(|(offset, part)| (*offset, bytes(part))).collect();
        let Survivor { lsn, head, body_offset, .. } = record;
        self.stood_before(lsn.plus(1));
        match judge(&Candidate { lsn, head, body_offset, parts: &parts })? {
            Stay::Whole => self.file.put(&record)?,
            Stay::Nothing => {
                self.done.dropped += 1;
                return Ok(());
            }
            Stay::Parts { head, parts } => {
                let stays = |(offset, _): &&(u32, &[u8])| parts.binary_search(offset).is_ok();
                let parts: Vec<(u32, &[u8])> = record.parts.iter().filter(stays).copied().collect();
                self.file.put(&Survivor { head: &head, parts: &parts, ..record })?;
            }
        }
        self.done.records += 1;
        Ok(())
    }
}

/// Tells `pace` how many bytes were gone through.
pub(crate) fn tell(bytes: u64, pace: &mut dyn FnMut(u64) -> ControlFlow<()>) -> Result<()> {
    match pace(bytes) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::new(
            ErrorKind::Aborted,
            "packing was stopped: nothing was changed, call it again to go on",
        )),
    }
}

fn damaged(segment: &Segment, at: Lsn) -> Error {
    let say = format!(
        "the log is damaged at {at} ({}, offset {}): it stays as it is, unpacked; run `savehold verify`",
        segment.path.display(),
        segment.file_offset(at.max(segment.base))
    );
    Error::new(ErrorKind::Corrupt, say).at(at)
}

#[cfg(test)]
mod tests;
