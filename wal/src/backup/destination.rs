//! Door: where backups lie. A directory today; whatever takes objects whole, under names that we make, could serve.
//!
//! ```text
//! destination/
//!   pieces/<base>-<generation>-<number>-<from>-<to>.piece   runs of segments, each written once and never again
//!   backups/<sequence>.backup                               an inventory for each backup, published last
//!   backups/archive.backup                                  the inventory of the archive, replaced as it goes on
//!   claims/<timeline>                                       timelines that restores from here have begun
//!   claims/lane-<n>                                         in which part of their offsets (see `lane`)
//! ```
//!
//! No name is taken from a destination to act upon: a name that we would not make is passed over.

use std::fmt;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::env::{Env, Threads};
use crate::error::{Error, ErrorKind, Result};
use crate::open::sync_above;
use crate::schedule;
use crate::segment::name::{LOCK, UNFINISHED};
use crate::vfs::{DirLock, OpenMode, VfsDir, VfsFile, hold_dir, is_full};

/// How long who wants to read waits for one who is just taking pieces away.
const READ_WAIT: Duration = Duration::from_secs(5);

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
    /// Keeps its pieces where they are while somebody reads them; `None` where it cannot.
    fn keep_pieces(&self) -> Result<Option<Box<dyn DirLock>>>;
    /// Takes the right to take pieces away; `None` where somebody reads them. Where it cannot know, nobody does.
    fn take_pieces(&self) -> Result<Option<Box<dyn DirLock>>>;
    /// Names on a shelf, in no order; none where there is no such shelf.
    fn list(&self, shelf: Shelf) -> Result<Vec<String>>;
    /// An object, to read.
    fn open(&self, shelf: Shelf, name: &str) -> Result<Arc<dyn VfsFile>>;
    /// A file for a new object, which has its name only after [`Destination::publish`].
    fn begin(&self, shelf: Shelf, name: &str) -> Result<Arc<dyn VfsFile>>;
    /// Gives a finished file its name, in place of any other. Durable after [`Destination::settle`].
    fn publish(&self, shelf: Shelf, name: &str, file: &dyn VfsFile) -> Result<()> {
        self.publish_as(shelf, name, name, file)
    }
    /// The same of one that was begun under another name.
    fn publish_as(&self, shelf: Shelf, begun: &str, name: &str, file: &dyn VfsFile) -> Result<()>;
    /// Gives `file`, which nobody will change, a place in the destination without copying it, where both lie on a disk
    /// that can do that; false where not. It has its name only after [`Destination::publish`].
    fn begin_linked(&self, shelf: Shelf, name: &str, file: &Path) -> Result<bool>;
    /// A file that was linked, to be published.
    fn open_unfinished(&self, shelf: Shelf, name: &str) -> Result<Arc<dyn VfsFile>>;
    /// Forgets a file that was begun and not published.
    fn abandon(&self, shelf: Shelf, name: &str);
    /// Takes an object away, if it is there.
    fn remove(&self, shelf: Shelf, name: &str) -> Result<()>;
    /// Makes the names of a shelf durable.
    fn settle(&self, shelf: Shelf) -> Result<()>;
    /// Makes an empty object, durable; false where there is one of that name.
    fn claim(&self, name: &str) -> Result<bool>;
    /// Where an object lies, for messages.
    fn place(&self, shelf: Shelf, name: &str) -> PathBuf;
}

/// A directory as a destination. The directories in it are held as soon as they are used, so that no link can be put in
/// their place; what is meant to live long is made anew for each use, or a disk that was mounted meanwhile is not seen.
#[derive(Debug)]
pub(super) struct Directory {
    env: Env,
    root: PathBuf,
    shelves: [OnceLock<Arc<dyn VfsDir>>; 3],
}

impl Directory {
    /// The destination in the directory `root`.
    pub(super) fn new(env: &Env, root: &Path) -> Self {
        Self { env: env.clone(), root: root.to_path_buf(), shelves: Default::default() }
    }

