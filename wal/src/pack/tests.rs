use std::collections::BTreeMap;
use std::ops::ControlFlow::{Break, Continue};
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::clock::SimClock;
use crate::draw::Draw;
use crate::env::{Env, SimEntropy, Threads};
use crate::format::frame::FRAME_HEADER_BYTES;
use crate::format::header::DATA_OFFSET;
use crate::format::packed::{Footer, NOTE_BYTES_MAX};
use crate::inspect::{Inspector, Keep, Weight};
use crate::options::Options;
use crate::replay::Replayer;
use crate::sim::{Choice, Failure, Fault, Sim, SimDisk, When, alone};
use crate::vfs::Vfs as _;
use crate::{Record, Wal};

/// What a record holds: its head, and its parts by their offsets.
type Held = (Vec<u8>, BTreeMap<u32, Vec<u8>>);
type Log = BTreeMap<Lsn, Held>;

fn options() -> Options {
    Options { segment_bytes_min: 16 << 10, segment_bytes_max: 32 << 10, ..Options::default() }
}

fn open(sim: &mut Sim) -> Wal {
    Wal::open_in(sim.env(), sim.dir(), options()).unwrap()
}

fn held(record: &Record) -> Held {
    (record.head.to_vec(), record.parts.iter().map(|(offset, part)| (*offset, part.to_vec())).collect())
}

/// So many records of a few parts; the head says how many.
fn fill(log: &Wal, draw: &mut Draw, records: usize, all: &mut Log) {
    for n in 0..records {
        let parts: Vec<Vec<u8>> =
            (0..draw.below(4)).map(|_| vec![n as u8; draw.below(1500) as usize]).collect();
        let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let head = format!("record {n} with {} parts", parts.len());
        let frame = crate::Frame::record(head.as_bytes(), &slices).unwrap();
        let lsn = log.append_frame(frame, crate::Append::default()).unwrap().wait().unwrap();
        all.insert(lsn, held(&log.read(lsn).unwrap()));
    }
}

/// What a number says is to stay, the same whenever it is asked.
fn judge(seed: u64, candidate: &Candidate<'_>) -> Stay {
    let mut draw = Draw::from_seed(seed ^ candidate.lsn.raw());
    match draw.below(4) {
        0 => Stay::Nothing,
        1 => Stay::Whole,
        _ => {
            let of = |offset: &u32| Draw::from_seed(seed ^ candidate.lsn.raw() ^ u64::from(*offset) << 32);
            let parts = candidate.parts.iter().map(|(offset, _)| *offset).filter(|at| of(at).below(2) == 0);
            Stay::Parts { head: candidate.head[..6].to_vec(), parts: parts.collect() }
        }
    }
}

/// What is left of the records in a range, by the same judgement.
fn judged(seed: u64, from: Lsn, to: Lsn, all: &Log) -> Log {
    let mut left = all.clone();
    left.retain(|lsn, (head, held)| {
        if !(from..to).contains(lsn) {
            return true;
        }
        let parts: Vec<(u32, u32)> = held.iter().map(|(at, part)| (*at, part.len() as u32)).collect();
        let stay = judge(seed, &Candidate { lsn: *lsn, head, body_offset: 0, parts: &parts });
        if let Stay::Parts { head: short, parts } = &stay {
            head.clone_from(short);
            held.retain(|offset, _| parts.contains(offset));
        }
        stay != Stay::Nothing
    });
    left
}

fn all_of(log: &Wal) -> Packing<'static> {
    let (from, to) = (Lsn::NONE, Lsn::MAX);
    Packing { from, to, judged: Judged { at: log.durable(), number: 7, note: b"by the seventh" } }
}

fn pack(log: &Wal, packing: Packing<'_>, seed: u64) -> Option<Packed> {
    log.pack(packing, |candidate| Ok(judge(seed, candidate)), |_| Continue(())).unwrap()
}

