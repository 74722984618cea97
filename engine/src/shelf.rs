//! Door: the index tables on disk, and what MANIFEST says of them.
//!
//! A table is written whole, synced every few MiB (no commit's sync waits for much of it) and at its end, its name made
//! durable, and only then named in MANIFEST; and a table is named only once all that it holds is durable in the log. What MANIFEST
//! does not name is removed when the store is opened; what it names no more is removed after the new one is durable. So a
//! crash at any point leaves what was named before or what is named now, whole.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use savehold_wal::format::checksum::StoreId;
use savehold_wal::format::packed::NOTE_BYTES_MAX;
use savehold_wal::segment::file::Access;
use savehold_wal::segment::name::INDEX_DIR;
use savehold_wal::sync::{Mutex, MutexGuard};
use savehold_wal::vfs::{OpenMode, Vfs, VfsFile, is_full};
use savehold_wal::{Lsn, Wal};

use crate::error::{Error, ErrorKind, Result};
use crate::index::table::{Bytes, Facts, Identity, Page, Sink, Table, Writer};
use crate::index::{Entry, Judge, TailIndex, VersionRef};
use crate::manifest::{Manifest, Named};
use crate::meta;
use crate::planted::{self, Fault};
use crate::retention::Terms;
use crate::tally::{Counting, Tally};

/// Bytes of a table that are written at once, from a multiple of so many on: Linux keeps them as one folio of its page cache
/// then, which one entry of the page tables maps; reads at random miss those less.
const WRITE_BYTES: usize = 2 << 20;
/// Bytes of a table after which what was written is synced.
const SYNC_BYTES: u64 = 4 << 20;

/// The tables of one store. Whoever changes what MANIFEST says holds `manifest` while doing so.
pub(crate) struct Shelf {
    pub(crate) manifest: Mutex<Manifest>,
    /// Whoever writes a table or merges tables: one at a time.
    pub(crate) work: Mutex<()>,
}

/// A table that was written, and how MANIFEST is to name it.
pub(crate) type Made = (Named, Arc<Table>);

/// What the shelf held when the store was opened.
pub(crate) struct Found {
    pub(crate) shelf: Shelf,
    /// The tables that can be used, oldest first: those before the first that cannot.
    pub(crate) tables: Vec<Arc<Table>>,
    /// Why others cannot.
    pub(crate) damage: Vec<Error>,
    /// What MANIFEST named: up to here the log need not be replayed where no table is damaged.
    pub(crate) through: Lsn,
}

impl Shelf {
    /// Reads what MANIFEST says, opens the tables and removes files that nothing names.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Format`]: a newer program wrote it. [`ErrorKind::Io`].
    pub(crate) fn open(wal: &Wal) -> Result<Found> {
        let attachment = wal.attachment();
        let manifest =
            if attachment.is_empty() { Ok(Manifest::default()) } else { meta::decode(&attachment) };
        let (mut manifest, mut damage) = match manifest {
            Ok(manifest) => (manifest, Vec::new()),
            Err(e) if e.kind() == ErrorKind::Format => return Err(e),
            Err(e) => (Manifest::default(), vec![e]),
        };
        let known = manifest.judged > 0 && damage.is_empty(); // so it has the terms of all that was packed
        if let Some((number, note)) = wal.judgement().or_else(|e| if known { Ok(None) } else { Err(e) })?
            && number > manifest.judged
        {
            let terms: Terms = meta::decode(&note)?; // MANIFEST was lost meanwhile, or another store's files were restored
            manifest.forgotten = manifest.forgotten.max(before(terms.outcomes)); // what lapsed may be gone
            (manifest.judged, manifest.terms) = (number, Arc::new(terms));
        }
        if wal.read_only().is_none() {
            manifest.next = manifest.next.max(sweep(wal, &manifest)?);
        }
        let (through, mut tables) = (manifest.through(), Vec::new());
        for named in &manifest.tables {
            match open(wal, named) {
                Ok(table) => tables.push(Arc::new(table)),
                Err(e) if e.kind() == ErrorKind::Corrupt => {
                    damage.push(e);
                    break;
                }
                Err(e) => return Err(e),
            }
        }
        manifest.tables.truncate(tables.len());
        let shelf = Self { manifest: Mutex::new(manifest), work: Mutex::new(()) };
        Ok(Found { shelf, tables, damage, through })
    }

