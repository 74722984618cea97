//! What an open makes of directories that crashes, failed calls and full disks leave.

#![allow(clippy::disallowed_methods, reason = "tests copy and damage directories behind the log's back")]

mod support;

use std::io::ErrorKind as Io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use savehold_wal::segment::file::Access;
use savehold_wal::vfs::{Advice, OpenMode};
use savehold_wal::{Append, ErrorKind, Lsn, Options, Replayer, Result, Verify, Wal};
use support::{What, World, buffered, damage, frame, heads, killed, reopened, segment_files, small};

fn place() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    (dir, root)
}

fn commit(log: &Wal, head: &str, body_bytes: usize) {
    log.commit(frame(head, body_bytes), Append::default()).unwrap();
}

/// A log of several segments: records "0", "1", … of 10 KiB, all synced.
fn several_segments(world: &World, root: &Path, records: usize) -> Wal {
    let log = world.open(root).unwrap();
    for n in 0..records {
        commit(&log, &n.to_string(), 10 << 10);
    }
    log
}

fn names(records: std::ops::Range<usize>) -> Vec<String> {
    records.map(|n| n.to_string()).collect()
}

#[test]
fn records_behind_the_proven_end_are_kept_and_every_way_of_reading_finds_them() {
    let (_dir, root) = place();
    let log = World::new().open(&root).unwrap();
    commit(&log, "proven", 100);
    commit(&log, "last", 100); // nothing states that its sync succeeded
    let lsn = log.commit(frame("buffered", 5000), buffered()).unwrap();
    let copy = killed(&root);
    for access in [Access::Mapped, Access::Pread] {
        let again = killed(&copy.path().join("store"));
        let root = again.path().join("store");
        let log = World::new().open_with(&root, Options { access, ..small() }).unwrap();
        assert!(log.report().end > log.report().proven, "{}", log.report());
        assert_eq!(heads(&log), ["proven", "last", "buffered"]);
        assert_eq!(log.read(lsn).unwrap().body().len(), 5000);
        commit(&log, "more", 1);
        assert_eq!(heads(&log), ["proven", "last", "buffered", "more"]);
    }
}

#[test]
fn where_a_segment_ended_is_named_with_the_one_that_was_made_meanwhile() {
    let (_dir, root) = place();
    let world = World::new();
    let env = savehold_wal::env::Env { threads: savehold_wal::env::Threads::Own, ..world.env() };
    let log = Wal::open_in(env, &root, small()).unwrap();
    let has = |segments| {
        let since = std::time::Instant::now();
        while log.stats().segments < segments && since.elapsed().as_secs() < 60 {
            std::thread::yield_now();
        }
        assert_eq!(log.stats().segments, segments);
    };
    commit(&log, "0", 10 << 10);
    has(2);
    log.commit(frame("1", 10 << 10), buffered()).unwrap();
    // the next one begins the second segment; it and this are durable once the third is being made, and not before
    let (made, being_made) = std::sync::mpsc::channel();
    let (go, gone) = std::sync::mpsc::channel();
    let a_minute = std::time::Duration::from_secs(60);
    world.pause_at(
        |step| step.what == What::Sync && step.name.ends_with(".seg"), // of the first segment, before the second is begun
        move || being_made.recv_timeout(a_minute).unwrap(),
    );
    world.pause_at(
        |step| step.what == What::Open(OpenMode::CreateNew),
        move || {
            made.send(()).unwrap();
            gone.recv_timeout(a_minute).unwrap();
        },
    );
    commit(&log, "2", 10 << 10);
    go.send(()).unwrap();
    has(3);
    let scanned = 2 * small().segment_bytes_min;
    let (again, kept) = reopened(&killed(&root).path().join("store"));
    assert_eq!((again.scanned_bytes, kept), (scanned, names(0..3)), "{again}");
    // where the first group of the second is lost, nothing of the first has to be judged (C27, C28)
    let copy = killed(&root);
    let root = copy.path().join("store");
    damage(&segment_files(&root)[1], 8192, &[0; 4096]);
    let (again, kept) = reopened(&root);
    assert_eq!((again.scanned_bytes, kept), (scanned, names(0..2)), "{again}");
}

