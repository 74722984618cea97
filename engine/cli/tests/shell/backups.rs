//! `backup`, `restore`, `revert` and `check`: a night on call.

use serde_json::Value;

use crate::world::{World, files};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// A store with three players, as of the version that is returned, then one of them ruined; backed up twice.
fn world() -> (World, String) {
    ruined(World::new())
}

fn ruined(world: World) -> (World, String) {
    for (key, value) in [("players/1", "100"), ("players/2", "200"), ("players/3", "300")] {
        world.ok(&["set", key, value]);
    }
    world.ok(&["backup", "make", "backups"]);
    let then = json(&world.ok(&["get", "players/3", "--format", "json"]));
    world.ok(&["set", "players/1", "0", "--id", "receipt-7"]);
    world.ok(&["backup", "make", "backups"]);
    (world, then["version"].as_str().unwrap().to_owned())
}

#[test]
fn backups_are_made_listed_verified_and_restored() {
    let (world, then) = world();
    let listed = json(&world.ok(&["backup", "list", "backups", "--format", "json"]));
    assert_eq!(listed.as_array().unwrap().len(), 2, "{listed}");
    assert_eq!((&listed[0]["backup"], &listed[1]["state"]), (&"1".into(), &"whole".into()));
    let verified = world.ok(&["backup", "verify", "backups"]);
    assert!(verified.contains("every backup is as it was written") && !verified.contains("[]"), "{verified}");
    let dry = &["restore", "backups", "--to", "new", "--at", &then, "--dry-run", "--format", "json"];
    let lost = json(&world.ok(dry));
    assert_eq!(
        (&lost["lost_commits"], &lost["receipts"][0]["id"]),
        (&1.into(), &"receipt-7".into()),
        "{lost}"
    );
    assert!(!world.path("new").exists());
    let done = json(&world.ok(&["restore", "backups", "--to", "new", "--at", &then, "--format", "json"]));
    assert_eq!((&done["lost_keys"], &done["kept"]), (&1.into(), &Value::Null), "{done}");
    assert_eq!(world.ok(&["get", "players/1", "--dir", "new"]).trim(), "100");
    assert_eq!(world.ok(&["get", "players/1"]).trim(), "0");
    let refused = world.refused(&["restore", "backups", "--to", "new"], 2);
    assert!(refused.contains("name a new directory"), "{refused}");
    let gone = world.refused(&["restore", "backups", "--to", "newer", "--at", "3.4096"], 7);
    assert!(gone.contains("backup 2 holds"), "{gone}");
}

#[test]
fn a_store_is_set_back_where_it_stands() {
    let (world, then) = world();
    let refused = world.refused(&["restore", "backups", "--in-place", "--at", &then], 2);
    assert!(refused.contains("--yes"), "{refused}");
    let done =
        json(&world.ok(&["restore", "backups", "--in-place", "--at", &then, "--yes", "--format", "json"]));
    assert_eq!(world.ok(&["get", "players/1"]).trim(), "100");
    let kept = done["kept"].as_str().unwrap();
    assert_eq!(world.ok(&["get", "players/1", "--dir", kept]).trim(), "0");
}

/// The new one would stand where the old one did, and the shell go on in the old one.
#[test]
fn a_store_is_not_set_back_under_the_feet_of_whoever_asks() {
    let (world, then) = world();
    let backups = world.path("backups");
    let call = [
        "restore",
        backups.to_str().unwrap(),
        "--in-place",
        "--at",
        &then,
        "--yes",
        "--format",
        "json",
        "--dir",
    ];
    let before = files(&world.path(""));
    for (here, dir) in [("data", "."), ("data", "../data"), ("data/log", "..")] {
        let ended =
            world.command(&[&call[..], &[dir]].concat()).current_dir(world.path(here)).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{said}");
        assert!(said.contains("from another directory"), "{said}");
        assert_eq!(files(&world.path("")), before, "{dir} in {here} left something behind");
    }
    let beside = world.command(&[&call[..], &["../data"]].concat()).current_dir(&backups).output().unwrap();
    assert_eq!(beside.status.code(), Some(0), "{beside:?}");
    assert_eq!(world.ok(&["get", "players/1"]).trim(), "100");
}

