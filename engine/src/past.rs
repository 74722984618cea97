//! Corridor: what a store answers about its past: snapshots, differences, pins, changes.

use std::panic::Location;

use crate::at::At;
#[cfg(doc)]
use crate::collection::Collection;
use crate::diff::Diff;
use crate::error::Result;
#[cfg(doc)]
use crate::error::{Error, ErrorKind};
use crate::feed::Changes;
use crate::ids::Version;
use crate::pin::Pin;
use crate::snapshot::Snapshot;
use crate::store::Store;

impl Store {
    /// One moment of the whole store, held: now.
    #[must_use]
    #[track_caller]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::now(&self.core, Location::caller())
    }

    /// One moment of the whole store, held: the one that was asked for where it is kept, else the kept one before, as
    /// [`Snapshot::version`] says.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Gone`]: there is no such pin, or no moment as old is kept; [`Error::oldest`] says which is.
    /// - [`ErrorKind::Undone`]: a restore or a repair undid that version; [`Error::branched_at`] says what is shared.
    /// - [`ErrorKind::Io`].
    #[track_caller]
    pub fn snapshot_at(&self, at: impl Into<At>) -> Result<Snapshot> {
        Snapshot::at(&self.core, &at.into(), Location::caller())
    }

    /// The keys that are not the same at two moments, with what stood there at each.
    ///
    /// # Errors
    ///
    /// As [`Store::snapshot_at`]. Each item may be an error of its own.
    #[track_caller]
    pub fn diff(&self, from: impl Into<At>, to: impl Into<At>) -> Result<Diff> {
        let place = Location::caller();
        Ok(Diff::new(
            Snapshot::at(&self.core, &from.into(), place)?,
            Snapshot::at(&self.core, &to.into(), place)?,
        ))
    }

    /// Gives the present moment a name: [`At::Pin`] reads it from now on, whatever retention drops, until it is unpinned.
    /// Answers the moment. Durable on return.
    ///
    /// ```
    /// # fn main() -> savehold::Result<()> {
    /// # let store = savehold::Store::in_memory()?;
    /// use savehold::At;
    ///
    /// let coins = store.collection::<u64>("coins")?;
    /// coins.set("42", &100)?;
    /// store.pin("before update 2.0")?;
    /// coins.set("42", &0)?;
    /// let then = coins.get_at("42", At::Pin("before update 2.0".into()))?;
    /// assert_eq!(then.map(|entry| entry.value), Some(100));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`]: there is a pin of this name. [`ErrorKind::Invalid`], [`ErrorKind::TooLarge`]: no name for a
    /// pin; [`ErrorKind::TooLarge`] too where there are [`PINS_MAX`](crate::limits::PINS_MAX). Otherwise as [`Collection::set`].
    #[track_caller]
    pub fn pin(&self, name: &str) -> Result<Version> {
        self.pin_at(name, At::Now)
    }

    /// [`Store::pin`] of another moment that is kept.
    ///
    /// # Errors
    ///
    /// As [`Store::pin`] and [`Store::snapshot_at`]; [`ErrorKind::Gone`] also for a moment that only a snapshot holds.
    #[track_caller]
    pub fn pin_at(&self, name: &str, at: impl Into<At>) -> Result<Version> {
        let held = Snapshot::at(&self.core, &at.into(), Location::caller())?; // until the pin holds it
        held.pin()?;
        self.core.pin(name, held.version().lsn())?;
        Ok(held.version())
    }

    /// Gives a pin up; answers whether there was one. Durable on return.
    ///
    /// # Errors
    ///
    /// As [`Store::pin`], a pin of this name apart.
    pub fn unpin(&self, name: &str) -> Result<bool> {
        self.core.unpin(name)
    }

    /// Every pin, by name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Damaged`]: one cannot be read, which the message names; no moment is given up before it is unpinned.
    /// [`ErrorKind::Io`].
    pub fn pins(&self) -> Result<Vec<Pin>> {
        self.core.pins()
    }

    /// Every commit behind a moment, in order, and then each one as it becomes durable; `At::Version` of the last commit
    /// that was processed begins with the next. Holds nothing in the store and blocks nobody.
    ///
    /// ```
    /// # fn main() -> savehold::Result<()> {
    /// # let store = savehold::Store::in_memory()?;
    /// use savehold::{At, Changes};
    ///
    /// let coins = store.collection::<u64>("coins")?;
    /// let mut feed: Changes = store.changes(At::Now)?.collection("coins").prefix("4");
    /// coins.set("42", &100)?;
    /// let commit = feed.next().expect("waited for")?;
    /// assert_eq!(commit.changes[0].key, "42");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Undone`]: a restore or a repair undid that version; [`Error::branched_at`] says what is shared.
    /// - [`ErrorKind::Invalid`]: there is no such version yet. [`ErrorKind::Io`].
    ///
    /// That commits behind the moment are no longer kept is told by the feed itself, as [`ErrorKind::Gone`].
    pub fn changes(&self, from: impl Into<At>) -> Result<Changes> {
        Changes::new(self.core.clone(), &from.into())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use savehold_wal::clock::SimClock;
    use savehold_wal::env::{Env, Threads};
    use savehold_wal::sim::{Choice, SimDisk, memory};

    use super::*;
    use crate::options::Options;
    use crate::retention::{Moments, Retention, VersionsKept};

    /// Between the answer that a moment is kept and the pin, time gives it up; then the power goes, or not.
    #[test]
    fn a_pin_holds_a_moment_that_was_given_up_while_it_was_made() -> Result<()> {
        let (disk, clock) = (SimDisk::new(1), Arc::new(SimClock::default()));
        let open = |disk: &SimDisk| {
            let vfs = Arc::new(disk.clone());
            let env = Env { vfs, clock: clock.clone(), threads: Threads::None, ..memory() };
            Options::new().open_in(env, Path::new("/store"))
        };
        let store = open(&disk)?;
        store.set_moments(Moments { every: Duration::from_secs(60), ..Moments::NONE })?;
        let none = VersionsKept { explicit: Duration::ZERO, ..VersionsKept::default() };
        store.set_retention("coins", Retention::History(none))?;
        let coins = store.collection::<u64>("coins")?;
        let first = coins.set("42", &1)?;
        coins.set("42", &2)?;
        let held = Snapshot::at(&store.core, &first.into(), Location::caller())?;
        clock.advance(Duration::from_secs(300));
        coins.set("42", &3)?;
        store.thin()?;
        assert!(!store.core.moments.terms().keeps(first.lsn()), "only the snapshot keeps it");
        held.pin()?;
        store.core.pin("first", first.lsn())?;
        drop(held);
        let crashed = open(&disk.reboot(Choice::KeepNone))?;
        for (store, name) in [(store, "open"), (crashed, "crashed")] {
            store.thin()?;
            let then = store.collection::<u64>("coins")?.get_at("42", At::Pin("first".into()));
            assert_eq!(then.map(|entry| entry.map(|entry| entry.value))?, Some(1), "{name}");
            assert!(store.unpin("first")?);
            store.thin()?;
            let gone = store.collection::<u64>("coins")?.get_at("42", first).unwrap_err();
            assert_eq!(gone.kind(), crate::ErrorKind::Gone, "{name}");
        }
        Ok(())
    }
}
