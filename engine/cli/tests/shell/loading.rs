//! Many keys in and out.

use crate::world::{World, both_ways};

both_ways!(
    a_load_can_be_repeated_and_writes_what_changed,
    a_broken_line_is_named_and_the_lines_before_it_are_loaded,
    a_dump_loads_into_a_new_store_and_dumps_the_same,
    nothing_but_the_answer_is_written_where_nobody_watches,
);

const LINES: &str = concat!(
    r#"{"key":"players/42","value":{"coins":100,"bag":[1,2.0]},"user_ids":["42"],"metadata":{"build":"812"}}"#,
    "\n",
    r#"{"key":"players/43","value":{"$u64":"18446744073709551615"},"schema":{"$bytes":"AAH/"}}"#,
    "\n",
    r#"{"key":"raw/\\x00","value":{"$bytes":"AAH/"}}"#,
    "\n",
);

fn a_dump_loads_into_a_new_store_and_dumps_the_same(world: World) {
    assert_eq!(world.call_with(&["load"], LINES).out, "Keys written  3\nUnchanged     0\n");
    let dumped = world.ok(&["dump"]);
    assert_eq!(dumped, LINES);
    world.write("all.jsonl", &dumped);
    world.ok(&["load", "all.jsonl", "--dir", "copy"]);
    assert_eq!(world.ok(&["dump", "--dir", "copy"]), LINES);
    assert_eq!(world.ok(&["dump", "players/43"]).lines().count(), 1);
    assert_eq!(
        world.ok(&["dump", "raw", "--format", "json"]),
        format!("[\n  {}\n]\n", LINES.lines().last().unwrap())
    );
    world.refused(&["dump", "player"], 7);
}

fn a_load_can_be_repeated_and_writes_what_changed(world: World) {
    let load = |text: &str| world.call_with(&["load", "--format", "json"], text).out;
    assert_eq!(load(LINES), "{\"written\":3,\"unchanged\":0}\n");
    assert_eq!(load(LINES), "{\"written\":0,\"unchanged\":3}\n");
    let changed = LINES.replace("\"coins\":100", "\"coins\":101");
    assert_eq!(load(&changed), "{\"written\":1,\"unchanged\":2}\n");
    assert_eq!(world.ok(&["history", "players/42", "--format", "jsonl"]).lines().count(), 2);
    load(r#"{"key":"players/42","value":1}"#);
    let now = world.ok(&["get", "players/42", "--format", "json"]);
    assert!(now.contains(r#""user_ids":["42"]"#), "what a line does not mention is kept: {now}");
}

fn a_broken_line_is_named_and_the_lines_before_it_are_loaded(world: World) {
    let text = format!("{LINES}\n{{\"key\":\"players/44\"}}\n{{\"key\":\"players/45\",\"value\":1}}\n");
    world.write("some.jsonl", text);
    let ended = world.call(&["load", "some.jsonl"]);
    assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{ended:?}");
    assert!(
        ended.err.contains("3 keys are written")
            && ended.err.contains("some.jsonl, line 5: there is no \"value\""),
        "{ended:?}"
    );
    assert_eq!(world.ok(&["dump"]), LINES);
}

#[test]
fn a_load_that_cannot_begin_makes_no_store() {
    let world = World::empty();
    world.write("broken.jsonl", "[1, 2, 3]\n");
    assert!(world.refused(&["load", "broken.jsonl"], 2).contains("line 1: "));
    assert!(world.refused(&["load", "nowhere.jsonl"], 2).contains("nowhere.jsonl"));
    assert!(world.refused(&["load", "."], 2).contains("directory"));
    assert!(!world.store().exists());
}

fn nothing_but_the_answer_is_written_where_nobody_watches(world: World) {
    let lines: String = (0..2500).map(|n| format!("{{\"key\":\"a/{n}\",\"value\":{n}}}\n")).collect();
    let loaded = world.call_with(&["load"], &lines);
    assert_eq!((loaded.err.as_str(), loaded.out.lines().next()), ("", Some("Keys written  2,500")));
    let dumped = world.call(&["dump"]);
    assert_eq!((dumped.err.as_str(), dumped.out.lines().count()), ("", 2500));
}
