//! Backups of stores on the real disk, and stores out of them.
#![expect(clippy::disallowed_methods, reason = "a test that damages files from outside")]

use std::collections::BTreeMap;
use std::path::Path;

use savehold::backup::{Do, Keep, backups, drill, prune, verify_backups};
use savehold::{
    At, Collection, Create, ErrorKind, Once, Options, Outcome, Restore, Store, Version, preview, restore,
    restore_in_place, restore_with,
};

struct World {
    dir: tempfile::TempDir,
    store: Store,
    coins: Collection<i64>,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = Store::open(dir.path().join("store")).unwrap();
        let coins = store.collection::<i64>("coins").unwrap();
        Self { dir, store, coins }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }
}

fn all(store: &Store) -> BTreeMap<String, i64> {
    let coins = store.collection::<i64>("coins").unwrap();
    coins.scan("").map(|entry| entry.map(|e| (e.key.to_string(), e.value))).collect::<Result<_, _>>().unwrap()
}

fn opened(path: &Path) -> Store {
    Options::new().create(Create::Never).open(path).unwrap()
}

/// It would be lost with the store, and a restore in place would take it along.
#[test]
fn a_backup_in_the_directory_of_its_store_or_around_it_is_refused() {
    let world = World::new();
    let mut inside = vec!["store", "store/backups", "store/index", "store/a/b", "store/../store/c", "."];
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(world.path("store"), world.path("link")).unwrap();
        inside.extend(["link", "link/backups", "link/a/b"]);
    }
    for to in &inside {
        let e = world.store.backup(world.path(to)).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Invalid, "{to}: {e}");
        assert!(e.message().contains("outside"), "{e}");
    }
    assert!(!world.path("store/backups").exists() && !world.path("store/a").exists());
    let World { dir, store, coins } = world;
    drop(coins);
    store.close().unwrap();
    for to in inside {
        let opened = Options::new().archive(dir.path().join(to)).open(dir.path().join("store"));
        assert_eq!(opened.err().map(|e| e.kind()), Some(ErrorKind::Invalid), "{to}");
    }
    let store = Options::new().archive(dir.path().join("stored")).open(dir.path().join("store")).unwrap();
    store.backup(dir.path().join("store-backups")).unwrap(); // beside it, of a name that begins alike
}

#[test]
fn a_store_goes_back_to_any_of_its_versions() {
    let world = World::new();
    let mut moments = Vec::new();
    for n in 0..40 {
        let version = world.coins.set(format!("{}", n % 7), &n).unwrap();
        moments.push((version, all(&world.store)));
    }
    let done = world.store.backup(world.path("backups")).unwrap();
    assert!(done.version >= moments.last().unwrap().0 && done.warning.is_some(), "{done:?}");
    for (n, (version, then)) in moments.iter().enumerate().step_by(13) {
        let to = world.path(&format!("restored-{n}"));
        let restored = restore(world.path("backups"), &to, *version).unwrap();
        assert_eq!(restored.lost.commits, (moments.len() - n - 1) as u64);
        let store = opened(&to);
        assert_eq!(all(&store), *then);
        let next = store.collection::<i64>("coins").unwrap().set("new", &1).unwrap();
        assert!(next > world.store.version(), "{next}");
        let (last, coins) = (moments[39].0, store.collection::<i64>("coins").unwrap());
        let undone = coins.get_at("4", At::Version(last)).map(|entry| entry.map(|e| e.value));
        let expected = if n == 39 { Ok(Some(39)) } else { Err(ErrorKind::Undone) };
        assert_eq!(undone.map_err(|e| e.kind()), expected);
    }
}

