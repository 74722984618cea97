//! Door: where the pages of a table come from: a map, a file, or memory.
//!
//! A page is verified when it is first touched, and never trusted before. One bit a page remembers that: a map's bytes
//! do not change, for a finished table is never written again. What is read by `pread` is verified each time.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use savehold_wal::format::checksum::Binding;
use savehold_wal::raw;
use savehold_wal::vfs::{Map, VfsFile, read_exact_at};

use super::page::{PAGE_BYTES, Page, is_whole};

/// Bytes of a table.
#[derive(Clone, Debug)]
pub enum Bytes {
    /// The whole file, mapped.
    Mapped(Map),
    /// A file to be read page by page.
    File(Arc<dyn VfsFile>),
    /// All of it in memory.
    Memory(Arc<[u8]>),
}

impl Bytes {
    /// Its length in bytes.
    pub(super) fn len(&self) -> std::io::Result<u64> {
        match self {
            Self::Mapped(map) => Ok(map.len() as u64),
            Self::File(file) => file.len(),
            Self::Memory(bytes) => Ok(bytes.len() as u64),
        }
    }
}

/// A page that was read: borrowed from a map, or a copy.
#[derive(Debug)]
pub(super) enum Got<'a> {
    Lent(&'a Page),
    Own(Box<Page>),
}

impl Deref for Got<'_> {
    type Target = Page;

    #[inline]
    fn deref(&self) -> &Page {
        match self {
            Self::Lent(page) => page,
            Self::Own(page) => page,
        }
    }
}

/// The pages of one table, verified.
#[derive(Debug)]
pub(super) struct Pages {
    bytes: Bytes,
    binding: Binding,
    /// A bit for each page whose checksum was found right.
    seen: Box<[AtomicU64]>,
}

/// Why a page cannot be had.
#[derive(Debug)]
pub(super) enum NoPage {
    /// Its checksum is wrong, or the file ends before it.
    Damaged,
    /// It is whole, and not what should stand there.
    Other,
    /// The system did not give it.
    Io(std::io::Error),
}

impl Pages {
    pub(super) fn new(bytes: Bytes, binding: Binding, pages: u32) -> Self {
        let words = (pages as usize).div_ceil(64);
        Self { bytes, binding, seen: (0..words).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Page `number`.
    #[inline]
    pub(super) fn get(&self, number: u32) -> Result<Got<'_>, NoPage> {
        self.get_if(number, |_| true)
    }

    /// Page `number`, if it is what `is` asks for: which is asked when the page is first touched, and not again, so that
    /// only those lines of it are read that are wanted.
    #[inline]
    pub(super) fn get_if(&self, number: u32, is: fn(&Page) -> bool) -> Result<Got<'_>, NoPage> {
        let held: &[u8] = match &self.bytes {
            Bytes::Mapped(map) => map,
            Bytes::Memory(bytes) => bytes,
            Bytes::File(file) => return self.read(&**file, number, is),
        };
        let at = number as usize * PAGE_BYTES;
        let page: Option<&Page> = held.get(at..).and_then(<[u8]>::first_chunk);
        let (Some(page), Some(seen)) = (page, self.seen.get(number as usize / 64)) else {
            return Err(NoPage::Damaged);
        };
        if seen.load(Ordering::Relaxed) & (1 << (number % 64)) == 0 {
            self.verify(page, number, is, seen)?;
        }
        Ok(Got::Lent(page))
    }

    /// Fetches the line at `offset` in page `number`, where it is in memory or mapped.
    #[inline]
    pub(super) fn prefetch(&self, number: u32, offset: usize) {
        let held: &[u8] = match &self.bytes {
            Bytes::Mapped(map) => map,
            Bytes::Memory(bytes) => bytes,
            Bytes::File(_) => return,
        };
        raw::prefetch_at(held, number as usize * PAGE_BYTES + offset);
    }

    #[cold]
    fn verify(
        &self,
        page: &Page,
        number: u32,
        is: fn(&Page) -> bool,
        seen: &AtomicU64,
    ) -> Result<(), NoPage> {
        if !is_whole(page, number, self.binding) {
            return Err(NoPage::Damaged);
        }
        if !is(page) {
            return Err(NoPage::Other);
        }
        seen.fetch_or(1 << (number % 64), Ordering::Relaxed);
        Ok(())
    }

    fn read(&self, file: &dyn VfsFile, number: u32, is: fn(&Page) -> bool) -> Result<Got<'_>, NoPage> {
        let mut page = Box::new([0; PAGE_BYTES]);
        let read = read_exact_at(file, &mut *page, u64::from(number) * PAGE_BYTES as u64);
        match read {
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => Err(NoPage::Damaged),
            Err(e) => Err(NoPage::Io(e)),
            Ok(()) if !is_whole(&page, number, self.binding) => Err(NoPage::Damaged),
            Ok(()) if !is(&page) => Err(NoPage::Other),
            Ok(()) => Ok(Got::Own(page)),
        }
    }

    /// Bytes of memory that are neither file nor map.
    pub(super) fn memory_bytes(&self) -> usize {
        self.seen.len() * size_of::<AtomicU64>()
    }
}
