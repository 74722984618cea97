//! Pure: the catalog, what MANIFEST says: which segments there are, how they ended, which timelines there were.
//!
//! ```text
//! offset  0        8         12      16           16+len
//!         +--------+---------+-------+------------+--------+
//!         | magic  | version | len   | body       | crc32  |
//!         +--------+---------+-------+------------+--------+
//!
//! body    0            8          24           32           40          48         56         60
//!         +------------+----------+------------+------------+-----------+----------+----------+
//!         | generation | store id | checkpoint | clean end  | frontier  | time µs  | features | timelines,
//!         +------------+----------+------------+------------+-----------+----------+----------+
//!         segments, reports, attachment, lanes
//! timeline   u16 number, u48 offset of its first place, a whole number of blocks, u64 branch LSN, u64 begun µs
//! segment    u64 base, u64 capacity, u64 number, u64 end LSN, u32 generation, u8 kind, u8 flags, u16 zero
//! report     u32 len, bytes (see `report`)
//! attachment u32 len, bytes of whoever is above the log
//! lanes      u32, a bit for each lane that the store gave a destination of its backups (see `lane`); left out where it
//!            gave none
//! ```
//!
//! Each list begins with a count of four bytes. magic is `SAVEMANI`; crc32 covers everything before itself. len ≤
//! `CATALOG_BYTES_MAX`. Segments stand in the order of (base, generation), all of them before the frontier, where the next
//! one begins: a whole number of blocks. Little-endian, for ever.

use crate::error::{Error, ErrorKind};
use crate::format::checksum::{Binding, StoreId};
use crate::format::cursor::{Put, Take};
use crate::format::envelope::{self, list};
use crate::format::frame::Bad;
use crate::format::group::align;
use crate::format::header::{SegmentKind, sizes_are_sane};
use crate::lane::Lanes;
use crate::limits::{BLOCK_BYTES, REPORTS_MAX};
use crate::lsn::Lsn;
#[cfg(feature = "planted")]
use crate::planted::{self, Planted};
use crate::report::RecoveryReport;

const MAGIC: &[u8; 8] = b"SAVEMANI";
const VERSION: u32 = 1;

/// Bytes of a timeline.
pub(crate) const TIMELINE_BYTES: usize = 24;
/// Bytes of a segment.
const SEGMENT_BYTES: usize = 40;
const FLAG_ENDED: u8 = 1;
const FLAG_DAMAGED: u8 = 2;

/// Largest body of a catalog.
pub const CATALOG_BYTES_MAX: usize = 64 << 20;

/// One segment as the catalog names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentEntry {
    /// LSN of its first data byte.
    pub base: Lsn,
    /// Bytes of LSN space that it owns.
    pub capacity: u64,
    /// The file's random number.
    pub number: u64,
    /// Tells files of the same base apart.
    pub generation: u32,
    /// What it is.
    pub kind: SegmentKind,
    /// Behind its last good frame, once that is a fact.
    pub end: Option<Lsn>,
    /// Bytes behind `end` were damaged or dropped; they go to quarantine before the file goes.
    pub damaged: bool,
}

impl SegmentEntry {
    /// Behind the last LSN that it owns.
    #[must_use]
    pub fn capacity_end(&self) -> Lsn {
        self.base.plus(self.capacity)
    }

    /// Bytes of data that its file has, or more, and without which it does not open; 0 for a packed one, whose footer stands
    /// at its end.
    #[must_use]
    pub fn made(&self) -> u64 {
        let held = self.end.and_then(align).and_then(|end| end.bytes_since(self.base));
        match (self.kind, held) {
            (SegmentKind::Packed, _) => 0,
            (SegmentKind::Rest, Some(held)) => held.min(self.capacity),
            _ => self.capacity,
        }
    }

    /// What binds its frames to it.
    #[must_use]
    pub fn binding(&self, store: StoreId) -> Binding {
        Binding::new(store, self.number)
    }
}

/// One timeline: a run of LSNs that share their high sixteen bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeline {
    /// The high sixteen bits.
    pub number: u16,
    /// The low forty-eight bits of its first place: with the number, what tells it from every other.
    pub offset: u64,
    /// Where it left its parent; [`Lsn::NONE`] for a store's first.
    pub branch: Lsn,
    /// Wall clock when it began, or behind the newest engine time before it where the clock was behind that, microseconds
    /// since 1970.
    pub begun_us: u64,
}

