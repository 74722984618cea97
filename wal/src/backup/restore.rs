//! Corridor: a new log out of a backup, as of one moment.
//!
//! 1. Choose: which backup, and what of it is kept.
//! 2. Claim a timeline in the destination, so that two restores never begin the same; in the destination's lane, so that
//!    no restore from elsewhere does.
//! 3. Write every segment before the cut, verified as it goes by; the one in which the cut lies is laid anew.
//! 4. Write what the layer above begins the new timeline with.
//! 5. Publish MANIFEST. Before that the directory opens as nothing; after it, as a whole log.

use std::io;
use std::path::{Path, PathBuf};

use super::destination::{Destination, Directory, Shelf};
use super::inventory::{Held, Inventory, sum};
use super::listing::{BackupName, Listed, check_store, none_in, read_all};
use super::making::Making;
use super::meter::Meter;
use super::passing::{Carry, passing};
use super::read::{Frames, bytes_of, end_of};
use super::site::Site;
use super::window::{Cut, Moment, NoWindow, Window, choose};
use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::inspect::Tell;
use crate::lane::{drawn_lane, lane_of, offset_in};
use crate::lsn::Lsn;
use crate::open::first_timeline;
use crate::segment::catalog::{Catalog, Timeline};
use crate::vfs::DirLock;

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restored {
    /// The backup that it came from.
    pub name: BackupName,
    /// Behind the last record that was kept.
    pub end: Lsn,
    /// Engine time of the last group that was kept, microseconds since 1970.
    pub time_us: u64,
    /// Records kept.
    pub records: u64,
    /// Records that the backup holds past that: they are undone.
    pub undone: u64,
    /// Bytes of log written.
    pub bytes: u64,
    /// The timeline in which the restored log goes on.
    pub timeline: u16,
    /// The number of the timeline is claimed in the destination. Where that cannot be written, two restores may begin one of
    /// the same number, and only what was drawn tells their places apart.
    pub claimed: bool,
}

/// A destination, to restore from and to look into.
#[derive(Debug)]
pub struct Source {
    env: Env,
    root: PathBuf,
    destination: Directory,
    listed: Vec<Listed>,
    /// The highest timeline that any of its backups knows of, in view or not.
    highest: u16,
    /// Other destinations of the same log, and the highest timeline that they know of.
    beside: Vec<(Directory, u16)>,
    /// Nobody takes pieces away meanwhile.
    _kept: Option<Box<dyn DirLock>>,
}

impl Source {
    /// Reads the inventories of the destination in the directory `root`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Missing`]: there is no backup. [`ErrorKind::Io`].
    pub fn open(env: &Env, root: &Path) -> Result<Self> {
        let root = &env.full_path(root)?;
        let destination = Directory::new(env, root);
        let kept = destination.keep_pieces()?;
        let listed = read_all(&destination)?;
        if listed.is_empty() {
            return Err(none_in(root));
        }
        Ok(Self {
            env: env.clone(),
            root: root.to_path_buf(),
            destination,
            highest: highest(&listed),
            listed,
            beside: Vec::new(),
            _kept: kept,
        })
    }

    pub(super) fn env(&self) -> &Env {
        &self.env
    }

    pub(super) fn destination(&self) -> &dyn Destination {
        &self.destination
    }

    /// The backups, the newest last.
    #[must_use]
    pub fn backups(&self) -> &[Listed] {
        &self.listed
    }

    /// Keeps only the backup `name` in view.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Missing`]: there is no such backup.
    pub fn only(mut self, name: BackupName) -> Result<Self> {
        if self.listed.iter().all(|listed| listed.name != name) {
            let say =
                format!("there is no backup {name} in {}: see `savehold backup list`", self.root.display());
            return Err(Error::new(ErrorKind::Missing, say));
        }
        self.listed.retain(|listed| listed.name == name);
        Ok(self)
    }

    /// The same log has backups in the directory `root` too: a restore begins no timeline that they know, and claims its own
    /// there too.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Foreign`]: they are of another log. [`ErrorKind::Io`].
    pub fn beside(mut self, root: &Path) -> Result<Self> {
        let other = Directory::new(&self.env, &self.env.full_path(root)?);
        let listed = read_all(&other)?;
        let own = self.listed.iter().find_map(|listed| listed.inventory.as_ref().ok());
        if let Some(own) = own {
            check_store(&listed, own.store)?;
        }
        self.beside.push((other, highest(&listed)));
        Ok(self)
    }

