//! Pure: when it is looked how much of the index has lapsed, and how much is worth a merge.

use std::time::Duration;

/// The part of what lapsed, of all, that is worth writing the tables again…
const WORTH: u64 = 4;
/// …and the part of the bytes of log, where these are so many times what the tables take.
const WORTH_OF_LOG: u64 = 10;
const TIMES_TABLES: u64 = 2;
/// The part of all versions that endings are which wait, for which files are settled.
const WORTH_SETTLING: u64 = 8;
/// By such a part the tables have grown when it is looked again.
const GROWN: u64 = 8;
/// At the latest after this time what has lapsed goes, however little it is.
const LATEST: Duration = Duration::from_secs(24 * 3600);
/// Times between two looks, at least and at most.
const BETWEEN: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(15 * 60));

/// How much the tables list, and take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Versions.
    pub versions: u64,
    /// Bytes of the log that these are, about.
    pub log_bytes: u64,
    /// Bytes of the tables themselves.
    pub table_bytes: u64,
}

impl Extent {
    fn has_grown_since(self, before: Self) -> bool {
        let grown = |now: u64, then: u64| now > then + then / GROWN;
        grown(self.versions, before.versions) || grown(self.log_bytes, before.log_bytes)
    }
}

/// When it was last looked, by the monotonic clock, and what was done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Looked {
    at: Duration,
    /// What the tables had then.
    extent: Extent,
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
    /// Endings that were looked at and could go, were all files of the log settled.
    pub waiting: u64,
}

impl Share {
    /// Whether so many endings wait that files are settled for them.
    #[must_use]
    pub fn waits(self) -> bool {
        self.waiting > 0 && self.waiting >= self.versions.0 / WORTH_SETTLING
    }

    /// Counts a version of `bytes` bytes.
    pub fn note(&mut self, bytes: u64, lapsed: bool) {
        self.versions.0 += 1;
        self.bytes.0 += bytes;
        if lapsed {
            self.versions.1 += 1;
            self.bytes.1 += bytes;
        }
    }

    /// How many of `bytes` have lapsed, going by those that were looked at.
    #[must_use]
    pub fn of(self, bytes: u64) -> u64 {
        let (all, lapsed) = self.bytes;
        u64::try_from(u128::from(bytes) * u128::from(lapsed) / u128::from(all.max(1))).unwrap_or(bytes)
    }
}

impl Looked {
    /// How long until the next look, where the tables are so large: nothing once they grew by an eighth.
    #[must_use]
    pub fn next(&self, now: Duration, extent: Extent) -> Duration {
        if extent.has_grown_since(self.extent) {
            return Duration::ZERO;
        }
        (self.at + self.between.max(BETWEEN.0)).saturating_sub(now)
    }

    /// Notes a look; every moment is kept for `every`.
    pub fn note(&mut self, now: Duration, extent: Extent, every: Duration) {
        (self.at, self.extent) = (now, extent);
        if self.merged.is_zero() {
            self.merged = now; // who was just opened need not merge at once
        }
        self.between = (every / 16).clamp(BETWEEN.0, BETWEEN.1);
    }

    /// Notes that all tables were merged, and how large they are now.
    pub fn note_merged(&mut self, now: Duration, extent: Extent) {
        (self.merged, self.extent) = (now, extent);
    }

    /// Notes that tables were merged and something was dropped: what was seen is no longer so.
    pub fn note_changed(&mut self) {
        self.extent = Extent::default();
    }

    /// Whether so much has lapsed, of tables that are so large, that all of them are merged.
    #[must_use]
    pub fn worth(&self, now: Duration, share: Share, extent: Extent) -> bool {
        let much = |(all, lapsed): (u64, u64), part: u64| lapsed > 0 && lapsed >= all / part;
        let cheap = share.of(extent.log_bytes) >= extent.table_bytes.saturating_mul(TIMES_TABLES);
        much(share.versions, WORTH)
            || much(share.bytes, WORTH)
            || cheap && much(share.bytes, WORTH_OF_LOG)
            || share.versions.1 > 0 && now.saturating_sub(self.merged) >= LATEST
    }
}
