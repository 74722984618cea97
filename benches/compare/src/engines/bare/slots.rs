//! Pure: the least that an index can be: sixteen bytes a key in one flat table, entered sixteen at a time, their cache
//! lines fetched before. Two keys of one hash would be taken for one.

use savehold_wal::draw::mixed;
use savehold_wal::raw;

use crate::keys::Key;

/// Entries that are fetched at once.
const BATCH: usize = 16;

/// Hashes to places. A vacant slot has hash 0.
pub(super) struct Slots {
    slots: Vec<Slot>,
    batch: [Slot; BATCH],
    waiting: usize,
    keys: usize,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    hash: u64,
    place: u64,
}

/// The hash of a key, never 0.
#[inline(always)]
pub(super) fn hash(key: &Key) -> u64 {
    let number = u128::from_le_bytes(*key);
    mixed(number as u64 ^ mixed((number >> 64) as u64)) | 1
}

impl Slots {
    /// For so many keys.
    pub(super) fn new(keys: usize) -> Self {
        let slots = (keys * 2).next_power_of_two().max(BATCH * 2);
        Self { slots: vec![Slot::default(); slots], batch: [Slot::default(); BATCH], waiting: 0, keys: 0 }
    }

    /// Takes an entry over; the last place of a hash stays.
    #[inline(always)]
    pub(super) fn push(&mut self, hash: u64, place: u64) {
        raw::prefetch_at(&self.slots, self.home(hash));
        self.batch[self.waiting] = Slot { hash, place };
        self.waiting += 1;
        if self.waiting == BATCH {
            self.settle();
        }
    }

    /// Enters what waits.
    pub(super) fn settle(&mut self) {
        if (self.keys + self.waiting) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        for n in 0..std::mem::take(&mut self.waiting) {
            self.enter(self.batch[n]);
        }
    }

    fn enter(&mut self, entry: Slot) {
        let mut at = self.home(entry.hash);
        while self.slots[at].hash != 0 && self.slots[at].hash != entry.hash {
            at = (at + 1) & (self.slots.len() - 1);
        }
        self.keys += usize::from(self.slots[at].hash == 0);
        self.slots[at] = entry;
    }

    fn grow(&mut self) {
        let twice = vec![Slot::default(); self.slots.len() * 2];
        let before = std::mem::replace(&mut self.slots, twice);
        self.keys = 0;
        before.into_iter().filter(|slot| slot.hash != 0).for_each(|slot| self.enter(slot));
    }

    /// The place of a hash.
    #[inline(always)]
    pub(super) fn find(&self, hash: u64) -> Option<u64> {
        let mut at = self.home(hash);
        while self.slots[at].hash != 0 {
            if self.slots[at].hash == hash {
                return Some(self.slots[at].place);
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
        None
    }

    #[inline(always)]
    fn home(&self, hash: u64) -> usize {
        (hash >> 20) as usize & (self.slots.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::key;

    #[test]
    fn the_last_place_of_every_key_is_found_also_where_there_are_more_than_were_foreseen() {
        for foreseen in [0, 10, 1000] {
            let mut slots = Slots::new(foreseen);
            (0..1000).for_each(|n| slots.push(hash(&key(n)), n));
            (0..500).for_each(|n| slots.push(hash(&key(n)), n + 5000));
            slots.settle();
            for n in 0..1000 {
                assert_eq!(slots.find(hash(&key(n))), Some(if n < 500 { n + 5000 } else { n }));
            }
            assert_eq!(slots.find(hash(&key(1000))), None);
        }
    }
}
