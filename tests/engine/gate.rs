//! Door: a disk whose syncs wait at a gate, and then succeed or fail: the moment between placing and durable, held open.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use savehold::{Options, Store};
use savehold_wal::clock::OsClock;
use savehold_wal::env::{Env, OsEntropy, Threads};
use savehold_wal::sim::SimDisk;
use savehold_wal::vfs::{Advice, DirLock, Map, Medium, OpenMode, Vfs, VfsFile};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Shut,
    Fails,
}

/// The gate at which syncs wait.
#[derive(Clone, Debug)]
pub(crate) struct Gate(Arc<(Mutex<Inner>, Condvar)>);

#[derive(Debug)]
struct Inner {
    state: State,
    /// Syncs that wait.
    waiting: u32,
    /// Syncs of groups that came while it was shut.
    groups: u32,
}

impl Gate {
    /// A store behind a gate that is open.
    pub(crate) fn store() -> (Self, Store) {
        let inner = Inner { state: State::Open, waiting: 0, groups: 0 };
        let gate = Self(Arc::new((Mutex::new(inner), Condvar::new())));
        let vfs = Arc::new(Gated { disk: SimDisk::memory(), gate: gate.clone() });
        let env = Env { vfs, clock: Arc::new(OsClock), entropy: Arc::new(OsEntropy), threads: Threads::Own };
        (gate, Options::new().open_in(env, Path::new("/store")).expect("opens"))
    }

    /// Syncs wait from now on.
    pub(crate) fn shut(&self) {
        self.set(State::Shut);
    }

    /// Syncs succeed, those that wait and all later ones.
    pub(crate) fn open(&self) {
        self.set(State::Open);
    }

    /// Syncs fail, those that wait and all later ones.
    pub(crate) fn fail(&self) {
        self.set(State::Fails);
        let mut inner = self.0.0.lock().expect("no panic inside");
        while inner.waiting > 0 {
            inner = self.0.1.wait(inner).expect("no panic inside"); // none of them finds it open again
        }
    }

    /// Waits until the sync of a group came while it was shut.
    pub(crate) fn until_a_group_waits(&self) {
        let mut inner = self.0.0.lock().expect("no panic inside");
        while inner.groups == 0 {
            inner = self.0.1.wait(inner).expect("no panic inside");
        }
    }

    fn set(&self, state: State) {
        self.0.0.lock().expect("no panic inside").state = state;
        self.0.1.notify_all();
    }

    fn pass(&self) -> io::Result<()> {
        let mut inner = self.0.0.lock().expect("no panic inside");
        if inner.state == State::Shut && std::thread::current().name() == Some("savehold-writer") {
            inner.groups += 1;
            self.0.1.notify_all();
        }
        inner.waiting += 1;
        while inner.state == State::Shut {
            inner = self.0.1.wait(inner).expect("no panic inside");
        }
        inner.waiting -= 1;
        self.0.1.notify_all();
        if inner.state == State::Fails { Err(io::Error::other("the gate fails")) } else { Ok(()) }
    }
}

#[derive(Debug)]
struct Gated {
    disk: SimDisk,
    gate: Gate,
}

#[derive(Debug)]
struct GatedFile {
    file: Arc<dyn VfsFile>,
    gate: Gate,
}

impl Vfs for Gated {
    fn opens_beside(&self) -> bool {
        self.disk.opens_beside()
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        Ok(Arc::new(GatedFile { file: self.disk.open(path, mode)?, gate: self.gate.clone() }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }

    fn lock(&self, dir: &Path) -> io::Result<Option<Box<dyn DirLock>>> {
        self.disk.lock(dir)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.disk.free_bytes(dir)
    }

    fn medium(&self, dir: &Path) -> io::Result<Medium> {
        self.disk.medium(dir)
    }
}

impl VfsFile for GatedFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }

    fn write_at(&self, bufs: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        self.file.write_at(bufs, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.gate.pass()?;
        self.file.sync()
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.file.allocate(bytes)
    }

    fn advise(&self, offset: u64, bytes: u64, advice: Advice) -> io::Result<()> {
        self.file.advise(offset, bytes, advice)
    }

    fn map(&self, bytes: u64) -> io::Result<Option<Map>> {
        self.file.map(bytes)
    }
}
