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

// Contents.

#[test]
fn synced_sectors_survive_every_power_cut() {
    let disk = disk();
    let file = synced(&disk, "/d/f", &[1; 4096]);
    write(&*file, &[2; 1024], 4096);
    for seed in 0..500 {
        assert_eq!(disk.reboot(Choice::Seed(seed)).read(path("/d/f")).unwrap()[..4096], [1; 4096], "{seed}");
    }
}

#[test]
fn any_subset_of_unsynced_sectors_survives() {
    let disk = disk();
    let file = synced(&disk, "/d/f", &[0; 1536]);
    write(&*file, &[1; 1536], 0);
    let sum = |bytes: Option<Vec<u8>>| bytes.unwrap().chunks(512).map(|s| s[0]).collect::<Vec<_>>();
    let mut images: Vec<Vec<u8>> = all_images(&disk).into_iter().map(sum).collect();
    images.sort();
    let every = (0..8_u8).map(|n| vec![n >> 2 & 1, n >> 1 & 1, n & 1]);
    assert_eq!(images, every.collect::<Vec<_>>());
}

#[test]
fn sector_written_twice_is_old_first_or_second() {
    let disk = disk();
    let file = synced(&disk, "/d/f", &[0; 512]);
    write(&*file, &[1; 512], 0);
    write(&*file, &[2; 512], 0);
    let firsts: Vec<u8> = all_images(&disk).into_iter().map(|b| b.unwrap()[0]).collect();
    assert_eq!(firsts, [0, 1, 2, 2]);
}

#[test]
fn unaligned_write_carries_its_whole_sector() {
    let disk = disk();
    let file = synced(&disk, "/d/f", &[1; 512]);
    write(&*file, &[2; 10], 100);
    write(&*file, &[3; 10], 200);
    let later_alone = disk.reboot(Choice::Pattern(0b10)).read(path("/d/f")).unwrap();
    assert_eq!((later_alone[100], later_alone[200], later_alone[300]), (2, 3, 1));
}

#[test]
fn length_and_bytes_survive_apart() {
    let disk = disk();
    let file = synced(&disk, "/d/f", b"");
    write(&*file, &[1; 512], 0);
    let images = all_images(&disk);
    assert_eq!(
        images,
        [vec![], vec![0; 512], vec![], vec![1; 512]].map(Some),
        "length is bit 0, bytes bit 1"
    );
}

#[test]
fn bytes_that_are_there_already_are_not_pending() {
    let disk = disk();
    let file = synced(&disk, "/d/f", &[0; 8192]);
    write(&*file, &[0; 8192], 0);
    assert_eq!(disk.pending(), []);
    write(&*file, &[[0; 4096], [1; 4096]].concat()[..4608], 0);
    let expected = What::Sector { file: disk.file_number(path("/d/f")).unwrap(), sector: 8 };
    assert_eq!(disk.pending().iter().map(|p| p.what).collect::<Vec<_>>(), [expected]);
}

#[test]
fn torn_sector_mixes_old_and_new_as_told() {
    let disk = disk();
    let file = synced(&disk, "/d/f", &[1; 1024]);
    write(&*file, &[2; 512], 512);
    let torn = |tear| disk.reboot_with(|_| Fate::Torn(tear)).read(path("/d/f")).unwrap();
    let parts = |bytes: &[u8]| (bytes[..512].to_vec(), bytes[512], bytes[1023]);
    assert_eq!(parts(&torn(Tear::Front(9))), (vec![1; 512], 2, 1));
    assert_eq!(parts(&torn(Tear::Back(9))), (vec![1; 512], 1, 2));
    assert_eq!(parts(&torn(Tear::Zeros)), (vec![1; 512], 0, 0));
    let (front, noise) = (&torn(Tear::Noise(4))[..512], &torn(Tear::Noise(4))[512..]);
    assert_eq!(front, [1; 512]);
    assert!(noise.iter().any(|b| *b != 1 && *b != 2));
}

