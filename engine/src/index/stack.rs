//! Pure: the index as a whole: the tail that commits go into, tails that are being written out, and tables.
//!
//! ```text
//! newest   tail      commits enter here
//!          frozen    complete, and on its way into a table
//! oldest   tables    on disk, newest first
//! ```
//!
//! Layers hold disjoint stretches of the log, the newer layer the later stretch: the first layer that knows a version
//! old enough has the answer. A table with a damaged page answers `Busy` and is made anew. The stack is replaced as a
//! whole, so that readers never wait.

use std::sync::Arc;

use savehold_wal::Lsn;
use savehold_wal::sync::{Mutex, RwLockReadGuard};

use super::entry::{Entry, VersionRef};
use super::range::{Direction, KeyRange, Page};
use super::recent::WatchGuard;
use super::scan::{Layer, Query, merge};
use super::swap::Swap;
use super::table::{Point, Table, Way, wanted};
use super::tail::TailIndex;
use crate::error::{Error, ErrorKind, Result};

/// Key to versions, newest first, in memory and in tables. Shared by all threads.
pub struct Index {
    layers: Swap<Layers>,
    /// Whoever replaces the layers.
    change: Mutex<()>,
}

/// The layers of an index at one time.
#[derive(Clone)]
pub struct Layers {
    /// What commits go into.
    pub tail: Arc<TailIndex>,
    /// What is complete and is not in a table yet; newest first.
    pub frozen: Vec<Frozen>,
    /// Newest first.
    pub tables: Vec<Arc<Table>>,
    /// Every version older than this is in a table.
    pub floor: Lsn,
    /// How many merges by which something may have been dropped these tables have behind them.
    pub judged: u64,
}

/// A tail that is complete.
#[derive(Clone)]
pub struct Frozen {
    /// What is in it.
    pub tail: Arc<TailIndex>,
    /// All its versions are older.
    pub high: Lsn,
}

impl Layers {
    /// Whether exactly this version of a key is listed.
    ///
    /// # Errors
    ///
    /// As [`Index::newest`].
    pub fn lists(&self, collection: u32, key: &[u8], lsn: Lsn) -> Result<bool> {
        let in_memory = self.tails().find_map(|tail| tail.at(collection, key, lsn));
        let found = match in_memory {
            Some(found) => Some(found),
            None => at_in(&self.tables, collection, key, lsn)?,
        };
        Ok(found.is_some_and(|found| found.lsn == lsn))
    }

    /// The versions of a key that the tables list, newest first, `limit` at most.
    ///
    /// # Errors
    ///
    /// As [`Index::newest`].
    pub fn in_tables(&self, collection: u32, key: &[u8], limit: usize) -> Result<Vec<VersionRef>> {
        let mut found = Vec::new();
        for table in &self.tables {
            if found.len() < limit {
                versions_in(table, collection, key, Lsn::MAX, limit, &mut found).map_err(meanwhile)?;
            }
        }
        Ok(found)
    }

    /// The layers in memory, newest first.
    fn tails(&self) -> impl Iterator<Item = &TailIndex> {
        std::iter::once(&*self.tail).chain(self.frozen.iter().map(|frozen| &*frozen.tail))
    }
}

impl Index {
    /// An index over `tables`, newest first, which hold every version older than `floor` that none of `judged` merges
    /// dropped. `seed` must be random and secret: keys come from strangers.
    #[must_use]
    pub fn new(seed: u64, tables: Vec<Arc<Table>>, floor: Lsn, judged: u64) -> Self {
        Self::over(TailIndex::new(seed), tables, floor, judged)
    }

    /// An index with a tail that holds what came since.
    #[must_use]
    pub fn over(tail: TailIndex, tables: Vec<Arc<Table>>, floor: Lsn, judged: u64) -> Self {
        let layers = Layers { tail: Arc::new(tail), frozen: Vec::new(), tables, floor, judged };
        Self { layers: Swap::new(&layers), change: Mutex::new(()) }
    }

    /// Its layers as they are now.
    #[must_use]
    pub fn layers(&self) -> Arc<Layers> {
        self.layers.get()
    }