/// Everything that there is, read in every way.
fn check(log: &Wal, expected: &Log) {
    let replayed: Log =
        log.replay(Lsn::NONE).unwrap().map(|r| r.map(|r| (r.lsn, held(&r))).unwrap()).collect();
    assert_eq!(replayed.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    assert_eq!(replayed, *expected);
    for (lsn, (head, parts)) in expected {
        assert_eq!(log.read_head(*lsn).unwrap(), head);
        for (offset, part) in parts {
            assert_eq!(log.read_part(*lsn, *offset, part.len() as u32).unwrap(), part);
        }
    }
    #[derive(Default)]
    struct Heads(BTreeMap<Lsn, (Vec<u8>, u64, u32)>);
    impl Replayer for Heads {
        fn record(&mut self, lsn: Lsn, time_us: u64, head: &[u8], body: u32) -> Result<()> {
            self.0.insert(lsn, (head.to_vec(), time_us, body));
            Ok(())
        }
    }
    let threads = vec![Heads::default(), Heads::default()];
    let (done, heads) = log.replay_into(Lsn::NONE, Verify::Bodies, threads).unwrap();
    let heads: BTreeMap<_, _> = heads.into_iter().flat_map(|heads| heads.0).collect();
    assert_eq!(done.records, expected.len() as u64);
    for (lsn, (head, parts)) in expected {
        let (found, time_us, body) = &heads[lsn];
        assert_eq!((found, log.time_of(*lsn).unwrap()), (head, Some(*time_us)));
        assert!(parts.keys().all(|offset| offset >= body));
    }
}

#[test]
fn what_stays_is_read_by_its_address_and_what_goes_is_gone() {
    for seed in 0..30 {
        let (mut sim, mut draw, mut all) = (Sim::new(seed), Draw::from_seed(seed), Log::new());
        let log = open(&mut sim);
        fill(&log, &mut draw, 120, &mut all);
        let before = log.stats();
        let done = pack(&log, all_of(&log), seed).unwrap();
        let end = log.complete();
        let left = judged(seed, Lsn::NONE, end, &all);
        check(&log, &left);
        let gone = all.len() - left.len();
        assert_eq!((done.dropped, done.segments), (gone as u64, before.segments - log.stats().segments + 1));
        assert!(done.bytes_after < done.bytes_before, "{done:?}");
        assert_eq!(before.capacity - log.stats().capacity, done.bytes_before - done.bytes_after);
        for lsn in all.keys().filter(|lsn| !left.contains_key(lsn)) {
            assert_eq!(log.read_head(*lsn).unwrap_err().kind(), ErrorKind::Gone);
        }
        assert_eq!(log.follow(Lsn::from_raw(end.raw() - 1)).try_next().unwrap_err().kind(), ErrorKind::Gone);
        log.close().unwrap();
        let log = open(&mut sim);
        assert!(log.report().clean && log.complete() == end);
        assert_eq!(log.judgement().unwrap(), Some((7, b"by the seventh".to_vec())));
        assert!(log.settled(|_| 7) >= end && log.settled(|_| 8) == log.span().start);
        assert_eq!(log.settled(|places| if places.start < end { 7 } else { 0 }), log.accepted());
        check(&log, &left);
    }
}

#[test]
fn a_record_may_be_given_up_only_where_some_were() {
    let (mut sim, mut all) = (Sim::new(2), Log::new());
    let log = open(&mut sim);
    fill(&log, &mut Draw::from_seed(2), 120, &mut all);
    let sealed = log.sealed().unwrap();
    let of = |n: usize, stay: &Stay| {
        let packing = Packing { from: sealed[n].base, to: sealed[n + 1].base, ..all_of(&log) };
        log.pack(packing, |_| Ok(stay.clone()), |_| Continue(())).unwrap().unwrap();
    };
    of(1, &Stay::Whole);
    of(2, &Stay::Nothing);
    let may = |n: usize| log.may_be_given_up(Lsn::from_raw(sealed[n].base.raw() + 9)).unwrap();
    assert_eq!([0, 1, 2, 3].map(may), [false, false, true, false]);
    log.retire(sealed[0].space_end).unwrap();
    assert!(may(0) && !may(1));
    drop(log);
    let log = open(&mut sim);
    let again = |n: usize| log.may_be_given_up(Lsn::from_raw(sealed[n].base.raw() + 9)).unwrap();
    assert_eq!([1, 2, 3].map(again), [false, true, false]);
}

#[test]
fn what_was_packed_is_packed_again_with_its_neighbours() {
    for seed in 0..30 {
        let (mut sim, mut draw, mut all) = (Sim::new(seed), Draw::from_seed(seed), Log::new());
        let log = open(&mut sim);
        fill(&log, &mut draw, 60, &mut all);
        pack(&log, all_of(&log), seed).unwrap();
        all = judged(seed, Lsn::NONE, log.complete(), &all);
        fill(&log, &mut draw, 60, &mut all);
        let some = log.sealed().unwrap()[2].base;
        pack(&log, Packing { from: some, ..all_of(&log) }, seed + 1).unwrap();
        all = judged(seed + 1, some, log.complete(), &all);
        check(&log, &all);
        let done = pack(&log, all_of(&log), seed + 2).unwrap();
        all = judged(seed + 2, Lsn::NONE, log.complete(), &all);
        check(&log, &all);
        assert_eq!(log.sealed().unwrap().len(), 1, "{done:?}");
        let again = pack(&log, all_of(&log), seed + 2).unwrap();
        assert_eq!(again.records, done.records, "nothing new to drop");
        assert_eq!((again.bytes_after, again.dropped), (done.bytes_after, 0));
    }
}

#[test]
fn everything_may_go() {
    let (mut sim, mut all) = (Sim::new(1), Log::new());
    let log = open(&mut sim);
    fill(&log, &mut Draw::from_seed(1), 80, &mut all);
    let done = log.pack(all_of(&log), |_| Ok(Stay::Nothing), |_| Continue(())).unwrap().unwrap();
    assert_eq!((done.records, done.bytes_after), (0, 4 * 4096), "two blocks of header, note, footer");
    all.retain(|lsn, _| *lsn >= log.complete());
    check(&log, &all);
    assert_eq!(log.time_of(Lsn::from_raw(log.complete().raw() - 1)).unwrap(), None);
    log.close().unwrap();
    check(&open(&mut sim), &all);
}

#[test]
fn a_log_whose_records_are_all_gone_takes_next_to_nothing() {
    for clean in [false, true] {
        let (mut sim, mut all) = (Sim::new(6), Log::new());
        let mut log = open(&mut sim);
        fill(&log, &mut Draw::from_seed(6), 300, &mut all);
        if clean {
            log.close().unwrap();
            log = open(&mut sim);
        }
        log.roll().unwrap();
        log.pack(all_of(&log), |_| Ok(Stay::Nothing), |_| Continue(())).unwrap().unwrap();
        let newest = *all.last_key_value().unwrap().0;
        assert_eq!(log.complete(), newest.plus(1), "the last segment was sealed too");
        assert!(log.stats().capacity < (5 * 16) << 10, "{}", log.stats().capacity);
        all.clear();
        fill(&log, &mut Draw::from_seed(7), 9, &mut all);
        check(&log, &all);
        let log = {
            drop(log);
            open(&mut sim)
        };
        check(&log, &all);
    }
}

#[test]
fn times_are_found_in_packed_segments() {
    let (mut sim, mut all) = (Sim::new(2), Log::new());
    let log = open(&mut sim);
    let mut times = Vec::new();
    for _ in 0..50 {
        sim.advance(Duration::from_secs(1));
        fill(&log, &mut Draw::from_seed(5), 4, &mut all);
        times.push((log.time_us(), *all.last_key_value().unwrap().0));
    }
    let end = log.sealed().unwrap().last().unwrap().space_end;
    let before: Vec<Option<Lsn>> = times.iter().map(|(time, _)| log.at_time(*time).unwrap()).collect();
    log.pack(all_of(&log), |_| Ok(Stay::Whole), |_| Continue(())).unwrap().unwrap();
    for ((time, last), before) in times.iter().zip(before) {
        let behind = log.at_time(*time).unwrap().unwrap();
        let later = all.keys().find(|lsn| *lsn > last).copied();
        assert!(
            Some(behind) >= before && later.is_none_or(|later| behind <= later),
            "{behind} behind {last}"
        );
        if *last < end {
            assert_eq!(log.at_time(*time - 1_500_000).unwrap().is_none(), *time <= times[1].0);
        }
    }
}

#[test]
fn packing_that_is_stopped_or_finds_damage_or_no_space_changes_nothing() {
    let (mut sim, mut all) = (Sim::new(3), Log::new());
    let log = open(&mut sim);
    fill(&log, &mut Draw::from_seed(3), 100, &mut all);
    let mut left = 20;
    let stopped = log.pack(
        all_of(&log),
        |_| Ok(Stay::Whole),
        |_| {
            left -= 1;
            if left == 0 { Break(()) } else { Continue(()) }
        },
    );
    assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Aborted);
    let refused = |_: &Candidate<'_>| Err(Error::new(ErrorKind::Invalid, "the judge fails"));
    assert_eq!(log.pack(all_of(&log), refused, |_| Continue(())).unwrap_err().kind(), ErrorKind::Invalid);
    sim.fill();
    assert_eq!(
        log.pack(all_of(&log), |_| Ok(Stay::Whole), |_| Continue(())).unwrap_err().kind(),
        ErrorKind::Full
    );
    sim.free();
    check(&log, &all);
    let second = log.log.sealed_entries()[1];
    let path = sim.dir().join(LOG_DIR).join(segment_name(second.base, second.generation));
    sim.disk().flip_bit(&path, DATA_OFFSET + 20, 1).unwrap();
    let hurt = log.pack(all_of(&log), |_| Ok(Stay::Whole), |_| Continue(())).unwrap_err();
    assert_eq!(hurt.kind(), ErrorKind::Corrupt, "{hurt}");
    assert!(hurt.message().contains(".seg"), "{hurt}");
    let names = sim.disk().list(&sim.dir().join(LOG_DIR)).unwrap();
    assert!(names.iter().all(|name| !name.ends_with(UNFINISHED)), "{names:?}");
    assert!(log.failure().is_none());
}

