//! Corridor: a new log of all that is sound in a damaged one. The old one is not touched.
//!
//! Every record keeps its place, so old versions stay addressable. The new log begins a timeline of its own, larger than
//! any that was seen, so everything written later has a larger place. Segments come first, each durable under its name;
//! MANIFEST comes last: a copy that was cut short does not open.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::Path;

use super::bytes::read_data;
use super::layout::Layout;
use super::packed;
use super::walk::{Found, bad_parts, walk};
use super::{Damage, Inspection, Inspector, Pass, Plot, Seen, Tell, Weight, What};
use crate::error::{Error, ErrorKind, Result};
use crate::format::frame::FrameKind;
use crate::format::group::align;
use crate::format::header::{DATA_OFFSET, SegmentHeader, SegmentKind};
use crate::format::packed::Footer;
use crate::lane::{drawn_lane, offset_in};
use crate::limits::{BLOCK_BYTES, SEGMENT_BYTES_LIMIT};
use crate::lsn::Lsn;
use crate::open::{first_timeline, sync_above};
use crate::segment::catalog::{Catalog, SegmentEntry, Timeline};
use crate::segment::file::entry_of;
use crate::segment::manifest::{self, NotReplaced};
use crate::segment::name::{LOG_DIR, UNFINISHED, segment_name};
use crate::segment::packing::{Judged, PackedFile, not_written};
use crate::vfs::OpenMode;

/// Whether a record that validates goes into the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// It does.
    Yes,
    /// Its place is marked as lost.
    No,
}

/// What a copy holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copied {
    /// Records copied.
    pub records: u64,
    /// Segments written.
    pub segments: u64,
    /// Bytes of log written.
    pub bytes: u64,
    /// The timeline in which the copy goes on.
    pub timeline: u16,
}

