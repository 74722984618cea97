//! Corridor: profiles: typed documents over sessions.
//!
//! The pure rooms say what a document is and what becomes of it: `read` and `template` learn from serde what a type asks
//! for, `reconcile` fills in what a stored document lacks, `keep` saves what the type does not know, `migrate` carries
//! old documents over, `validate` refuses what may not be stored, `schema` is what stands beside a document, `rules` has
//! it all together.
//!
//! `live` is a profile in memory; `start`, `save`, `edit` and `leave` are what happens to it, in this order; `shared` is all
//! of them, and what falls due by itself; `archive` and `mail` need no session.

mod adjust;
mod archive;
mod critical;
mod doc;
mod edit;
mod events;
mod hooks;
mod keep;
mod leave;
mod live;
mod mail;
mod migrate;
mod path;
mod playable;
mod ground;
mod handle;
mod profiles;
mod read;
mod reconcile;
mod relabel;
mod rules;
mod save;
mod schema;
mod shared;
mod start;
mod template;
mod validate;

pub use adjust::Adjustment;
pub use archive::{DryRun, Migrated, RestoredProfile, View};
pub use doc::Doc;
pub use edit::Edit;
pub use events::{Event, ProfileEvents};
pub use handle::Profile;
pub use leave::CloseReport;
pub use live::Saved;
pub use mail::Letter;
pub use migrate::Compatible;
pub use playable::Playable;
pub use profiles::{Builder, Profiles};
pub use reconcile::Mismatch;
pub use start::Starting;

#[cfg(test)]
mod tests;
