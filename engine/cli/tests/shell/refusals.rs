//! Directories that are no store, or a damaged one: said, with the right code, and left as they are.

use std::time::Duration;

use savehold::{Control, Options, Store};

use crate::world::{Way, World, both_ways, files};

both_ways!(
    a_damaged_value_closes_one_version_and_not_the_store,
    names_of_the_stores_own_and_moments_that_are_none_are_refused,
);

/// A call of each verb that works on a store.
const CALLS: &[&[&str]] = &[
    &["get", "a/b"],
    &["set", "a/b", "1"],
    &["update", "a/b", "--increment", "1"],
    &["remove", "a/b", "--yes"],
    &["list"],
    &["history", "a/b"],
    &["dump"],
    &["stat"],
];

/// Those that make one, too.
const MAKING: &[&[&str]] = &[&["init"], &["load", "one.jsonl"]];

fn all_refuse(world: &World, calls: &[&[&str]], code: i32, part: &str) {
    world.write("one.jsonl", "{\"key\":\"a/b\",\"value\":1}\n");
    let before = files(&world.store());
    for words in calls {
        let said = world.refused(words, code);
        assert!(said.contains(part), "{words:?}: {said}");
        assert_eq!(files(&world.store()), before, "{words:?} changed something");
    }
}

#[test]
fn a_missing_store_is_not_made_by_verbs_that_read_or_write() {
    let world = World::empty();
    let said = format!("there is no store in {}", world.store().display());
    all_refuse(&world, CALLS, 3, &said);
    assert!(!world.store().exists());
    std::fs::create_dir(world.store()).expect("made");
    all_refuse(&world, CALLS, 3, &said);
    assert_eq!(std::fs::read_dir(world.store()).expect("listed").count(), 0);
}

#[test]
fn a_directory_of_something_else_is_left_alone() {
    let world = World::empty();
    world.write("data/diary.txt", "dear diary");
    all_refuse(&world, &[CALLS, MAKING].concat(), 3, "holds `diary.txt`");
}

#[test]
fn a_file_is_no_store() {
    let world = World::empty();
    world.write("data", "a file");
    all_refuse(&world, &[CALLS, MAKING].concat(), 3, "data is a file");
}

#[test]
fn a_store_of_a_newer_format_is_left_alone() {
    let world = World::new();
    world.ok(&["set", "a/b", "1"]);
    let path = world.path("data/MANIFEST");
    let mut manifest = std::fs::read(&path).expect("read");
    manifest[8] += 1; // the version of the format
    let end = manifest.len() - 4;
    let crc = crc32fast::hash(&manifest[..end]);
    manifest[end..].copy_from_slice(&crc.to_le_bytes());
    std::fs::write(&path, manifest).expect("written");
    all_refuse(&world, &[CALLS, MAKING].concat(), 3, "newer format");
}

#[test]
fn a_damaged_catalog_is_said_and_left_as_evidence() {
    let world = World::new();
    world.ok(&["set", "a/b", "1"]);
    let path = world.path("data/MANIFEST");
    let mut manifest = std::fs::read(&path).expect("read");
    manifest[20] ^= 1;
    std::fs::write(&path, manifest).expect("written");
    all_refuse(&world, &[CALLS, MAKING].concat(), 4, "`savehold repair --to NEW_DIR --report FILE`");
}

fn a_damaged_value_closes_one_version_and_not_the_store(world: World) {
    world.ok(&["set", "a/1", "\"sound\""]);
    let older = world.ok(&["set", "a/2", "\"before\""]);
    world.ok(&["set", "a/2", "\"unmistakable\""]);
    world.ok(&["set", "a/3", "3"]);
    let file = world.damage("unmistakable");
    let said = world.refused(&["get", "a/2"], 4);
    let name = file.file_name().expect("a name").to_string_lossy().into_owned();
    for part in ["a/2", &name, "offset", &format!("--at {}`", older.trim())] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(world.call(&["get", "a/2", "--at", older.trim()]).out, "\"before\"\n");
    for words in [&["dump", "--format", "jsonl"][..], &["list", "a", "--values", "--format", "jsonl"]] {
        let rest = world.call(words);
        assert_eq!((rest.code, rest.out.lines().count()), (4, 2), "{rest:?}");
        assert!(rest.err.contains("a/2") && rest.err.contains("1 of the values cannot be read"), "{rest:?}");
    }
    assert_eq!(world.ok(&["history", "a/2", "--format", "jsonl"]).lines().count(), 2);
}

