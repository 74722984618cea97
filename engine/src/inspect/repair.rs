//! Corridor: a new store of all that is sound in a damaged one: look, copy, open what was made.

use std::ops::ControlFlow;
use std::path::Path;

use savehold_wal::Lsn;
use savehold_wal::env::Env;
use savehold_wal::inspect::{Damage, Inspection, Inspector, Keep, Weight, What};

use super::LOCK_WAIT;
use super::survey::{entries, to_log};
use super::verify::{Verified, look};
use crate::error::{ErrorKind, Result};
use crate::ids::CollectionId;
use crate::manifest::Manifest;
use crate::meta;
use crate::options::{Create, Options, Progress};

/// What [`repair`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repaired {
    /// What was found in the damaged store.
    pub found: Verified,
    /// Commits that were copied.
    pub records: u64,
    /// Bytes of log that were written.
    pub bytes: u64,
    /// The timeline in which the new store goes on: every version it issues is larger than any that was seen.
    pub timeline: u16,
    /// The collections whose names are lost, with the names that they have in the new store: `lost-16`.
    pub named: Vec<(CollectionId, String)>,
}

impl Repaired {
    /// The ranges of the log in which commits are lost, in order.
    pub fn lost(&self) -> impl Iterator<Item = &Damage> {
        self.found.damage.iter().filter(|damage| damage.loses_records())
    }
}

/// Copies every record that validates from the store in `from` into a new store in `to`, which must be empty or absent.
/// `from` is not touched but for the text of LOCK.
///
/// Every version keeps its number. A record with a damaged value is copied as it is: that value stays damaged, and reads
/// name the version that may serve in its place. A collection whose name is lost gets one that says so. Where commits are
/// lost, their idempotency ids are forgotten: [`Store::forgotten_through`](crate::Store::forgotten_through) says up to where.
/// The new store keeps the identity of the old one and begins a timeline of
/// its own, so the versions and tokens that it issues are larger than all that were seen. It is opened once before this
/// returns.
///
/// # Errors
///
/// As [`verify`](super::verify); and
///
/// - [`ErrorKind::Invalid`]: `to` is not empty. Nothing was written.
/// - [`ErrorKind::Full`], [`ErrorKind::Io`]: `to` is unfinished and does not open; remove it.
pub fn repair(
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
    progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Repaired> {
    repair_in(&Env::os(), from.as_ref(), to.as_ref(), progress)
}

/// [`repair`] in the world `env`.
///
/// # Errors
///
/// As [`repair`].
#[doc(hidden)]
pub fn repair_in(
    env: &Env,
    from: &Path,
    to: &Path,
    mut progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Repaired> {
    let to = &env.full_path(to)?;
    let mut inspector = Inspector::open(env, from, LOCK_WAIT)?;
    inspector.check_target(to)?;
    let (inspection, found) = look(&inspector, &mut progress)?;
    let goes_on = goes_on(&inspection, inspector.attachment().0);
    if goes_on != Manifest::default() {
        inspector.attach(meta::encode(&goes_on)?);
    }
    let copied = inspector.copy(&inspection, to, &mut progress, |seen| match entries(seen.head()) {
        Ok(_) => Ok(Keep::Yes),
        Err(e) if e.kind() == ErrorKind::Format => Err(to_log(seen.lsn, &e)),
        Err(_) => Ok(Keep::No),
    })?;
    let made = Options::new().create(Create::Never).mapped(false).open_in(env.clone(), to)?;
    let name = |id: &CollectionId| made.core.name_lost(*id).map(|name| (*id, name));
    let named = found.nameless.iter().map(name).collect::<Result<_>>()?;
    made.close()?;
    Ok(Repaired { found, records: copied.records, bytes: copied.bytes, timeline: copied.timeline, named })
}

/// What the copy's MANIFEST says: by what terms things were dropped, where the old one says so, for the file that says it too may be
/// damaged; and what is forgotten. It names no table: they are made anew.
fn goes_on(inspection: &Inspection, attachment: &[u8]) -> Manifest {
    let before = meta::decode::<Manifest>(attachment).ok();
    let forgotten = forgotten(inspection, before.as_ref());
    let Some(Manifest { judged, terms, .. }) = before else {
        return Manifest { forgotten, ..Manifest::default() };
    };
    Manifest { forgotten, judged, terms, ..Manifest::default() }
}

/// The newest commit whose idempotency id may be lost, with this repair or before it. Behind the last record only what was
/// acknowledged counts: nothing that is kept may hold what other bytes there did.
fn forgotten(inspection: &Inspection, before: Option<&Manifest>) -> Lsn {
    let noteless = inspection.damage.iter().any(|damage| damage.what == What::Directory);
    let before = match before {
        Some(manifest) => manifest.forgotten,
        // nothing else says where an earlier repair found records lost, or by what terms a file without its end was packed
        None if inspection.bytes_lost_earlier > 0 || noteless => inspection.end,
        None => Lsn::NONE,
    };
    let lost =
        inspection.damage.iter().filter(|damage| damage.loses_records() || damage.what == What::Senseless);
    let counts = |damage: &&Damage| damage.weight == Weight::Acknowledged || damage.from < inspection.end;
    let through = |damage: &Damage| {
        let unknown = damage.what == What::Header || damage.to == Lsn::MAX;
        let end = if unknown { damage.from.max(inspection.end) } else { damage.to };
        Lsn::from_raw(end.raw().saturating_sub(1))
    };
    lost.filter(counts).map(through).max().unwrap_or(Lsn::NONE).max(before)
}