    fn path(&self, shelf: Shelf) -> PathBuf {
        self.root.join(shelf.name())
    }

    fn shelf(&self, shelf: Shelf) -> io::Result<&Arc<dyn VfsDir>> {
        let held = &self.shelves[shelf as usize];
        match held.get() {
            Some(dir) => Ok(dir),
            None => {
                let dir = hold_dir(&self.env.vfs, &self.root, shelf.name())?;
                Ok(held.get_or_init(|| dir))
            }
        }
    }

    /// Nothing is written through a link: it may lead anywhere.
    fn check_shelves(&self) -> Result<()> {
        Shelf::ALL.into_iter().try_for_each(|shelf| match self.shelf(shelf) {
            Ok(_) => Ok(()),
            Err(e) if is_no_dir(&e) => {
                let say = format!(
                    "{} is no plain directory: name an empty or new directory for backups",
                    self.path(shelf).display()
                );
                Err(Error::new(ErrorKind::Foreign, say))
            }
            Err(e) => Err(failed("opening", &self.path(shelf), e)),
        })
    }

    fn opened(&self, shelf: Shelf, name: &str, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        self.shelf(shelf)?.open(name, mode)
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
            return self.check_shelves();
        }
        for shelf in Shelf::ALL {
            let dir = self.path(shelf);
            self.env.vfs.create_dir(&dir).map_err(|e| failed("making", &dir, e))?;
        }
        self.env.vfs.sync_dir(&self.root).map_err(|e| failed("syncing", &self.root, e))?;
        sync_above(&self.env, &self.root)?;
        self.check_shelves()
    }

    fn lock(&self) -> Result<Option<Box<dyn DirLock>>> {
        self.env.vfs.lock(&self.root).map_err(|e| failed("locking", &self.root, e))
    }

    fn keep_pieces(&self) -> Result<Option<Box<dyn DirLock>>> {
        _ = self.shelf(Shelf::Pieces); // from now on held, if it is there
        let until = self.env.clock.monotonic() + READ_WAIT;
        loop {
            match self.env.vfs.lock_shared(&self.path(Shelf::Pieces)) {
                Ok(Some(kept)) => return Ok(Some(kept)),
                Ok(None) if self.env.threads == Threads::Own && self.env.clock.monotonic() < until => {
                    schedule::pause(Duration::from_millis(10));
                }
                Ok(None) => {
                    let say = format!(
                        "pieces are being taken away in {}: wait for the end of `savehold backup prune`, then try again",
                        self.root.display()
                    );
                    return Err(Error::new(ErrorKind::Locked, say));
                }
                Err(_) => return Ok(None), // no such directory, or no such locks: a medium that is only read
            }
        }
    }

    fn take_pieces(&self) -> Result<Option<Box<dyn DirLock>>> {
        let dir = self.path(Shelf::Pieces);
        self.env.vfs.lock(&dir).map_err(|e| failed("locking", &dir, e))
    }

    fn list(&self, shelf: Shelf) -> Result<Vec<String>> {
        match self.shelf(shelf).and_then(|dir| dir.list()) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) if is_no_dir(&e) => Err(damaged(&self.path(shelf), "is no plain directory")),
            other => other.map_err(|e| failed("listing", &self.path(shelf), e)),
        }
    }

    fn open(&self, shelf: Shelf, name: &str) -> Result<Arc<dyn VfsFile>> {
        let path = self.place(shelf, name);
        self.opened(shelf, name, OpenMode::Plain).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => damaged(&path, "is missing"),
            io::ErrorKind::InvalidInput => damaged(&path, "is no plain file"),
            _ if is_no_dir(&e) => damaged(&path, "lies in no plain directory"),
            _ => failed("opening", &path, e),
        })
    }

    fn begin(&self, shelf: Shelf, name: &str) -> Result<Arc<dyn VfsFile>> {
        let unfinished = format!("{name}{UNFINISHED}");
        let made = match self.opened(shelf, &unfinished, OpenMode::CreateNew) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                self.remove(shelf, &unfinished)?; // a crash left it: of no use
                self.opened(shelf, &unfinished, OpenMode::CreateNew)
            }
            other => other,
        };
        made.map_err(|e| failed("making", &self.place(shelf, &unfinished), e))
    }

    fn begin_linked(&self, shelf: Shelf, name: &str, file: &Path) -> Result<bool> {
        let unfinished = format!("{name}{UNFINISHED}");
        let link = || self.shelf(shelf)?.link(file, &unfinished);
        let made = match link() {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                self.remove(shelf, &unfinished)?;
                link()
            }
            other => other,
        };
        match made {
            Err(e) if e.kind() == io::ErrorKind::Unsupported => Ok(false),
            other => other.map(|()| true).map_err(|e| failed("linking", &self.place(shelf, &unfinished), e)),
        }
    }

    fn open_unfinished(&self, shelf: Shelf, name: &str) -> Result<Arc<dyn VfsFile>> {
        self.open(shelf, &format!("{name}{UNFINISHED}"))
    }

    fn publish_as(&self, shelf: Shelf, begun: &str, name: &str, file: &dyn VfsFile) -> Result<()> {
        let unfinished = format!("{begun}{UNFINISHED}");
        file.sync().map_err(|e| failed("syncing", &self.place(shelf, &unfinished), e))?;
        let renamed = self.shelf(shelf).and_then(|dir| dir.rename(&unfinished, name));
        renamed.map_err(|e| failed("renaming", &self.place(shelf, &unfinished), e))
    }

    fn abandon(&self, shelf: Shelf, name: &str) {
        _ = self.remove(shelf, &format!("{name}{UNFINISHED}")); // else the next backup does
    }

    fn remove(&self, shelf: Shelf, name: &str) -> Result<()> {
        match self.shelf(shelf).and_then(|dir| dir.remove(name)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.map_err(|e| failed("removing", &self.place(shelf, name), e)),
        }
    }

    fn settle(&self, shelf: Shelf) -> Result<()> {
        let synced = self.shelf(shelf).and_then(|dir| dir.sync());
        synced.map_err(|e| failed("syncing", &self.path(shelf), e))
    }

    fn claim(&self, name: &str) -> Result<bool> {
        match self.opened(Shelf::Claims, name, OpenMode::CreateNew) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            other => drop(other.map_err(|e| failed("making", &self.place(Shelf::Claims, name), e))?),
        }
        self.settle(Shelf::Claims)?;
        Ok(true)
    }

    fn place(&self, shelf: Shelf, name: &str) -> PathBuf {
        self.path(shelf).join(name)
    }
}

