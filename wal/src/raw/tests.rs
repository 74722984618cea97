use std::io::{ErrorKind, Write as _};

use super::*;

fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

#[test]
fn map_shows_exactly_the_bytes_asked_for() {
    let file = file_of(b"abcdef");
    assert_eq!(&map(&file, 6).unwrap()[..], b"abcdef");
    assert_eq!(&map(&file, 2).unwrap()[..], b"ab");
    assert!(map(&file, 0).unwrap().is_empty());
}

#[test]
fn map_past_the_end_is_refused() {
    let file = file_of(b"abcdef");
    assert_eq!(map(&file, 7).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(map(&file, u64::MAX).unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn prefetch_of_any_address_does_no_harm() {
    for address in [0_usize, 1, 4095, usize::MAX / 2, usize::MAX] {
        prefetch(address as *const u8);
    }
    prefetch_at(&[1_u64, 2], 1);
    prefetch_at(&[1_u64, 2], usize::MAX);
}

#[cfg(all(unix, not(miri)))]
#[test]
fn a_child_made_by_a_fork_finds_its_own_number() {
    let parent = process_id();
    assert_eq!(parent, std::process::id());
    let own = move || process_id() != parent && process_id() == std::process::id();
    assert!(holds_in_a_child(own));
    assert!(!holds_in_a_child(move || process_id() == parent));
    assert_eq!(process_id(), parent);
}
