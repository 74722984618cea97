//! Pure: how the bytes of a piece lie in its file.
//!
//! ```text
//! 0 plain    the bytes, nothing else                                                   .piece
//! 1 segment  a whole segment file, cloned or linked: they stand behind its header      .seg
//! 2 lz4      blocks, one behind the other:                                             .lz4
//!            +---------+------------+--------+------------+
//!            | raw len | stored len | crc32  | bytes      |
//!            | u32     | u32        |        |            |
//!            +---------+------------+--------+------------+
//! ```
//!
//! The checksum of a piece covers its bytes; that of a segment file all of the file. crc32 of a block covers both lengths
//! and the bytes. A block holds at most [`BLOCK_RAW_MAX`] bytes of a piece, compressed as an LZ4
//! block, or as they are where both lengths are the same. Both lengths are checked before anything is read or allocated,
//! and what a block holds is as long as it says or it is damaged: a few bytes never become more than a block. Little-endian.
//! Numbers of forms are for ever: add, never renumber.

use crate::segment::name::UNFINISHED;

/// Bytes of a piece in one block.
pub(super) const BLOCK_RAW_MAX: usize = 256 << 10;

/// Bytes before those of a block.
pub(super) const BLOCK_HEADER_BYTES: usize = 12;

/// How the bytes of a piece lie in its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Form {
    /// As they are.
    #[default]
    Plain = 0,
    /// Behind the header of a whole segment file, which may reach further.
    Segment = 1,
    /// In compressed blocks.
    Lz4 = 2,
}

impl Form {
    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::Plain, Self::Segment, Self::Lz4];

    /// The form of a number on disk.
    pub(super) const fn from_u32(n: u32) -> Option<Self> {
        match n {
            0 => Some(Self::Plain),
            1 => Some(Self::Segment),
            2 => Some(Self::Lz4),
            _ => None,
        }
    }

    /// How the names of such files end.
    pub(super) const fn ending(self) -> &'static str {
        match self {
            Self::Plain => "piece",
            Self::Segment => "seg",
            Self::Lz4 => "lz4",
        }
    }
}

/// Whether a name is one that a piece could have, finished or not.
pub(super) fn is_piece(name: &str) -> bool {
    let whole = name.strip_suffix(UNFINISHED).unwrap_or(name);
    let ending = whole.rsplit_once('.').map(|(_, ending)| ending);
    Form::ALL.iter().any(|form| Some(form.ending()) == ending)
}

/// The header of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockHeader {
    pub(super) raw_len: usize,
    pub(super) stored_len: usize,
    crc: u32,
}

impl BlockHeader {
    /// What the header says; `None` where it says what no block can be.
    pub(super) fn decode(bytes: &[u8; BLOCK_HEADER_BYTES]) -> Option<Self> {
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let (raw_len, stored_len, crc) = (word(0) as usize, word(4) as usize, word(8));
        let sane = (1..=BLOCK_RAW_MAX).contains(&raw_len) && (1..=raw_len).contains(&stored_len);
        sane.then_some(Self { raw_len, stored_len, crc })
    }

    /// Puts what the block holds into `raw`, which has its length; false where the bytes are not what they were.
    #[must_use]
    pub(super) fn open(&self, stored: &[u8], raw: &mut [u8]) -> bool {
        if crc_of(self.raw_len, stored) != self.crc || raw.len() != self.raw_len {
            return false;
        }
        if self.stored_len == self.raw_len {
            raw.copy_from_slice(stored);
            return true;
        }
        inflate(stored, raw)
    }
}

/// Adds `raw` to `out` as a block.
#[cfg(feature = "compression")]
pub(super) fn put_block(raw: &[u8], out: &mut Vec<u8>) {
    debug_assert!((1..=BLOCK_RAW_MAX).contains(&raw.len()));
    let start = out.len();
    out.resize(start + BLOCK_HEADER_BYTES + lz4_flex::block::get_maximum_output_size(raw.len()), 0);
    let room = &mut out[start + BLOCK_HEADER_BYTES..];
    let stored = match lz4_flex::block::compress_into(raw, room) {
        Ok(len) if len < raw.len() => len,
        _ => {
            room[..raw.len()].copy_from_slice(raw);
            raw.len()
        }
    };
    out.truncate(start + BLOCK_HEADER_BYTES + stored);
    let crc = crc_of(raw.len(), &out[start + BLOCK_HEADER_BYTES..]);
    for (n, word) in [length(raw.len()), length(stored), crc].into_iter().enumerate() {
        out[start + 4 * n..start + 4 * n + 4].copy_from_slice(&word.to_le_bytes());
    }
}

#[cfg(feature = "compression")]
fn inflate(stored: &[u8], raw: &mut [u8]) -> bool {
    lz4_flex::block::decompress_into(stored, raw).is_ok_and(|len| len == raw.len())
}

#[cfg(not(feature = "compression"))]
fn inflate(_: &[u8], _: &mut [u8]) -> bool {
    false // nobody asks: such a piece is refused before it is read
}

fn crc_of(raw_len: usize, stored: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&length(raw_len).to_le_bytes());
    crc.update(&length(stored.len()).to_le_bytes());
    crc.update(stored);
    crc.finalize()
}

fn length(len: usize) -> u32 {
    u32::try_from(len).expect("at most a block")
}

#[cfg(all(test, feature = "compression"))]
mod tests;
