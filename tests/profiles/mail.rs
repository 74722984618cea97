//! Mail: once, in order, with its effect; what is not taken stays.

use savehold::sim::Sim;
use savehold::{ErrorKind, Event, Result, Start, Store, Value};

use crate::world::{Gift, Player, players, rich, secs};

#[test]
fn a_message_that_nobody_can_read_stays_and_is_taken_out_by_hand() -> Result<()> {
    let store = Store::in_memory()?;
    let players = players(&store)?;
    let player = rich(&players, "42", 1)?;
    players.send("42", "no gift")?;
    players.send("42", &Gift { coins: 5 })?;
    let mut ran = false;
    let e = player.receive(|_, _: Gift| ran = true).expect_err("it is no gift");
    assert_eq!((e.kind(), ran, player.mail_count()?), (ErrorKind::Decode, false, 2), "{e}");
    let letter = players.next_letter("42")?.expect("it is there");
    assert_eq!(letter.value, Value::from("no gift"));
    assert!(letter.sent_us > 0);
    assert!(players.discard("42", letter.number, "ticket 812")?);
    assert!(!players.discard("42", letter.number, "ticket 812")?);
    assert!(player.receive(|p, gift: Gift| p.coins += gift.coins)?);
    assert!(!player.receive(|p, gift: Gift| p.coins += gift.coins)?);
    assert_eq!((player.read().coins, player.mail_count()?), (6, 0));
    Ok(())
}

#[test]
fn an_effect_that_is_refused_leaves_the_message() -> Result<()> {
    let store = Store::in_memory()?;
    let players = store
        .profiles::<Player>("players")
        .validate(|p| if p.coins > 9 { Err("too rich") } else { Ok(()) })
        .open()?;
    let player = rich(&players, "42", 8)?;
    players.send("42", &Gift { coins: 5 })?;
    let refused = player.receive(|p, gift: Gift| p.coins += gift.coins).unwrap_err();
    assert_eq!((refused.kind(), player.mail_count()?, player.read().coins), (ErrorKind::Refused, 1, 8));
    player.update(|p| p.coins = 0)?;
    assert!(player.receive(|p, gift: Gift| p.coins += gift.coins)?);
    assert_eq!((player.mail_count()?, player.read().coins), (0, 5));
    Ok(())
}

#[test]
fn mail_that_comes_while_a_session_starts_is_told_once() -> Result<()> {
    for before in 0..2 {
        let mut sim = Sim::new(4);
        let players = players(&sim.open()?)?;
        (0..before).try_for_each(|_| players.send("42", &Gift { coins: 5 }).map(drop))?;
        let starting = players.start_async("42", Start::new()); // granted, and not in play before somebody waits for it
        players.send("42", &Gift { coins: 5 })?;
        assert_eq!(players.events().try_next(), None);
        let player = starting.wait()?;
        assert_eq!(players.events().try_next(), Some(Event::Mail { key: player.key().clone() }));
        while player.receive(|p, gift: Gift| p.coins += gift.coins)? {}
        assert_eq!((player.read().coins, players.events().try_next()), (5 + 5 * before, None));
    }
    Ok(())
}

#[test]
fn mail_waits_for_who_is_away_and_is_told_at_the_start() -> Result<()> {
    let mut sim = Sim::new(1);
    let store = sim.open()?;
    let players = players(&store)?;
    players.send("42", &Gift { coins: 5 })?;
    players.send_once("promo", "42", &Gift { coins: 7 })?;
    players.send_once("promo", "42", &Gift { coins: 7 })?;
    sim.kill();
    drop((players, store));
    let store = sim.open()?;
    let players = crate::world::players(&store)?;
    let player = players.start("42")?;
    assert_eq!(players.events().try_next(), Some(Event::Mail { key: player.key().clone() }));
    while player.receive(|p, gift: Gift| p.coins += gift.coins)? {}
    assert_eq!(player.read().coins, 12);
    player.release()?;
    sim.advance(secs(1));
    let player = players.start("42")?;
    assert!(!player.receive(|p, gift: Gift| p.coins += gift.coins)?);
    let told: Vec<Event> = std::iter::from_fn(|| players.events().try_next()).collect();
    assert!(told.iter().all(|event| !matches!(event, Event::Mail { .. })), "{told:?}");
    Ok(())
}
