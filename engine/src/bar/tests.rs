use std::sync::atomic::AtomicU32;

use super::*;
use crate::error::{Error, ErrorKind, Result};
use crate::store::Store;

const ONE: CollectionId = CollectionId(16);
const TWO: CollectionId = CollectionId(17);

/// Waits until so many writers wait at the bar, or `other` is so.
fn until(bar: &Bar, waiting: usize, other: impl Fn() -> bool) {
    while bar.waiting() < waiting && !other() {
        std::thread::yield_now();
    }
}

#[test]
fn nobody_waits_where_nobody_has_the_bar() {
    let bar = Bar::default();
    bar.pass([ONE].into_iter());
    drop(bar.raise([ONE]));
    bar.pass([ONE].into_iter());
}

#[test]
fn the_holder_and_writers_of_other_collections_pass() {
    let bar = Bar::default();
    let raised = bar.raise([ONE]);
    bar.pass([ONE, TWO].into_iter());
    std::thread::scope(|scope| scope.spawn(|| bar.pass([TWO].into_iter())).join().unwrap());
    drop(raised);
}

#[test]
fn a_writer_waits_until_the_holder_is_through() {
    let (bar, through, passed) = (Bar::default(), AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        let raised = bar.raise([ONE]);
        raised.extend([TWO]);
        for collection in [ONE, TWO] {
            let (bar, through, passed) = (&bar, &through, &passed);
            scope.spawn(move || {
                bar.pass([collection].into_iter());
                assert!(through.load(Ordering::SeqCst));
                passed.fetch_add(1, Ordering::SeqCst);
            });
        }
        until(&bar, 2, || passed.load(Ordering::SeqCst) > 0);
        through.store(true, Ordering::SeqCst);
        drop(raised);
    });
    assert_eq!(passed.into_inner(), 2);
}

#[test]
fn a_writer_waits_for_one_holder_and_not_for_those_behind_it() {
    let (bar, passed) = (Bar::default(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let first = bar.raise([ONE]);
        scope.spawn(|| {
            bar.pass([ONE].into_iter());
            passed.store(true, Ordering::SeqCst);
        });
        until(&bar, 1, || false);
        scope.spawn(|| {
            let second = bar.raise([ONE]);
            while !passed.load(Ordering::SeqCst) {
                std::thread::yield_now(); // the bar is down again only after the writer is past
            }
            drop(second);
        });
        while bar.state.lock().asked < 2 {
            std::thread::yield_now();
        }
        drop(first);
    });
    assert!(passed.into_inner());
}

#[test]
fn a_scan_that_writers_break_again_and_again_gets_through() {
    let store = Store::in_memory().unwrap();
    let (numbers, sums) =
        (store.collection::<i64>("numbers").unwrap(), store.collection::<i64>("sums").unwrap());
    let (runs, wrote) = (AtomicU32::new(0), AtomicU32::new(0));
    let done = std::thread::scope(|scope| {
        store.transaction(|tx| -> Result<i64> {
            let run = runs.fetch_add(1, Ordering::SeqCst) + 1;
            if run > 50 {
                return Err(Error::new(ErrorKind::Refused, "it never gets through"));
            }
            let sum = tx.scan(&numbers, "")?.iter().map(|entry| entry.value).sum();
            // in each run a writer comes before the commit: it writes, or it waits at the bar
            let (numbers, wrote, before) = (&numbers, &wrote, wrote.load(Ordering::SeqCst));
            scope.spawn(move || {
                numbers.set(format!("k{run}"), &1).unwrap();
                wrote.fetch_add(1, Ordering::SeqCst);
            });
            until(&store.core.bar, 1, || wrote.load(Ordering::SeqCst) > before);
            tx.set(&sums, "all", &sum).map(|()| sum)
        })
    });
    let runs = runs.into_inner();
    assert_eq!(done.unwrap().value, i64::from(runs) - 1, "it saw all writers but the last, who waited");
    assert_eq!(numbers.scan("").count(), runs as usize, "and who then wrote");
    assert_eq!(runs, crate::txn::RANGE_CONFLICTS_MAX + 1);
}

#[test]
fn scans_of_what_others_write_and_writes_to_what_others_scan_all_get_through() {
    let store = Store::in_memory().unwrap();
    let [one, two] = ["one", "two"].map(|name| store.collection::<i64>(name).unwrap());
    std::thread::scope(|scope| {
        for thread in 0..4_i64 {
            let (store, one, two) = (&store, &one, &two);
            scope.spawn(move || {
                let (read, write) = if thread % 2 == 0 { (one, two) } else { (two, one) };
                for n in 0..20 {
                    store
                        .transaction(|tx| -> Result<()> {
                            let sum: i64 = tx.scan(read, "")?.iter().map(|entry| entry.value).sum();
                            tx.increment(read, "seen", 1)?;
                            tx.set(write, format!("{thread}-{}", n % 3), &(sum % 7))
                        })
                        .unwrap();
                    write.increment("hot", 1).unwrap();
                }
            });
        }
    });
    let total = |key: &str| [&one, &two].map(|of| of.get(key).unwrap().unwrap().value).iter().sum::<i64>();
    assert_eq!((total("seen"), total("hot")), (80, 80));
}
