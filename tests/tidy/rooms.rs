//! The modules of a crate stand in `lib.rs` in the order of dependence, and each says what kind of room it is.

use std::collections::{HashMap, HashSet};

use support::source::{Source, sources};
use support::tokens::{Token, begins, tokens, without_tests};

/// The crates whose rooms stand in order, by the folder of their sources.
const CRATES: [&str; 3] = ["wal/src/", "engine/src/", "engine/cli/src/"];

#[test]
fn a_room_uses_only_rooms_above_it() {
    let all = sources();
    let findings: Vec<String> = CRATES.iter().flat_map(|folder| upward_paths(folder, &all)).collect();
    super::expect_none("a module uses only modules declared above it in lib.rs", &findings);
}

#[test]
fn the_log_does_not_name_the_engine() {
    super::expect_none("the log knows no engine", &names_of_the_engine(&sources()));
}

#[test]
fn profiles_see_the_store_through_one_room() {
    let say = "rooms of profiles name nothing that their `ground` stands for";
    super::expect_none(say, &past_the_ground(&sources()));
}

#[test]
fn every_room_says_of_which_kind_it_is() {
    super::expect_none(
        "the first doc line begins with Pure:, Door: or Corridor:",
        &unnamed_kinds(&sources()),
    );
}

/// The room of a file: `wal/src/vfs/os.rs` is in the room `vfs`; `None` for `lib.rs`, `main.rs` and test files.
fn room<'a>(folder: &str, path: &'a str) -> Option<&'a str> {
    let inside = path.strip_prefix(folder)?.strip_suffix(".rs")?;
    let tests = inside.split('/').any(|part| part == "tests");
    let first = inside.split('/').next()?;
    (!tests && !matches!(inside, "lib" | "main") && !inside.starts_with("bin/")).then_some(first)
}

/// Modules below the root of the crate at which the file's own text stands.
fn depth(folder: &str, path: &str) -> usize {
    let inside = path[folder.len()..].trim_end_matches(".rs");
    inside.trim_end_matches("/mod").split('/').count()
}

/// What `lib.rs` says: the place of each module, the modules that only test builds have, and for each name used from
/// the root the module it comes from.
struct Map {
    places: HashMap<String, usize>,
    for_tests: HashSet<String>,
    homes: HashMap<String, String>,
}

fn map(lib: &str) -> Map {
    let whole = tokens(lib);
    let tokens = without_tests(&whole);
    let (mut places, mut homes) = (HashMap::new(), HashMap::new());
    for (at, token) in tokens.iter().enumerate() {
        let rest = &tokens[at + 1..];
        if token.text == "mod" && rest.len() > 1 && rest[1].text == ";" {
            places.insert(rest[0].text.clone(), places.len());
        } else if token.text == "use" {
            let end = rest.iter().position(|t| t.text == ";").unwrap_or(rest.len());
            let path: Vec<&Token> =
                rest[..end].iter().filter(|t| t.text != "crate" && t.text != "self").collect();
            let Some(home) = path.iter().find(|t| is_word(t)) else { continue };
            for name in path.iter().filter(|t| is_word(t)) {
                homes.entry(name.text.clone()).or_insert_with(|| home.text.clone());
            }
        }
    }
    let declared =
        whole.windows(3).filter(|w| w[0].text == "mod" && w[2].text == ";").map(|w| w[1].text.clone());
    let for_tests = declared.filter(|name| !places.contains_key(name)).collect();
    Map { places, for_tests, homes }
}

