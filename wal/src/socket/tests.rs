#![expect(clippy::disallowed_methods, reason = "tests look at a socket's file from outside")]

use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};

use super::*;

fn talks(dir: &Path) {
    let listener = Listener::bind(dir, "CONTROL").unwrap();
    let about = std::fs::symlink_metadata(dir.join("CONTROL")).unwrap();
    assert!(about.file_type().is_socket());
    assert_eq!(about.permissions().mode() & 0o777, 0o600);
    let mut here = connect(dir, "CONTROL").unwrap();
    let mut there = listener.accept().unwrap();
    here.write_all(b"hello").unwrap();
    let mut heard = [0; 5];
    there.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"hello");
}

#[test]
fn a_socket_is_private_and_both_sides_hear() {
    let dir = tempfile::tempdir().unwrap();
    talks(dir.path());
}

#[cfg(target_os = "linux")]
#[test]
fn a_path_longer_than_an_address_is_reached_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("d".repeat(120)).join("e".repeat(120));
    std::fs::create_dir_all(&deep).unwrap();
    talks(&deep);
}

#[test]
fn a_wait_ends_when_it_is_told_and_every_later_one_too() {
    let dir = tempfile::tempdir().unwrap();
    let listener = Listener::bind(dir.path(), "CONTROL").unwrap();
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| listener.accept().is_none());
        listener.stop();
        assert!(waits.join().unwrap());
    });
    assert!(listener.accept().is_none());
}

#[test]
fn a_name_that_is_taken_and_one_that_nobody_answers_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(connect(dir.path(), "CONTROL").unwrap_err().kind(), io::ErrorKind::NotFound);
    let listener = Listener::bind(dir.path(), "CONTROL").unwrap();
    assert_eq!(Listener::bind(dir.path(), "CONTROL").unwrap_err().kind(), io::ErrorKind::AddrInUse);
    drop(listener);
    assert_eq!(connect(dir.path(), "CONTROL").unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
}
