//! The log is packed: space comes back, and everything that history keeps is as it was, whatever fails or ends meanwhile.

use std::collections::BTreeMap;
use std::ops::ControlFlow::{Break, Continue};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use savehold::backup::restore_in;
use savehold::planted::{Fault as Planted, plant};
use savehold::sim::Sim;
use savehold::{
    At, Backup, Collection, ErrorKind, Moments, Options, Outcome, Restore, Result, Retention, Selection,
    Snapshot, Store, VersionsKept,
};
use savehold_wal::clock::SimClock;
use savehold_wal::env::{Env, Threads};
use savehold_wal::sim::{Choice, Draw, Failure, Fault, SimDisk, SimEntropy, When};

use crate::scaled;

type State = BTreeMap<String, Vec<u8>>;

fn newest_only(store: &Store) -> Result<Collection<Bytes>> {
    store.set_moments(Moments::NONE)?;
    store.set_retention("world", Retention::NewestOnly)?;
    store.raw("world")
}

/// A value that tells its key and its turn.
fn value(key: &str, turn: u64, bytes: usize) -> Vec<u8> {
    let mut value = format!("{key} in turn {turn}. ").into_bytes();
    value.resize(value.len().max(bytes), turn as u8);
    value
}

/// Writes so many keys anew, `turns` times, with values of so many bytes.
fn overwrite(store: &Store, keys: u64, turns: u64, bytes: usize, state: &mut State) -> Result<()> {
    let world = store.raw("world")?;
    for turn in 0..turns {
        for n in 0..keys {
            let key = format!("key {n}");
            let value = value(&key, turn, bytes);
            world.set(&key, &Bytes::from(value.clone()))?;
            state.insert(key, value);
        }
    }
    Ok(())
}

fn shown(store: &Store) -> Result<State> {
    let world = store.raw("world")?;
    world.scan("").map(|entry| entry.map(|e| (e.key.to_string(), e.value.to_vec()))).collect()
}

fn shown_at(store: &Store, snapshot: &Snapshot) -> Result<State> {
    let world = store.raw("world")?;
    snapshot.scan(&world, "").map(|entry| entry.map(|e| (e.key.to_string(), e.value.to_vec()))).collect()
}

#[test]
fn overwritten_values_give_their_space_back_and_all_else_is_as_it_was() -> Result<()> {
    let (mut sim, mut state) = (Sim::new(1), State::new());
    let store = sim.open()?;
    newest_only(&store)?;
    overwrite(&store, 40, 10, 4_000, &mut state)?;
    let before = store.stats();
    let done = store.compact(|_| Continue(()))?;
    let live: u64 = state.values().map(|value| value.len() as u64).sum();
    assert!(before.log_bytes > 8 * live, "{before:?}");
    assert!(done.bytes_after < live + (512 << 10), "{done:?} of {live}");
    assert!(done.dropped > 300 && done.segments > 2, "{done:?}");
    assert_eq!(shown(&store)?, state);
    assert_eq!(store.stats().log_bytes, done.bytes_after);
    let again = store.compact(|_| Continue(()))?;
    assert_eq!(again.dropped, 0, "nothing is left to drop: {again:?}");
    let world = store.raw("world")?;
    world.set("another", &Bytes::from_static(b"value"))?;
    state.insert("another".to_owned(), b"value".to_vec());
    for crash in [Sim::cut_power, Sim::kill] {
        drop(store.clone());
        crash(&mut sim);
        let store = sim.open()?;
        assert_eq!(shown(&store)?, state);
    }
    Ok(())
}

