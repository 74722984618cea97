//! A real disk on which chosen calls fail, and clocks and randomness that obey: for tests of one bad moment each.

#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::disallowed_methods, reason = "tests copy and damage directories behind the log's back")]

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use savehold_wal::clock::Clock;
use savehold_wal::env::{Entropy, Env, Threads};
use savehold_wal::vfs::{Advice, DirLock, Map, Medium, OpenMode, OsVfs, Vfs, VfsFile};
use savehold_wal::{Append, Durability, Frame, Lsn, Options, RecoveryReport, Wal};

/// What is about to be done to which file or directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) what: What,
    pub(crate) name: String,
    pub(crate) bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Open(OpenMode),
    Advise(Advice),
    Read,
    Write,
    Sync,
    Allocate,
    Rename,
    Remove,
    List,
    CreateDir,
    SyncDir,
}

type Rule = Box<dyn FnMut(&Step) -> Option<io::ErrorKind> + Send>;

/// What is done at the first step of its kind, while no other waits for it.
type Pause = (fn(&Step) -> bool, Box<dyn FnOnce() + Send>);

/// The real disk: steps are noted, and fail where a rule says so.
#[derive(Clone, Default)]
pub(crate) struct World {
    steps: Arc<Mutex<Vec<Step>>>,
    rule: Arc<Mutex<Option<Rule>>>,
    pauses: Arc<Mutex<Vec<Pause>>>,
    wall_us: Arc<AtomicU64>,
    boot_us: Arc<AtomicU64>,
    drawn: Arc<AtomicU64>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}

/// 2026-01-01, microseconds.
pub(crate) const BEGINNING_US: u64 = 1_767_225_600_000_000;

impl World {
    pub(crate) fn new() -> Self {
        let world = Self::default();
        world.wall_us.store(BEGINNING_US, Ordering::Relaxed);
        world
    }

    /// What a log runs on here; without threads.
    pub(crate) fn env(&self) -> Env {
        let world = Arc::new(self.clone());
        Env { vfs: world.clone(), clock: world.clone(), entropy: world, threads: Threads::None }
    }

    pub(crate) fn open(&self, root: &Path) -> savehold_wal::Result<Wal> {
        self.open_with(root, small())
    }

    pub(crate) fn open_with(&self, root: &Path, options: Options) -> savehold_wal::Result<Wal> {
        Wal::open_in(self.env(), root, options)
    }

    /// From now on, `rule` decides which steps fail.
    pub(crate) fn fail_where(&self, rule: impl FnMut(&Step) -> Option<io::ErrorKind> + Send + 'static) {
        *self.rule.lock().unwrap() = Some(Box::new(rule));
    }

    /// Whoever comes to such a step first does this before it.
    pub(crate) fn pause_at(&self, step: fn(&Step) -> bool, pause: impl FnOnce() + Send + 'static) {
        self.pauses.lock().unwrap().push((step, Box::new(pause)));
    }

    pub(crate) fn heal(&self) {
        *self.rule.lock().unwrap() = None;
    }

    pub(crate) fn take_steps(&self) -> Vec<Step> {
        std::mem::take(&mut self.steps.lock().unwrap())
    }

    pub(crate) fn set_wall_us(&self, us: u64) {
        self.wall_us.store(us, Ordering::Relaxed);
    }

    pub(crate) fn advance(&self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap();
        self.wall_us.fetch_add(us, Ordering::Relaxed);
        self.boot_us.fetch_add(us, Ordering::Relaxed);
    }

    fn step(&self, what: What, path: &Path, bytes: u64) -> io::Result<()> {
        let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let step = Step { what, name, bytes };
        let mut pauses = self.pauses.lock().unwrap();
        let pause = pauses.iter().position(|(at, _)| at(&step)).map(|n| pauses.remove(n));
        drop(pauses);
        if let Some((_, pause)) = pause {
            pause();
        }
        let failure = self.rule.lock().unwrap().as_mut().and_then(|rule| rule(&step));
        self.steps.lock().unwrap().push(step);
        failure.map_or(Ok(()), |kind| Err(kind.into()))
    }
}

impl Clock for World {
    fn wall_us(&self) -> u64 {
        self.wall_us.load(Ordering::Relaxed)
    }

    fn monotonic(&self) -> Duration {
        self.boot()
    }

