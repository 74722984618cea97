//! Code of the program that hangs, panics or comes at the wrong time, and a disk without room: what it may cost, and whom.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use savehold::sim::Sim;
use savehold::{Ended, ErrorKind, Event, Result, Store};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use crate::world::{Player, coins, players, secs};

/// Waits until the other end goes.
fn hang(until: &Mutex<Receiver<()>>) {
    _ = until.lock().expect("nobody panics").recv();
}

#[test]
fn an_update_that_hangs_does_not_keep_another_room_from_the_player() -> Result<()> {
    let store = Store::in_memory()?;
    let (red, blue) = (store.holder("red")?, store.holder("blue")?);
    let hook = |_: &savehold::Key, p: &mut Player, _: &Ended| p.level = 99;
    let in_red = store.profiles::<Player>("players").holder(&red).before_release(hook);
    let in_red = in_red.hook_time(Duration::from_millis(10)).open()?;
    let player = in_red.start("42")?;
    player.update(|p| p.coins = 5)?;
    let (go, stop) = channel::<()>();
    let (begin, begun) = channel();
    let late = std::thread::scope(|scope| -> Result<_> {
        let player = &player;
        let update = scope.spawn(move || {
            player.update(|p| {
                p.coins = 6;
                begin.send(()).expect("somebody waits");
                _ = stop.recv();
            })
        });
        begun.recv().expect("it begins");
        let in_blue = store.profiles::<Player>("players").holder(&blue).open()?.start("42")?;
        assert_eq!(
            (in_blue.read().coins, in_blue.read().level),
            (5, 0),
            "without the hook, which had no turn"
        );
        drop(go);
        Ok(update.join().expect("no panic"))
    })?;
    assert_eq!(late.unwrap_err().kind(), ErrorKind::Ended, "it came too late, and says so");
    Ok(())
}

#[test]
fn a_check_that_hangs_behind_a_hook_is_left_alone_with_it() -> Result<()> {
    let store = Store::in_memory()?;
    let (go, stop) = channel::<()>();
    let stop = Mutex::new(stop);
    let check = move |p: &Player| {
        if p.level == 99 {
            hang(&stop);
        }
        Ok::<_, String>(())
    };
    let players = store.profiles::<Player>("players").validate(check).before_release(|_, p, _| p.level = 99);
    let players = players.open()?;
    let player = players.start("42")?;
    player.update(|p| p.coins = 5)?;
    let report = players.close(secs(1));
    assert_eq!((report.saved + report.late.len(), report.hooks_cut_short), (1, 1), "{report:?}");
    store.sync()?; // a late one has its place, and its answer with this
    assert_eq!(coins(&store, "42"), Some(5));
    drop(go);
    Ok(())
}

/// A transaction is overtaken by an update, and in its second run, which has the profile to itself, the last handle goes.
fn last_handle_inside() -> Result<(Option<Event>, usize, Player)> {
    let store = Store::in_memory()?;
    let players =
        store.profiles::<Player>("players").before_release(|_, p, _| p.level = 99).hook_time(secs(300));
    let players = players.open()?;
    let mut own = Some(players.start("42")?);
    let mut runs = 0;
    store.transaction(|tx| -> Result<()> {
        runs += 1;
        let Some(player) = players.active("42") else { return Ok(()) };
        tx.edit(&player)?.coins += 1;
        match own.take() {
            Some(mine) if runs == 1 => {
                let player = own.insert(mine);
                std::thread::scope(|scope| scope.spawn(|| player.update(|p| p.coins = 10)).join())
                    .expect("no panic")?;
            }
            last => drop(last),
        }
        Ok(())
    })?;
    let ended = players.events().next_timeout(secs(300));
    let kept = store.collection::<Player>("players")?.get("42")?.expect("it was saved").value;
    assert!(store.sessions()?.is_empty());
    Ok((ended, runs, kept))
}

#[test]
fn the_last_handle_may_go_inside_a_transaction_that_has_the_profile_to_itself() -> Result<()> {
    let (tell, told) = channel();
    std::thread::spawn(move || tell.send(last_handle_inside()));
    let (ended, runs, kept) = told.recv_timeout(secs(10)).expect("it ends, and hangs for ever otherwise")?;
    assert!(matches!(ended, Some(Event::Ended { why: Ended::Released, .. })), "{ended:?}");
    assert_eq!((runs, kept.coins, kept.level), (3, 10, 99), "what it edited goes, the hook has its say");
    Ok(())
}

static ARMED: AtomicBool = AtomicBool::new(false);

#[derive(Clone, Debug, Default, Deserialize)]
struct Bomb {
    coins: u64,
    live: bool,
}

impl Serialize for Bomb {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        assert!(!(self.live && ARMED.load(Ordering::Relaxed)), "on purpose");
        let mut fields = to.serialize_struct("Bomb", 2)?;
        fields.serialize_field("coins", &self.coins)?;
        fields.serialize_field("live", &self.live)?;
        fields.end()
    }
}

