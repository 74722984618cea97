//! Tables beside a model that cannot be wrong: a sorted list of versions.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use savehold_wal::Lsn;
use savehold_wal::format::checksum::StoreId;
use savehold_wal::vfs::{OpenMode, OsVfs, Vfs, VfsFile};

use super::spread::{BUCKET_BYTES, Bucket, SHARD_PAGES_MAX, Spot, bucket_of, buckets_for, hash, spread};
use super::{Bytes, Identity, PAGE_BYTES, Page, Point, Table, Writer};
use crate::error::ErrorKind;
use crate::index::{Entry, Kind, Place, VersionRef};
use crate::record::Cause;
use crate::tests::Dice;

const STORE: StoreId = StoreId([7; 16]);
const RANDOM: u64 = 0x1234_5678_9abc_def0;

type Full = (u32, Vec<u8>);
type Model = BTreeMap<(Full, Reverse<Lsn>), VersionRef>;

fn lsn(number: usize) -> Lsn {
    Lsn::new(3, 4096 + 100 * number as u64)
}

fn version(number: usize) -> VersionRef {
    match number % 5 {
        4 => VersionRef {
            lsn: lsn(number),
            place: Place { offset: 0, bytes: 0 },
            kind: Kind::Remove,
            cause: cause(number),
        },
        _ => VersionRef {
            lsn: lsn(number),
            // small numbers, as nearly all are, and such that a cell takes as many bytes as it can
            place: match number % 2 {
                0 => Place { offset: 30, bytes: 100 + number as u32 },
                _ => Place { offset: number as u32 * 7, bytes: Place::BYTES_MAX - number as u32 },
            },
            kind: Kind::Put,
            cause: cause(number),
        },
    }
}

fn cause(number: usize) -> Cause {
    if number % 3 == 1 { Cause::Autosave } else { Cause::Explicit }
}

fn model(writes: impl IntoIterator<Item = (u32, Vec<u8>)>) -> Model {
    let numbered = writes.into_iter().enumerate();
    numbered.map(|(n, full)| ((full, Reverse(lsn(n))), version(n))).collect()
}

fn key(dice: &mut Dice) -> Vec<u8> {
    let length = [1, 2, 7, 8, 9, 16, 24, 40, 200, 1024][dice.below(10)];
    let mut key = vec![[0, b'a', 0xff][dice.below(3)]; length];
    key[length - 1] = dice.below(6) as u8;
    key[length / 2] ^= dice.below(5) as u8;
    key
}

fn random(dice: &mut Dice, count: usize) -> Model {
    model((0..count).map(|_| (dice.below(3) as u32 * 255, key(dice))).collect::<Vec<_>>())
}

fn write(model: &Model, shards: (usize, usize)) -> Vec<u8> {
    let identity = Identity { store: STORE, number: 5, random: RANDOM, low: lsn(0), high: lsn(1 << 21) };
    let mut bytes = Vec::new();
    let sink = |page: &Page| {
        bytes.extend_from_slice(page);
        Ok(())
    };
    let mut writer = Writer::new(identity, sink).with_shards_of(shards.0, shards.1);
    for (((collection, key), _), version) in model {
        writer.push(Entry { collection: *collection, key, version: *version }).unwrap();
    }
    let (facts, _) = writer.finish().unwrap();
    assert_eq!(facts.versions as usize, model.len());
    assert_eq!(facts.pages as usize * PAGE_BYTES, bytes.len());
    bytes
}

fn open(bytes: Vec<u8>) -> Table {
    Table::open(Bytes::Memory(bytes.into()), STORE, 5, RANDOM, Path::new("index/5.idx")).unwrap()
}

fn full(collection: u32, key: &[u8]) -> Vec<u8> {
    [&collection.to_be_bytes()[..], key].concat()
}

