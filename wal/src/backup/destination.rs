//! Door: where backups lie. A directory today; whatever takes objects whole, under names that we make, could serve.
//!
//! ```text
//! destination/
//!   pieces/<base>-<generation>-<number>-<from>-<to>.piece   runs of segments, each written once and never again
//!   backups/<sequence>.backup                               an inventory for each backup, published last
//!   backups/archive.backup                                  the inventory of the archive, replaced as it goes on
//!   claims/<timeline>                                       timelines that restores from here have begun
//! ```
//!
//! No name is taken from a destination to act upon: a name that we would not make is passed over.

use std::fmt;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::open::sync_above;
use crate::segment::name::{LOCK, UNFINISHED};
use crate::vfs::{DirLock, OpenMode, VfsFile, is_full};

/// One kind of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shelf {
    /// Runs of segments.
    Pieces,
    /// Inventories.
    Backups,
    /// Timelines that were begun.
    Claims,
}

impl Shelf {
    const ALL: [Self; 3] = [Self::Pieces, Self::Backups, Self::Claims];

    const fn name(self) -> &'static str {
        match self {
            Self::Pieces => "pieces",
            Self::Backups => "backups",
            Self::Claims => "claims",
        }
    }
}

/// What keeps objects. An object is written whole under a name of its own, and gets that name only when it is durable.
pub(super) trait Destination: fmt::Debug + Send + Sync {
    /// Makes it ready to be written, or says why it cannot be.
    fn prepare(&self) -> Result<()>;
    /// Takes it for one writer; `None` where another has it.
    fn lock(&self) -> Result<Option<Box<dyn DirLock>>>;
    /// Names on a shelf, in no order; none where there is no such shelf.
    fn list(&self, shelf: Shelf) -> Result<Vec<String>>;
    /// An object, to read.
    fn open(&self, shelf: Shelf, name: &str) -> Result<Arc<dyn VfsFile>>;
    /// A file for a new object, which has its name only after [`Destination::publish`].
    fn begin(&self, shelf: Shelf, name: &str) -> Result<Arc<dyn VfsFile>>;
    /// Gives a finished file its name, in place of any other. Durable after [`Destination::settle`].
    fn publish(&self, shelf: Shelf, name: &str, file: &dyn VfsFile) -> Result<()>;
    /// Forgets a file that was begun and not published.
    fn abandon(&self, shelf: Shelf, name: &str);
    /// Takes an object away.
    fn remove(&self, shelf: Shelf, name: &str) -> Result<()>;
    /// Makes the names of a shelf durable.
    fn settle(&self, shelf: Shelf) -> Result<()>;
    /// Makes an empty object, durable; false where there is one of that name.
    fn claim(&self, name: &str) -> Result<bool>;
    /// Where an object lies, for messages.
    fn place(&self, shelf: Shelf, name: &str) -> PathBuf;
}

/// A directory as a destination.
#[derive(Debug)]
pub(super) struct Directory {
    env: Env,
    root: PathBuf,
}

impl Directory {
    /// The destination in the directory `root`.
    pub(super) fn new(env: &Env, root: &Path) -> Self {
        Self { env: env.clone(), root: root.to_path_buf() }
    }

    fn shelf(&self, shelf: Shelf) -> PathBuf {
        self.root.join(shelf.name())
    }
}

