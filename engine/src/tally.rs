//! Pure: what is counted of a table while it is written: how many bytes of each segment of the log it lists, and of which
//! it leaves values out.
//!
//! What a segment holds and no table lists is dead. Every table says what it lists, and is written as a whole: so nothing
//! is ever added up or taken off, and nothing drifts.

use savehold_wal::Lsn;
use savehold_wal::format::frame::PART_HEADER_BYTES;

use crate::drops::Drops;
use crate::index::{Judge, Kind, VersionRef};
use crate::inner_key::is_outcome;

/// Bytes that an entry takes in the head of its record besides its key, about.
const ENTRY_BYTES: u64 = 12;

/// What a table lists.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Of the log, in order.
    segments: Vec<Segment>,
    /// The newest outcome of a commit that was left out.
    pub(crate) forgotten: Lsn,
    /// Versions that were left out.
    pub(crate) dropped: u64,
}

/// What is counted of a segment of the log.
#[derive(Debug, Default)]
struct Segment {
    /// Where it begins.
    base: Lsn,
    /// Its bytes that are listed.
    listed: u64,
    /// A value in it was left out.
    lacks: bool,
}

impl Tally {
    /// Nothing yet, of a log whose segments begin at `bases`.
    pub(crate) fn new(bases: Vec<Lsn>) -> Self {
        let segments = bases.into_iter().map(|base| Segment { base, ..Segment::default() }).collect();
        Self { segments, ..Self::default() }
    }

    fn keep(&mut self, key: &[u8], version: &VersionRef) {
        if let Some(segment) = self.of(version) {
            segment.listed += listed_bytes(key, version);
        }
    }

    fn leave(&mut self, collection: u32, key: &[u8], version: &VersionRef) {
        self.dropped += 1;
        if let Some(segment) = self.of(version) {
            segment.lacks |= version.kind == Kind::Put;
        }
        if is_outcome(collection, key) {
            self.forgotten = self.forgotten.max(version.lsn);
        }
    }

    /// The segments of which anything is listed, and how many bytes.
    pub(crate) fn listed(&self) -> Vec<(Lsn, u64)> {
        let some = self.segments.iter().filter(|segment| segment.listed > 0);
        some.map(|segment| (segment.base, segment.listed)).collect()
    }

    /// Where values were left out, by the merge of this number.
    pub(crate) fn drops(&self, number: u64) -> Drops {
        let mut drops = Drops::default();
        for segment in &self.segments {
            drops.go_on(segment.base, if segment.lacks { number } else { 0 });
        }
        drops
    }

    /// The segment in which a version lies.
    fn of(&mut self, version: &VersionRef) -> Option<&mut Segment> {
        let after = self.segments.partition_point(|segment| segment.base <= version.lsn);
        after.checked_sub(1).and_then(|at| self.segments.get_mut(at))
    }
}

/// Bytes of the log that a version takes, about.
pub(crate) fn listed_bytes(key: &[u8], version: &VersionRef) -> u64 {
    let part = match version.kind {
        Kind::Put if version.place.offset > 0 => PART_HEADER_BYTES as u64 + u64::from(version.place.bytes),
        _ => 0,
    };
    part + ENTRY_BYTES + key.len() as u64
}

/// Judges as another does, and counts.
pub(crate) struct Counting<'a> {
    pub(crate) judge: &'a mut dyn Judge,
    pub(crate) tally: &'a mut Tally,
}

impl Judge for Counting<'_> {
    fn judge(
        &mut self,
        collection: u32,
        key: &[u8],
        versions: &[VersionRef],
        oldest: bool,
        keep: &mut [bool],
    ) {
        self.judge.judge(collection, key, versions, oldest, keep);
        for (version, keep) in versions.iter().zip(keep) {
            if *keep { self.tally.keep(key, version) } else { self.tally.leave(collection, key, version) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::CollectionId;
    use crate::index::{KeepAll, Place};
    use crate::record::Cause;

    #[test]
    fn bytes_are_counted_where_they_lie_and_what_is_left_out_is_not() {
        struct DropOdd;
        impl Judge for DropOdd {
            fn judge(&mut self, _: u32, _: &[u8], versions: &[VersionRef], _: bool, keep: &mut [bool]) {
                keep.iter_mut().zip(versions).for_each(|(keep, v)| *keep = v.lsn.raw() % 2 == 0);
            }
        }
        let version = |lsn: u64, kind| {
            let place = Place { offset: 100, bytes: 1000 };
            VersionRef { lsn: Lsn::from_raw(lsn), place, kind, cause: Cause::Explicit }
        };
        let versions = [version(25, Kind::Put), version(20, Kind::Remove), version(12, Kind::Put)];
        let bases = vec![Lsn::from_raw(0), Lsn::from_raw(10), Lsn::from_raw(20)];
        let entry = ENTRY_BYTES + 3;
        let put = entry + PART_HEADER_BYTES as u64 + 1000;
        for (judge, listed, forgotten) in [
            (&mut KeepAll as &mut dyn Judge, vec![(10, put), (20, put + entry)], 0),
            (&mut DropOdd, vec![(10, put), (20, entry)], 25),
        ] {
            let mut tally = Tally::new(bases.clone());
            let once = CollectionId::ONCE.0;
            Counting { judge, tally: &mut tally }.judge(once, b"key", &versions, true, &mut [true; 3]);
            let found: Vec<(u64, u64)> = tally.listed().iter().map(|(base, n)| (base.raw(), *n)).collect();
            assert_eq!((found, tally.forgotten.raw()), (listed, forgotten));
        }
    }
}
