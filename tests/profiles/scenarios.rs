//! The fifteen acceptance scenarios, in their order.

use std::collections::BTreeMap;

use savehold::sim::Sim;
use savehold::{At, Compatible, Ended, ErrorKind, HolderOptions, Once, Policy, Result, Start, Store, Value};
use serde::{Deserialize, Serialize};

use crate::world::{Gift, Player, coins, crash_at_every_step, players, rich, secs};

#[test]
fn s01_a_trade_killed_at_every_byte_leaves_one_item() {
    let prepare = |store: &Store| {
        let players = players(store)?;
        let giver = players.start("a")?;
        giver.update(|p| p.bag.insert(1, 1))?;
        giver.save()?;
        players.start("b").map(drop)
    };
    let act = |store: &Store| {
        let players = players(store)?;
        let (a, b) = (players.start("a")?, players.start("b")?);
        store.transaction(|tx| -> Result<()> {
            let item = tx.edit(&a)?.bag.remove(&1).expect("he has it");
            tx.edit(&b)?.bag.insert(1, item);
            Ok(())
        })?;
        Ok(())
    };
    crash_at_every_step(prepare, act, |store, answered| {
        let bag = |key: &str| -> Result<BTreeMap<u32, u32>> {
            Ok(players(store)?.view(key, At::Now)?.map(|view| view.value.bag).unwrap_or_default())
        };
        let (a, b) = (bag("a")?, bag("b")?);
        assert_eq!(a.len() + b.len(), 1, "{a:?} {b:?}");
        assert!(!answered || b.len() == 1);
        Ok(())
    });
}

#[test]
fn s02_an_answer_that_was_lost_and_is_asked_for_again_has_one_effect() {
    let buy = |store: &Store| {
        let player = players(store)?.start("42")?;
        player.update_once("receipt-1", |p| p.coins += 100).map(drop)
    };
    crash_at_every_step(
        |store| rich(&players(store)?, "42", 1).map(drop),
        buy,
        |store, answered| {
            let before = coins(store, "42");
            assert!(before == Some(101) || before == Some(1) && !answered, "{before:?}");
            let player = players(store)?.start("42")?;
            let again = player.update_once("receipt-1", |p| p.coins += 100)?;
            assert_eq!(matches!(again, Once::Before(_)), before == Some(101));
            assert_eq!((player.read().coins, coins(store, "42")), (101, Some(101)));
            Ok(())
        },
    );
}

#[test]
fn s03_an_owner_that_slept_past_its_lease_changes_not_one_byte() -> Result<()> {
    let mut sim = Sim::new(3);
    let store = sim.open()?;
    let sleepy = store.holder_with("sleepy", HolderOptions::new().lease(secs(5)))?;
    let awake = store.holder("awake")?;
    let old = store.profiles::<Player>("players").holder(&sleepy).open()?.start("42")?;
    old.update(|p| p.coins = 1)?;
    old.save()?;
    old.update(|p| p.coins = 1_000)?; // not saved when it falls asleep
    sim.advance(secs(6));
    let players = store.profiles::<Player>("players").holder(&awake).open()?;
    let new = players.start_with("42", Start::new().policy(Policy::Fail))?;
    assert_eq!(new.read().coins, 1);
    new.update(|p| p.coins += 1)?;
    new.save()?;
    let versions = || -> Result<usize> { Ok(store.collection::<Player>("players")?.versions("42")?.count()) };
    let before = versions()?;
    assert_eq!(old.update(|p| p.coins = 5).unwrap_err().kind(), ErrorKind::Ended);
    assert_eq!(old.save().unwrap_err().kind(), ErrorKind::Ended);
    assert_eq!(old.update_once("id", |p| p.coins = 5).unwrap_err().kind(), ErrorKind::Ended);
    assert_eq!(old.release().unwrap_err().kind(), ErrorKind::Ended);
    let docs = store.collection::<Player>("players")?;
    let fenced = docs.with_token(old.token()).set("42", &Player::default()).unwrap_err();
    assert_eq!(fenced.kind(), ErrorKind::Fenced);
    sim.advance(secs(60));
    assert_eq!((coins(&store, "42"), versions()?), (Some(2), before), "not one byte");
    assert_eq!(old.ended(), Some(Ended::Expired));
    Ok(())
}

