//! What loading makes of a stored document: filled in, migrated, imported, or refused.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use savehold::control::answer;
use savehold::sim::Sim;
use savehold::{
    At, Compatible, ErrorKind, Key, Map, Mismatch, Moments, Profiles, Result, Retention, Store, Value,
    VersionsKept,
};

use crate::world::{Gift, Player, coins, rich};

fn old_player(store: &Store, key: &str) -> Result<()> {
    let old = Map::from([("gold", Value::from(7)), ("level", Value::from("3"))]);
    store.collection::<Value>("players")?.set(key, &old.into()).map(drop)
}

#[test]
fn a_dry_run_says_in_sentences_what_loading_would_do_and_writes_nothing() -> Result<()> {
    let store = Store::in_memory()?;
    old_player(&store, "42")?;
    let players = store
        .profiles::<Player>("players")
        .migration("gold is coins", Compatible::No, |doc| doc.rename("gold", "coins"))
        .mismatch(Mismatch::Replace)
        .open()?;
    let commits = store.stats().commits;
    let run = players.dry_run("42")?;
    let sentences: Vec<String> = run.changes.iter().map(ToString::to_string).collect();
    let expected = [
        "migrated: gold is coins",
        "level: \"3\", replaced by 0 from the template",
        "bag: absent, {} from the template",
        "banned: absent, false from the template",
    ];
    assert_eq!(sentences, expected);
    assert!(run.writes && run.value.coins == 7);
    assert_eq!(players.view("42", At::Now)?.expect("it is there").value, run.value);
    assert_eq!(store.stats().commits, commits);
    let player = players.start("42")?;
    assert_eq!(*player.read(), run.value);
    assert_eq!(coins(&store, "42"), Some(7), "written with the lease");
    player.release()?;
    assert!(players.dry_run("42")?.changes.is_empty(), "once is enough");
    let unborn = players.dry_run("43")?;
    assert_eq!(unborn.changes[0].to_string(), "no document: it begins as the template");
    Ok(())
}

#[test]
fn on_absent_is_asked_once_and_its_document_comes_with_the_lease() -> Result<()> {
    let mut sim = Sim::new(1);
    let store = sim.open()?;
    let asked = Arc::new(AtomicU32::new(0));
    let counted = asked.clone();
    let players = store
        .profiles::<Player>("players")
        .user_id(|key| key.as_u64())
        .on_absent(move |key: &Key| {
            counted.fetch_add(1, Ordering::Relaxed);
            match key.as_u64() {
                Some(1) => Ok(Some(Player { coins: 50, ..Player::default() })),
                Some(2) => Ok(None),
                _ => Err("the old game does not answer"),
            }
        })
        .open()?;
    let one = players.start(1)?;
    assert_eq!((one.read().coins, one.user_ids()), (50, vec![1.into()]));
    assert!(one.imported_us().is_some());
    assert_eq!(one.last_saved().version.lsn(), one.token().lsn(), "one commit");
    assert_eq!(players.start(2)?.read().coins, 0);
    let e = players.start(3).expect_err("not known is not absent");
    assert_eq!(e.kind(), ErrorKind::Refused, "{e}");
    assert!(e.message().contains("the old game does not answer"), "{e}");
    assert_eq!(coins(&store, "3"), None, "no template in its place");
    assert_eq!(asked.load(Ordering::Relaxed), 3);
    one.release()?;
    assert!(players.start(1)?.imported_us().is_some());
    assert!(players.view(1, At::Now)?.expect("it is there").imported_us.is_some());
    players.wipe(2)?;
    assert_eq!(players.start(2)?.read().coins, 0);
    assert_eq!(asked.load(Ordering::Relaxed), 3, "never again about a key that was");
    players.start(3).unwrap_err();
    assert_eq!(asked.load(Ordering::Relaxed), 4, "but again where it failed");
    Ok(())
}

/// Profiles whose keys that never were have 100 coins from elsewhere, and how often that was asked.
fn imported(store: &Store) -> Result<(Profiles<Player>, Arc<AtomicU32>)> {
    let asked = Arc::new(AtomicU32::new(0));
    let counted = asked.clone();
    let import = move |_: &Key| {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok::<_, String>(Some(Player { coins: 100, ..Player::default() }))
    };
    Ok((store.profiles::<Player>("players").on_absent(import).open()?, asked))
}

/// Gives all history up: what was removed is in no table and in no file any more.
fn forget(store: &Store, sim: &mut Sim) -> Result<()> {
    store.set_moments(Moments::NONE)?;
    let none = VersionsKept { explicit: Duration::ZERO, autosaves: Duration::ZERO, newest: 1 };
    store.set_retention("players", Retention::History(none))?;
    let ballast = store.raw("ballast")?;
    for _ in 0..20 {
        sim.advance(Duration::from_secs(1));
        ballast.set("key", &vec![7; 200_000].into())?;
    }
    store.set_retention("ballast", Retention::NewestOnly)?;
    sim.advance(Duration::from_secs(1));
    store.compact(|_| ControlFlow::Continue(())).map(drop)
}

