//! Verifying and repairing stores that were damaged on purpose, beside a model of what they held.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use savehold::inspect::{Weight, What, repair_in, verify_in};
use savehold::{
    At, Change, Collection, Create, ErrorKind, Once, Options, Outcome, Progress, Store, Version, repair,
    verify,
};
use savehold_wal::env::Env;
use savehold_wal::sim::{Sim, SimDisk};

fn go(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Key and version to value; `None` where the key was removed.
type Model = BTreeMap<(String, Version), Option<Vec<u8>>>;

/// A small store in several runs, each of which ended without a close, the last one perhaps with one.
fn world(closed: bool) -> (Sim, SimDisk, Model) {
    let (mut sim, mut model) = (Sim::new(5), Model::new());
    for run in 0..3_u8 {
        let store = Options::new().open_in(sim.env(), sim.dir()).unwrap();
        let houses = store.raw("houses").unwrap();
        for n in 0..4_u8 {
            let (key, value) = (format!("oak-{}", n % 3), vec![16 * run + n + 1; 40 + usize::from(n)]);
            let version = houses.set(&key, &Bytes::from(value.clone())).unwrap();
            model.insert((key, version), Some(value));
        }
        let done = store.transaction(|tx| -> savehold::Result<()> {
            tx.set(&houses, "elm-1", &Bytes::from(vec![200 + run; 30]))?;
            tx.set(&houses, "elm-2", &Bytes::from(vec![210 + run; 30]))?;
            tx.remove(&houses, "oak-2").map(drop)
        });
        let version = done.unwrap().version;
        model.insert(("elm-1".into(), version), Some(vec![200 + run; 30]));
        model.insert(("elm-2".into(), version), Some(vec![210 + run; 30]));
        model.insert(("oak-2".into(), version), None);
        if run == 2 && closed {
            store.close().unwrap();
        } else {
            sim.kill();
        }
    }
    let disk = sim.disk();
    (sim, disk, model)
}

fn env_of(sim: &mut Sim, disk: &SimDisk) -> Env {
    Env { vfs: Arc::new(disk.clone()), ..sim.env() }
}

fn files(disk: &SimDisk) -> BTreeMap<PathBuf, Vec<u8>> {
    let all = disk.files().into_iter().map(|(path, _)| PathBuf::from(path));
    all.filter(|path| !path.ends_with("LOCK")).map(|path| (path.clone(), disk.read(&path).unwrap())).collect()
}

/// What a store answers of the model's versions: a value, nothing, or that it is damaged.
type Held = BTreeMap<(String, Version), Result<Option<Vec<u8>>, ErrorKind>>;

fn holds(store: &Store, model: &Model) -> Held {
    let houses = store.raw("houses").unwrap();
    let mut all = BTreeMap::new();
    for (key, version) in model.keys() {
        let got = houses.get_at(key.as_str(), At::Version(*version));
        let got = got.map(|entry| entry.map(|entry| entry.value.to_vec())).map_err(|e| e.kind());
        all.insert((key.clone(), *version), got);
    }
    all
}

#[test]
fn a_whole_store_is_proven_and_no_byte_of_it_changes() {
    for closed in [true, false] {
        let (mut sim, disk, model) = world(closed);
        let before = files(&disk);
        let verified = verify_in(&env_of(&mut sim, &disk), sim.dir(), go).unwrap();
        assert_eq!(verified.worst(), None, "{verified:?}");
        assert_eq!((verified.keys, verified.versions), (4, model.len() as u64));
        assert!(verified.bytes > 0 && verified.end >= verified.proven);
        assert_eq!(verified.unproven_bytes == 0, closed);
        assert_eq!(files(&disk), before);
    }
}

#[test]
fn every_damaged_byte_is_noticed_or_costs_nothing_and_repair_keeps_all_that_is_sound() {
    let (mut sim, disk, model) = world(true);
    let mut tried = 0;
    for (path, bytes) in files(&disk) {
        for byte in (0..bytes.len()).filter(|n| worth_trying(&bytes, *n)) {
            tried += 1;
            let hurt = disk.fork();
            hurt.flip_bit(&path, byte as u64, (byte % 8) as u8).unwrap();
            let env = env_of(&mut sim, &hurt);
            let what = format!("{} byte {byte}", path.display());
            let before = if tried % 19 == 0 { files(&hurt) } else { BTreeMap::new() };
            let verified = verify_in(&env, sim.dir(), go).unwrap_or_else(|e| panic!("{what}: {e}"));
            if tried % 19 != 0 {
                if verified.worst() <= Some(Weight::Spare) {
                    opens_with_all(&env, sim.dir(), &model, &what);
                }
                continue;
            }
            let repaired =
                repair_in(&env, sim.dir(), Path::new("/new"), go).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!(repaired.found, verified, "{what}");
            let after: BTreeMap<_, _> =
                files(&hurt).into_iter().filter(|(path, _)| !path.starts_with("/new")).collect();
            assert_eq!(after, before, "{what}: repair touched the store");
            repair_is_right(&env, &model, &repaired, &what);
        }
    }
    assert!(tried > 1000, "{tried}");
}

fn worth_trying(bytes: &[u8], n: usize) -> bool {
    let around = &bytes[n.saturating_sub(1)..(n + 2).min(bytes.len())];
    !around.iter().all(|b| *b == bytes[n]) || n.is_multiple_of(509)
}

fn opens_with_all(env: &Env, root: &Path, model: &Model, what: &str) {
    let store = Options::new()
        .create(Create::Never)
        .open_in(env.clone(), root)
        .unwrap_or_else(|e| panic!("{what}: {e}"));
    for (key, got) in holds(&store, model) {
        assert_eq!(got.as_ref(), Ok(&model[&key]), "{what}: {key:?}");
    }
}

fn repair_is_right(env: &Env, model: &Model, repaired: &savehold::Repaired, what: &str) {
    let to = Path::new("/new");
    let store = Options::new().create(Create::Never).open_in(env.clone(), to).unwrap();
    let damaged: BTreeSet<_> =
        repaired.found.damaged.iter().map(|d| (d.key.to_string(), d.version)).collect();
    let named = |name: &str| repaired.found.damaged.iter().any(|d| d.collection == name);
    if store.collections().is_err() {
        // what stands under the lost name stays unreachable: whoever reads the report learns it
        assert!(
            named("$set") && repaired.found.acknowledged_missing(),
            "{what}: {:?}",
            repaired.found.damaged
        );
        return;
    }
    let name_is_lost = !store.collections().unwrap().iter().any(|name| name == "houses");
    for (key, got) in holds(&store, model) {
        match got {
            Ok(value) => assert_eq!(value, model[&key], "{what}: {key:?}"),
            Err(ErrorKind::Damaged) => assert!(damaged.contains(&key), "{what}: {key:?} {damaged:?}"),
            Err(ErrorKind::Gone) => {
                let lost = |d: &savehold::inspect::Damage| d.from <= key.1.lsn() && key.1.lsn() < d.to;
                assert!(
                    name_is_lost || repaired.lost().any(lost),
                    "{what}: {key:?} {:?}",
                    repaired.found.damage
                );
                assert!(repaired.found.acknowledged_missing(), "{what}: {key:?}");
            }
            Err(other) => panic!("{what}: {key:?} {other:?}"),
        }
    }
    feed_is_complete_or_refuses(&store, model, what);
    let newest = model.keys().map(|(_, version)| *version).max().unwrap();
    let new = store.raw("houses").unwrap().set("oak-new", &Bytes::from_static(b"new")).unwrap();
    assert!(new > newest && new > repaired.found.end && new.lsn().timeline() == repaired.timeline, "{what}");
    store.close().unwrap();
    let again = verify_in(env, to, go).unwrap();
    assert!(again.damage.iter().all(|d| d.what == What::Part), "{what}: {:?}", again.damage);
}

/// A feed from the beginning, begun anew wherever it refuses: what it leaves out stands before a place where it refused.
fn feed_is_complete_or_refuses(store: &Store, model: &Model, what: &str) {
    let (mut seen, mut whole, mut changes) = (BTreeSet::new(), None, store.changes(At::Time(0)).unwrap());
    loop {
        match changes.try_next() {
            Ok(Some(commit)) => _ = seen.insert(commit.version),
            Ok(None) => break,
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::Gone, "{what}: {e}");
                assert!(e.oldest() > whole, "{what}: it gets on: {e}");
                whole = e.oldest();
                let begun = store.changes(whole.unwrap());
                changes = begun.unwrap_or_else(|e| panic!("{what}: where it said that one can begin: {e}"));
            }
        }
    }
    for (_, version) in model.keys() {
        assert!(
            seen.contains(version) || Some(*version) <= whole,
            "{what}: {version} is left out of the feed"
        );
    }
    drop(store.changes(changes.cursor()).unwrap_or_else(|e| panic!("{what}: at its own cursor: {e}")));
}

