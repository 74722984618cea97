//! Corridor: from a place in the log to the medium.
//!
//! Alone, a committer writes its own group: one write, one sync, no other thread. With company the writer thread
//! takes over: it writes everything that waits as one group while the next one fills. A group without a sync is written
//! in less time than a thread is woken in: whoever writes one goes on with the next, and who waits for it stays awake.
//!
//! 1. Whoever finds nobody writing writes. `Log::writing` says that somebody does; it is set and cleared under the lock,
//!    and whoever clears it saw that nothing waits, or handed over. So whoever placed a frame and sees it set, without
//!    the lock, knows that the frame gets written.
//! 2. Groups are written in the order of their places, one at a time.
//! 3. An answer is given after the group's write, and its sync if it has one; answers stand in log order.

use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::env::Threads;
use crate::error::{Error, ErrorKind, Result};
use crate::format::frame::{Frame, FrameKind, put_own};
use crate::format::group::{GROUP_FRAME_BYTES, GroupHead};
use crate::group::{Group, NoRoom, Placed};
use crate::log::{Log, Order, closed};
use crate::lsn::Lsn;
use crate::options::Durability;
#[cfg(feature = "planted")]
use crate::planted::{self, Planted};
use crate::segment::file::Segment;
use crate::sync::Sleeper;

/// So much behind a small group that a sync follows is written as zeros with it where space was only allocated: what is prepared for
/// large or unsynced groups is used by others later.
const AHEAD_BYTES: u64 = 256 << 10;

/// A group that had company waits this long for it.
const COMPANY_WAIT: Duration = Duration::from_micros(50);

/// Groups without a sync that a committer writes for others behind its own, before the writer thread takes over.
const FAVOURS: u32 = 16;

/// How often somebody who waits for a write without a sync looks for its answer before it sleeps, and how many looks
/// lie between two at which it lets others run: some 50 µs in all.
const LOOKS: u32 = 1024;
const LOOKS_BETWEEN: u32 = 64;

/// Why a frame got no place.
#[derive(Debug)]
pub(crate) enum NotPlaced {
    /// A segment must be prepared first: [`Log::make_room`].
    NoRoom,
    /// The handle does not write.
    Refused(Error),
}

/// Who may write on a full disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Urgency {
    /// Refused while no segment is prepared behind the active one.
    #[default]
    Ordinary,
    /// May use the reserve: what frees space or must not fail.
    Reserve,
}

impl Log {
    /// Gives a frame its place in the log. Waits while too much is in flight or a segment is being prepared.
    pub(crate) fn append(
        &self,
        frame: &mut Frame,
        durability: Durability,
        urgency: Urgency,
    ) -> Result<Placed> {
        let bytes = frame.len() as u64;
        self.admit(bytes)?;
        loop {
            match self.try_append(frame, durability, urgency) {
                Ok(placed) => {
                    self.after_append();
                    return Ok(placed);
                }
                Err(NotPlaced::Refused(e)) => return Err(e),
                Err(NotPlaced::NoRoom) => self.make_room(bytes)?,
            }
        }
    }

    /// Waits until a frame of `bytes` may be in flight. One that is larger than the bound goes alone.
    pub(crate) fn admit(&self, bytes: u64) -> Result<()> {
        if self.admits(bytes) {
            return Ok(());
        }
        let mut order = self.order.lock();
        while !self.admits(bytes) {
            self.check()?;
            if !self.writing.load(Ordering::Acquire) {
                drop(order);
                self.write_until(Lsn::MAX);
                order = self.order.lock();
                continue;
            }
            self.drained.wait(&mut order);
        }
        Ok(())
    }

    /// True where a frame of `bytes` may be in flight at once.
    pub(crate) fn admits(&self, bytes: u64) -> bool {
        let in_flight = self.in_flight.load(Ordering::Acquire);
        in_flight == 0 || in_flight + bytes <= self.options.in_flight_bytes_max
    }

