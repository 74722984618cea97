//! Door: the moments that somebody holds open: snapshots, and what reads across time.
//!
//! Invariant: a moment is granted and entered under one lock, the same under which new terms come into force and who drops
//! anything looks who holds what. So what a snapshot shows was not dropped before it was entered, and is not dropped while
//! it is.

use std::collections::BTreeMap;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use savehold_wal::Lsn;
use savehold_wal::sync::Mutex;

use crate::ids::{CollectionId, Version};
use crate::retention::{Holds, Terms};

/// An open snapshot, for whoever looks why history is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenSnapshot {
    /// The moment that it holds.
    pub version: Version,
    /// How long it has been open.
    pub age: Duration,
    /// Who opened it: a name that was given, else file and line of the call, and the thread.
    pub owner: String,
}

/// The open snapshots of a store, and the terms in force.
#[derive(Debug, Default)]
pub(crate) struct Moments {
    held: Mutex<Held>,
    /// Every moment at or behind it is whole: [`Terms::whole`], to be seen without the lock.
    whole: AtomicU64,
}

/// Which moments are kept: by the terms, and by whoever holds one.
#[derive(Debug, Default)]
pub(crate) struct Held {
    next: u64,
    open: BTreeMap<u64, Open>,
    terms: Arc<Terms>,
}

#[derive(Debug)]
struct Open {
    moment: Lsn,
    /// The terms that were in force when it was granted: what was whole then stays so.
    granted: Arc<Terms>,
    /// Its moment is about to be pinned.
    pinning: bool,
    /// Every later moment is held too.
    onward: bool,
    since: Duration,
    owner: Owner,
}

#[derive(Clone, Debug)]
enum Owner {
    Call(&'static Location<'static>, Option<String>),
    Named(String),
}

impl Owner {
    fn text(&self) -> String {
        match self {
            Self::Call(place, None) => format!("{}:{}", place.file(), place.line()),
            Self::Call(place, Some(thread)) => format!("{}:{}, thread {thread}", place.file(), place.line()),
            Self::Named(name) => name.clone(),
        }
    }
}

/// Holds a moment until it is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    moments: Arc<Moments>,
    number: u64,
    pub(crate) moment: Lsn,
}

impl Moments {
    /// Holds the moment that `grant` says, for the caller of the public call at `place`; `now` is the monotonic clock.
    pub(crate) fn hold<E>(
        self: &Arc<Self>,
        place: &'static Location<'static>,
        now: Duration,
        grant: impl FnOnce(&Held) -> Result<Lsn, E>,
    ) -> Result<Hold, E> {
        let thread = std::thread::current().name().map(str::to_owned);
        let mut held = self.held.lock();
        let moment = grant(&held)?;
        let (number, granted) = (held.next, held.terms.clone());
        held.next += 1;
        held.open.insert(
            number,
            Open {
                moment,
                granted,
                pinning: false,
                onward: false,
                since: now,
                owner: Owner::Call(place, thread),
            },
        );
        Ok(Hold { moments: self.clone(), number, moment })
    }

    /// Asks which moments are kept; what the answer says may be given up right behind it.
    pub(crate) fn ask<R>(&self, ask: impl FnOnce(&Held) -> R) -> R {
        ask(&self.held.lock())
    }

    /// Whether every key of a collection is at `moment` as it was.
    #[inline]
    pub(crate) fn is_whole(&self, moment: Lsn, collection: CollectionId) -> bool {
        moment.raw() >= self.whole.load(Ordering::Acquire) || self.held.lock().is_whole(moment, collection)
    }

    /// Whether something may have gone at `moment` that a run of a closure reads.
    pub(crate) fn may_be_torn(&self, moment: Lsn) -> bool {
        moment.raw() < self.whole.load(Ordering::Acquire)
    }

    /// Brings the terms into force that `next` makes of those in force and of moments that are being pinned; says them, and
    /// which moments are held. No moment that they do not keep is granted from now on.
    pub(crate) fn change<E>(
        &self,
        next: impl FnOnce(&Arc<Terms>, Vec<Lsn>) -> Result<Arc<Terms>, E>,
    ) -> Result<(Arc<Terms>, Holds), E> {
        let mut held = self.held.lock();
        let pinning = held.open.values().filter(|open| open.pinning).map(|open| open.moment).collect();
        held.terms = next(&held.terms, pinning)?;
        self.whole.store(held.terms.whole().raw(), Ordering::Release);
        Ok((held.terms.clone(), held.holds()))
    }

    /// The moments that somebody holds.
    pub(crate) fn held(&self) -> Holds {
        self.held.lock().holds()
    }

    /// The terms in force.
    pub(crate) fn terms(&self) -> Arc<Terms> {
        self.held.lock().terms.clone()
    }

    /// How many are open.
    pub(crate) fn count(&self) -> usize {
        self.held.lock().open.len()
    }

