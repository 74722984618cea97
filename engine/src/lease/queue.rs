//! Pure: who asks for which keys, in the order of arrival.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use savehold_wal::sync::Sleeper;

use super::grant::Life;
use super::holders::HolderId;
use super::plan::{Policy, Refusal};
use crate::ids::Token;
use crate::key::FullKey;

/// The number of a request: a smaller one came earlier.
pub(crate) type RequestId = u64;

/// What keys are asked for to be done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To have them.
    Play,
    /// To set them back to an earlier state: nobody has them afterwards.
    Restore,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// Who asks.
    pub(crate) holder: HolderId,
    /// In which of its lives.
    pub(crate) life: Life,
    /// For which keys, in order, each once.
    pub(crate) keys: Box<[FullKey]>,
    pub(crate) policy: Policy,
    pub(crate) purpose: Purpose,
    /// From then on it is not granted any more (boot clock).
    pub(crate) deadline: Duration,
}

/// Where a request stands.
#[derive(Clone, Debug)]
pub(crate) enum Turn {
    /// It waits.
    Waits,
    /// Its keys are its own to take.
    Up,
    /// It will not be granted.
    Refused(Refusal),
}

/// A request that waits, or whose turn it is.
pub(crate) struct Request {
    pub(crate) ask: Ask,
    pub(crate) turn: Turn,
    /// The leases in its way whose holders were told, and when (boot clock).
    pub(crate) told: Vec<(Token, Duration)>,
    /// Who is woken when its turn changes.
    pub(crate) sleeper: Option<Sleeper>,
    /// When it is looked at again by itself.
    alarm: Duration,
}

/// Requests in the order of their arrival.
#[derive(Default)]
pub(crate) struct Queue {
    next: RequestId,
    all: BTreeMap<RequestId, Request>,
    /// Who asks for a key; refused requests do not.
    by_key: HashMap<FullKey, BTreeSet<RequestId>>,
    alarms: BTreeSet<(Duration, RequestId)>,
}

impl Queue {
    /// A request joins behind all others.
    pub(crate) fn join(&mut self, ask: Ask) -> RequestId {
        let (id, alarm) = (self.next, ask.deadline);
        self.next += 1;
        for key in &ask.keys {
            self.by_key.entry(key.clone()).or_default().insert(id);
        }
        self.alarms.insert((alarm, id));
        self.all.insert(id, Request { ask, turn: Turn::Waits, told: Vec::new(), sleeper: None, alarm });
        id
    }

    /// A request goes.
    pub(crate) fn leave(&mut self, id: RequestId) -> Option<Request> {
        self.stand_aside(id);
        self.all.remove(&id)
    }

    /// A request gets its answer and stands in nobody's way any more.
    pub(crate) fn stand_aside(&mut self, id: RequestId) {
        let Some(request) = self.all.get(&id) else { return };
        for key in &request.ask.keys {
            if let Some(ids) = self.by_key.get_mut(key) {
                ids.remove(&id);
                if ids.is_empty() {
                    self.by_key.remove(key);
                }
            }
        }
        self.alarms.remove(&(request.alarm, id));
    }

    /// It is looked at again at `alarm`.
    pub(crate) fn set_alarm(&mut self, id: RequestId, alarm: Duration) {
        let Some(request) = self.all.get_mut(&id) else { return };
        if self.alarms.remove(&(request.alarm, id)) {
            request.alarm = alarm;
            self.alarms.insert((alarm, id));
        }
    }

    /// When the next request is to be looked at again.
    pub(crate) fn alarm(&self) -> Option<Duration> {
        self.alarms.first().map(|(at, _)| *at)
    }

    /// The requests to be looked at again by `now`.
    pub(crate) fn due(&self, now: Duration) -> impl Iterator<Item = RequestId> + '_ {
        self.alarms.range(..=(now, RequestId::MAX)).map(|(_, id)| *id)
    }

    pub(crate) fn get(&self, id: RequestId) -> Option<&Request> {
        self.all.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: RequestId) -> Option<&mut Request> {
        self.all.get_mut(&id)
    }

    /// Who asks for a key, earliest first.
    pub(crate) fn asking(&self, key: &FullKey) -> impl Iterator<Item = (RequestId, &Request)> {
        self.by_key.get(key).into_iter().flatten().map(|id| (*id, &self.all[id]))
    }

    /// Whether an earlier request asks for one of its keys.
    pub(crate) fn is_behind(&self, id: RequestId, keys: &[FullKey]) -> bool {
        keys.iter().any(|key| self.by_key.get(key).and_then(BTreeSet::first).is_some_and(|first| *first < id))
    }

    /// Those of a holder.
    pub(crate) fn of_holder(&self, holder: &HolderId) -> impl Iterator<Item = RequestId> {
        self.all.iter().filter(move |(_, request)| request.ask.holder == *holder).map(|(id, _)| *id)
    }

    /// All of them.
    pub(crate) fn ids(&self) -> Vec<RequestId> {
        self.all.keys().copied().collect()
    }
}
