//! Corridor: recovery, from the log to the index in memory. `apply` does the entering, as for live commits.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use savehold_wal::env::{Env, Threads};
use savehold_wal::{Lsn, Replayed, Replayer, Verify, Wal};

use crate::apply::{Target, apply};
use crate::error::Result;
use crate::ids::CollectionId;
use crate::index::{Entry, Loader, TailIndex};

/// Threads that replay unless the options say otherwise.
const THREADS_MAX: usize = 4;

/// Fills the index on one thread, and notes which keys of `$lease` it meets.
struct Load<'i> {
    loader: Loader<'i>,
    leased: BTreeSet<Box<[u8]>>,
}

impl Target for Load<'_> {
    #[inline]
    fn put(&mut self, entry: Entry<'_>) {
        if entry.collection == CollectionId::LEASE.0 {
            self.note(entry.key);
        }
        self.loader.push(entry);
    }
}

impl Load<'_> {
    #[cold]
    fn note(&mut self, key: &[u8]) {
        if !self.leased.contains(key) {
            self.leased.insert(key.into());
        }
    }
}

impl Replayer for Load<'_> {
    #[inline]
    fn record(&mut self, lsn: Lsn, _time_us: u64, head: &[u8], body_offset: u32) -> savehold_wal::Result<()> {
        match apply(self, lsn, body_offset, head) {
            Ok(_) => Ok(()),
            Err(e) => Err(unreadable(lsn, &e)),
        }
    }
}

/// An error about what a record says, for the log's callback.
#[cold]
pub(crate) fn unreadable(lsn: Lsn, e: &crate::error::Error) -> savehold_wal::Error {
    let kind = match e.kind() {
        crate::error::ErrorKind::Format => savehold_wal::ErrorKind::Format,
        _ => savehold_wal::ErrorKind::Corrupt,
    };
    savehold_wal::Error::new(kind, format!("the record at {lsn}: {}", e.message())).at(lsn)
}

/// Fills `index` with every record of the log; answers the keys of `$lease` that were ever written, too.
///
/// # Errors
///
/// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt), naming the place; the index is then of no use.
pub(crate) fn load(
    wal: &Wal,
    index: &TailIndex,
    verify: Verify,
    threads: Option<NonZeroUsize>,
) -> Result<(Replayed, BTreeSet<Box<[u8]>>)> {
    let new = |_| Load { loader: index.loader(), leased: BTreeSet::new() };
    let loaders = (0..threads_for(wal.env(), threads)).map(new).collect();
    let (replayed, loaders) = wal.replay_into(Lsn::NONE, verify, loaders)?;
    let mut leased = BTreeSet::new();
    for Load { loader, leased: mut more } in loaders {
        drop(loader); // flushes it
        leased.append(&mut more);
    }
    Ok((replayed, leased))
}

fn threads_for(env: &Env, wanted: Option<NonZeroUsize>) -> usize {
    if env.threads == Threads::None {
        return 1;
    }
    wanted.map_or_else(|| savehold_wal::schedule::cores().min(THREADS_MAX), NonZeroUsize::get)
}
