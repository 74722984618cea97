//! Holders live, fall silent, die and come back; clocks step; the store restarts.

use std::time::Duration;

use savehold::{Ended, ErrorKind, Holder, HolderOptions, Policy, Result, Start, Token};
use savehold_wal::sim::{Fault, When};

use crate::world::{World, granted, poll, secs};

const DAY_US: i64 = 24 * 3600 * 1_000_000;

#[test]
fn a_silent_holder_loses_everything_at_its_deadline_and_learns_it() -> Result<()> {
    let mut world = World::new();
    let red = world.mortal("red", 5);
    let one = world.start(&red, "a", Policy::Fail)?;
    world.sim.advance(secs(5) - Duration::from_micros(1));
    assert_eq!(world.write(one.token(), "a", 1), Ok(()), "and this was a sign of life");
    world.sim.advance(secs(4));
    red.heartbeat()?;
    let two = world.start(&red, "b", Policy::Fail)?;
    world.sim.advance(secs(5));
    assert_eq!((one.ended().now(), two.ended().now()), (Some(Ended::Expired), Some(Ended::Expired)));
    for token in [one.token(), two.token()] {
        assert_eq!(world.write(token, "a", 9), Err(ErrorKind::Fenced));
    }
    world.docs.set("b", &3)?;
    assert_eq!(red.heartbeat().unwrap_err().kind(), ErrorKind::Ended);
    red.heartbeat()?;
    assert!(world.start(&red, "a", Policy::Fail)?.token() > two.token());
    Ok(())
}

#[test]
fn a_heartbeat_that_comes_too_late_says_so_and_revives_nothing() -> Result<()> {
    let mut world = World::new();
    let far = world.server("eu-1", 5);
    let token = far.acquire([world.key("a")], Start::new())?.token();
    world.advance_silently(secs(30));
    assert_eq!(far.heartbeat().unwrap_err().kind(), ErrorKind::Ended);
    assert_eq!(world.write(token, "a", 1), Err(ErrorKind::Fenced));
    assert_eq!(far.resume(token).unwrap_err().kind(), ErrorKind::Ended);
    assert!(world.store.sessions()?.is_empty());
    far.heartbeat()?;
    assert_eq!(world.write(token, "a", 1), Err(ErrorKind::Fenced), "once over, over for ever");
    world.crash();
    assert_eq!(world.write(token, "a", 1), Err(ErrorKind::Fenced), "also after a restart");
    Ok(())
}

#[test]
fn the_first_heartbeat_after_an_expiry_says_so_whoever_swept_the_leases_away() -> Result<()> {
    type Sweeps = fn(&mut World, &Holder, Token) -> Result<()>;
    let ways: [(&str, Sweeps); 5] = [
        ("nobody", |_, _, _| Ok(())),
        ("the upkeep", |world, _, _| {
            world.sim.advance(secs(1));
            Ok(())
        }),
        ("another holder", |world, _, _| {
            world.start(&world.holder("blue"), "a", Policy::Fail).map(std::mem::forget)
        }),
        ("its own write", |world, _, token| {
            assert_eq!(world.write(token, "a", 1), Err(ErrorKind::Fenced));
            world.store.sessions().map(drop)
        }),
        ("its own next grant", |world, far, _| {
            far.acquire([world.key("b")], Start::new()).map(std::mem::forget)
        }),
    ];
    for (swept_by, sweep) in ways {
        for handle_kept in [true, false] {
            let mut world = World::new();
            let mut far = world.server("eu-1", 5);
            let token = far.acquire([world.key("a")], Start::new())?.token();
            world.sim.advance(secs(29));
            far.heartbeat()?;
            world.advance_silently(secs(30));
            sweep(&mut world, &far, token)?;
            if !handle_kept {
                drop(far); // a server may make a handle for each heartbeat
                world.sim.advance(secs(1));
                far = world.server("eu-1", 5);
            }
            let said = far.heartbeat().map_err(|e| e.kind());
            assert_eq!(said, Err(ErrorKind::Ended), "swept by {swept_by}, handle kept: {handle_kept}");
            far.heartbeat()?;
            world.sim.advance(secs(1));
            far.heartbeat()?;
        }
    }
    Ok(())
}