#[test]
fn the_log_is_packed_by_itself_when_enough_is_dead() -> Result<()> {
    let (mut sim, mut state) = (Sim::new(2), State::new());
    let store = sim.open_with(Options::new().recovery_budget(Duration::from_micros(200)))?;
    newest_only(&store)?;
    for _ in 0..6 {
        overwrite(&store, 40, 4, 4_000, &mut state)?;
        for _ in 0..20 {
            sim.advance(Duration::from_secs(30));
            store.tick();
        }
    }
    let (stats, live) = (store.stats(), state.values().map(|value| value.len() as u64).sum::<u64>());
    assert!(stats.packed_segments > 0 && stats.freed_bytes > 4 * live, "{stats:?}");
    assert!(stats.log_bytes <= 2 * live + (1 << 20), "{} of {live}: {stats:?}", stats.log_bytes);
    assert_eq!((shown(&store)?, stats.packing_failure.is_none()), (state, true));
    Ok(())
}

#[test]
fn a_store_in_which_everything_was_removed_takes_next_to_nothing() -> Result<()> {
    let (mut sim, mut state) = (Sim::new(3), State::new());
    let store = sim.open()?;
    let world = newest_only(&store)?;
    overwrite(&store, 200, 10, 4_000, &mut state)?;
    for key in state.keys() {
        world.remove(key)?;
    }
    let before = store.stats().log_bytes;
    let done = store.compact(|_| Continue(()))?;
    assert!(before > 8 << 20 && done.bytes_after < 1 << 20, "{before} became {done:?}");
    let stats = store.stats();
    assert!(stats.versions < 20, "what ended is forgotten: {stats:?}");
    store.close()?;
    let used = sim.disk().used();
    assert!(used < 2 << 20, "{used} bytes: {:?}", sim.disk().files());
    let store = sim.open()?;
    assert_eq!(shown(&store)?, State::new());
    Ok(())
}

/// Nobody asks for it: removals, the tables that list them and the files that hold them go as time goes by.
#[test]
fn a_store_in_which_everything_was_removed_gives_its_space_back_by_itself() -> Result<()> {
    let hour = Duration::from_secs(3600);
    for (history, hours, step) in [(false, 2, hour / 60), (true, 32 * 24, hour)] {
        let (mut sim, mut state) = (Sim::new(3), State::new());
        let store = sim.open()?;
        let world = if history { store.raw("world")? } else { newest_only(&store)? };
        overwrite(&store, 200, 10, 4_000, &mut state)?;
        let most = sim.disk().used();
        for key in state.keys() {
            world.remove(key)?;
        }
        let mut least = most;
        for _ in 0..hours * (hour.as_secs() / step.as_secs()) {
            sim.advance(step);
            store.tick();
            least = least.min(sim.disk().used());
        }
        assert!(most > 8 << 20, "{most}");
        assert!(least < 2 << 20, "{least} of {most} bytes, history {history}: {:?}", store.stats());
        assert!(sim.disk().used() < 2 << 20, "{:?}", sim.disk().files());
        assert_eq!(shown(&store)?, State::new());
    }
    Ok(())
}

#[test]
fn what_was_removed_stays_so_when_tables_and_catalog_are_lost_afterwards() -> Result<()> {
    for seed in 0..scaled(6) {
        let (mut sim, mut state) = (Sim::new(seed), State::new());
        let store = sim.open()?;
        let world = newest_only(&store)?;
        overwrite(&store, 60, 3, 3_000, &mut state)?;
        let kept: State = state.iter().skip(20).map(|(key, value)| (key.clone(), value.clone())).collect();
        for key in state.keys().take(20) {
            world.remove(key)?;
        }
        for _ in 0..=seed % 3 {
            store.compact(|_| Continue(()))?;
            world.set("key 59", &Bytes::from(kept["key 59"].clone()))?;
        }
        store.close()?;
        let disk = sim.disk();
        for (name, _) in disk.files().iter().filter(|(name, _)| name.contains("/index/")) {
            disk.uproot(Path::new(name)).unwrap();
        }
        let store = sim.open()?;
        assert_eq!(shown(&store)?, kept, "seed {seed}: tables are made anew");
        store.close()?;
    }
    Ok(())
}

