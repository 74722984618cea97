//! Pure: the least that an index can be: sixteen bytes a key in one flat table, filled sixteen at a time, their cache
//! lines fetched before.

use savehold_wal::raw;

/// Entries that are fetched at once.
const BATCH: usize = 16;

/// Hashes to places. A vacant slot has hash 0.
pub(super) struct Slots {
    slots: Vec<Slot>,
    batch: [Slot; BATCH],
    waiting: usize,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    hash: u64,
    place: u64,
}

impl Slots {
    /// A table for so many keys, at most half full with them: it must never be full.
    pub(super) fn new(keys: u64) -> Self {
        let slots = usize::try_from(keys * 2).unwrap_or(usize::MAX).next_power_of_two().max(BATCH * 2);
        Self { slots: vec![Slot::default(); slots], batch: [Slot::default(); BATCH], waiting: 0 }
    }

    /// Takes one entry over; the newest place of a hash stays.
    #[inline(always)]
    pub(super) fn push(&mut self, hash: u64, place: u64) {
        let hash = hash | 1;
        raw::prefetch_at(&self.slots, self.home(hash));
        self.batch[self.waiting] = Slot { hash, place };
        self.waiting += 1;
        if self.waiting == BATCH {
            self.settle();
        }
    }

    /// Enters what waits.
    pub(super) fn settle(&mut self) {
        for n in 0..std::mem::take(&mut self.waiting) {
            let entry = self.batch[n];
            let mut at = self.home(entry.hash);
            while self.slots[at].hash != 0 && self.slots[at].hash != entry.hash {
                at = (at + 1) & (self.slots.len() - 1);
            }
            let slot = &mut self.slots[at];
            *slot = Slot { hash: entry.hash, place: entry.place.max(slot.place) };
        }
    }

    /// The place of a hash, zero where there is none.
    #[cfg(test)]
    fn place(&self, hash: u64) -> u64 {
        self.slots.iter().find(|slot| slot.hash == hash | 1).map_or(0, |slot| slot.place)
    }

    #[inline(always)]
    fn home(&self, hash: u64) -> usize {
        (hash >> 20) as usize & (self.slots.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use savehold_wal::draw::mixed;

    #[test]
    fn the_newest_place_of_every_hash_is_there() {
        let mut slots = Slots::new(1000);
        (0..1000).for_each(|n| slots.push(mixed(n), n + 1));
        (0..1000).rev().for_each(|n| slots.push(mixed(n), 2 * n + 1));
        slots.settle();
        for n in 0..1000 {
            assert_eq!(slots.place(mixed(n)), 2 * n + 1);
        }
    }
}
