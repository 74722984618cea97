use std::io::{ErrorKind, IoSlice};
use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;

fn dir() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    (dir, path)
}

fn read_all(file: &dyn VfsFile) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), bytes.len());
    bytes
}

fn mode_of(path: &Path) -> u32 {
    File::from(rustix::fs::openat(CWD, path, OFlags::RDONLY, Mode::empty()).unwrap())
        .metadata()
        .unwrap()
        .permissions()
        .mode()
        & 0o7777
}

#[test]
fn bytes_written_in_slices_are_read_back_as_one() {
    let (_keep, dir) = dir();
    let file = OsVfs.open(&dir.join("f"), OpenMode::CreateNew).unwrap();
    file.write_at(&mut [IoSlice::new(b""), IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cd")], 3)
        .unwrap();
    file.write_at(&mut [IoSlice::new(b"xyz")], 0).unwrap();
    file.write_at(&mut [], 100).unwrap();
    file.write_at(&mut [IoSlice::new(b"")], 100).unwrap();
    file.sync().unwrap();
    assert_eq!(read_all(&*file), b"xyzabcd");
    assert_eq!(file.read_at(&mut [0; 10], 5).unwrap(), 2);
    assert_eq!(file.read_at(&mut [0; 10], 7).unwrap(), 0);
}

#[test]
fn more_slices_than_one_call_takes_are_all_written() {
    let (_keep, dir) = dir();
    let file = OsVfs.open(&dir.join("f"), OpenMode::CreateNew).unwrap();
    let bytes: Vec<u8> = (0..3000_u32).map(|n| n as u8).collect();
    let mut slices: Vec<IoSlice<'_>> = bytes.chunks(1).map(IoSlice::new).collect();
    file.write_at(&mut slices, 0).unwrap();
    assert_eq!(read_all(&*file), bytes);
}

#[test]
fn modes_are_private_whatever_the_umask() {
    let (_keep, dir) = dir();
    let umask = rustix::process::umask(Mode::empty());
    OsVfs.create_dir(&dir.join("a/b")).unwrap();
    OsVfs.open(&dir.join("a/b/f"), OpenMode::CreateNew).unwrap();
    OsVfs.open(&dir.join("a/b/g"), OpenMode::Truncate).unwrap();
    rustix::process::umask(umask);
    for (name, mode) in [("a", 0o700), ("a/b", 0o700), ("a/b/f", 0o600), ("a/b/g", 0o600)] {
        assert_eq!(mode_of(&dir.join(name)), mode, "{name}");
    }
}

#[test]
fn each_open_mode_asks_for_what_it_says() {
    let (_keep, dir) = dir();
    let path = dir.join("f");
    let kind = |mode| OsVfs.open(&path, mode).map_err(|e| e.kind()).err();
    assert_eq!(kind(OpenMode::Read), Some(ErrorKind::NotFound));
    assert_eq!(kind(OpenMode::Write), Some(ErrorKind::NotFound));
    OsVfs.open(&path, OpenMode::CreateNew).unwrap().write_at(&mut [IoSlice::new(b"old")], 0).unwrap();
    assert_eq!(kind(OpenMode::CreateNew), Some(ErrorKind::AlreadyExists));
    assert_eq!(read_all(&*OsVfs.open(&path, OpenMode::Write).unwrap()), b"old");
    assert!(OsVfs.open(&path, OpenMode::Read).unwrap().write_at(&mut [IoSlice::new(b"x")], 0).is_err());
    assert!(OsVfs.open(&path, OpenMode::Truncate).unwrap().is_empty().unwrap());
}

#[test]
fn lock_is_refused_to_a_second_handle_until_the_first_goes() {
    let (_keep, dir) = dir();
    let held = OsVfs.lock(&dir).unwrap().expect("nobody has it");
    assert!(OsVfs.lock(&dir).unwrap().is_none());
    assert!(OsVfs.list(&dir).unwrap().is_empty(), "the lock is on the directory: it needs no file");
    drop(held);
    assert!(OsVfs.lock(&dir).unwrap().is_some());
    assert_eq!(OsVfs.lock(&dir.join("none")).unwrap_err().kind(), ErrorKind::NotFound);
}

#[cfg(not(miri))]
#[test]
fn lock_goes_with_its_handle_whatever_child_has_it_open() {
    let (_keep, dir) = dir();
    for take in [OsVfs::lock, OsVfs::lock_shared] {
        let held = take(&OsVfs, &dir).unwrap().expect("nobody has it");
        let again = crate::raw::beside_a_child(|| {
            drop(held);
            OsVfs.lock(&dir)
        });
        assert!(again.unwrap().is_some());
    }
}

#[test]
fn allocated_space_reads_as_zeros_and_never_shortens() {
    let (_keep, dir) = dir();
    let file = OsVfs.open(&dir.join("f"), OpenMode::CreateNew).unwrap();
    file.allocate(0).unwrap();
    assert_eq!(file.len().unwrap(), 0);
    file.allocate(10_000).unwrap();
    assert_eq!(read_all(&*file), vec![0; 10_000]);
    file.allocate(5).unwrap();
    assert_eq!(file.len().unwrap(), 10_000);
}

#[test]
fn zeros_stand_in_where_a_system_cannot_allocate() {
    let (_keep, dir) = dir();
    let file = OsFile(open(&dir.join("f"), flags_of(OpenMode::CreateNew)).unwrap());
    file.write_at(&mut [IoSlice::new(b"kept")], 0).unwrap();
    file.extend_with_zeros(200_000).unwrap();
    let bytes = read_all(&file);
    assert_eq!((bytes.len(), &bytes[..4]), (200_000, &b"kept"[..]));
    assert!(bytes[4..].iter().all(|b| *b == 0));
}

#[test]
fn what_is_stored_to_a_map_stands_in_the_file() {
    let (_dir, path) = dir();
    let file = OsVfs.open(&path.join("f"), OpenMode::CreateNew).unwrap();
    file.allocate(4 * BLOCK_BYTES).unwrap();
    file.write_at(&mut [io::IoSlice::new(b"before")], BLOCK_BYTES - 6).unwrap();
    let Some(map) = file.map_to_write(BLOCK_BYTES..3 * BLOCK_BYTES).unwrap() else {
        assert!(OsVfs.stores().is_none() || !keeps_its_blocks_in(&path), "this disk has such maps");
        return;
    };
    map.prepare(BLOCK_BYTES..3 * BLOCK_BYTES).unwrap();
    map.store(&[b"stored, ", b"in parts"], 2 * BLOCK_BYTES - 8).unwrap();
    drop(map);
    file.sync().unwrap();
    let mut read = vec![0; 4 * BLOCK_BYTES as usize];
    assert_eq!(file.read_at(&mut read, 0).unwrap(), read.len());
    let (block, zeros) = (BLOCK_BYTES as usize, |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0));
    assert_eq!(&read[block - 6..block], b"before");
    assert_eq!(&read[2 * block - 8..2 * block + 8], b"stored, in parts");
    assert!(zeros(&read[..block - 6]) && zeros(&read[block..2 * block - 8]) && zeros(&read[2 * block + 8..]));
    assert_eq!(file.len().unwrap(), 4 * BLOCK_BYTES);
    let beyond = file.map_to_write(3 * BLOCK_BYTES..5 * BLOCK_BYTES);
    assert_eq!(beyond.unwrap_err().kind(), io::ErrorKind::UnexpectedEof, "a store there would be a signal");
}

fn keeps_its_blocks_in(path: &Path) -> bool {
    keeps_its_blocks(&open(path, OFlags::RDONLY).unwrap()).unwrap()
}

#[test]
fn nothing_is_stored_outside_of_a_map() {
    let (_keep, dir) = dir();
    let file = OsVfs.open(&dir.join("f"), OpenMode::CreateNew).unwrap();
    file.allocate(3 * BLOCK_BYTES).unwrap();
    let Some(map) = file.map_to_write(BLOCK_BYTES..2 * BLOCK_BYTES).unwrap() else { return };
    assert_eq!(map.store(&[b"before"], BLOCK_BYTES - 4).unwrap_err().kind(), ErrorKind::InvalidInput);
    let over = || map.store(&[b"over the end"], 2 * BLOCK_BYTES - 4);
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(over)).is_err());
    assert!(read_all(&*file).iter().all(|byte| *byte == 0));
}

