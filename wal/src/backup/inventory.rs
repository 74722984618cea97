//! Pure: the inventory, what one backup holds: the segments of a log through one place, and in which pieces they lie.
//!
//! ```text
//! offset  0        8         12      16           16+len
//!         +--------+---------+-------+------------+--------+
//!         | magic  | version | len   | body       | crc32  |
//!         +--------+---------+-------+------------+--------+
//!
//! body    0          8          24        32        40        48         56         60
//!         +----------+----------+---------+---------+---------+----------+----------+
//!         | sequence | store id | through | time µs | made µs | frontier | features | lanes,
//!         +----------+----------+---------+---------+---------+----------+----------+
//!         timelines, segments, attachment
//! lanes      u32, a bit for each lane that the store gave away (see `lane`)
//! timeline   u16 number, u48 offset of its first place, u64 branch LSN, u64 begun µs
//! segment    u64 base, u64 capacity, u64 number, u64 end LSN, u64 judged at LSN, u64 judgement, u64 records,
//!            u64 first µs, u64 last µs, u32 generation, u8 kind, u8 zero, u16 pieces, then each:
//! piece      u64 from LSN, u64 to LSN, u32 crc32, u8 form, u24 zero
//! attachment u32 len, bytes of whoever is above the log
//! ```
//!
//! Each list begins with a count of four bytes. magic is `SAVEBACK`; crc32 covers everything before itself. *through*:
//! the backup is the log before this place. *end* is zero for the segment that was being written. *judged at*: a file
//! written by compaction serves moments from there on; zero for one that holds the log as it was written. *judgement*: by
//! which of the store's judgements nothing in it was to be dropped; *records*: how many a packed one holds. *first* and
//! *last* are the engine times of the segment's first and last group. The pieces of a segment follow one another from
//! its base on; of a packed segment there is one, whose *to* is its base and the bytes that its file has behind the header.
//! The last may reach beyond its end, or beyond *through*: those bytes are of no backup. *form*: how
//! its bytes lie in its file, see `form`; crc32 covers those bytes.
//! Little-endian, for ever. A reserved field that is not zero is a newer format.

use super::form::Form;
use crate::format::checksum::{Binding, StoreId};
use crate::format::cursor::{Put, Take};
use crate::format::envelope::{self, list};
use crate::format::frame::Bad;
use crate::format::header::{SegmentKind, sizes_are_sane};
use crate::lane::Lanes;
use crate::lsn::Lsn;
use crate::segment::catalog::{TIMELINE_BYTES, Timeline};

const MAGIC: &[u8; 8] = b"SAVEBACK";
const VERSION: u32 = 1;

/// Bytes of a segment before its pieces.
const HELD_BYTES: usize = 80;

/// Largest body of an inventory.
pub const INVENTORY_BYTES_MAX: usize = 64 << 20;

/// Highest generation of a segment: what is made of it later has a higher one.
const GENERATION_MAX: u32 = u32::MAX >> 1;

/// What one backup holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inventory {
    /// Numbers the backups of one destination, the oldest first.
    pub sequence: u64,
    /// The log's identity.
    pub store: StoreId,
    /// The backup is the log before this place.
    pub through: Lsn,
    /// Engine time of the newest group before it, microseconds since 1970.
    pub time_us: u64,
    /// Wall clock when it was made, microseconds since 1970.
    pub made_us: u64,
    /// No place at or behind it had been handed out.
    pub frontier: Lsn,
    /// Which lanes the log has given to destinations.
    pub lanes: Lanes,
    /// Oldest first; the last is the one in which the log was being written.
    pub timelines: Vec<Timeline>,
    /// In the order of (base, generation).
    pub segments: Vec<Held>,
    /// What the layer above keeps here.
    pub attachment: Vec<u8>,
}

/// A segment as a backup holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// LSN of its first byte.
    pub base: Lsn,
    /// Bytes of LSN space that it owns.
    pub capacity: u64,
    /// The file's random number.
    pub number: u64,
    /// Tells files of the same base apart.
    pub generation: u32,
    /// What it is.
    pub kind: SegmentKind,
    /// Behind its last frame; `None` for the one that was being written.
    pub end: Option<Lsn>,
    /// A compacted file serves moments from there on; [`Lsn::NONE`] for an original.
    pub judged: Lsn,
    /// The newest judgement by which nothing in it was to be dropped; zero where none is known.
    pub judgement: u64,
    /// Records in it, of one that was written by compaction.
    pub records: u64,
    /// Engine time of its first group, microseconds since 1970.
    pub first_us: u64,
    /// Engine time of its last group before its end, microseconds since 1970.
    pub last_us: u64,
    /// What lies in the destination, from the base on.
    pub pieces: Vec<Piece>,
}

