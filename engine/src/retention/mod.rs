//! Pure: how long history is kept, and which moments and versions that means. Decides; merges of index tables carry it
//! out, and compaction drops what the index no longer lists.
//!
//! A *moment* is kept for all keys: there every key is as it was. A *version* is kept for itself: it can be read by its
//! number. Invariants, whatever the settings and however often this is applied:
//!
//! - *Nested*: a moment that is not kept is never kept again. Moments of minutes and hours stand on the clock, so the
//!   coarser ones are among the finer.
//! - *Whole*: the version that was the newest of its key at a kept moment stays.
//! - *Newest*: the newest version of a key stays, a removal as long as anything older may still stand anywhere.
//! - *Said first*: the terms are durable before anything is dropped by them.

mod settings;
mod horizon;
mod judge;
mod terms;
mod look;
#[cfg(test)]
mod tests;

pub use horizon::{Horizon, Marks};
pub use judge::{Holds, Kept, Plan, Reach, Rule};
pub use look::{Extent, Looked, Share};
pub use settings::{Moments, OUTCOMES, Retention, VersionsKept};
pub use terms::{Asked, Mark, Terms};
