use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use super::*;
use crate::env::Env;
use crate::format::header::DATA_OFFSET;
use crate::options::{Durability, Options};
use crate::sim::{self, Sim};
use crate::{Append, Frame, Wal};

fn open(sim: &mut Sim) -> Wal {
    let options = Options { segment_bytes_min: 16 << 10, segment_bytes_max: 32 << 10, ..Options::default() };
    Wal::open_in(sim.env(), sim.dir(), options).unwrap()
}

fn append(log: &Wal, head: &str, bytes: usize) -> Lsn {
    log.append(head.as_bytes(), &vec![7; bytes]).unwrap().wait().unwrap()
}

fn buffer(log: &Wal, head: &str) -> Lsn {
    let how = Append { durability: Durability::Buffered, ..Append::default() };
    log.commit(Frame::record(head.as_bytes(), &[]).unwrap(), how).unwrap()
}

fn heads(follower: &mut Follower) -> Vec<String> {
    let records = std::iter::from_fn(|| follower.try_next().unwrap());
    records.map(|record| String::from_utf8(record.head.to_vec()).unwrap()).collect()
}

#[test]
fn every_record_is_handed_out_once_and_in_order_over_many_segments() {
    let mut sim = Sim::new(1);
    let log = open(&mut sim);
    let mut follower = log.follow(Lsn::NONE);
    let mut expected = Vec::new();
    for n in 0..300 {
        append(&log, &format!("{n}"), n * 17 % 5000);
        expected.push(format!("{n}"));
        if n % 7 == 0 {
            assert_eq!(heads(&mut follower), std::mem::take(&mut expected), "as they come");
        }
    }
    assert_eq!(heads(&mut follower), expected);
    assert!(log.stats().segments > 10);
}

#[test]
fn a_follower_begins_at_any_place_with_the_first_record_not_before_it() {
    let mut sim = Sim::new(2);
    let log = open(&mut sim);
    let batch: Vec<Vec<u8>> = (0..40).map(|n: u32| n.to_string().into_bytes()).collect();
    for some in batch.chunks(5) {
        log.append_batch(some.iter().map(|head| (&head[..], &[9; 700][..])))
            .unwrap()
            .unwrap()
            .wait()
            .unwrap();
    }
    let places: Vec<Lsn> = log.replay(Lsn::NONE).unwrap().map(|record| record.unwrap().lsn).collect();
    assert_eq!(places.len(), 40);
    for (n, place) in places.iter().enumerate() {
        let expected: Vec<String> = (n..40).map(|n| n.to_string()).collect();
        assert_eq!(heads(&mut log.follow(*place)), expected, "at {place}");
        let behind = Lsn::from_raw(place.raw() + 1);
        assert_eq!(heads(&mut log.follow(behind)), expected[1..], "behind {place}");
    }
}

#[test]
fn what_is_not_durable_is_not_handed_out() {
    let mut sim = Sim::new(3);
    let log = open(&mut sim);
    let mut follower = log.follow(Lsn::NONE);
    append(&log, "synced", 0);
    buffer(&log, "buffered");
    assert_eq!(heads(&mut follower), ["synced"]);
    sim.advance(std::time::Duration::from_secs(2));
    assert!(follower.wait(None), "what is due is done where a thread would sleep");
    assert_eq!(heads(&mut follower), ["buffered"]);
    assert!(!follower.wait(None));
}

#[test]
fn after_a_crash_it_goes_on_behind_the_record_that_it_stood_at() {
    for seed in 0..20 {
        let mut sim = Sim::new(seed);
        let log = open(&mut sim);
        for n in 0..9 {
            append(&log, &format!("{n}"), 2000);
        }
        let mut follower = log.follow(Lsn::NONE);
        let seen: Vec<Lsn> = (0..4).map(|_| follower.try_next().unwrap().unwrap().lsn).collect();
        for n in 9..12 {
            buffer(&log, &format!("{n}"));
        }
        sim.cut_power();
        drop((follower, log));
        let log = open(&mut sim);
        append(&log, "new", 0);
        let rest = heads(&mut log.follow(Lsn::from_raw(seen[3].raw() + 1)));
        let kept = rest.len() - 1;
        assert!((5..=8).contains(&kept), "seed {seed}: {rest:?}");
        let expected: Vec<String> = (4..4 + kept).map(|n| n.to_string()).chain(["new".to_owned()]).collect();
        assert_eq!(rest, expected);
    }
}

