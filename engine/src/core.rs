//! Door: the state that all handles of one open store share, and reading from it.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use bytes::Bytes;
use savehold_wal::env::Threads;
use savehold_wal::sync::{Mutex, NewLine};
use savehold_wal::{Durability, Lsn, Wal, schedule};

use crate::archiving::Archiving;
use crate::bar::Bar;
use crate::bell::Bell;
use crate::caught::Failures;
use crate::debt::{Debt, Due, Unchanged};
use crate::desk::Desk;
use crate::duty::Upkeep;
use crate::entry::Entry;
use crate::error::{Error, ErrorKind, Result};
use crate::estimate::Rates;
use crate::horizon::{Horizon, before};
use crate::ids::{CollectionId, Version};
use crate::index::{Direction, Index, KeyRange, Kind, Page, TailIndex, VersionRef};
use crate::key::FullKey;
use crate::leases::Leases;
use crate::load::Replaying;
use crate::memory::Hears;
use crate::moments::{Moments, Paging};
use crate::options::Options;
use crate::origin::Origins;
use crate::packer::Packer;
use crate::planted::{self, Fault};
use crate::recovery::Recovered;
use crate::retention::Looked;
use crate::shelf::Shelf;
use crate::stats::Latencies;
use crate::turn::Turns;
use crate::waste::Waste;

/// Versions that an error about a damaged one looks through for one that can be read.
const OLDER_MAX: usize = 1 << 10;

/// The state of one open store. What every commit writes stands on cache lines of its own.
#[repr(C)]
pub(crate) struct Core {
    // constant after open
    pub(crate) wal: Wal,
    pub(crate) durability: Durability,
    pub(crate) origins: Origins,

    pub(crate) index: Index,
    pub(crate) turns: Turns,
    pub(crate) bar: Bar,
    pub(crate) leases: Leases,
    /// Wakes who does what falls due by itself.
    pub(crate) bell: Arc<Bell>,
    /// Wakes who writes index tables.
    pub(crate) index_bell: Arc<Bell>,
    pub(crate) upkeep: Upkeep,
    /// Who is told of mail.
    pub(crate) hearers: Mutex<Vec<Weak<dyn Hears>>>,
    /// The archive, where the options ask for one.
    pub(crate) archive: OnceLock<Arc<Archiving>>,

    // what a restart costs, and what keeps that bounded
    pub(crate) shelf: Shelf,
    pub(crate) packer: Packer,
    pub(crate) rates: Rates,
    /// How long a restart may take, and how much memory the index.
    pub(crate) budget: Due,
    /// What may be due before a checkpoint begins.
    pub(crate) due: Due,
    pub(crate) replaying: Replaying,
    /// What was due when it was last looked at, and since when.
    pub(crate) unchanged: Mutex<Unchanged>,
    pub(crate) closing: AtomicBool,
    /// The thread for the index is at work, and not a call that waits.
    pub(crate) at_leisure: AtomicBool,
    /// Handles that programs have.
    pub(crate) shares: AtomicUsize,
    /// It was closed.
    pub(crate) closed: AtomicBool,
    pub(crate) checkpoints: AtomicU64,
    /// Why what was due for tables was not done the last time, if so.
    pub(crate) tending_failure: Mutex<Option<Error>>,
    /// What failed of the program's own code where nobody waits for it.
    pub(crate) hook_failures: Failures,
    /// Tables that were made anew since open.
    pub(crate) remade: AtomicU64,
    /// What could go of the log, and commits that were held back: for the index, and for space.
    pub(crate) waste: Waste,
    pub(crate) held_back: AtomicU64,
    pub(crate) held_back_for_space: AtomicU64,

    /// The moments that somebody holds open.
    pub(crate) moments: Arc<Moments>,
    /// Moments that clients read page by page.
    pub(crate) paging: Paging,
    /// When it was last looked how much has lapsed.
    pub(crate) looked: Mutex<Looked>,

    /// What answers the command line, or why nothing does; empty where it was not asked for.
    pub(crate) desk: OnceLock<Result<Desk>>,

    // written by every commit, under `order`
    ordered: NewLine,
    /// Commit order: validating, placing and applying happen under it. In it is the tail of the index, into which commits go.
    pub(crate) order: Mutex<Arc<TailIndex>>,
    pub(crate) horizon: Horizon,
    pub(crate) debt: Debt,

    // written by every commit, outside it
    counted: NewLine,
    pub(crate) commits: Latencies,
    pub(crate) conflicts: AtomicU64,
}

