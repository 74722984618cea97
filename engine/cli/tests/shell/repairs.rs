//! `verify` and `repair`: what they say of sound and of damaged stores, and how they end.

use serde_json::Value;

use crate::world::{Ended, World, files};

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

/// A store whose newest version of `a/2` is damaged; its older one is sound.
fn hurt() -> (World, String) {
    let world = World::new();
    world.ok(&["set", "a/1", "\"sound\""]);
    world.ok(&["set", "a/2", "\"before\""]);
    let before = json(&world.ok(&["get", "a/2", "--format", "json"]))["version"].as_str().unwrap().to_owned();
    world.ok(&["set", "a/2", "\"unmistakable\""]);
    world.damage("unmistakable");
    (world, before)
}

#[test]
fn a_sound_store_is_proven_and_no_file_of_it_changes() {
    let world = World::new();
    world.ok(&["set", "a/1", "1"]);
    world.ok(&["set", "a/2", "2"]);
    let before = files(&world.store());
    let told = world.ok(&["verify"]);
    assert!(told.contains("everything is as it was written"), "{told}");
    let told = json(&world.ok(&["verify", "--format", "json"]));
    assert_eq!(
        (&told["keys"], &told["versions"], &told["unproven_bytes"]),
        (&2.into(), &2.into(), &0.into())
    );
    assert_eq!((&told["damage"], &told["damaged"]), (&Value::Array(vec![]), &Value::Array(vec![])));
    assert!(told["verified_bytes"].as_u64() > Some(0) && told["proven"].is_string(), "{told}");
    assert_eq!(files(&world.store()), before);
}

/// A repair does not: it copies a damaged value as it is.
fn says_what_helps(ended: &Ended) {
    for part in [
        "`savehold get KEY --at VERSION`",
        "`savehold set`",
        "`savehold restore BACKUP --keys-of COLLECTION`",
    ] {
        assert!(ended.err.contains(part), "{part}: {ended:?}");
    }
    assert!(!ended.err.contains("`savehold repair"), "{ended:?}");
}

#[test]
fn a_damaged_value_is_named_with_what_its_key_falls_back_to() {
    let (world, before) = hurt();
    let ended = world.call(&["verify", "--format", "json"]);
    assert_eq!(ended.code, 4, "{ended:?}");
    says_what_helps(&ended);
    let told = json(&ended.out);
    let damaged = &told["damaged"][0];
    assert_eq!((&damaged["key"], &damaged["newest"]), (&"a/2".into(), &true.into()), "{told}");
    assert_eq!(damaged["falls_back"], before.as_str(), "{told}");
    assert_eq!(told["damage"][0]["acknowledged"], true, "{told}");
    assert!(told["damage"][0]["offset"].as_u64() > Some(8192), "{told}");
    let table = world.call(&["verify"]);
    assert!(table.out.contains("a/2") && table.out.contains("a part of a record is damaged"), "{table:?}");
}

#[test]
fn repair_makes_a_store_that_opens_and_a_report_that_says_what_is_lost() {
    let (world, before) = hurt();
    let untouched = files(&world.store());
    let ended = world.call(&["repair", "--to", "data.new", "--report", "lost.jsonl", "--format", "json"]);
    assert_eq!(ended.code, 4, "{ended:?}");
    let told = json(&ended.out);
    assert_eq!((&told["acknowledged_missing"], &told["keys_set_back"]), (&true.into(), &0.into()), "{told}");
    assert_eq!(told["unreadable_keys"], 1, "{told}");
    says_what_helps(&ended);
    assert_eq!(files(&world.store()), untouched);
    let report = std::fs::read_to_string(world.path("lost.jsonl")).expect("written");
    let lines: Vec<Value> = report.lines().map(json).collect();
    let key = lines.iter().find(|line| line["kind"] == "key").expect("a line for the key");
    assert_eq!((&key["key"], &key["falls_back"]), (&"a/2".into(), &before.as_str().into()));
    assert_eq!(key["repaired"], "cannot be read");
    assert_eq!(lines.last().expect("lines")["kind"], "copied");

    assert_eq!(world.ok(&["get", "a/1", "--dir", "data.new"]), world.ok(&["get", "a/1"]));
    assert_eq!(world.call(&["get", "a/2", "--dir", "data.new"]).code, 4);
    says_what_helps(&world.call(&["verify", "--dir", "data.new"]));
    let value = world.ok(&["get", "a/2", "--at", &before, "--dir", "data.new"]);
    world.ok(&["set", "a/2", value.trim(), "--dir", "data.new"]);
    assert_eq!(world.ok(&["get", "a/2", "--dir", "data.new"]), "\"before\"\n");
    let verified = world.call(&["verify", "--dir", "data.new"]);
    assert!(verified.err.contains("older versions that cannot be read: 1"), "{verified:?}");
    assert!(!verified.err.contains("`savehold"), "nothing is left to do: {verified:?}");
    world.ok(&["set", "a/1", "\"again\"", "--dir", "data.new"]);
    assert!(world.ok(&["get", "a/1", "--dir", "data.new"]).contains("again"));
}

#[test]
fn a_store_without_a_readable_catalog_is_repaired_and_nothing_is_missing() {
    let world = World::new();
    world.ok(&["set", "a/1", "1"]);
    let mut manifest = std::fs::read(world.path("data/MANIFEST")).expect("read");
    manifest[20] ^= 1;
    world.write("data/MANIFEST", manifest);
    assert_eq!(world.call(&["get", "a/1"]).code, 4);
    let ended = world.call(&["verify"]);
    assert_eq!(ended.code, 4, "{ended:?}");
    assert!(ended.out.contains("every commit is there"), "{ended:?}");
    let told = world.ok(&["repair", "--to", "data.new", "--report", "lost.jsonl"]);
    assert!(told.contains("Anything promised is missing"), "{told}");
    assert!(world.ok(&["get", "a/1", "--dir", "data.new"]).contains('1'));
    world.ok(&["verify", "--dir", "data.new"]);
}

#[test]
fn a_target_or_a_report_that_exists_is_refused_and_nothing_is_done() {
    let (world, _) = hurt();
    world.write("taken/note", "mine");
    world.write("old.jsonl", "mine");
    world.refused(&["repair", "--to", "taken", "--report", "lost.jsonl"], 2);
    assert!(!world.path("lost.jsonl").exists());
    world.refused(&["repair", "--to", "data.new", "--report", "old.jsonl"], 2);
    assert!(!world.path("data.new").exists());
    assert_eq!(std::fs::read(world.path("old.jsonl")).expect("it stays"), b"mine");
}

#[test]
fn where_no_store_is_both_say_so() {
    let world = World::empty();
    world.refused(&["verify"], 3);
    world.refused(&["repair", "--to", "data.new", "--report", "lost.jsonl"], 3);
    assert!(!world.path("data.new").exists() && !world.path("lost.jsonl").exists());
}
