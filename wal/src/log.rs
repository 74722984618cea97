//! Door: the state that all handles and threads of one open log share.
//!
//! Locks, in the order in which they are taken: `packing`, `catalog`, `lock`, then the waiters' lists, then `order`; `segments` and
//! `removed` are leaves. No lock is held across a call that writes or syncs but `catalog`, which no commit takes while there is room, and
//! with it `lock`, which only closing takes besides.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;

use crate::bell::Bell;
use crate::clock::Clock;
use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::format::checksum::StoreId;
use crate::group::{Group, Sequencer};
use crate::habit::Habit;
use crate::lsn::Lsn;
use crate::mapped::MappedWrites;
use crate::options::Options;
use crate::raw;
use crate::segment::catalog::Catalog;
use crate::segment::file::Segment;
use crate::sync::{Condvar, Copies, Mutex, MutexGuard, NewLine, Waiters, Watermark};
use crate::turns::{Crowd, Turns, Unanswered};
use crate::vfs::{DirLock, Latch, VfsFile};

/// Bells for groups that are on their way at once.
const BELLS: usize = 8;

/// The state of one open log. What is written all the time stands on cache lines of its own, apart by who writes it.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Log {
    // constant after open
    pub(crate) env: Env,
    pub(crate) root: PathBuf,
    pub(crate) options: Options,
    pub(crate) store: StoreId,
    pub(crate) process: u32,
    /// Why nothing may be written, where recovery had no space.
    pub(crate) read_only: Option<Error>,

    // changed once
    pub(crate) failure: OnceLock<Error>,
    /// Set under `order`: nothing is placed after it.
    pub(crate) closed: AtomicBool,
    /// Set once closing has made durable what it could: nothing more will be.
    pub(crate) settled_down: AtomicBool,

    // under their own locks
    /// The directory is ours; `None` once it was given up. Held while the catalog is replaced.
    pub(crate) lock: Mutex<Option<Box<dyn DirLock>>>,
    pub(crate) catalog: Mutex<Catalog>,
    /// Held while segments are packed or given up: one at a time.
    pub(crate) packing: Mutex<()>,
    pub(crate) segments: Copies<Vec<Arc<Segment>>>,
    /// Files that recovery removed, which are open still; a leaf.
    pub(crate) removed: Mutex<Option<Removed>>,
    pub(crate) waiters: Waiters,
    /// Threads that wait for a group sleep together, by its number: a group that is being written and those that fill behind
    /// it have bells of their own.
    pub(crate) bells: [Bell; BELLS],
    /// Who waits for more to become durable.
    pub(crate) followers: Waiters,

    /// Woken when a writer thread is handed the writing, or is to make a stretch ready.
    pub(crate) hand_over: Condvar,
    /// Woken when less is in flight, a turn to sync is free, or zeros are where a group goes.
    pub(crate) drained: Condvar,
    pub(crate) keeper: KeeperBell,

    // changed by whoever places a frame, under `order`
    pub(crate) placing: NewLine,
    pub(crate) order: Mutex<Order>,
    /// Bytes with a place and without an answer.
    pub(crate) in_flight: AtomicU64,
    /// Records in the group that is being filled.
    pub(crate) waiting: AtomicU32,

    // changed by whoever writes, under `order`, and looked at without it
    pub(crate) answering: NewLine,
    /// Somebody is writing: a committer for its own group, or a writer thread. Whoever has placed a frame and then
    /// sees this set may rely on it that the frame gets written.
    pub(crate) writing: AtomicBool,
    /// Groups that are being synced. Whoever does that looks afterwards whether something waits.
    pub(crate) syncing: AtomicU32,
    /// What is being written, or was written last, has no sync.
    pub(crate) without_sync: AtomicBool,
    /// How many records make a group, of those that come again and again (`turns`): how much company a commit has.
    pub(crate) company: AtomicU32,
    /// Threads that look for the answer to what they placed, and see to what is `left` (`answer`).
    pub(crate) awake: AtomicU32,
    /// Something waits, and nobody writes: it was left to those who are awake. Changed under `order`.
    pub(crate) left: AtomicBool,
    /// The system has everything before it.
    pub(crate) accepted: Watermark,
    /// The medium has everything before it.
    pub(crate) durable: Watermark,
    /// Commits before it have their answer.
    pub(crate) acknowledged: Watermark,

    // changed seldom, or by whoever writes
    pub(crate) rest: NewLine,
    pub(crate) latch: Latch,
    pub(crate) time: EngineTime,
    pub(crate) counters: Counters,
    /// No record at or behind it was given up.
    pub(crate) complete: Watermark,
}

