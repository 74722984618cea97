//! Door: the directory in which a log is being restored. It opens as a log only when all of it is there.
//!
//! `RESTORING` is the first file and says what the directory is: an open refuses it, the next restore begins anew in it.
//! MANIFEST is the last. The directory and `log/` are held as soon as they are there, and everything is made through them:
//! a link that is put in their place leads nowhere, and one that stands there is refused.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use super::destination::{failed, is_no_dir};
use crate::env::{Env, Threads};
use crate::error::{Error, ErrorKind, Result};
use crate::format::header::{DATA_OFFSET, SegmentHeader};
use crate::limits::BLOCK_BYTES;
use crate::open::sync_above;
use crate::schedule;
use crate::segment::catalog::Catalog;
use crate::segment::manifest;
use crate::segment::name::{
    LOCK, LOG_DIR, MANIFEST, MANIFEST_NEXT, RESTORING, UNFINISHED, parse_segment_name, segment_name,
};
use crate::segment::packing::PackedFile;
use crate::vfs::{DirLock, OpenMode, VfsDir, VfsFile, hold_path};

/// A log in the making.
#[derive(Debug)]
pub(super) struct Site {
    env: Env,
    /// For messages.
    path: PathBuf,
    root: Arc<dyn VfsDir>,
    log: Arc<dyn VfsDir>,
    /// Names in `log/`.
    made: Vec<String>,
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
        match env.vfs.list(root) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotADirectory => refuse("is a file"),
            other => match is_free(&other.map_err(|e| failed("listing", root, e))?) {
                true => Ok(()),
                false => refuse("is not empty"),
            },
        }
    }

    /// Takes the directory, making it where it is missing, and clears what a restore left that was cut short.
    ///
    /// # Errors
    ///
    /// As [`Site::check`]; [`ErrorKind::Full`], [`ErrorKind::Io`].
    pub(super) fn take(env: &Env, root: &Path) -> Result<Self> {
        Self::check(env, root)?;
        env.vfs.create_dir(root).map_err(|e| failed("making", root, e))?;
        let refused = |doing: &str, path: &Path, e: io::Error| match is_no_dir(&e) {
            true => {
                let say = format!("{} is a link: name the directory itself, or a new one", path.display());
                Error::new(ErrorKind::Invalid, say)
            }
            false => failed(doing, path, e),
        };
        let held = hold_path(&env.vfs, root).map_err(|e| refused("opening", root, e))?;
        let lock = crate::holder::take(env, root, std::time::Duration::ZERO)?;
        if !is_free(&held.list().map_err(|e| failed("listing", root, e))?) {
            let say = format!("{} is not empty: name a new directory to restore into", root.display());
            return Err(Error::new(ErrorKind::Invalid, say));
        }
        let (sign, dir) = (root.join(RESTORING), root.join(LOG_DIR));
        let made = held.open(RESTORING, OpenMode::Truncate).and_then(|file| file.sync());
        made.map_err(|e| refused("making", &sign, e))?;
        held.sync().map_err(|e| failed("syncing", root, e))?;
        held.create_dir(LOG_DIR).map_err(|e| failed("making", &dir, e))?;
        let log = held.hold_dir(LOG_DIR).map_err(|e| failed("opening", &dir, e))?;
        held.sync().map_err(|e| failed("syncing", root, e))?;
        sync_above(env, root)?;
        let site = Self {
            env: env.clone(),
            path: root.to_path_buf(),
            root: held,
            log,
            made: Vec::new(),
            syncing: VecDeque::new(),
            _lock: lock,
        };
        site.clear(&dir)?;
        Ok(site)
    }

    fn clear(&self, dir: &Path) -> Result<()> {
        for name in self.log.list().map_err(|e| failed("listing", dir, e))? {
            let whole = name.strip_suffix(UNFINISHED).unwrap_or(&name);
            let path = dir.join(&name);
            if parse_segment_name(whole).is_none() {
                let say =
                    format!("{} is of no restore: name a new directory to restore into", path.display());
                return Err(Error::new(ErrorKind::Invalid, say));
            }
            self.log.remove(&name).map_err(|e| failed("removing", &path, e))?;
        }
        Ok(())
    }

    /// Where a file of `log/` lies, for messages.
    fn place(&self, name: &str) -> PathBuf {
        self.path.join(LOG_DIR).join(name)
    }

    /// A new file in `log/`, under the name that it has until it is whole.
    fn made(&mut self, header: &SegmentHeader) -> Result<(Arc<dyn VfsFile>, String)> {
        let name = unfinished(header);
        let made = self.log.open(&name, OpenMode::CreateNew);
        let file = made.map_err(|e| failed("making", &self.place(&name), e))?;
        self.made.push(name.clone());
        Ok((file, name))
    }

    /// The file of a segment, to be filled from [`DATA_OFFSET`] on.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Full`], [`ErrorKind::Io`].
    pub(super) fn begin(&mut self, header: &SegmentHeader) -> Result<Filling> {
        let (file, name) = self.made(header)?;
        Ok(Filling { file, path: self.place(&name), name, at: DATA_OFFSET })
    }

    /// Gives a filled segment its header and its name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Full`], [`ErrorKind::Io`].
    pub(super) fn finish(&mut self, mut filling: Filling, header: &SegmentHeader) -> Result<()> {
        let padding = filling.at.next_multiple_of(BLOCK_BYTES) - filling.at;
        filling.write(&vec![0; usize::try_from(padding).expect("less than a block")])?;
        let Filling { file, path, name: begun, .. } = filling;
        file.write_at(&mut [IoSlice::new(&header.encode())], 0).map_err(|e| failed("writing", &path, e))?;
        let name = segment_name(header.base, header.generation);
        if self.env.threads == Threads::None {
            file.sync().map_err(|e| failed("syncing", &path, e))?;
            return self.rename(&begun, name);
        }
        self.syncing.push_back(Syncing::begin(file, begun, name)?);
        while self.syncing.len() > SYNCING_MAX {
            self.settle_one()?;
        }
        Ok(())
    }

    /// Waits for the segment that has been on its way longest, and gives it its name.
    fn settle_one(&mut self) -> Result<()> {
        let Some(syncing) = self.syncing.pop_front() else { return Ok(()) };
        let (begun, name) = (syncing.begun.clone(), syncing.name.clone());
        syncing.end().map_err(|e| failed("syncing", &self.place(&begun), e))?;
        self.rename(&begun, name)
    }

    fn rename(&mut self, begun: &str, name: String) -> Result<()> {
        self.log.rename(begun, &name).map_err(|e| failed("renaming", &self.place(begun), e))?;
        self.made.push(name);
        Ok(())
    }

    /// The file of a packed segment.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Full`], [`ErrorKind::Io`].
    pub(super) fn begin_packed(&mut self, header: &SegmentHeader) -> Result<PackedFile> {
        let (file, name) = self.made(header)?;
        Ok(PackedFile::over(file, &self.place(&name), header))
    }

    /// Gives a packed segment that is durable its name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`].
    pub(super) fn finish_packed(&mut self, header: &SegmentHeader) -> Result<()> {
        self.rename(&unfinished(header), segment_name(header.base, header.generation))
    }

    /// Gives up a segment of which nothing is kept.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`].
    pub(super) fn abandon(&mut self, header: &SegmentHeader) -> Result<()> {
        let name = unfinished(header);
        self.log.remove(&name).map_err(|e| failed("removing", &self.place(&name), e))
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
        self.log.sync().map_err(|e| failed("syncing", &self.path.join(LOG_DIR), e))?;
        manifest::place(&*self.root, &self.path, catalog).map_err(|e| {
            for name in [MANIFEST, MANIFEST_NEXT] {
                _ = self.root.remove(name); // before the segments go, which it names
            }
            _ = self.root.sync();
            e.into_error()
        })?;
        self.made.clear();
        _ = self.root.remove(RESTORING); // beside MANIFEST it says nothing
        Ok(())
    }
}

