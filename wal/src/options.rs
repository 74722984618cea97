//! Pure: how a log is opened. Everything here belongs to the process; nothing of it is stored.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::limits::SEGMENT_BYTES_LIMIT;
use crate::segment::file::Access;

/// Whether opening may make a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Create {
    /// Make one where none is.
    #[default]
    IfMissing,
    /// Never: an unmounted disk must not look like an empty log.
    Never,
}

/// What opening makes of a directory that cannot be written: its medium is for reading only, or it is another user's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Unwritable {
    /// An error: whoever means to write learns it at once.
    #[default]
    Refused,
    /// The log is open to read only, and nothing is changed. The lock is taken all the same: nobody writes meanwhile.
    Read,
}

/// When a commit is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Durability {
    /// After the sync: survives a power cut.
    #[default]
    Synced,
    /// When the system has the bytes: survives a killed process; a power cut may take the last second.
    Buffered,
}

/// How far a replay is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of log replayed.
    pub done_bytes: u64,
    /// Bytes of log to replay.
    pub total_bytes: u64,
    /// Time so far.
    pub elapsed: Duration,
    /// Time still needed at the rate so far.
    pub remaining: Duration,
}

/// Told how far a replay is, a few times a second at the most; breaking stops it, and nothing is changed.
#[derive(Clone)]
pub struct OnProgress(pub Arc<dyn Fn(Progress) -> ControlFlow<()> + Send + Sync>);

impl fmt::Debug for OnProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnProgress")
    }
}

/// How a log is opened.
///
/// ```
/// use savehold_wal::{Create, ErrorKind, Options, Wal};
///
/// # let dir = tempfile::tempdir().unwrap();
/// let never = Options { create: Create::Never, ..Options::default() }; // an unmounted disk is no empty log
/// let refused = Wal::open_with(dir.path().join("log"), never).unwrap_err();
/// assert_eq!(refused.kind(), ErrorKind::Missing);
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether opening may make a log.
    pub create: Create,
    /// What is made of a directory that cannot be written.
    pub unwritable: Unwritable,
    /// How long opening waits for another holder of the directory.
    pub lock_wait: Duration,
    /// Maps or `pread`.
    pub access: Access,
    /// Bytes that may be sequenced and not yet acknowledged; a larger record goes alone.
    pub in_flight_bytes_max: u64,
    /// Buffered data are synced at the latest after this time…
    pub sync_after: Duration,
    /// …or after this many bytes.
    pub sync_after_bytes: u64,
    /// A sync that nothing follows for this long is proven by a mark.
    pub mark_after: Duration,
    /// Capacity of a first segment, rounded up to 4 KiB; at most [`SEGMENT_BYTES_LIMIT`].
    pub segment_bytes_min: u64,
    /// Capacity at which segments stop doubling, rounded up to 4 KiB; at most [`SEGMENT_BYTES_LIMIT`].
    pub segment_bytes_max: u64,
    /// Told how far a replay is.
    pub progress: Option<OnProgress>,
}

impl Options {
    /// Refuses what the log could write and not read again.
    pub(crate) fn check(&self) -> Result<()> {
        if self.segment_bytes_min.max(self.segment_bytes_max) <= SEGMENT_BYTES_LIMIT {
            return Ok(());
        }
        let say = format!(
            "segments of {} to {} bytes are asked for, and none may be larger than {SEGMENT_BYTES_LIMIT}: choose less",
            self.segment_bytes_min, self.segment_bytes_max
        );
        Err(Error::new(ErrorKind::Invalid, say))
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            create: Create::IfMissing,
            unwritable: Unwritable::Refused,
            lock_wait: Duration::from_secs(5),
            access: Access::Mapped,
            in_flight_bytes_max: 64 << 20,
            sync_after: Duration::from_secs(1),
            sync_after_bytes: 4 << 20,
            mark_after: Duration::from_millis(5),
            segment_bytes_min: crate::limits::SEGMENT_BYTES_MIN,
            segment_bytes_max: crate::limits::SEGMENT_BYTES_MAX,
            progress: None,
        }
    }
}
