//! Merges of tables that no program of ours wrote, their checksums made good: damaged, and nothing worse.

use std::path::Path;
use std::sync::Arc;

use savehold_wal::Lsn;
use savehold_wal::format::checksum::{Binding, StoreId, Unplaced};

use super::*;
use crate::error::ErrorKind;
use crate::index::table::{Bytes, FULL_BYTES_MAX, Identity, PAGE_BYTES, Page};
use crate::index::{KeepAll, Kind, Place};
use crate::record::Cause;
use crate::tests::Dice;

const STORE: StoreId = StoreId([7; 16]);
const RANDOM: u64 = 99;
const FOOTER_HIGH_AT: usize = 56;

fn lsn(number: u64) -> Lsn {
    Lsn::from_raw(1000 + number)
}

fn identity(number: u64) -> Identity {
    Identity { store: STORE, number, random: RANDOM, low: lsn(0), high: lsn(1000) }
}

/// A table in which every key has a version of each of `numbers`.
fn written(keys: &[&[u8]], numbers: &[u64]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(identity(1), |page: &Page| {
        bytes.extend_from_slice(page);
        Ok(())
    });
    for key in keys {
        for number in numbers {
            let place = Place { offset: 30, bytes: 100 };
            let version = VersionRef { lsn: lsn(*number), place, kind: Kind::Put, cause: Cause::Explicit };
            writer.push(Entry { collection: 0, key, version }).unwrap();
        }
    }
    _ = writer.finish().unwrap();
    bytes
}

/// The table of `bytes`, its checksums made good.
fn forged(mut bytes: Vec<u8>) -> Result<Arc<Table>> {
    for (number, page) in bytes.chunks_exact_mut(PAGE_BYTES).enumerate() {
        let (content, crc) = page.split_at_mut(PAGE_BYTES - 4);
        let place = Lsn::from_raw(number as u64);
        let binding = Binding::new(STORE, RANDOM);
        crc.copy_from_slice(&Unplaced::of(content).frame_at(place, binding).to_le_bytes());
    }
    Table::open(Bytes::Memory(bytes.into()), STORE, 1, RANDOM, Path::new("1.idx")).map(Arc::new)
}

/// What a merge of `tables` writes.
fn merged(tables: &[Arc<Table>]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let writer = Writer::new(identity(2), |page: &Page| {
        bytes.extend_from_slice(page);
        Ok(())
    });
    let mut merge = Merge::new(tables, writer, true)?;
    while merge.step(&mut KeepAll, 10)? {}
    _ = merge.finish()?;
    Ok(bytes)
}

#[test]
fn what_cannot_be_a_key_or_a_version_of_a_table_is_damage() {
    let changed = |mut bytes: Vec<u8>, at: usize, to: u8| {
        bytes[at] = to;
        bytes
    };
    let footer = |bytes: &[u8]| bytes.len() - PAGE_BYTES;
    let one = written(&[b"k"], &[5]);
    let high = footer(&one) + FOOTER_HIGH_AT;
    let long = [1; FULL_BYTES_MAX - 4 + 1];
    for (name, bytes) in [
        ("half a collection in front of nothing", changed(one.clone(), 1, 2)),
        ("a collection in front of nothing", changed(written(&[b"\0"], &[5]), 1, 4)),
        ("a key longer than any", written(&[b"\0", &long], &[5])),
        ("a version that the table is too old for", changed(changed(one, high, 0xec), high + 1, 3)),
        ("a key behind a larger one", changed(written(&[b"a", b"b"], &[5]), 10, b'z')),
        ("a key twice", changed(written(&[b"a", b"b"], &[6, 5]), 23, b'a')),
        ("a version behind an older one", changed(written(&[b"a"], &[6, 5]), 2, 4)),
    ] {
        let table = forged(bytes).unwrap();
        let e = merged(std::slice::from_ref(&table)).map(drop).expect_err(name);
        assert_eq!((e.kind(), table.is_damaged()), (ErrorKind::Corrupt, true), "{name}: {e}");
    }
}

#[test]
fn a_merge_of_any_bytes_is_a_whole_table_or_says_that_one_is_damaged() {
    let dice = &mut Dice::new(1);
    let keys: Vec<Vec<u8>> =
        (0..60_u32).map(|n| n.to_string().repeat(n as usize % 9 + 1).into_bytes()).collect();
    let mut keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    keys.sort_unstable();
    let (newer, older) = (written(&keys, &[900, 700]), written(&keys[7..30], &[400, 300, 200]));
    let newer = forged(newer).unwrap();
    let (mut whole, mut damaged) = (0, 0);
    for _ in 0..4000 {
        let mut bytes = older.clone();
        let pages = bytes.len() / PAGE_BYTES - 1; // whether the last page belongs to it, MANIFEST tells
        let at = dice.below(pages) * PAGE_BYTES + dice.below(200);
        bytes[at] = bytes[at].wrapping_add(1 + dice.below(255) as u8);
        let merged = forged(bytes).and_then(|older| merged(&[newer.clone(), older]));
        match merged.inspect_err(|e| assert_eq!(e.kind(), ErrorKind::Corrupt)) {
            Ok(bytes) => {
                let path = Path::new("2.idx");
                Table::open(Bytes::Memory(bytes.into()), STORE, 2, RANDOM, path).unwrap().verify().unwrap();
                whole += 1;
            }
            Err(_) => damaged += 1,
        }
    }
    assert!(whole > 100 && damaged > 100, "{whole} whole, {damaged} damaged");
}