/// A version with what stands in it.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) lsn: Lsn,
    pub(crate) entry: Entry,
}

/// What a read of one key saw.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The newest version, a removal too; [`Lsn::NONE`] where there is none.
    pub(crate) lsn: Lsn,
    /// The value, if there is one.
    pub(crate) stored: Option<Stored>,
}

impl Core {
    pub(crate) fn new(wal: Wal, recovered: Recovered, replaying: Replaying, options: Options) -> Self {
        let Recovered { index, shelf, tail, rates, damage } = recovered;
        let debt = Debt::default();
        let replay_ps = rates.replay_ps(tail.replayed.bytes, tail.versions);
        debt.add(Due { replay_ps, memory: index.tail().memory_bytes() as u64 });
        let (memory, budget) = (options.memory_budget, options.recovery_budget);
        let budget_ps = u64::try_from(budget.as_nanos()).unwrap_or(u64::MAX).saturating_mul(1000);
        let horizon = Horizon::new(before(wal.acknowledged()));
        let order = Mutex::new(index.tail());
        let moments: Arc<Moments> = Arc::default();
        let terms = shelf.manifest.lock().terms.clone();
        let Ok(_) = moments.change(|_, _| Ok::<_, Infallible>(terms));
        let leases = Leases::new(wal.env().entropy.next_u64());
        let waste = {
            let manifest = shelf.manifest.lock();
            let listed = manifest.tables.iter().flat_map(|table| &table.listed).map(|(_, bytes)| bytes).sum();
            Waste::new(listed, manifest.through().max(wal.span().start))
        };
        Self {
            wal,
            durability: options.durability,
            origins: Origins::new(options.origin),
            index,
            turns: Turns::default(),
            bar: Bar::default(),
            leases,
            bell: Arc::default(),
            index_bell: Arc::default(),
            upkeep: Upkeep::default(),
            hearers: Mutex::default(),
            archive: OnceLock::new(),
            shelf,
            packer: Packer::default(),
            rates,
            budget: Due { replay_ps: budget_ps, memory },
            // the tail, the one that is being written out, and what listings keep in order beside each
            due: Due { replay_ps: rates.due_ps(budget), memory: memory / 4 },
            replaying,
            unchanged: Mutex::default(),
            closing: AtomicBool::new(false),
            at_leisure: AtomicBool::new(false),
            shares: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            checkpoints: AtomicU64::new(0),
            tending_failure: Mutex::default(),
            hook_failures: Failures::default(),
            remade: AtomicU64::new(damage.len() as u64),
            waste,
            held_back: AtomicU64::new(0),
            held_back_for_space: AtomicU64::new(0),
            moments,
            paging: Paging::default(),
            looked: Mutex::default(),
            desk: OnceLock::new(),
            ordered: NewLine,
            order,
            horizon,
            debt,
            counted: NewLine,
            commits: Latencies::default(),
            conflicts: AtomicU64::new(0),
        }
    }

    /// Ends the answering of the command line, and its threads.
    pub(crate) fn close_desk(&self) {
        if let Some(Ok(desk)) = self.desk.get() {
            desk.stop();
        }
    }

    /// Begins to keep an archive, which `thin` thins behind each step.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`]: the system gives no thread.
    pub(crate) fn begin_archive(self: &Arc<Self>, archive: Archiving, thin: fn(&Self)) -> Result<()> {
        let archive = Arc::new(archive);
        _ = self.archive.set(archive.clone()); // a store is opened once
        if self.wal.env().threads == Threads::Own {
            let core = Arc::downgrade(self);
            schedule::start("savehold-archive", move || archive.run(&core, |core| &core.wal, thin))?;
        }
        Ok(())
    }

    /// What the log and the archive do by themselves, where they have no threads of their own; says when something will
    /// be next.
    pub(crate) fn tick_log(&self) -> Option<Duration> {
        let log = self.wal.tick(); // what it makes durable is the archive's to take
        let archive = self.archive.get().and_then(|archive| archive.tick(&self.wal));
        [log, archive].into_iter().flatten().min()
    }

    /// Has `hearer` told of mail from now on, as long as somebody else keeps it.
    pub(crate) fn add_hearer(&self, hearer: &Arc<impl Hears + 'static>) {
        let hearer: Weak<dyn Hears> = Arc::<_>::downgrade(hearer) as Weak<dyn Hears>;
        let mut hearers = self.hearers.lock();
        hearers.retain(|other| other.strong_count() > 0);
        hearers.push(hearer);
    }

