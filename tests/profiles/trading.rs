//! Transactions over profiles, plain keys and mail.

use savehold::sim::Sim;
use savehold::{At, Error, ErrorKind, Event, Once, Profile, Profiles, Result, Store};

use crate::world::{Gift, House, Player, coins, crash_at_every_step, houses, players, rich, secs};

#[derive(Debug)]
enum TradeError {
    Poor,
    Gone,
    Store(Error),
}

impl From<Error> for TradeError {
    fn from(e: Error) -> Self {
        Self::Store(e)
    }
}

fn sell_house(
    store: &Store,
    players: &Profiles<Player>,
    seller: &Profile<Player>,
    buyer: &Profile<Player>,
    house: &str,
    id: &str,
) -> Result<u64, TradeError> {
    let houses = houses(store)?;
    let sold = store.transaction_once(id, |tx| -> Result<u64, TradeError> {
        let (mut s, mut b) = (tx.edit(seller)?, tx.edit(buyer)?);
        let h = tx.get(&houses, house)?.ok_or(TradeError::Gone)?.value;
        b.coins = b.coins.checked_sub(h.price).ok_or(TradeError::Poor)?;
        s.coins += h.price;
        tx.set(&houses, house, &House { owner: Some(buyer.key().to_string()), ..h.clone() })?;
        tx.send(players, "guild-bank", &Gift { coins: h.price / 20 })?;
        Ok(h.price)
    })?;
    Ok(match sold {
        Once::Now(done) => done.value,
        Once::Before(_) => 0,
    })
}

#[test]
fn a_house_is_sold_in_one_record_or_not_at_all() -> Result<()> {
    let store = Store::in_memory()?;
    let players = players(&store)?;
    houses(&store)?.set("oak-1", &House { owner: None, price: 500 })?;
    let (seller, buyer) = (rich(&players, "seller", 1)?, rich(&players, "buyer", 600)?);
    let sell = |house, id| sell_house(&store, &players, &seller, &buyer, house, id);
    let before = store.stats().commits;
    assert_eq!(sell("oak-1", "trade-1").expect("he can pay"), 500);
    assert_eq!(store.stats().commits - before, 1);
    assert_eq!((seller.read().coins, buyer.read().coins), (501, 100));
    assert_eq!((coins(&store, "seller"), coins(&store, "buyer")), (Some(501), Some(100)));
    assert_eq!(players.mail_count("guild-bank")?, 1);
    assert_eq!(sell("oak-1", "trade-1").expect("it was done"), 0);
    let commits = store.stats().commits;
    assert!(matches!(sell("oak-1", "trade-2"), Err(TradeError::Poor)));
    assert!(matches!(sell("elm-1", "trade-3"), Err(TradeError::Gone)));
    assert_eq!((seller.read().coins, buyer.read().coins), (501, 100), "in memory neither");
    assert_eq!((store.stats().commits, players.mail_count("guild-bank")?), (commits, 1));
    Ok(())
}

#[test]
fn a_sale_is_whole_after_a_crash_at_every_step() {
    let prepare = |store: &Store| {
        houses(store)?.set("oak-1", &House { owner: None, price: 500 })?;
        let players = players(store)?;
        rich(&players, "seller", 0)?.release()?;
        rich(&players, "buyer", 600)?.release().map(drop)
    };
    let act = |store: &Store| {
        let players = players(store)?;
        let (seller, buyer) = (players.start("seller")?, players.start("buyer")?);
        seller.update(|p| p.level = 1)?;
        let sold = sell_house(store, &players, &seller, &buyer, "oak-1", "trade-1");
        sold.map(drop).map_err(|e| match e {
            TradeError::Store(e) => e,
            other => panic!("{other:?}"),
        })
    };
    crash_at_every_step(prepare, act, |store, answered| {
        let players = players(store)?;
        let seller = players.view("seller", At::Now)?.expect("he was there").value;
        let (buyer, house) = (coins(store, "buyer"), houses(store)?.get("oak-1")?.expect("it stands").value);
        let mail = players.mail_count("guild-bank")?;
        let now = (seller.coins, seller.level, buyer, house.owner.is_some(), mail);
        let (before, after) = ((0, 0, Some(600), false, 0), (500, 1, Some(100), true, 1));
        assert!(now == after || now == before && !answered, "{now:?}");
        Ok(())
    });
}

#[test]
fn a_transaction_writes_the_whole_present_state_of_what_it_edits() -> Result<()> {
    let store = Store::in_memory()?;
    let players = players(&store)?;
    let (one, other) = (rich(&players, "1", 1)?, rich(&players, "2", 1)?);
    one.update(|p| p.level = 7)?; // not saved
    other.update(|p| p.level = 7)?;
    store.transaction(|tx| -> Result<()> {
        tx.edit(&one)?.coins += 1;
        assert_eq!(tx.edit(&other)?.coins, 1, "read only");
        Ok(())
    })?;
    let stored = |key: &str| -> Result<Player> {
        Ok(store.collection::<Player>("players")?.get(key)?.expect("it is there").value)
    };
    assert_eq!((stored("1")?.coins, stored("1")?.level), (2, 7), "changes before it are in it");
    assert_eq!(stored("2")?.level, 0, "what was not edited is not written");
    assert_eq!((one.unsaved_for(), other.unsaved_for().is_some()), (None, true));
    Ok(())
}

