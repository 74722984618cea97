use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::*;
use crate::clock::OsClock;
use crate::draw::Draw;
use crate::env::{Env, Threads};
use crate::error::{Error, ErrorKind, Result};
use crate::format::frame::Frame;
use crate::format::group::GROUP_FRAME_BYTES;
use crate::group::Placed;
use crate::limits::BLOCK_BYTES;
use crate::log::{Log, Order};
use crate::lsn::Lsn;
use crate::open::open;
use crate::options::{Durability, Options};
use crate::place::Urgency;
use crate::schedule::{pause, share};
use crate::sim::{Choice, Failure, Fault, SimDisk, When, alone};
use crate::vfs::OpenMode;
use crate::wal::{Append, Wal};

/// Records that are written on the simulated disk before a stretch is there, which the last of them asks for.
const AFTER: u64 = 3;

fn options() -> Options {
    Options { segment_bytes_max: 4 << 20, ..Options::default() }
}

fn opened_by(disk: &SimDisk, options: Options) -> Arc<Log> {
    open(alone(disk), Path::new("/store"), options).unwrap().0
}

fn opened(disk: &SimDisk) -> Arc<Log> {
    opened_by(disk, options())
}

fn try_commit(log: &Log, head: &[u8], durability: Durability) -> Result<()> {
    let mut frame = Frame::record(head, &[]).unwrap();
    log.wait(log.append(&mut frame, durability, Urgency::Ordinary)?)
}

fn commit(log: &Log, head: &[u8]) {
    try_commit(log, head, Durability::Buffered).unwrap();
}

/// Commits small records until one of them is stored, and says how many were: those that lie in one block with what was written
/// before it was asked for a stretch are written.
fn until_stored(log: &Log, disk: &SimDisk) -> u64 {
    let before = disk.counts().stores;
    let small = (1..=BLOCK_BYTES / GROUP_FRAME_BYTES as u64).find(|_| {
        commit(log, b"small");
        disk.counts().stores > before
    });
    small.expect("the next block is stored to")
}

/// True where there is a stretch.
fn has_any(log: &Log) -> bool {
    let order = log.order.lock();
    order.mapped.now.is_some() || order.mapped.next.is_some()
}

fn head_of(n: usize, bytes: usize) -> Vec<u8> {
    let mut head = vec![n as u8; bytes];
    head[..8].copy_from_slice(&n.to_le_bytes());
    head
}

fn heads(disk: SimDisk) -> Vec<Vec<u8>> {
    let wal = Wal::open_in(alone(&disk), Path::new("/store"), options()).unwrap();
    wal.replay(Lsn::NONE).unwrap().map(|record| record.unwrap().head.to_vec()).collect()
}

/// Records of several lengths, so that they end anywhere in a block; with some that are written by a call among them.
fn length_of(n: usize) -> usize {
    match n % 97 {
        50 => 3 * STORED_BYTES_MAX as usize,
        rest => 8 + 37 * rest,
    }
}

#[test]
fn groups_are_stored_once_many_came_without_a_sync() {
    let disk = SimDisk::new(1);
    let log = opened(&disk);
    for round in 1..=4 {
        let before = disk.counts().stores;
        (1..AFTER).for_each(|_| commit(&log, b"few"));
        assert!(!has_any(&log), "round {round}");
        commit(&log, b"one more");
        assert!(has_any(&log), "round {round}");
        until_stored(&log, &disk);
        (0..3).for_each(|_| commit(&log, b"many"));
        assert_eq!(disk.counts().stores, before + 4, "round {round}");
        match round {
            1 | 2 => _ = log.sync_placed().unwrap(),
            _ => try_commit(&log, b"synced", Durability::Synced).unwrap(),
        }
        assert!(!has_any(&log), "what is synced is ready no more");
    }
}

#[test]
fn behind_a_sync_of_much_that_was_stored_a_long_stretch_is_made_at_once() {
    let disk = SimDisk::new(1);
    let one_segment = Options { segment_bytes_min: 4 << 20, ..options() };
    let log = opened_by(&disk, Options { sync_after_bytes: u64::MAX, ..one_segment });
    for (bytes, goes_on) in
        [(GOES_ON_BYTES / 2, false), (GOES_ON_BYTES + STRETCH_BYTES_MAX, true), (0, false)]
    {
        let from = log.order.lock().frames.tail();
        while log.order.lock().frames.tail().bytes_since(from).unwrap() < bytes {
            commit(&log, &[7; 3000]);
        }
        log.sync_placed().unwrap();
        commit(&log, b"behind it");
        assert_eq!(has_any(&log), goes_on, "{bytes} bytes were stored");
        let order = log.order.lock();
        let made = order.mapped.now.iter().chain(&order.mapped.next).map(|made| made.range.clone()).next();
        assert_eq!(made.is_some_and(|range| range.end - range.start == STRETCH_BYTES_MAX), goes_on);
    }
}

