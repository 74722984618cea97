//! Many writers on one key, calls from inside calls, panics, and tickets in whatever order.

use std::collections::HashMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{Thread, ThreadId};
use std::time::Duration;

use savehold::sim::Sim;
use savehold::{Change, Collection, ErrorKind, Result, Store};

fn counts() -> (Store, Collection<i64>) {
    let store = Store::in_memory().expect("threads");
    let counts = store.collection("counts").expect("a name");
    (store, counts)
}

#[test]
fn on_a_hot_key_nobody_starves_and_no_update_is_lost() {
    const THREADS: usize = 8;
    const EACH: i64 = 150;
    let (store, counts) = counts();
    let (others, start) = (counts.clone(), Barrier::new(THREADS));
    let ends: Vec<i64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|n| {
                let (store, counts, start) = (&store, &counts, &start);
                scope.spawn(move || {
                    let mut last = 0;
                    start.wait();
                    for _ in 0..EACH {
                        let before = last;
                        last = match n % 4 {
                            0 => counts.increment("hot", 1).expect("counts"),
                            1 => counts.increment_async("hot", 1).wait().expect("counts"),
                            2 => {
                                store
                                    .transaction(|tx| -> Result<i64> { tx.increment(counts, "hot", 1) })
                                    .expect("counts")
                                    .value
                            }
                            _ => counts
                                .update("hot", |now| Change::write(now.map_or(0, |e| e.value) + 1))
                                .expect("counts")
                                .value
                                .expect("written"),
                        };
                        assert!(last > before, "a count that another call was told already");
                    }
                    last
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let all = THREADS as i64 * EACH;
    assert_eq!(others.get("hot").expect("reads").map(|e| e.value), Some(all));
    assert_eq!(ends.iter().max(), Some(&all));
    assert!(ends.iter().all(|last| *last >= EACH), "{ends:?}");
}

/// A transaction over a range that writers keep changing is done in the end.
#[test]
fn a_transaction_over_a_busy_range_is_not_starved() {
    let (store, counts) = counts();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for n in 0..3_u64 {
            let (counts, done) = (&counts, &done);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    counts.increment(format!("k{n}"), 1).expect("counts");
                }
            });
        }
        for n in 0..20_i64 {
            let sum = store.transaction(|tx| -> Result<i64> {
                let sum = tx.scan(&counts, "k")?.iter().map(|e| e.value).sum();
                tx.set(&counts, "sum", &(sum + n))?;
                Ok(sum)
            });
            assert!(sum.expect("commits").wrote);
        }
        done.store(true, Ordering::Relaxed);
    });
}

fn assert_reentrant<T: std::fmt::Debug>(answer: Result<T>) {
    assert_eq!(answer.expect_err("from inside").kind(), ErrorKind::Reentrant);
}

fn call_everything(store: &Store, counts: &Collection<i64>) {
    assert_reentrant(counts.set("a", &1));
    assert_reentrant(counts.set_async("b", &1).wait());
    assert_reentrant(counts.create("c", &1));
    assert_reentrant(counts.compare_and_set("c", None, &1));
    assert_reentrant(counts.remove("a"));
    assert_reentrant(counts.remove_async("a").wait());
    assert_reentrant(counts.increment("a", 1));
    assert_reentrant(counts.increment_async("a", 1).wait());
    assert_reentrant(counts.increment_once("x", "a", 1));
    assert_reentrant(counts.update("a", |_| Change::keep()));
    assert_reentrant(counts.update_async("a", |_| Change::keep()).wait());
    assert_reentrant(store.transaction(|_| -> Result<()> { Ok(()) }));
    assert_reentrant(store.transaction_once("x", |_| -> Result<()> { Ok(()) }));
    assert_reentrant(store.transaction_async(|_| Ok(())).wait());
    let mut batch = store.batch();
    batch.set(counts, "a", &1).expect("nothing is written yet");
    assert_reentrant(batch.commit());
    let fresh = store.collection::<i64>("never written to").expect("a name");
    assert_reentrant(fresh.set("a", &1));
    assert_eq!(counts.get("a").expect("reads go on").map(|e| e.value), Some(0));
}

#[test]
fn calls_from_inside_a_closure_are_answered_and_change_nothing() -> Result<()> {
    let (store, counts) = counts();
    counts.set("a", &0)?;
    let (other_store, other_counts) = (store.clone(), counts.clone());
    counts.update("a", |_| {
        call_everything(&other_store, &other_counts);
        Change::keep()
    })?;
    let kept = counts.update_async("a", |_| -> Option<i64> {
        call_everything(&other_store, &other_counts);
        None
    });
    kept.wait()?;
    store.transaction(|tx| -> Result<()> {
        call_everything(&other_store, &other_counts);
        tx.set(&counts, "done", &1)
    })?;
    assert_eq!(store.collections()?, ["counts"]);
    assert_eq!(counts.keys("").map(|key| key.unwrap().to_string()).collect::<Vec<_>>(), ["a", "done"]);
    counts.set("a", &5)?; // and outside all is as before
    let elsewhere = Store::in_memory()?;
    let there = elsewhere.collection::<i64>("there")?;
    counts.update("a", |now| {
        there.set("a", &now.map_or(0, |e| e.value)).expect("another store may be written");
        Change::<i64>::keep()
    })?;
    assert_eq!(there.get("a")?.map(|e| e.value), Some(5));
    Ok(())
}

