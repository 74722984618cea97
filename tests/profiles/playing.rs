//! A profile in the hands of the game: memory, saves, hooks, events, the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use savehold::sim::Sim;
use savehold::{Ended, ErrorKind, Event, Options, Profile, Profiles, Result, Start, Store};

use crate::world::{Player, coins, players, rich, secs};

fn told(players: &Profiles<Player>) -> Vec<Event> {
    std::iter::from_fn(|| players.events().try_next()).collect()
}

#[test]
pub(crate) fn an_update_is_seen_at_once_and_in_the_log_within_the_autosave_time() -> Result<()> {
    let mut sim = Sim::new(1);
    let store = sim.open()?;
    let player = players(&store)?.start("42")?;
    assert_eq!((player.unsaved_for(), coins(&store, "42")), (None, Some(0)));
    assert_eq!(player.update(|p| std::mem::replace(&mut p.coins, 5))?, 0);
    let picture = player.read();
    player.update(|p| p.coins = 6)?;
    assert_eq!((picture.coins, player.read().coins, coins(&store, "42")), (5, 6, Some(0)));
    assert_eq!(player.last_saved().value.coins, 0);
    sim.advance(secs(8));
    assert_eq!((player.unsaved_for(), coins(&store, "42")), (Some(secs(8)), Some(0)));
    sim.advance(secs(2));
    assert_eq!((player.unsaved_for(), coins(&store, "42")), (None, Some(6)));
    assert_eq!(player.last_saved().value.coins, 6);
    let versions = store.collection::<Player>("players")?.versions("42")?.collect::<Result<Vec<_>>>()?;
    assert!(!versions[0].explicit && versions[0].token == Some(player.token()), "{versions:?}");
    sim.advance(secs(600));
    assert_eq!(
        store.collection::<Player>("players")?.versions("42")?.count(),
        2,
        "unchanged ones are skipped"
    );
    Ok(())
}

#[test]
fn what_is_due_is_saved_together() -> Result<()> {
    let mut sim = Sim::new(2);
    let store = sim.open()?;
    let players = players(&store)?;
    let all = (0..500).map(|id| players.start(id)).collect::<Result<Vec<_>>>()?;
    for player in &all {
        player.update(|p| p.coins = 1)?;
    }
    let before = store.stats().groups;
    for _ in 0..100 {
        sim.advance(Duration::from_millis(100));
    }
    let groups = store.stats().groups - before;
    assert!(all.iter().all(|player| player.last_saved().value.coins == 1));
    assert!(groups <= 20, "{groups} groups for 500 saves within 10 s");
    Ok(())
}

#[test]
fn a_refused_failed_or_panicking_update_leaves_the_old_value() -> Result<()> {
    let store = Store::in_memory()?;
    let players = store
        .profiles::<Player>("players")
        .validate(|p| if p.level > 100 { Err(format!("level {}", p.level)) } else { Ok(()) })
        .open()?;
    let player = rich(&players, "42", 5)?;
    let refused = player.update(|p| p.level = 101).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Refused);
    assert!(refused.message().contains("players/42") && refused.message().contains("level 101"), "{refused}");
    let failed: Result<(), Box<dyn std::error::Error>> = player.try_update(|p| {
        p.coins = 7;
        Err("no".into())
    });
    assert_eq!(failed.unwrap_err().to_string(), "no");
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        player.update(|p| {
            p.coins = 8;
            panic!("on purpose")
        })
    }));
    assert!(panicked.is_err());
    let reentrant = player.update(|_| player.update(|p| p.coins = 9).unwrap_err().kind())?;
    assert_eq!(reentrant, ErrorKind::Reentrant);
    assert_eq!(player.read().coins, 5);
    player.update(|p| p.coins += 1)?;
    assert_eq!(player.read().coins, 6, "nothing is stuck");
    Ok(())
}

