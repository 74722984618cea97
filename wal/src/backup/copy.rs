//! Corridor: a backup of a log that goes on being written.
//!
//! 1. Take the destination; read what it holds.
//! 2. Make durable what has its place: that is the moment of the backup.
//! 3. Copy the runs of segments that the destination lacks, each verified frame by frame as it goes by, each durable
//!    under its name before the next.
//! 4. Publish the inventory.
//!
//! What the log holds before a durable place never changes, so no commit waits for any of this. A crash, or an error,
//! leaves pieces that no inventory names: the next backup takes them over where they are what it would have copied.

use std::collections::{BTreeMap, HashSet};
use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use crc32fast::Hasher;

use super::chain::{Broken, Chain, Link};
use super::destination::{Destination, Directory, Shelf, failed, put};
use super::inventory::{Held, Inventory, Piece};
use super::listing::{BackupName, Listed, check_store, read_all};
use super::meter::Meter;
use crate::error::{Error, ErrorKind, Result};
use crate::format::checksum::StoreId;
use crate::inspect::Tell;
use crate::log::Log;
use crate::lsn::Lsn;
use crate::segment::catalog::{Catalog, SegmentEntry};
use crate::segment::file::Segment;
use crate::vfs::VfsFile;
use crate::wal::Wal;

/// Bytes that are read and written at a time.
pub(super) const CHUNK_BYTES: usize = 1 << 20;

/// Where log and destination share a disk, a piece is synced this often: no commit's sync waits for more.
const SYNC_BYTES: u64 = 8 << 20;

/// Pieces of one segment, at most: over that they are written anew as one.
const PIECES_MAX: usize = 1000;

/// What becomes of a value that is damaged in the log itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Damaged {
    /// The backup is refused: damage must not go unnoticed until it is needed.
    #[default]
    Refuse,
    /// It is copied as it is, and stays damaged: reads and `verify` go on naming it.
    Keep,
}

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
    /// Bytes that were copied now.
    pub copied_bytes: u64,
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
    /// - [`ErrorKind::Foreign`]: the directory holds something else, or backups of another log.
    /// - [`ErrorKind::Superseded`]: a newer timeline of this log backs up there. [`ErrorKind::Locked`]: another backup is
    ///   being made there.
    /// - [`ErrorKind::Corrupt`]: the log is damaged where it was to be copied. [`ErrorKind::Aborted`]: `tell` broke.
    /// - [`ErrorKind::Full`], [`ErrorKind::Io`]: earlier backups are as they were; the next one goes on from here.
    pub fn back_up(
        &self,
        to: &Path,
        attachment: &[u8],
        damaged: Damaged,
        tell: Tell<'_>,
    ) -> Result<BackedUp> {
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
        let mut taking = Taking::new(&self.log, &destination, &listed, names, damaged, one_disk)?;
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
    log: &'a Log,
    destination: &'a dyn Destination,
    /// Of each segment, what of it lies there: of several, what reaches furthest.
    known: BTreeMap<(Lsn, u32, u64), Held>,
    /// Segments that the log may have given up, and that stay in the backup all the same.
    retained: Vec<Held>,
    /// Names of pieces that are there, those of no inventory included.
    pub(super) names: HashSet<String>,
    damaged: Damaged,
    one_disk: bool,
    damaged_values: u64,
    copied_bytes: u64,
}

/// A segment of the log, and through where it is to be copied.
struct Wanted {
    entry: SegmentEntry,
    segment: Arc<Segment>,
    to: Lsn,
}