#[test]
fn a_log_that_is_shut_while_it_packs_takes_nothing_from_the_one_that_is_opened_behind_it() {
    let (mut sim, mut all) = (Sim::new(4), Log::new());
    let log = open(&mut sim);
    fill(&log, &mut Draw::from_seed(4), 100, &mut all);
    let mut behind = None;
    let late = log.pack(
        all_of(&log),
        |_| Ok(Stay::Whole),
        |_| {
            behind.get_or_insert_with(|| {
                log.shut().unwrap();
                let next = open(&mut sim);
                next.pack(all_of(&next), |_| Ok(Stay::Whole), |_| Continue(())).unwrap().unwrap();
                next // in a file of the same name
            });
            Continue(())
        },
    );
    assert_eq!(late.unwrap_err().kind(), ErrorKind::Closed);
    check(&behind.unwrap(), &all);
    sim.kill();
    check(&open(&mut sim), &all);
}

/// A log that was killed once: its last group was written anew, and what stood there is to be quarantined.
fn killed(sim: &mut Sim, all: &mut Log) -> Wal {
    let log = open(sim);
    fill(&log, &mut Draw::from_seed(8), 30, all);
    sim.kill();
    drop(log);
    let log = open(sim);
    fill(&log, &mut Draw::from_seed(9), 60, all);
    log
}

#[test]
fn where_a_step_fails_nothing_is_left_over() {
    assert!(refused_by(Failure::Full) > 3);
    assert!(refused_by(Failure::Io) > 3);
}

