//! Pure: writing a table, front to back, from versions in order: pages go out as they are full.
//!
//! Memory does not grow with the table but for its directory: a shard's hashes and fences are held until it ends.

use savehold_wal::Lsn;
use savehold_wal::format::checksum::{Binding, StoreId};

use super::cell::{CellWriter, FULL_BYTES_MAX, Form};
use super::facts::{Facts, SHARD_BYTES_MAX, Shard};
use super::page::{CONTENT_BYTES, PAGE_BYTES, Page, PageKind, Trailer, seal};
use super::spread::{BUCKET_BYTES, PAGE_BUCKETS, SHARD_PAGES_MAX, Spot, hash, spread};
use crate::error::Result;
use crate::index::entry::{Entry, Kind, Packed};

/// Keys after which a shard ends.
const SHARD_KEYS: usize = 1 << 16;
/// Pages of cells after which a shard ends before the next key.
const SHARD_PAGES: usize = SHARD_PAGES_MAX / 4 * 3;

/// Where the pages of a table go, one behind the other.
pub trait Sink {
    /// Takes the next page.
    ///
    /// # Errors
    ///
    /// Whatever ends the writing.
    fn put(&mut self, page: &Page) -> Result<()>;
}

impl<F: FnMut(&Page) -> Result<()>> Sink for F {
    fn put(&mut self, page: &Page) -> Result<()> {
        self(page)
    }
}

/// What a table is to be.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// The store that it belongs to.
    pub store: StoreId,
    /// The number in its file's name.
    pub number: u64,
    /// Random, drawn for this file.
    pub random: u64,
    /// No version in it is older.
    pub low: Lsn,
    /// Every version in it is older.
    pub high: Lsn,
}

/// Writes a table.
pub struct Writer<S> {
    out: Out<S>,
    identity: Identity,
    cells: CellWriter,
    shard: Open,
    shards: Vec<Shard>,
    /// Keys, and pages of cells, after which a shard ends before the next key.
    shard_max: (usize, usize),
    facts: Facts,
    full: Vec<u8>,
}

/// The pages that are out.
struct Out<S> {
    sink: S,
    binding: Binding,
    page: Box<Page>,
    pages: u32,
}

/// The shard that is being written.
#[derive(Default)]
struct Open {
    first: u32,
    cells: u32,
    versions: u64,
    keys: Vec<(u64, Spot)>,
    /// The first cell of each page of cells.
    fences: Vec<(Box<[u8]>, Lsn)>,
}

impl<S: Sink> Writer<S> {
    /// Begins a table.
    pub fn new(identity: Identity, sink: S) -> Self {
        let Identity { store, number, random, low, high } = identity;
        Self {
            out: Out {
                sink,
                binding: Binding::new(store, random),
                page: Box::new([0; PAGE_BYTES]),
                pages: 0,
            },
            identity,
            cells: CellWriter::new(Form::Versions, low),
            shard: Open::default(),
            shards: Vec::new(),
            shard_max: (SHARD_KEYS, SHARD_PAGES),
            facts: Facts {
                number,
                random,
                low,
                high,
                versions: 0,
                keys: 0,
                removals: 0,
                pages: 0,
                shards: 0,
                directory_pages: 0,
            },
            full: Vec::with_capacity(FULL_BYTES_MAX),
        }
    }

    /// Shards end sooner: so that a small table has many.
    #[cfg(test)]
    pub(super) fn with_shards_of(mut self, keys: usize, pages: usize) -> Self {
        self.shard_max = (keys, pages);
        self
    }

    /// Adds a version. They come in the order of collection, key and falling LSN, each once.
    ///
    /// # Errors
    ///
    /// Those of the sink; the table is then of no use.
    pub fn push(&mut self, entry: Entry<'_>) -> Result<()> {
        let Entry { collection, key, version } = entry;
        assert!(
            self.identity.low <= version.lsn && version.lsn < self.identity.high,
            "a version belongs to the table that is being written"
        );
        let new = self.full.get(..4) != Some(&collection.to_be_bytes()) || self.full.get(4..) != Some(key);
        if new {
            self.full.clear();
            self.full.extend_from_slice(&collection.to_be_bytes());
            self.full.extend_from_slice(key);
            if self.shard.keys.len() >= self.shard_max.0 || self.shard.cells as usize >= self.shard_max.1 {
                self.end_shard()?;
            }
        }
        let restart = self.push_cell(version.into())?;
        self.facts.versions += 1;
        self.shard.versions += 1;
        self.facts.removals += u64::from(version.kind == Kind::Remove);
        if new {
            self.facts.keys += 1;
            let spot = Spot { page: self.shard.cells as u16, restart: restart as u8 };
            self.shard.keys.push((hash(self.identity.random, collection, key), spot));
        }
        Ok(())
    }

