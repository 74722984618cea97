//! Corridor: what benches work with: a store on a disk that goes away, keys, values, and threads that commit at once.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use savehold::{Collection, Durability, ErrorKind, KeyRef, Options, Result, Store, Ticket, Version};
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

/// Writes that are answered later: so many are under way at once, and the oldest is waited for where there are more, or
/// where the store takes none for the moment.
pub struct Flow {
    under_way: VecDeque<Ticket<Version>>,
    most: usize,
}

impl Flow {
    /// At most `most` are under way.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { under_way: VecDeque::with_capacity(most), most }
    }

    /// Sets a key.
    ///
    /// # Errors
    ///
    /// As [`Collection::set`], of this write or of one before.
    pub fn set<'k>(
        &mut self,
        of: &Collection<Bytes>,
        key: impl Into<KeyRef<'k>> + Copy,
        value: &Bytes,
    ) -> Result<()> {
        loop {
            if self.under_way.len() == self.most {
                self.wait_for_one()?;
            }
            let ticket = of.set_async(key, value);
            if !ticket.is_ready() {
                self.under_way.push_back(ticket);
                return Ok(());
            }
            match ticket.wait() {
                Err(e) if e.kind() == ErrorKind::Busy => self.wait_for_one()?,
                answer => return answer.map(drop),
            }
        }
    }

    /// Waits for all that are under way.
    ///
    /// # Errors
    ///
    /// As [`Flow::set`].
    pub fn finish(mut self) -> Result<()> {
        while !self.under_way.is_empty() {
            self.wait_for_one()?;
        }
        Ok(())
    }

    fn wait_for_one(&mut self) -> Result<()> {
        self.under_way.pop_front().map_or(Ok(()), |oldest| oldest.wait().map(drop))
    }
}
