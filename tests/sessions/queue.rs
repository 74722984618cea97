//! First come, first served; and nobody is served who does not wait any more.

use savehold::{ErrorKind, Policy, Result, Start};

use crate::world::{World, granted, poll, refused, secs};

#[test]
fn waiters_are_served_in_the_order_in_which_they_came() -> Result<()> {
    let world = World::new();
    let red = world.holder("red");
    let mut held = world.start(&red, "a", Policy::Fail)?;
    let holders: Vec<_> = (0..5).map(|n| world.holder(&format!("h{n}"))).collect();
    let mut waiting: Vec<_> = holders.iter().map(|h| world.ask(h, &["a"], Policy::Wait, 15)).collect();
    for n in 0..5 {
        assert!(waiting.iter_mut().skip(n).all(|acquire| poll(acquire).is_none()));
        held.release()?;
        held = granted(&mut waiting[n]);
        assert_eq!(held.holder().name(), format!("h{n}"));
    }
    Ok(())
}

#[test]
fn a_set_is_granted_as_a_whole_and_holds_its_place_for_all_its_keys() -> Result<()> {
    let world = World::new();
    let (red, blue, green) = (world.holder("red"), world.holder("blue"), world.holder("green"));
    let a = world.start(&red, "a", Policy::Fail)?;
    let mut both = world.ask(&blue, &["b", "a", "b"], Policy::Wait, 15);
    let mut b = world.ask(&green, &["b"], Policy::Wait, 15);
    let mut c = world.ask(&green, &["c"], Policy::Wait, 15);
    assert!(poll(&mut both).is_none());
    assert!(poll(&mut b).is_none(), "free, and yet another came first");
    granted(&mut c);
    a.release()?;
    assert!(poll(&mut b).is_none());
    let both = granted(&mut both);
    assert_eq!(both.keys().iter().map(ToString::to_string).collect::<Vec<_>>(), ["docs/a", "docs/b"]);
    both.release()?;
    granted(&mut b);
    Ok(())
}

#[test]
fn who_does_not_wait_is_told_at_once_who_has_it() -> Result<()> {
    let world = World::new();
    let (red, blue) = (world.holder("red"), world.holder("blue"));
    let held = world.start(&red, "a", Policy::Fail)?;
    let e = world.start(&blue, "a", Policy::Fail).unwrap_err();
    assert_eq!((e.kind(), e.holder(), e.time_left()), (ErrorKind::Leased, Some("red"), None));
    let e = world.start(&red, "a", Policy::Steal).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::AlreadyActive);
    assert!(held.is_live());
    Ok(())
}

#[test]
fn a_waiter_whose_own_deadline_passed_is_not_granted() -> Result<()> {
    let mut world = World::new();
    let (red, blue) = (world.holder("red"), world.holder("blue"));
    let held = world.start(&red, "a", Policy::Fail)?;
    let mut late = world.ask(&blue, &["a"], Policy::Wait, 5);
    let mut unlooked = world.ask(&blue, &["b", "a"], Policy::Wait, 5);
    world.sim.advance(secs(5));
    held.release()?;
    assert_eq!(refused(&mut late), ErrorKind::Leased);
    assert_eq!(refused(&mut unlooked), ErrorKind::Leased);
    assert!(world.store.sessions()?.is_empty());
    world.docs.set("a", &1)?;
    Ok(())
}

#[test]
fn a_waiter_whose_turn_came_and_who_looks_too_late_is_not_granted() -> Result<()> {
    let mut world = World::new();
    let (red, blue) = (world.holder("red"), world.holder("blue"));
    let held = world.start(&red, "a", Policy::Fail)?;
    let mut late = world.ask(&blue, &["a"], Policy::Wait, 5);
    held.release()?; // from here on it is its turn
    world.advance_silently(secs(5));
    assert_eq!(refused(&mut late), ErrorKind::Leased);
    world.docs.set("a", &1)?;
    Ok(())
}

#[test]
fn a_deadline_counts_until_the_grant_has_its_place() -> Result<()> {
    let mut world = World::new();
    let red = world.holder("red");
    let (docs, clock) = (world.docs.clone(), world.clock());
    let start = Start::new().deadline(secs(5));
    let e = red.acquire_with([world.key("a")], start, |tx| {
        clock.advance(secs(5));
        tx.set(&docs, "a", &7)
    });
    assert_eq!(e.unwrap_err().kind(), ErrorKind::Leased);
    assert_eq!(world.has("a"), Some(0), "all or nothing");
    assert!(world.store.sessions()?.is_empty());
    Ok(())
}

#[test]
fn a_grant_and_what_belongs_to_it_are_one_record() -> Result<()> {
    let world = World::new();
    let red = world.holder("red");
    let (session, value) = red.acquire_with([world.key("a")], Start::new(), |tx| -> Result<i64> {
        let value = tx.increment(&world.docs, "a", 4)?;
        tx.set(&world.docs, "other", &value)?;
        Ok(value)
    })?;
    assert_eq!(value, 4);
    let version = world.docs.get("a")?.unwrap().version;
    assert_eq!(version, session.token().lsn().into());
    let refused = world
        .holder("blue")
        .acquire_with([world.key("b")], Start::new(), |tx| -> Result<()> { tx.set(&world.docs, "a", &9) });
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Leased, "a grant of one key is no right to another");
    assert_eq!(world.store.sessions()?.len(), 1);
    Ok(())
}

#[test]
fn a_request_that_is_dropped_leaves_the_queue_or_gives_the_lease_back() -> Result<()> {
    let world = World::new();
    let (red, blue) = (world.holder("red"), world.holder("blue"));
    let held = world.start(&red, "a", Policy::Fail)?;
    let first = world.ask(&blue, &["a"], Policy::Wait, 15);
    let mut second = world.ask(&red, &["a"], Policy::Wait, 15);
    let third = world.ask(&blue, &["a"], Policy::Wait, 15);
    drop(first);
    assert_eq!(refused(&mut second), ErrorKind::AlreadyActive);
    held.release()?; // from here on it is the third's turn, which nobody looks at
    drop(third);
    world.docs.set("a", &1)?;
    let granted_unseen = world.ask(&blue, &["a"], Policy::Wait, 15); // it has its place in the log already
    assert_eq!(world.docs.set("a", &2).unwrap_err().kind(), ErrorKind::Leased);
    drop(granted_unseen);
    world.docs.set("a", &2)?;
    let far = world.server("eu-1", 5);
    drop(world.ask(&far, &["a"], Policy::Wait, 15));
    world.docs.set("a", &3)?; // an external one too: nobody knows its token
    Ok(())
}

#[test]
fn tokens_only_grow() -> Result<()> {
    let mut world = World::new();
    let mut newest = None;
    for n in 0..20 {
        let red = world.holder("red");
        let session = world.start(&red, if n % 2 == 0 { "a" } else { "b" }, Policy::Fail)?;
        assert!(Some(session.token()) > newest);
        newest = Some(session.token());
        if n % 3 == 0 {
            drop((session, red));
            if n % 2 == 0 { world.cut() } else { world.crash() }
        }
    }
    Ok(())
}
