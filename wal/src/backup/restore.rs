//! Corridor: a new log out of a backup, as of one moment.
//!
//! 1. Choose: which backup, and what of it is kept.
//! 2. Claim a timeline in the destination, so that two restores never begin the same.
//! 3. Write every segment before the cut, verified as it goes by; the one in which the cut lies is laid anew.
//! 4. Write what the layer above begins the new timeline with.
//! 5. Publish MANIFEST. Before that the directory opens as nothing; after it, as a whole log.

use std::io;
use std::path::{Path, PathBuf};

use super::chain::Link;
use super::destination::{Destination, Directory, Shelf};
use super::inventory::{Held, Inventory};
use super::listing::{BackupName, Listed, read_all};
use super::meter::Meter;
use super::read::{Frames, bytes_of};
use super::relay::Relay;
use super::site::Site;
use super::window::{Cut, Moment, NoWindow, Window, choose};
use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::format::frame::{Frame, FrameKind, FrameRef, decode_part};
use crate::format::group::{GROUP_FRAME_BYTES, GroupHead, align};
use crate::format::header::{SegmentHeader, SegmentKind};
use crate::inspect::Tell;
use crate::lsn::Lsn;
use crate::open::first_timeline;
use crate::segment::catalog::{Catalog, Timeline};
use crate::segment::file::entry_of;

/// A record as it goes by.
#[derive(Clone, Copy, Debug)]
pub struct Passing<'a> {
    /// Its place.
    pub lsn: Lsn,
    /// Engine time of its group, microseconds since 1970.
    pub time_us: u64,
    /// Whether the restored log has it.
    pub kept: bool,
    frame: FrameRef<'a>,
    bytes: &'a [u8],
}

impl<'a> Passing<'a> {
    /// Its head.
    #[must_use]
    pub fn head(&self) -> &'a [u8] {
        self.frame.head
    }

    /// The part that stands `offset` bytes into its body; `None` where it is damaged, or where none stands there.
    #[must_use]
    pub fn part(&self, offset: u32, bytes: u32) -> Option<&'a [u8]> {
        let start = self.bytes.len() - self.frame.body.len();
        let at = u32::try_from(start).ok()?.checked_add(offset)?;
        let part = decode_part(self.bytes.get(at as usize..)?, self.lsn, at).ok()?;
        (part.len() == bytes as usize).then_some(part)
    }
}

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
    /// The timeline is claimed in the destination; where that cannot be written, two restores may begin the same.
    pub claimed: bool,
}

/// A destination, to restore from and to look into.
#[derive(Debug)]
pub struct Source {
    env: Env,
    root: PathBuf,
    destination: Directory,
    listed: Vec<Listed>,
}

