//! Door: the simulated disk as a file system, its open files and its locks.

use std::borrow::Cow;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;

use super::{Call, Fault, SimDisk, dir_of, place_of};
use crate::limits::BLOCK_BYTES;
use crate::sync::Mutex;
use crate::vfs::{Advice, DirLock, Map, Medium, OpenMode, Stores, Vfs, VfsFile, WriteMap};

impl Vfs for SimDisk {
    fn opens_beside(&self) -> bool {
        true
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        let creates = matches!(mode, OpenMode::CreateNew | OpenMode::Truncate);
        let (mut state, fault) = self.enter(if creates { Call::Change } else { Call::Look })?;
        let writes = !matches!(mode, OpenMode::Read | OpenMode::Plain);
        if writes {
            state.may_change()?;
        }
        let change = state.change();
        let number = state.image.open(change, place_of(path), mode)?;
        if let Err(e) = state.end(fault) {
            state.image.close(number);
            return Err(e);
        }
        let told = AtomicU64::new(state.image.file(number).failed_syncs);
        Ok(Arc::new(SimFile { disk: self.clone(), number, told, writes }))
    }

    /// Soon, so that short runs come to it.
    fn stores(&self) -> Option<Stores> {
        Some(Stores { after: 2, boundary: BLOCK_BYTES })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (mut state, fault) = self.enter(Call::Change)?;
        state.may_change()?;
        let change = state.change();
        state.image.rename(change, place_of(from), place_of(to))?;
        state.end(fault)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let (mut state, fault) = self.enter(Call::Change)?;
        state.may_change()?;
        let change = state.change();
        state.image.remove(change, place_of(path))?;
        state.end(fault)
    }

    /// Back to front, so that nobody relies on an order.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let (mut state, fault) = self.enter(Call::Look)?;
        let names = state.image.tree.names(&dir_of(dir))?.keys().rev().map(ToString::to_string).collect();
        state.end(fault).map(|()| names)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let (mut state, fault) = self.enter(Call::Change)?;
        state.may_change()?;
        let change = state.change();
        state.image.create_dir(change, &dir_of(dir))?;
        state.end(fault)
    }

    /// A sync that fails leaves the names pending: a file system keeps them in its journal, and the next sync tries
    /// again or stops the file system.
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let (mut state, fault) = self.enter(Call::SyncDir)?;
        if fault != Some(Fault::CutInside) {
            state.image.sync_dir(&dir_of(dir))?;
        }
        state.end(fault)
    }

    fn lock(&self, dir: &Path) -> io::Result<Option<Box<dyn DirLock>>> {
        let (mut state, fault) = self.enter(Call::Look)?;
        let dir = dir_of(dir);
        state.image.tree.names(&dir)?;
        state.end(fault)?;
        if state.locks.contains_key(&dir) {
            return Ok(None);
        }
        state.locks.insert(dir.clone(), 0);
        Ok(Some(Box::new(SimLock { disk: self.clone(), dir })))
    }

    fn lock_shared(&self, dir: &Path) -> io::Result<Option<Box<dyn DirLock>>> {
        let (mut state, fault) = self.enter(Call::Look)?;
        let dir = dir_of(dir);
        state.image.tree.names(&dir)?;
        state.end(fault)?;
        match state.locks.get_mut(&dir) {
            Some(0) => return Ok(None),
            Some(others) => *others += 1,
            None => _ = state.locks.insert(dir.clone(), 1),
        }
        Ok(Some(Box::new(SimLock { disk: self.clone(), dir })))
    }

    fn link(&self, file: &Path, name: &Path) -> io::Result<()> {
        let (mut state, fault) = self.enter(Call::Change)?;
        state.may_change()?;
        let change = state.change();
        state.image.link(change, place_of(file), place_of(name))?;
        state.end(fault)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let (mut state, fault) = self.enter(Call::Look)?;
        state.image.tree.names(&dir_of(dir))?;
        let free = state.image.free();
        state.end(fault).map(|()| free)
    }

    fn is_one_disk(&self, _: &Path, _: &Path) -> io::Result<bool> {
        Ok(self.0.state.lock().one_file_system)
    }

    fn medium(&self, dir: &Path) -> io::Result<Medium> {
        let (mut state, fault) = self.enter(Call::Look)?;
        state.image.tree.names(&dir_of(dir))?;
        state.end(fault).map(|()| Medium::Local)
    }
}

/// An open file of a simulated disk. It keeps the bytes of a removed file alive.
#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    number: u64,
    /// Failed syncs of the file that this opening knows of.
    told: AtomicU64,
    writes: bool,
}

impl SimFile {
    fn may_write(&self) -> io::Result<()> {
        if self.writes { Ok(()) } else { Err(Errno::BADF.into()) }
    }
}

