//! Corridor: a backup of a log that goes on being written.
//!
//! 1. Take the destination; read what it holds.
//! 2. Make durable what has its place: that is the moment of the backup.
//! 3. Copy the runs of segments that the destination lacks, each verified frame by frame as it goes by, each durable
//!    under its name before the next.
//! 4. Publish the inventory.
//!
//! Where log and destination share a disk, a sealed segment that the destination lacks as a whole is cloned or linked:
//! nobody ever changes it. It is read and verified all the same.
//!
//! What the log holds before a durable place never changes, so no commit waits for any of this. A crash, or an error,
//! leaves pieces that no inventory names: the next backup takes them over where they are what it would have copied.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::copying::{Copying, Linking};
use super::destination::{Destination, Directory, Shelf, check_apart, put};
use super::form::Form;
use super::inventory::{Held, INVENTORY_BYTES_MAX, Inventory, Piece};
use super::listing::{BackupName, Listed, read_all};
use super::meter::Meter;
use super::ours::check_ours;
use super::standing::There;
use super::take::Run;
use crate::error::{Error, ErrorKind, Result};
use crate::format::header::{DATA_OFFSET, SegmentKind};
use crate::inspect::Tell;
use crate::lane::{drawn_lane, lane_name, lane_of};
use crate::log::Log;
use crate::lsn::Lsn;
use crate::segment::catalog::{Catalog, SegmentEntry};
use crate::segment::file::Segment;
use crate::wal::Wal;

/// Pieces of one segment, at most: over that they are written anew as one.
const PIECES_MAX: usize = 1000;

/// What a backup holds, and what it took to make it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackedUp {
    /// Which of the destination's backups it is.
    pub name: BackupName,
    /// The backup is the log before this place.
    pub through: Lsn,
    /// Engine time of its newest group, microseconds since 1970.
    pub time_us: u64,
    /// Segments that it holds.
    pub segments: u64,
    /// Bytes that it holds, those of earlier backups included.
    pub bytes: u64,
    /// Bytes that were written now.
    pub copied_bytes: u64,
    /// Bytes that lie there now without being written: in segments that were cloned or linked.
    pub linked_bytes: u64,
    /// Values that are damaged in the log, and so in the backup.
    pub damaged_values: u64,
    /// Log and destination lie on one disk: a backup there does not outlive it.
    pub one_disk: bool,
}

impl Wal {
    /// Backs the log up into the directory `to`, while it goes on: in full where that holds nothing of it yet, otherwise
    /// what it lacks. Durable and listed when it returns. `attachment` is kept with it for the layer above.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Invalid`]: the directory lies in that of the log, or holds it.
    /// - [`ErrorKind::Foreign`]: the directory holds something else, or backups of another log. [`ErrorKind::Format`]: a
    ///   backup there is of a newer program.
    /// - [`ErrorKind::Superseded`]: a newer timeline of this log backs up there, or the one that this is an older copy of.
    ///   [`ErrorKind::Locked`]: another backup is being made there.
    /// - [`ErrorKind::Corrupt`]: the log is damaged where it was to be copied. [`ErrorKind::Aborted`]: `tell` broke.
    /// - [`ErrorKind::Full`], [`ErrorKind::Io`]: earlier backups are as they were; the next one goes on from here.
    pub fn back_up(
        &self,
        to: &Path,
        attachment: &[u8],
        copying: Copying,
        tell: Tell<'_>,
    ) -> Result<BackedUp> {
        let copying = copying.check()?;
        let to = &self.env().full_path(to)?;
        check_apart(self.env(), self.root(), to)?;
        let destination = Directory::new(self.env(), to);
        destination.prepare()?;
        let _lock = destination.lock()?.ok_or_else(|| locked(to))?;
        let listed = read_all(&destination)?;
        let through = self.sync()?;
        let last = listed.iter().filter_map(|l| l.inventory.as_ref().ok()).map(|i| i.sequence).max();
        let numbered = listed.iter().filter_map(|l| match l.name {
            BackupName::Numbered(n) => Some(n),
            BackupName::Archive => None,
        });
        let sequence = last.into_iter().chain(numbered).max().unwrap_or(0) + 1;
        let names = destination.list(Shelf::Pieces)?.into_iter().collect();
        let one_disk = self.env().vfs.is_one_disk(self.root(), to).unwrap_or(false);
        let mut taking = Taking::new(&self.log, &destination, &listed, names, copying, one_disk)?;
        let name = BackupName::Numbered(sequence);
        taking.run(through, sequence, name, attachment, tell).map(|(_, done)| done)
    }
}

