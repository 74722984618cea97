//! `backup`, `restore`, `revert` and `check`: a night on call.

use serde_json::Value;

use crate::world::World;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// A store with three players, as of the version that is returned, then one of them ruined; backed up twice.
fn world() -> (World, String) {
    let world = World::new();
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
    assert!(world.ok(&["backup", "verify", "backups"]).contains("every backup is as it was written"));
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

#[test]
fn a_drill_compares_with_the_store_and_pruning_keeps_what_is_needed() {
    let (world, _) = world();
    let drilled = json(&world.ok(&["backup", "drill", "backups", "--to", "scratch", "--format", "json"]));
    assert_eq!((&drilled["same"], &drilled["keys"]), (&true.into(), &3.into()), "{drilled}");
    let dry = world.ok(&["backup", "prune", "backups", "--keep-last", "1", "--dry-run", "--format", "json"]);
    assert_eq!(json(&dry)["pruned"], Value::from(vec!["1"]), "{dry}");
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
    assert!(refused.contains(".piece") && refused.contains("nothing was restored"), "{refused}");
}

#[test]
fn a_revert_names_what_it_undoes_and_does_it_once() {
    let (world, then) = world();
    let dry = world.call(&["revert", "players", "--to", &then, "--dry-run", "--format", "json"]);
    assert!(dry.code == 0 && dry.err.contains("set 1 keys of players back, undoing 1 receipts"), "{dry:?}");
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
}