    /// The tail: to load it in bulk before anybody else has the index, and for commits, which alone may enter anything later.
    /// Another takes its place under the commit lock only ([`Index::freeze`]).
    #[must_use]
    pub fn tail(&self) -> Arc<TailIndex> {
        self.layers.read().tail.clone()
    }

    /// Inserts one version. Under the commit lock.
    pub fn insert(&self, entry: Entry<'_>) {
        self.layers.read().tail.insert(entry);
    }

    /// The newest version of a key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`](crate::ErrorKind::Busy): a table is damaged, and is being made anew. [`ErrorKind::Io`](crate::ErrorKind::Io).
    #[inline]
    pub fn newest(&self, collection: u32, key: &[u8]) -> Result<Option<VersionRef>> {
        self.at(collection, key, Lsn::MAX)
    }

    /// The newest version of a key, and what was [inserted with it](TailIndex::insert_created); zero where that is not
    /// known any more.
    ///
    /// # Errors
    ///
    /// As [`Index::newest`].
    #[inline]
    pub fn newest_created(&self, collection: u32, key: &[u8]) -> Result<Option<(VersionRef, u64)>> {
        let layers = self.layers.read();
        if let Some(found) = layers.tails().find_map(|tail| tail.newest_created(collection, key)) {
            return Ok(Some(found));
        }
        let found =
            if layers.tables.is_empty() { None } else { at_below(layers, collection, key, Lsn::MAX)? };
        Ok(found.map(|version| (version, 0)))
    }

    /// The newest version of a key that is not newer than `as_of`.
    ///
    /// # Errors
    ///
    /// As [`Index::newest`].
    #[inline]
    pub fn at(&self, collection: u32, key: &[u8], as_of: Lsn) -> Result<Option<VersionRef>> {
        let layers = self.layers.read();
        if let Some(found) = layers.tails().find_map(|tail| tail.at(collection, key, as_of)) {
            return Ok(Some(found));
        }
        if layers.tables.is_empty() { Ok(None) } else { at_below(layers, collection, key, as_of) }
    }

    /// Whether the newest version of a key is another one than `seen`, which was the newest at `moment` or later. Under
    /// the commit lock. What came since `moment` is in memory, unless a checkpoint ended meanwhile: only then tables are
    /// asked, on pages that the run has just read.
    ///
    /// # Errors
    ///
    /// As [`Index::newest`].
    #[inline]
    pub fn changed(&self, collection: u32, key: &[u8], seen: Lsn, moment: Lsn) -> Result<bool> {
        let layers = self.layers.read();
        if let Some(newest) = layers.tails().find_map(|tail| tail.at(collection, key, Lsn::MAX)) {
            return Ok(newest.lsn != seen);
        }
        if layers.tables.is_empty() || moment >= layers.floor {
            return Ok(layers.tables.is_empty() && seen != Lsn::NONE);
        }
        drop(layers);
        let newest = self.newest(collection, key)?;
        Ok(newest.map_or(Lsn::NONE, |version| version.lsn) != seen)
    }

    /// The versions of a key that are older than `before` ([`Lsn::MAX`]: all), newest first, `limit` at most. For the
    /// next page pass the last one's LSN.
    ///
    /// # Errors
    ///
    /// As [`Index::newest`].
    pub fn versions(
        &self,
        collection: u32,
        key: &[u8],
        before: Lsn,
        limit: usize,
    ) -> Result<Vec<VersionRef>> {
        let layers = self.layers.get();
        let mut found = Vec::new();
        for tail in layers.tails() {
            let limit = limit - found.len();
            found.extend(tail.versions(collection, key, before, limit));
        }
        for table in &layers.tables {
            if found.len() < limit {
                versions_in(table, collection, key, before, limit, &mut found).map_err(meanwhile)?;
            }
        }
        Ok(found)
    }