/// How many steps of packing refuse, and let the log go on, where the system does.
fn refused_by(failure: Failure) -> u64 {
    let mut refused = 0;
    for n in 1.. {
        let (mut sim, mut all) = (Sim::new(8), Log::new());
        let log = killed(&mut sim, &mut all);
        assert!(
            log.log.sealed_entries().iter().any(|entry| entry.damaged),
            "there is something to quarantine"
        );
        let (disk, dir) = (sim.disk(), sim.dir().join(LOG_DIR));
        let before = disk.list(&dir).unwrap();
        disk.order(When::Change(disk.counts().changes + n), Fault::Fail(failure));
        let packed = log.pack(all_of(&log), |_| Ok(Stay::Whole), |_| Continue(()));
        match packed {
            Ok(_) => break,
            Err(e) if log.failure().is_some() => assert_eq!(e.kind(), ErrorKind::Halted, "{e}"),
            Err(e) => {
                refused += 1;
                let left = disk.list(&dir).unwrap().len();
                match e.message().starts_with("removing") {
                    true => assert!(left + 3 < before.len(), "one source stays, and no other: {n}: {e}"),
                    false => assert_eq!(left, before.len(), "{failure:?} {n}: {e}"),
                }
                check(&log, &all);
            }
        }
    }
    refused
}

#[test]
fn a_note_is_as_long_as_it_may_be_or_refused_before_anything_is_read() {
    let (mut sim, mut all) = (Sim::new(9), Log::new());
    let log = open(&mut sim);
    fill(&log, &mut Draw::from_seed(9), 60, &mut all);
    let longest = vec![7; NOTE_BYTES_MAX];
    let longer = [&longest[..], b"!"].concat();
    let with = |note| Packing { judged: Judged { at: log.durable(), number: 7, note }, ..all_of(&log) };
    let refused = log.pack(with(&longer), |_| unreachable!("it is refused first"), |_| Continue(()));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::TooLarge);
    pack(&log, with(&longest), 9).unwrap();
    assert_eq!(log.judgement().unwrap(), Some((7, longest)));
    check(&log, &judged(9, Lsn::NONE, log.complete(), &all));
}

/// The segments that a catalog names which are not there; none where there is no such catalog.
fn missing(disk: &SimDisk, root: &Path, name: &str) -> Vec<SegmentEntry> {
    let Ok(bytes) = disk.read(&root.join(name)) else { return Vec::new() };
    let names = disk.list(&root.join(LOG_DIR)).unwrap();
    let mut named = Catalog::decode(&bytes).unwrap().segments;
    named.retain(|entry| !names.contains(&segment_name(entry.base, entry.generation)));
    named
}

/// The disk fills up at each change in turn while segments are packed, and loses its power at each change. The second
/// MANIFEST needs space twice: to be begun, and to be written.
#[test]
fn no_catalog_names_a_file_that_is_gone_wherever_space_ends() {
    let (mut images, mut given_up) = (0, 0);
    for n in 1.. {
        let (mut sim, mut all) = (Sim::new(8), Log::new());
        let log = open(&mut sim);
        fill(&log, &mut Draw::from_seed(8), 60, &mut all);
        let (disk, root) = (sim.disk(), sim.dir().to_path_buf());
        let first = disk.counts().changes;
        disk.order(When::Change(first + n), Fault::Fail(Failure::Full));
        disk.record();
        let packed = log.pack(all_of(&log), |_| Ok(Stay::Whole), |_| Continue(()));
        given_up += u64::from(packed.is_ok() && disk.read(&root.join("MANIFEST.prev")).is_err());
        let over = disk.counts().changes - first < n;
        for (at, image) in disk.take_tape().into_iter().chain([disk.clone()]).enumerate() {
            let cuts = [Choice::KeepNone, Choice::KeepAll, Choice::Seed(at as u64)];
            for left in cuts.map(|choice| image.reboot(choice)).into_iter().chain([image.restart()]) {
                images += 1;
                for name in ["MANIFEST", "MANIFEST.prev"] {
                    assert_eq!(missing(&left, &root, name), [], "full at {n}, cut behind {at}: {name}");
                }
                if at as u64 % 5 == n % 5 {
                    check_left(&left, &root, &all, &all);
                }
            }
        }
        if over {
            break;
        }
    }
    assert!(images > 1000 && given_up == 2, "{images} images, {given_up} times the older catalog went");
}

#[test]
fn who_reads_a_source_reads_on() {
    let (mut sim, mut all) = (Sim::new(4), Log::new());
    let log = open(&mut sim);
    fill(&log, &mut Draw::from_seed(4), 60, &mut all);
    let mut reader = log.replay(Lsn::NONE).unwrap();
    let first: Vec<Lsn> = reader.by_ref().take(5).map(|r| r.unwrap().lsn).collect();
    log.pack(all_of(&log), |_| Ok(Stay::Whole), |_| Continue(())).unwrap().unwrap();
    let rest: Vec<Lsn> = reader.map(|r| r.unwrap().lsn).collect();
    assert_eq!([first, rest].concat(), all.keys().copied().collect::<Vec<_>>());
}