#[test]
fn a_document_that_panics_when_it_is_saved_keeps_no_other_from_being_saved() -> Result<()> {
    let mut sim = Sim::new(1);
    let store = sim.open()?;
    let bombs = store.profiles::<Bomb>("players").open()?;
    let (bad, good) = (bombs.start("bad")?, bombs.start("good")?);
    bad.update(|b| (b.coins, b.live) = (1, true))?;
    good.update(|b| b.coins = 1)?;
    ARMED.store(true, Ordering::Relaxed);
    let saved = |key: &str| -> Result<Option<u64>> {
        let entry = store.any("players")?.get(key)?.expect("it was created");
        Ok(entry.value.get("coins").and_then(savehold::Value::as_u64))
    };
    sim.advance(secs(20));
    assert_eq!((saved("bad")?, saved("good")?), (Some(0), Some(1)));
    let failure = store.stats().hook_failure.expect("said");
    assert!(failure.message().contains("on purpose") && failure.message().contains("Serialize"), "{failure}");
    bad.release().expect_err("it cannot be saved, and says so");
    drop(bad);
    sim.advance(secs(5));
    assert_eq!(store.sessions()?.len(), 2, "nothing is given up that is not saved");
    ARMED.store(false, Ordering::Relaxed);
    sim.advance(secs(5));
    assert_eq!(saved("bad")?, Some(1), "it is tried again");
    let ended = |event| matches!(event, Event::Ended { why: Ended::Released, .. });
    assert!(std::iter::from_fn(|| bombs.events().try_next()).any(ended));
    Ok(())
}

#[test]
fn a_hook_that_panics_is_counted_and_keeps_nothing_from_being_saved_and_ended() -> Result<()> {
    let mut sim = Sim::new(4);
    let store = sim.open()?;
    let hook = |key: &savehold::Key, _: &mut Player| assert!(key.as_bytes() != b"bad", "on purpose");
    let players = store.profiles::<Player>("players").before_save(hook).open()?;
    let (bad, good) = (players.start("bad")?, players.start("good")?);
    bad.update(|p| p.coins = 1)?;
    good.update(|p| p.coins = 2)?;
    sim.advance(secs(20));
    assert_eq!((coins(&store, "bad"), coins(&store, "good")), (Some(1), Some(2)), "what stood without it");
    let (stats, failure) = (store.stats(), store.stats().hook_failure.expect("said"));
    assert_eq!((stats.hook_failures, failure.kind()), (1, ErrorKind::Panicked));
    for word in ["players/bad", "before_save", "on purpose", "mend"] {
        assert!(failure.message().contains(word), "{word}: {failure}");
    }
    bad.release()?;
    assert_eq!(store.stats().hook_failures, 2, "the program's own call ran it, and was answered");
    assert_eq!(store.sessions()?.len(), 1);
    Ok(())
}

#[test]
fn a_close_that_finds_the_disk_full_is_made_good_by_the_next() -> Result<()> {
    let mut sim = Sim::new(2);
    let store = sim.open()?;
    let players = players(&store)?;
    let player = players.start("42")?;
    player.update(|p| p.bag = (0..200_000).map(|n| (n, n)).collect())?;
    sim.fill();
    let report = players.close(secs(30));
    assert_eq!((report.saved, report.failed.len()), (0, 1), "{report:?}");
    assert_eq!(report.failed[0].1.kind(), ErrorKind::Full);
    sim.free();
    let report = players.close(secs(30));
    assert_eq!((report.saved, report.failed.len()), (1, 0), "{report:?}");
    let kept = store.collection::<Player>("players")?.get("42")?.expect("it was saved").value;
    assert_eq!(kept.bag.len(), 200_000);
    assert!(store.sessions()?.is_empty());
    Ok(())
}

#[test]
fn a_store_that_is_closed_gives_up_what_finds_no_room_and_lets_go_of_its_directory() -> Result<()> {
    let mut sim = Sim::new(3);
    let store = sim.open()?;
    let player = players(&store)?.start("42")?;
    player.update(|p| p.bag = (0..200_000).map(|n| (n, n)).collect())?;
    sim.fill();
    player.release().expect_err("there is no room");
    drop(player);
    _ = store.close();
    sim.free();
    let store = sim.open()?;
    assert!(players(&store)?.start("42")?.read().bag.is_empty(), "it was never acknowledged");
    Ok(())
}

#[test]
fn a_last_save_that_nobody_will_ever_know_of_is_told_as_the_end_of_the_store() -> Result<()> {
    let mut sim = Sim::new(4);
    let store = sim.open()?;
    let players = players(&store)?;
    let player = players.start("42")?;
    player.update(|p| p.coins = 1)?;
    sim.fail_sync(1);
    let e = player.release().expect_err("the sync failed");
    assert!(e.may_have_happened(), "{e}");
    let told: Vec<Event> = std::iter::from_fn(|| players.events().try_next()).collect();
    assert_eq!(told, [Event::Ended { key: player.key().clone(), why: Ended::Closed }]);
    assert!(store.tick().is_none_or(|next| next >= secs(1)), "and nothing is looked at for ever");
    Ok(())
}
