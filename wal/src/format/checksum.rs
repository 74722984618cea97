//! Pure: checksums, and what binds bytes to their place.
//!
//! The function is the CRC-32 of IEEE 802.3 (reflected, polynomial 0xEDB88320), as `crc32fast` computes it, and `fold` that
//! of few bytes. A frame's checksum ends with sixteen bytes that are not stored beside it: the frame's LSN and the
//! *binding* of its file. So a stale frame, a frame at the wrong place, of another file or of another store never validates.
//! They come last so that a committing thread can checksum its frame before it knows where the frame will stand.

use crate::lsn::Lsn;
use crate::raw;

/// The identity of a store: drawn once, in every file of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreId(pub [u8; 16]);

/// What ties frames to one file of one store: the file's random number, mixed with the store's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding(u64);

impl Binding {
    /// The binding of the file whose header carries `number`, in `store`.
    #[must_use]
    pub fn new(store: StoreId, number: u64) -> Self {
        let (low, high) = store.0.split_at(8);
        let half = |bytes: &[u8]| bytes.iter().rev().fold(0_u64, |n, &b| (n << 8) | u64::from(b));
        Self(number ^ half(low) ^ half(high).rotate_left(32))
    }
}

/// A checksum whose place is still to be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unplaced(u32);

impl Unplaced {
    /// Begins with `bytes`.
    #[must_use]
    #[inline]
    pub fn of(bytes: &[u8]) -> Self {
        Self(raw::crc32(0, bytes))
    }

    /// Goes on with the bytes behind.
    #[must_use]
    pub fn then(self, bytes: &[u8]) -> Self {
        Self(raw::crc32(self.0, bytes))
    }

    /// Ends a frame's checksum with its place.
    #[must_use]
    #[inline]
    pub fn frame_at(self, lsn: Lsn, binding: Binding) -> u32 {
        raw::crc32_of_number::<16>(self.0, frame_place(lsn, binding))
    }

    /// Ends a part's checksum with its record and its offset there.
    #[must_use]
    #[inline]
    pub fn part_at(self, lsn: Lsn, offset: u32) -> u32 {
        let place = u128::from(lsn.raw()) | u128::from(offset) << 64;
        raw::crc32_of_number::<12>(self.0, place)
    }
}

/// The checksum of a frame that covers `bytes`, in its place: what [`Unplaced`] comes to, at once.
#[must_use]
#[inline]
pub fn frame(bytes: &[u8], lsn: Lsn, binding: Binding) -> u32 {
    raw::crc32_of_both(bytes, frame_place(lsn, binding))
}

/// Sixteen bytes, little-endian: the LSN, then the binding.
#[inline]
fn frame_place(lsn: Lsn, binding: Binding) -> u128 {
    u128::from(lsn.raw()) | u128::from(binding.0) << 64
}

#[cfg(test)]
mod tests;