    /// Who holds what, the oldest moment first; `now` is the monotonic clock.
    pub(crate) fn open(&self, now: Duration) -> Vec<OpenSnapshot> {
        let held = self.held.lock();
        let mut all: Vec<OpenSnapshot> = held
            .open
            .values()
            .map(|open| OpenSnapshot {
                version: open.moment.into(),
                age: now.saturating_sub(open.since),
                owner: open.owner.text(),
            })
            .collect();
        all.sort_by_key(|open| open.version);
        all
    }
}

impl Held {
    /// The newest kept moment that is not newer than `moment`; `None` where all are newer.
    pub(crate) fn kept_before(&self, moment: Lsn) -> Option<Lsn> {
        let open = self.open.values().map(|open| open.moment).filter(|held| *held <= moment).max();
        self.terms.kept_before(moment).max(open)
    }

    /// The terms in force.
    pub(crate) fn terms(&self) -> &Terms {
        &self.terms
    }

    /// The oldest moment that is kept.
    pub(crate) fn oldest(&self) -> Lsn {
        self.open.values().map(|open| open.moment).fold(self.terms.oldest(), Lsn::min)
    }

    fn holds(&self) -> Holds {
        let onward = self.open.values().filter(|open| open.onward).map(|open| open.moment);
        let onward = onward.min().unwrap_or(Lsn::MAX);
        Holds { moments: self.open.values().map(|open| open.moment).collect(), onward }
    }

    fn is_whole(&self, moment: Lsn, collection: CollectionId) -> bool {
        let whole = |terms: &Terms| moment.raw() >= terms.partial(collection.0).raw().saturating_sub(1);
        self.terms.keeps(moment) && whole(&self.terms)
            || self.open.values().any(|open| open.moment == moment && whole(&open.granted))
    }
}

impl Hold {
    /// Has the moment kept as if it were pinned while it is held; false: when it was granted it was kept by another
    /// holder alone. Terms that came into force since then may not keep it: those in force keep it now, and are to be
    /// durable before its pin is.
    pub(crate) fn pin(&self) -> bool {
        let mut held = self.moments.held.lock();
        let Some(open) = held.open.get_mut(&self.number) else { return false };
        open.pinning = open.granted.keeps(open.moment);
        let (pinning, moment) = (open.pinning, open.moment);
        if pinning && !held.terms.keeps(moment) {
            held.terms = Arc::new(held.terms.with_held(moment));
        }
        pinning
    }

    /// Has every later moment held too.
    pub(crate) fn onward(&self) {
        if let Some(open) = self.moments.held.lock().open.get_mut(&self.number) {
            open.onward = true;
        }
    }

    /// Names who holds it.
    pub(crate) fn name(&self, name: String) {
        if let Some(open) = self.moments.held.lock().open.get_mut(&self.number) {
            open.owner = Owner::Named(name);
        }
    }
}

/// Moments that are read page by page, by whoever asks with a call for each page and cannot keep anything between two.
#[derive(Debug, Default)]
pub(crate) struct Paging(Mutex<Vec<(Hold, Duration)>>);

/// How long a moment waits for the next page.
const PAGE_TIME_MAX: Duration = Duration::from_secs(600);

impl Paging {
    /// Holds a moment until nobody has asked for a page of it for ten minutes; `now` is the monotonic clock.
    pub(crate) fn keep(&self, hold: Hold, now: Duration) {
        let mut kept = self.0.lock();
        kept.retain(|(other, _)| other.moment != hold.moment);
        kept.push((hold, now.saturating_add(PAGE_TIME_MAX)));
    }

    /// Lets go of what nobody asked for in time.
    pub(crate) fn let_go(&self, now: Duration) {
        self.0.lock().retain(|(_, until)| *until > now);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.moments.held.lock().open.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pin whose commit is answered is there, whatever terms come into force while it is made.
    #[test]
    fn a_moment_that_is_pinned_while_it_is_held_stays_though_terms_gave_it_up() {
        let (moments, moment) = (Arc::new(Moments::default()), Lsn::new(1, 5));
        let change = |pins: &[Lsn]| {
            let newer = Terms { every: Lsn::new(1, 9), ..Terms::default() };
            let next =
                |before: &Arc<Terms>, pinning| Ok::<_, ()>(Arc::new(newer.with_pins(before, pins, pinning)));
            moments.change(next).expect("no error");
        };
        let hold = |moment| {
            let granted = |held: &Held| held.kept_before(moment).ok_or(());
            moments.hold(Location::caller(), Duration::ZERO, granted).expect("kept")
        };
        let held = hold(moment);
        change(&[]);
        assert!(!moments.terms().keeps(moment));
        let held_by_another_alone = hold(moment);
        assert!(held.pin() && !held_by_another_alone.pin());
        assert!(moments.terms().keeps(moment));
        drop((held, held_by_another_alone)); // by now the pin stands in the log
        change(&[moment]);
        assert!(moments.terms().keeps(moment));
        change(&[]);
        assert!(!moments.terms().keeps(moment), "it was unpinned");
    }
}
