//! Corridor: from the tail to a table: checkpoints, merges, and tables made anew.
//!
//! A checkpoint, and what a crash after each step leaves:
//!
//! 1. Under the commit lock, end the group that is being filled, at place C, and begin a new tail. Nothing changed on disk.
//! 2. Sync the log through C: whatever the table will hold is durable.
//! 3. Write the table, sync it and its name. A crash leaves a file that nothing names: the next opening removes it.
//! 4. Replace MANIFEST: the table, and C. A crash leaves the old one, or the new one with a whole table.
//! 5. Put the table in the place of the frozen tail.
//!
//! Commits go on all the while; they wait for the lock of step 1, never for a write. A merge (`thinning`) is steps 3 to 5
//! with tables for a tail, and stops between two steps of its own for a checkpoint that falls due.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use savehold_wal::env::Threads;
use savehold_wal::{Lsn, Placed, schedule};

use crate::core::Core;
use crate::debt::{Due, Size};
use crate::error::{ErrorKind, Result};
use crate::index::table::Table;
use crate::index::{Frozen, KeepAll, TailIndex};
use crate::load::{Spare, load, remake};
use crate::planted::{self, Fault};

/// What failed for want of space, or by an error of the system, is tried again after this time.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// A store is idle when nothing was committed for this long.
const IDLE: Duration = Duration::from_secs(2);
/// Long work for the index runs for so long before others may.
const RUN: Duration = Duration::from_micros(200);
/// Longest time that one commit is held back.
const PAUSE_MAX: Duration = Duration::from_millis(20);
/// Times that opening makes damaged tables anew.
const REMADE_MAX: usize = 4;

impl Core {
    /// Does what is due for the index, if nobody else does; says after what time to look again.
    pub(crate) fn tend_index(&self) -> Option<Duration> {
        let Some(_work) = self.shelf.work.try_lock() else { return Some(RETRY_AFTER) }; // who has it may not look again
        if self.wal.failure().is_some() {
            return self.remake_damaged().is_err().then_some(RETRY_AFTER); // whoever reads is still served
        }
        let tended = self
            .remake_damaged()
            .and_then(|()| self.checkpoint_if_due())
            .and_then(|_| self.merge_if_due())
            .and_then(|()| self.thin_if_due());
        match tended {
            Err(e) if e.kind() == ErrorKind::Closed => None,
            Err(e) => {
                self.waste.note_tables_stuck();
                *self.tending_failure.lock() = Some(e);
                Some(RETRY_AFTER)
            }
            Ok(look) => {
                *self.tending_failure.lock() = None;
                self.waste.note_tables_tended();
                let idle = self.is_worth_a_table_when_idle(self.debt.total().replay_ps).then_some(IDLE);
                look.into_iter().chain(idle).min()
            }
        }
    }

    /// Counts what a commit makes due: the sum before and after. Under the commit lock.
    #[inline]
    pub(crate) fn count_due(&self, end: Lsn, size: Size) -> (Due, Due) {
        let bytes = self.debt.bytes(size.bytes, end);
        let memory = Due::index_bytes(size.versions, size.key_bytes);
        self.debt.add(Due { replay_ps: self.rates.replay_ps(bytes, size.versions), memory })
    }

    /// Sees to what a commit made due. No lock is held.
    #[inline]
    pub(crate) fn owe(&self, placed: Placed, (before, after): (Due, Due)) {
        let crossed = |line: u64| before.replay_ps < line && line <= after.replay_ps;
        if after.reaches(self.due) || crossed(self.least_ps()) {
            self.owe_much(placed, after);
        }
    }

    /// How long a restart would take now: with all that would be replayed, and with what nothing would prove.
    pub(crate) fn estimated_recovery(&self) -> Duration {
        let unproven = self.wal.accepted().bytes_since(self.wal.durable()).unwrap_or(0);
        self.rates.restart(self.debt.total().replay_ps, unproven)
    }

    /// Counts a commit where more lapses than compaction gives back, and wakes who sees to it.
    #[inline]
    pub(crate) fn spare(&self, bytes: u64, end: Lsn) {
        if self.waste.is_over(end)
            && self.wal.env().threads == Threads::Own
            && self.waste.count(bytes, end, self.wal.env().clock.monotonic())
        {
            self.index_bell.ring();
        }
    }

