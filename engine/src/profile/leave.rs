//! Corridor: the end of a session, always in this order: the reason is set, `before_release` may edit, one record has the
//! last save and frees the lease, the game is told.
//!
//! On a handoff request the engine does this at once; so does dropping the last handle. What fails is tried again, until
//! the lease is lost or the store takes nothing any more. A session that another ended has no last save: its token is
//! refused, and the handle keeps the reason.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use savehold_wal::Placed;

use super::ground::Ground;
use super::hooks::CutShort;
use super::live::{Live, Phase, Turn};
use super::playable::Playable;
use super::rules::Rules;
use super::save::LastSave;
use super::shared::{Gone, Leaving, RETRY_AFTER, Shared};
use crate::caught::{caught, panicked};
use crate::error::{Error, ErrorKind, Result};
use crate::key::Key;
use crate::lease::Ended;
use crate::planted::{self, Fault};
use crate::txn::Ran;

/// How soon it is looked again whether the last hook of a profile can have its turn.
const TURN_AFTER: Duration = Duration::from_millis(20);

/// Hooks, as messages name them.
const BEFORE_SAVE: &str = "`before_save`";
const LAST_HOOKS: &str = "`before_release`, or the `before_save` behind it,";

/// What closing came to.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct CloseReport {
    /// Profiles whose last state is durable, whether there was anything to save or not.
    pub saved: usize,
    /// Those whose last state is not saved, and why. As long as the store is open it is tried again, by itself and by
    /// another close; but for [`ErrorKind::Conflict`](crate::ErrorKind::Conflict), where something else wrote the document
    /// under the session's token: that stays, and the session is over.
    pub failed: Vec<(Key, Error)>,
    /// Those that have their last save in the log, and the answer did not come in time.
    pub late: Vec<Key>,
    /// Hooks that did not come back in time, or panicked: what stood without them was saved.
    pub hooks_cut_short: usize,
}

/// How long hooks may take.
#[derive(Clone, Copy)]
pub(crate) enum HookTime {
    /// On a thread of their own, for so long.
    AtMost(Duration),
    /// Here, as long as they take: the program itself calls.
    Own,
}

impl<T: Playable> Live<T> {
    /// The session is ending: memory takes no more changes. `false`: it was ending before.
    pub(crate) fn begin_end(&self, why: &Ended) -> bool {
        let mut state = self.lock();
        if state.phase != Phase::Active {
            return false;
        }
        state.phase = Phase::Ending(why.clone());
        drop(state);
        self.session.begin_end();
        self.shared.unseat(self);
        true
    }

    /// Ends the session; answers where its last record stands.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Ended`](crate::ErrorKind::Ended): it had ended. Otherwise it is tried again later.
    pub(crate) fn end(self: &Arc<Self>, why: Ended, time: HookTime) -> Result<Placed> {
        let _on_the_way = self.shared.go_out();
        self.check()?;
        if !self.begin_end(&why) {
            return Err(self.over(&why)); // somebody else ends it right now
        }
        self.run_last_hook(&why, time);
        let placed = self.place_last(&why);
        if placed.is_err() && self.may_try_again() {
            let retry_at = self.ground().boot() + RETRY_AFTER;
            self.shared.leave(Leaving { live: self.clone(), why, retry_at, hooked: true });
        }
        placed
    }

    /// Whether there is anything left to try: the session may be over, or the store take nothing any more.
    fn may_try_again(&self) -> bool {
        if self.ground().failure().is_some() {
            self.lose(Ended::Closed);
        }
        !matches!(self.lock().phase, Phase::Over(_))
    }

    /// Tries again to place the last record.
    pub(crate) fn finish_leaving(self: Arc<Self>, leaving: Leaving<T>, time: Duration) {
        if !leaving.hooked {
            // the closure perhaps that let the last handle go, which takes as long as it takes: nobody waits for it here, and
            // the hook waits for its turn
            if self.has_last_hook() && self.is_taken() {
                let retry_at = self.ground().boot() + TURN_AFTER;
                return self.shared.leave(Leaving { retry_at, ..leaving });
            }
            self.run_last_hook(&leaving.why, HookTime::AtMost(time));
        }
        match self.place_last(&leaving.why) {
            Ok(placed) => self.shared.go(self.gone(leaving.why, placed)),
            Err(e) => {
                self.shared.trouble(&e);
                if self.may_try_again() {
                    let retry_at = self.ground().boot() + RETRY_AFTER;
                    self.shared.leave(Leaving { retry_at, hooked: true, ..leaving });
                }
            }
        }
    }

    /// The last handle went, or another asks for the key: the session ends, and nobody waits for it. From inside a closure that
    /// the store runs it only begins to: nothing can be placed there, and a transaction may have the profile to itself until
    /// the closure has returned, so that no hook would ever get its turn. The store's own thread does the rest.
    pub(crate) fn end_unwatched(self: &Arc<Self>, why: Ended, time: HookTime) {
        if self.ground().check_outside().is_err() {
            let _on_the_way = self.shared.go_out();
            if self.check().is_ok() && self.begin_end(&why) {
                let retry_at = self.ground().boot();
                self.shared.leave(Leaving { live: self.clone(), why, retry_at, hooked: false });
            }
            return;
        }
        match self.end(why.clone(), time) {
            Ok(placed) => self.shared.go(self.gone(why, placed)),
            Err(e) => self.shared.trouble(&e),
        }
    }

