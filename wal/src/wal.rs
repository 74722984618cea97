//! Corridor: opening, using and closing a log.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::env::{Env, Threads};
use crate::error::{Error, ErrorKind, Result};
use crate::format::checksum::StoreId;
use crate::format::frame::Frame;
use crate::group::Placed;
use crate::iterate::Replay;
use crate::log::Log;
use crate::lsn::Lsn;
use crate::open::{open, opened, start_threads};
use crate::options::{Durability, Options};
use crate::place::{NotPlaced, Urgency};
use crate::replay::{Replayed, Replayer};
use crate::report::RecoveryReport;
use crate::scan::Verify;
use crate::stats::Stats;
use crate::sync::{Mutex, Shares, Sleeper};
use crate::ticket::{Ticket, busy};

mod checkpoint;
mod read;

/// An open log. Closing it, or dropping it, makes everything durable and gives the directory up.
///
/// One handle has the log at a time, in one process; share it behind an `Arc`.
#[derive(Debug)]
pub struct Wal {
    pub(crate) log: Arc<Log>,
    /// The log, for tickets.
    shares: Shares<Log>,
    report: Mutex<RecoveryReport>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// How a record is appended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Append {
    /// When it is answered.
    pub durability: Durability,
    /// Whether it may use the reserve on a full disk.
    pub urgency: Urgency,
}

/// Why a frame got no place at once; see [`Wal::try_place`].
#[derive(Debug)]
pub enum NotNow {
    /// Room must be made first: [`Wal::make_room`], then try again.
    NoRoom,
    /// The log takes nothing.
    Refused(Error),
}

