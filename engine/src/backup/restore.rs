//! Corridor: a new store out of a backup: choose, look, write. Every byte of it was verified on the way, and its first
//! opening is an ordinary recovery.

use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use savehold_wal::Lsn;
use savehold_wal::backup::inventory::Held;
use savehold_wal::backup::{BackupName, Cut, Inventory, Moment, Source};
use savehold_wal::env::Env;
use savehold_wal::inspect::Inspector;

use super::carry::Gather;
use super::kept::{Thinned, at_time, keeps_all_since, kept_before, moments};
use super::lost::Lost;
use super::{Tell, go_on};
use crate::at::At;
use crate::error::{Error, ErrorKind, Result};
use crate::handing::HANDOFF;
use crate::ids::Version;
use crate::meta;
use crate::noted::Noted;
use crate::options::Progress;

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restored {
    /// The backup that it came from.
    pub backup: BackupName,
    /// The moment: nothing newer was kept.
    pub version: Version,
    /// The kept moment before the one that was asked for, where that one was thinned away: it is `version`, or no commit
    /// lies between.
    pub earlier: Option<Version>,
    /// Collections that kept their newest versions alone, and of which the backup may lack what stood at the moment: each of
    /// their keys that was written again since may have an older value, or none; never a newer one. Transactions that wrote to them and to others
    /// are there in part, and [`Store::keys_of`](crate::Store::keys_of) may not fit what they hold.
    pub not_whole: Vec<String>,
    /// Engine time of the newest commit that was kept, microseconds since 1970.
    pub time_us: u64,
    /// Commits that were kept.
    pub commits: u64,
    /// What the backup holds behind the moment: it is undone. In place, with what the store of before holds behind the backup,
    /// as far as that can be read.
    pub lost: Lost,
    /// Leases that stood at the moment, and have ended.
    pub leases_ended: u64,
    /// Bytes of log that were written.
    pub bytes: u64,
    /// The timeline in which the store goes on: every version and token that it issues is larger than any before.
    pub timeline: u16,
    /// The number of the timeline is claimed in the destination, and in those beside it. Where they cannot be written, two
    /// restores may take one number, and only what was drawn tells their versions apart.
    pub claimed: bool,
}

/// What a restore would do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Preview {
    /// The backup that it would come from.
    pub backup: BackupName,
    /// The kept moment before the one that was asked for, where that one was thinned away.
    pub earlier: Option<Version>,
    /// Collections that would not be whole: see [`Restored::not_whole`].
    pub not_whole: Vec<String>,
    /// What the backup holds behind the moment.
    pub lost: Lost,
    /// Leases that would end.
    pub leases_ended: u64,
}

/// How a store is restored.
#[must_use]
pub struct Restore<'a> {
    backup: Option<BackupName>,
    progress: Option<Tell<'a>>,
    beside: Vec<PathBuf>,
    pub(super) handoff: Duration,
    /// A timeline that the restored store must be above.
    known: u16,
    earlier: Earlier,
}

/// What becomes of a moment that was thinned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Earlier {
    Refused,
    Taken,
}

impl<'a> Restore<'a> {
    /// From the newest backup that holds the moment, nobody is told how far it is.
    pub fn new() -> Self {
        Self {
            backup: None,
            progress: None,
            beside: Vec::new(),
            handoff: HANDOFF,
            known: 0,
            earlier: Earlier::Refused,
        }
    }

    /// The store has backups in the directory `other` too: the number of the new timeline is one that neither knows, and is
    /// claimed there too. Without this, restores from the two may take one number; their versions and tokens lie apart all
    /// the same.
    pub fn beside(mut self, other: impl Into<PathBuf>) -> Self {
        self.beside.push(other.into());
        self
    }

    /// Where chosen keys come back into a live store: how long who plays one has to write a last time and release it;
    /// default 10 s. Zero asks nobody.
    pub fn handoff(mut self, time: Duration) -> Self {
        self.handoff = time;
        self
    }

    /// To the kept moment before, where the one that is meant was thinned away. Without this such a restore is refused, and
    /// the error names the moment that it would be, as its [`version`](Error::version); afterwards [`Restored::earlier`] does.
    pub fn or_earlier(mut self) -> Self {
        self.earlier = Earlier::Taken;
        self
    }

    /// From this backup and no other: also a moment that a later restore undid.
    pub fn backup(mut self, name: BackupName) -> Self {
        self.backup = Some(name);
        self
    }

    /// Told a few times a second how far it is; `Break` stops it.
    pub fn progress(mut self, told: &'a mut dyn FnMut(Progress) -> ControlFlow<()>) -> Self {
        self.progress = Some(told);
        self
    }

    /// In a timeline above this one too.
    pub(super) fn above(mut self, timeline: u16) -> Self {
        self.known = self.known.max(timeline);
        self
    }

