//! Corridor: giving up backups, and the pieces that no other backup needs.
//!
//! Inventories go first, durably; then pieces that none of the inventories left names. A crash in between leaves pieces
//! that nobody names, which the next run takes away.

use std::collections::BTreeSet;
use std::path::Path;

use super::destination::{Destination, Directory, Shelf};
use super::form::is_piece;
use super::keep::Keep;
use super::listing::{BackupName, none_in, read_all};
use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};

/// What was given up, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pruned {
    /// Backups that went.
    pub backups: Vec<BackupName>,
    /// Backups that stay.
    pub left: Vec<BackupName>,
    /// Pieces that went.
    pub pieces: u64,
    /// Bytes that came free.
    pub bytes: u64,
}

/// Whether anything is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Do {
    /// It is.
    It,
    /// It is only said what would be.
    Nothing,
}

/// Gives up the backups in the directory `root` that `keep` does not ask for.
///
/// # Errors
///
/// - [`ErrorKind::Missing`]: there is no backup. [`ErrorKind::Locked`]: a backup is being made.
/// - [`ErrorKind::Corrupt`]: an inventory cannot be read, so nobody knows which pieces it needs. Nothing went.
/// - [`ErrorKind::Io`].
pub fn prune(env: &Env, root: &Path, keep: &Keep, what: Do) -> Result<Pruned> {
    let root = &env.full_path(root)?;
    let destination = Directory::new(env, root);
    if read_all(&destination)?.is_empty() {
        return Err(none_in(root));
    }
    let _lock = destination.lock()?.ok_or_else(|| super::copy::locked(root))?;
    let _taken = destination.take_pieces()?.ok_or_else(|| being_read(root))?;
    let listed = read_all(&destination)?;
    let mut made = Vec::new();
    for listed in &listed {
        let inventory = listed.inventory.as_ref().map_err(Clone::clone)?;
        made.push((listed.name, inventory.made_us));
    }
    let backups = keep.going(&made, env.clock.wall_us());
    let stays = |name: &BackupName| !backups.contains(name);
    let named: BTreeSet<String> = listed
        .iter()
        .filter(|listed| stays(&listed.name))
        .filter_map(|listed| listed.inventory.as_ref().ok())
        .flat_map(|inventory| &inventory.segments)
        .flat_map(|held| held.pieces.iter().map(|piece| held.name(piece)))
        .collect();
    let there = destination.list(Shelf::Pieces)?;
    let going: Vec<&String> =
        there.iter().filter(|name| is_piece(name)).filter(|name| !named.contains(*name)).collect();
    let left = made.iter().map(|(name, _)| *name).filter(stays).collect();
    let mut pruned = Pruned { backups: backups.clone(), left, pieces: going.len() as u64, bytes: 0 };
    if what == Do::It {
        for name in &backups {
            destination.remove(Shelf::Backups, &name.file_name())?;
        }
        destination.settle(Shelf::Backups)?;
    }
    for name in going {
        pruned.bytes += destination.open(Shelf::Pieces, name).and_then(|file| length(&*file)).unwrap_or(0);
        if what == Do::It {
            destination.remove(Shelf::Pieces, name)?;
        }
    }
    if what == Do::It {
        destination.settle(Shelf::Pieces)?;
    }
    Ok(pruned)
}

fn being_read(root: &Path) -> Error {
    let say =
        format!("a backup in {} is being read: wait for the end of that, then try again", root.display());
    Error::new(ErrorKind::Locked, say)
}

fn length(file: &dyn crate::vfs::VfsFile) -> Result<u64> {
    file.len().map_err(|e| Error::new(ErrorKind::Io, e.to_string()))
}