#[test]
fn a_key_that_was_wiped_is_never_imported_again() -> Result<()> {
    let mut sim = Sim::new(3);
    let store = sim.open()?;
    let (players, asked) = imported(&store)?;
    for key in ["started", "edited", "again", "removed", "twice"] {
        let player = players.start(key)?;
        player.update(|p| p.coins = 1)?;
        player.release()?;
        assert!(players.wipe(key)?);
    }
    players.start("again")?.release()?;
    store.collection::<Player>("players")?.remove("again")?;
    players
        .restore("removed", At::Version(players.versions("removed")?.nth(1).expect("it stood")?.version))?;
    store.collection::<Player>("players")?.remove("removed")?;
    assert!(!players.wipe("twice")?);
    forget(&store, &mut sim)?;
    for key in ["started", "edited", "again", "removed", "twice"] {
        assert_eq!(players.versions(key)?.count(), 0, "{key}: nothing says that it ever was");
    }
    assert!(!players.wipe("twice")?);
    store.close()?;

    let store = sim.open()?;
    let (players, again) = imported(&store)?;
    for key in ["started", "again", "removed", "twice"] {
        assert_eq!(players.start(key)?.read().coins, 0, "{key}");
    }
    assert_eq!(players.edit("edited", |p| p.coins)?.value, 0);
    assert_eq!((asked.load(Ordering::Relaxed), again.load(Ordering::Relaxed)), (5, 0));
    Ok(())
}

#[test]
fn wiping_a_key_that_never_was_leaves_nothing() -> Result<()> {
    let mut sim = Sim::new(4);
    let store = sim.open()?;
    let (players, asked) = imported(&store)?;
    players.start("other")?.release()?;
    let commits = store.stats().commits;
    assert!(!players.wipe("new")?);
    assert_eq!(store.stats().commits, commits, "nothing was written");
    players.send("new", &Gift { coins: 5 })?;
    assert!(players.wipe("new")?, "there was mail");
    assert_eq!(players.start("new")?.read().coins, 100);
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    Ok(())
}

#[test]
fn a_key_that_is_wiped_while_its_import_is_under_way_is_not_imported() -> Result<()> {
    let mut sim = Sim::new(5);
    let store = sim.open()?;
    let (plain, asked) = (crate::world::players(&store)?, Arc::new(AtomicU32::new(0)));
    let (other, counted) = (plain.clone(), asked.clone());
    let players = store
        .profiles::<Player>("players")
        .on_absent(move |key: &Key| -> std::result::Result<_, String> {
            counted.fetch_add(1, Ordering::Relaxed);
            std::thread::scope(|scope| {
                let (other, key) = (&other, key.clone());
                let wiped = scope.spawn(move || {
                    other.edit(&key, |p| p.coins = 7).and_then(|_| other.wipe(&key)).expect("nobody plays it")
                });
                assert!(wiped.join().expect("it ends"));
            });
            Ok(Some(Player { coins: 100, ..Player::default() }))
        })
        .open()?;
    assert_eq!(players.edit("42", |p| p.coins)?.value, 0);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    Ok(())
}

#[test]
fn a_session_that_failed_to_load_leaves_the_key_free() -> Result<()> {
    let store = Store::in_memory()?;
    old_player(&store, "42")?;
    let strict = store.profiles::<Player>("players").mismatch(Mismatch::Refuse).open()?;
    assert_eq!(strict.start("42").unwrap_err().kind(), ErrorKind::Decode);
    assert!(store.sessions()?.is_empty() && strict.active("42").is_none());
    let lenient = store.profiles::<Player>("players").mismatch(Mismatch::Replace).open()?;
    assert_eq!(lenient.start("42")?.read().level, 0);
    Ok(())
}

#[test]
fn documents_without_a_type_are_filled_deep_and_what_was_deleted_stays_deleted() -> Result<()> {
    let store = Store::in_memory()?;
    let template = |with_gems: bool| -> Value {
        let stats: Value = Map::from([("level", 1), ("luck", 2)]).into();
        let mut all = Map::from([("coins", Value::from(0)), ("stats", stats)]);
        if with_gems {
            all.insert("gems", 5);
        }
        all.into()
    };
    let any = store.profiles_with("any", template(false)).open()?;
    let doc = any.start("42")?;
    doc.update(|value| {
        let map = value.as_map_mut().expect("a map");
        map.remove("coins");
        map.get_mut("stats").and_then(Value::as_map_mut).expect("a map").remove("luck");
    })?;
    doc.release()?;
    let doc = any.start("42")?;
    let stats: Value = Map::from([("level", 1)]).into();
    assert_eq!(*doc.read(), Map::from([("stats", stats.clone())]).into());
    doc.release()?;
    let any = store.profiles_with("any", template(true)).open()?;
    let doc = any.start("42")?;
    let expected: Value = Map::from([("stats", stats), ("gems", 5.into())]).into();
    assert_eq!(*doc.read(), expected, "what is new to the template comes, what was deleted does not");
    Ok(())
}

