//! Pure: the versions of a table in order, from any place, in both directions.
//!
//! The cells behind one restart are decoded together when the cursor comes to them: then a step costs next to nothing
//! either way, and whoever looks for a few keys decodes little else.

use std::cmp::Reverse;
use std::ops::RangeInclusive;

use savehold_wal::Lsn;

use super::cell::{Cell, Cells, FULL_BYTES_MAX, Form, Point, restart_of};
use super::facts::Shard;
use super::page::PageKind;
use super::read::{Table, damaged, no_page};
use super::source::Got;
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::{Error, Result};
use crate::index::entry::{Packed, VersionRef};

/// Bytes of a collection's number and a key behind it.
const KEY_BYTES: RangeInclusive<usize> = 5..=FULL_BYTES_MAX;

/// A place between two versions of a table.
pub struct Cursor<'t> {
    table: &'t Table,
    shard: usize,
    /// Page of cells in the shard.
    page: u32,
    /// That page, once it is there, and how many restarts it has.
    held: Option<(Got<'t>, usize)>,
    /// The restart whose cells are decoded.
    restart: usize,
    decoded: Decoded,
    /// The item of these that `next` gives.
    at: usize,
}

/// The cells behind a restart, decoded.
#[derive(Default)]
struct Decoded {
    keys: Vec<u8>,
    items: Vec<Item>,
}

#[derive(Clone, Copy)]
struct Item {
    start: u32,
    end: u32,
    version: Packed,
}

impl Table {
    /// A cursor that stands before everything.
    #[must_use]
    pub fn cursor(&self) -> Cursor<'_> {
        Cursor { table: self, shard: 0, page: 0, held: None, restart: 0, decoded: Decoded::default(), at: 0 }
    }

    /// Pages that versions stand on.
    #[must_use]
    pub fn cell_pages(&self) -> u64 {
        self.shards.iter().map(|shard| u64::from(shard.cells)).sum()
    }

    /// Verifies every page, and that the versions stand in order; says how many pages there are.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`]: the first page that is damaged. [`ErrorKind::Io`].
    pub fn verify(&self) -> Result<u32> {
        for shard in &self.shards {
            (0..shard.cells).try_for_each(|n| self.cells(shard, n).map(drop))?;
            let fences = shard.first + shard.cells;
            (fences..fences + shard.fences).try_for_each(|n| self.page(n, PageKind::Fences).map(drop))?;
            let buckets = fences + shard.fences;
            (buckets..buckets + shard.bucket_pages())
                .try_for_each(|n| self.page(n, PageKind::Buckets).map(drop))?;
        }
        for number in 0..self.facts.pages {
            self.pages.get(number).map_err(|e| no_page(&self.path, number, e))?;
        }
        let (mut cursor, mut versions) = (self.cursor(), 0);
        let mut before = (Vec::new(), Lsn::NONE);
        cursor.seek_first()?;
        while let Some((full, version)) = cursor.next()? {
            if (&before.0[..], Reverse(before.1)) >= (full, Reverse(version.lsn)) {
                return Err(damaged(&self.path, "its versions are not in order"));
            }
            before.0.clear();
            before.0.extend_from_slice(full);
            before.1 = version.lsn;
            versions += 1;
        }
        if versions != self.facts.versions {
            return Err(damaged(&self.path, "it has not as many versions as it says"));
        }
        Ok(self.facts.pages)
    }
}

impl<'t> Cursor<'t> {
    /// Goes before the first version of all.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`]: a page is damaged. [`ErrorKind::Io`].
    pub fn seek_first(&mut self) -> Result<()> {
        self.seek(&Point { full: &[], lsn: Lsn::MAX })
    }

    /// Goes behind the last version of all.
    ///
    /// # Errors
    ///
    /// As [`Cursor::seek_first`].
    pub fn seek_last(&mut self) -> Result<()> {
        self.shard = self.table.shards.len().saturating_sub(1);
        self.page = self.shard_here().map_or(0, |shard| shard.cells - 1);
        let restarts = self.hold()?;
        self.decode(restarts.saturating_sub(1))?;
        self.at = self.decoded.items.len();
        Ok(())
    }

