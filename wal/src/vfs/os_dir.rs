//! Door: a directory of the operating system that is held by a descriptor, so that no link can be put in its place.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::os::{flush_names, names_in, open_at, open_in};
use super::{OpenMode, VfsDir, VfsFile};

/// A held directory.
#[derive(Debug)]
pub(super) struct OsDir(File);

impl OsDir {
    /// The directory `name` in `above`; a link in its place is refused.
    pub(super) fn open(above: &File, name: &str) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        Ok(Self(open_at(above, Path::new(name), flags)?))
    }
}

impl VfsDir for OsDir {
    fn open(&self, name: &str, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        open_in(&self.0, Path::new(name), mode)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(retry_on_intr(|| rustix::fs::renameat(&self.0, from, &self.0, to))?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        Ok(retry_on_intr(|| rustix::fs::unlinkat(&self.0, name, AtFlags::empty()))?)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        names_in(&self.0)
    }

    fn sync(&self) -> io::Result<()> {
        flush_names(&self.0)
    }

    fn link(&self, file: &Path, name: &str) -> io::Result<()> {
        link(file, &self.0, Path::new(name))
    }

    fn create_dir(&self, name: &str) -> io::Result<()> {
        match retry_on_intr(|| rustix::fs::mkdirat(&self.0, name, Mode::RWXU)) {
            Err(Errno::EXIST) => Self::open(&self.0, name).map(drop), // fine for a directory, and for nothing else
            other => Ok(other?),
        }
    }

    fn hold_dir(&self, name: &str) -> io::Result<Arc<dyn VfsDir>> {
        Ok(Arc::new(Self::open(&self.0, name)?))
    }
}

/// Clones `file` as `name` in `dir`, or gives it that second name.
pub(super) fn link(file: &Path, dir: impl AsFd, name: &Path) -> io::Result<()> {
    if cloned(file, &dir, name)? {
        return Ok(());
    }
    match retry_on_intr(|| rustix::fs::linkat(CWD, file, &dir, name, AtFlags::empty())) {
        Err(Errno::XDEV | Errno::PERM | Errno::MLINK | Errno::OPNOTSUPP | Errno::NOSYS) => {
            Err(io::ErrorKind::Unsupported.into())
        }
        other => Ok(other?),
    }
}

/// Makes a file of its own that shares the blocks; false where the file system shares none.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn cloned(file: &Path, dir: impl AsFd, name: &Path) -> io::Result<bool> {
    let from = open_at(CWD, file, OFlags::RDONLY | OFlags::NOFOLLOW)?;
    let to = open_at(&dir, name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL)?;
    match retry_on_intr(|| rustix::fs::ioctl_ficlone(&to, &from)) {
        Ok(()) => return Ok(true),
        Err(Errno::OPNOTSUPP | Errno::XDEV | Errno::INVAL | Errno::NOTTY | Errno::NOSYS | Errno::TXTBSY) => {}
        Err(e) => {
            _ = rustix::fs::unlinkat(&dir, name, AtFlags::empty());
            return Err(e.into());
        }
    }
    retry_on_intr(|| rustix::fs::unlinkat(&dir, name, AtFlags::empty()))?;
    Ok(false)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn cloned(_: &Path, _: impl AsFd, _: &Path) -> io::Result<bool> {
    Ok(false)
}