#[test]
fn s04_all_ways_to_ask_agree_whether_a_lease_is_over() -> Result<()> {
    for millis in [0, 4_000, 4_999, 5_000, 5_001, 9_000] {
        let mut sim = Sim::new(4);
        let store = sim.open()?;
        let one = store.holder_with("one", HolderOptions::new().lease(secs(5)))?;
        let two = store.holder("two")?;
        let old = store.profiles::<Player>("players").holder(&one).open()?.start("42")?;
        old.update(|p| p.coins = 1)?;
        sim.step_wall(-3_600_000_000);
        let lives = millis < 5_000;
        sim.advance(std::time::Duration::from_millis(millis));
        assert_eq!(store.sessions()?.len() == 1, lives, "listed after {millis} ms");
        let docs = store.collection::<Player>("players")?;
        let plain = docs.update("42", |now| now.map(|entry| entry.value)).map(drop);
        assert_eq!(plain.map_err(|e| e.kind()), if lives { Err(ErrorKind::Leased) } else { Ok(()) });
        let saved = old.save().map(drop).map_err(|e| e.kind());
        assert_eq!(saved, if lives { Ok(()) } else { Err(ErrorKind::Ended) }, "saved after {millis} ms");
        let players = store.profiles::<Player>("players").holder(&two).open()?;
        let started = players.start_with("42", Start::new().policy(Policy::Fail)).map(drop);
        assert_eq!(started.map_err(|e| e.kind()), if lives { Err(ErrorKind::Leased) } else { Ok(()) });
    }
    Ok(())
}

#[test]
fn s05_a_restore_under_a_live_session_tells_it_and_tokens_grow() -> Result<()> {
    let mut sim = Sim::new(5);
    let store = sim.open()?;
    let players = players(&store)?;
    let first = rich(&players, "42", 10)?;
    let then = first.last_saved().version;
    sim.advance(secs(24 * 3600));
    first.update_once("receipt-9", |p| p.coins = 0)?;
    let back = players.restore("42", At::ago(secs(3600)))?;
    assert_eq!((back.from, back.undone.len()), (then, 1));
    assert_eq!(back.undone[0].id.as_deref(), Some(&b"receipt-9"[..]));
    assert!(back.version > back.undone[0].version, "a new version, never an old number");
    assert_eq!(first.ended(), Some(Ended::Restored));
    assert_eq!(first.update(|p| p.coins = 7).unwrap_err().kind(), ErrorKind::Ended);
    let second = players.start("42")?;
    assert_eq!(second.read().coins, 10);
    assert!(second.token() > first.token());
    assert!(matches!(second.update_once("receipt-9", |p| p.coins += 1)?, Once::Before(_)), "outcomes stay");
    Ok(())
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Physics {
    speed: f64,
    names: BTreeMap<String, u32>,
}

#[test]
fn s06_an_invalid_value_fails_that_change_and_not_the_next() -> Result<()> {
    let store = Store::in_memory()?;
    let bodies = store
        .profiles::<Physics>("bodies")
        .validate(|body| if body.speed > 9.0 { Err("faster than allowed") } else { Ok(()) })
        .bytes_max(200)
        .open()?;
    let body = bodies.start("42")?;
    assert_eq!(body.update(|b| b.speed = f64::NAN).unwrap_err().kind(), ErrorKind::Encode);
    assert_eq!(body.update(|b| b.speed = 9.5).unwrap_err().kind(), ErrorKind::Refused);
    let huge = |b: &mut Physics| b.names.insert("x".repeat(300), 1);
    assert_eq!(body.update(huge).unwrap_err().kind(), ErrorKind::TooLarge);
    let e = body.update_once("id", |b| b.speed = f64::INFINITY).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Encode);
    assert!(e.message().contains("bodies/42") && e.message().contains("speed"), "{e}");
    assert_eq!(*body.read(), Physics::default());
    body.update(|b| b.speed = 2.0)?;
    body.save()?;
    assert_eq!(body.last_saved().value.speed, 2.0);
    assert!(matches!(body.update_once("id", |b| b.speed = 3.0)?, Once::Now(_)), "the id was not used up");
    Ok(())
}

