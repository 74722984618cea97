//! Pure: index tables: the versions of keys on disk, sorted, immutable, derived from the log.
//!
//! ```text
//! table   shard shard … directory footer                                     pages of 4 KiB, each with its checksum
//! shard   cells: versions in order · fences: the first of each page of cells · buckets: from a key's hash to its cells
//! ```
//!
//! The modules stand in the order of dependence: each uses only those above it.

mod page;
mod cell;
mod spread;
mod facts;
mod starts;
mod write;
mod source;
mod read;
mod cursor;
mod point;
#[cfg(test)]
mod tests;

pub use cell::{FULL_BYTES_MAX, Point};
pub use cursor::Cursor;
pub use facts::Facts;
pub use page::{PAGE_BYTES, Page};
pub use point::{Wanted, Way, wanted};
pub use read::Table;
pub use source::Bytes;
pub use write::{Identity, Sink, Writer};
