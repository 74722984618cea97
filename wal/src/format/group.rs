//! Pure: the group, what one sync makes durable, and the stated ends of segments.
//!
//! A group is a run of frames whose first has kind `Group` and this head:
//!
//! ```text
//! offset  0                 8           16      20       24      28     32
//!         +-----------------+-----------+-------+--------+-------+------+
//!         | durable through | time (µs) | bytes | frames | flags | zero |
//!         +-----------------+-----------+-------+--------+-------+------+
//! ```
//!
//! *durable through*: everything before this LSN was known durable when the group was written. *time*: engine time,
//! microseconds since 1970, never falling from group to group. *bytes*: length of the group, this frame included,
//! padding not. *frames*: frames behind this one. *flags*: bit 0, the group is padded with zeros to the next 4 KiB
//! boundary, where the next group begins, as everything is that a sync follows; without it the next begins right
//! behind. Bit 1, a mark: nothing follows in this group, it is there for what it says.
//!
//! A frame of kind `Ends` is the first behind the first `Group` frame of every segment; its head says how segments
//! before it ended:
//!
//! ```text
//! offset  0       4      8           16          24           28     32
//!         +-------+------+-----------+-----------+------------+------+----
//!         | count | zero | base LSN  | end LSN   | generation | zero | …
//!         +-------+------+-----------+-----------+------------+------+----
//! ```
//!
//! Little-endian, for ever. A reserved bit or field that is not zero is a newer format.

use super::cursor::{Put, Take};
use super::frame::FRAME_HEADER_BYTES;
use crate::limits::BLOCK_BYTES;
use crate::lsn::Lsn;

/// Bytes of a group's first frame.
pub const GROUP_FRAME_BYTES: usize = FRAME_HEADER_BYTES + GROUP_HEAD_BYTES;

/// Bytes of its head.
pub const GROUP_HEAD_BYTES: usize = 32;

const FLAG_PADDED: u32 = 1;
const FLAG_MARK: u32 = 2;

/// What the first frame of a group says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupHead {
    /// Everything before it was durable when this was written.
    pub durable_through: Lsn,
    /// Engine time, microseconds since 1970.
    pub time_us: u64,
    /// Length of the group with this frame, without padding.
    pub bytes: u32,
    /// Frames behind this one.
    pub frames: u32,
    /// Followed by zeros to the next block.
    pub padded: bool,
    /// There for what it says, not for what follows.
    pub mark: bool,
}

impl GroupHead {
    /// The stored form.
    #[must_use]
    pub fn encode(&self) -> [u8; GROUP_HEAD_BYTES] {
        let flags = u32::from(self.padded) * FLAG_PADDED + u32::from(self.mark) * FLAG_MARK;
        let mut out = [0; GROUP_HEAD_BYTES];
        out[..8].copy_from_slice(&self.durable_through.raw().to_le_bytes());
        out[8..16].copy_from_slice(&self.time_us.to_le_bytes());
        out[16..20].copy_from_slice(&self.bytes.to_le_bytes());
        out[20..24].copy_from_slice(&self.frames.to_le_bytes());
        out[24..28].copy_from_slice(&flags.to_le_bytes());
        out
    }

    /// Reads the stored form; `None` for anything this program did not write.
    #[must_use]
    #[inline]
    pub fn decode(head: &[u8]) -> Option<Self> {
        let head: &[u8; GROUP_HEAD_BYTES] = head.try_into().ok()?;
        let word = |n: usize| u32::from_le_bytes(head.as_chunks().0[n]);
        let double = |n: usize| u64::from_le_bytes(head.as_chunks().0[n]);
        let (bytes, frames, flags, zero) = (word(4), word(5), word(6), word(7));
        let known = flags & !(FLAG_PADDED | FLAG_MARK) == 0 && zero == 0;
        (known && bytes as usize >= GROUP_FRAME_BYTES).then_some(Self {
            durable_through: Lsn::from_raw(double(0)),
            time_us: double(1),
            bytes,
            frames,
            padded: flags & FLAG_PADDED != 0,
            mark: flags & FLAG_MARK != 0,
        })
    }

    /// Where the next group begins, for a group that begins at `lsn`; `None` past the end of the timeline.
    #[must_use]
    #[inline]
    pub fn next(&self, lsn: Lsn) -> Option<Lsn> {
        let end = lsn.checked_add(u64::from(self.bytes))?;
        if self.padded { align(end) } else { Some(end) }
    }
}

/// The first block boundary at or behind `lsn`; `None` past the end of the timeline.
#[must_use]
#[inline]
pub fn align(lsn: Lsn) -> Option<Lsn> {
    lsn.checked_add(lsn.offset().wrapping_neg() % BLOCK_BYTES)
}

/// How one segment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatedEnd {
    /// The segment's base.
    pub base: Lsn,
    /// Its generation.
    pub generation: u32,
    /// Behind its last good frame.
    pub end: Lsn,
}

/// The head of an `Ends` frame.
#[must_use]
pub fn encode_ends(ends: &[StatedEnd]) -> Vec<u8> {
    let mut put = Put::default();
    put.u32(u32::try_from(ends.len()).expect("a handful")).u32(0);
    for end in ends {
        put.u64(end.base.raw()).u64(end.end.raw()).u32(end.generation).u32(0);
    }
    put.0
}

/// Reads the head of an `Ends` frame; `None` for anything this program did not write.
#[must_use]
pub fn decode_ends(head: &[u8]) -> Option<Vec<StatedEnd>> {
    let mut take = Take(head);
    let (count, zero) = (take.u32()? as usize, take.u32()?);
    if zero != 0 || take.0.len() != count.checked_mul(24)? {
        return None;
    }
    (0..count)
        .map(|_| {
            let (base, end) = (Lsn::from_raw(take.u64()?), Lsn::from_raw(take.u64()?));
            let (generation, zero) = (take.u32()?, take.u32()?);
            (zero == 0).then_some(StatedEnd { base, generation, end })
        })
        .collect()
}

#[cfg(test)]
mod tests;
