//! Autosaves between whose steps the game does something, on a clock that obeys.

use std::path::Path;
use std::sync::OnceLock;
use std::sync::mpsc::channel;

use savehold_wal::env::Env;
use savehold_wal::sim::{SimClock, memory};

use super::*;
use crate::{Options, Store};

const SECOND: Duration = Duration::from_secs(1);

fn world() -> Result<(Arc<SimClock>, Store)> {
    let clock = Arc::new(SimClock::default());
    let env = Env { clock: clock.clone(), threads: Threads::None, ..memory() };
    Ok((clock, Options::new().open_in(env, Path::new("/store"))?))
}

#[test]
fn a_change_made_while_a_save_is_looked_at_is_scheduled() -> Result<()> {
    let (clock, store) = world()?;
    let players = store.profiles_with("coins", 0_u64).open()?;
    let player = players.start(42)?;
    let (shared, live, now) = (&players.0, player.live(), players.0.ground.boot());
    player.update(|coins| *coins = 1)?;
    player.save()?; // the game does, while those before it are saved
    let looked = live.save(Cause::Autosave, shared.how());
    assert!(matches!(looked, Ok(Save::Unchanged(_))));
    player.update(|coins| *coins = 2)?;
    assert_eq!(shared.autosaved(live, looked, now), None);
    clock.advance(10 * SECOND);
    store.tick();
    assert_eq!((player.unsaved_for(), *player.last_saved().value), (None, 2));
    Ok(())
}

#[test]
fn a_change_that_came_after_the_save_was_begun_is_not_late() -> Result<()> {
    let (clock, store) = world()?;
    let players = store.profiles_with("coins", 0_u64).open()?;
    let player = players.start(42)?;
    let begun = players.0.ground.boot();
    clock.advance(SECOND);
    player.update(|coins| *coins = 1)?;
    let full = Err(Error::new(ErrorKind::Full, "on purpose"));
    assert_eq!(players.0.autosaved(player.live(), full, begun), None);
    assert!(!players.is_critical());
    store.tick();
    assert_eq!(player.unsaved_for(), None, "it is tried again");
    Ok(())
}

#[test]
fn what_before_save_changes_while_all_else_is_saved_falls_due_by_itself() -> Result<()> {
    let (_, store) = world()?;
    let seat: Arc<OnceLock<Weak<Live<u64>>>> = Arc::default();
    let saved = seat.clone();
    let players = store.profiles_with("coins", 0_u64).before_save(move |_, coins| {
        if let Some(live) = saved.get().and_then(Weak::upgrade) {
            drop(live.save(Cause::Explicit, live.shared.how())); // another thread does
        }
        *coins += 1;
    });
    let players = players.open()?;
    let player = players.start(42)?;
    let bell = &store.core.bell;
    player.update(|coins| *coins = 1)?;
    assert!(bell.wait(Some(Duration::ZERO), None) && bell.until().is_none(), "it looked");
    assert!(seat.set(Arc::downgrade(player.live())).is_ok());
    player.live().before_save(SECOND);
    assert_eq!(*player.read(), 2);
    assert!(player.unsaved_for().is_some() && bell.until().is_some());
    assert_eq!(bell.until(), Some(player.live().lock().save_at));
    Ok(())
}

/// A transaction that is run again has its profiles to itself, and takes as long as it takes.
#[test]
fn a_last_handle_that_goes_inside_a_long_transaction_has_its_hook_behind_it() -> Result<()> {
    let (clock, store) = world()?;
    let players = store.profiles_with("coins", 0_u64).before_release(|_, coins, _| *coins += 1).open()?;
    let player = players.start(42)?;
    player.update(|coins| *coins = 7)?;
    let (shared, live) = (&players.0, player.live().clone());
    drop(live.picture(true, true));
    let inside = shared.ground.enter();
    drop(player);
    drop(inside);
    for _ in 0..3 {
        clock.advance(shared.rules.hook_time);
        store.tick();
        assert!(live.ended().is_some() && *live.value() == 7);
    }
    live.share(); // the closure has returned
    clock.advance(SECOND);
    store.tick();
    assert_eq!(*players.start(42)?.read(), 8);
    Ok(())
}

#[test]
fn closing_waits_for_the_last_save_of_a_handle_that_goes_meanwhile() -> Result<()> {
    let env = memory();
    let open = || Options::new().open_in(env.clone(), Path::new("/store"));
    let store = open()?;
    let ((in_hook, hook), (closed, close)) = (channel(), channel());
    let close = Mutex::new(close);
    let players = store.profiles_with("coins", 0_u64).before_release(move |_, coins, _| {
        in_hook.send(()).unwrap();
        _ = close.lock().recv_timeout(Duration::from_millis(200)); // time for whoever would not wait
        *coins += 1;
    });
    let players = players.hook_time(Duration::from_secs(600)).open()?;
    let player = players.start(42)?;
    player.update(|coins| *coins = 7)?;
    std::thread::scope(|scope| {
        scope.spawn(move || drop(player));
        hook.recv().unwrap();
        let answer = store.close();
        _ = closed.send(());
        answer
    })?;
    drop(players);
    let players = open()?.profiles_with("coins", 0_u64).open()?;
    assert_eq!(*players.start(42)?.read(), 8);
    Ok(())
}

#[test]
fn an_end_that_is_to_be_tried_again_once_the_store_is_closed_keeps_nothing() -> Result<()> {
    let (_, store) = world()?;
    let players = store.profiles_with("coins", 0_u64).open()?;
    let player = players.start(42)?;
    let (live, core) = (player.live().clone(), Arc::downgrade(&store.core));
    assert!(live.begin_end(&Ended::Released), "another thread does, and is slow");
    store.close()?;
    let leaving =
        Leaving { live: live.clone(), why: Ended::Released, retry_at: Duration::ZERO, hooked: true };
    players.0.leave(leaving);
    assert_eq!(live.ended(), Some(Ended::Closed));
    drop((player, players, live));
    assert!(core.upgrade().is_none());
    Ok(())
}

/// What closing placed last is never seen, so that a run of a transaction met it again and again.
#[test]
fn a_last_save_that_comes_once_the_store_is_closed_is_refused() -> Result<()> {
    let (_, store) = world()?;
    let players = store.profiles_with("coins", 0_u64).open()?;
    let player = players.start(42)?;
    player.update(|coins| *coins = 7)?;
    let live = player.live().clone();
    assert!(live.begin_end(&Ended::Released), "another thread does, and is slow");
    store.close()?;
    let leaving =
        Leaving { live: live.clone(), why: Ended::Released, retry_at: Duration::ZERO, hooked: true };
    live.clone().finish_leaving(leaving, SECOND);
    assert_eq!(live.ended(), Some(Ended::Closed));
    Ok(())
}
