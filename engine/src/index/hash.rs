//! Pure: the keyed hash that spreads keys over partitions and slots. Never on disk: each index draws its own seed.

use std::hash::Hasher;

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;

/// Partitions of an index: the top [`PARTITION_BITS`] of a hash choose one.
pub(super) const PARTITIONS: usize = 1 << PARTITION_BITS;
const PARTITION_BITS: u32 = 6;

/// Spreads collection numbers over all bits of the seed (2^64 / golden ratio, odd).
const COLLECTION_STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Where a key belongs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Hashed {
    /// Its partition, below [`PARTITIONS`].
    pub(super) partition: usize,
    /// The next 32 bits: their top bits are the key's home slot, all of them tell it from its neighbours.
    pub(super) tag: u32,
}

/// Hashes keys under a secret seed: keys come from strangers, who must not be able to choose collisions.
#[derive(Clone, Debug)]
pub(super) struct KeyHasher {
    /// All that the hash multiplies and mixes with is drawn from the seed; the library's fixed numbers are public.
    shared: SharedSeed,
    own: u64,
    #[cfg(test)]
    mask: u64,
}

impl KeyHasher {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            shared: SharedSeed::from_u64(seed),
            own: seed.rotate_left(32) ^ COLLECTION_STEP,
            #[cfg(test)]
            mask: u64::MAX,
        }
    }

    /// A hasher that keeps only the bits of `mask`, so that collisions are certain.
    #[cfg(test)]
    pub(super) fn masked(seed: u64, mask: u64) -> Self {
        Self { mask, ..Self::new(seed) }
    }

    #[inline(always)]
    pub(super) fn hash(&self, collection: u32, key: &[u8]) -> Hashed {
        let own = self.own.wrapping_add(u64::from(collection).wrapping_mul(COLLECTION_STEP));
        let mut hasher = FoldHasher::with_seed(own, &self.shared);
        hasher.write(key);
        let hash = hasher.finish();
        #[cfg(test)]
        let hash = hash & self.mask;
        Hashed {
            partition: (hash >> (u64::BITS - PARTITION_BITS)) as usize,
            tag: (hash >> (u32::BITS - PARTITION_BITS)) as u32,
        }
    }
}
