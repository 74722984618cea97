use super::*;

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
    assert_eq!(both.used(), 4096);
    assert_eq!((names(&both), both.read(path("/e/f")).unwrap()), (vec!["/e/f".to_owned()], b"x".to_vec()));
    both.remove(path("/e/f")).unwrap();
    both.sync_dir(path("/e")).unwrap();
    assert_eq!(both.used(), 0);
}
