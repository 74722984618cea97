//! Pure: the settings of history: of the store, and of each collection.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::limits::MOMENTS_MAX;

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

    /// Refuses settings that may come to keep more single moments than fit.
    pub(crate) fn check(self) -> Result<()> {
        let singles = self.singles();
        if singles <= MOMENTS_MAX.into() {
            return Ok(());
        }
        let many = if self.hours.max(self.minutes) == Duration::MAX {
            "ever more".into()
        } else {
            singles.to_string()
        };
        let say = format!(
            "these settings keep {many} single moments, and a store at most {MOMENTS_MAX}: nothing was changed; keep one a \
             minute, or one an hour, for less long (14 days of minutes, then hours up to a year, are 28584), or every moment \
             for longer"
        );
        Err(Error::new(ErrorKind::TooLarge, say))
    }

    /// Most full minutes and full hours that stand before every moment is kept. After settings were changed there are no
    /// more of them than the settings allowed by which the newest of them was given its place: times only move forward.
    fn singles(self) -> u128 {
        let steps = |from: Duration, to: Duration, step: Duration| {
            to.saturating_sub(from).as_nanos().div_ceil(step.as_nanos())
        };
        let minutes = self.minutes.max(self.every);
        steps(self.every, minutes, MINUTE) + steps(minutes, self.hours, HOUR)
    }
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
    ///
    /// In backups too: a restore of a moment of the past brings all other collections back as they were, and this one as far
    /// as the backup still has it. A key that was written again since has an older value then, or none, never a newer one;
    /// transactions that wrote to this one and to others are there in part. [`Restored`](crate::Restored) names it, and the
    /// restored store answers `Gone` for it at that moment. And a [feed](crate::Changes) misses nothing, so one that is
    /// further behind than the newest thinning of this collection answers `Gone`, whichever collections it shows.
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
