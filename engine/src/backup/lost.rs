//! Pure: what a restore undoes: commits and keys, hour by hour, and the receipts among them.

use std::collections::BTreeMap;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use super::sketch::Different;
use crate::ids::{CollectionId, Version};

/// An hour, microseconds.
const HOUR_US: u64 = 3_600_000_000;

/// What a restore undoes, or would.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lost {
    /// Commits behind the moment.
    pub commits: u64,
    /// Keys that they wrote, without those of the store's own collections: counted up to a million, hours taken together,
    /// above that within a few per cent.
    pub keys: u64,
    /// The same for each hour in which there was any, the oldest first.
    pub hours: Vec<LostHour>,
    /// Commits among them that carried an idempotency id: what they granted must be granted again by hand.
    pub receipts: Vec<Receipt>,
}

/// What one hour loses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LostHour {
    /// When the hour begins, microseconds since 1970.
    pub begins_us: u64,
    /// Commits in it.
    pub commits: u64,
    /// Keys that they wrote.
    pub keys: u64,
}

/// A commit with an idempotency id that is undone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// The id.
    pub id: Vec<u8>,
    /// The commit's version.
    pub version: Version,
    /// When, microseconds since 1970.
    pub time_us: u64,
}

/// Prints of keys that are kept; above that numbers of keys are estimated.
const PRINTS_MAX: u64 = 1 << 20;

/// Counts it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    keys: Different,
    hours: BTreeMap<u64, (u64, Different)>,
    /// Prints that are kept.
    prints: u64,
    commits: u64,
    pub(super) receipts: Vec<Receipt>,
}

impl Tally {
    /// Counts a commit.
    pub(super) fn commit(&mut self, time_us: u64) {
        self.commits += 1;
        self.hours.entry(time_us / HOUR_US).or_default().0 += 1;
    }

    /// Counts a key that it wrote.
    pub(super) fn key(&mut self, time_us: u64, collection: CollectionId, key: &[u8]) {
        let print = FixedState::with_seed(1).hash_one((collection.0, key));
        let keys = &mut self.hours.entry(time_us / HOUR_US).or_default().1;
        let many = self.prints > PRINTS_MAX;
        if many {
            keys.estimate(); // an hour that began when there were too many already
        }
        self.prints += u64::from(keys.note(print)) + u64::from(self.keys.note(print));
        if !many && self.prints > PRINTS_MAX {
            self.keys.estimate();
            self.hours.values_mut().for_each(|(_, keys)| keys.estimate());
        }
    }

    /// All of it.
    pub(super) fn lost(&self) -> Lost {
        let hour = |(hour, (commits, keys)): (&u64, &(u64, Different))| LostHour {
            begins_us: hour * HOUR_US,
            commits: *commits,
            keys: keys.count(),
        };
        Lost {
            commits: self.commits,
            keys: self.keys.count(),
            hours: self.hours.iter().map(hour).collect(),
            receipts: self.receipts.clone(),
        }
    }
}
