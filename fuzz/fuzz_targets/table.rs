//! An index table that was written and then damaged answers what was written or says that it is damaged; and pages of
//! any bytes, their checksums made good, are an answer too.

#![no_main]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use savehold::ErrorKind;
use savehold::index::table::{Bytes, Identity, PAGE_BYTES, Page, Point, Table, Writer};
use savehold::index::{Entry, KeepAll, Kind, Merge, Place, VersionRef};
use savehold_wal::Lsn;
use savehold_wal::format::checksum::{Binding, StoreId, Unplaced};

const STORE: StoreId = StoreId([1; 16]);
const RANDOM: u64 = 99;

type Model = BTreeMap<(u32, Vec<u8>, std::cmp::Reverse<Lsn>), VersionRef>;

fuzz_target!(|data: &[u8]| {
    let (changes, keys) = data.split_at(data.len() / 2);
    let model = model(keys);
    let bytes = written(&model);
    expect(&open(&bytes).expect("it was just written"), &model);
    damaged(&model, &bytes, changes);
    forged(&model, bytes, changes);
});

/// Keys and versions as the input has them: a length and that many bytes for each.
fn model(mut data: &[u8]) -> Model {
    let mut model = Model::new();
    while let Some((&length, rest)) = data.split_first() {
        let (key, rest) = rest.split_at(rest.len().min(usize::from(length % 32)));
        data = rest;
        let key = if key.is_empty() { vec![length] } else { key.to_vec() };
        let lsn = Lsn::new(1, 10 + model.len() as u64);
        let kind = if length % 5 == 0 { Kind::Remove } else { Kind::Put };
        let place = match kind {
            Kind::Put => Place { offset: u32::from(length), bytes: u32::from(length) * 1000 },
            Kind::Remove => Place { offset: 0, bytes: 0 },
        };
        model.insert((u32::from(length % 3), key, std::cmp::Reverse(lsn)), VersionRef { lsn, place, kind, cause: savehold::record::Cause::Explicit });
    }
    model
}

fn written(model: &Model) -> Vec<u8> {
    let (low, high) = (Lsn::NONE, Lsn::new(2, 0));
    let identity = Identity { store: STORE, number: 1, random: RANDOM, low, high };
    let mut bytes = Vec::new();
    let mut writer = Writer::new(identity, |page: &Page| {
        bytes.extend_from_slice(page);
        Ok(())
    });
    for ((collection, key, _), version) in model {
        writer.push(Entry { collection: *collection, key, version: *version }).expect("memory");
    }
    drop(writer.finish().expect("memory"));
    bytes
}

fn open(bytes: &[u8]) -> savehold::Result<Table> {
    Table::open(Bytes::Memory(bytes.into()), STORE, 1, RANDOM, Path::new("1.idx"))
}

fn expect(table: &Table, model: &Model) {
    table.verify().expect("whole");
    for ((collection, key, std::cmp::Reverse(lsn)), version) in model {
        assert_eq!(table.at(*collection, key, *lsn).expect("whole"), Some(*version));
    }
}

/// Some bytes changed, where the input says.
fn damaged(model: &Model, bytes: &[u8], changes: &[u8]) {
    let mut changed = bytes.to_vec();
    for change in changes.chunks_exact(4).take(4) {
        let at = u32::from_le_bytes([change[0], change[1], change[2], 0]) as usize % changed.len();
        changed[at] ^= change[3];
    }
    if changed == bytes {
        return;
    }
    let Ok(table) = open(&changed) else { return };
    for ((collection, key, std::cmp::Reverse(lsn)), version) in model {
        match table.at(*collection, key, *lsn) {
            Ok(found) => assert_eq!(found, Some(*version)),
            Err(e) => assert_eq!(e.kind(), ErrorKind::Corrupt),
        }
    }
}

/// Some bytes changed and the checksums made good: any answer will do, and no panic.
fn forged(model: &Model, mut bytes: Vec<u8>, changes: &[u8]) {
    for change in changes.chunks_exact(4).take(16) {
        let at = u32::from_le_bytes([change[0], change[1], change[2], 0]) as usize % bytes.len();
        bytes[at] ^= change[3];
    }
    let binding = Binding::new(STORE, RANDOM);
    for (number, page) in bytes.chunks_exact_mut(PAGE_BYTES).enumerate() {
        let (content, crc) = page.split_at_mut(PAGE_BYTES - 4);
        let place = Lsn::from_raw(number as u64);
        crc.copy_from_slice(&Unplaced::of(content).frame_at(place, binding).to_le_bytes());
    }
    let Ok(table) = open(&bytes) else { return };
    _ = table.verify();
    _ = merged(table).map(drop);
    let table = open(&bytes).expect("it was opened just now");
    for (collection, key, _) in model.keys() {
        for as_of in [Lsn::MAX, Lsn::new(1, 11)] {
            _ = table.at(*collection, key, as_of);
        }
        let full = [&collection.to_be_bytes()[..], key].concat();
        let mut cursor = table.cursor();
        if cursor.seek(&Point { full: &full, lsn: Lsn::MAX }).is_ok() {
            for _ in 0..3 {
                _ = cursor.next().map(drop);
            }
            for _ in 0..6 {
                _ = cursor.back().map(drop);
            }
        }
    }
}

/// The table, written anew as a merge writes it: in order, or not at all.
fn merged(table: Table) -> savehold::Result<()> {
    let facts = *table.facts();
    let identity = Identity { store: STORE, number: 2, random: RANDOM, low: facts.low, high: facts.high };
    let mut bytes = Vec::new();
    let writer = Writer::new(identity, |page: &Page| {
        bytes.extend_from_slice(page);
        Ok(())
    });
    let tables = [Arc::new(table)];
    let mut merge = Merge::new(&tables, writer, true)?;
    while merge.step(&mut KeepAll, 100)? {}
    drop(merge.finish()?);
    let written = Table::open(Bytes::Memory(bytes.into()), STORE, 2, RANDOM, Path::new("2.idx"))?;
    written.verify().expect("what a merge writes is whole");
    Ok(())
}