    /// Which backup a moment is restored from, and what of it is kept.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Gone`]: no backup holds it; the message names what they hold.
    /// - [`ErrorKind::Corrupt`], [`ErrorKind::Io`]: an inventory cannot be read that may be newer than all that can.
    pub fn choose(&self, moment: Moment) -> Result<(BackupName, Cut)> {
        let whole: Vec<(BackupName, &Inventory)> =
            self.listed.iter().filter_map(|l| Some((l.name, l.inventory.as_ref().ok()?))).collect();
        if let Some(unread) = newest_unread(&self.listed) {
            return Err(unread);
        }
        choose(&whole, moment).map_err(|none| match none {
            NoWindow::Outside(windows) => self.outside(moment, &windows),
            NoWindow::Undone(branch) => {
                let say = format!(
                    "that moment was undone: its timeline was left at {branch}; to go there all the same, name a backup that \
                     was made before (`savehold backup list`)"
                );
                Error::new(ErrorKind::Gone, say).at(branch)
            }
        })
    }

    fn outside(&self, moment: Moment, windows: &[Window]) -> Error {
        let mut say = format!("{} does not hold that moment", self.root.display());
        let newest = windows.iter().map(|window| window.through_us).max();
        if matches!((moment, newest), (Moment::Time(time_us), Some(newest)) if time_us > newest) {
            say.push_str(
                ": its newest commit is older, and whether more was committed until then is not known there; to have that one, \
                 restore the newest moment",
            );
        }
        for window in windows {
            let (from, through) = (window.from, window.through);
            say.push_str(&format!("; backup {} holds {from} to {through}", window.name));
        }
        say.push_str("; `savehold backup list` shows the times");
        Error::new(ErrorKind::Gone, say)
    }

    /// The inventory of a backup.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Missing`]; why it cannot be read.
    pub fn inventory(&self, name: BackupName) -> Result<&Inventory> {
        match self.listed.iter().find(|listed| listed.name == name) {
            Some(listed) => listed.inventory.as_ref().map_err(Clone::clone),
            None => {
                let say = format!(
                    "there is no backup {name} in {}: see `savehold backup list`",
                    self.root.display()
                );
                Err(Error::new(ErrorKind::Missing, say))
            }
        }
    }

    /// What whoever judged a packed segment of a backup left in it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`]: it is damaged. [`ErrorKind::Io`].
    pub fn note(&self, inventory: &Inventory, held: &Held) -> Result<Vec<u8>> {
        Ok(end_of(&self.destination, held, inventory.store)?.1)
    }

    /// Writes the log of backup `name`, as far as `cut` keeps it, into the directory `to`, durably. `known` is a
    /// timeline that the restored log must be above, besides all that the destination knows of.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Invalid`]: `to` is there and not empty, or no timeline is left. Nothing was written.
    /// - [`ErrorKind::Corrupt`]: the backup is damaged. [`ErrorKind::Aborted`]: `tell` broke. What `carry` answers.
    /// - [`ErrorKind::Full`], [`ErrorKind::Io`].
    ///
    /// After any of these `to` opens as nothing, and may be restored into again.
    pub fn restore(
        &self,
        name: BackupName,
        cut: Cut,
        to: &Path,
        known: u16,
        carry: &mut dyn Carry,
        tell: Tell<'_>,
    ) -> Result<Restored> {
        let to = &self.env.full_path(to)?;
        Site::check(&self.env, to)?;
        let inventory = self.inventory(name)?;
        let total = sum(inventory.segments.iter().map(|held| span(inventory, held)));
        let mut meter = Meter::new(&self.env, total, tell);
        meter.advance(0)?;
        let (timeline, claimed) = self.claim(known)?;
        let timeline = timeline.behind(inventory.time_us);
        let mut making = Making {
            env: &self.env,
            destination: &self.destination,
            inventory,
            cut,
            site: Site::take(&self.env, to)?,
            catalog: Catalog::new(inventory.store, timeline),
            done: Restored {
                name,
                end: Lsn::NONE,
                time_us: 0,
                records: 0,
                undone: 0,
                bytes: 0,
                timeline: timeline.number,
                claimed,
            },
        };
        for held in &inventory.segments {
            making.segment(held, carry, &mut meter)?;
        }
        making.begin_timeline(&mut carry.first_records()?)?;
        making.publish()
    }

