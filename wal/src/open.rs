//! Corridor: opening a log, as a list of steps; and closing it.
//!
//! Opening: settle the directory, lock it, read or make the catalog, recover, write down what recovery decided, build
//! the state. Nothing is served before the last of these; what they leave after a crash is in `recover` and `manifest`.
//! Where a step finds no space nothing more is changed, and the log is opened to read; where nothing can be written, and the
//! options say so, nothing is from the beginning (`shortage`).

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use crate::bell::Bell;
use crate::env::{Env, Threads};
use crate::error::{Error, ErrorKind, Result};
use crate::format::checksum::StoreId;
use crate::group::Sequencer;
use crate::habit::Habit;
use crate::holder;
use crate::keeper::Marking;
use crate::limits::BLOCK_BYTES;
use crate::log::{Counters, EngineTime, KeeperBell, LET_GO_AFTER, Log, Order, Removed};
use crate::lsn::Lsn;
use crate::mapped::MappedWrites;
use crate::options::{Create, Options, Unwritable};
use crate::recover::{Recovered, Recovery, given_up};
use crate::report::{ClockNote, RecoveryReport};
use crate::schedule;
use crate::segment::catalog::{Catalog, Timeline};
use crate::segment::file::{Access, Segment, corrupt};
use crate::segment::manifest::{self, NotReplaced};
use crate::segment::name::{
    CONTROL, INDEX_DIR, LOCK, LOG_DIR, MANIFEST, MANIFEST_NEXT, MANIFEST_PREVIOUS, QUARANTINE_DIR,
};
use crate::shortage::{Shortage, space_of};
use crate::sync::{Condvar, Copies, Mutex, NewLine, Waiters, Watermark};
use crate::turns::{Crowd, TURNS, Turns, Unanswered};
use crate::vfs::{DirLock, Latch, Medium};

/// The steps of opening.
pub(crate) fn open(env: Env, root: &Path, mut options: Options) -> Result<(Arc<Log>, RecoveryReport)> {
    let begun = env.clock.monotonic();
    options.check()?;
    let root = &env.full_path(root)?;
    let new = settle_root(&env, root, options.create)?;
    let lock = holder::take(&env, root, options.lock_wait)?;
    let unfinished = holder::read(&*env.vfs, root).unfinished;
    if unfinished > 0 {
        options.access = Access::Pread; // the last open died in the middle: perhaps of a bad sector under a map
    }
    let unwritable = match options.unwritable {
        Unwritable::Refused => None,
        Unwritable::Read => holder::unwritable(&env, root, unfinished),
    };
    if unwritable.is_some() {
        options.access = Access::Pread; // an open that dies cannot be counted
    }
    let Found { mut catalog, made, shortage } =
        load_or_make(&env, root, new, unwritable.map(Shortage::of_leave))?;
    let generation = catalog.next_generation()?;
    holder::write(&env, root, unfinished.saturating_add(1));
    let recovery = Recovery { env: &env, root, access: options.access, catalog: &mut catalog, shortage };
    let mut recovered = recovery.run().inspect_err(|_| holder::write(&env, root, unfinished))?;
    let mut report = report_of(&env, &catalog, &recovered, made);
    report.judging = env.clock.monotonic().saturating_sub(begun);
    if recovered.changed {
        catalog.time_us = catalog.time_us.max(recovered.time_us);
        catalog.keep_report(report);
        catalog.generation = generation;
        if recovered.shortage.is_none() {
            let replaced = manifest::replace(&*env.vfs, root, &catalog).map_err(NotReplaced::into_error);
            recovered.shortage = Shortage::of(replaced)?;
        }
    }
    let read_only = recovered.shortage.take().map(|shortage| {
        let manifest = space_of(catalog.encode().len() as u64);
        if shortage.is_of_space() {
            report.lacking_bytes = recovered.unwritten + manifest + BLOCK_BYTES; // a block for LOCK
        }
        shortage.refusal(root, report.lacking_bytes, env.vfs.free_bytes(root).unwrap_or(0))
    });
    Ok((Arc::new(build(env, root, options, lock, catalog, recovered, read_only)), report))
}

