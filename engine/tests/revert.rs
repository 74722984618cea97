//! Many keys set back at once, while others are written.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use savehold::{
    At, Change, Collection, Ended, ErrorKind, Event, Options, Outcome, Revert, Selection, Store, Version,
};
use serde::{Deserialize, Serialize};

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

#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
struct Player {
    coins: i64,
}

#[test]
fn who_plays_a_profile_saves_the_last_edit_and_ends_with_restored_before_it_is_set_back() {
    let store = Store::in_memory().unwrap();
    let players = store.profiles::<Player>("players").open().unwrap();
    let [hurt, fine] = ["hurt", "fine"].map(|key| players.start(key).unwrap());
    for player in [&hurt, &fine] {
        player.update(|p| p.coins = 100).unwrap();
        player.save().unwrap();
    }
    let then = now(&store);
    hurt.update_once("receipt-1", |p| p.coins = 0).unwrap();
    hurt.update(|p| p.coins = 7).unwrap(); // in memory alone
    fine.update(|p| p.coins = 101).unwrap(); // in memory alone: nothing of it is in the log, nothing is set back
    let planned = store.revert_preview(Selection::collection("players"), then).unwrap();
    assert_eq!(planned.len(), 1);
    assert!(planned[0].played_by.is_some() && planned[0].undone.len() == 1, "{planned:?}");
    let back = store.revert(Selection::collection("players"), then).unwrap();
    let [back] = &back[..] else { panic!("{back:?}") };
    assert_eq!(back.played_by, planned[0].played_by);
    assert_eq!(back.undone.len(), 2, "the last edit was saved, and is named: {back:?}");
    assert_eq!(back.undone[1].id.as_deref(), Some(&b"receipt-1"[..]));
    assert_eq!(hurt.update(|p| p.coins = 9).unwrap_err().kind(), ErrorKind::Ended);
    let mut events = std::iter::from_fn(|| players.events().next_timeout(Duration::from_secs(300)));
    assert!(events.any(|e| matches!(e, Event::Ended { why: Ended::Restored, .. })), "he learns why");
    assert_eq!(players.view("hurt", At::Now).unwrap().unwrap().value, Player { coins: 100 });
    fine.update(|p| p.coins += 1).unwrap();
    fine.release().unwrap();
    assert_eq!(players.view("fine", At::Now).unwrap().unwrap().value, Player { coins: 102 });
}

#[test]
fn a_key_named_twice_is_set_back_once_and_the_dry_run_says_so() {
    let store = Store::in_memory().unwrap();
    let players = players(&store);
    players.set("a", &1).unwrap();
    let then = now(&store);
    players.set("a", &2).unwrap();
    let twice = || Selection::collection("players").keys(["a", "b", "a"]).unwrap();
    let planned = store.revert_preview(twice(), then).unwrap();
    let done = store.revert(twice(), then).unwrap();
    assert_eq!((planned.len(), done.len()), (1, 1));
}

#[test]
fn who_does_not_let_go_is_waited_for_and_ended_all_the_same() {
    let store = Store::in_memory().unwrap();
    let players = players(&store);
    players.set("hurt", &1).unwrap();
    let then = now(&store);
    let server = store.external_holder("server", 1).unwrap();
    let session = server.acquire([players.key("hurt")], savehold::Start::new()).unwrap();
    players.with_token(session.token()).set("hurt", &0).unwrap();
    let how = Revert::new().handoff(Duration::from_millis(20));
    let back = store.revert_with(Selection::collection("players"), then, how).unwrap();
    assert_eq!((back.len(), back[0].played_by.as_deref()), (1, Some("server")));
    assert_eq!(session.ended().now(), Some(Ended::Restored));
    let again = server.acquire([players.key("hurt")], savehold::Start::new()).unwrap();
    assert!(again.token() > session.token(), "the key is free again");
}

/// Found ten minutes later: the 3,000 are as they were the moment before, the 7,000 play on and lose nothing.
#[test]
fn a_planted_deploy_that_zeroes_3000_of_10000_players_is_undone_by_one_call() {
    let mut sim = savehold_wal::sim::Sim::new(4);
    let key = |n: i64| format!("{n:05}");
    let open = |sim: &mut savehold_wal::sim::Sim, origin: &str| {
        Options::new().origin(origin).open_in(sim.env(), Path::new("/store")).unwrap()
    };
    let good = open(&mut sim, "build 812");
    for thousand in 0..10 {
        let mut batch = good.batch();
        for n in thousand * 1000..(thousand + 1) * 1000 {
            batch.set(&players(&good), key(n), &(100 + n)).unwrap();
        }
        batch.commit().unwrap();
    }
    let (before, then) = (all(&good), now(&good));
    good.close().unwrap();
    let bad = open(&mut sim, "build 813");
    let hurt: Vec<i64> = (0..10_000).filter(|n| n % 10 < 3).collect();
    for thousand in hurt.chunks(1000) {
        let mut batch = bad.batch();
        thousand.iter().for_each(|n| _ = batch.set(&players(&bad), key(*n), &0).unwrap());
        batch.commit().unwrap();
    }
    bad.close().unwrap();
    let store = open(&mut sim, "build 814");
    let mut earned = BTreeMap::<String, i64>::new();
    let mut play = |store: &Store, from: i64| {
        for n in (from..10_000).step_by(97).filter(|n| n % 10 >= 3) {
            players(store).increment(key(n), 5).unwrap();
            *earned.entry(key(n)).or_default() += 5;
        }
    };
    for minute in 0..10 {
        play(&store, minute);
        sim.advance(Duration::from_secs(60));
        store.tick();
    }
    let mut step = 10;
    let mut told = |_: u64| {
        step += 1;
        play(&store, step); // between two transactions of the revert everybody else goes on
        ControlFlow::Continue(())
    };
    let selection = Selection::collection("players").origin("build 813*").since(then);
    let back = store.revert_with(selection, then, Revert::new().progress(&mut told)).unwrap();
    assert_eq!(back.len(), 3000);
    assert!(earned.len() > 500, "{}", earned.len());
    for (key, value) in all(&store) {
        assert_eq!(value, before[&key] + earned.get(&key).copied().unwrap_or(0), "{key}");
    }
}

/// Where few of very many keys are meant, no transaction may come for a long time.
#[test]
fn a_revert_that_still_looks_for_its_keys_can_be_stopped() {
    let store = Store::in_memory().unwrap();
    let write = |n: i64, keys: std::ops::Range<i64>| {
        let mut batch = store.batch();
        keys.for_each(|key| _ = batch.set(&players(&store), format!("{key:04}"), &n).unwrap());
        batch.commit().unwrap().unwrap()
    };
    let then = write(1, 0..3000);
    write(2, 2999..3000);
    let hurt = || Selection::collection("players").since(then);
    let mut told = Vec::new();
    let mut tell = |keys: u64, next: ControlFlow<()>| {
        told.push(keys);
        next
    };
    let mut stop = |keys| tell(keys, ControlFlow::Break(()));
    let stopped = store.revert_with(hurt(), then, Revert::new().progress(&mut stop));
    assert_eq!((stopped.unwrap_err().kind(), all(&store)["2999"]), (ErrorKind::Aborted, 2));
    let mut go = |keys| tell(keys, ControlFlow::Continue(()));
    assert_eq!(store.revert_with(hurt(), then, Revert::new().progress(&mut go)).unwrap().len(), 1);
    assert_eq!((told, all(&store)["2999"]), (vec![0, 0, 0, 0, 1], 1));
}
