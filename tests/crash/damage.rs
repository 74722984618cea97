//! Damage at rest: every bit flipped, every length, files missing, copied, swapped, renamed, from another store. The
//! log is refused, or it is an exact prefix that lacks nothing proven; never wrong bytes, never a panic.

use std::path::Path;

use savehold_wal::Durability::{Buffered, Synced};
use savehold_wal::sim::{Choice, Fault, SimDisk, When};
use savehold_wal::{ErrorKind, Verify, Wal};
use support::check::{Places, records};
use support::history::{Finding, History};
use support::world::{ROOT, Step, World, small_segments};

use crate::budget;

/// A store at rest, and how many records at its front nothing may take silently.
struct Store {
    disk: SimDisk,
    history: History,
    proven: usize,
}

/// Several segments, one of them after an unclean stop with a rest segment, then closed: everything is proven.
fn closed() -> Store {
    let mut world = World::new(5, small_segments());
    let steps = [
        Step::Batch(3, 300),
        Step::Commit(5_000, Synced),
        Step::Commit(200, Synced),
        Step::Commit(60, Buffered),
    ];
    world.steps(&steps).expect("nothing fails");
    world.end();
    world
        .steps(&[Step::Commit(70, Buffered), Step::Commit(9_000, Synced), Step::Commit(40, Synced)])
        .expect("nor here");
    world.step(Step::Reopen).expect("nothing fails"); // now what the recovery gave up is gone too
    world.log.take().expect("open").close().expect("nothing fails");
    let proven = world.history.entries().len();
    Store { disk: world.disk.reboot(Choice::KeepAll), history: world.history.counted_anew(), proven }
}

/// The same, stopped by a power cut behind a synced commit that nothing proves.
fn cut() -> Store {
    let Store { disk, history, .. } = closed();
    let mut world = World::on(disk, 6, small_segments(), history);
    world.steps(&[Step::Commit(80, Synced), Step::Commit(90, Synced)]).expect("nothing fails");
    let proven = world.history.entries().len() - 1;
    Store { disk: world.disk.reboot(Choice::KeepNone), history: world.history.counted_anew(), proven }
}

/// What became of a damaged store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Refused(ErrorKind),
    RefusedLater(ErrorKind),
    Whole,
    Shorter,
}

/// Opens a damaged store and looks at every byte of it.
fn judge(disk: SimDisk, store: &Store) -> Result<Fate, Finding> {
    let world = World::on(disk, 9, small_segments(), History::default());
    let log = match world.try_open() {
        Ok(log) => log,
        Err(e) => return expected(&e, "open").map(Fate::Refused),
    };
    readable(&log, store)?;
    let found = match records(&log) {
        Ok(found) => found,
        Err(e) => return expected(&e, "replay").map(Fate::RefusedLater),
    };
    let kept = store.history.compare(&found, u64::MAX)?;
    if kept < store.proven {
        return Err(format!("{kept} records are there, {} were proven, and nobody says so", store.proven));
    }
    Ok(if kept == store.history.entries().len() { Fate::Whole } else { Fate::Shorter })
}

/// Whatever reads, reads right; the fast replay finds what the other finds, or refuses too.
fn readable(log: &Wal, store: &Store) -> Result<(), Finding> {
    for entry in store.history.entries() {
        let Some(lsn) = entry.lsn else { continue };
        match log.read(lsn) {
            Ok(record) => {
                let alone = History::of(entry.clone());
                alone.compare(&[record], u64::MAX)?;
            }
            Err(e) => _ = expected(&e, "read")?,
        }
    }
    let fast = log.replay_into(savehold_wal::Lsn::NONE, Verify::Bodies, vec![Places::default()]);
    match (fast, records(log)) {
        (Ok((_, fast)), Ok(found)) if fast[0].0 == found.iter().map(|r| r.lsn).collect::<Vec<_>>() => Ok(()),
        (Err(e), Err(_)) => expected(&e, "fast replay").map(drop),
        (fast, found) => Err(format!("one replay says {fast:?}, the other {found:?}")),
    }
}

/// Damage is told as damage, with a sentence that says what to do.
fn expected(e: &savehold_wal::Error, doing: &str) -> Result<ErrorKind, Finding> {
    let kind = e.kind();
    let fine = matches!(kind, ErrorKind::Corrupt | ErrorKind::Format | ErrorKind::Foreign)
        || doing == "read" && kind == ErrorKind::Gone;
    if fine && e.message().len() > 20 { Ok(kind) } else { Err(format!("{doing} was answered {e:?}")) }
}

