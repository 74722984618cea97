//! Pure: cells, the versions on a page in order, each key without the bytes that it shares with the one before.
//!
//! ```text
//! cell    +--------+--------+---------------+----------------+------------------+--------+
//!         | shared | suffix | LSN - low     | offset         | bytes × 2        | suffix |
//!         | varint | length | varint        | varint         | + removed        | bytes  |
//!         +--------+--------+---------------+----------------+------------------+--------+
//!                                           on pages of fences these two are left out
//!
//! page    | cell cell … zeros … | … u16 | u16 |  places of the restarts, the first one last, up to offset 4084
//! ```
//!
//! The key of a cell is its collection (four bytes, big-endian) and the key itself: at most [`FULL_BYTES_MAX`]. Cells
//! stand in the order of these, versions of one key newest first. 2³¹ more than bytes × 2: the autosave wrote it. At a *restart* nothing is shared. One begins after 16
//! cells or 256 bytes, whichever comes first; a page has at most 32. low is the table's. Varints in their shortest form.

use std::cmp::Ordering;

use super::page::{CONTENT_BYTES, Page};
use crate::index::entry::Packed;
use crate::varint;
use savehold_wal::Lsn;

/// Most bytes of a collection's number and a key behind it.
pub const FULL_BYTES_MAX: usize = 4 + 1280;
/// Most restarts of a page.
pub(super) const RESTARTS_MAX: usize = 32;

const RESTART_CELLS: usize = 16;
const RESTART_BYTES: usize = 256;
const CELL_BYTES_MAX: usize = 3 * 10 + 5 + FULL_BYTES_MAX;

const _: () = assert!(2 * (CELL_BYTES_MAX + 2) <= CONTENT_BYTES);
const _: () = assert!(crate::limits::KEY_BYTES_MAX + 4 <= FULL_BYTES_MAX);

/// Whether cells say where the values stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// Versions: they do.
    Versions,
    /// Fences: they do not.
    Fences,
}

/// Fills a page with cells.
pub(super) struct CellWriter {
    form: Form,
    low: Lsn,
    content: Vec<u8>,
    restarts: Vec<u16>,
    cells: usize,
    last: Vec<u8>,
}

impl CellWriter {
    pub(super) fn new(form: Form, low: Lsn) -> Self {
        Self {
            form,
            low,
            content: Vec::with_capacity(CONTENT_BYTES + CELL_BYTES_MAX),
            restarts: Vec::with_capacity(RESTARTS_MAX),
            cells: 0,
            last: Vec::with_capacity(FULL_BYTES_MAX),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.restarts.is_empty()
    }

    /// Adds a version of the key `full`; gives the restart that it stands behind, or `None` where the page is full.
    pub(super) fn push(&mut self, full: &[u8], version: Packed) -> Option<usize> {
        let before = self.content.len();
        let begun = self.restarts.last().map_or(0, |at| usize::from(*at));
        let restart = self.is_empty() || self.cells == RESTART_CELLS || before - begun >= RESTART_BYTES;
        let shared = if restart { 0 } else { common(&self.last, full) };
        let restarts = self.restarts.len() + usize::from(restart);
        varint::put(&mut self.content, shared as u64);
        varint::put(&mut self.content, (full.len() - shared) as u64);
        varint::put(&mut self.content, version.lsn.raw() - self.low.raw());
        if self.form == Form::Versions {
            varint::put(&mut self.content, u64::from(version.offset));
            varint::put(&mut self.content, u64::from(version.bytes.rotate_left(1)));
        }
        self.content.extend_from_slice(&full[shared..]);
        if self.content.len() + 2 * restarts > CONTENT_BYTES || restarts > RESTARTS_MAX {
            self.content.truncate(before);
            return None;
        }
        if restart {
            self.restarts.push(before as u16);
            self.cells = 0;
        }
        self.cells += 1;
        self.last.truncate(shared);
        self.last.extend_from_slice(&full[shared..]);
        Some(restarts - 1)
    }

    /// Puts the content into `page` and begins anew; says how many restarts there are.
    pub(super) fn take(&mut self, page: &mut Page) -> u16 {
        page.fill(0);
        page[..self.content.len()].copy_from_slice(&self.content);
        for (n, restart) in self.restarts.iter().enumerate() {
            let at = CONTENT_BYTES - 2 * (n + 1);
            page[at..at + 2].copy_from_slice(&restart.to_le_bytes());
        }
        let count = self.restarts.len() as u16;
        self.content.clear();
        self.restarts.clear();
        self.last.clear();
        self.cells = 0;
        count
    }
}

/// One cell.
#[derive(Clone, Copy)]
pub(super) struct Cell<'a> {
    /// Bytes that its key shares with the one before.
    pub(super) shared: usize,
    /// The rest of its key.
    pub(super) suffix: &'a [u8],
    /// The version; without a place on a page of fences.
    pub(super) version: Packed,
}

/// The cells of a page behind one restart, or before one.
pub(super) struct Cells<'a> {
    /// From the next cell to the end of the page: what is read of a cell may be read at once, wherever it ends.
    rest: &'a [u8],
    /// How many bytes of these are cells.
    left: usize,
    form: Form,
    low: Lsn,
}

