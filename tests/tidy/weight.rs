//! What a program takes on with the library: few crates, no C, no derive macros.

use std::collections::BTreeSet;
use std::process::Command;

use support::source::root;

/// Crates that the library may bring, itself included.
const CRATES_MAX: usize = 25;

/// Crates that build or find C.
const C_BUILDERS: [&str; 6] = ["cc", "cmake", "bindgen", "pkg-config", "vcpkg", "autotools"];

#[test]
fn the_library_brings_at_most_25_crates() {
    let crates = names(&tree("normal"));
    assert!(crates.contains("savehold-wal"), "the tree lacks the log: {crates:?}");
    assert!(crates.len() <= CRATES_MAX, "{} crates, at most {CRATES_MAX}: {crates:?}", crates.len());
}

#[test]
fn nothing_in_the_library_builds_c() {
    let found: Vec<String> = names(&tree("normal,build")).into_iter().filter(|n| builds_c(n)).collect();
    super::expect_none("the library builds without a C compiler", &found);
}

#[test]
fn no_derive_macro_stands_in_the_library() {
    let found: Vec<String> = names(&tree("normal")).into_iter().filter(|n| n == "syn").collect();
    super::expect_none("the library is built without derive macros", &found);
}

/// What cargo resolves for the library with its default features.
fn tree(edges: &str) -> String {
    let answer = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--package", "savehold", "--edges", edges, "--prefix", "none"])
        .current_dir(root())
        .output()
        .expect("run cargo tree");
    assert!(answer.status.success(), "cargo tree: {}", String::from_utf8_lossy(&answer.stderr));
    String::from_utf8(answer.stdout).expect("cargo tree prints text")
}

/// The crates of a tree, one for each version.
fn names(tree: &str) -> BTreeSet<String> {
    let crates: BTreeSet<(&str, &str)> = tree
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next().filter(|name| !name.is_empty())?, words.next()?))
        })
        .collect();
    let twice = |name: &str| crates.iter().filter(|(n, _)| *n == name).count() > 1;
    let text = |(name, version): &(&str, &str)| {
        if twice(name) { format!("{name} {version}") } else { (*name).into() }
    };
    crates.iter().map(text).collect()
}

fn builds_c(name: &str) -> bool {
    C_BUILDERS.contains(&name.split(' ').next().unwrap_or(name))
}

#[test]
fn a_tree_is_counted_by_crate_and_version() {
    let tree = "savehold v0.1.0 (here)\nbytes v1.2.0\nlog v1.0.0\nbytes v1.2.0 (*)\nlog v2.0.0\n\n";
    let expected = ["bytes", "log v1.0.0", "log v2.0.0", "savehold"].map(str::to_owned);
    assert_eq!(names(tree), BTreeSet::from(expected));
    assert!(builds_c("cc") && builds_c("bindgen v0.1.0") && !builds_c("cc-like"));
}
