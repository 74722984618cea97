//! Pure: what a simulated disk counts, and the faults that were ordered for it by those counts.

use std::io;

use rustix::io::Errno;

/// How many calls a disk has had since it was made or rebooted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls of every kind.
    pub calls: u64,
    /// Calls that may change what a reboot finds: creating opens, writes, syncs, allocations, renames, removals,
    /// new directories, directory syncs.
    pub changes: u64,
    /// Reads of files.
    pub reads: u64,
    /// Writes to files.
    pub writes: u64,
    /// Those of them that were stored into a map.
    pub stores: u64,
    /// Syncs of files.
    pub syncs: u64,
    /// Syncs of directories.
    pub dir_syncs: u64,
    /// Bytes that writes brought.
    pub bytes_written: u64,
}

/// The kinds of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// Anything that only looks.
    Look,
    Read,
    Write,
    Sync,
    SyncDir,
    /// Any other change.
    Change,
}

/// When a fault happens: at the n-th call of a kind, counted from 1 as [`Counts`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The n-th call of any kind.
    Call(u64),
    /// The n-th change.
    Change(u64),
    /// The n-th read of a file.
    Read(u64),
    /// The n-th write to a file.
    Write(u64),
    /// The n-th sync of a file.
    Sync(u64),
    /// The n-th sync of a directory.
    DirSync(u64),
}

/// What happens instead of, or in the middle of, a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call fails and does nothing; a failed sync of a file loses all that it should have brought to the medium:
    /// those bytes count as synced from then on, and are read as written until they are dropped from the cache.
    Fail(Failure),
    /// The call fails half-way: a write leaves some bytes in front, a sync has brought some sectors to the medium and
    /// lost the rest, anything else is done and answers the error all the same.
    FailHalfway(Failure),
    /// The power goes before the call.
    CutBefore,
    /// The power goes during the call: what it did is as little durable as anything unsynced.
    CutInside,
    /// The process dies before the call.
    KillBefore,
    /// The process dies during the call: a write leaves some bytes in front, anything else is done.
    KillInside,
}

/// The system's error for a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// `EIO`: the medium failed.
    Io,
    /// `ENOSPC`: the disk is full.
    Full,
    /// `EDQUOT`: the user's share of the disk is full.
    Quota,
    /// `EMFILE`: the process has as many files open as it may.
    Files,
}

/// Why a disk answers nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// The power went: only the medium remains.
    Cut,
    /// The process died: the system's cache remains.
    Killed,
}

/// The faults that were ordered.
#[derive(Clone, Debug, Default)]
pub(super) struct Script(Vec<Order>);

#[derive(Clone, Copy, Debug)]
struct Order {
    when: When,
    fault: Fault,
    for_ever: bool,
}

impl Script {
    pub(super) fn order(&mut self, when: When, fault: Fault, for_ever: bool) {
        self.0.push(Order { when, fault, for_ever });
    }

    /// The fault for a call of this kind that was just counted: of several, the one that was ordered first.
    pub(super) fn due(&self, call: Call, counts: &Counts) -> Option<Fault> {
        let due =
            |order: &&Order| order.when.reached(call, counts).is_some_and(|past| past == 0 || order.for_ever);
        self.0.iter().find(due).map(|order| order.fault)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl When {
    /// For a call of the kind that is meant: how many such calls lie between the n-th and this one.
    fn reached(self, call: Call, counts: &Counts) -> Option<u64> {
        let (meant, n, count) = match self {
            Self::Call(n) => (true, n, counts.calls),
            Self::Change(n) => (call.is_change(), n, counts.changes),
            Self::Read(n) => (call == Call::Read, n, counts.reads),
            Self::Write(n) => (call == Call::Write, n, counts.writes),
            Self::Sync(n) => (call == Call::Sync, n, counts.syncs),
            Self::DirSync(n) => (call == Call::SyncDir, n, counts.dir_syncs),
        };
        if meant { count.checked_sub(n) } else { None }
    }
}

impl Call {
    pub(super) fn is_change(self) -> bool {
        !matches!(self, Self::Look | Self::Read)
    }
}

impl Counts {
    pub(super) fn count(&mut self, call: Call) {
        self.calls += 1;
        self.changes += u64::from(call.is_change());
        self.reads += u64::from(call == Call::Read);
        self.writes += u64::from(call == Call::Write);
        self.syncs += u64::from(call == Call::Sync);
        self.dir_syncs += u64::from(call == Call::SyncDir);
    }
}

impl Failure {
    pub(super) fn error(self) -> io::Error {
        match self {
            Self::Io => Errno::IO.into(),
            Self::Full => Errno::NOSPC.into(),
            Self::Quota => Errno::DQUOT.into(),
            Self::Files => Errno::MFILE.into(),
        }
    }
}

impl Death {
    pub(super) fn error(self) -> io::Error {
        io::Error::other(match self {
            Self::Cut => "the simulated power is cut",
            Self::Killed => "the simulated process is dead",
        })
    }
}

#[cfg(test)]
mod tests;
