//! How the golden logs of format 1 were made, on a simulated machine whose clocks and random numbers are always the
//! same. With `SAVEHOLD_WRITE_GOLDEN=1` this writes them to `files/wal-1`; they have been written, and stay.

use std::path::Path;
use std::time::Duration;

use savehold_wal::sim::Sim;
use savehold_wal::{Append, Durability, Frame, Options, Wal};

use crate::opening::held_by;
use crate::{golden, table};

const BUFFERED: Durability = Durability::Buffered;
const SYNCED: Durability = Durability::Synced;

pub(crate) fn open(sim: &mut Sim) -> Wal {
    let never = Duration::from_secs(1 << 30);
    let options = Options {
        sync_after: never,
        mark_after: never,
        segment_bytes_min: 16 << 10,
        segment_bytes_max: 32 << 10,
        ..Options::default()
    };
    Wal::open_in(sim.env(), sim.dir(), options).expect("the machine is healthy")
}

fn commit(sim: &mut Sim, log: &Wal, head: &[u8], parts: &[&[u8]], durability: Durability) {
    sim.advance(Duration::from_millis(250));
    let frame = Frame::record(head, parts).expect("small");
    log.commit(frame, Append { durability, ..Append::default() }).expect("the machine is healthy");
}

/// Records without a body, with one part, with several and with an empty one; a group of several; buffered records;
/// a record larger than a segment; a clean close.
pub(crate) fn closed(sim: &mut Sim) {
    let log = open(sim);
    commit(sim, &log, b"first head", &[b"first body"], SYNCED);
    commit(sim, &log, b"no body", &[], SYNCED);
    commit(sim, &log, b"", &[b"no head"], SYNCED);
    commit(sim, &log, b"three parts", &[b"one", b"", b"three"], BUFFERED);
    commit(sim, &log, b"buffered", &[b"right behind"], BUFFERED);
    let batch: [(&[u8], &[u8]); 3] = [(b"batch 1", b"a"), (b"batch 2", b"bb"), (b"batch 3", b"ccc")];
    let last = log.append_batch(batch).expect("room").expect("three records");
    last.wait().expect("the machine is healthy");
    commit(sim, &log, b"large", &[&table::noise(40_000)], SYNCED);
    commit(sim, &log, &table::noise(5000), &[b"large head"], SYNCED);
    log.sync().expect("the machine is healthy");
    log.close().expect("the machine is healthy");
}

/// Synced and buffered records; the process is killed; recovery keeps what nobody can tell was acknowledged, in a
/// rest segment; the log goes on in a new segment; the process is killed again.
fn recovered(sim: &mut Sim) {
    let log = open(sim);
    commit(sim, &log, b"proven", &[b"so says the next group"], SYNCED);
    commit(sim, &log, b"synced", &[b"the group behind it says so"], SYNCED);
    commit(sim, &log, b"buffered 1", &[b"x"], BUFFERED);
    commit(sim, &log, b"buffered 2", &[b"y", b"z"], BUFFERED);
    sim.kill();
    drop(log);
    let log = open(sim);
    commit(sim, &log, b"after recovery", &[b"in a new segment"], SYNCED);
    commit(sim, &log, b"the last", &[b"unproven again"], SYNCED);
    sim.kill();
    drop(log);
}

type Script = fn(&mut Sim);

#[test]
fn script_writes_what_the_table_says() {
    let logs: [(&str, Script, Vec<table::Held>); 2] =
        [("closed", closed, table::closed()), ("recovered", recovered, table::recovered())];
    for (seed, (name, run, expected)) in logs.into_iter().enumerate() {
        let mut sim = Sim::new(seed as u64 + 1);
        run(&mut sim);
        write(&mut sim, name);
        assert_eq!(held_by(&open(&mut sim)), expected, "{name}");
    }
}

/// Writes what is on the machine's disk to a golden directory, where that is asked for.
pub(crate) fn write(sim: &mut Sim, name: &str) {
    let (dir, disk) = (sim.dir(), sim.disk());
    if std::env::var_os("SAVEHOLD_WRITE_GOLDEN").is_none_or(|value| value != "1") {
        return;
    }
    for (path, _) in disk.files().into_iter().filter(|(path, _)| !path.ends_with("LOCK")) {
        let inside = Path::new(&path).strip_prefix(dir).expect("all files are the log's");
        let to = golden(name).join(inside);
        std::fs::create_dir_all(to.parent().expect("below a directory")).expect("a directory");
        std::fs::write(to, disk.read(Path::new(&path)).expect("it was listed")).expect("a file");
    }
}
