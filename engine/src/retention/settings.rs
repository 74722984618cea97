//! Pure: the settings of history: of the store, and of each collection.

use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Which moments of the past are kept, for all keys of the store. Pins and open snapshots are kept besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Moments {
    /// Every moment for so long (default: one hour).
    pub every: Duration,
    /// Then one a minute for so long (24 hours).
    pub minutes: Duration,
    /// Then one an hour for so long (30 days).
    pub hours: Duration,
}

impl Moments {
    /// Only the present, and whatever is pinned.
    pub const NONE: Self = Self { every: Duration::ZERO, minutes: Duration::ZERO, hours: Duration::ZERO };

    /// Every moment, for ever: nothing is dropped.
    pub const ALL: Self = Self { every: Duration::MAX, minutes: Duration::MAX, hours: Duration::MAX };
}

impl Default for Moments {
    fn default() -> Self {
        Self { every: HOUR, minutes: DAY, hours: 30 * DAY }
    }
}

/// How long versions of a collection's keys are kept for themselves, besides those that the moments keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct VersionsKept {
    /// Those of explicit commits (default: 7 days).
    pub explicit: Duration,
    /// Those that the autosave wrote (default: not at all).
    pub autosaves: Duration,
    /// The newest so many, however old (default: 1).
    pub newest: u32,
}

impl Default for VersionsKept {
    fn default() -> Self {
        Self { explicit: 7 * DAY, autosaves: Duration::ZERO, newest: 1 }
    }
}

/// What is kept of the history of a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// The moments of the store, and versions for themselves.
    History(VersionsKept),
    /// The newest version of each key alone: at any older moment the collection answers
    /// [`Gone`](crate::ErrorKind::Gone), except through a snapshot that was open in time.
    NewestOnly,
}

impl Default for Retention {
    fn default() -> Self {
        Self::History(VersionsKept::default())
    }
}

/// How long outcomes of idempotency ids are kept, unless a store says otherwise.
pub const OUTCOMES: Duration = Duration::from_secs(7 * 24 * 3600);

pub(super) const MINUTE_US: u64 = MINUTE.as_micros() as u64;
pub(super) const HOUR_US: u64 = HOUR.as_micros() as u64;