#[test]
fn threads_that_change_one_profile_lose_no_change() -> Result<()> {
    let store = Store::in_memory()?;
    let players = players(&store)?;
    let (one, other) = (players.start("1")?, players.start("2")?);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| (0..500).for_each(|_| one.update(|p| p.coins += 1).expect("it is ours")));
        }
        scope.spawn(|| {
            for _ in 0..100 {
                let moved = store.transaction(|tx| -> Result<()> {
                    let (mut from, mut to) = (tx.edit(&one)?, tx.edit(&other)?);
                    (from.level, to.level) = (from.level + 1, to.level + 1);
                    Ok(())
                });
                moved.expect("it commits in the end");
            }
        });
        scope.spawn(|| (0..50).for_each(|_| assert!(one.save().is_ok())));
    });
    assert_eq!((one.read().coins, one.read().level, other.read().level), (1500, 100, 100));
    one.release()?;
    assert_eq!(coins(&store, "1"), Some(1500));
    Ok(())
}

#[test]
fn saving_that_fails_for_too_long_refuses_changes_and_goes_on_when_it_can() -> Result<()> {
    let mut sim = Sim::new(3);
    let store = sim.open()?;
    let players = players(&store)?;
    let player = players.start("42")?;
    player.update(|p| p.bag = (0..200_000).map(|n| (n, n)).collect())?;
    sim.fill();
    for _ in 0..45 {
        sim.advance(secs(1));
    }
    let refused = player.update(|p| p.coins = 1).expect_err("it could not be saved");
    assert_eq!(refused.kind(), ErrorKind::Full, "{refused}");
    assert!(players.is_critical());
    sim.free();
    sim.advance(secs(2));
    player.update(|p| p.coins = 1)?;
    player.save()?;
    for _ in 0..13 {
        sim.advance(secs(10));
    }
    let events = told(&players);
    assert_eq!(events, [Event::Critical(true), Event::Critical(false)]);
    Ok(())
}

#[test]
fn the_end_is_told_in_order_and_only_when_it_is_durable() -> Result<()> {
    let mut sim = Sim::new(4);
    let store = sim.open()?;
    let players = store.profiles::<Player>("players").before_release(|_, p, _| p.level += 1).open()?;
    let player = rich(&players, "42", 1)?;
    player.update(|p| p.coins = 2)?;
    let ticket = player.release_async();
    assert_eq!(player.update(|p| p.coins = 3).unwrap_err().kind(), ErrorKind::Ended);
    let version = ticket.wait()?;
    sim.advance(secs(1));
    assert_eq!(told(&players), [Event::Ended { key: player.key().clone(), why: Ended::Released }]);
    let entry = store.collection::<Player>("players")?.get("42")?.expect("it was saved");
    assert_eq!((entry.value.coins, entry.value.level, entry.version), (2, 1, version));
    assert_eq!(player.release().unwrap_err().kind(), ErrorKind::Ended);
    assert!(store.sessions()?.is_empty() && players.in_play().is_empty());
    Ok(())
}

#[test]
fn dropping_the_last_handle_is_a_release() -> Result<()> {
    let mut sim = Sim::new(5);
    let store = sim.open()?;
    let players = players(&store)?;
    let player = players.start("42")?;
    let same = players.active("42").expect("it is in play");
    drop(player);
    same.update(|p| p.coins = 9)?;
    assert!(same.is_active());
    drop(same);
    assert!(players.active("42").is_none());
    sim.advance(secs(1));
    assert_eq!(coins(&store, "42"), Some(9));
    assert_eq!(told(&players).len(), 1);
    assert!(store.sessions()?.is_empty());
    Ok(())
}

#[test]
fn a_release_that_finds_the_disk_full_is_made_when_there_is_room() -> Result<()> {
    let mut sim = Sim::new(6);
    let store = sim.open()?;
    let players = players(&store)?;
    let player = players.start("42")?;
    player.update(|p| p.bag = (0..200_000).map(|n| (n, n)).collect())?;
    sim.fill();
    let e = player.release().expect_err("there is no room for so much");
    assert_eq!(e.kind(), ErrorKind::Full, "{e}");
    drop(player);
    sim.advance(secs(5));
    assert!(told(&players).iter().all(|event| !matches!(event, Event::Ended { .. })));
    sim.free();
    sim.advance(secs(5));
    let ended = |event: &Event| matches!(event, Event::Ended { why: Ended::Released, .. });
    assert!(told(&players).iter().any(ended));
    let kept = store.collection::<Player>("players")?.get("42")?.expect("it was saved").value;
    assert_eq!(kept.bag.len(), 200_000);
    Ok(())
}

