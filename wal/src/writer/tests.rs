use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::draw::Draw;
use crate::env::{Env, SimEntropy};
use crate::limits::BLOCK_BYTES;
use crate::open::open;
use crate::options::Options;
use crate::segment::file::Access;
use crate::sim::{Choice, Failure, Fault, SimClock, SimDisk, When};
use crate::wal::Wal;

fn env(disk: &SimDisk) -> Env {
    Env {
        vfs: Arc::new(disk.clone()),
        clock: Arc::new(SimClock::default()),
        entropy: Arc::new(SimEntropy::new(7)),
        threads: Threads::None,
    }
}

fn options() -> Options {
    Options { access: Access::Pread, segment_bytes_max: 2 << 20, ..Options::default() }
}

fn opened(disk: &SimDisk) -> Arc<Log> {
    open(env(disk), Path::new("/store"), options()).unwrap().0
}

fn commit(log: &Log, head: &[u8], durability: Durability) {
    let mut frame = Frame::record(head, &[]).unwrap();
    let placed = log.append(&mut frame, durability, Urgency::Ordinary).unwrap();
    log.wait(placed).unwrap();
}

/// A log that a load without syncs has filled for some segments; the active one is allocated alone.
fn loaded(disk: &SimDisk) -> Arc<Log> {
    let log = opened(disk);
    for _ in 0..4_000 {
        commit(&log, &[7; 1000], Durability::Buffered);
    }
    assert_eq!(
        active(&log).filled(),
        active(&log).base,
        "nothing was written ahead for a load without syncs"
    );
    log
}

fn active(log: &Log) -> Arc<Segment> {
    log.order.lock().frames.active().unwrap().clone()
}

/// Commits small synced records until zeros were written behind one of them.
fn until_filled(log: &Log) -> u32 {
    let mut commits = 0;
    while active(log).filled() == active(log).base {
        commit(log, &[u8::try_from(commits).unwrap(); 100], Durability::Synced);
        commits += 1;
        assert!(commits < 200, "small synced groups have zeros written ahead");
    }
    commits
}

fn heads(disk: SimDisk) -> Vec<Vec<u8>> {
    let wal = Wal::open_in(env(&disk), Path::new("/store"), options()).unwrap();
    wal.replay(Lsn::NONE).unwrap().map(|record| record.unwrap().head.to_vec()).collect()
}

#[test]
fn zeros_come_ahead_of_small_synced_groups_where_space_was_only_allocated() {
    let log = loaded(&SimDisk::new(1));
    until_filled(&log);
    let (first, segment) = (active(&log).filled(), active(&log));
    assert_eq!(first.bytes_since(log.order.lock().frames.tail()), Some(AHEAD_BYTES));
    for _ in 0..AHEAD_BYTES / BLOCK_BYTES {
        assert_eq!(segment.filled(), first, "what is there is used before more is written");
        commit(&log, &[1; 100], Durability::Synced);
    }
    commit(&log, &[1; 100], Durability::Synced);
    assert!(segment.filled() > first);
    while Arc::ptr_eq(&active(&log), &segment) {
        commit(&log, &[1; 100], Durability::Synced);
    }
    assert_eq!(segment.filled(), Lsn::MAX, "up to the end of it");
    while active(&log).filled() != Lsn::MAX {
        commit(&log, &[1; 100], Durability::Synced); // one more was prepared during the load
    }
}

#[test]
fn log_that_goes_on_in_a_segment_knows_how_far_it_was_written() {
    let disk = SimDisk::new(2);
    let log = loaded(&disk);
    log.close_down().unwrap();
    drop(log);
    let log = opened(&disk);
    let (filled, end) = (active(&log).filled(), log.durable.get());
    assert!(filled >= end && filled < end.plus(AHEAD_BYTES), "{filled} {end}");
    until_filled_further(&log, filled);
}