#[test]
fn segments_given_up_and_not_yet_removed_go_at_the_next_open() {
    let (_dir, root) = place();
    let world = World::new();
    let log = several_segments(&world, &root, 12);
    let before = segment_files(&root);
    let halfway = log.read(log.replay(Lsn::NONE).unwrap().nth(6).unwrap().unwrap().lsn).unwrap().lsn;
    world.fail_where(|step| (step.what == What::Remove).then_some(Io::Other));
    assert_eq!(log.retire(halfway).unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(segment_files(&root), before);
    world.heal();
    let copy = killed(&root);
    let root = copy.path().join("store");
    let (_, heads) = reopened(&root);
    assert_eq!(heads.last().unwrap(), "11");
    assert!(heads.len() < 12 && segment_files(&root).len() < before.len());
    assert!(reopened(&root).0.clean);
}

#[test]
fn a_segment_that_cannot_be_removed_keeps_no_other() {
    let (_dir, root) = place();
    let world = World::new();
    let log = several_segments(&world, &root, 12);
    let (before, oldest) = (segment_files(&root), log.span().start);
    let last = log.replay(Lsn::NONE).unwrap().nth(9).unwrap().unwrap().lsn;
    let stays = before[0].file_name().unwrap().to_string_lossy().into_owned();
    let stays_too = stays.clone();
    world.fail_where(move |step| (step.what == What::Remove && step.name == stays).then_some(Io::Other));
    let kept = log.stats().segments;
    assert_eq!(log.retire(last).unwrap_err().kind(), ErrorKind::Io);
    let after = segment_files(&root);
    assert!(after[0].ends_with(&stays_too) && after.len() + 2 <= before.len(), "{before:?} {after:?}");
    assert_eq!(log.stats().segments, kept - (before.len() - after.len()) as u64 - 1);
    assert!(log.span().start > oldest);
    world.heal();
    drop(log);
    assert!(!reopened(&root).1.is_empty());
    assert_eq!(segment_files(&root)[..], after[1..], "the next opening removes it");
}

#[test]
fn removal_undone_by_a_power_cut_is_done_again() {
    let (_dir, root) = place();
    let log = several_segments(&World::new(), &root, 12);
    let before = killed(&root);
    let halfway = log.replay(Lsn::NONE).unwrap().nth(6).unwrap().unwrap().lsn;
    assert!(log.retire(halfway).unwrap() > 0);
    let kept = heads(&log);
    log.close().unwrap();
    for file in segment_files(&before.path().join("store")) {
        let name = root.join("log").join(file.file_name().unwrap());
        if !name.exists() {
            std::fs::copy(&file, name).unwrap();
        }
    }
    assert_eq!(reopened(&root).1, kept);
}

#[test]
fn segment_that_an_older_catalog_does_not_know_is_evidence_and_stays() {
    let (_dir, root) = place();
    let log = several_segments(&World::new(), &root, 2);
    let old = std::fs::read(root.join("MANIFEST")).unwrap();
    for n in 2..12 {
        commit(&log, &n.to_string(), 10 << 10);
    }
    let copy = killed(&root);
    let root = copy.path().join("store");
    std::fs::write(root.join("MANIFEST"), old).unwrap();
    let before = segment_files(&root);
    let e = World::new().open(&root).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Corrupt, "{e}");
    assert_eq!(segment_files(&root), before);
}

#[test]
fn header_that_cannot_be_read_now_is_an_error_and_no_reason_to_remove() {
    let (_dir, root) = place();
    let log = several_segments(&World::new(), &root, 2);
    let old = std::fs::read(root.join("MANIFEST")).unwrap();
    several(&log, 2..8);
    let copy = killed(&root);
    let root = copy.path().join("store");
    std::fs::write(root.join("MANIFEST"), old).unwrap();
    let before = segment_files(&root);
    let last = before.last().unwrap().file_name().unwrap().to_string_lossy().into_owned();
    let world = World::new();
    let mut failed = false;
    world.fail_where(move |step| {
        let now = step.what == What::Read && step.name == last && !failed;
        failed |= now;
        now.then_some(Io::Other)
    });
    assert!(world.open(&root).is_err());
    assert_eq!(segment_files(&root), before);
}

