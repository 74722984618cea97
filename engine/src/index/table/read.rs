//! Pure: a finished table, opened: its footer and its directory are read, its pages come when they are needed.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use savehold_wal::format::checksum::{Binding, StoreId};
use savehold_wal::format::cursor::Take;

use super::cell::{Cells, Form, Point, restart_of};
use super::facts::{Facts, Shard, Unusable};
use super::page::{CONTENT_BYTES, PAGE_BYTES, Page, PageKind, count_of, first_of};
use super::source::{Bytes, Got, NoPage, Pages};
use super::starts::Starts;
use crate::error::{Error, ErrorKind, Result};

/// A finished table, open for reading.
pub struct Table {
    pub(super) facts: Facts,
    pub(super) shards: Box<[Shard]>,
    pub(super) starts: Starts,
    /// Of each shard, about how many bytes lie between restarts; 0 where nobody has looked yet.
    pub(super) steps: Box<[AtomicU16]>,
    pub(super) pages: Pages,
    pub(super) path: PathBuf,
    /// A page was found damaged.
    damaged: AtomicBool,
}

impl Table {
    /// Opens a table. `number` and `random` are what MANIFEST says of it; `path` is for messages.
    ///
    /// Reads its footer and its directory; every other page is verified when it is first needed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`]: it is not the table that was written; everything in it can be had from the log.
    /// [`ErrorKind::Format`]: a newer format. [`ErrorKind::Io`].
    pub fn open(bytes: Bytes, store: StoreId, number: u64, random: u64, path: &Path) -> Result<Self> {
        let length = bytes.len().map_err(|e| io(path, e))?;
        let pages = match u32::try_from(length / PAGE_BYTES as u64) {
            Ok(pages) if pages > 0 && length.is_multiple_of(PAGE_BYTES as u64) => pages,
            _ => return Err(damaged(path, "it has not the length of a table")),
        };
        let pages_of = Pages::new(bytes, Binding::new(store, random), pages);
        let facts = {
            let footer = page(&pages_of, path, pages - 1, PageKind::Footer)?.0;
            Facts::decode(&footer, store).map_err(|unusable| match unusable {
                Unusable::Newer => newer(path),
                Unusable::Damaged => damaged(path, "its last page says nothing sensible"),
            })?
        };
        if (facts.number, facts.random, facts.pages) != (number, random, pages) {
            return Err(damaged(path, "it is another table"));
        }
        let shards = directory(&pages_of, path, &facts)?;
        let starts = Starts::new(&shards);
        let steps = shards.iter().map(|_| AtomicU16::new(0)).collect();
        let (pages, path, damaged) = (pages_of, path.to_path_buf(), AtomicBool::new(false));
        Ok(Self { facts, shards, starts, steps, pages, path, damaged })
    }

