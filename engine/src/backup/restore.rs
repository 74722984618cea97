//! Corridor: a new store out of a backup: choose, look, write, open once.

use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use savehold_wal::backup::{BackupName, Cut, Moment, Source};
use savehold_wal::env::Env;

use super::carry::Gather;
use super::lost::Lost;
use super::{Tell, go_on};
use crate::at::At;
use crate::error::{Error, ErrorKind, Result};
use crate::handing::HANDOFF;
use crate::ids::Version;
use crate::noted::Noted;
use crate::options::{Create, Options, Progress};

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restored {
    /// The backup that it came from.
    pub backup: BackupName,
    /// The moment: nothing newer was kept.
    pub version: Version,
    /// Engine time of the newest commit that was kept, microseconds since 1970.
    pub time_us: u64,
    /// Commits that were kept.
    pub commits: u64,
    /// What the backup holds behind the moment: it is undone.
    pub lost: Lost,
    /// Leases that stood at the moment, and have ended.
    pub leases_ended: u64,
    /// Bytes of log that were written.
    pub bytes: u64,
    /// The timeline in which the store goes on: every version and token that it issues is larger than any before.
    pub timeline: u16,
    /// The timeline is claimed in the destination, and in those beside it. Where they cannot be written, and in destinations
    /// that were not named, two restores of one day may begin the same: only one of them may then go on.
    pub claimed: bool,
}

/// What a restore would do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Preview {
    /// The backup that it would come from.
    pub backup: BackupName,
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
}

impl<'a> Restore<'a> {
    /// From the newest backup that holds the moment, nobody is told how far it is.
    pub fn new() -> Self {
        Self { backup: None, progress: None, beside: Vec::new(), handoff: HANDOFF, known: 0 }
    }

    /// The store has backups in the directory `other` too: no timeline is begun that they know of, and the new one is claimed
    /// there too. Who restores from one today and from the other tomorrow, into two places, never gets one version twice.
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
/// `at`: exact to the commit, every byte verified. `At::Now` is the newest that there is.
///
/// Until it returns, `to` opens as nothing: a restore that is cut short can be repeated. The store goes on in a timeline
/// of its own, so that no version and no token of before is ever issued again. All leases have ended; for an idempotency
/// id of a commit behind the moment `outcome` answers `Undone`, and a retry applies again.
///
/// # Errors
///
/// - [`ErrorKind::Missing`]: there is no backup. [`ErrorKind::Gone`]: none holds the moment, and the message names what
///   they hold; or none knows the pin.
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
    let known = how.known;
    let (source, name, cut, progress) = chosen(env, from, at, how)?;
    let mut gather = Gather::new(env.clock.wall_us());
    let mut silent = go_on;
    let done = source.restore(name, cut, to, known, &mut gather, progress.unwrap_or(&mut silent))?;
    let made = Options::new().create(Create::Never).open_in(env.clone(), to)?;
    made.close()?;
    Ok(Restored {
        backup: done.name,
        version: Version::from(savehold_wal::Lsn::from_raw(done.end.raw().saturating_sub(1))),
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
    let (source, name, cut, progress) = chosen(&env, from.as_ref(), &at.into(), how)?;
    let mut gather = Gather::new(env.clock.wall_us());
    let mut silent = go_on;
    source.rehearse(name, cut, &mut gather, progress.unwrap_or(&mut silent))?;
    Ok(Preview { backup: name, lost: gather.tally.lost(), leases_ended: gather.leases() })
}

/// The backup that holds a moment, and what of it is kept.
pub(super) fn chosen<'a>(
    env: &Env,
    from: &Path,
    at: &At,
    how: Restore<'a>,
) -> Result<(Source, BackupName, Cut, Option<Tell<'a>>)> {
    let source = how.source(env, from)?;
    let (name, cut) = source.choose(moment(env, &source, from, at)?)?;
    Ok((source, name, cut, how.progress))
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
