//! Corridor: what falls due by itself: the next segment, the sync of buffered data, the mark behind an idle sync, and behind these the
//! end of files that recovery removed.
//!
//! The keeper thread sleeps until something is due, or rests where nothing is. Where a log has no threads, `tick` does
//! the same work when the caller's clock says so.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::error::Result;
use crate::group::Placed;
use crate::log::{Log, Order};
use crate::lsn::Lsn;
use crate::prepare::RETRY_AFTER;
use crate::segment::file::Segment;
use crate::sync::MutexGuard;
use crate::turns::Turn;

/// Why a mark is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marking {
    /// Nothing followed a sync for a while.
    Idle,
    /// The log is being closed.
    Closing,
}

impl Log {
    /// The keeper thread.
    pub(crate) fn run_keeper(&self) {
        loop {
            let begun = self.env.clock.boot();
            let alarm = self.tick();
            if !self.rests(alarm.map(|after| begun.saturating_add(after))) {
                continue;
            }
            // it rests beside this alarm: whoever gives an answer that asks for something before the other rings
            let alarm = match self.tend_removed() {
                Some(Duration::ZERO) => continue,
                removed => alarm.into_iter().chain(removed).min(),
            };
            let mut state = self.keeper.state.lock();
            if state.stop {
                return;
            }
            if !state.rung {
                match alarm {
                    Some(after) => {
                        self.keeper.ring.wait_for(&mut state, after);
                    }
                    None => self.keeper.ring.wait(&mut state),
                }
            }
            state.rung = false;
            self.keeper.wake();
            if state.stop {
                return;
            }
        }
    }

    /// Says that the keeper sleeps until its alarm (boot clock), or without one, unless something came since it looked what is due
    /// that falls due before: whoever gives such an answer from then on rings.
    pub(crate) fn rests(&self, alarm: Option<Duration>) -> bool {
        self.keeper.sleep_until(alarm);
        // answers are given under it: those before are seen here, those behind see the rest
        let due = self.order.lock().falls_due(&self.options);
        let rests = due.is_none_or(|due| alarm.is_some_and(|alarm| alarm <= due)) || self.check().is_err();
        if !rests {
            self.keeper.wake();
        }
        rests
    }

    /// Does what is due, and says when something will be next; `None` where nothing is under way. Failures halt the
    /// log, whose waiters then learn of them.
    pub(crate) fn tick(&self) -> Option<Duration> {
        if self.check().is_err() {
            return None;
        }
        let alarms = [self.tend_segment(), self.tend_buffered(), self.tend_mark()];
        alarms.into_iter().flatten().min()
    }

    fn tend_segment(&self) -> Option<Duration> {
        match self.prepare_ahead() {
            Err(e) if e.kind().is_short() => Some(RETRY_AFTER),
            _ => None,
        }
    }

    /// Syncs what was written without one, where that is due, or says when it will be.
    pub(crate) fn tend_buffered(&self) -> Option<Duration> {
        let now = self.env.clock.boot();
        let (since, bytes) = self.order.lock().unsynced?;
        let due = since.saturating_add(self.options.sync_after);
        if now < due && bytes < self.options.sync_after_bytes {
            return Some(due - now);
        }
        _ = self.sync_placed();
        None
    }

    fn tend_mark(&self) -> Option<Duration> {
        let now = self.env.clock.boot();
        let due = self.order.lock().unmarked?.saturating_add(self.options.mark_after);
        if now < due {
            return Some(due - now);
        }
        _ = self.write_mark(Marking::Idle);
        None
    }

    /// Closes files that recovery removed once that is due, or says when it will be; zero where it was, and took its time.
    pub(crate) fn tend_removed(&self) -> Option<Duration> {
        let due = self.removed.lock().as_ref()?.due;
        let left = due.saturating_sub(self.env.clock.boot());
        if left.is_zero() {
            self.let_removed_go();
        }
        Some(left)
    }

    /// Makes everything durable that has a place now, and says through where.
    pub(crate) fn sync_placed(&self) -> Result<Lsn> {
        let cut = self.order.lock().frames.cut();
        let Some((through, segment)) = cut else { return Ok(self.durable.get()) };
        self.kick();
        self.wait(Placed::at(through, through))?;
        if self.durable.get() < through {
            self.sync_cut(through, &segment)?;
        }
        Ok(through)
    }

    /// Makes everything before `through`, in this segment at last, durable. It has its answer.
    pub(crate) fn sync_cut(&self, through: Lsn, segment: &Segment) -> Result<()> {
        let _watch = self.watch();
        let mut order = self.order.lock();
        let Some(turn) = self.take_turn(&mut order, through)? else { return Ok(()) };
        let behind = order.unsynced.take();
        if self.accepted.get() > through.max(self.durable.get()) {
            order.unsynced = Some((self.env.clock.boot(), 0)); // written since, perhaps in the next segment
        }
        let spent = order.mapped.take_spent();
        drop(order);
        drop(spent); // before the sync, which looks whether what it writes back is mapped
        self.sync_through(segment, through, turn)?;
        let mut order = self.order.lock();
        order.habit.note_sync();
        if behind.is_some() {
            order.unmarked = Some(self.env.clock.boot());
        }
        Ok(())
    }

    /// Waits until it may sync; `None` where what lies before `through` is durable by then.
    fn take_turn(&self, order: &mut MutexGuard<'_, Order>, through: Lsn) -> Result<Option<Turn>> {
        loop {
            if self.durable.get() >= through {
                return Ok(None);
            }
            if let Some(failure) = self.failure.get() {
                return Err(failure.clone());
            }
            if let Some(turn) = order.turns.take() {
                order.mapped.begin_sync();
                return Ok(Some(turn));
            }
            self.drained.wait(order);
        }
    }

    /// Syncs what has its answer, and lets those write who waited for the turn.
    fn sync_through(&self, segment: &Segment, through: Lsn, turn: Turn) -> Result<()> {
        if let Err(e) = self.sync_segment(segment, turn) {
            return Err(self.halt(&e));
        }
        self.durable.raise(through);
        let mut order = self.order.lock();
        order.note_durable(self.durable.get(), self.accepted.get()); // who synced beside may have found this under way
        order.turns.give_back(turn);
        let waited = order.frames.wants_sync();
        drop(order);
        self.drained.notify_all();
        self.wake_followers(self.settled());
        if waited {
            self.drive(Lsn::MAX);
        }
        Ok(())
    }

    /// Proves the last sync: a mark that says how far the log is durable, itself synced.
    pub(crate) fn write_mark(&self, why: Marking) -> Result<()> {
        let mut order = self.order.lock();
        if why == Marking::Idle && self.closed.load(Ordering::Acquire) {
            return Ok(()); // since it fell due: whoever closes writes the last one, and nobody what comes behind it
        }
        let behind = order.frames.has_work() || self.durable.get() < order.frames.tail();
        order.unmarked = None; // a group under way proves this sync; its own sync asks again
        let marked = if behind { None } else { order.frames.mark() };
        drop(order);
        let Some((end, segment)) = marked else { return Ok(()) };
        self.kick();
        self.wait(Placed::at(end, end))?;
        let turn = self.take_turn(&mut self.order.lock(), end)?;
        if let Some(turn) = turn {
            self.sync_through(&segment, end, turn)?;
        }
        self.counters.marks.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
