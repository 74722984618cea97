//! Cases that failed once, by name.

use bytes::Bytes;
use savehold::{Change, Doubt, ErrorKind, Options, Outcome, Result, Store};

#[test]
fn removing_what_was_removed_writes_nothing_in_batches_and_transactions() -> Result<()> {
    let store = Store::in_memory()?;
    let raw = store.raw("raw")?;
    raw.set("a", &Bytes::from_static(b"1"))?;
    raw.remove("a")?;
    let mut batch = store.batch();
    batch.remove(&raw, "a")?.remove(&raw, "b")?;
    assert_eq!(batch.commit()?, None);
    let done = store.transaction(|tx| -> Result<bool> {
        tx.set(&raw, "a", &Bytes::from_static(b"2"))?;
        tx.remove(&raw, "a")
    })?;
    assert!(done.value && !done.wrote, "it takes back what it wrote itself");
    assert_eq!(raw.versions("a")?.count(), 2);
    Ok(())
}

/// Numbers of collections are a store's own: one store's `houses` may be another's `purses`.
#[test]
fn a_transaction_refuses_collections_of_another_store() -> Result<()> {
    let (one, other) = (Store::in_memory()?, Store::in_memory()?);
    let (here, there) = (one.collection::<i64>("here")?, other.collection::<i64>("there")?);
    here.set("a", &1)?;
    there.set("a", &2)?;
    let refused = |result: Result<()>| assert_eq!(result.unwrap_err().kind(), ErrorKind::Invalid);
    let done = one.transaction(|tx| -> Result<()> {
        refused(tx.get(&there, "a").map(drop));
        refused(tx.set(&there, "a", &3));
        refused(tx.create(&there, "b", &3));
        refused(tx.remove(&there, "a").map(drop));
        refused(tx.increment(&there, "a", 3).map(drop));
        refused(tx.scan(&there, "").map(drop));
        Ok(())
    })?;
    assert!(!done.wrote);
    let mut batch = one.batch();
    refused(batch.set(&there, "a", &3).map(drop));
    refused(batch.remove(&there, "a").map(drop));
    assert_eq!(batch.commit()?, None);
    refused(one.snapshot().get(&there, "a").map(drop));
    assert!(one.snapshot().keys(&there, "").all(|key| key.is_err_and(|e| e.kind() == ErrorKind::Invalid)));
    assert_eq!(one.snapshot().keys(&there, "").count(), 1, "the refusal, and no more");
    assert_eq!(one.snapshot().scan(&there, "").count(), 1, "the refusal, and no more");
    assert_eq!((here.get("a")?.map(|e| e.value), there.get("a")?.map(|e| e.value)), (Some(1), Some(2)));
    Ok(())
}

#[test]
fn a_collection_comes_to_be_with_its_first_write_and_not_before() -> Result<()> {
    let store = Store::in_memory()?;
    let purse = store.collection::<i64>("purse")?;
    assert_eq!(purse.get("a")?, None);
    assert_eq!(purse.remove("a")?, None);
    purse.remove_async("a").wait()?;
    assert!(!purse.update("a", |_| Change::keep())?.wrote);
    assert!(purse.update_async("a", |_| Change::keep()).wait().is_ok());
    assert_eq!(purse.compare_and_set("a", store.version(), &1).unwrap_err().kind(), ErrorKind::Conflict);
    assert!(!store.transaction(|tx| tx.remove(&purse, "a"))?.value);
    store.batch().remove(&purse, "a")?;
    assert_eq!(store.collections()?, Vec::<String>::new());
    purse.set("a", &1)?;
    assert_eq!(store.collections()?, ["purse"]);
    Ok(())
}

#[test]
fn the_outcome_of_a_version_that_cannot_be_read_is_not_called_not_committed() -> Result<()> {
    let mut sim = savehold::sim::Sim::new(3);
    let store = sim.open()?;
    let raw = store.raw("raw")?;
    raw.set("a", &Bytes::from_static(b"1"))?;
    let version = raw.set("b", &Bytes::from_static(b"2"))?;
    raw.set("c", &Bytes::from_static(b"3"))?;
    let disk = sim.disk();
    let place = savehold_wal::Lsn::from(version).raw() & 0xFFFF_FFFF_FFFF;
    let path = disk.files().into_iter().map(|(path, _)| path).find(|path| path.ends_with(".seg"));
    let path = std::path::PathBuf::from(path.expect("a segment"));
    let text = disk.read(&path).expect("a file");
    let key = text.windows(2).enumerate().filter(|(_, w)| *w == b"\x01b").map(|(at, _)| at as u64);
    let key = key.into_iter().find(|at| at + 200 > place).expect("the head names its key");
    disk.flip_bit(&path, key + 1, 0).expect("a byte of it");
    let outcome = store.outcome(Doubt::Version(version));
    assert!(!matches!(outcome, Ok(Outcome::NotCommitted)), "{outcome:?}");
    Ok(())
}

#[test]
fn ids_have_limits_that_are_checked_before_anything_runs() -> Result<()> {
    let store = Options::new().open_in(savehold_wal::sim::memory(), std::path::Path::new("/m"))?;
    let purse = store.collection::<i64>("purse")?;
    purse.set("a", &1)?;
    for (bytes, kind) in
        [(0, Some(ErrorKind::Invalid)), (1, None), (64, None), (65, Some(ErrorKind::TooLarge))]
    {
        let id = vec![b'x'; bytes];
        let mut ran = false;
        let once = purse.update_once(&id, "a", |now| {
            ran = true;
            now.map(|e| e.value + 1)
        });
        assert_eq!((once.as_ref().err().map(|e| e.kind()), ran), (kind, kind.is_none()), "{bytes} bytes");
        let mut ran = false;
        let again = store.transaction_once(&id, |tx| -> Result<()> {
            ran = true;
            tx.set(&purse, "a", &9)
        });
        assert_eq!(again.as_ref().err().map(|e| e.kind()), kind, "{bytes} bytes");
        assert!(!ran, "refused, or done before");
    }
    Ok(())
}