impl Wal {
    /// Opens the log in the directory `path`, making it if it is missing.
    ///
    /// # Errors
    ///
    /// As [`Wal::open_in`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, Options::default())
    }

    /// Opens the log in the directory `path`.
    ///
    /// # Errors
    ///
    /// As [`Wal::open_in`].
    pub fn open_with(path: impl AsRef<Path>, options: Options) -> Result<Self> {
        Self::open_in(Env::os(), path.as_ref(), options)
    }

    /// Opens the log in `root` of the world `env`: locks it, finds its end, makes that end a fact. A relative path is what it
    /// means now.
    ///
    /// When it returns, everything that was ever acknowledged as durable is there, and everything that will be read is
    /// durable. No segment was modified. Space is first taken by the first append.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Locked`]: somebody else has it.
    /// - [`ErrorKind::Missing`]: there is none, and [`Create::Never`](crate::Create::Never) forbids making one.
    /// - [`ErrorKind::Foreign`]: the directory holds something else. [`ErrorKind::Format`]: a newer format.
    /// - [`ErrorKind::Corrupt`]: something acknowledged is missing; the message says what and where.
    /// - [`ErrorKind::Invalid`]: an option is out of its range, the path is empty, or the directory lies on a network.
    /// - [`ErrorKind::Full`]: there is no space to make a log.
    ///
    /// Where recovery has no space to write what it decided, this is no error: the log is open to read
    /// ([`Wal::read_only`]), everything acknowledged is there, and nothing on the disk was changed. So it is with
    /// [`Unwritable::Read`](crate::Unwritable::Read) where nothing in the directory can be written.
    pub fn open_in(env: Env, root: &Path, options: Options) -> Result<Self> {
        let (log, report) = open(env, root, options)?;
        let threads = start_threads(&log)?;
        opened(&log);
        let shares = Shares::new(&log);
        Ok(Self { log, shares, report: Mutex::new(report), threads: Mutex::new(threads) })
    }

    /// What opening found.
    #[must_use]
    pub fn report(&self) -> RecoveryReport {
        *self.report.lock()
    }

    /// Reports of earlier recoveries after unclean stops, newest last.
    #[must_use]
    pub fn reports(&self) -> Vec<RecoveryReport> {
        self.log.catalog.lock().reports.clone()
    }

    /// Adds to this open's report what replaying it took, and what all of it was estimated to take; kept with the next
    /// change of the catalog.
    pub fn note_replayed(&self, records: u64, replaying: Duration, estimated: Duration) {
        let mut report = self.report.lock();
        (report.replayed_records, report.replaying, report.estimated) = (records, replaying, estimated);
        let mut catalog = self.log.catalog.lock();
        if let Some(kept) = catalog.reports.last_mut().filter(|kept| kept.at_us == report.at_us) {
            *kept = *report;
        }
    }

    /// Appends one record and returns a ticket that carries its place in the log.
    ///
    /// The record is durable only once the ticket resolves; until then a crash may lose it, never tear it. Records
    /// become durable in [`Lsn`] order. May block while too much is in flight or a segment is being prepared.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let log = savehold_wal::Wal::open(dir.path().join("log"))?;
    /// let first = log.append(b"one", b"")?; // both have their places now, in this order
    /// let second = log.append(b"two", b"")?;
    /// second.wait()?; // and both are durable: the first one stands before the second
    /// assert!(first.try_result().is_some());
    /// # Ok::<(), savehold_wal::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::TooLarge`], [`ErrorKind::Full`]: nothing was written; the log stays usable.
    /// - [`ErrorKind::Busy`]: too many files are open to go on in the next one; nothing was written.
    /// - [`ErrorKind::Halted`]: an earlier write or sync failed. Whether the last records survived is known only after
    ///   reopening.
    pub fn append(&self, head: &[u8], body: &[u8]) -> Result<Ticket> {
        let parts: &[&[u8]] = if body.is_empty() { &[] } else { &[body] };
        self.append_frame(Frame::record(head, parts)?, Append::default())
    }

    /// Appends records in order; the ticket is the last one's, and resolves when all are durable. Each record stands
    /// or falls alone in a crash: a prefix of them survives. `None` where there are no records.
    ///
    /// # Errors
    ///
    /// As [`Wal::append`]. Where one is refused, those before it have their places already.
    pub fn append_batch<'a>(
        &self,
        records: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<Option<Ticket>> {
        let mut last = None;
        let refused = records.into_iter().try_for_each(|(head, body)| {
            let mut frame = Frame::record(head, &[body])?;
            last = Some(self.log.append(&mut frame, Durability::Synced, Urgency::Ordinary)?);
            Ok(())
        });
        self.log.kick(); // those in front of one that is refused are written like any others
        refused.map(|()| last.map(|placed| Ticket::new(self.shares.share(), placed)))
    }

    /// Appends a frame that was encoded before, and returns its ticket.
    ///
    /// # Errors
    ///
    /// As [`Wal::append`].
    pub fn append_frame(&self, mut frame: Frame, how: Append) -> Result<Ticket> {
        let placed = self.log.append(&mut frame, how.durability, how.urgency)?;
        self.log.kick();
        Ok(Ticket::new(self.shares.share(), placed))
    }

    /// Appends a frame and waits for its answer, on this thread where nobody else is writing: one write, one sync.
    ///
    /// # Errors
    ///
    /// As [`Wal::append`] and [`Ticket::wait`].
    pub fn commit(&self, mut frame: Frame, how: Append) -> Result<Lsn> {
        let placed = self.log.append(&mut frame, how.durability, how.urgency)?;
        self.log.wait(placed)?;
        Ok(placed.lsn)
    }

    /// Gives a frame its place without waiting for anything: for callers that hold a lock of their own. On success
    /// the frame's bytes are gone; see to it with [`Wal::settle`] once the lock is free. Right before that `placing` hears behind
    /// which place everything has its answer; nothing else gets one until the frame is placed.
    ///
    /// # Errors
    ///
    /// [`NotNow`]; nothing changed.
    pub fn try_place(
        &self,
        frame: &mut Frame,
        how: Append,
        placing: impl FnOnce(Lsn),
    ) -> Result<Placed, NotNow> {
        self.log.try_append(frame, how.durability, how.urgency, placing).map_err(|e| match e {
            NotPlaced::NoRoom => NotNow::NoRoom,
            NotPlaced::Refused(e) => NotNow::Refused(e),
        })
    }

    /// Makes room for a frame of `bytes`. May block for as long as preparing a segment takes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Full`], [`ErrorKind::Halted`].
    pub fn make_room(&self, bytes: u64) -> Result<()> {
        self.log.make_room(bytes)
    }

    /// Waits until a frame of `bytes` may be in flight.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Halted`], [`ErrorKind::Closed`].
    pub fn admit(&self, bytes: u64) -> Result<()> {
        self.log.admit(bytes)
    }

    /// Answers at once whether a frame of `bytes` may be in flight.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`]: nothing was written.
    pub fn admit_now(&self, bytes: u64) -> Result<()> {
        if self.log.admits(bytes) {
            return Ok(());
        }
        self.log.check()?; // nobody writes what is in flight behind a halt, or in a forked child
        Err(busy(bytes))
    }

    /// The ticket of a frame placed by [`Wal::try_place`]; sees to it that it gets written.
    pub fn settle(&self, placed: Placed) -> Ticket {
        self.log.after_append();
        self.log.kick();
        Ticket::new(self.shares.share(), placed)
    }

    /// Waits for the answer to what was placed through `placed`, writing it on this thread where nobody else does.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unknown`].
    pub fn wait(&self, placed: Placed) -> Result<()> {
        self.log.after_append();
        self.log.wait(placed)
    }

    /// Engine time of the record at `lsn`, microseconds since 1970; `None` outside the log. Records of one group share
    /// a time; times never fall.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`].
    pub fn time_of(&self, lsn: Lsn) -> Result<Option<u64>> {
        self.log.time_of(lsn)
    }

    /// Behind the last record whose engine time is not later than `time_us`; `None` where all are later.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`].
    pub fn at_time(&self, time_us: u64) -> Result<Option<Lsn>> {
        self.log.at_time(time_us)
    }

    /// Unparks `thread` once what was placed has its answer, or at once where it has; sees to it that it gets written.
    pub fn wake_when(&self, placed: Placed, thread: std::thread::Thread) {
        if self.log.env.threads == Threads::None {
            return thread.unpark(); // nobody else writes: the thread does, when it waits
        }
        self.log.kick();
        let done = || self.log.acknowledged.get() >= placed.end || self.log.failure.get().is_some();
        if self.log.waiters.add(placed.end, Sleeper::Thread(thread.clone()), done).is_none() {
            thread.unpark();
        }
    }

    /// Where the log left the timeline of `lsn`, if `lsn` lies in a future that was undone by a restore or a repair.
    #[must_use]
    pub fn undone(&self, lsn: Lsn) -> Option<Lsn> {
        self.log.catalog.lock().undone(lsn)
    }

    /// The records at and behind `from` as they stand now, in order.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let log = savehold_wal::Wal::open(dir.path().join("log"))?;
    /// let lsn = log.append(b"one", b"body")?.wait()?;
    /// for record in log.replay(lsn)? {
    ///     assert_eq!(record?.head, "one");
    /// }
    /// # Ok::<(), savehold_wal::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`]: `from` was retired.
    pub fn replay(&self, from: Lsn) -> Result<Replay> {
        Replay::new(self.log.clone(), from)
    }

    /// Hands the heads of all records at and behind `from` to `replayers`, one a thread, fast; the bodies are verified
    /// too where `verify` says so.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`]: something is damaged, and where. [`ErrorKind::Aborted`]: the progress callback said so.
    pub fn replay_into<R: Replayer>(
        &self,
        from: Lsn,
        verify: Verify,
        replayers: Vec<R>,
    ) -> Result<(Replayed, Vec<R>)> {
        self.log.replay_into(from..Lsn::MAX, verify, replayers)
    }

    /// From the oldest record that is kept to behind the newest that the system has.
    #[must_use]
    pub fn span(&self) -> Range<Lsn> {
        let end = self.log.accepted.get();
        let first = self.log.segments.read().first().map_or(end, |s| s.base.min(end));
        first..end
    }

    /// Everything before it is durable.
    #[must_use]
    pub fn durable(&self) -> Lsn {
        self.log.durable.get()
    }

    /// Every commit before it has its answer: what readers may see.
    #[inline]
    #[must_use]
    pub fn acknowledged(&self) -> Lsn {
        self.log.acknowledged.get()
    }

    /// The system has every byte before it: what can be read from files.
    #[inline]
    #[must_use]
    pub fn accepted(&self) -> Lsn {
        self.log.accepted.get()
    }

    /// Makes everything appended so far durable, buffered records too, and says through where.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Halted`], [`ErrorKind::Unknown`].
    pub fn sync(&self) -> Result<Lsn> {
        match self.log.check() {
            Err(e) if e.kind() == ErrorKind::ReadOnly => Ok(self.durable()), // all that is served is
            checked => checked.and_then(|()| self.log.sync_placed()),
        }
    }

    /// Gives up all segments that end at or before `before`; says how many bytes of disk came free. Damaged tails are
    /// copied to quarantine first.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Halted`], [`ErrorKind::Io`]: what was not given up stays. Where only a file cannot be removed, all of it is
    /// given up, and the next open removes the file.
    pub fn retire(&self, before: Lsn) -> Result<u64> {
        self.log.check()?;
        self.log.retire(before)
    }

    /// Does background work that is due, where the log has no threads of its own; says when something will be next.
    pub fn tick(&self) -> Option<Duration> {
        if self.log.env.threads == Threads::None { self.log.tick() } else { None }
    }

    /// Engine time, microseconds since 1970: never falls, whatever the wall clock does.
    #[must_use]
    pub fn time_us(&self) -> u64 {
        self.log.time.now_us(&*self.log.env.clock)
    }

    /// The world that the log runs in.
    #[must_use]
    pub fn env(&self) -> &Env {
        &self.log.env
    }

    /// The directory of the log.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.log.root
    }

    /// The identity of the log.
    #[must_use]
    pub fn store_id(&self) -> StoreId {
        self.log.store
    }

    /// Why the log takes nothing any more, if it does not.
    #[must_use]
    pub fn failure(&self) -> Option<Error> {
        self.log.check().err()
    }

    /// Why the log is open to read only, if it is: recovery had no space, and the message says how many bytes it needs.
    /// Every write answers this. With that space, closing and opening again recovers fully.
    #[must_use]
    pub fn read_only(&self) -> Option<Error> {
        self.log.read_only.clone()
    }

    /// Where the log stands.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.log.stats()
    }

    /// Makes everything durable, proves it with a mark, and gives the directory up.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Halted`], [`ErrorKind::Unknown`]: a write or sync failed, now or earlier. The directory is given up
    /// all the same.
    pub fn close(self) -> Result<()> {
        self.end()
    }

    /// [`Wal::close`] for a handle that others share: their later calls answer [`ErrorKind::Closed`]. Whoever asks while
    /// another closes waits for that.
    ///
    /// # Errors
    ///
    /// As [`Wal::close`].
    pub fn shut(&self) -> Result<()> {
        self.end()
    }

    fn end(&self) -> Result<()> {
        if self.log.is_forked() {
            self.log.leave();
            return self.log.check(); // a forked child touches nothing else: the log is its parent's
        }
        // Held to the end: whoever closes second takes away neither threads nor directory from the first.
        let mut threads = self.threads.lock();
        let closed = self.log.close_down();
        self.log.stop_threads();
        let panic = threads.drain(..).fold(None, |panic, thread| thread.join().err().or(panic));
        *self.log.lock.lock() = None;
        match panic {
            Some(panic) if !std::thread::panicking() => std::panic::resume_unwind(panic),
            _ => closed,
        }
    }
}

impl Drop for Wal {
    fn drop(&mut self) {
        if !self.log.closed.load(Ordering::Acquire) {
            _ = self.end();
        }
    }
}
