//! What an open makes of directories that crashes, failed calls and full disks leave.

#![allow(clippy::disallowed_methods, reason = "tests copy and damage directories behind the log's back")]

mod support;

use std::path::PathBuf;

use savehold_wal::segment::file::Access;
use savehold_wal::{Append, Options, Wal};
use support::{World, buffered, frame, heads, killed, small};

fn place() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("log");
    (dir, root)
}

fn commit(log: &Wal, head: &str, body_bytes: usize) {
    log.commit(frame(head, body_bytes), Append::default()).unwrap();
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
        let again = killed(&copy.path().join("log"));
        let root = again.path().join("log");
        let log = World::new().open_with(&root, Options { access, ..small() }).unwrap();
        assert!(log.report().end > log.report().proven, "{}", log.report());
        assert_eq!(heads(&log), ["proven", "last", "buffered"]);
        assert_eq!(log.read(lsn).unwrap().body().len(), 5000);
        commit(&log, "more", 1);
        assert_eq!(heads(&log), ["proven", "last", "buffered", "more"]);
    }
}
