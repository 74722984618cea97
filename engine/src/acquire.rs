//! Corridor: acquiring: a request joins the queue, waits for its turn, and takes its keys by a record of its own.
//!
//! 1. The request joins. Where its turn is now, it takes its keys at once.
//! 2. Where another has a key, holders are told as the policy says, and the request waits to be woken: by a release, an
//!    expiry, the time after which it may use force, its own deadline.
//! 3. In its turn it places the grant, with whatever else is to stand in the same record: validated like any commit, and
//!    not after its deadline.
//! 4. Whoever asked is told once the grant is durable. A request that is dropped before leaves the queue, or gives the
//!    lease back.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use savehold_wal::env::Threads;
use savehold_wal::sync::Sleeper;
use savehold_wal::{Durability, Lsn, Placed, Urgency};

use crate::collection::LeaseKey;
use crate::commit::{How, Patience};
use crate::core::Core;
use crate::error::{Error, ErrorKind, Result};
use crate::guard;
use crate::holder::{Holder, Start};
use crate::ids::Token;
use crate::key::FullKey;
use crate::lease::{Ask, Ending, Policy, Purpose, Refusal, RequestId, Step, Turn};
use crate::life::former_life;
use crate::limits::LEASE_KEYS_MAX;
use crate::session::Session;
use crate::ticket::Ticket;
use crate::txn::{Granting, Ran, Tx};

/// Grants are durable before anybody is told.
const HOW: How =
    How { durability: Durability::Synced, patience: Patience::Waits, urgency: Urgency::Ordinary };

impl Holder {
    /// Acquires a lease on `keys`: on all of them, by one token. Durable on return, and everything that was committed to
    /// the keys before it is there.
    ///
    /// Requests are served first come, first served, each when all its keys are free; see [`Policy`](crate::Policy).
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Leased`]: another has a key, and the policy does not wait, or the deadline passed.
    /// - [`ErrorKind::AlreadyActive`]: this holder has one of the keys already; [`Error::current`] is the token, for
    ///   [`Holder::resume`].
    /// - [`ErrorKind::Ended`]: another life of the holder has begun, before the call or while it waited.
    /// - [`ErrorKind::Invalid`], [`ErrorKind::TooLarge`]: no keys, or too many of them.
    pub fn acquire(&self, keys: impl IntoIterator<Item = LeaseKey>, start: Start) -> Result<Session> {
        self.acquire_with(keys, start, |_| Ok(())).map(|(session, ())| session)
    }

    /// [`Holder::acquire`], as a future: it stands in the queue when this returns. Dropping it withdraws the request, and
    /// gives back a lease that was granted meanwhile.
    pub fn acquire_async(&self, keys: impl IntoIterator<Item = LeaseKey>, start: Start) -> Acquire {
        match Request::new(self, keys, start) {
            Ok(request) => Acquire(State::Waiting(request)).begun(),
            Err(e) => Acquire(State::Told(Ticket::answered(Err(e)))),
        }
    }

    /// [`Holder::acquire`] together with a transaction: `f` runs in the request's turn, and what it writes stands in the
    /// very record that grants the lease. It runs again after a conflict. Where it refuses, nothing is granted.
    ///
    /// # Errors
    ///
    /// What `f` answers; and as [`Holder::acquire`] and [`Store::transaction`](crate::Store::transaction).
    pub fn acquire_with<R, E: From<Error>>(
        &self,
        keys: impl IntoIterator<Item = LeaseKey>,
        start: Start,
        f: impl FnMut(&Tx<'_>) -> Result<R, E>,
    ) -> Result<(Session, R), E> {
        Request::new(self, keys, start)?.run(f)
    }

    /// The session of a token of this holder: after our restart, or because only its token was kept.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Ended`]: there is none, or another life of the holder has begun.
    pub fn resume(&self, token: Token) -> Result<Session> {
        let core = &self.0.core;
        match core.resume(self, token) {
            Ok(lease) => Ok(Session::new(self.clone(), lease).told()),
            Err(e) => {
                self.end_former()?; // who is told that it is over relies on it
                core.wait_for(core.sequenced())?;
                Err(e)
            }
        }
    }
}

/// A request in the queue; dropping it withdraws it.
pub(crate) struct Request {
    holder: Holder,
    id: RequestId,
    keys: Box<[FullKey]>,
    deadline: Duration,
    policy_waits: bool,
}