#[test]
fn a_damaged_value_closes_one_version_and_names_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (dir.path().join("data"), dir.path().join("data.new"));
    let store = Store::open(&old).unwrap();
    let houses = store.raw("houses").unwrap();
    let first = houses.set("oak-1", &Bytes::from_static(b"built")).unwrap();
    let shared = store.transaction(|tx| -> savehold::Result<()> {
        tx.set(&houses, "oak-1", &Bytes::from_static(b"a value to be hurt on the disk"))?;
        tx.set(&houses, "oak-2", &Bytes::from_static(b"its neighbour"))
    });
    let second = shared.unwrap().version;
    store.close().unwrap();
    let segment = the_segment(&old);
    let mut bytes = read(&segment);
    let at = find(&bytes, b"to be hurt");
    bytes[at] ^= 4;
    write(&segment, &bytes);

    let store = Store::open(&old).unwrap();
    let houses = store.raw("houses").unwrap();
    let e = houses.get("oak-1").unwrap_err();
    assert_eq!((e.kind(), e.version(), e.older()), (ErrorKind::Damaged, Some(second), Some(first)));
    assert!(e.message().contains(&segment.display().to_string()), "{e}");
    assert!(e.message().contains("offset") && e.message().contains("savehold verify"), "{e}");
    assert_eq!(houses.get_at("oak-1", first).unwrap().unwrap().value, "built");
    assert_eq!(houses.get("oak-2").unwrap().unwrap().value, "its neighbour");
    store.close().unwrap();

    let verified = verify(&old, go).unwrap();
    let [damage] = &verified.damage[..] else { panic!("{:?}", verified.damage) };
    assert_eq!((damage.what, damage.weight, &damage.file), (What::Part, Weight::Acknowledged, &segment));
    assert!(damage.offset <= at as u64 && at as u64 <= damage.offset + 100, "{damage}");
    let [version] = &verified.damaged[..] else { panic!("{:?}", verified.damaged) };
    assert_eq!((version.collection.as_str(), version.key.to_string()), ("houses", "oak-1".to_owned()));
    assert_eq!((version.version, version.newest, version.falls_back), (second, true, Some(first)));
    assert!(!version.record_lost && !verified.repair_helps(), "a repair copies it as it is");

    let repaired = repair(&old, &new, go).unwrap();
    assert!(repaired.found.acknowledged_missing() && repaired.lost().next().is_none());
    let store = Store::open(&new).unwrap();
    let houses = store.raw("houses").unwrap();
    let e = houses.get("oak-1").unwrap_err();
    assert_eq!((e.kind(), e.older()), (ErrorKind::Damaged, Some(first)));
    assert_eq!(houses.get("oak-2").unwrap().unwrap().version, second);
    assert!(houses.set("oak-2", &Bytes::from_static(b"again")).unwrap() > second);
}

