//! Corridor: one number for all that stands in a store at one moment: two stores that hold the same have the same.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use crate::error::Result;
use crate::ids::CollectionId;
use crate::index::Kind;
use crate::range::Range;
use crate::snapshot::Snapshot;

/// What stands in a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digest {
    /// Keys that have a value, without those of the store's own collections.
    pub(crate) keys: u64,
    /// Of every key: collection, key, version and all bytes of its value. In whatever order they are read.
    pub(crate) sum: u128,
}

/// The digest of all values at the moment of `snapshot`, each read and verified.
///
/// # Errors
///
/// [`ErrorKind::Damaged`](crate::ErrorKind::Damaged), [`ErrorKind::Io`](crate::ErrorKind::Io);
/// [`ErrorKind::Closed`](crate::ErrorKind::Closed): the store is being closed.
pub(crate) fn digest(snapshot: &Snapshot) -> Result<Digest> {
    let mut digest = Digest::default();
    let (core, moment) = snapshot.parts();
    for (name, id) in core.collections(moment)? {
        let table = crate::table::Table::new(core.clone(), crate::name::CollectionName::new(&name)?);
        for item in table.list(Range::all(), moment) {
            core.check_closing()?;
            let (key, version) = item?;
            debug_assert_eq!(version.kind, Kind::Put);
            let stored = core.stored(version)?;
            let mut bytes = Vec::with_capacity(stored.entry.bytes());
            stored.entry.encode(&mut bytes)?;
            digest.keys += 1;
            digest.sum ^= print(id, key.as_bytes(), version.lsn.raw(), &bytes);
        }
    }
    Ok(digest)
}

fn print(collection: CollectionId, key: &[u8], version: u64, value: &[u8]) -> u128 {
    let half = |seed| u128::from(FixedState::with_seed(seed).hash_one((collection.0, key, version, value)));
    half(3) << 64 | half(4)
}