/// Starts the writers and the keeper of an open log, where it has threads of its own: as many writers as may sync at once.
pub(crate) fn start_threads(log: &Arc<Log>) -> Result<Vec<JoinHandle<()>>> {
    if log.env.threads == Threads::None {
        return Ok(Vec::new());
    }
    let start = |name: &str, run: fn(&Log)| {
        let log = log.clone();
        #[cfg(feature = "planted")]
        let planted = crate::planted::now();
        schedule::start(name, move || {
            #[cfg(feature = "planted")]
            crate::planted::plant(planted);
            let _watch = log.watch();
            run(&log);
        })
    };
    let writers = log.order.lock().turns.most();
    let runs = std::iter::once(("savehold-keeper", Log::run_keeper as fn(&Log)))
        .chain(std::iter::repeat_n(("savehold-writer", Log::run_writer as fn(&Log)), writers));
    let mut threads = Vec::new();
    for (name, run) in runs {
        match start(name, run) {
            Ok(thread) => threads.push(thread),
            Err(e) => {
                log.stop_threads();
                threads.into_iter().for_each(|thread| _ = thread.join()); // they hold the log, and with it the directory
                return Err(e);
            }
        }
    }
    Ok(threads)
}

/// Says that an open went through to its end.
pub(crate) fn opened(log: &Log) {
    holder::write(&log.env, &log.root, 0);
}

impl Log {
    /// Lets the log's threads end.
    pub(crate) fn stop_threads(&self) {
        self.order.lock().stop = true;
        self.hand_over.notify_all();
        self.keeper.state.lock().stop = true;
        self.keeper.ring.notify_all();
    }

    /// The steps of closing: refuse appends, make everything durable, prove it, say so in the catalog.
    pub(crate) fn close_down(&self) -> Result<()> {
        let mut order = self.order.lock(); // whoever places anything looks under it: what has a place then is written below
        let before = self.closed.swap(true, Ordering::AcqRel);
        while order.mapped.is_zeroing() {
            self.drained.wait(&mut order); // zeros must not come once the directory is somebody else's
        }
        drop(order);
        if before {
            return Ok(());
        }
        let done = self.settle_down();
        self.unmap();
        self.settled_down.store(true, Ordering::Release);
        self.wake_followers(Lsn::MAX);
        self.let_removed_go();
        done
    }

    fn settle_down(&self) -> Result<()> {
        if let Some(failure) = self.failure.get() {
            return Err(failure.clone());
        }
        if !self.order.lock().begun {
            return Ok(()); // nothing was appended: what the catalog says still holds
        }
        let through = self.sync_placed()?;
        self.write_mark(Marking::Closing)?;
        let mut catalog = self.catalog.lock();
        if self.order.lock().frames.active().is_none() {
            return Ok(());
        }
        let mut named = Catalog::clone(&catalog);
        named.clean_end = Some(self.durable.get().max(through));
        self.note_ends(&mut named);
        match self.name(&mut catalog, named) {
            Err(e) if e.kind().is_short() => Ok(()), // as good as a crash: the next open judges
            other => other,
        }
    }
}

/// Is there a log, may one be made, is the directory ours? True where one is to be made.
fn settle_root(env: &Env, root: &Path, create: Create) -> Result<bool> {
    let names = match env.vfs.list(root) {
        Ok(names) => names,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => {
            let say = format!("{} is a file: name a directory", root.display());
            return Err(Error::new(ErrorKind::Foreign, say));
        }
        Err(e) => return Err(Error::io(ErrorKind::Io, "listing", root, e)),
    };
    let known =
        [LOCK, MANIFEST, MANIFEST_NEXT, MANIFEST_PREVIOUS, LOG_DIR, QUARANTINE_DIR, INDEX_DIR, CONTROL];
    if names.iter().any(|name| name == MANIFEST || name == MANIFEST_PREVIOUS) {
        refuse_networks(env, root)?;
        return Ok(false);
    }
    if let Some(other) = names.iter().find(|name| !known.contains(&name.as_str())) {
        let say = format!(
            "{} holds `{other}`, which is not a store's: name an empty or new directory",
            root.display()
        );
        return Err(Error::new(ErrorKind::Foreign, say));
    }
    if create == Create::Never && !names.iter().any(|name| name == MANIFEST_NEXT) {
        let say = format!(
            "there is no store in {}: is the disk mounted? To make one, run `savehold init`",
            root.display()
        );
        return Err(Error::new(ErrorKind::Missing, say));
    }
    made(env.vfs.create_dir(root), "making", root)?;
    refuse_networks(env, root)?;
    Ok(true)
}

