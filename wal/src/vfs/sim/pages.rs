//! Pure: the bytes of one simulated file, in pages that copies share until one of them writes.

use std::fmt;
use std::ops::Range;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, LazyLock, OnceLock};

use super::digest::Digest;

/// Unit of sharing and of space.
pub(super) const PAGE_BYTES: usize = 4096;

/// Unit that a power cut takes or leaves.
pub(super) const SECTOR_BYTES: usize = 512;

pub(super) const SECTORS: usize = PAGE_BYTES / SECTOR_BYTES;

/// The bytes of a page, and their sum once somebody asked for it.
pub(super) struct Page {
    bytes: [u8; PAGE_BYTES],
    sum: OnceLock<u128>,
}

impl Page {
    fn of(bytes: [u8; PAGE_BYTES]) -> Self {
        Self { bytes, sum: OnceLock::new() }
    }

    fn sum(&self) -> u128 {
        *self.sum.get_or_init(|| {
            let mut digest = Digest::new();
            digest.bytes(&self.bytes);
            digest.sum()
        })
    }
}

impl Clone for Page {
    fn clone(&self) -> Self {
        Self::of(self.bytes)
    }
}

impl Deref for Page {
    type Target = [u8; PAGE_BYTES];

    fn deref(&self) -> &Self::Target {
        &self.bytes
    }
}

impl DerefMut for Page {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.sum = OnceLock::new();
        &mut self.bytes
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Page({:032x})", self.sum())
    }
}

/// Space that was allocated and never written.
static ZEROS: LazyLock<Arc<Page>> = LazyLock::new(|| Arc::new(Page::of([0; PAGE_BYTES])));

/// Zeros that were written into space that was empty.
static WRITTEN: LazyLock<Arc<Page>> = LazyLock::new(|| Arc::new(Page::of([0; PAGE_BYTES])));

/// A file's bytes. A page that is `None` is a hole: it reads as zeros and takes no space.
#[derive(Clone, Debug, Default)]
pub(super) struct Pages {
    len: u64,
    taken: u64,
    pages: Arc<Vec<Option<Arc<Page>>>>,
}

impl Pages {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Bytes of space that the file takes.
    pub(super) fn space(&self) -> u64 {
        self.taken * PAGE_BYTES as u64
    }

    pub(super) fn page(&self, index: usize) -> Option<&Arc<Page>> {
        self.pages.get(index).and_then(Option::as_ref)
    }

    /// One sector, zeros in a hole.
    pub(super) fn sector(&self, page: usize, sector: usize) -> &[u8] {
        let page = self.page(page).unwrap_or(&ZEROS);
        &page[sector * SECTOR_BYTES..(sector + 1) * SECTOR_BYTES]
    }

    /// The first pages at or behind `offset` that were written to, up to one that was not: space alone is no data.
    pub(super) fn written(&self, offset: u64) -> Option<Range<u64>> {
        let first = usize::try_from(offset).unwrap_or(usize::MAX) / PAGE_BYTES;
        let mut pages = first..page_count(self.len());
        let start = pages.find(|&page| self.is_written(page))?;
        let end = pages.find(|&page| !self.is_written(page)).unwrap_or(page_count(self.len()));
        Some(offset.max((start * PAGE_BYTES) as u64)..(end * PAGE_BYTES) as u64)
    }

    /// Reads up to the end of the file.
    pub(super) fn read(&self, buf: &mut [u8], offset: u64) -> usize {
        let end = self.len.min(offset.saturating_add(buf.len() as u64));
        for (page, within, at) in pieces(offset, end) {
            let part = &mut buf[at..at + within.len()];
            match self.page(page) {
                Some(page) => part.copy_from_slice(&page[within]),
                None => part.fill(0),
            }
        }
        end.saturating_sub(offset) as usize
    }

    /// Writes inside one page, whatever the length.
    pub(super) fn write(&mut self, page: usize, at: usize, bytes: &[u8]) {
        match <&[u8; PAGE_BYTES]>::try_from(bytes) {
            Ok(whole) => self.put(page, Arc::new(Page::of(*whole))),
            Err(_) => self.page_mut(page)[at..at + bytes.len()].copy_from_slice(bytes),
        }
    }

    /// Puts a whole page, whatever the length.
    pub(super) fn put(&mut self, index: usize, page: Arc<Page>) {
        *self.slot(index) = Some(page);
    }

    /// True where a page was written to, if only with zeros.
    pub(super) fn is_written(&self, index: usize) -> bool {
        self.page(index).is_some_and(|page| !Arc::ptr_eq(page, &ZEROS))
    }

    /// Takes note that zeros were written to a page that was not.
    pub(super) fn put_zeros(&mut self, index: usize) {
        if !self.is_written(index) {
            self.put(index, Arc::clone(&WRITTEN));
        }
    }

    /// Takes space for a page that has none.
    pub(super) fn reserve(&mut self, index: usize) {
        if self.page(index).is_none() {
            self.put(index, Arc::clone(&ZEROS));
        }
    }