impl Drop for Site {
    /// What was made for nothing takes no space; `RESTORING` stays, so that nobody takes the rest for a log.
    fn drop(&mut self) {
        for syncing in self.syncing.drain(..) {
            _ = syncing.end(); // it goes all the same
        }
        for name in self.made.drain(..) {
            _ = self.log.remove(&name);
        }
    }
}

/// Whether a log may be made where these names are: none, or what a restore left that was cut short.
fn is_free(names: &[String]) -> bool {
    let left = [LOCK, LOG_DIR, MANIFEST_NEXT, RESTORING];
    let ours = names.iter().any(|name| name == RESTORING);
    names.is_empty() || ours && names.iter().all(|name| left.contains(&name.as_str()))
}

fn unfinished(header: &SegmentHeader) -> String {
    format!("{}{UNFINISHED}", segment_name(header.base, header.generation))
}

/// Segments that are synced while the next ones are written.
const SYNCING_MAX: usize = 2;

/// A segment on its way to the medium, by a thread of its own: the disk works while the next one is read and verified.
#[derive(Debug)]
struct Syncing {
    begun: String,
    name: String,
    thread: JoinHandle<()>,
    outcome: Arc<OnceLock<io::Result<()>>>,
}

impl Syncing {
    fn begin(file: Arc<dyn VfsFile>, begun: String, name: String) -> Result<Self> {
        let outcome = Arc::new(OnceLock::new());
        let told = outcome.clone();
        let sync = move || _ = told.set(file.sync());
        Ok(Self { begun, name, thread: schedule::start("savehold-restore", sync)?, outcome })
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
    /// For messages.
    path: PathBuf,
    /// In `log/`.
    name: String,
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