#[test]
fn receipts_behind_the_moment_are_undone_and_apply_again() {
    let world = World::new();
    let buy = |store: &Store, id: &str| {
        let coins = store.collection::<i64>("coins").unwrap();
        coins.update_once(id, "42", |now| savehold::Change::write(now.map_or(0, |e| e.value) + 100))
    };
    let Once::Now(first) = buy(&world.store, "receipt-1").unwrap() else { panic!() };
    let Once::Now(second) = buy(&world.store, "receipt-2").unwrap() else { panic!() };
    world.store.backup(world.path("backups")).unwrap();
    let seen = preview(world.path("backups"), first.version, Restore::new()).unwrap();
    let restored = restore(world.path("backups"), world.path("to"), first.version).unwrap();
    assert_eq!(seen.lost, restored.lost);
    let [receipt] = &restored.lost.receipts[..] else { panic!("{restored:?}") };
    assert_eq!((&receipt.id[..], receipt.version), (&b"receipt-2"[..], second.version));
    let [hour] = restored.lost.hours[..] else { panic!("{restored:?}") };
    assert_eq!((hour.commits, hour.keys), (1, 1));

    let store = opened(&world.path("to"));
    assert_eq!(store.outcome("receipt-1").unwrap(), Outcome::Committed(first.version));
    assert_eq!(store.outcome("receipt-2").unwrap(), Outcome::Undone(second.version));
    assert_eq!(store.outcome(second.version).unwrap(), Outcome::Undone(second.version));
    assert_eq!(store.outcome("receipt-3").unwrap(), Outcome::NotCommitted);
    assert!(matches!(buy(&store, "receipt-1").unwrap(), Once::Before(v) if v == first.version));
    let Once::Now(again) = buy(&store, "receipt-2").unwrap() else { panic!() };
    assert_eq!(
        (again.value, store.outcome("receipt-2").unwrap()),
        (Some(200), Outcome::Committed(again.version))
    );
}

/// Who is told that nobody knows an id takes it for one that was never granted.
#[test]
fn receipts_that_one_restore_undid_are_undone_behind_the_next_one_too() {
    let world = World::new();
    let buy = |store: &Store, id: &str| {
        let coins = store.collection::<i64>("coins").unwrap();
        let Once::Now(version) = coins.set_once(id, "42", &1).unwrap() else { panic!("{id} is new") };
        version
    };
    let before = world.coins.set("42", &0).unwrap();
    let early = buy(&world.store, "early");
    let [late, again] = ["late", "again"].map(|id| buy(&world.store, id));
    let (backups, path) = (world.path("backups"), world.path("one"));
    world.store.backup(&backups).unwrap();
    assert_eq!(restore(&backups, &path, early).unwrap().lost.receipts.len(), 2);

    let store = opened(&path);
    assert_eq!(store.outcome("again").unwrap(), Outcome::Undone(again));
    let again = buy(&store, "again");
    store.backup(&backups).unwrap();
    store.close().unwrap();
    let lost = restore_in_place(&backups, &path, before, Restore::new()).unwrap().restored.lost;
    let receipts: Vec<Version> = lost.receipts.iter().map(|receipt| receipt.version).collect();
    assert_eq!(receipts, [early, again], "what was undone before is lost no second time");

    let store = opened(&path);
    for (id, version) in [("early", early), ("late", late), ("again", again)] {
        assert_eq!(store.outcome(id).unwrap(), Outcome::Undone(version), "{id}");
    }
    assert_eq!(store.outcome("never").unwrap(), Outcome::NotCommitted);
}

#[test]
fn a_store_is_set_back_where_it_stands_and_the_one_of_before_is_kept() {
    let world = World::new();
    let then = world.coins.set("42", &1).unwrap();
    world.coins.set("42", &2).unwrap();
    world.store.backup(world.path("backups")).unwrap();
    let newest = world.coins.set("42", &3).unwrap();
    let path = world.path("store");
    let locked = restore_in_place(world.path("backups"), &path, then, Restore::new()).unwrap_err();
    assert_eq!(locked.kind(), ErrorKind::Locked);
    let World { dir: _dir, store, coins } = world;
    drop(coins);
    store.close().unwrap();
    let done = restore_in_place(_dir.path().join("backups"), &path, then, Restore::new()).unwrap();
    let store = opened(&path);
    assert_eq!(all(&store)["42"], 1);
    assert!(store.collection::<i64>("coins").unwrap().set("43", &1).unwrap() > newest);
    assert_eq!(all(&opened(&done.kept))["42"], 3);
}

