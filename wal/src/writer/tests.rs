use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::*;
use crate::clock::{Clock, OsClock};
use crate::draw::Draw;
use crate::env::Env;
use crate::format::frame::Frame;
use crate::group::Placed;
use crate::keeper::Marking;
use crate::limits::BLOCK_BYTES;
use crate::open::open;
use crate::options::{Durability, Options};
use crate::place::Urgency;
use crate::schedule::share;
use crate::segment::file::Access;
use crate::sim::{Choice, Failure, Fate, Fault, SimDisk, What, When, alone};
use crate::turns::{TURNS, Turns};
use crate::wal::{Append, Wal};

fn options() -> Options {
    Options { access: Access::Pread, segment_bytes_max: 2 << 20, ..Options::default() }
}

fn opened(disk: &SimDisk) -> Arc<Log> {
    open(alone(disk), Path::new("/store"), options()).unwrap().0
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
    let wal = Wal::open_in(alone(&disk), Path::new("/store"), options()).unwrap();
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
    let ticket = crate::ticket::Ticket::new(crate::sync::Shares::new(&log).share(), placed);
    assert_eq!(ticket.try_result().unwrap().unwrap_err().kind(), ErrorKind::Unknown);
    assert_eq!(log.wait(placed).unwrap_err().kind(), ErrorKind::Unknown);
    assert!(!log.write_until(Lsn::MAX));
    assert_eq!(log.read_part(placed.lsn, 20, 1).unwrap_err().kind(), ErrorKind::Forked);
    assert_eq!(disk.counts(), before);
}

#[test]
fn child_of_a_fork_gives_up_what_it_inherited_of_the_lock() {
    let disk = SimDisk::new(4);
    let mut log = opened(&disk);
    let again = || open(alone(&disk), Path::new("/store"), options());
    log.leave();
    assert_eq!(again().unwrap_err().kind(), ErrorKind::Locked, "not in the process that opened the log");
    Arc::get_mut(&mut log).unwrap().process += 1;
    let held = log.lock.lock();
    log.leave(); // a thread that is not there has it for ever
    drop(held);
    assert_eq!(again().unwrap_err().kind(), ErrorKind::Locked);
    log.leave();
    assert!(again().is_ok());
}

