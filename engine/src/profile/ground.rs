//! Corridor: all that profiles see of a store: versioned reads, transactions, leases, changes, and its time.
//!
//! The rooms of profiles name no other room of the engine that does anything: what they need stands in [`Ground`], and
//! [`Engine`] gives it on the collection of an open store. A test keeps it so. Profiles could stand on another engine that
//! gives the same: commits in one order with versions, fenced leases granted together with writes, and a word when mail
//! comes.

use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use savehold_wal::env::Env;
use savehold_wal::{Lsn, Placed};

use crate::acquire::Request;
use crate::at::At;
use crate::change::Once;
use crate::collection::LeaseKey;
use crate::commit::{How, NotCommitted, Patience};
use crate::core::Stored;
use crate::draft::{Draft, Write};
use crate::duty::Duty;
use crate::entry::Entry;
use crate::error::{Error, ErrorKind, Result};
use crate::format::Format;
use crate::guard::{self, Inside};
use crate::holder::{Holder, Start};
use crate::ids::Token;
use crate::key::{FullKey, Key, KeyRef};
use crate::lease::{Claim, Lease};
use crate::limits::MAIL_COUNT_MAX;
use crate::listing::Versions;
use crate::memory::{Hears, Memory};
use crate::modify::Wanted;
use crate::name::CollectionName;
use crate::range::Range;
use crate::record::{Author, Cause};
use crate::standing::Standing;
use crate::store::Store;
use crate::table::{Listing, Table};
use crate::ticket::Ticket;
use crate::txn::{Done, Message, Ran, Tx};

/// A save of one key under the token of a lease.
pub(super) struct Save<'a> {
    pub(super) full: &'a FullKey,
    /// The version that it may replace.
    pub(super) seen: Lsn,
    pub(super) entry: Entry,
    pub(super) token: Token,
    pub(super) cause: Cause,
    /// What changes in memory with it.
    pub(super) memory: &'a dyn Memory,
}

/// Why a save got no place.
pub(super) enum NotSaved {
    /// Something else stands there, or memory has changed.
    Conflict,
    /// The token is refused.
    Barred(Error),
    Failed(Error),
}