    fn source(&self, env: &Env, from: &Path) -> Result<Source> {
        let mut source = Source::open(env, from)?;
        for other in &self.beside {
            source = source.beside(other)?;
        }
        match self.backup {
            Some(name) => Ok(source.only(name)?),
            None => Ok(source),
        }
    }
}

impl Default for Restore<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Restore<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Restore({:?})", self.backup)
    }
}

/// Makes a store in the directory `to`, which must be empty or absent, out of the backups in `from`, as of the moment
/// `at`: exact to the commit, every byte verified. `At::Now` is the newest that there is. A collection that keeps its newest
/// versions alone takes no part in the past, and is named where it is not as it was ([`Restored::not_whole`]).
///
/// Until it returns, `to` opens as nothing: a restore that is cut short can be repeated. The store goes on in a timeline
/// of its own, so that no version and no token of before is ever issued again. All leases have ended; for an idempotency
/// id of a commit behind the moment `outcome` answers `Undone`, and a retry applies again.
///
/// # Errors
///
/// - [`ErrorKind::Missing`]: there is no backup. [`ErrorKind::Gone`]: none holds the moment, and the message names what
///   they hold; or it was thinned away, and the message names the kept one before ([`Restore::or_earlier`]); or none knows
///   the pin.
/// - [`ErrorKind::Corrupt`]: the backup is damaged; another may be whole.
/// - [`ErrorKind::Invalid`]: `to` is not empty. [`ErrorKind::Full`], [`ErrorKind::Io`].
pub fn restore(from: impl AsRef<Path>, to: impl AsRef<Path>, at: impl Into<At>) -> Result<Restored> {
    restore_with(from, to, at, Restore::new())
}

/// [`restore`] with options.
///
/// # Errors
///
/// As [`restore`]; [`ErrorKind::Aborted`]: the progress callback asked to stop.
pub fn restore_with(
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
    at: impl Into<At>,
    how: Restore<'_>,
) -> Result<Restored> {
    restore_in(&Env::os(), from.as_ref(), to.as_ref(), &at.into(), how)
}

/// [`restore`] in the world `env`.
///
/// # Errors
///
/// As [`restore`].
#[doc(hidden)]
pub fn restore_in(env: &Env, from: &Path, to: &Path, at: &At, how: Restore<'_>) -> Result<Restored> {
    restore_for(env, from, to, at, how, None)
}

/// [`restore_in`], to stand where the store `before` stands: what that one holds behind the backup is undone too.
pub(super) fn restore_for(
    env: &Env,
    from: &Path,
    to: &Path,
    at: &At,
    how: Restore<'_>,
    before: Option<&Inspector>,
) -> Result<Restored> {
    let (known, to) = (how.known, &env.full_path(to)?);
    let Chosen { source, name, cut, earlier, thinned, progress } = chosen(env, from, at, how)?;
    let mut gather = Gather::new(thinned, cut, env.clock.wall_us());
    if let Some(before) = before {
        let mut listed = source.backups().iter().filter(|listed| listed.name == name);
        let inventory = listed.find_map(|listed| listed.inventory.as_ref().ok());
        let of_this_store = |inventory: &&Inventory| inventory.store == before.attachment().1;
        if let Some(inventory) = inventory.filter(of_this_store) {
            gather.undo_behind(inventory.through, before)?;
        }
    }
    let mut silent = go_on;
    let done = source.restore(name, cut, to, known, &mut gather, progress.unwrap_or(&mut silent))?;
    Ok(Restored {
        backup: done.name,
        version: Version::from(savehold_wal::Lsn::from_raw(done.end.raw().saturating_sub(1))),
        earlier,
        not_whole: gather.not_whole(),
        time_us: done.time_us,
        commits: done.records,
        lost: gather.tally.lost(),
        leases_ended: gather.leases(),
        bytes: done.bytes,
        timeline: done.timeline,
        claimed: done.claimed,
    })
}

/// What [`restore`] would do, and above all undo. Reads the backup and writes nothing.
///
/// # Errors
///
/// As [`restore`].
pub fn preview(from: impl AsRef<Path>, at: impl Into<At>, how: Restore<'_>) -> Result<Preview> {
    let env = Env::os();
    let Chosen { source, name, cut, earlier, thinned, progress } =
        chosen(&env, from.as_ref(), &at.into(), how)?;
    let mut gather = Gather::new(thinned, cut, env.clock.wall_us());
    let mut silent = go_on;
    source.rehearse(name, cut, &mut gather, progress.unwrap_or(&mut silent))?;
    let not_whole = gather.not_whole();
    Ok(Preview { backup: name, earlier, not_whole, lost: gather.tally.lost(), leases_ended: gather.leases() })
}

/// The backup that holds a moment, and what of it is kept.
pub(super) struct Chosen<'a> {
    pub(super) source: Source,
    pub(super) name: BackupName,
    pub(super) cut: Cut,
    earlier: Option<Version>,
    /// Its files that were thinned, where the moment lies before what they have whole.
    pub(super) thinned: Vec<Thinned>,
    pub(super) progress: Option<Tell<'a>>,
}