#[test]
fn the_same_backup_restored_twice_goes_on_apart_and_the_older_writer_is_superseded() {
    let world = World::new();
    let then = world.coins.set("42", &1).unwrap();
    let backups_in = world.path("backups");
    world.store.backup(&backups_in).unwrap();
    let mut seen: Vec<Version> = vec![then];
    let mut stores = Vec::new();
    for name in ["a", "b"] {
        let restored = restore(&backups_in, world.path(name), At::Now).unwrap();
        assert!(restored.claimed);
        let store = opened(&world.path(name));
        let coins = store.collection::<i64>("coins").unwrap();
        seen.extend((0..5).map(|n| coins.set("42", &n).unwrap()));
        stores.push(store);
    }
    seen.extend((0..5).map(|n| world.coins.set("42", &n).unwrap()));
    let different: std::collections::BTreeSet<_> = seen.iter().collect();
    assert_eq!(different.len(), seen.len());
    stores[1].backup(&backups_in).unwrap();
    for older in [&stores[0], &world.store] {
        assert_eq!(older.backup(&backups_in).unwrap_err().kind(), ErrorKind::Superseded);
    }
    let listed = backups(&backups_in).unwrap();
    let first = listed[0].as_ref().unwrap();
    let how = Restore::new().backup(first.name);
    restore_with(&backups_in, world.path("c"), At::Now, how).unwrap();
    assert_eq!(all(&opened(&world.path("c")))["42"], 1);
}

#[test]
fn backups_are_listed_verified_drilled_and_pruned() {
    let world = World::new();
    let dest = world.path("backups");
    assert_eq!(backups(&dest).unwrap_err().kind(), ErrorKind::Missing);
    for n in 0..4_i64 {
        for key in 0..50 {
            world.coins.set(format!("{key}"), &(n * key)).unwrap();
        }
        world.store.backup(&dest).unwrap();
    }
    let listed: Vec<_> = backups(&dest).unwrap().into_iter().map(Result::unwrap).collect();
    assert_eq!(listed.len(), 4);
    assert!(listed.iter().all(|held| held.windows.len() == 1 && held.bytes > 0));
    let checked = verify_backups(&dest, |_| std::ops::ControlFlow::Continue(())).unwrap();
    assert!(checked.faults.is_empty() && checked.backups == 4, "{checked:?}");
    world.coins.set("later", &1).unwrap();
    let drilled = drill(&dest, world.path("scratch"), Restore::new()).unwrap();
    assert_eq!(drilled.keys, 50);
    assert_eq!(world.store.digest_at(drilled.restored.version).unwrap(), drilled.digest);
    assert_ne!(world.store.digest_at(world.store.version()).unwrap(), drilled.digest);
    let other = Store::open(world.path("other")).unwrap();
    let refused = other.digest_at(drilled.restored.version).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    let keep = Keep { last: 2, ..Keep::default() };
    assert_eq!(prune(&dest, &keep, Do::Nothing).unwrap().backups.len(), 2);
    assert_eq!(prune(&dest, &keep, Do::It).unwrap().left.len(), 2);
    assert!(verify_backups(&dest, |_| std::ops::ControlFlow::Continue(())).unwrap().faults.is_empty());
}

#[test]
fn a_pin_is_restored_by_its_name_from_the_newest_backup_that_knows_it() {
    let world = World::new();
    world.coins.set("42", &1).unwrap();
    world.store.pin("before").unwrap();
    world.coins.set("42", &2).unwrap();
    world.store.backup(world.path("backups")).unwrap();
    world.store.unpin("before").unwrap();
    world.coins.set("42", &3).unwrap();
    world.store.backup(world.path("backups")).unwrap();
    let listed: Vec<_> = backups(world.path("backups")).unwrap().into_iter().map(Result::unwrap).collect();
    let pins: Vec<usize> = listed.iter().map(|held| held.pins.len()).collect();
    assert_eq!(pins, [1, 0]);
    restore(world.path("backups"), world.path("to"), At::Pin("before".into())).unwrap();
    assert_eq!(all(&opened(&world.path("to")))["42"], 1);
    let seen = preview(world.path("backups"), At::Pin("before".into()), Restore::new()).unwrap();
    assert!(seen.lost.commits >= 1, "{seen:?}");
    let unknown = restore(world.path("backups"), world.path("other"), At::Pin("after".into())).unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::Gone, "{unknown}");
    assert!(!world.path("other").exists());
}