#[test]
fn unnamed_file_without_header_goes_only_if_nothing_was_written_in_it() {
    let (_dir, root) = place();
    let log = several_segments(&World::new(), &root, 2);
    let old = std::fs::read(root.join("MANIFEST")).unwrap();
    several(&log, 2..8);
    let copy = killed(&root);
    let root = copy.path().join("store");
    std::fs::write(root.join("MANIFEST"), old).unwrap();
    let files = segment_files(&root);
    damage(files.last().unwrap(), 0, &[0xFF; 8192]); // the newest is prepared and empty: its header was being written
    damage(&files[files.len() - 2], 0, &[0xFF; 8192]); // this one holds records
    assert_eq!(World::new().open(&root).unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(files[files.len() - 2].exists());
}

fn several(log: &Wal, records: std::ops::Range<usize>) {
    for n in records {
        commit(log, &n.to_string(), 10 << 10);
    }
}

/// A directory in which recovery wrote a rest segment and died before MANIFEST named it.
fn with_unnamed_rest() -> (tempfile::TempDir, PathBuf) {
    let (_dir, root) = place();
    let log = World::new().open(&root).unwrap();
    commit(&log, "one", 100);
    commit(&log, "two", 100);
    let copy = killed(&root);
    let root = copy.path().join("store");
    let world = World::new();
    world.fail_where(|step| (step.name == "MANIFEST.next").then_some(Io::Other));
    assert!(world.open(&root).is_err());
    (copy, root)
}

#[test]
fn finished_rest_segment_is_taken_over_and_its_name_made_durable_first() {
    let (_copy, root) = with_unnamed_rest();
    let world = World::new();
    let log = world.open(&root).unwrap();
    assert_eq!(heads(&log), ["one", "two"]);
    let steps = world.take_steps();
    let at = |what, name: &str| steps.iter().position(|s| s.what == what && s.name == name);
    let (synced, named) = (at(What::SyncDir, "log"), at(What::Write, "MANIFEST.next").unwrap());
    assert!(synced.is_some_and(|synced| synced < named), "{steps:#?}");
}

#[test]
fn segment_whose_naming_failed_half_way_stays_for_the_catalog_that_may_name_it() {
    for failing in 0..4 {
        let (_dir, root) = place();
        let world = World::new();
        let log = world.open(&root).unwrap();
        commit(&log, "one", 100);
        let count = Arc::new(Mutex::new(0));
        world.fail_where(move |step| {
            let naming =
                step.name.starts_with("MANIFEST") || step.name == "store" && step.what == What::SyncDir;
            let mut count = count.lock().unwrap();
            *count += usize::from(naming && step.what != What::Open(OpenMode::Read));
            (naming && *count > 3 + failing).then_some(Io::Other)
        });
        for n in 0..8 {
            let ticket = log.append_frame(frame(&n.to_string(), 10 << 10), Append::default());
            if ticket.and_then(savehold_wal::Ticket::wait).is_err() {
                break;
            }
        }
        assert!(log.failure().is_some(), "{failing}");
        let copy = killed(&root);
        let (_, heads) = reopened(&copy.path().join("store"));
        assert_eq!(heads[0], "one");
    }
}

#[test]
fn disk_full_at_the_first_append_after_a_clean_close_costs_no_segment() {
    let (_dir, root) = place();
    several_segments(&World::new(), &root, 2).close().unwrap();
    let world = World::new();
    let log = world.open(&root).unwrap();
    world.fail_where(|step| (step.name == "MANIFEST.next").then_some(Io::StorageFull));
    let refused = log.append_frame(frame("refused", 100), Append::default()).map(drop);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Full);
    world.heal();
    several(&log, 2..12);
    let copy = killed(&root);
    assert_eq!(reopened(&copy.path().join("store")).1, names(0..12));
    log.close().unwrap();
    assert_eq!(reopened(&root).1, names(0..12));
}

#[test]
fn full_disk_refuses_ordinary_records_at_once_and_takes_them_again_once_there_is_space() {
    let (_dir, root) = place();
    let world = World::new();
    let log = world.open(&root).unwrap();
    commit(&log, "one", 100);
    world.fail_where(|step| {
        let makes = matches!(step.what, What::Open(OpenMode::CreateNew | OpenMode::Truncate));
        (makes && step.name.ends_with(".seg")).then_some(Io::StorageFull)
    });
    let refused = loop {
        match log.append_frame(frame("filler", 1000), Append::default()).map(savehold_wal::Ticket::wait) {
            Ok(answer) => drop(answer.unwrap()),
            Err(e) => break e,
        }
    };
    assert_eq!(refused.kind(), ErrorKind::Full);
    assert!(log.failure().is_none());
    let urgent = Append { urgency: savehold_wal::Urgency::Reserve, ..Append::default() };
    log.commit(frame("urgent", 1000), urgent).unwrap();
    world.heal();
    commit(&log, "again", 1000);
    assert_eq!(heads(&log).last().unwrap(), "again");
}