#[cfg(not(miri))]
#[test]
fn log_is_opened_again_while_a_child_of_its_process_stands_before_its_exec() {
    let dir = tempfile::tempdir().unwrap();
    let at_once = || Wal::open_with(dir.path(), Options { lock_wait: Duration::ZERO, ..Options::default() });
    let log = at_once().unwrap();
    let (closed, again) = crate::raw::beside_a_child(|| (log.close(), at_once()));
    assert!(closed.is_ok());
    again.unwrap().close().unwrap();
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
                match log.try_place(&mut frame, how, |_| ()) {
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
    let next = log.next(&mut log.order.lock(), true, placed.end, &mut 1);
    assert!(matches!(next, Next::Rest), "who was writing then");
    assert!(!log.writing.load(Ordering::Acquire));
    assert_eq!((disk.counts(), log.acknowledged.get()), (before, answered));
    assert_eq!(log.wait(placed).unwrap_err().kind(), ErrorKind::Unknown);
}

fn threaded(disk: &SimDisk) -> Env {
    Env { threads: Threads::Own, clock: Arc::new(OsClock), ..alone(disk) }
}

/// A log whose own threads were not started, so that nothing happens but what the test asks for.
fn shared(disk: &SimDisk) -> Arc<Log> {
    let log = open(threaded(disk), Path::new("/store"), options()).unwrap().0;
    commit(&log, &[1; 100], Durability::Synced);
    log
}

fn place(log: &Log, durability: Durability) -> Placed {
    log.append(&mut Frame::record(&[2; 100], &[]).unwrap(), durability, Urgency::Ordinary).unwrap()
}

fn until(what: &str, done: impl Fn() -> bool) {
    let begun = OsClock.monotonic();
    while !done() {
        assert!(OsClock.monotonic() - begun < Duration::from_secs(60), "never: {what}");
        std::thread::yield_now();
    }
}

/// Two groups under way at once, the sync of the first held: what both were answered once it goes on, which is when `then`,
/// run beside the two, comes to its end.
fn beside(log: &Log, disk: &SimDisk, then: impl Fn(Placed, Placed) + Sync) -> [Result<()>; 2] {
    disk.hold_sync(disk.counts().syncs + 1);
    let first = place(log, Durability::Synced);
    let (second, answered) = (OnceLock::new(), AtomicU64::new(0));
    let wait = |placed| {
        let answer = log.wait(placed);
        if answered.fetch_add(1, Ordering::AcqRel) == 1 {
            log.order.lock().stop = true;
            log.hand_over.notify_all();
        }
        Some(answer)
    };
    let answers = share(4, |n| match n {
        0 => wait(first),
        1 => {
            until("the first is being synced", || disk.standing() == 1);
            wait(*second.get_or_init(|| place(log, Durability::Synced)))
        }
        2 => {
            until("the second has its place", || second.get().is_some());
            then(first, *second.get().unwrap());
            disk.let_go();
            None
        }
        _ => {
            log.run_writer();
            None
        }
    });
    answers.into_iter().flatten().collect::<Vec<_>>().try_into().unwrap()
}

/// What somebody places behind a group that is being written, where an answer is looked for and where none is: how far it reaches.
fn left_behind_a_group(awake: bool, place_behind: impl Fn(&Log) -> Lsn) {
    let log = shared(&SimDisk::new(12));
    let first = place(&log, Durability::Buffered);
    let taken = log.take(&mut log.order.lock()).unwrap();
    let end = place_behind(&log);
    log.awake.store(u32::from(awake), Ordering::SeqCst);
    let mut favours = FAVOURS;
    let next = log.write(taken, |order, ours| log.next(order, ours, first.end, &mut favours));
    assert_eq!(log.writing.load(Ordering::SeqCst), !awake);
    match next {
        Some(Next::Write(taken)) if !awake => _ = log.write(taken, |_, _| ()),
        Some(Next::Rest) if awake => {
            assert!(log.accepted.get() < end && log.left.load(Ordering::SeqCst));
            log.awake.store(0, Ordering::SeqCst);
            assert!(log.looks(first.end), "whose answer is there already");
        }
        _ => panic!("somebody is awake: {awake}"),
    }
    assert!(log.accepted.get() >= end && !log.left.load(Ordering::SeqCst));
    assert_eq!(log.acknowledged.get(), log.accepted.get());
}

#[test]
fn what_waits_without_a_sync_is_left_to_who_looks_for_an_answer_and_written_by_them() {
    for awake in [true, false] {
        left_behind_a_group(awake, |log| place(log, Durability::Buffered).end);
        left_behind_a_group(awake, |log| log.order.lock().frames.cut().unwrap().0); // a mark, and no record
    }
}

#[test]
fn who_has_an_answer_syncs_nothing_for_others() {
    let disk = SimDisk::new(14);
    let log = shared(&disk);
    let first = place(&log, Durability::Buffered);
    log.wait(first).unwrap();
    place(&log, Durability::Synced);
    let syncs = disk.counts().syncs;
    assert!(!log.write_until(first.end));
    assert!(log.writing.load(Ordering::SeqCst) && log.order.lock().handed, "a writer thread is to do it");
    assert_eq!(disk.counts().syncs, syncs);
}

#[test]
fn answer_that_comes_before_the_keeper_rests_is_not_slept_over() {
    let log = opened(&SimDisk::new(15));
    commit(&log, &[1; 100], Durability::Synced);
    log.write_mark(Marking::Idle).unwrap();
    assert!(log.rests(None));
    assert!(log.keeper.sleeps());
    log.keeper.wake(); // it looked what is due, and does not rest yet
    commit(&log, &[1; 100], Durability::Buffered);
    assert!(!log.rests(None), "what was written has to be synced within a second");
    assert!(!log.keeper.sleeps());
}

#[test]
fn answer_that_asks_for_something_before_the_keepers_alarm_wakes_it() {
    let log = opened(&SimDisk::new(17));
    commit(&log, &[1; 100], Durability::Buffered);
    let alarm = log.tick().map(|after| log.env.clock.boot() + after);
    assert!(log.rests(alarm) && log.keeper.sleeps(), "until what was written is to be synced");
    commit(&log, &[1; 100], Durability::Buffered);
    assert!(log.keeper.sleeps(), "that sync is for both");
    commit(&log, &[1; 100], Durability::Synced);
    assert!(!log.keeper.sleeps() && log.keeper.state.lock().rung, "a mark is to follow much sooner");
    assert!(!log.rests(alarm), "nor does it sleep so long where it comes to that behind the answer");
    let alarm = log.tick().map(|after| log.env.clock.boot() + after);
    assert!(log.rests(alarm) && log.keeper.sleeps());
}

#[test]
fn two_syncs_beside_each_other_leave_nothing_for_the_keeper_to_sync() {
    let disk = SimDisk::new(18);
    let log = shared(&disk);
    let [first, second] = [(); 2].map(|()| {
        commit(&log, &[1; 100], Durability::Buffered);
        let (through, segment) = log.order.lock().frames.cut().unwrap();
        assert!(log.write_until(through));
        (through, segment)
    });
    disk.hold_sync(disk.counts().syncs + 1);
    share(2, |n| match n {
        0 => log.sync_cut(second.0, &second.1).unwrap(),
        _ => {
            until("the second syncs", || disk.standing() == 1);
            log.sync_cut(first.0, &first.1).unwrap(); // which finds that more was written than it will make durable
            assert_eq!((log.durable.get(), log.accepted.get()), (first.0, second.0));
            disk.let_go();
        }
    });
    assert_eq!(log.durable.get(), log.accepted.get());
    assert_eq!(log.order.lock().unsynced, None, "else the keeper has it synced again and again");
}

#[test]
fn whatever_many_commit_without_a_sync_gets_written_though_nobody_waits_for_some_of_it() {
    let wal = Wal::open_in(threaded(&SimDisk::new(13)), Path::new("/store"), options()).unwrap();
    let append = |head: u8| {
        let how = Append { durability: Durability::Buffered, ..Append::default() };
        wal.append_frame(Frame::record(&[head; 40], &[]).unwrap(), how).unwrap()
    };
    let placed = share(6, |me| {
        let tickets = (0..1_000).map(|n| {
            if n % 16 == 0 && me == 0 {
                wal.sync().unwrap(); // a mark of its own, where nothing waits
            }
            Some(append(me as u8)).filter(|_| (n + me) % 3 > 0)
        });
        tickets.flatten().map(|ticket| ticket.wait().unwrap()).max()
    });
    let last = append(9).wait().unwrap();
    assert!(placed.into_iter().all(|placed| placed < Some(last)));
    assert_eq!(wal.stats().records, 6_001);
}

#[test]
fn group_that_is_synced_first_is_answered_behind_those_before_it() {
    let disk = SimDisk::new(8);
    let log = shared(&disk);
    let before = disk.counts().syncs;
    let answers = beside(&log, &disk, |first, second| {
        until("the second is synced", || log.order.lock().unanswered.is_done(1));
        assert_eq!(disk.counts().syncs, before + 2);
        assert!(log.acknowledged.get() <= first.lsn && log.durable.get() <= first.lsn, "nothing is answered");
        assert!(log.accepted.get() >= second.end);
        let buffered = [(); 2].map(|()| place(&log, Durability::Buffered));
        assert!(!log.write_until(buffered[1].end), "with company it is the writer thread's");
        until("what no sync follows is written meanwhile", || log.accepted.get() >= buffered[1].end);
        assert!(log.acknowledged.get() <= first.lsn, "and waits for its answer like all others");
    });
    answers.into_iter().for_each(Result::unwrap);
    let tail = log.order.lock().frames.tail();
    assert!(log.acknowledged.get() == tail && log.durable.get() < tail);
    assert!(log.order.lock().unanswered.is_empty());
    drop(log);
    assert_eq!(heads(disk.reboot(Choice::KeepNone)).len(), 5, "the sync of the first came last");
}

#[test]
fn nothing_is_answered_behind_a_group_whose_sync_failed() {
    let disk = SimDisk::new(9);
    let log = shared(&disk);
    let answered = log.acknowledged.get();
    disk.order(When::Sync(disk.counts().syncs + 1), Fault::Fail(Failure::Io));
    let answers = beside(&log, &disk, |_, _| {
        until("the second is synced", || log.order.lock().unanswered.is_done(1));
    });
    assert_eq!(answers.map(|answer| answer.unwrap_err().kind()), [ErrorKind::Unknown; 2]);
    assert_eq!((log.acknowledged.get(), log.durable.get()), (answered, answered));
}

#[test]
fn sync_that_fails_beside_another_is_told_to_both() {
    let disk = SimDisk::new(10);
    let log = shared(&disk);
    disk.order(When::Sync(disk.counts().syncs + 2), Fault::Fail(Failure::Io)); // it loses what the first was to sync
    let answers = beside(&log, &disk, |_, _| until("the second failed", || log.failure.get().is_some()));
    assert_eq!(answers.map(|answer| answer.unwrap_err().kind()), [ErrorKind::Unknown; 2]);
}

#[test]
fn power_cut_that_tears_the_first_of_two_groups_takes_the_second_with_it() {
    let disk = SimDisk::new(14);
    let log = shared(&disk);
    disk.hold_sync(disk.counts().syncs + 2);
    let answers = beside(&log, &disk, |first, second| {
        until("both are being synced", || disk.standing() == 2);
        let segment = active(&log);
        let sector = |lsn| segment.file_offset(lsn) / 512;
        let torn = disk.reboot_with(|pending| match pending.what {
            What::Sector { sector: at, .. } if at == sector(first.lsn) => Fate::Old,
            _ => Fate::New,
        });
        assert_eq!(heads(torn), [vec![1; 100]], "the second is whole, and behind a hole");
        let whole = disk.reboot_with(|pending| match pending.what {
            What::Sector { sector: at, .. } if at == sector(second.lsn) => Fate::Old,
            _ => Fate::New,
        });
        assert_eq!(heads(whole).len(), 2, "the first stands by itself");
        let mut draw = Draw::from_seed(14);
        for _ in 0..200 {
            let found = heads(disk.reboot_by(&mut draw));
            assert!((1..=3).contains(&found.len()) && found[0] == [1; 100], "{}", found.len());
        }
    });
    answers.into_iter().for_each(Result::unwrap);
    assert_eq!(heads(disk.reboot(Choice::KeepNone)).len(), 3);
}

#[test]
fn group_that_waits_for_the_keepers_turn_is_written_behind_it() {
    let disk = SimDisk::new(15);
    let log = opened(&disk); // one turn, no threads
    commit(&log, &[1; 100], Durability::Buffered);
    disk.hold_sync(disk.counts().syncs + 1);
    share(3, |n| match n {
        0 => _ = log.sync_placed().unwrap(),
        1 => {
            until("the keeper syncs", || disk.standing() == 1);
            log.wait(place(&log, Durability::Synced)).unwrap();
        }
        _ => {
            until("the group waits", || log.order.lock().frames.has_work());
            for _ in 0..1_000 {
                std::thread::yield_now();
                assert!(log.order.lock().frames.has_work(), "there is no second turn");
            }
            disk.let_go();
        }
    });
    assert_eq!(log.durable.get(), log.order.lock().frames.tail());
}

#[test]
fn mark_that_fell_due_before_the_log_was_closed_is_not_written_behind_its_end() {
    let disk = SimDisk::new(16);
    let log = opened(&disk);
    commit(&log, &[1; 100], Durability::Synced);
    log.close_down().unwrap();
    let (end, writes) = (log.order.lock().frames.tail(), disk.counts().writes);
    log.write_mark(Marking::Idle).unwrap(); // as the keeper does that looked before
    assert_eq!((log.order.lock().frames.tail(), disk.counts().writes), (end, writes));
    drop(log);
    assert!(open(alone(&disk), Path::new("/store"), options()).unwrap().1.clean);
}

#[test]
fn turns_go_through_openings_of_their_own() {
    for first_fails in [true, false] {
        let disk = SimDisk::new(11);
        let log = shared(&disk);
        let mut turns = Turns::new(TURNS);
        let (first, second) = (turns.take().unwrap(), turns.take().unwrap());
        let (fails, hears) = if first_fails { (first, second) } else { (second, first) };
        disk.order(When::Sync(disk.counts().syncs + 1), Fault::Fail(Failure::Io));
        let segment = active(&log);
        let other = segment.beside.get().unwrap();
        // not through the latch, which would refuse whatever comes next
        if fails.is_first() { segment.file.sync() } else { other.sync() }.unwrap_err();
        log.sync_segment(&segment, hears).unwrap_err();
    }
}

#[test]
fn segment_is_begun_when_everything_before_it_is_answered() {
    let disk = SimDisk::new(12);
    let log = shared(&disk);
    let end = active(&log).capacity_end();
    while log.order.lock().frames.tail().plus(2 * BLOCK_BYTES) < end {
        commit(&log, &[1; 100], Durability::Synced);
    }
    log.prepare_ahead().unwrap();
    let (old, writes) = (active(&log), disk.counts().writes);
    let answers = beside(&log, &disk, |_, second| {
        assert!(!Arc::ptr_eq(&active(&log), &old) && second.lsn >= end, "it stands in the next segment");
        until("it waits", || log.writing.load(Ordering::Acquire));
        for _ in 0..1_000 {
            std::thread::yield_now();
            assert_eq!(
                disk.counts().writes,
                writes + 1,
                "nothing is written before the first has its answer"
            );
        }
    });
    answers.into_iter().for_each(Result::unwrap);
    assert!(old.beside.get().is_none(), "nobody will sync it again");
    drop(log);
    let found = heads(disk.reboot(Choice::KeepNone)).len();
    assert!(found > 2, "{found}");
}

#[test]
fn log_goes_on_with_one_sync_at_a_time_where_no_second_opening_is_to_be_had() {
    let mut reduced = 0;
    for call in 1..60 {
        let disk = SimDisk::new(13);
        let log = open(threaded(&disk), Path::new("/store"), options()).unwrap().0;
        disk.order(When::Call(disk.counts().calls + call), Fault::Fail(Failure::Io));
        let mut frame = Frame::record(&[1; 100], &[]).unwrap();
        let Ok(placed) = log.append(&mut frame, Durability::Synced, Urgency::Ordinary) else { continue };
        let done = log.wait(placed).is_ok();
        if done && log.order.lock().turns.most() == 1 {
            reduced += 1;
            let answers = beside(&log, &disk, |_, second| {
                for _ in 0..1_000 {
                    std::thread::yield_now();
                    assert!(
                        log.accepted.get() < second.end,
                        "{call}: it is written behind the sync of the first"
                    );
                }
            });
            answers.into_iter().for_each(Result::unwrap);
        }
    }
    assert_eq!(reduced, 1, "one call opens the file a second time");
}