    /// Waits for the answer to a commit of a call, and then, where more lapses than compaction gives back, until what was
    /// committed has had its turn. Nobody is held back who has a turn on a key, or ends something: the store's own commits
    /// and ends of sessions are waited for by whoever comes here next, and so is what tickets are handed out for, as a rule.
    #[inline]
    pub(crate) fn answer(&self, placed: Placed) -> Result<()> {
        self.wal.wait(placed)?;
        if self.waste.is_over(placed.end) && self.wal.env().threads == Threads::Own {
            self.hold_back(placed.end);
        }
        Ok(())
    }

    /// A ticket for a commit of a call. Whoever takes it must not wait, unless so much could go that nothing else would
    /// bound the disk's use: many tickets may be taken before anybody waits for one.
    pub(crate) fn ticket(&self, placed: Placed) -> savehold_wal::Ticket {
        let ticket = self.wal.settle(placed);
        let over = self.waste.is_over(placed.end) && self.wal.env().threads == Threads::Own;
        if over && self.waste.is_far_over(placed.end) {
            self.hold_back(placed.end);
        }
        ticket
    }

    #[cold]
    fn hold_back(&self, end: Lsn) {
        if let Some(pause) = self.waste.pause(end, self.wal.env().clock.monotonic()) {
            self.held_back_for_space.fetch_add(1, Ordering::Relaxed);
            schedule::pause(pause);
        }
    }

    #[cold]
    fn owe_much(&self, placed: Placed, tail: Due) {
        if self.wal.env().threads == Threads::None {
            if tail.reaches(self.due) {
                self.tend_index();
            }
            return;
        }
        self.index_bell.ring();
        let (total, budget) = (self.debt.total(), self.budget);
        if let Some(pause) = pause(total.replay_ps, budget.replay_ps).max(pause(total.memory, budget.memory))
        {
            self.held_back.fetch_add(1, Ordering::Relaxed);
            drop(self.wal.settle(placed)); // it is written meanwhile
            schedule::pause(pause);
        }
    }

    /// Writes the tail out for a close: so that nothing is left to replay.
    pub(crate) fn checkpoint_at_close(&self) {
        let _work = self.shelf.work.lock();
        if self.wal.failure().is_none()
            && self.remake_damaged().is_ok()
            && self.debt.total().replay_ps >= self.least_ps()
        {
            _ = self.checkpoint(); // where it fails, the next opening replays
        }
    }

    /// Whether what was committed since the last table takes long to replay, or keeps much of the log from being packed.
    fn is_worth_a_table_when_idle(&self, replay_ps: u64) -> bool {
        let much = self.waste.is_idle_table_due(self.wal.accepted()) && !self.index.layers().tail.is_empty();
        replay_ps >= self.least_ps() || much
    }

    /// What long work for the index calls often: it lets others run who wait for a processor. Else they wait until the system
    /// thinks that it had one for long enough, which takes milliseconds. Not where somebody waits for this work, or soon
    /// will: some systems take a good deal of time away from who lets others run.
    pub(crate) fn breaths(&self) -> impl FnMut() {
        let now = || self.wal.env().clock.monotonic();
        let mut last = now();
        move || {
            let now = now();
            if now.saturating_sub(last) >= RUN {
                last = now;
                if self.has_leisure() {
                    std::thread::yield_now();
                }
            }
        }
    }

    /// Whether nobody waits for work on the index that is under way: no call, no close, and no commit soon.
    fn has_leisure(&self) -> bool {
        self.at_leisure.load(Ordering::Relaxed)
            && !self.closing.load(Ordering::Relaxed)
            && is_early(self.debt.total(), self.budget)
            && self.waste.urgency(self.wal.accepted()) < 1.0
    }

    /// Less than this is not worth a table by itself.
    fn least_ps(&self) -> u64 {
        self.due.replay_ps / 32
    }