    /// Goes before the first version of the `n`-th page of cells, counted from 0, or behind all where there are not so many.
    ///
    /// # Errors
    ///
    /// As [`Cursor::seek_first`].
    pub fn seek_page(&mut self, mut n: u64) -> Result<()> {
        self.shard = 0;
        while let Some(shard) = self.shard_here().filter(|shard| n >= u64::from(shard.cells)) {
            n -= u64::from(shard.cells);
            self.shard += 1;
        }
        if self.shard_here().is_none() {
            return self.seek_last();
        }
        self.page = n as u32;
        self.hold()?;
        self.decode(0)
    }

    /// Goes before the first version that does not stand before `to`.
    ///
    /// # Errors
    ///
    /// As [`Cursor::seek_first`].
    pub fn seek(&mut self, to: &Point<'_>) -> Result<()> {
        self.forget();
        let begun = self.table.shards.partition_point(|shard| !to.is_before(&shard.key, shard.lsn));
        self.shard = begun.saturating_sub(1);
        self.page = match self.table.shards.get(self.shard) {
            Some(shard) => self.table.page_of(shard, to)?,
            None => 0,
        };
        self.hold()?;
        let restart = match &self.held {
            Some((page, restarts)) => {
                let restart = restart_of(page, *restarts, Form::Versions, self.table.facts.low, to);
                restart.ok_or_else(|| self.disordered())?
            }
            None => 0,
        };
        self.decode(restart)?;
        let decoded = &self.decoded;
        self.at = decoded.items.partition_point(|item| to.is_behind(decoded.key(item), item.version.lsn));
        Ok(())
    }

    /// The next version: its key, the collection in front, and itself.
    ///
    /// # Errors
    ///
    /// As [`Cursor::seek_first`].
    #[expect(clippy::should_implement_trait, reason = "what it gives is lent, and reading may fail")]
    pub fn next(&mut self) -> Result<Option<(&[u8], VersionRef)>> {
        if !self.settle()? {
            return Ok(None);
        }
        self.at += 1;
        Ok(Some(self.decoded.get(self.at - 1)))
    }

    /// What [`Cursor::next`] would give.
    ///
    /// # Errors
    ///
    /// As [`Cursor::seek_first`].
    #[inline]
    pub fn peek(&mut self) -> Result<Option<(&[u8], VersionRef)>> {
        Ok(if self.settle()? { Some(self.decoded.get(self.at)) } else { None })
    }

    /// The key of the last version that is decoded, where any is that [`Cursor::next`] did not give yet.
    #[inline]
    pub fn last_decoded(&self) -> Option<&[u8]> {
        let last = self.decoded.items[self.at..].last()?;
        Some(self.decoded.key(last))
    }

    /// Gives versions as [`Cursor::next`] does, as far as they are decoded and while `take` says that it wants the next one: each
    /// with whether it is of the same key as the one before it, which is not known of the first.
    #[inline]
    pub fn run(&mut self, mut take: impl FnMut(&[u8], VersionRef, bool) -> bool) {
        let mut before = u32::MAX;
        while let Some(item) = self.decoded.items.get(self.at) {
            self.at += 1;
            if !take(self.decoded.key(item), item.version.into(), item.start == before) {
                return;
            }
            before = item.start;
        }
    }