/// What the layer above sees and adds.
pub trait Carry {
    /// Told of every record of the backup, in order.
    ///
    /// # Errors
    ///
    /// Whatever ends the restore.
    fn record(&mut self, passing: &Passing<'_>) -> Result<()>;

    /// What the restored log begins its new timeline with.
    ///
    /// # Errors
    ///
    /// Whatever ends the restore.
    fn first_records(&mut self) -> Result<Vec<Frame>>;
}

impl Source {
    /// Reads the inventories of the destination in the directory `root`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Missing`]: there is no backup. [`ErrorKind::Io`].
    pub fn open(env: &Env, root: &Path) -> Result<Self> {
        let destination = Directory::new(env, root);
        let listed = read_all(&destination)?;
        if listed.is_empty() {
            let say = format!("there is no backup in {}: is the disk mounted?", root.display());
            return Err(Error::new(ErrorKind::Missing, say));
        }
        Ok(Self { env: env.clone(), root: root.to_path_buf(), destination, listed })
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

    /// Which backup a moment is restored from, and what of it is kept.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Gone`]: no backup holds it; the message names what they hold.
    /// - [`ErrorKind::Corrupt`]: no inventory can be read.
    pub fn choose(&self, moment: Moment) -> Result<(BackupName, Cut)> {
        let whole: Vec<(BackupName, &Inventory)> =
            self.listed.iter().filter_map(|l| Some((l.name, l.inventory.as_ref().ok()?))).collect();
        if whole.is_empty() {
            let first = self.listed.iter().find_map(|listed| listed.inventory.as_ref().err());
            return Err(first.cloned().unwrap_or_else(|| self.outside(&[])));
        }
        choose(&whole, moment).map_err(|none| match none {
            NoWindow::Outside(windows) => self.outside(&windows),
            NoWindow::Undone(branch) => {
                let say = format!(
                    "that moment was undone: its timeline was left at {branch}; to go there all the same, name a backup that \
                     was made before (`savehold backup list`)"
                );
                Error::new(ErrorKind::Gone, say).at(branch)
            }
        })
    }

    fn outside(&self, windows: &[Window]) -> Error {
        let mut say = format!("{} does not hold that moment", self.root.display());
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
        Site::check(&self.env, to)?;
        let inventory = self.inventory(name)?;
        let total = inventory.segments.iter().map(|held| span(inventory, held)).sum();
        let mut meter = Meter::new(&self.env, total, tell);
        meter.advance(0)?;
        let (timeline, claimed) = self.claim(known)?;
        let mut making = Making {
            source: self,
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
        let total = inventory.segments.iter().map(|held| span(inventory, held)).sum();
        let mut meter = Meter::new(&self.env, total, tell);
        for held in &inventory.segments {
            let mut frames = Frames::new(&self.destination, inventory, held);
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

    /// A timeline above all that are known of, and ours alone where the destination can be written.
    fn claim(&self, known: u16) -> Result<(Timeline, bool)> {
        let claims = self.destination.list(Shelf::Claims)?;
        let claimed = claims.iter().filter_map(|name| name.parse::<u16>().ok());
        let held = self.listed.iter().filter_map(|l| l.inventory.as_ref().ok()).map(Inventory::highest);
        let highest = claimed.chain(held).chain([known]).max().unwrap_or(0);
        let today = first_timeline(&self.env);
        let mut number = highest.checked_add(1).ok_or_else(used_up)?.max(today.number);
        loop {
            match self.destination.claim(&number.to_string()) {
                Ok(true) => return Ok((Timeline { number, ..today }, true)),
                Ok(false) => number = number.checked_add(1).ok_or_else(used_up)?,
                Err(e) if unwritable(&e) => return Ok((Timeline { number, ..today }, false)),
                Err(e) => return Err(e),
            }
        }
    }
}

fn used_up() -> Error {
    let say = "all 65,535 timelines are used up: no larger version is left for what would be written";
    Error::new(ErrorKind::Invalid, say)
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
    inventory.limit(held).bytes_since(held.base).unwrap_or(0)
}

fn passing<'a>(link: &Link<'a>, cut: Cut) -> Option<Passing<'a>> {
    let Link::Frame { lsn, frame, bytes, time_us } = *link else { return None };
    let kept = cut.keeps(lsn, time_us);
    (frame.kind == FrameKind::Record).then_some(Passing { lsn, time_us, kept, frame, bytes })
}

/// A restore under way.
struct Making<'a> {
    source: &'a Source,
    inventory: &'a Inventory,
    cut: Cut,
    site: Site,
    catalog: Catalog,
    done: Restored,
}

impl Making<'_> {
    /// One segment: whole, cut, or only looked at.
    fn segment(&mut self, held: &Held, carry: &mut dyn Carry, meter: &mut Meter<'_>) -> Result<()> {
        let limit = self.inventory.limit(held);
        let whole = held.last_us <= self.cut.time_us && limit.raw() - 1 <= self.cut.last.raw();
        let nothing = !self.cut.keeps(held.base, held.first_us);
        let source = self.source;
        let mut header = self.header(held, limit);
        if !whole {
            header.number = source.env.entropy.next_u64(); // other bytes than those that the backup knows by this number
            header.generation += 1;
        }
        let mut relay = Relay::new(held.base, header.binding(), self.cut);
        let mut filling = if nothing { None } else { Some(self.site.begin(&header)?) };
        let mut frames = Frames::new(&source.destination, self.inventory, held);
        bytes_of(&source.destination, held, limit, &mut |chunk| {
            if let (true, Some(filling)) = (whole, &mut filling) {
                filling.write(chunk)?;
            }
            frames.feed(chunk, |link| {
                if let Some(passing) = passing(&link, self.cut) {
                    self.note(&passing);
                    carry.record(&passing)?;
                }
                if let (false, Some(filling)) = (whole, &mut filling) {
                    relay.take(&link, |group| filling.write(group))?;
                }
                Ok(())
            })?;
            meter.advance(chunk.len() as u64)
        })?;
        frames.finish()?;
        let Some(filling) = filling else { return Ok(()) };
        header.end = if whole { limit } else { relay.end() };
        if header.end <= held.base {
            return self.site.abandon(&filling);
        }
        let bytes = align(header.end).and_then(|end| end.bytes_since(header.base));
        header.capacity = bytes.unwrap_or(held.capacity);
        self.site.finish(filling, &header)?;
        self.catalog.name(entry_of(&header));
        self.done.end = header.end;
        self.done.bytes += header.capacity;
        Ok(())
    }

