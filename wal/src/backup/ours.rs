//! Corridor: whether a log may go on in a destination: what lies there must be of its own past.
//!
//! A log writes in its last timeline. What lies of that in a destination is of this log, or of a copy of it, as a snapshot of a
//! disk brings back: both went on in the same segment, or began new ones at the same places.
//!
//! 1. Where the numbers say it, it is seen at each look: of segments, and of how far each reaches.
//! 2. Where only the bytes do, at the first look: what reaches furthest of what both have is compared with the log's own bytes.

use std::collections::HashMap;

use crc32fast::Hasher;

use super::chain::{Broken, Chain, Link};
use super::copy::{Taking, Wanted, identity};
use super::form::Form;
use super::inventory::{Held, Inventory, Piece};
use super::listing::{Listed, check_store};
use super::read::piece_of;
use super::take::CHUNK_BYTES;
use crate::error::{Error, ErrorKind, Result};
use crate::format::checksum::Binding;
use crate::format::group::align;
use crate::format::header::SegmentKind;
use crate::log::Log;
use crate::lsn::Lsn;
use crate::segment::catalog::{Catalog, SegmentEntry};

/// So many bytes at the least are compared, where there are as many: the last ones alone may be a mark, which two copies wrote
/// alike.
const COMPARED_BYTES: u64 = 1 << 20;

/// Whether the log may go on in a destination that holds these.
///
/// # Errors
///
/// As [`Taking::new`].
pub(super) fn check_ours(log: &Log, listed: &[Listed]) -> Result<()> {
    let mut unread = listed.iter().filter_map(|listed| listed.inventory.as_ref().err());
    if let Some(e) = unread.find(|e| e.kind() != ErrorKind::Corrupt) {
        return Err(e.clone()); // what it holds is there, and must not be taken for lost
    }
    check_store(listed, log.store)?;
    let catalog = log.catalog.lock();
    check_timeline(listed, &catalog)?;
    check_copy(listed, &catalog, log.durable.get())
}

fn check_timeline(listed: &[Listed], catalog: &Catalog) -> Result<()> {
    let Some(last) = catalog.timelines.last() else { return Ok(()) };
    let own = last.number;
    let newer = |i: &Inventory| {
        let theirs = i.timelines.last();
        // two of one number: whoever came first goes on
        theirs.is_some_and(|theirs| {
            (theirs.number, theirs.offset) != (own, last.offset) && theirs.number >= own
        })
    };
    let newer = listed.iter().find(|l| l.inventory.as_ref().is_ok_and(newer));
    let Some(newer) = newer else { return Ok(()) };
    let say = format!(
        "{} is of a newer timeline than {own}, in which this store writes, or of another {own}: it was restored or repaired \
         elsewhere, and that one goes on here; name another destination for this one",
        newer.path.display()
    );
    Err(Error::new(ErrorKind::Superseded, say))
}

/// Refuses a log that is an older copy of the one that backs up there: what both wrote at one place is not the same. A log has
/// all that it ever backed up: only what is durable is copied.
fn check_copy(listed: &[Listed], catalog: &Catalog, durable: Lsn) -> Result<()> {
    let entries = catalog.segments.iter().map(|entry| ((entry.base, entry.generation), entry));
    let entries: HashMap<(Lsn, u32), &SegmentEntry> = entries.collect();
    let other = |held: &Held| {
        let ours = entries.get(&(held.base, held.generation)).filter(|_| is_of_last(held.base, catalog));
        let as_written = ours.filter(|entry| entry.kind != SegmentKind::Packed && !held.is_packed());
        as_written.is_some_and(|entry| match entry.number == held.number {
            true => is_beyond(held, entry, catalog),
            false => true,
        })
    };
    let copied = |i: &Inventory| i.through > durable || i.segments.iter().any(other);
    match listed.iter().find(|listed| of_last(listed, catalog).is_some_and(copied)) {
        Some(listed) => Err(older_copy(listed, durable)),
        None => Ok(()),
    }
}

/// What a backup holds, where it is of the timeline in which the log writes.
fn of_last<'a>(listed: &'a Listed, catalog: &Catalog) -> Option<&'a Inventory> {
    let own = catalog.timelines.last()?;
    let same =
        |i: &&Inventory| i.timelines.last().is_some_and(|t| (t.number, t.offset) == (own.number, own.offset));
    listed.inventory.as_ref().ok().filter(same)
}

/// Whether the log writes in the timeline of `base`: what it has of those before was written anew perhaps, by a repair.
fn is_of_last(base: Lsn, catalog: &Catalog) -> bool {
    catalog.timelines.last().is_some_and(|timeline| timeline.number == base.timeline())
}

/// Whether a segment reaches further there than the log has it. Recovery ends one at the proven place, before what was copied
/// of it perhaps, and writes anew from there on what is good: that reaches as far as what was durable.
fn is_beyond(held: &Held, entry: &SegmentEntry, catalog: &Catalog) -> bool {
    let Some(end) = entry.end else { return false };
    let reach = held.end.unwrap_or(held.covered());
    if align(end).is_none_or(|end| reach <= end) {
        return false;
    }
    let mut anew = catalog.segments.iter().filter(|other| other.base == end);
    let known = anew.clone().all(|other| other.kind != SegmentKind::Packed);
    known && !anew.any(|other| other.end.is_none_or(|end| align(end).is_none_or(|end| reach <= end)))
}

