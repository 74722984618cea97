//! Pure: leases, holders and requests together, and what changes when one of them does.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::claim::{Claim, Ending};
use super::ended::{Ended, Wanted};
use super::grant::{Grant, Life};
use super::holders::{Event, Events, Holder, HolderId, Holders};
use super::plan::{Policy, Refusal, Step, judge};
use super::queue::{Ask, Purpose, Queue, Request, RequestId, Turn};
use super::stale::{Stale, stale};
use super::table::{Lease, Noted, Table};
use crate::ids::Token;
use crate::key::FullKey;
use crate::signal::Wakes;

/// The newest lives of external holders, by their names.
pub(crate) type Lives = HashMap<Arc<str>, u64>;

/// What a heartbeat finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Nothing ended that the holder was not told of.
    InTime,
    /// The holder was silent for too long before this stint and was not told yet that its leases ended by that, whether they
    /// stand still or were swept.
    TooLate(u64),
    /// The holder has another life now.
    OtherLife,
}

/// All that memory knows of leases.
pub(crate) struct State {
    /// The random number of this opening of the store.
    run: u64,
    pub(crate) table: Table,
    pub(crate) holders: Holders,
    pub(crate) queue: Queue,
    /// Requests to be judged.
    stirred: BTreeSet<RequestId>,
    /// Leases that are stale whatever the time, and stand.
    doomed: BTreeSet<Token>,
    /// No holder that has a lease is dead by its deadline before then (boot clock).
    soonest: Option<Duration>,
    /// Who is to be woken once no lock is held.
    pub(crate) wakes: Wakes,
    /// Nothing is granted any more.
    closed: bool,
}

impl State {
    /// Nobody holds anything in the run `run`.
    pub(crate) fn new(run: u64) -> Self {
        let (table, holders, queue, stirred, doomed, soonest, wakes) = Default::default();
        Self { run, table, holders, queue, stirred, doomed, soonest, wakes, closed: false }
    }

    /// The run.
    pub(crate) fn run(&self) -> u64 {
        self.run
    }

    /// Whether a lease is over though no record says so yet.
    pub(crate) fn stale(&self, lease: &Lease, now: Duration) -> Option<Stale> {
        let holder = self.holders.get(&lease.holder).map(|holder| &holder.pulse);
        stale(lease.grant.life, lease.stint, holder, now, self.run)
    }

    /// The leases that stand on any of `keys`, each once.
    pub(crate) fn leases_on(&self, keys: &[FullKey]) -> Vec<Arc<Lease>> {
        let mut leases: Vec<Arc<Lease>> = Vec::new();
        for lease in keys.iter().filter_map(|key| self.table.of_key(key)) {
            if !leases.iter().any(|other| other.token == lease.token) {
                leases.push(lease.clone());
            }
        }
        leases
    }

    /// Enters what the record at `token` says of `$lease`: the only place where leases begin and end. Who made the record
    /// says by `claim` what the holders learn.
    pub(crate) fn apply(&mut self, token: Token, noted: Noted, claim: Option<&Claim>, now: Duration) {
        let removed = noted.removes.iter().chain(noted.puts.iter().map(|(key, _)| key));
        for key in removed {
            if let Some(lease) = self.table.lift(key) {
                let ends = claim.map_or(&[][..], |claim| &claim.ends);
                let why = ends.iter().find(|(other, _)| other.token == lease.token);
                self.ended(&lease, why.map_or(Ended::Released, |(_, why)| why.clone()));
            }
        }
        let Some((_, grant)) = noted.puts.first() else { return };
        let grant = grant.clone();
        let keys: Box<[FullKey]> = noted.puts.into_iter().map(|(key, _)| key).collect();
        let granted = claim.and_then(|claim| claim.grants.as_ref());
        if let Some(granted) = granted {
            self.leave(granted.request);
        }
        self.stir(&keys);
        let lease = self.enter(token, keys, grant, now);
        if let Some(granted) = granted {
            _ = granted.slot.set(lease);
        }
    }

    /// Enters the leases that stood in the log when the store was opened. External holders have their full time again, in the
    /// life that `lives` names; where it names none, in that of their newest lease.
    pub(crate) fn restore(&mut self, found: Vec<(FullKey, Token, Grant)>, lives: &Lives, now: Duration) {
        let mut by_token: BTreeMap<Token, (Vec<FullKey>, Grant)> = BTreeMap::new();
        for (key, token, grant) in found {
            by_token.entry(token).or_insert_with(|| (Vec::new(), grant)).0.push(key);
        }
        for (token, (mut keys, grant)) in by_token.into_iter().rev() {
            if let Some(life) = lives.get(&grant.holder).filter(|_| matches!(grant.life, Life::External(_))) {
                let new = || Holder::new(Life::External(*life), grant.time, now);
                self.holders.entry(HolderId::of(&grant)).or_insert_with(new);
            }
            keys.sort();
            self.enter(token, keys.into(), grant, now);
        }
    }

