//! Corridor: a collection of a store, as users work with it.

use std::fmt;
use std::panic::Location;

use crate::at::At;
use crate::change::{Change, Entry, Once, Updated};
use crate::core::Stored;
use crate::error::Result;
#[cfg(doc)]
use crate::error::{Error, ErrorKind};
use crate::form::Form;
use crate::ids::Version;
use crate::key::{Key, KeyRef};
use crate::listing::{Keys, Page, Scan, Versions};
use crate::modify::{self, Call, Decision, Modified, Right, Sight, Wanted};
use crate::range::Range;
use crate::standing::other_version;
use crate::table::Table;
use crate::ticket::Ticket;
use crate::value::{Value, codec, counter};

mod leased;

pub use leased::LeaseKey;

/// Values of one type under keys, in a store. Cheap to clone, usable from any thread.
///
/// A plain call is durable when it returns. An `_async` call has run its closure and taken its place in the log when it
/// returns, and hands over a ticket. An `_once` call with an id that was committed before runs nothing and says so.
pub struct Collection<T> {
    pub(crate) table: Table,
    pub(crate) form: Form<T>,
    pub(crate) right: Right,
}

impl<T> Clone for Collection<T> {
    fn clone(&self) -> Self {
        Self { table: self.table.clone(), form: self.form, right: self.right }
    }
}

impl<T> fmt::Debug for Collection<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Collection({})", self.table.name)
    }
}

