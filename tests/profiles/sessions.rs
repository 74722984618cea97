//! Several holders of one process, handoff, waiting, async.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use savehold::sim::Sim;
use savehold::{Ended, ErrorKind, Event, Policy, Profiles, Result, Start, Store};

use crate::world::{Player, coins, rich, secs};

fn room(store: &Store, name: &str) -> Result<Profiles<Player>> {
    store.profiles::<Player>("players").holder(&store.holder(name)?).open()
}

#[test]
fn two_rooms_hand_a_player_over() -> Result<()> {
    let store = Store::in_memory()?;
    let (red, blue) = (store.holder("room-red")?, store.holder("room-blue")?);
    let in_red = store.profiles::<Player>("players").holder(&red).open()?.start("42")?;
    in_red.update(|p| p.coins = 1)?;
    let in_blue = store
        .profiles::<Player>("players")
        .holder(&blue)
        .open()?
        .start_with("42", Start::new().policy(Policy::Handoff { after: secs(10) }).deadline(secs(15)))?;
    assert_eq!(in_red.update(|p| p.coins += 1).unwrap_err().kind(), ErrorKind::Ended);
    assert_eq!(in_red.ended(), Some(Ended::HandedOver("room-blue".into())));
    assert_eq!(in_blue.read().coins, 1, "the last edit is in it");
    in_blue.update(|p| p.coins += 1)?;
    in_blue.release()?;
    assert_eq!(coins(&store, "42"), Some(2));
    Ok(())
}

#[test]
fn policies_do_what_they_say() -> Result<()> {
    let mut sim = Sim::new(1);
    let store = sim.open()?;
    let (red, blue) = (room(&store, "red")?, room(&store, "blue")?);
    let first = rich(&red, "42", 1)?;
    first.update(|p| p.coins = 2)?;
    let fail = blue.start_with("42", Start::new().policy(Policy::Fail)).unwrap_err();
    assert_eq!((fail.kind(), fail.holder()), (ErrorKind::Leased, Some("red")));
    let wait = blue.start_with("42", Start::new().policy(Policy::Wait)).unwrap_err();
    assert_eq!(wait.kind(), ErrorKind::Leased, "in a simulation nobody else acts meanwhile");
    assert!(first.is_active());
    let stolen = blue.start_with("42", Start::new().policy(Policy::Steal))?;
    assert_eq!(stolen.read().coins, 1, "what was not saved is lost to a thief");
    assert_eq!(first.ended(), Some(Ended::Stolen("blue".into())));
    assert_eq!(first.save().unwrap_err().kind(), ErrorKind::Ended);
    sim.advance(secs(1));
    let key = first.key().clone();
    let told: Vec<Event> = std::iter::from_fn(|| red.events().try_next()).collect();
    assert_eq!(told, [Event::Ended { key, why: Ended::Stolen("blue".into()) }]);
    drop(first);
    assert!(stolen.is_active());
    Ok(())
}

#[test]
fn a_session_that_is_broken_by_hand_ends_with_the_reason() -> Result<()> {
    let mut sim = Sim::new(2);
    let store = sim.open()?;
    let players = room(&store, "red")?;
    let player = rich(&players, "42", 1)?;
    assert!(store.break_session("players", "42", "ticket 812")?.is_some());
    assert_eq!(player.update(|p| p.coins = 2).unwrap_err().kind(), ErrorKind::Ended);
    assert_eq!(player.ended(), Some(Ended::Stolen("ticket 812".into())));
    store.collection::<Player>("players")?.set("42", &Player::default())?;
    let player = players.start("42")?;
    store.collection::<Player>("players")?.force().set("42", &Player { coins: 9, ..Player::default() })?;
    assert!(!player.is_active());
    assert_eq!(players.start("42")?.read().coins, 9);
    Ok(())
}

struct Flag(AtomicU32);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_start_can_be_awaited_and_is_withdrawn_when_it_is_dropped() -> Result<()> {
    let mut sim = Sim::new(3);
    let store = sim.open()?;
    let (red, blue, green) = (room(&store, "red")?, room(&store, "blue")?, room(&store, "green")?);
    let first = rich(&red, "42", 1)?;
    let flag = Arc::new(Flag(AtomicU32::new(0)));
    let waker = Waker::from(flag.clone());
    let mut context = Context::from_waker(&waker);
    let wait = Start::new().policy(Policy::Wait).deadline(secs(60));
    let dropped = blue.start_async("42", wait);
    let mut waiting = pin!(green.start_async("42", wait));
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    drop(dropped);
    first.update(|p| p.coins = 2)?;
    first.release()?;
    sim.advance(Duration::from_millis(1));
    assert!(flag.0.load(Ordering::SeqCst) > 0, "it was woken");
    let second = loop {
        match waiting.as_mut().poll(&mut context) {
            Poll::Ready(started) => break started?,
            Poll::Pending => sim.advance(Duration::from_millis(1)),
        }
    };
    assert_eq!(second.read().coins, 2);
    let granted = blue.start_async("43", Start::new());
    drop(granted); // its turn had come: the lease is given back
    sim.advance(secs(1));
    assert_eq!(store.sessions()?.len(), 1);
    assert_eq!(blue.start_async("43", Start::new()).wait()?.read().coins, 0);
    Ok(())
}

#[test]
fn async_calls_take_their_place_in_order() -> Result<()> {
    let store = Store::in_memory()?;
    let players = room(&store, "red")?;
    let player = rich(&players, "42", 1)?;
    player.update(|p| p.coins = 2)?;
    let first = player.save_async();
    player.update(|p| p.coins = 3)?;
    let second = store.transaction_async(|tx| -> Result<()> {
        tx.edit(&player)?.coins += 1;
        Ok(())
    });
    let third = player.release_async();
    let (third, second, first) = (third.wait()?, second.wait()?.version, first.wait()?);
    assert!(first < second && second == third, "the release had nothing left to save");
    assert_eq!(coins(&store, "42"), Some(4));
    assert_eq!(player.save_async().wait().unwrap_err().kind(), ErrorKind::Ended);
    Ok(())
}