#[test]
fn map_shows_what_is_written_later() {
    let (_keep, dir) = dir();
    let file = OsVfs.open(&dir.join("f"), OpenMode::CreateNew).unwrap();
    file.allocate(8192).unwrap();
    let map = file.map(8192).unwrap().expect("a real file has a map");
    file.write_at(&mut [IoSlice::new(b"later")], 4096).unwrap();
    assert_eq!(&map[4096..4101], b"later");
    assert_eq!(file.map(8193).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    drop(file);
    assert_eq!(&map.clone()[4096..4101], b"later");
}

#[test]
fn advice_is_taken_for_any_range() {
    let (_keep, dir) = dir();
    let file = OsVfs.open(&dir.join("f"), OpenMode::CreateNew).unwrap();
    file.write_at(&mut [IoSlice::new(&[7; 10_000])], 0).unwrap();
    file.sync().unwrap();
    for advice in [Advice::Sequential, Advice::Random, Advice::Soon, Advice::Drop] {
        for (offset, bytes) in [(0, 0), (0, 4096), (4096, u64::MAX), (1 << 40, 1)] {
            file.advise(offset, bytes, advice).unwrap();
        }
    }
    assert_eq!(read_all(&*file), vec![7; 10_000]);
}

/// Whether the page at `offset` can be read without asking the medium; `None` where the system does not tell.
#[cfg(target_os = "linux")]
fn is_cached(file: &OsFile, offset: u64) -> Option<bool> {
    use rustix::io::{Errno, ReadWriteFlags, preadv2};
    let mut page = [0; 16];
    match preadv2(&file.0, &mut [std::io::IoSliceMut::new(&mut page)], offset, ReadWriteFlags::NOWAIT) {
        Ok(_) => Some(true),
        Err(Errno::AGAIN) => Some(false),
        Err(_) => None,
    }
}

#[test]
#[cfg(target_os = "linux")]
fn dropped_pages_are_gone_however_long_the_folios_are_that_hold_them() {
    const MIB: u64 = 1 << 20;
    let (_keep, dir) = dir();
    let file = OsFile(open(&dir.join("f"), flags_of(OpenMode::CreateNew)).unwrap());
    file.write_at(&mut [IoSlice::new(&vec![7; 8 << 20])], 0).unwrap();
    file.sync().unwrap();
    file.advise(0, 0, Advice::Drop).unwrap();
    if is_cached(&file, 4 * MIB) != Some(false) {
        return; // a file system in memory, or one that does not tell
    }
    file.write_at(&mut [IoSlice::new(&vec![7; 8 << 20])], 0).unwrap(); // one write, few folios
    file.sync().unwrap();
    let (from, bytes) = (4 * MIB + 3 * 4096, 40 * 4096);
    file.advise(from, bytes, Advice::Drop).unwrap();
    for page in 0..40 {
        // each is asked for once: the asking has it fetched
        assert_eq!(
            is_cached(&file, from + bytes - (page + 1) * 4096),
            Some(false),
            "page {page} from the end"
        );
        file.advise(from, bytes, Advice::Drop).unwrap();
    }
}

#[test]
#[cfg(not(miri))]
fn ranges_are_widened_to_folios_and_no_further_than_the_file() {
    let page = rustix::param::page_size() as u64;
    let folio = page * page / 8;
    assert_eq!(whole_folios(0, 0), (0, 0), "all of it");
    assert_eq!(whole_folios(folio + 1, 0), (folio, 0), "to the end");
    assert_eq!(whole_folios(folio, folio), (folio, folio));
    assert_eq!(whole_folios(folio - 1, 2), (0, 2 * folio));
    assert_eq!(whole_folios(3 * folio + 5, u64::MAX), (3 * folio, 0));
}

#[test]
fn names_are_listed_renamed_and_removed() {
    let (_keep, dir) = dir();
    OsVfs.open(&dir.join("a"), OpenMode::CreateNew).unwrap().write_at(&mut [IoSlice::new(b"a")], 0).unwrap();
    OsVfs.open(&dir.join("b"), OpenMode::CreateNew).unwrap();
    OsVfs.rename(&dir.join("a"), &dir.join("b")).unwrap();
    OsVfs.create_dir(&dir.join("sub")).unwrap();
    OsVfs.sync_dir(&dir).unwrap();
    let mut names = OsVfs.list(&dir).unwrap();
    names.sort();
    assert_eq!(names, ["b", "sub"]);
    assert_eq!(read_all(&*OsVfs.open(&dir.join("b"), OpenMode::Read).unwrap()), b"a");
    OsVfs.remove(&dir.join("b")).unwrap();
    assert_eq!(OsVfs.list(&dir).unwrap(), ["sub"]);
    assert_eq!(OsVfs.list(&dir.join("none")).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(OsVfs.remove(&dir.join("none")).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn directory_that_exists_is_fine_and_a_file_in_its_place_is_not() {
    let (_keep, dir) = dir();
    OsVfs.create_dir(&dir).unwrap();
    OsVfs.open(&dir.join("f"), OpenMode::CreateNew).unwrap();
    assert_eq!(OsVfs.create_dir(&dir.join("f")).unwrap_err().kind(), ErrorKind::NotADirectory);
}

#[test]
fn disk_of_the_test_is_local_and_has_space() {
    let (_keep, dir) = dir();
    assert_eq!(OsVfs.medium(&dir).unwrap(), Medium::Local);
    assert!(OsVfs.free_bytes(&dir).unwrap() > 0);
}

/// What is passed over reads as zeros, and what was written is not passed over, durable or not.
#[test]
fn what_was_never_written_is_told_from_what_was() {
    let (_keep, dir) = dir();
    let file = OsVfs.open(&dir.join("f"), OpenMode::CreateNew).unwrap();
    file.allocate(1 << 20).unwrap();
    let ask = |offset: u64| file.written(offset).unwrap();
    for synced in [false, true] {
        let place = if synced { 700 << 10 } else { 512 << 10 };
        file.write_at(&mut [IoSlice::new(&[7; 5000])], place).unwrap();
        if synced {
            file.sync().unwrap();
        }
        for offset in [0, 4096, place - 1, place, place + 4999] {
            let found = ask(offset).unwrap();
            assert!((offset..=offset.max(place)).contains(&found.start), "{offset}: {found:?}");
            assert!(
                found.end >= place + 5000 || found.end <= place && found.end > found.start,
                "{offset}: {found:?}"
            );
            let mut between = vec![1; usize::try_from(found.start - offset).unwrap()];
            assert_eq!(file.read_at(&mut between, offset).unwrap(), between.len());
            assert!(between.iter().all(|byte| *byte == 0), "{offset}");
        }
    }
    assert!(ask(900 << 10).is_none_or(|found| found.start >= 900 << 10));
    assert!(ask(2 << 20).is_none_or(|found| found.start == 2 << 20), "behind the end");
}

#[test]
fn kernels_that_tell_each_opening_what_was_lost_are_known_by_their_release() {
    for (release, tells) in [
        ("6.18.44-fc-v657", true),
        ("5.4.0", true),
        ("4.13.0-rc1", true),
        ("4.13", true),
        ("10.0.1-android", true),
        ("4.12.14-default", false),
        ("4.9.337-android", false),
        ("3.10.0-1160.el7", false),
        ("5", true),
        ("4", false),
        ("", false),
        ("unknown", false),
    ] {
        assert_eq!(tells_each_opening(release), tells, "{release:?}");
    }
}

/// Both ways to find it out say the same.
#[cfg(target_os = "linux")]
#[test]
fn a_mount_is_told_from_a_directory() {
    let (_keep, dir) = dir();
    for (place, mounted) in [(Path::new("/proc"), true), (&dir, false)] {
        assert_eq!(OsVfs.is_mount(place).unwrap(), mounted, "{}", place.display());
        assert_eq!(OsVfs.is_one_disk(place, &place.join("..")).unwrap(), !mounted, "{}", place.display());
        assert_ne!(is_mount(place), Some(!mounted), "{}", place.display());
    }
}

#[test]
fn a_real_path_has_no_link_in_it() {
    let (_keep, dir) = dir();
    let dir = OsVfs.real_path(&dir).unwrap();
    OsVfs.create_dir(&dir.join("a/b")).unwrap();
    std::os::unix::fs::symlink("a", dir.join("link")).unwrap();
    for path in ["a/b", "link/b", "a/b/../../link/./b"] {
        assert_eq!(OsVfs.real_path(&dir.join(path)).unwrap(), dir.join("a/b"), "{path}");
    }
    assert_eq!(OsVfs.real_path(&dir.join("c")).unwrap_err().kind(), ErrorKind::NotFound);
}
