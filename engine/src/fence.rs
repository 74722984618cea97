//! Corridor: a commit that meets leases. Those that are over it ends in its own record; at others it stops, and says who
//! has the key.

use savehold_wal::{Lsn, Placed};

use crate::commit::{How, NotCommitted, Refused};
use crate::core::Core;
use crate::draft::{Draft, FullKey, Write};
use crate::error::{Error, ErrorKind};
use crate::ids::CollectionId;
use crate::inner_key;
use crate::lease::{Barred, Ending, Fence, HeldKey, Lease};

/// Keys of leases that one record of the store's own ends.
const ENDS_MAX: usize = 4096;

impl Core {
    /// Gives a draft its place, validated against everything placed before it.
    pub(crate) fn place(&self, draft: &Draft<'_>, how: How) -> Result<Placed, NotCommitted> {
        match self.place_as_it_is(draft, how) {
            Ok(placed) => Ok(placed),
            Err(Refused::Lease(barred, lsn)) => self.place_barred(draft, how, barred, lsn),
            Err(refused) => Err(refused.into()),
        }
    }

    #[cold]
    fn place_barred(
        &self,
        draft: &Draft<'_>,
        how: How,
        mut barred: Barred,
        mut lsn: Lsn,
    ) -> Result<Placed, NotCommitted> {
        let mut over = Vec::new();
        loop {
            match barred {
                Barred::Over(more) => over.extend(more),
                Barred::Fenced(fence) => return Err(self.fenced(fence, lsn)),
                Barred::Leased(key, lease) => {
                    return Err(NotCommitted::Barred(lsn, self.leased(&lease), Some(key)));
                }
                Barred::Late => return Err(NotCommitted::Barred(lsn, late(), None)),
                Barred::Closed => return Err(NotCommitted::Barred(lsn, Error::closed(), None)),
            }
            let refused = match self.place_ending(draft, how, &over) {
                Ok(placed) => return Ok(placed),
                // somebody else ended one of them first: look again
                Err(Refused::Conflict(keys)) if keys.iter().any(|key| is_pin(key, &over)) => {
                    over.clear();
                    match self.place_as_it_is(draft, how) {
                        Ok(placed) => return Ok(placed),
                        Err(refused) => refused,
                    }
                }
                Err(refused) => refused,
            };
            match refused {
                Refused::Lease(again, at) => (barred, lsn) = (again, at),
                refused => return Err(refused.into()),
            }
        }
    }

    /// Places a draft together with the end of leases that are over.
    fn place_ending(&self, draft: &Draft<'_>, how: How, over: &[Ending]) -> Result<Placed, Refused> {
        let (mut writes, mut reads) = (draft.writes.to_vec(), draft.reads.to_vec());
        for (lease, _) in over {
            for key in lease_keys(lease) {
                if !writes.iter().any(|(written, _)| *written == key) {
                    writes.push((key.clone(), Write::Remove));
                }
                reads.push((key, lease.token.lsn()));
            }
        }
        let mut claim = draft.claim.cloned().unwrap_or_default();
        claim.ends.extend(over.iter().cloned());
        let draft = Draft { writes: &writes, reads: &reads, claim: Some(&claim), ..*draft };
        self.place_as_it_is(&draft, how)
    }

    /// Ends leases by a record of the store's own, a few thousand keys at a time; answers where the last one stands.
    ///
    /// # Errors
    ///
    /// [`NotCommitted::Conflict`]: one of them had ended before. Those that were ended already stay so.
    pub(crate) fn end_leases(&self, ends: &[Ending], how: How) -> Result<Option<Placed>, NotCommitted> {
        let (mut last, mut rest) = (None, ends);
        while !rest.is_empty() {
            let mut keys = 0;
            let fits = rest.iter().take_while(|(lease, _)| {
                keys += lease.keys.len();
                keys <= ENDS_MAX
            });
            let (now, later) = rest.split_at(fits.count().max(1));
            let author = self.author(None)?;
            let draft = Draft {
                author,
                writes: &[],
                reads: &[],
                ranges: &[],
                moment: Lsn::NONE,
                remembered: &[],
                claim: None,
                memory: None,
            };
            last = Some(match self.place_ending(&draft, how, now) {
                Ok(placed) => placed,
                Err(Refused::Lease(..)) => unreachable!("only keys of the store itself are written"),
                Err(refused) => {
                    if let Some(placed) = last {
                        drop(self.wal.settle(placed)); // those in front of it have ended: their record does not wait for another
                    }
                    return Err(refused.into());
                }
            });
            rest = later;
        }
        Ok(last)
    }

