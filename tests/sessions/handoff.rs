//! Another wants the key: told, handed over with the last edit, or taken by force in the end.

use std::sync::{Arc, Mutex};

use savehold::{Ended, ErrorKind, HolderEvent, Policy, Result, Session, Start, Wanted};

use crate::world::{World, granted, poll, refused, secs};

const HANDOFF: Policy = Policy::Handoff { after: secs(10) };

#[test]
fn who_is_asked_may_write_a_last_time_and_the_next_sees_it() -> Result<()> {
    let world = World::new();
    let (red, blue) = (world.holder("red"), world.holder("blue"));
    let old = world.start(&red, "a", HANDOFF)?;
    assert_eq!(old.wanted().now(), None);
    let mut next = world.ask(&blue, &["a"], HANDOFF, 15);
    assert!(poll(&mut next).is_none());
    let wanted = old.wanted().now().expect("asked");
    assert_eq!((wanted.by.as_str(), wanted.after), ("blue", secs(10)));
    world.docs.with_token(old.token()).set("a", &41)?;
    let (ended, token) = (old.ended(), old.token());
    old.release()?;
    assert_eq!(ended.now(), Some(Ended::HandedOver("blue".into())));
    let new = granted(&mut next);
    assert!(new.token() > token);
    assert_eq!(world.has("a"), Some(41));
    assert_eq!(world.write(token, "a", 42), Err(ErrorKind::Fenced));
    assert_eq!(world.write(new.token(), "a", 43), Ok(()));
    Ok(())
}

#[test]
fn who_does_not_answer_loses_the_key_after_the_time_and_not_before() -> Result<()> {
    let mut world = World::new();
    let (red, blue) = (world.holder("red"), world.holder("blue"));
    let old = world.start(&red, "a", HANDOFF)?;
    let mut next = world.ask(&blue, &["a"], HANDOFF, 15);
    world.sim.advance(secs(10) - std::time::Duration::from_micros(1));
    assert!(poll(&mut next).is_none());
    assert_eq!(world.write(old.token(), "a", 1), Ok(()));
    world.sim.advance(std::time::Duration::from_micros(1));
    let new = granted(&mut next);
    assert_eq!(old.ended().now(), Some(Ended::Stolen("blue".into())));
    assert_eq!(world.write(old.token(), "a", 2), Err(ErrorKind::Fenced));
    assert_eq!(world.has("a"), Some(1));
    assert_eq!(world.write(new.token(), "a", 3), Ok(()));
    Ok(())
}

#[test]
fn a_blocking_request_hands_over_through_a_callback_in_a_simulation() -> Result<()> {
    let world = World::new();
    let (red, blue) = (world.holder("red"), world.holder("blue"));
    let old = world.start(&red, "a", HANDOFF)?;
    let (docs, watch) = (world.docs.clone(), old.wanted());
    let held: Arc<Mutex<Option<Session>>> = Arc::new(Mutex::new(Some(old)));
    let mine = held.clone();
    watch.on(move |wanted: Wanted| {
        assert_eq!(wanted.by, "blue");
        let session = mine.lock().unwrap().take().expect("still mine");
        docs.with_token(session.token()).increment("a", 5).expect("still mine");
        session.release().expect("released");
    });
    let new = blue.acquire([world.key("a")], Start::new())?;
    assert_eq!(world.has("a"), Some(5));
    assert!(new.is_live() && held.lock().unwrap().is_none());
    Ok(())
}

#[test]
fn a_blocking_request_that_nobody_answers_is_refused_at_once_in_a_simulation() -> Result<()> {
    let world = World::new();
    let (red, blue) = (world.holder("red"), world.holder("blue"));
    let old = world.start(&red, "a", HANDOFF)?;
    let e = world.start(&blue, "a", HANDOFF).unwrap_err();
    assert_eq!((e.kind(), e.holder()), (ErrorKind::Leased, Some("red")));
    assert!(old.is_live());
    assert_eq!(old.wanted().now(), None, "nobody asks any more");
    Ok(())
}