impl Inspector {
    /// Copies every record that validates, and that `keep` wants, into a new log in `to`, durably; `inspection` is what
    /// [`Inspector::inspect`] found.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Invalid`]: `to` is there and not empty, or no timeline is left. Nothing was written.
    /// - [`ErrorKind::Full`], [`ErrorKind::Io`]: `to` is unfinished, and does not open; remove it.
    /// - What `keep` answers; [`ErrorKind::Aborted`] where `tell` breaks.
    pub fn copy(
        &self,
        inspection: &Inspection,
        to: &Path,
        tell: Tell<'_>,
        mut keep: impl FnMut(&Seen<'_>) -> Result<Keep>,
    ) -> Result<Copied> {
        let timeline = self.next_timeline(inspection)?;
        self.check_target(to)?;
        self.make_dir(to)?;
        let _lock = crate::holder::take(&self.env, to, std::time::Duration::ZERO)?;
        let mut catalog = Catalog::new(inspection.store, timeline);
        let mut copied = Copied { records: 0, segments: 0, bytes: 0, timeline: timeline.number };
        let (pass, mut time_us) = (Pass::new(self), 0);
        for (n, plot) in self.stock.plots.iter().enumerate() {
            self.told(n, tell, &pass)?;
            let number = self.env.entropy.next_u64();
            let mut header = self.header(plot, number);
            if plot.entry.kind == SegmentKind::Packed {
                self.copy_packed(to, plot, &header, &mut copied, &mut keep)?;
                catalog.name(entry_of(&header));
                continue;
            }
            let most = plot.entry.capacity_end();
            let places = plot.entry.base..plot.entry.end.unwrap_or(most);
            let promised = |d: &Damage| d.loses_records() && d.weight == Weight::Acknowledged;
            let lost = |d: &&Damage| promised(d) && places.contains(&d.from);
            let lost = inspection.damage.iter().filter(lost).map(|d| d.to.min(most)).max();
            let end = plot.entry.end.max(lost);
            let data = self.lay_out(plot, &header, end, &mut time_us, &mut copied, &mut keep)?;
            if data.is_empty() {
                if lost.is_some() {
                    catalog.name(self.all_lost(to, &places, plot.entry.generation)?);
                }
                continue;
            }
            header.end = header.base.plus(data.len() as u64);
            let whole = align(header.end).and_then(|end| end.bytes_since(header.base));
            header.capacity = whole.unwrap_or(plot.entry.capacity);
            self.write(to, &header, data)?;
            catalog.name(entry_of(&header));
            copied.segments += 1;
            copied.bytes += header.capacity;
        }
        for damage in &inspection.damage {
            if let Some(places) = lost_whole(&catalog.segments, damage) {
                catalog.name(self.all_lost(to, &places, 0)?);
            }
        }
        self.told(self.stock.plots.len(), tell, &pass)?;
        let end = catalog.segments.iter().filter_map(|entry| entry.end).max();
        if let (Some(end), Some(own)) = (end, catalog.timelines.last_mut()) {
            own.branch = own.branch.max(end); // marks of what was lost stand before it too
        }
        self.finish(to, catalog, inspection)?;
        Ok(copied)
    }

    fn next_timeline(&self, inspection: &Inspection) -> Result<Timeline> {
        let known = self.stock.catalog.iter().flat_map(|catalog| {
            catalog.timelines.iter().map(|timeline| timeline.number).chain([catalog.frontier.timeline()])
        });
        let placed = self.stock.plots.iter().map(|plot| plot.entry.base.timeline());
        let damaged = inspection.damage.iter().filter(|d| d.to != Lsn::MAX).map(|d| d.to.timeline());
        let proven = [inspection.proven.timeline(), inspection.end.timeline()];
        let highest = known.chain(placed).chain(damaged).chain(proven).max().unwrap_or(0);
        let today = first_timeline(&self.env);
        let Some(next) = highest.checked_add(1) else {
            let say = "all 65,535 timelines are used up: no larger version is left for what would be written; load what can be read into a new store (`savehold dump`, `savehold load`)";
            return Err(Error::new(ErrorKind::Invalid, say));
        };
        let entropy = &self.env.entropy;
        let offset = offset_in(drawn_lane(entropy.next_u64()), entropy.next_u64()); // nobody can claim anything
        let own = Timeline { number: today.number.max(next), offset, branch: inspection.end, ..today };
        Ok(own.behind(inspection.time_us))
    }

    /// Whether a copy may be made in `to`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`]: it is there and not empty. [`ErrorKind::Io`].
    pub fn check_target(&self, to: &Path) -> Result<()> {
        let refuse = |what| {
            let say = format!("{} {what}: name a new directory for the copy", to.display());
            Err(Error::new(ErrorKind::Invalid, say))
        };
        match self.env.vfs.list(to) {
            Ok(names) if names.is_empty() => Ok(()),
            Ok(_) => refuse("is not empty"),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotADirectory => refuse("is a file"),
            Err(e) => Err(Error::io(ErrorKind::Io, "listing", to, e)),
        }
    }

    fn make_dir(&self, to: &Path) -> Result<()> {
        let io = |doing, path: &Path, e| Error::io(ErrorKind::Io, doing, path, e);
        let dir = to.join(LOG_DIR);
        self.env.vfs.create_dir(&dir).map_err(|e| io("making", &dir, e))?;
        self.env.vfs.sync_dir(to).map_err(|e| io("syncing", to, e))?;
        sync_above(&self.env, to)
    }

    fn header(&self, plot: &Plot, number: u64) -> SegmentHeader {
        let packed = plot.entry.kind == SegmentKind::Packed;
        SegmentHeader {
            kind: if packed { SegmentKind::Packed } else { SegmentKind::Rest },
            store: self.stock.store,
            base: plot.entry.base,
            capacity: plot.entry.capacity,
            number,
            created_us: self.env.clock.wall_us(),
            generation: plot.entry.generation,
            end: if packed { plot.entry.capacity_end() } else { Lsn::NONE },
        }
    }

    fn lay_out(
        &self,
        plot: &Plot,
        header: &SegmentHeader,
        end: Option<Lsn>,
        time_us: &mut u64,
        copied: &mut Copied,
        keep: &mut impl FnMut(&Seen<'_>) -> Result<Keep>,
    ) -> Result<Vec<u8>> {
        let (data, _) = read_data(&*plot.file, plot.there);
        let span = plot.cut(plot.span(self.stock.store, &data));
        let mut layout = Layout::new(header.base, header.binding(), *time_us);
        walk(&span, |found| {
            match found {
                Found::Group(lsn, head) => {
                    layout.group(lsn, head);
                }
                Found::Frame { lsn, frame, bytes, time_us } if frame.kind == FrameKind::Record => {
                    let bad_parts = bad_parts(lsn, &frame);
                    let seen = plot.seen(lsn, time_us, bytes, frame.head.len(), &bad_parts);
                    if keep(&seen)? == Keep::Yes && layout.frame(lsn, bytes, frame.head.len()) {
                        copied.records += 1;
                    }
                }
                Found::Frame { lsn, frame, bytes, .. } => {
                    layout.frame(lsn, bytes, frame.head.len());
                }
                Found::LostGroup(lsn) => layout.lost_group(lsn),
                Found::Rubble { from, to, .. } if !is_zero(span.from(from), from..to) => layout.rubble(),
                Found::Rubble { .. } | Found::Padding(_) => {}
            }
            Ok::<(), Error>(())
        })?;
        *time_us = layout.time_us();
        Ok(layout.finish(end, plot.entry.capacity_end()))
    }

    /// A packed segment is packed again, with what of it is sound.
    fn copy_packed(
        &self,
        to: &Path,
        plot: &Plot,
        header: &SegmentHeader,
        copied: &mut Copied,
        keep: &mut impl FnMut(&Seen<'_>) -> Result<Keep>,
    ) -> Result<()> {
        let (data, _) = read_data(&*plot.file, plot.there);
        let binding = plot.entry.binding(self.stock.store);
        let book = packed::Book::read(&data, binding);
        let dir = to.join(LOG_DIR);
        let name = segment_name(header.base, header.generation);
        let (path, unfinished) = (dir.join(&name), dir.join(format!("{name}{UNFINISHED}")));
        let mut file = PackedFile::new(&*self.env.vfs, &unfinished, header)?;
        let mut dropped = book.footer.map_or(1, |footer| footer.dropped); // without one nobody can say that none are gone
        packed::walk(&data, &book, plot, binding, |stands| {
            if let packed::Stands::Record(offset, record) = stands {
                let bad_parts = packed::bad_parts(&record);
                if packed::seen(plot, offset, &record, &bad_parts, keep)? == Keep::Yes {
                    let parts: Vec<(u32, &[u8])> = record.raw_parts().collect();
                    file.put(&record.survivor(&parts))?;
                    copied.records += 1;
                    return Ok(());
                }
            }
            dropped = dropped.saturating_add(1);
            Ok::<(), Error>(())
        })?;
        let note_is_whole = |footer: &Footer| book.note.len() == footer.note_bytes as usize;
        let judged = book.footer.filter(note_is_whole).map(|footer| Judged {
            at: footer.judged,
            number: footer.judgement,
            note: &book.note,
        });
        // What else was lost, and how far, nobody can say: a feed begins behind all of it.
        copied.bytes += file.finish(judged.unwrap_or_default(), dropped, header.end)?;
        copied.segments += 1;
        let named = self.env.vfs.rename(&unfinished, &path).and_then(|()| self.env.vfs.sync_dir(&dir));
        named.map_err(|e| not_written(&path, e))
    }

    /// Writes a packed segment without a record in the place of one that is lost whole, so that a feed does not pass over it.
    fn all_lost(&self, to: &Path, places: &Range<Lsn>, generation: u32) -> Result<SegmentEntry> {
        let bytes = places.end.bytes_since(places.start).unwrap_or(0).next_multiple_of(BLOCK_BYTES);
        let header = SegmentHeader {
            kind: SegmentKind::Packed,
            store: self.stock.store,
            base: places.start,
            capacity: bytes,
            number: self.env.entropy.next_u64(),
            created_us: self.env.clock.wall_us(),
            generation,
            end: places.start.plus(bytes),
        };
        let dir = to.join(LOG_DIR);
        let name = segment_name(header.base, header.generation);
        let (path, unfinished) = (dir.join(&name), dir.join(format!("{name}{UNFINISHED}")));
        let file = PackedFile::new(&*self.env.vfs, &unfinished, &header)?;
        file.finish(Judged::default(), 1, header.end)?;
        let named = self.env.vfs.rename(&unfinished, &path).and_then(|()| self.env.vfs.sync_dir(&dir));
        named.map_err(|e| not_written(&path, e))?;
        Ok(entry_of(&header))
    }

    fn write(&self, to: &Path, header: &SegmentHeader, mut data: Vec<u8>) -> Result<()> {
        data.resize(data.len().next_multiple_of(BLOCK_BYTES as usize), 0);
        let dir = to.join(LOG_DIR);
        let name = segment_name(header.base, header.generation);
        let (path, unfinished) = (dir.join(&name), dir.join(format!("{name}{UNFINISHED}")));
        let write = || {
            let file = self.env.vfs.open(&unfinished, OpenMode::Truncate)?;
            file.write_at(&mut [IoSlice::new(&header.encode()), IoSlice::new(&data)], 0)?;
            file.sync()?;
            self.env.vfs.rename(&unfinished, &path)?;
            self.env.vfs.sync_dir(&dir)
        };
        write().map_err(|e| {
            let kind = if crate::vfs::is_full(&e) { ErrorKind::Full } else { ErrorKind::Io };
            let doing = format!("writing {} bytes of", data.len() as u64 + DATA_OFFSET);
            Error::io(kind, &doing, &path, e)
        })
    }

    fn finish(&self, to: &Path, mut catalog: Catalog, inspection: &Inspection) -> Result<()> {
        let own = catalog.timelines.pop();
        if let Some(old) = &self.stock.catalog {
            catalog.generation = old.next_generation()?;
            catalog.lanes = old.lanes;
            catalog.timelines.clone_from(&old.timelines);
            catalog.reports.clone_from(&old.reports);
        } else {
            let numbers = self.stock.plots.iter().map(|plot| plot.entry.base.timeline());
            let mut numbers: Vec<u16> = numbers.collect();
            numbers.dedup();
            let known = numbers.into_iter().map(|number| Timeline {
                number,
                offset: 0,
                branch: Lsn::NONE,
                begun_us: 0,
            });
            catalog.timelines = known.collect();
        }
        catalog.timelines.extend(own);
        catalog.time_us = inspection.time_us;
        catalog.attachment.clone_from(&self.attachment);
        manifest::replace(&*self.env.vfs, to, &catalog).map_err(NotReplaced::into_error)
    }
}

/// The places of a segment that is lost whole, of which only a catalog or another segment tells: no more of them than a
/// segment may have, and none that a segment beside it has.
fn lost_whole(segments: &[SegmentEntry], damage: &Damage) -> Option<Range<Lsn>> {
    let (from, whole) = (damage.from, matches!(damage.what, What::Missing | What::Header));
    let covered = segments.iter().any(|entry| entry.base <= from && from < entry.capacity_end());
    if !whole || !damage.loses_records() || covered || !from.offset().is_multiple_of(BLOCK_BYTES) {
        return None;
    }
    let next = segments.iter().map(|entry| entry.base).filter(|base| *base > from).min();
    let most = from.checked_add(SEGMENT_BYTES_LIMIT)?;
    let end = damage.to.min(next.unwrap_or(Lsn::MAX)).min(most);
    end.bytes_since(from).filter(|bytes| *bytes > 0).map(|_| from..end)
}

/// Whether `bytes`, which stand at these places, are nothing but zeros.
fn is_zero(bytes: &[u8], places: Range<Lsn>) -> bool {
    let count = places.end.bytes_since(places.start).and_then(|n| usize::try_from(n).ok());
    bytes.iter().take(count.unwrap_or(usize::MAX)).all(|&byte| byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn a_segment_that_only_others_tell_of_takes_no_more_places_than_it_can_have() {
        let at = |blocks: u64| Lsn::new(3, blocks * BLOCK_BYTES);
        let entry = |base: u64, blocks: u64| SegmentEntry {
            base: at(base),
            capacity: blocks * BLOCK_BYTES,
            number: 1,
            generation: 0,
            kind: SegmentKind::Log,
            end: None,
            damaged: false,
        };
        let segments = [entry(0, 10), entry(20, 10)];
        let lost = |from: Lsn, to: Lsn| {
            let (what, weight) = (What::Missing, Weight::Acknowledged);
            let damage = Damage { what, weight, from, to, file: PathBuf::new(), offset: 0, head: None };
            lost_whole(&segments, &damage)
        };
        let limit = SEGMENT_BYTES_LIMIT / BLOCK_BYTES;
        let table = [
            (at(10), at(15), Some(at(15))),
            (at(10), Lsn::MAX, Some(at(20))),
            (at(5), at(15), None),
            (at(12).plus(1), at(15), None),
            (at(12), at(12), None),
            (at(30), at(31), Some(at(31))),
            (at(30), Lsn::MAX, Some(at(30 + limit))),
            (at(30), Lsn::new(9, 4096), Some(at(30 + limit))),
        ];
        for (from, to, end) in table {
            assert_eq!(lost(from, to), end.map(|end| from..end), "{from} to {to}");
        }
    }
}
