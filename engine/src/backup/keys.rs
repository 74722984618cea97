//! Corridor: chosen keys out of a backup into the live store, as new versions.
//!
//! The backup is read through, and of each chosen key what it was at the moment is kept in memory. It is read once more
//! where the collection is named behind its first keys: its setting stands beside the name, and packed files may have kept
//! the newest of it only. Then the keys are written, a thousand in a transaction, while everybody else goes on.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use bytes::Bytes;
use savehold_wal::Frame;
use savehold_wal::backup::{Carry, Passing};

use super::kept::{Between, not_whole_at};
use super::restore::{Chosen, Restore, chosen};
use super::{go_on, while_open};
use crate::at::At;
use crate::entry::Entry;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::CollectionId;
use crate::key::{Key, KeyRef};
use crate::load::unreadable;
use crate::naming::collection_in;
use crate::record::{Effect, Head};
use crate::selection::Selection;
use crate::store::Store;

/// Keys of one transaction.
const BATCH: usize = 1000;

/// What [`Store::restore_keys`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeysRestored {
    /// Keys that have their value of that moment again.
    pub written: u64,
    /// Keys that were absent then, and are absent again.
    pub removed: u64,
    /// Keys that were as they had been.
    pub unchanged: u64,
}

/// What the chosen keys were.
struct Wanted<'s> {
    selection: &'s Selection,
    keys: Option<HashSet<Key>>,
    /// The collection's number in the backup, once it is known.
    id: Option<CollectionId>,
    /// Of which collections keys went by before it was.
    missed: HashSet<CollectionId>,
    /// Where the moment lies.
    between: Between,
    found: BTreeMap<Key, Option<Entry>>,
}

impl Wanted<'_> {
    fn note(&mut self, passing: &Passing<'_>) -> Result<()> {
        self.between.note(passing.lsn, passing.kept);
        for entry in Head::decode(passing.head())?.entries() {
            let entry = entry?;
            if let Some((name, number)) = collection_in(entry.collection, entry.key)
                && passing.kept
                && name == self.selection.collection
            {
                self.id = Some(CollectionId(number));
            }
            if self.id.is_none() {
                self.missed.insert(entry.collection);
            }
            if self.id != Some(entry.collection) || !self.selection.range.own.borrow().contains(entry.key) {
                continue;
            }
            let key = Key::new(entry.key)?;
            if self.keys.as_ref().is_some_and(|keys| !keys.contains(&key)) {
                continue;
            }
            if !passing.kept {
                self.found.entry(key).or_insert(None); // what it was before, and how that ended, may have been thinned away
                continue;
            }
            let value = match entry.effect {
                Effect::Remove => None,
                Effect::Put(part) => {
                    let bytes = passing.part(part.offset, part.bytes).ok_or_else(|| damaged(&key))?;
                    Some(Entry::decode(Bytes::copy_from_slice(bytes))?)
                }
            };
            self.found.insert(key, value);
        }
        Ok(())
    }
}

#[cold]
fn damaged(key: &Key) -> Error {
    let say =
        format!("the value of {key} is damaged in the backup: choose a moment before or behind that version");
    Error::new(ErrorKind::Damaged, say)
}

impl Carry for Wanted<'_> {
    fn record(&mut self, passing: &Passing<'_>) -> savehold_wal::Result<()> {
        self.note(passing).map_err(|e| unreadable(passing.lsn, &e))
    }

    fn first_records(&mut self) -> savehold_wal::Result<Vec<Frame>> {
        Ok(Vec::new())
    }
}