    /// Gives a frame its place, or says what to do first. Never waits.
    pub(crate) fn try_append(
        &self,
        frame: &mut Frame,
        durability: Durability,
        urgency: Urgency,
    ) -> Result<Placed, NotPlaced> {
        self.check().map_err(NotPlaced::Refused)?;
        let bytes = frame.len() as u64;
        let mut order = self.order.lock();
        if self.closed.load(Ordering::Relaxed) {
            return Err(NotPlaced::Refused(closed())); // since it was looked at: what is placed now, nobody would write
        }
        let full = order.refusal().is_some() && urgency == Urgency::Ordinary;
        if !order.begun || full {
            return Err(NotPlaced::NoRoom);
        }
        let had_next = order.frames.next().is_some();
        let placed = order.frames.push(frame, durability).map_err(|NoRoom| NotPlaced::NoRoom)?;
        self.in_flight.store(self.in_flight.load(Ordering::Relaxed) + bytes, Ordering::Release);
        self.waiting.store(order.frames.records_waiting(), Ordering::Release);
        let begun_next = had_next && order.frames.next().is_none();
        drop(order);
        if begun_next {
            self.keeper.ring();
        }
        Ok(placed)
    }

    /// Does at once, where there is no keeper, what a new segment makes due.
    pub(crate) fn after_append(&self) {
        if self.env.threads == Threads::None && self.order.lock().frames.next().is_none() {
            _ = self.prepare_ahead(); // full: the next ordinary append says so; halted: the wait says so
        }
    }

    /// Sees to it that what was placed gets written though nobody waits for it.
    pub(crate) fn kick(&self) {
        if self.env.threads == Threads::None || self.writing.load(Ordering::Acquire) {
            return;
        }
        let mut order = self.order.lock();
        if !self.writing.load(Ordering::Acquire) && order.frames.has_work() {
            self.writing.store(true, Ordering::Release);
            order.handed = true;
            drop(order);
            self.hand_over.notify_one();
        }
    }

    /// As [`Log::kick`], for somebody who waits: where there is no writer thread, this one writes.
    pub(crate) fn drive(&self, end: Lsn) {
        match self.env.threads {
            Threads::Own => self.kick(),
            Threads::None => _ = self.write_until(end),
        }
    }

    /// Waits for the answer to a record; writes it itself if nobody else does.
    pub(crate) fn wait(&self, Placed { lsn, end, group }: Placed) -> Result<()> {
        let done = || self.acknowledged.get() >= end || self.failure.get().is_some() || self.is_left_alone();
        loop {
            if self.acknowledged.get() >= end {
                return Ok(());
            }
            if self.failure.get().is_some() || self.is_forked() {
                return Err(self.unknown(lsn));
            }
            if self.write_until(end) || self.comes_soon(end) {
                continue;
            }
            if let Some(group) = group {
                self.bell(group).sleep_until(done);
            } else if self.waiters.add(end, Sleeper::Thread(std::thread::current()), done).is_some() {
                self.park_until(end);
            }
        }
    }

