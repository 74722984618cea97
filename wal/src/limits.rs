//! Pure: every bound of the log, the same when writing and when reading.

/// Unit of writing after a sync: a group that is synced ends at a multiple of it, and bytes once synced are never
/// written again.
pub const BLOCK_BYTES: u64 = 4096;

/// Largest head of one record.
pub const HEAD_BYTES_MAX: usize = 64 << 20;

/// Largest body of one record, the headers of its parts included.
pub const BODY_BYTES_MAX: usize = 320 << 20;

/// Most bytes of ordinary frames in one group; a larger record makes a group of its own.
pub const GROUP_BYTES_MAX: u64 = 4 << 20;

/// Capacity of the first segment of a log and of the first after an unclean stop.
pub const SEGMENT_BYTES_MIN: u64 = 64 << 10;

/// Capacity at which segments stop doubling; only a larger record makes a larger one.
pub const SEGMENT_BYTES_MAX: u64 = 64 << 20;

/// Largest capacity that a segment header may state.
pub const SEGMENT_BYTES_LIMIT: u64 = 1 << 30;

/// Recovery reports that are kept.
pub const REPORTS_MAX: usize = 20;

/// Copies of damaged tails that are kept.
pub const QUARANTINE_MAX: usize = 3;

const _: () =
    assert!(SEGMENT_BYTES_MIN.is_multiple_of(BLOCK_BYTES) && SEGMENT_BYTES_MAX.is_multiple_of(BLOCK_BYTES));
const _: () = assert!((HEAD_BYTES_MAX + BODY_BYTES_MAX) as u64 + 16 * BLOCK_BYTES < SEGMENT_BYTES_LIMIT);
const _: () = assert!(BODY_BYTES_MAX <= u32::MAX as usize);
const _: () = assert!(HEAD_BYTES_MAX <= BODY_BYTES_MAX);