    /// Writes a table of what the log says in `low..high`, its versions not older than `oldest`, and opens it. `fill` says
    /// what it counted of what it wrote. Nothing names it yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Full`], [`ErrorKind::Io`]: nothing was left behind.
    pub(crate) fn write(
        &self,
        wal: &Wal,
        (low, high): (Lsn, Lsn),
        oldest: Lsn,
        fill: impl FnOnce(Writer<FileSink>, &mut Tally) -> Result<(Facts, FileSink)>,
    ) -> Result<Made> {
        let number = {
            let mut manifest = self.manifest.lock();
            manifest.next += 1;
            manifest.next - 1
        };
        let random = wal.env().entropy.next_u64();
        let path = path(wal, number);
        let identity = Identity { store: wal.store_id(), number, random, low: oldest, high };
        let mut tally = Tally::new(wal.spans().into_iter().map(|span| span.start).collect());
        let written = write(wal, &path, identity, |writer| fill(writer, &mut tally));
        let named = |facts: Facts| {
            let (versions, pages, listed) = (facts.versions, facts.pages, tally.listed());
            let judged = if tally.dropped > 0 { self.manifest.lock().judged + 1 } else { 0 };
            let drops = tally.drops(judged);
            Named { number, random, low, high, versions, pages, judged, listed, drops }
        };
        let opened =
            written.map(named).and_then(|named| open(wal, &named).map(|table| (named, Arc::new(table))));
        opened.inspect_err(|_| {
            _ = wal.env().vfs.remove(&path); // what stays is removed when the store is opened again
        })
    }

    /// Writes a table of what `judge` leaves of a tail index, which is what the log says in `low..high`. Long work, in which
    /// `breathe` is called often.
    ///
    /// # Errors
    ///
    /// As [`Shelf::write`].
    pub(crate) fn write_tail(
        &self,
        wal: &Wal,
        range: (Lsn, Lsn),
        tail: &TailIndex,
        judge: &mut dyn Judge,
        breathe: &mut dyn FnMut(),
    ) -> Result<Made> {
        let oldest = tail.oldest(&mut *breathe).unwrap_or(range.1);
        self.write(wal, range, oldest, |mut writer, tally| {
            let mut judge = Counting { judge, tally };
            let (mut key, mut versions, mut keep) = (Vec::new(), Vec::new(), Vec::new());
            let mut collection = 0;
            tail.export(breathe, |entry| {
                if entry.collection != collection || entry.key != key {
                    push_judged(&mut writer, &mut judge, (collection, &key), &versions, &mut keep)?;
                    collection = entry.collection;
                    key.clear();
                    key.extend_from_slice(entry.key);
                    versions.clear();
                }
                versions.push(entry.version);
                Ok(())
            })?;
            push_judged(&mut writer, &mut judge, (collection, &key), &versions, &mut keep)?;
            writer.finish()
        })
    }

    /// The terms in force, as a file of the log says by which it was judged.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`]: there are more settings of collections, or pins, than fit.
    pub(crate) fn note(&self) -> Result<Vec<u8>> {
        let terms = self.manifest.lock().terms.clone();
        meta::encode(&*terms)
    }

    /// Makes `change` durable in MANIFEST, then removes the files that it names no more.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Full`]: nothing changed. [`ErrorKind::Halted`].
    pub(crate) fn name(&self, wal: &Wal, change: impl FnOnce(&mut Manifest)) -> Result<()> {
        let mut manifest = self.manifest.lock();
        let mut next = manifest.clone();
        change(&mut next);
        next.put_together(&wal.spans().into_iter().map(|span| span.start).collect::<Vec<_>>());
        let mut checkpoint = next.through();
        if planted::has(Fault::CheckpointEarly) {
            checkpoint = checkpoint.min(wal.durable());
        }
        wal.note_checkpoint(checkpoint, meta::encode(&next)?)?;
        let before = std::mem::replace(&mut *manifest, next);
        remove_unnamed(wal, &before, &manifest);
        Ok(())
    }
}

const _: () = assert!(meta::BYTES_MAX <= NOTE_BYTES_MAX); // all terms that can be encoded are a note

fn before(place: Lsn) -> Lsn {
    Lsn::from_raw(place.raw().saturating_sub(1))
}

/// Adds to a table what `judge` leaves of a key's versions, newest first; older ones may stand elsewhere.
fn push_judged(
    writer: &mut Writer<FileSink>,
    judge: &mut dyn Judge,
    (collection, key): (u32, &[u8]),
    versions: &[VersionRef],
    keep: &mut Vec<bool>,
) -> Result<()> {
    keep.clear();
    keep.resize(versions.len(), true);
    if !versions.is_empty() {
        judge.judge(collection, key, versions, false, keep);
    }
    let mut kept = versions.iter().zip(keep).filter(|(_, keep)| **keep);
    kept.try_for_each(|(version, _)| writer.push(Entry { collection, key, version: *version }))
}

fn remove_unnamed(wal: &Wal, before: &Manifest, now: &MutexGuard<'_, Manifest>) {
    for gone in &before.tables {
        if now.tables.iter().all(|table| table.number != gone.number) {
            _ = wal.env().vfs.remove(&path(wal, gone.number)); // what stays is removed when the store is opened again
        }
    }
}

/// Where the pages of a table go.
pub(crate) struct FileSink {
    file: Arc<dyn VfsFile>,
    path: PathBuf,
    buffer: Vec<u8>,
    at: u64,
    synced: u64,
}

impl Sink for FileSink {
    fn put(&mut self, page: &Page) -> Result<()> {
        self.buffer.extend_from_slice(page);
        if self.buffer.len() >= WRITE_BYTES { self.flush() } else { Ok(()) }
    }
}

