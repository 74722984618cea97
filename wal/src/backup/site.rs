//! Door: the directory in which a log is being restored. It opens as a log only when all of it is there.
//!
//! `RESTORING` is the first file and says what the directory is: an open refuses it, the next restore begins anew in it.
//! MANIFEST is the last.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use super::destination::failed;
use crate::env::{Env, Threads};
use crate::error::{Error, ErrorKind, Result};
use crate::format::header::{DATA_OFFSET, SegmentHeader};
use crate::limits::BLOCK_BYTES;
use crate::open::sync_above;
use crate::schedule;
use crate::segment::catalog::Catalog;
use crate::segment::manifest::{self, NotReplaced};
use crate::segment::name::{
    LOCK, LOG_DIR, MANIFEST_NEXT, RESTORING, UNFINISHED, parse_segment_name, segment_name,
};
use crate::vfs::{DirLock, OpenMode, VfsFile};

/// A log in the making.
#[derive(Debug)]
pub(super) struct Site {
    env: Env,
    root: PathBuf,
    made: Vec<PathBuf>,
    /// Segments that are on their way to the medium, the oldest first.
    syncing: VecDeque<Syncing>,
    _lock: Box<dyn DirLock>,
}

impl Site {
    /// Refuses a directory in which no log may be made.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`]: it is there, and neither empty nor left by a restore that was cut short.
    pub(super) fn check(env: &Env, root: &Path) -> Result<()> {
        let refuse = |what: &str| {
            let say = format!("{} {what}: name a new directory to restore into", root.display());
            Err(Error::new(ErrorKind::Invalid, say))
        };
        let names = match env.vfs.list(root) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotADirectory => return refuse("is a file"),
            other => other.map_err(|e| failed("listing", root, e))?,
        };
        let left = [LOCK, LOG_DIR, MANIFEST_NEXT, RESTORING];
        let ours = names.iter().any(|name| name == RESTORING)
            && names.iter().all(|name| left.contains(&name.as_str()));
        if names.is_empty() || ours { Ok(()) } else { refuse("is not empty") }
    }

    /// Takes the directory, making it where it is missing, and clears what a restore left that was cut short.
    ///
    /// # Errors
    ///
    /// As [`Site::check`]; [`ErrorKind::Full`], [`ErrorKind::Io`].
    pub(super) fn take(env: &Env, root: &Path) -> Result<Self> {
        Self::check(env, root)?;
        let dir = root.join(LOG_DIR);
        env.vfs.create_dir(root).map_err(|e| failed("making", root, e))?;
        let lock = crate::holder::take(env, root, std::time::Duration::ZERO)?;
        Self::check(env, root)?;
        let sign = root.join(RESTORING);
        let made = env.vfs.open(&sign, OpenMode::Truncate).and_then(|file| file.sync());
        made.map_err(|e| failed("making", &sign, e))?;
        env.vfs.sync_dir(root).map_err(|e| failed("syncing", root, e))?;
        env.vfs.create_dir(&dir).map_err(|e| failed("making", &dir, e))?;
        env.vfs.sync_dir(root).map_err(|e| failed("syncing", root, e))?;
        sync_above(env, root)?;
        let site = Self {
            env: env.clone(),
            root: root.to_path_buf(),
            made: Vec::new(),
            syncing: VecDeque::new(),
            _lock: lock,
        };
        site.clear(&dir)?;
        Ok(site)
    }

    fn clear(&self, dir: &Path) -> Result<()> {
        let names = self.env.vfs.list(dir).map_err(|e| failed("listing", dir, e))?;
        for name in names {
            let path = dir.join(&name);
            let whole = name.strip_suffix(UNFINISHED).unwrap_or(&name);
            if parse_segment_name(whole).is_none() {
                let say =
                    format!("{} is of no restore: name a new directory to restore into", path.display());
                return Err(Error::new(ErrorKind::Invalid, say));
            }
            self.env.vfs.remove(&path).map_err(|e| failed("removing", &path, e))?;
        }
        Ok(())
    }

    /// The file of a segment, to be filled from [`DATA_OFFSET`] on.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Full`], [`ErrorKind::Io`].
    pub(super) fn begin(&mut self, header: &SegmentHeader) -> Result<Filling> {
        let name = segment_name(header.base, header.generation);
        let path = self.root.join(LOG_DIR).join(format!("{name}{UNFINISHED}"));
        let file = self.env.vfs.open(&path, OpenMode::CreateNew).map_err(|e| failed("making", &path, e))?;
        self.made.push(path.clone());
        Ok(Filling { file, path, at: DATA_OFFSET })
    }

    /// Gives a filled segment its header and its name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Full`], [`ErrorKind::Io`].
    pub(super) fn finish(&mut self, mut filling: Filling, header: &SegmentHeader) -> Result<()> {
        let padding = filling.at.next_multiple_of(BLOCK_BYTES) - filling.at;
        filling.write(&vec![0; usize::try_from(padding).expect("less than a block")])?;
        let Filling { file, path, .. } = filling;
        file.write_at(&mut [IoSlice::new(&header.encode())], 0).map_err(|e| failed("writing", &path, e))?;
        let name = self.root.join(LOG_DIR).join(segment_name(header.base, header.generation));
        if self.env.threads == Threads::None {
            file.sync().map_err(|e| failed("syncing", &path, e))?;
            return self.rename(&path, name);
        }
        self.syncing.push_back(Syncing::begin(file, path, name)?);
        while self.syncing.len() > SYNCING_MAX {
            self.settle_one()?;
        }
        Ok(())
    }

    /// Waits for the segment that has been on its way longest, and gives it its name.
    fn settle_one(&mut self) -> Result<()> {
        let Some(syncing) = self.syncing.pop_front() else { return Ok(()) };
        let (path, name) = (syncing.path.clone(), syncing.name.clone());
        syncing.end().map_err(|e| failed("syncing", &path, e))?;
        self.rename(&path, name)
    }

    fn rename(&mut self, path: &Path, name: PathBuf) -> Result<()> {
        self.env.vfs.rename(path, &name).map_err(|e| failed("renaming", path, e))?;
        self.made.push(name);
        Ok(())
    }

    /// Where a packed segment is to be written.
    pub(super) fn begin_packed(&mut self, header: &SegmentHeader) -> PathBuf {
        let path = self.packed_path(header);
        self.made.push(path.clone());
        path
    }

    /// Gives a packed segment that is durable its name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`].
    pub(super) fn finish_packed(&mut self, header: &SegmentHeader) -> Result<()> {
        let path = self.packed_path(header);
        let name = self.root.join(LOG_DIR).join(segment_name(header.base, header.generation));
        self.rename(&path, name)
    }

    /// Gives up a packed segment of which nothing is kept.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`].
    pub(super) fn abandon_packed(&mut self, header: &SegmentHeader) -> Result<()> {
        let path = self.packed_path(header);
        self.env.vfs.remove(&path).map_err(|e| failed("removing", &path, e))
    }

    fn packed_path(&self, header: &SegmentHeader) -> PathBuf {
        let name = segment_name(header.base, header.generation);
        self.root.join(LOG_DIR).join(format!("{name}{UNFINISHED}"))
    }

    /// Gives up a segment that turned out to hold nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`].
    pub(super) fn abandon(&mut self, filling: &Filling) -> Result<()> {
        self.env.vfs.remove(&filling.path).map_err(|e| failed("removing", &filling.path, e))
    }

    /// Makes the log one that opens: the last step.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Full`], [`ErrorKind::Io`], [`ErrorKind::Halted`].
    pub(super) fn publish(mut self, catalog: &Catalog) -> Result<()> {
        while !self.syncing.is_empty() {
            self.settle_one()?;
        }
        let dir = self.root.join(LOG_DIR);
        self.env.vfs.sync_dir(&dir).map_err(|e| failed("syncing", &dir, e))?;
        manifest::replace(&*self.env.vfs, &self.root, catalog).map_err(NotReplaced::into_error)?;
        self.made.clear();
        _ = self.env.vfs.remove(&self.root.join(RESTORING)); // beside MANIFEST it says nothing
        Ok(())
    }
}

