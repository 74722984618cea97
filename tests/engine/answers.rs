//! Every answer waits for what it was decided on, and becomes `Unknown` with it.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use savehold::{
    Change, Collection, Error, ErrorKind, Once, Outcome, Result, Selection, Start, Store, Ticket, Tx,
};

use crate::gate::Gate;

type Ask = fn(&Store, &Collection<i64>) -> Result<&'static str>;

fn refusal(store: &Store, counts: &Collection<i64>) -> Result<&'static str> {
    let answer = store.transaction(|tx| -> Result<()> {
        tx.get(counts, "a")?;
        Err(Error::new(ErrorKind::Refused, "no"))
    });
    if answer.as_ref().is_err_and(|e| e.kind() == ErrorKind::Refused) {
        Ok("refused")
    } else {
        answer.map(|_| "wrote")
    }
}

fn create(_: &Store, counts: &Collection<i64>) -> Result<&'static str> {
    let answer = counts.create("a", &5);
    if answer.as_ref().is_err_and(|e| e.kind() == ErrorKind::Conflict) {
        Ok("exists")
    } else {
        answer.map(|_| "wrote")
    }
}

fn compare(store: &Store, counts: &Collection<i64>) -> Result<&'static str> {
    let answer = counts.compare_and_set("a", store.version(), &5);
    if answer.as_ref().is_err_and(|e| e.kind() == ErrorKind::Conflict) {
        Ok("other")
    } else {
        answer.map(|_| "wrote")
    }
}

/// Questions about the key `a`, which is 7 by a commit that is on its way with the id `x`, `gone`, which that commit
/// removed, `back`, which it set to what it was first, and `held`, released just before, and how each is answered once that
/// commit is durable.
const ALL: [(&str, Ask); 14] = [
    ("kept", |_, counts| {
        counts.update("a", |_| Change::keep()).map(|done| if done.wrote { "wrote" } else { "kept" })
    }),
    ("kept", |_, counts| counts.update_async("a", |_| Change::keep()).wait().map(|_| "kept")),
    ("absent", |_, counts| {
        counts.remove("gone").map(|found| if found.is_none() { "absent" } else { "stood" })
    }),
    ("absent", |_, counts| counts.remove_async("gone").wait().map(|_| "absent")),
    ("exists", create),
    ("other", compare),
    ("refused", refusal),
    ("before", |_, counts| match counts.increment_once("x", "a", 1)? {
        Once::Before(_) => Ok("before"),
        Once::Now(_) => Ok("now"),
    }),
    ("before", |store, counts| {
        match store.transaction_once("x", |tx| -> Result<i64> { tx.increment(counts, "a", 1) })? {
            Once::Before(_) => Ok("before"),
            Once::Now(_) => Ok("now"),
        }
    }),
    ("committed", |store, _| match store.outcome("x")? {
        Outcome::Committed(_) => Ok("committed"),
        _ => Ok("not committed"),
    }),
    ("read 7", |store, counts| {
        let read = store.transaction(|tx| -> Result<_> { Ok(tx.get(counts, "a")?.map(|e| e.value)) })?;
        Ok(if read.value == Some(7) { "read 7" } else { "read something else" })
    }),
    ("scanned", |store, counts| {
        let read = store.transaction_async(|tx| tx.scan(counts, "zzz").map(|all| all.len())).wait()?;
        Ok(if read.value == 0 { "scanned" } else { "found" })
    }),
    ("as it was", |store, counts| {
        let first = counts.versions("back")?.last().expect("it was written")?.version;
        let back = store.revert(Selection::collection("counts").keys(["back"])?, first)?;
        Ok(if back.is_empty() { "as it was" } else { "set back" })
    }),
    ("nobody", |store, _| match store.break_session("counts", "held", "a test")? {
        None => Ok("nobody"),
        Some(_) => Ok("somebody"),
    }),
];

