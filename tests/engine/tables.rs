//! Index tables that are missing or damaged: noticed, said, made anew from the log, and nothing else breaks.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use savehold::sim::Sim;
use savehold::{ErrorKind, Next, Options, Result, Store};
use savehold_wal::Lsn;
use savehold_wal::format::checksum::{Binding, StoreId, Unplaced};
use savehold_wal::sim::{Failure, Fault, SimDisk, When};

const KEYS: u64 = 40;
const ROUNDS: u64 = 6;

fn options() -> Options {
    Options::new().recovery_budget(Duration::from_micros(16)) // a checkpoint every score of commits
}

/// A closed store with several tables. Each key has the number of its last round; every seventh was removed.
fn filled() -> Sim {
    let mut sim = Sim::new(3);
    let store = sim.open_with(options()).expect("opens");
    let raw = store.raw("raw").expect("a name");
    for round in 0..ROUNDS {
        for key in 0..KEYS {
            raw.set(key, &Bytes::from(round.to_string())).expect("writes");
        }
    }
    for key in (0..KEYS).step_by(7) {
        raw.remove(key).expect("removes");
    }
    assert!(store.stats().tables > 1, "{:?}", store.stats());
    store.close().expect("nothing failed");
    sim
}

/// Everything that is there, each answer asked for again where a table is being made anew.
fn expect_all(sim: &mut Sim, store: &Store) -> Result<()> {
    let raw = store.raw("raw")?;
    let mut patient = |ask: &dyn Fn() -> Result<usize>| -> Result<usize> {
        for _ in 0..3 {
            match ask() {
                Err(e) if e.kind() == ErrorKind::Busy => {
                    assert_eq!(e.next(), Next::Retry);
                    assert!(e.message().contains(".idx"), "{e}");
                    sim.advance(Duration::from_secs(1));
                }
                answer => return answer,
            }
        }
        ask()
    };
    for key in 0..KEYS {
        let (removed, versions) = (key % 7 == 0, ROUNDS as usize + usize::from(key % 7 == 0));
        let value = || Ok(raw.get(key)?.map_or(0, |e| usize::from(e.value == (ROUNDS - 1).to_string())));
        assert_eq!(patient(&value)?, usize::from(!removed), "key {key}");
        let count = || raw.versions(key)?.try_fold(0, |n, v| v.map(|_| n + 1));
        assert_eq!(patient(&count)?, versions, "key {key}");
    }
    let count = || raw.keys("").try_fold(0, |n, key| key.map(|_| n + 1));
    assert_eq!(patient(&count)?, (0..KEYS).filter(|key| key % 7 != 0).count());
    Ok(())
}

fn tables(disk: &SimDisk) -> Vec<(PathBuf, u64)> {
    let files = disk.files().into_iter().map(|(path, bytes)| (PathBuf::from(path), bytes));
    files.filter(|(path, _)| path.extension().is_some_and(|end| end == "idx")).collect()
}

#[test]
fn tables_that_are_there_spare_the_replay() -> Result<()> {
    let mut sim = filled();
    let store = sim.open_with(options())?;
    assert_eq!((store.recovery().replayed_records, store.stats().tables_remade), (0, 0));
    expect_all(&mut sim, &store)?;
    store.raw("raw")?.set("more", &Bytes::new())?;
    drop(store);
    sim.kill();
    let store = sim.open_with(Options::new())?;
    assert!(store.recovery().replayed_records <= 1, "{:?}", store.recovery());
    assert_eq!(store.raw("raw")?.get("more")?.map(|e| e.value.len()), Some(0));
    store.raw("raw")?.remove("more")?;
    expect_all(&mut sim, &store)
}

#[test]
fn a_missing_table_is_made_anew_at_open() -> Result<()> {
    for n in 0..tables(&filled().disk()).len() {
        let mut sim = filled();
        let disk = sim.disk();
        let all = tables(&disk);
        disk.uproot(&all[n].0).expect("a file");
        let store = sim.open_with(options())?;
        assert_eq!(store.stats().tables_remade, 1);
        expect_all(&mut sim, &store)?;
        store.close()?;
        let store = sim.open_with(options())?;
        assert_eq!((store.stats().tables_remade, store.recovery().replayed_records), (0, 0));
        expect_all(&mut sim, &store)?;
    }
    Ok(())
}

#[test]
fn all_tables_may_go_and_the_log_makes_them_anew() -> Result<()> {
    let mut sim = filled();
    let disk = sim.disk();
    for (path, _) in tables(&disk) {
        disk.uproot(&path).expect("a file");
    }
    let store = sim.open_with(options())?;
    expect_all(&mut sim, &store)
}