#[test]
fn at_most_one_sector_tears_and_some_seed_tears_one() {
    let disk = disk();
    let file = synced(&disk, "/d/f", &[1; 4096]);
    write(&*file, &[2; 4096], 0);
    let torn = |seed| {
        let bytes = disk.reboot(Choice::Seed(seed)).read(path("/d/f")).unwrap();
        bytes.chunks(512).filter(|s| **s != [1; 512] && **s != [2; 512]).count()
    };
    let counts: Vec<usize> = (0..200).map(torn).collect();
    assert!(counts.contains(&0) && counts.contains(&1) && counts.iter().all(|n| *n <= 1));
}

#[test]
fn emptied_file_keeps_or_loses_its_bytes_but_shows_none_it_never_had() {
    let disk = disk();
    drop(synced(&disk, "/d/f", &[1; 512]));
    let file = disk.open(path("/d/f"), OpenMode::Truncate).unwrap();
    assert_eq!(read(&*file), b"");
    assert_eq!(all_images(&disk), [Some(vec![1; 512]), Some(vec![])]);
    file.allocate(512).unwrap();
    assert_eq!(read(&*file), [0; 512], "what was cut off does not come back");
    file.sync().unwrap();
    assert_eq!(all_images(&disk), [Some(vec![0; 512])]);
}

#[test]
fn reboot_leaves_nothing_pending_and_the_old_disk_as_it_was() {
    let disk = disk();
    let file = synced(&disk, "/d/f", &[1; 512]);
    write(&*file, &[2; 512], 0);
    let kept = disk.reboot(Choice::KeepAll);
    assert_eq!(kept.pending(), []);
    assert_eq!(kept.reboot(Choice::KeepNone).read(path("/d/f")).unwrap(), [2; 512]);
    assert_eq!(disk.reboot(Choice::KeepNone).read(path("/d/f")).unwrap(), [1; 512]);
    file.sync().unwrap();
    assert_eq!(kept.counts(), Counts::default());
}

// Names.

#[test]
fn unsynced_rename_may_be_lost() {
    let disk = disk();
    drop(synced(&disk, "/d/f", b"old"));
    drop(synced(&disk, "/d/tmp", b"new"));
    disk.rename(path("/d/tmp"), path("/d/f")).unwrap();
    assert_eq!(names(&disk), ["/d/f"]);
    let (lost, kept) = (disk.reboot(Choice::KeepNone), disk.reboot(Choice::KeepAll));
    assert_eq!((names(&lost).len(), lost.read(path("/d/f")).unwrap()), (2, b"old".to_vec()));
    assert_eq!((names(&kept).len(), kept.read(path("/d/f")).unwrap()), (1, b"new".to_vec()));
    disk.sync_dir(path("/d")).unwrap();
    assert_eq!(disk.reboot(Choice::KeepNone).read(path("/d/f")).unwrap(), b"new");
}

#[test]
fn rename_may_be_durable_before_the_contents() {
    let disk = disk();
    drop(synced(&disk, "/d/f", b"old"));
    write(&*disk.open(path("/d/tmp"), OpenMode::CreateNew).unwrap(), b"new", 0);
    disk.rename(path("/d/tmp"), path("/d/f")).unwrap();
    disk.sync_dir(path("/d")).unwrap();
    let none = disk.reboot(Choice::KeepNone);
    assert_eq!((names(&none), none.read(path("/d/f")).unwrap()), (vec!["/d/f".to_owned()], vec![]));
}

#[test]
fn synced_file_is_gone_if_its_directory_was_not_synced() {
    let disk = disk();
    let file = disk.open(path("/d/f"), OpenMode::CreateNew).unwrap();
    write(&*file, b"x", 0);
    file.sync().unwrap();
    assert_eq!(all_images(&disk), [None, Some(b"x".to_vec())]);
}

