//! Door: directories: copied, made durable, measured, taken away.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use rustix::fs::SeekFrom;

/// Copies a directory with everything in it. What is copied is in the page cache then.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else if entry.file_type()?.is_file() {
            copy_file(&File::open(entry.path())?, &File::create(to)?)?;
        } // a socket stays behind
    }
    Ok(())
}

/// Copies what was ever written to a file: space that it only has stays space that a copy only has.
fn copy_file(from: &File, to: &File) -> io::Result<()> {
    let bytes = from.metadata()?.len();
    to.set_len(bytes)?;
    let mut at = 0;
    while at < bytes {
        let begin = match rustix::fs::seek(from, SeekFrom::Data(at)) {
            Err(e) if e == rustix::io::Errno::NXIO => break, // nothing more
            begin => begin?,
        };
        let end = rustix::fs::seek(from, SeekFrom::Hole(begin))?;
        let (mut read, mut written) = (begin, begin);
        while read < end {
            let left = usize::try_from(end - read).unwrap_or(usize::MAX);
            if rustix::fs::copy_file_range(from, Some(&mut read), to, Some(&mut written), left)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        at = end;
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
    use std::os::unix::fs::{FileExt, MetadataExt};

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

    #[test]
    fn what_was_never_written_is_not_written_in_a_copy() {
        let dir = tempfile::tempdir().expect("a directory");
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        let mut contents = vec![0; 1 << 20];
        contents[600_000..600_005].copy_from_slice(b"12345");
        let file = File::create(&from).expect("a file");
        file.set_len(contents.len() as u64).expect("as long");
        file.write_all_at(b"12345", 600_000).expect("written");
        copy_file(&File::open(&from).expect("opened"), &File::create(&to).expect("made")).expect("copied");
        assert_eq!(fs::read(&to).expect("read"), contents);
        assert!(fs::metadata(&to).expect("there").blocks() * 512 <= 64 << 10);
    }
}
