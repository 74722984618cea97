//! Corridor: from a place in the log to the medium.
//!
//! Alone, a committer writes its own group: one write, one sync, no other thread. With company the writer threads
//! take over: one writes everything that waits as one group while the next one fills. While a group is synced, the next may be
//! written and synced beside it (`turns`). A group without a sync is written in less time than a thread is woken in:
//! who waits for it stays awake and writes the next, or whoever wrote it goes on where nobody does.
//!
//! 1. Whoever finds nobody writing writes. `Log::writing` says that somebody does; it is set and cleared under the lock,
//!    and whoever clears it saw that nothing waits, handed over, saw somebody who looks for an answer (`answer`) and goes on
//!    with what waits, or looks again behind the sync of what it wrote (`Log::syncing`). So whoever placed a frame and sees
//!    one of them set, without the lock, knows that the frame gets written.
//! 2. Groups are written in the order of their places, one at a time.
//! 3. An answer is given after the group's write, its sync if it has one, and those of all groups before it; answers stand in
//!    log order. Nothing is called durable before.
//! 4. The first group of a segment is written once everything before it has its answer.

use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::env::Threads;
use crate::error::{Error, ErrorKind, Result};
use crate::format::group::GROUP_FRAME_BYTES;
use crate::group::{Chunk, Group};
use crate::log::{Log, Order};
use crate::lsn::Lsn;
#[cfg(feature = "planted")]
use crate::planted::{self, Planted};
use crate::segment::file::Segment;
use crate::sync::{MutexGuard, lock_soon};
use crate::turns::{Turn, is_enough};

/// So much is written as zeros behind a small synced group, where space was only allocated for large or unsynced ones before.
const AHEAD_BYTES: u64 = 256 << 10;

/// A group that had company waits this long for it.
const COMPANY_WAIT: Duration = Duration::from_micros(50);

/// Groups without a sync that a committer writes for others behind its own, before the writer thread takes over.
const FAVOURS: u32 = 16;

impl Log {
    /// Sees to it that what was placed gets written though nobody waits for it.
    pub(crate) fn kick(&self) {
        if self.env.threads == Threads::None || self.is_looked_after() {
            return;
        }
        let mut order = self.order.lock();
        if !self.is_looked_after() && order.may_take() {
            self.leave_to_writer(&mut order);
            drop(order);
            self.hand_over.notify_one();
        }
    }

    /// Somebody writes what was placed, or will once what is being synced is done: what waits is less company than that has.
    pub(crate) fn is_cared_for(&self) -> bool {
        self.writing.load(Ordering::Acquire)
            || (self.syncing.load(Ordering::Acquire) > 0 && !self.is_company())
    }

    /// Somebody writes, or looks whether something waits once what is being synced is done.
    fn is_looked_after(&self) -> bool {
        self.writing.load(Ordering::Acquire) || self.syncing.load(Ordering::Acquire) > 0
    }

    /// As much waits as a group of its own is worth.
    fn is_company(&self) -> bool {
        is_enough(self.waiting.load(Ordering::Acquire), self.company.load(Ordering::Acquire))
    }

    /// Leaves the writing to a writer thread, who is to be woken.
    fn leave_to_writer(&self, order: &mut Order) {
        self.writing.store(true, Ordering::Release);
        self.left.store(false, Ordering::Relaxed);
        order.handed = true;
    }

    /// As [`Log::kick`], for somebody who waits: where there is no writer thread, this one writes.
    pub(crate) fn drive(&self, end: Lsn) {
        match self.env.threads {
            Threads::Own => self.kick(),
            Threads::None => _ = self.write_until(end),
        }
    }

