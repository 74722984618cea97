//! Corridor: what of a log a destination need not take, because what it has already stands for it.

use super::copy::{Taking, Wanted, identity};
use super::destination::Shelf;
use super::inventory::{Held, Piece};
use super::standing::{There, is_past, standing};
use crate::error::{Error, ErrorKind, Result};
use crate::format::header::SegmentKind;
use crate::lsn::Lsn;
use crate::segment::catalog::{Catalog, SegmentEntry, Timeline};

/// How long an archive keeps what the log gave up, microseconds: 30 days.
const KEPT_US: u64 = 30 * 24 * 3600 * 1_000_000;

impl Taking<'_> {
    /// What of the archive stands; of the log, only what lies behind that is still wanted, and what replaces lost pieces.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`]: a piece is missing, and the log does not have any more what it held.
    pub(super) fn standing(&self, catalog: &Catalog, wanted: &mut Vec<Wanted>) -> Result<Vec<Held>> {
        let Some(before) = self.before else { return Ok(Vec::new()) };
        let there: Vec<There> = wanted.iter().map(Wanted::there).collect();
        let (count, border) = standing(&before.segments, &catalog.timelines, &there);
        let mut stands = before.segments[..count].to_vec();
        if before.timelines.last() != catalog.timelines.last() {
            // what another store thinned, and by terms that this one may not know, does not stand
            let known = |held: &Held| wanted.iter().any(|wanted| identity(&wanted.entry) == held.identity());
            if stands.iter().any(|held| held.is_packed() && !known(held)) {
                return Ok(Vec::new());
            }
            stands.iter_mut().for_each(|held| held.judgement = 0); // those are its judgements
        }
        let first = wanted.iter().find(|wanted| wanted.entry.base >= border);
        let first = first.map_or(Lsn::MAX, |wanted| wanted.entry.base);
        let last = there.first().map_or(first, |there| there.base);
        let old_us = self.log.time.now_us(&*self.log.env.clock).saturating_sub(KEPT_US);
        let old = |held: &&Held| held.last_us < old_us && held.end.is_some_and(|end| end <= last);
        let gone = stands.iter().take_while(old).count(); // the log gave it up long ago
        stands.drain(..gone);
        let lost: Vec<Held> = stands.extract_if(.., |held| self.missing(held).is_some()).collect();
        if let Some(held) = lost.iter().find(|held| !is_replaced(held, wanted)) {
            return Err(self.lost(held));
        }
        let replaces = |wanted: &Wanted| lost.iter().any(|held| is_inside(wanted, held));
        wanted.retain(|wanted| wanted.entry.base >= border || replaces(wanted));
        Ok(stands)
    }

    /// The first piece of a segment that is not there.
    fn missing<'a>(&self, held: &'a Held) -> Option<&'a Piece> {
        held.pieces.iter().find(|piece| !self.names.contains(&held.name(piece)))
    }

    fn lost(&self, held: &Held) -> Error {
        let name = self.missing(held).map(|piece| held.name(piece)).unwrap_or_default();
        let say = format!(
            "{} is missing, and the store does not have any more what it held: bring it back, or archive into a new directory",
            self.destination.place(Shelf::Pieces, &name).display()
        );
        Error::new(ErrorKind::Corrupt, say)
    }

    /// Originals in place of packed segments. From the newest back, as far as the destination has them all: what is older
    /// than a segment that stays packed stays packed too, for an ending may be lacking in that one that what is older needs.
    pub(super) fn all_originals(&self, wanted: &[Wanted], timelines: &[Timeline]) -> Vec<Option<Vec<Held>>> {
        let mut packed = false;
        let mut of = |wanted: &Wanted| {
            let originals = self.originals(&wanted.entry, timelines).filter(|_| !packed);
            packed |= wanted.entry.kind == SegmentKind::Packed && originals.is_none();
            originals
        };
        let mut all: Vec<_> = wanted.iter().rev().map(&mut of).collect();
        all.reverse();
        all
    }

    /// What compaction made a packed segment of, where the destination has all of that: it serves more moments, and nothing
    /// need be copied.
    fn originals(&self, packed: &SegmentEntry, timelines: &[Timeline]) -> Option<Vec<Held>> {
        if packed.kind != SegmentKind::Packed {
            return None;
        }
        let (from, to) = (packed.base, packed.capacity_end());
        let original = |held: &&Held| {
            let end = held.end.is_some_and(|end| is_past(timelines, held.base, end));
            let there = held.pieces.iter().all(|piece| self.names.contains(&held.name(piece)));
            !held.is_packed() && held.judged == Lsn::NONE && end && there
        };
        self.listed.iter().rev().filter_map(|listed| listed.inventory.as_ref().ok()).find_map(|inventory| {
            let held = inventory.segments.iter().filter(|held| held.base >= from && held.base < to);
            let all: Vec<&Held> = held.collect();
            let whole = inventory.through >= to && all.first().is_some_and(|first| first.base == from);
            (whole && all.iter().all(original)).then(|| all.into_iter().cloned().collect())
        })
    }
}

/// Whether a segment of the log lies where the archive has `held`: that one, or what recovery wrote anew of it.
fn is_inside(wanted: &Wanted, held: &Held) -> bool {
    wanted.entry.base >= held.base && held.end.is_some_and(|end| wanted.entry.base < end)
}

/// Whether the log has all that the archive had of a segment, as it was.
fn is_replaced(held: &Held, wanted: &[Wanted]) -> bool {
    let mut inside = wanted.iter().filter(|wanted| is_inside(wanted, held));
    let Some(first) = inside.next().filter(|first| identity(&first.entry) == held.identity()) else {
        return false;
    };
    let mut to = first.to;
    let as_written = inside.all(|next| {
        to = next.to;
        next.entry.kind != SegmentKind::Packed
    });
    held.is_packed() || as_written && held.end.is_some_and(|end| to >= end)
}