#[cfg(unix)]
#[test]
fn on_one_disk_sealed_files_are_linked_and_outlive_the_store() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    let world = World::new();
    let raw = world.store.raw("raw").unwrap();
    (0..40).for_each(|n| _ = raw.set(format!("{n}"), &vec![7; 20_000].into()).unwrap());
    let done = world.store.backup(world.path("backups")).unwrap();
    assert!(done.linked_bytes > 0 && done.linked_bytes + done.copied_bytes == done.bytes, "{done:?}");
    assert!(done.warning.is_some());
    for entry in std::fs::read_dir(world.path("backups/pieces")).unwrap() {
        let meta = entry.unwrap().metadata().unwrap();
        assert_eq!(meta.permissions().mode() & 0o777, 0o600);
        assert!((1..=2).contains(&meta.nlink()), "{meta:?}");
    }
    let digest = world.store.digest_at(done.version).unwrap();
    let World { dir, store, .. } = world;
    store.close().unwrap();
    std::fs::remove_dir_all(dir.path().join("store")).unwrap();
    let drilled = drill(dir.path().join("backups"), dir.path().join("scratch"), Restore::new()).unwrap();
    assert_eq!(drilled.digest, digest);
    assert!(
        verify_backups(dir.path().join("backups"), |_| std::ops::ControlFlow::Continue(()))
            .unwrap()
            .faults
            .is_empty()
    );
}

#[cfg(unix)]
#[test]
fn a_link_in_place_of_a_directory_is_neither_read_nor_written_through() {
    let world = World::new();
    world.coins.set("42", &1).unwrap();
    let dest = world.path("backups");
    world.store.backup(&dest).unwrap();
    let elsewhere = world.path("elsewhere");
    std::fs::rename(dest.join("pieces"), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, dest.join("pieces")).unwrap();
    let refused = restore(&dest, world.path("to"), At::Now).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
    assert!(refused.message().contains("no plain directory"), "{refused}");
    let refused = world.store.backup(&dest).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Foreign, "{refused}");
    std::fs::remove_file(dest.join("pieces")).unwrap();
    std::fs::rename(&elsewhere, dest.join("pieces")).unwrap();
    // a link that is put there meanwhile leads nobody astray
    let (from, swapped) = (dest.clone(), std::cell::Cell::new(false));
    let mut swap = |_: savehold::Progress| {
        if !swapped.replace(true) {
            std::fs::rename(from.join("pieces"), from.join("aside")).unwrap();
            std::os::unix::fs::symlink("/nowhere", from.join("pieces")).unwrap();
        }
        std::ops::ControlFlow::Continue(())
    };
    restore_with(&dest, world.path("to"), At::Now, Restore::new().progress(&mut swap)).unwrap();
    assert!(swapped.get());
    assert_eq!(all(&opened(&world.path("to")))["42"], 1);
}