impl<T> Collection<T> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.table.name.as_str()
    }

    /// The value of a key, or `None` where it has none. A damaged value is an error, never `None`.
    ///
    /// Sees every write that was answered before the call.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Damaged`]: names file, offset, version and an older version that can be read; all else goes on.
    /// - [`ErrorKind::Decode`], [`ErrorKind::WrongType`]: what stands there is no `T`; it stands unchanged.
    #[doc(alias = "GetAsync")]
    pub fn get<'k>(&self, key: impl Into<KeyRef<'k>>) -> Result<Option<Entry<T>>> {
        let key = key.into();
        let stored = self.table.get_now(&key)?;
        self.typed(&key, stored)
    }

    /// The value of a key at a moment. [`At::Version`] reads exactly that version of the key.
    ///
    /// # Errors
    ///
    /// As [`Collection::get`]; [`ErrorKind::Gone`]: the key has no such version.
    #[doc(alias = "GetVersionAsync")]
    #[doc(alias = "GetVersionAtTimeAsync")]
    pub fn get_at<'k>(&self, key: impl Into<KeyRef<'k>>, at: impl Into<At>) -> Result<Option<Entry<T>>> {
        let key = key.into();
        let stored = self.table.get_at(&key, &at.into())?;
        self.typed(&key, stored)
    }

    fn typed(&self, key: &KeyRef<'_>, stored: Option<Stored>) -> Result<Option<Entry<T>>> {
        let Some(stored) = stored else { return Ok(None) };
        self.form.entry(key.to_key()?, stored).map(Some).map_err(|e| self.table.named(key, e))
    }

    /// Writes a value, whatever stands there; user ids and metadata are kept. Durable on return.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Encode`], [`ErrorKind::TooLarge`], [`ErrorKind::Full`], [`ErrorKind::Halted`]: nothing was written;
    /// nor where another holder has a lease on the key ([`ErrorKind::Leased`]), or the token is not the current one
    /// ([`ErrorKind::Fenced`]). [`ErrorKind::Unknown`]: it may or may not be durable.
    #[doc(alias = "SetAsync")]
    pub fn set<'k>(&self, key: impl Into<KeyRef<'k>>, value: &T) -> Result<Version> {
        self.modify(key.into(), Sight::Unseen, self.write(value)?).map(|done| version_of(&done))
    }

    /// [`Collection::set`], handing over a ticket.
    pub fn set_async<'k>(&self, key: impl Into<KeyRef<'k>>, value: &T) -> Ticket<Version> {
        match self.write(value) {
            Ok(decide) => self.modify_async(key.into(), Sight::Unseen, decide, |done| version_of(&done)),
            Err(e) => Ticket::answered(Err(e)),
        }
    }

    /// [`Collection::set`], done once for each id, with the player in it: see [`Store::transaction_once`](crate::Store::transaction_once).
    ///
    /// # Errors
    ///
    /// As [`Collection::set`].
    pub fn set_once<'k>(
        &self,
        id: impl AsRef<[u8]>,
        key: impl Into<KeyRef<'k>>,
        value: &T,
    ) -> Result<Once<Version>> {
        let done = self.modify_once(key.into(), Some(id.as_ref()), Sight::Unseen, self.write(value)?)?;
        Ok(done.map(|done| version_of(&done)))
    }

    fn write(&self, value: &T) -> Result<impl FnMut(Option<&Stored>) -> Result<Decision> + Send + use<T>> {
        let Wanted { format, value, .. } = self.form.wanted(value)?;
        Ok(move |_: Option<&Stored>| Ok(Decision::Put(Wanted::value(format, value.clone()))))
    }

    /// Writes a value where none stands. Durable on return.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`]: there is a value; [`Error::version`] names it. Otherwise as [`Collection::set`].
    pub fn create<'k>(&self, key: impl Into<KeyRef<'k>>, value: &T) -> Result<Version> {
        self.compare_and_set(key, None, value)
    }

    /// Writes a value where the version `expected` stands; `None`: where no value stands. Durable on return.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`]: another version stands there, which [`Error::version`] names, or none. Otherwise as
    /// [`Collection::set`].
    pub fn compare_and_set<'k>(
        &self,
        key: impl Into<KeyRef<'k>>,
        expected: impl Into<Option<Version>>,
        value: &T,
    ) -> Result<Version> {
        let done = self.modify(key.into(), Sight::Needed, self.write_over(expected.into(), value)?)?;
        Ok(version_of(&done))
    }

    /// [`Collection::create`], handing over a ticket.
    pub fn create_async<'k>(&self, key: impl Into<KeyRef<'k>>, value: &T) -> Ticket<Version> {
        self.compare_and_set_async(key, None, value)
    }

    /// [`Collection::compare_and_set`], handing over a ticket.
    pub fn compare_and_set_async<'k>(
        &self,
        key: impl Into<KeyRef<'k>>,
        expected: impl Into<Option<Version>>,
        value: &T,
    ) -> Ticket<Version> {
        match self.write_over(expected.into(), value) {
            Ok(decide) => self.modify_async(key.into(), Sight::Needed, decide, |done| version_of(&done)),
            Err(e) => Ticket::answered(Err(e)),
        }
    }

    /// [`Collection::create`], done once for each id, with the player in it: see [`Store::transaction_once`](crate::Store::transaction_once).
    ///
    /// # Errors
    ///
    /// As [`Collection::create`]; the id is not noted then.
    pub fn create_once<'k>(
        &self,
        id: impl AsRef<[u8]>,
        key: impl Into<KeyRef<'k>>,
        value: &T,
    ) -> Result<Once<Version>> {
        self.compare_and_set_once(id, key, None, value)
    }

    /// [`Collection::compare_and_set`], done once for each id, with the player in it: see [`Store::transaction_once`](crate::Store::transaction_once).
    ///
    /// # Errors
    ///
    /// As [`Collection::compare_and_set`]; the id is not noted then.
    pub fn compare_and_set_once<'k>(
        &self,
        id: impl AsRef<[u8]>,
        key: impl Into<KeyRef<'k>>,
        expected: impl Into<Option<Version>>,
        value: &T,
    ) -> Result<Once<Version>> {
        let decide = self.write_over(expected.into(), value)?;
        let done = self.modify_once(key.into(), Some(id.as_ref()), Sight::Needed, decide)?;
        Ok(done.map(|done| version_of(&done)))
    }

    fn write_over(
        &self,
        expected: Option<Version>,
        value: &T,
    ) -> Result<impl FnMut(Option<&Stored>) -> Result<Decision> + Send + use<T>> {
        let mut write = self.write(value)?;
        Ok(move |now: Option<&Stored>| {
            let stands = now.map(|stored| Version::from(stored.lsn));
            if stands == expected { write(now) } else { Err(other_version(stands, expected)) }
        })
    }

    /// Removes a key and answers what stood there (`None` also where it was damaged); nothing is written where nothing
    /// stood. Durable on return; the
    /// history stays readable.
    ///
    /// # Errors
    ///
    /// As [`Collection::set`].
    #[doc(alias = "RemoveAsync")]
    pub fn remove<'k>(&self, key: impl Into<KeyRef<'k>>) -> Result<Option<Entry<T>>> {
        let key = key.into();
        let mut stood = None;
        self.modify(key.clone(), Sight::Blind, |now: Option<&Stored>| {
            stood = now.cloned();
            Ok(Decision::Remove)
        })?;
        self.typed(&key, stood)
    }

    /// [`Collection::remove`], done once for each id, with the player in it: see [`Store::transaction_once`](crate::Store::transaction_once).
    /// It is noted where nothing stood too.
    ///
    /// # Errors
    ///
    /// As [`Collection::remove`].
    pub fn remove_once<'k>(
        &self,
        id: impl AsRef<[u8]>,
        key: impl Into<KeyRef<'k>>,
    ) -> Result<Once<Option<Entry<T>>>> {
        let key = key.into();
        let mut stood = None;
        let done =
            self.modify_once(key.clone(), Some(id.as_ref()), Sight::Blind, |now: Option<&Stored>| {
                stood = now.cloned();
                Ok(Decision::Remove)
            })?;
        match done {
            Once::Now(_) => self.typed(&key, stood).map(Once::Now),
            Once::Before(version) => Ok(Once::Before(version)),
        }
    }

    /// [`Collection::remove`], handing over a ticket for the version of the removal.
    pub fn remove_async<'k>(&self, key: impl Into<KeyRef<'k>>) -> Ticket<Version> {
        let remove = |_: Option<&Stored>| Ok(Decision::Remove);
        self.modify_async(key.into(), Sight::Unseen, remove, |done| version_of(&done))
    }

    /// Reads a key, lets `f` decide, writes: atomically. Durable on return.
    ///
    /// `f` sees the newest value, also one whose commit is still on its way, and answers [`Change::write`],
    /// [`Change::remove`] or [`Change::keep`]; an `Option` converts, `None` keeping. It runs with no lock held, and again
    /// if another commit came between; on a key with many writers they take turns, and it normally runs once, perhaps on
    /// another writer's thread. A panic in it changes nothing. What it does not mention (user ids, metadata) is kept.
    ///
    /// # Errors
    ///
    /// As [`Collection::get`] and [`Collection::set`]; [`ErrorKind::Reentrant`]: called from inside such a closure.
    #[doc(alias = "UpdateAsync")]
    pub fn update<'k, C: Into<Change<T>>>(
        &self,
        key: impl Into<KeyRef<'k>>,
        f: impl FnMut(Option<Entry<T>>) -> C + Send,
    ) -> Result<Updated<T>> {
        let key = key.into();
        let done = self.modify(key.clone(), Sight::Needed, self.deciding(key.to_key()?, f))?;
        self.updated(done)
    }

    /// [`Collection::update`], handing over a ticket; `f` has run when this returns.
    pub fn update_async<'k, C: Into<Change<T>>>(
        &self,
        key: impl Into<KeyRef<'k>>,
        f: impl FnMut(Option<Entry<T>>) -> C + Send,
    ) -> Ticket<Version> {
        let key = key.into();
        match key.to_key() {
            Ok(own) => self.modify_async(key, Sight::Needed, self.deciding(own, f), |done| version_of(&done)),
            Err(e) => Ticket::answered(Err(e)),
        }
    }

    /// [`Collection::update`], done once for each id, with the player in it: see [`Store::transaction_once`](crate::Store::transaction_once).
    ///
    /// # Errors
    ///
    /// As [`Collection::update`].
    pub fn update_once<'k, C: Into<Change<T>>>(
        &self,
        id: impl AsRef<[u8]>,
        key: impl Into<KeyRef<'k>>,
        f: impl FnMut(Option<Entry<T>>) -> C + Send,
    ) -> Result<Once<Updated<T>>> {
        let key = key.into();
        let decide = self.deciding(key.to_key()?, f);
        match self.modify_once(key, Some(id.as_ref()), Sight::Needed, decide)? {
            Once::Now(done) => self.updated(done).map(Once::Now),
            Once::Before(version) => Ok(Once::Before(version)),
        }
    }

    fn deciding<C: Into<Change<T>>>(
        &self,
        key: Key,
        mut f: impl FnMut(Option<Entry<T>>) -> C + Send,
    ) -> impl FnMut(Option<&Stored>) -> Result<Decision> + Send {
        let form = self.form;
        move |now: Option<&Stored>| {
            let entry = now.map(|stored| form.entry(key.clone(), stored.clone())).transpose()?;
            form.decision(f(entry).into())
        }
    }

    fn updated(&self, done: Modified) -> Result<Updated<T>> {
        let decode = |entry: &crate::entry::Entry| (self.form.decode)(entry.head.format, entry.value.clone());
        Ok(Updated {
            wrote: done.wrote,
            version: version_of(&done),
            value: done.entry.as_ref().map(decode).transpose()?,
            attributes: done.entry.map(|entry| entry.head.attributes).unwrap_or_default(),
        })
    }

    fn modify(
        &self,
        key: KeyRef<'_>,
        sight: Sight,
        decide: impl FnMut(Option<&Stored>) -> Result<Decision> + Send,
    ) -> Result<Modified> {
        match self.modify_once(key, None, sight, decide)? {
            Once::Now(done) => Ok(done),
            Once::Before(_) => unreachable!("only a call with an id is done once"),
        }
    }

    fn modify_once(
        &self,
        key: KeyRef<'_>,
        id: Option<&[u8]>,
        sight: Sight,
        mut decide: impl FnMut(Option<&Stored>) -> Result<Decision> + Send,
    ) -> Result<Once<Modified>> {
        let core = &self.table.core;
        let call = Call {
            table: &self.table,
            key: self.table.key(&key)?,
            id,
            how: core.how(),
            sight,
            right: self.right,
        };
        let done = core.modify(&call, &mut decide).map_err(|e| self.table.named(&key, e))?;
        Ok(match done {
            modify::Once::Now(done) => Once::Now(done),
            modify::Once::Before(lsn) => Once::Before(lsn.into()),
        })
    }

    fn modify_async<U>(
        &self,
        key: KeyRef<'_>,
        sight: Sight,
        mut decide: impl FnMut(Option<&Stored>) -> Result<Decision> + Send,
        make: impl FnOnce(Modified) -> U,
    ) -> Ticket<U> {
        let core = &self.table.core;
        match self.table.key(&key) {
            Ok(own) => {
                let (table, how, right) = (&self.table, core.how_async(), self.right);
                let call = Call { table, key: own, id: None, how, sight, right };
                core.modify_async(&call, &mut |now| decide(now).map_err(|e| self.table.named(&key, e)), make)
            }
            Err(e) => Ticket::answered(Err(e)),
        }
    }

    /// The keys of a range, in order; `""` for all. A moment is held from the call on: later writes are not seen.
    #[doc(alias = "ListKeysAsync")]
    #[track_caller]
    pub fn keys(&self, range: impl Into<Range>) -> Keys {
        Keys(self.table.list_now(range.into(), Location::caller()))
    }

    /// The entries of a range, in order of their keys; `""` for all. A moment is fixed at the call.
    #[track_caller]
    pub fn scan(&self, range: impl Into<Range>) -> Scan<T> {
        let listing = self.table.list_now(range.into(), Location::caller());
        Scan { listing, form: self.form }
    }

    /// Up to `limit` entries of a range behind `cursor`, which is `None` for the first page and then what the page
    /// before says. A page is never empty while it has a cursor.
    ///
    /// # Errors
    ///
    /// As [`Collection::get`].
    #[track_caller]
    pub fn page(&self, range: impl Into<Range>, cursor: Option<&Key>, limit: usize) -> Result<Page<T>> {
        let listing = self.table.list_now(range.into(), Location::caller()).after(cursor);
        let mut scan = Scan { listing, form: self.form };
        let entries: Vec<Entry<T>> = scan.by_ref().take(limit.max(1)).collect::<Result<_>>()?;
        let more = entries.len() == limit.max(1) && scan.listing.next().transpose()?.is_some();
        let cursor = entries.last().filter(|_| more).map(|entry| entry.key.clone());
        Ok(Page { entries, cursor })
    }

    /// Every version of a key, newest first, removals included, with who wrote it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`], [`ErrorKind::TooLarge`]: no key. Each item may be an error of its own.
    #[doc(alias = "ListVersionsAsync")]
    pub fn versions<'k>(&self, key: impl Into<KeyRef<'k>>) -> Result<Versions> {
        self.table.versions(&key.into()).map(Versions)
    }
}