impl<'a> Cells<'a> {
    /// The cells behind restart `n`, up to the next; `None` where there is no such restart.
    #[inline]
    pub(super) fn behind(page: &'a Page, restarts: usize, n: usize, form: Form, low: Lsn) -> Option<Self> {
        Self::within(page, restarts, n..n + 1, form, low)
    }

    /// The cells before restart `n`, which is not the first; `None` where there is no such restart.
    #[inline]
    pub(super) fn before(page: &'a Page, restarts: usize, n: usize, form: Form, low: Lsn) -> Option<Self> {
        Self::within(page, restarts, 0..n, form, low)
    }

    #[inline]
    fn within(
        page: &'a Page,
        restarts: usize,
        wanted: std::ops::Range<usize>,
        form: Form,
        low: Lsn,
    ) -> Option<Self> {
        if restarts > RESTARTS_MAX || wanted.end > restarts || wanted.is_empty() {
            return None;
        }
        let end_of_all = CONTENT_BYTES - 2 * restarts;
        let place = |n: usize| {
            let at = CONTENT_BYTES - 2 * (n + 1);
            usize::from(u16::from_le_bytes([page[at], page[at + 1]]))
        };
        let end = if wanted.end == restarts { end_of_all } else { place(wanted.end).min(end_of_all) };
        let start = place(wanted.start);
        Some(Self { rest: page.get(start..)?, left: end.checked_sub(start)?, form, low })
    }
}

/// Bytes from one restart of a page to the next, as a mean; `None` where there is no such page.
pub(super) fn step_of(page: &Page, restarts: usize) -> Option<usize> {
    let last = Cells::before(page, restarts, restarts.checked_sub(1)?, Form::Versions, Lsn::NONE)?;
    Some(last.left / (restarts - 1))
}

/// The restart of a page behind which `to` stands, or would stand: the last whose first cell is at or before it, or the first.
/// `None` where that cannot be.
#[inline]
pub(super) fn restart_of(
    page: &Page,
    restarts: usize,
    form: Form,
    low: Lsn,
    to: &Point<'_>,
) -> Option<usize> {
    let (mut at, mut behind) = (0, restarts);
    while at + 1 < behind {
        let middle = usize::midpoint(at, behind);
        let first = Cells::behind(page, restarts, middle, form, low)?.next()?;
        if to.is_before(first.suffix, first.version.lsn) { behind = middle } else { at = middle }
    }
    Some(at)
}

/// A cell whose version was not looked at.
struct Glance<'a> {
    shared: usize,
    suffix: &'a [u8],
    /// From the version on.
    version: &'a [u8],
}

impl<'a> Cells<'a> {
    /// As [`Cells::next`] on a page of versions, without the version, which is three numbers.
    #[inline(always)]
    fn glance(&mut self) -> Option<Glance<'a>> {
        if let Some(front) = self.rest.first_chunk::<10>() {
            let [shared, length, version @ ..] = *front;
            // nearly always both lengths take a byte each, and the version no more than eight
            if let Some(bytes) = varint::end::<3>(version)
                && shared | length < 0x80
                && shared | length > 0
            {
                let (bytes, length) = (2 + bytes, usize::from(length));
                let suffix = self.rest.get(bytes..bytes + length)?;
                let version = &self.rest[2..];
                self.pass(bytes + length)?;
                return Some(Glance { shared: usize::from(shared), suffix, version });
            }
        }
        self.glance_slowly()
    }

    #[inline(never)]
    fn glance_slowly(&mut self) -> Option<Glance<'a>> {
        let cells = self.rest.get(..self.left)?;
        let (shared, rest) = varint::take(cells)?;
        let (length, version) = varint::take(rest)?;
        if shared | length == 0 {
            return None;
        }
        let rest = varint::skip::<3>(version)?;
        let (suffix, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.pass(cells.len() - rest.len())?;
        Some(Glance { shared: usize::try_from(shared).ok()?, suffix, version })
    }

    /// The next cell of a page of versions, nearly always: its lengths take a byte each, the version no more than eight. Where it
    /// does not, nothing was passed.
    #[inline(always)]
    fn next_short(&mut self) -> Option<Cell<'a>> {
        let [shared, length, version @ ..] = *self.rest.first_chunk::<10>()?;
        if self.form != Form::Versions || shared | length >= 0x80 || shared | length == 0 {
            return None;
        }
        let ([lsn, offset, bytes], taken) = varint::several(version)?;
        let lsn = Lsn::from_raw(self.low.raw().checked_add(lsn)?);
        let (offset, bytes) = (u32::try_from(offset).ok()?, u32::try_from(bytes).ok()?.rotate_right(1));
        let (start, shared) = (2 + taken, usize::from(shared));
        let end = start + usize::from(length);
        let suffix = self.rest.get(start..end)?;
        self.pass(end)?;
        Some(Cell { shared, suffix, version: Packed { lsn, offset, bytes } })
    }

    #[inline(never)]
    fn next_slowly(&mut self) -> Option<Cell<'a>> {
        let cells = self.rest.get(..self.left)?;
        let (shared, rest) = varint::take(cells)?;
        let (length, rest) = varint::take(rest)?;
        if shared | length == 0 {
            return None; // no key is empty, so these are the zeros behind the last cell
        }
        let (version, rest) = self.version(rest)?;
        let (suffix, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.pass(cells.len() - rest.len())?;
        Some(Cell { shared: usize::try_from(shared).ok()?, suffix, version })
    }

    /// Goes on behind a cell of so many bytes, if they all were cells.
    #[inline(always)]
    fn pass(&mut self, bytes: usize) -> Option<()> {
        let left = self.left.checked_sub(bytes)?;
        self.rest = self.rest.get(bytes..)?;
        self.left = left;
        Some(())
    }

    /// The version at the front of `bytes`, and what follows it.
    #[inline]
    fn version(&self, bytes: &'a [u8]) -> Option<(Packed, &'a [u8])> {
        let (lsn, mut rest) = varint::take(bytes)?;
        let lsn = Lsn::from_raw(self.low.raw().checked_add(lsn)?);
        let (mut offset, mut bytes) = (0, 0);
        if self.form == Form::Versions {
            (offset, rest) = varint::take_u32(rest)?;
            (bytes, rest) = varint::take_u32(rest)?;
        }
        Some((Packed { lsn, offset, bytes: bytes.rotate_right(1) }, rest))
    }
}