#[test]
pub(crate) fn s07_a_document_that_cannot_be_read_refuses_the_session_and_stays() -> Result<()> {
    let mut sim = Sim::new(7);
    let store = sim.open()?;
    rich(&players(&store)?, "42", 5)?.release()?;
    store.collection::<Value>("players")?.set("43", &Value::from("no player at all"))?;
    store.raw("players")?.set("44", &bytes::Bytes::from_static(b"raw"))?;
    let players = players(&store)?;
    for (key, kind) in [("43", ErrorKind::Decode), ("44", ErrorKind::WrongType)] {
        let version = store.version();
        let e = players.start(key).expect_err("it is no player");
        assert_eq!(e.kind(), kind, "{e}");
        assert!(e.message().contains(&format!("players/{key}")), "{e}");
        assert_eq!(store.version(), version, "nothing was written");
        assert_eq!(players.edit(key, |p| p.coins = 1).unwrap_err().kind(), kind);
        assert_eq!(players.view(key, At::Now).unwrap_err().kind(), kind);
        assert!(players.dry_run(key).is_err());
        assert!(store.sessions()?.is_empty(), "and no lease is left behind");
    }
    let disk = sim.disk();
    let segment = disk.files().into_iter().map(|(path, _)| path).find(|path| path.ends_with(".seg"));
    let segment = std::path::PathBuf::from(segment.expect("a segment"));
    let text = disk.read(&segment).expect("a file");
    let coins = text.windows(6).rposition(|w| w == b"coins\x05").expect("the value that was saved");
    disk.flip_bit(&segment, coins as u64 + 5, 1).expect("a byte of it");
    let e = players.start("42").expect_err("it is damaged");
    assert_eq!(e.kind(), ErrorKind::Damaged, "{e}");
    assert!(players.start("45").is_ok(), "all else goes on");
    Ok(())
}

#[test]
fn s08_saves_keep_user_ids_and_metadata() -> Result<()> {
    let store = Store::in_memory()?;
    let players = store.profiles::<Player>("players").user_id(|key| key.as_u64()).open()?;
    let player = players.start(42)?;
    assert_eq!(player.user_ids(), [42.into()]);
    player.add_user_id("friend")?;
    player.set_meta("region", Some("eu"))?;
    player.update(|p| p.coins = 1)?;
    player.save()?;
    player.update_once("id", |p| p.coins = 2)?;
    store.transaction(|tx| -> Result<()> {
        tx.edit(&player)?.coins = 3;
        Ok(())
    })?;
    player.update(|p| p.coins = 4)?;
    player.release()?;
    players.edit(42, |p| p.coins = 5)?;
    store.collection::<Player>("players")?.update(42, |now| now.map(|entry| entry.value))?;
    let entry = store.collection::<Player>("players")?.get(42)?.expect("it is there");
    assert_eq!(entry.attributes.user_ids(), [42.into(), "friend".into()]);
    assert_eq!(entry.attributes.meta()["region"], "eu");
    let player = players.start(42)?;
    player.remove_user_id("friend")?;
    player.set_meta("region", None)?;
    player.release()?;
    let entry = store.collection::<Player>("players")?.get(42)?.expect("it is there");
    assert_eq!((entry.attributes.user_ids(), entry.attributes.meta().len()), (&[42.into()][..], 0));
    assert_eq!(store.keys_of("friend")?.count(), 0);
    assert_eq!(store.keys_of(42)?.count(), 1);
    Ok(())
}