/// Asks all while the sync of the commit they are decided on waits; then it succeeds or fails.
fn ask_all(fails: bool) -> Vec<(&'static str, Result<&'static str>)> {
    let (gate, store) = Gate::store();
    let counts = store.collection::<i64>("counts").expect("a name");
    counts.set("a", &1).expect("writes");
    counts.set("gone", &1).expect("writes");
    counts.set("back", &7).expect("writes");
    counts.set("back", &1).expect("writes");
    let far = store.external_holder("far", 1).expect("a holder");
    let session = far.acquire([counts.key("held")], Start::new()).expect("nobody has it");
    gate.shut();
    std::thread::scope(|scope| {
        scope.spawn(move || session.release());
        while !store.sessions().expect("lists").is_empty() {
            std::thread::yield_now();
        }
        let (placed, is_placed) = channel();
        let (store, counts) = (&store, &counts);
        let writer = scope.spawn(move || {
            store.transaction_once("x", |tx| -> Result<()> {
                tx.remove(counts, "gone")?;
                tx.set(counts, "back", &7)?;
                tx.set(counts, "a", &7)?;
                placed.send(()).expect("somebody listens");
                Ok(())
            })
        });
        is_placed.recv().expect("it runs");
        // the closure has run; its commit has its place once another run sees it
        while counts.get("a").expect("reads").is_some_and(|e| e.value == 1) && !sees(store, counts) {
            std::thread::yield_now();
        }
        let asked: Vec<_> =
            ALL.iter().map(|(name, ask)| (*name, scope.spawn(move || ask(store, counts)))).collect();
        assert_eq!(
            counts.get("a").expect("reads").map(|e| e.value),
            Some(1),
            "a plain read shows what is durable"
        );
        if fails {
            gate.fail()
        } else {
            gate.open()
        }
        let wrote = writer.join().expect("no panic");
        assert_eq!(wrote.err().map(|e| e.kind()), fails.then_some(ErrorKind::Unknown));
        asked.into_iter().map(|(name, ask)| (name, ask.join().expect("no panic"))).collect()
    })
}

/// Whether a run of a closure sees the commit; its ticket is dropped, since nobody waits for it.
fn sees(store: &Store, counts: &Collection<i64>) -> bool {
    let mut seen = false;
    let ticket: Ticket<_> = store.transaction_async(|tx| {
        seen = tx.get(counts, "a")?.is_some_and(|e| e.value == 7);
        Ok(())
    });
    drop(ticket);
    seen
}

#[test]
fn answers_wait_for_what_they_were_decided_on() {
    for (name, answer) in ask_all(false) {
        assert_eq!(answer.expect("durable"), name);
    }
}

#[test]
fn answers_become_unknown_with_what_they_were_decided_on() {
    for (name, answer) in ask_all(true) {
        let e = answer.expect_err(name);
        assert_eq!(e.kind(), ErrorKind::Unknown, "{name}: {e:?}");
        assert!(e.version().is_some(), "{name} names the version in doubt");
    }
}

#[test]
fn an_async_call_does_not_wait_for_the_disk_whatever_it_answers() {
    let (gate, store) = Gate::store();
    let counts = store.collection::<i64>("counts").expect("a name");
    counts.set("a", &1).expect("writes");
    gate.shut();
    let wrote = counts.set_async("a", &2);
    let kept = counts.update_async("a", |_| Change::keep());
    let refused = store.transaction_async(|tx| -> Result<()> {
        tx.get(&counts, "a")?;
        Err(Error::new(ErrorKind::Refused, "no"))
    });
    let overflow = counts.increment_async("a", i64::MAX);
    assert!(!wrote.is_ready() && !kept.is_ready() && !refused.is_ready() && !overflow.is_ready());
    gate.open();
    assert!(wrote.wait().is_ok() && kept.wait().is_ok());
    assert_eq!(refused.wait().expect_err("no").kind(), ErrorKind::Refused);
    assert_eq!(overflow.wait().expect_err("too large").kind(), ErrorKind::Overflow);
}

