//! Corridor: one moment of the whole store, held.

use std::fmt;
use std::panic::Location;

use savehold_wal::Lsn;

use crate::at::At;

use crate::change::Entry;
use crate::collection::Collection;
use crate::core::{Core, gone};
use crate::error::Result;
use crate::ids::Version;
use crate::key::KeyRef;
use crate::listing::{Keys, Scan};
use crate::moments::Hold;
use crate::range::Range;
use crate::share::Share;

/// One moment of the store: reads through it see that moment, whatever is written meanwhile. Blocks nobody. What it shows
/// stays on the disk until it is dropped: [`Stats::open_snapshots`](crate::Stats) says which are open, how long and whose.
pub struct Snapshot {
    core: Share,
    hold: Hold,
}

impl Snapshot {
    /// Holds the moment `at`, for the caller of the public call at `place`.
    pub(crate) fn at(core: &Share, at: &At, place: &'static Location<'static>) -> Result<Self> {
        Ok(Self { core: core.clone(), hold: core.hold(at, place)? })
    }

    /// Holds the newest moment.
    pub(crate) fn now(core: &Share, place: &'static Location<'static>) -> Self {
        Self { core: core.clone(), hold: core.hold_now(place) }
    }

    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    /// The same, under a name that statistics show in place of where it was opened.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        self.hold.name(name.into());
        self
    }

    /// Has the moment kept as if it were pinned, as long as this is open, and by terms that are durable.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`](crate::ErrorKind::Gone): only snapshots kept it when this one was opened.
    /// [`ErrorKind::Full`](crate::ErrorKind::Full), [`ErrorKind::Halted`](crate::ErrorKind::Halted).
    pub(crate) fn pin(&self) -> Result<()> {
        if self.hold.pin() {
            return self.core.say_terms();
        }
        Err(gone(self.hold.moment, self.core.moments.terms().oldest()))
    }

    pub(crate) fn parts(&self) -> (&Share, Lsn) {
        (&self.core, self.hold.moment)
    }

    /// The moment: the one that is kept and was asked for, or the kept one before.
    #[must_use]
    pub fn version(&self) -> Version {
        Version::from(self.hold.moment)
    }

    /// The value of a key at this moment.
    ///
    /// # Errors
    ///
    /// As [`Collection::get`].
    pub fn get<'k, T>(
        &self,
        collection: &Collection<T>,
        key: impl Into<KeyRef<'k>>,
    ) -> Result<Option<Entry<T>>> {
        let key = key.into();
        collection.table.check_of(&self.core)?;
        let Some(stored) = collection.table.get(&key, self.hold.moment)? else { return Ok(None) };
        collection.form.entry(key.to_key()?, stored).map(Some).map_err(|e| collection.table.named(&key, e))
    }

    /// The keys of a range at this moment, in order.
    pub fn keys<T>(&self, collection: &Collection<T>, range: impl Into<Range>) -> Keys {
        Keys(collection.table.list_of(&self.core, range.into(), self.hold.moment))
    }

    /// The entries of a range at this moment, in order of their keys.
    pub fn scan<T>(&self, collection: &Collection<T>, range: impl Into<Range>) -> Scan<T> {
        let listing = collection.table.list_of(&self.core, range.into(), self.hold.moment);
        Scan { listing, form: collection.form }
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snapshot({})", self.hold.moment)
    }
}
