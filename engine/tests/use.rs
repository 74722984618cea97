//! The store as a user meets it, on the real disk and in memory.

use std::collections::BTreeMap;

use savehold::{
    At, Change, Create, Doubt, Error, ErrorKind, Once, Options, Outcome, Range, Result, Store, Value,
};

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

#[test]
fn values_counters_and_listings_come_back_after_reopening() -> Result<()> {
    let dir = dir();
    let store = Store::open(dir.path().join("data"))?;
    let houses = store.collection::<BTreeMap<String, u64>>("houses")?;
    let price = |n: u64| BTreeMap::from([("price".to_owned(), n)]);
    assert_eq!(houses.get("oak-1")?, None);
    let first = houses.set("oak-1", &price(500))?;
    houses.set("oak-2", &price(600))?;
    houses.set("elm-1", &price(700))?;
    let sold = houses.update("oak-1", |now| {
        let mut value = now.expect("just set").value;
        value.insert("owner".into(), 42);
        Change::write(value).user_ids([42])
    })?;
    assert!(sold.wrote && sold.version > first);
    let kept = houses.update("oak-1", |_| Change::keep())?;
    assert!(!kept.wrote && kept.version == sold.version);
    assert_eq!(store.collection::<i64>("visits")?.increment("oak-1", 2)?, 2);
    assert_eq!(store.collection::<i64>("visits")?.increment("oak-1", -3)?, -1);
    store.close()?;

    let store = Store::open(dir.path().join("data"))?;
    let houses = store.collection::<BTreeMap<String, u64>>("houses")?;
    let oak = houses.get("oak-1")?.expect("it was sold");
    assert_eq!((oak.value["owner"], oak.version), (42, sold.version));
    assert_eq!(oak.attributes.user_ids().len(), 1);
    let keys: Vec<String> = houses.keys("oak-").map(|k| k.unwrap().to_string()).collect();
    assert_eq!(keys, ["oak-1", "oak-2"]);
    let backwards: Vec<u64> =
        houses.scan(Range::all().reverse()).map(|e| e.unwrap().value["price"]).collect();
    assert_eq!(backwards, [600, 500, 700]);
    assert_eq!(houses.get_at("oak-1", At::Version(first))?.expect("kept").value, price(500));
    let versions: Vec<_> = houses.versions("oak-1")?.map(|v| v.unwrap().version).collect();
    assert_eq!(versions, [sold.version, first]);
    assert_eq!(store.collections()?, ["houses", "visits"]);
    let removed = houses.remove("oak-1")?.expect("it stood there");
    assert_eq!(removed.value["owner"], 42);
    assert_eq!(houses.get("oak-1")?, None);
    assert_eq!(houses.versions("oak-1")?.count(), 3);
    Ok(())
}

#[test]
fn many_threads_on_one_key_lose_no_update() -> Result<()> {
    let store = Store::in_memory()?;
    let visits = store.collection::<i64>("visits")?;
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..200 {
                    visits.update("hot", |now| Change::write(now.map_or(0, |e| e.value) + 1)).unwrap();
                }
            });
        }
    });
    assert_eq!(visits.get("hot")?.expect("written").value, 3200);
    assert_eq!(visits.versions("hot")?.count(), 3200);
    Ok(())
}

#[test]
fn transactions_move_money_and_conserve_it() -> Result<()> {
    let store = Store::in_memory()?;
    let purse = store.collection::<i64>("purse")?;
    for n in 0..8_u64 {
        purse.set(n, &100)?;
    }
    std::thread::scope(|scope| {
        for t in 0..8_u64 {
            let (store, purse) = (&store, &purse);
            scope.spawn(move || {
                for n in 0..100_u64 {
                    let (from, to) = ((t + n) % 8, (t + n * 3 + 1) % 8);
                    let moved = store.transaction(|tx| -> Result<bool> {
                        let have = tx.get(purse, from)?.expect("set").value;
                        if have < 7 || from == to {
                            return Ok(false);
                        }
                        tx.increment(purse, from, -7)?;
                        tx.increment(purse, to, 7)?;
                        Ok(true)
                    });
                    moved.unwrap();
                }
            });
        }
        for _ in 0..50 {
            let sum: i64 = store
                .transaction(|tx| -> Result<i64> { Ok(tx.scan(&purse, "")?.iter().map(|e| e.value).sum()) })
                .unwrap()
                .value;
            assert_eq!(sum, 800);
            let snapshot = store.snapshot();
            let sum: i64 = snapshot.scan(&purse, "").map(|e| e.unwrap().value).sum();
            assert_eq!(sum, 800);
        }
    });
    Ok(())
}

