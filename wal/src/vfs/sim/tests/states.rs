use super::*;

/// The states that differ in just one thing, each named.
fn different() -> Vec<(&'static str, SimDisk)> {
    let with = |change: &dyn Fn(&SimDisk)| {
        let disk = disk();
        synced(&disk, "/d/a", b"one");
        synced(&disk, "/d/b", &[7; 9000]);
        change(&disk);
        disk
    };
    let open = |disk: &SimDisk, name: &str| disk.open(path(name), OpenMode::Write).unwrap();
    vec![
        ("as it was", with(&|_| {})),
        (
            "other bytes, synced",
            with(&|disk| {
                let file = open(disk, "/d/a");
                write(&*file, b"two", 0);
                file.sync().unwrap();
            }),
        ),
        ("other bytes, pending", with(&|disk| write(&*open(disk, "/d/a"), b"two", 0))),
        (
            "other bytes, lost by a sync",
            with(&|disk| {
                let file = open(disk, "/d/a");
                write(&*file, b"two", 0);
                disk.order(When::Sync(disk.counts().syncs + 1), Fault::Fail(Failure::Io));
                file.sync().unwrap_err();
            }),
        ),
        ("longer, pending", with(&|disk| open(disk, "/d/a").allocate(4000).unwrap())),
        (
            "another name",
            with(&|disk| {
                disk.rename(path("/d/a"), path("/d/c")).unwrap();
                disk.sync_dir(path("/d")).unwrap();
            }),
        ),
        ("another name, pending", with(&|disk| disk.rename(path("/d/a"), path("/d/c")).unwrap())),
        (
            "removed",
            with(&|disk| {
                disk.remove(path("/d/a")).unwrap();
                disk.sync_dir(path("/d")).unwrap();
            }),
        ),
        ("removed, pending", with(&|disk| disk.remove(path("/d/a")).unwrap())),
        (
            "names changed about",
            with(&|disk| {
                disk.rename(path("/d/a"), path("/d/c")).unwrap();
                disk.rename(path("/d/b"), path("/d/a")).unwrap();
                disk.rename(path("/d/c"), path("/d/b")).unwrap();
                disk.sync_dir(path("/d")).unwrap();
            }),
        ),
    ]
}

#[test]
fn what_does_not_count_makes_no_difference() {
    let with = |bytes: &[u8], name: &str| {
        let disk = disk();
        synced(&disk, "/d/a", b"one");
        synced(&disk, name, bytes);
        disk
    };
    let (one, other) = (with(b"x", "/d/b"), with(b"y", "/d/b"));
    let without = disk();
    synced(&without, "/d/a", b"one");
    for (weight, same, absent) in
        [(Weight::Whole, false, false), (Weight::Name, true, false), (Weight::Nothing, true, true)]
    {
        let weigh = |name: &str| if name == "b" { weight } else { Weight::Whole };
        assert_eq!(one.state(&weigh) == other.state(&weigh), same, "{weight:?}");
        assert_eq!(one.state(&weigh) == without.state(&weigh), absent, "{weight:?}");
    }
    // a file that is to have another name counts by that one too
    let renamed = |bytes: &[u8]| {
        let disk = with(bytes, "/d/b");
        disk.rename(path("/d/b"), path("/d/c")).unwrap();
        disk.rename(path("/d/c"), path("/d/b")).unwrap();
        disk
    };
    let weigh = |name: &str| if name == "b" { Weight::Name } else { Weight::Whole };
    assert_ne!(renamed(b"x").state(&weigh), renamed(b"y").state(&weigh));
}

#[test]
fn states_that_differ_have_different_numbers() {
    let states = different();
    for (n, (one, a)) in states.iter().enumerate() {
        for (other, b) in &states[..n] {
            assert_ne!(a.state(&|_| Weight::Whole), b.state(&|_| Weight::Whole), "{one} and {other}");
        }
    }
}

#[test]
fn states_that_are_alike_have_one_number_whatever_led_there() {
    let straight = disk();
    synced(&straight, "/d/a", b"one");
    synced(&straight, "/d/b", b"two");
    let about = disk();
    synced(&about, "/d/gone", b"else");
    synced(&about, "/d/b", b"old");
    let file = about.open(path("/d/b"), OpenMode::Write).unwrap();
    write(&*file, b"two", 0);
    file.sync().unwrap();
    synced(&about, "/d/a", b"one");
    about.remove(path("/d/gone")).unwrap();
    about.sync_dir(path("/d")).unwrap();
    assert_eq!(straight.fork().state(&|_| Weight::Whole), about.fork().state(&|_| Weight::Whole));
    for choice in [Choice::KeepNone, Choice::KeepAll] {
        assert_eq!(
            straight.reboot(choice).state(&|_| Weight::Whole),
            straight.fork().state(&|_| Weight::Whole),
            "nothing was pending"
        );
    }
}