fn until_filled_further(log: &Log, filled: Lsn) {
    for _ in 0..200 {
        commit(log, &[1; 100], Durability::Synced);
        if active(log).filled() > filled {
            return;
        }
    }
    panic!("nothing was written ahead");
}

#[test]
fn power_cut_while_zeros_are_written_ahead_loses_nothing_and_leaves_a_log_that_goes_on() {
    let disk = SimDisk::new(3);
    let log = loaded(&disk);
    log.sync_placed().unwrap();
    disk.record();
    let commits = until_filled(&log);
    commit(&log, &[1; 100], Durability::Synced);
    let tape = disk.take_tape();
    let (mut draw, mut before) = (Draw::from_seed(3), 0);
    let last = tape.len().saturating_sub(8); // a group, its zeros, its sync, and another commit
    for (at, image) in tape.into_iter().chain([disk.clone()]).enumerate().skip(last) {
        for _ in 0..8 {
            let heads = heads(image.reboot_by(&mut draw));
            let synced = heads[4_000..].iter().filter(|head| head.len() == 100).count();
            assert_eq!(synced + 4_000, heads.len());
            assert!(synced + 1 >= commits as usize && synced <= commits as usize + 1, "{at}: {synced}");
        }
        let synced = heads(image.reboot(Choice::KeepNone)).len();
        assert!(synced >= before, "{at}: what was durable once stays");
        before = synced;
    }
    assert_eq!(before, 4_000 + commits as usize + 1);
}

#[test]
fn zeros_that_cannot_be_written_halt_the_log_and_lose_nothing() {
    let commits = until_filled(&loaded(&SimDisk::new(6)));
    for (zeros, failure) in [(1, Failure::Io), (1, Failure::Full), (2, Failure::Io), (4, Failure::Full)] {
        for fault in [Fault::Fail(failure), Fault::FailHalfway(failure)] {
            let disk = SimDisk::new(6);
            let log = loaded(&disk);
            (1..commits).for_each(|_| commit(&log, &[1; 100], Durability::Synced));
            disk.order(When::Write(disk.counts().writes + 1 + zeros), fault); // the group itself comes first
            let mut frame = Frame::record(&[2; 100], &[]).unwrap();
            let placed = log.append(&mut frame, Durability::Synced, Urgency::Ordinary).unwrap();
            assert_eq!(log.wait(placed).unwrap_err().kind(), ErrorKind::Unknown);
            assert_eq!(log.check().unwrap_err().kind(), ErrorKind::Halted);
            for choice in [Choice::KeepNone, Choice::KeepAll, Choice::Seed(zeros)] {
                let synced = heads(disk.reboot(choice)).len() - 4_000;
                assert!((commits as usize - 1..=commits as usize).contains(&synced), "{synced} of {commits}");
            }
        }
    }
}

#[test]
fn child_of_a_fork_writes_nothing_that_its_parent_placed() {
    let disk = SimDisk::new(4);
    let mut log = opened(&disk);
    commit(&log, &[1; 100], Durability::Synced);
    let mut frame = Frame::record(&[2; 100], &[]).unwrap();
    let placed = log.append(&mut frame, Durability::Synced, Urgency::Ordinary).unwrap();
    Arc::get_mut(&mut log).unwrap().process += 1;
    let before = disk.counts();
    let ticket = crate::ticket::Ticket::new(log.clone(), placed);
    assert_eq!(ticket.try_result().unwrap().unwrap_err().kind(), ErrorKind::Unknown);
    assert_eq!(log.wait(placed).unwrap_err().kind(), ErrorKind::Unknown);
    assert!(!log.write_until(Lsn::MAX));
    assert_eq!(log.read_part(placed.lsn, 20, 1).unwrap_err().kind(), ErrorKind::Forked);
    assert_eq!(disk.counts(), before);
}

#[test]
fn syncs_asked_for_behind_small_groups_have_zeros_written_ahead_too() {
    let log = loaded(&SimDisk::new(5));
    for _ in 0..200 {
        commit(&log, &[1; 100], Durability::Buffered);
        log.sync_placed().unwrap();
    }
    assert!(active(&log).filled() > active(&log).base);
}

