//! Door: directories: copied, made durable, measured, taken away.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Copies a directory with everything in it. What is copied is in the page cache then.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to)?;
        } // a socket stays behind
    }
    Ok(())
}

/// Takes a directory away, if it is there.
pub fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Writes out everything that the file system of `dir` still holds back, so that it disturbs nobody later.
pub fn settle(dir: &Path) -> io::Result<()> {
    rustix::fs::syncfs(File::open(dir)?)?;
    Ok(())
}

/// Bytes in the files of a directory, as their lengths say.
pub fn bytes(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(about) if about.is_dir() => bytes(&entry.path()),
            Ok(about) => about.len(),
            Err(_) => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_the_same_bytes_and_goes_away() {
        let dir = tempfile::tempdir().expect("a directory");
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir_all(from.join("deep")).expect("a directory");
        fs::write(from.join("deep/file"), b"12345").expect("a file");
        copy(&from, &to).expect("copied");
        settle(&to).expect("synced");
        assert_eq!((bytes(&from), bytes(&to)), (5, 5));
        remove(&to).expect("removed");
        remove(&to).expect("that it is not there is fine");
        assert_eq!(bytes(&to), 0);
    }
}
