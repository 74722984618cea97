use super::*;

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
fn bytes_kept_without_their_length_are_zeros_when_the_file_grows_again() {
    let disk = disk();
    let file = synced(&disk, "/d/f", b"");
    write(&*file, &[1; 512], 0);
    let next = disk.reboot(Choice::Pattern(0b10));
    let file = next.open(path("/d/f"), OpenMode::Write).unwrap();
    file.allocate(512).unwrap();
    assert_eq!(read(&*file), [0; 512]);
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