/// Tables that are made anew drop what the terms say, though files that were packed before hold it: an ending in another
/// file stays as long as any of them does. `k` is put in a file that stays, and removed in one that is packed again.
#[test]
fn what_was_removed_stays_so_when_tables_are_lost_twice() -> Result<()> {
    let (mut sim, mut stays) = (Sim::new(6), State::new());
    let store = sim.open()?;
    let world = newest_only(&store)?;
    let write = |store: &Store, name: &str, turn: u64, state: &mut State| -> Result<()> {
        let world = store.raw("world")?;
        for n in 0..100 {
            let key = format!("{name} {n}");
            let value = value(&key, turn, 4_000);
            world.set(&key, &Bytes::from(value.clone()))?;
            state.insert(key, value);
        }
        Ok(())
    };
    let mut goes = State::new();
    (0..2).try_for_each(|turn| write(&store, "stays", turn, &mut stays))?;
    world.set("k", &Bytes::from_static(b"put"))?;
    assert!(store.compact(|_| Continue(()))?.segments > 0, "the file of `k` is packed");
    (2..4).try_for_each(|turn| write(&store, "goes", turn, &mut goes))?;
    world.remove("k")?;
    assert!(store.compact(|_| Continue(()))?.segments > 0, "the file of its removal is packed");
    let lose_tables = |sim: &mut Sim, store: Store| -> Result<Store> {
        store.close()?;
        let disk = sim.disk();
        for (name, _) in disk.files().iter().filter(|(name, _)| name.contains("/index/")) {
            disk.uproot(Path::new(name)).unwrap();
        }
        sim.open()
    };
    drop(world);
    let store = lose_tables(&mut sim, store)?;
    write(&store, "goes", 4, &mut goes)?;
    store.compact(|_| Continue(()))?;
    let store = lose_tables(&mut sim, store)?;
    stays.extend(goes);
    assert_eq!(shown(&store)?, stays, "nothing that was removed is there again");
    Ok(())
}

/// Loses all tables of a store: the next opening makes them anew from the log.
fn lose_tables(sim: &mut Sim, store: Store) -> Result<Store> {
    store.close()?;
    let disk = sim.disk();
    for (name, _) in disk.files().iter().filter(|(name, _)| name.contains("/index/")) {
        disk.uproot(Path::new(name)).unwrap();
    }
    sim.open()
}

/// Makes keys that go again, so many in each round, and removes them.
fn come_and_go(store: &Store, rounds: Range<u64>, keys: u64) -> Result<()> {
    let world = store.raw("world")?;
    for round in rounds {
        let key = |n: u64| format!("goes {round} {n}");
        let value = |n| Bytes::from(value("goes", n, 400_000 / keys as usize));
        (0..keys).try_for_each(|n| world.set(key(n), &value(n)).map(drop))?;
        (0..keys).try_for_each(|n| world.remove(key(n)).map(drop))?;
    }
    Ok(())
}

/// The files of what stays are never packed again: nothing in them lapses, so no removal waits for them.
#[test]
fn removals_are_forgotten_beside_data_that_stays() -> Result<()> {
    let (mut sim, mut state) = (Sim::new(3), State::new());
    let mut store = sim.open()?;
    newest_only(&store)?;
    overwrite(&store, 1_000, 1, 4_000, &mut state)?;
    for turn in 0..4 {
        come_and_go(&store, turn * 10..turn * 10 + 10, 100)?;
        sim.advance(Duration::from_secs(60));
        store.compact(|_| Continue(()))?;
        let stats = store.stats();
        assert!(stats.versions < 1_100, "{} versions after turn {turn}", stats.versions);
        assert!(stats.log_bytes < 6 << 20, "{stats:?}");
        assert_eq!(shown(&store)?, state, "turn {turn}");
        store = match turn % 2 {
            0 => {
                store.close()?;
                sim.open()?
            }
            _ => lose_tables(&mut sim, store)?,
        };
        assert_eq!(shown(&store)?, state, "opened after turn {turn}");
    }
    Ok(())
}