    /// A grant gives its holder the full time; one to a life that another followed is over as it comes.
    fn enter(&mut self, token: Token, keys: Box<[FullKey]>, grant: Grant, now: Duration) -> Arc<Lease> {
        let (id, life) = (HolderId::of(&grant), grant.life);
        let ours = !matches!(life, Life::Inside(run) if run != self.run);
        let mut stint = 0;
        if ours {
            let holder = self.holders.entry(id.clone()).or_insert_with(|| Holder::new(life, grant.time, now));
            let late = holder.pulse.life == life && holder.renew(now);
            let pulse = holder.pulse;
            stint = pulse.stint;
            if late {
                self.overdue(&id);
            }
            self.soonest = self.soonest.into_iter().chain(pulse.deadline).min();
        }
        let lease = Arc::new(Lease::new(token, keys, grant, stint));
        self.table.enter(lease.clone());
        if self.stale(&lease, now).is_some() {
            self.doomed.insert(token);
        }
        lease
    }

    fn ended(&mut self, lease: &Arc<Lease>, why: Ended) {
        self.doomed.remove(&lease.token);
        self.stir(&lease.keys);
        let holder = self.holders.get_mut(&lease.holder).filter(|_| why == Ended::Expired);
        if let Some(holder) = holder.filter(|holder| holder.pulse.life == lease.grant.life) {
            holder.lose(lease.stint);
        }
        lease.ended.fire(why.clone(), &mut self.wakes);
        if let Some(events) = self.holders.get(&lease.holder).and_then(|holder| holder.events.as_ref()) {
            events.push(Event::Ended(lease.token, lease.keys.clone(), why), &mut self.wakes);
        }
        self.forget(&lease.holder);
    }

    /// Every lease that the holder has at this moment is over.
    fn doom(&mut self, id: &HolderId) {
        let tokens: Vec<Token> = self.table.of_holder(id).collect();
        for token in tokens {
            if let Some(lease) = self.table.of_token(token).cloned() {
                self.stir(&lease.keys);
            }
            self.doomed.insert(token);
        }
    }

    /// The holder is heard too late: its leases are over, and it is to be told.
    fn overdue(&mut self, id: &HolderId) {
        if self.table.of_holder(id).next().is_some()
            && let Some(holder) = self.holders.get_mut(id)
        {
            holder.lose(holder.pulse.stint - 1);
        }
        self.doom(id);
    }

    /// Forgets a holder of whom nothing is left. One elsewhere stays until a heartbeat was told what it lost, or it is given up:
    /// handles of it may be made for each.
    pub(crate) fn forget(&mut self, id: &HolderId) {
        let idle = self
            .holders
            .get(id)
            .is_some_and(|holder| holder.handles == 0 && !(id.external && holder.untold().is_some()));
        if idle && self.table.of_holder(id).next().is_none() {
            self.holders.remove(id);
        }
    }

    /// Forgets holders that never came back to be told what they lost: names come and go, and memory is bounded.
    pub(crate) fn forget_given_up(&mut self, now: Duration) {
        let Self { holders, table, .. } = self;
        holders.retain(|id, holder| !holder.is_given_up(now) || table.of_holder(id).next().is_some());
    }

    /// Whether this is the life of the holder that memory knows.
    pub(crate) fn is_life(&self, id: &HolderId, life: Life) -> bool {
        self.holders.get(id).is_some_and(|holder| holder.pulse.life == life)
    }

    /// Whether another life of the holder has followed this one.
    pub(crate) fn is_followed(&self, id: &HolderId, life: Life) -> bool {
        self.holders.get(id).is_some_and(|holder| holder.pulse.life != life)
    }

    /// A handle names the holder, of whom the log knows these `former` lives. Another life than the one before ends what
    /// that had; `false`: this life was ended.
    pub(crate) fn greet(
        &mut self,
        id: &HolderId,
        life: Life,
        time: Option<Duration>,
        former: &[u64],
        now: Duration,
    ) -> bool {
        let holder = self.holders.entry(id.clone()).or_insert_with(|| Holder::new(life, time, now));
        former.iter().for_each(|former| holder.outlive(Life::External(*former)));
        if holder.was(life) {
            return false;
        }
        holder.handles += 1;
        if holder.time != time {
            holder.time = time;
            if !holder.is_silent(now) {
                holder.renew(now);
            }
        }
        if holder.pulse.life != life {
            holder.begin(life, now);
            self.doom(id);
            self.stirred.extend(self.queue.of_holder(id)); // what the former lives ask for is refused
        }
        true
    }

