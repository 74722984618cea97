//! What a log answers when a thread panics in the middle of writing: here in a file system that was given.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use savehold_wal::clock::OsClock;
use savehold_wal::env::{Env, Threads};
use savehold_wal::{Append, ErrorKind, Wal};

use support::{What, World, frame, heads, small};

fn is_sync_of_a_segment(step: &support::Step) -> bool {
    step.what == What::Sync && step.name.ends_with(".seg")
}

/// Of the keeper's own syncs, which prepare what comes, nobody waits for any.
fn is_sync_by_a_writer(step: &support::Step) -> bool {
    is_sync_of_a_segment(step) && std::thread::current().name() == Some("savehold-writer")
}

fn mistake() {
    panic!("a file system's mistake");
}

#[test]
fn a_committer_who_panics_while_it_writes_halts_the_log() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::new());
    let root = dir.path().join("log");
    let log = world.open(&root).unwrap();
    log.commit(frame("one", 10), Append::default()).unwrap();
    world.pause_at(is_sync_of_a_segment, mistake);
    let two = catch_unwind(AssertUnwindSafe(|| log.commit(frame("two", 10), Append::default())));
    assert!(two.is_err(), "the panic is the caller's own");
    let three = log.commit(frame("three", 10), Append::default()).unwrap_err();
    assert_eq!(three.kind(), ErrorKind::Halted, "{three}");
    assert!(three.to_string().contains("panicked"), "{three}");
    drop(log);
    let again = world.open(&root).unwrap();
    assert_eq!(heads(&again)[0], "one");
    again.commit(frame("four", 10), Append::default()).unwrap();
}

#[test]
fn who_waits_for_a_writer_thread_that_panics_hears_of_it() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::new());
    let root = dir.path().join("log");
    let env = || Env { threads: Threads::Own, clock: Arc::new(OsClock), ..world.env() };
    let log = Wal::open_in(env(), &root, small()).unwrap();
    log.commit(frame("one", 10), Append::default()).unwrap();
    world.pause_at(is_sync_by_a_writer, mistake);
    let two = log.append(b"two", b"2").unwrap();
    let answer = two.wait().unwrap_err();
    assert_eq!(answer.kind(), ErrorKind::Unknown, "{answer}");
    assert!(answer.to_string().contains("panicked"), "{answer}");
    assert_eq!(log.append(b"three", b"3").unwrap_err().kind(), ErrorKind::Halted);
    assert!(catch_unwind(AssertUnwindSafe(|| log.close())).is_err(), "whoever closes meets the panic");
    let again = Wal::open_in(env(), &root, small()).unwrap();
    assert_eq!(heads(&again)[0], "one");
    again.close().unwrap();
}

#[test]
fn a_log_is_written_while_a_thread_unwinds_from_a_panic_of_its_own() {
    struct Last(Wal);
    impl Drop for Last {
        fn drop(&mut self) {
            self.0.commit(frame("last but one", 10), Append::default()).unwrap();
            self.0.commit(frame("last", 10), Append::default()).unwrap();
        }
    }
    let (dir, world) = (tempfile::tempdir().unwrap(), World::new());
    let root = dir.path().join("log");
    let log = world.open(&root).unwrap();
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let _last = Last(log);
        panic!("a mistake of somebody else's");
    }));
    assert!(unwound.is_err());
    assert_eq!(heads(&world.open(&root).unwrap()), ["last but one", "last"]);
}