/// What the sequencing lock protects.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) frames: Sequencer,
    /// What was taken from there and is being written.
    pub(crate) on_its_way: Option<Arc<Group>>,
    /// What was written since, up to the first that has no answer.
    pub(crate) unanswered: Unanswered,
    /// What may be stored into maps.
    pub(crate) mapped: MappedWrites,
    /// Who may sync.
    pub(crate) turns: Turns,
    /// Who commits again and again.
    pub(crate) crowd: Crowd,
    /// The writing was handed to a writer thread, and none has taken it yet.
    pub(crate) handed: bool,
    /// The writer threads end.
    pub(crate) stop: bool,
    /// The catalog says that the log goes on: places may be handed out.
    pub(crate) begun: bool,
    /// Why no segment could be prepared, and when that was tried (boot clock).
    pub(crate) full: Option<(Error, Duration)>,
    /// When the oldest unsynced bytes were written, and how many there are.
    pub(crate) unsynced: Option<(Duration, u64)>,
    /// When the last sync ended, if no mark proves it yet.
    pub(crate) unmarked: Option<Duration>,
    /// What groups were like of late.
    pub(crate) habit: Habit,
}

impl Order {
    /// Why ordinary records are refused, and since when (boot clock): the disk is full, or too many files are open, and no reserve is left.
    pub(crate) fn refusal(&self) -> Option<&(Error, Duration)> {
        if self.frames.next().is_some() { None } else { self.full.as_ref() }
    }

    /// True where the oldest group that waits may be stored: no sync follows it, and nothing keeps its answer back.
    pub(crate) fn may_store(&self) -> bool {
        let Self { frames, mapped, unanswered, .. } = self;
        let has = |group: &Group| group.place().is_some_and(|place| mapped.has(&group.segment, &place));
        unanswered.is_empty() && !frames.wants_sync() && frames.oldest().is_some_and(has)
    }

    /// Takes note of bytes that were written at that time (boot clock) and are not synced.
    pub(crate) fn add_unsynced(&mut self, at: Duration, bytes: u64) {
        let (since, unsynced) = self.unsynced.unwrap_or((at, 0));
        self.unsynced = Some((since, unsynced + bytes));
    }

    /// When what was written asks for something of the keeper (boot clock); zero where that is now.
    pub(crate) fn falls_due(&self, options: &Options) -> Option<Duration> {
        let sync = self.unsynced.map(|(since, unsynced)| {
            let now = unsynced >= options.sync_after_bytes;
            if now { Duration::ZERO } else { since.saturating_add(options.sync_after) }
        });
        let mark = self.unmarked.map(|since| since.saturating_add(options.mark_after));
        sync.into_iter().chain(mark).min()
    }

    /// Who is to be told that something falls due.
    pub(crate) fn due(&mut self, options: &Options) -> Due {
        Due { keeper: self.falls_due(options), writer: self.mapped.tells() }
    }

    /// Takes note that everything is durable that was written, where it is.
    pub(crate) fn note_durable(&mut self, durable: Lsn, accepted: Lsn) {
        if accepted <= durable {
            self.unsynced = None;
        }
    }

    /// True where something waits that may be written now.
    pub(crate) fn may_take(&self) -> bool {
        self.frames.has_work() && (self.turns.any() || !self.frames.wants_sync())
    }

    /// Bytes at `at` that have their place and may not be in the files yet.
    pub(crate) fn bytes_at(&self, at: Lsn, bytes: usize) -> Option<Bytes> {
        let found = |group: &Group| group.bytes_at(at, bytes);
        self.frames.waiting().find_map(found).or_else(|| self.on_its_way.as_deref().and_then(found))
    }
}

/// Who is to be told that something falls due.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due {
    /// The keeper: a sync, or a mark, and when.
    keeper: Option<Duration>,
    /// A writer thread: a stretch that is to be made ready.
    writer: bool,
}

/// Wakes the keeper; see `keeper`.
#[derive(Debug, Default)]
pub(crate) struct KeeperBell {
    pub(crate) state: Mutex<KeeperState>,
    pub(crate) ring: Condvar,
    /// It sleeps until then (boot clock, microseconds), if nobody wakes it for something that falls due before; zero while it is awake.
    until_us: AtomicU64,
}

/// What the keeper is told.
#[derive(Debug, Default)]
pub(crate) struct KeeperState {
    pub(crate) rung: bool,
    pub(crate) stop: bool,
}

impl KeeperBell {
    /// Wakes the keeper now.
    pub(crate) fn ring(&self) {
        self.state.lock().rung = true;
        self.ring.notify_one();
    }

