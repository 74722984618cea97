//! Files of every format version ever released: read as they were written, drawn as they are described.
//!
//! `files/wal-1` holds three directories of logs in format 1. `script` says how they were made; they are never made
//! again. `files/table-1` holds an index table in format 1. A new format version adds directories and keeps these.

mod bytes;
mod opening;
mod packed;
mod readme;
mod script;
mod table;
mod tables;

use std::path::{Path, PathBuf};

/// The directory of a golden log.
fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/files/wal-1").join(name)
}

/// A copy that may be changed.
fn copy(name: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let root = dir.path().join(name);
    for sub in ["", "log"] {
        let (from, to) = (golden(name).join(sub), root.join(sub));
        std::fs::create_dir_all(&to).expect("a fresh directory");
        for entry in std::fs::read_dir(from).expect("golden files are committed") {
            let path = entry.expect("a name").path();
            if path.is_file() {
                std::fs::copy(&path, to.join(path.file_name().expect("a file"))).expect("a copy");
            }
        }
    }
    (dir, root)
}

/// All segment files of a golden log, in order.
fn segments(name: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(golden(name).join("log")).expect("golden files are committed");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a name").path()).collect();
    paths.sort();
    paths
}
