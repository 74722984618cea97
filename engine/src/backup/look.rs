//! Corridor: looking into a destination: what it holds, whether it is whole, whether it restores.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::path::Path;

use savehold_wal::Lsn;
use savehold_wal::backup::{BackupName, Checked, Do, Inventory, Keep, Pruned, Source, Window, windows};
use savehold_wal::env::Env;

use super::kept::moments;
use super::restore::{Restore, Restored, files, restore_in};
use crate::at::At;
use crate::digest::digest;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::Version;
use crate::noted::Noted;
use crate::options::{Create, Options, Progress};
use crate::store::Store;

/// A backup in a destination.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Held {
    /// Its name.
    pub name: BackupName,
    /// When it was made, or last went on, microseconds since 1970 by the wall clock.
    pub made_us: u64,
    /// The newest version that it may hold.
    pub version: Version,
    /// Engine time of its newest commit, microseconds since 1970.
    pub time_us: u64,
    /// Bytes that it needs.
    pub bytes: u64,
    /// Bytes that no other backup there needs.
    pub own_bytes: u64,
    /// The pins that stood when it was made, with their moments.
    pub pins: Vec<(String, Version)>,
    /// The moments that can be restored from it, every one of each window.
    pub windows: Vec<Window>,
    /// Single moments before those, which it kept where it was thinned, the oldest first; pins apart. Collections that keep
    /// their newest versions alone need not be whole there.
    pub kept: Vec<KeptMoment>,
}

/// A single moment that a thinned backup has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeptMoment {
    /// The moment.
    pub version: Version,
    /// The first kept time at which it stood, microseconds since 1970.
    pub time_us: u64,
}

/// The backups in the directory `from`, the newest last; for each that cannot be read, why.
///
/// # Errors
///
/// [`ErrorKind::Missing`]: there is none. [`ErrorKind::Io`].
pub fn backups(from: impl AsRef<Path>) -> Result<Vec<Result<Held>>> {
    backups_in(&Env::os(), from.as_ref())
}

/// [`backups`] in the world `env`.
///
/// # Errors
///
/// As [`backups`].
#[doc(hidden)]
pub fn backups_in(env: &Env, from: &Path) -> Result<Vec<Result<Held>>> {
    let source = Source::open(env, from)?;
    let readable = || source.backups().iter().filter_map(|l| Some((l.name, l.inventory.as_ref().ok()?)));
    let own = own_bytes(readable());
    let held = |name: BackupName, inventory: &Inventory, kept: Vec<KeptMoment>| Held {
        name,
        made_us: inventory.made_us,
        version: Version::from(Lsn::from_raw(inventory.through.raw().saturating_sub(1))),
        time_us: inventory.time_us,
        bytes: inventory.bytes(),
        own_bytes: own.get(&name).copied().unwrap_or(0),
        pins: Noted::of(&inventory.attachment).pins,
        windows: windows(name, inventory),
        kept,
    };
    let of = |listed: &savehold_wal::backup::Listed| match &listed.inventory {
        Ok(inventory) => {
            let first = inventory.segments.first().map_or(Lsn::MAX, |held| held.base);
            let kept = moments(&files(&source, inventory)?, first).into_iter();
            let kept = kept.map(|(time_us, place)| KeptMoment { version: place.into(), time_us });
            Ok(held(listed.name, inventory, kept.collect()))
        }
        Err(e) => Err(e.clone().into()),
    };
    Ok(source.backups().iter().map(of).collect())
}

/// Of each backup the bytes that no other one needs. Each piece that a backup names is looked at once: backups of one store name
/// mostly the same ones, and there may be thousands of both.
fn own_bytes<'a>(backups: impl Iterator<Item = (BackupName, &'a Inventory)>) -> BTreeMap<BackupName, u64> {
    let mut needed: HashMap<_, (Option<BackupName>, u64)> = HashMap::new();
    for (name, inventory) in backups {
        for segment in &inventory.segments {
            for piece in &segment.pieces {
                let of = (segment.identity(), piece.from, piece.to, piece.form as u32);
                let (only, _) = needed.entry(of).or_insert((Some(name), piece.bytes()));
                *only = only.filter(|only| *only == name);
            }
        }
    }
    let mut own = BTreeMap::new();
    for (only, bytes) in needed.into_values() {
        if let Some(name) = only {
            *own.entry(name).or_default() += bytes;
        }
    }
    own
}