/// Nobody asks for it.
#[test]
fn removals_are_forgotten_beside_data_that_stays_as_time_goes_by() -> Result<()> {
    let (mut sim, mut state) = (Sim::new(3), State::new());
    let mut store = sim.open()?;
    newest_only(&store)?;
    overwrite(&store, 1_000, 1, 4_000, &mut state)?;
    for turn in 0..6 {
        come_and_go(&store, turn * 10..turn * 10 + 10, 100)?;
        for _ in 0..120 {
            sim.advance(Duration::from_secs(60));
            store.tick();
        }
        let versions = store.stats().versions;
        assert!(versions < 1_150, "{versions} versions after turn {turn}");
        assert_eq!(shown(&store)?, state, "turn {turn}");
        if turn == 3 {
            store = lose_tables(&mut sim, store)?;
        }
    }
    drop(store);
    sim.kill();
    let store = sim.open()?;
    assert_eq!(shown(&lose_tables(&mut sim, store)?)?, state);
    Ok(())
}

/// Where merges dropped values is said by file of the log, and files become one: MANIFEST does not grow with every merge that
/// there ever was.
#[test]
fn what_manifest_says_of_merges_does_not_grow_for_ever() -> Result<()> {
    let (mut sim, mut state) = (Sim::new(3), State::new());
    let store = sim.open()?;
    newest_only(&store)?;
    overwrite(&store, 1_000, 1, 4_000, &mut state)?;
    let mut lengths = Vec::new();
    for turn in 0..60 {
        come_and_go(&store, turn * 3..turn * 3 + 3, 20)?;
        sim.advance(Duration::from_secs(60));
        store.compact(|_| Continue(()))?;
        let files = sim.disk().files();
        lengths
            .extend(files.into_iter().find(|(name, _)| name.ends_with("/MANIFEST")).map(|(_, bytes)| bytes));
    }
    assert!(lengths.len() == 60 && lengths[59] < lengths[10] + 100, "{lengths:?}");
    assert_eq!(shown(&lose_tables(&mut sim, store)?)?, state);
    Ok(())
}

/// `k` was put in a file of which so little is dead that it is not packed, and removed in one that is: the removal stays, or
/// what it ended would come back with the next tables, however often the store is opened and its tables are lost.
#[test]
fn a_removal_stays_as_long_as_a_file_holds_what_it_ended() -> Result<()> {
    for lost in 0..3 {
        let (mut sim, mut state) = (Sim::new(7), State::new());
        let mut store = sim.open()?;
        let world = newest_only(&store)?;
        world.set("k", &Bytes::from_static(b"put"))?;
        drop(world);
        overwrite(&store, 1_600, 1, 1_000, &mut state)?; // so many that few endings wait for the file of `k`
        come_and_go(&store, 0..2, 10)?;
        sim.advance(Duration::from_secs(60));
        store.compact(|_| Continue(()))?;
        store.raw("world")?.remove("k")?;
        for round in 2..5 {
            come_and_go(&store, round..round + 1, 10)?;
            sim.advance(Duration::from_secs(60));
            store.compact(|_| Continue(()))?;
            store = match lost {
                0 => store,
                1 => {
                    store.close()?;
                    sim.open()?
                }
                _ => lose_tables(&mut sim, store)?,
            };
            assert_eq!(shown(&store)?, state, "case {lost}, round {round}");
        }
        let store = lose_tables(&mut sim, store)?;
        assert_eq!(shown(&store)?, state, "case {lost}: nothing that was removed is there again");
    }
    Ok(())
}