impl<'a> Taking<'a> {
    /// Judges what a destination holds.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Foreign`], [`ErrorKind::Superseded`].
    pub(super) fn new(
        log: &'a Log,
        destination: &'a dyn Destination,
        listed: &[Listed],
        names: HashSet<String>,
        damaged: Damaged,
        one_disk: bool,
    ) -> Result<Self> {
        check_store(listed, log.store)?;
        check_timeline(listed, &log.catalog.lock())?;
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
            known,
            retained: Vec::new(),
            names,
            damaged,
            one_disk,
            damaged_values: 0,
            copied_bytes: 0,
        })
    }

    /// Keeps what `before` holds and the log gave up since, unless all of it is older than `horizon_us`.
    pub(super) fn retain(&mut self, before: &Inventory, horizon_us: u64) {
        self.retained = before.segments.iter().filter(|held| held.last_us >= horizon_us).cloned().collect();
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
        let (catalog, wanted) = self.wanted(through);
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
            timelines: catalog.timelines,
            segments: Vec::new(),
            attachment: attachment.to_vec(),
        };
        for wanted in &wanted {
            let held = self.take(wanted, name, &mut meter)?;
            inventory.time_us = inventory.time_us.max(held.last_us);
            inventory.segments.push(held);
        }
        self.add_retained(&mut inventory);
        self.destination.settle(Shelf::Pieces)?;
        put(self.destination, Shelf::Backups, &name.file_name(), &inventory.encode())?;
        let done = BackedUp {
            name,
            through,
            time_us: inventory.time_us,
            segments: inventory.segments.len() as u64,
            bytes: inventory.bytes(),
            copied_bytes: self.copied_bytes,
            damaged_values: self.damaged_values,
            one_disk: self.one_disk,
        };
        Ok((inventory, done))
    }

    /// What the log gave up, where nothing in it has taken that place.
    fn add_retained(&mut self, inventory: &mut Inventory) {
        for held in std::mem::take(&mut self.retained) {
            let Some(end) = held.end else { continue };
            let free = |other: &Held| {
                let other_end = inventory.limit(other);
                end <= other.base || held.base >= other_end
            };
            if inventory.segments.iter().all(free) {
                let key = |held: &Held| (held.base, held.generation);
                let at = inventory.segments.partition_point(|other| key(other) < key(&held));
                inventory.segments.insert(at, held);
            }
        }
    }

    /// The segments that hold anything before `through`, and the catalog that names them.
    fn wanted(&self, through: Lsn) -> (Catalog, Vec<Wanted>) {
        let catalog = self.log.catalog.lock();
        let mut named = Catalog::clone(&catalog);
        self.log.note_ends(&mut named);
        let segments = self.log.segments.read().clone();
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
        let covered = self.known.get(&identity(&wanted.entry)).map_or(wanted.entry.base, Held::covered);
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
            first_us: 0,
            last_us: 0,
            pieces: Vec::new(),
        });
        held.end = entry.end;
        if held.covered() >= wanted.to {
            return Ok(held);
        }
        let lacking = wanted.to.bytes_since(held.covered()).unwrap_or(0);
        held.pieces.truncate(kept(&held.pieces, lacking, name));
        let piece = self.copy(wanted, &mut held, meter)?;
        held.pieces.push(piece);
        self.known.insert(held.identity(), held.clone());
        Ok(held)
    }

    /// Copies what the pieces of `held` do not cover.
    fn copy(&mut self, wanted: &Wanted, held: &mut Held, meter: &mut Meter<'_>) -> Result<Piece> {
        let mut piece = Piece { from: held.covered(), to: wanted.to, crc: 0 };
        let name = held.name(&piece);
        let there = self.names.contains(&name);
        let file = match there {
            true => self.destination.open(Shelf::Pieces, &name)?,
            false => self.destination.begin(Shelf::Pieces, &name)?,
        };
        let sink = match there {
            true => Sink::Same(file.clone()),
            false => Sink::New(file.clone(), self.one_disk),
        };
        let copied =
            self.stream(wanted, held, &piece, &sink, &self.destination.place(Shelf::Pieces, &name), meter);
        match copied {
            Ok(crc) => piece.crc = crc,
            Err(e) => {
                if !there {
                    self.destination.abandon(Shelf::Pieces, &name);
                }
                return Err(e);
            }
        }
        if !there {
            self.destination.publish(Shelf::Pieces, &name, &*file)?;
            self.copied_bytes += piece.bytes();
            self.names.insert(name);
        }
        Ok(piece)
    }

    fn stream(
        &mut self,
        wanted: &Wanted,
        held: &mut Held,
        piece: &Piece,
        sink: &Sink,
        path: &Path,
        meter: &mut Meter<'_>,
    ) -> Result<u32> {
        let (segment, store) = (&wanted.segment, self.log.store);
        let mut look = Look::new(held, piece.from, store);
        let (mut crc, mut at) = (Hasher::new(), piece.from);
        let mut buf = vec![0; CHUNK_BYTES];
        while at < piece.to {
            let left = piece.to.bytes_since(at).and_then(|left| usize::try_from(left).ok());
            let chunk = &mut buf[..left.unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES)];
            segment.read_into(chunk, at)?;
            crc.update(chunk);
            look.feed(chunk).map_err(|broken| self.broken(segment, broken))?;
            sink.take(chunk, at.bytes_since(piece.from).unwrap_or(0), path)?;
            at = at.plus(chunk.len() as u64);
            meter.advance(chunk.len() as u64)?;
        }
        look.chain.finish().map_err(|broken| self.broken(segment, broken))?;
        self.damaged_values += look.damaged_values;
        if let (Some(at), Damaged::Refuse) = (look.first_damaged, self.damaged) {
            return Err(self.broken(segment, Broken(at)));
        }
        (held.first_us, held.last_us) = (look.first_us, look.last_us);
        sink.check_length(piece.bytes(), path)?;
        Ok(crc.finalize())
    }

    fn broken(&self, segment: &Segment, Broken(at): Broken) -> Error {
        let say = format!(
            "{} is damaged at offset {} ({at}): what is damaged is not backed up, and earlier backups are as they were; \
             run `savehold verify`, then restore a backup or repair",
            segment.path.display(),
            segment.file_offset(at)
        );
        Error::new(ErrorKind::Corrupt, say).at(at)
    }
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