/// A step of making a log, which leaves nothing to read where it finds no space.
fn made(step: io::Result<()>, doing: &str, path: &Path) -> Result<()> {
    let step = step.map_err(|e| Error::io(ErrorKind::Io, doing, path, e));
    Shortage::of(step)?.map_or(Ok(()), |shortage| Err(shortage.into_error()))
}

fn refuse_networks(env: &Env, root: &Path) -> Result<()> {
    match env.vfs.medium(root) {
        Ok(Medium::Local) => Ok(()),
        Ok(Medium::Network(name)) => {
            let say = format!(
                "{} lies on {name}: its locks and syncs promise less; use a local disk",
                root.display()
            );
            Err(Error::new(ErrorKind::Invalid, say))
        }
        Err(e) => Err(Error::io(ErrorKind::Io, "asking the file system of", root, e)),
    }
}

/// The catalog to go on with.
struct Found {
    catalog: Catalog,
    /// It was made just now.
    made: bool,
    /// There was no space or no leave to make it durable, which asks only that nothing is changed on its word.
    shortage: Option<Shortage>,
}

fn load_or_make(env: &Env, root: &Path, may_make: bool, unwritable: Option<Shortage>) -> Result<Found> {
    let dir = root.join(LOG_DIR);
    let shortage = match unwritable {
        Some(shortage) => Some(shortage),
        None => match manifest::finish(&*env.vfs, root) {
            Err(NotReplaced::Failed(e)) => return Err(e),
            finished => Shortage::of(finished.map_err(NotReplaced::into_error))?,
        },
    };
    if let Some(catalog) = manifest::load(&*env.vfs, root)? {
        return Ok(Found { catalog, made: false, shortage });
    }
    if let Some(shortage) = shortage {
        return Err(shortage.into_error());
    }
    let segments = env.vfs.list(&dir).unwrap_or_default();
    if !may_make || segments.iter().any(|name| name.ends_with(".seg")) {
        return Err(corrupt(&root.join(MANIFEST), "is missing, though there are segments"));
    }
    made(env.vfs.create_dir(&dir), "making", &dir)?;
    made(env.vfs.sync_dir(root), "syncing", root)?;
    sync_above(env, root)?;
    let catalog = Catalog::new(new_store_id(env), first_timeline(env));
    let replaced = manifest::replace(&*env.vfs, root, &catalog).map_err(NotReplaced::into_error);
    match Shortage::of(replaced)? {
        Some(shortage) => Err(shortage.into_error()),
        None => Ok(Found { catalog, made: true, shortage: None }),
    }
}

/// Makes the names of all directories above `root` durable: some of them may have been made just now, or by an open
/// that a crash ended. One that may not be opened was there before, and so were those above it.
pub(crate) fn sync_above(env: &Env, root: &Path) -> Result<()> {
    for (n, above) in root.ancestors().skip(1).enumerate() {
        let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
        match env.vfs.sync_dir(above) {
            Err(e) if n > 0 && e.kind() == std::io::ErrorKind::PermissionDenied => return Ok(()),
            other => other.map_err(|e| Error::io(ErrorKind::Io, "syncing", above, e))?,
        }
    }
    Ok(())
}

fn new_store_id(env: &Env) -> StoreId {
    let mut id = [0; 16];
    env.entropy.fill(&mut id);
    StoreId(id)
}

/// Days since 2020, at least 1: a later store, restore or repair begins a larger one.
///
/// A clock that is wrong by a century does not say which day it is: numbers are never given back, and the last one would
/// leave none for whatever is restored or repaired later.
pub(crate) fn first_timeline(env: &Env) -> Timeline {
    const YEAR_2020_US: u64 = 1_577_836_800_000_000;
    const DAY_US: u64 = 86_400_000_000;
    const DAYS_MAX: u64 = 40_000; // in 2129
    let begun_us = env.clock.wall_us();
    let days = begun_us.saturating_sub(YEAR_2020_US) / DAY_US;
    let number = if days > DAYS_MAX { 1 } else { (days as u16).max(1) };
    Timeline { number, offset: 0, branch: Lsn::NONE, begun_us }
}

