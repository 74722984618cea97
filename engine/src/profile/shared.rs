//! Corridor: the profiles of a collection that this process plays: who is in play, what is due, what the game is told.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use savehold_wal::Placed;
use savehold_wal::env::Threads;
use savehold_wal::sync::{Condvar, Mutex};

use super::critical::Critical;
use super::events::{Event, Queue};
use super::ground::{Engine, Ground};
use super::handle::Handle;
use super::hooks::Hooks;
use super::live::{Live, Phase};
use super::playable::Playable;
use super::rules::Rules;
use super::save::Save;
use crate::caught::caught;
use crate::commit::{How, Patience};
use crate::duty::Duty;
use crate::error::{Error, ErrorKind, Next, Result};
use crate::holder::Holder;
use crate::key::{FullKey, Key};
use crate::lease::Ended;
use crate::memory::Hears;
use crate::planted::{self, Fault};
use crate::record::Cause;

/// How long what failed is left alone.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How soon it is looked again whether what was placed has its answer.
const LOOK_AFTER: Duration = Duration::from_millis(2);

/// Saves that fall due within this part of the autosave time are made together.
const TOGETHER: u32 = 20;

/// The profiles of a collection, for one holder.
pub(crate) struct Shared<T: Playable> {
    // constant after open
    pub(super) ground: Engine,
    pub(crate) holder: Holder,
    /// Also in the hands of a hook that does not come back.
    pub(crate) rules: Arc<Rules<T>>,

    /// In play. A session that is over or ending is not here.
    seats: Mutex<HashMap<Key, Seat<T>>>,
    leavers: Mutex<Leavers<T>>,
    /// Rung when nobody is on his way out.
    left: Condvar,
    /// Sessions whose last record has its place and perhaps not its answer.
    pub(crate) gone: Mutex<Vec<Gone>>,
    pub(crate) queue: Arc<Queue>,
    critical: Mutex<Critical>,
    pub(crate) hooks: Hooks,
    pub(crate) closed: AtomicBool,
}

struct Seat<T: Playable> {
    live: Arc<Live<T>>,
    handle: Weak<Handle<T>>,
}

/// Who leaves.
struct Leavers<T: Playable> {
    /// Sessions whose last record is still to be placed.
    leaving: Vec<Leaving<T>>,
    /// Threads that end a session right now: it is neither in play nor among these.
    on_the_way: usize,
    /// The store is closed: nothing is tried again.
    over: bool,
}

/// A thread ends a session, until this is dropped.
pub(crate) struct OnTheWay<'a, T: Playable>(&'a Shared<T>);

impl<T: Playable> Drop for OnTheWay<'_, T> {
    fn drop(&mut self) {
        self.0.leavers.lock().on_the_way -= 1;
        self.0.left.notify_all();
    }
}

/// A session whose last record is still to be placed.
pub(crate) struct Leaving<T: Playable> {
    pub(crate) live: Arc<Live<T>>,
    pub(crate) why: Ended,
    /// When to try again (boot clock).
    pub(crate) retry_at: Duration,
    /// The hook has had its say.
    pub(crate) hooked: bool,
}

/// A session whose last record has its place; the game is told when that is durable. It keeps nothing alive.
pub(crate) struct Gone {
    pub(crate) key: Key,
    pub(crate) why: Ended,
    pub(crate) placed: Placed,
    /// When the log is to be written for it, unless it was before (boot clock).
    pub(crate) write_at: Duration,
}

impl<T: Playable> Shared<T> {
    pub(crate) fn new(ground: Engine, holder: Holder, rules: Rules<T>) -> Self {
        Self {
            ground,
            holder,
            rules: Arc::new(rules),
            seats: Mutex::default(),
            leavers: Mutex::new(Leavers { leaving: Vec::new(), on_the_way: 0, over: false }),
            left: Condvar::default(),
            gone: Mutex::default(),
            queue: Arc::default(),
            critical: Mutex::default(),
            hooks: Hooks::default(),
            closed: AtomicBool::new(false),
        }
    }