#[test]
fn whoever_is_behind_what_was_given_up_is_told_from_where_it_is_whole() {
    let mut sim = Sim::new(4);
    let log = open(&mut sim);
    let mut slow = log.follow(Lsn::NONE);
    append(&log, "first", 0);
    assert_eq!(heads(&mut slow), ["first"]);
    let (mut at_end, mut all) = (log.follow(Lsn::NONE), Vec::new());
    for n in 0..60 {
        all.push(append(&log, &format!("{n}"), 3000));
    }
    assert_eq!(heads(&mut at_end).len(), 61);
    assert!(log.retire(all[40]).unwrap() > 0, "a follower holds nothing");
    let gone = slow.try_next().unwrap_err();
    let oldest = gone.lsn().unwrap();
    assert_eq!((gone.kind(), oldest), (ErrorKind::Gone, log.complete()));
    let rest = heads(&mut log.follow(oldest));
    assert_eq!(rest.len(), all.iter().filter(|lsn| **lsn >= oldest).count());
    assert_eq!(heads(&mut log.follow(Lsn::NONE)), rest, "from the oldest that there is");
    append(&log, "new", 0);
    assert_eq!(heads(&mut at_end), ["new"], "nothing is missing for one that had it all");
}

/// How a log is left before it is opened again.
const LEFT: [fn(&mut Sim, Wal); 3] = [
    |_, log| log.close().unwrap(),
    |sim, log| {
        sim.kill();
        drop(log);
    },
    |sim, log| {
        sim.cut_power();
        drop(log);
    },
];

#[test]
fn what_was_given_up_is_given_up_after_a_restart_too() {
    for leave in LEFT {
        let mut sim = Sim::new(4);
        let log = open(&mut sim);
        let all: Vec<Lsn> = (0..60).map(|n| append(&log, &format!("{n}"), 3000)).collect();
        log.retire(all[40]).unwrap();
        let (complete, newest) = (log.complete(), all[59].plus(1));
        let rest = heads(&mut log.follow(complete));
        assert!(complete > all[20] && !rest.is_empty());
        leave(&mut sim, log);
        for _ in 0..2 {
            let log = open(&mut sim);
            assert_eq!(log.complete(), complete);
            for lsn in all.iter().filter(|lsn| **lsn < complete) {
                let gone = log.follow(*lsn).try_next().unwrap_err();
                assert_eq!((gone.kind(), gone.lsn()), (ErrorKind::Gone, Some(complete)));
                assert!(log.may_be_given_up(*lsn).unwrap());
            }
            assert_eq!(heads(&mut log.follow(complete)), rest, "nothing is missing for one that had it all");
            assert_eq!(heads(&mut log.follow(Lsn::NONE)), rest);
            assert_eq!(heads(&mut log.follow(newest)), [""; 0]);
        }
    }
}

#[test]
fn where_every_segment_was_given_up_a_follower_learns_behind_which_place() {
    let mut sim = Sim::new(5);
    let log = open(&mut sim);
    let all: Vec<Lsn> = (0..20).map(|n| append(&log, &format!("{n}"), 3000)).collect();
    sim.kill();
    drop(log);
    let log = open(&mut sim);
    log.retire(Lsn::MAX).unwrap();
    let complete = log.complete();
    assert!(complete > all[19] && log.stats().segments == 0);
    log.close().unwrap();
    let log = open(&mut sim);
    assert_eq!(log.complete(), complete);
    let gone = log.follow(all[19]).try_next().unwrap_err();
    assert_eq!((gone.kind(), gone.lsn()), (ErrorKind::Gone, Some(complete)));
    append(&log, "new", 0);
    assert_eq!(heads(&mut log.follow(complete)), ["new"]);
    drop(log);
    assert_eq!(open(&mut sim).complete(), complete, "the segment behind says so");
}

#[test]
fn a_segment_that_nothing_was_written_in_hides_nothing() {
    for leave in LEFT {
        let mut sim = Sim::new(6);
        let log = open(&mut sim);
        let first = log.span().start;
        log.make_room(100).unwrap();
        leave(&mut sim, log);
        let mut log = open(&mut sim);
        append(&log, "one", 0);
        for _ in 0..2 {
            assert_eq!(log.complete(), Lsn::NONE);
            for from in [Lsn::from_raw(1), first, first.plus(9)] {
                assert_eq!(heads(&mut log.follow(from)), ["one"]);
            }
            drop(log);
            log = open(&mut sim);
        }
    }
}

