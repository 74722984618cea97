//! Leases, holders and requests in memory, with a clock that is a number.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use savehold_wal::Lsn;

use crate::ids::{CollectionId, Token};
use crate::key::{FullKey, Key};
use crate::lease::{
    Ask, Claim, Grant, Granted, HolderId, Lease, Life, Noted, Policy, Purpose, RequestId, State, Step, Turn,
};

pub(super) const RUN: u64 = 77;

pub(super) const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(super) fn key(name: &str) -> FullKey {
    (CollectionId::FIRST, Key::new(name).expect("a key"))
}

pub(super) fn keys(names: &[&str]) -> Box<[FullKey]> {
    names.iter().map(|name| key(name)).collect()
}

pub(super) fn inside(name: &str) -> HolderId {
    HolderId { external: false, name: name.into() }
}

pub(super) fn grant(name: &str) -> Grant {
    Grant { holder: name.into(), life: Life::Inside(RUN), time: None }
}

pub(super) struct World {
    pub(super) state: State,
    pub(super) now: Duration,
    next: u64,
}

impl World {
    /// Nobody holds anything; every holder that is named has a handle.
    pub(super) fn new(holders: &[&str]) -> Self {
        let mut state = State::new(RUN);
        for name in holders {
            assert!(state.greet(&inside(name), Life::Inside(RUN), None, &[], Duration::ZERO));
        }
        Self { state, now: secs(100), next: 0 }
    }

    /// A record grants keys to a holder, whoever had them.
    pub(super) fn granted(&mut self, grant: Grant, names: &[&str]) -> Arc<Lease> {
        self.next += 1;
        let token = Token::from(Lsn::new(1, self.next * 64));
        let puts = keys(names).iter().map(|key| (key.clone(), grant.clone())).collect();
        self.state.apply(token, Noted { puts, removes: Vec::new() }, None, self.now);
        self.state.table.of_token(token).expect("it stands").clone()
    }

    pub(super) fn ask(&mut self, holder: &str, names: &[&str], policy: Policy, deadline: u64) -> RequestId {
        self.ask_as(inside(holder), Life::Inside(RUN), names, policy, deadline)
    }

    pub(super) fn ask_as(
        &mut self,
        holder: HolderId,
        life: Life,
        names: &[&str],
        policy: Policy,
        deadline: u64,
    ) -> RequestId {
        let deadline = self.now + secs(deadline);
        let id = self.state.join(Ask {
            holder,
            life,
            keys: keys(names),
            policy,
            purpose: Purpose::Play,
            deadline,
        });
        self.state.review(self.now);
        id
    }

    /// The request takes its keys, as `acquire` does; the lease, or `None` where it is not its turn.
    pub(super) fn take(&mut self, id: RequestId) -> Option<Arc<Lease>> {
        let Some(Step::Up(ends)) = self.state.judge(id, self.now) else { return None };
        let ask = self.state.queue.get(id)?.ask.clone();
        self.next += 1;
        let token = Token::from(Lsn::new(1, self.next * 64));
        let puts: Vec<_> = ask.keys.iter().map(|key| (key.clone(), grant(&ask.holder.name))).collect();
        let others = ends.iter().flat_map(|(lease, _)| lease.keys.iter());
        let removes = others.filter(|key| !ask.keys.contains(key)).cloned().collect();
        let slot = Arc::new(OnceLock::new());
        let granted = Granted { request: id, before: ask.deadline, slot: slot.clone() };
        let claim = Claim { ends, grants: Some(granted), ..Claim::default() };
        self.state.apply(token, Noted { puts, removes }, Some(&claim), self.now);
        self.state.review(self.now);
        slot.get().cloned()
    }

    /// A lease ends by a record.
    pub(super) fn ends(&mut self, lease: &Lease) {
        self.next += 1;
        let token = Token::from(Lsn::new(1, self.next * 64));
        self.state.apply(token, Noted { puts: Vec::new(), removes: lease.keys.to_vec() }, None, self.now);
        self.state.review(self.now);
    }

    pub(super) fn advance(&mut self, time: Duration) {
        self.now += time;
        self.state.review(self.now);
    }

    pub(super) fn is_up(&self, id: RequestId) -> bool {
        self.state.queue.get(id).is_some_and(|request| matches!(request.turn, Turn::Up))
    }

    pub(super) fn is_refused(&self, id: RequestId) -> bool {
        self.state.queue.get(id).is_some_and(|request| matches!(request.turn, Turn::Refused(_)))
    }
}
