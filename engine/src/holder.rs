//! Corridor: holders: who has leases, and how a holder is known to live.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use savehold_wal::sync::Sleeper;

use crate::core::Core;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::Token;
use crate::lease::{self, Ended, Grant, Heard, HeldKey, HolderId, Life, Policy, check_name};
use crate::life::former_life;
use crate::news::{self, Awaited};
use crate::share::Share;

/// How long an external holder may be silent, unless its options say otherwise.
const EXTERNAL_TIME: Duration = Duration::from_secs(30);

/// How long a request waits, unless it says otherwise.
const DEADLINE: Duration = Duration::from_secs(15);

/// How a key is asked for: what to do about another holder, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Start {
    pub(crate) policy: Policy,
    pub(crate) deadline: Duration,
}

impl Start {
    /// [`Policy::Handoff`] after 10 s, refused after 15 s.
    pub fn new() -> Self {
        Self { policy: Policy::default(), deadline: DEADLINE }
    }

    /// What to do where another has a key.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// The request is refused after this time; it is not granted later.
    pub fn deadline(mut self, time: Duration) -> Self {
        self.deadline = time;
        self
    }
}

impl Default for Start {
    fn default() -> Self {
        Self::new()
    }
}

/// How a holder lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct HolderOptions {
    pub(crate) time: Option<Duration>,
}

impl HolderOptions {
    /// The defaults: a holder in this process lives as long as its handle; an external one may be silent for 30 s.
    pub fn new() -> Self {
        Self::default()
    }

    /// The holder loses everything when it was silent for this long, measured on the boot clock, which no step of the
    /// wall clock touches. Heartbeats, commits by its tokens and grants are signs of life. Counted in whole
    /// milliseconds, at least one.
    pub fn lease(mut self, time: Duration) -> Self {
        self.time = Some(Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)));
        self
    }
}

/// Who has leases: this process, a room in it, or a game server elsewhere. Cheap to clone.
///
/// One heartbeat serves all leases of a holder, and costs no byte of log. A holder of this process lives as long as a
/// handle of it, or a session, does. An external one lives in its heartbeats; its leases outlive our restart.
#[derive(Clone)]
pub struct Holder(pub(crate) Arc<Handle>);

pub(crate) struct Handle {
    pub(crate) core: Share,
    pub(crate) id: HolderId,
    pub(crate) life: Life,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.core.leases.lock().part(&self.id);
        self.core.attend();
    }
}

impl Core {
    /// A holder in this process.
    pub(crate) fn holder(self: &Arc<Self>, name: &str, options: HolderOptions) -> Result<Holder> {
        let life = Life::Inside(self.leases.lock().run());
        self.greet(HolderId { external: false, name: name.into() }, life, options.time, &[])
    }

    /// A holder elsewhere.
    pub(crate) fn external_holder(
        self: &Arc<Self>,
        name: &str,
        life: u64,
        options: HolderOptions,
    ) -> Result<Holder> {
        check_name(name)?;
        let (id, time) =
            (HolderId { external: true, name: name.into() }, options.time.or(Some(EXTERNAL_TIME)));
        let known = self.leases.lock().is_life(&id, Life::External(life));
        let former = if known { Vec::new() } else { self.begin_life(name, life)? };
        self.greet(id, Life::External(life), time, &former)
    }

    fn greet(
        self: &Arc<Self>,
        id: HolderId,
        life: Life,
        time: Option<Duration>,
        former: &[u64],
    ) -> Result<Holder> {
        check_name(&id.name)?;
        if let Some(failure) = self.wal.failure() {
            return Err(failure.into());
        }
        self.begin_upkeep()?;
        if !self.leases.lock().greet(&id, life, time, former, self.boot()) {
            return Err(former_life(&id.name));
        }
        let holder = Holder(Arc::new(Handle { core: Share::from(self), id, life }));
        holder.end_former()?;
        Ok(holder)
    }
}