impl Store {
    /// Gives the chosen keys the values that a backup in `from` holds of them as of the moment `at`, as new versions with
    /// user ids and metadata, in transactions of up to 1,000 keys, while everybody else goes on. Keys that the backup knows
    /// from later only were absent then, and are removed; those that it never knew are left alone. Who plays a key that
    /// changes is asked for it first, as [`Store::revert`] does it. All chosen values are in memory meanwhile; origin and
    /// time of a selection are not looked at.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Missing`], [`ErrorKind::Gone`], [`ErrorKind::Corrupt`]: as [`restore`](super::restore); or the
    ///   backup knows no such collection, or no longer has all of one that keeps its newest versions alone.
    /// - As [`Store::revert`]: transactions before the error stand.
    pub fn restore_keys(
        &self,
        from: impl AsRef<Path>,
        selection: &Selection,
        at: impl Into<At>,
        how: Restore<'_>,
    ) -> Result<KeysRestored> {
        let how_long = how.handoff;
        let found = self.then(from.as_ref(), selection, &at.into(), how)?;
        let table = self.any(&selection.collection)?.table;
        let mut done = KeysRestored { written: 0, removed: 0, unchanged: 0 };
        for batch in found.chunks(BATCH) {
            let (counted, _) = self.core.taking(how_long, |tx| {
                let (mut counted, mut taken) = ([0; 3], Vec::new());
                for (key, then) in batch {
                    let changed = tx.put_back(&table, &KeyRef::from(key), then.as_ref())?;
                    counted[if !changed { 2 } else { usize::from(then.is_none()) }] += 1;
                    if let Some(id) = table.id()?.filter(|_| changed) {
                        taken.push((id, key.clone()));
                    }
                }
                Ok((counted, taken))
            })?;
            let [written, removed, unchanged] = counted.value;
            done.written += written;
            done.removed += removed;
            done.unchanged += unchanged;
        }
        Ok(done)
    }

    /// What [`Store::restore_keys`] would do now; nothing is written.
    ///
    /// # Errors
    ///
    /// As [`Store::restore_keys`].
    pub fn restore_keys_preview(
        &self,
        from: impl AsRef<Path>,
        selection: &Selection,
        at: impl Into<At>,
        how: Restore<'_>,
    ) -> Result<KeysRestored> {
        let found = self.then(from.as_ref(), selection, &at.into(), how)?;
        let table = self.any(&selection.collection)?.table;
        let id = table.id()?;
        let mut done = KeysRestored { written: 0, removed: 0, unchanged: 0 };
        for (key, then) in &found {
            self.core.check_closing()?;
            let as_it_is = match id.map(|id| self.core.read(id, key.as_bytes(), self.core.visible())) {
                None => then.is_none(),
                Some(Ok(now)) => now.stored.map(|stored| stored.entry) == *then,
                Some(Err(e)) if e.kind() == ErrorKind::Damaged => false, // what stands there is written over
                Some(Err(e)) => return Err(table.named(&KeyRef::from(key), e)),
            };
            match then {
                _ if as_it_is => done.unchanged += 1,
                Some(_) => done.written += 1,
                None => done.removed += 1,
            }
        }
        Ok(done)
    }

    /// What the backup holds of the chosen keys as of the moment.
    fn then(
        &self,
        from: &Path,
        selection: &Selection,
        at: &At,
        how: Restore<'_>,
    ) -> Result<Vec<(Key, Option<Entry>)>> {
        let Chosen { source, name, cut, thinned, progress, .. } = chosen(self.core.wal.env(), from, at, how)?;
        let keys = selection.keys.as_ref().map(|keys| keys.iter().cloned().collect());
        let mut wanted = Wanted {
            selection,
            keys,
            id: None,
            missed: HashSet::new(),
            between: Between::UNKNOWN,
            found: BTreeMap::new(),
        };
        let mut silent = go_on;
        let mut tell = while_open(&self.core, progress.unwrap_or(&mut silent));
        let mut read = |wanted: &mut Wanted<'_>| {
            source.rehearse(name, cut, wanted, &mut tell).map_err(|e| self.core.stopped(e.into()))
        };
        read(&mut wanted)?;
        let Some(id) = wanted.id else {
            let say = format!(
                "the backup knows no collection {:?} at that moment: choose a later moment, or another name",
                selection.collection
            );
            return Err(Error::new(ErrorKind::Missing, say));
        };
        if not_whole_at(&thinned, cut, wanted.between).contains(&id.0) {
            let say = format!(
                "{:?} keeps its newest versions alone, and the backup no longer has all of it as of that moment: choose a \
                 later one",
                selection.collection
            );
            return Err(Error::new(ErrorKind::Gone, say));
        }
        if wanted.missed.contains(&id) {
            wanted.found.clear(); // its first keys are not among it
            read(&mut wanted)?;
        }
        Ok(wanted.found.into_iter().collect())
    }
}