#[test]
fn unsynced_removal_may_come_back() {
    let disk = disk();
    drop(synced(&disk, "/d/f", b"x"));
    disk.remove(path("/d/f")).unwrap();
    assert_eq!(disk.read(path("/d/f")).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(all_images(&disk), [Some(b"x".to_vec()), None]);
    disk.sync_dir(path("/d")).unwrap();
    assert_eq!(all_images(&disk), [None]);
}

#[test]
fn file_made_under_a_removed_name_and_lost_brings_the_old_one_back() {
    let disk = disk();
    drop(synced(&disk, "/d/f", b"old"));
    disk.remove(path("/d/f")).unwrap();
    let file = disk.open(path("/d/f"), OpenMode::CreateNew).unwrap();
    write(&*file, b"new", 0);
    file.sync().unwrap();
    assert_eq!(
        all_images(&disk),
        [Some(b"old".to_vec()), None, Some(b"new".to_vec()), Some(b"new".to_vec())]
    );
}

#[test]
fn directory_that_is_not_durable_takes_all_below_it() {
    let disk = disk();
    disk.create_dir(path("/d/a/b")).unwrap();
    drop(disk.open(path("/d/a/b/f"), OpenMode::CreateNew).unwrap());
    disk.sync_dir(path("/d/a/b")).unwrap();
    disk.sync_dir(path("/d/a")).unwrap();
    assert_eq!(disk.reboot(Choice::KeepNone).list(path("/d/a")).unwrap_err().kind(), ErrorKind::NotFound);
    disk.sync_dir(path("/d")).unwrap();
    assert_eq!(names(&disk.reboot(Choice::KeepNone)), ["/d/a/b/f"]);
}

#[test]
fn rename_between_directories_may_leave_both_names_or_none() {
    let disk = disk();
    disk.create_dir(path("/e")).unwrap();
    disk.sync_dir(path("/")).unwrap();
    drop(synced(&disk, "/d/f", b"x"));
    disk.rename(path("/d/f"), path("/e/f")).unwrap();
    let counts: Vec<usize> = (0..4).map(|bits| names(&disk.reboot(Choice::Pattern(bits))).len()).collect();
    assert_eq!(counts, [1, 2, 0, 1]);
    let both = disk.reboot(Choice::Pattern(1));
    both.remove(path("/d/f")).unwrap();
    both.sync_dir(path("/d")).unwrap();
    assert_eq!((names(&both), both.read(path("/e/f")).unwrap()), (vec!["/e/f".to_owned()], b"x".to_vec()));
    both.remove(path("/e/f")).unwrap();
    both.sync_dir(path("/e")).unwrap();
    assert_eq!(both.used(), 0);
}

// Death.

#[test]
fn every_call_after_a_power_cut_answers_an_error() {
    let disk = disk();
    let file = synced(&disk, "/d/f", b"x");
    let lock = disk.lock(path("/d")).unwrap().unwrap();
    disk.cut_power();
    disk.kill();
    assert_eq!(disk.death(), Some(Death::Cut), "a killed process brings no power back");
    assert!(file.len().is_err() && file.read_at(&mut [0; 1], 0).is_err());
    assert!(file.write_at(&mut [IoSlice::new(b"y")], 0).is_err() && file.sync().is_err());
    assert!(file.allocate(1).is_err() && file.advise(0, 0, Advice::Drop).is_err() && file.map(1).is_err());
    assert!(disk.open(path("/d/f"), OpenMode::Read).is_err() && disk.list(path("/d")).is_err());
    assert!(disk.rename(path("/d/f"), path("/d/g")).is_err() && disk.remove(path("/d/f")).is_err());
    assert!(disk.create_dir(path("/x")).is_err() && disk.sync_dir(path("/d")).is_err());
    assert!(disk.lock(path("/")).is_err() && disk.free_bytes(path("/d")).is_err());
    assert!(disk.medium(path("/d")).is_err());
    drop((file, lock));
    let next = disk.reboot(Choice::KeepNone);
    assert!(next.lock(path("/d")).unwrap().is_some());
    assert_eq!(next.read(path("/d/f")).unwrap(), b"x");
}

#[test]
fn killed_process_leaves_the_cache_and_frees_the_lock() {
    let disk = disk();
    let file = synced(&disk, "/d/f", b"old");
    let lock = disk.lock(path("/d")).unwrap();
    assert!(disk.lock(path("/d")).unwrap().is_none());
    write(&*file, b"new", 0);
    disk.kill();
    assert!(file.read_at(&mut [0; 3], 0).is_err());
    let next = disk.restart();
    drop(lock);
    assert!(next.lock(path("/d")).unwrap().is_some());
    assert_eq!(next.read(path("/d/f")).unwrap(), b"new");
    assert_eq!(next.reboot(Choice::KeepNone).read(path("/d/f")).unwrap(), b"old", "it stayed pending");
}

#[test]
fn restart_after_a_power_cut_finds_no_cache() {
    let disk = disk();
    let file = synced(&disk, "/d/f", b"old");
    write(&*file, b"new", 0);
    disk.cut_power();
    assert_eq!(disk.restart().read(path("/d/f")).unwrap(), b"old");
}

// Ordered faults.

#[test]
fn failed_sync_hides_the_loss_until_the_cache_is_dropped() {
    let disk = disk();
    let file = synced(&disk, "/d/f", &[1; 8192]);
    write(&*file, &[2; 4096], 0);
    disk.order(When::Sync(disk.counts().syncs + 1), Fault::Fail(Failure::Io));
    assert_eq!(file.sync().unwrap_err().raw_os_error(), Some(rustix::io::Errno::IO.raw_os_error()));
    file.sync().unwrap();
    assert_eq!(read(&*file), [[2; 4096], [1; 4096]].concat(), "the cache still shows it");
    assert_eq!(disk.restart().read(path("/d/f")).unwrap()[0], 2, "to the next process too");
    assert_eq!(disk.reboot(Choice::KeepAll).read(path("/d/f")).unwrap(), [1; 8192]);
    file.advise(1, 4095, Advice::Drop).unwrap();
    file.advise(0, 4095, Advice::Drop).unwrap();
    file.advise(4096, 0, Advice::Drop).unwrap();
    assert_eq!(read(&*file)[0], 2, "a page that the range covers in part stays");
    file.advise(0, 4096, Advice::Drop).unwrap();
    assert_eq!(read(&*file), [1; 8192]);
}

#[test]
fn bytes_lost_by_a_failed_sync_can_be_written_again() {
    let disk = disk();
    let file = synced(&disk, "/d/f", &[1; 512]);
    write(&*file, &[2; 512], 0);
    disk.order(When::Sync(disk.counts().syncs + 1), Fault::Fail(Failure::Io));
    file.sync().unwrap_err();
    write(&*file, &[2; 512], 0);
    file.sync().unwrap();
    assert_eq!(disk.reboot(Choice::KeepNone).read(path("/d/f")).unwrap(), [2; 512]);
}

#[test]
fn dropping_the_cache_spares_dirty_pages_and_keeps_space() {
    let disk = disk();
    let file = synced(&disk, "/d/f", &[1; 4096]);
    write(&*file, &[2; 10], 0);
    file.allocate(16384).unwrap();
    let used = disk.used();
    file.advise(0, 0, Advice::Drop).unwrap();
    assert_eq!(read(&*file)[..11], [[2; 10].as_slice(), &[1]].concat());
    assert_eq!((disk.used(), file.len().unwrap()), (used, 16384));
}

#[test]
fn sync_that_fails_halfway_brings_some_sectors_and_loses_the_rest() {
    let disk = disk();
    let file = synced(&disk, "/d/f", &[1; 65536]);
    write(&*file, &[2; 65536], 0);
    disk.order(When::Sync(disk.counts().syncs + 1), Fault::FailHalfway(Failure::Io));
    file.sync().unwrap_err();
    assert_eq!(disk.pending(), []);
    let bytes = disk.reboot(Choice::KeepNone).read(path("/d/f")).unwrap();
    let new = bytes.chunks(512).filter(|s| **s == [2; 512]).count();
    assert!((1..128).contains(&new) && bytes.chunks(512).all(|s| *s == [1; 512] || *s == [2; 512]));
}

#[test]
fn sync_ordered_to_fail_for_ever_never_succeeds_until_healed() {
    let disk = disk();
    let file = synced(&disk, "/d/f", b"x");
    disk.order_for_ever(When::Sync(2), Fault::Fail(Failure::Io));
    assert!((0..3).all(|_| file.sync().is_err()));
    disk.heal();
    file.sync().unwrap();
}

#[test]
fn failed_directory_sync_leaves_names_pending() {
    let disk = disk();
    disk.order(When::DirSync(2), Fault::Fail(Failure::Io));
    drop(disk.open(path("/d/f"), OpenMode::CreateNew).unwrap());
    disk.sync_dir(path("/d")).unwrap_err();
    assert!(disk.reboot(Choice::KeepNone).read(path("/d/f")).is_err());
    assert!(disk.reboot(Choice::KeepAll).read(path("/d/f")).is_ok());
    disk.sync_dir(path("/d")).unwrap();
    assert!(disk.reboot(Choice::KeepNone).read(path("/d/f")).is_ok());
}

#[test]
fn failed_write_writes_nothing_and_one_that_fails_halfway_a_part_in_front() {
    let disk = disk();
    let file = synced(&disk, "/d/f", &[1; 4096]);
    disk.order(When::Write(2), Fault::Fail(Failure::Io));
    disk.order(When::Write(3), Fault::FailHalfway(Failure::Full));
    file.write_at(&mut [IoSlice::new(&[2; 4096])], 0).unwrap_err();
    assert_eq!(read(&*file), [1; 4096]);
    let error = file.write_at(&mut [IoSlice::new(&[2; 4096])], 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    let new = read(&*file).iter().take_while(|b| **b == 2).count();
    assert!((1..4096).contains(&new) && read(&*file)[new..].iter().all(|b| *b == 1));
}

#[test]
fn any_call_can_be_ordered_to_fail() {
    let total = {
        let disk = SimDisk::new(1);
        some_calls(&disk).unwrap();
        disk.counts().calls
    };
    for n in 1..=total {
        let disk = SimDisk::new(1);
        disk.order(When::Call(n), Fault::Fail(Failure::Quota));
        assert_eq!(some_calls(&disk).unwrap_err().kind(), ErrorKind::QuotaExceeded, "call {n}");
        for fault in [Fault::CutBefore, Fault::CutInside, Fault::KillBefore, Fault::KillInside] {
            let disk = SimDisk::new(1);
            disk.order(When::Call(n), fault);
            some_calls(&disk).unwrap_err();
            let cut = matches!(fault, Fault::CutBefore | Fault::CutInside);
            assert_eq!(
                disk.death(),
                Some(if cut { Death::Cut } else { Death::Killed }),
                "{fault:?} at call {n}"
            );
        }
    }
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
fn power_cut_inside_a_write_leaves_any_part_of_it() {
    let disk = disk();
    let file = synced(&disk, "/d/f", &[1; 1024]);
    disk.order(When::Write(2), Fault::CutInside);
    file.write_at(&mut [IoSlice::new(&[2; 1024])], 0).unwrap_err();
    let firsts = |b: Option<Vec<u8>>| b.map(|b| (b[0], b[512])).unwrap();
    let images: Vec<(u8, u8)> = all_images(&disk).into_iter().map(firsts).collect();
    assert_eq!(images, [(1, 1), (2, 1), (1, 2), (2, 2)]);
}

#[test]
fn power_cut_inside_a_sync_leaves_it_pending_and_a_kill_inside_does_it() {
    for (fault, first) in [(Fault::CutInside, 1), (Fault::KillInside, 2)] {
        let disk = disk();
        let file = synced(&disk, "/d/f", &[1; 512]);
        write(&*file, &[2; 512], 0);
        disk.order(When::Sync(2), fault);
        file.sync().unwrap_err();
        assert_eq!(disk.reboot(Choice::KeepNone).read(path("/d/f")).unwrap()[0], first, "{fault:?}");
    }
}

// Space.

#[test]
fn full_disk_takes_what_fits_and_overwrites_go_on() {
    let disk = disk();
    let file = synced(&disk, "/d/f", &[1; 4096]);
    disk.set_capacity(Some(3 * 4096));
    let error = file.write_at(&mut [IoSlice::new(&[2; 4 * 4096])], 4000).unwrap_err();
    assert_eq!((error.kind(), file.len().unwrap()), (ErrorKind::StorageFull, 3 * 4096));
    assert_eq!((disk.used(), disk.free_bytes(path("/d")).unwrap()), (3 * 4096, 0));
    write(&*file, &[3; 3 * 4096], 0);
    assert_eq!(file.allocate(4 * 4096).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(file.len().unwrap(), 3 * 4096);
    disk.set_capacity(None);
    file.allocate(4 * 4096).unwrap();
}

#[test]
fn allocated_space_can_be_written_when_the_disk_is_full() {
    let disk = disk();
    let file = synced(&disk, "/d/f", b"");
    file.allocate(8192).unwrap();
    write(&*file, &[0; 4096], 8192);
    file.sync().unwrap();
    disk.set_capacity(Some(disk.used()));
    let next = disk.reboot(Choice::KeepNone);
    let file = next.open(path("/d/f"), OpenMode::Write).unwrap();
    write(&*file, &[1; 12288], 0);
}

#[test]
fn removed_file_gives_its_space_back_when_it_is_closed() {
    let disk = disk();
    let file = synced(&disk, "/d/f", &[1; 4096]);
    disk.remove(path("/d/f")).unwrap();
    assert_eq!((disk.used(), read(&*file)), (4096, vec![1; 4096]));
    drop(file);
    assert_eq!(disk.used(), 0);
}

// Damage at rest.

#[test]
fn flipped_bit_is_seen_before_and_after_a_power_cut() {
    let disk = disk();
    drop(synced(&disk, "/d/f", &[0; 5000]));
    disk.flip_bit(path("/d/f"), 4999, 3).unwrap();
    for seen in [disk.read(path("/d/f")).unwrap(), disk.reboot(Choice::KeepNone).read(path("/d/f")).unwrap()]
    {
        assert_eq!((seen[4998], seen[4999], seen.len()), (0, 8, 5000));
    }
    assert_eq!(disk.flip_bit(path("/d/f"), 5000, 0).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn truncated_planted_and_uprooted_files_are_durably_so() {
    let disk = disk();
    drop(synced(&disk, "/d/f", &[7; 5000]));
    disk.truncate(path("/d/f"), 3).unwrap();
    disk.plant(path("/d/g"), &[9; 10_000]).unwrap();
    disk.plant(path("/d/f2"), b"x").unwrap();
    disk.uproot(path("/d/f2")).unwrap();
    for disk in [disk.clone(), disk.reboot(Choice::KeepNone)] {
        assert_eq!(disk.files(), [("/d/f".to_owned(), 3), ("/d/g".to_owned(), 10_000)]);
        assert_eq!(disk.read(path("/d/g")).unwrap(), [9; 10_000]);
    }
}

// Repeatability, copies, threads.

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
    let counts =
        Counts { calls: 16, changes: 8, reads: 1, writes: 1, syncs: 1, dir_syncs: 1, bytes_written: 4 };
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