/// Refuses a destination that lies in the directory of its log, or in which that lies, links and all as far as paths tell:
/// whoever removes or restores the one loses the other.
///
/// # Errors
///
/// [`ErrorKind::Invalid`].
pub fn check_apart(env: &Env, log: &Path, to: &Path) -> Result<()> {
    let (log_really, to_really) = (really(env, log), really(env, to));
    let place = match () {
        () if to_really.starts_with(&log_really) => "lies in",
        () if log_really.starts_with(&to_really) => "holds",
        () => return Ok(()),
    };
    let say = format!(
        "{} {place} the directory of the store, {}: name a directory outside of it, on another disk if there is one",
        to.display(),
        log.display()
    );
    Err(Error::new(ErrorKind::Invalid, say))
}

/// Where a path leads, as far as anything is there.
fn really(env: &Env, path: &Path) -> PathBuf {
    let there = |dir: &Path| Some(env.vfs.real_path(dir).ok()?.join(path.strip_prefix(dir).ok()?));
    path.ancestors().find_map(there).unwrap_or_else(|| path.to_path_buf())
}

/// A link, or a file, where a directory should be.
pub(super) fn is_no_dir(e: &io::Error) -> bool {
    // what the system says of a link that is not to be followed: of a directory this, of a file that
    matches!(e.kind(), io::ErrorKind::NotADirectory | io::ErrorKind::InvalidInput)
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
