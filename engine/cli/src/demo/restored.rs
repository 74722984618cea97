//! Corridor: the last part: a moment is noted, a mishap follows, the store is backed up and deleted, and comes back as of
//! that moment.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use savehold::{Create, Options, Store, Version};

use super::check::Verdict;
use super::host;
use super::model::Model;
use super::world::World;
use crate::exit::Failure;

/// What came back.
#[derive(Clone, Copy, Debug)]
pub struct Back {
    /// The moment that was noted.
    pub version: Version,
    /// When it was, microseconds since 1970.
    pub time_us: u64,
    /// Players who had lost everything behind it.
    pub hurt: u64,
    /// Commits behind it, which the restore undid.
    pub undone: u64,
    /// Players, items and coins that are as they were at the moment.
    pub found: [u64; 3],
}

/// Deletes a store, which is as `expected` says, and gets it back out of a backup.
///
/// # Errors
///
/// The store's; the directory cannot be deleted.
pub fn show(store: Store, dir: &Path, expected: &Model, verdict: &mut Verdict) -> Result<Back, Failure> {
    let version = store.version();
    let time_us = store.time_of(version)?.unwrap_or_else(|| store.time_us());
    let hurt = World::of(&store)?.ruin()?;
    let backups = Scratch(beside(dir, ".backups"));
    store.backup(&backups.0)?;
    store.close()?;
    host::delete(dir)?;
    let restored = savehold::restore(&backups.0, dir, version)?;
    let store = Options::new().create(Create::Never).open(dir)?;
    let found = World::of(&store)?.read()?;
    store.close()?;
    verdict.state(expected, &found);
    let found = [found.players.len() as u64, found.owners.len() as u64, found.coins()];
    Ok(Back { version, time_us, hurt, undone: restored.lost.commits, found })
}

/// A directory that goes away again.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        _ = host::delete(&self.0); // nobody is left to tell
    }
}

fn beside(dir: &Path, ending: &str) -> PathBuf {
    let mut name: OsString = dir.file_name().unwrap_or(dir.as_os_str()).to_owned();
    name.push(ending);
    dir.with_file_name(name)
}