/// Reads and verifies every byte of every backup in the directory `from`. No store is needed, nothing changes. Damage is
/// an answer.
///
/// # Errors
///
/// [`ErrorKind::Missing`]: there is none. [`ErrorKind::Aborted`]: the callback asked to stop. [`ErrorKind::Io`].
pub fn verify_backups(
    from: impl AsRef<Path>,
    mut progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Checked> {
    Ok(Source::open(&Env::os(), from.as_ref())?.verify(&mut progress)?)
}

/// Gives up the backups in the directory `from` that `keep` does not ask for, and what only they needed; or says what
/// would go. The newest backup and the archive stay always.
///
/// # Errors
///
/// - [`ErrorKind::Missing`]: there is none. [`ErrorKind::Locked`]: a backup is being made there.
/// - [`ErrorKind::Corrupt`]: a backup cannot be read, so nobody knows what it needs. Nothing went.
pub fn prune(from: impl AsRef<Path>, keep: &Keep, what: Do) -> Result<Pruned> {
    Ok(savehold_wal::backup::prune(&Env::os(), from.as_ref(), keep, what)?)
}

/// What a drill showed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drilled {
    /// What was restored.
    pub restored: Restored,
    /// Keys that have a value there.
    pub keys: u64,
    /// A digest of all of them: that of the store as of `restored.version` is the same.
    pub digest: u128,
}

/// Rehearses a restore: the newest backup in `from` into the directory `scratch`, which must be empty or absent, opened
/// and read through. Whether it holds what the store held, [`Store::digest_at`] of the restored version says. The
/// directory stays, to be looked at or removed.
///
/// # Errors
///
/// As [`restore`](super::restore); [`ErrorKind::Damaged`]: a value cannot be read.
pub fn drill(from: impl AsRef<Path>, scratch: impl AsRef<Path>, how: Restore<'_>) -> Result<Drilled> {
    let env = Env::os();
    let scratch = env.full_path(scratch.as_ref())?; // named twice
    let restored = restore_in(&env, from.as_ref(), &scratch, &At::Now, how)?;
    let made = Options::new().create(Create::Never).verify_on_open(true).open_in(env, &scratch)?;
    let there = digest(&made.snapshot())?;
    made.close()?;
    Ok(Drilled { restored, keys: there.keys, digest: there.sum })
}

impl Store {
    /// A digest of all values as of a version: collection, key, version and every byte of each, verified. A backup's drill
    /// gives the same for the same moment.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Invalid`]: the store does not reach that version. [`ErrorKind::Undone`].
    /// - [`ErrorKind::Damaged`], [`ErrorKind::Io`]: a value cannot be read. [`ErrorKind::Closed`]: the store is being closed.
    pub fn digest_at(&self, version: Version) -> Result<u128> {
        if version > self.version() {
            let say = "the store does not reach that version: give the store that the backup was made of";
            return Err(Error::new(ErrorKind::Invalid, say));
        }
        Ok(digest(&self.snapshot_at(version)?)?.sum)
    }
}

#[cfg(test)]
mod tests {
    use savehold_wal::backup::Form;
    use savehold_wal::backup::inventory::{Held as Segment, Piece};
    use savehold_wal::format::checksum::StoreId;
    use savehold_wal::format::header::SegmentKind;

    use super::*;

    /// A backup that holds segments of 100 bytes, each in one piece.
    fn backup(segments: impl Iterator<Item = u64>) -> Inventory {
        let place = |n: u64| Lsn::new(1, n << 20);
        let segment = |n: u64| {
            let piece =
                Piece { from: place(n), to: place(n).checked_add(100).unwrap(), crc: 0, form: Form::Plain };
            Segment {
                base: place(n),
                capacity: 1 << 20,
                number: n,
                generation: 0,
                kind: SegmentKind::Log,
                end: None,
                judged: Lsn::NONE,
                judgement: 0,
                records: 0,
                first_us: 0,
                last_us: 0,
                pieces: vec![piece],
            }
        };
        Inventory {
            sequence: 1,
            store: StoreId([1; 16]),
            through: Lsn::NONE,
            time_us: 0,
            made_us: 0,
            frontier: Lsn::NONE,
            lanes: Default::default(),
            timelines: Vec::new(),
            segments: segments.map(segment).collect(),
            attachment: Vec::new(),
        }
    }

    /// To compare each piece with each would take hours.
    #[test]
    fn what_a_backup_needs_alone_is_told_of_thousands_that_share_all_else() {
        let all: Vec<Inventory> =
            (0..2_000).map(|n| backup((0..300).chain([1_000 + n, 9_000 + n / 2]))).collect();
        let named = || all.iter().zip(1..).map(|(inventory, n)| (BackupName::Numbered(n), inventory));
        let own = own_bytes(named());
        assert!(own.len() == 2_000 && own.values().all(|bytes| *bytes == 100), "{own:?}");
        let last = own_bytes(named().take(1_999)); // nobody shares the other one any more
        assert_eq!(last[&BackupName::Numbered(1_999)], 200);
    }
}
