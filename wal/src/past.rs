//! Corridor: what an open log answers about its past: following it, and what of it is whole.

use crate::follow::Follower;
use crate::lsn::Lsn;
use crate::wal::Wal;

impl Wal {
    /// Hands out the records at and behind `from` as they become durable, and goes on when more do.
    ///
    /// ```
    /// # use savehold_wal::Wal;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let log = Wal::open(dir.path().join("log"))?;
    /// let lsn = log.append(b"one", b"body")?.wait()?;
    /// let mut follower = log.follow(lsn);
    /// assert_eq!(follower.try_next()?.map(|record| record.lsn), Some(lsn));
    /// assert_eq!(follower.try_next()?, None); // nothing more yet: `wait` sleeps until there is
    /// # Ok::<(), savehold_wal::Error>(())
    /// ```
    #[must_use]
    pub fn follow(&self, from: Lsn) -> Follower {
        Follower::new(self.log.clone(), from)
    }

    /// No record at or behind it was ever given up.
    #[must_use]
    pub fn complete(&self) -> Lsn {
        self.log.complete.get()
    }
}