#[test]
fn a_drill_compares_with_the_store_and_pruning_keeps_what_is_needed() {
    let (world, _) = world();
    let drilled = json(&world.ok(&["backup", "drill", "backups", "--to", "scratch", "--format", "json"]));
    assert_eq!((&drilled["same"], &drilled["keys"]), (&true.into(), &3.into()), "{drilled}");
    let dry = world.ok(&["backup", "prune", "backups", "--keep-last", "1", "--dry-run", "--format", "json"]);
    assert_eq!(json(&dry)["pruned"], Value::from(vec!["1"]), "{dry}");
    let table = world.ok(&["backup", "prune", "backups", "--keep-last", "1", "--dry-run"]);
    assert!(table.lines().any(|line| line.split_whitespace().eq(["Given", "up", "1"])), "{table}");
    world.refused(&["backup", "prune", "backups", "--keep-last", "1"], 2);
    world.ok(&["backup", "prune", "backups", "--keep-last", "1", "--yes"]);
    assert_eq!(
        json(&world.ok(&["backup", "list", "backups", "--format", "json"])).as_array().unwrap().len(),
        1
    );
    world.ok(&["backup", "verify", "backups"]);
    let piece = std::fs::read_dir(world.path("backups/pieces")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&piece).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&piece, bytes).unwrap();
    let ended = world.call(&["backup", "verify", "backups"]);
    assert_eq!(ended.code, 4, "{ended:?}");
    assert!(ended.err.contains("its checksum is wrong"), "{ended:?}");
    let refused = world.refused(&["restore", "backups", "--to", "new"], 4);
    assert!(
        refused.contains("its checksum is wrong") && refused.contains("nothing was restored"),
        "{refused}"
    );
    assert!(refused.contains("backups/pieces/") && refused.contains("savehold backup verify"), "{refused}");
}

#[test]
fn two_moments_of_a_backup_are_compared_without_the_store() {
    let (world, then) = world();
    let call = ["diff", "players", "--from", &then, "--backups", "backups", "--format", "json"];
    std::fs::remove_dir_all(world.path("data")).unwrap();
    let found = json(&world.ok(&call));
    assert_eq!(
        (&found[0]["key"], &found[0]["old"], &found[0]["new"]),
        (&"players/1".into(), &100.into(), &0.into())
    );
    assert_eq!(found.as_array().unwrap().len(), 1, "{found}");
}

#[test]
fn a_compressed_backup_is_one_like_any_other() {
    let world = World::new();
    world.ok(&["set", "players/1", &format!("\"{}\"", "again and ".repeat(500))]);
    let made = json(&world.ok(&["backup", "make", "backups", "--compress", "--format", "json"]));
    assert!(made["copied_bytes"].as_u64() < made["held_bytes"].as_u64(), "{made}");
    world.ok(&["backup", "verify", "backups"]);
    world.ok(&["restore", "backups", "--to", "new"]);
    assert!(world.ok(&["get", "players/1", "--dir", "new"]).contains("again and again"));
}

#[test]
fn a_pin_is_a_moment_that_a_backup_knows() {
    let (world, then) = world();
    world.ok(&["set", "players/2", "5"]);
    world.ok(&["pin", "before 2.0", "--at", &then]);
    world.ok(&["backup", "make", "backups"]);
    let listed = json(&world.ok(&["backup", "list", "backups", "--format", "json"]));
    assert_eq!(listed[2]["pins"][0]["name"], "before 2.0", "{listed}");
    world.ok(&["restore", "backups", "--to", "new", "--at", "pin:before 2.0"]);
    assert_eq!(world.ok(&["get", "players/1", "--dir", "new"]).trim(), "100");
    let unknown = world.refused(&["restore", "backups", "--to", "newer", "--at", "pin:never"], 7);
    assert!(unknown.contains("knows a pin \"never\""), "{unknown}");
}

/// Run on a store that nobody has, and beside a process that has it.
fn chosen_keys_come_back_into_the_live_store(world: World) {
    for (key, value) in [("players/1", "100"), ("players/12", "200"), ("players/2", "300")] {
        world.ok(&["set", key, value]);
    }
    world.ok(&["backup", "make", "backups"]);
    for key in ["players/1", "players/12", "players/13", "players/2"] {
        world.ok(&["set", key, "0"]);
    }
    let call = ["restore", "backups", "--keys-of", "players", "--prefix", "1"];
    let dry = json(&world.ok(&[&call[..], &["--dry-run", "--format", "json"]].concat()));
    assert_eq!((&dry["written"], &dry["removed"]), (&2.into(), &0.into()), "{dry}");
    assert_eq!(world.ok(&["get", "players/1"]).trim(), "0");
    let refused = world.refused(&call, 2);
    assert!(refused.contains("--yes"), "{refused}");
    let done = json(&world.ok(&[&call[..], &["--yes", "--format", "json"]].concat()));
    assert_eq!(done["written"], 2, "{done}");
    assert_eq!(world.ok(&["get", "players/12"]).trim(), "200");
    assert_eq!(world.ok(&["get", "players/2"]).trim(), "0", "it was not chosen");
    assert_eq!(world.ok(&["get", "players/13"]).trim(), "0", "the backup never knew it");
    world.write("keys.txt", "2\n");
    world.ok(&["restore", "backups", "--keys-of", "players", "--keys-from", "keys.txt", "--yes"]);
    assert_eq!(world.ok(&["get", "players/2"]).trim(), "300");
}

