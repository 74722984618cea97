use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;
use crate::format::frame::Frame;
use crate::options::Options;
use crate::sim::{Sim, SimDisk};
use crate::vfs::Vfs as _;
use crate::wal::{Append, Wal};

type Model = BTreeMap<Lsn, (Vec<u8>, Vec<u8>)>;

fn options() -> Options {
    Options { segment_bytes_min: 12 << 10, segment_bytes_max: 16 << 10, ..Options::default() }
}

fn commit(log: &Wal, model: &mut Model, n: u8, body: usize) -> Lsn {
    let (head, body) = (vec![n; 3 + usize::from(n % 5)], vec![n ^ 0x55; body]);
    let parts: Vec<&[u8]> = if n.is_multiple_of(3) { vec![&body[..1], &body[1..]] } else { vec![&body] };
    let lsn = log.commit(Frame::record(&head, &parts).unwrap(), Append::default()).unwrap();
    model.insert(lsn, (head, body));
    lsn
}

/// Two runs: one killed in the middle, one closed, over several segments.
fn world(closed: bool) -> (Sim, SimDisk, Model) {
    let (mut sim, mut model) = (Sim::new(3), Model::new());
    let root = sim.dir();
    let log = Wal::open_in(sim.env(), root, options()).unwrap();
    (0..4).for_each(|n| _ = commit(&log, &mut model, n, 900));
    sim.kill();
    drop(log);
    let log = Wal::open_in(sim.env(), root, options()).unwrap();
    (4..9).for_each(|n| _ = commit(&log, &mut model, n, 2500));
    if closed {
        log.close().unwrap();
    } else {
        sim.kill();
        drop(log);
    }
    let disk = sim.disk();
    (sim, disk, model)
}

fn env_of(sim: &mut Sim, disk: &SimDisk) -> Env {
    Env { vfs: std::sync::Arc::new(disk.clone()), ..sim.env() }
}