    /// Tells of mail that has its place.
    pub(crate) fn hear(&self, posted: &[FullKey]) {
        if posted.is_empty() {
            return;
        }
        let hearers: Vec<Arc<dyn Hears>> = self.hearers.lock().iter().filter_map(Weak::upgrade).collect();
        posted.iter().for_each(|to| hearers.iter().for_each(|hearer| hearer.mail(to)));
    }

    /// The moment that readers see: everything up to it has its answer, and is in memory whole. The answer may be there first:
    /// whoever writes what has its place gives it.
    #[inline]
    pub(crate) fn visible(&self) -> Lsn {
        if planted::has(Fault::ShowUnsynced) {
            return self.sequenced();
        }
        before(self.wal.acknowledged()).min(self.horizon.shown())
    }

    /// Waits until what has its place at `lsn` is in memory.
    #[inline]
    pub(crate) fn wait_until_shown(&self, lsn: Lsn) {
        if lsn > self.horizon.shown() {
            drop(self.order.lock());
        }
    }

    /// The newest place in commit order: what the run of a closure sees.
    #[inline]
    pub(crate) fn sequenced(&self) -> Lsn {
        self.horizon.sequenced()
    }

    /// What a key was at a moment.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Damaged`]: there is a value, and it cannot be read. [`ErrorKind::Gone`]: the moment is no longer kept.
    #[inline]
    pub(crate) fn read(&self, collection: CollectionId, key: &[u8], moment: Lsn) -> Result<Seen> {
        let Some(version) = self.find(collection, key, moment)? else {
            return Ok(Seen { lsn: Lsn::NONE, stored: None });
        };
        match version.kind {
            Kind::Remove => Ok(Seen { lsn: version.lsn, stored: None }),
            Kind::Put => {
                let stored = self.stored(version).map_err(|e| self.older(collection, key, version.lsn, e))?;
                Ok(Seen { lsn: version.lsn, stored: Some(stored) })
            }
        }
    }

    /// The version that a key has at a moment.
    ///
    /// # Errors
    ///
    /// As [`Core::read`], but that no value is looked at.
    #[inline]
    pub(crate) fn find(
        &self,
        collection: CollectionId,
        key: &[u8],
        moment: Lsn,
    ) -> Result<Option<VersionRef>> {
        let found = self.index.at(collection.0, key, moment);
        self.found(found, collection, moment)
    }

    /// The newest version of a key, and when the key came to be, if that is [known](Index::newest_created).
    ///
    /// # Errors
    ///
    /// As [`Core::find`].
    #[inline]
    pub(crate) fn find_newest(
        &self,
        collection: CollectionId,
        key: &[u8],
    ) -> Result<Option<(VersionRef, u64)>> {
        let found = self.index.newest_created(collection.0, key);
        self.found(found, collection, Lsn::MAX)
    }

    /// What was found of a key at a moment, unless something of that moment may have been dropped.
    #[inline]
    fn found<T>(&self, found: Result<T>, collection: CollectionId, moment: Lsn) -> Result<T> {
        let found = found.inspect_err(|e| {
            if e.kind() == ErrorKind::Busy {
                self.index_bell.ring(); // a table is damaged: it is made anew now
            }
        })?;
        self.check_whole(collection, moment)?; // behind the look: what a merge took out since is known by now
        Ok(found)
    }

    /// A page of the keys of a range at a moment; see [`Index::range`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`]: the moment is no longer kept. As [`Index::range`].
    pub(crate) fn range(
        &self,
        collection: CollectionId,
        range: KeyRange<'_>,
        after: Option<&[u8]>,
        moment: Lsn,
        limit: usize,
        direction: Direction,
    ) -> Result<Page> {
        let page = self.index.range(collection.0, range, after, moment, limit, direction)?;
        self.check_whole(collection, moment).map(|()| page)
    }

    /// Refuses what was read at a moment of which something may have been dropped.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`].
    #[inline]
    pub(crate) fn check_whole(&self, collection: CollectionId, moment: Lsn) -> Result<()> {
        if self.moments.is_whole(moment, collection) { Ok(()) } else { Err(self.torn(collection, moment)) }
    }

    #[cold]
    fn torn(&self, collection: CollectionId, moment: Lsn) -> Error {
        let (oldest, partial) = self.moments.ask(|held| (held.oldest(), held.terms().partial(collection.0)));
        gone(moment, oldest.max(before(partial)))
    }