fn report_of(env: &Env, catalog: &Catalog, recovered: &Recovered, made: bool) -> RecoveryReport {
    const DAY_US: u64 = 86_400_000_000;
    let at_us = env.clock.wall_us();
    let clock = match at_us {
        _ if made => ClockNote::Fine,
        now if now < recovered.time_us => ClockNote::Behind,
        now if now - recovered.time_us > DAY_US => ClockNote::Ahead,
        _ => ClockNote::Fine,
    };
    RecoveryReport {
        clean: recovered.clean,
        at_us,
        proven: recovered.proven,
        end: recovered.end,
        groups_dropped: recovered.groups_dropped,
        segments: catalog.segments.len() as u64,
        scanned_bytes: recovered.scanned_bytes,
        clock,
        ..RecoveryReport::default()
    }
}

/// How many may sync at once: more than one where the system has threads, opens files so and gives them out.
fn turns_of(env: &Env, goes_on_in: [Option<&Arc<Segment>>; 2]) -> Turns {
    let mut goes_on_in = goes_on_in.into_iter().flatten();
    let beside = env.threads == Threads::Own
        && env.vfs.opens_beside()
        && goes_on_in.all(|segment| segment.beside.open(&*env.vfs, &segment.path).is_ok());
    Turns::new(if beside { TURNS } else { 1 })
}

fn build(
    env: Env,
    root: &Path,
    options: Options,
    lock: Box<dyn DirLock>,
    catalog: Catalog,
    recovered: Recovered,
    read_only: Option<Error>,
) -> Log {
    let at = if recovered.active.is_some() { recovered.end } else { catalog.frontier };
    let mut frames = Sequencer::new(at, recovered.active, recovered.unstated);
    if let Some(next) = recovered.next {
        frames.set_next(next);
    }
    let turns = turns_of(&env, [frames.active(), frames.next()]);
    let due = env.clock.boot() + LET_GO_AFTER;
    let removed = Some(recovered.removed).filter(|files| !files.is_empty());
    let packed = recovered.segments.iter().map(|segment| segment.complete()).max();
    let complete = given_up(&catalog, &recovered.segments).max(packed.unwrap_or(Lsn::NONE));
    let order = Order {
        frames,
        on_its_way: None,
        unanswered: Unanswered::default(),
        mapped: MappedWrites::new(options.access, env.vfs.stores()),
        turns,
        crowd: Crowd::default(),
        handed: false,
        stop: false,
        begun: false,
        full: None,
        unsynced: None,
        unmarked: None,
        habit: Habit::default(),
    };
    Log {
        time: EngineTime::new(&*env.clock, recovered.time_us),
        root: root.to_path_buf(),
        options,
        store: catalog.store,
        process: crate::raw::process_id(),
        read_only,
        lock: Mutex::new(Some(lock)),
        packing: Mutex::new(()),
        complete: Watermark::new(complete),
        catalog: Mutex::new(catalog),
        placing: NewLine,
        order: Mutex::new(order),
        segments: Copies::new(&recovered.segments),
        removed: Mutex::new(removed.map(|files| Removed { files, due })),
        waiters: Waiters::default(),
        bells: std::array::from_fn(|_| Bell::default()),
        followers: Waiters::default(),
        hand_over: Condvar::new(),
        drained: Condvar::new(),
        keeper: KeeperBell::default(),
        answering: NewLine,
        writing: AtomicBool::new(false),
        syncing: AtomicU32::new(0),
        in_flight: AtomicU64::new(0),
        waiting: AtomicU32::new(0),
        company: AtomicU32::new(0),
        without_sync: AtomicBool::new(false),
        awake: AtomicU32::new(0),
        left: AtomicBool::new(false),
        accepted: Watermark::new(recovered.end),
        durable: Watermark::new(recovered.end),
        acknowledged: Watermark::new(recovered.end),
        rest: NewLine,
        latch: Latch::new(),
        failure: OnceLock::new(),
        closed: AtomicBool::new(false),
        settled_down: AtomicBool::new(false),
        counters: Counters::default(),
        env,
    }
}