#[test]
fn on_a_full_disk_heartbeats_say_so_and_the_first_behind_it_says_what_was_lost() -> Result<()> {
    for plays_on in [false, true] {
        let mut world = World::new();
        let far = world.server("eu-1", 5);
        let token = far.acquire([world.key("a")], Start::new())?.token();
        world.fill_up();
        world.advance_silently(secs(30));
        for _ in 0..3 {
            assert_eq!(far.heartbeat().unwrap_err().kind(), ErrorKind::Full);
        }
        world.sim.free();
        world.sim.advance(secs(2));
        let anew = plays_on.then(|| far.acquire([world.key("b")], Start::new())).transpose()?;
        assert_eq!(far.heartbeat().unwrap_err().kind(), ErrorKind::Ended);
        far.heartbeat()?;
        assert_eq!(world.write(token, "a", 1), Err(ErrorKind::Fenced));
        assert!(anew.is_none_or(|anew| anew.is_live()), "what it acquired since stands");
    }
    Ok(())
}

/// Else a store would keep every name that game servers ever had.
#[test]
fn what_a_holder_lost_is_said_for_a_week_after_its_time_and_for_ever_to_who_keeps_a_handle() -> Result<()> {
    const WEEK: Duration = secs(7 * 24 * 3600);
    for (away, handle_kept, said) in [
        (secs(30) + WEEK - secs(1), false, Err(ErrorKind::Ended)),
        (secs(30) + WEEK, false, Ok(())),
        (secs(30) + WEEK * 9, true, Err(ErrorKind::Ended)),
    ] {
        let mut world = World::new();
        let far = world.server("eu-1", 5);
        let token = far.acquire([world.key("a")], Start::new())?.token();
        let kept = handle_kept.then(|| far.clone());
        drop(far);
        world.sim.advance(secs(30));
        assert!(world.store.sessions()?.is_empty(), "swept");
        world.sim.advance(away - secs(30));
        let heartbeat = world.server("eu-1", 5).heartbeat();
        assert_eq!(heartbeat.map_err(|e| e.kind()), said, "away for {away:?}, handle kept: {handle_kept}");
        assert_eq!(world.write(token, "a", 1), Err(ErrorKind::Fenced));
        drop(kept);
    }
    Ok(())
}

#[test]
fn a_callback_that_panics_is_counted_and_keeps_no_other_from_its_call() -> Result<()> {
    let mut world = World::new();
    let session = world.start(&world.mortal("red", 5), "a", Policy::Fail)?;
    let (tell, told) = std::sync::mpsc::channel();
    session.ended().on(|why| panic!("{why} on purpose"));
    session.ended().on(move |why| tell.send(why).expect("somebody waits"));
    world.sim.advance(secs(5));
    assert_eq!(told.try_recv(), Ok(Ended::Expired));
    let (failures, newest) = (world.store.stats().hook_failures, world.store.stats().hook_failure);
    let newest = newest.expect("said");
    assert_eq!((failures, newest.kind()), (1, ErrorKind::Panicked));
    assert!(newest.message().contains("on purpose") && newest.message().contains("`Watch::on`"), "{newest}");
    Ok(())
}

#[test]
fn a_new_life_is_not_told_what_the_former_one_lost() -> Result<()> {
    let mut world = World::new();
    let old = world.server("eu-1", 5);
    std::mem::forget(old.acquire([world.key("a")], Start::new())?);
    world.sim.advance(secs(31));
    world.server("eu-1", 6).heartbeat()
}

#[test]
fn at_every_instant_all_doors_give_one_verdict() -> Result<()> {
    for after in [0, 1, 29_999_999, 30_000_000, 30_000_001, 90_000_000_u64] {
        let over = after >= 30_000_000;
        for door in 0..6 {
            let mut world = World::new();
            let (far, blue) = (world.server("eu-1", 5), world.holder("blue"));
            let token = far.acquire([world.key("a")], Start::new())?.token();
            world.advance_silently(Duration::from_micros(after));
            let says_over = match door {
                0 => world.start(&blue, "a", Policy::Fail).is_ok(),
                1 => far.heartbeat().is_err(),
                2 => world.write(token, "a", 1).is_err(),
                3 => far.resume(token).is_err(),
                4 => world.store.sessions()?.is_empty(),
                _ => world.docs.set("a", &1).is_ok(),
            };
            assert_eq!(says_over, over, "door {door} after {after} us");
        }
    }
    Ok(())
}

