//! Holds a disk as a crash left it to the promise.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use savehold_wal::sim::{Choice, SimDisk};
use savehold_wal::{Durability, ErrorKind, Lsn, Options, Record, Replayer, Result as WalResult, Verify, Wal};

use crate::history::{Finding, History, Stop};
use crate::world::{Answer, ROOT, Step, World};

/// What a disk is held to.
#[derive(Clone, Copy, Debug)]
pub struct Promise<'a> {
    /// What the log was given.
    pub history: &'a History,
    /// What happened.
    pub stop: Stop,
    /// Changes of the disk before it happened.
    pub change: u64,
    /// How the log is opened.
    pub options: &'a Options,
}

impl Promise<'_> {
    /// A number for what is promised: the same for promises that ask the same.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.stop, self.history.required(self.stop, self.change)).hash(&mut hasher);
        self.history.digest(self.change, &mut hasher);
        hasher.finish()
    }
}

/// All records, in order, every byte verified.
///
/// # Errors
///
/// The log's own.
pub fn records(log: &Wal) -> WalResult<Vec<Record>> {
    log.replay(Lsn::NONE)?.collect()
}

/// Judges what an open log holds; says how many records from the front are there.
///
/// # Errors
///
/// What breaks the promise.
pub fn judge(
    log: &Wal,
    found: &[Record],
    history: &History,
    stop: Stop,
    change: u64,
) -> Result<usize, Finding> {
    let kept = history.compare(found, change)?;
    let required = history.required(stop, change);
    if kept < required {
        return Err(format!("{kept} records are there, {required} were acknowledged"));
    }
    if let Some(last) = found.last() {
        let (offset, part) = last.parts.last().ok_or("a record without its part")?;
        match log.read_part(last.lsn, *offset, u32::try_from(part.len()).unwrap_or(0)) {
            Ok(read) if read == *part => {}
            Err(e) if e.kind() == ErrorKind::Io => {} // a read that was ordered to fail
            other => {
                return Err(format!("the part at {} + {offset} reads otherwise alone: {other:?}", last.lsn));
            }
        }
    }
    for lsn in history.taken(kept, change) {
        match log.read(lsn) {
            Err(e) if e.kind() == ErrorKind::Gone => {}
            other => return Err(format!("{lsn} was told for a record that is gone, and answers {other:?}")),
        }
    }
    let places: Vec<Lsn> = found.iter().map(|r| r.lsn).collect();
    match log.replay_into(Lsn::NONE, Verify::Bodies, vec![Places::default()]) {
        Ok((_, fast)) if fast[0].0 == places => {}
        Err(e) if e.kind() == ErrorKind::Io => {} // the same
        other => {
            return Err(format!("the fast replay found {:?}, the other {places:?}", other.map(|(n, _)| n)));
        }
    }
    if log.durable() < log.accepted() {
        return Err("an open log serves what is not durable".to_owned());
    }
    Ok(kept)
}

/// Where records stand, as a fast replay finds them.
#[derive(Debug, Default)]
pub struct Places(pub Vec<Lsn>);

impl Replayer for Places {
    fn record(&mut self, lsn: Lsn, _: u64, _: &[u8], _: u32) -> WalResult<()> {
        self.0.push(lsn);
        Ok(())
    }
}

/// Opens the disk and holds the log to its promise: an exact prefix, nothing acknowledged missing; no segment changed;
/// what was served survives a power cut at once; the next record gets a new place and survives too. The disk given is
/// not changed.
///
/// # Errors
///
/// What breaks the promise.
pub fn verify(image: &SimDisk, promise: &Promise<'_>, seed: u64) -> Result<(), Finding> {
    let Promise { history, stop, change, options } = *promise;
    let disk = image.fork();
    let before = segments(&disk);
    let world = World::on(disk, seed, options.clone(), History::default());
    let log = world.try_open().map_err(|e| format!("refused: {e:?}"))?;
    let found = records(&log).map_err(|e| format!("not replayed: {e:?}"))?;
    let kept = judge(&log, &found, history, stop, change)?;
    if !history.cache_lies() {
        unchanged(&before, &segments(&world.disk))?;
    }
    let served = history.survived(&found, kept, change, 0).counted_anew();

    let medium = world.disk.reboot(Choice::KeepNone);
    world.disk.kill(); // the log above is not closed
    drop(log);
    let mut next = World::on(medium, seed.wrapping_add(1), options.clone(), served);
    let again = |answer| if answer == Answer::Done { Ok(()) } else { Err(format!("again: {answer:?}")) };
    next.open().map_err(|e| format!("opened again after a power cut: {e}")).and_then(again)?;
    next.step(Step::Commit(100, Durability::Buffered))
        .map_err(|e| format!("appending: {e}"))
        .and_then(again)?;
    next.step(Step::Commit(100, Durability::Synced))
        .map_err(|e| format!("appending: {e}"))
        .and_then(again)?;

    let medium = next.disk.reboot(Choice::KeepNone);
    next.disk.kill();
    let mut last =
        World::on(medium, seed.wrapping_add(2), options.clone(), next.history.clone().counted_anew());
    last.open().map_err(|e| format!("opened after appending: {e}")).and_then(again)?;
    last.disk.kill();
    Ok(())
}

/// The files of segments on a disk, each with the checksum of its bytes.
#[must_use]
pub fn segments(disk: &SimDisk) -> BTreeMap<String, u32> {
    let files = disk.files().into_iter().map(|(path, _)| path);
    let segments = files.filter(|path| path.starts_with(ROOT) && path.ends_with(".seg"));
    segments.map(|path| (crc(disk, &path), path)).map(|(crc, path)| (path, crc)).collect()
}

fn crc(disk: &SimDisk, path: &str) -> u32 {
    disk.read(Path::new(path)).map_or(0, |bytes| crc32fast::hash(&bytes))
}

/// Opening may remove a segment that nobody names, and add a rest segment; it changes none.
fn unchanged(before: &BTreeMap<String, u32>, after: &BTreeMap<String, u32>) -> Result<(), Finding> {
    let changed = before.iter().find(|(path, crc)| after.get(*path).is_some_and(|now| now != *crc));
    changed.map_or(Ok(()), |(path, _)| Err(format!("opening changed {path}")))
}
