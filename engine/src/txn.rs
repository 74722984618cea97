//! Corridor: transactions: any keys of any collections, one record, all or nothing.
//!
//! A run reads one moment, the newest in commit order when it began, sees its own writes, and is validated against
//! everything committed since: keys, absent ones too, and ranges. After a conflict it takes a turn on the keys it
//! conflicted on, all in key order, and runs again. One that scanned ranges and met three conflicts takes the
//! bar behind its turns: from then on it waits for nobody, and the writers of what it conflicts on wait for it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use savehold_wal::Lsn;

use crate::attributes::UserId;
use crate::change::{Change, Entry, What};
use crate::collection::Collection;
use crate::core::{Core, Seen, Stored};
use crate::draft::{FullKey, Write};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{CollectionId, Token, Version};
use crate::key::{Key, KeyRef};
use crate::lease::Claim;
use crate::modify::{Decision, Right};
use crate::name::CollectionName;
use crate::naming::range_of;
use crate::range::{OwnRange, Range};
use crate::standing::{Standing, other_version};
use crate::table::Table;

mod leases;
mod memory;
pub(crate) mod mail;
mod run;
mod wiped;

#[cfg(test)]
pub(crate) use run::RANGE_CONFLICTS_MAX;
pub(crate) use run::{OVERTAKEN, Ran};

pub(crate) use leases::Granting;
pub(crate) use mail::Message;
pub(crate) use memory::Remembered;

/// A transaction while its closure runs. Nothing of it is visible to others, or durable, until it commits.
pub struct Tx<'s> {
    core: &'s Core,
    moment: Lsn,
    /// How often it ran before.
    run: u32,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    reads: BTreeMap<FullKey, Lsn>,
    /// Keys read that had no value: never there, or removed.
    absent: BTreeSet<FullKey>,
    /// Of keys read that belong to users: whose they were.
    users: BTreeMap<FullKey, Vec<UserId>>,
    ranges: Vec<(CollectionId, OwnRange)>,
    writes: BTreeMap<FullKey, Write>,
    claim: Claim,
    /// What it has opened of memory beside the index.
    memory: Vec<Rc<dyn Remembered>>,
    /// The versions of keys that it saw in memory.
    in_memory: BTreeMap<FullKey, Lsn>,
    /// It saw what does not belong to its moment: it is run again, whatever it answers.
    stale: bool,
    /// Keys to which it sent mail.
    posted: Vec<FullKey>,
}

impl State {
    /// Notes what was read of a key.
    fn note(&mut self, full: FullKey, now: &Standing) {
        if now.head().is_none() {
            self.absent.insert(full.clone());
        }
        if !now.user_ids().is_empty() {
            self.users.insert(full.clone(), now.user_ids().to_vec());
        }
        self.reads.insert(full, now.lsn);
    }
}

/// What a transaction became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Done<R> {
    /// What the closure answered.
    pub value: R,
    /// The version of everything it wrote; where it wrote nothing, the moment that it read.
    pub version: Version,
    /// Whether anything was written.
    pub wrote: bool,
}

