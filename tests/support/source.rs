//! Door: the project's own files, as its tests read them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One file of the project: its path from the root, with forward slashes, and its text.
#[derive(Clone, Debug)]
pub struct Source {
    /// Path from the root of the project.
    pub path: String,
    /// Everything in the file.
    pub text: String,
}

impl Source {
    /// A file that stands on no disk, for tests of the rules themselves.
    #[must_use]
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// True for a file whose name ends in `.extension`.
    #[must_use]
    pub fn is(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|e| e == extension)
    }
}

/// The root of the project: where the workspace's manifest stands.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package stands in the workspace").to_owned()
}

/// Every text file that belongs to the project, in order of path.
///
/// What belongs is git's to say; in a copy without git it is what stands there, build output aside.
#[must_use]
pub fn sources() -> Vec<Source> {
    let root = root();
    let mut paths = tracked(&root).unwrap_or_else(|| walked(&root));
    paths.sort();
    paths.dedup();
    let sources: Vec<Source> = paths.into_iter().filter_map(|path| read(&root, path)).collect();
    assert!(sources.iter().any(|s| s.path == "wal/src/lib.rs"), "found no sources below {}", root.display());
    sources
}

/// Files that git knows and those it would add; `None` where git does not answer.
fn tracked(root: &Path) -> Option<Vec<String>> {
    let listing = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .ok()?;
    let names = String::from_utf8(listing.stdout).ok()?;
    let paths: Vec<String> = names.split('\0').filter(|n| !n.is_empty()).map(str::to_owned).collect();
    (listing.status.success() && !paths.is_empty()).then_some(paths)
}

fn walked(root: &Path) -> Vec<String> {
    let (mut paths, mut dirs) = (Vec::new(), vec![root.to_owned()]);
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).expect("list a directory of the project") {
            let path = entry.expect("list a directory of the project").path();
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            if !path.is_dir() {
                let inside = path.strip_prefix(root).expect("walked from the root");
                paths.push(inside.to_string_lossy().replace('\\', "/"));
            } else if !matches!(name, ".git" | "target" | "artifacts" | "corpus") {
                dirs.push(path);
            }
        }
    }
    paths
}

/// Files without text (golden bytes) and files just deleted are passed over.
fn read(root: &Path, path: String) -> Option<Source> {
    let text = String::from_utf8(fs::read(root.join(&path)).ok()?).ok()?;
    Some(Source { path, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_without_git_shows_the_same_sources() {
        let walked = walked(&root());
        let tracked = tracked(&root()).unwrap_or_default();
        let missed = tracked.iter().filter(|path| root().join(path).exists() && !walked.contains(path));
        assert_eq!(missed.collect::<Vec<_>>(), Vec::<&String>::new());
        assert!(walked.iter().any(|path| path == "tests/support/source.rs"));
    }
}
