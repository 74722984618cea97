//! Many keys set back at once, while others are written.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use savehold::{At, Change, Collection, ErrorKind, Options, Outcome, Selection, Store, Version};

fn players(store: &Store) -> Collection<i64> {
    store.collection::<i64>("players").unwrap()
}

fn all(store: &Store) -> BTreeMap<String, i64> {
    let entries = players(store).scan("").map(|entry| entry.map(|e| (e.key.to_string(), e.value)));
    entries.collect::<Result<_, _>>().unwrap()
}

/// The newest version, as a moment to go back to.
fn now(store: &Store) -> Version {
    store.version()
}

#[test]
fn a_bad_deploy_is_undone_for_those_whom_it_hurt_and_the_others_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let good = Options::new().origin("build 812").open(&path).unwrap();
    for n in 0..300 {
        players(&good).set(format!("{n}"), &(100 + n)).unwrap();
    }
    let (before, then) = (all(&good), now(&good));
    good.close().unwrap();
    let bad = Options::new().origin("build 813, eu-1").open(&path).unwrap();
    for n in (0..300).step_by(3) {
        players(&bad).set(format!("{n}"), &0).unwrap();
    }
    players(&bad).update_once("receipt-1", "3", |_| Change::write(5)).unwrap();
    bad.close().unwrap();
    let store = Options::new().origin("build 814").open(&path).unwrap();
    for n in (1..300).step_by(3) {
        players(&store).increment(format!("{n}"), 1).unwrap();
    }
    let hurt = || Selection::collection("players").origin("build 813*").since(then);
    let planned = store.revert_preview(hurt(), then).unwrap();
    assert_eq!((planned.len(), all(&store)["0"]), (100, 0));
    let (playing, done) = (AtomicBool::new(true), AtomicBool::new(false));
    let reverted = std::thread::scope(|scope| {
        scope.spawn(|| {
            while playing.load(Ordering::Relaxed) {
                players(&store).increment("1", 1).unwrap();
                done.store(true, Ordering::Relaxed);
            }
        });
        let reverted = store.revert(hurt(), then).unwrap();
        while !done.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        playing.store(false, Ordering::Relaxed);
        reverted
    });
    assert_eq!(reverted.len(), planned.len());
    let after = all(&store);
    for n in 0..300 {
        let key = format!("{n}");
        match n % 3 {
            0 => assert_eq!(after[&key], before[&key], "{key}"),
            1 => assert!(after[&key] > before[&key], "{key}"),
            _ => assert_eq!(after[&key], before[&key], "{key}"),
        }
    }
    let three = reverted.iter().find(|back| back.key.as_str() == Some("3")).unwrap();
    assert_eq!(three.undone.len(), 2);
    assert_eq!(three.undone[0].id.as_deref(), Some(&b"receipt-1"[..]));
    assert!(three.undone.iter().all(|v| v.origin.as_deref() == Some("build 813, eu-1")));
    assert!(matches!(store.outcome("receipt-1").unwrap(), Outcome::Committed(_)), "what happened, happened");
    assert!(store.revert(hurt(), then).unwrap().is_empty(), "all is as it was");
}

#[test]
fn keys_come_back_go_and_keep_their_attributes() {
    let store = Store::in_memory().unwrap();
    let players = players(&store);
    players.update("tagged", |_| Change::write(7).user_ids([42]).meta([("build", "1")])).unwrap();
    players.set("gone", &8).unwrap();
    players.set("same", &9).unwrap();
    let then = now(&store);
    players.update("tagged", |_| Change::write(0).user_ids(Vec::<u64>::new())).unwrap();
    players.remove("gone").unwrap();
    players.set("new", &10).unwrap();
    players.set("new-and-gone", &11).unwrap();
    players.remove("new-and-gone").unwrap();
    let back = store.revert(Selection::collection("players"), then).unwrap();
    let named: BTreeMap<_, _> = back.iter().map(|b| (b.key.to_string(), b.removed)).collect();
    let expected = [("gone".to_owned(), false), ("new".to_owned(), true), ("tagged".to_owned(), false)];
    assert_eq!(named, BTreeMap::from(expected));
    let tagged = players.get("tagged").unwrap().unwrap();
    assert_eq!((tagged.value, tagged.attributes.user_ids().len()), (7, 1));
    assert_eq!(tagged.attributes.meta()["build"], "1");
    assert_eq!(all(&store).len(), 3);
}

#[test]
fn a_selection_takes_named_keys_and_prefixes_alone() {
    let store = Store::in_memory().unwrap();
    let players = players(&store);
    for key in ["a-1", "a-2", "b-1", "b-2"] {
        players.set(key, &1).unwrap();
    }
    let then = now(&store);
    for key in ["a-1", "a-2", "b-1", "b-2"] {
        players.set(key, &2).unwrap();
    }
    store.revert(Selection::collection("players").range("a-"), then).unwrap();
    store.revert(Selection::collection("players").keys(["b-2", "b-9"]).unwrap(), then).unwrap();
    let values: Vec<i64> = all(&store).into_values().collect();
    assert_eq!(values, [1, 1, 2, 1]);
    let missing = store.revert(Selection::collection("none"), At::Now).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Missing);
}

#[test]
fn more_keys_than_one_transaction_takes_come_back_all() {
    let store = Store::in_memory().unwrap();
    let players = players(&store);
    for n in 0..2500 {
        players.set(format!("{n:05}"), &n).unwrap();
    }
    let (before, then) = (all(&store), now(&store));
    for n in 0..2500 {
        players.set(format!("{n:05}"), &-1).unwrap();
    }
    let back = store.revert(Selection::collection("players"), then).unwrap();
    assert_eq!((back.len(), all(&store)), (2500, before));
    let versions: std::collections::BTreeSet<_> = back.iter().map(|b| b.version).collect();
    assert_eq!(versions.len(), 3);
}

#[test]
fn who_plays_a_key_that_is_set_back_learns_it_and_the_others_play_on() {
    let store = Store::in_memory().unwrap();
    let players = players(&store);
    for key in ["hurt", "fine"] {
        players.set(key, &1).unwrap();
    }
    let then = now(&store);
    let room = store.holder("room").unwrap();
    let sessions =
        ["hurt", "fine"].map(|key| room.acquire([players.key(key)], savehold::Start::new()).unwrap());
    players.with_token(sessions[0].token()).set("hurt", &0).unwrap();
    let back = store.revert(Selection::collection("players"), then).unwrap();
    assert_eq!((back.len(), all(&store)["hurt"]), (1, 1));
    assert_eq!(sessions[0].ended().now(), Some(savehold::Ended::Restored));
    let fenced = players.with_token(sessions[0].token()).set("hurt", &0).unwrap_err();
    assert_eq!(fenced.kind(), ErrorKind::Fenced);
    assert!(sessions[1].is_live());
    players.with_token(sessions[1].token()).set("fine", &2).unwrap();
}