fn go(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn inspect(env: &Env, root: &Path) -> Result<(Inspection, Model)> {
    let mut seen = Model::new();
    let inspector = Inspector::open(env, root, Duration::ZERO)?;
    let inspection = inspector.inspect(&mut go, |record| {
        let mut body = Vec::new();
        let frame = crate::format::frame::FrameRef {
            kind: FrameKind::Record,
            head: record.head(),
            body: &record.bytes[record.body_offset() as usize..],
        };
        frame.parts(record.lsn).map_while(std::result::Result::ok).for_each(|(_, part)| body.extend(part));
        seen.insert(record.lsn, (record.head().to_vec(), body));
        Ok(())
    })?;
    Ok((inspection, seen))
}

fn copy(env: &Env, root: &Path, to: &Path) -> Result<(Inspection, Copied)> {
    let inspector = Inspector::open(env, root, Duration::ZERO)?;
    let inspection = inspector.inspect(&mut go, |_| Ok(()))?;
    let copied = inspector.copy(&inspection, to, &mut go, |_| Ok(Keep::Yes))?;
    Ok((inspection, copied))
}

/// The copy opens, holds just the records seen, and goes on above all of them.
fn copy_holds(env: &Env, root: &Path, seen: &Model, what: &str) {
    let to = Path::new("/copy");
    let (inspection, copied) = copy(env, root, to).unwrap();
    assert_eq!(copied.records, seen.len() as u64, "{what}");
    let log = Wal::open_in(env.clone(), to, options()).unwrap_or_else(|e| panic!("{what}: {e}"));
    struct Heads(BTreeMap<Lsn, Vec<u8>>);
    impl crate::Replayer for Heads {
        fn record(&mut self, lsn: Lsn, _: u64, head: &[u8], _: u32) -> Result<()> {
            self.0.insert(lsn, head.to_vec());
            Ok(())
        }
    }
    let heads = vec![Heads(BTreeMap::new())];
    let (_, heads) =
        log.replay_into(Lsn::NONE, crate::Verify::Heads, heads).unwrap_or_else(|e| panic!("{what}: {e}"));
    let expected: BTreeMap<Lsn, Vec<u8>> = seen.iter().map(|(lsn, (head, _))| (*lsn, head.clone())).collect();
    assert_eq!(heads[0].0, expected, "{what}");
    for (lsn, (head, body)) in seen {
        match log.read(*lsn) {
            Ok(record) => {
                assert_eq!((&record.head[..], &record.body()[..]), (&head[..], &body[..]), "{what}")
            }
            Err(e) => assert!(inspection.damage.iter().any(|d| d.what == What::Part), "{what}: {e}"),
        }
    }
    let new = log.append(b"new", b"body").unwrap().wait().unwrap();
    assert!(new.timeline() > inspection.proven.max(inspection.end).timeline(), "{what}");
    log.close().unwrap();
    let (again, _) = inspect(env, to).unwrap();
    assert!(again.damage.iter().all(|d| d.what == What::Part), "{what}: {:?}", again.damage);
    let log = Wal::open_in(env.clone(), to, options()).unwrap_or_else(|e| panic!("{what}: {e}"));
    assert!(log.append(b"newer", b"").unwrap().wait().unwrap() > new);
}

fn files(disk: &SimDisk) -> BTreeMap<PathBuf, Vec<u8>> {
    let all = disk.files().into_iter().map(|(path, _)| PathBuf::from(path));
    all.filter(|path| !path.ends_with("LOCK")).map(|path| (path.clone(), disk.read(&path).unwrap())).collect()
}

#[test]
fn a_whole_log_is_proven_and_nothing_of_it_is_touched() {
    for closed in [true, false] {
        let (mut sim, disk, model) = world(closed);
        let before = files(&disk);
        let (inspection, seen) = inspect(&env_of(&mut sim, &disk), sim.dir()).unwrap();
        assert_eq!((&seen, inspection.worst()), (&model, None), "{:?}", inspection.damage);
        assert_eq!(inspection.records, model.len() as u64);
        assert_eq!(inspection.unproven_bytes() == 0, closed);
        assert!(inspection.segments >= 3, "{inspection:?}");
        assert_eq!(files(&disk), before);
        copy_holds(&env_of(&mut sim, &disk), sim.dir(), &model, "whole");
    }
}

#[test]
fn a_log_that_is_held_is_not_looked_at() {
    let mut sim = Sim::new(1);
    let env = sim.env();
    let log = Wal::open_in(env.clone(), sim.dir(), options()).unwrap();
    assert_eq!(inspect(&env, sim.dir()).unwrap_err().kind(), ErrorKind::Locked);
    log.close().unwrap();
    inspect(&env, sim.dir()).unwrap();
}

#[test]
fn where_no_log_is_the_answer_says_so() {
    let mut sim = Sim::new(1);
    let env = sim.env();
    assert_eq!(inspect(&env, Path::new("/nowhere")).unwrap_err().kind(), ErrorKind::Missing);
    assert_eq!(inspect(&env, sim.dir()).unwrap_err().kind(), ErrorKind::Missing);
    sim.disk().plant(&sim.dir().join("notes.txt"), b"mine").unwrap();
    assert_eq!(inspect(&env, sim.dir()).unwrap_err().kind(), ErrorKind::Foreign);
}

#[test]
fn no_damaged_byte_goes_unnoticed_where_it_costs_anything() {
    for closed in [true, false] {
        let (mut sim, disk, model) = world(closed);
        let env = env_of(&mut sim, &disk);
        let whole = inspect(&env, sim.dir()).unwrap().0;
        let mut tried = 0_usize;
        for (path, bytes) in files(&disk) {
            for byte in 0..bytes.len() {
                let around = &bytes[byte.saturating_sub(1)..(byte + 2).min(bytes.len())];
                if around.iter().all(|b| *b == bytes[byte]) && byte % 61 != 0 {
                    continue; // unused space and the middle of bodies: one byte there is as good as another
                }
                tried += 1;
                let hurt = disk.fork();
                hurt.flip_bit(&path, byte as u64, (byte % 8) as u8).unwrap();
                let what = format!("closed {closed}: {} byte {byte}", path.display());
                let env = env_of(&mut sim, &hurt);
                let (found, seen) = match inspect(&env, sim.dir()) {
                    Ok(found) => found,
                    Err(e) => panic!("{what}: {e}"),
                };
                notices(&whole, &model, &found, &seen, &what);
                if tried.is_multiple_of(29) {
                    copy_holds(&env, sim.dir(), &seen, &what);
                }
            }
        }
        assert!(tried > 2_000, "{tried}");
    }
}

fn notices(whole: &Inspection, model: &Model, found: &Inspection, seen: &Model, what: &str) {
    for (lsn, (head, body)) in model {
        let kept = seen.get(lsn);
        if kept.is_some_and(|(h, b)| (h, b) == (head, body)) {
            continue;
        }
        assert!(kept.is_none_or(|(h, _)| h == head), "{what}: {lsn} has another head");
        let least = if *lsn < whole.proven { Weight::Acknowledged } else { Weight::Undecidable };
        assert!(found.worst() >= Some(least), "{what}: {lsn} {:?}", found.damage);
    }
    for lsn in seen.keys() {
        assert!(model.contains_key(lsn), "{what}: {lsn} was never written");
    }
}

#[test]
fn no_lost_sector_goes_unnoticed() {
    let (mut sim, disk, model) = world(true);
    let whole = inspect(&env_of(&mut sim, &disk), sim.dir()).unwrap().0;
    let mut unnoticed = 0; // of what a recovery gave up
    for (path, bytes) in files(&disk) {
        for sector in (0..bytes.len()).step_by(512) {
            let mut hurt = bytes.clone();
            let end = (sector + 512).min(bytes.len());
            if hurt[sector..end].iter().all(|&b| b == 0) {
                continue;
            }
            hurt[sector..end].fill(0);
            let (what, damaged) = (format!("{} sector at {sector}", path.display()), disk.fork());
            damaged.plant(&path, &hurt).unwrap();
            let env = env_of(&mut sim, &damaged);
            let (found, seen) = inspect(&env, sim.dir()).unwrap_or_else(|e| panic!("{what}: {e}"));
            unnoticed += u32::from(found.worst().is_none());
            notices(&whole, &model, &found, &seen, &what);
            copy_holds(&env, sim.dir(), &seen, &what);
        }
    }
    assert!(unnoticed <= 12, "{unnoticed}");
}

#[test]
fn no_shortened_file_goes_unnoticed() {
    let (mut sim, disk, model) = world(true);
    let (whole, mut refused) = (inspect(&env_of(&mut sim, &disk), sim.dir()).unwrap().0, 0);
    for (path, bytes) in files(&disk) {
        for length in (0..bytes.len()).step_by(617) {
            let (what, damaged) = (format!("{} cut to {length}", path.display()), disk.fork());
            damaged.truncate(&path, length as u64).unwrap();
            let env = env_of(&mut sim, &damaged);
            let (found, seen) = inspect(&env, sim.dir()).unwrap_or_else(|e| panic!("{what}: {e}"));
            notices(&whole, &model, &found, &seen, &what);
            let opened = Wal::open_in(env_of(&mut sim, &damaged.fork()), sim.dir(), options());
            if let Err(e) = opened {
                assert!(found.worst().is_some(), "{what}: {e}");
                refused += 1;
            }
        }
    }
    assert!(refused > 50, "{refused}");
}

#[test]
fn without_manifest_the_headers_tell_everything() {
    for both in [false, true] {
        for closed in [true, false] {
            let (mut sim, disk, model) = world(closed);
            disk.uproot(&sim.dir().join("MANIFEST")).unwrap();
            if both {
                disk.uproot(&sim.dir().join("MANIFEST.prev")).unwrap();
            }
            let env = env_of(&mut sim, &disk);
            let (found, seen) = inspect(&env, sim.dir()).unwrap();
            assert_eq!(seen, model, "{both} {closed}");
            assert!(found.worst() <= Some(Weight::Blocking), "{both} {closed}: {:?}", found.damage);
            assert_eq!(found.damage.iter().any(|d| d.what == What::Manifest), both);
            copy_holds(&env, sim.dir(), &model, "no MANIFEST");
        }
    }
}

#[test]
fn a_missing_segment_is_named_with_or_without_manifest() {
    for manifest in [true, false] {
        let (mut sim, disk, model) = world(true);
        let segments = segments(&mut sim, &disk);
        for (n, segment) in segments.iter().enumerate() {
            let hurt = disk.fork();
            hurt.uproot(segment).unwrap();
            if !manifest {
                hurt.uproot(&sim.dir().join("MANIFEST")).unwrap();
                hurt.uproot(&sim.dir().join("MANIFEST.prev")).unwrap();
            }
            let env = env_of(&mut sim, &hurt);
            let (found, seen) = inspect(&env, sim.dir()).unwrap();
            let what = format!("manifest {manifest}: {} {:?}", segment.display(), found.damage);
            let named = found.damage.iter().any(|d| d.what == What::Missing && d.file == *segment);
            let last_two = n + 2 >= segments.len(); // nothing but MANIFEST tells of the last and of the prepared one
            assert!(named || !manifest && (last_two || seen == model), "{what}");
            assert!(seen.iter().all(|(lsn, record)| model[lsn] == *record), "{what}");
            copy_holds(&env, sim.dir(), &seen, &what);
        }
    }
}

/// The files that count: a recovery leaves files behind that it gave up.
fn segments(sim: &mut Sim, disk: &SimDisk) -> Vec<PathBuf> {
    let inspector = Inspector::open(&env_of(sim, disk), sim.dir(), Duration::ZERO).unwrap();
    inspector.stock.plots.iter().map(|plot| plot.path.clone()).collect()
}

#[test]
fn one_header_is_spare_and_without_both_manifest_still_tells() {
    let (mut sim, disk, model) = world(true);
    let segments = segments(&mut sim, &disk);
    for segment in &segments {
        for (blocks, manifest) in [(&[0][..], true), (&[1], true), (&[0, 1], true), (&[0, 1], false)] {
            let (hurt, mut bytes) = (disk.fork(), disk.read(segment).unwrap());
            for block in blocks {
                bytes[block * 4096 + 9] ^= 1;
            }
            hurt.plant(segment, &bytes).unwrap();
            if !manifest {
                hurt.uproot(&sim.dir().join("MANIFEST")).unwrap();
                hurt.uproot(&sim.dir().join("MANIFEST.prev")).unwrap();
            }
            let env = env_of(&mut sim, &hurt);
            let (found, seen) = inspect(&env, sim.dir()).unwrap();
            let what = format!("{} {blocks:?} {manifest} {:?}", segment.display(), found.damage);
            let (kind, weight) = match (blocks.len(), manifest) {
                (1, _) => (What::HeaderCopy, Weight::Spare),
                (_, true) => (What::Header, Weight::Blocking),
                (_, false) => (What::Header, Weight::Acknowledged),
            };
            let named = found.damage.iter().any(|d| (d.what, d.weight, &d.file) == (kind, weight, segment));
            assert!(named, "{what}");
            assert_eq!(seen == model, manifest || seen.len() == model.len(), "{what}");
            copy_holds(&env, sim.dir(), &seen, &what);
        }
    }
}

#[test]
fn a_damaged_part_leaves_its_record_and_the_other_parts() {
    let (mut sim, disk, model) = world(true);
    let root = sim.dir();
    let (lsn, _) = model.iter().find(|(_, (head, _))| head[0] == 6).unwrap();
    let env = env_of(&mut sim, &disk);
    let log = Wal::open_in(env.clone(), root, options()).unwrap();
    let parts = log.read(*lsn).unwrap().parts;
    log.close().unwrap();
    let (path, at) = files(&disk)
        .into_iter()
        .find_map(|(path, bytes)| {
            let needle = [6 ^ 0x55_u8; 64];
            bytes.windows(64).position(|w| w == needle).map(|at| (path, at))
        })
        .unwrap();
    disk.flip_bit(&path, at as u64 + 32, 1).unwrap();
    let inspector = Inspector::open(&env, root, Duration::ZERO).unwrap();
    let mut whole = Vec::new();
    let found = inspector
        .inspect(&mut go, |seen| {
            if seen.lsn == *lsn {
                let good = |(offset, part): &(u32, ::bytes::Bytes)| {
                    seen.part(*offset, u32::try_from(part.len()).unwrap()).is_some()
                };
                whole = parts.iter().map(good).collect();
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(whole, [true, false]);
    let [damage] = &found.damage[..] else { panic!("{:?}", found.damage) };
    assert_eq!((damage.what, damage.weight, &damage.file), (What::Part, Weight::Acknowledged, &path));
    assert_eq!(damage.from, lsn.plus(u64::from(parts[1].0)));
}

#[test]
fn the_callback_ends_it_and_a_full_directory_is_refused() {
    let (mut sim, disk, _) = world(true);
    let (env, root) = (env_of(&mut sim, &disk), sim.dir());
    let inspector = Inspector::open(&env, root, Duration::ZERO).unwrap();
    let stopped = inspector.inspect(&mut |_| ControlFlow::Break(()), |_| Ok(()));
    assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Aborted);
    let found = inspector.inspect(&mut go, |_| Ok(())).unwrap();
    disk.plant(Path::new("/copy/note"), b"mine").unwrap_or_else(|_| {
        disk.create_dir(Path::new("/copy")).unwrap();
        disk.plant(Path::new("/copy/note"), b"mine").unwrap();
    });
    for to in [root, Path::new("/copy")] {
        let refused = inspector.copy(&found, to, &mut go, |_| Ok(Keep::Yes)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    }
}
