//! Words that do not belong: unfinished work, places on somebody's machine, `unsafe` outside its room; and files
//! that have grown over one noun.

use support::source::{Source, sources};
use support::tokens::tokens;

/// Lines that a source file may have; most have a hundred or two.
const LINES_MAX: usize = 500;

/// The one room that may hold `unsafe`.
const UNSAFE_ROOM: &str = "wal/src/raw.rs";

/// Texts that no file may hold, in two halves, so that this list does not find itself.
const STRANGERS: [(&str, &str); 8] = [
    ("/wo", "rk/"),
    ("/ro", "ot/"),
    ("/ho", "me/"),
    ("/Us", "ers/"),
    ("to", "do!("),
    ("unimple", "mented!("),
    ("#[ig", "nore"),
    ("FIX", "ME"),
];

#[test]
fn no_source_file_has_over_500_lines() {
    super::expect_none("one noun a file, at most 500 lines", &overgrown(&sources()));
}

#[test]
fn nothing_is_left_unfinished_or_tied_to_one_machine() {
    super::expect_none("words that do not belong", &strangers(&sources()));
}

#[test]
fn unsafe_stands_in_its_room_only() {
    super::expect_none("`unsafe` stands in wal/src/raw.rs only", &unsafe_outside(&sources()));
}

fn overgrown(all: &[Source]) -> Vec<String> {
    let exempt = |path: &str| path.split('/').any(|part| matches!(part, "tests" | "tests.rs" | "benches"));
    let judged = all.iter().filter(|s| s.is("rs") && !exempt(&s.path));
    let counted = judged.map(|s| (&s.path, s.text.lines().count()));
    counted
        .filter(|(_, lines)| *lines > LINES_MAX)
        .map(|(path, lines)| format!("{path}: {lines} lines"))
        .collect()
}

fn strangers(all: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in
        all.iter().filter(|s| s.is("rs") || s.is("toml") || s.is("md") || s.path.starts_with(".ci/"))
    {
        for (number, line) in source.text.lines().enumerate() {
            let found = STRANGERS.iter().map(|(a, b)| format!("{a}{b}")).find(|word| line.contains(word));
            findings.extend(found.map(|word| format!("{}:{}: {word}", source.path, number + 1)));
        }
    }
    findings
}

fn unsafe_outside(all: &[Source]) -> Vec<String> {
    let judged = all.iter().filter(|s| s.is("rs") && s.path != UNSAFE_ROOM);
    let found =
        judged.flat_map(|s| tokens(&s.text).into_iter().filter(|t| t.text == "unsafe").map(move |t| (s, t)));
    found.map(|(source, token)| format!("{}:{}", source.path, token.line)).collect()
}

#[test]
fn an_overgrown_file_is_caught() {
    for (path, lines, caught) in [
        ("engine/src/a.rs", 500, false),
        ("engine/src/a.rs", 501, true),
        ("engine/src/a/tests.rs", 501, false),
        ("tests/crash/a.rs", 501, false),
        ("benches/write.rs", 501, false),
        ("README.md", 501, false),
    ] {
        let text = "x\n".repeat(lines);
        assert_eq!(!overgrown(&[Source::new(path, &text)]).is_empty(), caught, "{path}: {lines}");
    }
}

#[test]
fn every_stranger_is_caught_where_it_may_hide() {
    for (first, second) in STRANGERS {
        let text = format!("fine\nnot {first}{second} fine\n");
        for path in ["wal/src/a.rs", "Cargo.toml", "README.md", ".ci/run"] {
            let found = strangers(&[Source::new(path, &text)]);
            assert_eq!(found, [format!("{path}:2: {first}{second}")]);
        }
    }
    assert!(strangers(&[Source::new("a.rs", "network/ wor k/ roots/ Fix me ignore")]).is_empty());
}

#[test]
fn unsafe_in_a_comment_or_a_lint_name_is_no_finding() {
    for (path, text, caught) in [
        ("wal/src/a.rs", "fn f() { unsafe { g() } }", true),
        ("wal/src/a.rs", "unsafe impl Send for X {}", true),
        ("wal/src/raw.rs", "fn f() { unsafe { g() } }", false),
        ("wal/src/a.rs", "// unsafe\n#![deny(unsafe_code)] const S: &str = \"unsafe\";", false),
    ] {
        assert_eq!(!unsafe_outside(&[Source::new(path, text)]).is_empty(), caught, "{path}: {text}");
    }
}
