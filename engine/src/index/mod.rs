//! Pure: where the versions of each key stand in the log.
//!
//! Newest in memory, in the *tail*; the rest on disk, in *tables*; `stack` makes one index of both. The tail:
//!
//! ```text
//! hash of (collection, key):   6 bits          32 bits
//!                              partition       tag
//!
//! partition   slots    tag → place, 8 bytes each, at most 13/16 full
//!             arena    place → node: newest version, what is kept with it, what names the older ones, collection, key
//!             history  older versions: a short chain, or a run of blocks once they are many
//! ```
//!
//! A point read costs two dependent misses, slot and node, before the log's. The modules stand in the order of
//! dependence: each uses only those above it.

mod entry;
mod hash;
mod slots;
mod history;
mod arena;
mod partition;
mod range;
mod ordered;
mod recent;
mod views;
mod tail;
mod loader;
mod export;
pub mod table;
mod swap;
mod scan;
mod stack;
mod judge;
mod merge;
#[cfg(test)]
mod tests;

pub use entry::{Entry, Kind, Place, VersionRef};
pub use judge::{Judge, KeepAll};
pub use loader::{Loader, Staging};
pub use merge::Merge;
pub use range::{Direction, KeyRange, Page};
pub use recent::WatchGuard;
pub use stack::{Frozen, Index, Layers};
pub use tail::TailIndex;