    pub(crate) fn checkpoint_if_due(&self) -> Result<bool> {
        let tail = self.debt.tail();
        let rest = self.unchanged.lock().look(tail, self.wal.env().clock.monotonic());
        let idle = rest >= IDLE && self.is_worth_a_table_when_idle(tail.replay_ps);
        let stuck = !self.index.layers().frozen.is_empty();
        let lapses = self.waste.is_table_due(self.wal.accepted());
        if tail.reaches(self.due) || idle || stuck || lapses { self.checkpoint() } else { Ok(false) }
    }

    /// Writes a frozen tail out, where there is one, or freezes the tail and writes it out. False: it is empty.
    pub(crate) fn checkpoint(&self) -> Result<bool> {
        if self.index.layers().frozen.is_empty() {
            let mut order = self.order.lock();
            if !self.index.freeze(self.wal.cut()) {
                return Ok(false);
            }
            *order = self.index.tail();
            self.debt.freeze();
        }
        if !planted::has(Fault::CheckpointEarly) {
            self.wal.sync()?;
        }
        let layers = self.index.layers();
        let Some(frozen) = layers.frozen.last() else { return Ok(false) };
        let low = self.shelf.manifest.lock().through();
        let (named, table) = self.shelf.write_tail(
            &self.wal,
            (low, frozen.high),
            &frozen.tail,
            &mut KeepAll,
            &mut self.breaths(),
        )?;
        self.shelf.name(&self.wal, |manifest| {
            manifest.tables.push(named);
            manifest.rates = self.rates;
        })?;
        self.waste.note_floor(frozen.high);
        self.index.thaw(table);
        self.debt.thaw();
        self.checkpoints.fetch_add(1, Ordering::Relaxed);
        Ok(true)
    }

    /// What opening must know before anything can be done later: where a damaged table is in the way it is made anew at
    /// once.
    pub(crate) fn on_sound_tables<T>(&self, ask: impl Fn(&Self) -> Result<T>) -> Result<T> {
        for _ in 0..REMADE_MAX {
            match ask(self) {
                Err(e) if e.kind() == ErrorKind::Busy => {
                    let _work = self.shelf.work.lock();
                    self.remake_damaged()?;
                }
                answer => return answer,
            }
        }
        ask(self)
    }

    /// Makes tables with a damaged page anew, and those that follow them: all that they hold is in the log.
    pub(crate) fn remake_damaged(&self) -> Result<()> {
        let layers = self.index.layers();
        let Some(bad) = layers.tables.iter().rposition(|table| table.is_damaged()) else { return Ok(()) };
        let gone = &layers.tables[..=bad];
        let kept = layers.tables.len() - gone.len();
        let (from, through) = {
            let manifest = self.shelf.manifest.lock();
            let from = kept.checked_sub(1).map_or(Lsn::NONE, |last| manifest.tables[last].high);
            (from, manifest.through())
        };
        if self.wal.failure().is_some() {
            return self.hold_in_memory(gone, from..through);
        }
        let terms = self.shelf.manifest.lock().terms.clone();
        let mut plan = terms.plan(self.moments.held(), Lsn::NONE);
        let made = remake(&self.wal, &self.shelf, from..through, self.replaying, &mut plan)?;
        self.shelf.name(&self.wal, |manifest| {
            manifest.tables.truncate(kept);
            manifest.add_remade(made.iter().map(|(named, _)| named.clone()));
        })?;
        let judged = made.iter().map(|(named, _)| named.judged).max().unwrap_or(0);
        self.remade.fetch_add(gone.len() as u64, Ordering::Relaxed);
        self.index.put_in_place(gone, made.into_iter().rev().map(|(_, table)| table).collect(), judged);
        Ok(())
    }

