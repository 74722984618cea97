//! Corridor: many keys back to what they were at a moment, as new versions, while everybody else goes on.
//!
//! The keys are chosen first; then, a thousand at a time, each transaction looks at its keys as they stand, sets those
//! back that are not as they were, and notes what that undoes. What was chosen and is written meanwhile is set back too,
//! and named; what comes after its transaction stays.

use std::collections::{HashSet, VecDeque};

use savehold_wal::Lsn;

use crate::at::At;
use crate::collection::Collection;
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::{Error, Result};
use crate::ids::{CollectionId, Version};
use crate::index::{Kind, VersionRef};
use crate::key::{Key, KeyRef};
use crate::record::Head;
use crate::selection::Selection;
use crate::store::Store;
use crate::table::VersionInfo;
use crate::txn::Tx;
use crate::value::Value;

/// Keys of one transaction.
const BATCH: usize = 1000;

/// What a revert did to one key, or would.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reverted {
    /// The key.
    pub key: Key,
    /// The version that set it back; `None` in a dry run.
    pub version: Option<Version>,
    /// Whether the key is absent now, as it was then.
    pub removed: bool,
    /// The commits that this undid, the newest first: what their idempotency ids stand for must be granted again by
    /// hand, for `outcome` goes on saying that they happened.
    pub undone: Vec<VersionInfo>,
}

/// Whether anything is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    For,
    Dry,
}

impl Store {
    /// Sets the chosen keys back to what they were at the moment `at`, as new versions, in transactions of up to 1,000
    /// keys; a key that is as it was is not written. Values, user ids and metadata come back, and keys that came to be
    /// since go. Nobody else waits. Each transaction is durable when the next one begins; after an error those before it
    /// stand, and the same call goes on where it stopped.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Missing`]: there is no such collection.
    /// - [`ErrorKind::Undone`]: the moment belongs to a future that was undone.
    /// - [`ErrorKind::Damaged`]: what stood there then cannot be read. And as [`Collection::set`].
    pub fn revert(&self, selection: Selection, at: impl Into<At>) -> Result<Vec<Reverted>> {
        self.reverting(&selection, &at.into(), Mode::For)
    }

    /// What [`Store::revert`] would do now; nothing is written.
    ///
    /// # Errors
    ///
    /// As [`Store::revert`].
    pub fn revert_preview(&self, selection: Selection, at: impl Into<At>) -> Result<Vec<Reverted>> {
        self.reverting(&selection, &at.into(), Mode::Dry)
    }

    fn reverting(&self, selection: &Selection, at: &At, mode: Mode) -> Result<Vec<Reverted>> {
        let collection = self.any(&selection.collection)?;
        let Some(id) = collection.table.id()? else {
            let say = format!(
                "there is no collection {:?}: see `savehold list` for their names",
                selection.collection
            );
            return Err(Error::new(crate::error::ErrorKind::Missing, say));
        };
        let moment = self.core.moment(at)?;
        let chosen = Chosen::new(self, selection, id)?;
        let (mut done, mut batch) = (Vec::new(), Vec::with_capacity(BATCH));
        for key in chosen.keys(selection, &collection)? {
            let key = key?;
            if chosen.wants(self, &key)? {
                batch.push(key);
            }
            if batch.len() == BATCH {
                done.extend(self.revert_batch(&collection, id, &batch, moment, mode)?);
                batch.clear();
            }
        }
        done.extend(self.revert_batch(&collection, id, &batch, moment, mode)?);
        Ok(done)
    }

