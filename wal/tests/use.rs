//! The log as a user meets it, on the real disk.

use std::path::Path;
use std::time::Duration;

use savehold_wal::sim::Sim;
use savehold_wal::{Append, Create, Durability, ErrorKind, Frame, Options, Wal};

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn heads(log: &Wal) -> Vec<Vec<u8>> {
    log.replay(savehold_wal::Lsn::NONE).unwrap().map(|r| r.unwrap().head.to_vec()).collect()
}

#[test]
fn what_was_appended_is_read_and_replayed_also_after_reopening() {
    let dir = dir();
    let log = Wal::open(dir.path().join("log")).unwrap();
    let one = log.append(b"one", b"body of one").unwrap().wait().unwrap();
    let two = log.append(b"two", b"").unwrap().wait().unwrap();
    assert!(two > one);
    assert_eq!(log.read(one).unwrap().body(), b"body of one"[..]);
    log.close().unwrap();

    let log = Wal::open(dir.path().join("log")).unwrap();
    assert!(log.report().clean, "{}", log.report());
    assert_eq!(heads(&log), [b"one".to_vec(), b"two".to_vec()]);
    let three = log.append(b"three", b"3").unwrap().wait().unwrap();
    assert!(three > two);
    assert_eq!(log.read(three).unwrap().body(), b"3"[..]);
    assert_eq!(heads(&log).len(), 3);
}

#[test]
fn many_threads_share_syncs_and_lose_nothing() {
    let dir = dir();
    let log = Wal::open(dir.path().join("log")).unwrap();
    std::thread::scope(|scope| {
        for t in 0..16_u32 {
            let log = &log;
            scope.spawn(move || {
                // several at once: a disk that answers at once leaves threads that wait for each nothing to share
                for ten in 0..10_u32 {
                    let head = |n: u32| [t.to_le_bytes(), (10 * ten + n).to_le_bytes()].concat();
                    let tickets: Vec<_> = (0..10).map(|n| log.append(&head(n), &[7; 100]).unwrap()).collect();
                    tickets.into_iter().for_each(|ticket| _ = ticket.wait().unwrap());
                }
            });
        }
    });
    let stats = log.stats();
    assert_eq!(stats.records, 1600);
    assert!(stats.syncs < 1600, "{stats:?}");
    log.close().unwrap();
    let log = Wal::open(dir.path().join("log")).unwrap();
    assert_eq!(heads(&log).len(), 1600);
}

#[test]
fn threads_that_do_not_sync_write_for_each_other_beside_one_that_does() {
    let dir = dir();
    let log = Wal::open(dir.path().join("log")).unwrap();
    let how = |durability| Append { durability, ..Append::default() };
    std::thread::scope(|scope| {
        for t in 0..5_u32 {
            let log = &log;
            scope.spawn(move || {
                let (durability, count) =
                    if t == 0 { (Durability::Synced, 100) } else { (Durability::Buffered, 2000) };
                for n in 0..count {
                    let head = [t.to_le_bytes(), u32::to_le_bytes(n)].concat();
                    let lsn =
                        log.commit(Frame::record(&head, &[&[7; 100]]).unwrap(), how(durability)).unwrap();
                    assert!(log.accepted() > lsn);
                    assert!(durability == Durability::Buffered || log.durable() > lsn);
                }
            });
        }
    });
    assert_eq!(log.stats().records, 8100);
    log.close().unwrap();
    assert_eq!(heads(&Wal::open(dir.path().join("log")).unwrap()).len(), 8100);
}

#[test]
fn records_larger_than_a_segment_and_many_segments_come_back() {
    let dir = dir();
    let log = Wal::open(dir.path().join("log")).unwrap();
    let mut lsns = Vec::new();
    for n in 0..40_usize {
        let body = vec![n as u8; 1 << (n % 20)];
        lsns.push((log.append(&[n as u8], &body).unwrap().wait().unwrap(), body));
    }
    for (lsn, body) in &lsns {
        assert_eq!(log.read(*lsn).unwrap().body(), body[..]);
    }
    drop(log);
    let log = Wal::open(dir.path().join("log")).unwrap();
    assert!(log.report().clean, "{}", log.report());
    for (lsn, body) in &lsns {
        assert_eq!(log.read(*lsn).unwrap().body(), body[..]);
    }
}

