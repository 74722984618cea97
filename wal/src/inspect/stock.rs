//! Corridor: which segments a directory holds, from MANIFEST where it can be read, from the files where not.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::bytes::{read_at, read_data};
use super::manifests::catalogs;
use super::{Damage, Weight, What};
use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::format::checksum::StoreId;
use crate::format::frame::Bad;
use crate::format::header::{DATA_OFFSET, SegmentHeader, SegmentKind};
use crate::limits::{BLOCK_BYTES, SEGMENT_BYTES_LIMIT};
use crate::lsn::Lsn;
use crate::scan::Span;
use crate::segment::catalog::{Catalog, SegmentEntry};
use crate::segment::file::entry_of;
use crate::segment::name::{
    LOCK, LOG_DIR, MANIFEST, MANIFEST_NEXT, MANIFEST_PREVIOUS, QUARANTINE_DIR, parse_segment_name,
    segment_name,
};
use crate::vfs::{OpenMode, VfsFile, read_exact_at};

/// One segment file and what is known of it.
#[derive(Debug)]
pub(super) struct Plot {
    pub(super) entry: SegmentEntry,
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn VfsFile>,
    /// Bytes of data that the file has.
    pub(super) there: u64,
}

/// What a directory holds.
#[derive(Debug)]
pub(super) struct Stock {
    pub(super) store: StoreId,
    /// The newest catalog that can be read: MANIFEST, or an older one where that is damaged.
    pub(super) catalog: Option<Catalog>,
    /// In the order of (base, generation).
    pub(super) plots: Vec<Plot>,
    /// The log was durable through here, by what catalog, headers and stated ends say.
    pub(super) floor: Lsn,
    pub(super) damage: Vec<Damage>,
}

/// Bytes at a segment's front that hold the ends it states.
const FRONT_BYTES: u64 = 1 << 20;

impl Stock {
    /// Whether there is a store at all.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Missing`], [`ErrorKind::Foreign`]: there is none.
    pub(super) fn look(env: &Env, root: &Path) -> Result<()> {
        segments_in(env, root).map(drop)
    }

    /// Takes stock of `root`; changes nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Missing`], [`ErrorKind::Foreign`]: no store. [`ErrorKind::Format`]: a newer one.
    pub(super) fn take(env: &Env, root: &Path) -> Result<Self> {
        let (found, dir) = (segments_in(env, root)?, root.join(LOG_DIR));
        let mut damage = Vec::new();
        let (catalog, trusted) = catalogs(env, root, &mut damage)?;
        let (plots, known) = (Vec::new(), catalog.as_ref());
        let mut takes = Takes { env, dir: &dir, found: &found, catalog: known, trusted, damage, plots };
        let store = takes.files(root)?;
        let Takes { mut damage, mut plots, .. } = takes;
        plots.sort_by_key(|plot| (plot.entry.base, plot.entry.generation));
        drop_sources(&mut plots);
        missing_by_catalog(catalog.as_ref(), trusted, &plots, &dir, &mut damage);
        let stated = settle(store, &mut plots, trusted, &dir, &mut damage)?;
        let said = catalog.iter().flat_map(|c| {
            let ends = c.segments.iter().filter_map(|entry| entry.end);
            ends.chain([c.checkpoint]).chain(c.clean_end)
        });
        let ends = plots.iter().filter_map(|plot| plot.entry.end);
        let floor = said.chain(ends).chain([stated]).max().unwrap_or(Lsn::NONE);
        Ok(Self { store, catalog, plots, floor, damage })
    }
}

/// The files of a log directory, one after the other.
struct Takes<'a> {
    env: &'a Env,
    dir: &'a Path,
    /// Base and generation of each, as its name says.
    found: &'a [(Lsn, u32)],
    catalog: Option<&'a Catalog>,
    trusted: bool,
    damage: Vec<Damage>,
    plots: Vec<Plot>,
}

/// A file with what its name says and what its header says.
struct File {
    base: Lsn,
    generation: u32,
    path: PathBuf,
    file: Arc<dyn VfsFile>,
    there: u64,
    header: Result<SegmentHeader, Bad>,
    /// The offset of a header block that cannot be read, though the other can.
    bad_copy: Option<u64>,
}