#[test]
fn hooks_edit_what_is_saved_and_a_hook_that_hangs_is_left_alone() -> Result<()> {
    let store = Store::in_memory()?;
    let (go, stop) = std::sync::mpsc::channel::<()>();
    let stop = std::sync::Mutex::new(stop);
    let saves = Arc::new(AtomicU32::new(0));
    let counted = saves.clone();
    let players = store
        .profiles::<Player>("players")
        .before_save(move |_, p| p.level = counted.fetch_add(1, Ordering::Relaxed) + 1)
        .before_release(move |key, p, why| {
            assert_eq!(*why, Ended::Closed);
            if *key == "hangs" {
                _ = stop.lock().expect("nobody panics").recv();
            }
            p.coins += 100;
        })
        .hook_time(secs(300))
        .open()?;
    let good = players.start("good")?;
    good.update(|p| p.coins = 1)?;
    good.save()?;
    assert_eq!((good.read().level, coins(&store, "good")), (1, Some(1)));
    let hangs = players.start("hangs")?;
    hangs.update(|p| p.coins = 5)?;
    let report = players.close(secs(4));
    assert_eq!((report.saved + report.late.len(), report.failed.len()), (2, 0), "{report:?}");
    assert!(report.hooks_cut_short >= 1, "{report:?}");
    store.sync()?; // a late one has its place, and its answer with this
    assert_eq!(coins(&store, "hangs"), Some(5), "what stood without the hook");
    drop(go);
    Ok(())
}

#[test]
fn closing_ten_thousand_profiles_takes_a_few_groups() -> Result<()> {
    let mut sim = Sim::new(7);
    let store = sim.open()?;
    let players = players(&store)?;
    let all = (0..10_000).map(|id| players.start(id)).collect::<Result<Vec<_>>>()?;
    for player in &all {
        player.update(|p| p.coins = 1)?;
    }
    let before = store.stats().groups;
    let report = players.close(secs(30));
    let groups = store.stats().groups - before;
    assert_eq!((report.saved, report.failed.len(), report.late.len()), (10_000, 0, 0));
    assert!(groups < 20, "{groups} groups");
    assert_eq!(players.start("1").unwrap_err().kind(), ErrorKind::Closed);
    assert!(all.iter().all(|player| player.ended() == Some(Ended::Closed)));
    assert!(store.sessions()?.is_empty());
    drop((players, all, store));
    let store = sim.open()?;
    assert!((0..10_000).step_by(997).all(|id| coins(&store, &id.to_string()) == Some(1)));
    Ok(())
}

#[test]
fn a_store_that_is_closed_saves_what_is_in_play() -> Result<()> {
    let mut sim = Sim::new(8);
    let store = sim.open()?;
    let player = players(&store)?.start("42")?;
    player.update(|p| p.coins = 4)?;
    store.close()?;
    assert_eq!(player.ended(), Some(Ended::Closed));
    drop(player);
    assert_eq!(coins(&sim.open()?, "42"), Some(4));
    Ok(())
}

#[test]
fn changes_that_no_autosave_is_ever_due_for_are_in_the_last_save() -> Result<()> {
    let mut sim = Sim::new(16);
    sim.advance(secs(1));
    let store = sim.open()?;
    let players = store.profiles::<Player>("players").autosave(Duration::MAX).open()?;
    let player = players.start("42")?;
    for _ in 0..100 {
        player.update(|p| p.coins += 1)?; // another time is drawn each time
        player.save()?;
    }
    player.update(|p| p.coins += 1)?;
    sim.advance(secs(365 * 24 * 3600));
    assert_eq!(coins(&store, "42"), Some(100));
    assert_eq!(players.close(Duration::MAX).saved, 1);
    assert_eq!(coins(&store, "42"), Some(101));
    Ok(())
}

