//! A whole life of profiles, with the machine ending at every step of it: what was answered is there.

use savehold::{Result, Store};

use crate::world::{Gift, Player, coins, crash_at_every_step, players, rich};

#[test]
fn a_life_of_play_keeps_what_was_answered() {
    let prepare = |store: &Store| players(store)?.start("0")?.release().map(drop);
    let act = |store: &Store| {
        let players = players(store)?;
        let player = players.start("42")?;
        player.update(|p| p.coins = 1)?;
        player.save()?;
        player.update_once("receipt", |p| p.coins += 10)?;
        players.send("42", &Gift { coins: 100 })?;
        player.receive(|p, gift: Gift| p.coins += gift.coins)?;
        player.update(|p| p.level = 5)?;
        player.release()?;
        let again = players.start("42")?;
        again.update(|p| p.coins += 1_000)?;
        let report = players.close(crate::world::secs(30));
        if report.failed.is_empty() { Ok(()) } else { Err(report.failed.into_iter().next().expect("one").1) }
    };
    crash_at_every_step(prepare, act, |store, answered| {
        let now = coins(store, "42");
        let states = [None, Some(0), Some(1), Some(11), Some(111), Some(1_111)];
        assert!(states.contains(&now), "{now:?}");
        assert!(!answered || now == Some(1_111), "{now:?}");
        let players = players(store)?;
        let player = players.start("42")?;
        while player.receive(|p, gift: Gift| p.coins += gift.coins)? {}
        player.update_once("receipt", |p| p.coins += 10)?;
        let whole = player.read().coins;
        assert_eq!(whole % 100 / 10, 1, "the receipt counts once: {whole}");
        assert!(player.is_active(), "nobody waits for a dead process");
        player.release()?;
        assert_eq!(coins(store, "42"), Some(whole));
        Ok(())
    });
}

#[test]
fn a_session_of_a_dead_process_is_over_at_once_for_all_of_a_thousand() -> Result<()> {
    let mut sim = savehold::sim::Sim::new(1);
    let store = sim.open()?;
    let playing = players(&store)?;
    let all = (0..1_000).map(|id| playing.start(id)).collect::<Result<Vec<_>>>()?;
    sim.kill();
    drop((all, playing, store));
    let store = sim.open()?;
    let players = players(&store)?;
    let all = (0..1_000).map(|id| players.start(id)).collect::<Result<Vec<_>>>()?;
    assert_eq!(all.len(), players.in_play().len());
    Ok(())
}

/// The machine dies at any step of a handoff: whatever the next room was told is there, and nobody waits for the dead.
#[test]
fn a_handoff_that_is_cut_off_keeps_what_the_next_room_saw() {
    let seen = std::cell::Cell::new(0);
    let room =
        |store: &Store, name: &str| store.profiles::<Player>("players").holder(&store.holder(name)?).open();
    let prepare = |store: &Store| {
        seen.set(5);
        rich(&players(store)?, "42", 5)?.release().map(drop)
    };
    let act = |store: &Store| {
        let (red, blue) = (room(store, "red")?, room(store, "blue")?);
        let there = red.start("42")?;
        there.update(|p| p.coins += 1)?; // in memory only
        let here = blue.start("42")?;
        seen.set(here.read().coins);
        here.update(|p| p.coins += 1)?;
        let again = red.start("42")?;
        seen.set(again.read().coins);
        again.release().map(drop)
    };
    crash_at_every_step(prepare, act, |store, answered| {
        let now = coins(store, "42").expect("he was there");
        assert!((seen.get()..=7).contains(&now), "{} was seen, {now} is there", seen.get());
        assert!(!answered || now == 7);
        assert!(store.sessions()?.is_empty(), "nobody holds him");
        assert_eq!(room(store, "green")?.start("42")?.read().coins, now);
        Ok(())
    });
}
