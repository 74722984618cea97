//! Corridor: the inventories of a destination, read and judged one by one.

use std::fmt;
use std::path::{Path, PathBuf};

use super::destination::{Destination, Shelf, damaged, failed};
use super::inventory::{INVENTORY_BYTES_MAX, Inventory};
use crate::error::{Error, ErrorKind, Result};
use crate::format::checksum::StoreId;
use crate::format::envelope::ENVELOPE_BYTES;
use crate::format::frame::Bad;
use crate::vfs::read_exact_at;

/// Which of the backups in a destination. A numbered one is complete in itself; the archive goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BackupName {
    /// The archive, which keeps itself current.
    Archive,
    /// One that was asked for, by its number.
    Numbered(u64),
}

impl BackupName {
    /// The backup that people call so: `archive`, or its number.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        match text {
            "archive" => Some(Self::Archive),
            digits => digits.parse().ok().filter(|n| *n > 0).map(Self::Numbered),
        }
    }

    /// The name of its inventory.
    pub(super) fn file_name(self) -> String {
        match self {
            Self::Archive => "archive.backup".to_owned(),
            Self::Numbered(sequence) => format!("{sequence:08}.backup"),
        }
    }

    fn parse(name: &str) -> Option<Self> {
        let stem = name.strip_suffix(".backup")?;
        let parsed = match stem {
            "archive" => Self::Archive,
            digits => Self::Numbered(digits.parse().ok().filter(|n| *n > 0)?),
        };
        (parsed.file_name() == name).then_some(parsed)
    }
}

impl fmt::Display for BackupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Archive => f.write_str("archive"),
            Self::Numbered(sequence) => write!(f, "{sequence}"),
        }
    }
}

/// One backup of a destination.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its name.
    pub name: BackupName,
    /// Where its inventory lies.
    pub path: PathBuf,
    /// What it holds, or why that cannot be told.
    pub inventory: Result<Inventory>,
}

/// All backups of a destination, the newest last.
///
/// # Errors
///
/// [`ErrorKind::Io`]: the destination cannot be looked through. A damaged inventory is an answer.
pub(super) fn read_all(destination: &dyn Destination) -> Result<Vec<Listed>> {
    let names = destination.list(Shelf::Backups)?;
    let mut all: Vec<Listed> = names
        .iter()
        .filter_map(|name| BackupName::parse(name))
        .map(|name| Listed {
            name,
            path: destination.place(Shelf::Backups, &name.file_name()),
            inventory: read(destination, name),
        })
        .collect();
    all.sort_by_key(|listed| match &listed.inventory {
        Ok(inventory) => (inventory.through, inventory.sequence, listed.name),
        Err(_) => (crate::lsn::Lsn::NONE, 0, listed.name),
    });
    Ok(all)
}

/// One inventory.
pub(super) fn read(destination: &dyn Destination, name: BackupName) -> Result<Inventory> {
    let (file_name, path) = (name.file_name(), destination.place(Shelf::Backups, &name.file_name()));
    let file = destination.open(Shelf::Backups, &file_name)?;
    let len = file.len().map_err(|e| failed("asking the length of", &path, e))?;
    if len > (INVENTORY_BYTES_MAX + ENVELOPE_BYTES) as u64 {
        return Err(damaged(&path, "is longer than any inventory"));
    }
    let mut bytes = vec![0; usize::try_from(len).expect("bounded by INVENTORY_BYTES_MAX")];
    read_exact_at(&*file, &mut bytes, 0).map_err(|e| failed("reading", &path, e))?;
    Inventory::decode(&bytes).map_err(|bad| match bad {
        Bad::Kind => {
            let say =
                format!("{} is of a newer format than this program: use the newer program", path.display());
            Error::new(ErrorKind::Format, say)
        }
        _ => damaged(&path, "is damaged"),
    })
}

/// That a destination holds no backup.
pub(super) fn none_in(root: &Path) -> Error {
    let say = format!(
        "there is no backup in {}: is the disk mounted? To make one, run `savehold backup make`",
        root.display()
    );
    Error::new(ErrorKind::Missing, say)
}

/// Refuses a destination in which another log keeps its backups.
///
/// # Errors
///
/// [`ErrorKind::Foreign`].
pub(super) fn check_store(all: &[Listed], store: StoreId) -> Result<()> {
    let other = all.iter().find(|listed| listed.inventory.as_ref().is_ok_and(|i| i.store != store));
    let Some(other) = other else { return Ok(()) };
    let say = format!(
        "{} is of another store: name a destination of this store's own, empty or new",
        other.path.display()
    );
    Err(Error::new(ErrorKind::Foreign, say))
}