#[test]
fn an_update_once_is_durable_with_all_changes_before_it() -> Result<()> {
    let mut sim = Sim::new(9);
    let store = sim.open()?;
    let player = players(&store)?.start("42")?;
    player.update(|p| p.level = 3)?;
    player.update_once("receipt", |p| p.coins += 100)?;
    sim.cut_power();
    drop((player, store));
    let store = sim.open()?;
    let kept = store.collection::<Player>("players")?.get("42")?.expect("it was saved").value;
    assert_eq!((kept.coins, kept.level), (100, 3));
    Ok(())
}

#[test]
fn a_start_is_one_commit_and_a_second_start_of_the_holder_is_told_so() -> Result<()> {
    let store = Store::in_memory()?;
    let players = players(&store)?;
    players.start("1")?.release()?; // names the collection
    let before = store.stats().commits;
    let player = players.start("2")?;
    assert_eq!(store.stats().commits - before, 1);
    assert_eq!(player.last_saved().version.to_string(), player.token().to_string(), "lease and document");
    let e = players.start_with("2", Start::new()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::AlreadyActive, "{e}");
    assert_eq!(players.in_play(), [player.key().clone()]);
    player.release()?;
    let before = store.stats().commits;
    let player = players.start("2")?;
    assert_eq!(store.stats().commits - before, 1);
    assert!(
        player.last_saved().version < savehold::Version::from(player.token().lsn()),
        "nothing was rewritten"
    );
    assert!(player.size() > 0 && player.created_us() > 0 && player.imported_us().is_none());
    Ok(())
}

#[test]
fn what_something_else_wrote_under_the_token_is_not_written_over() -> Result<()> {
    [false, true].into_iter().try_for_each(write_beside)
}

fn write_beside(in_a_table: bool) -> Result<()> {
    let budget = if in_a_table { Duration::from_micros(1) } else { secs(1) }; // each commit is followed by a checkpoint
    let store = Sim::new(11).open_with(Options::new().recovery_budget(budget))?;
    let players = players(&store)?;
    let (docs, notes) = (store.collection::<Player>("players")?, store.collection::<u64>("notes")?);
    let beside = |player: &Profile<Player>| {
        docs.with_token(player.token()).set("42", &Player { coins: 100, ..Player::default() })
    };
    let player = rich(&players, "42", 5)?;
    beside(&player)?;
    if in_a_table {
        assert!(store.stats().checkpoints > 0);
        notes.set("behind the table", &1)?;
    }
    let conflict = |e: savehold::Error| {
        assert_eq!(e.kind(), ErrorKind::Conflict, "{e}");
        assert!(e.message().contains("something else"), "{e}");
        assert_eq!(coins(&store, "42"), Some(100));
    };
    let edited = store.transaction(|tx| {
        tx.edit(&player)?.coins += 1;
        Ok::<_, savehold::Error>(())
    });
    conflict(edited.unwrap_err());
    let read = store.transaction(|tx| {
        let coins = tx.edit(&player)?.coins;
        tx.set(&notes, "coins", &coins)
    });
    conflict(read.unwrap_err());
    assert!(notes.get("coins")?.is_none());
    conflict(player.update_once("receipt", |p| p.coins += 1).unwrap_err());
    player.update(|p| p.coins = 7)?;
    conflict(player.save().unwrap_err());
    conflict(player.release().unwrap_err());
    assert!(store.sessions()?.is_empty(), "it is over all the same");

    let player = players.start("42")?;
    assert_eq!(player.read().coins, 100);
    player.release()?;
    let player = rich(&players, "42", 5)?;
    beside(&player)?;
    player.update(|p| p.coins = 7)?;
    let report = players.close(secs(5));
    assert_eq!(report.failed.len(), 1, "{report:?}");
    assert_eq!((coins(&store, "42"), store.sessions()?.len()), (Some(100), 0));
    Ok(())
}