impl Takes<'_> {
    fn files(&mut self, root: &Path) -> Result<StoreId> {
        let mut files = Vec::new();
        for (base, generation) in self.found {
            let path = self.dir.join(segment_name(*base, *generation));
            let io = |e| Error::io(ErrorKind::Io, "opening", &path, e);
            let file = self.env.vfs.open(&path, OpenMode::Read).map_err(io)?;
            let there = file.len().map_err(io)?.saturating_sub(DATA_OFFSET);
            let (header, bad_copy) = header_of(&*file);
            if header == Err(Bad::Kind) {
                let say = format!(
                    "{} is of a newer format than this program: use the newer program",
                    path.display()
                );
                return Err(Error::new(ErrorKind::Format, say));
            }
            files.push(File { base: *base, generation: *generation, path, file, there, header, bad_copy });
        }
        let mut stores = BTreeMap::new();
        for header in files.iter().filter_map(|file| file.header.ok()) {
            *stores.entry(header.store.0).or_insert(0) += 1;
        }
        let most = stores.iter().max_by_key(|(_, count)| **count).map(|(store, _)| StoreId(*store));
        let Some(store) = self.catalog.map(|catalog| catalog.store).or(most) else {
            let say = format!(
                "{} holds no header and no MANIFEST that can be read: nothing in it can be told to be a record; restore a backup",
                root.display()
            );
            return Err(Error::new(ErrorKind::Corrupt, say));
        };
        for file in files {
            self.file(file, store)?;
        }
        Ok(store)
    }

    fn file(&mut self, file: File, store: StoreId) -> Result<()> {
        let listed = self.catalog.and_then(|catalog| {
            catalog.segments.iter().find(|e| (e.base, e.generation) == (file.base, file.generation)).copied()
        });
        if let Some(offset) = file.bad_copy {
            self.note(What::HeaderCopy, Weight::Spare, &file, offset);
        }
        let entry = match (listed, file.header) {
            (Some(listed), Ok(header)) if same(&listed, &header) && header.store == store => {
                SegmentEntry { end: listed.end.or(entry_of(&header).end), ..listed }
            }
            (Some(listed), _) => {
                self.note(What::Header, Weight::Blocking, &file, 0);
                listed
            }
            (None, Ok(header)) if header.store != store => {
                self.note(What::Foreign, Weight::Blocking, &file, 0);
                return Ok(());
            }
            (None, Ok(header)) => match self.unlisted(&file, &header)? {
                true => entry_of(&header),
                false => return Ok(()),
            },
            (None, Err(_)) => {
                let given_up = self.catalog.is_some_and(|c| self.trusted && file.base < c.frontier);
                if !given_up && holds_data(&file)? {
                    self.note(What::Header, Weight::Acknowledged, &file, 0);
                }
                return Ok(());
            }
        };
        let packed = entry.kind == SegmentKind::Packed;
        let there = if packed { file.there } else { file.there.min(entry.capacity) };
        self.plots.push(Plot { entry, path: file.path, file: file.file, there });
        Ok(())
    }

    /// Whether a file that the catalog does not name counts.
    fn unlisted(&mut self, file: &File, header: &SegmentHeader) -> Result<bool> {
        if (header.base, header.generation) != (file.base, file.generation) {
            self.note(What::Header, Weight::Blocking, file, 0);
        }
        let Some(catalog) = self.catalog.filter(|_| self.trusted) else { return Ok(true) };
        let ends = header.base.plus(header.capacity);
        let old =
            catalog.segments.iter().rev().find(|e| {
                e.kind == SegmentKind::Log && e.base <= header.base && header.base < e.capacity_end()
            });
        if header.kind == SegmentKind::Rest
            && let Some(old) = old
            && old.capacity_end() == ends
            && old.end.is_none_or(|end| end >= header.base)
        {
            return Ok(true); // finished by a recovery that did not get to name it
        }
        let packed = header.kind == SegmentKind::Packed;
        let is_gone = |e: &SegmentEntry| {
            (header.base..ends).contains(&e.base) && !self.found.contains(&(e.base, e.generation))
        };
        if packed && (ends > catalog.frontier || catalog.segments.iter().any(is_gone)) {
            self.note(What::Unnamed, Weight::Blocking, file, 0); // an older MANIFEST: what it was made of is gone
            return Ok(true);
        }
        if ends <= catalog.frontier {
            return Ok(false); // given up
        }
        let bytes = read_data(&*file.file, file.there.min(header.capacity)).0;
        let span = Span { base: header.base, binding: header.binding(), data: &bytes };
        let begun = span.probe(header.base).next().is_some();
        if begun {
            self.note(What::Unnamed, Weight::Blocking, file, 0);
        }
        Ok(begun)
    }

    fn note(&mut self, what: What, weight: Weight, file: &File, offset: u64) {
        let to = file.base.checked_add(file.there).unwrap_or(Lsn::MAX);
        let (from, path) = (file.base, file.path.clone());
        self.damage.push(Damage { what, weight, from, to, file: path, offset, head: None });
    }
}

