//! Pure: a page of a table file, the unit that is checksummed, mapped and read.
//!
//! ```text
//! offset  0                                        4084   4085   4086    4088    4092    4096
//!         +----------------------------------------+------+------+-------+-------+-------+
//!         | content, zeros behind it               | kind | zero | count | first | crc32 |
//!         +----------------------------------------+------+------+-------+-------+-------+
//! kind   1 cells · 2 fences · 3 buckets · 4 directory · 5 footer
//! count  cells, fences: restarts · buckets: buckets · directory: shards · footer: 0
//! first  fences: how many stand on the pages before it, of the same shard · 0 in all others
//! crc32  of the 4092 bytes before it, then the page's number in the file (8 bytes) and the file's binding (8 bytes)
//! ```
//!
//! The binding is that of a log segment: the file's random number mixed with the store's identity. So a page of another
//! file, of another store or at another place never validates. Little-endian, and kinds are for ever.

use savehold_wal::Lsn;
use savehold_wal::format::checksum::{Binding, Unplaced};

/// Bytes of a page.
pub const PAGE_BYTES: usize = 4096;
/// Bytes of a page that content may take.
pub(super) const CONTENT_BYTES: usize = PAGE_BYTES - TRAILER_BYTES;

const TRAILER_BYTES: usize = 12;
const CRC_AT: usize = PAGE_BYTES - 4;

/// A page.
pub type Page = [u8; PAGE_BYTES];

/// What stands on a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum PageKind {
    /// Versions of keys, in order.
    Cells = 1,
    /// The first version of each page of cells of a shard.
    Fences = 2,
    /// The hash section of a shard.
    Buckets = 3,
    /// Where the shards stand.
    Directory = 4,
    /// What the table is; the last page.
    Footer = 5,
}

/// What the trailer says of a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Trailer {
    pub(super) kind: PageKind,
    pub(super) count: u16,
    pub(super) first: u32,
}

/// Ends a page, whose content stands there, and binds it to its place.
pub(super) fn seal(page: &mut Page, trailer: Trailer, number: u32, binding: Binding) {
    page[CONTENT_BYTES] = trailer.kind as u8;
    page[CONTENT_BYTES + 1] = 0;
    page[CONTENT_BYTES + 2..CONTENT_BYTES + 4].copy_from_slice(&trailer.count.to_le_bytes());
    page[CONTENT_BYTES + 4..CRC_AT].copy_from_slice(&trailer.first.to_le_bytes());
    let crc = checksum(page, number, binding);
    page[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
}

/// Whether a page is what was sealed as number `number` of the file.
pub(super) fn is_whole(page: &Page, number: u32, binding: Binding) -> bool {
    page[CRC_AT..] == checksum(page, number, binding).to_le_bytes()
}

/// How many restarts, buckets or shards a page of `kind` has; `None` for a page of another kind.
#[inline]
pub(super) fn count_of(page: &Page, kind: PageKind) -> Option<usize> {
    let count = u16::from_le_bytes([page[CONTENT_BYTES + 2], page[CONTENT_BYTES + 3]]);
    (page[CONTENT_BYTES] == kind as u8).then_some(usize::from(count))
}

/// How many fences stand on the pages before this one.
pub(super) fn first_of(page: &Page) -> u32 {
    u32::from_le_bytes([
        page[CONTENT_BYTES + 4],
        page[CONTENT_BYTES + 5],
        page[CONTENT_BYTES + 6],
        page[CONTENT_BYTES + 7],
    ])
}

fn checksum(page: &Page, number: u32, binding: Binding) -> u32 {
    Unplaced::of(&page[..CRC_AT]).frame_at(Lsn::from_raw(u64::from(number)), binding)
}
