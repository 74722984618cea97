use savehold::Store;

use super::*;

fn parse(text: &str) -> Line {
    Line::parse(text.as_bytes()).unwrap_or_else(|e| panic!("{text}: {e}")).expect("not blank")
}

/// What a store holds after a line was written to it.
fn stored(line: &Line) -> Entry<Value> {
    let store = Store::in_memory().expect("a store");
    let documents = store.any(line.key.collection.as_str()).expect("a collection");
    let mut change = savehold::Change::write(line.value.clone());
    if let Some(ids) = &line.user_ids {
        change = change.user_ids(ids.iter().cloned());
    }
    if let Some(notes) = &line.metadata {
        change = change.meta(notes.iter().cloned());
    }
    if let Some(schema) = &line.schema {
        change = change.schema(schema.clone());
    }
    documents.update(&line.key.key, |_| change.clone()).expect("written");
    documents.get(&line.key.key).expect("read").expect("there")
}

#[test]
fn what_is_written_is_read_back_and_looks_the_same() {
    let deep = format!("{{\"key\":\"a/b\",\"value\":{}{}}}", "[".repeat(128), "]".repeat(128));
    for text in [
        r#"{"key":"players/42","value":{"coins":100,"bag":[1,2.0,null]}}"#,
        r#"{"key":"a/b","value":1,"user_ids":["42","43"],"metadata":{"build":"812","shop":"web"}}"#,
        r#"{"key":"a/b","value":{"coins":1},"schema":{"$bytes":"AAH/"}}"#,
        r#"{"key":"raw/\\x00\\xff\\\\","value":{"$bytes":"AAH/"}}"#,
        r#"{"key":"a/b","value":{"$u64":"18446744073709551615"}}"#,
        r#"{"key":"a/b","value":{"$$name":"\u001b[2J \u202e"}}"#,
        &deep,
    ] {
        let line = parse(text);
        let entry = stored(&line);
        assert_eq!(super::text(&line.key, &entry).expect("a line"), text);
    }
}

#[test]
fn numbers_are_user_ids_too_and_blank_lines_say_nothing() {
    assert_eq!(
        parse(r#"{"value":1,"key":"a/b","user_ids":[42,"x"]}"#).user_ids,
        Some(vec!["42".into(), "x".into()])
    );
    for blank in ["", "\n", " \t\r\n"] {
        assert_eq!(Line::parse(blank.as_bytes()), Ok(None));
    }
}

#[test]
fn what_is_no_line_is_refused_with_its_reason() {
    let long_id = format!(r#"{{"key":"a/b","value":1,"user_ids":["{}"]}}"#, "u".repeat(65));
    for (text, reason) in [
        ("[1, 2]", r#"an object like {"key": "players/42", "value": 1}"#),
        ("{", "the line ends before the object does at character 1"),
        (
            r#"{"key":"a/b","value":nope}"#,
            "a word that means nothing: a text stands in double quotes, at character 23",
        ),
        (r#"{"key":"a/b","value":}"#, "a value is missing at character"),
        (r#"{key:1}"#, "must stand in double quotes, at character 2"),
        (r#"{"key":"a/b" "value":1}"#, "a comma is missing, or the closing } is, at character"),
        (r#"{"key":"a/b","value":18446744073709551616}"#, "18446744073709551616 takes more than 64 bits"),
        (r#"{"value":1}"#, r#"no "key""#),
        (r#"{"key":"a/b","value":1,"schema":"x"}"#, r#"the schema is {"$bytes""#),
        (r#"{"key":"a/b"}"#, r#"no "value""#),
        (r#"{"key":"a/b","vaule":1}"#, r#"the member "vaule" says nothing"#),
        (r#"{"key":"a/b","value":1,"value":2}"#, r#"the member "value" stands there twice"#),
        (r#"{"key":"players","value":1}"#, "written collection/key"),
        (r#"{"key":"a/b","value":{"$x":1}}"#, "one $ more"),
        (r#"{"key":"a/b","value":1} 2"#, "something stands behind the object at character"),
        (r#"{"key":"a/b","value":1,"user_ids":[1.5]}"#, "a text or a whole number"),
        (
            r#"{"key":"a/b","value":1,"metadata":{"n":1}}"#,
            "a string is wanted and not integer `1`, at character",
        ),
        (&long_id, "at most 64"),
    ] {
        let refused = Line::parse(text.as_bytes()).expect_err(text);
        assert!(refused.contains(reason), "{text}: {refused}");
    }
}