/// What a request came to.
pub(crate) enum Taken<R, E> {
    /// The grant has its place; what the closure answered.
    Placed(Placed, Session, R),
    /// It is not its turn.
    NotYet,
    /// It is not granted; to be told when what stands up to this place has its answer.
    Refused(Lsn, E),
}

/// Why the transaction of a grant stopped.
enum Stop<E> {
    /// It is not its turn any more.
    NotYet,
    /// It is not granted.
    Refused(Refusal),
    /// The closure refused, or the store.
    Own(E),
}

impl Request {
    /// A request that has joined the queue.
    pub(crate) fn new(
        holder: &Holder,
        keys: impl IntoIterator<Item = LeaseKey>,
        start: Start,
    ) -> Result<Self> {
        let core = &holder.0.core;
        guard::check(core.number())?;
        if let Some(failure) = core.wal.failure() {
            return Err(failure.into());
        }
        holder.check_life()?;
        let keys = core.full_keys(keys)?;
        let deadline = core.boot().saturating_add(start.deadline);
        let ask = Ask {
            holder: holder.0.id.clone(),
            life: holder.0.life,
            keys: keys.clone(),
            policy: start.policy,
            purpose: Purpose::Play,
            deadline,
        };
        let id = core.leases.lock().join(ask);
        let policy_waits = start.policy != Policy::Fail;
        Ok(Self { holder: holder.clone(), id, keys, deadline, policy_waits })
    }

    /// A request for keys that are to be set back: their holders are told, and have `time` to release them. It takes no
    /// lease; until it is dropped it stands before all who come later.
    pub(crate) fn to_restore(holder: &Holder, keys: Box<[FullKey]>, time: Duration) -> Result<Self> {
        let core = &holder.0.core;
        guard::check(core.number())?;
        if let Some(failure) = core.wal.failure() {
            return Err(failure.into());
        }
        let deadline = core.boot().saturating_add(time).saturating_add(Duration::from_secs(1));
        let ask = Ask {
            holder: holder.0.id.clone(),
            life: holder.0.life,
            keys: keys.clone(),
            policy: Policy::Handoff { after: time },
            purpose: Purpose::Restore,
            deadline,
        };
        let id = core.leases.lock().join(ask);
        Ok(Self { holder: holder.clone(), id, keys, deadline, policy_waits: true })
    }

    /// Waits until its keys are free, or may be taken by force, or its deadline has come. In a simulation without threads
    /// nobody can release them meanwhile but by what is due.
    pub(crate) fn wait_for_turn(&self) {
        let core = &self.holder.0.core;
        let mut patience = 2;
        while let Err(Stop::<Error>::NotYet) = self.turn::<Error>() {
            if core.wal.env().threads == Threads::Own {
                self.park();
            } else if patience > 0 {
                patience -= 1;
                core.tick();
            } else {
                return;
            }
        }
    }

