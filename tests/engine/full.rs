//! A disk that is full when a store is recovered.

use bytes::Bytes;
use savehold::sim::Sim;
use savehold::{Change, ErrorKind, Next, Outcome, Result, Store};

/// A store that was killed with commits that nothing proves yet, on a disk without space.
fn killed_on_a_full_disk() -> Sim {
    let mut sim = Sim::new(7);
    let store = sim.open().expect("opens");
    let coins = store.collection::<i64>("coins").expect("a name");
    coins.set("anna", &1).expect("writes");
    coins.increment_once("receipt", "anna", 41).expect("writes");
    coins.set("bert", &5).expect("writes");
    coins.remove("bert").expect("writes");
    sim.kill();
    sim.fill();
    sim
}

#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T>) {
    let e = answer.expect_err("the disk is full");
    assert_eq!((e.kind(), e.next()), (ErrorKind::ReadOnly, Next::Reopen));
    assert!(e.message().contains("bytes of disk") && e.message().contains("open again"), "{e}");
}

fn shows_everything(store: &Store) -> Result<()> {
    let coins = store.collection::<i64>("coins")?;
    assert_eq!(coins.get("anna")?.map(|e| e.value), Some(42));
    assert_eq!(coins.get("bert")?, None);
    assert_eq!(coins.keys("").count(), 1);
    let versions: Vec<_> = coins.versions("bert")?.collect::<Result<_>>()?;
    assert_eq!(versions.len(), 2);
    assert_eq!(coins.get_at("bert", versions[1].version)?.map(|e| e.value), Some(5));
    assert!(matches!(store.outcome("receipt")?, Outcome::Committed(_)));
    assert_eq!(store.snapshot().scan(&coins, "").count(), 1);
    Ok(())
}

#[test]
fn a_store_that_finds_no_space_to_recover_is_open_to_read_only() -> Result<()> {
    let mut sim = killed_on_a_full_disk();
    let store = sim.open()?;
    assert!(store.recovery().lacking_bytes > 0);
    assert!(store.recovery().to_string().contains("read only"), "{}", store.recovery());
    shows_everything(&store)?;
    let coins = store.collection::<i64>("coins")?;
    refused(coins.set("anna", &0));
    refused(coins.remove("anna"));
    refused(coins.increment("anna", 1));
    refused(coins.update("anna", |_| Change::write(0)));
    refused(coins.set_async("anna", &0).wait());
    refused(store.raw("new")?.set("key", &Bytes::from_static(b"value")));
    refused(store.transaction(|tx| -> Result<()> { tx.set(&coins, "anna", &0) }));
    let mut batch = store.batch();
    batch.set(&coins, "anna", &0)?;
    refused(batch.commit());
    assert_eq!(coins.update("anna", |_| Change::keep())?.value, Some(42), "who writes nothing is answered");
    shows_everything(&store)?;
    store.close()
}

#[test]
fn with_the_space_that_it_asked_for_a_store_recovers_and_takes_writes() -> Result<()> {
    let mut sim = killed_on_a_full_disk();
    let store = sim.open()?;
    let lacking = store.recovery().lacking_bytes;
    store.close()?;
    let disk = sim.disk();
    disk.set_capacity(Some(disk.used() + lacking));
    let store = sim.open()?;
    assert!(store.read_only().is_none());
    assert_eq!(store.recovery().lacking_bytes, 0);
    shows_everything(&store)?;
    sim.free(); // what recovery needs is not what the next segment needs
    store.collection::<i64>("coins")?.increment("anna", 1)?;
    store.close()
}
