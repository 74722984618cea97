//! Corridor: taking stock of the files of a log, before its end is looked for.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Recovery;
use crate::env::Threads;
use crate::error::{Error, ErrorKind, Result};
use crate::format::header::SegmentKind;
use crate::lsn::Lsn;
use crate::segment::catalog::SegmentEntry;
use crate::segment::file::{Access, Segment, corrupt, entry_of, read_header};
use crate::segment::fill::is_zeros;
use crate::segment::name::{LOG_DIR, UNFINISHED, parse_segment_name, segment_name};
use crate::vfs::VfsFile;
use crate::window::{WINDOW_BYTES, Window};

/// Space on the disk that lets files which were removed stay open for a while.
const SPACE_BYTES: u64 = 1 << 30;

/// What the files of a log are, beside those that the catalog names.
#[derive(Default)]
pub(super) struct Stock {
    /// The catalog changed.
    pub(super) changed: bool,
    /// Files that say nothing.
    spent: Vec<PathBuf>,
    /// Files that say nothing, if all of each was looked at.
    pub(super) headless: Vec<Headless>,
}

/// A file of the log that no catalog names and that has no good header.
pub(super) struct Headless {
    path: PathBuf,
    file: Arc<dyn VfsFile>,
    pub(super) bytes: u64,
    /// What is wrong with the header, where places in the file may have been handed out.
    bad: Option<Error>,
}

impl Headless {
    /// Looks whether the file may go, as far as this part of it says: its header never reached the disk, so no place in it was
    /// ever handed out.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`]: something was written in it all the same. [`ErrorKind::Io`].
    pub(super) fn is_spent(&self, part: Range<u64>) -> Result<()> {
        let Some(bad) = &self.bad else { return Ok(()) };
        match is_zeros(&*self.file, part) {
            Ok(true) => Ok(()),
            Ok(false) => Err(bad.clone()),
            Err(e) => Err(Error::io(ErrorKind::Io, "reading", &self.path, e)),
        }
    }
}

