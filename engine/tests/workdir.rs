//! A directory that was given relative is the one that was meant, wherever the process works later. The only test of its
//! process: a working directory is the whole process's.
#![expect(
    clippy::disallowed_methods,
    reason = "what lies in which directory is looked at behind the engine's back"
)]

use std::env::set_current_dir;
use std::fs::create_dir_all;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use savehold::{At, BackupOptions, Durability, ErrorKind, Options, Restore, Store, restore, restore_with};

/// Bytes of each value: a few hundred of them are more than one segment.
const VALUE_BYTES: usize = 1 << 20;

/// Commits to the store `data` in `a` with `b` as the working directory, and all else that outlives a call.
fn play(a: &Path, b: &Path) {
    set_current_dir(a).unwrap();
    let options = Options::new().archive("archive").archive_interval(Duration::from_millis(20));
    let store = options.durability(Durability::Buffered).open("data").unwrap();
    let things = store.raw("things").unwrap();
    set_current_dir(b).unwrap();
    for n in 0..80_u64 {
        things.set(n, &vec![7; VALUE_BYTES].into()).unwrap();
    }
    store.sync().unwrap();
    store.compact(|_| ControlFlow::Continue(())).unwrap();
    assert!(store.control().is_ok(), "{:?}", store.control());

    set_current_dir(a).unwrap();
    let mut leave = |_| {
        set_current_dir(b).unwrap();
        ControlFlow::Continue(())
    };
    store.backup_with("backup", BackupOptions::new().progress(&mut leave)).unwrap();
    assert_eq!(store.stats().archive.unwrap().to, a.join("archive"));
    store.close().unwrap();

    set_current_dir(a).unwrap();
    restore_with("backup", "restored", At::Now, Restore::new().progress(&mut leave)).unwrap();
}

fn keys(dir: &Path, collection: &str) -> usize {
    let store = Store::open(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let keys = store.raw(collection).unwrap().keys("").count();
    store.close().unwrap();
    keys
}

#[test]
fn a_store_stays_where_it_was_opened_when_the_process_goes_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let (a, b) = (root.join("a"), root.join("b"));
    create_dir_all(&a).unwrap();
    create_dir_all(&b).unwrap();
    let houses = Store::open(b.join("data")).unwrap();
    houses.raw("houses").unwrap().set("7", &"red".into()).unwrap();
    houses.close().unwrap();

    play(&a, &b);
    set_current_dir(&root).unwrap();
    let names = |dir: &Path| {
        let found = std::fs::read_dir(dir).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap());
        let mut found: Vec<String> = found.collect();
        found.sort();
        found
    };
    assert_eq!(names(&b), ["data"]);
    assert_eq!(keys(&b.join("data"), "houses"), 1);
    assert_eq!(keys(&b.join("data"), "things"), 0);
    assert_eq!(names(&a), ["archive", "backup", "data", "restored"]);
    assert_eq!(keys(&a.join("data"), "things"), 80);
    assert_eq!(keys(&a.join("restored"), "things"), 80);
    restore("a/archive", "from the archive", At::Now).unwrap();
    assert_eq!(keys(&root.join("from the archive"), "things"), 80);

    let nothing = Store::open("").unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::Invalid);
    assert!(nothing.message().contains("`.` for the current one"), "{nothing}");
}