#[test]
fn guards_are_given_back_and_a_profile_opens_once_at_a_time() -> Result<()> {
    let store = Store::in_memory()?;
    let players = players(&store)?;
    let player = rich(&players, "1", 1)?;
    let done = store.transaction(|tx| -> Result<u64> {
        tx.edit(&player)?.coins += 1;
        let first = tx.edit(&player)?;
        assert_eq!(first.coins, 2, "it sees its own edit");
        assert_eq!(tx.edit(&player).unwrap_err().kind(), ErrorKind::Invalid);
        drop(first);
        Ok(tx.edit(&player)?.coins)
    })?;
    assert_eq!((done.value, player.read().coins), (2, 2));
    let both = store.transaction(|tx| -> Result<()> {
        tx.set(&store.collection::<Player>("players")?, "1", &Player::default())?;
        tx.edit(&player)?.coins = 9;
        Ok(())
    });
    assert_eq!(both.unwrap_err().kind(), ErrorKind::Invalid);
    let refused = store.transaction(|tx| -> Result<()> {
        std::mem::forget(tx.edit(&player)?);
        Ok(())
    });
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    let elsewhere = Store::in_memory()?;
    let foreign = elsewhere.transaction(|tx| tx.edit(&player).map(drop));
    assert_eq!(foreign.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(player.read().coins, 2);
    player.release()?;
    let late = store.transaction(|tx| tx.edit(&player).map(drop));
    assert_eq!(late.unwrap_err().kind(), ErrorKind::Ended);
    Ok(())
}

#[test]
fn a_panic_in_a_transaction_changes_nothing_and_holds_nothing() -> Result<()> {
    let store = Store::in_memory()?;
    let player = rich(&players(&store)?, "1", 1)?;
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        store.transaction(|tx| -> Result<()> {
            tx.edit(&player)?.coins = 5;
            panic!("on purpose")
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(player.read().coins, 1);
    player.update(|p| p.coins += 1)?;
    store.transaction(|tx| -> Result<()> {
        tx.edit(&player)?.coins += 1;
        Ok(())
    })?;
    assert_eq!(player.read().coins, 3);
    Ok(())
}

#[test]
fn mail_in_a_transaction_is_told_to_who_plays() -> Result<()> {
    let mut sim = Sim::new(5);
    let store = sim.open()?;
    let players = players(&store)?;
    let player = rich(&players, "1", 1)?;
    let refused = store.transaction(|tx| -> Result<(), TradeError> {
        tx.send(&players, "1", &Gift { coins: 1 })?;
        Err(TradeError::Poor)
    });
    assert!(refused.is_err());
    sim.advance(secs(1));
    assert_eq!(players.events().try_next(), None);
    store.transaction(|tx| (0..3).try_for_each(|n| tx.send(&players, "1", &Gift { coins: n })))?;
    let key = player.key().clone();
    assert_eq!(players.events().try_next(), Some(Event::Mail { key }));
    assert_eq!(players.events().try_next(), None, "once is enough");
    while player.receive(|p, gift: Gift| p.coins += gift.coins)? {}
    assert_eq!((player.read().coins, coins(&store, "1")), (4, Some(4)));
    Ok(())
}

/// What comes between a transaction and its place is not lost, and not overwritten: the transaction runs again, and then
/// has the profile to itself.
#[test]
fn an_update_or_a_save_in_the_middle_of_a_transaction_makes_it_run_again() -> Result<()> {
    let store = Store::in_memory()?;
    let players = players(&store)?;
    let player = rich(&players, "1", 0)?;
    for save in [false, true] {
        player.update(|p| (p.coins, p.level) = (0, 0))?;
        let mut runs = 0;
        store.transaction(|tx| -> Result<()> {
            let mut edit = tx.edit(&player)?;
            runs += 1;
            if runs == 1 {
                let between = || -> Result<()> {
                    player.update(|p| p.level += 1)?;
                    if save { player.save().map(drop) } else { Ok(()) }
                };
                std::thread::scope(|scope| scope.spawn(between).join().expect("no panic"))?;
            }
            edit.coins += 10;
            Ok(())
        })?;
        assert_eq!((runs, player.read().coins, player.read().level), (2, 10, 1));
        assert_eq!((coins(&store, "1"), player.unsaved_for()), (Some(10), None));
    }
    Ok(())
}

#[test]
fn two_transactions_over_the_same_profiles_in_any_order_both_count() -> Result<()> {
    let store = Store::in_memory()?;
    let players = players(&store)?;
    let all = (0..4).map(|id| rich(&players, &id.to_string(), 100)).collect::<Result<Vec<_>>>()?;
    std::thread::scope(|scope| {
        for thread in 0..4_usize {
            let (store, all) = (&store, &all);
            scope.spawn(move || {
                for round in 0..100_usize {
                    let (from, to) = ((thread + round) % 4, (thread * 3 + round * 2 + 1) % 4);
                    if from == to {
                        continue;
                    }
                    let moved = store.transaction(|tx| -> Result<()> {
                        let (mut a, mut b) = (tx.edit(&all[from])?, tx.edit(&all[to])?);
                        let coins = a.coins.min(3);
                        (a.coins, b.coins) = (a.coins - coins, b.coins + coins);
                        Ok(())
                    });
                    moved.expect("it commits in the end");
                }
            });
        }
    });
    let sum = |coins: &dyn Fn(usize) -> u64| (0..4).map(coins).sum::<u64>();
    assert_eq!(sum(&|n| all[n].read().coins), 400);
    assert_eq!(sum(&|n| coins(&store, &n.to_string()).unwrap_or(0)), 400, "and in the store");
    Ok(())
}