#[test]
fn a_store_that_is_open_is_not_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(verify(dir.path(), go).unwrap_err().kind(), ErrorKind::Locked);
    store.close().unwrap();
    assert_eq!(verify(dir.path(), go).unwrap().worst(), None);
}

#[test]
fn repair_refuses_a_directory_that_is_not_empty() {
    let (mut sim, disk, _) = world(true);
    let env = env_of(&mut sim, &disk);
    let e = repair_in(&env, sim.dir(), sim.dir(), go).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Invalid);
    assert_eq!(verify_in(&env, Path::new("/none"), go).unwrap_err().kind(), ErrorKind::Missing);
    sim.advance(Duration::from_secs(1));
}

#[test]
fn a_repair_that_the_power_ends_leaves_nothing_that_opens_as_a_store() {
    let (mut sim, disk, _) = world(true);
    for calls in (1..30).step_by(2) {
        let copy = disk.fork();
        copy.order(
            savehold_wal::sim::When::Change(copy.counts().changes + calls),
            savehold_wal::sim::Fault::CutInside,
        );
        let env = env_of(&mut sim, &copy);
        if repair_in(&env, sim.dir(), Path::new("/new"), go).is_ok() {
            continue;
        }
        let env = env_of(&mut sim, &copy.reboot(savehold_wal::sim::Choice::KeepNone));
        let opened = Options::new().create(Create::Never).open_in(env.clone(), Path::new("/new"));
        if let Ok(store) = opened {
            assert_eq!(store.raw("houses").unwrap().keys("").count(), 4, "after {calls} calls");
        }
        assert_eq!(verify_in(&env, sim.dir(), go).unwrap().worst(), None, "after {calls} calls");
    }
}