/// What MANIFEST says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalog {
    /// Grows by one with each replacement.
    pub generation: u64,
    /// The store's identity.
    pub store: StoreId,
    /// Everything before it is durable and need not be replayed.
    pub checkpoint: Lsn,
    /// Set by a clean close: the log ends here and goes on here. Cleared before anything is written behind it.
    pub clean_end: Option<Lsn>,
    /// No LSN at or behind it was ever handed out.
    pub frontier: Lsn,
    /// Engine time when this was written, microseconds since 1970: time goes on from here at the least.
    pub time_us: u64,
    /// Which lanes the store has given to destinations of its backups.
    pub lanes: Lanes,
    /// Oldest first; the last is the present one.
    pub timelines: Vec<Timeline>,
    /// In the order of (base, generation).
    pub segments: Vec<SegmentEntry>,
    /// Newest last.
    pub reports: Vec<RecoveryReport>,
    /// What the layer above keeps here.
    pub attachment: Vec<u8>,
}

impl Catalog {
    /// The catalog of a new store.
    #[must_use]
    pub fn new(store: StoreId, timeline: Timeline) -> Self {
        Self {
            generation: 1,
            store,
            checkpoint: Lsn::NONE,
            clean_end: None,
            frontier: timeline.first(),
            time_us: timeline.begun_us,
            lanes: Lanes::default(),
            timelines: vec![timeline],
            segments: Vec::new(),
            reports: Vec::new(),
            attachment: Vec::new(),
        }
    }

    /// Adds a segment in its place and moves the frontier past it.
    pub fn name(&mut self, entry: SegmentEntry) {
        let key = |e: &SegmentEntry| (e.base, e.generation);
        let at = self.segments.partition_point(|e| key(e) < key(&entry));
        self.segments.insert(at, entry);
        self.frontier = self.frontier.max(entry.capacity_end());
    }

    /// The entry of a segment.
    pub fn entry_mut(&mut self, base: Lsn, generation: u32) -> Option<&mut SegmentEntry> {
        self.segments.iter_mut().find(|e| (e.base, e.generation) == (base, generation))
    }

    /// Where the log left the timeline of `lsn`, if `lsn` lies behind that: the earliest place, where a later timeline
    /// left before an earlier one did.
    #[must_use]
    pub fn undone(&self, lsn: Lsn) -> Option<Lsn> {
        let left = |t: &&Timeline| t.branch != Lsn::NONE && t.number > lsn.timeline() && t.branch <= lsn;
        self.timelines.iter().filter(left).map(|t| t.branch).min()
    }

    /// Adds a report and forgets the oldest over the limit.
    pub fn keep_report(&mut self, report: RecoveryReport) {
        self.reports.push(report);
        let over = self.reports.len().saturating_sub(REPORTS_MAX);
        self.reports.drain(..over);
    }

    /// The generation of the catalog that replaces it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`]: there is none.
    pub fn next_generation(&self) -> Result<u64, Error> {
        let next = self.generation.checked_add(1);
        next.ok_or_else(|| none_behind("MANIFEST", self.generation))
    }