    /// Looks for the answer while somebody writes without a sync; false where that takes too long.
    fn comes_soon(&self, end: Lsn) -> bool {
        for look in 1..=LOOKS {
            if self.acknowledged.get() >= end || !self.writing.load(Ordering::Acquire) {
                return true;
            }
            if !self.without_sync.load(Ordering::Acquire) {
                return false;
            }
            if look % LOOKS_BETWEEN == 0 {
                std::thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
        }
        false
    }

    fn is_left_alone(&self) -> bool {
        if self.writing.load(Ordering::Acquire) {
            return false;
        }
        let order = self.order.lock();
        !self.writing.load(Ordering::Acquire) && order.frames.has_work()
    }

    fn park_until(&self, end: Lsn) {
        while self.acknowledged.get() < end && self.failure.get().is_none() {
            std::thread::park();
        }
    }

    /// Writes groups until `end` has its answer, if nobody else is writing; false where somebody is, or where
    /// nothing waits.
    pub(crate) fn write_until(&self, end: Lsn) -> bool {
        if self.writing.load(Ordering::Acquire) || self.is_forked() {
            return false;
        }
        let mut order = self.order.lock();
        if self.writing.load(Ordering::Acquire) || self.failure.get().is_some() {
            return false;
        }
        let Some(mut taken) = self.take(&mut order) else { return false };
        self.writing.store(true, Ordering::Release);
        drop(order);
        let mut favours = FAVOURS;
        loop {
            let next = self.write(taken, |order| self.next(order, end, &mut favours));
            match next {
                Some(Next::Write(next)) => taken = next,
                Some(Next::HandOver) => {
                    self.hand_over.notify_one();
                    return true;
                }
                Some(Next::Rest) => return true,
                None => {
                    let _order = self.order.lock();
                    self.writing.store(false, Ordering::Release);
                    return true;
                }
            }
        }
    }

    /// What a committer does behind a group that it wrote, of which it wanted the answers before `end`.
    fn next(&self, order: &mut Order, end: Lsn, favours: &mut u32) -> Next {
        let answered = self.acknowledged.get() >= end && self.env.threads == Threads::Own;
        if self.failure.get().is_none() && order.frames.has_work() {
            if answered && (*favours == 0 || order.frames.wants_sync()) {
                order.handed = true;
                return Next::HandOver;
            }
            *favours = favours.saturating_sub(u32::from(answered));
            if let Some(next) = self.take(order) {
                return Next::Write(next);
            }
        }
        self.writing.store(false, Ordering::Release);
        Next::Rest
    }

    /// The writer thread.
    pub(crate) fn run_writer(&self) {
        loop {
            let mut order = self.order.lock();
            while !order.handed && !order.stop {
                self.hand_over.wait(&mut order);
            }
            if !order.handed {
                return;
            }
            while self.failure.get().is_none()
                && let Some(taken) = self.take(&mut order)
            {
                drop(order);
                _ = self.write(taken, |_| ());
                self.wait_for_company();
                order = self.order.lock();
            }
            order.handed = false;
            self.writing.store(false, Ordering::Release);
        }
    }

    /// Those just answered are likely to come again: their next commits fit in one group.
    fn wait_for_company(&self) {
        let company = self.company.load(Ordering::Acquire);
        if company < 2 {
            return;
        }
        let begun = self.env.clock.monotonic();
        while self.waiting.load(Ordering::Acquire) < company
            && self.env.clock.monotonic().saturating_sub(begun) < COMPANY_WAIT
        {
            std::thread::yield_now();
        }
    }

    /// The oldest group, complete, for whoever holds the writing. Until it is answered its records are read from it.
    fn take(&self, order: &mut Order) -> Option<Taken> {
        let mut group = order.frames.take()?;
        self.waiting.store(order.frames.records_waiting(), Ordering::Release);
        #[cfg(feature = "planted")]
        if planted::is(Planted::ClaimTooMuch) {
            self.durable.raise(group.padded_end());
        }
        let at = self.env.clock.boot();
        if group.predecessor.is_none() {
            let own = self.own_frame(&group, at);
            group.first[..GROUP_FRAME_BYTES].copy_from_slice(&own);
        }
        group.pad();
        #[cfg(feature = "planted")]
        if planted::is(Planted::AcknowledgeEarly) {
            group.synced = false;
        }
        let zeros = group.padded && order.habit.wants_zeros() == Some(true);
        let group = Arc::new(group);
        order.on_its_way = Some(group.clone());
        Some(Taken { group, at, zeros })
    }

    /// Writes a group. Its answers are given under one lock with what `then` decides; `None` where the log is halted.
    fn write<R>(&self, taken: Taken, then: impl FnOnce(&mut Order) -> R) -> Option<R> {
        let group = &taken.group;
        self.without_sync.store(!group.synced && group.predecessor.is_none(), Ordering::Release);
        match self.write_group(&taken) {
            Ok(at) => Some(self.answer(taken.group, at, then)),
            Err(e) => {
                self.halt(&e);
                None
            }
        }
    }

    /// Writes a group, zeros behind it where it wants them and its segment has none, and syncs what is to be synced. Says when
    /// (boot clock): behind the sync, where there is one; else before the write.
    fn write_group(&self, Taken { group, at, zeros }: &Taken) -> Result<Duration> {
        let mut late = None;
        if let Some(predecessor) = &group.predecessor {
            #[cfg(feature = "planted")]
            let predecessor =
                if planted::is(Planted::SkipPredecessorSync) { &group.segment } else { predecessor };
            self.sync_segment(predecessor)?;
            self.durable.raise(predecessor.end().unwrap_or(group.start)); // nothing lies between the two
            late = Some(self.own_frame(group, self.env.clock.boot())); // it says what is durable
        }
        let offset = group.segment.file_offset(group.start);
        let write =
            |slices: &mut [IoSlice<'_>]| self.latch.guard(|| group.segment.file.write_at(slices, offset));
        let written = if group.more.is_empty() && late.is_none() {
            write(&mut [IoSlice::new(&group.first)])
        } else {
            let (own, first) = group.first.split_at(GROUP_FRAME_BYTES);
            let own = late.as_ref().map_or(own, |late| late);
            let more = group.more.iter().map(AsRef::as_ref);
            let mut slices: Vec<_> = [own, first].into_iter().chain(more).map(IoSlice::new).collect();
            write(&mut slices)
        };
        written.map_err(|e| Error::io(ErrorKind::Halted, "writing", &group.segment.path, e))?;
        if *zeros {
            self.fill_behind(group)?;
        }
        self.accepted.raise(group.padded_end());
        if !group.synced {
            return Ok(*at);
        }
        self.sync_segment(&group.segment)?;
        self.durable.raise(group.padded_end());
        Ok(self.env.clock.boot())
    }

    /// Writes zeros behind a group where space was only allocated.
    fn fill_behind(&self, group: &Group) -> Result<()> {
        let (segment, end) = (&group.segment, group.padded_end());
        if end <= segment.filled() {
            return Ok(());
        }
        self.latch
            .guard(|| segment.fill_ahead(end, AHEAD_BYTES))
            .map_err(|e| Error::io(ErrorKind::Halted, "writing zeros ahead in", &segment.path, e))
    }

    /// The group's own frame, with what is known only now.
    fn own_frame(&self, group: &Group, now: Duration) -> [u8; GROUP_FRAME_BYTES] {
        let bytes = group.end.bytes_since(group.start).expect("a group lies in one segment");
        let head = GroupHead {
            durable_through: self.durable.get(),
            time_us: self.time.at_us(now),
            bytes: u32::try_from(bytes).expect("bounded by the limits of a record"),
            frames: group.frames,
            padded: group.padded,
            mark: group.is_mark(),
        };
        let mut own = [0; GROUP_FRAME_BYTES];
        put_own(&mut own, FrameKind::Group, &head.encode(), group.start, group.segment.binding);
        own
    }

    /// Makes what was written to a segment durable.
    pub(crate) fn sync_segment(&self, segment: &Segment) -> Result<()> {
        self.counters.syncs.fetch_add(1, Ordering::Relaxed);
        #[cfg(feature = "planted")]
        if planted::is(Planted::SkipFileSync)
            || (planted::is(Planted::IgnoreSyncError) && segment.file.sync().is_err())
        {
            return Ok(());
        }
        self.latch
            .guard(|| segment.file.sync())
            .map_err(|e| Error::io(ErrorKind::Halted, "syncing", &segment.path, e))
    }

    /// Gives the answers that a group allows which was written at `at`, and notes what the keeper must know.
    fn answer<R>(&self, group: Arc<Group>, at: Duration, then: impl FnOnce(&mut Order) -> R) -> R {
        let end = group.padded_end();
        let bytes = end.bytes_since(group.start).expect("behind the start");
        let mut order = self.order.lock();
        add(&self.counters.records, u64::from(group.records));
        add(&self.counters.groups, 1);
        add(&self.counters.bytes, bytes);
        order.habit.note(bytes, group.synced);
        self.acknowledged.raise(end);
        self.in_flight.store(self.in_flight.load(Ordering::Relaxed) - group.record_bytes, Ordering::Release);
        self.company.store(group.records, Ordering::Release);
        if group.synced {
            order.unsynced = None;
            order.unmarked = Some(at);
        } else if !group.is_mark() {
            let (since, unsynced) = order.unsynced.unwrap_or((at, 0));
            order.unsynced = Some((since, unsynced + bytes));
        }
        let due = order.unsynced.is_some_and(|(_, unsynced)| unsynced >= self.options.sync_after_bytes);
        order.on_its_way = None;
        let number = group.number;
        let rest = Arc::into_inner(group).map(|group| {
            order.frames.reuse(group.first);
            (group.more, group.segment, group.predecessor)
        });
        let then = then(&mut order);
        drop(order);
        self.drained.notify_all();
        self.bell(number).ring();
        self.wake_reached(end);
        self.wake_followers(self.settled());
        if due {
            self.keeper.ring();
        } else {
            self.keeper.ring_if_resting();
        }
        drop(rest); // nobody waits for its memory to be freed
        then
    }
}

/// Adds to what is only ever changed under one lock.
fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Ordering::Relaxed) + more, Ordering::Relaxed);
}

/// A group that is being written.
struct Taken {
    group: Arc<Group>,
    /// When it was taken (boot clock).
    at: Duration,
    /// Zeros are wanted behind it.
    zeros: bool,
}

/// What whoever wrote a group does next.
enum Next {
    /// Writes this one.
    Write(Taken),
    /// Leaves it to the writer thread.
    HandOver,
    /// Nothing waits.
    Rest,
}

#[cfg(test)]
mod tests;