    /// Writes what is left, and says what the table is.
    ///
    /// # Errors
    ///
    /// As [`Writer::push`].
    pub fn finish(mut self) -> Result<(Facts, S)> {
        self.end_shard()?;
        self.facts.directory_pages = self.put_directory()?;
        self.facts.shards = self.shards.len() as u32;
        self.facts.pages = self.out.pages + 1;
        self.facts.encode(self.identity.store, &mut self.out.page);
        self.out.put(Trailer { kind: PageKind::Footer, count: 0, first: 0 })?;
        Ok((self.facts, self.out.sink))
    }

    /// Adds a cell for the key in `full`, on a new page where this one is full; the restart behind which it stands.
    fn push_cell(&mut self, version: Packed) -> Result<usize> {
        if !self.cells.is_empty() {
            if let Some(restart) = self.cells.push(&self.full, version) {
                return Ok(restart);
            }
            self.end_cells()?;
            if self.shard.cells as usize == SHARD_PAGES_MAX {
                self.end_shard()?;
            }
        }
        if self.shard.fences.is_empty() {
            self.shard.first = self.out.pages;
        }
        self.shard.fences.push((self.full.as_slice().into(), version.lsn));
        Ok(self.cells.push(&self.full, version).expect("a page has room for the longest cell"))
    }

    fn end_cells(&mut self) -> Result<()> {
        let count = self.cells.take(&mut self.out.page);
        self.shard.cells += 1;
        self.out.put(Trailer { kind: PageKind::Cells, count, first: 0 })
    }

    fn end_shard(&mut self) -> Result<()> {
        if !self.cells.is_empty() {
            self.end_cells()?;
        }
        let shard = std::mem::take(&mut self.shard);
        let Some((key, lsn)) = shard.fences.first().cloned() else { return Ok(()) };
        let fences = self.put_fences(&shard.fences)?;
        let buckets = self.put_buckets(&shard.keys)?;
        let Open { first, cells, versions, .. } = shard;
        self.shards.push(Shard { first, cells, fences, buckets, versions, lsn, key });
        Ok(())
    }

    fn put_fences(&mut self, all: &[(Box<[u8]>, Lsn)]) -> Result<u32> {
        let mut writer = CellWriter::new(Form::Fences, self.identity.low);
        let (mut pages, mut first) = (0, 0);
        for (n, (key, lsn)) in all.iter().enumerate() {
            let fence = Packed { lsn: *lsn, offset: 0, bytes: 0 };
            if writer.push(key, fence).is_none() {
                let count = writer.take(&mut self.out.page);
                self.out.put(Trailer { kind: PageKind::Fences, count, first })?;
                (pages, first) = (pages + 1, n as u32);
                writer.push(key, fence).expect("a page has room for the longest cell");
            }
        }
        let count = writer.take(&mut self.out.page);
        self.out.put(Trailer { kind: PageKind::Fences, count, first })?;
        Ok(pages + 1)
    }

    fn put_buckets(&mut self, keys: &[(u64, Spot)]) -> Result<u32> {
        let bytes = spread(keys);
        for part in bytes.chunks(PAGE_BUCKETS * BUCKET_BYTES) {
            self.out.page.fill(0);
            self.out.page[..part.len()].copy_from_slice(part);
            let count = (part.len() / BUCKET_BYTES) as u16;
            self.out.put(Trailer { kind: PageKind::Buckets, count, first: 0 })?;
        }
        Ok((bytes.len() / BUCKET_BYTES) as u32)
    }

    fn put_directory(&mut self) -> Result<u32> {
        let (mut pages, mut count, mut content) = (0, 0, Vec::with_capacity(CONTENT_BYTES + SHARD_BYTES_MAX));
        for shard in &self.shards {
            let before = content.len();
            shard.encode(&mut content);
            if content.len() > CONTENT_BYTES {
                self.out.put_directory(&content[..before], count)?;
                content.drain(..before);
                (pages, count) = (pages + 1, 0);
            }
            count += 1;
        }
        if count > 0 {
            self.out.put_directory(&content, count)?;
            pages += 1;
        }
        Ok(pages)
    }
}

impl<S: Sink> Out<S> {
    fn put(&mut self, trailer: Trailer) -> Result<()> {
        seal(&mut self.page, trailer, self.pages, self.binding);
        self.pages = self.pages.checked_add(1).expect("a table ends at 16 TiB");
        self.sink.put(&self.page)
    }

    fn put_directory(&mut self, content: &[u8], count: u16) -> Result<()> {
        self.page.fill(0);
        self.page[..content.len()].copy_from_slice(content);
        self.put(Trailer { kind: PageKind::Directory, count, first: 0 })
    }
}
