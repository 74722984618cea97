//! Links in the texts lead somewhere.

use support::source::{Source, root, sources};

#[test]
fn links_in_texts_lead_to_files_that_exist() {
    let root = root();
    let broken = links(&sources()).into_iter().filter(|(_, to)| !root.join(to).exists());
    let findings: Vec<String> = broken.map(|(from, to)| format!("{from}: {to}")).collect();
    super::expect_none("relative links lead to files of the project", &findings);
}

/// Every relative link: the text that has it, and the path from the root that it leads to.
fn links(all: &[Source]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for source in all.iter().filter(|s| s.is("md")) {
        let folder = source.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for target in targets(&source.text) {
            found.push((source.path.clone(), resolve(folder, target)));
        }
    }
    found
}

/// What follows `](` in each line outside code blocks, anchors, titles and addresses on the web left out.
fn targets(text: &str) -> Vec<&str> {
    let mut inside_code = false;
    let mut found = Vec::new();
    for line in text.lines() {
        inside_code ^= line.trim_start().starts_with("```");
        if inside_code {
            continue;
        }
        let ends = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ', '#']).next());
        let defined = line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, to)| to);
        let defined = defined.and_then(|rest| rest.split([' ', '#']).next());
        found.extend(ends.chain(defined).filter(|to| !to.is_empty() && !to.contains(':')));
    }
    found
}

/// `to` as seen from `folder`, with `..` and `.` taken out.
fn resolve(folder: &str, to: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in to.split('/') {
        match part {
            "" | "." => {}
            ".." if !matches!(parts.last(), None | Some(&"..")) => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[test]
fn links_are_found_in_each_spelling_and_resolved_from_their_text() {
    for (path, text, expected) in [
        ("README.md", "see [a](wal/README.md) and [b](./x.md#part \"t\")", vec!["wal/README.md", "x.md"]),
        (
            "wal/README.md",
            "up [a](../engine/README.md), here [b](src/lib.rs)",
            vec!["engine/README.md", "wal/src/lib.rs"],
        ),
        ("README.md", "[a](https://example.com/x) [b](#here) [c](mailto:a@b)", vec![]),
        ("README.md", "[a]: docs/a.md\n[b]: https://example.com", vec!["docs/a.md"]),
        ("README.md", "```rust\nx[0](y)\n```\n[a](b)", vec!["b"]),
        ("README.md", "out [a](../elsewhere)", vec!["../elsewhere"]),
    ] {
        let found: Vec<String> = links(&[Source::new(path, text)]).into_iter().map(|(_, to)| to).collect();
        assert_eq!(found, expected, "{text}");
    }
}