impl Drop for Site {
    /// What was made for nothing takes no space; `RESTORING` stays, so that nobody takes the rest for a log.
    fn drop(&mut self) {
        for syncing in self.syncing.drain(..) {
            _ = syncing.end(); // it goes all the same
        }
        for path in self.made.drain(..) {
            _ = self.env.vfs.remove(&path);
        }
    }
}

/// Segments that are synced while the next ones are written.
const SYNCING_MAX: usize = 2;

/// A segment on its way to the medium, by a thread of its own: the disk works while the next one is read and verified.
#[derive(Debug)]
struct Syncing {
    path: PathBuf,
    name: PathBuf,
    thread: JoinHandle<()>,
    outcome: Arc<OnceLock<io::Result<()>>>,
}

impl Syncing {
    fn begin(file: Arc<dyn VfsFile>, path: PathBuf, name: PathBuf) -> Result<Self> {
        let outcome = Arc::new(OnceLock::new());
        let told = outcome.clone();
        let sync = move || _ = told.set(file.sync());
        Ok(Self { path, name, thread: schedule::start("savehold-restore", sync)?, outcome })
    }

    fn end(self) -> io::Result<()> {
        _ = self.thread.join();
        let outcome = Arc::into_inner(self.outcome).and_then(OnceLock::into_inner);
        outcome.unwrap_or_else(|| Err(io::Error::other("the thread that synced it ended before"))) // it panicked
    }
}

/// A segment that is being filled, front to back.
pub(super) struct Filling {
    file: Arc<dyn VfsFile>,
    path: PathBuf,
    at: u64,
}

impl Filling {
    /// Writes the next bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Full`], [`ErrorKind::Io`].
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let written = self.file.write_at(&mut [IoSlice::new(bytes)], self.at);
        written.map_err(|e| failed("writing", &self.path, e))?;
        self.at += bytes.len() as u64;
        Ok(())
    }
}
