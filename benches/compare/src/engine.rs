//! Pure: what an engine is here: a few verbs that each adapter in `engines` carries out in its peer's own words.

use std::path::PathBuf;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::case::{Case, Setting, Workload};
use crate::keys::Key;

/// Whatever went wrong in a peer.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The engines, and the bare machine beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Ours.
    Savehold,
    /// LSM tree.
    Fjall,
    /// Copy-on-write B-tree.
    Redb,
    /// LMDB, copy-on-write B-tree in a mapped file, through lmdb-rkv.
    Lmdb,
    /// SQLite through rusqlite.
    Sqlite,
    /// RocksDB; needs the feature `rocksdb`.
    Rocksdb,
    /// LSM tree.
    Surrealkv,
    /// A log with raft groups in memory.
    RaftEngine,
    /// A log and nothing else.
    Okaywal,
    /// The floor: what nobody can do without.
    Bare,
    /// The floor of who writes into a block again that was synced before.
    BareAgain,
    /// The floor of who does two things at once: two syncs, or two halves of a replay.
    BareTwo,
}

/// What an adapter opens.
pub struct Opening {
    /// The directory, made if absent.
    pub dir: PathBuf,
    /// How durable.
    pub setting: Setting,
    /// Threads that will work on it.
    pub threads: usize,
    /// Whether `Session::update` will be called.
    pub updates: bool,
}

/// An open store or log.
pub trait Engine: Send + Sync {
    /// What one thread works with.
    fn session(&self, thread: usize) -> Result<Box<dyn Session + '_>>;

    /// Records that the opening found, where it can be told without keys.
    fn recovered(&self) -> Option<u64> {
        None
    }

    /// Records that the opening replayed from the log, where the engine tells.
    fn replayed(&self) -> Option<u64> {
        None
    }

    /// Makes sure that a kill takes nothing of what was written so far. For most, `Setting::Buffered` says that already.
    fn settle(&self) -> Result<()> {
        Ok(())
    }

    /// Gives up older values and has the rest put together: nothing, where the engine uses their place again by itself.
    fn tidy(&self) -> Result<()> {
        Ok(())
    }

    /// Closes it as a well-behaved program does.
    fn close(self: Box<Self>) -> Result<()>;
}

/// The calls of one thread.
pub trait Session {
    /// Writes one value: one commit of its own, as durable as the setting says when it returns.
    fn put(&mut self, key: &Key, value: &[u8]) -> Result<()>;

    /// Writes many values in the quickest way that the engine has, as durable as the setting says when it returns.
    fn put_many(&mut self, items: &mut dyn Iterator<Item = (Key, &[u8])>) -> Result<()>;

    /// The length of the value that stands there now, its first byte having been looked at.
    fn get(&mut self, _key: &Key) -> Result<Option<usize>> {
        Err("this engine has no keys".into())
    }

    /// How many keys begin with `prefix`, each of them having been looked at, in order.
    fn list(&mut self, _prefix: &[u8]) -> Result<u64> {
        Err("this adapter lists nothing".into())
    }

    /// Reads a value, changes it, writes it, so that no other change is lost.
    fn update(&mut self, _key: &Key, _change: fn(&mut Vec<u8>)) -> Result<()> {
        Err("this engine has no keys".into())
    }

    /// Writes for as long as there are `items`, at most `window` of them begun and not yet answered. Each answered one
    /// is told to `done`, with the place it had in `items`. Who has no such thing writes a window in one commit.
    fn flow(
        &mut self,
        window: usize,
        items: &mut dyn Iterator<Item = (Key, &[u8])>,
        done: &mut dyn FnMut(u64),
    ) -> Result<()> {
        let mut answered = 0;
        loop {
            let mut count = 0;
            self.put_many(&mut (&mut *items).take(window).inspect(|_| count += 1))?;
            if count == 0 {
                return Ok(());
            }
            (0..count).for_each(|n| done(answered + n));
            answered += count;
        }
    }
}

