//! A crash-safe write-ahead log.
//!
//! `savehold-wal` stores *records* that it does not understand: a record is a *head* (small; replay reads it) and
//! a *body* (large; fetched on demand). It knows log sequence numbers, segments, groups and durability; it knows
//! no keys and no values.
//!
//! The modules stand in the order of dependence: each uses only those above it.

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "macos", target_os = "freebsd")))]
compile_error!("savehold knows the files and locks of Linux, Android, macOS and FreeBSD, not of this system");

pub mod clock;
pub mod error;
pub mod limits;
pub mod lsn;
pub mod raw;
pub mod vfs;

pub mod env;

pub use error::{Error, ErrorKind, Next, Result};
pub use lsn::Lsn;