/// A run of a segment's bytes, one object of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// LSN of its first byte.
    pub from: Lsn,
    /// Behind its last.
    pub to: Lsn,
    /// Checksum of its bytes; of a whole segment file, of all of it.
    pub crc: u32,
    /// How they lie in its file.
    pub form: Form,
}

impl Piece {
    /// Bytes of it.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.to.bytes_since(self.from).unwrap_or(0)
    }
}

impl Held {
    /// Tells this file from every other.
    #[must_use]
    pub fn identity(&self) -> (Lsn, u32, u64) {
        (self.base, self.generation, self.number)
    }

    /// Behind the last LSN that it owns.
    #[must_use]
    pub fn capacity_end(&self) -> Lsn {
        self.base.plus(self.capacity)
    }

    /// Bytes of its pieces.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        sum(self.pieces.iter().map(Piece::bytes))
    }

    /// Everything before it is there.
    #[must_use]
    pub fn covered(&self) -> Lsn {
        match self.pieces.last() {
            None => self.base,
            Some(_) if self.is_packed() => self.capacity_end(),
            Some(piece) => piece.to,
        }
    }

    /// Whether it was written by compaction: one piece, whose bytes are not places of the log.
    #[must_use]
    pub fn is_packed(&self) -> bool {
        self.kind == SegmentKind::Packed
    }

    /// What binds its frames to it.
    #[must_use]
    pub fn binding(&self, store: StoreId) -> Binding {
        Binding::new(store, self.number)
    }

    /// The name of one of its pieces: made of numbers, never taken from a destination.
    #[must_use]
    pub fn name(&self, piece: &Piece) -> String {
        format!(
            "{:016x}-{}-{:016x}-{:016x}-{:016x}.{}",
            self.base.raw(),
            self.generation,
            self.number,
            piece.from.raw(),
            piece.to.raw(),
            piece.form.ending()
        )
    }
}

impl Inventory {
    /// Behind the last byte of a segment that belongs to this backup.
    #[must_use]
    pub fn limit(&self, held: &Held) -> Lsn {
        held.end.unwrap_or(self.through).min(self.through)
    }