    /// A profile is in play.
    pub(crate) fn seat(&self, live: &Arc<Live<T>>, handle: &Arc<Handle<T>>) {
        let seat = Seat { live: live.clone(), handle: Arc::downgrade(handle) };
        let before = self.seats.lock().insert(live.key.clone(), seat);
        drop(before); // without the lock: it may be the last of a session
    }

    /// A profile is no longer in play.
    pub(crate) fn unseat(&self, live: &Live<T>) {
        let mut seats = self.seats.lock();
        let ours = seats.get(&live.key).is_some_and(|seat| std::ptr::eq(&*seat.live, live));
        let gone = if ours { seats.remove(&live.key) } else { None };
        drop(seats);
        drop(gone);
    }

    /// The handle of a profile that is in play.
    pub(crate) fn handle(&self, key: &[u8]) -> Option<Arc<Handle<T>>> {
        self.seats.lock().get(key)?.handle.upgrade()
    }

    /// All that are in play.
    pub(crate) fn lives(&self) -> Vec<Arc<Live<T>>> {
        self.seats.lock().values().map(|seat| seat.live.clone()).collect()
    }

    /// Keys of all that are in play.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let mut keys: Vec<Key> = self.seats.lock().keys().cloned().collect();
        keys.sort();
        keys
    }

    /// Tells the game.
    pub(crate) fn tell(&self, event: Event) {
        self.queue.push(event);
    }

    /// How the game's own calls commit.
    pub(crate) fn how(&self) -> How {
        self.ground.how(Patience::Waits)
    }

    /// Counts an error that means trouble with the store, not with the call.
    pub(crate) fn trouble(&self, e: &Error) {
        let counts = match e.next() {
            Next::Reopen => e.kind() != ErrorKind::Closed, // whoever closed it knows
            Next::Restore => true,
            Next::Retry => !matches!(e.kind(), ErrorKind::Leased | ErrorKind::MailboxFull),
            _ => false,
        };
        let now = self.ground.boot();
        if counts && self.critical.lock().note(now) {
            self.tell(Event::Critical(true));
        }
    }

    /// A change could not be saved in time, or never will be.
    pub(crate) fn alarm(&self, now: Duration) {
        if self.critical.lock().raise(now) {
            self.tell(Event::Critical(true));
        }
    }

    /// Whether saving is in trouble.
    pub(crate) fn is_critical(&self) -> bool {
        self.critical.lock().is_raised()
    }

    /// The end of a session is to be tried again. Where the store is closed it is lost: nobody would take it off this list,
    /// and it would keep the store in memory.
    pub(crate) fn leave(&self, leaving: Leaving<T>) {
        let mut leavers = self.leavers.lock();
        if leavers.over {
            drop(leavers);
            return leaving.live.lose(Ended::Closed);
        }
        leavers.leaving.push(leaving);
        drop(leavers);
        self.ground.ring();
    }

    /// This thread is about to end a session: whoever closes waits for it.
    pub(crate) fn go_out(&self) -> OnTheWay<'_, T> {
        self.leavers.lock().on_the_way += 1;
        OnTheWay(self)
    }

    /// Waits until nobody ends a session, up to `until`. Not inside a closure that the store runs, which somebody may be
    /// waiting for who does, and not where the store has no threads.
    pub(crate) fn await_leavers(&self, until: Duration) {
        if self.ground.env().threads == Threads::None || self.ground.check_outside().is_err() {
            return;
        }
        let mut leavers = self.leavers.lock();
        while leavers.on_the_way > 0 {
            let left = until.saturating_sub(self.ground.boot());
            if left.is_zero() {
                return;
            }
            self.left.wait_for(&mut leavers, left);
        }
    }

    /// A session has its last record: sees to it that it gets its answer and the game is told. Nobody waits for it, but
    /// where a store has no threads the log is written here.
    pub(crate) fn go(&self, gone: Gone) {
        let (placed, write_at) = (gone.placed, gone.write_at);
        self.gone.lock().push(gone);
        if write_at <= self.ground.boot() {
            self.see_to(placed);
        }
        self.settle();
        self.ground.ring();
    }

    /// When the log is to be written for the end of a session. Where it is handed over, whoever asked for it places the
    /// grant right behind the last save, and one sync answers both: so it is left alone for a moment.
    pub(crate) fn write_at(&self, why: &Ended) -> Duration {
        let ground = &self.ground;
        let company = matches!(why, Ended::HandedOver(_)) && ground.env().threads == Threads::Own;
        if company { ground.boot() + LOOK_AFTER } else { Duration::ZERO }
    }

    /// Sees to it that what was placed gets its answer.
    pub(crate) fn see_to(&self, placed: Placed) {
        match self.ground.env().threads {
            Threads::Own => drop(self.ground.settle(placed, ())),
            Threads::None => _ = self.ground.wait(placed), // a failure is met by whoever asks next
        }
    }

    /// Tells of ends that are durable; of those that will never be known to be, that the store took no more.
    pub(crate) fn settle(&self) {
        let halted = self.ground.failure().is_some();
        let acknowledged = self.ground.acknowledged();
        let durable = |gone: &Gone| gone.placed.end <= acknowledged;
        let told: Vec<Gone> = self.gone.lock().extract_if(.., |gone| halted || durable(gone)).collect();
        for gone in told {
            let why = if durable(&gone) { gone.why } else { Ended::Closed };
            self.tell(Event::Ended { key: gone.key, why });
        }
    }

    /// Takes those whose last record is still to be placed and may be tried again by `now`.
    pub(crate) fn take_leaving(&self, now: Duration) -> Vec<Leaving<T>> {
        self.leavers.lock().leaving.extract_if(.., |leaving| leaving.retry_at <= now).collect()
    }

    /// When ends are to be looked at again.
    fn ends_at(&self, now: Duration) -> Option<Duration> {
        let waits = !self.gone.lock().is_empty();
        let retry = self.leavers.lock().leaving.iter().map(|leaving| leaving.retry_at).min();
        retry.into_iter().chain(waits.then(|| now + LOOK_AFTER)).min()
    }
}

