//! A crash-safe write-ahead log.
//!
//! `savehold-wal` stores *records* that it does not understand: a record is a *head* (small; replay reads it) and
//! a *body* (large; fetched on demand). It knows log sequence numbers, segments, groups and durability; it knows
//! no keys and no values.
//!
//! The modules stand in the order of dependence: each uses only those above it.

pub mod clock;
pub mod env;
pub mod error;
pub mod limits;
pub mod lsn;
pub mod vfs;

pub use error::{Error, ErrorKind, Next, Result};
pub use lsn::Lsn;