#[test]
fn steps_of_the_wall_clock_of_any_size_change_nothing() -> Result<()> {
    for step in [-400 * DAY_US, -3_600_000_000, -1, 1, 3_600_000_000, 400 * DAY_US, i64::MIN, i64::MAX] {
        let mut world = World::new();
        let (far, blue) = (world.server("eu-1", 5), world.holder("blue"));
        let token = far.acquire([world.key("a")], Start::new())?.token();
        world.sim.step_wall(step);
        world.store.tick();
        assert_eq!(world.write(token, "a", 1), Ok(()), "{step}");
        let mut next = world.ask(&blue, &["a"], Policy::Handoff { after: secs(10) }, 15);
        world.sim.step_wall(step);
        world.store.tick();
        assert!(poll(&mut next).is_none(), "{step}");
        assert_eq!(world.store.sessions()?[0].time_left, Some(secs(30)));
        world.sim.advance(secs(10));
        let new = granted(&mut next);
        assert_eq!(world.write(token, "a", 1), Err(ErrorKind::Fenced), "{step}");
        world.sim.step_wall(step);
        assert_eq!(world.write(new.token(), "a", 1), Ok(()), "{step}");
    }
    Ok(())
}

#[test]
fn holders_inside_a_dead_process_are_dead_at_once() -> Result<()> {
    let mut world = World::new();
    let red = world.holder("red");
    let old = red.acquire([world.key("a"), world.key("b")], Start::new())?;
    let token = old.token();
    world.crash();
    assert!(world.store.sessions()?.is_empty());
    assert_eq!(world.write(token, "a", 1), Err(ErrorKind::Fenced));
    world.docs.set("b", &1)?; // nobody has it
    let again = world.start(&world.holder("red"), "a", Policy::Fail)?;
    assert!(again.token() > token);
    drop((old, red));
    assert!(again.is_live());
    Ok(())
}

#[test]
fn external_holders_have_their_full_time_again_after_a_restart() -> Result<()> {
    let mut world = World::new();
    let far = world.server("eu-1", 5);
    let token = far.acquire([world.key("a")], Start::new())?.token();
    world.sim.advance(secs(29));
    drop(far);
    world.crash();
    assert_eq!(world.docs.set("a", &1).unwrap_err().kind(), ErrorKind::Leased);
    assert_eq!(world.store.sessions()?[0].time_left, Some(secs(30)));
    world.advance_silently(secs(29));
    assert_eq!(world.write(token, "a", 2), Ok(()));
    let far = world.server("eu-1", 5);
    far.resume(token)?.release()?;
    world.crash();
    world.docs.set("a", &3)?; // a release outlives the restart
    Ok(())
}

#[test]
fn an_expiry_that_somebody_relied_on_is_not_undone_by_a_restart() -> Result<()> {
    type Relies = fn(&World) -> Result<()>;
    let ways: [Relies; 4] = [
        |world| world.docs.set("a", &1).map(drop),
        |world| {
            let session = world.start(&world.holder("blue"), "a", Policy::Fail)?;
            world.docs.with_token(session.token()).set("a", &1)?;
            session.release()
        },
        |world| world.store.transaction(|tx| tx.set(&world.docs, "a", &1)).map(drop),
        |world| world.docs.set_async("a", &1).wait().map(drop),
    ];
    for (n, relies) in ways.into_iter().enumerate() {
        let mut world = World::new();
        let token = world.server("eu-1", 5).acquire([world.key("a"), world.key("b")], Start::new())?.token();
        world.advance_silently(secs(30));
        relies(&world)?;
        world.crash();
        for key in ["a", "b"] {
            assert_eq!(world.write(token, key, 9), Err(ErrorKind::Fenced), "way {n}, {key}");
        }
        assert_eq!(world.has("a"), Some(1), "way {n}");
    }
    Ok(())
}

