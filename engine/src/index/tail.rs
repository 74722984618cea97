//! Pure: the tail index, key to versions, newest first, for the part of the log that no table covers.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use savehold_wal::Lsn;
use savehold_wal::sync::{RwLock, RwLockReadGuard};

use super::entry::{Entry, VersionRef};
use super::hash::{Hashed, KeyHasher, PARTITIONS};
use super::ordered::{Address, Keys, Ordered};
use super::partition::{Inserted, Partition};
use super::range::{Direction, KeyRange, Page};
use super::recent::{Recent, WatchGuard};
use super::views::Views;

/// Key to versions in memory: insertion in any order gives the same versions, and inserting twice is inserting once.
///
/// Shared by all threads. Commits [`insert`](TailIndex::insert) in LSN order; recovery loads in any order through one
/// [`Loader`](super::Loader) a thread. Point reads allocate nothing. Nothing is ever taken out: an index is dropped as a whole once a
/// table covers it.
///
/// A read *as of* an LSN is repeatable because no version is inserted at or below an LSN that may be read already:
/// commits enter in LSN order before they become visible, and recovery is over before the first read.
pub struct TailIndex {
    // Constant.
    pub(super) hasher: KeyHasher,
    // Each under its own lock.
    pub(super) partitions: Box<[Locked]>,
    pub(super) views: Views,
    pub(super) recent: Arc<Recent>,
    /// The largest number of a collection that has keys.
    largest: AtomicU32,
    /// Loaders that were begun.
    pub(super) loaders: AtomicUsize,
}

/// A partition under its lock, on cache lines of its own.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Locked(pub(super) RwLock<Partition>);

