//! Two game servers and the process that has the store, as processes: `examples/fleet` run as it is, which checks what it
//! shows.

use std::path::PathBuf;
use std::process::Command;

/// The example, built beside this test.
fn fleet() -> PathBuf {
    let test = std::env::current_exe().expect("a path");
    let built =
        test.parent().and_then(|deps| deps.parent()).expect("a target directory").join("examples/fleet");
    if !built.exists() {
        let cargo = Command::new(env!("CARGO"))
            .args(["build", "--profile", "test", "--package", "savehold", "--example", "fleet"])
            .status();
        assert!(cargo.expect("cargo runs").success(), "the example builds");
    }
    built
}

#[test]
fn a_game_server_that_slept_past_its_lease_is_fenced_learns_why_and_no_coin_is_lost_or_doubled() {
    let shown = Command::new(fleet()).output().expect("it runs");
    let (said, errors) = (String::from_utf8_lossy(&shown.stdout), String::from_utf8_lossy(&shown.stderr));
    assert!(shown.status.success(), "{said}\n{errors}");
    for part in ["red was fenced", "learnt why: ", "blue hands him over", "is there, once, in order"] {
        assert!(said.contains(part), "{part}: {said}\n{errors}");
    }
}