fn sweep(
    store: &Store,
    mut damage: impl FnMut(&SimDisk, &Path, u64) -> bool,
    at: impl Fn(&str, &[u8]) -> Vec<u64>,
) -> u64 {
    let mut cases = 0;
    for (path, _) in store.disk.files() {
        let path = Path::new(&path);
        let bytes = store.disk.read(path).expect("a file");
        for place in at(&path.to_string_lossy(), &bytes) {
            let disk = store.disk.fork();
            if damage(&disk, path, place) {
                cases += 1;
                judge(disk, store).unwrap_or_else(|e| panic!("{} at {place}: {e}", path.display()));
            }
        }
    }
    cases
}

/// Bits to flip: all of those that say something and some of the zeros, or really all.
fn bits(bytes: &[u8], stride: u64) -> Vec<u64> {
    let all = budget::full();
    let zeros = |byte: u64| bytes[byte as usize] == 0;
    let of = |byte: u64| (0..8).map(move |bit| byte * 8 + bit);
    let chosen = (0..bytes.len() as u64).flat_map(of);
    let mut n = 0;
    chosen
        .filter(|bit| {
            n += 1;
            all || (n + bit / 8) % if zeros(bit / 8) { stride * 97 } else { stride } == 0
        })
        .collect()
}

#[test]
fn every_flipped_bit_is_refused_or_harmless() {
    for (name, store) in [("closed", closed()), ("cut", cut())] {
        let flip =
            |disk: &SimDisk, path: &Path, bit: u64| disk.flip_bit(path, bit / 8, (bit % 8) as u8).is_ok();
        let cases = sweep(&store, flip, |path, bytes| {
            bits(bytes, if path.ends_with(".seg") { budget::stride(19) } else { budget::stride(3) })
        });
        println!(
            "{name}: {cases} bits flipped, {} records, files {:?}",
            store.history.entries().len(),
            store.disk.files()
        );
        assert!(cases > budget::count(1_000, 100_000), "{cases}");
    }
}

#[test]
fn every_truncation_is_refused_or_harmless() {
    for (name, store) in [("closed", closed()), ("cut", cut())] {
        let cut = |disk: &SimDisk, path: &Path, len: u64| disk.truncate(path, len).is_ok();
        let cases = sweep(&store, cut, |path, bytes| {
            let stride = if path.ends_with(".seg") { budget::stride(29) } else { 1 };
            let edge = |len: &u64| len.is_multiple_of(stride) || matches!(len % 4096, 0 | 1 | 4095);
            (0..bytes.len() as u64).filter(edge).collect()
        });
        println!("{name}: {cases} truncations");
        assert!(cases > 500);
    }
}

/// Segments have their whole length before they are named, so a shorter one lost something, whatever it was.
#[test]
fn a_shorter_segment_is_refused_at_once() {
    for store in [closed(), cut()] {
        for path in segments(&store) {
            let len = store.disk.read(Path::new(&path)).unwrap().len() as u64;
            for len in (0..len).step_by(509).chain([len - 1]) {
                let disk = store.disk.fork();
                disk.truncate(Path::new(&path), len).unwrap();
                refused(disk, &store, &format!("{path} of {len}"));
            }
        }
    }
}

fn segments(store: &Store) -> Vec<String> {
    let files = store.disk.files().into_iter().map(|(path, _)| path);
    files.filter(|path| path.ends_with(".seg")).collect()
}

#[track_caller]
fn refused(disk: SimDisk, store: &Store, what: &str) {
    match judge(disk, store) {
        Ok(Fate::Refused(_)) => {}
        other => panic!("{what}: {other:?}"),
    }
}

#[test]
fn a_missing_segment_is_refused() {
    for store in [closed(), cut()] {
        for path in segments(&store) {
            let disk = store.disk.fork();
            disk.uproot(Path::new(&path)).unwrap();
            refused(disk, &store, &path);
        }
    }
}

#[test]
fn swapped_segments_are_refused() {
    for store in [closed(), cut()] {
        let all = segments(&store);
        for a in &all {
            for b in all.iter().filter(|b| *b > a) {
                let disk = store.disk.fork();
                let (of_a, of_b) = (disk.read(Path::new(a)).unwrap(), disk.read(Path::new(b)).unwrap());
                disk.plant(Path::new(a), &of_b).unwrap();
                disk.plant(Path::new(b), &of_a).unwrap();
                refused(disk, &store, &format!("{a} and {b}"));
            }
        }
    }
}

