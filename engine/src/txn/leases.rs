//! Corridor: leases that a transaction grants and ends, in its own record.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use savehold_wal::Lsn;

use super::Tx;
use crate::core::Core;
use crate::draft::Write;
use crate::error::Result;
use crate::fence::{lease_key, lease_keys};
use crate::ids::CollectionId;
use crate::index::{Direction, KeyRange, Kind};
use crate::key::FullKey;
use crate::lease::{Claim, Ended, Ending, Grant, Granted, Lease, Life, RequestId};
use crate::planted::{self, Fault};

/// Keys of `$lease` that are read at a time.
const PAGE: usize = 256;

/// A lease that a transaction is to grant.
pub(crate) struct Granting<'a> {
    pub(crate) keys: &'a [FullKey],
    pub(crate) grant: &'a Grant,
    /// Leases that end by it.
    pub(crate) ends: Vec<Ending>,
    /// Not at that time of the boot clock or later.
    pub(crate) before: Duration,
    /// Who asked for it.
    pub(crate) request: RequestId,
    /// Where the lease is put once it stands.
    pub(crate) slot: Arc<OnceLock<Arc<Lease>>>,
}

impl Tx<'_> {
    /// Grants a lease by this transaction's record; `false`: what it was planned on has changed.
    pub(crate) fn grant_lease(&self, granting: Granting<'_>) -> Result<bool> {
        let Granting { keys, grant, ends, before, request, slot } = granting;
        for (lease, why) in &ends {
            self.end_lease(lease, why.clone());
        }
        let value = Write::own(grant.encode()?, self.core.wal.time_us());
        let mut state = self.state.borrow_mut();
        for key in keys.iter().map(lease_key) {
            if !state.reads.contains_key(&key) && !planted::has(Fault::GrantUnseen) {
                let newest = self.core.index.newest(key.0.0, key.1.as_bytes())?;
                if newest.is_some_and(|version| version.kind == Kind::Put) {
                    return Ok(false);
                }
                state.reads.insert(key.clone(), newest.map_or(Lsn::NONE, |version| version.lsn));
            }
            state.writes.insert(key, value.clone());
        }
        state
            .claim
            .extend(Some(Claim { grants: Some(Granted { request, before, slot }), ..Claim::default() }));
        Ok(true)
    }

    /// Ends a lease by this transaction's record. It commits only while that lease stands.
    pub(crate) fn end_lease(&self, lease: &Arc<Lease>, why: Ended) {
        let mut state = self.state.borrow_mut();
        for key in lease_keys(lease) {
            state.reads.insert(key.clone(), lease.token.lsn());
            state.writes.insert(key, Write::Remove);
        }
        state.claim.ends.push((lease.clone(), why));
    }
}

impl Core {
    /// Mirrors the leases that stand in the log: what `$lease` says.
    pub(crate) fn restore_leases(&self) -> Result<()> {
        let (mut found, mut after) = (Vec::new(), None::<Vec<u8>>);
        loop {
            let (lease, all, up) = (CollectionId::LEASE.0, KeyRange::ALL, Direction::Ascending);
            let page = self.index.range(lease, all, after.as_deref(), Lsn::MAX, PAGE, up)?;
            for (key, version) in page.iter().filter(|(_, version)| version.kind == Kind::Put) {
                let Some(leased) = crate::inner_key::leased(key) else { continue };
                let grant = match self.stored(version) {
                    Ok(stored) => Grant::decode(&stored.entry.value),
                    Err(e) if e.kind() == crate::error::ErrorKind::Io => return Err(e),
                    Err(_) => Grant::decode(&[]), // its token is refused, and its key is free
                };
                found.push((leased, version.lsn.into(), grant));
            }
            match page.last_key() {
                Some(last) if page.len() == PAGE => after = Some(last.to_vec()),
                _ => break,
            }
        }
        if !found.is_empty() {
            let external = |grant: &&Grant| matches!(grant.life, Life::External(_));
            let holders: BTreeSet<_> =
                found.iter().map(|(_, _, grant)| grant).filter(external).map(|grant| &grant.holder).collect();
            let lives = self.newest_lives(holders.into_iter())?;
            self.leases.restore(found, &lives, self.boot());
        }
        Ok(())
    }
}
