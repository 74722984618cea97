//! What reading verbs print, in each format.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;

use crate::world::{World, both_ways, files, way};

both_ways!(
    get_prints_the_value_alone_or_all_that_is_known,
    a_moment_is_echoed_beside_the_answer,
    history_tells_what_each_version_did_newest_first,
    list_shows_collections_then_keys_then_values_in_pages,
    stat_counts_what_users_wrote,
    compact_gives_space_back_and_changes_nothing_else,
    an_answer_that_nobody_reads_on_ends_quietly,
    sessions_are_listed_and_one_is_ended_with_a_reason,
    a_diff_tells_what_stood_at_two_moments,
    tail_tells_each_commit_in_order_and_ends,
    a_pin_names_a_moment_for_every_verb_until_it_is_given_up,
    long_answers_about_the_past_come_whole,
);

/// A store with two players, one of them changed, and a counter.
fn played(world: &World) {
    world.ok(&["set", "players/42", r#"{"coins": 100}"#, "--user-id", "42", "--meta", "build=812"]);
    world.ok(&["update", "players/42", "--merge-json", r#"{"level": 2}"#]);
    world.ok(&["set", "players/43", r#""Zoë \u001b[2J""#]);
    world.ok(&["update", "visits/oak-1", "--increment", "7"]);
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn get_prints_the_value_alone_or_all_that_is_known(world: World) {
    played(&world);
    assert_eq!(world.ok(&["get", "players/42"]), "{\"coins\":100,\"level\":2}\n");
    assert_eq!(world.ok(&["get", "players/43"]), "\"Zoë \\u001b[2J\"\n");
    for format in ["json", "jsonl"] {
        let answer = json(&world.ok(&["get", "players/42", "--format", format]));
        assert_eq!(answer["key"], "players/42");
        assert_eq!(answer["value"], json(r#"{"coins":100,"level":2}"#));
        assert_eq!(answer["user_ids"], json(r#"["42"]"#), "an update keeps what it does not mention");
        assert_eq!(answer["metadata"], json(r#"{"build":"812"}"#));
        assert!(answer["time"].as_str() > answer["created"].as_str());
    }
    let long = format!("{{\"text\":\"{}\"}}", "x".repeat(200));
    world.ok(&["set", "players/44", &long]);
    let shown = world.ok(&["get", "players/44"]);
    assert_eq!((shown.lines().count(), json(&shown)), (3, json(&long)), "for people, and whole");
}

fn a_moment_is_echoed_beside_the_answer(world: World) {
    played(&world);
    let history = world.ok(&["history", "players/42", "--format", "jsonl"]);
    let versions: Vec<serde_json::Value> = history.lines().map(json).collect();
    let (first, at) = (versions[1]["version"].as_str().unwrap(), versions[1]["time"].as_str().unwrap());
    for moment in [first, at] {
        let then = world.call(&["get", "players/42", "--at", moment]);
        assert_eq!((then.code, then.out.as_str()), (0, "{\"coins\":100}\n"), "{moment}");
        for part in [first, at, "+00:00"] {
            assert!(then.err.contains(part), "{moment}: {}", then.err);
        }
    }
    let before = world.refused(&["get", "players/42", "--at", "-1h"], 7);
    assert!(before.contains("players/42 was not there as of 20"), "{before}");
    let since = world.call(&["history", "players/42", "--since", first, "--format", "jsonl"]);
    assert_eq!(since.out.lines().count(), 2, "{since:?}");
    assert!(since.err.contains(at), "{since:?}");
}

fn history_tells_what_each_version_did_newest_first(world: World) {
    played(&world);
    let removal = world.ok(&["remove", "players/42", "--yes", "--id", "ticket-812"]);
    let history = world.ok(&["history", "players/42", "--format", "json"]);
    let history = json(&history);
    let column = |name: &str| -> Vec<serde_json::Value> {
        history.as_array().expect("a list").iter().map(|row| row[name].clone()).collect()
    };
    assert_eq!(column("did"), ["removed", "written", "written"]);
    assert_eq!(column("version")[0], removal.trim());
    assert_eq!(column("origin"), ["savehold command line"; 3]);
    assert_eq!(column("id"), [json(r#""ticket-812""#), json("null"), json("null")]);
    assert!(column("size_bytes")[0].is_null() && column("size_bytes")[1].as_u64() > Some(10));
    let one = world.call(&["history", "players/42", "--limit", "1"]);
    assert_eq!((one.out.lines().count(), one.err.contains("older")), (2, true), "{one:?}");
    assert!(one.out.starts_with("Version "), "{}", one.out);
    world.refused(&["history", "players/4711"], 7);
}

fn list_shows_collections_then_keys_then_values_in_pages(world: World) {
    played(&world);
    assert_eq!(world.ok(&["list"]), "Collection  Keys\nplayers        2\nvisits         1\n");
    assert_eq!(world.ok(&["list", "players"]), "Key\nplayers/42\nplayers/43\n");
    assert_eq!(world.ok(&["list", "players/43", "--format", "jsonl"]), "{\"key\":\"players/43\"}\n");
    let page = world.call(&["list", "players", "--values", "--limit", "1", "--format", "json"]);
    assert_eq!(json(&page.out)[0]["value"], json(r#"{"coins":100,"level":2}"#));
    assert_eq!(
        page.err,
        "savehold: there are more; go on with `savehold list players --values --after players/42`\n"
    );
    let rest = world.ok(&["list", "players", "--values", "--after", "players/42", "--format", "jsonl"]);
    assert_eq!(json(&rest)["key"], "players/43");
    assert_eq!(world.ok(&["list", "players/x", "--format", "json"]), "[]\n");
    assert!(world.refused(&["list", "player"], 7).contains("no collection player;"));
    world.refused(&["list", "players", "--after", "visits/1"], 2);
    let some = world.call(&["list", "--limit", "1"]);
    assert_eq!((some.out.lines().count(), some.err.contains("1 more")), (2, true), "{some:?}");
}

fn stat_counts_what_users_wrote(world: World) {
    played(&world);
    world.ok(&["remove", "players/43", "--yes"]);
    let stat = json(&world.ok(&["stat", "--format", "json"]));
    assert_eq!((&stat["collections"], &stat["keys"]), (&json("2"), &json("2")));
    assert!(stat["versions"].as_u64() >= Some(5) && stat["log_bytes"].as_u64() > Some(0), "{stat}");
    assert!(stat["durable"].as_str().is_some_and(|v| v.contains('.')), "{stat}");
    assert!(stat["last_recovery"].is_null(), "{stat}");
    let table = world.ok(&["stat"]);
    assert!(table.contains("Keys ") && !table.contains("Last recovery"), "{table}");
    assert!(table.contains(", held by new commits: it is being written"), "{table}");
    let none = world.call(&["stat", "--recoveries", "--format", "json"]);
    assert_eq!(none.out, "[]\n");
    assert!(none.err.contains("clean one"), "{none:?}");
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|found| found == part)
}

#[test]
fn a_recovery_after_a_kill_is_reported() {
    let world = World::new();
    let mut load = world.start(&["load", "-"]);
    let mut stdin = load.stdin.take().expect("a pipe");
    let lines: String = (0..2000).map(|n| format!("{{\"key\":\"a/{n}\",\"value\":{n}}}\n")).collect();
    std::io::Write::write_all(&mut stdin, lines.as_bytes()).expect("it reads");
    world.wait_until("the last line is written", |files| files.iter().any(|bytes| contains(bytes, b"1999")));
    load.kill().expect("killed");
    load.wait().expect("gone");
    world.ok(&["list"]);
    let recoveries = json(&world.ok(&["stat", "--recoveries", "--format", "json"]));
    assert_eq!(recoveries.as_array().map(Vec::len), Some(1), "{recoveries}");
    assert!(recoveries[0]["proven"].as_str().is_some(), "{recoveries}");
}

fn compact_gives_space_back_and_changes_nothing_else(world: World) {
    played(&world);
    let long = format!("{{\"text\":\"{}\"}}", "x".repeat(40_000));
    (0..8).for_each(|_| drop(world.ok(&["set", "players/44", &long])));
    world.ok(&["remove", "players/44", "--yes"]);
    let before = world.ok(&["dump"]);
    let done = json(&world.ok(&["compact", "--format", "json"]));
    let prepared = 1 << 20; // the next segment may be made behind either look
    let least = done["bytes_before"].as_u64().map(|before| before + prepared);
    assert!(least >= done["bytes_after"].as_u64(), "{done}");
    assert!(done["segments"].is_u64() && done["dropped"].is_u64(), "{done}");
    assert_eq!(world.ok(&["dump"]), before);
    let stat = json(&world.ok(&["stat", "--format", "json"]));
    let (after, now) = (done["bytes_after"].as_u64().unwrap_or(0), stat["log_bytes"].as_u64().unwrap_or(0));
    assert!((after..=after + prepared).contains(&now), "{after} bytes: {stat}");
    assert!(stat["oldest_file"].as_str().is_some_and(|text| text.contains("held by")), "{stat}");
    let shown = world.ok(&["compact"]);
    assert!(["Log before", "Log now", "Segments packed"].iter().all(|text| shown.contains(text)), "{shown}");
}

fn an_answer_that_nobody_reads_on_ends_quietly(world: World) {
    let lines: String =
        (0..4000).map(|n| format!("{{\"key\":\"a/{n}\",\"value\":\"{n:0100}\"}}\n")).collect();
    assert_eq!(world.call_with(&["load"], &lines).code, 0);
    for words in [&["dump"][..], &["list", "a", "--values", "--limit", "4000", "--format", "jsonl"]] {
        let mut child = world.start(words);
        let mut first = [0; 10];
        let mut stdout = child.stdout.take().expect("a pipe");
        stdout.read_exact(&mut first).expect("an answer");
        drop(stdout);
        let ended = child.wait_with_output().expect("it ends");
        let (way, said) = way(std::str::from_utf8(&ended.stderr).expect("text"));
        assert_eq!((ended.status.code(), said.as_str(), way.is_some()), (Some(0), "", true), "{words:?}");
    }
}

fn sessions_are_listed_and_one_is_ended_with_a_reason(world: World) {
    played(&world);
    let token = world.leased("players/42", "eu-1", 7);
    let listed = json(&world.ok(&["sessions", "--format", "json"]));
    let session = &listed.as_array().expect("a list")[0];
    assert_eq!(
        (&session["key"], &session["holder"]),
        (&json(r#""players/42""#), &json(r#""eu-1 (life 7)""#))
    );
    assert_eq!(session["token"], token.as_str());
    assert!(session["since"].is_string() && session["wanted_by"].is_null(), "{session}");
    let refused = world.refused(&["set", "players/42", "1"], 5);
    assert!(refused.contains("eu-1"), "{refused}");
    let words = ["sessions", "break", "players/42", "--reason", "ticket 812"];
    assert!(world.refused(&words, 2).contains("add `--yes`"));
    let ended = world.ok(&[&words[..], &["--yes", "--format", "json"]].concat());
    assert_eq!(json(&ended)["token"], token.as_str());
    assert_eq!(world.ok(&["sessions", "--format", "json"]), "[]\n");
    world.ok(&["set", "players/42", "1"]);
    assert!(world.refused(&[&words[..], &["--yes"]].concat(), 7).contains("nobody has players/42"));
}

fn lines(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(json).collect()
}

fn a_diff_tells_what_stood_at_two_moments(world: World) {
    played(&world);
    let first = lines(&world.ok(&["history", "players/42", "--format", "jsonl"]))[1]["version"].clone();
    let first = first.as_str().expect("a version");
    world.ok(&["remove", "players/43", "--yes"]);
    let all = lines(&world.ok(&["diff", "--from", first, "--format", "jsonl"]));
    let keys: Vec<&str> = all.iter().filter_map(|row| row["key"].as_str()).collect();
    assert_eq!(keys, ["players/42", "visits/oak-1"], "what came and went between the two is no difference");
    assert_eq!(
        (&all[0]["old"], &all[0]["new"]),
        (&json(r#"{"coins":100}"#), &json(r#"{"coins":100,"level":2}"#))
    );
    assert_eq!(
        (&all[0]["old_version"], &all[1]["old"], &all[1]["new"]),
        (&json(&format!("{first:?}")), &json("null"), &json("7"))
    );
    let one = world.call(&["diff", "players/42", "--from", "now", "--to", first, "--format", "jsonl"]);
    assert_eq!(lines(&one.out)[0]["new"], json(r#"{"coins":100}"#), "the moments stand in any order");
    assert!(one.err.contains(first), "{one:?}");
    assert_eq!(
        world.ok(&["diff", "players/4", "--from", first, "--format", "json"]),
        "[]\n",
        "one key, whole"
    );
    assert_eq!(
        lines(&world.ok(&["diff", "players", "--prefix", "4", "--from", first, "--format", "jsonl"])).len(),
        1
    );
    let some = world.call(&["diff", "--from", first, "--limit", "1"]);
    assert!(some.out.starts_with("Key ") && some.err.contains("there are more"), "{some:?}");
    assert!(world.refused(&["diff", "players/4", "--prefix", "4", "--from", first], 2).contains("one key"));
    world.refused(&["diff", "--from", "pin:nothing"], 7);
    assert!(world.refused(&["diff", "player", "--from", first], 7).contains("no collection player;"));
}

fn tail_tells_each_commit_in_order_and_ends(world: World) {
    played(&world);
    world.ok(&["remove", "players/43", "--yes", "--id", "ticket-812"]);
    let all = lines(&world.ok(&["tail", "--from", "-1h", "--format", "jsonl"]));
    let column = |name: &str| -> Vec<&str> { all.iter().filter_map(|row| row[name].as_str()).collect() };
    assert_eq!(column("key"), ["players/42", "players/42", "players/43", "visits/oak-1", "players/43"]);
    assert_eq!(column("did"), ["written", "written", "written", "written", "removed"]);
    assert_eq!((column("id"), column("origin").len()), (vec!["ticket-812"], 5));
    assert!(
        column("version")
            .is_sorted_by_key(|version| version.parse::<savehold::Version>().expect("a version"))
    );
    let second = column("version")[1];
    let rest = lines(&world.ok(&["tail", "--from", second, "--values", "--format", "jsonl"]));
    assert_eq!((rest.len(), &rest[1]["new"], &rest[2]["old"]), (3, &json("7"), &rest[0]["new"]));
    let until = lines(&world.ok(&["tail", "--from", "-1h", "--to", second, "--format", "jsonl"]));
    assert_eq!(until.len(), 2);
    let of = |words: &[&str]| {
        lines(&world.ok(&[&["tail"], words, &["--from", "-1h", "--format", "jsonl"]].concat())).len()
    };
    assert_eq!((of(&["players"]), of(&["players/42"]), of(&["players/4"])), (4, 2, 0));
    assert_eq!(of(&["players", "--prefix", "4"]), 4);
    assert_eq!((of(&["--origin", "savehold*"]), of(&["--origin", "build 813*"])), (5, 0));
    let some = world.call(&["tail", "--from", "-1h", "--limit", "2"]);
    assert_eq!((some.out.lines().count(), some.err.contains("there are more")), (3, true), "{some:?}");
    assert!(world.refused(&["tail"], 2).contains("--follow"));
    let unknown = world.call(&["tail", "player", "--from", "-1h"]);
    assert!(unknown.code == 7 && unknown.err.contains("no collection player;"), "{unknown:?}");
}

fn a_pin_names_a_moment_for_every_verb_until_it_is_given_up(world: World) {
    world.ok(&["set", "players/42", "1"]);
    let pinned = world.ok(&["pin", "before update 2.0", "--format", "json"]);
    let version = json(&pinned)["version"].clone();
    world.ok(&["set", "players/42", "2"]);
    for at in ["pin:before update 2.0", "before update 2.0"] {
        assert_eq!(world.ok(&["get", "players/42", "--at", at]), "1\n");
    }
    let diff = lines(&world.ok(&["diff", "--from", "before update 2.0", "--format", "jsonl"]));
    assert_eq!((&diff[0]["old"], &diff[0]["new"]), (&json("1"), &json("2")));
    let since =
        lines(&world.ok(&["history", "players/42", "--since", "before update 2.0", "--format", "jsonl"]));
    let number = |text: &serde_json::Value| -> savehold::Version {
        text.as_str().expect("text").parse().expect("a version")
    };
    assert_eq!(since[0]["version"], diff[0]["new_version"]);
    assert!(since.iter().all(|row| number(&row["version"]) >= number(&diff[0]["old_version"])));
    world.ok(&["pin", "the first", "--at", version.as_str().expect("a version")]);
    let pins = json(&world.ok(&["pins", "--format", "json"]));
    assert_eq!(
        (&pins[0]["pin"], &pins[1]["pin"]),
        (&json(r#""before update 2.0""#), &json(r#""the first""#))
    );
    assert_eq!((&pins[0]["version"], &pins[1]["version"]), (&version, &version));
    assert!(world.refused(&["pin", "the first"], 7).contains("another name"));
    assert!(world.refused(&["unpin", "the first"], 2).contains("--yes"));
    assert_eq!(world.ok(&["unpin", "the first", "--yes"]), "");
    assert!(world.refused(&["unpin", "the first", "--yes"], 7).contains("savehold pins"));
    assert!(world.refused(&["get", "players/42", "--at", "pin:the first"], 7).contains("savehold pins"));
}

/// More than one page of each.
fn long_answers_about_the_past_come_whole(world: World) {
    world.ok(&["set", "a/first", "0"]);
    world.ok(&["pin", "empty"]);
    let load = |value: &str| {
        let all =
            (0..2500).map(|n| format!("{{\"key\":\"{}/{n:04}\",\"value\":{value}}}\n", ["a", "b"][n % 2]));
        assert_eq!(world.call_with(&["load"], &all.collect::<String>()).code, 0);
    };
    load("1");
    world.ok(&["pin", "ones"]);
    load("2");
    let diff = lines(&world.ok(&["diff", "--from", "ones", "--format", "jsonl"]));
    assert_eq!(diff.len(), 2500);
    assert!(diff.iter().all(|row| row["old"] == json("1") && row["new"] == json("2")));
    assert!(diff.is_sorted_by_key(|row| row["key"].as_str().map(str::to_owned)));
    assert_eq!(world.ok(&["tail", "--from", "empty", "--format", "jsonl"]).lines().count(), 5000);
}

/// A directory of another user, or on a medium that is for reading only. Root may write whatever its mode says: then there is nothing to
/// be seen here, and `tests/crash` has the same on a disk that refuses everybody.
#[test]
fn a_store_that_cannot_be_written_is_read_and_left_as_it_is() {
    let world = World::new();
    played(&world);
    let before = files(&world.store());
    let leave = |mode: u32| {
        for dir in ["data/log", "data/index", "data"].map(|dir| world.path(dir)) {
            let inside =
                std::fs::read_dir(&dir).into_iter().flatten().map(|entry| entry.expect("listed").path());
            let all: Vec<_> = inside.filter(|path| path.is_file()).collect();
            for path in all.into_iter().chain([dir].into_iter().filter(|dir| dir.exists())) {
                let mode = if path.is_dir() { mode | 0o100 } else { mode };
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("it is ours");
            }
        }
    };
    leave(0o400);
    if std::fs::OpenOptions::new().write(true).open(world.path("data/LOCK")).is_err() {
        for words in [
            &["get", "players/42"][..],
            &["list"],
            &["list", "players", "--values"],
            &["history", "players/42"],
            &["dump"],
            &["stat"],
            &["diff", "--from", "-1h"],
            &["tail", "--from", "-1h"],
            &["sessions"],
            &["pins"],
            &["retention"],
            &["backup", "make", "backups"],
            &["verify"],
        ] {
            let ended = world.call(words);
            assert_eq!(ended.code, 0, "{words:?}: {ended:?}");
            assert!(words == ["verify"] || ended.err.contains("open to read only"), "{words:?}: {ended:?}");
        }
        let refused = world.call(&["set", "players/42", "1"]);
        assert!(refused.code == 5 && refused.err.contains("copy the directory"), "{refused:?}");
    }
    leave(0o600);
    assert_eq!(files(&world.store()), before);
    world.ok(&["set", "players/42", "1"]);
}

#[test]
fn tail_follows_what_the_holder_writes() {
    let world = World::held();
    world.ok(&["set", "players/42", "1"]);
    let mut tail = world.start(&["tail", "--follow", "--from", "-1h", "--format", "jsonl"]);
    let mut out = std::io::BufReader::new(tail.stdout.take().expect("a pipe"));
    let mut said = tail.stderr.take().expect("a pipe");
    let mut next = || {
        let (mut line, mut why) = (String::new(), String::new());
        if std::io::BufRead::read_line(&mut out, &mut line).expect("it can be read") == 0 {
            said.read_to_string(&mut why).expect("text");
            panic!("it ended: {why}");
        }
        json(&line)["key"].clone()
    };
    assert_eq!(next(), "players/42");
    for key in ["players/43", "players/44"] {
        world.ok(&["set", key, "1"]);
        assert_eq!(next(), key);
    }
    tail.kill().expect("killed");
    tail.wait().expect("gone");
}

#[test]
fn tail_waits_for_a_collection_that_is_not_there_yet() {
    let world = World::held();
    world.ok(&["set", "players/42", "1"]);
    let mut tail = world.start(&["tail", "arrivals", "--follow", "--from", "-1h", "--format", "jsonl"]);
    let said = std::io::BufReader::new(tail.stderr.take().expect("a pipe"));
    let mut said = std::io::BufRead::lines(said).map(|line| line.expect("text"));
    assert!(said.any(|line| line.contains("there is no collection arrivals yet: waiting")), "it ended");
    world.ok(&["set", "arrivals/1", "1"]);
    let (mut line, out) = (String::new(), tail.stdout.take().expect("a pipe"));
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).expect("it can be read");
    assert_eq!(json(&line)["key"], "arrivals/1");
    tail.kill().expect("killed");
    tail.wait().expect("gone");
}

#[test]
fn nothing_follows_where_nobody_has_the_store() {
    let world = World::new();
    world.ok(&["set", "players/42", "1"]);
    let ended = world.call(&["tail", "--follow", "--from", "-1h", "--format", "jsonl"]);
    assert_eq!((ended.code, ended.out.lines().count()), (0, 1), "{ended:?}");
    assert!(ended.err.contains("nothing follows"), "{ended:?}");
    assert!(world.call(&["tail", "arrivals", "--follow"]).err.contains("no collection arrivals;"));
}