/// The backup that holds a moment: every commit of it, or where it was thinned, the kept moment that was asked for, or the
/// one before, if that will do.
pub(super) fn chosen<'a>(env: &Env, from: &Path, at: &At, how: Restore<'a>) -> Result<Chosen<'a>> {
    let source = how.source(env, from)?;
    let moment = moment(env, &source, from, at)?;
    let (name, cut, earlier, thinned) = match source.choose(moment) {
        Ok((name, cut)) => (name, cut, None, Vec::new()),
        Err(e) if e.kind() == savehold_wal::ErrorKind::Gone && e.lsn().is_none() => {
            let Some(Found { name, cut, exact, files }) = find(&source, moment)? else {
                return Err(e.into());
            };
            let version = Version::from(cut.last);
            if !exact && how.earlier == Earlier::Refused {
                let say = format!(
                    "that moment was thinned away: the kept one before it is version {version}, in backup {name}; to go there, \
                     ask for that version, or say that an earlier moment will do (`savehold restore --or-earlier`)"
                );
                return Err(Error::new(ErrorKind::Gone, say).at(version));
            }
            (name, cut, (!exact).then_some(version), files)
        }
        Err(e) => return Err(e.into()),
    };
    Ok(Chosen { source, name, cut, earlier, thinned, progress: how.progress })
}

/// A moment in a thinned backup.
struct Found {
    name: BackupName,
    cut: Cut,
    /// It is the one that was asked for.
    exact: bool,
    files: Vec<Thinned>,
}

/// Of all thinned backups the newest kept moment that is not behind the one asked for, and the backup that has it.
fn find(source: &Source, moment: Moment) -> Result<Option<Found>> {
    let mut best = None::<Found>;
    let at = |last: Lsn| Cut { last, time_us: u64::MAX };
    for listed in source.backups() {
        let Ok(inventory) = &listed.inventory else { continue };
        let files = files(source, inventory)?;
        let first = inventory.segments.first().map_or(Lsn::MAX, |held| held.base);
        let found = match moment {
            Moment::Latest => None,
            Moment::At(lsn) if lsn >= inventory.through => None,
            Moment::At(lsn) => kept_before(&files, lsn).map(|kept| (at(kept), kept == lsn)),
            Moment::Time(time_us) if time_us > inventory.time_us => None,
            Moment::Time(time_us) if keeps_all_since(&files, time_us) && began(inventory) <= time_us => {
                Some((Cut { last: Lsn::from_raw(inventory.through.raw().saturating_sub(1)), time_us }, true))
            }
            Moment::Time(time_us) => {
                at_time(&moments(&files, first), time_us).map(|(time, kept)| (at(kept), time == time_us))
            }
        };
        let Some((cut, exact)) = found.filter(|(cut, _)| cut.last >= first) else { continue };
        if best.as_ref().is_none_or(|other| cut.last >= other.cut.last) {
            best = Some(Found { name: listed.name, cut, exact, files });
        }
    }
    Ok(best)
}

/// When the newest timeline of a backup began: at earlier times what a restore undid may have stood.
fn began(inventory: &Inventory) -> u64 {
    let first = inventory.segments.first().map_or(u64::MAX, |held| held.first_us);
    match inventory.timelines.as_slice() {
        [.., _, newest] => newest.begun_us.max(first),
        _ => first,
    }
}

/// The files of a backup that were thinned.
pub(super) fn files(source: &Source, inventory: &Inventory) -> Result<Vec<Thinned>> {
    let thinned = inventory.segments.iter().filter(|held| held.is_packed() && held.judged > held.base);
    let read = |held: &Held| -> Result<Thinned> {
        let note = source.note(inventory, held)?;
        Ok(Thinned { base: held.base, judged: held.judged, terms: meta::decode(&note).ok() })
    };
    thinned.map(read).collect()
}

fn moment(env: &Env, source: &Source, from: &Path, at: &At) -> Result<Moment> {
    Ok(match at {
        At::Now => Moment::Latest,
        At::Version(version) => Moment::At(version.lsn()),
        At::Time(time_us) => Moment::Time(*time_us),
        At::Ago(time) => {
            let ago_us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
            Moment::Time(env.clock.wall_us().saturating_sub(ago_us))
        }
        At::Pin(name) => Moment::At(pinned(source, from, name)?.lsn()),
    })
}

/// The moment of a pin, as the newest backup says that knows it.
fn pinned(source: &Source, from: &Path, name: &str) -> Result<Version> {
    let whole = || source.backups().iter().rev().filter_map(|listed| listed.inventory.as_ref().ok());
    let mut known = whole().flat_map(|inventory| Noted::of(&inventory.attachment).pins);
    known.find(|(other, _)| other == name).map(|(_, version)| version).ok_or_else(|| {
        let say = format!(
            "no backup in {} knows a pin {name:?}: `savehold backup list --format json` names those that there are",
            from.display()
        );
        Error::new(ErrorKind::Gone, say)
    })
}
