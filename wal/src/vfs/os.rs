//! Door: the files, directories and locks of the operating system.

use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::os_dir::{OsDir, link};
use super::os_lock::OsLock;
use super::{Advice, DirLock, Map, Medium, OpenMode, Stores, Vfs, VfsDir, VfsFile, WriteMap};
use crate::limits::BLOCK_BYTES;
use crate::raw;

/// Linux reads so much ahead, unless it is told otherwise, and keeps no more of it in one piece; what is written in pieces of 64 KiB it
/// keeps in those.
const READ_AHEAD_BYTES: u64 = 128 << 10;

/// The file system of the operating system.
///
/// Files are made with mode 0600 and directories with 0700, descriptors are closed on `exec`, and interrupted or
/// short calls are resumed. A lock is an exclusive `flock` on the directory itself (on a file `LOCK` in it where the
/// system cannot lock directories): it ends with its handle, or with its process and those that were forked off and have
/// its handle still, whatever files are left behind.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsVfs;

impl Vfs for OsVfs {
    /// Linux since 4.13 (`errseq_t`): what could not be written back is told to each opening once.
    fn opens_beside(&self) -> bool {
        cfg!(any(target_os = "linux", target_os = "android"))
            && rustix::system::uname().release().to_str().is_ok_and(tells_each_opening)
    }

    /// Linux, where a page is a block.
    fn stores(&self) -> Option<Stores> {
        let fits = cfg!(target_os = "linux") && rustix::param::page_size() as u64 == BLOCK_BYTES;
        fits.then_some(Stores { after: 64, boundary: READ_AHEAD_BYTES })
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        open_in(CWD, path, mode)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Ok(retry_on_intr(|| rustix::fs::renameat(CWD, from, CWD, to))?)
    }

    fn exchange(&self, a: &Path, b: &Path) -> io::Result<()> {
        match retry_on_intr(|| exchange(a, b)) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Err(io::ErrorKind::Unsupported.into()),
            other => Ok(other?),
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        Ok(retry_on_intr(|| rustix::fs::unlinkat(CWD, path, AtFlags::empty()))?)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        names_in(&open_dir(dir)?)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let make = || retry_on_intr(|| rustix::fs::mkdirat(CWD, dir, Mode::RWXU));
        let made = match (make(), dir.parent()) {
            (Err(Errno::NOENT), Some(parent)) if parent != Path::new("") => {
                self.create_dir(parent)?;
                make() // once: some file systems say this of every directory, as /proc does
            }
            (made, _) => made,
        };
        match made {
            Err(Errno::EXIST) => open_dir(dir).map(drop), // fine for a directory, NotADirectory for a file
            other => Ok(other?),
        }
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        flush_names(&open_dir(dir)?)
    }

    fn lock(&self, dir: &Path) -> io::Result<Option<Box<dyn DirLock>>> {
        OsLock::exclusive(open_dir(dir)?, || open(&dir.join("LOCK"), OFlags::RDWR | OFlags::CREATE))
    }

    fn lock_shared(&self, dir: &Path) -> io::Result<Option<Box<dyn DirLock>>> {
        OsLock::shared(open_dir(dir)?)
    }

    fn link(&self, file: &Path, name: &Path) -> io::Result<()> {
        link(file, CWD, name)
    }

