//! Pure: the floor of a replay: one pass over mapped bytes, a checksum and a slot for each record, nothing else.
//!
//! No verdict, no order, no history, nothing that could be read afterwards. Two gaits, of which the faster counts:
//! a checksum over header and head of each record, as replay reads them, or over all of it, which the processor does
//! at memory speed.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use savehold::record::Head;
use savehold_wal::format::frame::FRAME_HEADER_BYTES;
use savehold_wal::format::group::GroupHead;
use savehold_wal::format::header::{DATA_OFFSET, SegmentHeader};

use super::slots::Slots;

/// What the checksum of a record covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gait {
    /// Header and head.
    Heads,
    /// Every byte.
    Bytes,
}

/// What a scan went through; the checksums so that they are not left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Scanned {
    /// Records.
    pub(super) records: u64,
    /// All checksums, mixed.
    pub(super) sum: u32,
}

/// Goes through the segment file `bytes` and enters its records' keys into `slots`.
pub(super) fn scan(bytes: &[u8], gait: Gait, slots: &mut Slots) -> Scanned {
    match gait {
        Gait::Heads => scan_as::<false>(bytes, slots),
        Gait::Bytes => scan_as::<true>(bytes, slots),
    }
}

fn scan_as<const ALL: bool>(bytes: &[u8], slots: &mut Slots) -> Scanned {
    let (hasher, mut scanned) = (FixedState::with_seed(1), Scanned::default());
    let Ok(header) = SegmentHeader::decode(bytes) else { return scanned };
    let data = bytes.get(DATA_OFFSET as usize..).unwrap_or_default();
    let mut group = 0;
    while let Some(own) = frame(data, group).filter(|own| own.kind == KIND_GROUP) {
        let Some(head) = GroupHead::decode(own.head) else { break };
        let end = group + head.bytes as usize;
        let mut at = group + own.bytes;
        while let Some(record) = frame(data, at).filter(|_| at < end) {
            scanned.sum ^= crc32fast::hash(&data[at + 4..][..record.covered(ALL) - 4]);
            at += record.bytes;
            if record.kind == KIND_RECORD
                && let Ok(head) = Head::decode(record.head)
            {
                scanned.records += 1;
                for entry in head.entries() {
                    let Ok(entry) = entry else { break };
                    let mut hash = hasher.build_hasher();
                    hash.write(entry.key);
                    slots.push(hash.finish(), header.base.raw() + at as u64);
                }
            }
        }
        group = if head.padded { end.next_multiple_of(4096) } else { end };
    }
    slots.settle();
    scanned
}

const KIND_GROUP: u8 = 1;
const KIND_RECORD: u8 = 2;

struct Frame<'a> {
    kind: u8,
    head: &'a [u8],
    bytes: usize,
}

impl Frame<'_> {
    #[inline(always)]
    fn covered(&self, all: bool) -> usize {
        if all { self.bytes } else { FRAME_HEADER_BYTES + self.head.len() }
    }
}

#[inline(always)]
fn frame(data: &[u8], at: usize) -> Option<Frame<'_>> {
    let (header, rest) = data.get(at..)?.split_first_chunk::<FRAME_HEADER_BYTES>()?;
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let (head, body) = (word(4) as usize, word(8) as usize);
    let head = rest.get(..head)?;
    Some(Frame { kind: header[12], head, bytes: FRAME_HEADER_BYTES + head.len() + body })
}
