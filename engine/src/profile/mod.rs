//! Corridor: profiles: typed documents over sessions.
//!
//! The pure rooms say what a document is and what becomes of it: `read` and `template` learn from serde what a type asks
//! for, `reconcile` fills in what a stored document lacks, `keep` saves what the type does not know, `migrate` carries
//! old documents over, `validate` refuses what may not be stored.

mod adjust;
mod critical;
mod doc;
mod keep;
mod migrate;
mod path;
mod read;
mod reconcile;
mod schema;
mod template;
mod validate;

pub use adjust::Adjustment;
pub use doc::Doc;
pub use migrate::Compatible;
pub use reconcile::Mismatch;

#[cfg(test)]
mod tests;
