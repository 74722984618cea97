//! Pure: counts and latencies.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use savehold_wal::sync::{SLOTS, slot};

use crate::error::{Error, ErrorKind};
use crate::ids::Version;
use crate::moments::OpenSnapshot;
use crate::pace::Felt;

/// Buckets of a histogram: bucket `n` holds times below `2^n` microseconds that the one before does not.
const BUCKETS: usize = 32;

/// Latencies, counted as they come: by each thread on cache lines that few others write.
#[derive(Debug, Default)]
pub(crate) struct Latencies([Counted; SLOTS]);

#[derive(Debug, Default)]
#[repr(align(128))]
struct Counted {
    buckets: [AtomicU64; BUCKETS],
    total_us: AtomicU64,
}

impl Latencies {
    /// Counts one.
    pub(crate) fn note(&self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let bucket = (64 - us.leading_zeros() as usize).min(BUCKETS - 1);
        let counted = &self.0[slot()];
        counted.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        counted.total_us.fetch_add(us, Ordering::Relaxed);
    }

    /// The counts so far.
    pub(crate) fn read(&self) -> Histogram {
        let sum = |n: usize| self.0.iter().map(|counted| counted.buckets[n].load(Ordering::Relaxed)).sum();
        Histogram(std::array::from_fn(sum))
    }

    /// How many there were, and how long all of them took.
    pub(crate) fn felt(&self) -> Felt {
        let us = self.0.iter().map(|counted| counted.total_us.load(Ordering::Relaxed)).sum();
        Felt { commits: self.read().count(), us }
    }
}

/// Latencies in buckets that double: bucket `n` holds times below `2^n` µs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Histogram([u64; BUCKETS]);

impl Histogram {
    /// How many were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// A time that the given share (0 to 1) of all did not exceed: the upper edge of its bucket. Zero where nothing
    /// was counted.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        let wanted = (self.count() as f64 * share.clamp(0.0, 1.0)).ceil().max(1.0) as u64;
        let mut below = 0;
        for (n, count) in self.0.iter().enumerate() {
            below += count;
            if below >= wanted {
                return Duration::from_micros(1 << n);
            }
        }
        Duration::ZERO
    }

    /// Upper edges and counts of the buckets that are not empty.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        let edges = self.0.iter().enumerate().map(|(n, count)| (Duration::from_micros(1 << n), *count));
        edges.filter(|(_, count)| *count > 0)
    }
}

