//! A directory that was given relative is the one that was meant, wherever the process works later. The only test of its
//! process: a working directory is the whole process's.

use std::env::set_current_dir;

use savehold_wal::{ErrorKind, Options, Wal};

#[test]
fn a_log_stays_where_it_was_opened_when_the_process_goes_elsewhere() {
    let dirs = [(); 2].map(|()| tempfile::tempdir().expect("a temporary directory"));
    let [a, b] = dirs.each_ref().map(|dir| dir.path().canonicalize().unwrap());
    set_current_dir(&b).unwrap();
    let other = Wal::open("log").unwrap();
    other.append(b"other", b"").unwrap().wait().unwrap();
    other.close().unwrap();

    set_current_dir(&a).unwrap();
    let options = Options { segment_bytes_min: 1 << 20, segment_bytes_max: 1 << 20, ..Options::default() };
    let log = Wal::open_with("log", options).unwrap();
    set_current_dir(&b).unwrap();
    for _ in 0..40 {
        log.append(b"one", &[7; 100_000]).unwrap().wait().unwrap();
    }
    log.close().unwrap();

    let records = |dir: &std::path::Path| {
        let log = Wal::open(dir.join("log")).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
        log.replay(savehold_wal::Lsn::NONE).unwrap().map(Result::unwrap).count()
    };
    assert_eq!((records(&a), records(&b)), (40, 1));

    let nothing = Wal::open("").unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::Invalid);
    assert!(nothing.to_string().contains("`.` for the current one"), "{nothing}");
}
