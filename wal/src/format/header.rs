//! Pure: the header of a segment file: two blocks of 4 KiB that say the same, so that one may go bad.
//!
//! ```text
//! offset  0        8         12      16         24         40         48         56       64           72
//!         +--------+---------+-------+----------+----------+----------+----------+--------+------------+
//!         | magic  | version | kind  | features | store id | base LSN | capacity | number | created µs |
//!         +--------+---------+-------+----------+----------+----------+----------+--------+------------+
//! offset  72           80         88 …              4092
//!         +------------+----------+-----------------+--------+
//!         | generation | end LSN  | zeros           | crc32  |
//!         +------------+----------+-----------------+--------+
//! ```
//!
//! magic is `SAVEHOLD`; crc32 covers everything before itself. *number* is random, drawn for this file: it binds the
//! file's frames to it. *end* is set in a rest segment and in a packed one, which are written whole, and zero in any
//! other. The timeline stands in the base LSN. Data begin at offset 8192: the byte at LSN `l` stands at `8192 + (l -
//! base)`, but for packed segments (`packed`).
//! Little-endian, for ever; an unknown version or feature bit is a newer format and is left alone.

use super::checksum::{Binding, StoreId};
use super::cursor::{Put, Take};
use super::frame::Bad;
use crate::limits::{BLOCK_BYTES, SEGMENT_BYTES_LIMIT};
use crate::lsn::Lsn;

/// Where a segment's data begin in its file.
pub const DATA_OFFSET: u64 = 2 * BLOCK_BYTES;

/// The format that this program writes and reads.
pub const FORMAT_VERSION: u32 = 1;

const MAGIC: &[u8; 8] = b"SAVEHOLD";
const CRC_AT: usize = BLOCK_BYTES as usize - 4;

/// What a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SegmentKind {
    /// Written front to back by commits.
    Log = 1,
    /// Written whole by recovery: the records behind the proven end of the segment before it.
    Rest = 2,
    /// Written whole by compaction: what stays of several neighbours; see `packed`.
    Packed = 3,
}

impl SegmentKind {
    pub(crate) const fn from_u8(n: u8) -> Option<Self> {
        match n {
            1 => Some(Self::Log),
            2 => Some(Self::Rest),
            3 => Some(Self::Packed),
            _ => None,
        }
    }
}

/// The header of a segment file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// What it is.
    pub kind: SegmentKind,
    /// The store it belongs to.
    pub store: StoreId,
    /// LSN of its first data byte; a multiple of 4 KiB.
    pub base: Lsn,
    /// Bytes of LSN space that it owns; a multiple of 4 KiB.
    pub capacity: u64,
    /// Drawn at random for this file.
    pub number: u64,
    /// Wall clock when it was made, microseconds since 1970.
    pub created_us: u64,
    /// Tells files of the same base apart: the larger is the newer.
    pub generation: u32,
    /// Where a rest or packed segment ends; [`Lsn::NONE`] in others.
    pub end: Lsn,
}

impl SegmentHeader {
    /// What binds frames to this file.
    #[must_use]
    pub fn binding(&self) -> Binding {
        Binding::new(self.store, self.number)
    }

    /// Both blocks.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut put = Put::default();
        put.bytes(MAGIC).u32(FORMAT_VERSION).u8(self.kind as u8).bytes(&[0; 3]).u64(0).bytes(&self.store.0);
        put.u64(self.base.raw()).u64(self.capacity).u64(self.number).u64(self.created_us);
        put.u32(self.generation).u32(0).u64(self.end.raw());
        let mut block = put.0;
        block.resize(CRC_AT, 0);
        let crc = crc32fast::hash(&block);
        block.extend_from_slice(&crc.to_le_bytes());
        block.repeat(2)
    }

    /// Reads either block, the first good one.
    ///
    /// # Errors
    ///
    /// [`Bad::Nothing`]: zeros. [`Bad::Kind`]: a newer format. Otherwise why both are unreadable.
    pub fn decode(bytes: &[u8]) -> Result<Self, Bad> {
        let block = BLOCK_BYTES as usize;
        let first = Self::decode_block(bytes.get(..block).unwrap_or_default());
        if first.is_ok() || first == Err(Bad::Kind) {
            return first;
        }
        let second = Self::decode_block(bytes.get(block..2 * block).unwrap_or_default());
        if second == Err(Bad::Nothing) { first } else { second }
    }

    fn decode_block(block: &[u8]) -> Result<Self, Bad> {
        if block.iter().all(|&b| b == 0) {
            return Err(Bad::Nothing);
        }
        let (Some(covered), Some(crc)) = (block.get(..CRC_AT), block.get(CRC_AT..)) else {
            return Err(Bad::Length);
        };
        if crc != crc32fast::hash(covered).to_le_bytes() || !covered.starts_with(MAGIC) {
            return Err(Bad::Checksum);
        }
        Self::decode_fields(Take(&covered[MAGIC.len()..])).ok_or(Bad::Kind)
    }

    fn decode_fields(mut take: Take<'_>) -> Option<Self> {
        let (version, kind, zero) = (take.u32()?, SegmentKind::from_u8(take.u8()?)?, take.array::<3>()?);
        let (features, store) = (take.u64()?, StoreId(take.array()?));
        let (base, capacity) = (Lsn::from_raw(take.u64()?), take.u64()?);
        let (number, created_us) = (take.u64()?, take.u64()?);
        let (generation, zero_too, end) = (take.u32()?, take.u32()?, Lsn::from_raw(take.u64()?));
        let known = version == FORMAT_VERSION && features == 0 && zero == [0; 3] && zero_too == 0;
        if !known || !sizes_are_sane(kind, base, capacity) {
            return None; // only now is there an end of its capacity
        }
        let ends = match kind {
            SegmentKind::Log => end == Lsn::NONE,
            SegmentKind::Rest | SegmentKind::Packed => end >= base && end <= base.plus(capacity),
        };
        ends.then_some(Self { kind, store, base, capacity, number, created_us, generation, end })
    }
}

/// A base and a capacity that this program could have written. What a packed segment owns is more than its file has.
pub(crate) fn sizes_are_sane(kind: SegmentKind, base: Lsn, capacity: u64) -> bool {
    let limit = if kind == SegmentKind::Packed { Lsn::OFFSET_MAX } else { SEGMENT_BYTES_LIMIT };
    base.offset().is_multiple_of(BLOCK_BYTES)
        && capacity.is_multiple_of(BLOCK_BYTES)
        && (BLOCK_BYTES..=limit).contains(&capacity)
        && base.timeline() != 0
        && base.checked_add(capacity).is_some()
}

/// Reads the magic alone: is this a file of ours, of whatever format?
#[must_use]
pub fn is_ours(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC) || bytes.get(BLOCK_BYTES as usize..).is_some_and(|b| b.starts_with(MAGIC))
}

#[cfg(test)]
mod tests;