    /// The value of a version.
    #[inline]
    pub(crate) fn stored(&self, version: VersionRef) -> Result<Stored> {
        let part = self.part(version)?;
        let entry = Entry::decode(part).map_err(|e| e.at(Version::from(version.lsn)))?;
        Ok(Stored { lsn: version.lsn, entry })
    }

    fn part(&self, version: VersionRef) -> Result<Bytes> {
        let VersionRef { lsn, place, .. } = version;
        self.check_written(lsn)?;
        self.wal.read_part(lsn, place.offset, place.bytes).map_err(|e| unreadable(lsn, e))
    }

    /// Lets `look` see the part of a version where it stands, verified.
    pub(crate) fn look_at<R>(&self, version: VersionRef, look: impl Fn(&[u8]) -> R) -> Result<R> {
        let VersionRef { lsn, place, .. } = version;
        self.check_written(lsn)?;
        self.wal.look_at_part(lsn, place.offset, place.bytes, look).map_err(|e| unreadable(lsn, e))
    }

    /// A fault: a record is not there before it is in the files.
    #[inline]
    fn check_written(&self, lsn: Lsn) -> Result<()> {
        if planted::has(Fault::LoseInFlight) && lsn >= self.wal.accepted() {
            return Err(gone(lsn, lsn));
        }
        Ok(())
    }

    /// Names the newest older version that can be read, for an error about a damaged one.
    #[cold]
    pub(crate) fn older(&self, collection: CollectionId, key: &[u8], lsn: Lsn, e: Error) -> Error {
        let Ok(older) = self.index.versions(collection.0, key, lsn, OLDER_MAX) else { return e };
        match older.into_iter().find(|v| v.kind == Kind::Put && self.stored(*v).is_ok()) {
            Some(version) => e.or_older(Version::from(version.lsn)),
            None => e,
        }
    }

    /// Now, as deadlines of leases are measured: the boot clock, which no step of the wall clock touches.
    pub(crate) fn boot(&self) -> Duration {
        let clock = &self.wal.env().clock;
        if planted::has(Fault::WallClock) { Duration::from_micros(clock.wall_us()) } else { clock.boot() }
    }

    /// Judges who waits for a lease, after something changed, and tells those whom it concerns. No lock is held.
    pub(crate) fn attend(&self) {
        let mut state = self.leases.lock();
        state.review(self.boot());
        let (alarm, mut wakes) = (state.alarm(), std::mem::take(&mut state.wakes));
        drop(state);
        wakes.wake();
        if !wakes.is_empty() {
            self.bell.call(wakes.calls);
        }
        if let Some(at) = alarm {
            self.bell.ring_by(at);
        }
    }

    /// Waits until what was decided on the version at `lsn` may be told: until that version has its answer.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unknown`]: it never will.
    pub(crate) fn wait_for(&self, lsn: Lsn) -> Result<()> {
        if lsn <= self.visible() || planted::has(Fault::AnswerUnseen) {
            return Ok(());
        }
        self.wait_until_shown(lsn);
        Ok(self.wal.wait(seen(lsn))?)
    }
}

#[cold]
fn unreadable(lsn: Lsn, e: savehold_wal::Error) -> Error {
    match e.kind() {
        savehold_wal::ErrorKind::Corrupt => damaged(lsn, e),
        _ => Error::from(e),
    }
}

/// Bytes of one version that the log finds damaged: all else goes on.
#[cold]
pub(crate) fn damaged(lsn: Lsn, e: savehold_wal::Error) -> Error {
    Error::new(ErrorKind::Damaged, e.message()).at(Version::from(lsn)).caused_by(e)
}

/// A moment that is not kept.
#[cold]
pub(crate) fn gone(moment: Lsn, oldest: Lsn) -> Error {
    let say = format!(
        "the moment {} is no longer kept: the oldest that is kept is {}; see `savehold retention`",
        Version::from(moment),
        Version::from(oldest)
    );
    Error::new(ErrorKind::Gone, say).or_from(oldest.into())
}

/// What must have its answer before a decision on the version at `lsn` may be told. Answers are given by whole groups,
/// so the record's first byte stands for all of it.
pub(crate) fn seen(lsn: Lsn) -> savehold_wal::Placed {
    savehold_wal::Placed::at(lsn, Lsn::from_raw(lsn.raw() + 1))
}