#[cfg(unix)]
#[test]
fn a_link_in_place_of_the_target_is_not_written_through() {
    use std::os::unix::fs::symlink;

    let world = World::new();
    world.coins.set("42", &1).unwrap();
    let (dest, elsewhere, to) = (world.path("backups"), world.path("elsewhere"), world.path("to"));
    world.store.backup(&dest).unwrap();
    std::fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, &to).unwrap();
    let refused = restore(&dest, &to, At::Now).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    assert!(refused.message().contains("is a link"), "{refused}");
    std::fs::remove_file(&to).unwrap();
    // one that is put there meanwhile: what is made goes where it went before, and nowhere else
    for name in ["to", "to/log"] {
        let (swapped, path, aside) = (std::cell::Cell::new(false), world.path(name), world.path("aside"));
        let link = elsewhere.clone();
        let mut swap = |at: savehold::Progress| {
            if at.done_bytes > 0 && !swapped.replace(true) {
                std::fs::rename(&path, &aside).unwrap();
                symlink(&link, &path).unwrap();
            }
            std::ops::ControlFlow::Continue(())
        };
        _ = restore_with(&dest, &to, At::Now, Restore::new().progress(&mut swap)); // no store stands there then
        assert!(swapped.get());
        assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 0, "{name}");
        std::fs::remove_file(world.path(name)).unwrap();
        std::fs::remove_dir_all(world.path("aside")).unwrap();
        _ = std::fs::remove_dir_all(&to);
    }
    // and one in place of a file that a restore which was cut short left
    let mine = elsewhere.join("mine");
    for names in [&["RESTORING"][..], &["RESTORING", "MANIFEST.next"], &["RESTORING", "LOCK"]] {
        std::fs::create_dir(&to).unwrap();
        std::fs::write(&mine, b"mine").unwrap();
        let (link, plain) = names.split_last().unwrap();
        plain.iter().for_each(|name| std::fs::write(to.join(name), b"").unwrap());
        symlink(&mine, to.join(link)).unwrap();
        _ = restore(&dest, &to, At::Now);
        assert_eq!(std::fs::read(&mine).unwrap(), b"mine", "{link}");
        std::fs::remove_dir_all(&to).unwrap();
    }
    restore(&dest, &to, At::Now).unwrap();
    assert_eq!(all(&opened(&to))["42"], 1);
}

#[cfg(unix)]
#[test]
fn a_store_behind_a_link_is_set_back_on_the_disk_where_it_lies() {
    let World { dir, store, coins } = World::new();
    let then = coins.set("42", &1).unwrap();
    let path = |name: &str| dir.path().join(name);
    coins.set("42", &2).unwrap();
    store.backup(path("backups")).unwrap();
    drop(coins);
    store.close().unwrap();
    std::fs::create_dir(path("disk")).unwrap();
    std::fs::rename(path("store"), path("disk/there")).unwrap();
    std::os::unix::fs::symlink("disk/there", path("store")).unwrap();
    let done = restore_in_place(path("backups"), path("store"), then, Restore::new()).unwrap();
    assert!(path("store").is_symlink() && !path("disk/there").is_symlink());
    assert_eq!(done.kept.parent(), Some(&*path("disk").canonicalize().unwrap()));
    assert_eq!((all(&opened(&path("store")))["42"], all(&opened(&done.kept))["42"]), (1, 2));
}

#[test]
fn a_restore_in_place_that_was_cut_short_is_not_written_over() {
    let world = World::new();
    let then = world.coins.set("42", &1).unwrap();
    world.store.backup(world.path("backups")).unwrap();
    let World { dir, store, .. } = world;
    store.close().unwrap();
    let path = |name: &str| dir.path().join(name);
    restore(path("backups"), path("store.restoring"), then).unwrap(); // whole, and never exchanged
    let refused = restore_in_place(path("backups"), path("store"), then, Restore::new()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    assert!(refused.message().contains("store.restoring was left by a restore"), "{refused}");
    std::fs::remove_dir_all(path("store.restoring")).unwrap();
    std::fs::create_dir(path("store.restoring")).unwrap();
    std::fs::write(path("store.restoring").join("RESTORING"), b"").unwrap(); // begun, and cut short
    let done = restore_in_place(path("backups"), path("store"), then, Restore::new()).unwrap();
    assert!(done.kept.exists() && all(&opened(&path("store")))["42"] == 1);
}

#[test]
fn callbacks_end_backup_restore_and_verification() {
    let world = World::new();
    world.coins.set("42", &1).unwrap();
    let mut stop = |_: savehold::Progress| std::ops::ControlFlow::Break(());
    let how = savehold::BackupOptions::new().progress(&mut stop);
    let stopped = world.store.backup_with(world.path("backups"), how).unwrap_err();
    assert_eq!(stopped.kind(), ErrorKind::Aborted);
    world.store.backup(world.path("backups")).unwrap();
    let how = Restore::new().progress(&mut stop);
    let stopped = restore_with(world.path("backups"), world.path("to"), At::Now, how).unwrap_err();
    assert_eq!(stopped.kind(), ErrorKind::Aborted);
    assert!(!world.path("to").join("MANIFEST").exists());
    assert_eq!(verify_backups(world.path("backups"), stop).unwrap_err().kind(), ErrorKind::Aborted);
}

#[cfg(unix)]
#[test]
fn links_and_pipes_in_a_destination_are_not_followed() {
    let world = World::new();
    world.coins.set("42", &1).unwrap();
    let dest = world.path("backups");
    world.store.backup(&dest).unwrap();
    let piece = std::fs::read_dir(dest.join("pieces")).unwrap().next().unwrap().unwrap().path();
    let elsewhere = world.path("elsewhere");
    std::fs::rename(&piece, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &piece).unwrap();
    let refused = restore(&dest, world.path("to"), At::Now).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
    assert!(refused.message().contains("no plain file"), "{refused}");
    std::fs::remove_file(&piece).unwrap();
    std::fs::create_dir(&piece).unwrap();
    assert_eq!(restore(&dest, world.path("to"), At::Now).unwrap_err().kind(), ErrorKind::Corrupt);
    std::fs::remove_dir(&piece).unwrap();
    std::fs::rename(&elsewhere, &piece).unwrap();
    restore(&dest, world.path("to"), At::Now).unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    for path in [piece, dest.join("backups").join("00000001.backup"), world.path("to").join("MANIFEST")] {
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600,
            "{}",
            path.display()
        );
    }
}