impl TailIndex {
    /// An empty index. `seed` must be random and secret: keys come from strangers.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with_hasher(KeyHasher::new(seed))
    }

    pub(super) fn with_hasher(hasher: KeyHasher) -> Self {
        Self {
            hasher,
            partitions: (0..PARTITIONS).map(|_| Locked::default()).collect(),
            views: Views::default(),
            recent: Arc::default(),
            largest: AtomicU32::new(0),
            loaders: AtomicUsize::new(0),
        }
    }

    /// An empty index that goes on where this one ends: what is watched is watched in both.
    #[must_use]
    pub fn successor(&self) -> Self {
        Self { recent: self.recent.clone(), ..Self::with_hasher(self.hasher.clone()) }
    }

    /// Whether nothing was ever inserted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.partitions.iter().all(|partition| partition.0.read().keys() == 0)
    }

    /// Makes room for `keys` more keys, so that loading them doubles no table on the way.
    pub fn reserve(&self, keys: usize) {
        // Keys do not spread evenly: a partition gets its share and four standard deviations.
        let share = keys / PARTITIONS;
        for partition in &self.partitions {
            partition.0.write().reserve(share + 4 * share.isqrt());
        }
    }

    /// Inserts one version: a new one, an older one, or one that is there already (then nothing changes).
    pub fn insert(&self, entry: Entry<'_>) {
        self.insert_created(entry, 0);
    }

    /// [`TailIndex::insert`] of a version with nothing beside its value but since when there is one: `created_us`, µs since
    /// 1970, which is handed out with the version while it is the newest, so that a write that keeps it need not look into the
    /// log. Zero: not known, or something else stands there.
    pub fn insert_created(&self, entry: Entry<'_>, created_us: u64) {
        entry.check();
        self.note_collection(entry.collection);
        let Hashed { partition: number, tag } = self.hasher.hash(entry.collection, entry.key);
        let watched = self.recent.announce(entry.version.lsn);
        let mut partition = self.partitions[number].0.write();
        let inserted = partition.insert(tag, &entry, created_us);
        self.tell(inserted, number, watched, &entry);
    }

    /// The largest number of a collection that ever had a key; 0 where there is none.
    #[must_use]
    pub fn largest_collection(&self) -> u32 {
        self.largest.load(Ordering::Relaxed)
    }

    /// Notes that a collection has keys.
    #[inline]
    pub(super) fn note_collection(&self, number: u32) {
        if number > self.largest.load(Ordering::Relaxed) {
            self.largest.fetch_max(number, Ordering::Relaxed);
        }
    }

    /// The newest version of a key.
    #[must_use]
    pub fn newest(&self, collection: u32, key: &[u8]) -> Option<VersionRef> {
        let (partition, place) = self.find(collection, key)?;
        Some(partition.newest(place).into())
    }

    /// The newest version of a key, and what was [inserted with it](TailIndex::insert_created).
    #[inline]
    pub(super) fn newest_created(&self, collection: u32, key: &[u8]) -> Option<(VersionRef, u64)> {
        let (partition, place) = self.find(collection, key)?;
        Some((partition.newest(place).into(), partition.created_us(place)))
    }

    /// The newest version of a key that is not newer than `as_of`.
    #[must_use]
    pub fn at(&self, collection: u32, key: &[u8], as_of: Lsn) -> Option<VersionRef> {
        let (partition, place) = self.find(collection, key)?;
        partition.at(place, as_of).map(VersionRef::from)
    }

    /// The versions of a key that are older than `before` ([`Lsn::MAX`]: all), newest first, `limit` at most. For the
    /// next page pass the last one's LSN.
    #[must_use]
    pub fn versions(&self, collection: u32, key: &[u8], before: Lsn, limit: usize) -> Vec<VersionRef> {
        match self.find(collection, key) {
            Some((partition, place)) => {
                partition.versions(place, before).take(limit).map(VersionRef::from).collect()
            }
            None => Vec::new(),
        }
    }

    /// The keys of `range` past `after` that have a version not newer than `as_of`, each with the newest such
    /// version, removals included: up to `limit` (at least one), and fewer only where nothing follows.
    ///
    /// For the next page pass the last key as `after`. The first read of a collection sorts its keys, later ones add
    /// only what is new.
    #[must_use]
    pub fn range(
        &self,
        collection: u32,
        range: KeyRange<'_>,
        after: Option<&[u8]>,
        as_of: Lsn,
        limit: usize,
        direction: Direction,
    ) -> Page {
        let passed = |key: &[u8], by: Direction| match (direction == by, direction, after) {
            (true, Direction::Ascending, Some(after)) => key <= after,
            (true, Direction::Descending, Some(after)) => key >= after,
            _ => false,
        };
        let before = |key: &[u8]| range.begins_after(key) || passed(key, Direction::Ascending);
        let behind = |key: &[u8]| range.ends_before(key) || passed(key, Direction::Descending);
        let mut page = Page::default();
        self.read_view(collection, |view| {
            view.visit(direction, before, behind, |key, address| {
                if let Some(version) = self.partition(address).at(address.place, as_of) {
                    page.push(key, version.into());
                }
                if page.len() >= limit.max(1) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
        });
        page
    }

    /// Remembers writes newer than `since` until the guard is dropped, so that
    /// [`touched_since`](TailIndex::touched_since) is cheap. Without it the answers are the same.
    pub fn watch(&self, since: Lsn) -> WatchGuard {
        self.recent.watch(since)
    }

    /// Whether any key of `range`, known or new, got a version newer than `since`. Exact for every insertion that
    /// has returned.
    #[must_use]
    pub fn touched_since(&self, collection: u32, range: KeyRange<'_>, since: Lsn) -> bool {
        self.remembered(collection, &range, since)
            .unwrap_or_else(|| self.holds_since(collection, range, since))
    }

    /// What the writes remembered for those who watch say of it; `None` where they do not reach back so far.
    pub(super) fn remembered(&self, collection: u32, range: &KeyRange<'_>, since: Lsn) -> Option<bool> {
        self.recent.touched(collection, range, since)
    }

    /// Whether any key of `range` has a version newer than `since` here.
    pub(super) fn holds_since(&self, collection: u32, range: KeyRange<'_>, since: Lsn) -> bool {
        let (before, behind) = (|key: &[u8]| range.begins_after(key), |key: &[u8]| range.ends_before(key));
        let mut touched = false;
        self.read_view(collection, |view| {
            view.visit(Direction::Ascending, before, behind, |_, address| {
                touched = self.partition(address).newest(address.place).lsn > since;
                if touched { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
        });
        touched
    }

    /// Number of keys, removed ones included.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.partitions.iter().map(|partition| partition.0.read().keys()).sum()
    }

    /// Number of versions of all keys.
    #[must_use]
    pub fn versions_total(&self) -> usize {
        self.partitions.iter().map(|partition| partition.0.read().versions_total()).sum()
    }

    /// Bytes of memory in use: tables whole, arenas as far as they are written, ordered views, recent writes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let partitions: usize =
            self.partitions.iter().map(|partition| partition.0.read().memory_bytes()).sum();
        partitions + self.views.memory_bytes() + self.recent.memory_bytes()
    }

    /// Passes on what an insertion changed, under the lock of its partition.
    #[inline(always)]
    pub(super) fn tell(&self, inserted: Inserted, partition: usize, watched: bool, entry: &Entry<'_>) {
        if let Inserted::Key(place) = inserted {
            self.views.tell(entry.collection, entry.key, Address { partition: partition as u8, place });
        }
        if watched && inserted != Inserted::Nothing {
            self.recent.tell(entry.version.lsn, entry.collection, entry.key);
        }
    }

    #[inline]
    fn find(&self, collection: u32, key: &[u8]) -> Option<(RwLockReadGuard<'_, Partition>, u32)> {
        if collection > self.largest.load(Ordering::Relaxed) {
            return None; // noted before anything of it is inserted: what is to be seen is behind that
        }
        let Hashed { partition, tag } = self.hasher.hash(collection, key);
        let partition = self.partitions[partition].0.read();
        let place = partition.find(tag, collection, key)?;
        Some((partition, place))
    }

    fn partition(&self, address: Address) -> RwLockReadGuard<'_, Partition> {
        self.partitions[usize::from(address.partition)].0.read()
    }

    fn read_view<R>(&self, collection: u32, read: impl FnOnce(&Ordered) -> R) -> R {
        let fill = || {
            let mut keys = Keys::default();
            for (number, partition) in self.partitions.iter().enumerate() {
                let partition = partition.0.read();
                for (place, node) in partition.nodes_of(collection) {
                    keys.push(node.key(), Address { partition: number as u8, place });
                }
            }
            keys
        };
        self.views.read(collection, fill, read)
    }
}
