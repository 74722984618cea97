//! Messages name commands to run: each of them exists, with the options it is named with.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::world::World;

/// Every file of Rust below a directory.
fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a directory of sources") {
        let path = entry.expect("listed").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

/// What stands between backticks in text and begins with `savehold `; comments aside, long lines joined.
fn commands_in(source: &str) -> BTreeSet<String> {
    let code: Vec<&str> = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let joined = code.join("\n").replace("\\\n", "");
    let spans = joined.split('`').skip(1);
    spans
        .filter(|span| span.starts_with("savehold ") && !span.contains(['\n', '"']))
        .map(|span| span.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

fn named() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let rooms = ["wal/src", "engine/src", "engine/cli/src"].map(|dir| root.join(dir));
    let files = rooms.iter().flat_map(|dir| sources(dir)).filter(|path| !path.ends_with("tests.rs"));
    let text = |path: PathBuf| std::fs::read_to_string(path).expect("a source");
    files.flat_map(|path| commands_in(&text(path))).collect()
}

#[test]
fn every_command_that_a_message_names_exists_with_its_options() {
    let (world, named) = (World::empty(), named());
    for wanted in ["savehold init", "savehold verify", "savehold repair --to NEW_DIR --report FILE"] {
        assert!(named.contains(wanted), "{wanted} is no longer named: {named:?}");
    }
    for command in named {
        let words: Vec<&str> = command.split(' ').skip(1).collect();
        let verb = words.first().filter(|word| word.bytes().all(|b| b.is_ascii_lowercase()));
        let help = world.ok(&verb.into_iter().copied().chain(["--help"]).collect::<Vec<_>>());
        assert!(
            verb.is_some() || words == ["--help"] || words[0].starts_with('{'),
            "`{command}` names no verb"
        );
        for option in words.iter().filter(|word| word.starts_with("--") && **word != "--help") {
            assert!(
                help.contains(&format!("{option} ")) || help.contains(&format!("{option}\n")),
                "`{command}`: {option}"
            );
        }
    }
}

#[test]
fn commands_are_found_however_a_message_is_laid_out() {
    let source =
        "// `savehold nonsense`\nlet a = \"run `savehold \\\n    verify`, then `savehold repair --to X`\";";
    let found: Vec<String> = commands_in(source).into_iter().collect();
    assert_eq!(found, ["savehold repair --to X", "savehold verify"]);
}
