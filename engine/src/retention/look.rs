//! Pure: when it is looked how much of the index has lapsed, and how much is worth a merge.

use std::time::Duration;

/// The part of what lapsed, of all, that is worth writing the tables again.
const WORTH: u64 = 4;
/// At the latest after this time what has lapsed goes, however little it is.
const LATEST: Duration = Duration::from_secs(24 * 3600);
/// Times between two looks, at least and at most.
const BETWEEN: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(15 * 60));

/// When it was last looked, by the monotonic clock, and what was done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Looked {
    at: Duration,
    /// Versions that the tables had then.
    versions: u64,
    /// When all tables were last merged.
    merged: Duration,
    /// Time to the next look.
    between: Duration,
}

/// How much of what was looked at has lapsed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Versions that were looked at, and of these those that may go.
    pub versions: (u64, u64),
    /// Their bytes.
    pub bytes: (u64, u64),
}

impl Share {
    /// Counts a version of `bytes` bytes.
    pub fn note(&mut self, bytes: u64, lapsed: bool) {
        self.versions.0 += 1;
        self.bytes.0 += bytes;
        if lapsed {
            self.versions.1 += 1;
            self.bytes.1 += bytes;
        }
    }
}

impl Looked {
    /// How long until the next look, where the tables have `versions`: nothing once they grew by a quarter.
    #[must_use]
    pub fn next(&self, now: Duration, versions: u64) -> Duration {
        if versions > self.versions + self.versions / WORTH {
            return Duration::ZERO;
        }
        (self.at + self.between.max(BETWEEN.0)).saturating_sub(now)
    }

    /// Notes a look; every moment is kept for `every`.
    pub fn note(&mut self, now: Duration, versions: u64, every: Duration) {
        (self.at, self.versions) = (now, versions);
        if self.merged.is_zero() {
            self.merged = now; // who was just opened need not merge at once
        }
        self.between = (every / 16).clamp(BETWEEN.0, BETWEEN.1);
    }

    /// Notes that all tables were merged, and what they have now.
    pub fn note_merged(&mut self, now: Duration, versions: u64) {
        (self.merged, self.versions) = (now, versions);
    }

    /// Whether so much has lapsed that all tables are merged.
    #[must_use]
    pub fn worth(&self, now: Duration, share: Share) -> bool {
        let much = |(all, lapsed): (u64, u64)| lapsed > 0 && lapsed >= all / WORTH;
        much(share.versions)
            || much(share.bytes)
            || share.versions.1 > 0 && now.saturating_sub(self.merged) >= LATEST
    }
}
