//! Limits, tables of them, and the three answers of a key that has no value to give: absent, deleted, damaged.

use bytes::Bytes;
use savehold::limits::{KEY_BYTES_MAX, NAME_BYTES_MAX, VALUE_BYTES_MAX};
use savehold::{Error, ErrorKind, Next, Result, Store};

fn kind<T>(answer: Result<T>) -> Option<ErrorKind> {
    answer.err().map(|e| e.kind())
}

/// The error says where: `collection/key` in front of its sentence.
#[track_caller]
fn assert_names(e: &Error, place: &str) {
    assert!(e.message().starts_with(&format!("{place}: ")), "{e:?} does not begin with {place}");
}

#[test]
fn keys_have_1_to_1024_bytes() -> Result<()> {
    let store = Store::in_memory()?;
    let raw = store.raw("raw")?;
    let cases = [
        (0, Some(ErrorKind::Invalid)),
        (1, None),
        (KEY_BYTES_MAX, None),
        (KEY_BYTES_MAX + 1, Some(ErrorKind::TooLarge)),
    ];
    for (bytes, expected) in cases {
        let (key, value) = (vec![b'k'; bytes], Bytes::from_static(b"v"));
        assert_eq!(kind(raw.set(&key, &value)), expected, "set, {bytes} bytes");
        assert_eq!(kind(raw.set_async(&key, &value).wait()), expected, "set_async, {bytes} bytes");
        assert_eq!(kind(raw.get(&key)), expected, "get, {bytes} bytes");
        assert_eq!(kind(raw.get_at(&key, store.version()).map(drop).or_else(absent)), expected, "get_at");
        assert_eq!(kind(raw.update(&key, |now| now.map(|e| e.value))), expected, "update, {bytes} bytes");
        assert_eq!(kind(raw.versions(&key)), expected, "versions, {bytes} bytes");
        assert_eq!(kind(store.batch().set(&raw, &key, &value)), expected, "batch, {bytes} bytes");
        assert_eq!(kind(store.transaction(|tx| tx.set(&raw, &key, &value))), expected, "tx, {bytes} bytes");
        assert_eq!(kind(raw.remove(&key)), expected, "remove, {bytes} bytes");
    }
    assert_eq!(raw.keys("").count(), 0);
    Ok(())
}

/// A version of another key is `Gone` for this one, which is not what the table of lengths is about.
fn absent(e: Error) -> Result<()> {
    if e.kind() == ErrorKind::Gone { Ok(()) } else { Err(e) }
}

#[test]
fn names_of_collections_have_1_to_128_bytes_of_their_own() -> Result<()> {
    let store = Store::in_memory()?;
    let cases = [
        (String::new(), Some(ErrorKind::Invalid)),
        ("n".to_owned(), None),
        ("n".repeat(NAME_BYTES_MAX), None),
        ("n".repeat(NAME_BYTES_MAX + 1), Some(ErrorKind::TooLarge)),
        ("$set".to_owned(), Some(ErrorKind::Invalid)),
    ];
    for (name, expected) in cases {
        assert_eq!(kind(store.raw(&name)), expected, "{name:?}");
        assert_eq!(kind(store.collection::<i64>(&name)), expected, "{name:?}");
        if expected.is_none() {
            store.raw(&name)?.set("k", &Bytes::new())?;
        }
    }
    assert_eq!(store.collections()?.iter().map(String::len).collect::<Vec<_>>(), [1, NAME_BYTES_MAX]);
    Ok(())
}

#[test]
fn values_have_up_to_64_mib_and_a_larger_one_writes_nothing() -> Result<()> {
    let store = Store::in_memory()?;
    let raw = store.raw("raw")?;
    let largest = Bytes::from(vec![7; VALUE_BYTES_MAX]);
    let too_large = Bytes::from(vec![7; VALUE_BYTES_MAX + 1]);
    let version = raw.set("k", &largest)?;
    let e = raw.set("k", &too_large).unwrap_err();
    assert_eq!((e.kind(), e.next()), (ErrorKind::TooLarge, Next::FixCall));
    assert_names(&e, "raw/k");
    assert_eq!(kind(store.transaction(|tx| tx.set(&raw, "k", &too_large))), Some(ErrorKind::TooLarge));
    let stands = raw.get("k")?.expect("it is as large as it may be");
    assert!(stands.version == version && stands.value == largest);
    Ok(())
}

#[test]
fn errors_about_a_key_name_collection_and_key() -> Result<()> {
    let store = Store::in_memory()?;
    let (raw, counts) = (store.raw("mixed")?, store.collection::<i64>("mixed")?);
    raw.set("text", &Bytes::from_static(b"no number"))?;
    counts.set("most", &i64::MAX)?;
    let errors = [
        ("text", ErrorKind::WrongType, counts.get("text").unwrap_err()),
        ("text", ErrorKind::WrongType, counts.scan("text").next().expect("an entry").unwrap_err()),
        ("text", ErrorKind::WrongType, counts.update("text", |_| Some(1)).unwrap_err()),
        ("text", ErrorKind::WrongType, counts.increment("text", 1).unwrap_err()),
        ("text", ErrorKind::WrongType, store.transaction(|tx| tx.get(&counts, "text")).unwrap_err()),
        ("text", ErrorKind::WrongType, store.snapshot().get(&counts, "text").unwrap_err()),
        ("most", ErrorKind::Overflow, counts.increment("most", 1).unwrap_err()),
        ("most", ErrorKind::Overflow, counts.increment_async("most", 1).wait().unwrap_err()),
        ("most", ErrorKind::Overflow, store.transaction(|tx| tx.increment(&counts, "most", 1)).unwrap_err()),
        ("most", ErrorKind::Conflict, counts.create("most", &1).unwrap_err()),
        ("most", ErrorKind::Conflict, store.transaction(|tx| tx.create(&counts, "most", &1)).unwrap_err()),
        ("most", ErrorKind::Gone, raw.get_at("most", raw.get("text")?.expect("set").version).unwrap_err()),
    ];
    for (key, kind, e) in errors {
        assert_eq!((e.kind(), e.next()), (kind, Next::FixCall), "{e:?}");
        assert_names(&e, &format!("mixed/{key}"));
    }
    Ok(())
}