    /// Bytes of all pieces.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        sum(self.segments.iter().map(Held::bytes))
    }

    /// The timeline in which the log was being written.
    #[must_use]
    pub fn timeline(&self) -> u16 {
        self.timelines.last().map_or(0, |timeline| timeline.number)
    }

    /// The highest timeline that this backup knows of.
    #[must_use]
    pub fn highest(&self) -> u16 {
        self.timeline().max(self.frontier.timeline()).max(self.through.timeline())
    }

    /// The whole file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let count = |n: usize| u32::try_from(n).expect("far fewer than four billion");
        let mut body = Put::default();
        body.u64(self.sequence).bytes(&self.store.0).u64(self.through.raw()).u64(self.time_us);
        body.u64(self.made_us).u64(self.frontier.raw()).u32(0).u32(self.lanes.0);
        body.u32(count(self.timelines.len()));
        self.timelines.iter().for_each(|timeline| timeline.encode(&mut body));
        body.u32(count(self.segments.len()));
        for s in &self.segments {
            body.u64(s.base.raw()).u64(s.capacity).u64(s.number).u64(s.end.unwrap_or(Lsn::NONE).raw());
            body.u64(s.judged.raw())
                .u64(s.judgement)
                .u64(s.records)
                .u64(s.first_us)
                .u64(s.last_us)
                .u32(s.generation)
                .u8(s.kind as u8)
                .u8(0);
            body.u16(u16::try_from(s.pieces.len()).expect("pieces are absorbed long before that"));
            for piece in &s.pieces {
                body.u64(piece.from.raw()).u64(piece.to.raw()).u32(piece.crc).u32(piece.form as u32);
            }
        }
        body.counted(&self.attachment);
        envelope::close(MAGIC, VERSION, &body)
    }

    /// Reads a whole file.
    ///
    /// # Errors
    ///
    /// [`Bad::Kind`]: a newer format, or nothing that this program could have written. Otherwise why it is unreadable.
    pub fn decode(file: &[u8]) -> Result<Self, Bad> {
        Self::decode_body(envelope::open(file, MAGIC, VERSION, INVENTORY_BYTES_MAX)?).ok_or(Bad::Kind)
    }

    fn decode_body(mut take: Take<'_>) -> Option<Self> {
        let (sequence, store) = (take.u64()?, StoreId(take.array()?));
        let (through, time_us, made_us) = (Lsn::from_raw(take.u64()?), take.u64()?, take.u64()?);
        let (frontier, features) = (Lsn::from_raw(take.u64()?), take.u32()?);
        let lanes = Lanes(take.u32()?);
        let timelines = list(&mut take, TIMELINE_BYTES, Timeline::decode)?;
        let segments = list(&mut take, HELD_BYTES, decode_held)?;
        let attachment = take.counted(INVENTORY_BYTES_MAX)?.to_vec();
        let inventory = Self {
            sequence,
            store,
            through,
            time_us,
            made_us,
            frontier,
            lanes,
            timelines,
            segments,
            attachment,
        };
        (features == 0 && take.0.is_empty() && inventory.is_sane()).then_some(inventory)
    }

    /// Whether the segments follow one another without two that own one place, and everything is where it can be.
    fn is_sane(&self) -> bool {
        let rising = self.timelines.is_sorted_by(|a, b| a.number < b.number && a.branch <= b.branch);
        let apart = |a: &Held, b: &Held| {
            (a.base, a.generation) < (b.base, b.generation) && a.end.is_some_and(|end| end <= b.base)
        };
        let known = |held: &Held| {
            let timeline = self.timelines.iter().any(|t| t.number == held.base.timeline());
            timeline && held.base < self.through && held.covered() >= self.limit(held)
        };
        !self.timelines.is_empty()
            && rising
            && self.timelines[0].number > 0
            && self.segments.is_sorted_by(apart)
            && self.segments.iter().all(known)
            && self.through != Lsn::MAX
            && self.through <= self.frontier
    }
}

/// All of what a destination claims, which may be anything.
pub(super) fn sum(bytes: impl IntoIterator<Item = u64>) -> u64 {
    bytes.into_iter().fold(0, u64::saturating_add)
}

fn decode_held(take: &mut Take<'_>) -> Option<Held> {
    let (base, capacity) = (Lsn::from_raw(take.u64()?), take.u64()?);
    let (number, end, judged) = (take.u64()?, Lsn::from_raw(take.u64()?), Lsn::from_raw(take.u64()?));
    let (judgement, records) = (take.u64()?, take.u64()?);
    let (first_us, last_us, generation) = (take.u64()?, take.u64()?, take.u32()?);
    let (kind, zero, count) = (SegmentKind::from_u8(take.u8()?)?, take.u8()?, take.u16()?);
    if zero != 0 || !sizes_are_sane(kind, base, capacity) {
        return None; // only now is there an end of its capacity
    }
    if generation > GENERATION_MAX || records > capacity {
        return None; // each record has a place
    }
    let end = (end != Lsn::NONE).then_some(end);
    let mut held = Held {
        base,
        capacity,
        number,
        generation,
        kind,
        end,
        judged,
        judgement,
        records,
        first_us,
        last_us,
        pieces: Vec::new(),
    };
    for _ in 0..count {
        let piece = decode_piece(take)?;
        let follows = piece.from == held.covered() && piece.to > piece.from;
        let placed = piece.form != Form::Segment || piece.from == base;
        let inside = match held.is_packed() {
            true => piece.from == base && piece.bytes() > 0,
            false => follows && piece.to <= held.capacity_end(),
        };
        if !placed || !inside || held.is_packed() && !held.pieces.is_empty() {
            return None;
        }
        held.pieces.push(piece);
    }
    let inside = end.is_none_or(|end| end > base && end <= held.covered());
    (inside && !held.pieces.is_empty() && first_us <= last_us).then_some(held)
}

fn decode_piece(take: &mut Take<'_>) -> Option<Piece> {
    let (from, to) = (Lsn::from_raw(take.u64()?), Lsn::from_raw(take.u64()?));
    let (crc, form) = (take.u32()?, Form::from_u32(take.u32()?)?);
    Some(Piece { from, to, crc, form })
}

#[cfg(test)]
mod tests;
