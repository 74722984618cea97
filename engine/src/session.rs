//! Corridor: sessions: a lease in the hands of its holder.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use savehold_wal::Placed;

use crate::commit::{How, NotCommitted};
use crate::core::Core;
use crate::error::{Error, ErrorKind, Result};
use crate::holder::Holder;
use crate::ids::Token;
use crate::key::FullKey;
use crate::lease::{Ended, HeldKey, Lease, Life, Stale, Wanted};
use crate::signal::Watch;
use crate::ticket::Ticket;
use crate::txn::Tx;

/// A lease on one key or on a set of keys: only who brings its token may write them. Reads need no lease.
///
/// Dropping the session of a holder in this process releases it. A session of an external holder is only a handle: its
/// lease lives in the holder's heartbeats, and [`Holder::resume`] finds it again by its token.
pub struct Session {
    holder: Holder,
    lease: Arc<Lease>,
    /// Dropping it releases the lease.
    gives_back: bool,
}

impl Session {
    /// A session whose grant is on its way: until [`Session::told`] it gives the lease back, whoever the holder is.
    pub(crate) fn new(holder: Holder, lease: Arc<Lease>) -> Self {
        Self { holder, lease, gives_back: true }
    }

    /// From now on the caller knows of it.
    pub(crate) fn told(mut self) -> Self {
        self.gives_back = !self.holder.0.id.external;
        self
    }

    /// The number that fences it: bring it with each write, by [`Collection::with_token`](crate::Collection::with_token)
    /// or [`Tx::bring`]. As text it may travel.
    #[must_use]
    pub fn token(&self) -> Token {
        self.lease.token
    }

    /// Its keys, in order.
    #[must_use]
    pub fn keys(&self) -> Vec<HeldKey> {
        self.lease.keys.iter().map(|key| self.core().held_key(key)).collect()
    }

    /// Who has it.
    #[must_use]
    pub fn holder(&self) -> &Holder {
        &self.holder
    }

    /// Whether it stands: its token would be accepted now.
    #[must_use]
    pub fn is_live(&self) -> bool {
        let state = self.core().leases.lock();
        state
            .table
            .of_token(self.lease.token)
            .is_some_and(|lease| state.stale(lease, self.core().boot()).is_none())
    }

    /// Its end, and why: to ask, to await, or to be called back. Told in commit order, as soon as no write of this
    /// session can be accepted any more; that it is durable is for [`Session::release`] to say.
    pub fn ended(&self) -> Watch<Ended> {
        Watch::new(self.lease.ended.clone(), self.core().wal.env().clone())
    }

    /// That another asks for it, by [`Policy::Handoff`](crate::Policy::Handoff): write what is left to write, and
    /// release it.
    pub fn wanted(&self) -> Watch<Wanted> {
        Watch::new(self.lease.wanted.clone(), self.core().wal.env().clone())
    }

    /// Ends it: whoever waits for its keys has them next. Durable on return.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Ended`]: it was over before; the message says why. [`ErrorKind::Unknown`]: it may or may not be
    /// durable.
    pub fn release(mut self) -> Result<()> {
        self.gives_back = false;
        let placed = self.end(None, self.core().how())?;
        Ok(self.core().wal.wait(placed)?)
    }

    /// [`Session::release`], handing over a ticket; the session is over when this returns.
    pub fn release_async(mut self) -> Ticket<()> {
        self.gives_back = false;
        match self.end(None, self.core().how()) {
            Ok(placed) => Ticket::waiting(self.core().wal.settle(placed), Ok(())),
            Err(e) => Ticket::answered(Err(e)),
        }
    }

    /// Ends it; `why`, or what a release is now.
    pub(crate) fn end(&self, why: Option<Ended>, how: How) -> Result<Placed> {
        self.core().end_session(&self.lease, why, how)
    }

    /// Ends it by the record of a transaction, which brings its token: the final save and the release are one commit. It
    /// commits only while the session stands. `None`: released, or handed over where somebody asks for it.
    pub(crate) fn end_in(&self, tx: &Tx<'_>, why: Option<Ended>) {
        tx.bring(self.lease.token);
        let why = why.unwrap_or_else(|| self.core().release_reason(&self.lease));
        tx.end_lease(&self.lease, why);
    }

    /// From now on its own holder waits for it, too, where it asks for the key again.
    pub(crate) fn begin_end(&self) {
        self.lease.begin_end();
    }

    /// Why it is over; `None`: it stands.
    pub(crate) fn why_ended(&self) -> Option<Ended> {
        self.lease.ended.get()
    }

    /// What a release of it is now: handed over where somebody asked for it.
    pub(crate) fn release_reason(&self) -> Ended {
        self.core().release_reason(&self.lease)
    }