#[test]
fn s09_wiping_a_live_key_tells_its_owner_once() -> Result<()> {
    let mut sim = Sim::new(9);
    let store = sim.open()?;
    let players = players(&store)?;
    let player = rich(&players, "42", 5)?;
    players.send("42", &Gift { coins: 1 })?;
    player.update(|p| p.coins = 6)?;
    assert!(players.wipe("42")?);
    assert_eq!(player.ended(), Some(Ended::Erased));
    for _ in 0..20 {
        sim.advance(secs(10));
    }
    let events: Vec<_> = std::iter::from_fn(|| players.events().try_next()).collect();
    let ended = |event: &&savehold::Event| matches!(event, savehold::Event::Ended { why: Ended::Erased, .. });
    assert_eq!(events.iter().filter(ended).count(), 1, "{events:?}");
    assert!(!events.contains(&savehold::Event::Critical(true)), "no loop of errors");
    assert_eq!((coins(&store, "42"), players.mail_count("42")?), (None, 0));
    assert!(!players.wipe("42")?);
    Ok(())
}

#[test]
pub(crate) fn s10_mail_to_a_key_never_loaded_has_its_effect_once_with_a_crash_at_every_step() {
    let send = |store: &Store| {
        let players = players(store)?;
        players.send("never", &Gift { coins: 5 })?;
        let player = players.start("never")?;
        while player.receive(|p, gift: Gift| p.coins += gift.coins)? {}
        player.release().map(drop)
    };
    crash_at_every_step(
        |store| players(store)?.start("other").map(drop),
        send,
        |store, answered| {
            let players = players(store)?;
            let player = players.start("never")?;
            let waiting = player.mail_count()?;
            let had = player.read().coins;
            assert!(had + 5 * waiting == 5 || (had + waiting == 0 && !answered), "{had} and {waiting}");
            while player.receive(|p, gift: Gift| p.coins += gift.coins)? {}
            assert_eq!(player.read().coins, had + 5 * waiting);
            assert!(!answered || had == 5);
            Ok(())
        },
    );
    // what was sent, and that is known, is there in the mailbox or in the purse, whatever happens on the way
    let take = |store: &Store| {
        let player = players(store)?.start("never")?;
        while player.receive(|p, gift: Gift| p.coins += gift.coins)? {}
        player.release().map(drop)
    };
    crash_at_every_step(
        |store| players(store)?.send("never", &Gift { coins: 5 }).map(drop),
        take,
        |store, answered| {
            let player = players(store)?.start("never")?;
            let (had, waiting) = (player.read().coins, player.mail_count()?);
            assert_eq!(had + 5 * waiting, 5, "{had} and {waiting}");
            assert!(!answered || had == 5);
            Ok(())
        },
    );
}

#[test]
fn s11_the_1001st_message_is_refused_and_the_first_is_still_there() -> Result<()> {
    let store = Store::in_memory()?;
    let players = players(&store)?;
    let player = players.start("42")?;
    store.transaction(|tx| (0..1000).try_for_each(|coins| tx.send(&players, "42", &Gift { coins })))?;
    let e = players.send("42", &Gift { coins: 9 }).expect_err("it is full");
    assert_eq!(e.kind(), ErrorKind::MailboxFull, "{e}");
    let first = players.next_letter("42")?.expect("it is there");
    assert_eq!(first.value.get("coins").and_then(Value::as_u64), Some(0));
    let mut next = 0;
    while player.receive(|_, gift: Gift| {
        assert_eq!(gift.coins, next, "in the order of sending");
        next += 1;
    })? {}
    assert_eq!((next, players.mail_count("42")?), (1000, 0));
    players.send("42", &Gift { coins: 9 })?;
    Ok(())
}

#[test]
fn s12_a_reopen_within_the_close_sees_the_last_commit_and_the_old_handle_is_dead() -> Result<()> {
    let store = Store::in_memory()?;
    let players = players(&store)?;
    let old = players.start("42")?;
    old.update(|p| p.coins = 5)?;
    let closing = old.release_async();
    let new = players.start("42")?;
    assert_eq!(new.read().coins, 5);
    assert_eq!(old.update(|p| p.coins = 1).unwrap_err().kind(), ErrorKind::Ended);
    assert_eq!(old.ended(), Some(Ended::Released));
    new.update(|p| p.coins += 1)?;
    new.save()?;
    closing.wait()?;
    drop(old);
    assert!(new.is_active(), "the end of the old one is not that of the new one");
    assert_eq!(coins(&store, "42"), Some(6));
    Ok(())
}