impl FileSink {
    fn flush(&mut self) -> Result<()> {
        let written = self.file.write_at(&mut [IoSlice::new(&self.buffer)], self.at);
        written.map_err(|e| failed("writing", &self.path, e))?;
        self.at += self.buffer.len() as u64;
        self.buffer.clear();
        if self.at - self.synced >= SYNC_BYTES { self.sync() } else { Ok(()) }
    }

    fn sync(&mut self) -> Result<()> {
        self.synced = self.at;
        if planted::has(Fault::NameUnsynced) {
            return Ok(());
        }
        self.file.sync().map_err(|e| failed("syncing", &self.path, e))
    }
}

fn write(
    wal: &Wal,
    path: &Path,
    identity: Identity,
    fill: impl FnOnce(Writer<FileSink>) -> Result<(Facts, FileSink)>,
) -> Result<Facts> {
    let vfs = &*wal.env().vfs;
    let dir = wal.root().join(INDEX_DIR);
    make_dir(vfs, wal.root(), &dir).map_err(|e| failed("making", &dir, e))?;
    let file = vfs.open(path, OpenMode::CreateNew).map_err(|e| failed("making", path, e))?;
    let buffer = Vec::with_capacity(WRITE_BYTES + crate::index::table::PAGE_BYTES);
    let sink = FileSink { file, path: path.to_path_buf(), buffer, at: 0, synced: 0 };
    let (facts, mut sink) = fill(Writer::new(identity, sink))?;
    sink.flush()?;
    sink.sync()?;
    if !planted::has(Fault::NameUnsynced) {
        vfs.sync_dir(&dir).map_err(|e| failed("syncing", &dir, e))?;
    }
    Ok(facts)
}

fn make_dir(vfs: &dyn Vfs, root: &Path, dir: &Path) -> io::Result<()> {
    match vfs.list(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            vfs.create_dir(dir)?;
            vfs.sync_dir(root)
        }
        there => there.map(drop),
    }
}

fn open(wal: &Wal, named: &Named) -> Result<Table> {
    open_in(&*wal.env().vfs, wal.root(), wal.store_id(), wal.access(), named)
}

/// Opens a table of the store `store` in `root`.
///
/// # Errors
///
/// [`ErrorKind::Corrupt`]: it is missing or damaged. [`ErrorKind::Format`], [`ErrorKind::Io`].
pub(crate) fn open_in(
    vfs: &dyn Vfs,
    root: &Path,
    store: StoreId,
    access: Access,
    named: &Named,
) -> Result<Table> {
    let path = path_in(root, named.number);
    let file = vfs.open(&path, OpenMode::Read).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => {
            let say = format!("the index table {} is missing: it is made anew from the log", path.display());
            Error::new(ErrorKind::Corrupt, say)
        }
        _ => failed("opening", &path, e),
    })?;
    let length = file.len().map_err(|e| failed("asking the length of", &path, e))?;
    let map = match access {
        Access::Mapped => file.map(length).map_err(|e| failed("mapping", &path, e))?,
        Access::Pread => None,
    };
    let bytes = map.map_or(Bytes::File(file), Bytes::Mapped);
    let table = Table::open(bytes, store, named.number, named.random, &path)?;
    if table.facts().low < named.low || table.facts().high > named.high {
        let say = format!(
            "the index table {} says that it is another: it is made anew from the log",
            path.display()
        );
        return Err(Error::new(ErrorKind::Corrupt, say));
    }
    Ok(table)
}

/// Removes the files of tables that nothing names; says which number is free, and all that are larger.
fn sweep(wal: &Wal, manifest: &Manifest) -> Result<u64> {
    let (vfs, dir) = (&*wal.env().vfs, wal.root().join(INDEX_DIR));
    let names = match vfs.list(&dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0),
        names => names.map_err(|e| failed("listing", &dir, e))?,
    };
    let mut free = 0;
    for name in names {
        let Some(number) = number_of(&name) else { continue };
        free = free.max(number + 1);
        if manifest.tables.iter().all(|table| table.number != number) {
            let path = dir.join(&name);
            vfs.remove(&path).map_err(|e| failed("removing", &path, e))?;
        }
    }
    Ok(free)
}

fn path(wal: &Wal, number: u64) -> PathBuf {
    path_in(wal.root(), number)
}

fn path_in(root: &Path, number: u64) -> PathBuf {
    root.join(INDEX_DIR).join(format!("{number}.idx"))
}

/// The number in the name of a table's file; `None` for any other name.
fn number_of(name: &str) -> Option<u64> {
    let number = name.strip_suffix(".idx")?.parse().ok().filter(|number| *number < u64::MAX)?;
    (format!("{number}.idx") == name).then_some(number)
}

#[cold]
fn failed(doing: &str, path: &Path, e: io::Error) -> Error {
    if is_full(&e) {
        let say = format!("no space for {doing} {}: free some, it is tried again", path.display());
        return Error::new(ErrorKind::Full, say).caused_by(e);
    }
    let say = format!("{doing} {}: {e}; it is tried again", path.display());
    Error::new(ErrorKind::Io, say).caused_by(e)
}