#[test]
fn a_store_in_which_nothing_was_ever_written_is_backed_up_and_restored() {
    let world = World::new();
    world.store.backup(world.path("backups")).unwrap();
    assert_eq!(backups(world.path("backups")).unwrap().len(), 1);
    let restored = restore(world.path("backups"), world.path("to"), At::Now).unwrap();
    assert_eq!(restored.commits, 0);
    let store = opened(&world.path("to"));
    store.collection::<i64>("coins").unwrap().set("42", &1).unwrap();
    store.backup(world.path("backups")).unwrap();
    restore(world.path("backups"), world.path("again"), At::Now).unwrap();
    assert_eq!(all(&opened(&world.path("again")))["42"], 1);
}

#[test]
fn leases_that_stood_at_the_moment_have_ended_and_their_tokens_are_fenced() {
    let world = World::new();
    world.coins.set("42", &1).unwrap();
    let server = world.store.external_holder("server", 7).unwrap();
    let session = server.acquire([world.coins.key("42")], savehold::Start::new()).unwrap();
    let done = world.store.backup(world.path("backups")).unwrap();
    let restored = restore(world.path("backups"), world.path("to"), done.version).unwrap();
    assert_eq!(restored.leases_ended, 1);
    let store = opened(&world.path("to"));
    let coins = store.collection::<i64>("coins").unwrap();
    let fenced = coins.with_token(session.token()).set("42", &2).unwrap_err();
    assert_eq!(fenced.kind(), ErrorKind::Fenced, "{fenced}");
    coins.set("42", &3).unwrap();
    let again = store.external_holder("server", 7).unwrap();
    let newer = again.acquire([coins.key("42")], savehold::Start::new()).unwrap();
    assert!(newer.token() > session.token());
}

#[test]
fn chosen_keys_come_back_out_of_a_backup_and_the_others_go_on() {
    let world = World::new();
    world.store.collection::<i64>("other").unwrap().set("1", &5).unwrap();
    for key in ["a-1", "a-2", "b-1"] {
        world.coins.update(key, |_| savehold::Change::write(1).user_ids([42])).unwrap();
    }
    let then = world.coins.remove("a-2").unwrap().map_or(world.store.version(), |_| world.store.version());
    world.store.backup(world.path("backups")).unwrap();
    for key in ["a-1", "a-2", "a-3", "b-1"] {
        world.coins.set(key, &9).unwrap();
    }
    let selection = savehold::Selection::collection("coins").range("a-");
    let done = world.store.restore_keys(world.path("backups"), &selection, then, Restore::new()).unwrap();
    assert_eq!((done.written, done.removed, done.unchanged), (1, 1, 0));
    let expected = [("a-1".to_owned(), 1), ("a-3".to_owned(), 9), ("b-1".to_owned(), 9)];
    assert_eq!(all(&world.store), BTreeMap::from(expected));
    let back = world.coins.get("a-1").unwrap().unwrap();
    assert_eq!(back.attributes.user_ids().len(), 1);
    let again = world.store.restore_keys(world.path("backups"), &selection, then, Restore::new()).unwrap();
    assert_eq!((again.written, again.removed, again.unchanged), (0, 0, 2));
    let unknown = savehold::Selection::collection("none");
    let refused =
        world.store.restore_keys(world.path("backups"), &unknown, then, Restore::new()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Missing);
}

