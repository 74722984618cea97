//! An index table of format 1: read as it was written, and written again byte by byte.

use std::path::{Path, PathBuf};

use savehold::index::table::{Bytes, Identity, PAGE_BYTES, Page, Table, Writer};
use savehold::index::{Entry, Kind, Place, VersionRef};
use savehold::record::Cause;
use savehold_wal::Lsn;
use savehold_wal::format::checksum::StoreId;

const IDENTITY: Identity = Identity {
    store: StoreId(*b"of golden tables"),
    number: 7,
    random: 0x0123_4567_89ab_cdef,
    low: Lsn::new(2192, 4096),
    high: Lsn::new(2192, 1 << 20),
};

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/files/table-1/7.idx")
}

/// 300 keys of a collection, every third with three versions, the newest of every fifth a removal; one of another.
fn versions() -> Vec<(u32, Vec<u8>, VersionRef)> {
    let version = |at: u64, n: u64, kind| {
        let place = match kind {
            Kind::Put => Place { offset: 40 + n as u32, bytes: 100 * n as u32 },
            Kind::Remove => Place { offset: 0, bytes: 0 },
        };
        VersionRef { lsn: Lsn::new(2192, at), place, kind, cause: Cause::Explicit }
    };
    let mut all = Vec::new();
    for n in 0..300_u64 {
        let key = format!("player/{n:05}").into_bytes();
        let newest = if n % 5 == 0 { Kind::Remove } else { Kind::Put };
        all.push((16, key.clone(), version(900_000 + n, n, newest)));
        if n % 3 == 0 {
            all.push((16, key.clone(), version(50_000 + n, n + 1, Kind::Put)));
            all.push((16, key, version(4096 + n, n + 2, Kind::Put)));
        }
    }
    all.push((17, vec![0xff; 1024], version(5000, 1, Kind::Put)));
    all
}

fn written() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(IDENTITY, |page: &Page| {
        bytes.extend_from_slice(page);
        Ok(())
    });
    for (collection, key, version) in &versions() {
        writer.push(Entry { collection: *collection, key, version: *version }).expect("memory");
    }
    let (facts, _) = writer.finish().expect("memory");
    assert_eq!(facts.pages as usize * PAGE_BYTES, bytes.len());
    bytes
}

#[test]
fn a_table_of_format_1_is_read_as_it_was_written() {
    let bytes = std::fs::read(path()).expect("golden files are committed");
    let table = Table::open(Bytes::Memory(bytes.into()), IDENTITY.store, 7, IDENTITY.random, &path());
    let table = table.expect("a table");
    table.verify().expect("whole");
    let (all, facts) = (versions(), table.facts());
    assert_eq!((facts.versions, facts.keys, facts.removals), (all.len() as u64, 301, 60));
    for (collection, key, version) in &all {
        assert_eq!(table.at(*collection, key, version.lsn).expect("whole"), Some(*version));
    }
    let mut cursor = table.cursor();
    cursor.seek_first().expect("whole");
    for (collection, key, version) in &all {
        let full = [&collection.to_be_bytes()[..], key].concat();
        assert_eq!(cursor.next().expect("whole"), Some((&full[..], *version)));
    }
    assert_eq!(cursor.next().expect("whole"), None);
}

#[test]
fn the_same_versions_are_written_as_the_same_bytes() {
    assert!(written() == std::fs::read(path()).expect("golden files are committed"));
}