#[test]
fn an_id_is_done_once_and_its_outcome_is_known_after_reopening() -> Result<()> {
    let dir = dir();
    let root = dir.path().join("data");
    let store = Store::open(&root)?;
    let coins = store.collection::<i64>("coins")?;
    let Once::Now(sum) = coins.increment_once("receipt-1", "42", 100)? else { panic!("done now") };
    assert_eq!(sum, 100);
    assert!(matches!(coins.increment_once("receipt-1", "42", 100)?, Once::Before(_)));
    drop((store, coins));
    let store = Store::open(&root)?;
    let coins = store.collection::<i64>("coins")?;
    let Once::Before(version) = coins.increment_once("receipt-1", "42", 100)? else { panic!("done before") };
    assert_eq!(coins.get("42")?.expect("granted").value, 100);
    assert_eq!(store.outcome("receipt-1")?, Outcome::Committed(version));
    assert_eq!(store.outcome("receipt-2")?, Outcome::NotCommitted);
    assert_eq!(store.outcome(Doubt::Version(version))?, Outcome::Committed(version));
    Ok(())
}

#[test]
fn errors_of_closures_and_panics_change_nothing() -> Result<()> {
    let store = Store::in_memory()?;
    let purse = store.collection::<i64>("purse")?;
    purse.set("a", &1)?;
    let failed: Result<_, Error> = store.transaction(|tx| -> Result<()> {
        tx.set(&purse, "a", &2)?;
        Err(Error::new(ErrorKind::Refused, "no"))
    });
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Refused);
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = purse.update("a", |_| -> Change<i64> { panic!("in the closure") });
    }));
    assert!(caught.is_err());
    assert_eq!(purse.get("a")?.expect("set").value, 1);
    let inner = purse.update("a", |now| {
        assert_eq!(purse.set("a", &9).unwrap_err().kind(), ErrorKind::Reentrant);
        now.map(|e| e.value + 1)
    })?;
    assert_eq!(inner.value, Some(2));
    Ok(())
}

#[test]
fn expectations_that_do_not_hold_are_conflicts_and_name_what_stands() -> Result<()> {
    let store = Store::in_memory()?;
    let purse = store.collection::<i64>("purse")?;
    let one = purse.create("a", &1)?;
    let e = purse.create("a", &2).unwrap_err();
    assert_eq!((e.kind(), e.version()), (ErrorKind::Conflict, Some(one)));
    let two = purse.compare_and_set("a", one, &2)?;
    assert_eq!(purse.compare_and_set("a", one, &3).unwrap_err().version(), Some(two));
    assert_eq!(purse.compare_and_set_async("a", one, &3).wait().unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(purse.create_async("a", &3).wait().unwrap_err().version(), Some(two));
    assert!(purse.create_async("b", &3).wait()? > two);
    assert_eq!(purse.get("a")?.expect("set").value, 2);
    Ok(())
}

#[test]
fn batches_pages_and_raw_bytes() -> Result<()> {
    let store = Store::in_memory()?;
    let raw = store.raw("blobs")?;
    let mut batch = store.batch();
    for n in 0..25_u64 {
        batch.set(&raw, format!("k{n:02}"), &vec![n as u8; 3].into())?;
    }
    let version = batch.commit()?.expect("it wrote");
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = raw.page("k", cursor.as_ref(), 10)?;
        assert!(!page.entries.is_empty());
        seen.extend(page.entries.iter().map(|e| (e.key.to_string(), e.version)));
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 25);
    assert!(seen.iter().all(|(_, v)| *v == version));
    assert_eq!(store.collection::<Value>("blobs")?.get("k01").unwrap_err().kind(), ErrorKind::WrongType);
    Ok(())
}

#[test]
fn async_calls_take_their_place_in_the_order_of_the_calls() -> Result<()> {
    let store = Store::in_memory()?;
    let purse = store.collection::<i64>("purse")?;
    let tickets: Vec<_> = (0..100).map(|n| purse.set_async("a", &n)).collect();
    let versions: Vec<_> = tickets.into_iter().map(|t| t.wait().unwrap()).collect();
    assert!(versions.is_sorted());
    assert_eq!(purse.get("a")?.expect("set").value, 99);
    let gone = purse.update_async("a", |_| Change::remove());
    gone.wait()?;
    assert_eq!(purse.get("a")?, None);
    Ok(())
}