    /// Wakes the keeper if it would sleep longer than until `due` (boot clock), whenever it went to sleep.
    #[inline]
    pub(crate) fn ring_before(&self, due: Duration) {
        let (due_us, mut until_us) = (micros(due), self.until_us.load(Ordering::Relaxed));
        while due_us < until_us {
            match self.until_us.compare_exchange(until_us, 0, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return self.ring(),
                Err(now_us) => until_us = now_us,
            }
        }
    }

    /// Says how long the keeper will sleep; for ever without an alarm.
    pub(crate) fn sleep_until(&self, alarm: Option<Duration>) {
        self.until_us.store(alarm.map_or(u64::MAX, micros), Ordering::Release);
    }

    /// Says that the keeper is awake.
    pub(crate) fn wake(&self) {
        self.until_us.store(0, Ordering::Release);
    }

    /// Whether it sleeps, or is about to.
    #[cfg(test)]
    pub(crate) fn sleeps(&self) -> bool {
        self.until_us.load(Ordering::Acquire) > 0
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// How long files that recovery removed stay open.
pub(crate) const LET_GO_AFTER: Duration = Duration::from_secs(1);

/// Files that recovery removed, until the keeper lets them go.
#[derive(Debug)]
pub(crate) struct Removed {
    pub(crate) files: Vec<Arc<dyn VfsFile>>,
    /// When, by the boot clock.
    pub(crate) due: Duration,
}

/// Counted since open.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) records: AtomicU64,
    pub(crate) groups: AtomicU64,
    pub(crate) syncs: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) marks: AtomicU64,
    pub(crate) segments: AtomicU64,
}

impl Counters {
    /// Counts a group that was answered; under `order`.
    pub(crate) fn note(&self, records: u32, bytes: u64) {
        let add = |counter: &AtomicU64, more| {
            counter.store(counter.load(Ordering::Relaxed) + more, Ordering::Relaxed);
        };
        add(&self.records, u64::from(records));
        add(&self.groups, 1);
        add(&self.bytes, bytes);
    }
}

/// Engine time: the wall clock as read at open, advanced by the boot clock, never falling.
#[derive(Debug)]
pub(crate) struct EngineTime {
    wall_us: u64,
    boot: Duration,
    last_us: AtomicU64,
}

impl EngineTime {
    /// Goes on from `last_us`, or from the wall clock where that is later.
    pub(crate) fn new(clock: &dyn Clock, last_us: u64) -> Self {
        let wall_us = clock.wall_us().max(last_us);
        Self { wall_us, boot: clock.boot(), last_us: AtomicU64::new(wall_us) }
    }

    /// Now, microseconds since 1970.
    pub(crate) fn now_us(&self, clock: &dyn Clock) -> u64 {
        self.at_us(clock.boot())
    }

    /// At this time of the boot clock, just read: microseconds since 1970, never less than was said before.
    pub(crate) fn at_us(&self, boot: Duration) -> u64 {
        let since = boot.saturating_sub(self.boot);
        let now = self.wall_us.saturating_add(u64::try_from(since.as_micros()).unwrap_or(u64::MAX));
        self.last_us.fetch_max(now, Ordering::AcqRel).max(now)
    }
}

impl Log {
    /// Refuses where this handle may not write any more.
    pub(crate) fn check(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        if self.is_forked() {
            return Err(forked());
        }
        match self.failure.get().or(self.read_only.as_ref()) {
            Some(refusal) => Err(refusal.clone()),
            None => Ok(()),
        }
    }

    /// Tells whom it concerns what falls due, and the keeper where nothing else would wake it in time.
    pub(crate) fn tell(&self, due: Due) {
        if due.writer {
            self.hand_over.notify_one();
        }
        if let Some(due) = due.keeper {
            self.keeper.ring_before(due);
        }
    }

