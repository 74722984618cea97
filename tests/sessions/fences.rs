//! Who may write a leased key.

use savehold::{Ended, ErrorKind, Next, Policy, Result, Start};

use crate::world::{World, secs};

#[test]
fn only_the_holder_writes_a_leased_key_and_everybody_reads_it() -> Result<()> {
    let world = World::new();
    let red = world.holder("red");
    let session = world.start(&red, "a", Policy::Fail)?;
    let e = world.docs.set("a", &1).unwrap_err();
    assert_eq!((e.kind(), e.next(), e.holder()), (ErrorKind::Leased, Next::Retry, Some("red")));
    assert!(e.to_string().starts_with("docs/a: red has it"), "{e}");
    assert_eq!(world.has("a"), Some(0));
    world.docs.set("b", &1)?; // other keys are free
    let version = world.docs.with_token(session.token()).set("a", &2)?;
    assert!(version > session.token().lsn().into());
    assert_eq!(world.has("a"), Some(2));
    assert_eq!(world.docs.versions("a")?.next().unwrap()?.token, Some(session.token()));
    session.release()?;
    world.docs.set("a", &3)?;
    Ok(())
}

#[test]
fn every_form_of_write_asks_for_the_lease() -> Result<()> {
    let world = World::new();
    let red = world.holder("red");
    let session = world.start(&red, "a", Policy::Fail)?;
    let (docs, store) = (&world.docs, &world.store);
    let mut batch = store.batch();
    batch.set(docs, "a", &1)?.set(docs, "b", &1)?;
    let refused = [
        docs.set("a", &1).err(),
        docs.set_async("a", &1).wait().err(),
        docs.set_once("x", "a", &1).err(),
        docs.remove("a").err(),
        docs.remove_async("a").wait().err(),
        docs.update("a", |_| savehold::Change::write(1)).err(),
        docs.update_async("a", |_| savehold::Change::write(1)).wait().err(),
        docs.increment("a", 1).err(),
        docs.increment_async("a", 1).wait().err(),
        docs.compare_and_set("a", docs.get("a")?.map(|e| e.version), &1).err(),
        batch.commit().err(),
        store.transaction(|tx| tx.set(docs, "a", &1)).err(),
        store.transaction_async(|tx| tx.set(docs, "a", &1)).wait().err(),
        store.transaction_once("y", |tx| tx.set(docs, "a", &1)).err(),
    ];
    for (n, e) in refused.into_iter().enumerate() {
        assert_eq!(e.map(|e| e.kind()), Some(ErrorKind::Leased), "call {n}");
    }
    assert_eq!((world.has("a"), world.has("b")), (Some(0), None));
    let own = docs.with_token(session.token());
    own.increment("a", 1)?;
    own.increment_async("a", 1).wait()?;
    own.update("a", |now| now.map(|e| e.value + 1))?;
    store.transaction(|tx| tx.set(&own, "a", &9))?;
    store.transaction(|tx| {
        tx.bring(session.token());
        tx.set(docs, "a", &10)
    })?;
    let mut batch = store.batch();
    batch.set(&own, "a", &11)?;
    batch.commit()?;
    assert_eq!(world.has("a"), Some(11));
    Ok(())
}

#[test]
fn a_token_that_was_overtaken_is_fenced_and_says_by_whom() -> Result<()> {
    let world = World::new();
    let (red, blue) = (world.holder("red"), world.holder("blue"));
    let old = world.start(&red, "a", Policy::Fail)?;
    let new = world.start(&blue, "a", Policy::Steal)?;
    assert!(new.token() > old.token());
    assert_eq!(old.ended().now(), Some(Ended::Stolen("blue".into())));
    let e = world.docs.with_token(old.token()).set("a", &1).unwrap_err();
    assert_eq!((e.kind(), e.next()), (ErrorKind::Fenced, Next::EndSession));
    assert_eq!((e.held(), e.current(), e.holder()), (Some(old.token()), Some(new.token()), Some("blue")));
    assert_eq!(world.write(new.token(), "a", 5), Ok(()));
    assert_eq!(old.release().unwrap_err().kind(), ErrorKind::Ended);
    assert_eq!(world.write(new.token(), "a", 6), Ok(()));
    Ok(())
}

#[test]
fn a_token_is_good_for_its_own_keys_only_and_while_its_lease_stands() -> Result<()> {
    let world = World::new();
    let red = world.holder("red");
    let session = red.acquire([world.key("a"), world.key("b")], Start::new())?;
    let token = session.token();
    assert_eq!(world.write(token, "a", 1), Ok(()));
    assert_eq!(world.write(token, "b", 1), Ok(()));
    assert_eq!(world.write(token, "c", 1), Err(ErrorKind::Fenced), "a free key is not the lease's");
    session.release()?;
    assert_eq!(world.write(token, "a", 2), Err(ErrorKind::Fenced), "free again, and yet not for this token");
    let e = world.store.transaction(|tx| -> Result<()> {
        tx.bring(token);
        tx.set(&world.docs, "z", &1)
    });
    assert_eq!(e.unwrap_err().kind(), ErrorKind::Fenced);
    assert_eq!(world.has("z"), None);
    Ok(())
}

