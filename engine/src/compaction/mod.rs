//! Corridor: compaction: files of the log that hold much that is dead are packed into fewer that hold what lives.
//!
//! The index decides, compaction carries out: what tables and tail list of a record stays at its address, and everything
//! else of it goes. Merges keep in the index what snapshots, pins and retention keep, so compaction asks nobody else. A
//! file is judged by one stack of layers from its first record to its last; what merges drop meanwhile goes the next time.

mod plan;
mod cull;
mod run;
mod archive;

pub use run::Compacted;
