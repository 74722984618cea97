//! Corridor: one run of a segment on its way into a destination: read and verified frame by frame, and written, or left
//! where it is already.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crc32fast::Hasher;

use super::chain::{Broken, Link};
use super::destination::{Destination, Shelf, failed};
use super::form::Form;
use super::inventory::{Held, Piece};
use super::meter::Meter;
use super::packed::Walk;
use super::read::piece_of;
use crate::error::{Error, ErrorKind, Result};
use crate::format::checksum::StoreId;
use crate::format::header::{DATA_OFFSET, SegmentKind};
use crate::format::packed::Footer;
use crate::lsn::Lsn;
use crate::segment::file::Segment;
use crate::vfs::{VfsFile, read_exact_at};

/// Bytes that are read and written at a time.
pub(super) const CHUNK_BYTES: usize = 1 << 20;

/// Where log and destination share a disk, a piece is synced this often: no commit's sync waits for more.
const SYNC_BYTES: u64 = 8 << 20;

/// What becomes of a value that is damaged in the log itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Damaged {
    /// The backup is refused: damage must not go unnoticed until it is needed.
    #[default]
    Refuse,
    /// It is copied as it is, and stays damaged: reads and `verify` go on naming it.
    Keep,
}

/// Where a run comes from and where it goes.
pub(super) struct Run<'a> {
    pub(super) destination: &'a dyn Destination,
    pub(super) segment: &'a Segment,
    pub(super) store: StoreId,
}

/// What one run came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Passed {
    pub(super) damaged_values: u64,
    pub(super) written_bytes: u64,
    pub(super) linked_bytes: u64,
}

impl Run<'_> {
    /// Writes the run as the piece that it is to be, durable under its name.
    pub(super) fn write(
        &self,
        held: &mut Held,
        piece: &mut Piece,
        damaged: Damaged,
        one_disk: bool,
        meter: &mut Meter<'_>,
    ) -> Result<Passed> {
        let name = held.name(piece);
        let path = self.destination.place(Shelf::Pieces, &name);
        let file = self.destination.begin(Shelf::Pieces, &name)?;
        let synced = if one_disk { Synced::OnTheWay } else { Synced::AtItsEnd };
        let mut sink = Sink::new(file, path, piece.form, synced);
        let passed = self.pass(held, piece, damaged, meter, &mut |chunk| sink.take(chunk));
        let done = passed.and_then(|passed| {
            self.destination.publish(Shelf::Pieces, &name, &*sink.file)?;
            Ok(Passed { written_bytes: sink.at, ..passed })
        });
        self.or_abandon(&name, done)
    }

    /// Publishes a segment that was linked, once all of the run is verified.
    pub(super) fn link(
        &self,
        held: &mut Held,
        piece: &mut Piece,
        damaged: Damaged,
        meter: &mut Meter<'_>,
    ) -> Result<Passed> {
        let name = held.name(piece);
        let passed = self.whole(held, piece, damaged, meter);
        let done = passed.and_then(|passed| {
            let file = self.destination.open_unfinished(Shelf::Pieces, &name)?;
            self.destination.publish(Shelf::Pieces, &name, &*file)?;
            Ok(Passed { linked_bytes: piece.bytes(), ..passed })
        });
        self.or_abandon(&name, done)
    }

    /// Notes in `held`, of which the destination has more than the log goes through, when that ends. What the log itself has
    /// damaged lies there whole: only its groups are looked at.
    pub(super) fn times(&self, held: &mut Held, to: Lsn, meter: &mut Meter<'_>) -> Result<()> {
        let mut all = Piece { from: held.base, to, crc: 0, form: Form::Plain };
        self.pass(held, &mut all, Damaged::Keep, meter, &mut |_| Ok(())).map(drop)
    }

    fn or_abandon(&self, name: &str, done: Result<Passed>) -> Result<Passed> {
        if done.is_err() {
            self.destination.abandon(Shelf::Pieces, name);
        }
        done
    }

    /// A piece of that name is there, and no inventory says so: a backup was cut short. It must hold the same.
    pub(super) fn adopt(
        &self,
        held: &mut Held,
        piece: &mut Piece,
        damaged: Damaged,
        meter: &mut Meter<'_>,
    ) -> Result<Passed> {
        let passed = match piece.form {
            Form::Segment => self.whole(held, piece, damaged, meter)?,
            Form::Plain | Form::Lz4 => self.pass(held, piece, damaged, meter, &mut |_| Ok(()))?,
        };
        piece_of(self.destination, held, piece, &mut |_| Ok(())).map_err(|e| match e.kind() {
            ErrorKind::Corrupt => other_bytes(&self.destination.place(Shelf::Pieces, &held.name(piece))),
            _ => e,
        })?;
        Ok(passed)
    }

    /// The same where the whole file of the segment is the piece.
    fn whole(
        &self,
        held: &mut Held,
        piece: &mut Piece,
        damaged: Damaged,
        meter: &mut Meter<'_>,
    ) -> Result<Passed> {
        let (file, path) = (&*self.segment.file, &self.segment.path);
        let mut crc = Hasher::new();
        let around = |from: u64, to: u64, crc: &mut Hasher| -> Result<()> {
            let (mut at, mut buf) = (from, vec![0; CHUNK_BYTES]);
            while at < to {
                let chunk_len = usize::try_from(to - at).unwrap_or(usize::MAX).min(buf.len());
                read_exact_at(file, &mut buf[..chunk_len], at).map_err(|e| failed("reading", path, e))?;
                crc.update(&buf[..chunk_len]);
                at += chunk_len as u64;
            }
            Ok(())
        };
        around(0, DATA_OFFSET, &mut crc)?;
        let passed = self.pass(held, piece, damaged, meter, &mut |chunk| {
            crc.update(chunk);
            Ok(())
        })?;
        let len = file.len().map_err(|e| failed("asking the length of", path, e))?;
        around(DATA_OFFSET + piece.bytes(), len, &mut crc)?;
        piece.crc = crc.finalize();
        Ok(passed)
    }

    /// Reads and verifies the run, and notes in `held` and `piece` what it is.
    fn pass(
        &self,
        held: &mut Held,
        piece: &mut Piece,
        damaged: Damaged,
        meter: &mut Meter<'_>,
        sink: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<Passed> {
        let footer = if held.is_packed() { Some(self.segment.footer()?) } else { None };
        let mut look = Look::new(held, piece.from, self.store, footer);
        let (mut crc, mut at) = (Hasher::new(), piece.from);
        let mut buf = vec![0; CHUNK_BYTES.min(usize::try_from(piece.bytes()).unwrap_or(CHUNK_BYTES))];
        while at < piece.to {
            let left = piece.to.bytes_since(at).and_then(|left| usize::try_from(left).ok());
            let chunk_len = left.unwrap_or(CHUNK_BYTES).min(buf.len());
            let chunk = &mut buf[..chunk_len];
            self.segment.read_into(chunk, at)?;
            crc.update(chunk);
            look.feed(chunk).map_err(|broken| self.broken(broken))?;
            sink(chunk)?;
            at = at.plus(chunk.len() as u64);
            meter.advance(chunk.len() as u64)?;
        }
        look.walk.finish().map_err(|broken| self.broken(broken))?;
        if let (Some(at), Damaged::Refuse) = (look.first_damaged, damaged) {
            return Err(self.broken(Broken(at)));
        }
        (held.first_us, held.last_us) = (look.first_us, look.last_us);
        piece.crc = crc.finalize();
        Ok(Passed { damaged_values: look.damaged_values, ..Passed::default() })
    }

    fn broken(&self, Broken(at): Broken) -> Error {
        let offset = match self.segment.kind {
            SegmentKind::Packed => String::new(), // the place says nothing about where in the file
            _ => format!(" at offset {}", self.segment.file_offset(at)),
        };
        let say = format!(
            "{} is damaged{offset} ({at}): what is damaged is not backed up, and earlier backups are as they were; \
             run `savehold verify`, then restore a backup or repair",
            self.segment.path.display()
        );
        Error::new(ErrorKind::Corrupt, say).at(at)
    }
}