    fn revert_batch(
        &self,
        collection: &Collection<Value>,
        id: CollectionId,
        keys: &[Key],
        moment: Lsn,
        mode: Mode,
    ) -> Result<Vec<Reverted>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let look = |tx: Option<&Tx<'_>>, until: Lsn| -> Result<Vec<Reverted>> {
            let mut back = Vec::new();
            for key in keys {
                let undone = self.since(id, key, moment, until)?;
                let Some(newest) = undone.first() else { continue };
                let then = self.core.read(id, key.as_bytes(), moment)?.stored.map(|stored| stored.entry);
                let now = match newest.kind {
                    Kind::Remove => None,
                    Kind::Put => self.core.stored(*newest).ok().map(|stored| stored.entry),
                };
                if then == now && (now.is_some() || newest.kind == Kind::Remove) {
                    continue; // written since, and as it was all the same
                }
                if let Some(tx) = tx {
                    tx.put_back(&collection.table, &KeyRef::from(key), then.as_ref())?;
                }
                let removed = then.is_none();
                let undone = undone.into_iter().map(|v| self.core.describe(v)).collect::<Result<_>>()?;
                back.push(Reverted { key: key.clone(), version: None, removed, undone });
            }
            Ok(back)
        };
        match mode {
            Mode::Dry => look(None, self.core.visible()),
            Mode::For => {
                let done = self.transaction(|tx| look(Some(tx), tx.moment().lsn()))?;
                let version = done.wrote.then_some(done.version);
                Ok(done.value.into_iter().map(|back| Reverted { version, ..back }).collect())
            }
        }
    }

    /// Versions of a key behind `moment` and not behind `until`, the newest first.
    fn since(&self, id: CollectionId, key: &Key, moment: Lsn, until: Lsn) -> Result<Vec<VersionRef>> {
        let (mut all, mut before) = (Vec::new(), Lsn::from_raw(until.raw().saturating_add(1)));
        loop {
            let page = self.core.index.versions(id.0, key.as_bytes(), before, BATCH)?;
            let Some(last) = page.last() else { return Ok(all) };
            before = last.lsn;
            all.extend(page.iter().take_while(|version| version.lsn > moment));
            if before <= moment {
                return Ok(all);
            }
        }
    }
}

/// Which of the keys are meant.
struct Chosen {
    id: CollectionId,
    /// Numbers of the origins that are meant.
    origins: Option<HashSet<u32>>,
    since: Option<Lsn>,
}

impl Chosen {
    fn new(store: &Store, selection: &Selection, id: CollectionId) -> Result<Self> {
        let since = selection.since.as_ref().map(|at| store.core.moment(at)).transpose()?;
        let origins = match &selection.origin {
            None => None,
            Some(pattern) => {
                let all = store.core.origins()?.into_iter().filter(|(text, _)| pattern.matches(text));
                let unnamed = pattern.matches("").then_some(0);
                Some(all.map(|(_, number)| number).chain(unnamed).collect())
            }
        };
        Ok(Self { id, origins, since })
    }

    /// Keys of the selection, those that were removed too.
    fn keys<'k>(
        &self,
        selection: &'k Selection,
        collection: &'k Collection<Value>,
    ) -> Result<Box<dyn Iterator<Item = Result<Key>> + 'k>> {
        if let Some(keys) = &selection.keys {
            let inside = |key: &&Key| selection.range.own.borrow().contains(key.as_bytes());
            return Ok(Box::new(keys.iter().filter(inside).cloned().map(Ok)));
        }
        let (core, id) = (collection.table.core.clone(), self.id);
        let (mut page, mut after, mut over) = (VecDeque::new(), None::<Vec<u8>>, false);
        Ok(Box::new(std::iter::from_fn(move || {
            while page.is_empty() && !over {
                let range = selection.range.own.borrow();
                let direction = crate::index::Direction::Ascending;
                let found = match core.index.range(id.0, range, after.as_deref(), Lsn::MAX, BATCH, direction)
                {
                    Ok(found) => found,
                    Err(e) => {
                        over = true;
                        return Some(Err(e));
                    }
                };
                over = found.len() < BATCH;
                after = found.last_key().map(<[u8]>::to_vec);
                page.extend(found.iter().map(|(key, _)| Key::new(key)));
            }
            page.pop_front()
        })))
    }

    fn wants(&self, store: &Store, key: &Key) -> Result<bool> {
        if self.origins.is_none() && self.since.is_none() {
            return Ok(true);
        }
        let since = self.since.unwrap_or(Lsn::NONE);
        for version in store.since(self.id, key, since, Lsn::from_raw(u64::MAX - 1))? {
            let Some(origins) = &self.origins else { return Ok(true) };
            if origins.contains(&Head::decode(&store.core.wal.read_head(version.lsn)?)?.author.origin) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