#[test]
fn a_bit_that_goes_bad_anywhere_in_a_table_is_noticed_and_the_table_made_anew() -> Result<()> {
    let all = tables(&filled().disk());
    for (path, bytes) in &all {
        for page in 0..bytes / 4096 {
            for byte in [3, 1000, 4085] {
                let mut sim = filled();
                sim.disk().flip_bit(path, page * 4096 + byte, 2).expect("it has that byte");
                let store = sim.open_with(options())?;
                expect_all(&mut sim, &store)?;
                store.close()?;
                let store = sim.open_with(options())?;
                expect_all(&mut sim, &store)?;
            }
        }
    }
    Ok(())
}

#[test]
fn a_table_that_says_it_reaches_further_than_it_is_named_for_is_made_anew() -> Result<()> {
    let mut sim = filled();
    let disk = sim.disk();
    let (path, _) = tables(&disk).swap_remove(0);
    let mut bytes = disk.read(&path).expect("a file");
    let number = bytes.len() as u64 / 4096 - 1;
    let footer = bytes.last_chunk_mut::<4096>().expect("a table ends with a page");
    footer[56..64].copy_from_slice(&u64::MAX.to_le_bytes());
    let store = StoreId(*footer[16..].first_chunk().expect("16 bytes"));
    let binding = Binding::new(store, u64::from_le_bytes(*footer[40..].first_chunk().expect("8 bytes")));
    let crc = Unplaced::of(&footer[..4092]).frame_at(Lsn::from_raw(number), binding);
    footer[4092..].copy_from_slice(&crc.to_le_bytes());
    disk.uproot(&path).expect("a file");
    disk.plant(&path, &bytes).expect("a file");
    let store = sim.open_with(options())?;
    assert_eq!(store.stats().tables_remade, 1);
    expect_all(&mut sim, &store)
}

#[test]
fn a_store_without_space_serves_what_a_bad_table_held() -> Result<()> {
    let all = tables(&filled().disk());
    for (path, bytes) in &all {
        for page in 0..bytes / 4096 {
            let mut sim = filled();
            let store = sim.open_with(options())?;
            store.raw("more")?.set("a", &Bytes::new())?;
            sim.kill();
            sim.disk().flip_bit(path, page * 4096 + 1000, 2).expect("it has that byte");
            sim.fill();
            let store = sim.open_with(options())?;
            assert!(store.read_only().is_some());
            expect_all(&mut sim, &store)?;
            assert!(store.raw("more")?.get("a")?.is_some());
            store.close()?;
            sim.free();
            let store = sim.open_with(options())?;
            assert!(store.read_only().is_none());
            expect_all(&mut sim, &store)?;
        }
    }
    Ok(())
}

#[test]
fn files_that_nothing_names_are_removed_at_open_and_strangers_are_left_alone() -> Result<()> {
    let mut sim = filled();
    let disk = sim.disk();
    let before = tables(&disk);
    let dir = before[0].0.parent().expect("in a directory").to_path_buf();
    disk.plant(&dir.join("999.idx"), b"left by a crash").expect("a file");
    disk.plant(&dir.join("notes.txt"), b"not ours").expect("a file");
    let store = sim.open_with(options())?;
    expect_all(&mut sim, &store)?;
    drop(store);
    let disk = sim.disk();
    assert!(!disk.files().iter().any(|(path, _)| path.ends_with("999.idx")));
    assert!(disk.files().iter().any(|(path, _)| Path::new(path).ends_with("notes.txt")));
    Ok(())
}

#[test]
fn a_checkpoint_comes_when_the_store_is_idle_too() -> Result<()> {
    let mut sim = Sim::new(9);
    let store = sim.open_with(Options::new().recovery_budget(Duration::from_micros(320)))?; // due after 400 versions
    let raw = store.raw("raw")?;
    for key in 0..100 {
        raw.set(key, &Bytes::new())?;
    }
    assert_eq!(store.stats().checkpoints, 0, "{:?}", store.stats());
    let before = store.stats().estimated_recovery;
    for _ in 0..5 {
        sim.advance(Duration::from_secs(1));
    }
    assert_eq!(store.stats().checkpoints, 1);
    assert!(store.stats().estimated_recovery < before);
    Ok(())
}