#[test]
fn under_load_two_hundred_restores_equal_what_the_store_held() {
    use savehold::backup::restore_in;
    use savehold_wal::sim::Draw;
    use std::sync::atomic::{AtomicBool, Ordering};

    // SAVEHOLD_BACKUPS=full: ten times the load, so that it goes on through all of it
    let full = std::env::var("SAVEHOLD_BACKUPS").is_ok_and(|how| how == "full");
    let most = if full { 15_000 } else { 1500 };
    let env = savehold_wal::sim::memory();
    let store = Options::new().open_in(env.clone(), Path::new("/store")).unwrap();
    let first = store.collection::<i64>("coins").unwrap().set("0", &0).unwrap().lsn().raw();
    let first_us = store.time_us();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..3_u64 {
            let (store, stop) = (&store, &stop);
            scope.spawn(move || {
                let coins = store.collection::<i64>("coins").unwrap();
                let mut draw = Draw::from_seed(thread);
                for _ in 0..most {
                    if stop.load(Ordering::Relaxed) {
                        return; // and the log stays small: a hundred copies of it are made
                    }
                    let (one, two) = (format!("{}", draw.below(40)), format!("{}", draw.below(40)));
                    let moved = store.transaction(|tx| -> savehold::Result<()> {
                        tx.increment(&coins, &one, -1)?;
                        tx.increment(&coins, &two, 1)?;
                        Ok(())
                    });
                    moved.unwrap();
                }
            });
        }
        let mut draw = Draw::from_seed(99);
        for n in 0..200_u64 {
            if n % 5 == 0 {
                store.backup(Path::new("/backups")).unwrap();
            }
            let done = store.backup(Path::new("/backups")).unwrap();
            let span = done.version.lsn().raw() - first;
            let at = Version::from(savehold_wal::Lsn::from_raw(first + draw.below(span + 1)));
            let to = std::path::PathBuf::from(format!("/restored-{n}"));
            let restored = match n % 3 {
                0 => {
                    let time_us = done.time_us - draw.below(done.time_us.saturating_sub(first_us) + 1);
                    let restored =
                        restore_in(&env, Path::new("/backups"), &to, &At::Time(time_us), Restore::new());
                    let then = store.snapshot_at(At::Time(time_us)).unwrap().version();
                    let version = restored.as_ref().unwrap().version;
                    assert_eq!(
                        store.digest_at(then).unwrap(),
                        store.digest_at(version).unwrap(),
                        "{n}: {time_us}"
                    );
                    restored
                }
                _ => restore_in(&env, Path::new("/backups"), &to, &At::Version(at), Restore::new()),
            };
            let restored = restored.unwrap();
            let made = Options::new().open_in(env.clone(), &to).unwrap();
            let version = made.version().min(restored.version);
            assert_eq!(
                made.digest_at(version).unwrap(),
                store.digest_at(restored.version).unwrap(),
                "{n}: {at}"
            );
            let coins = made.collection::<i64>("coins").unwrap();
            let sum: i64 = coins.scan("").map(|entry| entry.unwrap().value).sum();
            assert_eq!(sum, 0, "never half a transaction");
            made.close().unwrap();
            for dir in [to.join("log"), to.clone()] {
                let names = env.vfs.list(&dir).unwrap();
                names.iter().for_each(|name| _ = env.vfs.remove(&dir.join(name)));
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}