    /// A handle of the holder goes. With its last one an inside holder is gone.
    pub(crate) fn part(&mut self, id: &HolderId) {
        let Some(holder) = self.holders.get_mut(id) else { return };
        holder.handles -= 1;
        if holder.handles == 0 && !id.external {
            holder.die();
            self.doom(id);
        }
        self.forget(id);
    }

    /// A heartbeat. Where it is not in time nothing counts as told by it: [`State::told`] notes what its answer carries.
    pub(crate) fn heartbeat(&mut self, id: &HolderId, life: Life, now: Duration) -> Heard {
        if !self.renew(id, life, now) {
            return Heard::OtherLife;
        }
        self.holders.get(id).and_then(Holder::untold).map_or(Heard::InTime, Heard::TooLate)
    }

    /// The holder is told that what it had before `stint` is over; `false`: it was told that already, or has another life now.
    pub(crate) fn told(&mut self, id: &HolderId, life: Life, stint: u64) -> bool {
        let holder = self.holders.get_mut(id).filter(|holder| holder.pulse.life == life);
        holder.is_some_and(|holder| holder.tell(stint))
    }

    /// A sign of life; `false`: the holder has another life now.
    fn renew(&mut self, id: &HolderId, life: Life, now: Duration) -> bool {
        let Some(holder) = self.holders.get_mut(id).filter(|holder| holder.pulse.life == life) else {
            return false;
        };
        if holder.renew(now) {
            self.overdue(id);
        }
        true
    }

    /// The holders of these leases have shown that they live.
    pub(crate) fn heard(&mut self, tokens: &[Token], now: Duration) {
        for token in tokens {
            if let Some(lease) = self.table.of_token(*token).cloned() {
                self.renew(&lease.holder, lease.grant.life, now);
            }
        }
    }

    /// Where the events of a holder wait from now on.
    pub(crate) fn events(&mut self, id: &HolderId) -> Option<Arc<Events>> {
        let holder = self.holders.get_mut(id)?;
        Some(holder.events.get_or_insert_default().clone())
    }

    /// A request joins.
    pub(crate) fn join(&mut self, ask: Ask) -> RequestId {
        let id = self.queue.join(ask);
        if self.closed {
            self.refuse_closed(id);
        } else {
            self.stirred.insert(id);
        }
        id
    }

    /// A request goes: granted, refused, withdrawn.
    pub(crate) fn leave(&mut self, id: RequestId) -> Option<Request> {
        let request = self.queue.leave(id)?;
        self.stirred.remove(&id);
        self.let_go(&request.told);
        self.stir(&request.ask.keys);
        Some(request)
    }

    /// These leases are wanted no more, unless another wants them.
    fn let_go(&mut self, told: &[(Token, Duration)]) {
        for (token, _) in told {
            let Some(lease) = self.table.of_token(*token) else { continue };
            if self.wanted_by(lease).is_none() {
                lease.wanted.take_back();
            }
        }
    }

    /// The holder that asked for the lease first and had its holder told.
    pub(crate) fn wanted_by(&self, lease: &Lease) -> Option<&HolderId> {
        self.wanted(lease).map(|ask| &ask.holder)
    }

    /// What a release of the lease is now.
    pub(crate) fn release_reason(&self, lease: &Lease) -> Ended {
        match self.wanted(lease) {
            None => Ended::Released,
            Some(Ask { purpose: Purpose::Restore, .. }) => Ended::Restored,
            Some(Ask { holder, .. }) => Ended::HandedOver(holder.name.to_string()),
        }
    }

    /// The first who asked for the lease and had its holder told.
    fn wanted(&self, lease: &Lease) -> Option<&Ask> {
        let asking = lease.keys.iter().flat_map(|key| self.queue.asking(key));
        let told = asking.filter(|(_, request)| request.told.iter().any(|(token, _)| *token == lease.token));
        told.min_by_key(|(id, _)| *id).map(|(_, request)| &request.ask)
    }

    /// Everybody who asks for one of `keys` is to be judged anew.
    pub(crate) fn stir(&mut self, keys: &[FullKey]) {
        for key in keys {
            self.stirred.extend(self.queue.asking(key).map(|(id, _)| id));
        }
    }

    /// A request is to be judged anew.
    pub(crate) fn stir_one(&mut self, id: RequestId) {
        self.stirred.insert(id);
    }

