//! A trade that happens once and as a whole, however often it is asked for while its id is known (7 days), and wherever the process dies.
//! `cargo run --package savehold --example trade`

use savehold::{Collection, Error, ErrorKind, Once, Result, Store};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Player {
    coins: u64,
    bag: Vec<String>,
}

#[derive(Debug)]
enum TradeError {
    Poor,
    NotHis,
    Store(Error),
}

impl From<Error> for TradeError {
    fn from(e: Error) -> Self {
        Self::Store(e)
    }
}

/// For a program that only wants to say it.
fn told(e: TradeError) -> Error {
    match e {
        TradeError::Store(e) => e,
        rule => Error::new(ErrorKind::Refused, format!("the trade is not allowed: {rule:?}")),
    }
}

/// Sells an item. `id` names the deed: asked for again, after a crash too, it is done once.
fn sell(
    store: &Store,
    players: &Collection<Player>,
    id: &str,
    (seller, buyer): (&str, &str),
    (item, price): (&str, u64),
) -> Result<bool, TradeError> {
    let done = store.transaction_once(id, |tx| -> Result<(), TradeError> {
        let mut s = tx.get(players, seller)?.map(|e| e.value).unwrap_or_default();
        let mut b = tx.get(players, buyer)?.map(|e| e.value).unwrap_or_default();
        let at = s.bag.iter().position(|held| held == item).ok_or(TradeError::NotHis)?;
        b.coins = b.coins.checked_sub(price).ok_or(TradeError::Poor)?; // Err: nothing is written
        s.coins += price;
        b.bag.push(s.bag.remove(at));
        tx.set(players, seller, &s)?;
        tx.set(players, buyer, &b)?;
        Ok(())
    })?;
    Ok(matches!(done, Once::Now(_)))
}

fn main() -> Result<()> {
    let place = tempfile::tempdir().expect("a place for the example");
    let path = place.path().join("data");
    let store = Store::open(&path)?;
    let players = store.collection::<Player>("players")?;
    players.set("anna", &Player { coins: 0, bag: vec!["sword".into()] })?;
    players.set("ben", &Player { coins: 100, bag: vec![] })?;

    let deed = ("trade-1", ("anna", "ben"), ("sword", 80));
    assert!(sell(&store, &players, deed.0, deed.1, deed.2).map_err(told)?);
    drop((players, store)); // as after a crash: nobody remembers whether it was done

    let store = Store::open(&path)?;
    let players = store.collection::<Player>("players")?;
    assert!(!sell(&store, &players, deed.0, deed.1, deed.2).map_err(told)?); // done before: it says so
    let another = sell(&store, &players, "trade-2", ("ben", "anna"), ("sword", 1000));
    assert!(matches!(another, Err(TradeError::Poor)));
    let missing = sell(&store, &players, "trade-3", ("anna", "ben"), ("sword", 1));
    match missing {
        Err(TradeError::Store(e)) => return Err(e),
        other => assert!(matches!(other, Err(TradeError::NotHis))),
    }

    let of = |name: &str| players.get(name).map(|e| e.map(|e| e.value).unwrap_or_default());
    assert_eq!(of("anna")?, Player { coins: 80, bag: vec![] });
    assert_eq!(of("ben")?, Player { coins: 20, bag: vec!["sword".into()] });
    println!("the sword was sold once: {:?}, {:?}", of("anna")?, of("ben")?);
    store.close()
}