impl VfsFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        let (mut state, fault) = self.disk.enter(Call::Look)?;
        let len = state.image.file(self.number).cache.len();
        state.end(fault).map(|()| len)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let (mut state, fault) = self.disk.enter(Call::Read)?;
        let count = state.image.file(self.number).cache.read(buf, offset);
        state.end(fault).map(|()| count)
    }

    fn write_at(&self, bufs: &mut [io::IoSlice<'_>], offset: u64) -> io::Result<()> {
        self.may_write()?;
        let bytes: Cow<'_, [u8]> = match bufs {
            [one] => Cow::Borrowed(one),
            many => Cow::Owned(many.iter().map(|part| &**part).collect::<Vec<_>>().concat()),
        };
        let (mut state, fault) = self.disk.enter(Call::Write)?;
        state.counts.bytes_written += bytes.len() as u64;
        let upto = match fault {
            Some(Fault::FailHalfway(_) | Fault::KillInside) => {
                state.draw.below(bytes.len() as u64 + 1) as usize
            }
            _ => bytes.len(),
        };
        let change = state.change();
        state.image.write(change, self.number, &bytes[..upto], offset)?;
        state.end(fault)
    }

    fn sync(&self) -> io::Result<()> {
        let (mut state, fault) = self.disk.enter(Call::Sync)?;
        let super::State { image, draw, .. } = &mut *state;
        let file = image.file_mut(self.number);
        match fault {
            Some(Fault::Fail(_)) => file.fail_sync(|| false),
            Some(Fault::FailHalfway(_)) => file.fail_sync(|| draw.below(2) == 1),
            Some(Fault::CutInside) => {}
            _ => file.sync(),
        }
        let failed = file.failed_syncs;
        let tells = self.told.swap(failed, Ordering::AcqRel) != failed;
        state.end(fault)?;
        if tells { Err(Errno::IO.into()) } else { Ok(()) } // another opening heard it first
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.may_write()?;
        let (mut state, fault) = self.disk.enter(Call::Change)?;
        let change = state.change();
        state.image.allocate(change, self.number, bytes)?;
        state.end(fault)
    }

    fn written(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        let (mut state, fault) = self.disk.enter(Call::Look)?;
        let found = state.image.file(self.number).cache.written(offset);
        state.end(fault).map(|()| found)
    }

    fn advise(&self, offset: u64, bytes: u64, advice: Advice) -> io::Result<()> {
        let (mut state, fault) = self.disk.enter(Call::Look)?;
        if advice == Advice::Drop && state.image.forgets() {
            state.image.file_mut(self.number).drop_cached(offset, bytes);
        }
        state.end(fault)
    }

    fn map(&self, _: u64) -> io::Result<Option<Map>> {
        let (mut state, fault) = self.disk.enter(Call::Look)?;
        state.end(fault).map(|()| None)
    }

    fn map_to_write(&self, range: Range<u64>) -> io::Result<Option<Box<dyn WriteMap>>> {
        self.may_write()?;
        let (mut state, fault) = self.disk.enter(Call::Look)?;
        state.end(fault)?;
        let file = state.image.file_mut(self.number);
        if range.end > file.cache.len() || !range.start.is_multiple_of(BLOCK_BYTES) {
            return Err(Errno::INVAL.into());
        }
        file.handles += 1;
        let (disk, number) = (self.disk.clone(), self.number);
        Ok(Some(Box::new(SimWriteMap { disk, number, range, ready: Mutex::default() })))
    }
}

/// A range of a file of a simulated disk.
#[derive(Debug)]
struct SimWriteMap {
    disk: SimDisk,
    number: u64,
    range: Range<u64>,
    /// Blocks that were made ready.
    ready: Mutex<Vec<Range<u64>>>,
}

impl WriteMap for SimWriteMap {
    /// What stands there counts as written again, as it is.
    fn prepare(&self, range: Range<u64>) -> io::Result<()> {
        assert!(
            self.range.start <= range.start && range.end <= self.range.end,
            "blocks of the map are made ready"
        );
        assert!(range.start.is_multiple_of(BLOCK_BYTES), "whole blocks are made ready");
        let (mut state, fault) = self.disk.enter(Call::Change)?;
        let change = state.change();
        let mut bytes = vec![0; usize::try_from(range.end - range.start).expect("a part of a file")];
        state.image.file(self.number).cache.read(&mut bytes, range.start);
        state.image.write(change, self.number, &bytes, range.start)?;
        state.end(fault)?;
        self.ready.lock().push(range);
        Ok(())
    }

    /// A process that dies inside leaves any of the words.
    fn store(&self, parts: &[&[u8]], offset: u64) -> io::Result<()> {
        const WORD_BYTES: usize = 8;
        let (bytes, ready) = (parts.concat(), self.ready.lock().clone());
        let is_ready = |byte| ready.iter().any(|ready| ready.contains(&byte));
        let blocks = (offset / BLOCK_BYTES..).map(|block| offset.max(block * BLOCK_BYTES));
        let mut touched = blocks.take_while(|byte| *byte < offset + bytes.len() as u64);
        assert!(touched.all(is_ready), "nothing is stored but to what is ready");
        let (mut state, fault) = self.disk.enter(Call::Write)?;
        state.counts.bytes_written += bytes.len() as u64;
        state.counts.stores += 1;
        let torn = matches!(fault, Some(Fault::FailHalfway(_) | Fault::KillInside));
        for (n, word) in bytes.chunks(if torn { WORD_BYTES } else { bytes.len().max(1) }).enumerate() {
            if !torn || state.draw.below(2) == 1 {
                let change = state.change();
                state.image.write(change, self.number, word, offset + (n * WORD_BYTES) as u64)?;
            }
        }
        state.end(fault)
    }
}

impl Drop for SimWriteMap {
    fn drop(&mut self) {
        self.disk.0.state.lock().image.close(self.number);
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        self.disk.0.state.lock().image.close(self.number);
    }
}

/// A held lock of a simulated directory.
#[derive(Debug)]
struct SimLock {
    disk: SimDisk,
    dir: String,
}

impl DirLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.disk.0.state.lock();
        match state.locks.get_mut(&self.dir) {
            Some(others @ 2..) => *others -= 1,
            _ => _ = state.locks.remove(&self.dir),
        }
    }
}
