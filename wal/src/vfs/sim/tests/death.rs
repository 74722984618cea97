use super::*;

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