    fn core(&self) -> &Core {
        &self.holder.0.core
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.gives_back && self.lease.ended.get().is_none() {
            let core = self.core();
            if let Ok(placed) = self.end(None, core.how()) {
                drop(core.wal.settle(placed));
            }
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({} of {})", self.lease.token, self.holder.name())
    }
}

/// A lease that stands, for lists.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// Its token.
    pub token: Token,
    /// Its keys, in order.
    pub keys: Vec<HeldKey>,
    /// Its holder.
    pub holder: String,
    /// Of an external holder: which of its lives.
    pub life: Option<u64>,
    /// How long the holder may still be silent; `None`: its handle keeps it alive.
    pub time_left: Option<Duration>,
    /// Engine time of the grant, microseconds since 1970.
    pub since_us: Option<u64>,
    /// The holder that asks for it, where one does.
    pub wanted_by: Option<String>,
}

impl Core {
    /// Ends a lease; `why`, or what a release is now.
    pub(crate) fn end_session(&self, lease: &Arc<Lease>, why: Option<Ended>, how: How) -> Result<Placed> {
        let stale = self.leases.lock().stale(lease, self.boot());
        let why = stale.map(Stale::ended).or(why).unwrap_or_else(|| self.release_reason(lease));
        match self.end_leases(&[(lease.clone(), why)], how) {
            Ok(placed) if stale.is_some() => {
                self.wal.wait(placed.expect("one lease is one record"))?;
                Err(ended(lease))
            }
            Ok(placed) => Ok(placed.expect("one lease is one record")),
            Err(NotCommitted::Conflict(_)) => {
                self.wait_for(self.sequenced())?;
                Err(ended(lease))
            }
            Err(NotCommitted::Failed(e) | NotCommitted::Barred(_, e, _)) => Err(e),
        }
    }

    /// What a release of the lease is now: handed over where somebody asked for it, restored where that is to set its keys
    /// back.
    pub(crate) fn release_reason(&self, lease: &Lease) -> Ended {
        self.leases.lock().release_reason(lease)
    }

    /// The session of a token, for its holder.
    pub(crate) fn resume(&self, holder: &Holder, token: Token) -> Result<Arc<Lease>> {
        holder.check_life()?;
        let lease = {
            let state = self.leases.lock();
            let lease = state.table.of_token(token).filter(|lease| state.stale(lease, self.boot()).is_none());
            lease.filter(|lease| lease.holder == holder.0.id).cloned()
        };
        lease.ok_or_else(|| {
            let say = format!(
                "no session of {} has the token {token}: it is over, or another's; acquire its keys again",
                holder.name()
            );
            Error::new(ErrorKind::Ended, say)
        })
    }

    /// The leases that live.
    pub(crate) fn sessions(&self) -> Result<Vec<SessionInfo>> {
        let now = self.boot();
        let live: Vec<(Arc<Lease>, Option<String>)> = {
            let state = self.leases.lock();
            let live = state.table.all().filter(|lease| state.stale(lease, now).is_none());
            live.map(|lease| (lease.clone(), state.wanted_by(lease).map(|id| id.name.to_string()))).collect()
        };
        live.into_iter().map(|(lease, wanted_by)| self.session_info(&lease, wanted_by)).collect()
    }

    fn session_info(&self, lease: &Lease, wanted_by: Option<String>) -> Result<SessionInfo> {
        Ok(SessionInfo {
            token: lease.token,
            keys: lease.keys.iter().map(|key| self.held_key(key)).collect(),
            holder: lease.grant.holder.to_string(),
            life: match lease.grant.life {
                Life::External(life) => Some(life),
                Life::Inside(_) => None,
            },
            time_left: self.time_left(lease),
            since_us: self.wal.time_of(lease.token.lsn())?,
            wanted_by,
        })
    }

    /// Ends the lease on a key, whoever has it; `None`: nobody has.
    pub(crate) fn break_session(&self, key: &FullKey, reason: &str) -> Result<Option<SessionInfo>> {
        loop {
            let found = {
                let state = self.leases.lock();
                let lease = state.table.of_key(key).cloned();
                lease.map(|lease| (state.wanted_by(&lease).map(|id| id.name.to_string()), lease))
            };
            let Some((wanted_by, lease)) = found else {
                return self.wait_for(self.sequenced()).map(|()| None); // how it ended is as durable as this answer
            };
            let info = self.session_info(&lease, wanted_by)?;
            match self.end_session(&lease, Some(Ended::Stolen(reason.to_owned())), self.how()) {
                Ok(placed) => return Ok(self.wal.wait(placed).map(|()| Some(info))?),
                Err(e) if e.kind() == ErrorKind::Ended => {} // it ended meanwhile: is there another?
                Err(e) => return Err(e),
            }
        }
    }
}

/// The error of a session that is over.
fn ended(lease: &Lease) -> Error {
    let why = lease.ended.get().map_or_else(|| "it ended".to_owned(), |why| why.to_string());
    let say =
        format!("the session {} is over ({why}): nothing was written; write no more under it", lease.token);
    Error::new(ErrorKind::Ended, say)
}