    /// The keys of `range` past `after` that have a version not newer than `as_of`, each with the newest such version,
    /// removals included: up to `limit` (at least one), and fewer only where nothing follows.
    ///
    /// For the next page pass the last key as `after`.
    ///
    /// # Errors
    ///
    /// As [`Index::newest`].
    pub fn range(
        &self,
        collection: u32,
        range: KeyRange<'_>,
        after: Option<&[u8]>,
        as_of: Lsn,
        limit: usize,
        direction: Direction,
    ) -> Result<Page> {
        let layers = self.layers.get();
        if layers.frozen.is_empty() && layers.tables.is_empty() {
            return Ok(layers.tail.range(collection, range, after, as_of, limit, direction));
        }
        let query = Query { collection, range, after, as_of, direction };
        let tails = layers.tails().map(|tail| Ok(Layer::tail(tail, query, limit)));
        let tables = layers.tables.iter().map(|table| Layer::table(table, query));
        let all = tails.chain(tables).collect::<Result<Vec<_>>>();
        all.and_then(|mut all| merge(query, &mut all, limit)).map_err(meanwhile)
    }

    /// Remembers writes newer than `since` until the guard is dropped, so that
    /// [`touched_since`](Index::touched_since) is cheap. Without it the answers are the same.
    pub fn watch(&self, since: Lsn) -> WatchGuard {
        self.layers.read().tail.watch(since)
    }