#[test]
fn log_whose_files_are_not_to_be_mapped_stores_nothing() {
    let disk = SimDisk::new(1);
    let log = opened_by(&disk, Options { access: Access::Pread, ..options() });
    (0..100).for_each(|_| commit(&log, b"written"));
    assert_eq!(disk.counts().stores, 0);
}

#[test]
fn what_was_stored_is_read_replayed_and_survives_a_kill_at_once_and_a_power_cut_once_synced() {
    const RECORDS: usize = 6_000;
    let disk = SimDisk::new(1);
    let log = opened_by(&disk, Options { sync_after_bytes: u64::MAX, ..options() }); // no sync is ever due
    (0..RECORDS).for_each(|n| commit(&log, &head_of(n, length_of(n))));
    let stores = disk.counts().stores as usize;
    assert!(stores > RECORDS / 97 * 95, "{stores} were stored");
    assert!(log.counters.segments.load(Ordering::Relaxed) > 2);
    disk.kill();
    let all: Vec<_> = (0..RECORDS).map(|n| head_of(n, length_of(n))).collect();
    assert!(heads(disk.restart()) == all, "every answered record is there, in order");

    let disk = disk.restart();
    let log = opened(&disk);
    (0..200).for_each(|n| commit(&log, &head_of(n, length_of(n))));
    log.sync_placed().unwrap();
    disk.cut_power();
    assert_eq!(heads(disk.reboot(Choice::KeepNone)).len(), RECORDS + 200);
}

#[test]
fn kill_in_the_middle_of_a_store_tears_no_record_and_loses_none_that_was_answered() {
    for seed in 0..300 {
        let disk = SimDisk::new(seed);
        let log = opened(&disk);
        let mut draw = Draw::from_seed(seed);
        let before = draw.below(60) as usize;
        (0..before).for_each(|n| commit(&log, &head_of(n, length_of(n))));
        disk.order(When::Write(disk.counts().writes + 1), Fault::KillInside);
        let torn = head_of(before, length_of(before));
        try_commit(&log, &torn, Durability::Buffered).unwrap_err();
        let found = heads(disk.restart());
        let all: Vec<_> = (0..before).map(|n| head_of(n, length_of(n))).collect();
        assert!(found[..before.min(found.len())] == all, "seed {seed}: {} of {before}", found.len());
        assert!(found.len() == before || found[before..] == [torn], "seed {seed}: whole, or not there");
    }
}

#[test]
fn power_cut_leaves_all_that_was_synced_before_stores_and_a_log_that_goes_on() {
    for seed in 0..300 {
        let disk = SimDisk::new(seed);
        let log = opened(&disk);
        let mut draw = Draw::from_seed(seed);
        let synced = draw.below(30) as usize;
        (0..synced).for_each(|n| commit(&log, &head_of(n, length_of(n))));
        log.sync_placed().unwrap();
        let all = synced + draw.below(60) as usize;
        (synced..all).for_each(|n| commit(&log, &head_of(n, length_of(n))));
        disk.cut_power();
        let disk = disk.reboot_by(&mut draw);
        let found = heads(disk.restart());
        assert!((synced..=all).contains(&found.len()), "seed {seed}: {} of {synced} to {all}", found.len());
        for (n, head) in found.iter().enumerate() {
            assert!(*head == head_of(n, length_of(n)), "seed {seed}: record {n}");
        }
        let log = opened(&disk);
        (0..10).for_each(|_| commit(&log, b"behind"));
        disk.kill();
        assert_eq!(heads(disk.restart()).len(), found.len() + 10, "seed {seed}");
    }
}

#[test]
fn what_the_system_does_not_make_ready_is_written_and_tried_again_later() {
    let (map, zeros, prepare) = (1, 2, 3);
    for refused in [map, zeros, prepare] {
        let disk = SimDisk::new(1);
        let log = opened(&disk);
        (1..AFTER).for_each(|_| commit(&log, b"few"));
        let counts = disk.counts();
        disk.order(When::Call(counts.calls + refused), Fault::Fail(Failure::Full));
        (0..2).for_each(|_| commit(&log, b"written"));
        assert!(!has_any(&log) && !log.order.lock().mapped.is_zeroing(), "call {refused} was refused");
        commit(&log, b"tried again");
        assert!(has_any(&log), "call {refused} was refused");
        let later = until_stored(&log, &disk);
        disk.kill();
        assert_eq!(heads(disk.restart()).len() as u64, AFTER + 2 + later);
    }
}