    /// Goes on to the restart behind which the next version stands; false where there is none.
    #[inline]
    fn settle(&mut self) -> Result<bool> {
        while self.at >= self.decoded.items.len() {
            if !self.go_on()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Goes on to the next restart; false where there is none.
    fn go_on(&mut self) -> Result<bool> {
        let next = match &self.held {
            Some((_, restarts)) if self.restart + 1 < *restarts => self.restart + 1,
            held => {
                let begun = held.is_some();
                let Some(shard) = self.shard_here() else { return Ok(false) };
                match begun {
                    false => {}
                    true if self.page + 1 < shard.cells => self.page += 1,
                    true if self.shard + 1 < self.table.shards.len() => {
                        (self.shard, self.page) = (self.shard + 1, 0)
                    }
                    true => return Ok(false),
                }
                self.hold()?;
                0
            }
        };
        self.decode(next)?;
        Ok(true)
    }

    /// The version before: its key, the collection in front, and itself.
    ///
    /// # Errors
    ///
    /// As [`Cursor::seek_first`].
    pub fn back(&mut self) -> Result<Option<(&[u8], VersionRef)>> {
        while self.at == 0 {
            let last = match self.restart.checked_sub(1) {
                Some(before) => before,
                None => {
                    if self.page > 0 {
                        self.page -= 1;
                    } else if self.shard > 0 {
                        self.shard -= 1;
                        self.page = self.table.shards[self.shard].cells - 1;
                    } else {
                        return Ok(None);
                    }
                    self.hold()?.saturating_sub(1)
                }
            };
            self.decode(last)?;
            self.at = self.decoded.items.len();
        }
        self.at -= 1;
        Ok(Some(self.decoded.get(self.at)))
    }

    fn shard_here(&self) -> Option<&'t Shard> {
        self.table.shards.get(self.shard)
    }

    /// Nothing is decoded: where a page cannot be had, nothing of another is lent.
    fn forget(&mut self) {
        (self.held, self.restart, self.at) = (None, 0, 0);
        self.decoded.keys.clear();
        self.decoded.items.clear();
    }

    /// Gets the page that it stands on; says how many restarts it has.
    fn hold(&mut self) -> Result<usize> {
        self.forget();
        let Some(shard) = self.shard_here() else { return Ok(0) };
        let (page, restarts) = self.table.cells(shard, self.page)?;
        self.held = Some((page, restarts));
        Ok(restarts)
    }

    /// Decodes the cells behind a restart of the page that it holds, and stands before them.
    fn decode(&mut self, restart: usize) -> Result<()> {
        let Self { table, held, decoded, .. } = self;
        (self.restart, self.at) = (restart, 0);
        decoded.keys.clear();
        decoded.items.clear();
        let Some((page, restarts)) = held else { return Ok(()) };
        let cells = Cells::behind(page, *restarts, restart, Form::Versions, table.facts.low);
        let high = table.facts.high;
        let push =
            |cell: Cell<'_>| cell.version.lsn < high && decoded.push(cell.shared, cell.suffix, cell.version);
        if cells.is_some_and(|mut cells| cells.all(push)) {
            return Ok(());
        }
        self.forget();
        Err(self.disordered())
    }

    /// What is said of a page whose versions cannot be what was written: its table is made anew.
    #[cold]
    pub fn disordered(&self) -> Error {
        let first = self.shard_here().map_or(0, |shard| shard.first);
        self.table.disordered(first + self.page)
    }
}

impl Decoded {
    /// Adds a cell; false where it shares more than the key before it has, or where no key is as short or as long. Whoever
    /// goes through a table takes a key for one with a collection in front, and writes it into the next.
    fn push(&mut self, shared: usize, suffix: &[u8], version: Packed) -> bool {
        let start = self.keys.len();
        if shared > 0 {
            let Some(last) = self.items.last() else { return false };
            let (from, to) = (last.start as usize, last.end as usize);
            if shared > to - from {
                return false;
            }
            if shared == to - from && suffix.is_empty() {
                self.items.push(Item { version, ..*last }); // another version of the same key
                return true;
            }
            self.keys.extend_from_within(from..from + shared);
        }
        self.keys.extend_from_slice(suffix);
        if !KEY_BYTES.contains(&(self.keys.len() - start)) {
            return false;
        }
        self.items.push(Item { start: start as u32, end: self.keys.len() as u32, version });
        true
    }

    #[inline]
    fn key(&self, item: &Item) -> &[u8] {
        &self.keys[item.start as usize..item.end as usize]
    }

    #[inline]
    fn get(&self, at: usize) -> (&[u8], VersionRef) {
        let item = &self.items[at];
        (self.key(item), item.version.into())
    }
}