    /// A token that is refused because its lease is over is refused for ever: the record that says so comes first.
    fn fenced(&self, fence: Fence, lsn: Lsn) -> NotCommitted {
        let ended = fence.over.as_ref().map(|over| self.end_leases(std::slice::from_ref(over), self.how()));
        let lsn = match ended {
            Some(Ok(Some(placed))) => placed.lsn,
            Some(Err(NotCommitted::Conflict(_))) => self.sequenced(),
            _ => lsn,
        };
        NotCommitted::Barred(lsn, fenced_error(&fence), fence.key)
    }

    /// The error of who writes to a key that another has.
    pub(crate) fn leased(&self, lease: &Lease) -> Error {
        self.held(lease, "nothing was written; ask that holder, acquire the key, or force the write")
    }

    /// The error of who needs a key that another has: what was done, and what to do next.
    pub(crate) fn held(&self, lease: &Lease, then: &str) -> Error {
        let left = self.time_left(lease);
        let time =
            left.map(|left| format!(" for {left:?} more, unless it is heard of again")).unwrap_or_default();
        let say = format!("{} has it{time}: {then}", lease.grant.holder);
        Error::new(ErrorKind::Leased, say).held_by(&lease.grant.holder, left)
    }

    /// How long the holder of a lease may still be silent; `None`: there is no such limit.
    pub(crate) fn time_left(&self, lease: &Lease) -> Option<std::time::Duration> {
        let now = self.boot();
        let deadline = self.leases.lock().holders.get(&lease.holder)?.pulse.deadline?;
        Some(deadline.saturating_sub(now))
    }

    /// The name of a leased key.
    pub(crate) fn held_key(&self, (collection, key): &FullKey) -> HeldKey {
        let named = self.collection_name(*collection).ok().flatten();
        HeldKey { collection: named.unwrap_or_else(|| collection.to_string()), key: key.clone() }
    }
}

fn fenced_error(fence: &Fence) -> Error {
    let now = match &fence.current {
        Some(lease) => format!("{} has it now, by token {}", lease.grant.holder, lease.token),
        None => "the lease is over".to_owned(),
    };
    let say = format!(
        "the token {} is not the current one ({now}): nothing was written; end this session and write no more under it",
        fence.held
    );
    let current = fence.current.as_ref().map(|lease| lease.token);
    let e = Error::new(ErrorKind::Fenced, say).fenced(fence.held, current);
    match &fence.current {
        Some(lease) => e.held_by(&lease.grant.holder, None),
        None => e,
    }
}

/// Whether a key that changed is that of a lease which was to be ended.
fn is_pin(key: &FullKey, over: &[Ending]) -> bool {
    key.0 == CollectionId::LEASE
        && over.iter().flat_map(|(lease, _)| lease_keys(lease)).any(|pin| pin == *key)
}

/// Where a lease stands in `$lease`.
pub(crate) fn lease_keys(lease: &Lease) -> impl Iterator<Item = FullKey> + '_ {
    lease.keys.iter().map(lease_key)
}

/// Where the lease on a key stands in `$lease`.
pub(crate) fn lease_key((collection, key): &FullKey) -> FullKey {
    (CollectionId::LEASE, inner_key::lease(*collection, key))
}

fn late() -> Error {
    let say = "the lease was free in the end, but the time for which it was asked was over: nothing was written; ask again";
    Error::new(ErrorKind::Leased, say)
}