fn same(entry: &SegmentEntry, header: &SegmentHeader) -> bool {
    (entry.base, entry.capacity, entry.number, entry.generation, entry.kind)
        == (header.base, header.capacity, header.number, header.generation, header.kind)
}

/// Where a crash, or a lost catalog, left both a packed segment and what it was made of, the packed one counts: it got
/// its name when it was whole. Of two packed ones the one that owns more, or the newer, is the later.
fn drop_sources(plots: &mut Vec<Plot>) {
    let packed: Vec<SegmentEntry> =
        plots.iter().map(|plot| plot.entry).filter(|e| e.kind == SegmentKind::Packed).collect();
    let key = |e: &SegmentEntry| (e.base, e.generation);
    plots.retain(|plot| {
        let own = &plot.entry;
        let made_of = |p: &&SegmentEntry| {
            key(p) != key(own)
                && (p.base..p.capacity_end()).contains(&own.base)
                && (own.kind != SegmentKind::Packed || p.base < own.base || p.generation > own.generation)
        };
        !packed.iter().any(|p| made_of(&p))
    });
}

impl Plot {
    /// Whether it is a packed segment that holds what survived at `base`.
    fn covers(&self, base: Lsn) -> bool {
        self.entry.kind == SegmentKind::Packed && (self.entry.base..self.entry.capacity_end()).contains(&base)
    }
}

/// Base and generation of each segment file; an error where there are none and no MANIFEST.
fn segments_in(env: &Env, root: &Path) -> Result<Vec<(Lsn, u32)>> {
    let names = names_in(env, root)?;
    let dir = root.join(LOG_DIR);
    let files = match env.vfs.list(&dir) {
        Ok(files) => files,
        Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(e) => return Err(Error::io(ErrorKind::Io, "listing", &dir, e)),
    };
    let mut found: Vec<(Lsn, u32)> = files.iter().filter_map(|name| parse_segment_name(name)).collect();
    found.sort_unstable();
    let manifests = [MANIFEST, MANIFEST_NEXT, MANIFEST_PREVIOUS];
    if found.is_empty() && !names.iter().any(|name| manifests.contains(&name.as_str())) {
        return Err(no_store(root, &names));
    }
    Ok(found)
}

fn names_in(env: &Env, root: &Path) -> Result<Vec<String>> {
    env.vfs.list(root).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => no_store(root, &[]),
        io::ErrorKind::NotADirectory => {
            Error::new(ErrorKind::Foreign, format!("{} is a file: name a directory", root.display()))
        }
        _ => Error::io(ErrorKind::Io, "listing", root, e),
    })
}

fn no_store(root: &Path, names: &[String]) -> Error {
    let ours = [LOCK, LOG_DIR, QUARANTINE_DIR];
    match names.iter().find(|name| !ours.contains(&name.as_str())) {
        Some(other) => {
            let say =
                format!("{} holds `{other}` and no store: name the directory of a store", root.display());
            Error::new(ErrorKind::Foreign, say)
        }
        None => {
            let say = format!("there is no store in {}: is the disk mounted?", root.display());
            Error::new(ErrorKind::Missing, say)
        }
    }
}