/// A consumer that was told everything missed nothing, though the file with the last commit was packed since.
#[test]
fn a_feed_that_was_told_everything_goes_on_behind_packed_files() -> Result<()> {
    let (mut sim, mut state) = (Sim::new(5), State::new());
    let store = sim.open()?;
    let world = newest_only(&store)?;
    overwrite(&store, 40, 10, 4_000, &mut state)?;
    let mut live = store.changes(At::Time(0))?;
    let mut last = store.version();
    while let Some(commit) = live.try_next()? {
        last = commit.version;
    }
    assert!(store.compact(|_| Continue(()))?.dropped > 0);
    for mut feed in [live, store.changes(last)?] {
        assert_eq!(feed.try_next()?, None);
    }
    let mut again = store.changes(last)?;
    let next = world.set("next", &Bytes::from_static(b"value"))?;
    assert_eq!(again.try_next()?.map(|commit| commit.version), Some(next));
    Ok(())
}

/// What a key was before, and how that ended, went with time: that it was absent at a moment which is kept is known still.
#[test]
fn a_key_that_was_absent_then_goes_again_though_its_ending_was_dropped() -> Result<()> {
    let mut sim = Sim::new(9);
    let store = sim.open()?;
    store.set_moments(Moments::NONE)?;
    let none = VersionsKept { explicit: Duration::ZERO, ..VersionsKept::default() };
    store.set_retention("world", Retention::History(none))?;
    let world = store.raw("world")?;
    world.set("stays", &Bytes::from(value("stays", 0, 4_000)))?;
    world.set("k", &Bytes::from(value("k", 0, 400_000)))?;
    world.remove("k")?;
    store.pin("between")?;
    sim.advance(Duration::from_secs(60));
    let done = store.compact(|_| Continue(()))?;
    assert!(done.dropped > 1, "its first value and its ending: {done:?}");
    world.set("k", &Bytes::from_static(b"again"))?;
    assert_eq!(world.versions("k")?.count(), 1);
    let backups = Path::new("/backups");
    store.backup(backups)?;
    let (all, pin) = (Selection::collection("world"), At::Pin("between".to_owned()));
    let done = store.restore_keys(backups, &all, pin, Restore::new())?;
    assert_eq!((done.written, done.removed, done.unchanged), (0, 1, 1), "{done:?}");
    assert_eq!(world.get("k")?, None);
    Ok(())
}

/// A collection's setting stands beside its name: packed, a collection whose setting was changed is named behind its first keys.
#[test]
fn keys_from_before_their_collection_was_set_anew_come_back_from_a_packed_backup() -> Result<()> {
    let mut sim = Sim::new(9);
    let store = sim.open()?;
    store.set_moments(Moments::NONE)?;
    let world = store.raw("world")?;
    world.set("a", &Bytes::from_static(b"then"))?;
    world.set("b", &Bytes::from_static(b"then"))?;
    store.set_retention("world", Retention::NewestOnly)?;
    world.set("big", &Bytes::from(value("big", 0, 400_000)))?;
    world.set("big", &Bytes::from(value("big", 1, 4_000)))?;
    sim.advance(Duration::from_secs(60));
    let done = store.compact(|_| Continue(()))?;
    assert!(done.dropped > 1, "a value, and the name as it was first written: {done:?}");
    let backups = Path::new("/backups");
    store.backup(backups)?;
    world.set("a", &Bytes::from_static(b"now"))?;
    world.remove("b")?;
    let all = Selection::collection("world");
    let planned = store.restore_keys_preview(backups, &all, At::Now, Restore::new())?;
    let done = store.restore_keys(backups, &all, At::Now, Restore::new())?;
    assert_eq!((done.written, done.removed, done.unchanged), (2, 0, 1), "{done:?}");
    assert_eq!(done, planned);
    assert_eq!(world.get("a")?.map(|entry| entry.value), Some(Bytes::from_static(b"then")));
    Ok(())
}