pub(super) fn locked(to: &Path) -> Error {
    let say = format!("another backup is being made in {}: wait for its end, then try again", to.display());
    Error::new(ErrorKind::Locked, say)
}

/// A log on its way into a destination that is ours.
pub(super) struct Taking<'a> {
    pub(super) log: &'a Log,
    pub(super) destination: &'a dyn Destination,
    /// What the destination holds, the newest last.
    pub(super) listed: &'a [Listed],
    /// Of each segment, what of it lies there: of several, what reaches furthest.
    known: BTreeMap<(Lsn, u32, u64), Held>,
    /// What an archive holds, of which all that can stays as it is.
    pub(super) before: Option<&'a Inventory>,
    /// Names of pieces that are there, those of no inventory included.
    pub(super) names: HashSet<String>,
    /// What lies there was compared with the log.
    pub(super) compared: bool,
    copying: Copying,
    one_disk: bool,
    /// Segments may be linked, as far as is known.
    links: bool,
    damaged_values: u64,
    copied_bytes: u64,
    linked_bytes: u64,
}

/// A segment of the log, and through where it is to be copied.
pub(super) struct Wanted {
    pub(super) entry: SegmentEntry,
    pub(super) segment: Arc<Segment>,
    pub(super) to: Lsn,
}

impl Wanted {
    pub(super) fn there(&self) -> There {
        let packed = self.entry.kind == SegmentKind::Packed;
        let to = if packed { self.entry.capacity_end() } else { self.to };
        There { base: self.entry.base, to, packed }
    }
}

impl<'a> Taking<'a> {
    /// Judges what a destination holds.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Foreign`], [`ErrorKind::Superseded`]. [`ErrorKind::Io`], [`ErrorKind::Format`]: of an inventory, which is
    /// there and cannot be read by this program.
    pub(super) fn new(
        log: &'a Log,
        destination: &'a dyn Destination,
        listed: &'a [Listed],
        names: HashSet<String>,
        copying: Copying,
        one_disk: bool,
    ) -> Result<Self> {
        check_ours(log, listed)?;
        if listed.iter().all(|listed| listed.inventory.is_err()) {
            take_lane(log, destination)?;
        }
        let mut known: BTreeMap<(Lsn, u32, u64), Held> = BTreeMap::new();
        for held in listed.iter().filter_map(|l| l.inventory.as_ref().ok()).flat_map(|i| &i.segments) {
            if held.pieces.iter().all(|piece| names.contains(&held.name(piece))) {
                let known = known.entry(held.identity()).or_insert_with(|| held.clone());
                if held.covered() > known.covered() {
                    *known = held.clone();
                }
            }
        }
        Ok(Self {
            log,
            destination,
            listed,
            known,
            before: None,
            names,
            compared: false,
            copying,
            one_disk,
            links: copying.linking == Linking::Allowed,
            damaged_values: 0,
            copied_bytes: 0,
            linked_bytes: 0,
        })
    }

    /// Goes on from what an archive holds, whatever the log made of that since.
    pub(super) fn go_on(&mut self, before: &'a Inventory) {
        self.before = Some(before);
    }

