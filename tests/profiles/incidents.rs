//! What went wrong elsewhere, by name: research names the threads.

use savehold::sim::Sim;
use savehold::{At, ErrorKind, Event, Result, Store};
use savehold_wal::sim::{Fault, When};

use crate::world::{House, Player, coins, crash_at_every_step, houses, players, rich, secs};

/// An item is traded between two characters, and the machine dies between their saves: it must not exist twice.
#[test]
fn trade_duplicated_by_a_crash_the_item_is_there_once() {
    let items = |store: &Store| -> Result<u32> {
        let all = store.collection::<Player>("players")?;
        let bags = all.scan("").collect::<Result<Vec<_>>>()?;
        Ok(bags.iter().map(|entry| entry.value.bag.get(&7).copied().unwrap_or(0)).sum())
    };
    let prepare = |store: &Store| {
        let players = players(store)?;
        let seller = players.start("seller")?;
        seller.update(|p| p.bag.insert(7, 1))?;
        seller.release()?;
        players.start("buyer")?.release().map(drop)
    };
    let act = |store: &Store| {
        let players = players(store)?;
        let (seller, buyer) = (players.start("seller")?, players.start("buyer")?);
        store.transaction(|tx| -> Result<()> {
            let (mut from, mut to) = (tx.edit(&seller)?, tx.edit(&buyer)?);
            let item = from.bag.remove(&7).unwrap_or(0);
            to.bag.insert(7, item);
            Ok(())
        })?;
        seller.release()?;
        buyer.release().map(drop)
    };
    crash_at_every_step(prepare, act, |store, answered| {
        assert_eq!(items(store)?, 1);
        let buyer = players(store)?.view("buyer", At::Now)?.expect("he was there");
        assert!(!answered || buyer.value.bag.contains_key(&7));
        Ok(())
    });
}

/// State that is saved on logout only is lost with a crash: here at most the autosave time is.
#[test]
fn saving_only_on_logout_a_crash_takes_no_more_than_the_autosave_time() -> Result<()> {
    let mut sim = Sim::new(1);
    let store = sim.open()?;
    let player = players(&store)?.start("42")?;
    for second in 1..=100 {
        player.update(|p| p.coins = second)?;
        sim.advance(secs(1));
    }
    sim.cut_power();
    drop((player, store));
    let store = sim.open()?;
    let kept = coins(&store, "42").expect("it was saved many times");
    assert!(kept >= 89, "{kept} of 100 seconds of play");
    Ok(())
}

/// The process is killed and the player appears in another: he has what he had, and the old process writes no more.
#[test]
fn lost_handoff_nothing_is_lost_and_nothing_is_there_twice() -> Result<()> {
    let mut sim = Sim::new(2);
    let store = sim.open()?;
    let old = rich(&players(&store)?, "42", 7)?;
    old.update(|p| p.coins = 8)?;
    old.save()?;
    sim.kill();
    old.update(|p| p.coins = 9)?;
    assert!(old.save().is_err(), "nothing new is taken");
    drop((old, store));
    let store = sim.open()?;
    let players = players(&store)?;
    let new = players.start("42")?;
    assert_eq!(new.read().coins, 8, "the last save, at once: nobody waits for a dead process");
    new.update(|p| p.coins += 1)?;
    new.release()?;
    assert_eq!(coins(&store, "42"), Some(9));
    Ok(())
}

/// Houses stay after a crash and inventories go back: two stores with different save times. Here both are one commit.
#[test]
pub(crate) fn split_rewind_house_and_purse_do_not_go_back_apart() {
    let prepare = |store: &Store| {
        houses(store)?.set("oak-1", &House { owner: None, price: 500 })?;
        rich(&players(store)?, "42", 800)?.release().map(drop)
    };
    let act = |store: &Store| {
        let (players, houses) = (players(store)?, houses(store)?);
        let buyer = players.start("42")?;
        buyer.update(|p| p.coins += 1)?; // in memory only: goes along with what is bought
        store.transaction(|tx| -> Result<()> {
            let mut purse = tx.edit(&buyer)?;
            let house = tx.get(&houses, "oak-1")?.expect("it is for sale").value;
            purse.coins -= house.price;
            tx.set(&houses, "oak-1", &House { owner: Some("42".into()), ..house })
        })?;
        buyer.update(|p| p.coins += 1)?; // and this with the release
        buyer.release().map(drop)
    };
    crash_at_every_step(prepare, act, |store, answered| {
        let owned = houses(store)?.get("oak-1")?.is_some_and(|entry| entry.value.owner.is_some());
        let coins = coins(store, "42").expect("he was there");
        match owned {
            false => assert_eq!(coins, 800, "nothing was bought"),
            true => assert!(coins == 301 || coins == 302, "{coins}"),
        }
        assert!(!answered || (owned && coins == 302));
        Ok(())
    });
}

/// A save that is cut in half by a power cut: the state before it is there, whole.
#[test]
fn torn_save_the_save_before_it_is_there_whole() -> Result<()> {
    for step in 1..40 {
        let mut sim = Sim::new(step);
        let store = sim.open()?;
        let player = rich(&players(&store)?, "42", 1)?;
        player.update(|p| {
            p.coins = 2;
            p.bag = (0..4000).map(|n| (n, n)).collect();
        })?;
        let disk = sim.disk();
        disk.order(When::Change(disk.counts().changes + step), Fault::CutInside);
        let saved = player.save();
        sim.cut_power();
        drop((player, store));
        let store = sim.open()?;
        let now = players(&store)?.view("42", At::Now)?.expect("it was saved").value;
        assert!(now.coins == 1 && now.bag.is_empty() || now.coins == 2 && now.bag.len() == 4000);
        assert!(saved.is_err() || now.coins == 2, "step {step}");
    }
    Ok(())
}

/// A store that takes nothing more is said at once, not when the player leaves.
#[test]
fn a_game_learns_that_saving_is_in_trouble() -> Result<()> {
    let mut sim = Sim::new(3);
    let store = sim.open()?;
    let players = players(&store)?;
    let player = rich(&players, "42", 1)?;
    sim.fail_sync(1);
    player.update(|p| p.coins = 2)?;
    let failed = player.save().expect_err("the sync failed");
    assert!(failed.may_have_happened());
    let refused = player.update(|p| p.coins = 3).expect_err("no loot that would vanish");
    assert_eq!(refused.kind(), ErrorKind::Halted, "{refused}");
    assert_eq!(player.read().coins, 2);
    for _ in 0..8 {
        sim.advance(secs(10));
    }
    let events = std::iter::from_fn(|| players.events().try_next());
    assert!(events.into_iter().any(|event| event == Event::Critical(true)));
    assert!(players.is_critical());
    Ok(())
}
