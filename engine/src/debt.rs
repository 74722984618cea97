//! Pure: what a restart would have to replay, in the time that it is estimated to take, and the memory that it takes
//! meanwhile.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use savehold_wal::Lsn;
use savehold_wal::limits::BLOCK_BYTES;

/// Picoseconds of replay that are due.
#[derive(Debug, Default)]
pub(crate) struct Debt {
    /// For what was committed since the last checkpoint began.
    tail: AtomicU64,
    /// For what a checkpoint is writing out.
    frozen: AtomicU64,
    /// Behind the last record that was counted.
    end: AtomicU64,
    /// Bytes of memory that the index takes for `tail`, and for `frozen`.
    memory: [AtomicU64; 2],
}

/// What commits made due that are in memory only: time to replay them, in picoseconds, and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) replay_ps: u64,
    pub(crate) memory: u64,
}

impl Due {
    /// Whether either is as much as in `line`.
    #[inline]
    pub(crate) fn reaches(self, line: Self) -> bool {
        self.replay_ps >= line.replay_ps || self.memory >= line.memory
    }

    /// What the index takes for versions with so many bytes of keys, at the most: a slot that is half of those there, a node
    /// with what names older versions, and the key.
    #[inline]
    pub(crate) fn index_bytes(versions: u64, key_bytes: u64) -> u64 {
        versions * VERSION_BYTES + key_bytes
    }
}

/// What was due when it was last looked at, and since when it has been that.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Unchanged {
    due: Due,
    since: Duration,
}

impl Unchanged {
    /// For how long nothing was added, as far as looks tell. Two looks may follow each other at once, between two commits:
    /// that they find the same says nothing by itself.
    pub(crate) fn look(&mut self, due: Due, now: Duration) -> Duration {
        if due != self.due {
            *self = Self { due, since: now };
        }
        now.saturating_sub(self.since)
    }
}

/// How large a record is, with how many versions, and how long their keys are together.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) bytes: u64,
    pub(crate) versions: u64,
    pub(crate) key_bytes: u64,
}

/// Bytes of memory that the index takes for a version beside its key.
const VERSION_BYTES: u64 = 64;

impl Debt {
    /// Adds what a commit makes due; the sum of the tail before and after. Under the commit lock.
    #[inline]
    pub(crate) fn add(&self, due: Due) -> (Due, Due) {
        let before = self.tail();
        let after = Due {
            replay_ps: before.replay_ps.saturating_add(due.replay_ps),
            memory: before.memory.saturating_add(due.memory),
        };
        self.tail.store(after.replay_ps, Ordering::Relaxed);
        self.memory[0].store(after.memory, Ordering::Relaxed);
        (before, after)
    }

    /// Bytes of log that a record of so many bytes, which ends at `end`, takes with all that stands before it: padding
    /// too, but not what a new segment leaves out. Under the commit lock.
    #[inline]
    pub(crate) fn bytes(&self, bytes: u64, end: Lsn) -> u64 {
        let before = self.end.load(Ordering::Relaxed);
        self.end.store(end.raw(), Ordering::Relaxed);
        end.raw().saturating_sub(before).min(bytes + 2 * BLOCK_BYTES)
    }

    /// What was committed since the last checkpoint began.
    #[inline]
    pub(crate) fn tail(&self) -> Due {
        Due { replay_ps: self.tail.load(Ordering::Relaxed), memory: self.memory[0].load(Ordering::Relaxed) }
    }

    /// All of it.
    #[inline]
    pub(crate) fn total(&self) -> Due {
        let tail = self.tail();
        Due {
            replay_ps: tail.replay_ps.saturating_add(self.frozen.load(Ordering::Relaxed)),
            memory: tail.memory.saturating_add(self.memory[1].load(Ordering::Relaxed)),
        }
    }

    /// A checkpoint begins: what is due so far is being written out. Under the commit lock.
    pub(crate) fn freeze(&self) {
        for (tail, frozen) in [(&self.tail, &self.frozen), (&self.memory[0], &self.memory[1])] {
            let due = tail.swap(0, Ordering::Relaxed);
            frozen.fetch_add(due, Ordering::Relaxed);
        }
    }

    /// A checkpoint is done.
    pub(crate) fn thaw(&self) {
        self.frozen.store(0, Ordering::Relaxed);
        self.memory[1].store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_find_unchanged_was_so_since_the_first_of_them() {
        let (mut seen, at) = (Unchanged::default(), Duration::from_millis);
        let mut look = |replay_ps, ms| seen.look(Due { replay_ps, memory: 64 }, at(ms)).as_millis();
        let looks =
            [(7, 100), (7, 100), (7, 1_500), (9, 1_600), (9, 1_600), (9, 3_600), (7, 3_700), (7, 3_600)];
        assert_eq!(looks.map(|(due, ms)| look(due, ms)), [0, 0, 1_400, 0, 0, 2_000, 0, 0]);
    }
}