/// Every change of the disk while segments are packed, and every crash there: what is left is the log before or after.
#[test]
fn a_crash_at_any_point_leaves_the_log_before_or_after() {
    let mut crashes = 0;
    for seed in 0..6 {
        let (mut sim, mut draw, mut all) = (Sim::new(seed), Draw::from_seed(seed), Log::new());
        let log = open(&mut sim);
        fill(&log, &mut draw, 40, &mut all);
        if seed % 2 == 0 {
            pack(&log, all_of(&log), 77).unwrap();
            all = judged(77, Lsn::NONE, log.complete(), &all);
            fill(&log, &mut draw, 20, &mut all);
        }
        let disk = sim.disk();
        disk.record();
        pack(&log, all_of(&log), seed).unwrap();
        let after = judged(seed, Lsn::NONE, log.complete(), &all);
        for (at, image) in disk.take_tape().into_iter().chain([disk.clone()]).enumerate() {
            let cuts =
                [Choice::KeepNone, Choice::KeepAll, Choice::Seed(at as u64), Choice::Seed(99 + at as u64)];
            let left = cuts.map(|choice| image.reboot(choice)).into_iter().chain([image.restart()]);
            for left in left {
                crashes += 1;
                check_left(&left, sim.dir(), &all, &after);
            }
        }
    }
    assert!(crashes > 500, "{crashes}");
}

fn check_left(disk: &SimDisk, dir: &Path, before: &Log, after: &Log) {
    let (clock, entropy) = (Arc::new(SimClock::default()), Arc::new(SimEntropy::new(5)));
    let env = Env { vfs: Arc::new(disk.clone()), clock, entropy, threads: Threads::None };
    let log = Wal::open_in(env.clone(), dir, options()).unwrap();
    let first = log.replay(Lsn::NONE).unwrap().map(|record| record.map(|r| (r.lsn, held(&r))).unwrap());
    let packed = first.collect::<Log>() == *after;
    check(&log, if packed { after } else { before });
    log.close().unwrap();
    let log = Wal::open_in(env, dir, options()).unwrap(); // it removes what the first one gave up
    let names = disk.list(&log.root().join(LOG_DIR)).unwrap();
    let named = log.log.catalog.lock().segments.clone();
    assert_eq!(names.len(), named.len(), "no file is left over: {names:?} {named:?} {}", log.report());
}

#[test]
fn verify_reads_every_byte_of_a_packed_segment_and_repair_keeps_it_packed() {
    let (mut sim, mut all) = (Sim::new(8), Log::new());
    let log = open(&mut sim);
    fill(&log, &mut Draw::from_seed(8), 90, &mut all);
    pack(&log, all_of(&log), 8).unwrap();
    let end = log.complete();
    all = judged(8, Lsn::NONE, end, &all);
    let entry = log.log.sealed_entries()[0];
    log.close().unwrap();
    let path = sim.dir().join(LOG_DIR).join(segment_name(entry.base, entry.generation));
    let bytes = sim.disk().read(&path).unwrap();
    let look = |sim: &mut Sim| {
        let inspector = Inspector::open(&sim.env(), sim.dir(), Duration::ZERO).unwrap();
        let mut places = Vec::new();
        let inspection = inspector.inspect(&mut |_| Continue(()), |seen| {
            places.push(seen.lsn);
            Ok(())
        });
        (inspection.unwrap(), places)
    };
    let (sound, places) = look(&mut sim);
    assert_eq!(sound.damage, [], "{:?}", sound.damage);
    assert_eq!(places, all.keys().copied().collect::<Vec<_>>());
    for at in (DATA_OFFSET as usize..bytes.len()).step_by(211) {
        sim.disk().flip_bit(&path, at as u64, 2).unwrap();
        let (found, _) = look(&mut sim);
        let zero = bytes[at] == 0 && found.damage.is_empty(); // padding before the directory is nobody's
        assert!(zero || found.damage.len() == 1, "byte {at}: {:?}", found.damage);
        sim.disk().flip_bit(&path, at as u64, 2).unwrap();
    }
    sim.disk().flip_bit(&path, DATA_OFFSET + 40, 2).unwrap();
    let first = *all.first_key_value().unwrap().0;
    let to = Path::new("/repaired");
    let inspector = Inspector::open(&sim.env(), sim.dir(), Duration::ZERO).unwrap();
    let inspection = inspector.inspect(&mut |_| Continue(()), |_| Ok(())).unwrap();
    assert_eq!(inspection.damage.len(), 1, "{:?}", inspection.damage);
    inspector.copy(&inspection, to, &mut |_| Continue(()), |_| Ok(Keep::Yes)).unwrap();
    all.remove(&first);
    let log = Wal::open_in(sim.env(), to, options()).unwrap();
    check(&log, &all);
    assert_eq!(log.complete(), entry.capacity_end(), "a repair cannot tell what stood there");
    assert!(log.complete() > end);
}

