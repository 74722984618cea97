//! Pure: which keys a listing wants.

use std::ops::Bound;

use crate::index::{Direction, KeyRange};

/// Keys that lie between two bounds and begin with a prefix, in order.
///
/// `"oak-"` as a range is the keys that begin with `oak-`; `""` is all keys.
#[derive(Clone, Debug)]
#[must_use]
pub struct Range {
    pub(crate) own: OwnRange,
    pub(crate) direction: Direction,
}

impl Range {
    /// Every key.
    pub fn all() -> Self {
        Self::prefix("")
    }

    /// The keys that begin with `prefix`.
    pub fn prefix(prefix: impl AsRef<[u8]>) -> Self {
        let own = OwnRange { from: Bound::Unbounded, to: Bound::Unbounded, prefix: prefix.as_ref().to_vec() };
        Self { own, direction: Direction::Ascending }
    }

    /// Only keys not smaller than `key`.
    pub fn from(mut self, key: impl AsRef<[u8]>) -> Self {
        self.own.from = Bound::Included(key.as_ref().to_vec());
        self
    }

    /// Only keys larger than `key`.
    pub fn after(mut self, key: impl AsRef<[u8]>) -> Self {
        self.own.from = Bound::Excluded(key.as_ref().to_vec());
        self
    }

    /// Only keys smaller than `key`.
    pub fn to(mut self, key: impl AsRef<[u8]>) -> Self {
        self.own.to = Bound::Excluded(key.as_ref().to_vec());
        self
    }

    /// Largest key first.
    pub fn reverse(mut self) -> Self {
        self.direction = Direction::Descending;
        self
    }
}

/// A range of keys, kept.
#[derive(Clone, Debug)]
pub(crate) struct OwnRange {
    pub(crate) from: Bound<Vec<u8>>,
    pub(crate) to: Bound<Vec<u8>>,
    pub(crate) prefix: Vec<u8>,
}

impl OwnRange {
    /// The same range, borrowed.
    pub(crate) fn borrow(&self) -> KeyRange<'_> {
        let bound = |b| Bound::map(b, |bytes: &Vec<u8>| bytes.as_slice());
        KeyRange { from: bound(self.from.as_ref()), to: bound(self.to.as_ref()), prefix: &self.prefix }
    }
}

impl From<&str> for Range {
    fn from(prefix: &str) -> Self {
        Self::prefix(prefix)
    }
}

impl From<&String> for Range {
    fn from(prefix: &String) -> Self {
        Self::prefix(prefix)
    }
}

impl From<&[u8]> for Range {
    fn from(prefix: &[u8]) -> Self {
        Self::prefix(prefix)
    }
}