    /// No request is granted any more, whenever it came or comes.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        for id in self.queue.ids() {
            self.refuse_closed(id);
        }
    }

    fn refuse_closed(&mut self, id: RequestId) {
        self.queue.stand_aside(id);
        self.turn(id, Turn::Refused(Refusal::Closed));
    }

    /// Whether nothing is granted any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Judges all requests to which something happened, by the time too, earliest first.
    pub(crate) fn review(&mut self, now: Duration) {
        self.stir_due(now);
        while let Some(id) = self.stirred.pop_first() {
            let Some(request) = self.queue.get(id).filter(|r| !matches!(r.turn, Turn::Refused(_))) else {
                continue;
            };
            match judge(self, id, request, now) {
                Step::Up(_) => {
                    self.queue.set_alarm(id, self.queue.get(id).map_or(now, |r| r.ask.deadline));
                    self.turn(id, Turn::Up);
                }
                Step::Waits(tell, again) => {
                    self.queue.set_alarm(id, again);
                    self.turn(id, Turn::Waits);
                    self.tell(id, &tell, now);
                }
                Step::Refused(refusal) => {
                    self.queue.stand_aside(id);
                    self.turn(id, Turn::Refused(refusal));
                    let Some(request) = self.queue.get(id) else { continue };
                    let (told, keys) = (request.told.clone(), request.ask.keys.clone());
                    self.let_go(&told);
                    self.stir(&keys);
                }
            }
        }
    }

    /// Requests whose time has come are to be judged, and with them everybody who waits for what they waited for.
    fn stir_due(&mut self, now: Duration) {
        let due: Vec<RequestId> = self.queue.due(now).collect();
        for id in due {
            self.stirred.insert(id);
            let told = self.queue.get(id).map(|request| request.told.clone()).unwrap_or_default();
            for (token, _) in told {
                if let Some(lease) = self.table.of_token(token).cloned() {
                    self.stir(&lease.keys);
                }
            }
        }
    }

    fn turn(&mut self, id: RequestId, turn: Turn) {
        let Some(request) = self.queue.get_mut(id) else { return };
        let changed = std::mem::discriminant(&request.turn) != std::mem::discriminant(&turn);
        request.turn = turn;
        if changed && let Some(sleeper) = request.sleeper.take() {
            self.wakes.add(sleeper);
        }
    }

    /// Tells the holders of these leases that the request asks for them.
    fn tell(&mut self, id: RequestId, leases: &[Arc<Lease>], now: Duration) {
        let Some(request) = self.queue.get_mut(id) else { return };
        let Policy::Handoff { after } = request.ask.policy else { return };
        let by = request.ask.holder.name.to_string();
        request.told.extend(leases.iter().map(|lease| (lease.token, now)));
        for lease in leases {
            lease.wanted.fire(Wanted { by: by.clone(), after }, &mut self.wakes);
            if let Some(events) = self.holders.get(&lease.holder).and_then(|holder| holder.events.as_ref()) {
                events.push(Event::Wanted(lease.token, lease.keys.clone(), by.clone()), &mut self.wakes);
            }
            // a lease that may be taken by force at once is free for whoever is first
            if after.is_zero() {
                self.stirred
                    .extend(lease.keys.iter().flat_map(|key| self.queue.asking(key)).map(|(id, _)| id));
            }
        }
    }

    /// What becomes of one request now, whoever asks: its own step, at the moment of the grant.
    pub(crate) fn judge(&self, id: RequestId, now: Duration) -> Option<Step> {
        self.queue.get(id).map(|request| judge(self, id, request, now))
    }

    /// Leases that are over and stand all the same: a record must end them.
    pub(crate) fn over(&self, now: Duration) -> Vec<Ending> {
        let silent = self.holders.iter().filter(|(_, holder)| holder.is_silent(now));
        let tokens: BTreeSet<Token> =
            silent.flat_map(|(id, _)| self.table.of_holder(id)).chain(self.doomed.iter().copied()).collect();
        let leases = tokens.iter().filter_map(|token| self.table.of_token(*token));
        let over = leases.filter_map(|lease| Some((lease.clone(), self.stale(lease, now)?.ended())));
        over.collect()
    }

    /// When something falls due by itself, at the earliest.
    pub(crate) fn alarm(&self) -> Option<Duration> {
        let doomed = (!self.doomed.is_empty()).then_some(Duration::ZERO);
        self.soonest.into_iter().chain(self.queue.alarm()).chain(doomed).min()
    }

    /// Looks which holder is dead first.
    pub(crate) fn look_ahead(&mut self) {
        let having = self.holders.iter().filter(|(id, _)| self.table.of_holder(id).next().is_some());
        self.soonest = having.filter_map(|(_, holder)| holder.pulse.deadline).min();
    }
}