#[test]
pub(crate) fn s13_the_owners_last_edit_in_a_handoff_is_stored() -> Result<()> {
    let mut sim = Sim::new(13);
    let store = sim.open()?;
    let (red, blue) = (store.holder("red")?, store.holder("blue")?);
    let in_red = store
        .profiles::<Player>("players")
        .holder(&red)
        .before_release(|_, p, why| {
            assert_eq!(*why, Ended::HandedOver("blue".into()));
            p.level = 99;
        })
        .open()?;
    let old = in_red.start("42")?;
    old.update(|p| p.coins = 3)?;
    let new = store.profiles::<Player>("players").holder(&blue).open()?.start("42")?;
    assert_eq!((new.read().coins, new.read().level), (3, 99));
    assert_eq!(old.ended(), Some(Ended::HandedOver("blue".into())));
    let told: Vec<_> = std::iter::from_fn(|| in_red.events().try_next()).collect();
    let key = || new.key().clone();
    let expected = [
        savehold::Event::Wanted { key: key(), by: "blue".into() },
        savehold::Event::Ended { key: key(), why: Ended::HandedOver("blue".into()) },
    ];
    assert_eq!(told, expected);
    Ok(())
}

/// The player as a newer build knows him.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct NewPlayer {
    coins: u64,
    level: u32,
    bag: BTreeMap<u32, u32>,
    banned: bool,
    gems: u64,
}

#[test]
pub(crate) fn s14_an_old_build_writes_what_a_newer_compatible_one_wrote_and_the_new_field_survives()
-> Result<()> {
    let store = Store::in_memory()?;
    let newer = store
        .profiles::<NewPlayer>("players")
        .migration("gems begin at ten", Compatible::Yes, |doc| doc.set("gems", 10))
        .open()?;
    players(&store)?.start("42")?.release()?;
    let new = newer.start("42")?;
    assert_eq!(new.read().gems, 10);
    new.update(|p| p.gems = 11)?;
    new.release()?;
    let old = players(&store)?.start("42")?;
    old.update(|p| p.coins = 7)?;
    old.update_once("id", |p| p.level = 2)?;
    old.release()?;
    let new = newer.start("42")?;
    assert_eq!(
        (new.read().coins, new.read().level, new.read().gems),
        (7, 2, 11),
        "and the migration ran once"
    );
    new.release()?;
    let broken = store
        .profiles::<NewPlayer>("players")
        .migration("gems begin at ten", Compatible::Yes, |doc| doc.set("gems", 10))
        .migration("coins are cents", Compatible::No, |doc| {
            doc.change("coins", |c| c.as_u64().unwrap_or(0) * 100)
        })
        .open()?;
    broken.start("42")?.release()?;
    let e = players(&store)?.start("42").expect_err("an old build must not touch it");
    assert_eq!(e.kind(), ErrorKind::Format, "{e}");
    assert_eq!(coins(&store, "42"), Some(700));
    Ok(())
}

#[test]
fn s15_a_wall_clock_stepped_back_changes_no_lease_no_version_and_no_history() -> Result<()> {
    let mut sim = Sim::new(15);
    let store = sim.open()?;
    let holder = store.holder_with("room", HolderOptions::new().lease(secs(30)))?;
    let players = store.profiles::<Player>("players").holder(&holder).open()?;
    let player = rich(&players, "42", 1)?;
    for hour in 1..=5 {
        sim.step_wall(-3_600_000_000);
        sim.advance(secs(1));
        holder.heartbeat()?;
        player.update(|p| p.coins += 1)?;
        player.save()?;
        assert_eq!(store.sessions()?.len(), 1, "after {hour} hours back");
    }
    let versions = players.versions("42")?.collect::<Result<Vec<_>>>()?;
    assert!(versions.windows(2).all(|w| w[0].version > w[1].version && w[0].time_us >= w[1].time_us));
    drop((player, players, holder, store));
    sim.step_wall(-3_600_000_000);
    let store = sim.open()?;
    let last = versions[0].version;
    let again = rich(&crate::world::players(&store)?, "42", 9)?;
    assert!(again.last_saved().version > last);
    Ok(())
}
