//! The keys of each user, after any writes, crashes and damage: those whose values carry his id.

use std::collections::BTreeSet;

use savehold::sim::Sim;
use savehold::{Change, Collection, ErrorKind, Result, Store};
use savehold_wal::sim::Draw;

use crate::scaled;

const USERS: [&str; 4] = ["ann", "bob", "cy", "annabel"];
const KEYS: [&str; 4] = ["a", "b", "ba", "c"];
const NAMES: [&str; 2] = ["players", "houses"];

/// A key of a user, with the name of its collection.
type Found = BTreeSet<(String, String)>;

/// The keys of a user, as the store's index of users says.
fn told(store: &Store, user: &str) -> Result<Found> {
    store.keys_of(user)?.map(|item| item.map(|(name, key)| (name, key.to_string()))).collect()
}

/// The keys of a user, as all values say.
fn scanned(store: &Store, user: &str) -> Result<Found> {
    let mut found = Found::new();
    for name in NAMES {
        for entry in store.collection::<i64>(name)?.scan("") {
            let entry = entry?;
            if entry.attributes.user_ids().iter().any(|id| id.as_str() == user) {
                found.insert((name.to_owned(), entry.key.to_string()));
            }
        }
    }
    Ok(found)
}

#[track_caller]
fn agree(store: &Store, what: &str) {
    for user in USERS {
        let told = told(store, user).expect("the index of users is readable");
        assert_eq!(told, scanned(store, user).expect("all values are readable"), "{what}, {user}");
    }
}

/// A change that may name users, and may be a removal.
fn change(draw: &mut Draw) -> Change<i64> {
    let written = Change::write(draw.below(100) as i64);
    match draw.below(6) {
        0 => Change::remove(),
        1 => written,
        2 => written.user_ids([0_u64; 0]),
        _ => {
            let (one, two) = (draw.below(4) as usize, draw.below(4) as usize);
            written.user_ids([USERS[one], USERS[two]])
        }
    }
}

/// One random write, by each of the ways that there are.
fn write(store: &Store, draw: &mut Draw) -> Result<()> {
    let of = |draw: &mut Draw| -> Result<(Collection<i64>, &str)> {
        let name = NAMES[draw.below(2) as usize];
        Ok((store.collection(name)?, KEYS[draw.below(4) as usize]))
    };
    let (numbers, key) = of(draw)?;
    let (others, other) = of(draw)?;
    let (one, two) = (change(draw), change(draw));
    let id = draw.below(1_000).to_string();
    match draw.below(10) {
        0 => numbers.set(key, &1).map(drop),
        1 => numbers.remove(key).map(drop),
        2 => numbers.remove_async(key).wait().map(drop),
        3 => numbers.increment(key, 1).map(drop),
        4 => numbers.update(key, |_| one.clone()).map(drop),
        5 => numbers.update_async(key, |_| one.clone()).wait().map(drop),
        6 => numbers.update_once(id, key, |_| one.clone()).map(drop),
        7 => {
            let mut batch = store.batch();
            batch.change(&numbers, key, one)?.change(&others, other, two)?;
            batch.commit().map(drop)
        }
        8 => store.transaction_async(|tx| tx.change(&numbers, key, one.clone())).wait().map(drop),
        _ => store
            .transaction(|tx| -> Result<()> {
                tx.change(&numbers, key, one.clone())?;
                tx.change(&others, other, two.clone())?;
                tx.increment(&numbers, key, 1).map(drop)
            })
            .map(drop),
    }
}

#[test]
fn after_any_writes_and_crashes_the_keys_of_a_user_are_what_all_values_say() {
    let mut found = 0;
    for seed in 0..scaled(60) {
        let (mut sim, mut draw) = (Sim::new(seed), Draw::from_seed(seed));
        for round in 0..4 {
            let store = sim.open().expect("opens");
            agree(&store, &format!("seed {seed}, round {round}, opened"));
            for _ in 0..draw.below(30) {
                write(&store, &mut draw).expect("nothing fails");
            }
            agree(&store, &format!("seed {seed}, round {round}, written"));
            found += told(&store, USERS[0]).expect("readable").len();
            match draw.below(3) {
                0 => store.close().expect("nothing fails"),
                1 => sim.kill(),
                _ => sim.cut_power(),
            }
        }
    }
    assert!(found > 100, "{found} keys of a user are too few to have tried anything");
}

#[test]
fn a_tag_stands_in_the_record_of_the_value_that_it_is_about() -> Result<()> {
    let store = Store::in_memory()?;
    let numbers = store.collection::<i64>("players")?;
    let before = store.stats().commits;
    numbers.update("a", |_| Change::write(1).user_ids(["ann", "bob"]))?;
    numbers.update("a", |_| Change::write(2).user_ids(["bob", "cy"]))?;
    numbers.remove("a")?;
    assert_eq!(store.stats().commits - before, 4, "the collection's name, and three writes");
    assert!(USERS.iter().all(|user| told(&store, user).is_ok_and(|keys| keys.is_empty())));
    Ok(())
}

#[test]
fn keys_of_a_user_are_of_the_moment_and_by_whole_id() -> Result<()> {
    let store = Store::in_memory()?;
    let (players, houses) = (store.collection::<i64>("players")?, store.collection::<i64>("houses")?);
    let longest = "k".repeat(1024);
    players.update(longest.as_str(), |_| Change::write(1).user_ids(["ann"]))?;
    players.update("b", |_| Change::write(1).user_ids(["annabel"]))?;
    houses.update("a", |_| Change::write(1).user_ids(["ann"]))?;
    let asked = store.keys_of("ann")?;
    houses.remove("a")?;
    let found: Vec<(String, String)> =
        asked.map(|item| item.map(|(name, key)| (name, key.to_string()))).collect::<Result<_>>()?;
    assert_eq!(found, [("players".to_owned(), longest), ("houses".to_owned(), "a".to_owned())]);
    assert_eq!(store.keys_of("").err().map(|e| e.kind()), Some(ErrorKind::Invalid));
    assert_eq!(store.keys_of("u".repeat(65)).err().map(|e| e.kind()), Some(ErrorKind::TooLarge));
    Ok(())
}