#[test]
fn record_too_large_for_a_full_disk_does_not_stop_small_ones_that_have_room() {
    let (_dir, root) = place();
    let world = World::new();
    let log = world.open(&root).unwrap();
    commit(&log, "one", 100);
    commit(&log, "two", 100); // a segment is prepared behind the active one
    world.fail_where(|step| {
        let makes = matches!(step.what, What::Open(OpenMode::CreateNew | OpenMode::Truncate));
        (makes && step.name.ends_with(".seg")).then_some(Io::StorageFull)
    });
    let refused = log.append_frame(frame("large", 100 << 10), Append::default()).map(drop).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Full);
    commit(&log, "three", 100);
    assert_eq!(heads(&log), ["one", "two", "three"]);
}

#[test]
fn first_group_of_a_segment_lost_behind_a_later_one_is_an_unfinished_sync_and_no_corruption() {
    let (_dir, root) = place();
    let options = Options { segment_bytes_min: 1 << 20, segment_bytes_max: 1 << 20, ..small() };
    let log = World::new().open_with(&root, options).unwrap();
    commit(&log, "one", 900 << 10); // ends before the segment does
    log.commit(frame("two", 300 << 10), buffered()).unwrap(); // begins the next segment, and ends at a boundary
    log.commit(frame("three", 100), buffered()).unwrap();
    let copy = killed(&root);
    let root = copy.path().join("store");
    assert_eq!(reopened(&killed(&root).path().join("store")).1, ["one", "two", "three"]);
    damage(&segment_files(&root)[1], 8192, &[0; 512]); // the power cut took one sector, nothing was synced there
    let (report, heads) = reopened(&root);
    assert_eq!(heads, ["one"]);
    assert!(!report.clean && report.groups_dropped > 0, "{report}");
}

#[test]
fn group_lost_from_what_was_synced_is_corruption_wherever_it_stood() {
    let (_dir, root) = place();
    let options = Options { segment_bytes_min: 128 << 10, segment_bytes_max: 128 << 10, ..small() };
    let log = World::new().open_with(&root, options).unwrap();
    for n in 0..25 {
        let how = if n % 10 == 9 { buffered() } else { Append::default() }; // synced by what begins the next segment
        log.commit(frame(&n.to_string(), 10 << 10), how).unwrap();
    }
    let copy = killed(&root);
    let root = copy.path().join("store");
    let all = killed(&root);
    assert_eq!(reopened(&all.path().join("store")).1, names(0..25));
    for n in 0..24_usize {
        let copy = killed(&root);
        let root = copy.path().join("store");
        let (segment, nth) = (n / 10, n % 10); // ten records of three blocks in each segment
        damage(&segment_files(&root)[segment], 8192 + nth as u64 * 3 * 4096, &[0; 512]);
        let opened = World::new().open(&root);
        assert!(
            opened.is_err() || segment == 0,
            "group {n}: MANIFEST says how the first segment ended, not the second"
        );
        let refused =
            opened.and_then(|log| log.replay_into(Lsn::NONE, Verify::Heads, vec![Nobody]).map(drop));
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Corrupt, "group {n}");
    }
}

/// Replays, and keeps nothing.
struct Nobody;

impl Replayer for Nobody {
    fn record(&mut self, _: Lsn, _: u64, _: &[u8], _: u32) -> Result<()> {
        Ok(())
    }
}

#[test]
fn reading_without_maps_reads_each_byte_a_few_times_at_most() {
    let (_dir, root) = place();
    let world = World::new();
    let options =
        Options { access: Access::Pread, segment_bytes_min: 4 << 20, segment_bytes_max: 4 << 20, ..small() };
    let log = world.open_with(&root, options).unwrap();
    for n in 0..200 {
        commit(&log, &n.to_string(), 10 << 10);
    }
    world.take_steps();
    assert_eq!(heads(&log).len(), 200);
    let read: u64 = world.take_steps().iter().filter(|s| s.what == What::Read).map(|s| s.bytes).sum();
    assert!(read < 200 * (100 << 10), "{read} bytes were read for 200 records of 10 KiB");
}

