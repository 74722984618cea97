//! Pure: the leases that stand in `$lease`, by key, by token and by holder.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::ended::{Ended, Wanted};
use super::grant::Grant;
use super::holders::HolderId;
use crate::ids::Token;
use crate::key::FullKey;
use crate::signal::Signal;

/// A lease that stands, or stood.
pub(crate) struct Lease {
    /// The record that granted it.
    pub(crate) token: Token,
    /// Its keys, in order, each once.
    pub(crate) keys: Box<[FullKey]>,
    pub(crate) grant: Grant,
    /// Whose it is.
    pub(crate) holder: HolderId,
    /// The stint of its holder in which it was granted.
    pub(crate) stint: u64,
    /// Set when it is over, in commit order.
    pub(crate) ended: Arc<Signal<Ended>>,
    /// Set while somebody asks for it.
    pub(crate) wanted: Arc<Signal<Wanted>>,
    /// Its end was begun: who asks for it waits, also its own holder.
    ending: AtomicBool,
}

impl Lease {
    pub(crate) fn new(token: Token, keys: Box<[FullKey]>, grant: Grant, stint: u64) -> Self {
        let (ended, wanted) = Default::default();
        let holder = HolderId::of(&grant);
        Self { token, keys, grant, holder, stint, ended, wanted, ending: AtomicBool::new(false) }
    }

    /// From now on it is about to end.
    pub(crate) fn begin_end(&self) {
        self.ending.store(true, Ordering::Release);
    }

    /// Whether its end was begun.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease({} of {}, {} keys)", self.token, self.grant.holder, self.keys.len())
    }
}

/// What one record says about `$lease`.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    /// Keys that are leased by it, and to whom.
    pub(crate) puts: Vec<(FullKey, Grant)>,
    /// Keys whose lease it ends.
    pub(crate) removes: Vec<FullKey>,
}

impl Noted {
    pub(crate) fn is_empty(&self) -> bool {
        self.puts.is_empty() && self.removes.is_empty()
    }
}

/// The leases that stand.
#[derive(Default)]
pub(crate) struct Table {
    by_key: HashMap<FullKey, Arc<Lease>>,
    by_token: BTreeMap<Token, Arc<Lease>>,
    by_holder: HashMap<HolderId, BTreeSet<Token>>,
}

impl Table {
    /// Enters a lease; its keys are free.
    pub(crate) fn enter(&mut self, lease: Arc<Lease>) {
        for key in &lease.keys {
            self.by_key.insert(key.clone(), lease.clone());
        }
        self.by_holder.entry(lease.holder.clone()).or_default().insert(lease.token);
        self.by_token.insert(lease.token, lease);
    }

    /// Takes out the lease on `key`, as a whole.
    pub(crate) fn lift(&mut self, key: &FullKey) -> Option<Arc<Lease>> {
        let lease = self.by_key.get(key)?.clone();
        for key in &lease.keys {
            self.by_key.remove(key);
        }
        self.by_token.remove(&lease.token);
        if let Some(tokens) = self.by_holder.get_mut(&lease.holder) {
            tokens.remove(&lease.token);
            if tokens.is_empty() {
                self.by_holder.remove(&lease.holder);
            }
        }
        Some(lease)
    }

    /// The lease on a key.
    pub(crate) fn of_key(&self, key: &FullKey) -> Option<&Arc<Lease>> {
        self.by_key.get(key)
    }

    /// The lease with this token.
    pub(crate) fn of_token(&self, token: Token) -> Option<&Arc<Lease>> {
        self.by_token.get(&token)
    }

    /// The tokens of a holder, oldest first.
    pub(crate) fn of_holder(&self, holder: &HolderId) -> impl Iterator<Item = Token> + '_ {
        self.by_holder.get(holder).into_iter().flatten().copied()
    }

    /// All leases, oldest first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Lease>> {
        self.by_token.values()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_token.len()
    }
}