impl<T: Playable> Shared<T> {
    /// When a change made now is to be saved: within the autosave time, not all at once.
    pub(crate) fn save_at(&self, now: Duration) -> Duration {
        let time = self.rules.autosave;
        let early = self.ground.env().entropy.next_u64() % 1024;
        now.saturating_add(time) - (time / 8).mul_f64(early as f64 / 1024.0)
    }

    /// Saves what is due at `now`, all together; says when the next is.
    fn autosave(&self, now: Duration) -> Option<Duration> {
        let until = now + self.rules.autosave / TOGETHER;
        let mut due = Vec::new();
        let mut next: Option<Duration> = None;
        let mut is_due = false;
        for live in self.lives() {
            let at = live.lock().save_at;
            if at <= until {
                is_due |= at <= now;
                due.push((at, live));
            } else if at < Duration::MAX {
                next = Some(next.map_or(at, |next| next.min(at)));
            }
        }
        if !is_due {
            return due.iter().map(|(at, _)| *at).chain(next).min();
        }
        due.sort_by_key(|(at, _)| *at);
        let mut last = None;
        for (_, live) in due {
            last = self.autosave_one(&live, now).or(last);
            let at = live.lock().save_at;
            if at < Duration::MAX {
                next = Some(next.map_or(at, |next| next.min(at)));
            }
        }
        if let Some(placed) = last {
            self.see_to(placed); // one answer for all of them
        }
        next
    }

    /// Saves what is due, unless the log has it; its place.
    fn autosave_one(&self, live: &Arc<Live<T>>, now: Duration) -> Option<Placed> {
        if planted::has(Fault::SkipChanged) {
            live.lock().save_at = Duration::MAX;
            return None;
        }
        let saved = caught(|| {
            live.before_save(self.rules.hook_time);
            live.save(Cause::Autosave, self.how())
        });
        self.autosaved(live, saved.unwrap_or_else(|said| Err(live.panicked(&said))), now)
    }

