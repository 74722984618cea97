//! Pure: the hash section of a shard: from a key to the restart behind which its newest version stands.
//!
//! ```text
//! bucket  0       1      2      4                                64
//!         +-------+------+------+--------------------------------+
//!         | count | more | zero | slot slot … at most 15, u32    |
//!         +-------+------+------+--------------------------------+
//! slot    tag × 2^17 + page in the shard × 2^5 + restart on that page
//! ```
//!
//! A page holds 63 buckets; a shard has one for each eleven keys, or part of eleven. The high half of a key's hash,
//! times the number of buckets, divided by 2^32, is its bucket, the low fifteen bits are its tag. What a bucket has no
//! room for stands in the next one (behind the last comes the first), and *more* is then 1. So a key is looked for in
//! one cache line, rarely two, and of absent keys one in some three thousand costs more than that.
//!
//! ```text
//! hash    h = seed XOR collection × A;  for each eight bytes of the key, the last ones with zeros behind them:
//!         h = fold(h XOR eight bytes, B XOR seed rotated left by 32);  then h = fold(h XOR length, A)
//! fold    both halves of the product of 128 bits, XORed;  A = 0x9e3779b97f4a7c15, B = 0xd6e8feb86659fd93
//! seed    the file's random number: keys come from strangers
//! ```

use super::page::PAGE_BYTES;

/// Bytes of a bucket: one cache line.
pub(super) const BUCKET_BYTES: usize = 64;
/// Buckets on a page.
pub(super) const PAGE_BUCKETS: usize = 63;
/// Most pages of cells in a shard.
pub(super) const SHARD_PAGES_MAX: usize = 1 << PAGE_BITS;

const SLOTS: usize = 15;
const KEYS_PER_BUCKET: usize = 11;
const RESTART_BITS: u32 = 5;
const PAGE_BITS: u32 = 12;
const TAG_BITS: u32 = 15;
const A: u64 = 0x9e37_79b9_7f4a_7c15;
const B: u64 = 0xd6e8_feb8_6659_fd93;

const _: () = assert!(TAG_BITS + PAGE_BITS + RESTART_BITS == u32::BITS);
const _: () = assert!(super::cell::RESTARTS_MAX <= 1 << RESTART_BITS);
const _: () = assert!(PAGE_BUCKETS * BUCKET_BYTES <= super::page::CONTENT_BYTES && PAGE_BYTES == 4096);

/// Where a key's newest version stands in its shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Spot {
    pub(super) page: u16,
    pub(super) restart: u8,
}

/// The hash of a key.
#[inline]
pub(super) fn hash(seed: u64, collection: u32, key: &[u8]) -> u64 {
    let by = B ^ seed.rotate_left(32);
    let mut h = seed ^ u64::from(collection).wrapping_mul(A);
    let mut eights = key.chunks_exact(8);
    for eight in &mut eights {
        h = fold(h ^ u64::from_le_bytes(eight.try_into().expect("chunks of eight")), by);
    }
    if !eights.remainder().is_empty() {
        let mut last = [0; 8];
        last[..eights.remainder().len()].copy_from_slice(eights.remainder());
        h = fold(h ^ u64::from_le_bytes(last), by);
    }
    fold(h ^ key.len() as u64, A)
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// Buckets of a shard with `keys`.
pub(super) fn buckets_for(keys: usize) -> usize {
    keys.div_ceil(KEYS_PER_BUCKET).max(1)
}

/// The bucket where a key of this hash is looked for first.
#[inline]
pub(super) fn bucket_of(hash: u64, buckets: usize) -> usize {
    (((hash >> 32) * buckets as u64) >> 32) as usize
}

/// All buckets of a shard, one behind the other, from the hash and the spot of each key.
pub(super) fn spread(keys: &[(u64, Spot)]) -> Vec<u8> {
    let buckets = buckets_for(keys.len());
    let mut bytes = vec![0; buckets * BUCKET_BYTES];
    for (hash, spot) in keys {
        let mut at = bucket_of(*hash, buckets);
        loop {
            let bucket = &mut bytes[at * BUCKET_BYTES..][..BUCKET_BYTES];
            let count = usize::from(bucket[0]);
            if count < SLOTS {
                let slot = tag(*hash) << (PAGE_BITS + RESTART_BITS)
                    | u32::from(spot.page) << RESTART_BITS
                    | u32::from(spot.restart);
                bucket[4 * (count + 1)..][..4].copy_from_slice(&slot.to_le_bytes());
                bucket[0] += 1;
                break;
            }
            bucket[1] = 1;
            at = (at + 1) % buckets;
        }
    }
    bytes
}

/// What one bucket says of a hash.
#[derive(Clone, Copy)]
pub(super) struct Bucket<'a>(pub(super) &'a [u8; BUCKET_BYTES]);

impl Bucket<'_> {
    /// Where keys of this hash may stand.
    #[inline]
    pub(super) fn spots(&self, hash: u64) -> impl Iterator<Item = Spot> {
        let (tag, count) = (tag(hash), usize::from(self.0[0]).min(SLOTS));
        let slots: &[[u8; 4]; SLOTS + 1] = self.0.as_chunks().0.try_into().expect("a bucket is so long");
        // all of them are compared, without asking: that is a few instructions of many lanes
        let mut same = 0_u32;
        for (n, slot) in slots[1..].iter().enumerate() {
            same |= u32::from(u32::from_le_bytes(*slot) >> (PAGE_BITS + RESTART_BITS) == tag) << n;
        }
        same &= (1 << count) - 1;
        std::iter::from_fn(move || {
            let n = same.trailing_zeros() as usize;
            same &= same.checked_sub(1)?;
            let slot = u32::from_le_bytes(slots[n + 1]);
            Some(Spot {
                page: (slot >> RESTART_BITS) as u16 & ((1 << PAGE_BITS) - 1),
                restart: slot as u8 & ((1 << RESTART_BITS) - 1),
            })
        })
    }

    /// Whether keys that belong here may stand in the next bucket.
    #[inline]
    pub(super) fn goes_on(&self) -> bool {
        self.0[1] != 0
    }
}

#[inline]
fn tag(hash: u64) -> u32 {
    hash as u32 & ((1 << TAG_BITS) - 1)
}