impl Collection<i64> {
    /// Adds to a number, which counts as 0 where none stands, and answers the sum. Durable on return.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotANumber`], [`ErrorKind::Overflow`]; otherwise as [`Collection::set`].
    #[doc(alias = "IncrementAsync")]
    pub fn increment<'k>(&self, key: impl Into<KeyRef<'k>>, by: i64) -> Result<i64> {
        let (mut sum, form) = (0, self.form);
        self.modify(key.into(), Sight::Needed, |now: Option<&Stored>| {
            sum = added(now, by)?;
            form.wanted(&sum).map(Decision::Put)
        })?;
        Ok(sum)
    }

    /// [`Collection::increment`], done once for each id, with the player in it: see [`Store::transaction_once`](crate::Store::transaction_once).
    ///
    /// # Errors
    ///
    /// As [`Collection::increment`].
    pub fn increment_once<'k>(
        &self,
        id: impl AsRef<[u8]>,
        key: impl Into<KeyRef<'k>>,
        by: i64,
    ) -> Result<Once<i64>> {
        let (mut sum, form) = (0, self.form);
        let done =
            self.modify_once(key.into(), Some(id.as_ref()), Sight::Needed, |now: Option<&Stored>| {
                sum = added(now, by)?;
                form.wanted(&sum).map(Decision::Put)
            })?;
        Ok(done.map(|_| sum))
    }

    /// [`Collection::increment`], handing over a ticket for the sum.
    pub fn increment_async<'k>(&self, key: impl Into<KeyRef<'k>>, by: i64) -> Ticket<i64> {
        let (mut sum, form) = (0, self.form);
        let add = |now: Option<&Stored>| {
            sum = added(now, by)?;
            form.wanted(&sum).map(Decision::Put)
        };
        self.modify_async(key.into(), Sight::Needed, add, |_| ()).map(|()| sum)
    }
}

fn added(now: Option<&Stored>, by: i64) -> Result<i64> {
    let value: Option<Value> =
        now.map(|stored| codec::decode(stored.entry.head.format, &stored.entry.value)).transpose()?;
    counter::add(value.as_ref(), by)
}

fn version_of(done: &Modified) -> Version {
    Version::from(done.version)
}
