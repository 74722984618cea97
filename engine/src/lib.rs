//! An embedded storage engine for data that must not be lost and must have one writer at a time.
//!
//! The modules stand in the order of dependence: each uses only those above it.

pub mod limits;
#[doc(hidden)]
pub mod planted;
pub mod ids;
pub mod error;
pub mod key;
pub mod name;
mod varint;
mod inner_key;
mod meta;
pub mod record;
pub mod format;
pub mod attributes;
pub mod entry;
pub mod value;
mod at;
mod pattern;
pub mod options;
#[doc(hidden)]
pub mod index;
#[doc(hidden)]
pub mod retention;
mod moments;
mod pace;
mod stats;
mod range;
mod ticket;
mod guard;
mod caught;
mod origin;
mod signal;
mod news;
mod lease;
mod leases;
mod bell;
mod duty;
mod apply;
mod estimate;
mod debt;
mod waste;
mod drops;
mod manifest;
mod noted;
mod tiers;
mod tally;
mod shelf;
mod load;
mod memory;
mod recovery;
mod draft;
mod tags;
mod turn;
mod desk;
mod bar;
mod packer;
mod archiving;
mod horizon;
mod core;
mod share;
mod checkpoint;
mod commit;
mod fence;
mod naming;
mod setting;
mod life;
mod pin;
mod keeping;
mod thinning;
mod compaction;
mod table;
mod standing;
mod modify;
mod change;
mod form;
mod listing;
mod collection;
mod txn;
mod snapshot;
mod diff;
mod feed;
mod batch;
mod upkeep;
mod holder;
mod session;
mod acquire;
mod handing;
mod store;
mod past;
mod profile;
mod selection;
mod revert;
mod digest;
pub mod backup;
pub mod control;
mod open;
pub mod guide;
pub mod inspect;
#[cfg(feature = "sim")]
pub mod sim;

#[cfg(test)]
mod tests;

pub use acquire::Acquire;
pub use at::At;
pub use attributes::{Attributes, UserId};
pub use backup::{
    Backup, BackupOptions, Restore, Restored, preview, restore, restore_in_place, restore_with,
};
pub use batch::Batch;
pub use change::{Change, Entry, Once, Outcome, Updated};
pub use collection::{Collection, LeaseKey};
pub use compaction::Compacted;
pub use diff::{Diff, Difference};
pub use error::{Error, ErrorKind, Next, Result};
pub use feed::{Changes, Commit, KeyChange};
pub use holder::{Events, Holder, HolderEvent, HolderOptions, Start};
pub use ids::{Token, Version};
pub use inspect::{Repaired, Verified, repair, verify};
pub use key::{Key, KeyRef};
pub use lease::{Ended, HeldKey, Policy, Wanted};
pub use listing::{Keys, KeysOf, Page, Scan, Versions};
pub use moments::OpenSnapshot;
pub use options::{Control, Create, Durability, Options, Progress, Unwritable};
pub use pin::Pin;
pub use profile::{
    Adjustment, Builder, CloseReport, Compatible, Doc, DryRun, Edit, Event, Letter, Migrated, Mismatch,
    Playable, Profile, ProfileEvents, Profiles, RestoredProfile, Saved, Starting, View,
};
pub use range::Range;
pub use retention::{Moments, Retention, VersionsKept};
pub use revert::{Revert, Reverted};
pub use savehold_wal::RecoveryReport;
pub use selection::Selection;
pub use session::{Session, SessionInfo};
pub use signal::Watch;
pub use snapshot::Snapshot;
pub use stats::{ArchiveStats, Histogram, OldestFile, OldestMoment, Stats};
pub use store::{Doubt, Store};
pub use table::VersionInfo;
pub use ticket::Ticket;
pub use txn::{Done, Tx};
pub use value::{Map, MapKey, MapKeyRef, Value};

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
