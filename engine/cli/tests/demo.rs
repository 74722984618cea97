//! The demo as a shell sees it: servers that are really killed, and a store that loses nothing.

use std::process::{Command, Output, Stdio};

fn demo(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_savehold"))
        .arg("demo")
        .args(words)
        .env_remove("SAVEHOLD_DIR")
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("savehold writes UTF-8")
}

#[test]
fn five_kills_lose_nothing_and_double_nothing() {
    let answer = demo(&["--seconds", "3", "--players", "50", "--kills", "5", "--format", "json"]);
    assert_eq!((answer.status.code(), text(&answer.stderr)), (Some(0), ""));
    let told: serde_json::Value = serde_json::from_slice(&answer.stdout).expect("one object");
    assert_eq!((&told["lost"], &told["duplicated"], &told["kills"]), (&0.into(), &0.into(), &5.into()));
    assert!(told["acknowledged"].as_u64() > Some(0), "{told}");
    assert!(told["ambiguous_resolved"].is_u64(), "{told}");
    assert_eq!(told["restored"], true, "the deleted store came back: {told}");
    assert!(told["fenced"].as_u64() > Some(0), "players went from room to room: {told}");
    assert!(told["recovery_ms_median"].as_f64() <= told["recovery_ms_max"].as_f64(), "{told}");
    assert_eq!(text(&answer.stdout).lines().count(), 1);
}

#[test]
fn a_named_directory_stays_and_is_never_one_that_was_there() {
    let temp = tempfile::tempdir().expect("a temporary directory");
    let dir = temp.path().join("played");
    let words = ["--seconds", "1", "--players", "10", "--kills", "1", "--dir", dir.to_str().unwrap()];
    let answer = demo(&words);
    let said = text(&answer.stdout);
    assert_eq!((answer.status.code(), text(&answer.stderr)), (Some(0), ""), "{said}");
    for part in [
        "lost          0\n",
        "duplicated    0\n",
        "Five seconds earlier",
        "Restored as of",
        "savehold stat --dir",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(
        savehold::Store::open(&dir).expect("it stays").collections().unwrap().contains(&"players".to_owned())
    );

    let again = demo(&words);
    assert_eq!((again.status.code(), text(&again.stdout)), (Some(2), ""));
    assert!(text(&again.stderr).contains("exists already"), "{}", text(&again.stderr));
}