impl Destination for Directory {
    fn prepare(&self) -> Result<()> {
        let names = match self.env.vfs.list(&self.root) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(e) if e.kind() == io::ErrorKind::NotADirectory => {
                let say = format!("{} is a file: name a directory for backups", self.root.display());
                return Err(Error::new(ErrorKind::Foreign, say));
            }
            other => other.map_err(|e| failed("listing", &self.root, e))?,
        };
        let ours = |name: &String| name == LOCK || Shelf::ALL.iter().any(|shelf| shelf.name() == name);
        if let Some(other) = names.iter().find(|name| !ours(name)) {
            let say = format!(
                "{} holds `{other}`, which is of no backup: name an empty or new directory for backups",
                self.root.display()
            );
            return Err(Error::new(ErrorKind::Foreign, say));
        }
        if Shelf::ALL.iter().all(|shelf| names.iter().any(|name| name == shelf.name())) {
            return Ok(());
        }
        for shelf in Shelf::ALL {
            let dir = self.shelf(shelf);
            self.env.vfs.create_dir(&dir).map_err(|e| failed("making", &dir, e))?;
        }
        self.env.vfs.sync_dir(&self.root).map_err(|e| failed("syncing", &self.root, e))?;
        sync_above(&self.env, &self.root)
    }

    fn lock(&self) -> Result<Option<Box<dyn DirLock>>> {
        self.env.vfs.lock(&self.root).map_err(|e| failed("locking", &self.root, e))
    }

    fn list(&self, shelf: Shelf) -> Result<Vec<String>> {
        let dir = self.shelf(shelf);
        match self.env.vfs.list(&dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            other => other.map_err(|e| failed("listing", &dir, e)),
        }
    }

    fn open(&self, shelf: Shelf, name: &str) -> Result<Arc<dyn VfsFile>> {
        let path = self.place(shelf, name);
        self.env.vfs.open(&path, OpenMode::Plain).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => damaged(&path, "is missing"),
            io::ErrorKind::InvalidInput => damaged(&path, "is no plain file"),
            _ => failed("opening", &path, e),
        })
    }

    fn begin(&self, shelf: Shelf, name: &str) -> Result<Arc<dyn VfsFile>> {
        let path = self.place(shelf, &format!("{name}{UNFINISHED}"));
        match self.env.vfs.open(&path, OpenMode::CreateNew) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                self.env.vfs.remove(&path).map_err(|e| failed("removing", &path, e))?; // a crash left it: of no use
                self.env.vfs.open(&path, OpenMode::CreateNew)
            }
            other => other,
        }
        .map_err(|e| failed("making", &path, e))
    }

    fn publish(&self, shelf: Shelf, name: &str, file: &dyn VfsFile) -> Result<()> {
        let (unfinished, path) = (self.place(shelf, &format!("{name}{UNFINISHED}")), self.place(shelf, name));
        file.sync().map_err(|e| failed("syncing", &unfinished, e))?;
        self.env.vfs.rename(&unfinished, &path).map_err(|e| failed("renaming", &unfinished, e))
    }

    fn abandon(&self, shelf: Shelf, name: &str) {
        _ = self.env.vfs.remove(&self.place(shelf, &format!("{name}{UNFINISHED}"))); // else the next backup does
    }

    fn remove(&self, shelf: Shelf, name: &str) -> Result<()> {
        let path = self.place(shelf, name);
        self.env.vfs.remove(&path).map_err(|e| failed("removing", &path, e))
    }

    fn settle(&self, shelf: Shelf) -> Result<()> {
        let dir = self.shelf(shelf);
        self.env.vfs.sync_dir(&dir).map_err(|e| failed("syncing", &dir, e))
    }

    fn claim(&self, name: &str) -> Result<bool> {
        let path = self.place(Shelf::Claims, name);
        match self.env.vfs.open(&path, OpenMode::CreateNew) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            other => drop(other.map_err(|e| failed("making", &path, e))?),
        }
        self.settle(Shelf::Claims)?;
        Ok(true)
    }

    fn place(&self, shelf: Shelf, name: &str) -> PathBuf {
        self.shelf(shelf).join(name)
    }
}

/// Writes a small object whole.
pub(super) fn put(destination: &dyn Destination, shelf: Shelf, name: &str, bytes: &[u8]) -> Result<()> {
    let file = destination.begin(shelf, name)?;
    let path = destination.place(shelf, name);
    file.write_at(&mut [IoSlice::new(bytes)], 0).map_err(|e| failed("writing", &path, e))?;
    destination.publish(shelf, name, &*file)?;
    destination.settle(shelf)
}

/// What the system answered about a file of a destination or of a restore.
pub(super) fn failed(doing: &str, path: &Path, e: io::Error) -> Error {
    let kind = if is_full(&e) { ErrorKind::Full } else { ErrorKind::Io };
    Error::io(kind, doing, path, e)
}

/// An error about bytes of a backup that are not what they were.
pub(super) fn damaged(path: &Path, what: &str) -> Error {
    let say = format!(
        "{} {what}: nothing was restored; run `savehold backup verify`, and restore from another backup",
        path.display()
    );
    Error::new(ErrorKind::Corrupt, say)
}
