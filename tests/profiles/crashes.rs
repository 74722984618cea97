//! A whole life of profiles, with the machine ending at every step of it: what was answered is there.

use savehold::{Result, Store};

use crate::world::{Gift, coins, crash_at_every_step, players};

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