#[test]
fn store_that_fails_halts_the_log() {
    let disk = SimDisk::new(1);
    let log = opened(&disk);
    until_stored(&log, &disk);
    disk.order(When::Write(disk.counts().writes + 1), Fault::FailHalfway(Failure::Io));
    assert_eq!(try_commit(&log, b"bad", Durability::Buffered).unwrap_err().kind(), ErrorKind::Unknown);
    assert_eq!(try_commit(&log, b"no more", Durability::Buffered).unwrap_err().kind(), ErrorKind::Halted);
}

/// A log in which small records are stored, and one that waits as if somebody were writing.
fn with_one_waiting(disk: &SimDisk) -> (Arc<Log>, Placed) {
    let log = opened(disk);
    until_stored(&log, disk);
    log.writing.store(true, Ordering::Release);
    let mut frame = Frame::record(b"waits", &[]).unwrap();
    let placed = log.append(&mut frame, Durability::Buffered, Urgency::Ordinary).unwrap();
    log.writing.store(false, Ordering::Release);
    assert_eq!((disk.counts().stores, log.acknowledged.get() < placed.end), (1, true));
    (log, placed)
}

#[test]
fn group_that_waited_is_stored_and_what_may_not_be_stored_behind_it_is_written() {
    let disk = SimDisk::new(1);
    let (log, first) = with_one_waiting(&disk);
    let counts = disk.counts();
    log.order.lock().frames.cut();
    log.writing.store(true, Ordering::Release);
    let mut frame = Frame::record(&head_of(7, 2 * STORED_BYTES_MAX as usize), &[]).unwrap();
    let large = log.append(&mut frame, Durability::Buffered, Urgency::Ordinary).unwrap();
    log.writing.store(false, Ordering::Release);
    assert!(log.write_until(large.end), "there was something to do");
    assert!(first.end < large.lsn && log.acknowledged.get() >= large.end, "both have their answer");
    let now = disk.counts();
    assert_eq!((now.stores, now.writes), (counts.stores + 1, counts.writes + 2));
}

#[test]
fn record_whose_store_failed_is_still_read_as_others_are_whose_write_failed() {
    let disk = SimDisk::new(1);
    let (log, placed) = with_one_waiting(&disk);
    disk.order(When::Write(disk.counts().writes + 1), Fault::Fail(Failure::Io));
    assert_eq!(log.wait(placed).unwrap_err().kind(), ErrorKind::Unknown);
    assert!(log.order.lock().bytes_at(placed.lsn, 21).is_some(), "its header and head");

    let disk = SimDisk::new(1);
    let log = opened(&disk);
    until_stored(&log, &disk);
    disk.order(When::Write(disk.counts().writes + 1), Fault::Fail(Failure::Io));
    let mut frame = Frame::record(b"alone", &[]).unwrap();
    let placed = log.append(&mut frame, Durability::Buffered, Urgency::Ordinary).unwrap();
    assert!(log.order.lock().bytes_at(placed.lsn, 21).is_some(), "it waits for a write that will be refused");
    assert_eq!(log.wait(placed).unwrap_err().kind(), ErrorKind::Unknown);
    assert!(log.order.lock().bytes_at(placed.lsn, 21).is_some());
}

#[test]
fn group_that_goes_where_zeros_are_being_written_waits_for_them() {
    let disk = SimDisk::new(1);
    let log = opened(&disk);
    commit(&log, b"before");
    let mut order = log.order.lock();
    let segment = order.frames.active().unwrap().clone();
    let tail = segment.file_offset(order.frames.tail());
    order.mapped.zeroed = Some((segment.clone(), tail..tail + BLOCK_BYTES));
    drop(order);
    let done = AtomicBool::new(false);
    share(2, |thread| {
        if thread == 0 {
            commit(&log, b"behind zeros");
            assert!(done.load(Ordering::Acquire), "they were there before");
            return;
        }
        while segment.file_offset(log.order.lock().frames.tail()) == tail {
            std::thread::yield_now();
        }
        pause(Duration::from_millis(5)); // enough to be written, if it did not wait
        write_zeros(&*segment.file, tail..tail + BLOCK_BYTES).unwrap();
        done.store(true, Ordering::Release);
        log.end_zeros(log.env.clock.monotonic());
    });
    disk.kill();
    assert_eq!(heads(disk.restart()), [&b"before"[..], b"behind zeros"]);
}