impl<'a> Iterator for Cells<'a> {
    type Item = Cell<'a>;

    /// The next cell. Zeros, and what is no cell, end them: a checksum stands behind each page, so nothing but zeros
    /// ever does.
    #[inline]
    fn next(&mut self) -> Option<Cell<'a>> {
        match self.next_short() {
            Some(cell) => Some(cell),
            None => self.next_slowly(),
        }
    }
}

/// A place in the order of versions: by key (its collection in front), then newest first.
#[derive(Clone, Copy, Debug)]
pub struct Point<'a> {
    /// Collection, four bytes big-endian, and key.
    pub full: &'a [u8],
    /// The version; [`Lsn::MAX`] stands before all versions of the key, [`Lsn::NONE`] behind them.
    pub lsn: Lsn,
}

impl Point<'_> {
    /// Whether it stands before a version of a key.
    #[inline]
    pub(super) fn is_before(&self, full: &[u8], lsn: Lsn) -> bool {
        self.full < full || (self.full == full && self.lsn > lsn)
    }

    /// Whether it stands behind a version of a key.
    #[inline]
    pub(super) fn is_behind(&self, full: &[u8], lsn: Lsn) -> bool {
        self.full > full || (self.full == full && self.lsn < lsn)
    }
}

/// What a search behind one restart found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sought {
    /// The version that was asked for.
    Version(Packed),
    /// The key stands there, but what was asked for stands further on.
    Later,
    /// The key does not stand behind this restart.
    Nothing,
}

/// The newest version of `full` that is not newer than `as_of` among the cells behind one restart. Copies nothing: of
/// the key before it knows how far it agrees with `full`, and that it is smaller.
#[inline]
pub(super) fn seek(mut cells: Cells<'_>, full: &[u8], as_of: Lsn) -> Sought {
    let (mut agrees, mut met) = (0, false);
    debug_assert!(cells.form == Form::Versions);
    while let Some(cell) = cells.glance() {
        let rest = match (met, cell.shared.cmp(&agrees)) {
            (true, _) if cell.shared == full.len() && cell.suffix.is_empty() => &[],
            (true, _) => return Sought::Nothing, // past the key, and all its versions were newer
            (false, Ordering::Greater) => continue, // it differs from `full` where the one before did
            (false, Ordering::Less) => return Sought::Nothing,
            (false, Ordering::Equal) => &full[agrees..],
        };
        if let (Some(wanted), Some(there)) = (rest.first(), cell.suffix.first())
            && wanted != there
        {
            // of neighbours among many keys the very next byte differs, nearly always
            if there > wanted {
                return Sought::Nothing;
            }
            continue;
        }
        let more = common(rest, cell.suffix);
        if more == rest.len() && more == cell.suffix.len() {
            let Some((version, _)) = cells.version(cell.version) else { break };
            if version.lsn <= as_of {
                return Sought::Version(version);
            }
            met = true;
        } else if more == rest.len() || cell.suffix.get(more).is_some_and(|byte| *byte > rest[more]) {
            return Sought::Nothing;
        }
        agrees += more;
    }
    if met { Sought::Later } else { Sought::Nothing }
}

/// How many bytes two strings begin with alike.
#[inline]
pub(super) fn common(a: &[u8], b: &[u8]) -> usize {
    let mut whole = 0;
    for (x, y) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        let differ = number(x) ^ number(y);
        if differ != 0 {
            return whole + (differ.trailing_zeros() / 8) as usize;
        }
        whole += 8;
    }
    whole + a[whole..].iter().zip(&b[whole..]).take_while(|(x, y)| x == y).count()
}

fn number(eight: &[u8]) -> u64 {
    u64::from_le_bytes(eight.try_into().expect("chunks of eight"))
}