/// Where a store stands, and what it did since it was opened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// Keys that have a version, removed ones included, the store's own included. One that stands in several parts of the
    /// index counts in each: it is no more than this.
    pub keys: u64,
    /// Versions of all keys.
    pub versions: u64,
    /// Bytes of memory that the index takes, without what of its tables is in the page cache.
    pub index_bytes: u64,
    /// Commits answered since open.
    pub commits: u64,
    /// Runs of closures that met a conflict since open.
    pub conflicts: u64,
    /// Groups written since open.
    pub groups: u64,
    /// Syncs since open.
    pub syncs: u64,
    /// Bytes of log written since open, padding included.
    pub log_bytes_written: u64,
    /// Bytes of log from the oldest segment to the newest, unused ends included.
    pub log_bytes: u64,
    /// Segments of the log.
    pub segments: u64,
    /// Bytes of the log, of segments that are no longer written, that nothing in the index needs, about: compaction gives
    /// them back when they are enough.
    pub dead_bytes: u64,
    /// The oldest segment, and what holds it.
    pub oldest_file: Option<OldestFile>,
    /// Segments that compaction packed since open.
    pub packed_segments: u64,
    /// Bytes that it wrote for that.
    pub packed_bytes: u64,
    /// Bytes that it gave back.
    pub freed_bytes: u64,
    /// Why compaction failed the last time, if it did; it tries again.
    pub packing_failure: Option<Error>,
    /// Why history is not thinned as it should be, if so. A setting of it or a pin cannot be read: then nothing more is given
    /// up by it, and the message says how to set it again. Or index tables could not be written, merged or thinned the last
    /// time; that is tried again.
    pub thinning_failure: Option<Error>,
    /// Calls of the program's own code, since open, that failed where nobody is told who called: hooks of profiles that
    /// panicked, did not come back in time or made what may not be stored; callbacks of [`Watch::on`](crate::Watch::on), and
    /// documents on their way into the log, that panicked. All else went on.
    pub hook_failures: u64,
    /// The newest of them: which it was, and what it said.
    pub hook_failure: Option<Error>,
    /// Snapshots that are open.
    pub snapshots: u64,
    /// Which snapshots are open, the oldest moment first: each keeps what it shows on the disk.
    pub open_snapshots: Vec<OpenSnapshot>,
    /// Every moment from here on is kept; of earlier ones single moments.
    pub every_moment_from: Version,
    /// The oldest moment that is kept by somebody, a snapshot or a pin, and no longer by time alone: what it shows stays on
    /// the disk.
    pub oldest_moment: Option<OldestMoment>,
    /// Everything up to here is durable.
    pub durable: Version,
    /// How long plain commits took, from call to answer.
    pub commit_latency: Histogram,
    /// How long a restart after a kill would take now, its log in the page cache.
    pub estimated_recovery: Duration,
    /// How the archive fares, where there is one.
    pub archive: Option<ArchiveStats>,
    /// Index tables on disk.
    pub tables: u64,
    /// Their bytes.
    pub table_bytes: u64,
    /// Index tables that were damaged or missing and were made anew from the log, at open and since.
    pub tables_remade: u64,
    /// Checkpoints since open.
    pub checkpoints: u64,
    /// Commits that were held back since open, because writing the index out could not keep up with the recovery
    /// budget.
    pub held_back: u64,
    /// Calls that were held back behind their commit's answer since open, and tickets where far too much could go, because
    /// compaction could not keep up with what was overwritten.
    pub held_back_for_space: u64,
    /// Bytes of the log that could go, about: dead ones in segments that may be packed, and what the next merge of index
    /// tables makes dead. Commits are held back where this is close to half of what lives.
    pub reclaimable_bytes: u64,
}

/// A moment of the past, and who keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OldestMoment {
    /// The moment.
    pub version: Version,
    /// Engine time of the newest commit that it shows, microseconds since 1970.
    pub time_us: Option<u64>,
    /// A pin by its name, or a snapshot by its owner and its age.
    pub keeper: String,
}

/// The oldest segment of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OldestFile {
    /// The first place that it owns.
    pub version: Version,
    /// Bytes of its file; zero where it is being written.
    pub bytes: u64,
    /// Bytes of them that are dead, about.
    pub dead_bytes: u64,
    /// What holds it.
    pub held_by: String,
}

/// How the archive of a store fares: what a lost disk would lose.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ArchiveStats {
    /// Where it lies.
    pub to: PathBuf,
    /// It holds everything up to here.
    pub through: Version,
    /// Bytes of log that are durable in the store and not yet there.
    pub behind_bytes: u64,
    /// How long ago it last held everything that was durable then; zero where it does.
    pub behind: Duration,
    /// Why the last step failed, if it did. All but `Superseded`, and `Corrupt`, which names what is to be done,
    /// pass by themselves: the archive catches up.
    pub failure: Option<Error>,
    /// Why it could not be thinned the last time, if so: it grows until it can.
    pub thinning_failure: Option<Error>,
}

impl ArchiveStats {
    /// Whether a newer timeline of the store archives there, or the store that this is an older copy of, and this one no more.
    #[must_use]
    pub fn is_superseded(&self) -> bool {
        self.failure.as_ref().is_some_and(|e| e.kind() == ErrorKind::Superseded)
    }
}

impl Stats {
    /// Commits for each sync since open; zero where there was none.
    #[must_use]
    pub fn commits_per_sync(&self) -> f64 {
        if self.syncs == 0 { 0.0 } else { self.commits as f64 / self.syncs as f64 }
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} keys, {} versions, {} bytes of log in {} segments; {} commits in {} syncs since open; a restart would take \
             about {} ms",
            self.keys,
            self.versions,
            self.log_bytes,
            self.segments,
            self.commits,
            self.syncs,
            self.estimated_recovery.as_millis()
        )
    }
}