#[test]
fn part_of_a_record_is_read_from_its_place_on() {
    let (disk, parts) = (SimDisk::new(6), [vec![1; 100], vec![2; 50 << 10]]);
    let log = opened(&disk);
    commit(&log, &[0; 10], Durability::Synced);
    let mut placed = Vec::new();
    for part in &parts {
        let mut frame = Frame::record(b"head", &[part]).unwrap();
        let offset = frame.part_offset(0).unwrap();
        placed.push((log.append(&mut frame, Durability::Synced, Urgency::Ordinary).unwrap(), offset));
    }
    for written in [false, true] {
        for ((placed, offset), part) in placed.iter().zip(&parts) {
            assert_eq!(log.accepted.get() > placed.lsn, written);
            let len = u32::try_from(part.len()).unwrap();
            assert_eq!(log.read_part(placed.lsn, *offset, len).unwrap(), part);
            assert!(log.look_at_part(placed.lsn, *offset, len, |there| there == part).unwrap());
            for (offset, len) in [(*offset, len - 1), (*offset, len + 1), (*offset + 1, len)] {
                let refused = log.read_part(placed.lsn, offset, len).unwrap_err();
                assert!(matches!(refused.kind(), ErrorKind::Corrupt | ErrorKind::Gone), "{refused}");
            }
        }
        log.wait(placed[1].0).unwrap();
    }
    let nobodys = log.accepted.get();
    assert_eq!(log.read_part(nobodys, 20, 100).unwrap_err().kind(), ErrorKind::Gone);
}

#[test]
fn records_are_found_at_every_moment_between_their_place_and_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let log = Wal::open_with(dir.path().join("log"), Options::default()).unwrap();
    crate::schedule::share(4, |thread| {
        for n in 0..1_500_usize {
            let part =
                vec![u8::try_from(n % 251).unwrap(); if n % 50 == thread { 40 << 10 } else { 100 + n }];
            let mut frame = Frame::record(b"head", &[&part]).unwrap();
            let offset = frame.part_offset(0).unwrap();
            let how = crate::wal::Append { durability: Durability::Buffered, ..Default::default() };
            let placed = loop {
                match log.try_place(&mut frame, how) {
                    Ok(placed) => break placed,
                    Err(_) => log.make_room(frame.len() as u64).unwrap(),
                }
            };
            let found = |when: &str| {
                let found = log.read_part(placed.lsn, offset, u32::try_from(part.len()).unwrap());
                assert_eq!(found.unwrap(), part, "{n} {when}");
            };
            found("placed");
            let ticket = log.settle(placed);
            while ticket.try_result().is_none() {
                found("on its way");
            }
            found("answered");
        }
    });
}

#[test]
fn nothing_is_written_behind_a_halt_that_came_from_elsewhere() {
    let disk = SimDisk::new(7);
    let log = opened(&disk);
    commit(&log, &[1; 100], Durability::Synced);
    let mut frame = Frame::record(&[2; 100], &[]).unwrap();
    let placed = log.append(&mut frame, Durability::Synced, Urgency::Ordinary).unwrap();
    let (before, answered) = (disk.counts(), log.acknowledged.get());
    log.halt(&Error::new(ErrorKind::Io, "the catalog could not be replaced"));
    assert!(!log.write_until(Lsn::MAX), "who comes now");
    log.writing.store(true, Ordering::Release);
    let next = log.next(&mut log.order.lock(), placed.end, &mut 1);
    assert!(matches!(next, Next::Rest), "who was writing then");
    assert!(!log.writing.load(Ordering::Acquire));
    assert_eq!((disk.counts(), log.acknowledged.get()), (before, answered));
    assert_eq!(log.wait(placed).unwrap_err().kind(), ErrorKind::Unknown);
}
