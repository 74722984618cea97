//! Corridor: backups of a log into a directory elsewhere, and logs out of them again.
//!
//! A backup is the log before one place. Its bytes lie in *pieces*, each a run of one segment, which backups of one
//! destination share; an *inventory* says which. What a log holds before a durable place never changes, and neither does
//! a piece: a backup adds the runs that are new and publishes an inventory.

mod archive;
mod chain;
mod check;
mod copy;
mod copying;
mod destination;
mod form;
pub mod inventory;
mod keep;
mod listing;
mod making;
mod meter;
mod ours;
mod packed;
mod passing;
mod prune;
mod read;
mod relay;
mod restore;
mod site;
mod spared;
mod standing;
mod take;
mod thin;
mod window;

pub use archive::{Archive, Step};
pub use check::{Checked, Fault};
pub use copy::BackedUp;
pub use copying::{Copying, Linking, Packing};
pub use destination::check_apart;
pub use form::Form;
pub use inventory::Inventory;
pub use keep::Keep;
pub use listing::{BackupName, Listed};
pub use passing::{Carry, Passing};
pub use prune::{Do, Pruned, prune};
pub use restore::{Restored, Source};
pub use take::Damaged;
pub use thin::{Thinned, Thinning};
pub use window::{Cut, Moment, Window, windows};

#[cfg(test)]
mod tests;