/// What profiles stand on: one collection of a store.
pub(super) trait Ground: Clone + Send + Sync + 'static {
    // --- names

    /// The collection.
    fn name(&self) -> &CollectionName;

    /// A key, to be kept.
    fn key(&self, key: &KeyRef<'_>) -> Result<Key>;

    /// A key as it is leased and written.
    fn full(&self, key: &KeyRef<'_>) -> Result<FullKey>;

    /// An error about a key says which.
    fn named(&self, key: &KeyRef<'_>, e: Error) -> Error;

    // --- versioned reads

    /// What readers see now.
    fn get(&self, key: &KeyRef<'_>) -> Result<Option<Stored>>;

    /// What stood there at a moment.
    fn get_at(&self, key: &KeyRef<'_>, at: &At) -> Result<Option<Stored>>;

    /// Every version, newest first.
    fn versions(&self, key: &KeyRef<'_>) -> Result<Versions>;

    /// The keys behind `after`, as readers see them now.
    fn list(&self, after: Option<&Key>) -> Listing;

    // --- transactions

    /// Runs `f` as a transaction and waits for the answer; once, where there is an id.
    fn transaction<R, E: From<Error>>(
        &self,
        id: Option<&[u8]>,
        f: impl FnMut(&Tx<'_>) -> Result<R, E>,
    ) -> Result<Once<Done<R>>, E>;

    /// Runs `f` as a transaction and does not wait.
    fn transact<R, E>(&self, how: How, f: impl FnMut(&Tx<'_>) -> Result<R, E>) -> Ran<R, E>;

    /// Places a save.
    fn save(&self, save: Save<'_>, how: How) -> Result<Placed, NotSaved>;

    /// How calls commit: those that wait, and those that hand over a ticket.
    fn how(&self, patience: Patience) -> How;

    /// Refuses a transaction of another store.
    fn check_of(&self, tx: &Tx<'_>) -> Result<()>;

    /// What stands under a key, to a transaction.
    fn standing(&self, tx: &Tx<'_>, key: &KeyRef<'_>) -> Result<Standing>;

    /// Writes a key by a transaction.
    fn put(&self, tx: &Tx<'_>, key: &KeyRef<'_>, wanted: Wanted) -> Result<()>;

    /// Removes a key by a transaction; answers whether anything stood there.
    fn remove(&self, tx: &Tx<'_>, key: &KeyRef<'_>) -> Result<bool>;

    /// Notes by a transaction that the profile of a key was wiped, where there ever was one.
    fn mark_wiped(&self, tx: &Tx<'_>, key: &KeyRef<'_>) -> Result<()>;

    /// Whether the profile of a key was ever wiped, to a transaction.
    fn was_wiped(&self, tx: &Tx<'_>, key: &KeyRef<'_>) -> Result<bool>;

    // --- answers

    /// Waits until what was placed is as durable as the store's level says, and longer where commits are held back.
    fn answer(&self, placed: Placed) -> Result<()>;

    /// Waits until what was placed is as durable as the store's level says.
    fn wait(&self, placed: Placed) -> Result<()>;

    /// Waits until what was decided on this version may be told.
    fn wait_for(&self, lsn: Lsn) -> Result<()>;

    /// The same as a ticket.
    fn told<T>(&self, lsn: Lsn, answer: Result<T>) -> Ticket<T>;

    /// Sees to it that what was placed gets its answer, and hands over a ticket.
    fn settle<T>(&self, placed: Placed, answer: T) -> Ticket<T>;

    /// How far everything has its answer.
    fn acknowledged(&self) -> Lsn;

    /// Why the store takes nothing more.
    fn failure(&self) -> Option<Error>;

    // --- leases and mail

    /// A request for the lease on a key.
    fn request(&self, holder: &Holder, key: &Key, start: Start) -> Result<Request>;

    /// The lease that stands on a key.
    fn leased(&self, full: &FullKey) -> Option<Arc<Lease>>;

    /// Sends a message to a key by a transaction.
    fn send(&self, tx: &Tx<'_>, key: &KeyRef<'_>, message: (Format, bytes::Bytes)) -> Result<()>;

    /// The message to a key that is next.
    fn first_mail(&self, tx: &Tx<'_>, key: &KeyRef<'_>) -> Result<Option<Message>>;

    /// Takes it, by a transaction.
    fn take_mail(&self, tx: &Tx<'_>, key: &KeyRef<'_>) -> Result<Option<Message>>;

    /// How many wait.
    fn count_mail(&self, tx: &Tx<'_>, key: &KeyRef<'_>) -> Result<u64>;

    /// Takes one out by hand, and notes why.
    fn discard_mail(&self, tx: &Tx<'_>, key: &KeyRef<'_>, number: u64, reason: &str) -> Result<bool>;

    /// Takes all out by hand, damaged ones too; answers whether any was there.
    fn clear_mail(&self, tx: &Tx<'_>, key: &KeyRef<'_>, reason: &str) -> Result<bool>;

    // --- changes, and time

    /// Has `who` told of mail, and looked after as long as somebody else keeps it.
    fn attend(&self, who: &Arc<impl Duty + Hears + 'static>) -> Result<()>;

    /// Something is to be looked at now.
    fn ring(&self);

    /// Something falls due then (boot clock).
    fn ring_by(&self, at: Duration);

    /// The clock of deadlines.
    fn boot(&self) -> Duration;

    /// The clock of versions, microseconds since 1970.
    fn time_us(&self) -> u64;

    /// Clocks, chance and threads.
    fn env(&self) -> &Env;

    /// Counts a failure of the program's own code of which nobody is told who called.
    fn note_failure(&self, e: Error);

    /// Refuses a call from inside a closure that the store runs.
    fn check_outside(&self) -> Result<()>;

    /// From now on this thread runs the program's code.
    fn enter(&self) -> Inside;

    /// [`Ground::enter`], for another thread that has nothing else of the store.
    fn enter_elsewhere(&self) -> impl FnOnce() -> Inside + Send + 'static;
}

/// A collection of an open store.
#[derive(Clone)]
pub(crate) struct Engine(Table);

impl Engine {
    /// The collection `name`, for a holder of the same store.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`]: the holder is of another one.
    pub(super) fn new(store: &Store, name: CollectionName, holder: &Holder) -> Result<Self> {
        if Arc::ptr_eq(&holder.0.core, &store.core) {
            return Ok(Self(Table::new(store.core.clone(), name)));
        }
        let say = "the holder is of another store: take it from the store that the profiles are of";
        Err(Error::new(ErrorKind::Invalid, say).within(&name))
    }
}

impl Ground for Engine {
    fn name(&self) -> &CollectionName {
        &self.0.name
    }

    fn key(&self, key: &KeyRef<'_>) -> Result<Key> {
        self.0.key(key)
    }

    fn full(&self, key: &KeyRef<'_>) -> Result<FullKey> {
        Ok((self.0.ensure_id()?, self.0.key(key)?))
    }

    fn named(&self, key: &KeyRef<'_>, e: Error) -> Error {
        self.0.named(key, e)
    }

    fn get(&self, key: &KeyRef<'_>) -> Result<Option<Stored>> {
        self.0.get_now(key)
    }

    fn get_at(&self, key: &KeyRef<'_>, at: &At) -> Result<Option<Stored>> {
        self.0.get_at(key, at)
    }

    fn versions(&self, key: &KeyRef<'_>) -> Result<Versions> {
        self.0.versions(key).map(Versions)
    }

    fn list(&self, after: Option<&Key>) -> Listing {
        self.0.list_now(<Range as From<&str>>::from(""), Location::caller()).after(after)
    }

    fn transaction<R, E: From<Error>>(
        &self,
        id: Option<&[u8]>,
        f: impl FnMut(&Tx<'_>) -> Result<R, E>,
    ) -> Result<Once<Done<R>>, E> {
        self.0.core.transaction(id, f)
    }

    fn transact<R, E>(&self, how: How, f: impl FnMut(&Tx<'_>) -> Result<R, E>) -> Ran<R, E> {
        self.0.core.transact(None, how, f)
    }

    fn save(&self, save: Save<'_>, how: How) -> Result<Placed, NotSaved> {
        let Save { full, seen, entry, token, cause, memory } = save;
        let claim = Claim { tokens: vec![token], ..Claim::default() };
        let author = self.0.core.author(None).map_err(NotSaved::Failed)?;
        let draft = Draft {
            author: Author { cause, token: Some(token), ..author },
            writes: &[(full.clone(), Write::Put(entry))],
            reads: &[(full.clone(), seen)],
            ranges: &[],
            moment: seen,
            remembered: &[],
            claim: Some(&claim),
            memory: Some(memory),
        };
        self.0.core.place(&draft, how).map_err(|e| match e {
            NotCommitted::Conflict(_) => NotSaved::Conflict,
            NotCommitted::Barred(_, e, _) => NotSaved::Barred(e),
            NotCommitted::Failed(e) => NotSaved::Failed(e),
        })
    }

    fn how(&self, patience: Patience) -> How {
        How { patience, ..self.0.core.how() }
    }

    fn check_of(&self, tx: &Tx<'_>) -> Result<()> {
        self.0.check_of(tx.core())
    }

    fn standing(&self, tx: &Tx<'_>, key: &KeyRef<'_>) -> Result<Standing> {
        tx.standing_of(&self.0, key)
    }

    fn put(&self, tx: &Tx<'_>, key: &KeyRef<'_>, wanted: Wanted) -> Result<()> {
        tx.put_wanted(&self.0, key, wanted)
    }

    fn remove(&self, tx: &Tx<'_>, key: &KeyRef<'_>) -> Result<bool> {
        tx.remove_from(&self.0, key)
    }

    fn mark_wiped(&self, tx: &Tx<'_>, key: &KeyRef<'_>) -> Result<()> {
        tx.mark_wiped(&self.0, key)
    }

    fn was_wiped(&self, tx: &Tx<'_>, key: &KeyRef<'_>) -> Result<bool> {
        tx.was_wiped(&self.0, key)
    }

    fn answer(&self, placed: Placed) -> Result<()> {
        self.0.core.answer(placed)
    }

    fn wait(&self, placed: Placed) -> Result<()> {
        Ok(self.0.core.wal.wait(placed)?)
    }

    fn wait_for(&self, lsn: Lsn) -> Result<()> {
        self.0.core.wait_for(lsn)
    }

    fn told<T>(&self, lsn: Lsn, answer: Result<T>) -> Ticket<T> {
        self.0.core.told_with(lsn, answer)
    }

    fn settle<T>(&self, placed: Placed, answer: T) -> Ticket<T> {
        Ticket::waiting(self.0.core.wal.settle(placed), Ok(answer))
    }

    fn acknowledged(&self) -> Lsn {
        self.0.core.wal.acknowledged()
    }

    fn failure(&self) -> Option<Error> {
        self.0.core.wal.failure().map(Error::from)
    }

    fn request(&self, holder: &Holder, key: &Key, start: Start) -> Result<Request> {
        let key = LeaseKey { collection: self.0.name.clone(), key: Ok(key.clone()) };
        Request::new(holder, [key], start)
    }

    fn leased(&self, full: &FullKey) -> Option<Arc<Lease>> {
        self.0.core.leases.lock().table.of_key(full).cloned()
    }

    fn send(&self, tx: &Tx<'_>, key: &KeyRef<'_>, message: (Format, bytes::Bytes)) -> Result<()> {
        tx.send_mail(&self.0, key, message, MAIL_COUNT_MAX)?;
        tx.posted(self.full(key)?);
        Ok(())
    }

    fn first_mail(&self, tx: &Tx<'_>, key: &KeyRef<'_>) -> Result<Option<Message>> {
        tx.first_mail(&self.0, key)
    }

    fn take_mail(&self, tx: &Tx<'_>, key: &KeyRef<'_>) -> Result<Option<Message>> {
        tx.take_mail(&self.0, key)
    }

    fn count_mail(&self, tx: &Tx<'_>, key: &KeyRef<'_>) -> Result<u64> {
        tx.count_mail(&self.0, key)
    }

    fn discard_mail(&self, tx: &Tx<'_>, key: &KeyRef<'_>, number: u64, reason: &str) -> Result<bool> {
        tx.discard_mail(&self.0, key, number, reason)
    }

    fn clear_mail(&self, tx: &Tx<'_>, key: &KeyRef<'_>, reason: &str) -> Result<bool> {
        tx.clear_mail(&self.0, key, reason)
    }

    fn attend(&self, who: &Arc<impl Duty + Hears + 'static>) -> Result<()> {
        self.0.core.add_duty(who)?;
        self.0.core.add_hearer(who);
        Ok(())
    }

    fn ring(&self) {
        self.0.core.bell.ring();
    }

    fn ring_by(&self, at: Duration) {
        self.0.core.bell.ring_by(at);
    }

    fn boot(&self) -> Duration {
        self.0.core.boot()
    }

    fn time_us(&self) -> u64 {
        self.0.core.wal.time_us()
    }

    fn env(&self) -> &Env {
        self.0.core.wal.env()
    }

    fn note_failure(&self, e: Error) {
        self.0.core.hook_failures.note(e);
    }

    fn check_outside(&self) -> Result<()> {
        guard::check(self.0.core.number())
    }

    fn enter(&self) -> Inside {
        guard::enter(self.0.core.number())
    }

    fn enter_elsewhere(&self) -> impl FnOnce() -> Inside + Send + 'static {
        let number = self.0.core.number();
        move || guard::enter(number)
    }
}
