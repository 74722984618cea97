//! Pure: ranges of keys over several layers of an index, newest layer first, merged in the order asked for.
//!
//! Layers hold disjoint stretches of the log: of a key that several of them know, the newest layer that has a version
//! old enough has the newest such version.

use std::ops::Bound;

use savehold_wal::Lsn;

use super::entry::VersionRef;
use super::range::{Direction, KeyRange, Page};
use super::table::{Cursor, Point, Table};
use super::tail::TailIndex;
use crate::error::Result;

/// Versions of one key that a scan passes one by one before it looks for where they end.
const STEPS_MAX: usize = 64;

/// What a range read asks for.
#[derive(Clone, Copy)]
pub(super) struct Query<'q> {
    pub(super) collection: u32,
    pub(super) range: KeyRange<'q>,
    pub(super) after: Option<&'q [u8]>,
    pub(super) as_of: Lsn,
    pub(super) direction: Direction,
}

impl Query<'_> {
    /// Whether `key` stands before all that is asked for, in the order asked for.
    fn is_before(&self, key: &[u8]) -> bool {
        match self.direction {
            Direction::Ascending => {
                self.range.begins_after(key) || self.after.is_some_and(|after| key <= after)
            }
            Direction::Descending => {
                self.range.ends_before(key) || self.after.is_some_and(|after| key >= after)
            }
        }
    }

    /// Whether `key` stands behind all that is asked for, in the order asked for.
    fn is_behind(&self, key: &[u8]) -> bool {
        match self.direction {
            Direction::Ascending => self.range.ends_before(key),
            Direction::Descending => self.range.begins_after(key),
        }
    }

    /// Whether `a` comes before `b` in the order asked for.
    fn precedes(&self, a: &[u8], b: &[u8]) -> bool {
        match self.direction {
            Direction::Ascending => a < b,
            Direction::Descending => a > b,
        }
    }
}

/// One layer of a range read.
pub(super) enum Layer<'l> {
    Tail(TailScan<'l>),
    Table(TableScan<'l>),
}

impl<'l> Layer<'l> {
    pub(super) fn tail(index: &'l TailIndex, query: Query<'l>, limit: usize) -> Self {
        let mut scan = TailScan { index, query, limit, page: Page::default(), at: 0 };
        scan.read(query.after);
        Self::Tail(scan)
    }

    pub(super) fn table(table: &'l Table, query: Query<'l>) -> Result<Self> {
        let (cursor, full) = (table.cursor(), Vec::with_capacity(64));
        let mut scan = TableScan { table, cursor, query, full, version: None, inside: false };
        scan.begin()?;
        scan.step()?;
        Ok(Self::Table(scan))
    }

    fn current(&self) -> Option<(&[u8], VersionRef)> {
        match self {
            Self::Tail(scan) => scan.page.get(scan.at),
            Self::Table(scan) => scan.version.map(|version| (&scan.full[4..], version)),
        }
    }

    /// The version that it stands at.
    pub(super) fn version(&self) -> Option<VersionRef> {
        self.current().map(|(_, version)| version)
    }

    /// Adds what it has left to a page, up to `limit` keys in all.
    fn read_into(&mut self, page: &mut Page, limit: usize) -> Result<()> {
        if let Self::Table(scan) = self
            && scan.query.direction == Direction::Ascending
        {
            return scan.read_up(page, limit);
        }
        while page.len() < limit
            && let Some((key, version)) = self.current()
        {
            page.push(key, version);
            self.step()?;
        }
        Ok(())
    }

    /// Goes on to the next key.
    pub(super) fn step(&mut self) -> Result<()> {
        match self {
            Self::Tail(scan) => {
                scan.step();
                Ok(())
            }
            Self::Table(scan) => scan.step(),
        }
    }
}

/// The first keys of all layers together, up to `limit`; `layers` stand newest first.
pub(super) fn merge(query: Query<'_>, layers: &mut [Layer<'_>], limit: usize) -> Result<Page> {
    let mut page = Page::default();
    let limit = limit.max(1);
    while page.len() < limit {
        let mut live = layers.iter_mut().filter(|layer| layer.version().is_some());
        if let (Some(only), None) = (live.next(), live.next()) {
            only.read_into(&mut page, limit)?;
            break;
        }
        let mut first: Option<(&[u8], VersionRef)> = None;
        for layer in &*layers {
            let Some((key, version)) = layer.current() else { continue };
            if first.is_none_or(|(best, _)| query.precedes(key, best)) {
                first = Some((key, version));
            }
        }
        let Some((key, version)) = first else { break };
        page.push(key, version);
        for layer in &mut *layers {
            if layer.current().map(|(key, _)| key) == page.last_key() {
                layer.step()?;
            }
        }
    }
    Ok(page)
}

