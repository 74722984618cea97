//! A crash-safe write-ahead log.
//!
//! `savehold-wal` stores *records* that it does not understand: a record is a *head* (small; replay reads it) and
//! a *body* (large; fetched on demand). It knows log sequence numbers, segments, groups and durability; it knows
//! no keys and no values.
//!
//! ```
//! use savehold_wal::{Lsn, Wal};
//!
//! # fn main() -> savehold_wal::Result<()> {
//! # let dir = tempfile::tempdir().unwrap();
//! let log = Wal::open(dir.path().join("log"))?;
//! let lsn = log.append(b"head: replay reads it", b"body: fetched on demand")?.wait()?; // durable when it returns
//! assert_eq!(log.read(lsn)?.body(), &b"body: fetched on demand"[..]);
//! for record in log.replay(Lsn::NONE)? {
//!     println!("{}", record?.lsn);
//! }
//! log.close()
//! # }
//! ```
//!
//! `README.md` beside this crate draws every byte of its files and says, case by case, what each crash leaves and why
//! that is safe.
//!
//! The modules stand in the order of dependence: each uses only those above it.

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "macos", target_os = "freebsd")))]
compile_error!("savehold knows the files and locks of Linux, Android, macOS and FreeBSD, not of this system");

pub mod lsn;
pub mod error;
pub mod limits;
mod lane;
#[cfg(feature = "planted")]
#[doc(hidden)]
pub mod planted;
#[cfg(target_arch = "x86_64")]
mod fold;
pub mod raw;
pub mod sync;
pub mod schedule;
pub mod bell;
pub mod clock;
pub mod socket;
#[cfg_attr(not(feature = "sim"), doc(hidden))]
pub mod draw;
pub mod vfs;
pub mod env;
#[cfg_attr(not(feature = "sim"), doc(hidden))]
pub mod sim;
pub mod format;
pub mod report;
pub mod segment;
pub mod options;
pub mod scan;
mod window;
mod ahead;
mod group;
mod turns;
mod habit;
mod mapped;
mod log;
mod mishap;
mod holder;
mod shortage;
mod recover;
mod rest;
mod prepare;
mod storing;
mod writer;
mod answer;
mod place;
mod keeper;
mod ticket;
mod reader;
mod replay;
mod iterate;
mod retire;
mod pack;
mod times;
mod follow;
mod stats;
mod open;
mod wal;
mod past;
pub mod inspect;
pub mod backup;

pub use error::{Error, ErrorKind, Next, Result};
pub use follow::{Followed, Follower};
pub use format::frame::Frame;
pub use group::Placed;
pub use holder::take as take_lock;
pub use iterate::Replay;
pub use lsn::Lsn;
pub use options::{Create, Durability, OnProgress, Options, Progress, Unwritable};
pub use pack::{Candidate, Packed, Packing, Sealed, Stay};
pub use place::Urgency;
pub use reader::Record;
pub use replay::{Replayed, Replayer};
pub use report::{ClockNote, RecoveryReport};
pub use scan::Verify;
pub use segment::packing::Judged;
pub use stats::Stats;
pub use ticket::Ticket;
pub use wal::{Append, NotNow, Wal};

/// The examples of `README.md`, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