    /// What was due was looked at, and this came of it: says when it is due again. The game may have changed it since, so
    /// that even what was in the log whole may have to be saved.
    fn autosaved(&self, live: &Live<T>, saved: Result<Save>, now: Duration) -> Option<Placed> {
        match saved {
            Ok(save) => {
                let mut state = live.lock();
                state.save_at = state.unsaved_since.map_or(Duration::MAX, |_| self.save_at(now));
                drop(state);
                match save {
                    Save::Placed(placed) => Some(placed),
                    Save::Unchanged(_) => None,
                }
            }
            Err(e) if e.kind() == ErrorKind::Ended => None,
            Err(e) => {
                self.trouble(&e);
                let mut state = live.lock();
                state.save_at = now + RETRY_AFTER;
                state.fault = Some(e);
                let late = state
                    .unsaved_since
                    .is_some_and(|since| now.saturating_sub(since) > self.rules.unsaved_max);
                drop(state);
                if late {
                    self.alarm(now);
                }
                None
            }
        }
    }
}

impl<T: Playable> Duty for Shared<T> {
    fn tend(&self) -> Option<Duration> {
        let ground = &self.ground;
        let now = ground.boot();
        let on_the_way = self.go_out(); // they are on no list meanwhile
        for leaving in self.take_leaving(now) {
            leaving.live.clone().finish_leaving(leaving, self.rules.hook_time);
        }
        drop(on_the_way);
        let saves = self.autosave(now);
        let last = {
            let gone = self.gone.lock();
            let due = gone.iter().filter(|gone| gone.write_at <= now);
            due.map(|gone| gone.placed).max_by_key(|placed| placed.end)
        };
        if let Some(placed) = last {
            self.see_to(placed);
        }
        self.settle();
        let clears = {
            let mut critical = self.critical.lock();
            if critical.calm(now) {
                self.tell(Event::Critical(false));
            }
            critical.clears_at()
        };
        let next = [saves, self.ends_at(now), clears].into_iter().flatten().min()?;
        Some(next.saturating_sub(ground.boot()))
    }

    fn end(&self) {
        _ = self.close_all(self.rules.hook_time);
        let mut leavers = self.leavers.lock();
        leavers.over = true;
        let given_up = std::mem::take(&mut leavers.leaving); // nothing is tried again: they would keep the store
        drop(leavers);
        drop(given_up);
    }
}

impl<T: Playable> Hears for Shared<T> {
    fn mail(&self, to: &FullKey) {
        let in_play = self.seats.lock().get(to.1.as_bytes()).is_some_and(|seat| seat.live.full == *to);
        if in_play {
            self.tell(Event::Mail { key: to.1.clone() });
        }
    }
}

impl<T: Playable> Shared<T> {
    /// Refuses new sessions once the profiles were closed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`].
    pub(crate) fn check_open(&self) -> Result<()> {
        if !self.closed.load(Ordering::Acquire) {
            return Ok(());
        }
        let say = "the profiles were closed: open them again to start sessions";
        Err(Error::new(ErrorKind::Closed, say).within(self.ground.name()))
    }
}

impl<T: Playable> Live<T> {
    /// The program's own code did it, while a document was turned into bytes. It is counted: whoever saves may be nobody.
    #[cold]
    pub(crate) fn panicked(&self, said: &str) -> Error {
        let say = format!(
            "the document panicked while it was being saved ({said}): nothing was written; mend its `Serialize`, or the check \
             of it"
        );
        let e = self.named(Error::new(ErrorKind::Encode, say));
        self.ground().note_failure(e.clone());
        e
    }

    /// Another ended the session: nothing more can be saved, and the game is told.
    pub(crate) fn lose(&self, why: Ended) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Over(_)) {
            return;
        }
        state.phase = Phase::Over(why.clone());
        drop(state);
        self.shared.unseat(self);
        self.shared.tell(Event::Ended { key: self.key.clone(), why });
    }
}

impl<T: Playable> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} as {}", self.ground.name(), self.holder.name())
    }
}

#[cfg(test)]
mod tests;
