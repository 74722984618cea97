//! Corridor: from the log to the index. `apply` does the entering, as for live commits.

use std::num::NonZeroUsize;
use std::ops::Range;

use savehold_wal::env::{Env, Threads};
use savehold_wal::{Lsn, Replayed, Replayer, Verify, Wal};

use crate::apply::apply;
use crate::error::Result;
use crate::index::{Loader, TailIndex};
use crate::shelf::{Made, Shelf};

/// Threads that replay unless the options say otherwise.
const THREADS_MAX: usize = 4;

/// Bytes of log that are made into a table at a time: what bounds the memory that this takes.
const REMAKE_BYTES: u64 = 64 << 20;

/// Bytes of log that are replayed into memory at open; of what lies before, tables are made first.
const TAIL_BYTES_MAX: u64 = 512 << 20;

/// How the log is replayed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replaying {
    /// What is verified of each record.
    pub(crate) verify: Verify,
    /// On how many threads, if the options say so.
    pub(crate) threads: Option<NonZeroUsize>,
}

/// What was entered into an index.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Loaded {
    /// What the log was gone through for it.
    pub(crate) replayed: Replayed,
    /// Versions that its records gave keys.
    pub(crate) versions: u64,
}

struct Load<'i> {
    loader: Loader<'i>,
    versions: u64,
}

impl Replayer for Load<'_> {
    #[inline]
    fn record(&mut self, lsn: Lsn, _time_us: u64, head: &[u8], body_offset: u32) -> savehold_wal::Result<()> {
        match apply(&mut self.loader, lsn, body_offset, head) {
            Ok(entries) => {
                self.versions += u64::from(entries);
                Ok(())
            }
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

/// Fills `index` with the records in `range`, which ends where a segment begins, at a checkpoint, or behind the log.
///
/// # Errors
///
/// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt), naming the place; the index is then of no use.
pub(crate) fn load(wal: &Wal, index: &TailIndex, range: Range<Lsn>, how: Replaying) -> Result<Loaded> {
    let new = |_| Load { loader: index.loader(), versions: 0 };
    let loaders = (0..threads_for(wal.env(), how.threads)).map(new).collect();
    let (replayed, loaders) = wal.replay_range(range, how.verify, loaders)?;
    let versions = loaders.iter().map(|load| load.versions).sum();
    drop(loaders); // flushes them
    Ok(Loaded { replayed, versions })
}

/// Tables of what the log says in `range`, made from the log, oldest first; nothing names them yet. Takes as much memory
/// as the index of a few segments.
///
/// # Errors
///
/// As [`load`]; [`ErrorKind::Full`](crate::ErrorKind::Full), [`ErrorKind::Io`](crate::ErrorKind::Io).
pub(crate) fn remake(wal: &Wal, shelf: &Shelf, range: Range<Lsn>, how: Replaying) -> Result<Vec<Made>> {
    let mut made = Vec::new();
    for (low, high) in parts(&wal.bases(), range) {
        let index = TailIndex::new(wal.env().entropy.next_u64());
        load(wal, &index, low..high, how)?;
        made.push(shelf.write_tail(wal, (low, high), &index)?);
    }
    Ok(made)
}

/// A range of the log in parts that begin and end where segments begin, each a few segments long.
fn parts(bases: &[Lsn], range: Range<Lsn>) -> Vec<(Lsn, Lsn)> {
    let (mut parts, mut low) = (Vec::new(), range.start);
    let mut first = None;
    for base in bases.iter().filter(|base| range.start < **base && **base < range.end) {
        let begun = *first.get_or_insert(low.max(bases[0]));
        if base.bytes_since(begun).is_none_or(|bytes| bytes >= REMAKE_BYTES) {
            parts.push((low, *base));
            (low, first) = (*base, Some(*base));
        }
    }
    parts.push((low, range.end));
    parts
}

/// Where a tail that begins at `from` and is too long to be held in memory is to be cut: what lies before is made into
/// tables at once.
pub(crate) fn long_before(wal: &Wal, from: Lsn) -> Option<Lsn> {
    let (bases, end) = (wal.bases(), wal.accepted());
    let begun = from.max(*bases.first()?);
    if end.bytes_since(begun).is_some_and(|bytes| bytes <= TAIL_BYTES_MAX) {
        return None;
    }
    let durable = wal.durable(); // a segment that was named may begin behind it
    let far =
        |base: &&Lsn| **base <= durable && end.bytes_since(**base).is_none_or(|bytes| bytes >= REMAKE_BYTES);
    bases.iter().rev().find(far).copied().filter(|place| *place > from)
}

/// Verifies what a checkpoint spares the replay, and enters none of it.
pub(crate) fn verify_before(wal: &Wal, end: Lsn, how: Replaying) -> Result<()> {
    struct Nobody;
    impl Replayer for Nobody {
        fn record(&mut self, _: Lsn, _: u64, _: &[u8], _: u32) -> savehold_wal::Result<()> {
            Ok(())
        }
    }
    let threads = (0..threads_for(wal.env(), how.threads)).map(|_| Nobody).collect();
    wal.replay_range(Lsn::NONE..end, how.verify, threads)?;
    Ok(())
}

fn threads_for(env: &Env, wanted: Option<NonZeroUsize>) -> usize {
    if env.threads == Threads::None {
        return 1;
    }
    wanted.map_or_else(|| savehold_wal::schedule::cores().min(THREADS_MAX), NonZeroUsize::get)
}