#[test]
fn a_checkpoint_comes_before_the_index_takes_more_memory_than_it_may() -> Result<()> {
    const BUDGET: u64 = 8 << 20;
    let forever = Options::new().recovery_budget(Duration::from_secs(1 << 20)).memory_budget(BUDGET);
    let mut sim = Sim::new(5);
    let store = sim.open_with(forever.clone())?;
    let raw = store.raw("raw")?;
    let mut batches = 0;
    for batch in 0..90 {
        let mut keys = store.batch();
        for key in 0..1000 {
            keys.set(&raw, format!("{batch:03}/{key:04}/{}", "long".repeat(20)), &Bytes::new())?;
        }
        keys.commit()?;
        batches += 1;
        assert!(store.stats().index_bytes < BUDGET, "{:?}", store.stats());
    }
    assert!(store.stats().checkpoints >= 4, "{:?}", store.stats());
    assert_eq!(raw.keys("").count(), batches * 1000);
    drop((store, raw));
    sim.kill();
    let store = sim.open_with(forever)?;
    assert!(store.stats().index_bytes < BUDGET, "{:?}", store.stats());
    assert_eq!(store.raw("raw")?.keys("").count(), batches * 1000);
    Ok(())
}

#[test]
fn a_log_longer_than_memory_is_replayed_into_memory_as_far_as_its_index_fits() -> Result<()> {
    const BUDGET: u64 = 16 << 20;
    let much = Options::new().recovery_budget(Duration::from_secs(1 << 20)).memory_budget(256 << 20);
    for (keys, bytes, tables) in [(200_000, 10, true), (500, 64 << 10, false)] {
        let mut sim = Sim::new(6);
        let store = sim.open_with(much.clone())?;
        let (raw, value) = (store.raw("raw")?, Bytes::from(vec![7; bytes]));
        for first in (0..keys).step_by(100) {
            let mut batch = store.batch();
            for key in first..first + 100 {
                batch.set(&raw, format!("Player_{key:09}/{}", "long".repeat(20)), &value)?;
            }
            batch.commit()?;
        }
        let end = store.stats().log_bytes;
        assert!(store.stats().checkpoints == 0 && end > BUDGET, "{:?}", store.stats());
        drop((store, raw));
        sim.kill();
        let store = sim.open_with(much.clone().memory_budget(BUDGET))?;
        let stats = store.stats();
        assert_eq!(stats.tables > 0, tables, "{stats:?}");
        assert!(stats.index_bytes < BUDGET, "{stats:?}");
        let raw = store.raw("raw")?;
        assert_eq!(raw.keys("").count(), keys, "{stats:?}");
        assert_eq!(
            raw.get(format!("Player_{:09}/{}", keys / 2, "long".repeat(20)))?.expect("it is there").value,
            value
        );
    }
    Ok(())
}

#[test]
fn a_log_longer_than_memory_survives_whatever_befalls_the_tables_that_are_made_of_it() -> Result<()> {
    let forever = Options::new().recovery_budget(Duration::from_secs(1 << 20));
    let little = forever.clone().memory_budget(8 << 20);
    let long = || -> Result<Sim> {
        let mut sim = Sim::new(7);
        let store = sim.open_with(forever.clone().memory_budget(256 << 20))?;
        let raw = store.raw("raw")?;
        for first in (0..90_000).step_by(500) {
            let mut batch = store.batch();
            for key in first..first + 500 {
                batch.set(&raw, format!("Player_{key:09}/{}", "long".repeat(20)), &Bytes::new())?;
            }
            batch.commit()?;
        }
        assert_eq!(store.stats().checkpoints, 0);
        sim.kill();
        Ok(sim)
    };
    let count = |store: &Store| -> Result<usize> { Ok(store.raw("raw")?.keys("").count()) };
    let mut sim = long()?;
    let before = sim.disk().counts().changes;
    let store = sim.open_with(little.clone())?;
    let changes = sim.disk().counts().changes - before;
    assert!(store.stats().tables > 1 && changes > 20, "{:?}, {changes} changes", store.stats());
    assert_eq!(count(&store)?, 90_000);
    for fault in [Fault::Fail(Failure::Full), Fault::CutInside] {
        for step in [1, changes / 3, changes / 2, 4 * changes / 5, changes - 1] {
            let mut sim = long()?;
            let disk = sim.disk();
            disk.order(When::Change(disk.counts().changes + step), fault);
            if let Ok(store) = sim.open_with(little.clone()) {
                assert_eq!(count(&store)?, 90_000, "{fault:?} at {step} of {changes}");
            }
            sim.cut_power();
            let store = sim.open_with(little.clone())?;
            assert_eq!(count(&store)?, 90_000, "after {fault:?} at {step} of {changes}");
            let raw = store.raw("raw")?;
            raw.set("one more", &Bytes::new())?;
            assert!(raw.get("one more")?.is_some());
        }
    }
    Ok(())
}