fn is_word(token: &Token) -> bool {
    token.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn upward_paths(folder: &str, all: &[Source]) -> Vec<String> {
    let Some(lib) = all.iter().find(|s| s.path == format!("{folder}lib.rs")) else { return Vec::new() };
    let map = map(&lib.text);
    let mut findings = Vec::new();
    for source in all {
        let Some(room) = room(folder, &source.path).filter(|room| !map.for_tests.contains(*room)) else {
            continue;
        };
        let Some(own) = map.places.get(room).copied() else {
            if source.path.starts_with(folder) {
                findings.push(format!("{}: no `mod {room};` in lib.rs", source.path));
            }
            continue;
        };
        let words = without_tests(&tokens(&source.text));
        for (name, line) in names_from_root(&words, depth(folder, &source.path)) {
            let home = if map.places.contains_key(&name) { Some(&name) } else { map.homes.get(&name) };
            match home.and_then(|home| map.places.get(home)) {
                Some(place) if *place <= own => {}
                Some(_) => findings
                    .push(format!("{}:{line}: {room} uses {name}, which stands below it", source.path)),
                None if home.is_some() => {} // from another crate, by way of our root
                None => findings.push(format!("{}:{line}: {name} is no module of lib.rs", source.path)),
            }
        }
    }
    findings
}

/// Every name that stands right below the root in a path that begins with `crate`, or with enough `super`s to reach
/// the root. Macros by name (`crate::seed!`) are left out: their order is the compiler's.
fn names_from_root(words: &[Token], file_depth: usize) -> Vec<(String, usize)> {
    let (mut names, mut braces, mut inline) = (Vec::new(), 0_usize, Vec::new());
    let mut at = 0;
    while at < words.len() {
        match words[at].text.as_str() {
            "{" => braces += 1,
            "}" => {
                braces = braces.saturating_sub(1);
                inline.retain(|open| *open < braces);
            }
            "mod" if words.get(at + 2).is_some_and(|t| t.text == "{") => inline.push(braces),
            "super" => {
                let supers = words[at..].chunks(3).take_while(|c| begins(c, &["super", ":", ":"])).count();
                if supers == file_depth + inline.len() {
                    names_at(&words[at + 3 * supers..], &mut names);
                }
                at += 3 * supers.max(1);
                continue;
            }
            "crate" if begins(&words[at + 1..], &[":", ":"]) => names_at(&words[at + 3..], &mut names),
            _ => {}
        }
        at += 1;
    }
    names
}

/// The first name of a path, or the first name of each branch of a `{…}` of paths.
fn names_at(words: &[Token], names: &mut Vec<(String, usize)>) {
    let is_macro = |at: usize| words.get(at + 1).is_some_and(|t| t.text == "!");
    if words.first().is_some_and(is_word) && !is_macro(0) {
        names.push((words[0].text.clone(), words[0].line));
    }
    if words.first().is_none_or(|t| t.text != "{") {
        return;
    }
    let (mut deep, mut branch_begins) = (0_usize, false);
    for (at, word) in words.iter().enumerate() {
        match word.text.as_str() {
            "{" => {
                deep += 1;
                branch_begins = deep == 1;
            }
            "}" if deep == 1 => return,
            "}" => deep -= 1,
            "," => branch_begins = deep == 1,
            _ if branch_begins => {
                branch_begins = false;
                if is_word(word) && !is_macro(at) && word.text != "self" {
                    names.push((word.text.clone(), word.line));
                }
            }
            _ => {}
        }
    }
}

fn names_of_the_engine(all: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in all.iter().filter(|s| s.path.starts_with("wal/")) {
        if source.is("rs") {
            let named = tokens(&source.text).into_iter().filter(|t| t.text == "savehold");
            findings.extend(named.map(|t| format!("{}:{}: savehold", source.path, t.line)));
        } else if source.path == "wal/Cargo.toml" {
            let named =
                source.text.lines().filter(|l| l.starts_with("savehold") && !l.starts_with("savehold-wal"));
            findings.extend(named.map(|l| format!("{}: {l}", source.path)));
        }
    }
    findings
}

/// Rooms of the engine that only the ground of profiles may name.
const BEHIND_THE_GROUND: [&str; 7] = ["core", "draft", "fence", "index", "leases", "modify", "table"];

/// What of those rooms is values only, and no way to the store.
const VALUES: [&str; 2] = ["Wanted", "VersionInfo"];

fn past_the_ground(all: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    let rooms = all.iter().filter(|s| s.path.starts_with("engine/src/profile/") && s.is("rs"));
    for source in rooms.filter(|s| !s.path.ends_with("/ground.rs") && !s.path.contains("tests")) {
        let tokens = tokens(&source.text);
        for (at, token) in tokens.iter().enumerate().filter(|(_, t)| BEHIND_THE_GROUND.contains(&&*t.text)) {
            let before: String = tokens[at.saturating_sub(3)..at].iter().map(|t| &*t.text).collect();
            let behind = tokens[at + 1..].iter().find(|t| is_word(t)).map(|t| &*t.text);
            let reaches = before.ends_with('.') || before.ends_with("crate::");
            if reaches && !behind.is_some_and(|name| VALUES.contains(&name)) {
                findings.push(format!("{}:{}: {}", source.path, token.line, token.text));
            }
        }
    }
    findings
}

fn unnamed_kinds(all: &[Source]) -> Vec<String> {
    let rooms = all.iter().filter(|s| CRATES.iter().any(|folder| room(folder, &s.path).is_some()));
    let silent = rooms.filter(|s| {
        let first = s.text.lines().next().unwrap_or_default();
        !["Pure: ", "Door: ", "Corridor: "].iter().any(|kind| first.starts_with(&format!("//! {kind}")))
    });
    silent.map(|s| format!("{}: {:?}", s.path, s.text.lines().next().unwrap_or_default())).collect()
}

#[test]
fn paths_to_rooms_below_are_caught_in_every_spelling() {
    let lib =
        "pub mod low; mod mid; pub(crate) mod high; #[cfg(test)] mod world; pub use high::{Up, Other as Top};
        pub use low::Down; pub use foreign::Thing;";
    for (path, text, caught) in [
        (
            "c/src/mid.rs",
            "use crate::low::X; use crate::mid::Y; use crate::{Down, low::{A, high}, mid};",
            false,
        ),
        ("c/src/mid.rs", "use crate::high::X;", true),
        ("c/src/mid.rs", "fn f() { crate::high::x() }", true),
        ("c/src/mid.rs", "use crate::{low::{A, B}, high::X};", true),
        ("c/src/mid.rs", "use crate::{low::{A, B}, low, \n high};", true),
        ("c/src/mid.rs", "use crate::Up;", true),
        ("c/src/mid.rs", "use crate::Top;", true),
        ("c/src/mid.rs", "use crate::Thing;", false),
        ("c/src/mid.rs", "use crate::nowhere::X;", true),
        ("c/src/mid.rs", "crate::seed!(); // crate::high\n const S: &str = \"crate::high\";", false),
        ("c/src/mid.rs", "use super::high::X;", true),
        ("c/src/mid.rs", "mod inner { use super::high; use super::super::low; }", false),
        ("c/src/mid.rs", "mod inner { use super::super::high; }", true),
        ("c/src/mid.rs", "mod inner { } use super::high;", true),
        ("c/src/mid/part.rs", "use super::high; use super::super::low;", false),
        ("c/src/mid/part.rs", "use super::super::high;", true),
        ("c/src/mid/mod.rs", "use super::high;", true),
        ("c/src/mid.rs", "#[cfg(test)] mod tests { use crate::high; }", false),
        ("c/src/mid/tests.rs", "use crate::high;", false),
        ("c/src/world.rs", "use crate::high;", false),
        ("c/src/forgotten.rs", "", true),
    ] {
        let all = [Source::new("c/src/lib.rs", lib), Source::new(path, text)];
        assert_eq!(!upward_paths("c/src/", &all).is_empty(), caught, "{path}: {text}");
    }
}

#[test]
fn a_log_that_names_the_engine_is_caught() {
    for (path, text, caught) in [
        ("wal/src/a.rs", "use savehold::Store;", true),
        ("wal/src/a.rs", "use savehold_wal::Wal; // not savehold\n", false),
        ("wal/Cargo.toml", "savehold.workspace = true", true),
        ("wal/Cargo.toml", "name = \"savehold-wal\"", false),
        ("engine/src/a.rs", "use savehold::Store;", false),
    ] {
        assert_eq!(!names_of_the_engine(&[Source::new(path, text)]).is_empty(), caught, "{path}: {text}");
    }
}

#[test]
fn a_room_of_profiles_that_reaches_past_its_ground_is_caught() {
    for (path, text, caught) in [
        ("engine/src/profile/a.rs", "use crate::core::Core;", true),
        ("engine/src/profile/a.rs", "use crate::table::Table;", true),
        ("engine/src/profile/a.rs", "use crate::table::VersionInfo; use crate::modify::Wanted;", false),
        ("engine/src/profile/a.rs", "fn f(store: &Store) { store.core.order.lock() }", true),
        ("engine/src/profile/a.rs", "// crate::core", false),
        ("engine/src/profile/ground.rs", "use crate::core::Core;", false),
        ("engine/src/a.rs", "use crate::core::Core;", false),
    ] {
        assert_eq!(!past_the_ground(&[Source::new(path, text)]).is_empty(), caught, "{path}: {text}");
    }
}

#[test]
fn a_room_that_hides_its_kind_is_caught() {
    for (path, text, caught) in [
        ("wal/src/a.rs", "//! Pure: a.\n", false),
        ("engine/src/a/b.rs", "//! Corridor: b.\n", false),
        ("wal/src/a.rs", "//! A room.\n//! Pure: too late.\n", true),
        ("wal/src/a.rs", "", true),
        ("wal/src/lib.rs", "//! The crate.\n", false),
        ("wal/src/a/tests.rs", "use super::*;", false),
        ("wal/benches/a.rs", "use x;", false),
    ] {
        assert_eq!(!unnamed_kinds(&[Source::new(path, text)]).is_empty(), caught, "{path}: {text}");
    }
}