#[expect(clippy::disallowed_methods, reason = "a test that damages a file from outside")]
fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "a test that damages a file from outside")]
fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}

#[expect(clippy::disallowed_methods, reason = "a test that damages a file from outside")]
fn the_segment(store: &Path) -> PathBuf {
    let mut files: Vec<_> =
        std::fs::read_dir(store.join("log")).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files.swap_remove(0)
}

fn find(bytes: &[u8], what: &[u8]) -> usize {
    bytes.windows(what.len()).position(|window| window == what).expect("it was written")
}

/// Flips a bit of every place on the disk where these bytes stand.
fn hurt(disk: &SimDisk, bytes: &[u8]) {
    let mut hits = 0;
    for (path, text) in files(disk) {
        for at in (0..text.len()).filter(|at| text[*at..].starts_with(bytes)) {
            disk.flip_bit(&path, at as u64, 0).unwrap();
            hits += 1;
        }
    }
    assert!(hits > 0, "nothing stands there to be hurt");
}

#[test]
fn a_collection_whose_name_was_lost_gets_one_and_its_number_is_given_to_no_other() {
    let mut sim = Sim::new(6);
    let store = Options::new().open_in(sim.env(), sim.dir()).unwrap();
    store.raw("lost-17").unwrap().set("a", &Bytes::from_static(b"a name that is taken")).unwrap();
    store.raw("players").unwrap().set("42", &Bytes::from_static(b"still there")).unwrap();
    store.close().unwrap();
    let disk = sim.disk();
    hurt(&disk, b"collection/players/17");
    let env = env_of(&mut sim, &disk);
    let refused = Options::new().open_in(env.clone(), sim.dir()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt);

    let repaired = repair_in(&env, sim.dir(), Path::new("/new"), go).unwrap();
    assert_eq!(repaired.found.nameless.len(), 1);
    let named: Vec<(u32, String)> = repaired.named.iter().map(|(id, name)| (id.0, name.clone())).collect();
    assert_eq!(named, [(17, "lost-17-2".to_owned())]);
    let store = Options::new().create(Create::Never).open_in(env, Path::new("/new")).unwrap();
    assert_eq!(store.collections().unwrap(), ["lost-17", "lost-17-2"]);
    let lost = store.raw("lost-17-2").unwrap();
    assert_eq!(lost.get("42").unwrap().unwrap().value, "still there");
    store.raw("players").unwrap().set("43", &Bytes::from_static(b"new")).unwrap();
    assert_eq!(lost.keys("").count(), 1, "a new collection does not get the number of a lost one");
    assert_eq!(store.raw("players").unwrap().keys("").count(), 1);
}

#[test]
fn an_id_in_a_commit_that_a_repair_lost_is_forgotten_for_good() {
    let mut sim = Sim::new(9);
    let store = Options::new().open_in(sim.env(), sim.dir()).unwrap();
    let coins = store.collection::<i64>("coins").unwrap();
    let buy = |coins: &Collection<i64>, id: &str| {
        coins.update_once(id, "42", |now| Change::write(now.map_or(0, |entry| entry.value) + 100)).unwrap()
    };
    let at = |bought: Once<savehold::Updated<i64>>| match bought {
        Once::Now(done) => done.version,
        Once::Before(version) => panic!("done before, at {version}"),
    };
    let first = at(buy(&coins, "receipt-1"));
    let lost = at(buy(&coins, "receipt-2"));
    let third = at(buy(&coins, "receipt-3"));
    drop(coins);
    store.close().unwrap();
    let disk = sim.disk();
    let env = env_of(&mut sim, &disk);
    let told = |of: &Store, id: &str| of.outcome(id).unwrap();

    repair_in(&env, sim.dir(), Path::new("/whole"), go).unwrap();
    let whole = Options::new().create(Create::Never).open_in(env.clone(), Path::new("/whole")).unwrap();
    assert_eq!((told(&whole, "never"), whole.forgotten_through()), (Outcome::NotCommitted, None));
    drop(whole);

    hurt(&disk, b"receipt-2");
    let (again, bare) = (Path::new("/again"), Path::new("/bare"));
    repair_in(&env, sim.dir(), Path::new("/new"), go).unwrap();
    repair_in(&env, Path::new("/new"), again, go).unwrap();
    ["MANIFEST", "MANIFEST.prev"].iter().for_each(|name| _ = disk.uproot(&again.join(name)));
    repair_in(&env, again, bare, go).unwrap();
    for dir in [Path::new("/new"), bare] {
        let store = Options::new().create(Create::Never).open_in(env.clone(), dir).unwrap();
        let coins = store.collection::<i64>("coins").unwrap();
        assert_eq!(coins.get("42").unwrap().unwrap().value, 300, "the effect of the lost commit stands");
        assert_eq!(told(&store, "receipt-1"), Outcome::Committed(first));
        assert_eq!(told(&store, "receipt-2"), Outcome::Forgotten, "{}", dir.display());
        assert_eq!(told(&store, "receipt-3"), Outcome::Committed(third));
        let outcomes = [first, lost, third].map(|version| store.outcome(version).unwrap());
        assert_eq!(outcomes, [Outcome::Committed(first), Outcome::Forgotten, Outcome::Committed(third)]);
        let through = store.forgotten_through().unwrap();
        assert!(lost <= through && (through < third || dir == bare), "{through}");
        let new = at(buy(&coins, "receipt-4"));
        assert!(through < new, "what is new is known: {through} {new}");
    }
}