    /// Writes groups until what lies before `end` is written, if nobody else is writing; false where somebody is, or where
    /// nothing waits.
    pub(crate) fn write_until(&self, end: Lsn) -> bool {
        if self.is_cared_for() || self.is_forked() {
            return false;
        }
        let mut order = lock_soon(&self.order);
        if self.is_cared_for() || self.failure.get().is_some() || !order.may_take() {
            return false;
        }
        let own = self.env.threads == Threads::Own;
        let beside = self.syncing.load(Ordering::Acquire) > 0 && self.company.load(Ordering::Acquire) > 1;
        let for_others = self.accepted.get() >= end && order.frames.wants_sync();
        if own && (beside || for_others) {
            self.leave_to_writer(&mut order);
            drop(order);
            self.hand_over.notify_one();
            return false;
        }
        if order.may_store() {
            self.answer(order, Waiting::Stored, |_| ());
            if self.accepted.get() < end {
                self.write_until(end); // what may not be stored
            }
            return true;
        }
        let Some(mut taken) = self.take(&mut order) else { return false };
        drop(order);
        let mut favours = FAVOURS;
        loop {
            match self.write(taken, |order, ours| self.next(order, ours, end, &mut favours)) {
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

    /// What a committer does behind a group that it wrote, of which it wanted the answers before `end`. The writing may be
    /// somebody else's by then.
    fn next(&self, order: &mut Order, ours: bool, end: Lsn, favours: &mut u32) -> Next {
        if !ours {
            return Next::Rest;
        }
        let written = self.accepted.get() >= end && self.env.threads == Threads::Own;
        if self.failure.get().is_none() && order.may_take() {
            if written && (*favours == 0 || order.frames.wants_sync()) {
                self.leave_to_writer(order);
                return Next::HandOver;
            }
            if written && self.is_left_to_others() {
                return Next::Rest;
            }
            *favours = favours.saturating_sub(u32::from(written));
            if let Some(next) = self.take(order) {
                return Next::Write(next);
            }
        }
        self.writing.store(false, Ordering::Release);
        Next::Rest
    }

    /// Gives up the writing though something waits, where somebody is awake who goes on with it at once (`answer`) and nothing
    /// keeps the answers back. Under the lock that the writing is taken under: whoever looks up behind this sees that
    /// something was left, or was seen here to have gone.
    fn is_left_to_others(&self) -> bool {
        if self.awake.load(Ordering::SeqCst) == 0 || self.syncing.load(Ordering::Acquire) > 0 {
            return false;
        }
        self.writing.store(false, Ordering::Release); // before it is said: who sees that goes on
        self.left.store(true, Ordering::SeqCst);
        let left = self.awake.load(Ordering::SeqCst) > 0;
        if !left {
            self.left.store(false, Ordering::Relaxed);
            self.writing.store(true, Ordering::Release);
        }
        left
    }

    /// A writer thread.
    pub(crate) fn run_writer(&self) {
        loop {
            let mut order = self.order.lock();
            while !order.handed && !order.stop {
                if order.mapped.is_wanted() || order.mapped.has_spent() {
                    drop(order);
                    self.tend_mapped();
                    order = self.order.lock();
                } else {
                    self.hand_over.wait(&mut order);
                }
            }
            if !order.handed {
                return;
            }
            order.handed = false;
            loop {
                let taken = if self.failure.get().is_none() { self.take(&mut order) } else { None };
                let Some(taken) = taken else {
                    self.writing.store(false, Ordering::Release);
                    break;
                };
                drop(order);
                let ours = self.write(taken, |_, ours| ours).unwrap_or(true);
                if !ours {
                    break;
                }
                self.wait_for_company();
                order = self.order.lock();
            }
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

    /// The oldest group that may be written now, complete, for whoever holds the writing or finds that nobody does. Until it is
    /// written its records are read from it.
    fn take(&self, order: &mut Order) -> Option<Taken> {
        let turn = if order.frames.wants_sync() { Some(order.turns.take()?) } else { None };
        let mut group = order.frames.take()?;
        self.writing.store(true, Ordering::Release);
        self.left.store(false, Ordering::Relaxed);
        self.waiting.store(order.frames.records_waiting(), Ordering::Release);
        #[cfg(feature = "planted")]
        if planted::is(Planted::ClaimTooMuch) {
            self.durable.raise(group.padded_end());
        }
        let unanswered = order.unanswered.records();
        let company = order.crowd.note(group.records, unanswered, group.synced);
        self.company.store(company, Ordering::Release);
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
        let behind_zeros = order.mapped.is_zeroed(&group.segment, &group.in_file());
        let zeros = group.padded && order.habit.wants_zeros() == Some(true);
        let group = Arc::new(group);
        order.on_its_way = Some(group.clone());
        match (turn, group.place()) {
            (Some(_), _) => {
                order.mapped.begin_sync();
                if order.mapped.has_spent() {
                    self.hand_over.notify_one();
                }
            }
            (None, Some(place)) => order.mapped.note_written(&group.segment, &place),
            (None, None) => {}
        }
        Some(Taken { group, at, zeros, turn, behind_zeros })
    }

    /// Writes a group. What answers that allows are given under one lock with what `then` decides, who is told whether the
    /// writing is still the caller's; `None` where the log is halted.
    fn write<R>(&self, taken: Taken, then: impl FnOnce(&mut Order, bool) -> R) -> Option<R> {
        let _watch = self.watch();
        match self.carry(taken) {
            Ok((order, ours)) => {
                let waiting = if ours { Waiting::Stored } else { Waiting::Left };
                Some(self.answer(order, waiting, |order| then(order, ours)))
            }
            Err(e) => {
                self.halt(&e);
                None
            }
        }
    }

    /// The steps of a group: write it, let others write where it is synced, sync it. True where the writing is the caller's again.
    fn carry(&self, taken: Taken) -> Result<(MutexGuard<'_, Order>, bool)> {
        self.without_sync.store(taken.turn.is_none(), Ordering::Release);
        self.write_group(&taken)?;
        let Taken { group, at, turn, .. } = taken;
        let Some(turn) = turn.filter(|_| group.synced) else {
            let mut order = lock_soon(&self.order);
            if let Some(turn) = turn {
                order.turns.give_back(turn);
            }
            order.on_its_way = None;
            order.unanswered.push(group, Some(at));
            return Ok((order, true));
        };
        let (number, segment) = (group.number, group.segment.clone());
        self.pass_on(group);
        self.sync_segment(&segment, turn)?;
        let at = self.env.clock.boot();
        let mut order = lock_soon(&self.order);
        order.turns.give_back(turn);
        order.unanswered.synced(number, at);
        self.syncing.store(self.syncing.load(Ordering::Relaxed) - 1, Ordering::Release);
        let ours = !self.writing.swap(true, Ordering::AcqRel);
        Ok((order, ours))
    }

    /// Lets others write while this group is synced.
    fn pass_on(&self, group: Arc<Group>) {
        let mut order = lock_soon(&self.order);
        order.on_its_way = None;
        order.unanswered.push(group, None);
        self.syncing.store(self.syncing.load(Ordering::Relaxed) + 1, Ordering::Release);
        self.writing.store(false, Ordering::Release);
    }

    /// Writes a group, and zeros behind it where it wants them and its segment has none. The segment before it is synced first.
    fn write_group(&self, Taken { group, zeros, turn, behind_zeros, .. }: &Taken) -> Result<()> {
        if *behind_zeros {
            self.wait_for_zeros(group);
        }
        let mut late = None;
        if let (Some(predecessor), Some(turn)) = (&group.predecessor, turn) {
            #[cfg(feature = "planted")]
            let predecessor =
                if planted::is(Planted::SkipPredecessorSync) { &group.segment } else { predecessor };
            self.wait_for_answers()?;
            self.sync_segment(predecessor, *turn)?;
            self.durable.raise(predecessor.end().unwrap_or(group.start)); // nothing lies between the two
            predecessor.beside.close();
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
        Ok(())
    }

    /// Waits until everything that was written has its answer. Nothing more is written meanwhile: the writing is the caller's.
    fn wait_for_answers(&self) -> Result<()> {
        let mut order = self.order.lock();
        while !order.unanswered.is_empty() {
            if let Some(failure) = self.failure.get() {
                return Err(failure.clone());
            }
            self.drained.wait(&mut order);
        }
        Ok(())
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

    /// Makes what was written to a segment durable.
    pub(crate) fn sync_segment(&self, segment: &Segment, turn: Turn) -> Result<()> {
        self.counters.syncs.fetch_add(1, Ordering::Relaxed);
        let beside = if turn.is_first() { None } else { segment.beside.get() };
        let file = beside.as_ref().unwrap_or(&segment.file);
        #[cfg(feature = "planted")]
        if planted::is(Planted::SkipFileSync)
            || (planted::is(Planted::IgnoreSyncError) && file.sync().is_err())
        {
            return Ok(());
        }
        self.latch
            .guard(|| file.sync())
            .map_err(|e| Error::io(ErrorKind::Halted, "syncing", &segment.path, e))
    }

    /// Gives the answers that nothing keeps back any more, in order, and notes what the keeper must know; with those of what waits
    /// and may be stored, where the caller has the writing, or nobody has.
    fn answer<R>(
        &self,
        mut order: MutexGuard<'_, Order>,
        waiting: Waiting,
        then: impl FnOnce(&mut Order) -> R,
    ) -> R {
        let mut answered = Answered::default();
        let stored = loop {
            while let Some((group, at)) = order.unanswered.pop() {
                self.note_answered(&mut order, group, at, &mut answered);
            }
            match if waiting == Waiting::Stored { self.store_oldest(&mut order) } else { Ok(false) } {
                Ok(true) => {}
                other => break other,
            }
        };
        let due = order.due(&self.options);
        let then = then(&mut order);
        drop(order);
        if let Err(e) = stored {
            self.halt(&e);
        }
        self.drained.notify_all();
        if let Some(end) = answered.end {
            (0..answered.groups).for_each(|n| self.bell(answered.first.wrapping_add(n)).ring());
            self.wake_reached(end);
            self.wake_followers(self.settled());
        }
        self.tell(due);
        drop(answered); // nobody waits for its memory to be freed
        then
    }

    fn note_answered(&self, order: &mut Order, group: Arc<Group>, at: Duration, answered: &mut Answered) {
        let end = group.padded_end();
        let bytes = end.bytes_since(group.start).expect("behind the start");
        self.counters.note(group.records, bytes);
        order.habit.note(bytes, group.synced);
        if group.synced {
            self.durable.raise(end);
            order.unsynced = None;
            order.unmarked = Some(at);
        } else if !group.is_mark() {
            order.add_unsynced(at, bytes);
        }
        self.acknowledged.raise(end);
        let in_flight = self.in_flight.load(Ordering::Relaxed) - group.record_bytes;
        self.in_flight.store(in_flight, Ordering::Release);
        if answered.end.is_none() {
            answered.first = group.number;
        }
        answered.groups += 1;
        answered.end = Some(end);
        if let Some(group) = Arc::into_inner(group) {
            order.frames.reuse(group.first);
            if !group.more.is_empty() {
                answered.large.push(group.more);
            }
        }
    }
}

/// What becomes of what waits while answers are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    /// It is stored, as far as it may be.
    Stored,
    /// Somebody else has the writing.
    Left,
}

/// Groups that were answered, one behind the other.
#[derive(Default)]
struct Answered {
    /// The number of the first.
    first: u32,
    groups: u32,
    /// Behind the last.
    end: Option<Lsn>,
    /// What is to be freed.
    large: Vec<Vec<Chunk>>,
}

/// A group that is being written.
struct Taken {
    group: Arc<Group>,
    /// When it was taken (boot clock).
    at: Duration,
    /// Zeros are wanted behind it.
    zeros: bool,
    /// For what is synced, or follows a segment that is.
    turn: Option<Turn>,
    /// Zeros are being written where it goes (`mapped`).
    behind_zeros: bool,
}

/// What whoever wrote a group does next.
enum Next {
    /// Writes this one.
    Write(Taken),
    /// Leaves it to the writer thread.
    HandOver,
    /// Nothing waits, or others see to it.
    Rest,
}

#[cfg(test)]
mod tests;