    /// What is told of its end once `placed` is durable.
    pub(crate) fn gone(&self, why: Ended, placed: Placed) -> Gone {
        let write_at = self.shared.write_at(&why);
        Gone { key: self.key.clone(), why, placed, write_at }
    }

    /// One record: the last save, if there is anything to save, and the release. Where the program's own serialization
    /// panics that is an error like any other: nothing else that is due suffers from it.
    fn place_last(self: &Arc<Self>, why: &Ended) -> Result<Placed> {
        caught(|| self.place_last_record(why)).unwrap_or_else(|said| Err(self.panicked(&said)))
    }

    fn place_last_record(self: &Arc<Self>, why: &Ended) -> Result<Placed> {
        match self.place_last_with(why, true) {
            // what was written beside memory stays, and memory goes: the session ends all the same
            Err(e) if e.kind() == ErrorKind::Conflict => {
                self.shared.alarm(self.ground().boot());
                let placed = self.place_last_with(why, false).map_err(|other| other.caused_by(e.clone()))?;
                self.shared.go(self.gone(why.clone(), placed));
                let say = "the session is over; something else had written the document under its token, so that what it had \
                           not saved is lost: start it again, and write what is played through its profile alone";
                Err(self.named(Error::new(ErrorKind::Conflict, say)).caused_by(e))
            }
            placed => placed,
        }
    }

    fn place_last_with(self: &Arc<Self>, why: &Ended, saves: bool) -> Result<Placed> {
        let ground = self.ground();
        let ran = ground.transact(self.shared.how(), |tx| -> Result<()> {
            let picture = self.picture(false, false);
            let mut base = None;
            if saves && !picture.is_placed && !planted::has(Fault::ReleaseUnsaved) {
                let (entry, next) = self.entry(&picture.value, &picture.base)?;
                let users = picture.base.head.attributes.user_ids();
                tx.put_seen(&self.full, picture.base.lsn, users, entry)?;
                base = Some(next);
            }
            self.session.end_in(tx, Some(why.clone()));
            tx.remember(std::rc::Rc::new(LastSave { live: self.clone(), picture, base, why: why.clone() }));
            Ok(())
        });
        match ran {
            Ran::Placed(placed, _) => Ok(placed),
            Ran::Refused(_, e) | Ran::Failed(e) => Err(self.named(e)),
            Ran::Barred(_, e) => {
                let why = self.session.why_ended().unwrap_or(Ended::Expired);
                self.lose(why.clone());
                Err(self.over(&why).caused_by(e))
            }
            Ran::Read(..) | Ran::Before(_) => unreachable!("it writes, and carries no id"),
        }
    }

    /// `before_release` and `before_save` have the last word; what they make that may not be stored is left out. `false`:
    /// they did not come back in time, or panicked, or an update was still at it.
    fn run_last_hook(&self, why: &Ended, time: HookTime) -> bool {
        if !self.has_last_hook() {
            return true;
        }
        let Some((turn, time)) = self.turn_for_hook(time) else {
            return self.cut_short(LAST_HOOKS, CutShort::Late);
        };
        let (key, why) = (self.key.clone(), why.clone());
        let edited = self.run_hook(&turn, time, move |rules, value| {
            if let Some(hook) = &rules.before_release {
                hook(&key, value, &why);
            }
            if let Some(hook) = &rules.before_save {
                hook(&key, value);
            }
        });
        match edited {
            Ok(Ok((value, bytes))) => {
                turn.install_last(value, bytes, self.ground().boot());
                true
            }
            Ok(Err(e)) => {
                self.ground().note_failure(self.named(e.clone().within(LAST_HOOKS)));
                self.lock().fault = Some(e);
                true
            }
            Err(why) => self.cut_short(LAST_HOOKS, why),
        }
    }

    fn has_last_hook(&self) -> bool {
        self.shared.rules.before_release.is_some() || self.shared.rules.before_save.is_some()
    }

    /// `before_save` may edit what is saved.
    pub(crate) fn before_save(&self, time: Duration) {
        if self.shared.rules.before_save.is_none() || self.lock().unsaved_since.is_none() {
            return;
        }
        let Some((turn, time)) = self.turn_for_hook(HookTime::AtMost(time)) else {
            self.cut_short(BEFORE_SAVE, CutShort::Late);
            return;
        };
        let key = self.key.clone();
        let edited = self.run_hook(&turn, time, move |rules, value| {
            if let Some(hook) = &rules.before_save {
                hook(&key, value);
            }
        });
        match edited {
            Ok(Ok((value, bytes))) => {
                let now = self.ground().boot();
                // where the session ended meanwhile, that hook had its say
                if let Ok(Some(save_at)) = turn.install(value, bytes, now, || self.shared.save_at(now)) {
                    self.ground().ring_by(save_at); // all before was saved meanwhile, and this save may fail
                }
            }
            Ok(Err(e)) => self.ground().note_failure(self.named(e.within(BEFORE_SAVE))),
            Err(why) => _ = self.cut_short(BEFORE_SAVE, why),
        }
    }