#[test]
fn a_packed_segment_without_its_end_has_lost_records_unless_its_directory_says_that_it_has_not() {
    let (mut sim, mut all) = (Sim::new(8), Log::new());
    let log = open(&mut sim);
    fill(&log, &mut Draw::from_seed(8), 60, &mut all);
    pack(&log, all_of(&log), 8).unwrap();
    all = judged(8, Lsn::NONE, log.complete(), &all);
    let entry = log.log.sealed_entries()[0];
    let store = log.store_id();
    log.close().unwrap();
    let path = sim.dir().join(LOG_DIR).join(segment_name(entry.base, entry.generation));
    let bytes = sim.disk().read(&path).unwrap();
    let places: Vec<Lsn> = all.keys().copied().filter(|lsn| *lsn < entry.capacity_end()).collect();
    let footer = bytes.len() - 4096;
    let said = Footer::decode(&bytes[footer..], footer as u64, entry.binding(store)).unwrap();
    let (front, end, directory) = (DATA_OFFSET as usize, said.frames_end as usize, said.directory() as usize);
    let frame = |n: usize| {
        let own = places[n].raw().to_le_bytes();
        bytes.windows(8).position(|word| word == own).unwrap() - FRAME_HEADER_BYTES
    };
    let (whole, few) = (places.len(), places.len() / 2);
    assert!(end % 4096 > 0 && few > 3);
    let zeros = |from: usize, to: usize| {
        let mut hurt = bytes.clone();
        hurt[from..to].fill(0);
        hurt
    };
    let table = [
        ("footer", zeros(footer, bytes.len()), whole, None),
        ("note and footer", zeros(directory + 4096, bytes.len()), whole, None),
        ("directory and footer", zeros(directory, bytes.len()), whole, Some(whole)),
        (
            "the last and footer",
            [&zeros(frame(whole - 1), end)[..footer], &[0; 4096]].concat(),
            whole - 1,
            Some(whole - 1),
        ),
        ("half", zeros(frame(few), bytes.len()), few, Some(few)),
        ("all", zeros(front, bytes.len()), 0, Some(0)),
        ("cut: footer", bytes[..footer].to_vec(), whole, None),
        ("cut: directory", bytes[..directory].to_vec(), whole, Some(whole)),
        ("cut: zeros", bytes[..end].to_vec(), whole, Some(whole)),
        ("cut: half", bytes[..frame(few)].to_vec(), few, Some(few)),
        ("cut: half of one", bytes[..frame(few) + 50].to_vec(), few, Some(few)),
        ("cut: all", bytes[..front].to_vec(), 0, Some(0)),
    ];
    for ((what, hurt, sound, lost), manifest) in table.iter().flat_map(|row| [(row, true), (row, false)]) {
        let disk = sim.disk().restart();
        disk.plant(&path, hurt).unwrap();
        if !manifest {
            ["MANIFEST", "MANIFEST.prev"].iter().for_each(|name| _ = disk.uproot(&sim.dir().join(name)));
        }
        let inspector = Inspector::open(&alone(&disk), sim.dir(), Duration::ZERO).unwrap();
        let inspection = inspector.inspect(&mut |_| Continue(()), |_| Ok(())).unwrap();
        let what = format!("{what}, MANIFEST {manifest}: {:?}", inspection.damage);
        let gone: Vec<_> = inspection.damage.iter().filter(|damage| damage.loses_records()).collect();
        let from = lost.map(|n: usize| n.checked_sub(1).map_or(entry.base, |last| places[last].plus(1)));
        let expected = from.map(|from| (Weight::Acknowledged, from, entry.capacity_end()));
        assert_eq!(
            gone.iter().map(|d| (d.weight, d.from, d.to)).collect::<Vec<_>>(),
            Vec::from_iter(expected),
            "{what}"
        );
        assert!(inspection.worst() >= Some(Weight::Blocking), "{what}");
        let to = Path::new("/repaired");
        inspector.copy(&inspection, to, &mut |_| Continue(()), |_| Ok(Keep::Yes)).unwrap();
        let log = Wal::open_in(alone(&disk), to, options()).unwrap();
        let left =
            all.iter().filter(|(lsn, _)| places[..*sound].contains(lsn) || **lsn >= entry.capacity_end());
        check(&log, &left.map(|(lsn, held)| (*lsn, held.clone())).collect());
        assert_eq!(log.complete(), entry.capacity_end(), "{what}");
        let gone = places.get(*sound).copied().unwrap_or(entry.base.plus(9));
        assert!(log.may_be_given_up(gone).unwrap(), "{what}");
    }
}

#[test]
fn a_record_that_a_repair_found_lost_may_have_been_given_up_and_no_other() {
    let (mut sim, mut all) = (Sim::new(6), Log::new());
    let log = open(&mut sim);
    fill(&log, &mut Draw::from_seed(6), 20, &mut all);
    log.close().unwrap();
    let places: Vec<Lsn> = all.keys().copied().collect();
    let to = Path::new("/repaired");
    let inspector = Inspector::open(&sim.env(), sim.dir(), Duration::ZERO).unwrap();
    let inspection = inspector.inspect(&mut |_| Continue(()), |_| Ok(())).unwrap();
    let lost = [places[7], places[8], places[19]];
    let keep =
        |seen: &crate::inspect::Seen<'_>| Ok(if lost.contains(&seen.lsn) { Keep::No } else { Keep::Yes });
    inspector.copy(&inspection, to, &mut |_| Continue(()), keep).unwrap();
    let log = Wal::open_in(sim.env(), to, options()).unwrap();
    let may = |lsn: Lsn| log.may_be_given_up(lsn).unwrap();
    assert_eq!(lost.map(may), [true; 3]);
    assert_eq!(places.iter().filter(|lsn| may(**lsn)).count(), 3);
    assert!(!may(places[5].plus(1)) && !may(log.durable().plus(9)) && may(places[8].plus(1)));
    fill(&log, &mut Draw::from_seed(7), 1, &mut Log::new());
    log.roll().unwrap();
    let old = Packing { to: places[19], ..all_of(&log) };
    log.pack(old, |_| Ok(Stay::Whole), |_| Continue(())).unwrap().unwrap();
    assert!(log.log.segment_of(places[19]).unwrap().kind == SegmentKind::Packed);
    assert_eq!(lost.map(may), [true; 3], "packed");
}

