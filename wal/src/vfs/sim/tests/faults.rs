use super::*;

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
