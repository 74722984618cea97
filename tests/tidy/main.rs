//! The rules that the source keeps: the order of rooms, the size of files, words that do not belong, what the
//! library weighs, links that lead somewhere. Each rule is a pure function over sources, with a test that it
//! catches what it is there for, and one test that the project keeps it.

mod links;
mod rooms;
mod weight;
mod words;

/// Fails with every finding on a line of its own.
#[track_caller]
fn expect_none(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}