#[test]
fn a_judgement_whose_note_is_damaged_is_none_in_a_repaired_log() {
    let (mut sim, mut all) = (Sim::new(8), Log::new());
    let log = open(&mut sim);
    fill(&log, &mut Draw::from_seed(8), 60, &mut all);
    pack(&log, all_of(&log), 8).unwrap();
    let entry = log.log.sealed_entries()[0];
    assert_eq!(log.judgement().unwrap(), Some((7, b"by the seventh".to_vec())));
    log.close().unwrap();
    let path = sim.dir().join(LOG_DIR).join(segment_name(entry.base, entry.generation));
    let bytes = sim.disk().read(&path).unwrap();
    let note = bytes.windows(14).position(|word| word == b"by the seventh").unwrap();
    sim.disk().flip_bit(&path, note as u64, 1).unwrap();
    let to = Path::new("/repaired");
    let inspector = Inspector::open(&sim.env(), sim.dir(), Duration::ZERO).unwrap();
    let inspection = inspector.inspect(&mut |_| Continue(()), |_| Ok(())).unwrap();
    assert_eq!(inspection.worst(), Some(Weight::Blocking));
    inspector.copy(&inspection, to, &mut |_| Continue(()), |_| Ok(Keep::Yes)).unwrap();
    let log = Wal::open_in(sim.env(), to, options()).unwrap();
    assert_eq!(log.judgement().unwrap(), Some((0, Vec::new())));
}

#[test]
fn who_was_told_everything_goes_on_behind_packed_segments_after_a_restart_too() {
    for (seed, stay) in (0..12).flat_map(|seed| [(seed, Stay::Whole), (seed, Stay::Nothing)]) {
        let (mut sim, mut draw, mut all) = (Sim::new(seed), Draw::from_seed(seed), Log::new());
        for _ in 0..4 {
            let log = open(&mut sim);
            let newest = |all: &Log| all.last_key_value().map(|(lsn, _)| *lsn);
            if let Some(last) = newest(&all) {
                let mut told = log.follow(last.plus(1));
                assert_eq!(told.try_next().unwrap(), None);
                let gone = log.follow(last).try_next().unwrap_err();
                assert_eq!((gone.kind(), gone.lsn()), (ErrorKind::Gone, Some(last.plus(1))));
                fill(&log, &mut draw, 1, &mut all);
                assert_eq!(told.try_next().unwrap().map(|record| record.lsn), newest(&all));
            }
            fill(&log, &mut draw, 30, &mut all);
            log.roll().unwrap();
            log.pack(all_of(&log), |_| Ok(stay.clone()), |_| Continue(())).unwrap().unwrap();
            assert_eq!(Some(log.complete()), newest(&all).map(|lsn| lsn.plus(1)));
            match draw.below(3) {
                0 => log.close().unwrap(),
                1 => sim.kill(),
                _ => sim.cut_power(),
            }
        }
    }
}

#[test]
fn a_packed_segment_in_which_no_record_ever_stood_hides_none() {
    let (mut sim, mut all) = (Sim::new(3), Log::new());
    let log = open(&mut sim);
    fill(&log, &mut Draw::from_seed(3), 60, &mut all);
    log.roll().unwrap();
    log.roll().unwrap();
    let empty = log.sealed().unwrap().last().unwrap().base;
    assert!(empty > *all.last_key_value().unwrap().0);
    pack(&log, Packing { from: empty, ..all_of(&log) }, 3).unwrap();
    let whole = |log: &Wal| {
        let mut follower = log.follow(*all.first_key_value().unwrap().0);
        let told = std::iter::from_fn(|| follower.try_next().unwrap()).map(|record| record.lsn);
        log.complete() == Lsn::NONE && told.eq(all.keys().copied())
    };
    assert!(whole(&log));
    drop(log);
    assert!(whole(&open(&mut sim)));
}

#[test]
fn what_a_repair_found_lost_behind_the_last_record_is_not_taken_for_nothing() {
    let (mut sim, mut all) = (Sim::new(4), Log::new());
    let log = open(&mut sim);
    fill(&log, &mut Draw::from_seed(4), 60, &mut all);
    let lost = log.append(b"of several blocks", &[7; 9000]).unwrap().wait().unwrap();
    log.close().unwrap(); // with a mark behind it
    let to = Path::new("/repaired");
    let inspector = Inspector::open(&sim.env(), sim.dir(), Duration::ZERO).unwrap();
    let inspection = inspector.inspect(&mut |_| Continue(()), |_| Ok(())).unwrap();
    let keep = |seen: &crate::inspect::Seen<'_>| Ok(if seen.lsn == lost { Keep::No } else { Keep::Yes });
    inspector.copy(&inspection, to, &mut |_| Continue(()), keep).unwrap();
    let log = Wal::open_in(sim.env(), to, options()).unwrap();
    fill(&log, &mut Draw::from_seed(5), 1, &mut Log::new());
    log.pack(Packing { to: lost, ..all_of(&log) }, |_| Ok(Stay::Whole), |_| Continue(())).unwrap().unwrap();
    assert!(log.complete() > lost, "{} {lost}", log.complete());
}

/// Every file of the log, with its bytes.
fn files(disk: &SimDisk, dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let names = disk.list(&dir.join(LOG_DIR)).unwrap();
    names.into_iter().map(|name| (name.clone(), disk.read(&dir.join(LOG_DIR).join(name)).unwrap())).collect()
}

