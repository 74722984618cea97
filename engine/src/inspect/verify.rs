//! Corridor: every byte of a store read and verified, every record understood; nothing is changed.

use std::ops::ControlFlow;
use std::path::Path;

use savehold_wal::env::Env;
use savehold_wal::inspect::{Damage, Inspection, Inspector, Weight};
use savehold_wal::segment::file::Access;

use super::damaged::{DamagedVersion, Suspects};
use super::survey::{Survey, to_log};
use super::{LOCK_WAIT, Tell};
use crate::error::{ErrorKind, Result};
use crate::ids::{CollectionId, Version};
use crate::manifest::Manifest;
use crate::meta;
use crate::options::Progress;
use crate::shelf::open_in;

/// What [`verify`] proved.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// Segments that are there.
    pub segments: u64,
    /// Groups of commits.
    pub groups: u64,
    /// Commits.
    pub records: u64,
    /// Bytes that were verified and are good.
    pub bytes: u64,
    /// Keys that have a value, without those of the store's own collections.
    pub keys: u64,
    /// Versions of keys, removals too, without those of the store's own collections.
    pub versions: u64,
    /// The proven end: every commit before it was acknowledged as durable.
    pub proven: Version,
    /// Behind the last commit.
    pub end: Version,
    /// Bytes behind the proven end: nobody can tell whether they were acknowledged.
    pub unproven_bytes: u64,
    /// Bytes that an earlier repair marked as lost.
    pub bytes_lost_earlier: u64,
    /// Everything that is damaged, in the order of places.
    pub damage: Vec<Damage>,
    /// Versions that cannot be read, as far as it is known whose they were.
    pub damaged: Vec<DamagedVersion>,
    /// Collections that have keys and whose names are lost.
    pub nameless: Vec<CollectionId>,
    /// Index tables that are as they were written.
    pub tables: u64,
    /// What is wrong with others. Nothing is lost by that: the next opening makes them anew from the log.
    pub damaged_tables: Vec<String>,
}

impl Verified {
    /// The heaviest of all damage; `None` where there is none.
    #[must_use]
    pub fn worst(&self) -> Option<Weight> {
        self.damage.iter().map(|damage| damage.weight).max()
    }

    /// Whether anything is missing or changed that was acknowledged as durable.
    #[must_use]
    pub fn acknowledged_missing(&self) -> bool {
        self.worst() == Some(Weight::Acknowledged)
    }

    /// Whether [`repair`](super::repair) mends any of it. Values whose bytes are damaged it copies as they are.
    #[must_use]
    pub fn repair_helps(&self) -> bool {
        self.damage.iter().any(|damage| damage.weight >= Weight::Blocking && !damage.stays_in_a_copy())
    }
}

/// Reads and verifies every byte of the store in the directory `path` and decodes every record. Changes nothing but the
/// text of LOCK. Reads with `pread`, so that a failing medium is an answer. Memory: 32 bytes a key, and one segment.
///
/// Damage is no error: the answer names all of it.
///
/// # Errors
///
/// - [`ErrorKind::Locked`](crate::ErrorKind::Locked): somebody has the store.
/// - [`ErrorKind::Missing`](crate::ErrorKind::Missing), [`ErrorKind::Foreign`](crate::ErrorKind::Foreign): there is none.
/// - [`ErrorKind::Format`](crate::ErrorKind::Format): a newer program wrote it.
/// - [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt): nothing in the directory can be told to be a record.
/// - [`ErrorKind::Aborted`](crate::ErrorKind::Aborted): `progress` broke.
pub fn verify(path: impl AsRef<Path>, progress: impl FnMut(Progress) -> ControlFlow<()>) -> Result<Verified> {
    verify_in(&Env::os(), path.as_ref(), progress)
}

/// [`verify`] in the world `env`.
///
/// # Errors
///
/// As [`verify`].
#[doc(hidden)]
pub fn verify_in(
    env: &Env,
    root: &Path,
    mut progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Verified> {
    let inspector = Inspector::open(env, root, LOCK_WAIT)?;
    Ok(look(&inspector, &mut progress)?.1)
}

/// Looks through a store; a second time where it must find what damaged keys fall back to.
pub(super) fn look(inspector: &Inspector, tell: Tell<'_>) -> Result<(Inspection, Verified)> {
    let mut survey = Survey::default();
    let mut inspection =
        inspector.inspect(tell, |seen| survey.record(seen).map_err(|e| to_log(seen.lsn, &e)))?;
    inspection.damage.append(&mut survey.senseless);
    inspection.damage.sort_by_key(|damage| (damage.from, damage.offset));
    let mut suspects = Suspects::of(&survey, &inspection.damage);
    if !suspects.is_empty() {
        inspector.inspect(&mut |_| ControlFlow::Continue(()), |seen| {
            suspects.record(seen);
            Ok(())
        })?;
    }
    let (tables, damaged_tables) = tables(inspector)?;
    let verified = Verified {
        segments: inspection.segments,
        groups: inspection.groups,
        records: inspection.records,
        bytes: inspection.bytes,
        keys: survey.keys(),
        versions: survey.versions,
        proven: inspection.proven.into(),
        end: inspection.end.into(),
        unproven_bytes: inspection.unproven_bytes(),
        bytes_lost_earlier: inspection.bytes_lost_earlier,
        damage: inspection.damage.clone(),
        damaged: suspects.damaged(&survey),
        nameless: survey.nameless(),
        tables,
        damaged_tables,
    };
    Ok((inspection, verified))
}

/// Reads and verifies every page of every index table: how many are whole, and what is wrong with others.
fn tables(inspector: &Inspector) -> Result<(u64, Vec<String>)> {
    let ((attachment, store), (env, root)) = (inspector.attachment(), inspector.place());
    if attachment.is_empty() {
        return Ok((0, Vec::new()));
    }
    let manifest = match meta::decode::<Manifest>(attachment) {
        Ok(manifest) => manifest,
        Err(e) if e.kind() == ErrorKind::Format => return Err(e),
        Err(e) => return Ok((0, vec![e.message().to_owned()])),
    };
    let (mut whole, mut damaged) = (0, Vec::new());
    for named in &manifest.tables {
        let table = open_in(&*env.vfs, root, store, Access::Pread, named);
        match table.and_then(|table| table.verify()) {
            Ok(_) => whole += 1,
            Err(e) if e.kind() == ErrorKind::Corrupt => damaged.push(e.message().to_owned()),
            Err(e) => return Err(e),
        }
    }
    Ok((whole, damaged))
}