    /// What it is.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Where it stands, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of its file.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        u64::from(self.facts.pages) * PAGE_BYTES as u64
    }

    /// Whether a page was found damaged since it was opened.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    /// Bytes of memory that are neither file nor map.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let shard = |shard: &Shard| size_of::<Shard>() + size_of::<AtomicU16>() + shard.key.len();
        let shards: usize = self.shards.iter().map(shard).sum();
        shards + self.starts.memory_bytes() + self.pages.memory_bytes() + size_of::<Self>()
    }

    /// Page `n` of the cells of a shard, and its restarts.
    pub(super) fn cells(&self, shard: &Shard, n: u32) -> Result<(Got<'_>, usize)> {
        self.page(shard.first + n, PageKind::Cells)
    }

    /// A page of buckets. Of a page that was verified before, only the line of the bucket that is wanted is touched.
    #[inline]
    pub(super) fn buckets(&self, number: u32) -> Result<Got<'_>> {
        let page = self.pages.get_if(number, |page| count_of(page, PageKind::Buckets).is_some());
        page.map_err(|e| no_page(&self.path, number, e)).inspect_err(|e| self.note(e))
    }

    /// The page of cells of a shard on which `to` stands, or would stand: the last that begins at or before it.
    pub(super) fn page_of(&self, shard: &Shard, to: &Point<'_>) -> Result<u32> {
        let fences = shard.first + shard.cells;
        let (mut low, mut high) = (0, shard.fences);
        while low + 1 < high {
            let middle = u32::midpoint(low, high);
            let (page, restarts) = self.page(fences + middle, PageKind::Fences)?;
            let first =
                Cells::behind(&page, restarts, 0, Form::Fences, self.facts.low).and_then(|mut c| c.next());
            let first = first.ok_or_else(|| self.disordered(fences + middle))?;
            if to.is_before(first.suffix, first.version.lsn) { high = middle } else { low = middle }
        }
        let (page, restarts) = self.page(fences + low, PageKind::Fences)?;
        let (form, low_lsn) = (Form::Fences, self.facts.low);
        let disordered = || self.disordered(fences + low);
        let restart = restart_of(&page, restarts, form, low_lsn, to).ok_or_else(disordered)?;
        let passed = match restart {
            0 => 0,
            _ => Cells::before(&page, restarts, restart, form, low_lsn).ok_or_else(disordered)?.count(),
        };
        let mut passed = passed as u32; // a page holds fewer than its bytes
        let mut key = Vec::with_capacity(64);
        for cell in Cells::behind(&page, restarts, restart, form, low_lsn).ok_or_else(disordered)? {
            key.truncate(cell.shared);
            key.extend_from_slice(cell.suffix);
            if to.is_before(&key, cell.version.lsn) {
                break;
            }
            passed += 1;
        }
        Ok((first_of(&page) + passed).saturating_sub(1).min(shard.cells - 1))
    }

    #[cold]
    pub(super) fn disordered(&self, number: u32) -> Error {
        self.damaged.store(true, Ordering::Relaxed);
        damaged(&self.path, &format!("page {number} says nothing sensible"))
    }

    #[inline]
    pub(super) fn page(&self, number: u32, kind: PageKind) -> Result<(Got<'_>, usize)> {
        page(&self.pages, &self.path, number, kind).inspect_err(|e| self.note(e))
    }

    #[cold]
    fn note(&self, e: &Error) {
        if e.kind() == ErrorKind::Corrupt {
            self.damaged.store(true, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({}, {:?})", self.path.display(), self.facts)
    }
}

fn directory(pages: &Pages, path: &Path, facts: &Facts) -> Result<Box<[Shard]>> {
    let mut shards: Vec<Shard> = Vec::new();
    for number in facts.pages - 1 - facts.directory_pages..facts.pages - 1 {
        let (page, count) = page(pages, path, number, PageKind::Directory)?;
        let mut take = Take(&page[..CONTENT_BYTES]);
        for _ in 0..count {
            let shard = Shard::take(&mut take, facts.pages);
            let place = |shard: &Shard| (shard.key.clone(), std::cmp::Reverse(shard.lsn));
            let ordered = |shard: &Shard| shards.last().is_none_or(|last| place(last) < place(shard));
            let shard =
                shard.filter(ordered).ok_or_else(|| damaged(path, "its directory is not in order"))?;
            shards.push(shard);
        }
    }
    if shards.len() != facts.shards as usize {
        return Err(damaged(path, "its directory has not as many shards as it says"));
    }
    Ok(shards.into())
}

#[inline]
fn page<'a>(pages: &'a Pages, path: &Path, number: u32, kind: PageKind) -> Result<(Got<'a>, usize)> {
    let page = pages.get(number).map_err(|e| no_page(path, number, e))?;
    match count_of(page_ref(&page), kind) {
        Some(count) => Ok((page, count)),
        None => Err(no_page(path, number, NoPage::Other)),
    }
}

#[inline]
fn page_ref<'a>(page: &'a Got<'_>) -> &'a Page {
    page
}

#[cold]
pub(super) fn no_page(path: &Path, number: u32, why: NoPage) -> Error {
    match why {
        NoPage::Damaged => damaged(path, &format!("the checksum of page {number} is wrong")),
        NoPage::Other => damaged(path, &format!("page {number} is not what should stand there")),
        NoPage::Io(e) => io(path, e),
    }
}

#[cold]
pub(super) fn damaged(path: &Path, what: &str) -> Error {
    let say = format!(
        "the index table {} is damaged: {what}. Nothing is lost, the log has it all, and the table is made anew: try \
         again in a moment",
        path.display()
    );
    Error::new(ErrorKind::Corrupt, say)
}

#[cold]
fn newer(path: &Path) -> Error {
    let say = format!("{} is of a newer format than this program: use the newer program", path.display());
    Error::new(ErrorKind::Format, say)
}

#[cold]
fn io(path: &Path, e: std::io::Error) -> Error {
    let say = format!("reading {}: {e}; try again", path.display());
    Error::new(ErrorKind::Io, say).caused_by(e)
}
