//! Golden logs are opened, read in every way, and gone on with.

use savehold_wal::segment::file::Access;
use savehold_wal::{Lsn, Options, Verify, Wal};

use crate::{copy, table};

/// Every record, each read whole.
pub(crate) fn held_by(log: &Wal) -> Vec<table::Held> {
    let held = |record: savehold_wal::Record| table::Held {
        lsn: record.lsn.to_string(),
        head: record.head.to_vec(),
        parts: record.parts.into_iter().map(|(_, part)| part.to_vec()).collect(),
    };
    let records = log.replay(Lsn::NONE).expect("from the beginning");
    records.map(|record| held(record.expect("no byte is damaged"))).collect()
}

fn open(name: &str, access: Access) -> (tempfile::TempDir, Wal) {
    let (dir, root) = copy(name);
    let log = Wal::open_with(root, Options { access, ..Options::default() }).expect("a golden log opens");
    (dir, log)
}

#[test]
fn closed_log_is_clean_and_holds_exactly_its_records() {
    for access in [Access::Mapped, Access::Pread] {
        let (_dir, log) = open("closed", access);
        assert!(log.report().clean, "{}", log.report());
        assert_eq!(held_by(&log), table::closed());
    }
}

#[test]
fn recovered_log_is_recovered_again_and_holds_exactly_its_records() {
    for access in [Access::Mapped, Access::Pread] {
        let (_dir, log) = open("recovered", access);
        let report = log.report();
        assert!(!report.clean && report.unproven_bytes() > 0 && report.groups_dropped == 0, "{report}");
        assert_eq!(log.reports().len(), 2, "its own first recovery, and this one");
        assert_eq!(held_by(&log), table::recovered());
    }
}

#[test]
fn each_record_and_each_part_is_found_by_its_place() {
    for (name, held) in [("closed", table::closed()), ("recovered", table::recovered())] {
        let (_dir, log) = open(name, Access::Mapped);
        for record in held {
            let lsn: Lsn = record.lsn.parse().expect("the table's own");
            assert_eq!(log.read_head(lsn).expect("not damaged"), record.head);
            let mut offset = u32::try_from(16 + record.head.len()).expect("small");
            for part in record.parts {
                let bytes = u32::try_from(part.len()).expect("small");
                assert_eq!(log.read_part(lsn, offset, bytes).expect("not damaged"), part);
                offset += 8 + bytes;
            }
        }
    }
}

#[test]
fn replay_on_several_threads_goes_through_every_record_and_every_byte() {
    #[derive(Default)]
    struct Count(Vec<Lsn>);
    impl savehold_wal::Replayer for Count {
        fn record(&mut self, lsn: Lsn, _: u64, _: &[u8], _: u32) -> savehold_wal::Result<()> {
            self.0.push(lsn);
            Ok(())
        }
    }
    for (name, held) in [("closed", table::closed()), ("recovered", table::recovered())] {
        let (_dir, log) = open(name, Access::Mapped);
        let threads = (0..3).map(|_| Count::default()).collect();
        let (replayed, counts) = log.replay_into(Lsn::NONE, Verify::Bodies, threads).expect("not damaged");
        assert_eq!(replayed.records, held.len() as u64);
        let mut places: Vec<Lsn> = counts.into_iter().flat_map(|count| count.0).collect();
        places.sort();
        assert_eq!(
            places.iter().map(Lsn::to_string).collect::<Vec<_>>(),
            held.iter().map(|r| r.lsn.clone()).collect::<Vec<_>>()
        );
    }
}

#[test]
fn golden_log_goes_on_and_closes() {
    for (name, held) in [("closed", table::closed()), ("recovered", table::recovered())] {
        let (dir, root) = copy(name);
        let log = Wal::open(&root).expect("a golden log opens");
        let lsn = log.append(b"new", b"record").and_then(savehold_wal::Ticket::wait).expect("there is space");
        assert!(lsn > held.last().expect("not empty").lsn.parse().expect("the table's own"));
        log.close().expect("there is space");
        let log = Wal::open(&root).expect("it was closed");
        assert!(log.report().clean);
        assert_eq!(held_by(&log).len(), held.len() + 1);
        drop((log, dir));
    }
}