/// Whether who has the turn ran what another asked for behind it, who must have the ticket then though nothing is durable.
fn is_run_by_who_has_the_turn() -> bool {
    let (gate, store) = Gate::store();
    let counts = store.collection::<i64>("counts").expect("a name");
    counts.set("a", &1).expect("writes");
    let (at_run, runs) = channel();
    let (go_on, went_on) = channel();
    let (ask, asked) = channel();
    std::thread::scope(|scope| {
        let holder = scope.spawn(|| {
            counts.update("a", move |now| {
                at_run.send(()).expect("somebody listens");
                went_on.recv().expect("somebody says so");
                now.map(|entry| entry.value + 1)
            })
        });
        runs.recv().expect("a first run");
        counts.set("a", &10).expect("writes");
        go_on.send(()).expect("it waits");
        runs.recv().expect("that was a conflict: now it has the turn");
        gate.shut();
        let counts = &counts;
        scope.spawn(move || {
            let mut ran = None;
            ask.send(None).expect("somebody listens");
            let ticket = counts.update_async("a", |now| {
                ran = Some(std::thread::current().id());
                now.map(|entry| entry.value + 100)
            });
            ask.send(ran.map(|ran| (ran, ticket))).expect("somebody listens");
        });
        asked.recv().expect("it is about to ask");
        (0..1_000).for_each(|_| std::thread::yield_now()); // it lines up meanwhile
        go_on.send(()).expect("it waits");
        let answer = asked.recv_timeout(Duration::from_secs(20)); // it would come once the gate is open
        let ready =
            answer.as_ref().is_ok_and(|asked| asked.as_ref().is_some_and(|(_, ticket)| ticket.is_ready()));
        let id = holder.thread().id();
        gate.open();
        holder.join().expect("no panic").expect("durable");
        let (ran, ticket) = answer.expect("a ticket waits for no disk").expect("it was run");
        assert!(!ready, "nothing was durable");
        ticket.wait().expect("durable");
        assert_eq!(counts.get("a").expect("reads").map(|entry| entry.value), Some(111));
        ran == id
    })
}

#[test]
fn an_async_call_that_waits_for_its_turn_on_a_key_does_not_wait_for_the_disk() {
    assert!((0..50).any(|_| is_run_by_who_has_the_turn()), "it never lined up in time");
}

#[test]
fn a_handle_that_failed_shows_what_is_durable_and_writes_no_more() {
    let (gate, store) = Gate::store();
    let counts = store.collection::<i64>("counts").expect("a name");
    let one = counts.set("a", &1).expect("writes");
    gate.shut(); // the keeper waits there too, with what it prepares: the record has its place before anything fails
    let wrote = counts.set_async("a", &2);
    gate.until_a_group_waits(); // else what the keeper prepares may fail alone, and the record's sync come when the gate is open again
    gate.fail();
    let e = wrote.wait().expect_err("its sync fails");
    assert!(e.may_have_happened() && e.version().is_some_and(|version| version > one));
    gate.open();
    assert_eq!(counts.set("a", &3).expect_err("halted").kind(), ErrorKind::Halted);
    assert_eq!(counts.get("a").expect("reads").map(|e| (e.value, e.version)), Some((1, one)));
    assert_eq!(store.outcome(e.version().expect("named")).expect_err("in doubt").kind(), ErrorKind::Unknown);
    assert_eq!(counts.versions("a").expect("a key").count(), 1);
    assert!(store.sync().is_err() && store.close().is_err());
}

/// A commit of many keys takes a while to enter memory: others may write it meanwhile, and give its answer.
#[test]
fn no_reader_sees_a_part_of_a_commit() {
    const KEYS: u64 = 1_000;
    const ROUNDS: i64 = 1_000;
    let store = Store::in_memory().unwrap();
    let (many, others) = (store.collection("many").unwrap(), store.collection("others").unwrap());
    let over = AtomicBool::new(false);
    let until_over = |run: &dyn Fn()| {
        while !over.load(Ordering::Relaxed) {
            run();
        }
    };
    std::thread::scope(|scope| {
        let company = |key: u64| _ = others.set(key, &0_i64).unwrap(); // who writes what is there, whosever it is
        scope.spawn(move || until_over(&|| company(1)));
        scope.spawn(move || until_over(&|| company(2)));
        scope.spawn(|| {
            let newest = Cell::new(store.version());
            until_over(&|| {
                let before = newest.replace(store.version());
                assert!(
                    before <= newest.get(),
                    "the newest version never goes back: {before}, {}",
                    newest.get()
                );
                let snapshot = store.snapshot();
                let value = |key| snapshot.get(&many, key).unwrap().map(|entry| entry.value);
                let (first, last, again) = (value(0), value(KEYS - 1), value(0));
                assert_eq!((first, first), (last, again), "a snapshot has all of a commit, or nothing of it");
                let value = |key| many.get(key).unwrap().map(|entry| entry.value);
                let (first, last) = (value(0), value(KEYS - 1));
                assert!(first <= last, "what is read later is no older: {first:?}, {last:?}");
            });
        });
        for round in 1..=ROUNDS {
            let set = |tx: &Tx<'_>| (0..KEYS).try_for_each(|key| tx.set(&many, key, &round));
            store.transaction(set).unwrap();
        }
        over.store(true, Ordering::Relaxed);
    });
}