/// Every key at every moment around its versions, keys beside them, and both ways through from every place.
fn expect(table: &Table, model: &Model) {
    table.verify().unwrap();
    let keys: std::collections::BTreeSet<&Full> = model.keys().map(|(full, _)| full).collect();
    assert_eq!(table.facts().keys as usize, keys.len());
    let at = |full: &Full, as_of: Lsn| {
        let found = model.range((full.clone(), Reverse(as_of))..).next();
        found.filter(|((found, _), _)| found == full).map(|(_, version)| *version)
    };
    for (full, Reverse(lsn)) in model.keys() {
        for as_of in [lsn.raw() - 1, lsn.raw(), u64::MAX].map(Lsn::from_raw) {
            assert_eq!(table.at(full.0, &full.1, as_of).unwrap(), at(full, as_of), "{full:?} at {as_of}");
        }
        let mut beside = full.clone();
        beside.1.push(9);
        assert_eq!(table.at(beside.0, &beside.1, Lsn::MAX).unwrap(), at(&beside, Lsn::MAX));
        assert_eq!(
            table.at(full.0 + 1, &full.1, Lsn::MAX).unwrap(),
            at(&(full.0 + 1, full.1.clone()), Lsn::MAX)
        );
    }
    let all: Vec<(Vec<u8>, VersionRef)> =
        model.iter().map(|(((collection, key), _), version)| (full(*collection, key), *version)).collect();
    let mut cursor = table.cursor();
    for (n, (key, version)) in all.iter().enumerate() {
        cursor.seek(&Point { full: key, lsn: version.lsn }).unwrap();
        let mut forth = |n: usize| {
            let expected = all.get(n).map(|(key, version)| (&key[..], *version));
            assert_eq!(cursor.next().unwrap(), expected);
        };
        (n..(n + 3).min(all.len())).for_each(&mut forth);
        cursor.seek(&Point { full: key, lsn: version.lsn }).unwrap();
        let mut back = |n: usize| {
            let expected = all.get(n).map(|(key, version)| (&key[..], *version));
            assert_eq!(cursor.back().unwrap(), expected);
        };
        (n.saturating_sub(3)..n).rev().for_each(&mut back);
    }
    cursor.seek_first().unwrap();
    assert_eq!(cursor.back().unwrap(), None);
    for (key, version) in &all {
        assert_eq!(cursor.next().unwrap(), Some((&key[..], *version)));
    }
    assert_eq!(cursor.next().unwrap(), None);
    cursor.seek_last().unwrap();
    assert_eq!(cursor.next().unwrap(), None);
    for (key, version) in all.iter().rev() {
        assert_eq!(cursor.back().unwrap(), Some((&key[..], *version)));
    }
}

#[test]
fn what_was_written_is_read_at_every_moment_and_both_ways() {
    let dice = &mut Dice::new(1);
    for count in [0, 1, 2, 30, 700, 3000] {
        let model = random(dice, count);
        for shards in [(1, 9), (20, 9), (1 << 16, 2), (1 << 16, 3072)] {
            expect(&open(write(&model, shards)), &model);
        }
    }
}

#[test]
fn a_key_with_more_versions_than_a_shard_has_room_for_goes_on_in_the_next() {
    const COUNT: usize = 1_600_000;
    let writes = (0..COUNT).map(|n| (1, if n % 1000 == 0 { b"before".to_vec() } else { b"hot".to_vec() }));
    // keys that the next shard's hash section does not tell from it, and that stand behind its last versions there
    let tag_of = |key: &[u8]| hash(RANDOM, 1, key) & 0x7fff;
    let behind = (0_u32..).map(|n| [&b"hot"[..], &n.to_be_bytes()].concat());
    let alike: Vec<_> = behind.filter(|key| tag_of(key) == tag_of(b"hot")).take(11).collect();
    let model = model(writes.chain(alike.iter().map(|key| (1, key.clone()))));
    let table = open(write(&model, (1 << 16, SHARD_PAGES_MAX)));
    assert_eq!(table.facts().shards, 2, "{:?}", table.facts());
    table.verify().unwrap();
    for n in [1, 2, 999, 4_097, 100_001, 250_003, COUNT - 1] {
        assert_eq!(table.at(1, b"hot", lsn(n)).unwrap(), Some(version(n)));
        assert_eq!(table.at(1, b"hot", Lsn::from_raw(lsn(n).raw() + 1)).unwrap(), Some(version(n)));
    }
    assert_eq!(table.at(1, b"hot", lsn(0)).unwrap(), None);
    assert_eq!(table.at(1, b"hot", Lsn::MAX).unwrap(), Some(version(COUNT - 1)));
    assert_eq!(table.at(1, b"before", Lsn::MAX).unwrap(), Some(version(COUNT - 1000)));
    assert_eq!(table.at(1, b"hou", Lsn::MAX).unwrap(), None);
    for (n, key) in alike.iter().enumerate() {
        assert_eq!(table.at(1, key, Lsn::MAX).unwrap(), Some(version(COUNT + n)));
    }
}