/// The catalog says of which commits the ids were forgotten; a store that is restored has none, and its packed files say it.
#[test]
fn an_id_that_was_forgotten_is_not_called_not_committed_after_a_restore() -> Result<()> {
    let (mut sim, mut state) = (Sim::new(4), State::new());
    let store = sim.open()?;
    newest_only(&store)?;
    store.collection::<i64>("counts")?.increment_once("receipt", "a", 1)?;
    overwrite(&store, 20, 3, 4_000, &mut state)?;
    store.set_outcomes_kept(Duration::from_secs(60))?;
    sim.advance(Duration::from_secs(120));
    overwrite(&store, 20, 1, 4_000, &mut state)?;
    let before = Path::new("/before");
    store.backup(before)?;
    assert!(store.compact(|_| Continue(()))?.dropped > 0);
    assert_eq!(store.outcome("receipt")?, Outcome::Forgotten);
    let behind = Path::new("/behind");
    store.backup(behind)?;
    let clock = sim.clock();
    let mut restored = |from: &Path| -> Result<Outcome> {
        let (vfs, entropy) = (Arc::new(sim.disk()), Arc::new(SimEntropy::new(9)));
        let env = Env { vfs, clock: clock.clone(), entropy, threads: Threads::None };
        let to = from.join("restored");
        restore_in(&env, from, &to, &At::Now, Restore::new())?;
        Options::new().open_in(env, &to)?.outcome("receipt")
    };
    assert!(matches!(restored(before)?, Outcome::Committed(_)), "it was there when that backup was made");
    assert_eq!(restored(behind)?, Outcome::Forgotten);
    Ok(())
}

/// Whether what a snapshot holds is all there after the log was packed.
fn held_through_packing(fault: Option<Planted>) -> Result<bool> {
    let (mut sim, mut state) = (Sim::new(4), State::new());
    let store = sim.open()?;
    newest_only(&store)?;
    overwrite(&store, 30, 3, 4_000, &mut state)?;
    let (held, then) = (store.snapshot(), state.clone());
    overwrite(&store, 30, 3, 4_000, &mut state)?;
    plant(fault);
    let done = store.compact(|_| Continue(()));
    plant(None);
    let now = shown(&store)?;
    Ok(done?.dropped > 0 && now == state && shown_at(&store, &held).is_ok_and(|shown| shown == then))
}

#[test]
fn what_a_snapshot_holds_stays_through_packing() -> Result<()> {
    assert!(held_through_packing(None)?);
    assert!(!held_through_packing(Some(Planted::PackNewest))?, "the fault is seen");
    Ok(())
}

#[test]
fn packing_that_is_stopped_changes_nothing_more_and_goes_on_later() -> Result<()> {
    let (mut sim, mut state) = (Sim::new(5), State::new());
    let store = sim.open()?;
    newest_only(&store)?;
    overwrite(&store, 40, 8, 4_000, &mut state)?;
    let mut told = 0;
    let stopped = store.compact(|progress| {
        told += 1;
        assert!(progress.done_bytes <= progress.total_bytes);
        if told > 3 { Break(()) } else { Continue(()) }
    });
    assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Aborted);
    assert_eq!(shown(&store)?, state);
    assert!(store.compact(|_| Continue(()))?.dropped > 0);
    assert_eq!(shown(&store)?, state);
    Ok(())
}

fn open(disk: &SimDisk, clock: &Arc<SimClock>) -> Result<Store> {
    let (vfs, entropy) = (Arc::new(disk.clone()), Arc::new(SimEntropy::new(5)));
    let env = Env { vfs, clock: clock.clone(), entropy, threads: Threads::None };
    Options::new().open_in(env, Path::new("/store"))
}

/// A store of which much is dead, closed; and what it shows.
fn wasteful(disk: &SimDisk, clock: &Arc<SimClock>) -> Result<State> {
    let (store, mut state) = (open(disk, clock)?, State::new());
    let world = newest_only(&store)?;
    overwrite(&store, 12, 6, 4_000, &mut state)?;
    world.remove("key 3")?;
    state.remove("key 3");
    store.close()?;
    Ok(state)
}

