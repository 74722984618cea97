//! Pure: the keys of one collection in order, each with the address of its node.
//!
//! Items stand in blocks, so that a new key moves a few kilobytes at most, and each begins with the first eight bytes
//! of its key as a number: sorting and inserting look at the key itself only where those are equal.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use super::range::Direction;

/// Items that a block is built with.
const BLOCK: usize = 128;
/// Items at which a block is cut in two.
const BLOCK_MAX: usize = 2 * BLOCK;

/// Where a key's node stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Address {
    /// Its partition.
    pub(super) partition: u8,
    /// Its place there.
    pub(super) place: u32,
}

/// Keys with their addresses, in no order: what a view is built from and extended by.
#[derive(Default)]
pub(super) struct Keys {
    bytes: Vec<u8>,
    items: Vec<Item>,
}

#[derive(Clone, Copy)]
struct Item {
    /// The first eight bytes of the key, big endian, zeros behind a shorter one.
    first: u64,
    /// Where the key stands in `bytes`.
    start: u64,
    length: u16,
    address: Address,
}

impl Keys {
    pub(super) fn push(&mut self, key: &[u8], address: Address) {
        let mut first = [0; 8];
        let known = key.len().min(8);
        first[..known].copy_from_slice(&key[..known]);
        self.items.push(Item {
            first: u64::from_be_bytes(first),
            start: self.bytes.len() as u64,
            length: key.len() as u16,
            address,
        });
        self.bytes.extend_from_slice(key);
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.items.capacity() * size_of::<Item>()
    }
}

/// Keys in order. No key twice, no block empty.
#[derive(Default)]
pub(super) struct Ordered {
    bytes: Vec<u8>,
    blocks: Vec<Vec<Item>>,
    len: usize,
}

impl Ordered {
    /// Adds `keys`; those that are there already stay as they are.
    pub(super) fn extend(&mut self, keys: Keys) {
        let moved = self.bytes.len() as u64;
        self.bytes.extend_from_slice(&keys.bytes);
        let items = keys.items.into_iter().map(|item| Item { start: item.start + moved, ..item });
        if items.len() > self.len / 8 {
            self.rebuild(items);
        } else {
            items.for_each(|item| self.insert(item));
        }
    }

    /// Shows the keys of a range in order, until `visit` breaks. `before` says of a key that it stands before the
    /// range, `behind` that it stands behind.
    pub(super) fn visit(
        &self,
        direction: Direction,
        before: impl Fn(&[u8]) -> bool,
        behind: impl Fn(&[u8]) -> bool,
        mut visit: impl FnMut(&[u8], Address) -> ControlFlow<()>,
    ) {
        let (mut from, mut to) = (self.seek(&before), self.seek(|key| !behind(key)));
        while from < to {
            let item = match direction {
                Direction::Ascending => {
                    let item = self.blocks[from.0][from.1];
                    from = if from.1 + 1 < self.blocks[from.0].len() {
                        (from.0, from.1 + 1)
                    } else {
                        (from.0 + 1, 0)
                    };
                    item
                }
                Direction::Descending => {
                    to = match to.1.checked_sub(1) {
                        Some(item) => (to.0, item),
                        None => (to.0 - 1, self.blocks[to.0 - 1].len() - 1),
                    };
                    self.blocks[to.0][to.1]
                }
            };
            if visit(key(&self.bytes, &item), item.address).is_break() {
                return;
            }
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let items: usize = self.blocks.iter().map(Vec::capacity).sum();
        self.bytes.capacity() + items * size_of::<Item>() + self.blocks.capacity() * size_of::<Vec<Item>>()
    }

    /// The first item (block, item in it) for which `before` is false.
    fn seek(&self, before: impl Fn(&[u8]) -> bool) -> (usize, usize) {
        let before = |item: &Item| before(key(&self.bytes, item));
        let block = self.blocks.partition_point(|block| before(&block[block.len() - 1]));
        (block, self.blocks.get(block).map_or(0, |block| block.partition_point(before)))
    }

    fn rebuild(&mut self, more: impl Iterator<Item = Item>) {
        let bytes = &self.bytes;
        let mut items: Vec<Item> = self.blocks.drain(..).flatten().chain(more).collect();
        items.sort_unstable_by(|a, b| compare(bytes, a, b));
        items.dedup_by(|b, a| compare(bytes, a, b).is_eq());
        self.len = items.len();
        self.blocks = items.chunks(BLOCK).map(<[Item]>::to_vec).collect();
    }

    fn insert(&mut self, item: Item) {
        let bytes = &self.bytes;
        let less = |other: &Item| compare(bytes, other, &item).is_lt();
        let at =
            self.blocks.partition_point(|block| less(&block[block.len() - 1])).min(self.blocks.len() - 1);
        let block = &mut self.blocks[at];
        let slot = block.partition_point(less);
        if block.get(slot).is_some_and(|other| compare(bytes, other, &item).is_eq()) {
            return;
        }
        block.insert(slot, item);
        self.len += 1;
        if block.len() == BLOCK_MAX {
            let upper = block.split_off(BLOCK);
            self.blocks.insert(at + 1, upper);
        }
    }
}

fn key<'a>(bytes: &'a [u8], item: &Item) -> &'a [u8] {
    let start = item.start as usize;
    &bytes[start..start + usize::from(item.length)]
}

fn compare(bytes: &[u8], a: &Item, b: &Item) -> Ordering {
    a.first.cmp(&b.first).then_with(|| key(bytes, a).cmp(key(bytes, b)))
}
