//! Pure: how a store is opened. Everything here belongs to the process; what belongs to a collection lives in the
//! store and changes only by an explicit call.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use savehold_wal::OnProgress;
use savehold_wal::backup::Packing;
use savehold_wal::segment::file::Access;
pub use savehold_wal::{Create, Durability, Progress, Unwritable};

use crate::error::{Error, ErrorKind, Result};

/// Longest text of [`Options::origin`], in bytes of UTF-8.
pub const ORIGIN_BYTES_MAX: usize = 64;

/// How a store is opened: `Options::new()….open(path)`.
#[derive(Clone, Debug)]
#[must_use]
pub struct Options {
    pub(crate) wal: savehold_wal::Options,
    pub(crate) origin: String,
    pub(crate) durability: Durability,
    pub(crate) threads: Option<NonZeroUsize>,
    pub(crate) verify: bool,
    pub(crate) control: Control,
    pub(crate) archive: Option<PathBuf>,
    pub(crate) archive_interval: Option<Duration>,
    pub(crate) archive_packing: Packing,
    pub(crate) recovery_budget: Duration,
    pub(crate) memory_budget: u64,
}

/// Least memory that a store makes do with.
const MEMORY_BYTES_MIN: u64 = 8 << 20;

impl Default for Options {
    fn default() -> Self {
        Self {
            wal: savehold_wal::Options::default(),
            origin: String::new(),
            durability: Durability::default(),
            threads: None,
            verify: false,
            control: Control::default(),
            archive: None,
            archive_interval: None,
            archive_packing: Packing::Plain,
            recovery_budget: Duration::from_millis(100),
            memory_budget: 256 << 20,
        }
    }
}

/// Whether the holder of a store answers its command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Control {
    /// On the socket `CONTROL` in the store's directory, for this user only: verbs of the command line are done by the
    /// process that has the store. Where the system gives no socket the store opens all the same; `Store::control` says
    /// why.
    #[default]
    On,
    /// Not at all.
    Off,
}

/// Time between two steps of the archive unless the options say otherwise.
pub(crate) const ARCHIVE_INTERVAL: Duration = Duration::from_secs(1);

impl Options {
    /// The defaults: made if absent, synced commits, 5 s of patience for another holder, restarts within 100 ms.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long a restart after a kill may take; default 100 ms. The index is written out as often as that needs, in the
    /// background, and commits are held back where even that is not enough. Less costs more writing.
    pub fn recovery_budget(mut self, budget: Duration) -> Self {
        self.recovery_budget = budget;
        self
    }

    /// Memory that the index may take which is neither file nor page cache, in bytes; default 256 MiB, at least 8 MiB. What
    /// was committed since the last checkpoint stands in memory, and what merges and opening work with; where it comes to a
    /// quarter a checkpoint begins, and where even that is not enough commits are held back. Values in use and commits on
    /// their way ([`Options::in_flight_bytes`]) come beside it.
    pub fn memory_budget(mut self, bytes: u64) -> Self {
        self.memory_budget = bytes.max(MEMORY_BYTES_MIN);
        self
    }

    /// Whether opening may make a store. [`Create::Never`] for production: an unmounted disk must not look like an
    /// empty world.
    pub fn create(mut self, create: Create) -> Self {
        self.wal.create = create;
        self
    }

    /// What opening makes of a directory that cannot be written, because its medium is for reading only or its files are another
    /// user's; default [`Unwritable::Refused`]. With [`Unwritable::Read`] the store is open to read only
    /// ([`Store::read_only`](crate::Store::read_only)), and nothing in the directory is changed: it listens at no socket either.
    pub fn unwritable(mut self, unwritable: Unwritable) -> Self {
        self.wal.unwritable = unwritable;
        self
    }

    /// How long opening waits for another holder of the directory before it answers `Locked`; default 5 s.
    pub fn lock_wait(mut self, wait: Duration) -> Self {
        self.wal.lock_wait = wait;
        self
    }

    /// When plain calls are answered: after the sync (default), or when the system has the bytes.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// A text of at most [`ORIGIN_BYTES_MAX`] bytes, kept with every commit: build and node. History shows it. What
    /// the command line has this store do is kept with [`COMMAND_LINE`](crate::control::COMMAND_LINE) instead.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = origin.into();
        self
    }

    /// Whether files are mapped (default): read through maps, and on Linux written through one where no sync follows; or read and
    /// written by calls of the system, which turn a failing medium into an error where a map would end the process.
    pub fn mapped(mut self, mapped: bool) -> Self {
        self.wal.access = if mapped { Access::Mapped } else { Access::Pread };
        self
    }

    /// Bytes of commits that may be on their way; default 64 MiB. Plain calls wait beyond it, `_async` calls answer
    /// `Busy`.
    pub fn in_flight_bytes(mut self, bytes: u64) -> Self {
        self.wal.in_flight_bytes_max = bytes;
        self
    }

    /// Buffered commits are synced at the latest after this time; default 1 s.
    pub fn sync_after(mut self, time: Duration) -> Self {
        self.wal.sync_after = time;
        self
    }

    /// Threads that replay the log at open; default: as many as the machine has, four at the most.
    pub fn replay_threads(mut self, threads: NonZeroUsize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Whether opening verifies the checksum of every value, not only of what is not proven; default no.
    pub fn verify_on_open(mut self, verify: bool) -> Self {
        self.verify = verify;
        self
    }

    /// Whether the command line can work beside this process, through a socket in the store's directory; default
    /// [`Control::On`].
    pub fn control(mut self, control: Control) -> Self {
        self.control = control;
        self
    }

    /// A directory, on another disk, in which a backup keeps itself current: a full copy first, made by itself, then
    /// everything that becomes durable, every second. A lost disk loses no more than that. A destination that is slow or
    /// gone blocks nothing: [`Stats::archive`](crate::Stats::archive) says how far behind it is, and why. A relative path is
    /// what it means when the store is opened. Opening refuses one that lies in the store's directory, or holds it
    /// ([`ErrorKind::Invalid`]).
    ///
    /// It is a backup like any other: `list`, `verify`, `drill`, `restore` know it. It is thinned by itself as the history of
    /// the store is ([`Store::set_moments`](crate::Store::set_moments)), and holds the moments that the store keeps.
    pub fn archive(mut self, to: impl Into<PathBuf>) -> Self {
        self.archive = Some(to.into());
        self
    }

    /// How often the archive is brought up to date; default 1 s.
    pub fn archive_interval(mut self, interval: Duration) -> Self {
        self.archive_interval = Some(interval);
        self
    }

    /// How the bytes of the archive lie there; default [`Packing::Plain`]. [`Packing::Lz4`] wants the feature
    /// `compression`, here and where the archive is read.
    pub fn archive_packing(mut self, packing: Packing) -> Self {
        self.archive_packing = packing;
        self
    }

    /// Told a few times a second how far opening is and how long it still takes; `Break` stops it, and nothing is
    /// changed.
    pub fn on_progress(mut self, told: impl Fn(Progress) -> ControlFlow<()> + Send + Sync + 'static) -> Self {
        self.wal.progress = Some(OnProgress(Arc::new(told)));
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.origin.len() > ORIGIN_BYTES_MAX {
            let message = format!(
                "the origin has {} bytes: at most {ORIGIN_BYTES_MAX} are allowed, so shorten it",
                self.origin.len()
            );
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        Ok(())
    }
}