    /// Waits for its turn and takes its keys. In a simulation without threads nobody else can act meanwhile: it does
    /// what is due, and where that does not help it answers as if its deadline had come.
    pub(crate) fn run<R, E: From<Error>>(
        mut self,
        mut f: impl FnMut(&Tx<'_>) -> Result<R, E>,
    ) -> Result<(Session, R), E> {
        let core = self.holder.0.core.clone();
        let mut patience = 2;
        loop {
            match self.take(&mut f) {
                Taken::Placed(placed, session, value) => {
                    core.wal.wait(placed).map_err(Error::from)?;
                    return Ok((session.told(), value));
                }
                Taken::Refused(lsn, e) => {
                    core.wait_for(lsn)?;
                    return Err(e);
                }
                Taken::NotYet if core.wal.env().threads == Threads::Own => self.park(),
                Taken::NotYet if patience > 0 => {
                    patience -= 1;
                    core.tick();
                }
                Taken::NotYet => {
                    let lease = core.leases.lock().leases_on(&self.keys).pop();
                    let (lsn, e) = self.refused(Refusal::Leased(lease));
                    core.wait_for(lsn)?;
                    return Err(e.into());
                }
            }
        }
    }

    /// Takes its keys if it is its turn: `f` runs, and what it writes stands in the record of the grant.
    pub(crate) fn take<R, E: From<Error>>(
        &mut self,
        mut f: impl FnMut(&Tx<'_>) -> Result<R, E>,
    ) -> Taken<R, E> {
        match self.turn() {
            Ok(_) => {}
            Err(stop) => return self.stopped(stop),
        }
        let slot = Arc::new(OnceLock::new());
        let core = self.holder.0.core.clone();
        let ran = core.transact(None, HOW, |tx| {
            let ends = self.turn()?;
            let grant = self.holder.grant();
            let granting = Granting {
                keys: &self.keys,
                grant: &grant,
                ends,
                before: self.deadline,
                request: self.id,
                slot: slot.clone(),
            };
            match tx.grant_lease(granting) {
                Ok(true) => f(tx).map_err(Stop::Own),
                Ok(false) => Err(Stop::NotYet),
                Err(e) => Err(Stop::Own(e.into())),
            }
        });
        match ran {
            Ran::Placed(placed, done) => {
                let lease = slot.get().expect("a record that was placed was applied").clone();
                Taken::Placed(placed, Session::new(self.holder.clone(), lease), done.value)
            }
            Ran::Refused(_, Stop::NotYet) => self.stopped(Stop::NotYet),
            Ran::Refused(_, Stop::Refused(refusal)) => self.stopped(Stop::Refused(refusal)),
            Ran::Refused(lsn, Stop::Own(e)) => Taken::Refused(lsn, e),
            Ran::Barred(lsn, e) => Taken::Refused(lsn, e.into()),
            Ran::Failed(e) => Taken::Refused(Lsn::NONE, e.into()),
            Ran::Read(..) | Ran::Before(_) => unreachable!("a grant writes, and carries no id"),
        }
    }

    /// The leases that end by the grant, if it is its turn.
    fn turn<E>(&self) -> Result<Vec<Ending>, Stop<E>> {
        let core = &self.holder.0.core;
        let mut state = core.leases.lock();
        if let Some(Turn::Refused(refusal)) = state.queue.get(self.id).map(|request| request.turn.clone()) {
            return Err(Stop::Refused(refusal));
        }
        match state.judge(self.id, core.boot()) {
            Some(Step::Up(ends)) => Ok(ends),
            Some(Step::Refused(refusal)) => Err(Stop::Refused(refusal)),
            Some(Step::Waits(..)) | None => {
                state.stir_one(self.id);
                drop(state);
                core.attend();
                Err(Stop::NotYet)
            }
        }
    }

    fn stopped<R, E: From<Error>>(&self, stop: Stop<E>) -> Taken<R, E> {
        match stop {
            Stop::NotYet => Taken::NotYet,
            Stop::Refused(refusal) => {
                let (lsn, e) = self.refused(refusal);
                Taken::Refused(lsn, e.into())
            }
            Stop::Own(e) => Taken::Refused(Lsn::NONE, e),
        }
    }

    /// The error of a refusal, and what it was decided on.
    fn refused(&self, refusal: Refusal) -> (Lsn, Error) {
        let core = &self.holder.0.core;
        match refusal {
            Refusal::Leased(Some(lease)) => {
                let key = lease.keys.iter().find(|key| self.keys.contains(key)).unwrap_or(&lease.keys[0]);
                let then = if self.policy_waits {
                    "the time is over and nothing was granted; have that holder release it, or ask again for longer"
                } else {
                    "nothing was granted; have that holder release it, or wait in line with `Policy::Handoff` or `Policy::Wait`"
                };
                (lease.token.lsn(), core.held(&lease, then).within(core.held_key(key)))
            }
            Refusal::Leased(None) => {
                let why = if self.policy_waits {
                    "others asked before, and the time is over"
                } else {
                    "others asked before"
                };
                let say = format!("{}: {why}: nothing was granted; ask again", core.held_key(&self.keys[0]));
                (Lsn::NONE, Error::new(ErrorKind::Leased, say))
            }
            Refusal::AlreadyActive(lease) => {
                let key = lease.keys.iter().find(|key| self.keys.contains(key)).unwrap_or(&lease.keys[0]);
                let say = format!(
                    "{}: {} has it already, by token {}: use that session (`Holder::resume`, of a profile `Profiles::active`), or \
                     release it first",
                    core.held_key(key),
                    self.holder.name(),
                    lease.token
                );
                let e = Error::new(ErrorKind::AlreadyActive, say).already(lease.token);
                (lease.token.lsn(), e)
            }
            Refusal::OtherLife => (Lsn::NONE, former_life(self.holder.name())),
            Refusal::Closed => (Lsn::NONE, Error::closed()),
        }
    }

    /// Parks this thread until its turn may have come, or its deadline.
    fn park(&self) {
        if self.sleep(Sleeper::Thread(std::thread::current())) {
            std::thread::park_timeout(self.deadline.saturating_sub(self.holder.0.core.boot()));
        }
    }

    /// Has `sleeper` woken when its turn may have come; `false`: look at once.
    pub(crate) fn sleep(&self, sleeper: Sleeper) -> bool {
        let mut state = self.holder.0.core.leases.lock();
        match state.queue.get_mut(self.id) {
            Some(request) if matches!(request.turn, Turn::Waits) => {
                let before = request.sleeper.replace(sleeper);
                drop(state);
                drop(before); // whatever it holds goes without the lock
                true
            }
            _ => false,
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let core = &self.holder.0.core;
        let left = core.leases.lock().leave(self.id); // what it holds goes without the lock
        if left.is_some() {
            core.attend();
        }
    }
}

impl Core {
    /// Keys to be leased, by the numbers of their collections, in order, each once.
    fn full_keys(&self, keys: impl IntoIterator<Item = LeaseKey>) -> Result<Box<[FullKey]>> {
        let mut full = Vec::new();
        for LeaseKey { collection, key } in keys {
            full.push((self.ensure_collection(&collection)?, key?));
        }
        full.sort();
        full.dedup();
        match full.len() {
            0 => Err(Error::new(ErrorKind::Invalid, "no key is asked for: name at least one")),
            1..=LEASE_KEYS_MAX => Ok(full.into()),
            len => {
                let say = format!(
                    "{len} keys are asked for at once: at most {LEASE_KEYS_MAX} are allowed, so split them"
                );
                Err(Error::new(ErrorKind::TooLarge, say))
            }
        }
    }
}

/// A session on its way; see [`Holder::acquire_async`]. As a future it runs on any executor.
#[must_use = "dropping it withdraws the request"]
pub struct Acquire(State);

enum State {
    /// In the queue.
    Waiting(Request),
    /// Granted or refused: told once that is durable. A session that is never told gives its lease back.
    Told(Ticket<Session>),
}

impl Acquire {
    /// Blocks until it is granted or refused.
    ///
    /// # Errors
    ///
    /// As [`Holder::acquire`].
    pub fn wait(self) -> Result<Session> {
        match self.0 {
            State::Waiting(request) => request.run(|_| Ok(())).map(|(session, ())| session),
            State::Told(ticket) => ticket.wait().map(Session::told),
        }
    }

    /// True once `wait` will not block.
    #[must_use]
    pub fn is_ready(&mut self) -> bool {
        self.step();
        matches!(&self.0, State::Told(ticket) if ticket.is_ready())
    }

    fn begun(mut self) -> Self {
        self.step();
        self
    }

    /// Takes the keys, if it is its turn.
    fn step(&mut self) {
        let State::Waiting(request) = &mut self.0 else { return };
        let core = request.holder.0.core.clone();
        match request.take(|_| Ok(())) {
            Taken::NotYet => {}
            Taken::Refused(lsn, e) => self.0 = State::Told(core.told_with(lsn, Err(e))),
            Taken::Placed(placed, session, ()) => {
                self.0 = State::Told(Ticket::waiting(core.wal.settle(placed), Ok(session)));
            }
        }
    }
}

impl Future for Acquire {
    type Output = Result<Session>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            self.step();
            match &mut self.0 {
                State::Waiting(request) if request.sleep(Sleeper::Task(cx.waker().clone())) => {
                    return Poll::Pending;
                }
                State::Waiting(_) => {} // its turn came just now
                State::Told(ticket) => return Pin::new(ticket).poll(cx).map_ok(Session::told),
            }
        }
    }
}

impl fmt::Debug for Acquire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            State::Waiting(request) => write!(f, "Acquire(waiting for {} keys)", request.keys.len()),
            State::Told(ticket) => write!(f, "Acquire({ticket:?})"),
        }
    }
}