#[test]
fn another_life_of_an_external_holder_ends_what_the_former_had() -> Result<()> {
    let mut world = World::new();
    let old = world.server("eu-1", 5);
    let token = old.acquire([world.key("a")], Start::new())?.token();
    let new = world.server("eu-1", 6);
    assert_eq!(world.write(token, "a", 1), Err(ErrorKind::Fenced));
    assert_eq!(old.heartbeat().unwrap_err().kind(), ErrorKind::Ended);
    assert_eq!(old.acquire([world.key("b")], Start::new()).unwrap_err().kind(), ErrorKind::Ended);
    assert_eq!(world.store.external_holder("eu-1", 5).unwrap_err().kind(), ErrorKind::Ended);
    new.heartbeat()?;
    let session = new.acquire([world.key("a")], Start::new())?.token();
    assert_eq!(world.write(session, "a", 2), Ok(()));
    drop((old, new));
    world.crash();
    assert_eq!(world.write(token, "a", 3), Err(ErrorKind::Fenced));
    assert_eq!(world.write(session, "a", 3), Ok(()));
    world.server("eu-1", 7);
    world.crash();
    assert_eq!(world.write(session, "a", 4), Err(ErrorKind::Fenced), "and that is durable");
    Ok(())
}

#[test]
fn the_last_handle_of_a_holder_takes_its_leases_with_it_and_sessions_are_handles() -> Result<()> {
    let world = World::new();
    let session = world.start(&world.holder("red"), "a", Policy::Fail)?;
    assert!(session.is_live());
    assert_eq!(session.holder().name(), "red");
    let token = session.token();
    drop(session);
    assert_eq!(world.write(token, "a", 1), Err(ErrorKind::Fenced));
    world.docs.set("a", &1)?;
    let red = world.holder("red");
    let forgotten = world.start(&red, "a", Policy::Fail)?;
    let (ended, token) = (forgotten.ended(), forgotten.token());
    let again = red.resume(token)?;
    drop(forgotten);
    assert_eq!((ended.now(), again.is_live()), (Some(Ended::Released), false));
    Ok(())
}

#[test]
fn an_external_session_is_but_a_handle() -> Result<()> {
    let world = World::new();
    let text = world.server("eu-1", 5).acquire([world.key("a")], Start::new())?.token().to_string();
    let token: Token = text.parse().expect("a token");
    assert_eq!(world.write(token, "a", 1), Ok(()));
    let other = world.server("eu-2", 5);
    assert_eq!(other.resume(token).unwrap_err().kind(), ErrorKind::Ended);
    drop(world.server("eu-1", 5).resume(token)?);
    assert_eq!(world.write(token, "a", 2), Ok(()));
    world.server("eu-1", 5).resume(token)?.release()?;
    assert_eq!(world.write(token, "a", 3), Err(ErrorKind::Fenced));
    Ok(())
}

