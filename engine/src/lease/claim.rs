//! Pure: what a commit brings to write leased keys, and whether that is enough.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::ended::Ended;
use super::queue::RequestId;
use super::state::State;
use super::table::Lease;
use crate::ids::Token;
use crate::key::FullKey;

/// A lease that ends, and what its holder learns.
pub(crate) type Ending = (Arc<Lease>, Ended);

/// What a commit brings to write leased keys, and what it does to leases.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claim {
    /// Leases under which it writes: all of them must stand.
    pub(crate) tokens: Vec<Token>,
    /// Keys that it writes as keys of a lease: that must be the lease on them.
    pub(crate) covers: Vec<(FullKey, Token)>,
    /// Keys that it writes whoever has them: a lease on one of them ends.
    pub(crate) forced: Vec<FullKey>,
    /// Keys that it sets back to an earlier state, whoever has them: a lease on one of them ends with
    /// [`Ended::Restored`].
    pub(crate) restored: BTreeSet<FullKey>,
    /// Leases that it ends: it has removed all their keys from `$lease`.
    pub(crate) ends: Vec<Ending>,
    /// A lease that it grants.
    pub(crate) grants: Option<Granted>,
}

/// A lease that a commit grants.
#[derive(Clone, Debug)]
pub(crate) struct Granted {
    /// Who asked for it.
    pub(crate) request: RequestId,
    /// Not at that time of the boot clock or later.
    pub(crate) before: Duration,
    /// Where the lease is put once it stands.
    pub(crate) slot: Arc<OnceLock<Arc<Lease>>>,
}

impl Claim {
    /// Whether it asks for nothing.
    pub(crate) fn is_empty(&self) -> bool {
        let Self { tokens, covers, forced, restored, ends, grants } = self;
        let keys = covers.is_empty() && forced.is_empty() && restored.is_empty();
        tokens.is_empty() && keys && ends.is_empty() && grants.is_none()
    }

    /// Claims what `more` claims, too.
    pub(crate) fn extend(&mut self, more: Option<Self>) {
        let Some(more) = more else { return };
        more.tokens.into_iter().for_each(|token| self.bring(token));
        self.covers.extend(more.covers);
        self.forced.extend(more.forced);
        self.restored.extend(more.restored);
        self.ends.extend(more.ends);
        self.grants = more.grants.or(self.grants.take());
    }

    /// Brings the lease `token` along.
    pub(crate) fn bring(&mut self, token: Token) {
        if !self.tokens.contains(&token) {
            self.tokens.push(token);
        }
    }
}

/// Why a commit may not be made as it is.
#[derive(Clone, Debug)]
pub(crate) enum Barred {
    /// These leases are in its way and may be ignored: it must end them itself.
    Over(Vec<Ending>),
    /// Another has a key, and the commit brought no token.
    Leased(FullKey, Arc<Lease>),
    /// A token that it brought is not that of a lease that stands, or not that of the lease on the key.
    Fenced(Fence),
    /// What it grants was asked for until a moment that is past.
    Late,
    /// Nothing is granted any more: the store is being closed.
    Closed,
}

/// What a stale token met.
#[derive(Clone, Debug)]
pub(crate) struct Fence {
    /// The token that was brought.
    pub(crate) held: Token,
    /// The key that it does not cover, where there is one.
    pub(crate) key: Option<FullKey>,
    /// The lease that stands there now.
    pub(crate) current: Option<Arc<Lease>>,
    /// The token's lease, where it still stands in the log and is over all the same.
    pub(crate) over: Option<Ending>,
}

/// Whether a commit that writes `keys` of the user's collections may be made at `now` (boot clock).
///
/// # Errors
///
/// Why not.
pub(crate) fn check<'a>(
    state: &State,
    claim: Option<&Claim>,
    keys: impl Iterator<Item = &'a FullKey>,
    now: Duration,
) -> Result<(), Barred> {
    if let Some(claim) = claim {
        check_claim(state, claim, now)?;
    }
    let mut over: Vec<Ending> = Vec::new();
    for key in keys {
        let Some(lease) = state.table.of_key(key) else { continue };
        let known = |ends: &[Ending]| ends.iter().any(|(other, _)| other.token == lease.token);
        if known(&over) || claim.is_some_and(|c| c.tokens.contains(&lease.token) || known(&c.ends)) {
            continue;
        }
        if let Some(why) = state.stale(lease, now) {
            over.push((lease.clone(), why.ended()));
        } else if claim.is_some_and(|claim| claim.restored.contains(key)) {
            over.push((lease.clone(), Ended::Restored));
        } else if claim.is_some_and(|claim| claim.forced.contains(key)) {
            over.push((lease.clone(), Ended::Stolen("a forced write".to_owned())));
        } else if let Some(held) = claim.and_then(|claim| claim.tokens.first()) {
            return Err(fenced(*held, Some(key), Some(lease), None));
        } else {
            return Err(Barred::Leased(key.clone(), lease.clone()));
        }
    }
    if over.is_empty() { Ok(()) } else { Err(Barred::Over(over)) }
}

fn check_claim(state: &State, claim: &Claim, now: Duration) -> Result<(), Barred> {
    for token in &claim.tokens {
        let lease = state.table.of_token(*token);
        let why = lease.map(|lease| state.stale(lease, now));
        if why != Some(None) {
            let over = lease.zip(why.flatten()).map(|(lease, why)| (lease.clone(), why.ended()));
            let key = claim.covers.iter().find(|(_, of)| of == token).map(|(key, _)| key);
            let current = key.and_then(|key| state.table.of_key(key)).filter(|lease| lease.token != *token);
            return Err(fenced(*token, key, current, over));
        }
    }
    for (key, token) in &claim.covers {
        let lease = state.table.of_key(key);
        if lease.is_none_or(|lease| lease.token != *token) {
            return Err(fenced(*token, Some(key), lease, None));
        }
    }
    match &claim.grants {
        Some(_) if state.is_closed() => Err(Barred::Closed),
        Some(granted) if now >= granted.before => Err(Barred::Late),
        _ => Ok(()),
    }
}

fn fenced(held: Token, key: Option<&FullKey>, current: Option<&Arc<Lease>>, over: Option<Ending>) -> Barred {
    Barred::Fenced(Fence { held, key: key.cloned(), current: current.cloned(), over })
}