#[test]
fn a_replay_has_the_system_fetch_what_comes_where_reading_takes_as_long_as_only_a_disk_does() {
    let (_dir, root) = place();
    let world = World::new();
    drop(several_segments(&world, &root, 30)); // two records in each segment: so many stretches
    let copy = killed(&root);
    let options = Options { access: Access::Pread, ..small() };
    let log = world.open_with(&copy.path().join("store"), options).unwrap();
    for (nth_slow, fetches) in [(None, false), (Some(2), false), (Some(1), true)] {
        let (clock, mut reads) = (world.clone(), 0);
        world.fail_where(move |step| {
            if step.what == What::Read {
                reads += 1;
                if nth_slow.is_some_and(|nth| reads % nth == 0) {
                    clock.advance(std::time::Duration::from_millis(20));
                }
            }
            None
        });
        world.take_steps();
        log.replay_into(Lsn::NONE, Verify::Heads, vec![Nobody]).unwrap();
        let steps = world.take_steps();
        let fetched = steps.iter().any(|step| step.what == What::Advise(Advice::Soon));
        assert_eq!(fetched, fetches, "{nth_slow:?}: {steps:?}");
    }
}

#[test]
fn engine_time_never_falls_though_the_wall_clock_does_and_nothing_is_written() {
    let (_dir, root) = place();
    let world = World::new();
    let log = world.open(&root).unwrap();
    commit(&log, "one", 100);
    world.advance(std::time::Duration::from_secs(86_400));
    commit(&log, "a day later", 100);
    let newest = log.time_us();
    let copy = killed(&root);
    let root = copy.path().join("store");
    for _ in 0..3 {
        let log = World::new().open(&root).unwrap(); // the wall clock is a day back
        assert!(log.time_us() >= newest);
    }
}

#[test]
fn directories_made_for_a_log_are_durable_all_the_way_up() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new();
    let log = world.open(&dir.path().join("upper/lower/store")).unwrap();
    commit(&log, "one", 1);
    let synced: Vec<String> =
        world.take_steps().into_iter().filter(|s| s.what == What::SyncDir).map(|s| s.name).collect();
    let top = dir.path().file_name().unwrap().to_string_lossy().into_owned();
    for name in ["lower", "upper", &top] {
        assert!(synced.iter().any(|s| s == name), "{name} was not synced: {synced:?}");
    }
}

#[test]
fn segment_sizes_that_no_reader_would_take_are_refused() {
    let (_dir, root) = place();
    for bytes in [(1 << 30) + 4096, u64::MAX] {
        for options in [
            Options { segment_bytes_max: bytes, ..Options::default() },
            Options { segment_bytes_min: bytes, ..Options::default() },
        ] {
            assert_eq!(World::new().open_with(&root, options).unwrap_err().kind(), ErrorKind::Invalid);
        }
    }
    assert!(!root.exists());
}

#[test]
fn catalog_caught_between_its_two_renames_is_finished_before_anything_is_done_with_it() {
    let (_dir, root) = place();
    let log = several_segments(&World::new(), &root, 12);
    let old = std::fs::read(root.join("MANIFEST")).unwrap();
    let gone = killed(&root);
    log.retire(log.replay(Lsn::NONE).unwrap().nth(6).unwrap().unwrap().lsn).unwrap();
    let kept = heads(&log);
    let new = std::fs::read(root.join("MANIFEST")).unwrap();

    let root = gone.path().join("store"); // the files are all there still
    std::fs::remove_file(root.join("MANIFEST")).unwrap();
    std::fs::write(root.join("MANIFEST.prev"), old).unwrap();
    std::fs::write(root.join("MANIFEST.next"), new).unwrap();
    let world = World::new();
    world.fail_where(|step| {
        (step.name == "MANIFEST.next" && step.what == What::Write).then_some(Io::Other) // emptied, then nothing
    });
    if let Ok(log) = world.open(&root) {
        _ = log.append(b"more", b"");
    }
    assert_eq!(reopened(&killed(&root).path().join("store")).1, kept);
}

#[test]
fn catalog_that_a_killed_process_left_in_the_cache_is_made_durable_before_files_go() {
    let (_dir, root) = place();
    let world = World::new();
    let log = several_segments(&world, &root, 12);
    world.fail_where(|step| (step.what == What::Remove).then_some(Io::Other));
    assert!(log.retire(log.acknowledged()).is_err());
    let copy = killed(&root);
    let world = World::new();
    drop(world.open(&copy.path().join("store")).unwrap());
    let steps = world.take_steps();
    let synced = steps.iter().position(|s| s.what == What::SyncDir && s.name == "store").unwrap();
    let removed = steps.iter().position(|s| s.what == What::Remove && s.name.ends_with(".seg")).unwrap();
    assert!(synced < removed, "{steps:#?}");
}
