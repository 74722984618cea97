//! Corridor: opening a store, and what spans its collections.

use std::fmt;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use savehold_wal::backup::check_apart;
use savehold_wal::env::Env;
use savehold_wal::{RecoveryReport, Verify, Wal};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::archiving::Archiving;
use crate::attributes::UserId;
use crate::batch::Batch;
use crate::change::{Once, Outcome};
use crate::collection::Collection;
use crate::core::{Core, damaged, seen};
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::{Error, Result};
use crate::form::Form;
use crate::ids::{CollectionId, Version};
use crate::inner_key;
use crate::listing::KeysOf;
use crate::load::Replaying;
use crate::modify::Right;
use crate::name::CollectionName;
#[cfg(doc)]
use crate::options::Control;
use crate::options::{ARCHIVE_INTERVAL, Options};
use crate::range::Range;
use crate::recovery::recover;
use crate::share::Share;
use crate::stats::Stats;
use crate::table::Table;
use crate::ticket::Ticket;
use crate::txn::{Done, Ran, Tx};
use crate::value::Value;

mod compact;
mod retention;
mod sessions;

/// An open store. Cheap to clone, usable from any thread; closing it, or dropping the last handle, makes everything
/// durable and gives the directory up.
#[derive(Clone)]
pub struct Store {
    pub(crate) core: Share,
}