    /// Hands every record of backup `name` to `carry`, as a restore would: what would be kept, what would be undone.
    ///
    /// # Errors
    ///
    /// As [`Source::restore`].
    pub fn rehearse(&self, name: BackupName, cut: Cut, carry: &mut dyn Carry, tell: Tell<'_>) -> Result<()> {
        let inventory = self.inventory(name)?;
        let total = sum(inventory.segments.iter().map(|held| span(inventory, held)));
        let mut meter = Meter::new(&self.env, total, tell);
        for held in &inventory.segments {
            let mut frames = Frames::new(&self.destination, inventory, held)?;
            bytes_of(&self.destination, held, inventory.limit(held), &mut |chunk| {
                frames.feed(chunk, |link| match passing(&link, cut) {
                    Some(passing) => carry.record(&passing),
                    None => Ok(()),
                })?;
                meter.advance(chunk.len() as u64)
            })?;
            frames.finish()?;
        }
        Ok(())
    }

    /// A timeline above all that are known of, and ours alone where the destinations can be written. It begins in the lane
    /// of this destination: restores from others, which know nothing of this one, begin in theirs.
    fn claim(&self, known: u16) -> Result<(Timeline, bool)> {
        let all = || {
            let beside = self.beside.iter().map(|(other, highest)| (other, *highest));
            [(&self.destination, self.highest)].into_iter().chain(beside)
        };
        let mut highest = known;
        let mut lane = None;
        for (destination, held) in all() {
            let claims = destination.list(Shelf::Claims)?;
            lane = lane.or(claims.iter().filter_map(|name| lane_of(name)).min());
            let claimed = claims.iter().filter_map(|name| name.parse::<u16>().ok());
            highest = claimed.chain([held, highest]).max().unwrap_or(0);
        }
        let entropy = &self.env.entropy;
        let lane = lane.unwrap_or_else(|| drawn_lane(entropy.next_u64()));
        let today = first_timeline(&self.env);
        let mut number = highest.checked_add(1).ok_or_else(used_up)?.max(today.number);
        'next: loop {
            let mut ours = true;
            for (destination, _) in all() {
                match destination.claim(&number.to_string()) {
                    Ok(true) => {}
                    Ok(false) => {
                        number = number.checked_add(1).ok_or_else(used_up)?;
                        continue 'next;
                    }
                    Err(e) if unwritable(&e) => ours = false,
                    Err(e) => return Err(e),
                }
            }
            let lane = if ours { lane } else { drawn_lane(entropy.next_u64()) }; // a copy of the destination has its lane
            let offset = offset_in(lane, entropy.next_u64());
            return Ok((Timeline { number, offset, ..today }, ours));
        }
    }
}

fn highest(listed: &[Listed]) -> u16 {
    let held = listed.iter().filter_map(|listed| listed.inventory.as_ref().ok());
    held.map(Inventory::highest).max().unwrap_or(0)
}

pub(super) fn used_up() -> Error {
    let say = "all 65,535 timelines are used up: no larger version is left for what would be written; load what can be read into a new store (`savehold dump`, `savehold load`)";
    Error::new(ErrorKind::Invalid, say)
}

/// Why the newest backup cannot be read, where one cannot that may be the newest: what it holds would be lost unseen.
fn newest_unread(listed: &[Listed]) -> Option<Error> {
    let readable = listed.iter().filter(|listed| listed.inventory.is_ok()).map(|listed| listed.name);
    let newest = readable.filter(|name| *name != BackupName::Archive).max();
    let unread = listed.iter().filter_map(|listed| Some((listed.name, listed.inventory.as_ref().err()?)));
    let mut doubtful = unread.filter(|(name, _)| *name == BackupName::Archive || Some(*name) > newest);
    let (name, e) = doubtful.next()?;
    let say = format!(
        "{}; backup {name} may be the newest: to restore from another all the same, name that one (`--backup`, `savehold \
         backup list`)",
        e.message()
    );
    Some(Error::new(e.kind(), say))
}

/// A medium that is only for reading holds backups all the same.
fn unwritable(e: &Error) -> bool {
    let source = std::error::Error::source(e).and_then(|source| source.downcast_ref::<io::Error>());
    source.is_some_and(|io| {
        matches!(
            io.kind(),
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound
        )
    })
}

fn span(inventory: &Inventory, held: &Held) -> u64 {
    if held.is_packed() {
        return held.bytes();
    }
    inventory.limit(held).bytes_since(held.base).unwrap_or(0)
}