    /// Whether any key of `range`, known or new, got a version newer than `since`. Exact for every insertion that has
    /// returned.
    ///
    /// # Errors
    ///
    /// As [`Index::newest`].
    pub fn touched_since(&self, collection: u32, range: KeyRange<'_>, since: Lsn) -> Result<bool> {
        let layers = self.layers.get();
        if let Some(touched) = layers.tail.remembered(collection, &range, since) {
            return Ok(touched);
        }
        if layers.tails().any(|tail| tail.holds_since(collection, range, since)) {
            return Ok(true);
        }
        for table in layers.tables.iter().filter(|table| table.facts().high > since) {
            if touched_in(table, collection, range, since).map_err(meanwhile)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Begins a new tail, where the present one holds anything; everything in the present one is older than `high`,
    /// everything that follows is not. Under the commit lock. False where there is nothing to write out.
    pub fn freeze(&self, high: Lsn) -> bool {
        self.replace(|layers| {
            if layers.tail.is_empty() {
                return false;
            }
            let next = Arc::new(layers.tail.successor());
            let tail = std::mem::replace(&mut layers.tail, next);
            layers.frozen.insert(0, Frozen { tail, high });
            true
        })
    }

    /// Puts `table` in the place of the oldest frozen tail, whose versions it holds.
    pub fn thaw(&self, table: Arc<Table>) {
        self.replace(|layers| {
            let frozen = layers.frozen.pop().expect("whoever wrote a table wrote a frozen tail");
            layers.floor = frozen.high;
            layers.tables.insert(0, table);
        });
    }

    /// Puts `tables`, newest first, in the place of `gone`, neighbours whose versions they hold, those apart that a merge
    /// of this number dropped.
    pub fn put_in_place(&self, gone: &[Arc<Table>], tables: Vec<Arc<Table>>, judged: u64) {
        self.replace(|layers| {
            layers.judged = layers.judged.max(judged);
            let goes = |table: &Arc<Table>| gone.iter().any(|other| Arc::ptr_eq(table, other));
            let at = layers.tables.iter().position(goes).expect("only one takes tables out at a time");
            layers.tables.retain(|table| !goes(table));
            layers.tables.splice(at..at, tables);
        });
    }

    /// Puts `held`, which holds all that the newest tables `gone` did, in their place: in memory, below the other tails.
    pub fn hold(&self, gone: &[Arc<Table>], held: Frozen) {
        self.replace(|layers| {
            layers.tables.retain(|table| !gone.iter().any(|other| Arc::ptr_eq(table, other)));
            layers.frozen.push(held);
        });
    }

    /// The largest number of a collection that any key has; 0 where there is none.
    ///
    /// # Errors
    ///
    /// As [`Index::newest`].
    pub fn largest_collection(&self) -> Result<u32> {
        let layers = self.layers.get();
        let mut largest = layers.tails().map(TailIndex::largest_collection).max().unwrap_or(0);
        for table in &layers.tables {
            let mut cursor = table.cursor();
            let last = cursor.seek_last().and_then(|()| cursor.back()).map_err(meanwhile)?;
            let collection =
                last.and_then(|(full, _)| full.first_chunk()).map_or(0, |c| u32::from_be_bytes(*c));
            largest = largest.max(collection);
        }
        Ok(largest)
    }

    /// Number of keys, removed ones included; one that stands in several layers counts in each.
    #[must_use]
    pub fn keys(&self) -> u64 {
        let layers = self.layers.get();
        let tables: u64 = layers.tables.iter().map(|table| table.facts().keys).sum();
        tables + layers.tails().map(|tail| tail.keys() as u64).sum::<u64>()
    }

    /// Number of versions of all keys.
    #[must_use]
    pub fn versions_total(&self) -> u64 {
        let layers = self.layers.get();
        let tables: u64 = layers.tables.iter().map(|table| table.facts().versions).sum();
        tables + layers.tails().map(|tail| tail.versions_total() as u64).sum::<u64>()
    }

    /// Bytes of memory that are neither file nor map.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let layers = self.layers.get();
        let tables: usize = layers.tables.iter().map(|table| table.memory_bytes()).sum();
        tables + layers.tails().map(TailIndex::memory_bytes).sum::<usize>()
    }

    fn replace<R>(&self, change: impl FnOnce(&mut Layers) -> R) -> R {
        let _one = self.change.lock();
        let mut layers = Layers::clone(&self.layers.get());
        let answer = change(&mut layers);
        self.layers.set(&layers);
        answer
    }
}

/// What a reader is told of a damaged table: nothing is lost, the log has it all.
#[cold]
fn meanwhile(e: Error) -> Error {
    match e.kind() {
        ErrorKind::Corrupt => Error::new(ErrorKind::Busy, e.message()).caused_by(e),
        _ => e,
    }
}

/// What the tables say of a key.
fn at_below(
    layers: RwLockReadGuard<'_, Arc<Layers>>,
    collection: u32,
    key: &[u8],
    as_of: Lsn,
) -> Result<Option<VersionRef>> {
    let layers = {
        let held = layers.clone();
        drop(layers); // a table may have to be fetched from the disk: nobody waits for that
        held
    };
    at_in(&layers.tables, collection, key, as_of)
}

/// Tables in which a key is looked for at once: their first lines come while others are waited for.
const AT_ONCE: usize = 8;

fn at_in(tables: &[Arc<Table>], collection: u32, key: &[u8], as_of: Lsn) -> Result<Option<VersionRef>> {
    wanted(collection, key, |wanted| {
        for tables in tables.chunks(AT_ONCE) {
            let mut ways = [Way::default(); AT_ONCE];
            for (way, table) in ways.iter_mut().zip(tables) {
                *way = table.way(wanted);
            }
            for (way, table) in ways.into_iter().zip(tables) {
                if let Some(found) = table.on_way(way, wanted, as_of).map_err(meanwhile)? {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    })
}

fn versions_in(
    table: &Table,
    collection: u32,
    key: &[u8],
    before: Lsn,
    limit: usize,
    found: &mut Vec<VersionRef>,
) -> Result<()> {
    let full = [&collection.to_be_bytes()[..], key].concat();
    let lsn = match before {
        Lsn::MAX => Lsn::MAX,
        before => Lsn::from_raw(before.raw().saturating_sub(1)),
    };
    if table.at(collection, key, lsn)?.is_none() {
        return Ok(());
    }
    let mut cursor = table.cursor();
    cursor.seek(&Point { full: &full, lsn })?;
    while found.len() < limit
        && let Some((_, version)) = cursor.next()?.filter(|(key, _)| *key == full)
    {
        found.push(version);
    }
    Ok(())
}

fn touched_in(table: &Table, collection: u32, range: KeyRange<'_>, since: Lsn) -> Result<bool> {
    let query = Query { collection, range, after: None, as_of: Lsn::MAX, direction: Direction::Ascending };
    let mut layer = Layer::table(table, query)?;
    while let Some(version) = layer.version() {
        if version.lsn > since {
            return Ok(true);
        }
        layer.step()?;
    }
    Ok(false)
}

#[cfg(test)]
mod tests;