/// A tail index, read a page at a time.
pub(super) struct TailScan<'l> {
    index: &'l TailIndex,
    query: Query<'l>,
    limit: usize,
    page: Page,
    at: usize,
}

impl TailScan<'_> {
    fn read(&mut self, after: Option<&[u8]>) {
        let Query { collection, range, as_of, direction, .. } = self.query;
        self.page = self.index.range(collection, range, after, as_of, self.limit, direction);
        self.at = 0;
    }

    fn step(&mut self) {
        self.at += 1;
        if self.at == self.page.len() && self.page.len() >= self.limit.max(1) {
            let last = self.page.last_key().map(<[u8]>::to_vec);
            self.read(last.as_deref());
        }
    }
}

/// A table, read through a cursor.
pub(super) struct TableScan<'l> {
    table: &'l Table,
    cursor: Cursor<'l>,
    query: Query<'l>,
    /// The key it stands at, its collection in front.
    full: Vec<u8>,
    /// The version of it that was asked for; `None` once nothing follows.
    version: Option<VersionRef>,
    /// What is asked for has begun.
    inside: bool,
}

impl TableScan<'_> {
    /// Goes to where the range begins, in the order asked for.
    fn begin(&mut self) -> Result<()> {
        let Query { collection, range, after, direction, .. } = self.query;
        let place = |key: &[u8], lsn: Lsn| ([&collection.to_be_bytes()[..], key].concat(), lsn);
        let (full, lsn) = match direction {
            Direction::Ascending => {
                let from = match range.from {
                    Bound::Included(key) => place(key, Lsn::MAX),
                    Bound::Excluded(key) => place(key, Lsn::NONE),
                    Bound::Unbounded => place(&[], Lsn::MAX),
                };
                let after = after.map(|key| place(key, Lsn::NONE));
                let later = |a: (Vec<u8>, Lsn), b: (Vec<u8>, Lsn)| if precedes(&a, &b) { b } else { a };
                after.into_iter().fold(later(from, place(range.prefix, Lsn::MAX)), later)
            }
            Direction::Descending => {
                let end = match collection.checked_add(1) {
                    Some(next) => (next.to_be_bytes().to_vec(), Lsn::MAX),
                    None => (vec![0xff; super::table::FULL_BYTES_MAX + 1], Lsn::NONE),
                };
                let to = match range.to {
                    Bound::Included(key) => place(key, Lsn::NONE),
                    Bound::Excluded(key) => place(key, Lsn::MAX),
                    Bound::Unbounded => end.clone(),
                };
                let behind = behind_prefix(range.prefix).map_or(end, |key| place(&key, Lsn::MAX));
                let after = after.map(|key| place(key, Lsn::MAX));
                let sooner = |a: (Vec<u8>, Lsn), b: (Vec<u8>, Lsn)| if precedes(&a, &b) { a } else { b };
                after.into_iter().fold(sooner(to, behind), sooner)
            }
        };
        self.cursor.seek(&Point { full: &full, lsn })
    }

    fn step(&mut self) -> Result<()> {
        self.version = None;
        match self.query.direction {
            Direction::Ascending => self.step_up(),
            Direction::Descending => self.step_down(),
        }
    }

    /// Adds what it has left to a page, up to `limit` keys in all.
    fn read_up(&mut self, page: &mut Page, limit: usize) -> Result<()> {
        while page.len() < limit
            && let Some(version) = self.version
        {
            page.push(&self.full[4..], version);
            if page.len() < limit {
                self.read_decoded(page, limit);
            }
            if page.len() < limit {
                self.step()?;
            }
        }
        Ok(())
    }

    /// Adds the keys behind the one it stands at that are decoded, where all of them are in the range, as most are: then none is
    /// compared with anything, nor copied but to the page. Stands at the last of them.
    fn read_decoded(&mut self, page: &mut Page, limit: usize) {
        let Self { cursor, query, full, .. } = self;
        let in_range = |last: &[u8]| key_of(last, query.collection).is_some_and(|key| !query.is_behind(key));
        if !cursor.last_decoded().is_some_and(in_range) {
            return;
        }
        let (mut known, mut first) = (true, true);
        let before = page.len();
        cursor.run(|next, version, same| {
            known = if first { next == &full[..] } else { known && same };
            first = false;
            if !known && version.lsn <= query.as_of {
                page.push(&next[4..], version);
                known = true;
            }
            page.len() < limit
        });
        if page.len() > before
            && let Some(last) = page.last_key()
        {
            full.truncate(4);
            full.extend_from_slice(last);
        }
    }

    fn step_up(&mut self) -> Result<()> {
        let (mut same, query) = (0, self.query);
        loop {
            let Some((full, version)) = self.cursor.next()? else { return Ok(()) };
            let Some(key) = key_of(full, query.collection) else { return Ok(()) };
            if query.is_behind(key) {
                return Ok(());
            }
            let known = full == self.full;
            self.inside = self.inside || !query.is_before(key);
            let wanted = !known && self.inside && version.lsn <= query.as_of;
            if wanted {
                self.full.clear();
                self.full.extend_from_slice(full);
                self.version = Some(version);
                return Ok(());
            }
            same += 1;
            if same == STEPS_MAX {
                // many versions that are not wanted: on behind them
                let lsn = if known || !self.inside { Lsn::NONE } else { query.as_of };
                let full = full.to_vec();
                self.cursor.seek(&Point { full: &full, lsn })?;
                same = 0;
            }
        }
    }

    /// The versions of a key come oldest first here: the last one that is old enough counts.
    fn step_down(&mut self) -> Result<()> {
        let (mut same, query) = (0, self.query);
        self.full.clear();
        loop {
            let Some((full, version)) = self.cursor.back()? else { return Ok(()) };
            if full != self.full {
                if self.version.is_some() {
                    self.cursor.next()?; // it is the next key's: back before it
                    return Ok(());
                }
                let Some(key) = key_of(full, query.collection) else { return Ok(()) };
                if query.is_behind(key) {
                    return Ok(());
                }
                if query.is_before(key) {
                    continue;
                }
                self.full.clear();
                self.full.extend_from_slice(full);
                same = 0;
            }
            if version.lsn <= query.as_of {
                self.version = Some(version);
            }
            same += 1;
            if same == STEPS_MAX {
                self.version = self.table.at(query.collection, &self.full[4..], query.as_of)?;
                self.cursor.seek(&Point { full: &self.full, lsn: Lsn::MAX })?;
            }
        }
    }
}

fn key_of(full: &[u8], collection: u32) -> Option<&[u8]> {
    full.strip_prefix(&collection.to_be_bytes())
}

/// Whether place `a` stands before place `b`.
fn precedes(a: &(Vec<u8>, Lsn), b: &(Vec<u8>, Lsn)) -> bool {
    (&a.0, std::cmp::Reverse(a.1)) < (&b.0, std::cmp::Reverse(b.1))
}

/// The smallest key behind all that begin with `prefix`; `None` where there is none.
fn behind_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut behind = prefix[..=last].to_vec();
    behind[last] += 1;
    Some(behind)
}
