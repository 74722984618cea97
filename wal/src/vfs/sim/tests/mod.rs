mod contents;
mod death;
mod faults;
mod names;
mod space;
mod states;

use std::io::{ErrorKind, IoSlice};

use super::*;
use crate::vfs::fault::Failure;
use crate::vfs::{Advice, OpenMode, Vfs, VfsFile, read_exact_at};

fn path(text: &str) -> &Path {
    Path::new(text)
}

fn disk() -> SimDisk {
    let disk = SimDisk::new(1);
    disk.create_dir(path("/d")).unwrap();
    disk.sync_dir(path("/")).unwrap();
    disk
}

/// A file with these bytes, all durable.
fn synced(disk: &SimDisk, name: &str, bytes: &[u8]) -> Arc<dyn VfsFile> {
    let file = disk.open(path(name), OpenMode::CreateNew).unwrap();
    write(&*file, bytes, 0);
    file.sync().unwrap();
    disk.sync_dir(path("/d")).unwrap();
    file
}

fn write(file: &dyn VfsFile, bytes: &[u8], offset: u64) {
    file.write_at(&mut [IoSlice::new(bytes)], offset).unwrap();
}

fn read(file: &dyn VfsFile) -> Vec<u8> {
    let mut bytes = vec![0; file.len().unwrap() as usize];
    read_exact_at(file, &mut bytes, 0).unwrap();
    bytes
}

fn names(disk: &SimDisk) -> Vec<String> {
    disk.files().into_iter().map(|(path, _)| path).collect()
}

/// The bytes of `/d/f` under every pattern over what is pending.
fn all_images(disk: &SimDisk) -> Vec<Option<Vec<u8>>> {
    let count = disk.pending().len();
    assert!(count <= 12, "{count} things are too many to enumerate");
    (0..1_u128 << count).map(|bits| disk.reboot(Choice::Pattern(bits)).read(path("/d/f")).ok()).collect()
}

/// Every kind of call once.
fn some_calls(disk: &SimDisk) -> io::Result<()> {
    disk.create_dir(path("/d"))?;
    drop(disk.lock(path("/d"))?);
    disk.free_bytes(path("/d"))?;
    disk.medium(path("/d"))?;
    let file = disk.open(path("/d/t"), OpenMode::CreateNew)?;
    file.allocate(8192)?;
    file.write_at(&mut [IoSlice::new(b"ab"), IoSlice::new(b"cd")], 0)?;
    file.sync()?;
    file.len()?;
    file.read_at(&mut [0; 4], 0)?;
    file.advise(0, 0, Advice::Drop)?;
    file.map(4)?;
    disk.rename(path("/d/t"), path("/d/f"))?;
    disk.sync_dir(path("/d"))?;
    disk.list(path("/d"))?;
    disk.remove(path("/d/f"))
}

#[test]
fn same_seed_gives_the_same_image_and_seeds_differ() {
    let image = |seed| {
        let disk = disk();
        let file = synced(&disk, "/d/f", &[1; 8192]);
        write(&*file, &[2; 8192], 0);
        disk.reboot(Choice::Seed(seed)).read(path("/d/f")).unwrap()
    };
    assert!((0..50).all(|seed| image(seed) == image(seed)));
    assert!((1..50).any(|seed| image(seed) != image(0)));
}

#[test]
fn manners_of_a_power_cut_are_all_none_a_prefix_all_but_one_and_just_one() {
    let disk = disk();
    let file = synced(&disk, "/d/f", &[0; 2048]);
    (0..4).for_each(|n| write(&*file, &[1; 512], n * 512));
    for (manner, kept) in [
        (vec![0], [0, 0, 0, 0]),
        (vec![4, 1], [1, 1, 0, 0]),
        (vec![5, 1], [1, 0, 1, 1]),
        (vec![6, 2], [0, 0, 1, 0]),
        (vec![7, 0, 127, 128, 255, 0], [1, 0, 0, 1]),
        (vec![0, 1, 2, 2], [0, 0, 0, 0]),
    ] {
        let image = disk.reboot_by(&mut Draw::from_bytes(&manner)).read(path("/d/f")).unwrap();
        let firsts: Vec<u8> = image.chunks(512).map(|s| s[0]).collect();
        assert_eq!(firsts, kept, "{manner:?}");
    }
}

#[test]
fn fork_goes_its_own_way_with_everything_pending() {
    let disk = disk();
    let file = synced(&disk, "/d/f", &[1; 512]);
    write(&*file, &[2; 512], 0);
    let fork = disk.fork();
    assert_eq!(fork.pending(), disk.pending());
    file.sync().unwrap();
    assert_eq!((fork.pending().len(), disk.pending().len()), (1, 0));
}

#[test]
fn tape_holds_the_disk_before_each_change() {
    let disk = disk();
    let file = synced(&disk, "/d/f", &[0; 512]);
    disk.record();
    write(&*file, &[1; 512], 0);
    file.len().unwrap();
    file.sync().unwrap();
    write(&*file, &[2; 512], 0);
    let firsts = |disk: &SimDisk| {
        let first = |disk: SimDisk| disk.read(path("/d/f")).unwrap()[0];
        (first(disk.reboot(Choice::KeepNone)), first(disk.reboot(Choice::KeepAll)))
    };
    assert_eq!(disk.take_tape().iter().map(firsts).collect::<Vec<_>>(), [(0, 0), (0, 1), (1, 1)]);
}