    /// Grows with a hole, or cuts: what is cut off is zeros if the file grows again.
    pub(super) fn set_len(&mut self, len: u64) {
        self.len = len;
        self.clip();
    }

    pub(super) fn grow(&mut self, len: u64) {
        self.len = self.len.max(len);
    }

    /// Forgets whatever lies past the length.
    pub(super) fn clip(&mut self) {
        let count = page_count(self.len);
        if self.pages.len() > count {
            self.taken -= self.pages[count..].iter().flatten().count() as u64;
            Arc::make_mut(&mut self.pages).truncate(count);
        }
        let rest = (self.len % PAGE_BYTES as u64) as usize;
        if rest != 0 && self.page(count - 1).is_some_and(|p| p[rest..] != ZEROS[rest..]) {
            self.page_mut(count - 1)[rest..].fill(0);
        }
    }

    /// Adds length and bytes; a page that `other` has too is told by that alone.
    pub(super) fn digest(&self, digest: &mut Digest, other: Option<&Self>) {
        digest.word(self.len);
        digest.word(self.pages.len() as u64);
        for (index, page) in self.pages.iter().enumerate() {
            match page {
                None => digest.word(0),
                Some(page) => digest_page(digest, page, other.and_then(|other| other.page(index))),
            }
        }
    }

    pub(super) fn page_mut(&mut self, index: usize) -> &mut Page {
        Arc::make_mut(self.slot(index).get_or_insert_with(|| Arc::clone(&ZEROS)))
    }

    /// The place of a page that is about to be filled.
    fn slot(&mut self, index: usize) -> &mut Option<Arc<Page>> {
        let pages = Arc::make_mut(&mut self.pages);
        if pages.len() <= index {
            pages.resize(index + 1, None);
        }
        let slot = &mut pages[index];
        self.taken += u64::from(slot.is_none());
        slot
    }
}

/// Adds one page: that it is as `other`, that it is space alone, or its bytes.
pub(super) fn digest_page(digest: &mut Digest, page: &Arc<Page>, other: Option<&Arc<Page>>) {
    let space = |page: &Arc<Page>| Arc::ptr_eq(page, &ZEROS);
    let is = |other: &Arc<Page>| space(page) == space(other) && page.sum() == other.sum();
    if other.is_some_and(is) {
        digest.word(1);
    } else if space(page) {
        digest.word(2);
    } else {
        let sum = page.sum();
        digest.word(3);
        digest.word(sum as u64);
        digest.word((sum >> 64) as u64);
    }
}

/// Pages that a file of `len` bytes has.
pub(super) fn page_count(len: u64) -> usize {
    len.div_ceil(PAGE_BYTES as u64) as usize
}

/// The range `offset..end` page by page: page, range in it, distance from `offset`.
pub(super) fn pieces(offset: u64, end: u64) -> impl Iterator<Item = (usize, std::ops::Range<usize>, usize)> {
    let mut from = offset;
    std::iter::from_fn(move || {
        if from >= end {
            return None;
        }
        let start = (from % PAGE_BYTES as u64) as usize;
        let bytes = ((end - from) as usize).min(PAGE_BYTES - start);
        let piece = ((from / PAGE_BYTES as u64) as usize, start..start + bytes, (from - offset) as usize);
        from += bytes as u64;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(pages: &Pages) -> Vec<u8> {
        let mut bytes = vec![9; pages.len() as usize + 1];
        let count = pages.read(&mut bytes, 0);
        bytes.truncate(count);
        bytes
    }

    #[test]
    fn clone_keeps_its_bytes_when_the_other_writes() {
        let mut a = Pages::default();
        a.set_len(5000);
        a.write(1, 0, b"one");
        let b = a.clone();
        a.write(1, 0, b"two");
        assert_eq!((&read_all(&a)[4096..4099], &read_all(&b)[4096..4099]), (&b"two"[..], &b"one"[..]));
        assert_eq!((a.space(), b.space()), (4096, 4096), "page 0 is a hole");
    }

    #[test]
    fn cut_bytes_are_zeros_when_the_file_grows_again() {
        let mut pages = Pages::default();
        pages.set_len(8192);
        pages.write(0, 0, &[7; PAGE_BYTES]);
        pages.write(1, 0, &[7; PAGE_BYTES]);
        pages.set_len(10);
        pages.set_len(8192);
        assert_eq!(read_all(&pages)[..10], [7; 10]);
        assert!(read_all(&pages)[10..].iter().all(|b| *b == 0));
        assert_eq!(pages.space(), 4096);
    }

    #[test]
    fn read_stops_at_the_end() {
        let mut pages = Pages::default();
        pages.set_len(3);
        assert_eq!(pages.read(&mut [0; 8], 1), 2);
        assert_eq!(pages.read(&mut [0; 8], 3), 0);
        assert_eq!(pages.read(&mut [0; 8], u64::MAX), 0);
    }
}