    fn note(&mut self, passing: &Passing<'_>) {
        if passing.kept {
            self.done.records += 1;
            self.done.time_us = self.done.time_us.max(passing.time_us);
        } else {
            self.done.undone += 1;
        }
    }

    fn header(&self, held: &Held, end: Lsn) -> SegmentHeader {
        SegmentHeader {
            kind: SegmentKind::Rest,
            store: self.inventory.store,
            base: held.base,
            capacity: held.capacity,
            number: held.number,
            created_us: self.source.env.clock.wall_us(),
            generation: held.generation,
            end,
        }
    }

    /// The first segment of the new timeline, with what the layer above begins it with.
    fn begin_timeline(&mut self, frames: &mut [Frame]) -> Result<()> {
        if frames.is_empty() {
            return Ok(());
        }
        let base = Lsn::new(self.done.timeline, 0);
        let mut header = SegmentHeader {
            kind: SegmentKind::Rest,
            store: self.inventory.store,
            base,
            capacity: 0,
            number: self.source.env.entropy.next_u64(),
            created_us: self.source.env.clock.wall_us(),
            generation: 0,
            end: base,
        };
        let mut filling = self.site.begin(&header)?;
        for frame in frames {
            let (lsn, bytes) = (header.end, GROUP_FRAME_BYTES + frame.len());
            let head = GroupHead {
                durable_through: Lsn::NONE,
                time_us: self.catalog.time_us.max(self.inventory.time_us),
                bytes: u32::try_from(bytes).expect("bounded by the limits of a record"),
                frames: 1,
                padded: false,
                mark: false,
            };
            let mut own = [0; GROUP_FRAME_BYTES];
            crate::format::frame::put_own(&mut own, FrameKind::Group, &head.encode(), lsn, header.binding());
            frame.place(lsn.plus(GROUP_FRAME_BYTES as u64), header.binding());
            filling.write(&own)?;
            filling.write(frame.bytes())?;
            header.end = lsn.plus(bytes as u64);
        }
        let bytes = align(header.end).and_then(|end| end.bytes_since(base));
        header.capacity = bytes.ok_or_else(used_up)?;
        self.site.finish(filling, &header)?;
        self.catalog.name(entry_of(&header));
        self.done.bytes += header.capacity;
        Ok(())
    }

    fn publish(mut self) -> Result<Restored> {
        let own = self.catalog.timelines.pop();
        let kept = self.inventory.timelines.iter().filter(|t| t.number <= self.done.end.timeline());
        self.catalog.timelines = kept.copied().collect();
        if self.catalog.timelines.is_empty() {
            self.catalog.timelines.extend(self.inventory.timelines.first());
        }
        self.catalog.timelines.extend(own.map(|own| Timeline { branch: self.done.end, ..own }));
        self.catalog.time_us = self.inventory.time_us.max(self.catalog.time_us);
        self.catalog.generation = 1;
        self.site.publish(&self.catalog)?;
        Ok(self.done)
    }
}