#[test]
fn a_table_reads_the_same_mapped_and_from_its_file() {
    let model = random(&mut Dice::new(2), 800);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("5.idx");
    let file: Arc<dyn VfsFile> = OsVfs.open(&path, OpenMode::CreateNew).unwrap();
    let bytes = write(&model, (100, 9));
    file.write_at(&mut [std::io::IoSlice::new(&bytes)], 0).unwrap();
    let map = file.map(bytes.len() as u64).unwrap().expect("the system has maps");
    for source in [Bytes::Mapped(map), Bytes::File(file)] {
        expect(&Table::open(source, STORE, 5, RANDOM, &path).unwrap(), &model);
    }
}

#[test]
fn a_changed_bit_is_noticed_wherever_it_is_and_no_answer_is_wrong() {
    let dice = &mut Dice::new(3);
    let model = random(dice, 300);
    let bytes = write(&model, (40, 9));
    for _ in 0..400 {
        let mut changed = bytes.clone();
        let at = dice.below(changed.len());
        changed[at] ^= 1 << dice.below(8);
        let opened = Table::open(Bytes::Memory(changed.into()), STORE, 5, RANDOM, Path::new("5.idx"));
        let Ok(table) = opened.inspect_err(|e| assert_eq!(e.kind(), ErrorKind::Corrupt)) else { continue };
        assert_eq!(table.verify().unwrap_err().kind(), ErrorKind::Corrupt);
        for ((full, Reverse(lsn)), version) in &model {
            match table.at(full.0, &full.1, *lsn) {
                Ok(found) => assert_eq!(found, Some(*version)),
                Err(e) => assert_eq!(e.kind(), ErrorKind::Corrupt),
            }
        }
    }
}

#[test]
fn a_table_cut_short_of_another_number_or_of_another_store_does_not_open() {
    let bytes = write(&random(&mut Dice::new(4), 300), (40, 9));
    let open = |bytes: &[u8], store, number, random| {
        Table::open(Bytes::Memory(bytes.into()), store, number, random, Path::new("5.idx")).map(drop)
    };
    open(&bytes, STORE, 5, RANDOM).unwrap();
    for length in [0, 1, PAGE_BYTES, bytes.len() - PAGE_BYTES, bytes.len() - 1] {
        assert_eq!(open(&bytes[..length], STORE, 5, RANDOM).unwrap_err().kind(), ErrorKind::Corrupt);
    }
    assert_eq!(open(&bytes, STORE, 6, RANDOM).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(open(&bytes, STORE, 5, RANDOM + 1).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(open(&bytes, StoreId([8; 16]), 5, RANDOM).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn an_absent_key_is_told_by_its_bucket_alone_but_for_one_in_a_thousand() {
    let key = |n: u32| n.to_be_bytes();
    let spot = Spot { page: 4095, restart: 31 };
    let keys: Vec<_> = (0..60_000).map(|n| (hash(RANDOM, 1, &key(n)), spot)).collect();
    let (bytes, buckets) = (spread(&keys), buckets_for(keys.len()));
    let spots = |hash: u64| {
        let (mut at, mut found, mut lines) = (bucket_of(hash, buckets), 0, 0);
        loop {
            let bucket = Bucket(bytes[at * BUCKET_BYTES..].first_chunk().unwrap());
            found += bucket.spots(hash).inspect(|s| assert_eq!(*s, spot)).count();
            lines += 1;
            if !bucket.goes_on() {
                return (found, lines);
            }
            at = (at + 1) % buckets;
        }
    };
    assert!(keys.iter().all(|(hash, _)| spots(*hash).0 >= 1));
    let absent: Vec<_> = (60_000..160_000).map(|n| spots(hash(RANDOM, 1, &key(n)))).collect();
    let (found, lines) = absent.iter().fold((0, 0), |sum, (found, lines)| (sum.0 + found, sum.1 + lines));
    assert!(found < 100, "{found} of 100,000 absent keys had a spot");
    assert!(lines < 130_000, "{lines} lines for 100,000 absent keys");
}
