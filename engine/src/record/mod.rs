//! Pure: the head of a record: who wrote it, and which keys it puts or removes.
//!
//! The head is what replay reads; the values stand in the body, one part for each put (see
//! [`entry`](crate::entry)). Every entry is a result, never an operation: replay in any order gives the same
//! store, because the newest version of a key is its state.
//!
//! ```text
//!         +-------+--------+-----------+------------------+-------------------------+
//!         | flags | origin | token     | id               | entries, to the end     |
//!         | u8    | varint | u64, if 2 | len u8, bytes,   |                         |
//!         |       |        |           | if 4             |                         |
//!         +-------+--------+-----------+------------------+-------------------------+
//!
//! flags   1 autosave (else explicit) · 2 token follows · 4 idempotency id follows
//! origin  number of the build and node that wrote it, its text is kept in `$set`; 0 = none
//!
//! entry   +------------+------+---------+-------+---------+---------+
//!         | collection | kind | key len | key   | offset  | bytes   |
//!         | varint     | u8   | varint  |       | varint  | varint  |
//!         +------------+------+---------+-------+---------+---------+
//! kind    1 put: offset and bytes of the part in the record's body follow · 2 remove: nothing follows
//! ```
//!
//! Numbers are varints in their shortest form or little-endian. The length of the head is the log's to keep, and
//! so is its checksum. 1 ≤ key len ≤ 1024 (in reserved collections 1152), 1 ≤ id len ≤ 64, offset + bytes ≤
//! `BODY_BYTES_MAX`: the same when writing and when reading. Flags and kinds are on disk for ever: add, never renumber. A reader refuses flags and
//! kinds that it does not know, as a newer format.

use savehold_wal::limits::BODY_BYTES_MAX;

use crate::error::{Error, ErrorKind};
use crate::ids::{CollectionId, Token};

mod read;
mod write;

pub use read::{Entries, Head};
pub use write::HeadWriter;
pub(crate) use write::check_id;

/// Who wrote a record, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Author<'a> {
    /// Whether a call asked for it.
    pub cause: Cause,
    /// The number of the origin's text, 0 where the process has none.
    pub origin: u32,
    /// The lease under which it was written.
    pub token: Option<Token>,
    /// The idempotency id, 1 to [`ONCE_ID_BYTES_MAX`](crate::limits::ONCE_ID_BYTES_MAX) bytes.
    pub id: Option<&'a [u8]>,
}

impl Author<'_> {
    /// An explicit commit of a process that gave no origin, without lease and id.
    pub const NOBODY: Self = Self { cause: Cause::Explicit, origin: 0, token: None, id: None };
}

/// Whether a commit was asked for or made by the autosave of profiles. Retention keeps explicit ones longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A call asked for it.
    Explicit,
    /// The autosave wrote it.
    Autosave,
}

/// What a record did to one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadEntry<'a> {
    /// The collection.
    pub collection: CollectionId,
    /// The key, 1 to 1024 bytes; in a reserved collection up to 1152.
    pub key: &'a [u8],
    /// Its state from this record on.
    pub effect: Effect,
}

/// The state of a key after a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It has the value that stands in this part of the record's body.
    Put(Part),
    /// It is absent.
    Remove,
}

/// Where a part lies in the body of its record, as first written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Bytes from the start of the body.
    pub offset: u32,
    /// Bytes of the part, without what the log adds.
    pub bytes: u32,
}

impl Part {
    /// Whether it lies inside the largest body.
    #[inline]
    const fn fits(self) -> bool {
        self.offset as u64 + self.bytes as u64 <= BODY_BYTES_MAX as u64
    }
}

const FLAG_AUTOSAVE: u8 = 1;
const FLAG_TOKEN: u8 = 2;
const FLAG_ID: u8 = 4;
const FLAGS_KNOWN: u8 = FLAG_AUTOSAVE | FLAG_TOKEN | FLAG_ID;

const KIND_PUT: u8 = 1;
const KIND_REMOVE: u8 = 2;

/// Bytes that passed the log's checksum and yet are no head.
#[cold]
#[inline(never)]
fn malformed(what: &str) -> Error {
    let message = format!(
        "the head of a record is malformed ({what}) although its checksum is right: run `savehold verify`, then `savehold repair`"
    );
    Error::new(ErrorKind::Corrupt, message)
}

/// A bit or number that a newer program may know.
#[cold]
#[inline(never)]
fn newer(what: &str, number: u8) -> Error {
    let message = format!(
        "the head of a record has {what} {number}, which this program does not know: open the store with the newer program that wrote it"
    );
    Error::new(ErrorKind::Format, message)
}

#[cfg(test)]
mod tests;