#[test]
fn a_store_whose_holder_does_not_answer_is_busy_and_the_holder_is_named() {
    let world = World::new();
    let held = Options::new().control(Control::Off).open(world.store()).expect("opened");
    let said = world.refused(&["get", "a/b"], 5);
    assert!(said.contains(&format!("process {}", std::process::id())), "{said}");
    assert!(said.contains("does not answer"), "{said}");
    held.close().expect("closed");
    world.refused(&["get", "a/b"], 7);
}

#[test]
fn a_socket_that_a_killed_holder_left_behind_is_nobody() {
    let world = World::new();
    let left = std::os::unix::net::UnixListener::bind(world.path("data/CONTROL")).expect("bound");
    drop(left); // the name stays, as after a kill
    world.ok(&["set", "a/b", "1"]);
    assert_eq!(world.call(&["get", "a/b"]).way, Some(Way::Alone));
    let held = Store::open(world.store()).expect("opened");
    assert_eq!(
        savehold::control::Client::connect(world.store()).expect("asked").map(|c| c.pid()),
        Some(u64::from(std::process::id()))
    );
    held.close().expect("closed");
    assert!(!world.path("data/CONTROL").exists());
}

#[test]
fn every_verb_says_which_way_it_came_to_the_store_and_gives_it_up_at_once() {
    let alone = World::new();
    alone.ok(&["set", "a/b", "1"]);
    alone.write("one.jsonl", "{\"key\":\"a/b\",\"value\":1}\n");
    let verbs = [CALLS, &[&["load", "one.jsonl"], &["stat", "--recoveries"], &["sessions"]]].concat();
    for words in &verbs {
        assert_eq!(alone.call(words).way, Some(Way::Alone), "{words:?}");
        Options::new()
            .lock_wait(Duration::ZERO)
            .open(alone.store())
            .expect("given up")
            .close()
            .expect("closed");
    }
    let beside = World::held();
    beside.ok(&["set", "a/b", "1"]);
    beside.write("one.jsonl", "{\"key\":\"a/b\",\"value\":1}\n");
    for words in &verbs {
        assert_eq!(beside.call(words).way, Some(Way::Beside), "{words:?}");
    }
}

#[test]
fn verbs_that_read_every_byte_say_that_a_process_has_the_store_and_what_to_do() {
    let world = World::held();
    for words in [&["verify"][..], &["repair", "--to", "data.new", "--report", "lost.jsonl"]] {
        let said = world.refused(words, 5);
        let process = format!("process {}", std::process::id());
        assert!(said.contains(&process) && said.contains("stop it first"), "{words:?}: {said}");
    }
    assert!(!world.path("data.new").exists() && !world.path("lost.jsonl").exists());
    assert!(world.refused(&["init"], 7).contains("holds a store already"));
}

#[test]
fn a_second_init_says_so_and_changes_nothing() {
    let world = World::new();
    world.ok(&["set", "a/b", "1"]);
    let before = files(&world.store());
    assert!(world.refused(&["init"], 7).contains("holds a store already"));
    assert_eq!(files(&world.store()), before);
    assert_eq!(
        world.ok(&["init", "--dir", "deep/er/one", "--format", "json"]),
        "{\"dir\":\"deep/er/one\"}\n"
    );
    world.ok(&["list", "--dir", "deep/er/one"]);
}

fn names_of_the_stores_own_and_moments_that_are_none_are_refused(world: World) {
    assert!(world.refused(&["set", "$set/x", "1"], 2).contains("the store's own"));
    assert!(world.refused(&["get", "a/b", "--at", "before update"], 7).contains("no pin"));
    assert!(world.refused(&["get", "a/b", "--at", "2999-01-01 00:00"], 2).contains("ahead"));
    world.ok(&["set", "a/b", "1"]);
    assert!(world.refused(&["get", "a/b", "--at", "1.2"], 7).contains("no version 1.2"));
    let over = "m=".to_owned() + &"x".repeat(5000);
    assert!(world.refused(&["set", "a/b", "1", "--meta", &over], 2).contains("4096"));
}

#[test]
fn a_place_where_no_directory_can_be_made_is_an_error_and_no_crash() {
    let world = World::empty();
    for dir in ["/proc/savehold", "/proc/a/b"] {
        assert!(world.refused(&["init", "--dir", dir], 1).contains("making /proc/"), "{dir}");
    }
}