#[test]
#[expect(clippy::disallowed_methods, reason = "two commits must differ in time")]
fn times_find_their_versions() -> Result<()> {
    let dir = dir();
    let store = Options::new().origin("build 812, eu-1").open(dir.path().join("data"))?;
    let purse = store.collection::<i64>("purse")?;
    let one = purse.set("a", &1)?;
    let between = store.time_us();
    std::thread::sleep(std::time::Duration::from_millis(3));
    let two = purse.set("a", &2)?;
    assert_eq!(purse.get_at("a", At::Time(between))?.expect("then").value, 1);
    assert_eq!(purse.get_at("a", At::Now)?.expect("now").value, 2);
    assert_eq!(purse.get_at("a", At::Time(0))?, None);
    let infos: Vec<_> = purse.versions("a")?.collect::<Result<_>>()?;
    assert_eq!([infos[0].version, infos[1].version], [two, one]);
    assert!(infos[0].time_us > infos[1].time_us);
    assert_eq!(infos[0].origin.as_deref(), Some("build 812, eu-1"));
    Ok(())
}

#[test]
fn production_never_makes_a_store() {
    let dir = dir();
    let e = Options::new().create(Create::Never).open(dir.path().join("data")).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Missing);
}

#[test]
fn tools_see_values_of_every_kind_and_raw_bytes_stay_raw() -> Result<()> {
    let store = Store::in_memory()?;
    store.raw("files")?.set("logo", &bytes::Bytes::from_static(b"\x00\xff"))?;
    store.collection::<u64>("visits")?.set("oak-1", &7)?;
    let files = store.any("files")?;
    let logo = files.get("logo")?.expect("written").value;
    assert_eq!(logo, Value::Bytes(vec![0, 255]));
    assert_eq!(store.any("visits")?.get("oak-1")?.expect("written").value, Value::I64(7));
    files.set("copy", &logo)?;
    assert_eq!(&store.raw("files")?.get("copy")?.expect("written").value[..], b"\x00\xff");
    Ok(())
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test damages a file of the store")]
fn a_damaged_value_closes_one_version_and_can_be_written_over() -> Result<()> {
    let dir = dir();
    let root = dir.path().join("data");
    let store = Store::open(&root)?;
    let texts = store.collection::<String>("texts")?;
    let older = texts.set("a", &"the older value".to_owned())?;
    let version = texts.set("a", &"the damaged value".to_owned())?;
    texts.set("b", &"another".to_owned())?;
    for key in ["c", "d"] {
        texts.set(key, &"the damaged value".to_owned())?;
    }
    store.close()?;
    for file in std::fs::read_dir(root.join("log")).unwrap() {
        let path = file.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        let places: Vec<usize> = bytes
            .windows(17)
            .enumerate()
            .filter(|(_, w)| w == b"the damaged value")
            .map(|(at, _)| at)
            .collect();
        places.into_iter().for_each(|at| bytes[at + 5] ^= 1);
        std::fs::write(&path, bytes).unwrap();
    }
    let store = Store::open(&root)?;
    let texts = store.collection::<String>("texts")?;
    let e = texts.get("a").unwrap_err();
    assert_eq!((e.kind(), e.version(), e.older()), (ErrorKind::Damaged, Some(version), Some(older)));
    assert!(
        e.message().contains("texts/a") && e.message().contains(".seg") && e.message().contains("offset"),
        "{e}"
    );
    assert_eq!(texts.get("b")?.expect("whole").value, "another");
    assert_eq!(texts.get_at("a", At::Version(older))?.expect("whole").value, "the older value");
    assert_eq!(texts.update("a", |_| Some("new".to_owned())).unwrap_err().kind(), ErrorKind::Damaged);
    texts.set("a", &"new".to_owned())?;
    assert_eq!(texts.get("a")?.expect("written over").value, "new");
    assert_eq!(texts.remove("c")?, None);
    assert_eq!(texts.get("c")?, None);
    store.transaction(|tx| -> Result<()> { tx.remove(&texts, "d").map(drop) })?;
    assert_eq!(texts.get("d")?, None);
    Ok(())
}