impl Store {
    /// Opens the store in the directory `path`, making it if it is missing. One process has it at a time. A relative path is
    /// what it means now: the process may work in another directory later.
    ///
    /// When it returns, everything that was ever acknowledged as durable is there. Where the disk is too full to recover,
    /// the store is open to read only: see [`Store::read_only`].
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Locked`]: another handle has it, and kept it for 5 s; the message names its process.
    /// - [`ErrorKind::Foreign`], [`ErrorKind::Format`]: not a store, or a newer one; nothing was touched.
    /// - [`ErrorKind::Corrupt`]: something acknowledged is missing; the message names file, offset and command.
    /// - [`ErrorKind::Invalid`]: the path is empty.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Options::new().open(path)
    }

    /// A store that lives in memory, on a simulated disk, by the same code: for tests and trials. Gone when closed.
    ///
    /// # Errors
    ///
    /// None but [`ErrorKind::Io`]: the system gives no threads.
    pub fn in_memory() -> Result<Self> {
        Options::new().open_in(savehold_wal::sim::memory(), Path::new("/memory"))
    }

    /// The collection `name` of values of type `T`, stored as MessagePack with the names of fields. It comes to be with
    /// the first write.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`], [`ErrorKind::TooLarge`]: no name for a collection.
    #[doc(alias = "GetDataStore")]
    pub fn collection<T: Serialize + DeserializeOwned>(&self, name: &str) -> Result<Collection<T>> {
        self.collection_as(name, Form::TYPED)
    }

    /// The collection `name` of plain bytes.
    ///
    /// # Errors
    ///
    /// As [`Store::collection`].
    pub fn raw(&self, name: &str) -> Result<Collection<Bytes>> {
        self.collection_as(name, Form::RAW)
    }

    /// The collection `name` as tools see it: values of any type, those of [`Store::raw`] as [`Value::Bytes`], which
    /// are written raw again.
    ///
    /// # Errors
    ///
    /// As [`Store::collection`].
    pub fn any(&self, name: &str) -> Result<Collection<Value>> {
        self.collection_as(name, Form::ANY)
    }

    fn collection_as<T>(&self, name: &str, form: Form<T>) -> Result<Collection<T>> {
        let name = CollectionName::new(name)?;
        Ok(Collection { table: Table::new(self.core.clone(), name), form, right: Right::default() })
    }

    /// Names of all collections that were ever written to, in order.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Damaged`], [`ErrorKind::Io`].
    #[doc(alias = "ListDataStoresAsync")]
    #[track_caller]
    pub fn collections(&self) -> Result<Vec<String>> {
        let hold = self.core.hold_now(Location::caller());
        Ok(self.core.collections(hold.moment)?.into_iter().map(|(name, _)| name).collect())
    }

    /// Every key whose value carries the user id `user`, with the name of its collection, as of now: what a user may ask
    /// for, or ask to be erased. Kept up by every write in the same commit; values are not read.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`], [`ErrorKind::TooLarge`]: no user id. [`ErrorKind::Io`].
    #[track_caller]
    pub fn keys_of(&self, user: impl Into<UserId>) -> Result<KeysOf> {
        let user = user.into();
        user.check()?;
        let table = Table::own(self.core.clone(), CollectionId::USER, "$user");
        let range = Range::prefix(inner_key::tags_of(user.as_str()));
        let tags = table.list_now(range, Location::caller());
        let names = self.core.collections(tags.moment())?.into_iter().map(|(name, id)| (id, name)).collect();
        Ok(KeysOf { tags, names })
    }

    /// Runs `f` over any keys and collections and commits what it wrote as one record: serializable, all or nothing.
    /// Durable on return.
    ///
    /// All reads of a run see one moment, and the run's own writes. `f` runs with no lock held, and again after a
    /// conflict, then in turn. Its error, or a panic, changes nothing. Whatever it answers is told only once everything
    /// that it saw is durable.
    ///
    /// # Errors
    ///
    /// What `f` answers; and as [`Collection::set`].
    pub fn transaction<R, E: From<Error>>(
        &self,
        f: impl FnMut(&Tx<'_>) -> Result<R, E>,
    ) -> Result<Done<R>, E> {
        match self.core.transaction(None, f)? {
            Once::Now(done) => Ok(done),
            Once::Before(_) => unreachable!("only a call with an id is done once"),
        }
    }

    /// [`Store::transaction`], done once for each id: put into it whom it is for, as in `receipt-1-42`, `daily-2026-11-28-42`.
    /// Ids are those of the whole store: `f` does not run where a commit with this id is known, whatever it wrote.
    ///
    /// An id is known for [`Store::outcomes_kept`], 7 days by default; given again later it applies again. A shop may repeat
    /// a receipt weeks later: [`Store::set_outcomes_kept`] for as long as it may, or note the receipt in the profile too.
    ///
    /// # Errors
    ///
    /// As [`Store::transaction`].
    pub fn transaction_once<R, E: From<Error>>(
        &self,
        id: impl AsRef<[u8]>,
        f: impl FnMut(&Tx<'_>) -> Result<R, E>,
    ) -> Result<Once<Done<R>>, E> {
        self.core.transaction(Some(id.as_ref()), f)
    }

    /// [`Store::transaction`], handing over a ticket; `f` has run and has its place in the log when this returns.
    pub fn transaction_async<R>(&self, f: impl FnMut(&Tx<'_>) -> Result<R>) -> Ticket<Done<R>> {
        let core = &*self.core;
        match core.transact(None, core.how_async(), f) {
            Ran::Placed(placed, done) => Ticket::waiting(core.ticket(placed), Ok(done)),
            Ran::Read(lsn, done) => core.told_with(lsn, Ok(done)),
            Ran::Before(_) => unreachable!("only a call with an id is done once"),
            Ran::Refused(lsn, e) | Ran::Barred(lsn, e) => core.told_with(lsn, Err(e)),
            Ran::Failed(e) => Ticket::answered(Err(e)),
        }
    }

    /// Blind writes to any keys, to be committed as one record.
    pub fn batch(&self) -> Batch {
        Batch::new(self.core.clone())
    }

    /// What became of the commit with this idempotency id, or of the commit that an
    /// [`Unknown`](ErrorKind::Unknown) error named by its version; after a crash too.
    ///
    /// An id that nobody knows is `NotCommitted` as long as no id was ever forgotten. Afterwards it is `Forgotten`: it may be
    /// one of those, and nothing is kept that could tell. [`Store::forgotten_through`] says which commits that concerns; a
    /// repair that finds commits lost forgets their ids. A version is `Forgotten` only where compaction dropped whole records
    /// of the file that it lies in, or where a repair found it lost. An id that a restore undid is `Forgotten` too, as soon as
    /// one behind the restore was: it may have been applied again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unknown`]: a write failed, and only reopening tells. [`ErrorKind::Damaged`]: something stands there, and
    /// it cannot be read; or a version was given that never was one.
    pub fn outcome(&self, of: impl Into<Doubt>) -> Result<Outcome> {
        match of.into() {
            Doubt::Id(id) => match self.core.index.newest(CollectionId::ONCE.0, &id)? {
                Some(found) => self.core.wait_for(found.lsn).map(|()| Outcome::Committed(found.lsn.into())),
                None => match self.core.undone_id(&id)? {
                    Some(version) => Ok(Outcome::Undone(version)),
                    None if self.core.forgotten().is_some() => Ok(Outcome::Forgotten),
                    None => Ok(Outcome::NotCommitted),
                },
            },
            Doubt::Version(version) => self.outcome_of(version),
        }
    }

    fn outcome_of(&self, version: Version) -> Result<Outcome> {
        let lsn = version.lsn();
        if self.core.wal.undone(lsn).is_some() {
            return Ok(Outcome::Undone(version));
        }
        self.core.wait_until_shown(lsn);
        if lsn > self.core.visible() && lsn <= self.core.sequenced() {
            self.core.wal.wait(seen(lsn))?;
        }
        match self.core.wal.read_head(lsn) {
            Ok(_) => Ok(Outcome::Committed(version)),
            Err(e) if e.kind() == savehold_wal::ErrorKind::Gone => {
                match self.core.wal.may_be_given_up(lsn)? {
                    true => Ok(Outcome::Forgotten),
                    false => Ok(Outcome::NotCommitted),
                }
            }
            Err(e) if e.kind() == savehold_wal::ErrorKind::Corrupt => Err(damaged(lsn, e)),
            Err(e) => Err(e.into()),
        }
    }

    /// Makes everything durable that was committed so far, buffered commits too.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Halted`], [`ErrorKind::Unknown`].
    pub fn sync(&self) -> Result<Version> {
        Ok(self.core.wal.sync()?.into())
    }

    /// Why the store is open to read only, if it is: opening after an unclean stop found no space on the disk, and the
    /// message says how many bytes it needs; or nothing in its directory can be written, and
    /// [`Options::unwritable`](crate::Options::unwritable) has it read all the same. Reads, history and listings work; every
    /// write answers this error, and nothing was changed. Once it is mended, closing and opening again recovers fully.
    #[must_use]
    pub fn read_only(&self) -> Option<Error> {
        self.core.wal.read_only().map(Error::from)
    }

    /// What opening found and did.
    #[must_use]
    pub fn recovery(&self) -> RecoveryReport {
        self.core.wal.report()
    }

    /// What openings after unclean stops found, newest last; the newest 20 are kept.
    #[must_use]
    pub fn recoveries(&self) -> Vec<RecoveryReport> {
        self.core.wal.reports()
    }

    /// Engine time, microseconds since 1970: never falls, whatever the wall clock does.
    #[must_use]
    pub fn time_us(&self) -> u64 {
        self.core.wal.time_us()
    }

    /// Engine time of a commit, microseconds since 1970; `None` outside the log.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`].
    pub fn time_of(&self, version: Version) -> Result<Option<u64>> {
        Ok(self.core.wal.time_of(version.lsn())?)
    }

    /// The newest version that readers see.
    #[must_use]
    pub fn version(&self) -> Version {
        self.core.visible().into()
    }

    /// Where the store stands, and what it did since it was opened.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let core = &*self.core;
        let log = core.wal.stats();
        let [packed_segments, packed_bytes, freed_bytes] = core.packer.counts();
        let (hook_failures, hook_failure) = core.hook_failures.all();
        Stats {
            keys: core.index.keys(),
            versions: core.index.versions_total(),
            index_bytes: core.index.memory_bytes() as u64,
            commits: log.records,
            conflicts: core.conflicts.load(Ordering::Relaxed),
            groups: log.groups,
            syncs: log.syncs,
            log_bytes_written: log.bytes,
            log_bytes: log.capacity,
            segments: log.segments,
            dead_bytes: core.dead_bytes().unwrap_or(0),
            oldest_file: core.oldest_file(),
            packed_segments,
            packed_bytes,
            freed_bytes,
            packing_failure: core.packer.failure.lock().clone(),
            thinning_failure: core.unread().or_else(|| core.tending_failure.lock().clone()),
            hook_failures,
            hook_failure,
            snapshots: core.moments.count() as u64,
            open_snapshots: core.moments.open(core.wal.env().clock.monotonic()),
            every_moment_from: core.moments.terms().every.into(),
            oldest_moment: core.oldest_moment(),
            durable: log.durable.into(),
            commit_latency: core.commits.read(),
            archive: core.archive.get().map(|archive| archive.stats(&core.wal)),
            estimated_recovery: core.estimated_recovery(),
            tables: core.index.layers().tables.len() as u64,
            table_bytes: core.index.layers().tables.iter().map(|table| table.bytes()).sum(),
            tables_remade: core.remade.load(Ordering::Relaxed),
            checkpoints: core.checkpoints.load(Ordering::Relaxed),
            held_back: core.held_back.load(Ordering::Relaxed),
            held_back_for_space: core.held_back_for_space.load(Ordering::Relaxed),
            reclaimable_bytes: core.waste.could_go(log.accepted),
        }
    }

    /// Background work that is due, in a simulation without threads; says when something will be next.
    #[doc(hidden)]
    pub fn tick(&self) -> Option<Duration> {
        self.core.tick()
    }

    /// Where the command line is answered; `None` where it was not asked for ([`Control::Off`], a store in memory).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`]: why it could not be had. All else works.
    pub fn control(&self) -> Result<Option<PathBuf>> {
        match self.core.desk.get() {
            None => Ok(None),
            Some(Ok(desk)) => Ok(Some(desk.path().to_owned())),
            Some(Err(e)) => Err(e.clone()),
        }
    }

    /// The log under the store, for tools.
    #[doc(hidden)]
    #[must_use]
    pub fn log(&self) -> &Wal {
        &self.core.wal
    }

    /// Makes everything durable and gives the directory up, whoever else has a handle: their calls answer `Closed`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Halted`], [`ErrorKind::Unknown`]: a write or sync failed, now or earlier.
    pub fn close(self) -> Result<()> {
        self.core.close()
    }
}

impl Options {
    /// Opens the store in `root` of the world `env`: the steps of recovery.
    ///
    /// # Errors
    ///
    /// As [`Store::open`].
    #[doc(hidden)]
    pub fn open_in(self, env: Env, root: &Path) -> Result<Store> {
        self.check()?;
        let archive = self.archive.as_deref().map(|to| env.full_path(to)).transpose()?;
        if let Some(to) = &archive {
            check_apart(&env, &env.full_path(root)?, to)?; // said now, not as a failure in the background
        }
        let wal = Wal::open_in(env, root, self.wal.clone())?;
        let verify = if self.verify { Verify::Bodies } else { Verify::Heads };
        let replaying = Replaying { verify, threads: self.threads, memory_bytes: self.memory_budget };
        let recovered = recover(&wal, replaying)?;
        let (packing, interval) = (self.archive_packing, self.archive_interval.unwrap_or(ARCHIVE_INTERVAL));
        let core = Arc::new(Core::new(wal, recovered, replaying, self));
        core.note_leap();
        core.on_sound_tables(Core::restore_leases)?;
        core.begin_upkeep()?;
        if let Some(to) = &archive {
            let noting = Arc::downgrade(&core);
            let note = move || noting.upgrade().map(|core| core.noted()).unwrap_or_default();
            let archive = Archiving::new(core.wal.env(), to, packing, interval, Box::new(note));
            core.begin_archive(archive, Core::thin_archive)?;
        }
        Ok(Store { core: Share::from(&core) })
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.core.wal.root().display())
    }
}

/// A commit whose outcome is asked for: by its idempotency id, or by its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The id that it carried.
    Id(Vec<u8>),
    /// The version that an error named.
    Version(Version),
}

impl From<&str> for Doubt {
    fn from(id: &str) -> Self {
        Self::Id(id.as_bytes().to_vec())
    }
}

impl From<&[u8]> for Doubt {
    fn from(id: &[u8]) -> Self {
        Self::Id(id.to_vec())
    }
}

impl From<&String> for Doubt {
    fn from(id: &String) -> Self {
        Self::Id(id.as_bytes().to_vec())
    }
}

impl From<Version> for Doubt {
    fn from(version: Version) -> Self {
        Self::Version(version)
    }
}

const _: () = {
    const fn shared<T: Clone + Send + Sync>() {}
    shared::<Store>();
    shared::<Collection<Bytes>>();
};
