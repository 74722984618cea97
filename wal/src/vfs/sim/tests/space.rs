use super::*;

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
    let next = disk.reboot(Choice::KeepNone);
    next.set_capacity(Some(next.used()));
    let file = next.open(path("/d/f"), OpenMode::Write).unwrap();
    write(&*file, &[1; 12288], 0);
}

#[test]
fn removed_file_gives_its_space_back_when_it_is_closed() {
    let disk = disk();
    let file = synced(&disk, "/d/f", &[1; 4096]);
    disk.remove(path("/d/f")).unwrap();
    assert_eq!((disk.used(), read(&*file)), (4096, vec![1; 4096]));
    assert_eq!(disk.restart().used(), 0, "a dead process has nothing open");
    drop(file);
    assert_eq!(disk.used(), 0);
}