    /// The directory, which is not given up while this is held. Whatever makes, renames or removes a file in it holds it: once it is
    /// given up, files there may be another handle's, and have the same names.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`]: it was given up.
    pub(crate) fn held_directory(&self) -> Result<MutexGuard<'_, Option<Box<dyn DirLock>>>> {
        let held = self.lock.lock();
        if held.is_some() { Ok(held) } else { Err(closed()) }
    }

    /// Removes a file that nothing names, if it can: one that stays the next open removes.
    pub(crate) fn remove_own(&self, path: &Path) {
        if let Ok(_held) = self.held_directory() {
            _ = self.env.vfs.remove(path);
        }
    }

    /// This is another process than the one that opened the log: it must not write.
    pub(crate) fn is_forked(&self) -> bool {
        raw::process_id() != self.process
    }

    /// Lets go of what a forked child inherited of the directory's lock: else nobody had the directory, once the old process
    /// was killed, until the child ends.
    pub(crate) fn leave(&self) {
        if self.is_forked()
            && let Some(mut lock) = self.lock.try_lock()
        {
            *lock = None; // a thread that is not there may have it for ever
        }
    }

    /// Ends all writing through this handle: a write or a sync failed. Every waiter is woken and learns that its
    /// outcome is unknown.
    pub(crate) fn halt(&self, why: &Error) -> Error {
        let say = format!(
            "{}: nothing more is written; close and open again to learn what survived",
            why.message()
        );
        let failure = self.failure.get_or_init(|| Error::new(ErrorKind::Halted, say)).clone();
        self.unmap(); // under `order`: who looked before the failure stood there sleeps by now, and hears the bell
        self.drained.notify_all();
        for sleeper in self.waiters.reached(Lsn::MAX) {
            sleeper.wake();
        }
        self.bells.iter().for_each(Bell::ring);
        self.wake_followers(Lsn::MAX);
        self.let_removed_go(); // which may take as long as the disk takes
        failure
    }

    /// Gives up what may be stored to.
    pub(crate) fn unmap(&self) {
        let mut order = self.order.lock();
        order.mapped.begin_sync();
        let spent = order.mapped.take_spent();
        drop(order);
        drop(spent);
    }

    /// Closes files that recovery removed, which gives the disk their space back; false where there are none.
    pub(crate) fn let_removed_go(&self) -> bool {
        let removed = self.removed.lock().take();
        removed.map(|removed| drop(removed.files)).is_some() // takes the longer the longer they are
    }

    /// The error of a record that has a place and will get no answer.
    pub(crate) fn unknown(&self, lsn: Lsn) -> Error {
        let why = match self.failure.get() {
            Some(failure) => failure.message(),
            None if self.is_forked() => "this handle was made before a fork: the old process knows",
            None => "the log was closed: open it again, and see whether it is there",
        };
        Error::new(ErrorKind::Unknown, format!("the record at {lsn} may or may not be durable: {why}"))
            .at(lsn)
    }

    /// What rings once the group of this number has its answer.
    pub(crate) fn bell(&self, group: u32) -> &Bell {
        &self.bells[group as usize % BELLS]
    }

    /// Wakes everybody who waited for `place`.
    pub(crate) fn wake_reached(&self, place: Lsn) {
        for sleeper in self.waiters.reached(place) {
            sleeper.wake();
        }
    }

    /// Everything before it is durable and has its answer.
    pub(crate) fn settled(&self) -> Lsn {
        self.durable.get().min(self.acknowledged.get())
    }

    /// Wakes everybody who waited for `settled` to become durable.
    pub(crate) fn wake_followers(&self, settled: Lsn) {
        for sleeper in self.followers.reached(settled) {
            sleeper.wake();
        }
    }

    /// The segment that holds `lsn`.
    pub(crate) fn segment_of(&self, lsn: Lsn) -> Option<Arc<Segment>> {
        segment_in(&self.segments.read(), lsn).cloned()
    }

    /// Adds an open segment in its place.
    pub(crate) fn add_segment(&self, segment: &Arc<Segment>) {
        self.segments.replace(|segments| {
            let mut list = segments.clone();
            let at = list.partition_point(|s| (s.base, s.generation) < (segment.base, segment.generation));
            list.insert(at, segment.clone());
            list
        });
    }

    /// Puts a packed segment in place of those that it was made of; who reads one of them goes on reading.
    pub(crate) fn swap_segments(&self, sources: &[Arc<Segment>], packed: &Arc<Segment>) {
        let is_source = |s: &Arc<Segment>| sources.iter().any(|source| Arc::ptr_eq(source, s));
        self.segments.replace(|segments| {
            let mut list: Vec<Arc<Segment>> = segments.iter().filter(|s| !is_source(s)).cloned().collect();
            let at = list.partition_point(|s| (s.base, s.generation) < (packed.base, packed.generation));
            list.insert(at, packed.clone());
            list
        });
    }

    /// Forgets a segment; who reads it goes on reading.
    pub(crate) fn drop_segment(&self, base: Lsn, generation: u32) {
        let keep = |s: &&Arc<Segment>| (s.base, s.generation) != (base, generation);
        self.segments.replace(|segments| segments.iter().filter(keep).cloned().collect());
    }
}

pub(crate) fn forked() -> Error {
    let say =
        "this handle was made before a fork: open the log in the new process, once the old one gave it up";
    Error::new(ErrorKind::Forked, say)
}

pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the log was closed: open it again")
}

/// The segment in the list that holds `lsn`.
#[inline]
pub(crate) fn segment_in(segments: &[Arc<Segment>], lsn: Lsn) -> Option<&Arc<Segment>> {
    let behind = segments.partition_point(|s| s.base <= lsn);
    segments[..behind].iter().rev().find(|s| lsn < s.end().unwrap_or(s.capacity_end()))
}