    /// Copies what is lacking through `through`, and publishes the inventory.
    pub(super) fn run(
        &mut self,
        through: Lsn,
        sequence: u64,
        name: BackupName,
        attachment: &[u8],
        tell: Tell<'_>,
    ) -> Result<(Inventory, BackedUp)> {
        let (catalog, mut wanted) = self.wanted(through);
        if !std::mem::replace(&mut self.compared, true) {
            self.compare(&catalog, &wanted)?;
        }
        let stands = self.standing(&catalog, &mut wanted)?;
        let lacking = wanted.iter().map(|wanted| self.lacking(wanted)).sum();
        let mut meter = Meter::new(&self.log.env, lacking, tell);
        meter.advance(0)?;
        let mut inventory = Inventory {
            sequence,
            store: catalog.store,
            through,
            time_us: catalog.timelines.last().map_or(0, |timeline| timeline.begun_us),
            made_us: self.log.env.clock.wall_us(),
            frontier: catalog.frontier.max(through),
            lanes: catalog.lanes,
            timelines: catalog.timelines,
            segments: stands,
            attachment: attachment.to_vec(),
        };
        let originals = self.all_originals(&wanted, &inventory.timelines);
        for (wanted, originals) in wanted.iter().zip(originals) {
            match originals {
                Some(originals) => inventory.segments.extend(originals),
                None => inventory.segments.push(self.take(wanted, name, &mut meter)?),
            }
        }
        inventory.segments.sort_by_key(|held| (held.base, held.generation)); // of what stands, some may be anew
        let newest = inventory.segments.iter().map(|held| held.last_us).max().unwrap_or(0);
        inventory.time_us = inventory.time_us.max(newest);
        self.destination.settle(Shelf::Pieces)?;
        put_inventory(self.destination, name, &inventory)?;
        let done = BackedUp {
            name,
            through,
            time_us: inventory.time_us,
            segments: inventory.segments.len() as u64,
            bytes: inventory.bytes(),
            copied_bytes: self.copied_bytes,
            linked_bytes: self.linked_bytes,
            damaged_values: self.damaged_values,
            one_disk: self.one_disk,
        };
        Ok((inventory, done))
    }

    /// The segments that hold anything before `through`, and the catalog that names them.
    fn wanted(&self, through: Lsn) -> (Catalog, Vec<Wanted>) {
        let catalog = self.log.catalog.lock();
        let mut named = Catalog::clone(&catalog);
        self.log.note_ends(&mut named);
        let segments = self.log.segments.read();
        drop(catalog);
        let mut wanted = Vec::new();
        for segment in segments.iter() {
            let Some(entry) = named.entry_mut(segment.base, segment.generation) else { continue };
            let mut entry = *entry;
            entry.end = entry.end.filter(|end| *end <= through);
            let to = entry.end.unwrap_or(entry.capacity_end()).min(through);
            if to > segment.base {
                wanted.push(Wanted { entry, segment: segment.clone(), to });
            }
        }
        (named, wanted)
    }

    fn lacking(&self, wanted: &Wanted) -> u64 {
        if wanted.entry.kind == SegmentKind::Packed {
            return match self.known.contains_key(&identity(&wanted.entry)) {
                true => 0,
                false => wanted.segment.disk_bytes() - DATA_OFFSET,
            };
        }
        let known = self.known.get(&identity(&wanted.entry));
        let stands = |held: &&Held| held.covered() < wanted.to || same_end(held, wanted);
        let covered = known.filter(stands).map_or(wanted.entry.base, Held::covered);
        wanted.to.bytes_since(covered).unwrap_or(0)
    }

    /// One segment as the destination holds it, what it lacked copied.
    fn take(&mut self, wanted: &Wanted, name: BackupName, meter: &mut Meter<'_>) -> Result<Held> {
        let entry = &wanted.entry;
        let mut held = self.known.get(&identity(entry)).cloned().unwrap_or_else(|| Held {
            base: entry.base,
            capacity: entry.capacity,
            number: entry.number,
            generation: entry.generation,
            kind: entry.kind,
            end: None,
            judged: Lsn::NONE,
            judgement: 0,
            records: 0,
            first_us: 0,
            last_us: 0,
            pieces: Vec::new(),
        });
        let same = same_end(&held, wanted);
        held.end = entry.end;
        if held.covered() >= wanted.to {
            if !same {
                self.run_of(wanted).times(&mut held, wanted.to, meter)?;
            }
            return Ok(held);
        }
        let lacking = wanted.to.bytes_since(held.covered()).unwrap_or(0);
        held.pieces.truncate(kept(&held.pieces, lacking, name));
        if held.is_packed() {
            let footer = wanted.segment.footer()?;
            (held.judged, held.judgement, held.records) = (footer.judged, footer.judgement, footer.records);
        }
        let piece = self.copy(wanted, &mut held, meter)?;
        held.pieces.push(piece);
        self.known.insert(held.identity(), held.clone());
        Ok(held)
    }

