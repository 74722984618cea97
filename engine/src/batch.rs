//! Corridor: blind writes to any keys, committed as one record.

use std::collections::BTreeMap;

use crate::change::{Change, Once};
use crate::collection::Collection;
use crate::error::Result;
use crate::ids::Version;
use crate::key::{Key, KeyRef};
use crate::modify::{Decision, Right};
use crate::name::CollectionName;
use crate::share::Share;
use crate::table::Table;

/// Writes that belong together and depend on nothing that stands in the store. Nothing is written before
/// [`Batch::commit`]; the last write of a key counts.
#[must_use = "a batch does nothing until it is committed"]
pub struct Batch {
    core: Share,
    writes: BTreeMap<(CollectionName, Key), (Table, Right, Decision)>,
}

impl Batch {
    pub(crate) fn new(core: Share) -> Self {
        Self { core, writes: BTreeMap::new() }
    }

    /// Writes a value; user ids and metadata that stand there are kept.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Encode`](crate::ErrorKind::Encode), [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge).
    pub fn set<'k, T>(
        &mut self,
        collection: &Collection<T>,
        key: impl Into<KeyRef<'k>>,
        value: &T,
    ) -> Result<&mut Self> {
        let decision = Decision::Put(collection.form.wanted(value)?);
        self.add(&collection.table, collection.right, key.into(), decision)
    }

    /// Removes a key, if it has a value then.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge): no key.
    pub fn remove<'k, T>(
        &mut self,
        collection: &Collection<T>,
        key: impl Into<KeyRef<'k>>,
    ) -> Result<&mut Self> {
        self.add(&collection.table, collection.right, key.into(), Decision::Remove)
    }

    /// Writes, removes or keeps, with user ids and metadata where the change mentions them.
    ///
    /// # Errors
    ///
    /// As [`Batch::set`].
    pub fn change<'k, T>(
        &mut self,
        collection: &Collection<T>,
        key: impl Into<KeyRef<'k>>,
        change: Change<T>,
    ) -> Result<&mut Self> {
        let decision = collection.form.decision(change)?;
        self.add(&collection.table, collection.right, key.into(), decision)
    }

    fn add(&mut self, table: &Table, right: Right, key: KeyRef<'_>, decision: Decision) -> Result<&mut Self> {
        table.check_of(&self.core)?;
        let full = (table.name.clone(), table.key(&key)?);
        match decision {
            Decision::Keep => {}
            decision => {
                self.writes.insert(full, (table.clone(), right, decision));
            }
        }
        Ok(self)
    }

    /// Number of keys it writes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// True where it writes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Commits everything as one record, all or nothing. Durable on return. `None` where there was nothing to write.
    ///
    /// # Errors
    ///
    /// As [`Collection::set`].
    pub fn commit(self) -> Result<Option<Version>> {
        match self.core.transaction(None, |tx| tx.apply_batch(&self.writes))? {
            Once::Now(done) => Ok(done.wrote.then_some(done.version)),
            Once::Before(version) => Ok(Some(version)),
        }
    }
}