    fn hold_dir(&self, above: &Path, name: &str) -> io::Result<Option<Arc<dyn VfsDir>>> {
        Ok(Some(Arc::new(OsDir::open(&open_dir(above)?, name)?)))
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let stat = retry_on_intr(|| rustix::fs::statvfs(dir))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn medium(&self, dir: &Path) -> io::Result<Medium> {
        Ok(medium_of(&retry_on_intr(|| rustix::fs::statfs(dir))?))
    }

    fn is_one_disk(&self, a: &Path, b: &Path) -> io::Result<bool> {
        let disk = |path| retry_on_intr(|| rustix::fs::stat(path)).map(|stat| stat.st_dev);
        Ok(disk(a)? == disk(b)?)
    }

    fn is_mount(&self, dir: &Path) -> io::Result<bool> {
        match is_mount(dir) {
            Some(known) => Ok(known),
            None => Ok(!self.is_one_disk(dir, &dir.join(".."))?),
        }
    }

    fn full_path(&self, path: &Path) -> io::Result<PathBuf> {
        std::path::absolute(path)
    }

    fn real_path(&self, path: &Path) -> io::Result<PathBuf> {
        path.canonicalize()
    }
}

/// An open file of the operating system.
#[derive(Debug)]
struct OsFile(File);

impl VfsFile for OsFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            match rustix::io::pread(&self.0, &mut buf[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(done)
    }

    fn write_at(&self, mut bufs: &mut [io::IoSlice<'_>], mut offset: u64) -> io::Result<()> {
        io::IoSlice::advance_slices(&mut bufs, 0); // empty slices in front go
        while let Some(first) = bufs.first() {
            let written = match bufs.len() {
                1 => rustix::io::pwrite(&self.0, first, offset),
                _ => rustix::io::pwritev(&self.0, bufs, offset),
            };
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    io::IoSlice::advance_slices(&mut bufs, n);
                    offset += n as u64;
                }
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        flush(&self.0)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        match allocate(&self.0, bytes) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => self.extend_with_zeros(bytes),
            other => Ok(other?),
        }
    }

    fn written(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        written(&self.0, offset)
    }

    fn advise(&self, offset: u64, bytes: u64, advice: Advice) -> io::Result<()> {
        let (offset, bytes) =
            if advice == Advice::Drop { whole_folios(offset, bytes) } else { (offset, bytes) };
        advise(&self.0, offset, NonZeroU64::new(bytes).filter(|b| i64::try_from(b.get()).is_ok()), advice)
    }

    fn map(&self, bytes: u64) -> io::Result<Option<Map>> {
        Ok(Some(Map::new(raw::map(&self.0, bytes)?)))
    }

    fn map_to_write(&self, range: Range<u64>) -> io::Result<Option<Box<dyn WriteMap>>> {
        if !keeps_its_blocks(&self.0)? {
            return Ok(None);
        }
        let stretch = raw::Stretch::open(&self.0, range.start, range.end)?;
        Ok(Some(Box::new(OsWriteMap { stretch, start: range.start })))
    }
}

/// A range of an open file of the operating system.
#[derive(Debug)]
struct OsWriteMap {
    stretch: raw::Stretch,
    start: u64,
}

impl OsWriteMap {
    fn place_of(&self, offset: u64) -> io::Result<usize> {
        let place = offset.checked_sub(self.start).and_then(|place| usize::try_from(place).ok());
        place.ok_or(io::ErrorKind::InvalidInput.into())
    }
}

impl WriteMap for OsWriteMap {
    fn prepare(&self, range: Range<u64>) -> io::Result<()> {
        let bytes = usize::try_from(range.end - range.start).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.stretch.populate(self.place_of(range.start)?, bytes)
    }

    fn store(&self, parts: &[&[u8]], offset: u64) -> io::Result<()> {
        let mut place = self.place_of(offset)?;
        for part in parts {
            self.stretch.store(place, part);
            place += part.len();
        }
        Ok(())
    }
}

impl OsFile {
    fn extend_with_zeros(&self, bytes: u64) -> io::Result<()> {
        static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
        let mut end = self.len()?;
        while end < bytes {
            let step = (bytes - end).min(ZEROS.len() as u64);
            self.write_at(&mut [io::IoSlice::new(&ZEROS[..step as usize])], end)?;
            end += step;
        }
        Ok(())
    }
}

/// Opens a file in a directory.
pub(super) fn open_in(dir: impl AsFd, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
    let file = open_at(dir, path, flags_of(mode))?;
    if mode == OpenMode::Plain && !file.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(Arc::new(OsFile(file)))
}

/// The names in an open directory.
pub(super) fn names_in(dir: &File) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    Ok(names)
}

fn flags_of(mode: OpenMode) -> OFlags {
    match mode {
        OpenMode::Read => OFlags::RDONLY,
        OpenMode::Plain => OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK,
        OpenMode::Write => OFlags::RDWR,
        OpenMode::CreateNew => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
        OpenMode::Truncate => OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW,
    }
}