#[test]
fn all_documents_are_migrated_in_steps_that_can_be_stopped_and_repeated() -> Result<()> {
    let store = Store::in_memory()?;
    for id in 10..20 {
        old_player(&store, &id.to_string())?;
    }
    store.collection::<Value>("players")?.set("99", &Value::from("no player"))?;
    let room = store.holder("room")?;
    let playing = store
        .profiles::<Player>("players")
        .holder(&room)
        .migration("gold is coins", Compatible::No, |doc| doc.rename("gold", "coins"))
        .mismatch(Mismatch::Replace)
        .open()?;
    let in_play = playing.start("15")?;
    let players = store
        .profiles::<Player>("players")
        .migration("gold is coins", Compatible::No, |doc| doc.rename("gold", "coins"))
        .migration("coins are cents", Compatible::No, |doc| {
            doc.change("coins", |c| c.as_u64().unwrap_or(0) * 100)
        })
        .mismatch(Mismatch::Replace)
        .open()?;
    let mut seen = 0;
    let first = players.migrate_all(None, |_, _| {
        seen += 1;
        if seen == 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    assert_eq!((first.changed, first.stopped_at.clone()), (4, Some(Key::new(13)?)));
    let rest = players.migrate_all(first.stopped_at.as_ref(), |_, _| ControlFlow::Continue(()))?;
    assert_eq!((rest.changed, rest.unchanged, rest.in_play, rest.failed.len()), (5, 0, 1, 1), "{rest}");
    assert_eq!(rest.failed[0].0, Key::new("99")?);
    let again = players.migrate_all(None, |_, _| ControlFlow::Continue(()))?;
    assert_eq!((again.changed, again.unchanged, again.in_play), (0, 9, 1), "{again}");
    assert_eq!((coins(&store, "12"), coins(&store, "15")), (Some(700), Some(7)));
    in_play.release()?;
    assert_eq!(players.start("15")?.read().coins, 700);
    Ok(())
}

/// It is noted beside 32 names of the program's, and the names that may be noted are full.
#[test]
fn a_migration_by_hand_has_none_of_the_programs_run_again() -> Result<()> {
    let store = Store::in_memory()?;
    let open = || {
        let mut players = store.profiles::<Player>("players");
        for n in 0..32 {
            let name =
                format!("{n:02} {}", "coins are hundreds of what they were".repeat(2))[..60].to_owned();
            players = players.migration(&name, Compatible::No, move |doc| {
                if n > 0 { Ok(()) } else { doc.change("coins", |c| c.as_u64().unwrap_or(0) * 100) }
            });
        }
        players.open()
    };
    store.collection::<Value>("players")?.set("42", &Map::from([("coins", 7)]).into())?;
    open()?.start("42")?.release()?;
    assert_eq!(coins(&store, "42"), Some(700));
    let by_hand = |name: &str| {
        let mut request = Map::from([("do", "migrate"), ("collection", "players"), ("name", name)]);
        request.insert("compatible", true);
        request.insert("steps", Value::List(vec![Map::from([("remove", "gems")]).into()]));
        answer(&store, &request)
    };
    let said = by_hand(&"by hand ".repeat(5))?;
    let failed = said.get("failed").and_then(Value::as_list).expect("a list");
    let error = failed[0].as_map().and_then(|failed| failed.get("error")).expect("there is one");
    assert_eq!(error.get("kind").and_then(Value::as_str), Some("TooLarge"), "{said:?}");
    assert_eq!(by_hand("by hand")?.get("changed").and_then(Value::as_u64), Some(1));
    let player = open()?.start("42")?;
    assert_eq!(player.read().coins, 700, "as it was");
    Ok(())
}

#[test]
fn views_edits_and_versions_need_no_session() -> Result<()> {
    let store = Store::in_memory()?;
    let players = store.profiles::<Player>("players").user_id(|key| key.as_u64()).open()?;
    assert!(players.view("42", At::Now)?.is_none());
    players.edit(42, |p| p.banned = true)?;
    let view = players.view(42, At::Now)?.expect("it was made");
    assert!(view.value.banned && view.attributes.user_ids() == [42.into()]);
    let player = rich(&players, "42", 5)?;
    let e = players.edit(42, |p| p.banned = false).expect_err("somebody plays it");
    assert_eq!((e.kind(), e.holder()), (ErrorKind::Leased, Some("process")), "{e}");
    player.update(|p| p.coins = 6)?;
    assert_eq!(players.view(42, At::Now)?.expect("it is there").value.coins, 5, "what the store holds");
    player.release()?;
    let versions = players.versions(42)?.collect::<Result<Vec<_>>>()?;
    let first = versions.last().expect("the edit").version;
    assert_eq!(players.view(42, first)?.expect("it was there").value.coins, 0);
    players.edit_once("ticket 812", 42, |p| p.coins += 1)?;
    players.edit_once("ticket 812", 42, |p| p.coins += 1)?;
    assert_eq!(coins(&store, "42"), Some(7));
    let back = players.restore(42, first)?;
    assert_eq!(back.undone.len(), versions.len(), "{back:?}");
    assert_eq!((coins(&store, "42"), back.ended), (Some(0), None));
    assert_eq!(players.restore(77, At::Now).unwrap_err().kind(), ErrorKind::Gone);
    Ok(())
}