    /// Takes into memory what damaged tables hold: a store that takes no writes makes no tables either.
    fn hold_in_memory(&self, gone: &[Arc<Table>], range: Range<Lsn>) -> Result<()> {
        let (tail, high) = (TailIndex::new(self.wal.env().entropy.next_u64()), range.end);
        load(&self.wal, &tail, range, self.replaying, &Spare::default())?;
        self.index.hold(gone, Frozen { tail: Arc::new(tail), high });
        self.remade.fetch_add(gone.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

/// How long a commit is held back where so much is due that a restart might take longer than its budget, or memory: nothing
/// below three quarters of it, then more and more, so that what is committed comes to be no more than what is written out.
fn pause(total: u64, budget: u64) -> Option<Duration> {
    let free = budget / 4 * 3;
    let over = total.checked_sub(free)?;
    let share = over as f64 / (budget - free).max(1) as f64;
    let pause = Duration::from_millis(1).mul_f64((share * share).min(1e3));
    Some(pause.min(PAUSE_MAX))
}

/// Whether much more may fall due before a commit is held back for it.
fn is_early(total: Due, budget: Due) -> bool {
    let early = |total: u64, budget: u64| total < budget / 8 * 5;
    early(total.replay_ps, budget.replay_ps) && early(total.memory, budget.memory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_on_the_index_lets_others_run_until_somebody_waits_for_it_or_soon_will() {
        let due = |replay_ps, memory| Due { replay_ps, memory };
        let early = |total| is_early(total, due(800, 1_600));
        assert!(early(due(499, 999)) && !early(due(500, 999)) && !early(due(499, 1_000)));
        assert!(pause(500, 800).is_none() && pause(1_000, 1_600).is_none(), "before anybody is held back");
        let store = crate::Store::in_memory().unwrap();
        let core = &store.core;
        let leisure = |at_leisure| {
            core.at_leisure.store(at_leisure, Ordering::Relaxed);
            core.has_leisure()
        };
        let _work = (core.shelf.work.lock(), core.packer.work.lock()); // nobody else says what is dead
        assert!(leisure(true) && !leisure(false), "of a thread of its own, and not in a call");
        core.waste.note_dead(1 << 40, 0);
        assert!(!leisure(true), "commits wait for a merge");
        core.waste.note_dead(0, 0);
        core.debt.add(Due { replay_ps: core.budget.replay_ps, memory: 0 });
        assert!(!leisure(true), "commits wait for a checkpoint");
        core.debt.freeze();
        core.debt.thaw();
        assert!(leisure(true));
        core.closing.store(true, Ordering::Relaxed);
        assert!(!leisure(true), "whoever closes waits");
    }

    #[test]
    fn commits_are_held_back_only_near_the_budget_and_then_more_and_more() {
        let us = |total| pause(total, 1000).map(|pause| pause.as_micros());
        assert_eq!([0, 500, 749].map(us), [None; 3]);
        assert_eq!([750, 800, 875, 1000].map(us), [0, 40, 250, 1_000].map(Some));
        assert_eq!(us(1_500), Some(9_000));
        assert_eq!(us(u64::MAX), Some(20_000));
    }

    #[test]
    fn who_finds_others_at_work_on_the_index_looks_again() {
        let store = crate::Store::in_memory().unwrap();
        let work = store.core.shelf.work.lock();
        store.collection::<Vec<u8>>("coins").unwrap().set("42", &vec![7; 300 << 10]).unwrap();
        assert_eq!(
            store.core.tend_index(),
            Some(RETRY_AFTER),
            "nobody rings once more for what was committed"
        );
        drop(work);
    }

    #[test]
    fn what_is_held_back_for_the_index_is_written_meanwhile() {
        let options = crate::Options::new().recovery_budget(Duration::from_nanos(1));
        let store = options.open_in(savehold_wal::sim::memory(), std::path::Path::new("/store")).unwrap();
        let coins = store.collection::<u64>("coins").unwrap();
        coins.set("41", &7).unwrap();
        let core = &store.core;
        let _work = core.shelf.work.lock(); // no checkpoint writes it
        let ran = core.transact(None, core.how(), |tx| tx.set(&coins, "42", &7));
        let crate::txn::Ran::Placed(placed, _) = ran else { panic!("it is placed") };
        assert!(core.held_back.load(Ordering::Relaxed) > 0);
        let clock = &core.wal.env().clock;
        let until = clock.monotonic() + Duration::from_secs(60);
        while core.wal.accepted() < placed.end && clock.monotonic() < until {
            std::thread::yield_now();
        }
        assert!(core.wal.accepted() >= placed.end, "nobody asked for it, and it is written");
    }

    #[test]
    fn nobody_is_held_back_while_tables_cannot_be_written() {
        let disk = savehold_wal::sim::SimDisk::memory();
        let clock = Arc::new(savehold_wal::sim::SimClock::default());
        let (vfs, hand) = (Arc::new(disk.clone()), clock.clone());
        let env = savehold_wal::env::Env { vfs, clock, ..savehold_wal::sim::memory() };
        let store = crate::Options::new().open_in(env, std::path::Path::new("/store")).unwrap();
        let core = &store.core;
        let work = core.shelf.work.lock(); // there is no table yet
        store.collection::<Vec<u8>>("coins").unwrap().set("42", &vec![7; 300 << 10]).unwrap();
        let _packing = core.packer.work.lock(); // it would say what is dead
        let is_held_back = || {
            core.waste.note_dead(1 << 40, 0);
            let (end, now) = (core.wal.accepted(), core.wal.env().clock.monotonic());
            core.waste.count(1 << 20, end, now);
            core.waste.pause(end, now).is_some()
        };
        let tend = || {
            (0..3).for_each(|_| {
                drop(core.shelf.work.lock()); // whoever is at it is done
                core.tend_index();
                hand.advance(IDLE);
            });
        };
        assert!(is_held_back());
        disk.set_capacity(Some(0));
        drop(work);
        tend();
        assert!(core.checkpoints.load(Ordering::Relaxed) == 0 && !is_held_back());
        disk.set_capacity(None);
        tend();
        assert!(core.checkpoints.load(Ordering::Relaxed) > 0 && is_held_back());
    }

    #[test]
    fn looks_that_follow_each_other_at_once_do_not_find_a_store_idle() {
        let clock = Arc::new(savehold_wal::sim::SimClock::default());
        let (hand, threads) = (clock.clone(), Threads::None);
        let env = savehold_wal::env::Env { clock, threads, ..savehold_wal::sim::memory() };
        let store = crate::Options::new().open_in(env, std::path::Path::new("/store")).unwrap();
        store.collection::<Vec<u8>>("coins").unwrap().set("42", &vec![7; 300 << 10]).unwrap();
        let checkpoints = |after| {
            hand.advance(after);
            assert_eq!(store.core.tend_index(), Some(IDLE), "to look again");
            store.core.checkpoints.load(Ordering::Relaxed)
        };
        assert_eq!([Duration::ZERO, Duration::ZERO, IDLE / 2].map(checkpoints), [0; 3]);
        store.collection::<u64>("coins").unwrap().set("43", &7).unwrap();
        assert_eq!([IDLE / 2, IDLE - Duration::from_nanos(1)].map(checkpoints), [0; 2], "it was not");
        hand.advance(Duration::from_nanos(1));
        store.core.tend_index();
        assert_eq!(store.core.checkpoints.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn who_waits_for_an_answer_is_held_back_for_space_and_nobody_else_is() {
        let store = crate::Store::in_memory().unwrap();
        let (core, coins) = (store.core.clone(), store.collection::<u64>("coins").unwrap());
        let held_back = || core.held_back_for_space.load(Ordering::Relaxed);
        coins.set("42", &7).unwrap();
        let packing = core.packer.work.lock(); // it would say what is dead
        core.waste.note_dead(120 << 20, 0);
        (0..9).for_each(|n| _ = coins.set_async("42", &n).wait().unwrap());
        assert_eq!(held_back(), 0, "tickets, a little over the line");
        core.waste.note_dead(1 << 40, 0);
        let holder = store.holder("server").unwrap();
        (0..9).for_each(|n| holder.acquire([coins.key(n)], crate::Start::new()).unwrap().release().unwrap());
        assert_eq!(held_back(), 0, "grants and releases");
        // Whoever waited as long anyway, of a machine that stood still, owes nothing.
        let comes_to = |count, commit: &dyn Fn()| {
            (0..100).any(|_| {
                commit();
                held_back() == count
            })
        };
        assert!(comes_to(1, &|| _ = coins.set("42", &8).unwrap()), "it waited for what they committed too");
        let ticket = || _ = coins.set_async("42", &8).wait().unwrap();
        assert!(comes_to(2, &ticket), "a ticket, so far over it that nothing else bounds the disk's use");
        core.waste.note_tables_stuck();
        coins.set("42", &9).unwrap();
        coins.set_async("42", &9).wait().unwrap();
        assert_eq!(held_back(), 2, "they would wait for nothing");
        drop(packing);
    }
}
