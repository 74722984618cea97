//! Corridor: recovery, from the log to the index in memory. `apply` does the entering, as for live commits.

use std::num::NonZeroUsize;

use savehold_wal::env::{Env, Threads};
use savehold_wal::{Lsn, Replayed, Replayer, Verify, Wal};

use crate::apply::apply;
use crate::error::Result;
use crate::index::{Loader, TailIndex};

/// Threads that replay unless the options say otherwise.
const THREADS_MAX: usize = 4;

struct Load<'i>(Loader<'i>);

impl Replayer for Load<'_> {
    #[inline]
    fn record(&mut self, lsn: Lsn, _time_us: u64, head: &[u8], body_offset: u32) -> savehold_wal::Result<()> {
        match apply(&mut self.0, lsn, body_offset, head) {
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

/// Fills `index` with every record of the log.
///
/// # Errors
///
/// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt), naming the place; the index is then of no use.
pub(crate) fn load(
    wal: &Wal,
    index: &TailIndex,
    verify: Verify,
    threads: Option<NonZeroUsize>,
) -> Result<Replayed> {
    let loaders = (0..threads_for(wal.env(), threads)).map(|_| Load(index.loader())).collect();
    let (replayed, loaders) = wal.replay_into(Lsn::NONE, verify, loaders)?;
    drop(loaders); // flushes them
    Ok(replayed)
}

fn threads_for(env: &Env, wanted: Option<NonZeroUsize>) -> usize {
    if env.threads == Threads::None {
        return 1;
    }
    wanted.map_or_else(|| savehold_wal::schedule::cores().min(THREADS_MAX), NonZeroUsize::get)
}
