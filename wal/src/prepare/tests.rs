use std::path::Path;

use super::*;
use crate::clock::OsClock;
use crate::env::Env;
use crate::format::frame::Frame;
use crate::open::open;
use crate::options::{Durability, Options};
use crate::place::Urgency;
use crate::segment::file::Access;
use crate::sim::{Choice, Failure, Fault, SimDisk, When, alone};
use crate::wal::Wal;

const CAPACITY: u64 = 2 << 20;

fn options(sync_after: Duration) -> Options {
    let segment_bytes = CAPACITY;
    Options {
        access: Access::Pread,
        segment_bytes_min: segment_bytes,
        segment_bytes_max: segment_bytes,
        sync_after,
        ..Options::default()
    }
}

fn commit(log: &Log, durability: Durability) -> Result<Lsn> {
    let mut frame = Frame::record(&[7; 100], &[]).unwrap();
    let placed = log.append(&mut frame, durability, Urgency::Ordinary)?;
    log.wait(placed).unwrap();
    Ok(placed.lsn)
}

#[test]
fn what_falls_due_while_a_segment_is_prepared_does_not_wait_for_its_zeros() {
    let disk = SimDisk::memory();
    let log = open(alone(&disk), Path::new("/store"), options(Duration::ZERO)).unwrap().0;
    let mut met = 0;
    for n in 1..5_000 {
        commit(&log, Durability::Synced).unwrap(); // small and synced: zeros are written
        let first = commit(&log, Durability::Buffered).unwrap();
        assert!(log.durable.get() <= first, "nobody asks for it before the next segment is made");
        let made = log.counters.segments.load(Ordering::Relaxed);
        let mut frame = Frame::record(&vec![7; n % 9_000], &[]).unwrap();
        let placed = log.append(&mut frame, Durability::Buffered, Urgency::Ordinary).unwrap();
        if log.counters.segments.load(Ordering::Relaxed) > made {
            // it begins a segment, so that the next one was made, on this thread; nothing was written since
            assert!(log.durable.get() > first, "what was due between two steps of the zeros is durable");
            met += 1;
        }
        log.wait(placed).unwrap();
    }
    assert!(met > 1, "{met}");
}

#[test]
fn full_disk_is_not_written_full_of_zeros_again_and_again() {
    let disk = SimDisk::memory();
    let log = open(alone(&disk), Path::new("/store"), options(Duration::from_secs(1))).unwrap().0;
    commit(&log, Durability::Synced).unwrap();
    disk.set_capacity(Some(disk.used() + CAPACITY / 2));
    let refused = loop {
        if let Err(e) = commit(&log, Durability::Synced) {
            break e;
        }
    };
    assert_eq!(refused.kind(), ErrorKind::Full);
    let (written, free) = (disk.counts().bytes_written, log.env.vfs.free_bytes(&log.root).unwrap());
    for _ in 0..100 {
        assert_eq!(commit(&log, Durability::Synced).unwrap_err().kind(), ErrorKind::Full);
    }
    assert_eq!(disk.counts().bytes_written, written, "there is too little space: nothing is tried out");
    assert_eq!(log.env.vfs.free_bytes(&log.root).unwrap(), free, "and what there is others have");
    disk.set_capacity(None);
    commit(&log, Durability::Synced).unwrap();
}

#[test]
fn records_in_front_of_one_that_is_refused_are_written() {
    let disk = SimDisk::memory();
    let env = Env { threads: Threads::Own, clock: Arc::new(OsClock), ..alone(&disk) };
    let wal = Wal::open_in(env, Path::new("/store"), options(Duration::from_secs(1))).unwrap();
    let too_large = vec![0; crate::limits::BODY_BYTES_MAX + 1];
    let refused = wal.append_batch([(&b"first"[..], &b""[..]), (&b"second"[..], &too_large[..])]);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::TooLarge);
    let end = wal.log.order.lock().frames.tail();
    let asked = wal.log.writing.load(Ordering::SeqCst); // a writer thread was, or is done
    assert!(asked || wal.log.durable.get() >= end);
}

fn put(log: &Log, head: &[u8], body: &[u8]) -> Result<()> {
    let mut frame = Frame::record(head, &[body])?;
    let placed = log.append(&mut frame, Durability::Synced, Urgency::Ordinary)?;
    log.wait(placed)
}

fn heads(disk: SimDisk) -> Vec<Vec<u8>> {
    let wal = Wal::open_in(alone(&disk), Path::new("/store"), Options::default()).unwrap();
    wal.replay(Lsn::NONE).unwrap().map(|record| record.unwrap().head.to_vec()).collect()
}

#[test]
fn too_many_open_files_refuse_a_commit_and_the_next_one_goes_on() {
    let large = [7; 200_000];
    let mut kinds = Vec::new();
    for change in 1.. {
        let disk = SimDisk::new(3);
        let log = open(alone(&disk), Path::new("/store"), Options::default()).unwrap().0;
        put(&log, b"a", &[]).unwrap();
        disk.order(When::Change(disk.counts().changes + change), Fault::Fail(Failure::Files));
        let Err(e) = put(&log, b"b", &large) else { break };
        kinds.push(e.kind());
        if e.kind() == ErrorKind::Busy {
            assert!(e.message().contains("ulimit -n"), "{e}");
            assert_eq!(heads(disk.reboot(Choice::KeepAll)), [b"a"]);
            put(&log, b"c", &large).unwrap();
            assert_eq!(heads(disk.reboot(Choice::KeepNone)), [b"a", b"c"]);
        }
    }
    let busy = kinds.iter().take_while(|kind| **kind == ErrorKind::Busy).count();
    // from the new file to what is written to MANIFEST.next; then its sync, two renames and the sync of their names
    assert_eq!((busy, &kinds[busy..]), (11, &[ErrorKind::Halted; 4][..]), "{kinds:?}");
}
