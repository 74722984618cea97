//! A backup that keeps itself current: what is left when the store's disk is gone.
#![expect(
    clippy::disallowed_methods,
    reason = "a process is killed and its store deleted, as by an accident"
)]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use savehold::backup::restore_in;
use savehold::{At, Create, ErrorKind, Options, Restore, restore};
use savehold_wal::sim::{self, Sim};

const CHILD: &str = "SAVEHOLD_ARCHIVE_CHILD";

/// Numbers under one key after the other, each said once it is durable.
fn write_for_ever(dir: &Path) -> ! {
    let options = Options::new().archive(dir.join("backup")).archive_interval(Duration::from_millis(20));
    let store = options.open(dir.join("store")).unwrap();
    let numbers = store.collection::<u64>("numbers").unwrap();
    for n in 0.. {
        numbers.set(format!("{}", n % 100), &n).unwrap();
        let archive = store.stats().archive.unwrap();
        let held = store.time_of(archive.through).ok().flatten().map_or(0, |_| archive.through.lsn().raw());
        println!("{n} {} {held}", store.version().lsn().raw());
    }
    unreachable!("for ever")
}

#[test]
fn a_killed_process_and_a_deleted_store_leave_a_prefix_that_lacks_the_lag_and_no_more() {
    if let Ok(dir) = std::env::var(CHILD) {
        write_for_ever(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let name = "a_killed_process_and_a_deleted_store_leave_a_prefix_that_lacks_the_lag_and_no_more";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = Vec::new();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    for line in lines {
        let words: Vec<u64> = line.split(' ').map_while(|word| word.parse().ok()).collect();
        if let [n, version, archived] = words[..] {
            said.push((n, version, archived));
            if said.len() >= 300 && archived > said[100].1 {
                child.kill().unwrap();
            }
        }
    }
    child.wait().unwrap();
    std::fs::remove_dir_all(dir.path().join("store")).unwrap();

    let restored = restore(dir.path().join("backup"), dir.path().join("restored"), At::Now).unwrap();
    let store = Options::new().create(Create::Never).open(dir.path().join("restored")).unwrap();
    let numbers = store.collection::<u64>("numbers").unwrap();
    let newest = numbers.scan("").map(|entry| entry.unwrap().value).max().unwrap();
    for n in newest.saturating_sub(99)..=newest {
        let value = numbers.get(format!("{}", n % 100)).unwrap().map(|entry| entry.value);
        assert_eq!(value, Some(n), "a prefix: the newest of each key up to {newest}");
    }
    let (_, _, archived) = *said.last().unwrap();
    let promised = said.iter().filter(|(_, version, _)| *version <= archived).map(|(n, _, _)| *n).max();
    assert!(Some(newest) >= promised, "{newest} is there, {promised:?} was archived");
    assert!(restored.commits > 100, "{restored:?}");
}

#[test]
fn closing_brings_the_archive_up_to_date_and_a_dead_destination_blocks_nothing() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), b"no directory").unwrap();
    let dead = Options::new().archive(dir.path().join("file")).open(dir.path().join("store")).unwrap();
    let numbers = dead.collection::<u64>("numbers").unwrap();
    (0..50).for_each(|n| _ = numbers.set("1", &n).unwrap());
    let mut archive = dead.stats().archive.unwrap();
    while archive.failure.is_none() {
        std::thread::yield_now();
        archive = dead.stats().archive.unwrap();
    }
    assert_eq!(archive.failure.as_ref().unwrap().kind(), ErrorKind::Foreign);
    assert!(archive.behind_bytes > 0, "{archive:?}");
    dead.close().unwrap();
    // The last step of an archive has its time: in memory no disk is slow.
    let (env, [store, backup, restored]) = (sim::memory(), ["/store", "/backup", "/restored"].map(Path::new));
    let store = Options::new().archive(backup).open_in(env.clone(), store).unwrap();
    store.collection::<u64>("numbers").unwrap().set("1", &77).unwrap();
    store.close().unwrap();
    restore_in(&env, backup, restored, &At::Now, Restore::new()).unwrap();
    let restored = Options::new().open_in(env, restored).unwrap();
    assert_eq!(restored.collection::<u64>("numbers").unwrap().get("1").unwrap().unwrap().value, 77);
}

#[test]
fn an_archive_in_a_simulation_goes_on_with_its_clock() {
    let mut sim = Sim::new(11);
    let store = Options::new().archive("/backup").open_in(sim.env(), sim.dir()).unwrap();
    let numbers = store.collection::<u64>("numbers").unwrap();
    for n in 0..10 {
        numbers.set("1", &n).unwrap();
        sim.advance(Duration::from_secs(2));
        assert!(store.tick().is_some());
        let archive = store.stats().archive.unwrap();
        assert!(archive.failure.is_none() && archive.through >= store.version(), "{archive:?}");
    }
    numbers.set("1", &10).unwrap();
    let behind = store.stats().archive.unwrap();
    assert!(behind.behind_bytes > 0, "{behind:?}");
}