impl Holder {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.id.name
    }

    /// A sign of life: it has its full time again. In memory only: nothing is logged.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Ended`]: the holder was silent for too long, and sessions of it ended by that; said once, by the first
    ///   heartbeat after it, also where new ones were acquired meanwhile. Or another life of it has begun: then always. New
    ///   leases may be acquired in the first case. Of a holder of whom nobody has a handle it is kept for 7 days after its time,
    ///   in memory: one that comes back later, or after a restart of the store, is not told. [`Holder::resume`] says it always.
    /// - [`ErrorKind::Full`], [`ErrorKind::Busy`]: sessions ended, and the record that says so could not be written. It was a
    ///   sign of life, and the next heartbeat that can write it says `Ended`.
    pub fn heartbeat(&self) -> Result<()> {
        let (core, Handle { id, life, .. }) = (&self.0.core, &*self.0);
        let heard = core.leases.lock().heartbeat(id, *life, core.boot());
        if heard == Heard::InTime {
            return Ok(());
        }
        self.end_former()?; // who was told that it is over relies on it
        self.check_life()?;
        // only now: who is answered anything else was not told
        if let Heard::TooLate(stint) = heard
            && !core.leases.lock().told(id, *life, stint)
        {
            return Ok(()); // by another handle
        }
        let say = format!(
            "{} was silent for too long: the sessions that it had then are over; end them, then acquire what is still played",
            self.name()
        );
        Err(Error::new(ErrorKind::Ended, say))
    }

    /// What the holder is told: who asks for its keys, and which of its sessions ended, why. One queue for all handles
    /// of a holder; events are kept from the first call on.
    #[must_use]
    pub fn events(&self) -> Events {
        let queue = self.0.core.leases.lock().events(&self.0.id).unwrap_or_default();
        Events { core: self.0.core.clone(), queue }
    }

    /// Refuses a handle of a life that another has followed.
    pub(crate) fn check_life(&self) -> Result<()> {
        let state = self.0.core.leases.lock();
        match state.holders.get(&self.0.id) {
            Some(holder) if holder.pulse.life == self.0.life => Ok(()),
            _ => Err(former_life(self.name())),
        }
    }

    /// What a grant to it says.
    pub(crate) fn grant(&self) -> Grant {
        let time = self.0.core.leases.lock().holders.get(&self.0.id).and_then(|holder| holder.time);
        Grant { holder: self.0.id.name.clone(), life: self.0.life, time }
    }

    /// Ends what the holder had in a former life or stint, by a record, and waits for its answer.
    pub(crate) fn end_former(&self) -> Result<()> {
        let core = &self.0.core;
        let over = {
            let state = core.leases.lock();
            let mut over = state.over(core.boot());
            over.retain(|(lease, _)| lease.holder == self.0.id);
            over
        };
        core.sweep(&over)?;
        core.attend();
        if over.is_empty() { Ok(()) } else { core.wait_for(core.sequenced()) }
    }
}

impl fmt::Debug for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Holder({})", self.name())
    }
}

/// What a holder is told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HolderEvent {
    /// Another asks for a session: write what is left to write, and release it.
    Wanted {
        /// The session.
        token: Token,
        /// Its keys.
        keys: Vec<HeldKey>,
        /// The holder that asks.
        by: String,
    },
    /// A session is over.
    Ended {
        /// The session.
        token: Token,
        /// The keys that it had.
        keys: Vec<HeldKey>,
        /// Why.
        why: Ended,
    },
    /// So many events before the next were not fetched in time and are lost: look at
    /// [`sessions`](crate::Store::sessions).
    Missed(u64),
}

/// The events of a holder: to poll, to wait for, to await.
pub struct Events {
    core: Share,
    queue: Arc<lease::Events>,
}

impl Events {
    /// The next event, if there is one.
    #[must_use]
    pub fn try_next(&self) -> Option<HolderEvent> {
        self.queue.take(None).map(|event| self.named(event))
    }

    /// Waits for the next event, for at most `time`. In a simulation without threads nothing can happen meanwhile: it
    /// answers at once.
    #[must_use]
    pub fn next_timeout(&self, time: Duration) -> Option<HolderEvent> {
        news::wait(self.core.wal.env(), time, |sleeper| self.take(sleeper))
    }

    /// The next event, on any executor.
    pub fn next(&self) -> impl Future<Output = HolderEvent> + Send + '_ {
        Awaited(|sleeper| self.take(sleeper))
    }

    fn take(&self, sleeper: Sleeper) -> Option<HolderEvent> {
        self.queue.take(Some(sleeper)).map(|event| self.named(event))
    }

    fn named(&self, event: lease::Event) -> HolderEvent {
        let named = |keys: &[crate::key::FullKey]| keys.iter().map(|key| self.core.held_key(key)).collect();
        match event {
            lease::Event::Wanted(token, keys, by) => HolderEvent::Wanted { token, keys: named(&keys), by },
            lease::Event::Ended(token, keys, why) => HolderEvent::Ended { token, keys: named(&keys), why },
            lease::Event::Missed(count) => HolderEvent::Missed(count),
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events")
    }
}
