//! The binary as a shell sees it: what goes where, and how it ends.

use std::process::{Command, Output, Stdio};

/// What `savehold` does when called with these words, without SAVEHOLD_DIR.
fn savehold(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_savehold"))
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
fn help_and_version_are_answers() {
    for (words, part) in [
        (&["--help"][..], "Exit codes:"),
        (&["help", "get"], "savehold get players/42"),
        (&["bench", "commit", "--help"], "--in-flight"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
    ] {
        let answer = savehold(words);
        assert_eq!(answer.status.code(), Some(0), "{words:?}");
        assert!(text(&answer.stdout).contains(part), "{words:?}: {}", text(&answer.stdout));
        assert_eq!(text(&answer.stderr), "", "{words:?}");
    }
}

#[test]
fn a_call_without_a_verb_gets_the_help_and_no_success() {
    for words in [&[][..], &["bench"]] {
        let answer = savehold(words);
        assert_eq!(answer.status.code(), Some(2), "{words:?}");
        assert!(text(&answer.stderr).contains("Examples:") || text(&answer.stderr).contains("First steps:"));
        assert_eq!(text(&answer.stdout), "", "{words:?}");
    }
}

#[test]
fn a_wrong_call_is_one_line_on_standard_error() {
    for (words, line) in [
        (
            &["get", "players", "--dir", "data"][..],
            "savehold: invalid value 'players' for '<KEY>': a key is written collection/key, for example players/42; \
             see `savehold get --help`\n",
        ),
        (&["list"], "savehold: no store is named; name its directory with `--dir DIR` or in SAVEHOLD_DIR\n"),
        (
            &["get", "a/\u{1b}[2J\\", "--dir", "data"],
            "savehold: invalid value 'a/\\' for '<KEY>': the key \"\\u{1b}[2J\\\\\" has a backslash that stands for \
             nothing: write a byte as \\xNN and a backslash as \\\\; see `savehold get --help`\n",
        ),
    ] {
        let answer = savehold(words);
        assert_eq!(answer.status.code(), Some(2), "{words:?}");
        assert_eq!(text(&answer.stderr), line, "{words:?}");
        assert_eq!(text(&answer.stdout), "", "{words:?}");
    }
}

/// A short bench: its one JSON object has the three numbers that scripts look for.
fn bench(words: &[&str]) {
    let words = [&["bench"], words, &["--records", "300", "--seconds", "1", "--format", "json"]].concat();
    let answer = savehold(&words);
    assert_eq!(text(&answer.stderr), "", "{words:?}");
    let figure: serde_json::Value = serde_json::from_slice(&answer.stdout).expect("one JSON object");
    for member in ["value", "floor", "ratio"] {
        assert!(figure[member].as_f64().is_some_and(|n| n > 0.0), "{words:?}: {figure}");
    }
}

#[test]
fn bench_commit_tells_value_floor_and_ratio() {
    bench(&["commit", "--threads", "3", "--in-flight", "5"]);
}

#[test]
fn bench_update_tells_value_floor_and_ratio() {
    bench(&["update", "--threads", "3", "--hot", "--durability", "buffered"]);
}

#[test]
fn bench_replay_tells_value_floor_and_ratio() {
    bench(&["replay"]);
    bench(&["replay", "--threads", "3"]);
}

#[test]
fn bench_get_tells_value_floor_and_ratio() {
    bench(&["get", "--threads", "2"]);
}

#[test]
fn bench_open_tells_value_floor_and_ratio() {
    bench(&["open", "--value-size", "1KiB"]);
}

#[test]
fn bench_sessions_tells_value_floor_and_ratio() {
    bench(&["sessions", "--threads", "2"]);
}

#[test]
fn a_bench_leaves_what_exists_alone() {
    let here = env!("CARGO_MANIFEST_DIR");
    let answer = savehold(&["bench", "commit", "--dir", here]);
    assert_eq!(answer.status.code(), Some(2));
    assert!(text(&answer.stderr).contains("exists already"), "{}", text(&answer.stderr));
}