    /// A hook gave nothing: what stands without it is saved, and that it failed is counted. Answers that it did not run.
    #[cold]
    fn cut_short(&self, hook: &str, why: CutShort) -> bool {
        let e = match why {
            CutShort::Panicked(said) => {
                panicked(hook, &said, "what stood without it was saved; mend the hook")
            }
            CutShort::Late => {
                let say = format!(
                    "{hook} did not come back in time, or an update was at work all the while: what stood without it was saved; \
                     do less in it, or raise `hook_time`"
                );
                Error::new(ErrorKind::Busy, say)
            }
        };
        self.ground().note_failure(self.named(e));
        false
    }

    /// The turn that a hook needs, and the time that is left for it: an update of the program that takes long counts.
    fn turn_for_hook(&self, time: HookTime) -> Option<(Turn<'_, T>, HookTime)> {
        let HookTime::AtMost(time) = time else { return Some((self.turn(), time)) };
        let until = self.ground().boot().saturating_add(time);
        let turn = self.turn_within(time)?;
        Some((turn, HookTime::AtMost(until.saturating_sub(self.ground().boot()))))
    }

    /// Runs the program's code on a copy of the value, and its checks of what came of it.
    fn run_hook(
        &self,
        turn: &Turn<'_, T>,
        time: HookTime,
        hook: impl FnOnce(&Rules<T>, &mut T) + Send + 'static,
    ) -> Result<Result<(T, usize)>, CutShort> {
        let enter = self.ground().enter_elsewhere();
        let (rules, value) = (self.shared.rules.clone(), turn.value.clone());
        let hook = move || {
            let _inside = enter();
            let mut value = (*value).clone();
            hook(&rules, &mut value);
            rules.validate(&value).map(|bytes| (value, bytes))
        };
        match time {
            HookTime::Own => caught(hook).map_err(CutShort::Panicked),
            HookTime::AtMost(time) => self.shared.hooks.run(self.ground().env().threads, time, hook),
        }
    }
}

impl<T: Playable> Shared<T> {
    /// Ends all sessions, behind those that are ending: hooks while there is time, then all last saves one behind the other, then one wait for all.
    pub(crate) fn close_all(&self, deadline: Duration) -> CloseReport {
        self.closed.store(true, Ordering::Release);
        let ground = &self.ground;
        let begun = ground.boot();
        let until = begun.saturating_add(deadline);
        let hooks_until = begun.saturating_add(deadline / 4 * 3); // the saves get the rest
        let mut report = CloseReport::default();
        let mut leaving = Vec::new();
        for live in self.lives() {
            if live.begin_end(&Ended::Closed) {
                leaving.push(Leaving { live, why: Ended::Closed, retry_at: Duration::ZERO, hooked: false });
            }
        }
        self.await_leavers(hooks_until); // hooks of theirs
        leaving.extend(self.take_leaving(Duration::MAX));
        for one in leaving.iter().filter(|one| !one.hooked) {
            let time = HookTime::AtMost(hooks_until.saturating_sub(ground.boot()));
            report.hooks_cut_short += usize::from(!one.live.run_last_hook(&one.why, time));
        }
        let mut gone = Vec::new();
        for Leaving { live, why, .. } in leaving {
            match live.place_last(&why) {
                Ok(placed) => gone.push(live.gone(why, placed)),
                Err(e) => {
                    report.failed.push((live.key.clone(), e));
                    if live.may_try_again() {
                        let retry_at = ground.boot() + RETRY_AFTER;
                        self.leave(Leaving { live, why, retry_at, hooked: true });
                    }
                }
            }
        }
        self.await_last(gone, until, &mut report);
        report
    }

    /// Waits for the last of what was placed; the answer to it is the answer to all.
    fn await_last(&self, gone: Vec<Gone>, until: Duration, report: &mut CloseReport) {
        let ground = &self.ground;
        let last = gone.iter().map(|one| one.placed).max_by_key(|placed| placed.end);
        let waited = last.map(|last| {
            let ticket = ground.settle(last, ());
            ticket.wait_timeout(until.saturating_sub(ground.boot())).unwrap_or(Ok(()))
        });
        let failure = waited.and_then(std::result::Result::err);
        let acknowledged = ground.acknowledged();
        for one in gone {
            match &failure {
                _ if one.placed.end <= acknowledged => report.saved += 1,
                Some(e) => report.failed.push((one.key.clone(), e.clone())),
                None => report.late.push(one.key.clone()),
            }
            self.gone.lock().push(one);
        }
        self.settle();
        ground.ring();
    }
}