#[test]
fn events_tell_a_holder_what_happens_to_its_sessions() -> Result<()> {
    let mut world = World::new();
    let (far, blue) = (world.server("eu-1", 5), world.holder("blue"));
    let events = far.events();
    let token = far.acquire([world.key("a"), world.key("b")], Start::new())?.token();
    assert_eq!(events.try_next(), None);
    let mut next = world.ask(&blue, &["b"], HANDOFF, 15);
    let named = |keys: &[savehold::HeldKey]| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
    match events.try_next() {
        Some(HolderEvent::Wanted { token: of, keys, by }) => {
            assert_eq!((of, by.as_str()), (token, "blue"));
            assert_eq!(named(&keys), ["docs/a", "docs/b"]);
        }
        other => panic!("{other:?}"),
    }
    world.sim.advance(secs(10));
    drop(granted(&mut next));
    match world.server("eu-1", 5).events().try_next() {
        Some(HolderEvent::Ended { token: of, why, .. }) => {
            assert_eq!((of, why), (token, Ended::Stolen("blue".into())));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(events.next_timeout(secs(1)), None);
    let mut next = Box::pin(events.next());
    assert!(poll(&mut next).is_none());
    drop(far.acquire([world.key("c")], Start::new())?.release());
    assert!(matches!(poll(&mut next), Some(HolderEvent::Ended { why: Ended::Released, .. })));
    Ok(())
}

#[test]
fn a_handed_over_key_goes_to_the_first_who_asked() -> Result<()> {
    let world = World::new();
    let (red, blue, green) = (world.holder("red"), world.holder("blue"), world.holder("green"));
    let old = world.start(&red, "a", HANDOFF)?;
    let mut first = world.ask(&blue, &["a"], HANDOFF, 15);
    let mut second = world.ask(&green, &["a"], HANDOFF, 15);
    old.release()?;
    assert!(poll(&mut second).is_none());
    let one = granted(&mut first);
    assert_eq!(one.wanted().now().map(|w| w.by), Some("green".into()));
    drop(one);
    granted(&mut second);
    Ok(())
}

#[test]
fn a_theft_waits_for_nobody_and_the_loser_of_a_theft_keeps_its_place_in_no_queue() -> Result<()> {
    let world = World::new();
    let (red, blue, green) = (world.holder("red"), world.holder("blue"), world.holder("green"));
    let old = world.start(&red, "a", HANDOFF)?;
    let mut waiting = world.ask(&blue, &["a"], Policy::Wait, 15);
    let thief = world.start(&green, "a", Policy::Steal)?;
    assert_eq!(old.ended().now(), Some(Ended::Stolen("green".into())));
    assert!(poll(&mut waiting).is_none());
    drop(thief);
    granted(&mut waiting);
    let mut late = world.ask(&red, &["a"], Policy::Wait, 0);
    assert_eq!(refused(&mut late), ErrorKind::Leased);
    Ok(())
}

#[test]
fn a_panic_in_a_callback_hurts_nobody() -> Result<()> {
    let world = World::new();
    let (red, blue) = (world.holder("red"), world.holder("blue"));
    let old = world.start(&red, "a", HANDOFF)?;
    let told = Arc::new(Mutex::new(Vec::new()));
    old.wanted().on(|_| panic!("in a callback"));
    old.ended().on(|_| panic!("in a callback"));
    let mine = told.clone();
    old.ended().on(move |why| mine.lock().unwrap().push(why));
    let new = world.start(&blue, "a", Policy::Steal)?;
    world.store.tick();
    assert_eq!(*told.lock().unwrap(), [Ended::Stolen("blue".into())]);
    assert_eq!(world.write(new.token(), "a", 1), Ok(()));
    let mine = told.clone();
    old.ended().on(move |why| mine.lock().unwrap().push(why)); // it is over: told at once
    assert_eq!(told.lock().unwrap().len(), 2);
    Ok(())
}
