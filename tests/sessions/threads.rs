//! Leases with real threads: nobody is missed, nothing hangs, the last handle may go anywhere.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use savehold::{Ended, ErrorKind, Options, Policy, Result, Start, Store};

use crate::world::secs;

fn long() -> Start {
    Start::new().policy(Policy::Handoff { after: secs(300) }).deadline(secs(300))
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// What is read, and written one larger, under a lease is lost by no other: whoever asks has it in the end.
#[test]
fn many_threads_hand_keys_around_and_nobody_is_missed() {
    const THREADS: usize = 6;
    const EACH: usize = 40;
    let store = Store::in_memory().expect("threads");
    let docs = store.collection::<i64>("docs").expect("a name");
    for key in ["a", "b", "c"] {
        docs.set(key, &0).expect("writes");
    }
    let written = AtomicI64::new(0);
    std::thread::scope(|scope| {
        for n in 0..THREADS {
            let (store, docs, written) = (&store, &docs, &written);
            scope.spawn(move || {
                let holder = store.holder(&format!("h{n}")).expect("a name");
                for round in 0..EACH {
                    let keys: &[&str] =
                        [&["a"][..], &["b"], &["a", "b"], &["b", "c"], &["c"]][(n + round) % 5];
                    let leased = keys.iter().map(|key| docs.key(*key));
                    let session = match (n + round) % 3 {
                        0 => holder.acquire(leased, long()),
                        1 => block_on(holder.acquire_async(leased, long())),
                        _ => holder.acquire_async(leased, long()).wait(),
                    };
                    let session = session.expect("granted in the end");
                    let own = docs.with_token(session.token());
                    for key in keys {
                        let value = own.get(*key).expect("reads").expect("a value").value;
                        std::thread::yield_now();
                        own.set(*key, &(value + 1)).expect("still ours");
                        written.fetch_add(1, Ordering::Relaxed);
                    }
                    match round % 3 {
                        0 => session.release().expect("still ours"),
                        1 => block_on(session.release_async()).expect("still ours"),
                        _ => drop(session),
                    }
                }
            });
        }
    });
    let sum: i64 = docs.scan("").map(|entry| entry.expect("reads").value).sum();
    assert_eq!(sum, written.load(Ordering::Relaxed));
    assert!(store.sessions().expect("lists").is_empty());
    store.close().expect("closes");
}

#[test]
fn requests_that_are_dropped_at_any_moment_leave_no_key_behind() {
    let store = Store::in_memory().expect("threads");
    let docs = store.collection::<i64>("docs").expect("a name");
    std::thread::scope(|scope| {
        for n in 0..4 {
            let (store, docs) = (&store, &docs);
            scope.spawn(move || {
                let holder = store.holder(&format!("h{n}")).expect("a name");
                for round in 0..60 {
                    let mut acquire = holder.acquire_async([docs.key("a")], long());
                    if round % 2 == 0 {
                        _ = acquire.is_ready();
                    }
                    if (n + round) % 5 == 0 {
                        drop(acquire.wait().expect("granted in the end"));
                    }
                }
            });
        }
    });
    docs.set("a", &1).expect("nobody has it");
}

#[test]
fn a_live_owner_hands_over_with_its_last_edit_each_time() -> Result<()> {
    let store = Store::in_memory()?;
    let docs = store.collection::<i64>("docs")?;
    let mut session = store.holder("h0")?.acquire([docs.key("a")], long())?;
    for n in 1..=30_i64 {
        let next = store.holder(&format!("h{n}"))?;
        let own = docs.clone();
        let owner = std::thread::spawn(move || {
            let wanted = session.wanted().wait_timeout(secs(300)).expect("asked for");
            own.with_token(session.token()).set("a", &n).expect("a last edit");
            let ended = session.ended();
            session.release().expect("still ours");
            (wanted.by, ended.wait_timeout(secs(300)))
        });
        session = next.acquire([docs.key("a")], long())?;
        assert_eq!(docs.get("a")?.expect("a value").value, n);
        let (by, why) = owner.join().expect("no panic");
        assert_eq!((by, why), (format!("h{n}"), Some(Ended::HandedOver(format!("h{n}")))));
    }
    Ok(())
}

#[test]
fn a_silent_holder_is_found_by_the_stores_own_thread() -> Result<()> {
    let store = Store::in_memory()?;
    let docs = store.collection::<i64>("docs")?;
    let options = savehold::HolderOptions::new().lease(std::time::Duration::from_millis(30));
    let session = store.holder_with("mortal", options)?.acquire([docs.key("a")], Start::new())?;
    let waiting =
        store.holder("next")?.acquire([docs.key("a")], Start::new().policy(Policy::Wait).deadline(secs(300)));
    assert!(waiting?.is_live());
    assert_eq!(session.ended().wait_timeout(secs(300)), Some(Ended::Expired));
    Ok(())
}

#[test]
fn callbacks_run_on_the_stores_own_thread_and_their_panics_end_there() -> Result<()> {
    let store = Store::in_memory()?;
    let docs = store.collection::<i64>("docs")?;
    let (red, blue) = (store.holder("red")?, store.holder("blue")?);
    let (tell, told) = mpsc::channel();
    for _ in 0..3 {
        let session = red.acquire([docs.key("a")], Start::new())?;
        session.ended().on(|_| panic!("in a callback, on purpose"));
        let (tell, own) = (tell.clone(), docs.clone());
        session.ended().on(move |why| {
            let name = std::thread::current().name().map(str::to_owned);
            own.increment("b", 1).expect("a callback may write");
            tell.send((name, why)).expect("heard");
        });
        drop(blue.acquire([docs.key("a")], Start::new().policy(Policy::Steal))?);
        let (name, why) = told.recv().expect("told");
        assert_eq!((name.as_deref(), why), (Some("savehold-upkeep"), Ended::Stolen("blue".into())));
    }
    assert_eq!(docs.get("b")?.expect("written").value, 3);
    Ok(())
}

#[test]
fn the_last_handle_may_go_on_the_stores_own_thread() -> Result<()> {
    let dir = tempfile::tempdir().expect("a directory");
    let open = || loop {
        match Options::new().open(dir.path().join("store")) {
            Err(e) if e.kind() == ErrorKind::Locked => {} // it is being closed still
            opened => break opened,
        }
    };
    for _ in 0..5 {
        let store = open()?;
        let docs = store.collection::<i64>("docs")?;
        let red = store.holder("red")?;
        let session = red.acquire([docs.key("a")], Start::new())?;
        let (let_go, gone) = mpsc::channel::<()>();
        let last = store.clone();
        session.ended().on(move |_| {
            _ = gone.recv(); // until nobody else has a handle
            drop(last);
        });
        session.release()?;
        drop((store, docs, red));
        let_go.send(()).expect("the callback waits");
    }
    open()?.close()
}

#[test]
fn closing_wakes_who_waits() -> Result<()> {
    let store = Store::in_memory()?;
    let docs = store.collection::<i64>("docs")?;
    let red = store.holder("red")?;
    let session = red.acquire([docs.key("a")], Start::new())?;
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..4)
            .map(|n| {
                let (holder, key) = (store.holder(&format!("h{n}")).expect("a name"), docs.key("a"));
                scope.spawn(move || holder.acquire([key], long()))
            })
            .collect();
        while session.wanted().now().is_none() {
            std::thread::yield_now();
        }
        store.clone().close().expect("closes");
        for waiting in waiting {
            let e = waiting.join().expect("no panic").expect_err("closed");
            assert_eq!(e.kind(), ErrorKind::Closed);
        }
    });
    assert_eq!(session.ended().now(), Some(Ended::Closed));
    Ok(())
}

#[test]
fn a_session_granted_while_the_store_is_being_closed_is_over_when_it_is_closed() -> Result<()> {
    let mut granted = 0;
    for round in 0..200 {
        let store = Store::in_memory()?;
        let docs = store.collection::<i64>("docs")?;
        let red = store.holder("red")?;
        std::thread::scope(|scope| {
            let key = docs.key("a");
            let asking = scope.spawn(|| red.acquire([key], Start::new()));
            for _ in 0..round % 20 {
                std::thread::yield_now();
            }
            store.clone().close().expect("closes");
            match asking.join().expect("no panic") {
                Ok(session) => {
                    granted += 1;
                    assert_eq!(session.ended().now(), Some(Ended::Closed), "round {round}");
                }
                Err(e) => assert_eq!(e.kind(), ErrorKind::Closed, "round {round}: {e:?}"),
            }
        });
    }
    println!("{granted} of 200 were granted before");
    Ok(())
}
