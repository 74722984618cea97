//! A disk that is full: when a store is recovered, and when something is to be freed.

use std::time::Duration;

use bytes::Bytes;
use savehold::sim::Sim;
use savehold::{
    At, Change, Collection, ErrorKind, Map, Moments, Next, Options, Outcome, Result, Retention, Store, Value,
};

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

/// Writes until the disk has no more space for it.
fn write_until_full(coins: &Collection<i64>) {
    let full = (0..).find_map(|n| coins.set(format!("key {n}"), &n).err()).expect("it is full some time");
    assert_eq!(full.kind(), ErrorKind::Full, "{full}");
}

#[test]
fn on_a_full_disk_settings_that_give_history_up_are_made() -> Result<()> {
    let mut sim = Sim::new(8);
    let store = sim.open()?;
    let coins = store.collection::<i64>("coins")?;
    coins.set("anna", &1)?;
    store.pin("before")?;
    sim.fill();
    write_until_full(&coins);
    store.set_retention("coins", Retention::NewestOnly)?;
    store.set_moments(Moments::NONE)?;
    store.set_outcomes_kept(Duration::ZERO)?;
    assert!(store.unpin("before")?);
    for refused in [store.set_retention("new", Retention::NewestOnly), store.pin("after").map(drop)] {
        assert_eq!(refused.expect_err("what takes space is none of them").kind(), ErrorKind::Full);
    }
    assert_eq!(store.retention("coins")?, Retention::NewestOnly);
    store.close()
}

#[test]
fn on_a_full_disk_a_new_build_may_remove_as_the_one_before_did() -> Result<()> {
    let mut sim = Sim::new(9);
    let store = sim.open_with(Options::new().origin("build 1"))?;
    let coins = store.collection::<i64>("coins")?;
    coins.set("anna", &1)?;
    store.pin("before")?;
    sim.fill();
    write_until_full(&coins);
    let disk = sim.disk();
    disk.set_capacity(Some(disk.used() + (32 << 10))); // to close and to open, and for no segment
    store.close()?;
    let store = sim.open_with(Options::new().origin("build 2"))?;
    assert!(store.recovery().clean && store.read_only().is_none());
    let coins = store.collection::<i64>("coins")?;
    store.set_retention("new", Retention::NewestOnly)?; // a name is the last that has space of its own
    assert_eq!(coins.set("anna", &2).expect_err("the disk is full").kind(), ErrorKind::Full);
    coins.remove("anna")?;
    assert!(store.unpin("before")?);
    let gone = coins.versions("anna")?.next().expect("the removal")?;
    assert_eq!(gone.origin.as_deref(), Some("build 2"));
    store.close()
}

#[test]
fn on_a_full_disk_a_profile_may_be_wiped() -> Result<()> {
    let mut sim = Sim::new(10);
    let store = sim.open()?;
    let players = store.profiles_with::<Value>("players", Map::from([("coins", 0)]).into()).open()?;
    players.start("42")?.release()?;
    sim.fill();
    write_until_full(&store.collection("coins")?);
    assert!(players.wipe("42")?);
    assert_eq!(players.view("42", At::Now)?, None);
    store.close()
}