fn open(path: &Path, flags: OFlags) -> io::Result<File> {
    open_at(CWD, path, flags)
}

pub(super) fn open_at(dir: impl AsFd, path: &Path, flags: OFlags) -> io::Result<File> {
    let mode = Mode::RUSR | Mode::WUSR;
    match retry_on_intr(|| rustix::fs::openat(&dir, path, flags | OFlags::CLOEXEC, mode)) {
        Err(Errno::LOOP | Errno::NXIO) if flags.contains(OFlags::NOFOLLOW) => {
            Err(io::ErrorKind::InvalidInput.into()) // a link, or a socket
        }
        opened => Ok(opened?.into()),
    }
}

pub(super) fn open_dir(dir: &Path) -> io::Result<File> {
    open(dir, OFlags::RDONLY | OFlags::DIRECTORY)
}

#[cfg(not(target_os = "freebsd"))]
fn exchange(a: &Path, b: &Path) -> rustix::io::Result<()> {
    rustix::fs::renameat_with(CWD, a, CWD, b, rustix::fs::RenameFlags::EXCHANGE)
}

#[cfg(target_os = "freebsd")]
fn exchange(_: &Path, _: &Path) -> rustix::io::Result<()> {
    Err(Errno::NOSYS)
}

/// Linux since 5.8 knows it of a part of the same disk, too, and tells a mount from a subvolume.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_mount(dir: &Path) -> Option<bool> {
    use rustix::fs::{StatxAttributes, StatxFlags};

    let stat = retry_on_intr(|| rustix::fs::statx(CWD, dir, AtFlags::empty(), StatxFlags::empty())).ok()?;
    let told = stat.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT);
    told.then(|| stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn is_mount(_: &Path) -> Option<bool> {
    None
}

/// Whether a kernel of this release has `errseq_t`: 4.13 or later.
fn tells_each_opening(release: &str) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|n| n.parse::<u32>().ok());
    numbers.next().is_some_and(|major| (major, numbers.next().unwrap_or(0)) >= (4, 13))
}

/// Content and what is needed to find it. Not resumed after anything but an interruption: a failed flush says that
/// bytes may be lost, and the next one would not say it again.
#[cfg(not(target_os = "macos"))]
fn flush(file: &File) -> io::Result<()> {
    Ok(retry_on_intr(|| rustix::fs::fdatasync(file))?)
}

#[cfg(target_os = "macos")]
fn flush(file: &File) -> io::Result<()> {
    Ok(retry_on_intr(|| rustix::fs::fcntl_fullfsync(file))?)
}

#[cfg(not(target_os = "macos"))]
pub(super) fn flush_names(dir: &File) -> io::Result<()> {
    Ok(retry_on_intr(|| rustix::fs::fsync(dir))?)
}

#[cfg(target_os = "macos")]
pub(super) fn flush_names(dir: &File) -> io::Result<()> {
    flush(dir)
}

#[cfg(not(target_os = "macos"))]
fn allocate(file: &File, bytes: u64) -> rustix::io::Result<()> {
    retry_on_intr(|| rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, bytes))
}

#[cfg(target_os = "macos")]
fn allocate(_: &File, _: u64) -> rustix::io::Result<()> {
    Err(Errno::OPNOTSUPP) // its preallocation promises no space that a later write could rely on
}

/// The range widened to whole folios of the page cache, none of which is longer than what one entry of a page table of the
/// second level maps: Linux keeps a folio of which the range leaves out a page, and file systems make long ones (ext4 since
/// Linux 6.16, XFS for longer).
fn whole_folios(offset: u64, bytes: u64) -> (u64, u64) {
    let page = rustix::param::page_size() as u64;
    let folio = page * (page / size_of::<u64>() as u64);
    let start = offset / folio * folio;
    let behind = offset.saturating_add(bytes).checked_next_multiple_of(folio);
    (start, if bytes == 0 { 0 } else { behind.map_or(0, |behind| behind - start) })
}

