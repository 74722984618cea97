//! Corridor: a backup of an open store.

use std::fmt;
use std::ops::ControlFlow;
use std::panic::Location;
use std::path::Path;

use savehold_wal::backup::{BackupName, Copying, Damaged, Linking, Packing};

use super::{Tell, go_on, while_open};
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::Result;
use crate::ids::Version;
use crate::options::Progress;
use crate::store::Store;
use crate::value::Map;

/// What a backup holds, and what it took to make it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backup {
    /// Its name in the destination.
    pub name: BackupName,
    /// The newest version that it may hold: the store as of this moment.
    pub version: Version,
    /// Engine time of its newest commit, microseconds since 1970.
    pub time_us: u64,
    /// Bytes that it holds, those of earlier backups in the same place included.
    pub bytes: u64,
    /// Bytes that were written now.
    pub copied_bytes: u64,
    /// Bytes that came without being written: on the store's own disk a sealed file gets a second name, or a clone.
    pub linked_bytes: u64,
    /// Values that are damaged in the store, and so in the backup.
    pub damaged_values: u64,
    /// Why this backup may not help when it is needed, if so.
    pub warning: Option<&'static str>,
}

impl Backup {
    /// As an answer on the control socket says it.
    #[doc(hidden)]
    #[must_use]
    pub fn as_map(&self) -> Map {
        let mut said = Map::new();
        said.insert("backup", self.name.to_string());
        said.insert("version", self.version.to_string());
        said.insert("time_us", self.time_us);
        said.insert("copied_bytes", self.copied_bytes);
        said.insert("linked_bytes", self.linked_bytes);
        said.insert("held_bytes", self.bytes);
        said.insert("damaged_values", self.damaged_values);
        said.insert("warning", self.warning);
        said
    }
}

/// How a backup is made.
#[derive(Default)]
#[must_use]
pub struct BackupOptions<'a> {
    copying: Copying,
    progress: Option<Tell<'a>>,
}

impl<'a> BackupOptions<'a> {
    /// Damaged values are refused, nobody is told how far it is.
    pub fn new() -> Self {
        Self::default()
    }

    /// What becomes of a value that is damaged in the store itself; default [`Damaged::Refuse`].
    pub fn damaged(mut self, damaged: Damaged) -> Self {
        self.copying.damaged = damaged;
        self
    }

    /// How the bytes lie in the destination; default [`Packing::Plain`]. [`Packing::Lz4`] wants the feature
    /// `compression`, here and where the backup is read.
    pub fn packing(mut self, packing: Packing) -> Self {
        self.copying.packing = packing;
        self
    }

    /// Whether sealed files are linked or cloned where the backup lies on the store's own file system; default
    /// [`Linking::Allowed`].
    pub fn linking(mut self, linking: Linking) -> Self {
        self.copying.linking = linking;
        self
    }

    /// Told a few times a second how far it is; `Break` stops it. What was copied serves the next backup.
    pub fn progress(mut self, told: &'a mut dyn FnMut(Progress) -> ControlFlow<()>) -> Self {
        self.progress = Some(told);
        self
    }
}

impl fmt::Debug for BackupOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BackupOptions({:?})", self.copying)
    }
}

/// Said of a backup beside the store.
const ONE_DISK: &str =
    "the backup lies on the disk of the store, and is lost with it: back up to another disk too";

impl Store {
    /// Backs the store up into the directory `to`, as of now, while it goes on: no commit waits for it. In full the first
    /// time; into the same place again, only what is new. Verified, durable and listed when it returns; cut short, the
    /// earlier backups are as they were and the next one goes on from there.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Invalid`]: the directory lies in that of the store, or holds it, whatever links lead there.
    /// - [`ErrorKind::Foreign`]: the directory holds something else, or backups of another store.
    /// - [`ErrorKind::Superseded`]: a newer timeline of this store backs up there: this one was restored elsewhere; or
    ///   this is an older copy of the store that does, as a snapshot of a disk brings back.
    /// - [`ErrorKind::Corrupt`]: the store is damaged: damage is not copied as if it were whole.
    /// - [`ErrorKind::Locked`]: another backup is being made there. [`ErrorKind::Full`], [`ErrorKind::Io`].
    ///
    /// Where store and backup lie on one file system, sealed files are cloned or linked and not copied; a backup beside
    /// the store does not outlive the disk, and [`Backup::warning`] says so.
    #[track_caller]
    pub fn backup(&self, to: impl AsRef<Path>) -> Result<Backup> {
        self.backup_with(to, BackupOptions::new())
    }

    /// [`Store::backup`] with options.
    ///
    /// # Errors
    ///
    /// As [`Store::backup`]; [`ErrorKind::Aborted`]: the progress callback asked to stop. [`ErrorKind::Closed`]: the store was
    /// closed meanwhile.
    #[track_caller]
    pub fn backup_with(&self, to: impl AsRef<Path>, options: BackupOptions<'_>) -> Result<Backup> {
        let hold = self.core.hold_now(Location::caller()); // what it copies shows its moment, whatever is given up meanwhile
        hold.name("a backup that is being made".to_owned());
        hold.onward();
        let mut silent = go_on;
        let mut tell = while_open(&self.core, options.progress.unwrap_or(&mut silent));
        let done = self.core.wal.back_up(to.as_ref(), &self.core.noted(), options.copying, &mut tell);
        let done = done.map_err(|e| self.core.stopped(e.into()))?;
        Ok(Backup {
            name: done.name,
            version: Version::from(savehold_wal::Lsn::from_raw(done.through.raw().saturating_sub(1))),
            time_us: done.time_us,
            bytes: done.bytes,
            copied_bytes: done.copied_bytes,
            linked_bytes: done.linked_bytes,
            damaged_values: done.damaged_values,
            warning: done.one_disk.then_some(ONE_DISK),
        })
    }
}