#[test]
fn buffered_records_and_async_tickets_resolve() {
    let dir = dir();
    let log = Wal::open(dir.path().join("log")).unwrap();
    let how = Append { durability: Durability::Buffered, ..Append::default() };
    let tickets: Vec<_> = (0..1000_u32)
        .map(|n| log.append_frame(Frame::record(&n.to_le_bytes(), &[&[1; 40]]).unwrap(), how).unwrap())
        .collect();
    let mut last = savehold_wal::Lsn::NONE;
    for ticket in tickets {
        last = ticket.wait_timeout(Duration::from_secs(20)).expect("in time").unwrap();
    }
    let through = log.sync().unwrap();
    assert!(last < through && through <= log.durable());
    drop(log);
    assert_eq!(heads(&Wal::open(dir.path().join("log")).unwrap()).len(), 1000);
}

#[test]
fn a_second_opener_is_told_who_holds_the_log() {
    let dir = dir();
    let root = dir.path().join("log");
    let _log = Wal::open(&root).unwrap();
    let options = Options { lock_wait: Duration::ZERO, ..Options::default() };
    let e = Wal::open_with(&root, options).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Locked);
    assert!(e.message().contains(&std::process::id().to_string()), "{e}");
}

#[test]
fn never_create_refuses_and_makes_nothing() {
    let dir = dir();
    let root = dir.path().join("log");
    let options = Options { create: Create::Never, ..Options::default() };
    assert_eq!(Wal::open_with(&root, options).unwrap_err().kind(), ErrorKind::Missing);
    assert!(!root.exists());
}

#[test]
fn two_who_close_at_once_leave_a_log_that_was_closed() {
    let dir = dir();
    for n in 0..100 {
        let log = Wal::open(dir.path().join("log")).unwrap();
        assert!(log.report().clean, "{n}");
        log.append(b"head", b"body").unwrap().wait().unwrap();
        std::thread::scope(|scope| {
            let closers = [(); 2].map(|()| scope.spawn(|| log.shut()));
            for closer in closers {
                closer.join().unwrap().unwrap();
            }
        });
    }
}

#[test]
fn what_is_appended_while_the_log_closes_is_refused_or_closed_with_it() {
    for round in 0..50 {
        let (env, dir) = (savehold_wal::sim::memory(), Path::new("/log"));
        let options = || Options { mark_after: Duration::from_secs(3600), ..Options::default() };
        let log = Wal::open_in(env.clone(), dir, options()).unwrap();
        let append_until_closed = || {
            let mut kept = Vec::new();
            loop {
                match log.append(b"head", b"body").and_then(|ticket| ticket.wait()) {
                    Ok(lsn) => kept.push(lsn),
                    Err(e) => break (kept, e.kind()),
                }
            }
        };
        let ended: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..3).map(|_| scope.spawn(append_until_closed)).collect();
            while log.stats().records < round {
                std::thread::yield_now();
            }
            log.shut().unwrap();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(ended.iter().all(|(_, kind)| *kind == ErrorKind::Closed), "{ended:?}");
        let mut kept: Vec<_> = ended.into_iter().flat_map(|(kept, _)| kept).collect();
        kept.sort_unstable();
        let log = Wal::open_in(env, dir, options()).unwrap();
        let there: Vec<_> =
            log.replay(savehold_wal::Lsn::NONE).unwrap().map(|record| record.unwrap().lsn).collect();
        // a segment may have been prepared for the first record of all, which was refused then
        assert!(log.report().clean || there.is_empty(), "{}", log.report());
        assert_eq!(there, kept);
    }
}

#[test]
fn times_that_no_clock_ever_reaches_are_waited_for_all_the_same() {
    let mut sim = Sim::new(1);
    sim.advance(Duration::from_secs(1));
    let never = Duration::MAX;
    let options = Options { lock_wait: never, sync_after: never, mark_after: never, ..Options::default() };
    let log = Wal::open_in(sim.env(), sim.dir(), options).unwrap();
    let how = Append { durability: Durability::Buffered, ..Append::default() };
    let buffered = log.append_frame(Frame::record(b"one", &[]).unwrap(), how).unwrap();
    let one = buffered.wait_timeout(never).expect("it waits as long as it takes").unwrap();
    assert!(log.tick().is_some_and(|left| left > Duration::MAX / 2) && one >= log.durable());
    let two = log.append(b"two", b"").unwrap().wait_timeout(never).expect("it waits").unwrap();
    assert!(log.tick().is_some_and(|left| left > Duration::MAX / 2) && two < log.durable());
    log.close().unwrap();
}
