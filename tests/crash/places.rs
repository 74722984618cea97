//! What a directory may hold besides: unfinished files, prepared segments, a rest segment that nobody named yet, what a
//! dead process left in LOCK.

use std::path::Path;
use std::time::Duration;

use savehold_wal::Durability::{Buffered, Synced};
use savehold_wal::sim::{Choice, Fault, SimDisk, When};
use savehold_wal::{ErrorKind, Wal};
use support::check::{Promise, verify};
use support::history::{History, Stop};
use support::world::{Answer, ROOT, Step, World, small_segments};

/// Holds a disk to all that a world's history says is durable.
#[track_caller]
fn holds(disk: &SimDisk, world: &World, stop: Stop) {
    let promise = Promise { history: &world.history, stop, change: u64::MAX, options: &world.options };
    verify(disk, &promise, 4).unwrap_or_else(|e| panic!("{e}"));
}

fn written() -> World {
    let mut world = World::new(3, small_segments());
    world
        .steps(&[Step::Commit(100, Synced), Step::Commit(200, Synced), Step::Commit(300, Buffered)])
        .unwrap();
    world
}

#[test]
fn unfinished_files_go_and_are_never_read() {
    let world = written();
    let disk = world.disk.restart();
    let name = format!("{ROOT}/log/0890000000001000-0.seg.tmp");
    disk.plant(Path::new(&name), b"anything").unwrap();
    holds(&disk, &world, Stop::Kill);
    let opened = World::on(disk, 1, small_segments(), History::default());
    drop(opened.try_open().unwrap());
    assert!(opened.disk.read(Path::new(&name)).is_err());
}

#[test]
fn lock_may_say_anything() {
    let texts: [&[u8]; 7] = [
        b"",
        b"pid 1\nsince_us 5\nunfinished 3\n",
        b"unfinished 99999999999999999999999999",
        b"unfinished 4294967295\n",
        b"pid -1\nunfinished x\n",
        &[0xff; 5000],
        b"pid\nunfinished\n\n\n",
    ];
    for text in texts {
        let world = written();
        let disk = world.disk.restart();
        disk.plant(&Path::new(ROOT).join("LOCK"), text).unwrap();
        holds(&disk, &world, Stop::Kill);
    }
}

#[test]
fn a_directory_of_something_else_is_left_alone() {
    let disk = SimDisk::new(1);
    let world = World::on(disk, 1, small_segments(), History::default());
    savehold_wal::vfs::Vfs::create_dir(&world.disk, Path::new(ROOT)).unwrap();
    world.disk.plant(&Path::new(ROOT).join("photo.jpg"), b"mine").unwrap();
    assert_eq!(world.try_open().unwrap_err().kind(), ErrorKind::Foreign);
    assert_eq!(world.disk.files(), [(format!("{ROOT}/photo.jpg"), 4)]);
}

#[test]
fn a_prepared_segment_that_nobody_named_goes() {
    let mut world = written();
    let before = world.disk.files().len();
    world.step(Step::Commit(20_000, Synced)).unwrap();
    // A life that dies between the making of a segment and its naming.
    let mut unnamed = 0;
    for n in 1..40 {
        let mut world = written();
        world.disk.order(When::Change(world.changes() + n), Fault::KillBefore);
        world.step(Step::Commit(20_000, Synced)).unwrap();
        let disk = world.disk.restart();
        unnamed += u32::from(disk.files().len() > before);
        holds(&disk, &world, Stop::Kill);
    }
    assert!(unnamed > 3, "{unnamed}");
}

#[test]
fn a_rest_segment_that_nobody_named_counts() {
    let mut world = World::new(3, small_segments());
    world
        .steps(&[Step::Commit(100, Synced), Step::Commit(300, Buffered), Step::Commit(50, Buffered)])
        .unwrap();
    let disk = world.disk.restart();
    // Recovery dies at each change; in some of these a rest segment has its name already and MANIFEST knows nothing.
    let mut named = 0;
    for n in 1..20 {
        let recovering = World::on(disk.fork(), 1, small_segments(), History::default());
        recovering.disk.order(When::Change(n), Fault::KillBefore);
        let opened: Result<Wal, _> = recovering.try_open();
        let left = recovering.disk.restart();
        let rest =
            left.files().iter().any(|(path, _)| path.ends_with("1000-0.seg") || path.ends_with("-1.seg"));
        named += u32::from(rest && opened.is_err());
        holds(&left, &world, Stop::Kill);
        for choice in [Choice::KeepNone, Choice::KeepAll] {
            holds(&left.reboot(choice), &world, Stop::Cut);
        }
    }
    assert!(named > 1, "{named}");
}

#[test]
fn a_store_in_directories_that_were_missing_survives_a_power_cut() {
    let disk = SimDisk::new(1);
    let root = Path::new("/a/b/c/store");
    let open = |disk: &SimDisk| {
        let world = World::on(disk.clone(), 1, small_segments(), History::default());
        Wal::open_in(world.env(), root, world.options.clone())
    };
    let log = open(&disk).unwrap();
    log.append(b"head", b"body").unwrap().wait().unwrap();
    let log = open(&disk.reboot(Choice::KeepNone)).unwrap();
    assert_eq!(log.replay(savehold_wal::Lsn::NONE).unwrap().count(), 1);

    // The same where a process dies once it has made them.
    let disk = SimDisk::new(1);
    disk.order(When::Change(2), Fault::KillBefore);
    open(&disk).unwrap_err();
    let disk = disk.restart();
    let log = open(&disk).unwrap();
    log.append(b"head", b"body").unwrap().wait().unwrap();
    let log = open(&disk.reboot(Choice::KeepNone)).unwrap();
    assert_eq!(log.replay(savehold_wal::Lsn::NONE).unwrap().count(), 1);
}

#[test]
fn what_a_failed_sync_lost_is_not_served_after_reopening() {
    for (n, keep) in (1..12).flat_map(|n| [false, true].map(|keep| (n, keep))) {
        let mut world = World::new(3, small_segments());
        world
            .steps(&[Step::Commit(100, Synced), Step::Commit(300, Buffered), Step::Commit(50, Buffered)])
            .unwrap();
        let failing = if keep { Fault::FailHalfway } else { Fault::Fail };
        let sync = When::Sync(world.disk.counts().syncs + n);
        world.disk.order(sync, failing(savehold_wal::sim::Failure::Io));
        world.history.sync_failed();
        for step in
            [Step::Tick(Duration::from_secs(2)), Step::Commit(5_000, Synced), Step::Commit(9_000, Synced)]
        {
            world.step(step).unwrap();
        }
        // The cache shows what the medium lacks. The next process may not serve it, or must save it first.
        holds(&world.disk.restart(), &world, Stop::Kill);
        let answer = {
            world.end();
            world.open().unwrap()
        };
        assert_eq!(answer, Answer::Done);
        holds(&world.disk.reboot(Choice::KeepNone), &world, Stop::Cut);
    }
}

#[test]
fn two_handles_never_have_one_log() {
    let world = written();
    assert_eq!(world.try_open().unwrap_err().kind(), ErrorKind::Locked);
}