#[test]
fn a_segment_in_which_nothing_was_answered_hides_nothing() {
    let mut sim = Sim::new(7);
    let log = open(&mut sim);
    let first = log.span().start;
    log.make_room(100).unwrap();
    sim.kill();
    drop(log);
    let log = open(&mut sim); // the segment that was prepared is gone, and its places
    let lost = ["lost", "behind it"].map(|head| {
        let lsn = buffer(&log, head);
        _ = log.log.order.lock().frames.cut(); // the next one begins in a block of its own
        lsn
    });
    let segment = log.log.segment_of(lost[0]).unwrap();
    assert!(segment.base > first);
    sim.kill();
    drop(log);
    sim.disk().flip_bit(&segment.path, DATA_OFFSET + 20, 1).unwrap(); // as a power cut tears the first group, and no later one
    let mut log = open(&mut sim);
    assert!(log.report().groups_dropped > 0 && log.stats().segments > 0, "{:?}", log.report());
    for one in [&[][..], &["one"], &["one"]] {
        assert_eq!(log.complete(), Lsn::NONE);
        for from in [Lsn::from_raw(1), first, lost[0]] {
            assert_eq!(heads(&mut log.follow(from)), one);
        }
        if one.is_empty() {
            append(&log, "one", 0);
        }
        drop(log);
        log = open(&mut sim);
    }
}

#[test]
fn a_halted_log_hands_out_what_is_durable_and_then_says_why_there_is_no_more() {
    let mut sim = Sim::new(5);
    let log = open(&mut sim);
    append(&log, "durable", 0);
    let mut follower = log.follow(Lsn::NONE);
    sim.fail_sync(1);
    assert!(log.append(b"lost", b"").unwrap().wait().is_err());
    assert_eq!(follower.try_next().unwrap().unwrap().head, "durable");
    assert!(follower.wait(None));
    assert_eq!(follower.try_next().unwrap_err().kind(), ErrorKind::Halted);
}