impl<'s> Tx<'s> {
    /// The value of a key, as of the transaction's moment and its own writes.
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
        let stored = self.read(&collection.table, &key)?;
        let Some(stored) = stored else { return Ok(None) };
        collection.form.entry(key.to_key()?, stored).map(Some).map_err(|e| collection.table.named(&key, e))
    }

    /// Writes a value; user ids and metadata are kept.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Encode`](crate::ErrorKind::Encode), [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge).
    pub fn set<'k, T>(&self, collection: &Collection<T>, key: impl Into<KeyRef<'k>>, value: &T) -> Result<()>
    where
        T: Clone,
    {
        self.change(collection, key, Change::write(value.clone()))
    }

    /// Writes a value where none stands.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict): there is a value. Otherwise as [`Tx::set`].
    pub fn create<'k, T: Clone>(
        &self,
        collection: &Collection<T>,
        key: impl Into<KeyRef<'k>>,
        value: &T,
    ) -> Result<()> {
        let key = key.into();
        if let Some(stored) = self.read(&collection.table, &key)? {
            let e = other_version(Some(stored.lsn.into()), None);
            return Err(collection.table.named(&key, e));
        }
        self.set(collection, key, value)
    }

    /// Removes a key; answers whether a value stood there.
    ///
    /// # Errors
    ///
    /// As [`Collection::get`].
    pub fn remove<'k, T>(&self, collection: &Collection<T>, key: impl Into<KeyRef<'k>>) -> Result<bool> {
        let key = key.into();
        let stood = match self.read(&collection.table, &key) {
            Err(e) if e.kind() == ErrorKind::Damaged => true,
            read => read?.is_some(),
        };
        self.change(collection, key, Change::remove()).map(|()| stood)
    }

    /// Writes, removes or keeps, with user ids and metadata where the change mentions them.
    ///
    /// # Errors
    ///
    /// As [`Tx::set`].
    pub fn change<'k, T>(
        &self,
        collection: &Collection<T>,
        key: impl Into<KeyRef<'k>>,
        change: Change<T>,
    ) -> Result<()> {
        let key = key.into();
        let table = &collection.table;
        if matches!(change.what, What::Keep) {
            return Ok(());
        }
        let decision = collection.form.decision(change).map_err(|e| table.named(&key, e))?;
        self.decide(table, collection.right, &key, decision)
    }

    /// Writes what a batch gathered.
    pub(crate) fn apply_batch(
        &self,
        writes: &BTreeMap<(CollectionName, Key), (Table, Right, Decision)>,
    ) -> Result<()> {
        for ((_, key), (table, right, decision)) in writes {
            self.decide(table, *right, &KeyRef::from(key), decision.clone())?;
        }
        Ok(())
    }

    fn decide(&self, table: &Table, right: Right, key: &KeyRef<'_>, decision: Decision) -> Result<()> {
        let now = match self.standing(table, key) {
            // whatever stands there is replaced or removed
            Err(e) if e.kind() == ErrorKind::Damaged => self.read_past(table, key, &e)?,
            now => now?,
        };
        if now.head().is_none() && matches!(decision, Decision::Remove) && table.id()?.is_none() {
            return Ok(()); // what never was needs no removal, and no collection
        }
        let full = (table.ensure_id()?, table.key(key)?);
        let mut state = self.state.borrow_mut();
        state.claim.extend(right.claim(&full));
        match decision {
            Decision::Put(wanted) => {
                state.writes.insert(full, Write::Put(self.core.entry_of(wanted, now.head())));
            }
            // what the transaction itself put there goes; what stood there before is removed
            Decision::Remove if state.absent.contains(&full) => {
                state.writes.remove(&full);
            }
            Decision::Remove => {
                state.writes.insert(full, Write::Remove);
            }
            Decision::Keep => {}
        }
        Ok(())
    }

    /// Sets a key back to what it was: the same bytes, user ids and metadata, or absent. Says whether it is not so now. A lease
    /// on it ends.
    pub(crate) fn put_back(
        &self,
        table: &Table,
        key: &KeyRef<'_>,
        then: Option<&crate::entry::Entry>,
    ) -> Result<bool> {
        match self.standing(table, key) {
            Err(e) if e.kind() == ErrorKind::Damaged => drop(self.read_past(table, key, &e)?),
            now => {
                if now?.stored.as_ref().map(|stored| &stored.entry) == then {
                    return Ok(false);
                }
            }
        }
        let full = (table.ensure_id()?, table.key(key)?);
        let write = then.map_or(Write::Remove, |entry| Write::Put(entry.clone()));
        let mut state = self.state.borrow_mut();
        state.claim.restored.insert(full.clone());
        state.writes.insert(full, write);
        Ok(true)
    }

    /// Writes as the holder of the lease `token`, too: the transaction commits only while that lease stands, and may
    /// write its keys. A collection [`with_token`](Collection::with_token) brings its token by itself.
    pub fn bring(&self, token: Token) {
        self.state.borrow_mut().claim.bring(token);
    }

    /// Adds to a number, which counts as 0 where none stands, and answers the sum.
    ///
    /// # Errors
    ///
    /// As [`Collection::increment`](Collection::<i64>::increment).
    pub fn increment<'k>(
        &self,
        collection: &Collection<i64>,
        key: impl Into<KeyRef<'k>>,
        by: i64,
    ) -> Result<i64> {
        let key = key.into();
        let now = self.get(collection, key.clone())?.map(|entry| crate::value::Value::from(entry.value));
        let sum =
            crate::value::counter::add(now.as_ref(), by).map_err(|e| collection.table.named(&key, e))?;
        self.change(collection, key, Change::write(sum)).map(|()| sum)
    }

    /// The entries of a range, in order of their keys, as of the transaction's moment and its own writes. No key of the
    /// range can come, go or change before the transaction commits without its being run again.
    ///
    /// # Errors
    ///
    /// As [`Collection::get`].
    pub fn scan<T>(&self, collection: &Collection<T>, range: impl Into<Range>) -> Result<Vec<Entry<T>>> {
        let range = range.into();
        let table = &collection.table;
        let mut found: BTreeMap<Key, Stored> = BTreeMap::new();
        self.note_range(table, &range)?;
        for item in table.list(range.clone(), self.moment) {
            let (key, version) = item?;
            let stored = self.core.stored(version).map_err(|e| table.named(&KeyRef::from(&key), e))?;
            found.insert(key, stored);
        }
        if let Some(id) = table.id()? {
            self.overlay(id, &range, &mut found);
        }
        let typed = |(key, stored): (Key, Stored)| {
            collection.form.entry(key.clone(), stored).map_err(|e| table.named(&KeyRef::from(&key), e))
        };
        match range.direction {
            crate::index::Direction::Ascending => found.into_iter().map(typed).collect(),
            crate::index::Direction::Descending => found.into_iter().rev().map(typed).collect(),
        }
    }

    fn overlay(&self, id: CollectionId, range: &Range, found: &mut BTreeMap<Key, Stored>) {
        let state = self.state.borrow();
        let own = state.writes.iter().filter(|((collection, key), _)| {
            *collection == id && range.own.borrow().contains(key.as_bytes())
        });
        for ((_, key), write) in own {
            match write {
                Write::Put(entry) => found.insert(key.clone(), self.unwritten(entry)),
                Write::Remove => found.remove(key),
            };
        }
    }

    /// The moment that the transaction reads.
    #[must_use]
    pub fn moment(&self) -> Version {
        Version::from(self.moment)
    }

    fn read(&self, table: &Table, key: &KeyRef<'_>) -> Result<Option<Stored>> {
        self.standing(table, key).map(|now| now.stored)
    }

    /// What stands under a key, by the transaction's own writes or at its moment; noted as read.
    fn standing(&self, table: &Table, key: &KeyRef<'_>) -> Result<Standing> {
        table.check_of(self.core)?;
        key.checked().map_err(|e| e.within(&table.name))?;
        let Some(id) = self.id_of(table)? else { return Ok(Seen { lsn: Lsn::NONE, stored: None }.into()) };
        self.standing_at((id, key.to_key()?)).map_err(|e| table.named(key, e))
    }

    fn standing_at(&self, full: FullKey) -> Result<Standing> {
        if let Some(write) = self.state.borrow().writes.get(&full) {
            let stored = write.entry().map(|entry| self.unwritten(entry));
            return Ok(Seen { lsn: self.moment, stored }.into());
        }
        let now = Standing::from(self.core.read(full.0, full.1.as_bytes(), self.moment)?);
        self.state.borrow_mut().note(full, &now);
        Ok(now)
    }

    /// What is kept of a damaged version, which is noted as read.
    fn read_past(&self, table: &Table, key: &KeyRef<'_>, e: &Error) -> Result<Standing> {
        self.past((table.ensure_id()?, key.to_key()?), e)
    }

    fn past(&self, full: FullKey, e: &Error) -> Result<Standing> {
        let now = self.core.rescue(&full, e)?;
        self.state.borrow_mut().note(full, &now);
        Ok(now)
    }

    /// A value of the transaction itself: it has no version yet, and shows the moment's.
    fn unwritten(&self, entry: &crate::entry::Entry) -> Stored {
        Stored { lsn: self.moment, entry: entry.clone() }
    }

    /// The collection's number; where it has none, that is a thing read, and must still hold at the commit.
    fn id_of(&self, table: &Table) -> Result<Option<CollectionId>> {
        if let Some(id) = table.id()? {
            return Ok(Some(id));
        }
        self.state.borrow_mut().ranges.push((CollectionId::SET, range_of(&table.name)));
        Ok(None)
    }

    fn note_range(&self, table: &Table, range: &Range) -> Result<()> {
        table.check_of(self.core)?;
        if let Some(id) = self.id_of(table)? {
            self.state.borrow_mut().ranges.push((id, range.own.clone()));
        }
        Ok(())
    }
}