fn header_of(file: &dyn VfsFile) -> (Result<SegmentHeader, Bad>, Option<u64>) {
    let block = BLOCK_BYTES as usize;
    let mut copies = [0, BLOCK_BYTES].map(|offset| {
        let mut bytes = vec![0; block];
        let read = read_exact_at(file, &mut bytes, offset).map_err(|_| Bad::Length);
        read.and_then(|()| SegmentHeader::decode(&bytes))
    });
    let bad_copy = match &copies {
        [Ok(_), Err(_)] => Some(BLOCK_BYTES),
        [Err(_), Ok(_)] => Some(0),
        _ => None,
    };
    copies.sort_by_key(|copy| match copy {
        Ok(_) => 0,
        Err(Bad::Kind) => 1,
        Err(_) => 2,
    });
    (copies[0], bad_copy)
}

fn holds_data(file: &File) -> Result<bool> {
    let whole = file.there.min(SEGMENT_BYTES_LIMIT) + DATA_OFFSET;
    let (bytes, unreadable) = read_at(&*file.file, 0, whole);
    Ok(!unreadable.is_empty() || bytes.iter().any(|&byte| byte != 0))
}

/// Segments that a catalog names and that are not there.
fn missing_by_catalog(
    catalog: Option<&Catalog>,
    trusted: bool,
    plots: &[Plot],
    dir: &Path,
    damage: &mut Vec<Damage>,
) {
    for entry in catalog.iter().flat_map(|catalog| &catalog.segments) {
        let there = |plot: &Plot| {
            let newer = plot.entry.generation > entry.generation && !trusted;
            let same = plot.entry.base == entry.base && (plot.entry.generation == entry.generation || newer);
            same || plot.covers(entry.base)
        };
        if !plots.iter().any(there) {
            let to = entry.end.unwrap_or(entry.capacity_end());
            note_missing(dir, entry.base, entry.generation, to, damage);
        }
    }
}

fn note_missing(dir: &Path, base: Lsn, generation: u32, to: Lsn, damage: &mut Vec<Damage>) {
    let file = dir.join(segment_name(base, generation));
    if !damage.iter().any(|d| d.file == file && matches!(d.what, What::Missing | What::Header)) {
        let (what, weight) = (What::Missing, Weight::Acknowledged);
        damage.push(Damage { what, weight, from: base, to, file, offset: 0, head: None });
    }
}

/// Ends that later segments state, and where a newer file begins over an older one; says the largest stated end.
fn settle(
    store: StoreId,
    plots: &mut [Plot],
    trusted: bool,
    dir: &Path,
    damage: &mut Vec<Damage>,
) -> Result<Lsn> {
    let mut largest = Lsn::NONE;
    for n in 0..plots.len() {
        let plot = &plots[n];
        let bytes = read_data(&*plot.file, plot.there.min(FRONT_BYTES)).0;
        let span = Span { base: plot.entry.base, binding: plot.entry.binding(store), data: &bytes };
        for stated in span.stated_ends().into_iter().flatten() {
            let is = |plot: &&mut Plot| {
                (plot.entry.base, plot.entry.generation) == (stated.base, stated.generation)
            };
            largest = largest.max(stated.end);
            match plots.iter_mut().find(is) {
                Some(plot) => {
                    let inside = stated.end >= stated.base && stated.end <= plot.entry.capacity_end();
                    plot.entry.end = plot.entry.end.or(inside.then_some(stated.end));
                }
                None if !trusted && stated.end > stated.base => {
                    let newer = |plot: &Plot| plot.entry.base == stated.base || plot.covers(stated.base);
                    if !plots.iter().any(newer) {
                        note_missing(dir, stated.base, stated.generation, stated.end, damage);
                    }
                }
                None => {}
            }
        }
    }
    for n in 1..plots.len() {
        let (next, plot) = (plots[n].entry.base, &mut plots[n - 1].entry);
        if next < plot.capacity_end() {
            plot.end = Some(plot.end.map_or(next, |end| end.min(next)));
        }
    }
    Ok(largest)
}