/// Crashes at every change of the disk while the log is packed. Says how many there were, and after how many the store
/// did not open or was not as it was.
fn crash_while_packing(fault: Option<savehold_wal::planted::Planted>) -> Result<(u64, u64)> {
    let (disk, clock) = (SimDisk::new(6), Arc::new(SimClock::default()));
    let state = wasteful(&disk, &clock)?;
    let store = open(&disk, &clock)?;
    disk.record();
    savehold_wal::planted::plant(fault);
    let done = store.compact(|_| Continue(()));
    savehold_wal::planted::plant(None);
    assert!(done?.segments > 1);
    let (mut crashes, mut wrong) = (0, 0);
    for (at, image) in disk.take_tape().into_iter().chain([disk.clone()]).enumerate() {
        let seeded =
            [Choice::KeepNone, Choice::KeepAll, Choice::Seed(at as u64), Choice::Seed(1000 + at as u64)];
        for left in seeded.map(|choice| image.reboot(choice)).into_iter().chain([image.restart()]) {
            crashes += 1;
            let right = |store: Store| -> Result<bool> {
                let before = shown(&store)? == state;
                store.compact(|_| Continue(()))?;
                Ok(before && shown(&store)? == state)
            };
            wrong += u64::from(!open(&left, &clock).and_then(right).unwrap_or(false));
        }
    }
    Ok((crashes, wrong))
}

#[test]
fn every_crash_while_the_log_is_packed_loses_nothing() -> Result<()> {
    let (crashes, wrong) = crash_while_packing(None)?;
    assert!(crashes > 200, "{crashes} crashes are too few: does the disk record its changes?");
    assert_eq!(wrong, 0);
    Ok(())
}

#[test]
fn files_that_go_before_the_catalog_forgets_them_are_missed() -> Result<()> {
    let (_, wrong) = crash_while_packing(Some(savehold_wal::planted::Planted::RemoveSourcesEarly))?;
    assert!(wrong > 0, "the fault is seen");
    Ok(())
}

#[test]
fn a_crash_in_the_opening_after_a_crash_while_the_log_is_packed_loses_nothing() -> Result<()> {
    let (disk, clock) = (SimDisk::new(7), Arc::new(SimClock::default()));
    let state = wasteful(&disk, &clock)?;
    let store = open(&disk, &clock)?;
    disk.record();
    store.compact(|_| Continue(()))?;
    let mut crashes = 0;
    for (at, image) in disk.take_tape().into_iter().enumerate().filter(|(at, _)| at % 5 == 0) {
        let left = image.reboot(Choice::Seed(at as u64));
        left.record();
        drop(open(&left, &clock)?);
        for (again, image) in left.take_tape().into_iter().enumerate() {
            let choice = [Choice::KeepNone, Choice::KeepAll, Choice::Seed(again as u64)][again % 3];
            crashes += 1;
            assert_eq!(shown(&open(&image.reboot(choice), &clock)?)?, state, "change {at}, then {again}");
        }
    }
    assert!(crashes > 50, "{crashes}");
    Ok(())
}

#[test]
fn a_call_that_fails_while_the_log_is_packed_loses_nothing_and_it_is_tried_again() -> Result<()> {
    let (disk, clock) = (SimDisk::new(8), Arc::new(SimClock::default()));
    let state = wasteful(&disk, &clock)?;
    let whole = disk.fork();
    let store = open(&whole, &clock)?;
    let first = whole.counts().calls;
    store.compact(|_| Continue(()))?;
    let calls = whole.counts().calls - first;
    let mut failed = 0;
    for (n, failure) in (0..calls).flat_map(|n| [(n, Failure::Full), (n, Failure::Io)]) {
        if n % 3 != u64::from(failure == Failure::Io) {
            continue; // a part of them, the same each time
        }
        let disk = disk.fork();
        let store = open(&disk, &clock)?;
        disk.order(When::Call(disk.counts().calls + 1 + n), Fault::Fail(failure));
        let done = store.compact(|_| Continue(()));
        failed += u64::from(done.is_err());
        disk.heal();
        assert_eq!(shown(&store)?, state, "call {n} fails with {failure:?}: {done:?}");
        let halted = store.compact(|_| Continue(())).is_err();
        drop(store);
        let store = open(&if halted { disk.reboot(Choice::Seed(n)) } else { disk }, &clock)?;
        store.compact(|_| Continue(()))?;
        assert_eq!(shown(&store)?, state, "call {n} fails with {failure:?}, opened again");
    }
    assert!(failed > calls / 8, "{failed} of {calls}");
    Ok(())
}

