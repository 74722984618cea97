//! What writing verbs do, and under which conditions.

use crate::world::{World, both_ways};

both_ways!(
    documents_are_migrated_once_page_by_page_and_those_in_play_are_left_alone,
    set_prints_the_version_and_reads_standard_input,
    keys_of_any_bytes_are_written_listed_and_read,
    conditions_decide_whether_anything_is_written,
    an_id_makes_a_repeated_call_change_nothing,
    update_counts_and_merges,
    remove_wants_consent_and_keeps_history,
);

fn set_prints_the_version_and_reads_standard_input(world: World) {
    let ended = world.call_with(&["set", "motd/today", "-"], "{\"text\": [1, 2.5,\n null]}\n");
    assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{ended:?}");
    let answer = world.ok(&["get", "motd/today", "--format", "json"]);
    assert!(answer.contains(&format!("\"version\":\"{}\"", ended.out.trim())), "{answer}");
    assert!(answer.contains(r#""value":{"text":[1,2.5,null]}"#), "{answer}");
    let again = world.ok(&["set", "motd/today", "-7", "--format", "json"]);
    assert!(again.starts_with(r#"{"key":"motd/today","version":""#) && again.contains(r#""changed":true"#));
    for (words, input) in [
        (&["set", "motd/today", r#"{"n": 18446744073709551616}"#][..], ""),
        (&["set", "motd/today", "-"], "[-9223372036854775809]"),
        (&["update", "motd/today", "--merge-json", r#"{"n": 18446744073709551616}"#], ""),
    ] {
        let large = world.call_with(words, input);
        assert!(large.code == 2 && large.err.contains("takes more than 64 bits"), "{words:?}: {large:?}");
    }
    let broken = world.call_with(&["set", "motd/today", "-"], "{");
    assert_eq!(broken.code, 2, "{broken:?}");
    assert_eq!(world.ok(&["get", "motd/today"]), "-7\n", "what is no value changes nothing");
}

fn keys_of_any_bytes_are_written_listed_and_read(world: World) {
    for key in [r"raw/\x00\xff", r"raw/a\\b", "raw/a/b c'", r"Zoë/\xe2\x80\xae", "raw/-"] {
        world.ok(&["set", key, "1"]);
        assert_eq!(world.ok(&["get", key]), "1\n", "{key}");
        let collection = key.split_once('/').expect("a path").0;
        let listed = world.ok(&["list", collection]);
        assert!(listed.lines().any(|line| line == key), "{key}: {listed}");
    }
}

fn conditions_decide_whether_anything_is_written(world: World) {
    let first = world.ok(&["set", "a/b", "1", "--if-absent"]);
    let taken = world.refused(&["set", "a/b", "2", "--if-absent"], 7);
    assert!(taken.contains(first.trim()), "{taken}");
    let second = world.ok(&["set", "a/b", "2", "--if-version", first.trim()]);
    for words in [&["set", "a/b", "3", "--if-version"][..], &["remove", "a/b", "--yes", "--if-version"]] {
        let stale = world.refused(&[words, &[first.trim()]].concat(), 7);
        assert!(stale.contains(second.trim()), "{stale}");
    }
    assert_eq!(world.ok(&["get", "a/b"]), "2\n");
    world.ok(&["remove", "a/b", "--yes", "--if-version", second.trim()]);
    assert!(world.refused(&["set", "a/b", "3", "--if-version", second.trim()], 7).contains("is not there"));
    world.ok(&["set", "a/b", "4", "--if-absent"]);
}

fn an_id_makes_a_repeated_call_change_nothing(world: World) {
    let add = ["update", "visits/oak", "--increment", "5", "--id", "t1"];
    assert_eq!(world.ok(&add), "5\n");
    world.ok(&["update", "visits/oak", "--increment", "1"]);
    let again = world.call(&add);
    assert_eq!((again.code, again.out.as_str()), (0, "5\n"), "the value that it wrote then");
    assert!(again.err.contains("done before"), "{again:?}");
    assert_eq!(world.ok(&["get", "visits/oak"]), "6\n");
    let set = ["set", "visits/elm", "1", "--id", "t2"];
    assert_eq!(world.ok(&set), world.call(&set).out);
    assert!(world.refused(&["set", "visits/elm", "1", "--id", "t1"], 7).contains("another key"));
    let remove = ["remove", "visits/elm", "--yes", "--id", "t3", "--format", "json"];
    assert!(world.ok(&remove).contains(r#""changed":true"#));
    assert!(world.call(&remove).out.contains(r#""changed":false"#));
}

fn update_counts_and_merges(world: World) {
    assert_eq!(world.ok(&["update", "n/a", "--increment", "5"]), "5\n");
    assert_eq!(world.ok(&["update", "n/a", "--increment", "-7"]), "-2\n");
    assert_eq!(
        world.ok(&["update", "p/1", "--merge-json", r#"{"a":{"b":1,"c":2},"d":3}"#]),
        "{\"a\":{\"b\":1,\"c\":2},\"d\":3}\n"
    );
    let merged =
        world.ok(&["update", "p/1", "--merge-json", r#"{"a":{"b":null},"e":[null]}"#, "--format", "json"]);
    assert!(merged.contains(r#""value":{"a":{"c":2},"d":3,"e":[null]},"version":""#), "{merged}");
    assert!(
        world.refused(&["update", "p/1", "--increment", "1"], 7).contains("p/1: a map cannot be incremented")
    );
    assert!(
        world.refused(&["update", "n/a", "--merge-json", "{}"], 7).contains("n/a is no object (integer)")
    );
    world.ok(&["set", "n/max", "9223372036854775807"]);
    world.refused(&["update", "n/max", "--increment", "1"], 7);
    assert_eq!(world.ok(&["get", "n/max"]), "9223372036854775807\n");
}

fn remove_wants_consent_and_keeps_history(world: World) {
    let first = world.ok(&["set", "a/b", "1"]);
    assert!(world.refused(&["remove", "a/b"], 2).contains("add `--yes`"));
    assert_eq!(world.ok(&["get", "a/b"]), "1\n");
    let removal = world.ok(&["remove", "a/b", "--yes"]);
    for words in [&["get", "a/b"][..], &["remove", "a/b", "--yes"]] {
        assert!(world.refused(words, 7).contains(removal.trim()), "{words:?}");
    }
    assert_eq!(world.call(&["get", "a/b", "--at", first.trim()]).out, "1\n");
    assert!(world.refused(&["get", "a/b", "--at", removal.trim()], 7).contains("removed a/b"));
    assert!(world.refused(&["remove", "a/c", "--yes"], 7).contains("there is no a/c"));
}

fn documents_are_migrated_once_page_by_page_and_those_in_play_are_left_alone(world: World) {
    let line = |n: u32| format!("{{\"key\":\"players/{n:03}\",\"value\":{{\"gold\":{n}}}}}\n");
    world.call_with(&["load"], &(0..450).map(line).collect::<String>());
    world.ok(&["set", "players/x", "\"no document with fields\""]);
    world.leased("players/007", "eu-1", 1);
    let name = "2026-11 gold is coins";
    let words =
        ["migrate", "players", name, "--rename", "gold=coins", "--set", "level=1", "--format", "json"];
    let call = |more: &[&str]| world.call(&[&words, more].concat());

    let planned = call(&["--dry-run"]);
    assert_eq!(planned.out, "{\"changed\":449,\"unchanged\":0,\"in_play\":1,\"failed\":1}\n", "{planned:?}");
    assert!(planned.err.contains("nothing was written") && planned.code == 1, "{planned:?}");
    assert_eq!(call(&[]).code, 2, "nobody agreed");
    assert_eq!(world.ok(&["get", "players/300"]), "{\"gold\":300}\n");

    let done = call(&["--yes"]);
    assert_eq!(done.out, "{\"changed\":449,\"unchanged\":0,\"in_play\":1,\"failed\":1}\n", "{done:?}");
    assert!(done.err.contains("players/x") && done.err.contains("no fields"), "{done:?}");
    assert_eq!(world.ok(&["get", "players/300"]), "{\"coins\":300,\"level\":1}\n");
    assert_eq!(world.ok(&["get", "players/007"]), "{\"gold\":7}\n", "his session brings it up to date");

    let again = call(&["--yes", "--after", "players/007"]);
    assert_eq!(again.out, "{\"changed\":0,\"unchanged\":442,\"in_play\":0,\"failed\":1}\n", "{again:?}");
    let next = ["migrate", "players", "no levels", "--remove", "level", "--yes", "--after", "players/448"];
    let next = world.call(&next);
    assert!(next.out.contains("Brought up to date") && next.code == 1, "{next:?}");
    assert_eq!(world.ok(&["get", "players/449"]), "{\"coins\":449}\n", "older migrations are known");
    world.refused(&["migrate", "nobody", "name", "--remove", "a", "--yes"], 7);
}
