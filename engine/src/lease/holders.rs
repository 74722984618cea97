//! Pure: the holders that memory knows: how they live, and what they are told.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use savehold_wal::sync::Sleeper;

use super::ended::Ended;
use super::grant::{Grant, Life};
use super::stale::Pulse;
use crate::ids::Token;
use crate::key::FullKey;
use crate::news::{News, Next};
use crate::signal::Wakes;

/// Most events that wait for a holder; beyond it the oldest go, and their number is told.
const EVENTS_MAX: usize = 1 << 14;

/// Former lives of a holder that are remembered, so that they are not taken for new ones.
pub(crate) const FORMER_MAX: usize = 16;

/// How long after its time a holder elsewhere of whom nobody has a handle may come back and be told what it lost: as long as
/// outcomes of ids are kept, unless a setting says otherwise.
const AWAY_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// A holder: its name, in this process or elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct HolderId {
    pub(crate) external: bool,
    pub(crate) name: Arc<str>,
}

impl HolderId {
    pub(crate) fn of(grant: &Grant) -> Self {
        Self { external: matches!(grant.life, Life::External(_)), name: grant.holder.clone() }
    }
}

/// What a holder is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Another asks for these keys.
    Wanted(Token, Box<[FullKey]>, String),
    /// The lease is over.
    Ended(Token, Box<[FullKey]>, Ended),
    /// So many events before the next were not fetched in time.
    Missed(u64),
}

/// Events that wait to be fetched.
pub(crate) struct Events(News<Event>);

impl Default for Events {
    fn default() -> Self {
        Self(News::new(EVENTS_MAX))
    }
}

impl Events {
    pub(crate) fn push(&self, event: Event, wakes: &mut Wakes) {
        self.0.add(event).sleepers.into_iter().for_each(|sleeper| wakes.add(sleeper));
    }

    /// The oldest event; where there is none, `sleeper` is woken by the next.
    pub(crate) fn take(&self, sleeper: Option<Sleeper>) -> Option<Event> {
        self.0.take(sleeper).map(|next| match next {
            Next::Event(event) => event,
            Next::Missed(count) => Event::Missed(count),
        })
    }
}

/// A holder as memory knows it.
pub(crate) struct Holder {
    pub(crate) pulse: Pulse,
    /// How long it may be silent.
    pub(crate) time: Option<Duration>,
    /// Handles that name it.
    pub(crate) handles: usize,
    /// Where its events wait, once somebody fetches them.
    pub(crate) events: Option<Arc<Events>>,
    /// It lost leases by its silence in stints before this one…
    lost: u64,
    /// …and its life began, or a heartbeat carried to it what it lost before this one.
    told: u64,
    former: VecDeque<Life>,
}

impl Holder {
    /// A holder that is alive from `now` on.
    pub(crate) fn new(life: Life, time: Option<Duration>, now: Duration) -> Self {
        let pulse = Pulse { life, stint: 0, deadline: time.map(|time| now.saturating_add(time)) };
        Self { pulse, time, handles: 0, events: None, lost: 0, told: 0, former: VecDeque::new() }
    }

    /// Whether it is silent for too long.
    pub(crate) fn is_silent(&self, now: Duration) -> bool {
        self.pulse.deadline.is_some_and(|deadline| now >= deadline)
    }

    /// A sign of life: it has its full time again. Where it comes too late, a new stint begins, and it says so.
    pub(crate) fn renew(&mut self, now: Duration) -> bool {
        let late = self.is_silent(now);
        if late {
            self.pulse.stint += 1;
        }
        self.pulse.deadline = self.time.map(|time| now.saturating_add(time));
        late
    }

    /// Another life begins; the former ones are over for ever.
    pub(crate) fn begin(&mut self, life: Life, now: Duration) {
        self.outlive(self.pulse.life);
        self.pulse.life = life;
        self.die();
        self.renew(now);
        self.told = self.pulse.stint;
    }

    /// It was silent for too long in `stint`, and a lease ended by it.
    pub(crate) fn lose(&mut self, stint: u64) {
        self.lost = self.lost.max(stint + 1);
    }

    /// The stint before which it lost leases by its silence and was not told yet, if it did.
    pub(crate) fn untold(&self) -> Option<u64> {
        (self.told < self.lost).then_some(self.lost)
    }

    /// It is told what it lost before `stint`; `false`: it was told that already.
    pub(crate) fn tell(&mut self, stint: u64) -> bool {
        let news = self.told < stint;
        self.told = self.told.max(stint);
        news
    }

    /// Whether it has been away for so long that what it lost is not kept for it any more.
    pub(crate) fn is_given_up(&self, now: Duration) -> bool {
        let until = self.pulse.deadline.map(|deadline| deadline.saturating_add(AWAY_MAX));
        self.handles == 0 && until.is_some_and(|until| now >= until)
    }

    /// A life of it is over for ever.
    pub(crate) fn outlive(&mut self, life: Life) {
        if self.was(life) {
            return;
        }
        if self.former.len() == FORMER_MAX {
            self.former.pop_front();
        }
        self.former.push_back(life);
    }

    /// Whether a life of it ended before.
    pub(crate) fn was(&self, life: Life) -> bool {
        self.former.contains(&life)
    }

    /// What it had is over; a new stint begins.
    pub(crate) fn die(&mut self) {
        self.pulse.stint += 1;
        self.pulse.deadline = None;
    }
}

/// The holders that memory knows.
pub(crate) type Holders = HashMap<HolderId, Holder>;