    fn boot(&self) -> Duration {
        Duration::from_micros(self.boot_us.load(Ordering::Relaxed))
    }
}

impl Entropy for World {
    fn fill(&self, buf: &mut [u8]) {
        for byte in buf {
            let n = self.drawn.fetch_add(1, Ordering::Relaxed);
            *byte = (n.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8;
        }
    }
}

impl Vfs for World {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        self.step(What::Open(mode), path, 0)?;
        let file = OsVfs.open(path, mode)?;
        Ok(Arc::new(Watched { world: self.clone(), path: path.to_path_buf(), file }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(What::Rename, from, 0)?;
        OsVfs.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step(What::Remove, path, 0)?;
        OsVfs.remove(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.step(What::List, dir, 0)?;
        OsVfs.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.step(What::CreateDir, dir, 0)?;
        OsVfs.create_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.step(What::SyncDir, dir, 0)?;
        OsVfs.sync_dir(dir)
    }

    fn lock(&self, dir: &Path) -> io::Result<Option<Box<dyn DirLock>>> {
        OsVfs.lock(dir)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        OsVfs.free_bytes(dir)
    }

    fn medium(&self, _: &Path) -> io::Result<Medium> {
        Ok(Medium::Local)
    }
}

#[derive(Debug)]
struct Watched {
    world: World,
    path: PathBuf,
    file: Arc<dyn VfsFile>,
}

impl VfsFile for Watched {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.world.step(What::Read, &self.path, buf.len() as u64)?;
        self.file.read_at(buf, offset)
    }

    fn write_at(&self, bufs: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        let bytes = bufs.iter().map(|b| b.len() as u64).sum();
        self.world.step(What::Write, &self.path, bytes)?;
        self.file.write_at(bufs, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.world.step(What::Sync, &self.path, 0)?;
        Ok(()) // nothing here loses power: syncing would cost time and prove nothing
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.world.step(What::Allocate, &self.path, bytes)?;
        self.file.allocate(bytes)
    }

    fn advise(&self, offset: u64, bytes: u64, advice: Advice) -> io::Result<()> {
        self.world.step(What::Advise(advice), &self.path, bytes)?;
        self.file.advise(offset, bytes, advice)
    }

    fn map(&self, bytes: u64) -> io::Result<Option<Map>> {
        self.file.map(bytes)
    }
}

/// Small segments, and nothing that falls due by time.
pub(crate) fn small() -> Options {
    let never = Duration::from_secs(1 << 30);
    Options {
        lock_wait: Duration::ZERO,
        sync_after: never,
        mark_after: never,
        segment_bytes_min: 32 << 10,
        segment_bytes_max: 32 << 10,
        ..Options::default()
    }
}

pub(crate) fn buffered() -> Append {
    Append { durability: Durability::Buffered, ..Append::default() }
}

pub(crate) fn frame(head: &str, body_bytes: usize) -> Frame {
    Frame::record(head.as_bytes(), &[&vec![0xAB; body_bytes]]).unwrap()
}

/// The heads of all records, each record read whole.
pub(crate) fn heads(log: &Wal) -> Vec<String> {
    let text = |r: savehold_wal::Record| String::from_utf8(r.head.to_vec()).unwrap();
    log.replay(Lsn::NONE).unwrap().map(|r| text(r.unwrap())).collect()
}

/// The directory as a process that is killed now leaves it.
pub(crate) fn killed(root: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_dir(root, &copy.path().join("store"));
    copy
}

pub(crate) fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, name) = (entry.path(), entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&path, &to.join(name));
        } else {
            std::fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

/// Names of the segment files in order.
pub(crate) fn segment_files(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root.join("log")).unwrap();
    let mut files: Vec<_> = entries.map(|e| e.unwrap().path()).collect();
    files.sort();
    files
}

pub(crate) fn damage(path: &Path, offset: u64, bytes: &[u8]) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(bytes, offset).unwrap();
}

/// Opens, reads everything, closes.
pub(crate) fn reopened(root: &Path) -> (RecoveryReport, Vec<String>) {
    let log = World::new().open(root).unwrap_or_else(|e| panic!("{e}"));
    let (report, heads) = (log.report(), heads(&log));
    log.close().unwrap();
    (report, heads)
}