fn identity(entry: &SegmentEntry) -> (Lsn, u32, u64) {
    (entry.base, entry.generation, entry.number)
}

fn check_timeline(listed: &[Listed], catalog: &Catalog) -> Result<()> {
    let own = catalog.timelines.last().map_or(0, |timeline| timeline.number);
    let newer = listed.iter().find(|l| l.inventory.as_ref().is_ok_and(|i| i.timeline() > own));
    let Some(newer) = newer else { return Ok(()) };
    let say = format!(
        "{} is of a newer timeline than {own}, in which this store writes: it was restored or repaired elsewhere, and that \
         one goes on here; name another destination for this one",
        newer.path.display()
    );
    Err(Error::new(ErrorKind::Superseded, say))
}

/// What goes by: its frames verified, its times noted.
struct Look {
    chain: Chain,
    first_us: u64,
    last_us: u64,
    damaged_values: u64,
    first_damaged: Option<Lsn>,
}

impl Look {
    fn new(held: &Held, from: Lsn, store: StoreId) -> Self {
        let (first_us, last_us) = if from == held.base { (0, 0) } else { (held.first_us, held.last_us) };
        let chain = Chain::new(from, held.binding(store));
        Self { chain, first_us, last_us, damaged_values: 0, first_damaged: None }
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        self.chain.feed(bytes, |link| {
            match link {
                Link::Group(_, head) => {
                    self.first_us = if self.first_us == 0 { head.time_us } else { self.first_us };
                    self.last_us = head.time_us;
                }
                Link::Frame { lsn, frame, .. } => {
                    let bad = frame.parts(lsn).filter(std::result::Result::is_err).count();
                    if bad > 0 {
                        self.damaged_values += bad as u64;
                        self.first_damaged = self.first_damaged.or(Some(lsn));
                    }
                }
                Link::Complete => {}
            }
            Ok(())
        })
    }
}

/// Where copied bytes go.
enum Sink {
    /// A new file, synced now and then where log and destination share a disk.
    New(Arc<dyn VfsFile>, bool),
    /// A file of that name is there: it must hold the same.
    Same(Arc<dyn VfsFile>),
}

impl Sink {
    fn take(&self, chunk: &[u8], at: u64, path: &Path) -> Result<()> {
        match self {
            Self::New(file, synced) => {
                file.write_at(&mut [IoSlice::new(chunk)], at).map_err(|e| failed("writing", path, e))?;
                if *synced && (at + chunk.len() as u64).is_multiple_of(SYNC_BYTES) {
                    file.sync().map_err(|e| failed("syncing", path, e))?;
                }
                Ok(())
            }
            Self::Same(file) => {
                let mut there = vec![0; chunk.len()];
                let read = file.read_at(&mut there, at).map_err(|e| failed("reading", path, e))?;
                if read == chunk.len() && there == chunk { Ok(()) } else { Err(other_bytes(path)) }
            }
        }
    }

    fn check_length(&self, bytes: u64, path: &Path) -> Result<()> {
        let Self::Same(file) = self else { return Ok(()) };
        let len = file.len().map_err(|e| failed("asking the length of", path, e))?;
        if len == bytes { Ok(()) } else { Err(other_bytes(path)) }
    }
}

fn other_bytes(path: &Path) -> Error {
    let say = format!(
        "{} holds other bytes than the log does in that place, and is not overwritten: run `savehold backup verify`, and \
         where no backup needs it, remove it",
        path.display()
    );
    Error::new(ErrorKind::Corrupt, say)
}
