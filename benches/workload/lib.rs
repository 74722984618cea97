//! Corridor: what benches work with: a store on a disk that goes away, keys, values, and threads that commit at once.

use std::time::Duration;

use bytes::Bytes;
use savehold::{Collection, Durability, Options, Result, Store};
use savehold_wal::draw::{Draw, mixed};
use savehold_wal::schedule;
use tempfile::TempDir;

/// Keys that are written to.
pub const KEYS: u64 = 100_000;

/// Commits that let a new store outgrow its first, small segments.
const WARM_UP: u64 = 2000;

/// A store in a directory of its own, which goes away with it.
pub struct Ground {
    store: Store,
    players: Collection<Bytes>,
    _dir: TempDir,
}

impl Ground {
    /// A new store whose commits are answered at `durability`, where the system keeps what is temporary.
    ///
    /// # Errors
    ///
    /// As [`Options::open`].
    ///
    /// # Panics
    ///
    /// There is no directory for what is temporary.
    pub fn new(durability: Durability) -> Result<Self> {
        let dir = tempfile::tempdir().expect("a directory for what is temporary");
        let store = Options::new().durability(durability).open(dir.path().join("store"))?;
        let players = store.raw("players")?;
        let ground = Self { store, players, _dir: dir };
        ground.commit(1, WARM_UP, &value(100))?;
        Ok(ground)
    }

    /// Commits `value` to keys at random: `each` times on each of `threads` threads at once. Says how long all of them
    /// took together.
    ///
    /// # Errors
    ///
    /// As [`Collection::set`].
    pub fn commit(&self, threads: usize, each: u64, value: &Bytes) -> Result<Duration> {
        let clock = &self.store.log().env().clock;
        let begun = clock.monotonic();
        let done = schedule::share(threads, |thread| {
            let mut draw = Draw::from_seed(thread as u64 + 1);
            (0..each).try_for_each(|_| self.players.set(draw.below(KEYS), value).map(drop))
        });
        done.into_iter().collect::<Result<()>>()?;
        Ok(clock.monotonic() - begun)
    }
}

/// A value of so many bytes that do not repeat.
#[must_use]
pub fn value(bytes: u64) -> Bytes {
    (0..bytes).map(|at| mixed(at) as u8).collect()
}