crate::world::both_ways!(
    chosen_keys_come_back_into_the_live_store,
    a_revert_names_what_it_undoes_and_does_it_once,
    a_revert_says_how_many_keys_it_removes_and_that_its_moment_is_before_the_store,
);

fn a_revert_names_what_it_undoes_and_does_it_once(world: World) {
    let (world, then) = ruined(world);
    let dry = world.call(&["revert", "players", "--to", &then, "--dry-run", "--format", "json"]);
    assert!(
        dry.code == 0
            && dry.err.contains(
                "set 1 keys of players back and remove 0 (0 in play, handed off first), undoing 1 receipts"
            ),
        "{dry:?}"
    );
    assert_eq!(json(&dry.out)[0]["version"], Value::Null);
    assert_eq!(world.ok(&["get", "players/1"]).trim(), "0");
    world.refused(&["revert", "players", "--to", &then], 2);
    let done = json(&world.ok(&["revert", "players", "--to", &then, "--yes", "--format", "json"]));
    assert_eq!(done[0]["key"], "players/1", "{done}");
    assert_eq!(done[0]["receipts"], Value::from(vec!["receipt-7"]), "{done}");
    assert_eq!(world.ok(&["get", "players/1"]).trim(), "100");
    world.write("keys.txt", "2\n3\n");
    let none = world.ok(&["revert", "players", "--to", &then, "--keys-from", "keys.txt", "--format", "json"]);
    assert_eq!(none.trim(), "[]");
}

fn a_revert_says_how_many_keys_it_removes_and_that_its_moment_is_before_the_store(world: World) {
    world.ok(&["set", "notes/1", "1"]);
    let then = world.ok(&["set", "notes/2", "2"]);
    world.ok(&["set", "notes/1", "3"]);
    world.ok(&["set", "notes/3", "3"]);
    let some = world.call(&["revert", "notes", "--to", then.trim(), "--dry-run"]);
    assert!(some.err.contains("would set 1 keys of notes back and remove 1 ("), "{some:?}");
    assert!(!some.err.contains("before the first commit"), "{some:?}");
    let all = world.call(&["revert", "notes", "--to", "-1d", "--dry-run"]);
    assert!(all.err.contains("would set 0 keys of notes back and remove 3 ("), "{all:?}");
    assert!(all.err.contains("before the first commit of this store"), "{all:?}");
}

#[test]
fn a_file_of_keys_that_is_not_plain_utf_8_is_refused_and_not_read_as_other_keys() {
    let (world, then) = world();
    let utf_16: Vec<u8> = "\u{feff}1\r\n2\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let cases: [(&[u8], &str); 4] = [
        (b"\xef\xbb\xbf1\n2\n", "line 1: it begins with a byte order mark"),
        (b"2\n\xef\xbb\xbf1\n", "line 2: it begins with a byte order mark"),
        (&utf_16, "line 1: it is no UTF-8 text"),
        (b"2\nj\xfcrgen\n", "line 2: it is no UTF-8 text"),
    ];
    for (bytes, part) in cases {
        world.write("keys.txt", bytes);
        for call in [
            &["restore", "backups", "--keys-of", "players", "--keys-from", "keys.txt", "--yes"][..],
            &["revert", "players", "--to", &then, "--keys-from", "keys.txt", "--yes"],
        ] {
            let said = world.refused(call, 2);
            assert!(said.contains(part) && said.contains("as UTF-8"), "{call:?}: {said}");
        }
    }
}

#[test]
fn check_says_by_its_code_whether_anything_needs_a_person() {
    let (world, _) = world();
    let free = ["--free", "1"];
    let fine = world.call(&[&["check", "--backups", "backups", "--format", "json"][..], &free].concat());
    assert_eq!(fine.code, 0, "{fine:?}");
    assert_eq!(json(&fine.out).as_array().unwrap().len(), 3, "{fine:?}");
    let old = world.call(&[&["check", "--backups", "backups", "--backup-age", "1us"][..], &free].concat());
    assert_eq!(old.code, 2, "{old:?}");
    let none = world.call(&[&["check", "--backups", "nowhere"][..], &free].concat());
    assert!(none.code == 2 && none.out.contains("there is no backup"), "{none:?}");
    assert!(world.refused(&["backup", "list", "nowhere"], 3).contains("run `savehold backup make`"));
}