#[test]
fn an_id_is_not_forgotten_for_a_torn_end_behind_which_nothing_stands() {
    let (mut sim, disk, _) = world(false);
    let env = env_of(&mut sim, &disk);
    let end = verify_in(&env, sim.dir(), go).unwrap().end;
    for torn in [false, true] {
        if torn {
            let path =
                files(&disk).into_keys().rfind(|path| path.extension().is_some_and(|ext| ext == "seg"));
            let (path, bytes) = (path.unwrap(), vec![7; 300]);
            let mut all = disk.read(&path).unwrap();
            let at = all.iter().rposition(|byte| *byte != 0).unwrap().next_multiple_of(4096);
            all[at..at + bytes.len()].copy_from_slice(&bytes);
            disk.plant(&path, &all).unwrap();
        }
        let to = PathBuf::from(format!("/new-{torn}"));
        let repaired = repair_in(&env, sim.dir(), &to, go).unwrap();
        assert_eq!((repaired.lost().count() > 0, repaired.found.end), (torn, end), "{repaired:?}");
        assert!(repaired.found.worst() <= Some(Weight::Undecidable));
        let store = Options::new().create(Create::Never).open_in(env.clone(), &to).unwrap();
        assert_eq!(
            (store.outcome("never").unwrap(), store.forgotten_through()),
            (Outcome::NotCommitted, None)
        );
    }
}

#[test]
fn an_id_that_lapsed_is_forgotten_though_manifest_and_the_terms_in_a_packed_file_are_lost() {
    let mut sim = Sim::new(10);
    let store = Options::new().open_in(sim.env(), sim.dir()).unwrap();
    store.set_outcomes_kept(Duration::from_secs(1)).unwrap();
    let houses = store.raw("houses").unwrap();
    for n in 0..40_u8 {
        houses.set_once(format!("id-{n}"), "oak", &Bytes::from(vec![n; 3000])).unwrap();
    }
    sim.advance(Duration::from_secs(8 * 86_400));
    houses.set("elm", &Bytes::from_static(b"new")).unwrap();
    store.thin().unwrap();
    store.compact(|_| ControlFlow::Continue(())).unwrap();
    assert_eq!(store.outcome("id-3").unwrap(), Outcome::Forgotten);
    drop(houses);
    store.close().unwrap();
    let disk = sim.disk();
    let env = env_of(&mut sim, &disk);
    ["MANIFEST", "MANIFEST.prev"].iter().for_each(|name| _ = disk.uproot(&sim.dir().join(name)));
    let packed: Vec<_> = files(&disk)
        .into_iter()
        .filter(|(path, bytes)| path.starts_with(sim.dir().join("log")) && bytes[12] == 3)
        .collect();
    assert!(!packed.is_empty());
    for (n, hurt) in ["nothing", "footers"].into_iter().enumerate() {
        for (path, bytes) in packed.iter().filter(|_| hurt == "footers") {
            disk.flip_bit(path, bytes.len() as u64 - 9, 1).unwrap();
        }
        let to = PathBuf::from(format!("/new-{n}"));
        let repaired = repair_in(&env, sim.dir(), &to, go).unwrap();
        let store = Options::new().create(Create::Never).open_in(env.clone(), &to).unwrap();
        assert_eq!(store.outcome("id-3").unwrap(), Outcome::Forgotten, "{hurt}: {:?}", repaired.found.damage);
    }
}