    /// Copies what the pieces of `held` do not cover.
    fn copy(&mut self, wanted: &Wanted, held: &mut Held, meter: &mut Meter<'_>) -> Result<Piece> {
        let mut piece =
            Piece { from: held.covered(), to: wanted.to, crc: 0, form: self.copying.packing.form() };
        if held.is_packed() {
            piece.to = held.base.plus(wanted.segment.disk_bytes() - DATA_OFFSET);
        }
        let copied = piece.form;
        if self.may_link(wanted, held) {
            piece.form = Form::Segment;
            let name = held.name(&piece);
            let there = self.names.contains(&name);
            self.links =
                there || self.destination.begin_linked(Shelf::Pieces, &name, &wanted.segment.path)?;
            piece.form = if self.links { Form::Segment } else { copied };
        }
        let name = held.name(&piece);
        let run = self.run_of(wanted);
        let damaged = self.copying.damaged;
        let passed = match (self.names.contains(&name), piece.form) {
            (true, _) => run.adopt(held, &mut piece, damaged, meter)?,
            (false, Form::Segment) => run.link(held, &mut piece, damaged, meter)?,
            (false, Form::Plain | Form::Lz4) => run.write(held, &mut piece, damaged, self.one_disk, meter)?,
        };
        self.damaged_values += passed.damaged_values;
        self.copied_bytes += passed.written_bytes;
        self.linked_bytes += passed.linked_bytes;
        self.names.insert(name);
        Ok(piece)
    }

    fn run_of<'w>(&self, wanted: &'w Wanted) -> Run<'w>
    where
        'a: 'w,
    {
        Run { destination: self.destination, segment: &wanted.segment, store: self.log.store }
    }

    /// A sealed segment of which nothing is there need not be copied, where the disk is the same.
    fn may_link(&self, wanted: &Wanted, held: &Held) -> bool {
        let whole = held.pieces.is_empty() && wanted.entry.end == Some(wanted.to);
        whole && self.one_disk && self.links
    }
}

/// Publishes an inventory, durably; one that nobody could read again is refused.
pub(super) fn put_inventory(
    destination: &dyn Destination,
    name: BackupName,
    inventory: &Inventory,
) -> Result<()> {
    let bytes = inventory.encode();
    if bytes.len() > INVENTORY_BYTES_MAX {
        let say = "the backup has too many pieces for one inventory: back up into a new directory";
        return Err(Error::new(ErrorKind::TooLarge, say));
    }
    if Inventory::decode(&bytes).is_err() {
        let say = "what lies there and what the log has make no whole backup: nothing was published; back up into a new directory";
        return Err(Error::new(ErrorKind::Invalid, say));
    }
    put(destination, Shelf::Backups, &name.file_name(), &bytes)
}

/// How many of a segment's pieces stay when so many bytes come behind them. The archive, which takes a little at a time,
/// writes small ones anew together with what follows, so that a segment is some twenty pieces at the most.
fn kept(pieces: &[Piece], lacking: u64, name: BackupName) -> usize {
    if name != BackupName::Archive {
        return if pieces.len() < PIECES_MAX { pieces.len() } else { 0 };
    }
    let mut bytes = lacking;
    let mut kept = pieces.len();
    while kept > 0 && pieces[kept - 1].bytes() <= bytes {
        kept -= 1;
        bytes += pieces[kept].bytes();
    }
    kept
}

/// Whether a segment ends in the destination where it is to end now: where it goes on there, as where a restore undid what
/// lies behind, its last time is not that of its end.
fn same_end(held: &Held, wanted: &Wanted) -> bool {
    held.is_packed() || held.covered() == wanted.to && held.end.is_none_or(|end| end == wanted.to)
}

pub(super) fn identity(entry: &SegmentEntry) -> (Lsn, u32, u64) {
    (entry.base, entry.generation, entry.number)
}

/// Gives the destination its lane, where it has none: what the log gives away is durable before the destination has it.
fn take_lane(log: &Log, destination: &dyn Destination) -> Result<()> {
    if destination.list(Shelf::Claims)?.iter().any(|name| lane_of(name).is_some()) {
        return Ok(());
    }
    let draw = log.env.entropy.next_u64();
    let lane = if log.read_only.is_some() { drawn_lane(draw) } else { log.give_lane(draw)? };
    destination.claim(&lane_name(lane)).map(drop)
}
