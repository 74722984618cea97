//! Corridor: looking through a packed segment: every frame, then whether the directory says the same.

use super::bytes::read_data;
use super::{Damage, Pass, Plot, Seen, Weight, What};
use crate::error::Result;
use crate::format::checksum::Binding;
use crate::format::frame::{FRAME_HEADER_BYTES, FrameKind, PART_HEADER_BYTES, decode_part};
use crate::format::header::DATA_OFFSET;
use crate::format::packed::{DirectoryEntry, Footer, NOTE_BYTES_MAX, PackedRef, decode_directory};
use crate::limits::BLOCK_BYTES;
use crate::lsn::Lsn;

const BLOCK: usize = BLOCK_BYTES as usize;

/// What a packed file says at its end, as far as it can be read.
pub(super) struct Book {
    pub(super) footer: Option<Footer>,
    pub(super) entries: Vec<DirectoryEntry>,
    /// The note of the layer above; empty where it cannot be read.
    pub(super) note: Vec<u8>,
    /// Where in the file the first block stands that cannot be read.
    pub(super) bad: Option<u64>,
}

/// One thing that stands in a packed file.
pub(super) enum Stands<'a> {
    /// A record, at an offset of the file.
    Record(u64, PackedRef<'a>),
    /// Bytes that are none, up to an offset of the file; places of records that the directory says stood there.
    Rubble { at: u64, from: Lsn, to: Lsn },
}

impl Book {
    /// Reads the end of the file whose bytes behind the header are `data`.
    pub(super) fn read(data: &[u8], binding: Binding) -> Self {
        let mut book = Self { footer: None, entries: Vec::new(), note: Vec::new(), bad: None };
        let Some(last) = data.len().checked_sub(BLOCK) else {
            book.bad = Some(DATA_OFFSET);
            return book;
        };
        let offset = DATA_OFFSET + last as u64;
        let Ok(footer) = Footer::decode(&data[last..], offset, binding) else {
            book.bad = Some(offset);
            return book;
        };
        for block in 0..footer.blocks {
            let offset = footer.directory() + block * BLOCK_BYTES;
            let at = usize::try_from(offset - DATA_OFFSET).unwrap_or(usize::MAX);
            match decode_directory(
                data.get(at..at.saturating_add(BLOCK)).unwrap_or_default(),
                offset,
                binding,
            ) {
                Ok(entries) => book.entries.extend(entries),
                Err(_) => _ = book.bad.get_or_insert(offset),
            }
        }
        let at = usize::try_from(footer.note() - DATA_OFFSET).unwrap_or(usize::MAX);
        let note = data.get(at..at.saturating_add(footer.note_bytes as usize));
        match note.filter(|note| crc32fast::hash(note) == footer.note_crc) {
            Some(note) => book.note = note.to_vec(),
            None => _ = book.bad.get_or_insert(footer.note()),
        }
        book.footer = Some(footer);
        book
    }
}

/// Hands everything that stands among the frames to `visit`, in order.
pub(super) fn walk<'a, E>(
    data: &'a [u8],
    book: &Book,
    plot: &Plot,
    binding: Binding,
    mut visit: impl FnMut(Stands<'a>) -> Result<(), E>,
) -> Result<(), E> {
    let end = book
        .footer
        .map_or(data.len(), |footer| usize::try_from(footer.frames_end - DATA_OFFSET).unwrap_or(0));
    let frames = &data[..end.min(data.len())];
    let (mut at, mut last) = (0, plot.entry.base);
    while at < frames.len() {
        let offset = DATA_OFFSET + at as u64;
        if let Ok(packed) = PackedRef::decode(&frames[at..], binding) {
            last = packed.lsn.plus(1);
            let bytes = packed.bytes();
            visit(Stands::Record(offset, packed))?;
            at += bytes;
            continue;
        }
        let next = next_frame(frames, at, &book.entries, binding);
        let behind =
            next.map(|next| PackedRef::decode(&frames[next..], binding).map_or(Lsn::NONE, |p| p.lsn));
        if next.is_none() && book.footer.is_none() && is_tail(frames, at, binding) {
            return Ok(());
        }
        let own = book.entries.iter().find(|entry| entry.at == offset).map(|entry| entry.lsn);
        let from = own.unwrap_or(last).max(last);
        let to = behind.unwrap_or(plot.entry.capacity_end()).max(from);
        visit(Stands::Rubble { at: offset, from, to })?;
        let Some(next) = next else { return Ok(()) };
        at = next;
    }
    let (from, to) = (last, plot.entry.capacity_end().max(last));
    match book.footer {
        Some(_) => Ok(()),
        None => visit(Stands::Rubble { at: DATA_OFFSET + at as u64, from, to }), // nothing says that the frames ended
    }
}

