//! Door: a simulated disk whose files can be mapped. Once a file is mapped it has a twin on the real disk that shows what
//! the program sees, so a map of the twin is what a map of the file would be: later writes show in it.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use savehold_wal::sim::SimDisk;
use savehold_wal::vfs::{Advice, DirLock, Map, Medium, OpenMode, OsVfs, Stores, Vfs, VfsFile, WriteMap};

/// A simulated disk with maps. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct Mirror(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    disk: SimDisk,
    twins: tempfile::TempDir,
    next: AtomicU64,
    longest_read: AtomicUsize,
    maps: AtomicUsize,
}

impl Mirror {
    /// Maps for the files of `disk`.
    ///
    /// # Panics
    ///
    /// The system gives no directory for twins.
    #[must_use]
    pub fn over(disk: SimDisk) -> Self {
        let twins = tempfile::tempdir().expect("a directory for twins");
        Self(Arc::new(Shared {
            disk,
            twins,
            next: AtomicU64::new(0),
            longest_read: AtomicUsize::new(0),
            maps: AtomicUsize::new(0),
        }))
    }

    /// Most bytes that one read asked for.
    #[must_use]
    pub fn longest_read(&self) -> usize {
        self.0.longest_read.load(Ordering::Relaxed)
    }

    /// Maps that were made.
    #[must_use]
    pub fn maps(&self) -> usize {
        self.0.maps.load(Ordering::Relaxed)
    }
}

impl Vfs for Mirror {
    fn opens_beside(&self) -> bool {
        self.0.disk.opens_beside()
    }

    fn stores(&self) -> Option<Stores> {
        self.0.disk.stores()
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        let file = self.0.disk.open(path, mode)?;
        Ok(Arc::new(Mirrored { mirror: self.clone(), path: path.to_owned(), file, twin: Twin::default() }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.disk.remove(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.0.disk.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.disk.create_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.disk.sync_dir(dir)
    }

    fn lock(&self, dir: &Path) -> io::Result<Option<Box<dyn DirLock>>> {
        self.0.disk.lock(dir)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.0.disk.free_bytes(dir)
    }

    fn medium(&self, dir: &Path) -> io::Result<Medium> {
        self.0.disk.medium(dir)
    }
}

/// One open file, and its twin once it is mapped. A write is in both before the next one, or a new map, begins.
#[derive(Debug)]
struct Mirrored {
    mirror: Mirror,
    path: PathBuf,
    file: Arc<dyn VfsFile>,
    twin: Twin,
}

/// The twin of a file that is open, once there is one.
#[derive(Clone, Debug, Default)]
struct Twin(Arc<Mutex<Option<Arc<dyn VfsFile>>>>);

impl Twin {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<dyn VfsFile>>> {
        self.0.lock().expect("no panic under this lock")
    }
}

impl Mirrored {
    fn twin(&self) -> std::sync::MutexGuard<'_, Option<Arc<dyn VfsFile>>> {
        self.twin.lock()
    }

    /// Writes what the disk shows into the twin.
    fn copy_into(&self, twin: &dyn VfsFile) -> io::Result<()> {
        let bytes = self.mirror.0.disk.read(&self.path)?;
        twin.write_at(&mut [IoSlice::new(&bytes)], 0)
    }
}

impl VfsFile for Mirrored {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.mirror.0.longest_read.fetch_max(buf.len(), Ordering::Relaxed);
        self.file.read_at(buf, offset)
    }

    fn write_at(&self, bufs: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        let twin = self.twin();
        let bytes: Vec<u8> = bufs.iter().flat_map(|part| part.iter().copied()).collect();
        self.file.write_at(bufs, offset)?;
        match &*twin {
            Some(twin) => twin.write_at(&mut [IoSlice::new(&bytes)], offset),
            None => Ok(()),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let twin = self.twin();
        self.file.allocate(bytes)?;
        twin.as_ref().map_or(Ok(()), |twin| twin.allocate(bytes))
    }

    fn advise(&self, offset: u64, bytes: u64, advice: Advice) -> io::Result<()> {
        let twin = self.twin();
        self.file.advise(offset, bytes, advice)?;
        match &*twin {
            Some(twin) if advice == Advice::Drop => self.copy_into(&**twin),
            _ => Ok(()),
        }
    }

    fn map(&self, bytes: u64) -> io::Result<Option<Map>> {
        let mut twin = self.twin();
        self.file.map(bytes)?; // a fault may be due
        if twin.is_none() {
            let shared = &self.mirror.0;
            let name = shared.next.fetch_add(1, Ordering::Relaxed).to_string();
            let made = OsVfs.open(&shared.twins.path().join(name), OpenMode::CreateNew)?;
            self.copy_into(&*made)?;
            *twin = Some(made);
        }
        self.mirror.0.maps.fetch_add(1, Ordering::Relaxed);
        twin.as_ref().map_or(Ok(None), |twin| twin.map(bytes))
    }

    fn map_to_write(&self, range: Range<u64>) -> io::Result<Option<Box<dyn WriteMap>>> {
        let Some(map) = self.file.map_to_write(range)? else { return Ok(None) };
        Ok(Some(Box::new(MirroredMap { map, twin: self.twin.clone() })))
    }
}

/// A range that is stored to, and the twin, which is written to.
#[derive(Debug)]
struct MirroredMap {
    map: Box<dyn WriteMap>,
    twin: Twin,
}

impl WriteMap for MirroredMap {
    fn prepare(&self, range: Range<u64>) -> io::Result<()> {
        self.map.prepare(range)
    }

    fn store(&self, parts: &[&[u8]], offset: u64) -> io::Result<()> {
        let twin = self.twin.lock();
        self.map.store(parts, offset)?;
        twin.as_ref().map_or(Ok(()), |twin| twin.write_at(&mut [IoSlice::new(&parts.concat())], offset))
    }
}
