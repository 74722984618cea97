//! Faults planted in the store, each of which this suite notices.

use std::panic::{AssertUnwindSafe, catch_unwind};

use savehold::planted::{Fault, plant};
use savehold::sim::Sim;
use savehold::{ErrorKind, Result, Store, Tx};

use crate::{everything, history, random};

/// Whether random calls and crashes notice the fault.
fn model_notices(fault: Fault) -> bool {
    (0..120).any(|seed| {
        plant(Some(fault));
        let run = catch_unwind(AssertUnwindSafe(|| random::run(seed, 3)));
        plant(None);
        run.is_err()
    })
}

#[test]
fn the_model_notices_broken_stores() {
    let all = [
        Fault::AnswerEarly,
        Fault::AnswerUnseen,
        Fault::ShowUnsynced,
        Fault::ForgetId,
        Fault::LoseId,
        Fault::LoseInFlight,
        Fault::LoseRemoval,
        Fault::TearRecord,
        Fault::ForgetAttributes,
        Fault::ForgetTags,
        Fault::NameUnsynced,
        Fault::CheckpointEarly,
        Fault::ReplayLate,
    ];
    let missed: Vec<Fault> = all.into_iter().filter(|fault| !model_notices(*fault)).collect();
    assert!(missed.is_empty(), "{missed:?} went unnoticed");
}

#[test]
fn everything_at_once_notices_broken_thinning_and_packing() {
    let all = [Fault::ForgetHeld, Fault::PackNewest, Fault::LoseRemoval, Fault::ReplayLate];
    let missed: Vec<Fault> = all.into_iter().filter(|fault| !everything::notices(*fault)).collect();
    assert!(missed.is_empty(), "{missed:?} went unnoticed");
}

#[test]
fn the_checker_of_histories_notices_broken_validation() {
    for fault in [Fault::SkipReads, Fault::SkipRanges] {
        let noticed = (0..20).any(|_| !history::refused(100, Some(fault)).is_empty());
        assert!(noticed, "{fault:?} went unnoticed");
    }
}

/// Another commit comes between a transaction's reads and its own: it must run again.
fn runs_of(read: impl Fn(&Tx<'_>, &savehold::Collection<i64>) -> Result<()>, fault: Option<Fault>) -> u32 {
    let store = Store::in_memory().expect("threads");
    let counts = store.collection::<i64>("counts").expect("a name");
    counts.set("a", &1).expect("writes");
    let mut runs = 0;
    plant(fault);
    let done = store.transaction(|tx| -> Result<()> {
        runs += 1;
        read(tx, &counts)?;
        if runs == 1 {
            let other = counts.clone();
            std::thread::spawn(move || other.increment("a", 1)).join().expect("no panic")?;
        }
        tx.set(&counts, "b", &1)
    });
    plant(None);
    done.expect("commits");
    runs
}

#[test]
fn a_transaction_whose_reads_changed_runs_again_and_a_broken_one_does_not() {
    let key = |tx: &Tx<'_>, counts: &_| tx.get(counts, "a").map(drop);
    let range = |tx: &Tx<'_>, counts: &_| tx.scan(counts, "a").map(drop);
    let elsewhere = |tx: &Tx<'_>, counts: &_| tx.scan(counts, "x").map(drop);
    assert_eq!([runs_of(key, None), runs_of(range, None), runs_of(elsewhere, None)], [2, 2, 1]);
    assert_eq!(runs_of(key, Some(Fault::SkipReads)), 1);
    assert_eq!(runs_of(range, Some(Fault::SkipRanges)), 1);
}

/// A write that a full disk refuses shows nowhere.
#[test]
fn a_refused_write_is_not_shown() {
    let shows = |fault| {
        let mut sim = Sim::new(1);
        let store = sim.open().expect("opens");
        let raw = store.raw("raw").expect("a name");
        raw.set("a", &vec![0; 100].into()).expect("writes");
        sim.fill();
        let big = vec![1_u8; 300 << 10].into();
        plant(fault);
        let refused = raw.set("b", &big);
        plant(None);
        assert_eq!(refused.expect_err("no space").kind(), ErrorKind::Full);
        raw.versions("b").expect("a key").count()
    };
    assert_eq!(shows(None), 0);
    assert_ne!(shows(Some(Fault::ApplyRefused)), 0);
}