#[test]
fn closing_the_store_closes_the_sessions_of_its_process() -> Result<()> {
    let mut world = World::new();
    let (red, far) = (world.holder("red"), world.server("eu-1", 5));
    let session = world.start(&red, "a", Policy::Fail)?;
    let outer = far.acquire([world.key("b")], Start::new())?.token();
    let mut waiting = world.ask(&far, &["a"], Policy::Wait, 15);
    assert!(poll(&mut waiting).is_none());
    world.store.clone().close()?;
    assert_eq!(session.ended().now(), Some(Ended::Closed));
    assert_eq!(poll(&mut waiting).expect("answered").unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(world.store.holder("late").unwrap_err().kind(), ErrorKind::Closed);
    drop((session, waiting, red, far));
    world.reopen();
    world.docs.set("a", &1)?;
    assert_eq!(world.write(outer, "b", 1), Ok(()));
    Ok(())
}

#[test]
fn names_and_times_of_holders_have_bounds() -> Result<()> {
    let world = World::new();
    for bad in ["", "a\nb", &"x".repeat(65)] {
        assert_eq!(world.store.holder(bad).unwrap_err().kind(), ErrorKind::Invalid);
    }
    world.holder(&"x".repeat(64));
    let hasty = world.store.holder_with("hasty", HolderOptions::new().lease(Duration::ZERO))?;
    assert!(world.start(&hasty, "a", Policy::Fail)?.is_live(), "a millisecond at least");
    let none: [savehold::LeaseKey; 0] = [];
    assert_eq!(hasty.acquire(none, Start::new()).unwrap_err().kind(), ErrorKind::Invalid);
    let many = (0..1025).map(|n| world.docs.key(n));
    assert_eq!(hasty.acquire(many, Start::new()).unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(hasty.acquire([world.key("")], Start::new()).unwrap_err().kind(), ErrorKind::Invalid);
    Ok(())
}

#[test]
fn a_life_that_another_followed_is_over_after_a_restart_too() -> Result<()> {
    let mut world = World::new();
    drop(world.server("eu-1", 5)); // never held anything
    drop(world.server("eu-1", 6));
    world.crash();
    let live = world.server("eu-1", 6);
    let token = live.acquire([world.key("a")], Start::new())?.token();
    world.cut();
    let zombie = world.store.external_holder("eu-1", 5).expect_err("it was followed");
    assert_eq!(zombie.kind(), ErrorKind::Ended, "{zombie}");
    assert_eq!(world.write(token, "a", 1), Ok(()), "and it ended nothing");
    let written = world.store.stats().log_bytes_written;
    for _ in 0..100 {
        world.server("eu-1", 6).heartbeat()?;
    }
    assert_eq!(world.store.stats().log_bytes_written, written, "a life is noted once");
    world.server("eu-1", 7);
    assert_eq!(world.write(token, "a", 2), Err(ErrorKind::Fenced));
    for life in [5, 6] {
        assert_eq!(world.store.external_holder("eu-1", life).unwrap_err().kind(), ErrorKind::Ended);
    }
    for life in 8..40 {
        world.server("eu-1", life);
    }
    world.crash();
    assert_eq!(
        world.store.external_holder("eu-1", 30).unwrap_err().kind(),
        ErrorKind::Ended,
        "sixteen are kept"
    );
    Ok(())
}

#[test]
fn what_a_former_life_waited_for_is_refused_when_another_begins() -> Result<()> {
    let mut world = World::new();
    let red = world.holder("red");
    let held = world.start(&red, "b", Policy::Fail)?;
    let mut waiting = world.ask(&world.server("eu-1", 1), &["b"], Policy::Wait, 60);
    assert!(poll(&mut waiting).is_none());
    let new = world.server("eu-1", 2);
    let token = world.start(&new, "a", Policy::Fail)?.token();
    held.release()?;
    assert_eq!(poll(&mut waiting).expect("answered").unwrap_err().kind(), ErrorKind::Ended);
    world.docs.set("b", &1)?;
    assert_eq!(world.store.sessions()?.len(), 1);
    drop((red, new, waiting));
    world.crash();
    assert_eq!(world.write(token, "a", 1), Ok(()));
    Ok(())
}

#[test]
fn a_life_that_is_in_the_log_has_followed_the_former_though_nothing_has_ended_what_that_had() -> Result<()> {
    let (mut followed, mut kept) = (0, 0);
    for step in 1..8 {
        let mut world = World::new();
        let token = world.server("eu-1", 5).acquire([world.key("a")], Start::new())?.token();
        let disk = world.sim.disk();
        disk.order(When::Change(disk.counts().changes + step), Fault::CutBefore);
        let begun = world.store.external_holder("eu-1", 6).is_ok();
        world.cut();
        let is_over = |world: &World| world.store.external_holder("eu-1", 5).is_err();
        let says_over = (world.write(token, "a", 1) == Err(ErrorKind::Fenced), is_over(&world));
        world.store.break_session("docs", "a", "a test")?;
        world.crash(); // now only the log can say it
        let over = is_over(&world);
        assert_eq!(says_over, (over, over), "a cut before step {step}");
        assert!(over || !begun, "a cut before step {step}");
        followed += u32::from(over && !begun);
        kept += u32::from(!over);
    }
    assert!(followed > 0 && kept > 0, "{followed} cuts behind the new life, {kept} before it");
    Ok(())
}