#[test]
fn zeros_are_written_where_nothing_was_placed_since_and_left_out_where_they_take_long() {
    let disk = SimDisk::new(1);
    let log = opened(&disk);
    commit(&log, b"before");
    let mut frame = Frame::record(b"waits to be written", &[]).unwrap();
    log.append(&mut frame, Durability::Buffered, Urgency::Ordinary).unwrap();
    assert!(log.accepted.get() < log.order.lock().frames.tail());
    let mut order = log.order.lock();
    let Order { mapped, frames, .. } = &mut *order;
    let segment = frames.active().unwrap().clone();
    let tail = segment.file_offset(frames.tail());
    let block = tail.next_multiple_of(BLOCK_BYTES);
    let entry = *log.catalog.lock().segments.last().unwrap();
    let wanted = Wanted { segment, range: block..block + BLOCK_BYTES, syncs: mapped.syncs };
    for (start, making) in [(block, Some(Making::Zeros)), (tail, Some(Making::Zeros)), (tail - 1, None)] {
        assert_eq!(mapped.begin_part(&wanted, &(start..block + BLOCK_BYTES), frames), making, "{start}");
        mapped.end_zeros(SLOW);
    }
    mapped.begin_part(&wanted, &wanted.range, frames);
    mapped.end_zeros(2 * SLOW);
    for part in 0..2 * PLAIN_PARTS {
        let making = if part < PLAIN_PARTS { Making::Plain } else { Making::Zeros };
        assert_eq!(mapped.begin_part(&wanted, &wanted.range, frames), Some(making), "part {part}");
        assert_eq!(mapped.is_zeroed(&wanted.segment, &wanted.range), making == Making::Zeros);
    }
    let other = Arc::new(
        Segment::open(&disk, Path::new("/store"), &entry, log.store, Access::Pread, OpenMode::Write).unwrap(),
    );
    let elsewhere = Wanted { segment: other, range: wanted.range.clone(), syncs: mapped.syncs };
    assert_eq!(mapped.begin_part(&elsewhere, &elsewhere.range, frames), None, "not the active segment");
    mapped.begin_sync();
    assert_eq!(mapped.begin_part(&wanted, &wanted.range, frames), None, "a sync began since");
}

#[test]
fn stretch_ends_where_a_sync_is_due_and_what_is_ready_is_stored_to_until_then() {
    let disk = SimDisk::new(1);
    let sync_after_bytes = 3 * STEP_BYTES;
    let one_segment = Options { segment_bytes_min: 4 << 20, ..options() };
    let log = opened_by(&disk, Options { sync_after_bytes, ..one_segment });
    until_stored(&log, &disk);
    let mut written = 0;
    while log.order.lock().unsynced.is_some_and(|(_, bytes)| bytes < sync_after_bytes) {
        let before = disk.counts();
        commit(&log, &[7; 2000]);
        let is_stored = disk.counts().stores > before.stores;
        let order = log.order.lock();
        let ready = order.mapped.now.iter().chain(&order.mapped.next).map(|stretch| stretch.range.end).max();
        let due = DATA_OFFSET + sync_after_bytes + 3 * STEP_BYTES;
        assert!(ready.is_some_and(|end| end <= due), "{ready:?}");
        written += usize::from(!is_stored);
    }
    assert!(written <= 1, "{written} were written, though the next stretch was asked for before");
}

#[test]
fn log_that_halts_or_is_closed_has_nothing_mapped() {
    for halts in [false, true] {
        let disk = SimDisk::new(1);
        let log = opened(&disk);
        until_stored(&log, &disk);
        assert!(log.order.lock().mapped.now.is_some());
        match halts {
            true => _ = log.halt(&Error::new(ErrorKind::Io, "for a test")),
            false => log.close_down().unwrap(),
        }
        let order = log.order.lock();
        assert!(order.mapped.now.is_none() && order.mapped.next.is_none() && !order.mapped.has_spent());
    }
}

#[test]
fn threads_that_store_and_sync_beside_each_other_lose_nothing() {
    const THREADS: usize = 4;
    const EACH_MAX: usize = 50_000;
    const STORES: u64 = 400;
    let disk = SimDisk::new(1);
    let env = Env { clock: Arc::new(OsClock), threads: Threads::Own, ..alone(&disk) };
    let wal = Wal::open_in(env, Path::new("/store"), options()).unwrap();
    let answered = share(THREADS, |thread| {
        let mut answered = 0;
        while answered < EACH_MAX && disk.counts().stores < STORES {
            let n = thread * EACH_MAX + answered;
            let durability = if n.is_multiple_of(1_009) { Durability::Synced } else { Durability::Buffered };
            let how = Append { durability, ..Append::default() };
            wal.commit(Frame::record(&head_of(n, length_of(n)), &[]).unwrap(), how).unwrap();
            answered += 1; // it is left to the threads how often a stretch is ready
        }
        answered
    });
    assert!(disk.counts().stores >= STORES, "{:?}", disk.counts());
    disk.kill();
    let mut found = heads(disk.restart());
    found.sort_unstable_by_key(|head| usize::from_le_bytes(head[..8].try_into().unwrap()));
    let of = |(thread, answered): (usize, usize)| (0..answered).map(move |n| thread * EACH_MAX + n);
    let all = answered.into_iter().enumerate().flat_map(of).map(|n| head_of(n, length_of(n)));
    let all = all.collect::<Vec<_>>();
    assert!(found == all, "{} found, {} answered", found.len(), all.len());
}