#[test]
fn disk_in_memory_loses_nothing_and_keeps_no_account() {
    let disk = SimDisk::memory();
    disk.create_dir(path("/d")).unwrap();
    let file = disk.open(path("/d/f"), OpenMode::CreateNew).unwrap();
    write(&*file, b"x", 0);
    file.advise(0, 0, Advice::Drop).unwrap();
    assert_eq!((read(&*file), disk.pending()), (b"x".to_vec(), vec![]));
    assert_eq!(disk.reboot(Choice::KeepNone).read(path("/d/f")).unwrap(), b"x");
    disk.remove(path("/d/f")).unwrap();
    drop(file);
    assert_eq!(disk.used(), 0);
}

#[test]
fn counts_tell_calls_by_kind() {
    let disk = SimDisk::new(1);
    some_calls(&disk).unwrap();
    let counts = Counts {
        calls: 16,
        changes: 8,
        reads: 1,
        writes: 1,
        stores: 0,
        syncs: 1,
        dir_syncs: 1,
        bytes_written: 4,
    };
    assert_eq!(disk.counts(), counts);
}

#[test]
fn calls_answer_the_errors_that_a_real_disk_answers() {
    let disk = disk();
    drop(synced(&disk, "/d/f", b"x"));
    let kind = |outcome: io::Result<()>| outcome.unwrap_err().kind();
    let open = |name: &str, mode| disk.open(path(name), mode).map(drop);
    assert_eq!(kind(open("/d/none", OpenMode::Read)), ErrorKind::NotFound);
    assert_eq!(kind(open("/none/f", OpenMode::Truncate)), ErrorKind::NotFound);
    assert_eq!(kind(open("/d/f", OpenMode::CreateNew)), ErrorKind::AlreadyExists);
    assert_eq!(kind(open("/d", OpenMode::Write)), ErrorKind::IsADirectory);
    assert_eq!(kind(open("/d/f/g", OpenMode::CreateNew)), ErrorKind::NotADirectory);
    assert_eq!(kind(disk.create_dir(path("/d/f"))), ErrorKind::NotADirectory);
    assert_eq!(kind(disk.rename(path("/d/none"), path("/d/f"))), ErrorKind::NotFound);
    assert_eq!(kind(disk.remove(path("/d/none"))), ErrorKind::NotFound);
    assert_eq!(kind(disk.lock(path("/none")).map(drop)), ErrorKind::NotFound);
    assert_eq!(kind(disk.sync_dir(path("/none"))), ErrorKind::NotFound);
    let read_only = disk.open(path("/d/f"), OpenMode::Read).unwrap();
    assert!(read_only.write_at(&mut [IoSlice::new(b"y")], 0).is_err());
    let file = disk.open(path("/d/f"), OpenMode::Write).unwrap();
    assert_eq!(kind(file.write_at(&mut [IoSlice::new(b"y")], u64::MAX)), ErrorKind::FileTooLarge);
    assert_eq!(kind(file.allocate(u64::MAX)), ErrorKind::FileTooLarge);
}

#[test]
fn random_images_hold_only_bytes_that_were_ever_written() {
    for seed in 0..300 {
        let mut draw = Draw::from_seed(seed);
        let disk = disk();
        let file = synced(&disk, "/d/f", &[0; 6000]);
        let mut synced_through = 0;
        for round in 1..=6_u8 {
            let (at, bytes) = (draw.below(12) * 512, 512 * (1 + draw.below(6) as usize));
            write(&*file, &vec![round; bytes], at);
            if draw.below(3) == 0 {
                file.sync().unwrap();
                synced_through = disk.read(path("/d/f")).unwrap().len();
            }
        }
        let now = disk.read(path("/d/f")).unwrap();
        let clean = disk.reboot_with(|_| if draw.below(2) == 0 { Fate::Old } else { Fate::New });
        let image = clean.read(path("/d/f")).unwrap();
        assert!(image.len() >= synced_through && image.len() <= now.len(), "{seed}");
        assert!(image.iter().all(|b| *b <= 6), "{seed}");
        file.sync().unwrap();
        assert_eq!(disk.reboot(Choice::KeepNone).read(path("/d/f")).unwrap(), now, "{seed}");
    }
}

#[test]
fn threads_that_write_side_by_side_lose_nothing() {
    let disk = disk();
    let file = synced(&disk, "/d/f", &[0; 4 * 8192]);
    std::thread::scope(|scope| {
        for n in 0..4 {
            let file = &file;
            scope.spawn(move || {
                for at in 0..16 {
                    write(&**file, &[n as u8 + 1; 512], n * 8192 + at * 512);
                    file.sync().unwrap();
                }
            });
        }
    });
    let bytes = disk.reboot(Choice::KeepNone).read(path("/d/f")).unwrap();
    assert!(bytes.chunks(8192).zip(1..).all(|(part, n)| *part == [n; 8192]));
}
