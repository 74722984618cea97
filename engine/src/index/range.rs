//! Pure: which keys a range read wants, and the page that answers it.

use std::ops::Bound;

use super::entry::VersionRef;

/// A set of neighbouring keys: those that lie between both bounds and begin with the prefix.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyRange<'a> {
    /// Where the range begins.
    pub from: Bound<&'a [u8]>,
    /// Where it ends.
    pub to: Bound<&'a [u8]>,
    /// What each key begins with; empty: anything.
    pub prefix: &'a [u8],
}

impl<'a> KeyRange<'a> {
    /// Every key.
    pub const ALL: KeyRange<'static> = KeyRange { from: Bound::Unbounded, to: Bound::Unbounded, prefix: &[] };

    /// The keys that begin with `prefix`.
    #[must_use]
    pub const fn prefix(prefix: &'a [u8]) -> Self {
        Self { from: Bound::Unbounded, to: Bound::Unbounded, prefix }
    }

    /// The keys between two bounds.
    #[must_use]
    pub const fn between(from: Bound<&'a [u8]>, to: Bound<&'a [u8]>) -> Self {
        Self { from, to, prefix: &[] }
    }

    /// Whether `key` is in the range.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        !self.begins_after(key) && !self.ends_before(key)
    }

    /// Whether `key` stands before all of the range. True for the first keys of any order, false for the rest.
    pub(super) fn begins_after(&self, key: &[u8]) -> bool {
        let below = match self.from {
            Bound::Included(from) => key < from,
            Bound::Excluded(from) => key <= from,
            Bound::Unbounded => false,
        };
        below || key < self.prefix
    }

    /// Whether `key` stands behind all of the range. False for the first keys of any order, true for the rest.
    pub(super) fn ends_before(&self, key: &[u8]) -> bool {
        let above = match self.to {
            Bound::Included(to) => key > to,
            Bound::Excluded(to) => key >= to,
            Bound::Unbounded => false,
        };
        above || (!key.starts_with(self.prefix) && key > self.prefix)
    }
}

/// In which order keys are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// Smallest key first.
    Ascending,
    /// Largest key first.
    Descending,
}

/// Keys that a page has room for when the first comes.
const FIRST: usize = 32;

/// Keys and their versions, in the order asked for. Holds all keys in one allocation.
#[derive(Clone, Default, Debug)]
pub struct Page {
    keys: Vec<u8>,
    /// The end of each key in `keys`, and its version.
    items: Vec<(usize, VersionRef)>,
}

impl Page {
    /// Number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is no key: then nothing follows either.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The keys with their versions.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&[u8], VersionRef)> + ExactSizeIterator {
        (0..self.items.len()).map(|index| (self.key(index), self.items[index].1))
    }

    /// The last key: what to pass as `after` for the next page.
    #[must_use]
    pub fn last_key(&self) -> Option<&[u8]> {
        Some(self.key(self.items.len().checked_sub(1)?))
    }

    /// The key at `index`, with its version; `None` behind the last.
    #[inline]
    pub(crate) fn get(&self, index: usize) -> Option<(&[u8], VersionRef)> {
        let (_, version) = self.items.get(index)?;
        Some((self.key(index), *version))
    }

    #[inline]
    pub(super) fn push(&mut self, key: &[u8], version: VersionRef) {
        if self.items.capacity() == 0 {
            self.items.reserve(FIRST);
            self.keys.reserve(FIRST * key.len());
        }
        self.keys.extend_from_slice(key);
        self.items.push((self.keys.len(), version));
    }

    fn key(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.items[before].0);
        &self.keys[start..self.items[index].0]
    }
}