/// Whether what stands behind `at` is what stands behind the last frame: zeros, then good blocks of the directory, which
/// name no frame there, and nothing else but a note and the footer, which cannot be read. Where no block of the directory
/// is left, nothing says that the frames ended.
fn is_tail(data: &[u8], at: usize, binding: Binding) -> bool {
    let zeros = at.next_multiple_of(BLOCK).min(data.len());
    let offset = |n: usize| DATA_OFFSET + (zeros + n * BLOCK) as u64;
    let blocks = data[zeros..].chunks(BLOCK).enumerate();
    let good: Vec<_> =
        blocks.map_while(|(n, block)| decode_directory(block, offset(n), binding).ok()).collect();
    let left = data.len() - zeros - good.len() * BLOCK;
    let named = good.last().and_then(|entries| entries.last()).map(|entry| entry.at);
    data[at..zeros].iter().all(|&byte| byte == 0)
        && named.is_some_and(|named| named < DATA_OFFSET + at as u64)
        && left <= NOTE_BYTES_MAX + BLOCK
}

/// Where the next frame behind `at` begins that validates: where the directory says, else at whatever byte.
fn next_frame(frames: &[u8], at: usize, entries: &[DirectoryEntry], binding: Binding) -> Option<usize> {
    let good = |at: &usize| PackedRef::decode(frames.get(*at..).unwrap_or_default(), binding).is_ok();
    let offset = DATA_OFFSET + at as u64;
    let said = entries[entries.partition_point(|entry| entry.at <= offset)..].iter();
    let said = said.filter_map(|entry| usize::try_from(entry.at - DATA_OFFSET).ok()).find(good);
    let kind = |at: &usize| {
        let header = frames.get(at + 12..at + FRAME_HEADER_BYTES);
        header.is_some_and(|header| header == [FrameKind::Packed as u8, 0, 0, 0].as_slice())
    };
    let before = said.unwrap_or(frames.len());
    (at + 1..before).filter(kind).take(SEARCH_MAX).find(good).or(said)
}

/// Headers that look like one and are looked at behind damage.
const SEARCH_MAX: usize = 1 << 12;

impl Pass<'_> {
    /// A packed segment.
    pub(super) fn packed(
        &mut self,
        plot: &Plot,
        visit: &mut impl FnMut(&Seen<'_>) -> Result<()>,
    ) -> Result<()> {
        let (data, _) = read_data(&*plot.file, plot.there);
        let binding = plot.entry.binding(self.inspector.stock.store);
        let book = Book::read(&data, binding);
        if let Some(offset) = book.bad {
            self.note(plot, What::Directory, Weight::Blocking, (plot.entry.base, plot.entry.base), offset);
        }
        let mut good = DATA_OFFSET;
        walk(&data, &book, plot, binding, |stands| match stands {
            Stands::Record(offset, packed) => {
                good += packed.bytes() as u64;
                self.seen.records += 1;
                self.seen.time_us = self.seen.time_us.max(packed.time_us);
                self.seen.end = self.seen.end.max(packed.lsn.plus(1));
                let bad_parts = bad_parts(&packed);
                for (part, bytes) in &bad_parts {
                    let from = packed.lsn.plus(u64::from(*part));
                    self.note(plot, What::Part, Weight::Spare, (from, from.plus(u64::from(*bytes))), offset);
                    good -= u64::from(*bytes);
                }
                seen(plot, offset, &packed, &bad_parts, visit)
            }
            Stands::Rubble { at, from, to } => {
                self.note(plot, What::Lost, Weight::Spare, (from, to), at);
                Ok(())
            }
        })?;
        self.seen.bytes += good + data.len() as u64
            - book.footer.map_or(0, |f| f.directory() - DATA_OFFSET).min(data.len() as u64);
        Ok(())
    }

    fn note(&mut self, plot: &Plot, what: What, weight: Weight, places: (Lsn, Lsn), offset: u64) {
        let (from, to) = places;
        self.seen.damage.push(Damage { what, weight, from, to, file: plot.path.clone(), offset, head: None });
    }
}

/// The parts that do not validate: offset in the record and bytes, the part's header included.
pub(super) fn bad_parts(packed: &PackedRef<'_>) -> Vec<(u32, u32)> {
    let whole = |offset, part: &[u8]| {
        decode_part(part, packed.lsn, offset).is_ok_and(|bytes| bytes.len() + PART_HEADER_BYTES == part.len())
    };
    let bad = packed.raw_parts().filter(|(offset, part)| !whole(*offset, part));
    bad.map(|(offset, part)| (offset, u32::try_from(part.len()).unwrap_or(u32::MAX))).collect()
}

/// Shows a packed record as it was first written, with nothing where a part was dropped.
pub(super) fn seen<T>(
    plot: &Plot,
    offset: u64,
    packed: &PackedRef<'_>,
    bad_parts: &[(u32, u32)],
    visit: &mut impl FnMut(&Seen<'_>) -> Result<T>,
) -> Result<T> {
    let end = packed.raw_parts().map(|(at, part)| at as usize + part.len()).max().unwrap_or(0);
    let head_end = FRAME_HEADER_BYTES + packed.head.len();
    let mut bytes = vec![0; end.max(head_end)];
    for (at, part) in packed.raw_parts() {
        bytes[at as usize..at as usize + part.len()].copy_from_slice(part);
    }
    bytes[FRAME_HEADER_BYTES..head_end].copy_from_slice(packed.head);
    visit(&Seen {
        lsn: packed.lsn,
        time_us: packed.time_us,
        bad_parts,
        file: &plot.path,
        offset,
        bytes: &bytes,
        head_len: packed.head.len(),
        body_offset: packed.body_offset,
    })
}
