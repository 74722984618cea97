//! The store under a hostile disk, paused writers and reentrant callers.
//!
//! Counts are small so that the suite ends in seconds; `SAVEHOLD_SCALE` multiplies them.

mod answers;
mod archives;
mod backups;
mod cases;
mod checker;
mod compaction;
mod damage;
mod everything;
mod feed;
mod full;
mod gate;
mod history;
mod model;
mod moments;
mod once;
mod ops;
mod planted;
mod points;
mod random;
mod reads;
mod retention;
mod tables;
mod thinning;
mod turns;
mod users;
mod world;

/// So many, times `SAVEHOLD_SCALE`.
fn scaled(n: u64) -> u64 {
    let scale = std::env::var("SAVEHOLD_SCALE").ok().and_then(|text| text.parse::<u64>().ok());
    n * scale.unwrap_or(1)
}