    /// The whole file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let count = |n: usize| u32::try_from(n).expect("far fewer than four billion");
        let mut body = Put::default();
        body.u64(self.generation).bytes(&self.store.0).u64(self.checkpoint.raw());
        body.u64(self.clean_end.unwrap_or(Lsn::NONE).raw()).u64(self.frontier.raw()).u64(self.time_us).u32(0);
        body.u32(count(self.timelines.len()));
        self.timelines.iter().for_each(|timeline| timeline.encode(&mut body));
        body.u32(count(self.segments.len()));
        for s in &self.segments {
            let flags = u8::from(s.end.is_some()) * FLAG_ENDED + u8::from(s.damaged) * FLAG_DAMAGED;
            body.u64(s.base.raw()).u64(s.capacity).u64(s.number).u64(s.end.unwrap_or(Lsn::NONE).raw());
            body.u32(s.generation).u8(s.kind as u8).u8(flags).u16(0);
        }
        body.u32(count(self.reports.len()));
        for report in &self.reports {
            body.counted(&report.encode());
        }
        body.counted(&self.attachment);
        if self.lanes != Lanes::default() {
            body.u32(self.lanes.0);
        }
        envelope::close(MAGIC, VERSION, &body)
    }

    /// Reads a whole file.
    ///
    /// # Errors
    ///
    /// [`Bad::Kind`]: a newer format. Otherwise why it is unreadable.
    pub fn decode(file: &[u8]) -> Result<Self, Bad> {
        Self::decode_body(envelope::open(file, MAGIC, VERSION, CATALOG_BYTES_MAX)?).ok_or(Bad::Kind)
    }

    fn decode_body(mut take: Take<'_>) -> Option<Self> {
        let (generation, store) = (take.u64()?, StoreId(take.array()?));
        let (checkpoint, clean_end) = (Lsn::from_raw(take.u64()?), Lsn::from_raw(take.u64()?));
        let (frontier, time_us, features) = (Lsn::from_raw(take.u64()?), take.u64()?, take.u32()?);
        if features != 0 {
            return None;
        }
        let timelines = list(&mut take, TIMELINE_BYTES, Timeline::decode)?;
        let segments = list(&mut take, SEGMENT_BYTES, decode_segment)?;
        let reports = list(&mut take, 4, |take| RecoveryReport::decode(take.counted(4096)?))?;
        let attachment = take.counted(CATALOG_BYTES_MAX)?.to_vec();
        let lanes = Lanes(if take.0.is_empty() { 0 } else { take.u32().filter(|lanes| *lanes != 0)? });
        let clean_end = (clean_end != Lsn::NONE).then_some(clean_end);
        let ordered = segments.is_sorted_by(|a, b| (a.base, a.generation) < (b.base, b.generation));
        let before = segments.iter().all(|entry| entry.capacity_end() <= frontier);
        #[cfg(feature = "planted")]
        let before = before || planted::is(Planted::ReusePlaces);
        let is_place = frontier.offset().is_multiple_of(BLOCK_BYTES) && frontier.timeline() != 0;
        (ordered && before && is_place && !timelines.is_empty() && take.0.is_empty()).then_some(Self {
            generation,
            store,
            checkpoint,
            clean_end,
            frontier,
            time_us,
            lanes,
            timelines,
            segments,
            reports,
            attachment,
        })
    }
}

impl Timeline {
    /// Its first place.
    #[must_use]
    pub fn first(&self) -> Lsn {
        Lsn::new(self.number, self.offset)
    }

    /// The same, begun behind this engine time at the least, microseconds since 1970: until then another was live.
    #[must_use]
    pub fn behind(self, time_us: u64) -> Self {
        Self { begun_us: self.begun_us.max(time_us.saturating_add(1)), ..self }
    }

    /// As it stands in MANIFEST, and in the inventories of backups.
    pub(crate) fn encode(&self, out: &mut Put) {
        out.u64(self.offset << 16 | u64::from(self.number)).u64(self.branch.raw()).u64(self.begun_us);
    }

    pub(crate) fn decode(take: &mut Take<'_>) -> Option<Self> {
        let (first, branch, begun_us) = (take.u64()?, Lsn::from_raw(take.u64()?), take.u64()?);
        let offset = first >> 16;
        offset.is_multiple_of(BLOCK_BYTES).then_some(Self { number: first as u16, offset, branch, begun_us })
    }
}

/// The generation of a segment behind another one.
///
/// # Errors
///
/// [`ErrorKind::Corrupt`]: there is none.
pub fn generation_behind(generation: u32) -> Result<u32, Error> {
    generation.checked_add(1).ok_or_else(|| none_behind("a segment", u64::from(generation)))
}

fn none_behind(what: &str, generation: u64) -> Error {
    let say = format!(
        "generation {generation} of {what} is the last that there is, and no log has had so many: it was changed; nothing \
         was written, restore a backup"
    );
    Error::new(ErrorKind::Corrupt, say)
}

fn decode_segment(take: &mut Take<'_>) -> Option<SegmentEntry> {
    let (base, capacity) = (Lsn::from_raw(take.u64()?), take.u64()?);
    let (number, end) = (take.u64()?, Lsn::from_raw(take.u64()?));
    let (generation, kind, flags) = (take.u32()?, SegmentKind::from_u8(take.u8()?)?, take.u8()?);
    let known = take.u16()? == 0 && flags & !(FLAG_ENDED | FLAG_DAMAGED) == 0;
    if !known || !sizes_are_sane(kind, base, capacity) {
        return None; // only now is there an end of its capacity
    }
    let entry = SegmentEntry {
        base,
        capacity,
        number,
        generation,
        kind,
        end: (flags & FLAG_ENDED != 0).then_some(end),
        damaged: flags & FLAG_DAMAGED != 0,
    };
    entry.end.is_none_or(|end| end >= base && end <= entry.capacity_end()).then_some(entry)
}

#[cfg(test)]
mod tests;