#[test]
fn a_panic_comes_back_to_its_caller_whoever_ran_the_closure() {
    const THREADS: u32 = 6;
    let (_store, counts) = counts();
    counts.set("hot", &0).expect("writes");
    let lent = AtomicU32::new(0);
    let panics: u32 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (counts, lent) = (&counts, &lent);
                scope.spawn(move || {
                    let mut panics = 0;
                    for n in 0..60 {
                        let owner = std::thread::current().id();
                        let run = || {
                            counts.update("hot", |now| {
                                note(lent, owner);
                                std::thread::yield_now();
                                assert!(n % 3 != 0, "thread {thread}, call {n}");
                                Change::write(now.map_or(0, |e| e.value) + 1)
                            })
                        };
                        match catch_unwind(AssertUnwindSafe(run)) {
                            Ok(done) => assert!(done.expect("writes").wrote),
                            Err(panic) => {
                                let text = panic.downcast_ref::<String>().expect("a message");
                                assert_eq!(*text, format!("thread {thread}, call {n}"));
                                panics += 1;
                            }
                        }
                    }
                    panics
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("every panic was caught")).sum()
    });
    assert_eq!(panics, THREADS * 20);
    assert_eq!(counts.get("hot").expect("not poisoned").map(|e| e.value), Some(i64::from(THREADS * 40)));
}

fn note(lent: &AtomicU32, owner: ThreadId) {
    if std::thread::current().id() != owner {
        lent.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn dropped_tickets_lose_the_answer_only_and_the_order_of_waiting_does_not_matter() -> Result<()> {
    let (store, counts) = counts();
    for n in 0..50 {
        drop(counts.set_async(n as u64, &n));
    }
    let tickets: Vec<_> = (0..50).map(|n| counts.increment_async("sum", n)).collect();
    let sums: Vec<i64> = tickets.into_iter().rev().map(|ticket| ticket.wait().expect("durable")).collect();
    assert!(sums.is_sorted_by(|a, b| a >= b), "{sums:?}");
    assert_eq!((counts.keys("").count(), sums[0]), (51, 49 * 25));
    let mut ticket = counts.set_async("late", &1);
    let version = loop {
        match ticket.wait_timeout(Duration::from_millis(50)) {
            Ok(answer) => break answer?,
            Err(again) => ticket = again,
        }
    };
    assert_eq!(counts.get("late")?.map(|e| e.version), Some(version));
    store.close()
}

/// The smallest executor: polls, and sleeps until it is woken.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[test]
fn tickets_are_futures_on_any_executor() -> Result<()> {
    let (store, counts) = counts();
    block_on(async {
        let first = counts.set_async("a", &1);
        let second = counts.update_async("a", |now| now.map(|e| e.value + 1));
        let moved = store.transaction_async(|tx| tx.increment(&counts, "a", 40));
        let version = moved.await?.version; // out of order
        assert!(first.await? < second.await?);
        assert_eq!(counts.get("a")?.map(|e| (e.value, e.version)), Some((42, version)));
        let refused = counts.increment_async("a", i64::MAX).await;
        assert_eq!(refused.expect_err("too large").kind(), ErrorKind::Overflow);
        Ok(())
    })
}

/// A machine without threads: whoever polls or waits does the writing.
#[test]
fn tickets_resolve_on_a_simulated_machine_too() -> Result<()> {
    let mut sim = Sim::new(1);
    let store = sim.open()?;
    let counts = store.collection::<i64>("counts")?;
    let version = block_on(counts.set_async("a", &1))?;
    assert_eq!(counts.get("a")?.map(|e| e.version), Some(version));
    let waited = counts.set_async("b", &1).wait_timeout(Duration::from_secs(1));
    assert!(waited.expect("whoever waits writes").is_ok());
    Ok(())
}

#[test]
fn a_closed_store_refuses_its_other_handles_and_keeps_what_tickets_promised() -> Result<()> {
    let mut sim = Sim::new(1);
    let store = sim.open()?;
    let counts = store.collection::<i64>("counts")?;
    let pending: HashMap<u64, _> = (0..9).map(|n| (n, counts.set_async(n, &1))).collect();
    assert_eq!(sim.open().expect_err("one at a time").kind(), ErrorKind::Locked);
    store.clone().close()?;
    assert_eq!(counts.set("late", &1).expect_err("closed").kind(), ErrorKind::Closed);
    assert!(pending.into_values().all(|ticket| ticket.wait().is_ok()));
    assert_eq!(sim.open()?.collection::<i64>("counts")?.keys("").count(), 9);
    Ok(())
}