#[test]
fn a_sleeping_follower_is_woken_by_the_sync_and_by_the_close() {
    let log = Wal::open_in(sim::memory(), Path::new("/log"), Options::default()).unwrap();
    let mut follower = log.follow(Lsn::NONE);
    std::thread::scope(|scope| {
        let found = scope.spawn(|| {
            let mut found = Vec::new();
            while follower.wait(None) {
                match follower.try_next() {
                    Ok(Some(record)) => found.push(record.lsn),
                    Ok(None) => {}
                    Err(e) => return (found, e.kind()),
                }
            }
            unreachable!("it waits without end")
        });
        let expected: Vec<Lsn> = (0..50).map(|n| append(&log, "x", n * 100)).collect();
        buffer(&log, "late");
        log.shut().unwrap();
        let (found, why) = found.join().unwrap();
        assert_eq!(why, ErrorKind::Closed);
        assert!(expected.starts_with(&found) || found.starts_with(&expected), "{found:?}");
    });
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_task_is_woken_when_more_is_durable_and_leaves_nothing_behind() {
    let mut sim = Sim::new(6);
    let log = open(&mut sim);
    let flag = Arc::new(Flag(AtomicBool::new(false)));
    let waker = Waker::from(flag.clone());
    let mut cx = Context::from_waker(&waker);
    let mut follower = log.follow(Lsn::NONE);
    assert!(follower.poll_more(&mut cx).is_pending() && follower.poll_more(&mut cx).is_pending());
    append(&log, "one", 0);
    assert!(flag.0.load(Ordering::SeqCst) && follower.poll_more(&mut cx).is_ready());
    assert_eq!(heads(&mut follower), ["one"]);
    assert!(follower.poll_more(&mut cx).is_pending());
    drop(follower);
    assert_eq!(Arc::strong_count(&flag), 2, "its waker went with it");
}

#[test]
fn undone_is_what_lies_behind_the_branch_of_a_later_timeline() {
    use crate::format::checksum::StoreId;
    use crate::segment::catalog::{Catalog, Timeline};
    let timeline = |number, branch| Timeline { number, offset: 0, branch, begun_us: 0 };
    let mut catalog = Catalog::new(StoreId([1; 16]), timeline(1, Lsn::NONE));
    assert_eq!(catalog.undone(Lsn::new(1, 900)), None);
    catalog.timelines.extend([timeline(2, Lsn::new(1, 500)), timeline(4, Lsn::new(1, 300))]);
    for (lsn, expected) in [
        (Lsn::new(1, 0), None),
        (Lsn::new(1, 299), None),
        (Lsn::new(1, 300), Some(Lsn::new(1, 300))),
        (Lsn::new(1, 700), Some(Lsn::new(1, 300))),
        (Lsn::new(2, 0), Some(Lsn::new(1, 300))),
        (Lsn::new(3, 9), Some(Lsn::new(1, 300))),
        (Lsn::new(4, 0), None),
        (Lsn::new(5, 0), None),
    ] {
        assert_eq!(catalog.undone(lsn), expected, "{lsn}");
    }
}

#[test]
fn where_a_repair_found_records_lost_a_follower_says_so_and_behind_them_goes_on() {
    use crate::inspect::{Inspector, Keep};
    use std::ops::ControlFlow;
    let mut sim = Sim::new(12);
    let log = open(&mut sim);
    let places: Vec<Lsn> = (0..9).map(|n| append(&log, &n.to_string(), 500)).collect();
    log.close().unwrap();
    let (env, to) = (sim.env(), Path::new("/copy"));
    let inspector = Inspector::open(&env, sim.dir(), Duration::ZERO).unwrap();
    let mut go = |_| ControlFlow::Continue(());
    let inspection = inspector.inspect(&mut go, |_| Ok(())).unwrap();
    let kept = |lsn| if [places[3], places[4]].contains(&lsn) { Keep::No } else { Keep::Yes };
    inspector.copy(&inspection, to, &mut go, |seen| Ok(kept(seen.lsn))).unwrap();
    drop(inspector);
    let log = Wal::open_in(env, to, Options::default()).unwrap();
    for from in &places[..5] {
        let mut follower = log.follow(*from);
        let mut before = Vec::new();
        let refused = loop {
            match follower.try_next() {
                Ok(record) => before.push(record.expect("it ends with a refusal").lsn),
                Err(e) => break e,
            }
        };
        assert_eq!(refused.kind(), ErrorKind::Gone, "{refused}");
        assert!(before.iter().all(|lsn| *lsn < places[3]), "{before:?}");
        let on = refused.lsn().unwrap();
        assert!(on > places[3] && on <= places[5]);
        match log.follow(on).try_next() {
            Ok(record) => assert_eq!(record.unwrap().lsn, places[5]),
            Err(e) => {
                assert!(e.kind() == ErrorKind::Gone && e.lsn() > Some(on), "the next group is lost too")
            }
        }
    }
    assert_eq!(heads(&mut log.follow(places[5])), ["5", "6", "7", "8"]);
}

#[test]
fn a_segment_that_is_lost_whole_is_not_passed_over() {
    use crate::inspect::{Inspector, Keep};
    use std::ops::ControlFlow;
    let mut sim = Sim::new(13);
    let log = open(&mut sim);
    let places: Vec<Lsn> = (0..40).map(|n| append(&log, &n.to_string(), 3000)).collect();
    log.close().unwrap();
    let (env, disk, dir) = (sim.env(), sim.disk(), sim.dir().join("log"));
    let mut names = env.vfs.list(&dir).unwrap();
    names.retain(|name| name.ends_with(".seg"));
    names.sort();
    let path = dir.join(&names[1]);
    for damage in ["missing", "zeroed"] {
        let hurt = disk.fork();
        let whole = hurt.read(&path).unwrap();
        match damage {
            "missing" => hurt.uproot(&path).unwrap(),
            _ => hurt.plant(&path, &[&whole[..8192], &vec![0; whole.len() - 8192]].concat()).unwrap(),
        }
        let env = Env { vfs: Arc::new(hurt), ..env.clone() };
        let inspector = Inspector::open(&env, sim.dir(), Duration::ZERO).unwrap();
        let mut go = |_| ControlFlow::Continue(());
        let inspection = inspector.inspect(&mut go, |_| Ok(())).unwrap();
        let to = Path::new("/copy");
        inspector.copy(&inspection, to, &mut go, |_| Ok(Keep::Yes)).unwrap();
        drop(inspector);
        let log = Wal::open_in(env, to, Options::default()).unwrap();
        let refused = log.follow(places[0]).try_next().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Gone, "{damage}: {refused}");
        let lost = places.iter().find(|lsn| log.read_head(**lsn).is_err()).unwrap();
        assert!(log.may_be_given_up(*lost).unwrap(), "{damage}: {lost}");
        let on = refused.lsn().unwrap();
        let rest = heads(&mut log.follow(on));
        assert!(on > places[4] && rest.last().unwrap() == "39" && rest.len() > 20, "{damage}: {on} {rest:?}");
    }
}