/// What looking through a log finds in it.
fn seen(disk: &SimDisk, dir: &Path) -> Vec<Lsn> {
    let (inspector, mut places) = (Inspector::open(&alone(disk), dir, Duration::ZERO).unwrap(), Vec::new());
    let inspection = inspector.inspect(&mut |_| Continue(()), |seen| {
        places.push(seen.lsn);
        Ok(())
    });
    assert!(inspection.unwrap().worst() >= Some(Weight::Blocking), "the log does not open");
    places
}

/// Puts every MANIFEST that a log had, while it was packed and packed again, beside its newest files.
#[test]
fn an_older_manifest_beside_packed_segments_is_refused_with_nothing_changed_or_loses_nothing() {
    let (mut refused, mut opened) = (0, 0);
    for seed in 0..8 {
        let (mut sim, mut draw, mut all) = (Sim::new(seed), Draw::from_seed(seed), Log::new());
        let (disk, manifest) = (sim.disk(), sim.dir().join("MANIFEST"));
        disk.record();
        let log = open(&mut sim);
        for again in 0..2 {
            fill(&log, &mut draw, 40, &mut all);
            let from = if again == 0 { Lsn::NONE } else { log.sealed().unwrap()[seed as usize % 3].base };
            pack(&log, Packing { from, ..all_of(&log) }, seed + again).unwrap();
            all = judged(seed + again, from, log.complete(), &all);
        }
        let few = draw.below(30) as usize;
        fill(&log, &mut draw, few, &mut all);
        log.close().unwrap();
        let mut older: Vec<_> =
            disk.take_tape().iter().filter_map(|then| then.read(&manifest).ok()).collect();
        older.dedup();
        for bytes in older {
            let stale = disk.restart();
            stale.plant(&manifest, &bytes).unwrap();
            let before = files(&stale, sim.dir());
            match Wal::open_in(alone(&stale), sim.dir(), options()) {
                Ok(log) => {
                    opened += 1;
                    check(&log, &all);
                }
                Err(e) => {
                    refused += 1;
                    assert_eq!(e.kind(), ErrorKind::Corrupt, "{e}");
                    assert!(files(&stale, sim.dir()) == before, "{e}");
                    assert_eq!(seen(&stale, sim.dir()), all.keys().copied().collect::<Vec<_>>(), "{e}");
                }
            }
        }
    }
    assert!(refused > 50 && opened > 20, "{refused} refused, {opened} opened");
}

#[test]
fn a_packed_segment_behind_the_frontier_is_evidence_of_a_newer_manifest() {
    let (mut sim, mut all) = (Sim::new(4), Log::new());
    let log = open(&mut sim);
    let (disk, manifest) = (sim.disk(), sim.dir().join("MANIFEST"));
    let first = disk.read(&manifest).unwrap();
    fill(&log, &mut Draw::from_seed(4), 60, &mut all);
    pack(&log, all_of(&log), 4).unwrap();
    all = judged(4, Lsn::NONE, log.complete(), &all);
    all.retain(|lsn, _| *lsn < log.complete());
    let packed = log.log.sealed_entries()[0];
    log.close().unwrap();
    disk.plant(&manifest, &first).unwrap();
    let own = segment_name(packed.base, packed.generation);
    let others = files(&disk, sim.dir()).into_keys().filter(|name| *name != own);
    others.for_each(|name| disk.uproot(&sim.dir().join(LOG_DIR).join(name)).unwrap());
    let before = files(&disk, sim.dir());
    let refused = Wal::open_in(alone(&disk), sim.dir(), options()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
    assert!(files(&disk, sim.dir()) == before);
    assert_eq!(seen(&disk, sim.dir()), all.keys().copied().collect::<Vec<_>>());
}

#[test]
fn a_segment_of_the_last_generation_is_not_packed_and_the_log_goes_on() {
    let (mut sim, mut all) = (Sim::new(5), Log::new());
    let log = open(&mut sim);
    fill(&log, &mut Draw::from_seed(5), 60, &mut all);
    log.close().unwrap();
    let (disk, manifest, dir) = (sim.disk(), sim.dir().join("MANIFEST"), sim.dir().join(LOG_DIR));
    let mut catalog = Catalog::decode(&disk.read(&manifest).unwrap()).unwrap();
    let first = catalog.segments.first_mut().unwrap();
    let path = dir.join(segment_name(first.base, first.generation));
    let mut bytes = disk.read(&path).unwrap();
    let header = SegmentHeader { generation: u32::MAX, ..SegmentHeader::decode(&bytes).unwrap() };
    bytes[..DATA_OFFSET as usize].copy_from_slice(&header.encode());
    first.generation = u32::MAX;
    disk.uproot(&path).unwrap();
    disk.plant(&dir.join(segment_name(first.base, u32::MAX)), &bytes).unwrap();
    disk.plant(&manifest, &catalog.encode()).unwrap();
    let log = open(&mut sim);
    let before = files(&disk, sim.dir());
    let refused = log.pack(all_of(&log), |_| Ok(Stay::Whole), |_| Continue(())).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
    assert!(files(&disk, sim.dir()) == before);
    fill(&log, &mut Draw::from_seed(6), 3, &mut all);
    check(&log, &all);
}