fn older_copy(listed: &Listed, durable: Lsn) -> Error {
    let through = listed.inventory.as_ref().map_or(Lsn::NONE, |inventory| inventory.through);
    let say = format!(
        "{} goes through {through}, this store through {durable}, and not as a part of that: it is an older copy, perhaps of \
         a snapshot; to go on with it, name another destination; to have what lies there, restore that",
        listed.path.display()
    );
    Error::new(ErrorKind::Superseded, say)
}

impl Taking<'_> {
    /// Compares what reaches furthest of what both have with the log's own bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Superseded`]: they are others. [`ErrorKind::Io`].
    pub(super) fn compare(&self, catalog: &Catalog, wanted: &[Wanted]) -> Result<()> {
        let written = |wanted: &&Wanted| {
            wanted.entry.kind != SegmentKind::Packed && is_of_last(wanted.entry.base, catalog)
        };
        let furthest = |wanted: &Wanted| {
            let all = self.listed.iter().filter_map(|listed| Some((listed, of_last(listed, catalog)?)));
            let all = all.flat_map(|(listed, i)| i.segments.iter().map(move |held| (listed, held)));
            all.filter(|(_, held)| held.identity() == identity(&wanted.entry))
                .max_by_key(|(_, held)| held.covered())
        };
        let found = wanted.iter().rev().filter(written).find_map(|wanted| Some((wanted, furthest(wanted)?)));
        let Some((wanted, (listed, held))) = found else { return Ok(()) };
        let mut bytes = 0;
        for piece in held.pieces.iter().rev().filter(|piece| piece.from < wanted.to) {
            if self.differs(wanted, held, piece)? {
                return Err(older_copy(listed, self.log.durable.get()));
            }
            bytes += piece.bytes();
            if bytes >= COMPARED_BYTES {
                break;
            }
        }
        Ok(())
    }

    /// Whether the log has other bytes than a piece of the same segment. Where one of them is damaged nobody can tell: then not.
    fn differs(&self, wanted: &Wanted, held: &Held, piece: &Piece) -> Result<bool> {
        let differs = match piece.form {
            Form::Plain | Form::Lz4 if piece.to <= wanted.to => {
                wanted.crc_of(piece).map(|crc| crc != piece.crc)
            }
            _ => self.differs_from_bytes(wanted, held, piece), // its checksum covers more
        };
        match differs.and_then(|differs| Ok(differs && wanted.is_sound(held.binding(self.log.store))?)) {
            Err(e) if matches!(e.kind(), ErrorKind::Corrupt | ErrorKind::Format) => Ok(false),
            differs => differs,
        }
    }

    fn differs_from_bytes(&self, wanted: &Wanted, held: &Held, piece: &Piece) -> Result<bool> {
        let (mut at, mut differs, mut buf) = (piece.from, false, Vec::new());
        piece_of(self.destination, held, piece, &mut |chunk| {
            let left = wanted.to.bytes_since(at).and_then(|left| usize::try_from(left).ok()).unwrap_or(0);
            let theirs = &chunk[..left.min(chunk.len())];
            buf.resize(theirs.len(), 0);
            wanted.segment.read_into(&mut buf, at)?;
            differs |= buf != theirs;
            at = at.plus(chunk.len() as u64);
            Ok(())
        })?;
        Ok(differs)
    }
}

impl Wanted {
    /// The checksum of the log's own bytes.
    fn crc_of(&self, piece: &Piece) -> Result<u32> {
        let mut crc = Hasher::new();
        self.read(piece.from, piece.to, &mut |chunk| crc.update(chunk))?;
        Ok(crc.finalize())
    }

    /// Whether all that the log has of it is as it was written.
    fn is_sound(&self, binding: Binding) -> Result<bool> {
        let (mut chain, mut sound) = (Chain::new(self.entry.base, binding), true);
        self.read(self.entry.base, self.to, &mut |chunk| {
            let fed = chain.feed(chunk, |link| match link {
                Link::Frame { lsn, frame, .. } if frame.parts(lsn).any(|part| part.is_err()) => {
                    Err(Broken(lsn))
                }
                _ => Ok(()),
            });
            sound = sound && fed.is_ok();
        })?;
        Ok(sound && chain.finish().is_ok())
    }

    /// Hands the log's own bytes to `sink`, in order.
    fn read(&self, from: Lsn, to: Lsn, sink: &mut dyn FnMut(&[u8])) -> Result<()> {
        let (mut at, mut buf) = (from, vec![0; CHUNK_BYTES]);
        while let Some(left) = to.bytes_since(at).filter(|left| *left > 0) {
            let chunk_len = usize::try_from(left).unwrap_or(CHUNK_BYTES).min(buf.len());
            self.segment.read_into(&mut buf[..chunk_len], at)?;
            sink(&buf[..chunk_len]);
            at = at.plus(chunk_len as u64);
        }
        Ok(())
    }
}
