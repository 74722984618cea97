//! Door: the leases of an open store under their lock.
//!
//! Locks, in the order in which they are taken: the commit lock, then this one; signals and events are leaves. Nothing is
//! read from the log and nobody is woken under it. It is taken by commits only where a lease stands or is brought along:
//! that they learn from one load.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use savehold_wal::sync::{Mutex, MutexGuard};

use crate::ids::Token;
use crate::key::FullKey;
use crate::lease::{Barred, Claim, Grant, Lives, Noted, State};

/// The leases of an open store.
pub(crate) struct Leases {
    state: Mutex<State>,
    /// How many stand; changed under the commit lock.
    standing: AtomicUsize,
}

impl Leases {
    /// Nobody holds anything.
    pub(crate) fn new(run: u64) -> Self {
        Self { state: Mutex::new(State::new(run)), standing: AtomicUsize::new(0) }
    }

    /// Whether any lease stands: surely for who has the commit lock, as of a moment ago for others.
    #[inline]
    pub(crate) fn any(&self) -> bool {
        self.standing.load(Ordering::Relaxed) != 0
    }

    /// Everything, locked.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Enters the leases that stood in the log when the store was opened, of holders of whom the log names these `lives`.
    pub(crate) fn restore(&self, found: Vec<(FullKey, Token, Grant)>, lives: &Lives, now: Duration) {
        let mut state = self.lock();
        state.restore(found, lives, now);
        self.standing.store(state.table.len(), Ordering::Relaxed);
    }

    /// Whether a commit of these keys may be made; see [`check`](crate::lease::check). Under the commit lock.
    ///
    /// # Errors
    ///
    /// Why not.
    pub(crate) fn check<'a>(
        &self,
        claim: Option<&Claim>,
        keys: impl Iterator<Item = &'a FullKey>,
        now: Duration,
    ) -> Result<(), Barred> {
        crate::lease::check(&self.lock(), claim, keys, now)
    }

    /// Enters what a record says. Under the commit lock. Says whether somebody is to be told.
    pub(crate) fn apply(&self, token: Token, noted: Noted, claim: Option<&Claim>, now: Duration) -> bool {
        let mut state = self.lock();
        state.heard(claim.map_or(&[], |claim| &claim.tokens), now);
        if noted.is_empty() {
            return false;
        }
        state.apply(token, noted, claim, now);
        self.standing.store(state.table.len(), Ordering::Relaxed);
        true
    }
}
