//! Door: every file, directory and lock. Nothing else in the project touches the file system.
//!
//! Two implementations: the operating system's (`os`) and a simulated disk (`sim`) that can cut power, tear,
//! forget, fail the n-th call and fill up, all from one seed.

#[cfg_attr(not(feature = "sim"), doc(hidden))]
pub mod fault;
mod latch;
mod os;
mod os_dir;
mod os_lock;
#[cfg_attr(not(feature = "sim"), doc(hidden))]
pub mod sim;

use std::fmt;
use std::io;
use std::ops::Deref;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;

pub use latch::Latch;
pub use os::OsVfs;

/// A file system as a store sees it. All paths are full paths; errors are the system's own.
pub trait Vfs: Send + Sync + fmt::Debug {
    /// Opens a file. Files are created with mode 0600.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>>;
    /// True where both openings of a file that is open twice learn, by the next sync of each, that written bytes were lost: then
    /// both may be synced at once.
    fn opens_beside(&self) -> bool {
        false
    }
    /// When it pays to store what is written to a file into a [`WriteMap`]; `None` where there are none.
    fn stores(&self) -> Option<Stores> {
        None
    }
    /// Renames a file, replacing what has the name `to`. Durable only once the directory is synced.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Exchanges two names in one step, of files or of directories; `Unsupported` where this disk cannot. Durable only
    /// once the directories are synced.
    fn exchange(&self, a: &Path, b: &Path) -> io::Result<()> {
        _ = (a, b);
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Removes a file. Durable only once the directory is synced.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Names in a directory, in no particular order. `NotFound` where there is no such directory.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Makes a directory with mode 0700, and those above it that are missing. Fine if it exists.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Takes the exclusive lock of a directory, or answers `None` where somebody has it. Never waits.
    fn lock(&self, dir: &Path) -> io::Result<Option<Box<dyn DirLock>>>;
    /// Takes the lock of a directory beside others who take it so, or answers `None` where somebody has it alone. Never
    /// waits. `Unsupported` where this disk cannot.
    fn lock_shared(&self, dir: &Path) -> io::Result<Option<Box<dyn DirLock>>> {
        _ = dir;
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Gives a file that nobody will change a second name, or a clone that shares its blocks, which must not exist yet;
    /// `Unsupported` where this disk cannot, or where they lie on two. Durable only once the directory is synced, and a
    /// clone only once it is synced itself.
    fn link(&self, file: &Path, name: &Path) -> io::Result<()> {
        _ = (file, name);
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Holds the directory `name` in the directory `above` open, and follows no link in its place (`NotADirectory`, or
    /// the system's own word); `None` where this disk knows directories by their paths alone.
    fn hold_dir(&self, above: &Path, name: &str) -> io::Result<Option<Arc<dyn VfsDir>>> {
        _ = (above, name);
        Ok(None)
    }
    /// Bytes that may still be allocated where `dir` lies.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
    /// What kind of medium `dir` lies on.
    fn medium(&self, dir: &Path) -> io::Result<Medium>;
    /// True where both are known to lie on one file system: what takes one may take the other.
    fn is_one_disk(&self, a: &Path, b: &Path) -> io::Result<bool> {
        _ = (a, b);
        Ok(false)
    }
    /// True where something is known to be mounted at `dir`: its name can be neither changed nor exchanged.
    fn is_mount(&self, dir: &Path) -> io::Result<bool> {
        _ = dir;
        Ok(false)
    }
    /// The path from the root on that `path` means now, links and all; `path` itself where this disk knows no working directory.
    fn full_path(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_owned())
    }
    /// The path from the root on of what is at `path`, with no link in it; `path` itself where this disk knows no links.
    fn real_path(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_owned())
    }
}

/// A directory that is held: what is in it is reached through it, whatever becomes of its name meanwhile. Everything is
/// as [`Vfs`] says it of paths.
pub trait VfsDir: Send + Sync + fmt::Debug {
    /// Opens a file; where it makes or replaces one, no link is followed in its place either.
    fn open(&self, name: &str, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>>;
    /// Renames a file inside it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Names in it.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Makes the names in it durable.
    fn sync(&self) -> io::Result<()>;
    /// As [`Vfs::link`], for a new name in it.
    fn link(&self, file: &Path, name: &str) -> io::Result<()>;
    /// Makes a directory in it with mode 0700. Fine if it exists.
    fn create_dir(&self, name: &str) -> io::Result<()>;
    /// As [`Vfs::hold_dir`], for a directory in it.
    fn hold_dir(&self, name: &str) -> io::Result<Arc<dyn VfsDir>>;
}

/// Holds the directory `name` in the directory `above`, by its path where the disk cannot do better.
///
/// # Errors
///
/// As [`Vfs::hold_dir`].
pub fn hold_dir(vfs: &Arc<dyn Vfs>, above: &Path, name: &str) -> io::Result<Arc<dyn VfsDir>> {
    match vfs.hold_dir(above, name)? {
        Some(held) => Ok(held),
        None => Ok(Arc::new(PathDir { vfs: vfs.clone(), path: above.join(name) })),
    }
}

/// Holds a directory: no link is followed in the place of its last name.
///
/// # Errors
///
/// As [`Vfs::hold_dir`].
pub fn hold_path(vfs: &Arc<dyn Vfs>, path: &Path) -> io::Result<Arc<dyn VfsDir>> {
    let above = path.parent().filter(|above| *above != Path::new(""));
    match path.file_name().and_then(|name| name.to_str()) {
        Some(name) => hold_dir(vfs, above.unwrap_or(Path::new(".")), name),
        None => hold_dir(vfs, path, "."), // it ends in `..`, or is the root
    }
}

/// A directory by its path.
#[derive(Debug)]
struct PathDir {
    vfs: Arc<dyn Vfs>,
    path: PathBuf,
}

impl VfsDir for PathDir {
    fn open(&self, name: &str, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        self.vfs.open(&self.path.join(name), mode)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.vfs.rename(&self.path.join(from), &self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.vfs.remove(&self.path.join(name))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.vfs.list(&self.path)
    }

    fn sync(&self) -> io::Result<()> {
        self.vfs.sync_dir(&self.path)
    }

    fn link(&self, file: &Path, name: &str) -> io::Result<()> {
        self.vfs.link(file, &self.path.join(name))
    }

    fn create_dir(&self, name: &str) -> io::Result<()> {
        self.vfs.create_dir(&self.path.join(name))
    }

    fn hold_dir(&self, name: &str) -> io::Result<Arc<dyn VfsDir>> {
        hold_dir(&self.vfs, &self.path, name)
    }
}

/// An open file: positional reads and writes, no cursor.
pub trait VfsFile: Send + Sync + fmt::Debug {
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// True for a file without bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Reads up to `buf.len()` bytes at `offset`; fewer only at the end of the file.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all of `bufs`, one behind the other, at `offset`: one system call where the system takes it whole.
    fn write_at(&self, bufs: &mut [io::IoSlice<'_>], offset: u64) -> io::Result<()>;
    /// Makes the bytes of this file durable (`fdatasync`; a full flush where the system knows one).
    fn sync(&self) -> io::Result<()>;
    /// Allocates space for, and extends the file to, `bytes`; never shortens it. `StorageFull` or `QuotaExceeded`
    /// (see [`is_full`]) where there is none; the file may then be of any length up to `bytes`.
    fn allocate(&self, bytes: u64) -> io::Result<()>;
    /// The first range at or behind `offset` in which anything may stand that was ever written: what lies between is zeros
    /// that nobody wrote, and reading them would only make memory of them, and that count as written. `None` where nothing
    /// follows. A disk that cannot tell answers everything.
    fn written(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        Ok(Some(offset..u64::MAX))
    }
    /// Tells the system how a range will be used; 0 `bytes` reach to the end. Advice only, but [`Advice::Drop`]
    /// must be tried.
    fn advise(&self, offset: u64, bytes: u64, advice: Advice) -> io::Result<()>;
    /// Maps the first `bytes` for reading, or answers `None` where this disk has no maps.
    fn map(&self, bytes: u64) -> io::Result<Option<Map>>;
    /// Maps a range that the file has and that begins with a block ([`BLOCK_BYTES`](crate::limits::BLOCK_BYTES)), to be stored to;
    /// `None` where this disk has no such maps, or where a store could find no space though the file has its length.
    fn map_to_write(&self, range: Range<u64>) -> io::Result<Option<Box<dyn WriteMap>>> {
        _ = range;
        Ok(None)
    }
}

/// When it pays to store to a file instead of writing to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stores {
    /// After so many writes without a sync.
    pub after: u32,
    /// From a multiple of this, in bytes: what is stored before it may make the system write blocks again that stand in front.
    pub boundary: u64,
}

/// A range of a file that is written by storing into memory. What was stored is where [`VfsFile::write_at`] would have brought it:
/// reads see it, a killed process loses none of it, and a sync of the file makes it durable.
pub trait WriteMap: Send + Sync + fmt::Debug {
    /// Has the system make blocks ready that are going to be stored to: it has nothing to do for them then, and nothing to refuse,
    /// until it writes them back, for a sync of the file or by itself. What they lack it says here.
    fn prepare(&self, range: Range<u64>) -> io::Result<()>;
    /// Stores `parts`, one behind the other, at `offset` of the file, in the range. What a process that dies in the middle leaves of
    /// them is any part. A system that cannot bring a block that is not ready answers with a signal (SIGBUS).
    fn store(&self, parts: &[&[u8]], offset: u64) -> io::Result<()>;
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// An existing file, to read.
    Read,
    /// An existing file of a stranger's making, to read: no link is followed in its place, and what is no plain file
    /// is refused with `InvalidInput`, without waiting for it.
    Plain,
    /// An existing file, to read and write.
    Write,
    /// A file that must not exist yet, to read and write.
    CreateNew,
    /// A file to read and write, made or emptied: no link is followed in its place.
    Truncate,
}

/// How a range of a file will be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Soon, from front to back.
    Sequential,
    /// At random places.
    Random,
    /// Soon: the system begins to fetch it, and nobody waits for that.
    Soon,
    /// Not from the cache any more: clean cached pages go, so that the next read asks the medium. A page that the
    /// range covers in part may stay, and pages near it may go too.
    Drop,
}

/// What kind of medium a directory lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// A disk of this machine, or what looks like one.
    Local,
    /// A network file system, by the system's name for it. Refused: its locks and syncs promise less.
    Network(&'static str),
}

/// A held directory lock; dropping it gives the directory up, in the process that took it. In a child made by a fork it
/// lets go of what the child inherited: the lock stays its parent's.
pub trait DirLock: Send + Sync + fmt::Debug {}

/// Bytes of a file, mapped for reading. Kept alive by its clones.
#[derive(Clone, Debug)]
pub struct Map(Arc<memmap2::Mmap>);

impl Map {
    pub(crate) fn new(map: memmap2::Mmap) -> Self {
        Self(Arc::new(map))
    }
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Map {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// True for an error that says that the disk, or the user's share of it, is full.
#[must_use]
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// True for an error that says that this process, or the system, has as many files open as it may. No call that opens a file
/// has done anything then.
#[must_use]
pub fn lacks_files(error: &io::Error) -> bool {
    Errno::from_io_error(error).is_some_and(|e| [Errno::MFILE, Errno::NFILE].contains(&e))
}

/// Fills `buf` from `offset`.
///
/// # Errors
///
/// `UnexpectedEof` where the file ends first; the system's own otherwise.
pub fn read_exact_at(file: &dyn VfsFile, buf: &mut [u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < buf.len() {
        match file.read_at(&mut buf[done..], offset + done as u64)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => done += n,
        }
    }
    Ok(())
}