impl Kind {
    /// As it is named in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Savehold => "savehold",
            Self::Fjall => "fjall",
            Self::Redb => "redb",
            Self::Lmdb => "LMDB",
            Self::Sqlite => "SQLite",
            Self::Rocksdb => "RocksDB",
            Self::Surrealkv => "surrealkv",
            Self::RaftEngine => "raft-engine",
            Self::Okaywal => "okaywal",
            Self::Bare => "floor",
            Self::BareAgain => "floor, blocks again",
            Self::BareTwo => "floor, two at once",
        }
    }

    /// The packages whose versions say which engine it is.
    pub fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Savehold => &["savehold"],
            Self::Fjall => &["fjall"],
            Self::Redb => &["redb"],
            Self::Lmdb => &["lmdb-rkv", "lmdb-rkv-sys"],
            Self::Sqlite => &["rusqlite", "libsqlite3-sys"],
            Self::Rocksdb => &["rocksdb", "librocksdb-sys"],
            Self::Surrealkv => &["surrealkv"],
            Self::RaftEngine => &["raft-engine"],
            Self::Okaywal => &["okaywal"],
            Self::Bare | Self::BareAgain | Self::BareTwo => &[],
        }
    }

    /// Whether it has what a workload asks for, in this setting.
    pub fn can(self, workload: Workload, setting: Setting) -> bool {
        use Workload::{Buffered, Bytes, Durable, Get, List, Open, Replay, Size, Update};
        let built = self != Self::Rocksdb || cfg!(feature = "rocksdb");
        let fits = match (self, workload) {
            // Asked of those that are made for reading, and keep their keys in order.
            (kind, List) => matches!(kind, Self::Savehold | Self::Lmdb | Self::Redb),
            // A log: no key is found in it. Its checkpoints are its user's, so it has no default for them.
            (Self::Okaywal, Replay) => setting.keeps_the_log(),
            (Self::Okaywal, Durable | Bytes) => setting == Setting::Durable,
            (Self::Okaywal, Buffered | Update | Get | Open | Size) => false,
            // Its messages are found by key, in memory; as a store it is not meant.
            (Self::RaftEngine, Get | Open | Size) => false,
            // Asked of the two that read fastest: LMDB uses the pages of older values again by itself.
            (kind, Get) if setting == Setting::Tidied => matches!(kind, Self::Savehold | Self::Lmdb),
            // No log: there is nothing to replay.
            (Self::Lmdb | Self::Redb, Replay) => false,
            (Self::Bare | Self::BareTwo, Replay) => setting.keeps_the_log(),
            // Of those whose commits share syncs: the others would take minutes to write it.
            (Self::Fjall | Self::Sqlite | Self::Surrealkv, Replay) => setting != Setting::InLogSynced,
            (Self::Bare, Update | Open | Size) => false,
            (Self::BareAgain | Self::BareTwo, workload) => workload == Durable,
            _ => true,
        };
        built && fits
    }

    /// Whether it has what one case asks for.
    pub fn measures(self, case: &Case) -> bool {
        let alone = case.threads == 1 && case.in_flight == 1;
        let fits = match self {
            Self::BareAgain => alone,
            Self::BareTwo => !alone || case.workload != Workload::Durable,
            _ => true,
        };
        self.can(case.workload, case.setting) && fits
    }

    /// Whether it is no engine: a floor.
    pub fn is_floor(self) -> bool {
        matches!(self, Self::Bare | Self::BareAgain | Self::BareTwo)
    }
}

/// The version of a package in the text of a lock file.
pub fn version_of<'l>(lock: &'l str, package: &str) -> Option<&'l str> {
    let named = format!("name = \"{package}\"");
    let after = lock.lines().skip_while(|line| *line != named).nth(1)?;
    after.strip_prefix("version = \"")?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_file_tells_the_version_of_every_peer() {
        let lock = include_str!("../Cargo.lock");
        for kind in Kind::value_variants() {
            for package in kind.packages() {
                assert!(version_of(lock, package).is_some(), "{package}");
            }
        }
        assert_eq!(version_of(lock, "no-such-package"), None);
    }
}