/// Whatever is done to a store, it shows what a map shows, and each snapshot what the map was.
#[test]
fn a_store_that_is_packed_at_any_moment_is_as_a_map() -> Result<()> {
    for seed in 0..scaled(20) {
        let (mut sim, mut draw, mut state) = (Sim::new(seed), Draw::from_seed(seed), State::new());
        let options = || Options::new().recovery_budget(Duration::from_micros(16));
        let mut store = sim.open_with(options())?;
        store.set_moments(Moments::NONE)?;
        if seed % 2 == 0 {
            store.set_retention("world", Retention::NewestOnly)?;
        }
        let mut held: Vec<(Snapshot, State)> = Vec::new();
        let backups = Path::new("/backups");
        let mut backed: Vec<(Backup, State)> = Vec::new();
        for step in 0..200_u64 {
            let (world, key) = (store.raw("world")?, format!("key {}", draw.below(12)));
            match draw.below(20) {
                0..10 => {
                    let value = value(&key, step, draw.below(9_000) as usize);
                    world.set(&key, &Bytes::from(value.clone()))?;
                    state.insert(key, value);
                }
                10..12 => {
                    world.remove(&key)?;
                    state.remove(&key);
                }
                12 => {
                    let other = format!("key {}", draw.below(12));
                    let (one, two) = (value(&key, step, 2_000), value(&other, step, 3_000));
                    store.transaction(|tx| -> Result<()> {
                        tx.set(&world, &key, &Bytes::from(one.clone()))?;
                        tx.set(&world, &other, &Bytes::from(two.clone()))
                    })?;
                    state.insert(key, one);
                    state.insert(other, two);
                }
                13 if seed % 2 == 1 => held.push((store.snapshot(), state.clone())),
                14 => drop((!held.is_empty()).then(|| held.remove(0))),
                15..17 => drop(store.compact(|_| Continue(()))?),
                17 => backed.push((store.backup(backups)?, state.clone())),
                18 => {
                    held.clear();
                    match draw.below(3) {
                        0 => sim.cut_power(),
                        1 => sim.kill(),
                        _ => store.clone().close()?,
                    }
                    store = sim.open_with(options())?;
                }
                _ => {
                    sim.advance(Duration::from_secs(1 + draw.below(600)));
                    store.tick();
                }
            }
            if step % 10 == 9 {
                assert_eq!(shown(&store)?, state, "seed {seed}, step {step}");
                for (snapshot, then) in &held {
                    assert_eq!(shown_at(&store, snapshot)?, *then, "seed {seed}, step {step}");
                }
            }
        }
        drop(held);
        store.close()?;
        let clock = sim.clock();
        for (n, (backup, then)) in backed.iter().enumerate() {
            let (vfs, entropy) = (Arc::new(sim.disk()), Arc::new(SimEntropy::new(seed)));
            let env = Env { vfs, clock: clock.clone(), entropy, threads: Threads::None };
            let to = PathBuf::from(format!("/restored {n}"));
            restore_in(&env, backups, &to, &At::Now, Restore::new().backup(backup.name))?;
            assert_eq!(
                shown(&Options::new().open_in(env, &to)?)?,
                *then,
                "seed {seed}, backup {}",
                backup.name
            );
        }
    }
    Ok(())
}
