//! Calls with an idempotency id are done once, whatever was done to the key since, and across a crash.

use savehold::sim::Sim;
use savehold::{Collection, ErrorKind, Once, Outcome, Result, Store, Version};

fn open(sim: &mut Sim) -> Result<(Store, Collection<i64>)> {
    let store = sim.open()?;
    let numbers = store.collection("numbers")?;
    Ok((store, numbers))
}

fn value(numbers: &Collection<i64>) -> Result<Option<i64>> {
    Ok(numbers.get("k")?.map(|entry| entry.value))
}

/// Cuts the power and opens again.
fn crash(sim: &mut Sim, was: (Store, Collection<i64>)) -> Result<(Store, Collection<i64>)> {
    sim.cut_power();
    drop(was);
    open(sim)
}

/// The version of a call that must have been done now.
#[track_caller]
fn done(once: Result<Once<Version>>) -> Version {
    match once {
        Ok(Once::Now(version)) => version,
        other => panic!("{other:?}"),
    }
}

#[test]
fn created_once_is_created_once() -> Result<()> {
    let mut sim = Sim::new(1);
    let (store, numbers) = open(&mut sim)?;
    let version = done(numbers.create_once("id", "k", &1));
    let (store, numbers) = crash(&mut sim, (store, numbers))?;
    numbers.remove("k")?;
    assert_eq!(numbers.create_once("id", "k", &2)?, Once::Before(version));
    assert_eq!(value(&numbers)?, None);
    assert_eq!(store.outcome("id")?, Outcome::Committed(version));
    Ok(())
}

#[test]
fn what_was_refused_is_not_done_and_its_id_stays_free() -> Result<()> {
    let mut sim = Sim::new(2);
    let (store, numbers) = open(&mut sim)?;
    numbers.set("k", &1)?;
    assert_eq!(numbers.create_once("id", "k", &2).unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(store.outcome("id")?, Outcome::NotCommitted);
    numbers.remove("k")?;
    done(numbers.create_once("id", "k", &3));
    assert_eq!(value(&numbers)?, Some(3));
    Ok(())
}

#[test]
fn compared_and_set_once_is_set_once() -> Result<()> {
    let mut sim = Sim::new(3);
    let (store, numbers) = open(&mut sim)?;
    let first = numbers.set("k", &1)?;
    let second = done(numbers.compare_and_set_once("id", "k", first, &2));
    let (_store, numbers) = crash(&mut sim, (store, numbers))?;
    // the caller repeats the call that he has no answer of: the version he expects stands there no more
    assert_eq!(numbers.compare_and_set_once("id", "k", first, &2)?, Once::Before(second));
    assert_eq!(
        numbers.compare_and_set_once("other", "k", first, &2).unwrap_err().kind(),
        ErrorKind::Conflict
    );
    assert_eq!(value(&numbers)?, Some(2));
    Ok(())
}

#[test]
fn removed_once_is_removed_once() -> Result<()> {
    let mut sim = Sim::new(4);
    let (store, numbers) = open(&mut sim)?;
    numbers.set("k", &1)?;
    let Once::Now(Some(stood)) = numbers.remove_once("id", "k")? else { panic!("it stood there") };
    assert_eq!(stood.value, 1);
    let (_store, numbers) = crash(&mut sim, (store, numbers))?;
    numbers.set("k", &2)?;
    assert!(matches!(numbers.remove_once("id", "k")?, Once::Before(_)));
    assert_eq!(value(&numbers)?, Some(2));
    Ok(())
}

#[test]
fn removed_once_where_nothing_stood_removes_nothing_that_comes_later() -> Result<()> {
    let mut sim = Sim::new(5);
    let (store, numbers) = open(&mut sim)?;
    assert_eq!(numbers.remove_once("id", "k")?, Once::Now(None));
    assert_eq!(numbers.versions("k")?.count(), 0);
    let (_store, numbers) = crash(&mut sim, (store, numbers))?;
    numbers.set("k", &1)?;
    assert!(matches!(numbers.remove_once("id", "k")?, Once::Before(_)));
    assert_eq!(value(&numbers)?, Some(1));
    Ok(())
}