/// What goes by: its frames verified, its times noted.
struct Look {
    walk: Walk,
    first_us: u64,
    last_us: u64,
    damaged_values: u64,
    first_damaged: Option<Lsn>,
}

impl Look {
    fn new(held: &Held, from: Lsn, store: StoreId, footer: Option<Footer>) -> Self {
        let (first_us, last_us) = if from == held.base { (0, 0) } else { (held.first_us, held.last_us) };
        let walk = Walk::new(held, from, store, footer);
        Self { walk, first_us, last_us, damaged_values: 0, first_damaged: None }
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        self.walk.feed(bytes, |link| {
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
                Link::Packed(packed) => {
                    self.first_us = if self.first_us == 0 { packed.time_us } else { self.first_us };
                    self.last_us = packed.time_us.max(self.last_us);
                    let bad = packed.parts().filter(|(_, part)| part.is_err()).count();
                    if bad > 0 {
                        self.damaged_values += bad as u64;
                        self.first_damaged = self.first_damaged.or(Some(packed.lsn));
                    }
                }
                Link::Complete => {}
            }
            Ok(())
        })
    }
}

/// When a new file is synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Synced {
    /// Now and then too: commits that share the disk never wait for much of it.
    OnTheWay,
    /// Only when it is whole.
    AtItsEnd,
}

/// A new file, written front to back.
pub(super) struct Sink {
    pub(super) file: Arc<dyn VfsFile>,
    path: PathBuf,
    at: u64,
    synced: Synced,
    form: Form,
    /// Blocks on their way.
    block: Vec<u8>,
}

impl Sink {
    pub(super) fn new(file: Arc<dyn VfsFile>, path: PathBuf, form: Form, synced: Synced) -> Self {
        Self { file, path, at: 0, synced, form, block: Vec::new() }
    }

    pub(super) fn take(&mut self, chunk: &[u8]) -> Result<()> {
        if self.form != Form::Lz4 {
            return self.write(chunk);
        }
        let mut blocks = std::mem::take(&mut self.block);
        blocks.clear();
        compress(chunk, &mut blocks);
        let written = self.write(&blocks);
        self.block = blocks;
        written
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.file.write_at(&mut [IoSlice::new(bytes)], self.at);
        written.map_err(|e| failed("writing", &self.path, e))?;
        let before = self.at;
        self.at += bytes.len() as u64;
        if self.synced == Synced::OnTheWay && before / SYNC_BYTES != self.at / SYNC_BYTES {
            self.file.sync().map_err(|e| failed("syncing", &self.path, e))?;
        }
        Ok(())
    }
}

#[cfg(feature = "compression")]
fn compress(chunk: &[u8], out: &mut Vec<u8>) {
    use super::form::{BLOCK_RAW_MAX, put_block};
    chunk.chunks(BLOCK_RAW_MAX).for_each(|raw| put_block(raw, out));
}

#[cfg(not(feature = "compression"))]
fn compress(_: &[u8], _: &mut Vec<u8>) {
    unreachable!("asked for and refused before anything was copied")
}

fn other_bytes(path: &Path) -> Error {
    let say = format!(
        "{} holds other bytes than the log does in that place, and is not overwritten: run `savehold backup verify`, and \
         where no backup needs it, remove it",
        path.display()
    );
    Error::new(ErrorKind::Corrupt, say)
}