impl Recovery<'_> {
    /// Step 1: files and catalog agree, or it is said how they do not. No file goes yet, and those without a header are left
    /// for step 3: all of such a file must be looked at.
    pub(super) fn take_stock(&mut self) -> Result<Stock> {
        let dir = self.root.join(LOG_DIR);
        let names = self.env.vfs.list(&dir).map_err(|e| Error::io(ErrorKind::Io, "listing", &dir, e))?;
        let mut stock = Stock::default();
        for name in names {
            let path = dir.join(&name);
            if name.ends_with(UNFINISHED) {
                stock.spent.push(path);
                continue;
            }
            let Some((base, generation)) = parse_segment_name(&name) else { continue };
            if self.catalog.entry_mut(base, generation).is_none() {
                self.unnamed(path, base, &mut stock)?;
            }
        }
        Ok(stock)
    }

    /// A file that the catalog does not name: a finished rest segment counts, one that was given up or that nothing
    /// was ever written in may go, anything else is evidence of a lost catalog. What was given up lies before the
    /// frontier: an older catalog has an older frontier too. But an older one may name what a packed segment was made of,
    /// before its frontier: where any of that is missing, the packed one is all that is left of it.
    fn unnamed(&mut self, path: PathBuf, base: Lsn, stock: &mut Stock) -> Result<()> {
        let path = path.as_path();
        let io = |e| Error::io(ErrorKind::Io, "opening", path, e);
        let file = self.env.vfs.open(path, self.mode()).map_err(io)?;
        let header = match read_header(&*file, path) {
            Ok(header) => header,
            Err(e) if e.kind() != ErrorKind::Corrupt => return Err(e),
            Err(bad) => {
                let bytes = file.len().map_err(io)?;
                let may_hold = base >= self.catalog.frontier;
                let (path, bad) = (path.to_path_buf(), may_hold.then_some(bad));
                stock.headless.push(Headless { path, file, bytes, bad });
                return Ok(());
            }
        };
        if header.store != self.catalog.store {
            return Err(corrupt(path, "belongs to another store"));
        }
        let own = segment_name(header.base, header.generation);
        if path.file_name().is_none_or(|name| name != own.as_str()) {
            return Err(corrupt(path, "bears the name of another segment than it is"));
        }
        if header.kind == SegmentKind::Rest {
            let holds = |e: &&mut SegmentEntry| {
                e.kind == SegmentKind::Log && e.base <= header.base && header.base < e.capacity_end()
            };
            if let Some(old) = self.catalog.segments.iter_mut().rev().find(holds) {
                if old.end.is_some_and(|end| end < header.base)
                    || old.capacity_end() != header.base.plus(header.capacity)
                {
                    return Err(corrupt(path, "is a rest segment that does not fit the segment before it"));
                }
                old.end = Some(header.base);
                old.damaged = true;
                self.catalog.name(entry_of(&header));
                let synced = self.sync_names(); // the crash may have come between its renaming and this sync
                self.goes_on(synced)?;
                stock.changed = true;
                return Ok(());
            }
        }
        if header.base.plus(header.capacity) <= self.catalog.frontier {
            stock.spent.push(path.to_path_buf());
            return Ok(());
        }
        match header.kind {
            SegmentKind::Log => {}
            SegmentKind::Rest => {
                return Err(corrupt(path, "is a rest segment of a segment that is not named in MANIFEST"));
            }
            SegmentKind::Packed => {
                return Err(corrupt(path, "is made of segments that are not named in MANIFEST"));
            }
        }
        let (entry, mode) = (entry_of(&header), self.mode());
        let segment = Segment::open(&*self.env.vfs, self.root, &entry, header.store, Access::Pread, mode)?;
        let mut window = Window::new(&segment, segment.capacity_end(), WINDOW_BYTES, Vec::new())?;
        if window.has_groups()? {
            return Err(corrupt(path, "holds records and is not named in MANIFEST"));
        }
        stock.spent.push(path.to_path_buf());
        Ok(())
    }

    fn sync_names(&self) -> Result<()> {
        let dir = self.root.join(LOG_DIR);
        self.env.vfs.sync_dir(&dir).map_err(|e| Error::io(ErrorKind::Io, "syncing", &dir, e))
    }

    /// Removes what says nothing, once nothing refuses the open any more: a refused one changes nothing.
    ///
    /// Answers files that were removed, still open where there is space and somebody who closes them later: to get back the pages
    /// and blocks of a long one takes the system some milliseconds, which whoever opens the log need not wait for.
    pub(super) fn clear_away(&mut self, stock: Stock) -> Result<Vec<Arc<dyn VfsFile>>> {
        let Stock { spent, headless, .. } = stock;
        spent.iter().chain(headless.iter().map(|file| &file.path)).try_for_each(|path| self.remove(path))?;
        let free = || self.env.vfs.free_bytes(self.root).unwrap_or(0);
        let later = self.shortage.is_none() && self.env.threads == Threads::Own;
        if headless.is_empty() || !later || free() < SPACE_BYTES {
            return Ok(Vec::new());
        }
        Ok(headless.into_iter().map(|file| file.file).collect())
    }

    /// Removes a file that says nothing; the next open does where there is a shortage.
    fn remove(&mut self, path: &Path) -> Result<()> {
        if self.shortage.is_some() {
            return Ok(());
        }
        let removed = self.env.vfs.remove(path).map_err(|e| Error::io(ErrorKind::Io, "removing", path, e));
        self.goes_on(removed).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;
    use std::time::Duration;

    use super::*;
    use crate::clock::Clock as _;
    use crate::env::Env;
    use crate::format::frame::Frame;
    use crate::format::header::{DATA_OFFSET, SegmentHeader};
    use crate::log::LET_GO_AFTER;
    use crate::options::{Durability, Options};
    use crate::place::Urgency;
    use crate::recover::look::SHARED_BYTES;
    use crate::schedule::pause;
    use crate::segment::catalog::Catalog;
    use crate::segment::fill::write_zeros;
    use crate::segment::name::{LOCK, MANIFEST};
    use crate::sim::{Failure, Fault, Sim, When};
    use crate::vfs::{OpenMode, Vfs as _};
    use crate::wal::Wal;

    /// Opens a log beside two files of the log that have no header: one of zeros alone, and behind it one of zeros and `last`.
    /// Whether each is there afterwards.
    fn opened_beside(last: u8) -> (Result<Wal>, [bool; 2]) {
        let dir = tempfile::tempdir().unwrap();
        let log = Wal::open(dir.path()).unwrap();
        let lsn = log.append(b"one", b"").unwrap().wait().unwrap();
        log.close().unwrap();
        let env = Env::os();
        let paths = [1, 2].map(|n| {
            let base = Lsn::new(lsn.timeline() + n, 0);
            let path = dir.path().join(LOG_DIR).join(segment_name(base, 0));
            let file = env.vfs.open(&path, OpenMode::CreateNew).unwrap();
            write_zeros(&*file, 0..SHARED_BYTES + 4096).unwrap();
            let last = if n == 1 { 0 } else { last };
            file.write_at(&mut [IoSlice::new(&[last])], SHARED_BYTES + 4095).unwrap();
            path
        });
        let opened = Wal::open(dir.path());
        (opened, paths.map(|path| env.vfs.open(&path, OpenMode::Read).is_ok()))
    }

    #[test]
    fn long_files_without_a_header_go_where_nothing_was_ever_written_in_any() {
        let (opened, are_there) = opened_beside(0);
        let log = opened.unwrap();
        assert_eq!(log.replay(log.span().start).unwrap().count(), 1, "the log is as it was");
        assert_eq!(are_there, [false, false]);
        let (opened, are_there) = opened_beside(1);
        let e = opened.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Corrupt);
        assert!(e.to_string().contains("has no readable header"), "{e}");
        assert_eq!(are_there, [true, true], "one is evidence, and nothing was changed");
    }

    /// A log beside a file without a header, opened on a disk with so many free bytes.
    fn opened_with(free: Option<u64>) -> (Sim, Wal) {
        let mut sim = Sim::new(6);
        let (env, dir) = (sim.env(), sim.dir());
        let log = Wal::open_in(env, dir, Options::default()).unwrap();
        let lsn = log.append(b"one", b"").unwrap().wait().unwrap();
        log.close().unwrap();
        let path = dir.join(LOG_DIR).join(segment_name(Lsn::new(lsn.timeline() + 1, 0), 0));
        let disk = sim.disk();
        disk.plant(&path, &[0; 8192]).unwrap();
        disk.set_capacity(free.map(|free| disk.used() + free));
        let env = Env { threads: Threads::Own, ..sim.env() };
        let log = Wal::open_in(env, dir, Options::default()).unwrap();
        assert!(disk.read(&path).is_err(), "it went");
        (sim, log)
    }

    #[test]
    fn a_file_that_went_is_let_go_a_little_later_and_at_once_where_space_is_short() {
        for (free, kept) in [(None, 1), (Some(SPACE_BYTES), 1), (Some(SPACE_BYTES - 1), 0)] {
            let (mut sim, log) = opened_with(free);
            let still_open = || log.log.removed.lock().as_ref().map_or(0, |removed| removed.files.len());
            assert_eq!(still_open(), kept, "{free:?}");
            log.log.tend_removed();
            assert_eq!(still_open(), kept, "{free:?}, at once");
            sim.advance(LET_GO_AFTER);
            log.log.tend_removed();
            assert_eq!(still_open(), 0, "{free:?}, later");
        }
        let (_, wal) = opened_with(None);
        let log = wal.log.clone();
        wal.close().unwrap();
        assert!(log.removed.lock().is_none(), "it is closed with the log");
    }

    /// Whether something comes true: a minute is for ever.
    fn comes(is_true: impl Fn() -> bool) -> bool {
        (0..60_000).any(|_| {
            pause(Duration::from_millis(1));
            is_true()
        })
    }

    #[test]
    fn buffered_commit_is_synced_as_promised_while_a_file_that_went_is_still_open() {
        let (sim, log) = opened_with(None);
        let later = sim.clock().boot() + 1000 * LET_GO_AFTER;
        log.log.removed.lock().as_mut().unwrap().due = later;
        log.log.keeper.ring(); // it may sleep already, until that was due before
        assert!(comes(|| log.log.keeper.sleeps()), "beside its alarm the keeper rests");
        let mut frame = Frame::record(b"two", &[]).unwrap();
        let placed = log.log.append(&mut frame, Durability::Buffered, Urgency::Ordinary).unwrap();
        log.log.wait(placed).unwrap();
        sim.clock().advance(Options::default().sync_after);
        assert!(comes(|| log.durable() > placed.lsn), "whoever gave the answer woke it");
        assert!(log.log.removed.lock().is_some());
    }

    #[test]
    fn once_there_is_no_space_no_file_without_a_header_goes() {
        let mut stay = Vec::new();
        for n in 1..=20 {
            let mut sim = Sim::new(5);
            let (env, dir) = (sim.env(), sim.dir());
            let log = Wal::open_in(env, dir, Options::default()).unwrap();
            let lsn = log.append(b"one", b"").unwrap().wait().unwrap();
            log.close().unwrap();
            let disk = sim.disk();
            let paths = [1, 2].map(|n| {
                let base = Lsn::new(lsn.timeline() + n, 0);
                dir.join(LOG_DIR).join(segment_name(base, 0))
            });
            paths.iter().for_each(|path| disk.plant(path, &[0; 8192]).unwrap());
            disk.order(When::Change(disk.counts().changes + n), Fault::Fail(Failure::Full));
            let opened = Wal::open_in(sim.env(), dir, Options::default());
            let are_there = paths.iter().filter(|path| disk.read(path).is_ok()).count();
            let read_only = opened.ok().and_then(|log| log.read_only());
            if read_only.is_some_and(|e| e.to_string().contains("removing")) {
                stay.push(are_there);
            }
        }
        assert_eq!(stay, [2, 1], "where the first removal fails, and where the second does");
    }

    /// A log of some segments whose process was killed.
    fn killed() -> (Sim, Catalog) {
        let mut sim = Sim::new(7);
        let options =
            Options { segment_bytes_min: 16 << 10, segment_bytes_max: 16 << 10, ..Options::default() };
        let log = Wal::open_in(sim.env(), sim.dir(), options).unwrap();
        (0..20).for_each(|_| _ = log.append(b"one", &[7; 3000]).unwrap().wait().unwrap());
        sim.kill();
        drop(log);
        let catalog = Catalog::decode(&sim.disk().read(&sim.dir().join(MANIFEST)).unwrap()).unwrap();
        (sim, catalog)
    }

    /// An opening is refused, and all files but LOCK are as they were.
    #[track_caller]
    fn is_refused(sim: &mut Sim, what: &str) {
        let files = |sim: &mut Sim| -> Vec<(String, Vec<u8>)> {
            let (disk, dir) = (sim.disk(), sim.dir());
            let names = disk.list(&dir.join(LOG_DIR)).unwrap().into_iter();
            let names = names.map(|name| format!("{LOG_DIR}/{name}")).chain(disk.list(dir).unwrap());
            let read = |name: String| disk.read(&dir.join(&name)).ok().map(|bytes| (name, bytes));
            names.filter(|name| name != LOCK).filter_map(read).collect()
        };
        let before = files(sim);
        assert!(before.len() > 4);
        let refused = Wal::open_in(sim.env(), sim.dir(), Options::default()).expect_err(what);
        assert!(matches!(refused.kind(), ErrorKind::Corrupt | ErrorKind::Format), "{what}: {refused}");
        assert!(files(sim) == before, "{what}: {refused}");
    }

    #[test]
    fn a_rest_segment_that_says_it_ends_behind_its_space_is_not_taken_over() {
        for behind in [1, 4096] {
            let (mut sim, catalog) = killed();
            let last = catalog.segments.iter().rfind(|entry| entry.end.is_none()).unwrap();
            let (base, capacity) = (last.base.plus(4096), last.capacity - 4096);
            let header = SegmentHeader {
                kind: SegmentKind::Rest,
                store: catalog.store,
                base,
                capacity,
                number: 1,
                created_us: 0,
                generation: 0,
                end: base.plus(capacity + behind),
            };
            let mut bytes = header.encode();
            bytes.resize((DATA_OFFSET + capacity) as usize, 0);
            sim.disk().plant(&sim.dir().join(LOG_DIR).join(segment_name(base, 0)), &bytes).unwrap();
            is_refused(&mut sim, "a rest segment");
        }
    }

    #[test]
    fn a_manifest_that_would_have_files_written_over_or_none_behind_it_is_refused() {
        type Change = fn(&mut Catalog);
        let cases: [(&str, Change); 4] = [
            ("frontier inside a segment", |c| c.frontier = c.segments.last().unwrap().base.plus(4096)),
            ("frontier at a segment", |c| c.frontier = c.segments.last().unwrap().base),
            ("frontier between blocks", |c| c.frontier = c.frontier.plus(1)),
            ("the last generation", |c| c.generation = u64::MAX),
        ];
        for (what, change) in cases {
            let (mut sim, mut catalog) = killed();
            change(&mut catalog);
            sim.disk().plant(&sim.dir().join(MANIFEST), &catalog.encode()).unwrap();
            is_refused(&mut sim, what);
        }
    }
}