/// Nobody uses the place in a file that this moves.
#[cfg(target_os = "linux")]
fn written(file: &File, offset: u64) -> io::Result<Option<Range<u64>>> {
    use rustix::fs::SeekFrom;
    let seek = |to| retry_on_intr(|| rustix::fs::seek(file, to));
    let start = match seek(SeekFrom::Data(offset)) {
        Ok(start) => start,
        Err(Errno::NXIO) => return Ok(None),
        Err(Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(Some(offset..u64::MAX)),
        Err(e) => return Err(e.into()),
    };
    Ok(Some(start..seek(SeekFrom::Hole(start))?))
}

#[cfg(not(target_os = "linux"))]
fn written(_: &File, offset: u64) -> io::Result<Option<Range<u64>>> {
    Ok(Some(offset..u64::MAX))
}

#[cfg(not(target_os = "macos"))]
fn advise(file: &File, offset: u64, bytes: Option<NonZeroU64>, advice: Advice) -> io::Result<()> {
    let advice = match advice {
        Advice::Sequential => rustix::fs::Advice::Sequential,
        Advice::Random => rustix::fs::Advice::Random,
        Advice::Soon => rustix::fs::Advice::WillNeed,
        Advice::Drop => rustix::fs::Advice::DontNeed,
    };
    Ok(retry_on_intr(|| rustix::fs::fadvise(file, offset, bytes, advice))?)
}

#[cfg(target_os = "macos")]
fn advise(_: &File, _: u64, _: Option<NonZeroU64>, _: Advice) -> io::Result<()> {
    Ok(()) // no such call
}

/// Whether the file system writes a file's blocks where they are, so that a block that the file has asks for no space. (`statfs(2)`
/// names the numbers. Where files can share blocks, as on XFS, the file has to be one that never does.)
#[cfg(target_os = "linux")]
fn keeps_its_blocks(file: &File) -> io::Result<bool> {
    const EXT4: u32 = 0xef53;
    const XFS: u32 = 0x5846_5342;
    const TMPFS: u32 = 0x0102_1994;
    let stat = retry_on_intr(|| rustix::fs::fstatfs(file))?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the numbers are of 32 bits")]
    let magic = stat.f_type as u32;
    Ok([EXT4, XFS, TMPFS].contains(&magic))
}

#[cfg(not(target_os = "linux"))]
fn keeps_its_blocks(_: &File) -> io::Result<bool> {
    Ok(false)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn medium_of(stat: &rustix::fs::StatFs) -> Medium {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the numbers are of 32 bits")]
    let magic = stat.f_type as u32;
    NETWORK_BY_MAGIC
        .iter()
        .find(|(number, _)| *number == magic)
        .map_or(Medium::Local, |(_, name)| Medium::Network(name))
}

/// Network file systems by the number that `statfs` gives. FUSE is not among them: it may be anything, and mostly
/// is local.
#[cfg(any(target_os = "linux", target_os = "android"))]
const NETWORK_BY_MAGIC: [(u32, &str); 12] = [
    (0x0000_6969, "nfs"),
    (0x0000_517b, "smb"),
    (0xff53_4d42, "cifs"),
    (0xfe53_4d42, "smb2"),
    (0x0102_1997, "9p"),
    (0x00c3_6400, "ceph"),
    (0x5346_414f, "afs"),
    (0x6b41_4653, "afs"),
    (0x7375_7245, "coda"),
    (0x0bd0_0bd0, "lustre"),
    (0x4750_4653, "gpfs"),
    (0x1983_0326, "beegfs"),
];

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn medium_of(stat: &rustix::fs::StatFs) -> Medium {
    const NETWORK_BY_NAME: [&str; 6] = ["nfs", "smbfs", "afpfs", "webdav", "p9fs", "fusefs.sshfs"];
    let name: Vec<u8> = stat.f_fstypename.iter().map(|c| *c as u8).take_while(|c| *c != 0).collect();
    NETWORK_BY_NAME.into_iter().find(|known| known.as_bytes() == name).map_or(Medium::Local, Medium::Network)
}

#[cfg(test)]
mod tests;
