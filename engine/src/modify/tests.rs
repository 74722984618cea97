use super::*;
use crate::change::Change;
use crate::collection::Collection;
use crate::store::Store;

const NOTES: &[u8] = b"migrations: 1";

/// What stands beside the value of the key `k`.
fn schema(numbers: &Collection<i64>) -> Bytes {
    let stored = numbers.table.get(&"k".into(), numbers.table.core.sequenced()).unwrap();
    stored.expect("it has a value").entry.head.schema
}

/// Writes a number with notes on its shape.
fn put(numbers: &Collection<i64>, number: i64, schema: Option<&'static [u8]>) {
    let core = &numbers.table.core;
    let key = Key::new("k").unwrap();
    let call = Call {
        table: &numbers.table,
        key,
        id: None,
        how: core.how(),
        sight: Sight::Needed,
        right: Right::default(),
    };
    let wanted = Wanted { schema: schema.map(Bytes::from_static), ..numbers.form.wanted(&number).unwrap() };
    core.modify(&call, &mut |_| Ok(Decision::Put(wanted.clone()))).unwrap();
}

#[test]
fn notes_on_the_shape_stay_through_every_write_that_does_not_mention_them() {
    let store = Store::in_memory().unwrap();
    let numbers = store.collection::<i64>("numbers").unwrap();
    let writes: [(&str, &dyn Fn()); 8] = [
        ("set", &|| drop(numbers.set("k", &2))),
        ("set_async", &|| drop(numbers.set_async("k", &3).wait())),
        ("set_once", &|| drop(numbers.set_once("id", "k", &4))),
        ("update", &|| drop(numbers.update("k", |now| now.map(|e| e.value + 1)))),
        ("update with ids", &|| drop(numbers.update("k", |_| Change::write(6).user_ids([42])))),
        ("increment", &|| drop(numbers.increment("k", 1))),
        ("batch", &|| drop(store.batch().set(&numbers, "k", &8).map(|_| ()))),
        ("transaction", &|| drop(store.transaction(|tx| tx.set(&numbers, "k", &9)))),
    ];
    put(&numbers, 1, Some(NOTES));
    for (what, write) in writes {
        write();
        assert_eq!(schema(&numbers), NOTES, "{what}");
    }
    assert_eq!(numbers.get("k").unwrap().unwrap().value, 9);
}

#[test]
fn notes_on_the_shape_are_replaced_taken_away_and_go_with_the_key() {
    let store = Store::in_memory().unwrap();
    let numbers = store.collection::<i64>("numbers").unwrap();
    put(&numbers, 1, Some(NOTES));
    put(&numbers, 2, Some(b"migrations: 2"));
    assert_eq!(schema(&numbers), b"migrations: 2"[..]);
    put(&numbers, 3, Some(b""));
    assert_eq!(schema(&numbers), b""[..]);
    put(&numbers, 4, Some(NOTES));
    numbers.remove("k").unwrap();
    numbers.set("k", &5).unwrap();
    assert_eq!(schema(&numbers), b""[..], "a new value is not the old one");
}