#[test]
fn a_segment_under_another_name_is_refused_whether_it_was_copied_or_moved() {
    for store in [closed(), cut()] {
        for path in segments(&store) {
            let (front, _) = path.rsplit_once('-').unwrap();
            let higher = format!("{ROOT}/log/0890000000900000-0.seg");
            for name in [format!("{front}-7.seg"), higher] {
                for moved in [false, true] {
                    let disk = store.disk.fork();
                    disk.plant(Path::new(&name), &disk.read(Path::new(&path)).unwrap()).unwrap();
                    if moved {
                        disk.uproot(Path::new(&path)).unwrap();
                    }
                    refused(disk, &store, &format!("{path} as {name}, moved: {moved}"));
                }
            }
        }
    }
}

#[test]
fn a_segment_of_another_store_is_refused() {
    let mut other = World::new(77, small_segments());
    other.steps(&[Step::Commit(100, Synced), Step::Commit(9_000, Synced)]).expect("nothing fails");
    let files: Vec<String> = other.disk.files().into_iter().map(|(path, _)| path).collect();
    for store in [closed(), cut()] {
        for foreign in files.iter().filter(|path| path.ends_with(".seg")) {
            let bytes = other.disk.read(Path::new(foreign)).unwrap();
            let new = format!("{ROOT}/log/0890000000900000-0.seg");
            for name in segments(&store).into_iter().chain([new]) {
                let disk = store.disk.fork();
                disk.plant(Path::new(&name), &bytes).unwrap();
                refused(disk, &store, &format!("{foreign} as {name}"));
            }
        }
    }
}

#[test]
fn a_lost_manifest_is_refused() {
    for store in [closed(), cut()] {
        let disk = store.disk.fork();
        disk.uproot(&Path::new(ROOT).join("MANIFEST")).unwrap();
        disk.uproot(&Path::new(ROOT).join("MANIFEST.prev")).unwrap();
        refused(disk, &store, "without any MANIFEST");
    }
}

/// With the catalog before it, nothing is missing silently.
#[test]
fn the_manifest_before_the_newest_loses_nothing() {
    for store in [closed(), cut()] {
        let disk = store.disk.fork();
        disk.uproot(&Path::new(ROOT).join("MANIFEST")).unwrap();
        judge(disk, &store).unwrap_or_else(|e| panic!("{e}"));
    }
}

/// Puts every MANIFEST that the store ever had in the place of its last.
#[test]
fn an_older_manifest_is_refused_or_loses_nothing() {
    let mut world = World::new(5, small_segments());
    world.disk.record();
    let steps = [Step::Batch(3, 300), Step::Commit(5_000, Synced), Step::Reopen, Step::Commit(9_000, Synced)];
    world.steps(&steps).expect("nothing fails");
    world
        .steps(&[Step::Commit(20_000, Synced), Step::Commit(60, Synced), Step::Retire])
        .expect("nothing fails");
    world.log.take().expect("open").close().expect("nothing fails");
    let manifest = Path::new(ROOT).join("MANIFEST");
    let mut older: Vec<Vec<u8>> =
        world.disk.take_tape().iter().filter_map(|d| d.read(&manifest).ok()).collect();
    older.dedup();
    assert!(older.len() > 4);
    let proven = world.history.entries().len();
    let store = Store { disk: world.disk.reboot(Choice::KeepNone), history: world.history, proven };
    for (n, bytes) in older.iter().enumerate() {
        let disk = store.disk.fork();
        disk.plant(&manifest, bytes).unwrap();
        judge(disk, &store).unwrap_or_else(|e| panic!("manifest {n} of {}: {e}", older.len()));
    }
}

/// A power cut in the middle of a commit, then damage: what is torn and what is rotten may not be mixed up.
#[test]
fn damage_to_what_was_proven_is_found_behind_a_torn_tail() {
    let mut world = World::new(5, small_segments());
    world.steps(&[Step::Commit(300, Synced), Step::Commit(400, Synced)]).expect("nothing fails");
    world.disk.order(When::Write(world.disk.counts().writes + 1), Fault::CutInside);
    world.step(Step::Commit(3_000, Synced)).expect("unknown is a fine answer");
    let disk = world.disk.reboot(Choice::KeepNone);
    let store = Store { disk, history: world.history.clone().counted_anew(), proven: 1 };
    let path = segments(&store)[0].clone();
    assert!(matches!(judge(store.disk.fork(), &store), Ok(Fate::Shorter)));
    for byte in 8192..8192 + 300 {
        let disk = store.disk.fork();
        disk.flip_bit(Path::new(&path), byte, 3).unwrap();
        assert!(matches!(judge(disk, &store), Ok(Fate::Refused(_) | Fate::RefusedLater(_))), "byte {byte}");
    }
}
