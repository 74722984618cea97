//! Pure: what the index stores of a version: where it stands in the log, and whether it is a value or a removal.

use savehold_wal::Lsn;

use crate::limits::RESERVED_KEY_BYTES_MAX;
use crate::record::Cause;

/// Where a version's part stands in its record, as first written. Compaction keeps it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Bytes from the start of the record to the part.
    pub offset: u32,
    /// Length of the part in bytes, at most [`Place::BYTES_MAX`].
    pub bytes: u32,
}

impl Place {
    /// Longest part that the index can name: more than any record may hold.
    pub const BYTES_MAX: u32 = AUTOSAVED - 1;
}

const _: () = assert!(savehold_wal::limits::BODY_BYTES_MAX < Place::BYTES_MAX as usize);

/// What a version says of its key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The key has a value from here on.
    Put,
    /// The key has no value from here on.
    Remove,
}

/// One version of a key as the index knows it: enough to read it from the log without another look-up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VersionRef {
    /// The commit that wrote it.
    pub lsn: Lsn,
    /// Where its part stands in the record of that commit.
    pub place: Place,
    /// A value or a removal.
    pub kind: Kind,
    /// Whether a call asked for it: what retention goes by.
    pub cause: Cause,
}

/// One entry of a record: the version that a commit gave one key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    /// Number of the collection.
    pub collection: u32,
    /// The key: 1 to [`RESERVED_KEY_BYTES_MAX`] bytes.
    pub key: &'a [u8],
    /// The version.
    pub version: VersionRef,
}

impl Entry<'_> {
    /// Checks what whoever decoded the record has checked before: a breach is our own mistake, never the disk's.
    #[inline]
    pub(super) fn check(&self) {
        assert!(
            !self.key.is_empty()
                && self.key.len() <= RESERVED_KEY_BYTES_MAX
                && self.version.place.bytes <= Place::BYTES_MAX,
            "an entry is checked against the limits when its record is decoded"
        );
    }
}

/// Set in [`Packed::bytes`] where the version is a removal.
const REMOVED: u32 = 1 << 31;
/// Set in [`Packed::bytes`] where the autosave wrote the version.
const AUTOSAVED: u32 = 1 << 30;

/// A [`VersionRef`] in 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Packed {
    pub(super) lsn: Lsn,
    pub(super) offset: u32,
    /// The length of the part; its top bit says that the version is a removal, the next that the autosave wrote it.
    pub(super) bytes: u32,
}

impl From<VersionRef> for Packed {
    #[inline]
    fn from(version: VersionRef) -> Self {
        let removed = if version.kind == Kind::Remove { REMOVED } else { 0 };
        let autosaved = if version.cause == Cause::Autosave { AUTOSAVED } else { 0 };
        let bytes = version.place.bytes | removed | autosaved;
        Self { lsn: version.lsn, offset: version.place.offset, bytes }
    }
}

impl From<Packed> for VersionRef {
    #[inline]
    fn from(packed: Packed) -> Self {
        Self {
            lsn: packed.lsn,
            place: Place { offset: packed.offset, bytes: packed.bytes & !(REMOVED | AUTOSAVED) },
            kind: if packed.bytes & REMOVED == 0 { Kind::Put } else { Kind::Remove },
            cause: if packed.bytes & AUTOSAVED == 0 { Cause::Explicit } else { Cause::Autosave },
        }
    }
}
