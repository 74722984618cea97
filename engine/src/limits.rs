//! Pure: every bound of the store, the same when writing and when reading.

use savehold_wal::limits::{BODY_BYTES_MAX, HEAD_BYTES_MAX};

/// Longest key; the shortest has one byte.
pub const KEY_BYTES_MAX: usize = 1024;

/// Longest key of a reserved collection: it carries a key of the user, and whose or which it is.
pub const RESERVED_KEY_BYTES_MAX: usize = KEY_BYTES_MAX + 128;

/// Longest name of a pin, in bytes.
pub const PIN_BYTES_MAX: usize = 256;

/// Most single moments, full minutes and full hours, that settings may keep at a time: with what else is kept they stand in
/// MANIFEST and in every packed file.
pub const MOMENTS_MAX: u64 = 1 << 15;

/// Most collections with a setting of history of their own; all others have the usual one. As of single moments, and who has
/// one has it for good.
pub const RETENTIONS_MAX: usize = 1 << 13;

/// Most pins: each is a single moment too.
pub const PINS_MAX: usize = 1 << 12;

/// Longest name of a collection, in bytes of UTF-8.
pub const NAME_BYTES_MAX: usize = 128;

/// Largest stored value, after encoding, without its attributes.
pub const VALUE_BYTES_MAX: usize = 64 << 20;

/// Deepest nesting of lists and maps in a value; a number has depth 0, `[]` has depth 1.
pub const VALUE_DEPTH_MAX: usize = 128;

/// Most bytes of values, attributes included, in one transaction.
pub const TRANSACTION_BYTES_MAX: usize = 256 << 20;

/// Most keys that one transaction writes.
pub const TRANSACTION_ENTRIES_MAX: usize = 1 << 20;

/// Most keys of one lease.
pub const LEASE_KEYS_MAX: usize = 1024;

/// Longest idempotency id.
pub const ONCE_ID_BYTES_MAX: usize = 64;

/// Most user ids on one value.
pub const USER_IDS_MAX: usize = 32;

/// Longest user id, in bytes of UTF-8.
pub const USER_ID_BYTES_MAX: usize = 64;

/// Most names in the metadata of one value.
pub const META_MAX: usize = 64;

/// Most bytes of metadata on one value, names and texts together.
pub const META_BYTES_MAX: usize = 4096;

/// Most messages that wait in one mailbox, where nothing else is said.
pub const MAIL_COUNT_MAX: u64 = 1000;

/// Longest reason for taking a message out by hand.
pub const MAIL_REASON_BYTES_MAX: usize = 256;

/// Most bytes that the layer above keeps beside a value about its shape.
pub const SCHEMA_BYTES_MAX: usize = 4096;

/// Most bytes that an entry in a record's body has before its value.
pub const ENTRY_HEAD_BYTES_MAX: usize = 2 // flags, format
    + 10 // time
    + 1 + USER_IDS_MAX * (1 + USER_ID_BYTES_MAX)
    + 1 + META_MAX * 4 + META_BYTES_MAX
    + 2 + SCHEMA_BYTES_MAX;

/// Most bytes that one put has in a record's head, its key included.
pub const HEAD_ENTRY_BYTES_MAX: usize = 5 + 1 + 2 + RESERVED_KEY_BYTES_MAX + 5 + 5;

/// What the log may add to a body for each part.
const PART_BYTES_MAX: usize = 32;

const _: () = assert!(ENTRY_HEAD_BYTES_MAX + VALUE_BYTES_MAX <= TRANSACTION_BYTES_MAX);
const _: () = assert!(TRANSACTION_BYTES_MAX + TRANSACTION_ENTRIES_MAX * PART_BYTES_MAX <= BODY_BYTES_MAX);
const _: () = assert!(BODY_BYTES_MAX <= u32::MAX as usize); // a part's place in the body is a u32
const _: () = assert!(HEAD_BYTES_MAX / HEAD_ENTRY_BYTES_MAX >= 1 << 15); // that many of the longest keys fit
const _: () = assert!(USER_ID_BYTES_MAX < 128 && USER_IDS_MAX < 128 && META_MAX < 128); // one-byte counts
const _: () = assert!(META_BYTES_MAX < 1 << 14 && SCHEMA_BYTES_MAX < 1 << 14); // two-byte lengths
const _: () = assert!(RESERVED_KEY_BYTES_MAX < 1 << 14);
