//! Pure: which shard a key stands in, found without a look at the keys of many.
//!
//! Shards of one table begin with keys that are alike in front, the collection first of all. What all have in common is
//! compared once; the eight bytes behind it stand side by side as numbers, and only shards that are the same in these too are
//! asked for their keys. The first shard stands apart: often it begins with a key of the store's own collections, and what stands
//! before it is in no shard.

use std::cmp::Ordering;

use super::cell::common;
use super::facts::Shard;

/// Where the shards of a table begin, all but the first.
pub(super) struct Starts {
    /// What their first keys have in common in front.
    alike: Box<[u8]>,
    /// The next eight bytes of each, the first byte the highest, zeros behind its end.
    next: Box<[u64]>,
}

impl Starts {
    /// Of the shards of a table, which are in order.
    pub(super) fn new(shards: &[Shard]) -> Self {
        let others = shards.get(1..).unwrap_or(&[]);
        // in order: what the first and the last have in common all have
        let (first, last) = (others.first(), others.last());
        let alike = first.zip(last).map_or(0, |(first, last)| common(&first.key, &last.key));
        let alike: Box<[u8]> = first.map_or(&[][..], |first| &first.key[..alike]).into();
        let next = others.iter().map(|shard| eight(&shard.key[alike.len()..])).collect();
        Self { alike, next }
    }

    /// How many of `shards` begin before the key `full`, and whether the one behind them begins with it.
    #[inline]
    pub(super) fn before(&self, shards: &[Shard], full: &[u8]) -> (usize, bool) {
        match shards.first().map_or(Ordering::Less, |first| full.cmp(&first.key)) {
            Ordering::Less => return (0, false),
            Ordering::Equal => return (0, true),
            Ordering::Greater => {}
        }
        let (front, rest) = full.split_at_checked(self.alike.len()).unwrap_or((full, &[]));
        match front.cmp(&*self.alike) {
            Ordering::Less => return (1, false),
            Ordering::Greater => return (shards.len(), false),
            Ordering::Equal => {}
        }
        let wanted = eight(rest);
        let begun = 1 + self.next.partition_point(|next| *next < wanted);
        match self.next.get(begun - 1) {
            Some(next) if *next == wanted => {
                let (more, meets) = among(&shards[begun..], full);
                (begun + more, meets)
            }
            _ => (begun, false),
        }
    }

    /// Bytes of memory.
    pub(super) fn memory_bytes(&self) -> usize {
        self.alike.len() + size_of_val(&*self.next)
    }
}

/// As [`Starts::before`], by the keys themselves.
#[cold]
fn among(shards: &[Shard], full: &[u8]) -> (usize, bool) {
    let mut meets = false;
    let begun = shards.partition_point(|shard| match (*shard.key).cmp(full) {
        Ordering::Less => true,
        // the first that does not begin before the key is among those that are asked
        order => {
            meets |= order == Ordering::Equal;
            false
        }
    });
    (begun, meets)
}

/// The first eight bytes as a number, zeros behind the end: smaller where the bytes are, and equal where nobody knows.
#[inline]
fn eight(bytes: &[u8]) -> u64 {
    if let Some(eight) = bytes.first_chunk() {
        return u64::from_be_bytes(*eight);
    }
    let mut padded = [0; 8];
    padded[..bytes.len()].copy_from_slice(bytes);
    u64::from_be_bytes(padded)
}

#[cfg(test)]
mod tests {
    use savehold_wal::Lsn;
    use savehold_wal::draw::Draw;

    use super::*;

    fn shards(mut keys: Vec<Vec<u8>>) -> Vec<Shard> {
        keys.sort();
        let shard = |key: Vec<u8>| Shard {
            first: 0,
            cells: 1,
            fences: 1,
            buckets: 1,
            versions: 1,
            lsn: Lsn::NONE,
            key: key.into(),
        };
        keys.into_iter().map(shard).collect()
    }

    #[test]
    fn a_key_is_where_a_comparison_with_all_shards_says() {
        let mut draw = Draw::from_seed(7);
        let mut key = |collections: u64, alike: usize, bytes: u64, letters: u64| {
            let mut key = (draw.below(collections) as u32).to_be_bytes().to_vec();
            key.resize(key.len() + alike, b'0');
            let more = draw.below(bytes + 1);
            key.extend((0..more).map(|_| draw.below(letters) as u8));
            key
        };
        for round in 0..400 {
            let (collections, alike) = (1 + round % 3, [0, 0, 3, 20][round as usize % 4]);
            let (bytes, letters) =
                ([1, 2, 9, 20][round as usize / 4 % 4], [1, 2, 256][round as usize / 16 % 3]);
            let shards = shards((0..round % 40).map(|_| key(collections, alike, bytes, letters)).collect());
            let starts = Starts::new(&shards);
            let known = shards.iter().map(|shard| shard.key.to_vec()).collect::<Vec<_>>();
            let drawn = (0..50).map(|_| key(collections + 1, alike, bytes, letters)).collect();
            for full in [known, drawn, vec![vec![0; 4], vec![0xff; 30]]].concat() {
                assert_eq!(starts.before(&shards, &full), among(&shards, &full), "{full:?} in {shards:?}");
            }
        }
    }
}
