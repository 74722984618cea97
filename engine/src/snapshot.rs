//! Corridor: one moment of the whole store, held.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use savehold_wal::Lsn;

use crate::change::Entry;
use crate::collection::Collection;
use crate::core::Core;
use crate::error::Result;
use crate::ids::Version;
use crate::key::KeyRef;
use crate::listing::{Keys, Scan};
use crate::range::Range;

/// One moment of the store: reads through it see that moment, whatever is written meanwhile. Blocks nobody.
pub struct Snapshot {
    core: Arc<Core>,
    moment: Lsn,
}

impl Snapshot {
    pub(crate) fn new(core: Arc<Core>, moment: Lsn) -> Self {
        core.snapshots.fetch_add(1, Ordering::Relaxed);
        Self { core, moment }
    }

    pub(crate) fn parts(&self) -> (&Arc<Core>, Lsn) {
        (&self.core, self.moment)
    }

    /// The moment.
    #[must_use]
    pub fn version(&self) -> Version {
        Version::from(self.moment)
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
        let Some(stored) = collection.table.get(&key, self.moment)? else { return Ok(None) };
        collection.form.entry(key.to_key()?, &stored).map(Some).map_err(|e| collection.table.named(&key, e))
    }

    /// The keys of a range at this moment, in order.
    pub fn keys<T>(&self, collection: &Collection<T>, range: impl Into<Range>) -> Keys {
        Keys(collection.table.list_of(&self.core, range.into(), self.moment))
    }

    /// The entries of a range at this moment, in order of their keys.
    pub fn scan<T>(&self, collection: &Collection<T>, range: impl Into<Range>) -> Scan<T> {
        let listing = collection.table.list_of(&self.core, range.into(), self.moment);
        Scan { listing, form: collection.form }
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        self.core.snapshots.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snapshot({})", self.moment)
    }
}
