//! Pure: the hash table of one partition: tags to places in the arena, eight to a cache line.
//!
//! A slot is one `u64`: the tag in the high half, the place in the low one; zero is vacant. A tag's home is given by
//! its top bits and collisions go to the next slot, so slots stand nearly in the order of their tags and a doubled
//! table is filled from front to back, with nothing read but the old table.

use savehold_wal::raw;

/// Slots of the smallest table.
const SLOTS_MIN: usize = 16;
/// A table of so many slots gets its memory at once.
const SLOTS_POPULATED: usize = (64 << 10) / size_of::<u64>();
/// Slots that move at a time when a table is doubled.
const PART: usize = 64;

/// What a search found.
pub(super) enum Found {
    /// The key is known: its place in the arena.
    Key(u32),
    /// The key is unknown, and this slot is where it belongs.
    Vacant(usize),
}

/// Tags to places. Vacant until the first [`Slots::reserve`].
#[derive(Default)]
pub(super) struct Slots {
    slots: Vec<u64>,
    /// What a tag is shifted right by to give its home.
    shift: u32,
    used: usize,
}

impl Slots {
    /// Keys in the table.
    pub(super) fn len(&self) -> usize {
        self.used
    }

    /// Bytes of the table.
    pub(super) fn memory_bytes(&self) -> usize {
        self.slots.len() * size_of::<u64>()
    }

    /// Makes room for `more` keys: at least three slots in sixteen stay vacant.
    #[inline]
    pub(super) fn reserve(&mut self, more: usize) {
        let wanted = (self.used + more) * 16;
        if wanted > self.slots.len() * 13 {
            self.grow(wanted.div_ceil(13).next_power_of_two().max(SLOTS_MIN));
        }
    }

    /// Fetches the line of `tag`'s home.
    #[inline(always)]
    pub(super) fn prefetch(&self, tag: u32) {
        raw::prefetch_at(&self.slots, self.home(tag));
    }

    /// The place in `tag`'s home if the tag there is the same: nearly always the key's, if the key is known.
    #[inline(always)]
    pub(super) fn peek(&self, tag: u32) -> Option<u32> {
        let slot = *self.slots.get(self.home(tag))?;
        ((slot >> 32) as u32 == tag).then_some(slot as u32)
    }

    /// Searches the key of `tag` for which `same` holds. The table must have been [reserved](Slots::reserve).
    #[inline(always)]
    pub(super) fn find(&self, tag: u32, mut same: impl FnMut(u32) -> bool) -> Found {
        let mut at = self.home(tag);
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return Found::Vacant(at);
            }
            if (slot >> 32) as u32 == tag && same(slot as u32) {
                return Found::Key(slot as u32);
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    /// Fills the vacant slot that [`Slots::find`] gave. `place` is not zero.
    #[inline(always)]
    pub(super) fn fill(&mut self, vacant: usize, tag: u32, place: u32) {
        debug_assert!(place != 0 && self.slots[vacant] == 0);
        self.slots[vacant] = u64::from(tag) << 32 | u64::from(place);
        self.used += 1;
    }

    #[inline(always)]
    fn home(&self, tag: u32) -> usize {
        (tag >> self.shift) as usize
    }

    #[cold]
    fn grow(&mut self, slots: usize) {
        let old = std::mem::replace(&mut self.slots, vec![0; slots]);
        if slots >= SLOTS_POPULATED {
            raw::populate(&mut self.slots); // all of them are touched, in no order
        }
        self.shift = u32::BITS - slots.trailing_zeros();
        for part in old.chunks(PART) {
            // Which slots are vacant is chance: gathering the others without a branch is faster than asking.
            let (mut kept, mut count) = ([0; PART], 0);
            for &slot in part {
                kept[count % PART] = slot;
                count += usize::from(slot != 0);
            }
            for &slot in &kept[..count] {
                let mut at = self.home((slot >> 32) as u32);
                while self.slots[at] != 0 {
                    at = (at + 1) & (slots - 1);
                }
                self.slots[at] = slot;
            }
        }
    }
}