#[test]
fn a_forced_write_ends_the_lease_by_the_same_commit() -> Result<()> {
    let world = World::new();
    let red = world.holder("red");
    let session = red.acquire([world.key("a"), world.key("b")], Start::new())?;
    let version = world.docs.force().set("a", &7)?;
    assert!(matches!(session.ended().now(), Some(Ended::Stolen(_))));
    assert_eq!(world.write(session.token(), "b", 1), Err(ErrorKind::Fenced), "a lease ends as a whole");
    assert!(world.store.sessions()?.is_empty());
    assert_eq!(world.docs.get("a")?.unwrap().version, version);
    world.docs.set("b", &1)?;
    Ok(())
}

#[test]
fn a_transaction_writes_under_several_leases_or_not_at_all() -> Result<()> {
    let world = World::new();
    let (red, blue) = (world.holder("red"), world.holder("blue"));
    let a = world.start(&red, "a", Policy::Fail)?;
    let b = world.start(&blue, "b", Policy::Fail)?;
    let both = |value: i64| {
        world.store.transaction(|tx| -> Result<()> {
            tx.bring(a.token());
            tx.bring(b.token());
            tx.set(&world.docs, "a", &value)?;
            tx.set(&world.docs, "b", &value)?;
            tx.set(&world.docs, "free", &value)
        })
    };
    both(1)?;
    assert_eq!([world.has("a"), world.has("b"), world.has("free")], [Some(1); 3]);
    world.store.break_session("docs", "b", "ticket 812")?;
    assert_eq!(b.ended().now(), Some(Ended::Stolen("ticket 812".into())));
    assert_eq!(both(2).unwrap_err().kind(), ErrorKind::Fenced);
    assert_eq!([world.has("a"), world.has("b"), world.has("free")], [Some(1); 3]);
    Ok(())
}

#[test]
fn sessions_are_listed_and_can_be_broken() -> Result<()> {
    let world = World::new();
    let (red, far) = (world.holder("red"), world.server("eu-1", 5));
    let one = world.start(&red, "a", Policy::Fail)?;
    let two = far.acquire([world.key("b"), world.key("c")], Start::new())?.token();
    let list = world.store.sessions()?;
    let tokens: Vec<_> = list.iter().map(|s| (s.token, s.holder.as_str(), s.life)).collect();
    assert_eq!(tokens, [(one.token(), "red", None), (two, "eu-1", Some(5))]);
    assert_eq!((list[0].time_left, list[1].time_left), (None, Some(secs(30))));
    let keys: Vec<_> = list[1].keys.iter().map(ToString::to_string).collect();
    assert_eq!(keys, ["docs/b", "docs/c"]);
    assert_eq!(world.store.break_session("docs", "c", "stuck")?.unwrap().token, two);
    assert_eq!(world.store.break_session("docs", "c", "stuck")?, None);
    assert_eq!(world.store.break_session("none", "c", "stuck")?, None);
    assert_eq!(world.store.sessions()?.len(), 1);
    Ok(())
}

#[test]
fn a_refusal_says_what_is_so_and_what_to_do_next() -> Result<()> {
    let world = World::new();
    let (red, blue) = (world.holder("red"), world.holder("blue"));
    let _session = world.start(&red, "a", Policy::Fail)?;
    let (mut reentrant, docs) = (None, &world.docs);
    docs.update("b", |_| {
        reentrant = docs.set("c", &1).err();
        savehold::Change::write(1)
    })?;
    let refused = [
        ("a write", docs.set("a", &1).err(), ["nothing was written", "acquire the key"]),
        ("a start", world.start(&blue, "a", Policy::Fail).err(), ["nothing was granted", "`Policy::Wait`"]),
        ("late", world.start(&blue, "a", Policy::Wait).err(), ["nothing was granted", "ask again"]),
        ("twice", world.start(&red, "a", Policy::Fail).err(), ["has it already", "`Profiles::active`"]),
        ("inside", reentrant, ["nothing was written", "in a hook change the document"]),
        ("a create", docs.create("b", &1).err(), ["it is there already", "change it with `update`"]),
        (
            "another",
            docs.compare_and_set("z", Some(world.store.version()), &1).err(),
            ["no value", "read it"],
        ),
    ];
    for (what, e, words) in refused {
        let e = e.expect(what);
        assert!(words.iter().all(|word| e.message().contains(word)), "{what}: {e}");
    }
    Ok(())
}
