//! Pure: one key in a table, through the hash section.
//!
//! A point read looks at the directory in memory, at one line of a bucket, and at the cells behind one restart. A key
//! that the table does not hold costs the bucket alone, nearly always.

use std::sync::atomic::Ordering::Relaxed;

use savehold_wal::Lsn;

use super::cell::{Cells, Form, Point, Sought, seek, step_of};
use super::page::{CONTENT_BYTES, Page};
use super::read::Table;
use super::spread::{BUCKET_BYTES, Bucket, Spot, bucket_of, hash};
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::Result;
use crate::index::entry::VersionRef;

/// A key that is looked for in several tables.
pub struct Wanted<'k> {
    collection: u32,
    key: &'k [u8],
    /// The collection in front of the key.
    full: &'k [u8],
}

/// Where a key is looked for in one table.
#[derive(Clone, Copy, Default)]
pub struct Way {
    hash: u64,
    /// Shards that begin before the key.
    begun: usize,
    /// The one behind them begins with it.
    meets: bool,
}

/// Lets `look` look for a key.
#[inline]
pub fn wanted<R>(collection: u32, key: &[u8], look: impl FnOnce(&Wanted<'_>) -> R) -> R {
    let mut buffer = [0; FULL_ON_STACK];
    let mut heap = Vec::new();
    look(&Wanted { collection, key, full: full_key(collection, key, &mut buffer, &mut heap) })
}

impl Table {
    /// The newest version of a key that is not newer than `as_of`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`]: a page is damaged. [`ErrorKind::Io`].
    pub fn at(&self, collection: u32, key: &[u8], as_of: Lsn) -> Result<Option<VersionRef>> {
        wanted(collection, key, |wanted| self.on_way(self.way(wanted), wanted, as_of))
    }

    /// Where a key is looked for. Fetches the first line of that meanwhile: of several tables at once.
    #[inline]
    pub fn way(&self, wanted: &Wanted<'_>) -> Way {
        let (begun, meets) = self.starts.before(&self.shards, wanted.full);
        let hash = hash(self.facts.random, wanted.collection, wanted.key);
        if let Some(shard) = begun.checked_sub(1).and_then(|n| self.shards.get(n)) {
            let (number, place) = shard.bucket(bucket_of(hash, shard.buckets as usize));
            self.pages.prefetch(number, place * BUCKET_BYTES);
        }
        Way { hash, begun, meets }
    }

    /// [`Table::at`], on the way to the key that [`Table::way`] gave.
    ///
    /// # Errors
    ///
    /// As [`Table::at`].
    #[inline]
    pub fn on_way(&self, way: Way, wanted: &Wanted<'_>, as_of: Lsn) -> Result<Option<VersionRef>> {
        if as_of < self.facts.low {
            return Ok(None);
        }
        let (Way { hash, begun, meets }, full) = (way, wanted.full);
        // Where a shard begins with this very key, its newest version stands there, or the shard goes on inside it. In one that
        // goes on, a spot of some key behind it may lead to older versions of this one: so the shard before is asked first.
        for n in [begun.checked_sub(1), meets.then_some(begun)] {
            let Some(n) = n else { continue };
            match self.in_shard(n, hash, full, as_of)? {
                Sought::Version(version) => return Ok(Some(version.into())),
                Sought::Later => return self.seek_version(full, as_of),
                Sought::Nothing => {}
            }
        }
        Ok(None)
    }

    #[inline]
    fn in_shard(&self, n: usize, hash: u64, full: &[u8], as_of: Lsn) -> Result<Sought> {
        let shard = &self.shards[n];
        let buckets = shard.buckets as usize;
        let mut at = bucket_of(hash, buckets);
        for _ in 0..buckets {
            let (number, place) = shard.bucket(at);
            let page = self.buckets(number)?;
            let Some(bytes) = page.get(place * BUCKET_BYTES..).and_then(<[u8]>::first_chunk) else {
                return Err(self.disordered(number));
            };
            let bucket = Bucket(bytes);
            for spot in bucket.spots(hash) {
                if u32::from(spot.page) >= shard.cells {
                    return Err(self.disordered(number));
                }
                self.fetch_cells(n, spot);
                let (page, restarts) = self.cells(shard, u32::from(spot.page))?;
                self.learn_step(n, &page, restarts);
                let cells =
                    Cells::behind(&page, restarts, usize::from(spot.restart), Form::Versions, self.facts.low);
                let cells = cells.ok_or_else(|| self.disordered(shard.first + u32::from(spot.page)))?;
                match seek(cells, full, as_of) {
                    Sought::Nothing => {}
                    found => return Ok(found),
                }
            }
            if !bucket.goes_on() {
                break;
            }
            at = if at + 1 == buckets { 0 } else { at + 1 };
        }
        Ok(Sought::Nothing)
    }

    /// Fetches what will be read of a page of cells, all at once: its trailer with the places of most restarts, and cells
    /// where they are likely to stand.
    #[inline]
    fn fetch_cells(&self, shard: usize, spot: Spot) {
        let number = self.shards[shard].first + u32::from(spot.page);
        self.pages.prefetch(number, CONTENT_BYTES);
        let step = self.steps.get(shard).map_or(0, |step| usize::from(step.load(Relaxed)));
        let from = (usize::from(spot.restart) * step).saturating_sub(LINE_BYTES / 2);
        for line in (0..step + LINE_BYTES).step_by(LINE_BYTES) {
            self.pages.prefetch(number, (from + line).min(CONTENT_BYTES));
        }
    }

    /// Learns how far apart restarts are in a shard, once.
    #[inline]
    fn learn_step(&self, shard: usize, page: &Page, restarts: usize) {
        if let Some(step) = self.steps.get(shard).filter(|step| step.load(Relaxed) == 0) {
            let found = step_of(page, restarts).and_then(|step| u16::try_from(step).ok());
            step.store(found.unwrap_or(0).max(1), Relaxed);
        }
    }

    /// A version behind the restart of its key's newest one.
    #[cold]
    fn seek_version(&self, full: &[u8], as_of: Lsn) -> Result<Option<VersionRef>> {
        let mut cursor = self.cursor();
        cursor.seek(&Point { full, lsn: as_of })?;
        Ok(cursor.next()?.filter(|(key, _)| *key == full).map(|(_, version)| version))
    }
}

/// Bytes of a line of a processor's cache.
const LINE_BYTES: usize = 64;

/// Keys up to this length, the collection in front, need no allocation to be looked for.
const FULL_ON_STACK: usize = 132;

/// The collection in front of the key.
fn full_key<'a>(
    collection: u32,
    key: &[u8],
    buffer: &'a mut [u8; FULL_ON_STACK],
    heap: &'a mut Vec<u8>,
) -> &'a [u8] {
    let bytes = 4 + key.len();
    let full = if bytes <= FULL_ON_STACK {
        &mut buffer[..bytes]
    } else {
        heap.resize(bytes, 0);
        &mut heap[..]
    };
    full[..4].copy_from_slice(&collection.to_be_bytes());
    full[4..].copy_from_slice(key);
    full
}
