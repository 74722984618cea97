//! How fast the rooms are that everything goes through: frames made and read, a segment scanned, a table asked, what a
//! commit read looked at again. All of it in memory that was touched before. (The tail index has `engine/benches/index.rs`.)

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use savehold::index::table::{Bytes, Identity, Page, Table, Writer};
use savehold::index::{Entry, Index, Kind, Place, TailIndex, VersionRef};
use savehold::record::Cause;
use savehold::{Durability, Options};
use savehold_benches::value;
use savehold_wal::draw::{Draw, mixed};
use savehold_wal::env::Env;
use savehold_wal::format::checksum::{Binding, StoreId};
use savehold_wal::format::frame::decode;
use savehold_wal::format::header::{DATA_OFFSET, SegmentHeader};
use savehold_wal::scan::{Span, Verify, skim};
use savehold_wal::segment::name::LOG_DIR;
use savehold_wal::vfs::{Map, OpenMode};
use savehold_wal::{Frame, Lsn};

const RECORDS: u64 = 100_000;
const KEYS: usize = 1_000_000;
const COLLECTION: u32 = 16;
const VALUES: [(&str, u64); 3] = [("100 B", 100), ("1 KiB", 1024), ("16 KiB", 16 << 10)];

fn frames(c: &mut Criterion) {
    let head = [7; 32];
    let mut group = c.benchmark_group("frame");
    for (size, bytes) in VALUES {
        let body = value(bytes);
        group.throughput(Throughput::Bytes(bytes));
        group.bench_function(format!("encode {size}"), |b| {
            b.iter(|| Frame::record(black_box(&head), &[black_box(&body)]).expect("within the limits"));
        });
    }
    group.finish();
}

/// A segment of a store that a program wrote records of 100 B to, as it lies on the disk.
struct Segment {
    map: Map,
    header: SegmentHeader,
}

impl Segment {
    fn written() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Options::new().durability(Durability::Buffered).open(dir.path()).expect("it opens");
        let (players, value) = (store.raw("players").expect("a name"), value(100));
        let last = (0..RECORDS).map(|key| players.set_async(key, &value)).last().expect("there are some");
        last.wait().expect("the disk works");
        store.close().expect("it closes");
        let vfs = Env::os().vfs;
        let log = dir.path().join(LOG_DIR);
        let map = |name: &String| {
            let file = vfs.open(&log.join(name), OpenMode::Read).ok()?;
            file.map(file.len().ok()?).ok()?
        };
        let names = vfs.list(&log).expect("the log");
        let map = names.iter().filter_map(map).max_by_key(|map| map.len()).expect("a segment");
        let header = SegmentHeader::decode(&map).expect("its header");
        Self { map, header }
    }

    fn span(&self) -> Span<'_> {
        let data = &self.map[DATA_OFFSET as usize..];
        Span { base: self.header.base, binding: self.header.binding(), data }
    }
}

fn scans(c: &mut Criterion) {
    let segment = Segment::written();
    let span = segment.span();
    let (mut places, mut bytes) = (Vec::new(), 0);
    for group in span.groups(span.base) {
        let seen = span.walk(group, Verify::Heads, |lsn, frame| {
            places.push(lsn);
            bytes += frame.bytes() as u64;
        });
        seen.expect("a whole group");
    }
    let mut group = c.benchmark_group("scan");
    group.throughput(Throughput::Elements(places.len() as u64));
    group.bench_function("decode frames, heads alone", |b| {
        b.iter(|| {
            let good = |lsn: &&Lsn| decode(span.from(**lsn), **lsn, span.binding).is_ok();
            assert_eq!(places.iter().filter(good).count(), places.len());
        });
    });
    for (name, verify) in [("walk, heads alone", Verify::Heads), ("walk, every byte", Verify::Bodies)] {
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut frames = 0;
                for group in span.groups(span.base) {
                    span.walk(group, verify, |_, _| frames += 1).expect("a whole group");
                }
                assert_eq!(frames, places.len());
            });
        });
    }
    group.throughput(Throughput::Bytes(bytes));
    group.bench_function("skim", |b| b.iter(|| skim(black_box(&span))));
    group.finish();
}

fn key(number: usize) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&mixed(number as u64).to_be_bytes());
    key[8..].copy_from_slice(&(number as u64).to_be_bytes());
    key
}

fn lsn(number: usize) -> Lsn {
    Lsn::new(1, 4096 + 132 * number as u64)
}

fn entry(key: &[u8], number: usize) -> Entry<'_> {
    let place = Place { offset: 32, bytes: 100 };
    let version = VersionRef { lsn: lsn(number), place, kind: Kind::Put, cause: Cause::Explicit };
    Entry { collection: COLLECTION, key, version }
}

const STORE: StoreId = StoreId([7; 16]);
const RANDOM: u64 = 0x5eed;

fn table() -> Table {
    let mut keys: Vec<(usize, [u8; 16])> = (0..KEYS).map(|number| (number, key(number))).collect();
    keys.sort_unstable_by_key(|(_, key)| *key);
    let identity = Identity { store: STORE, number: 1, random: RANDOM, low: lsn(0), high: lsn(KEYS) };
    let mut bytes = Vec::new();
    let mut writer = Writer::new(identity, |page: &Page| {
        bytes.extend_from_slice(page);
        Ok(())
    });
    for (number, key) in &keys {
        writer.push(entry(key, *number)).expect("in order");
    }
    let (facts, _) = writer.finish().expect("written");
    assert_eq!(facts.keys, KEYS as u64);
    Table::open(Bytes::Memory(bytes.into()), STORE, 1, RANDOM, Path::new("1.idx")).expect("it opens")
}

/// Keys at random, as a program that knows nothing of the order asks for them.
fn random_keys(beyond: usize) -> Vec<[u8; 16]> {
    let mut draw = Draw::from_seed(1);
    (0..100_000).map(|_| key(beyond + draw.below(KEYS as u64) as usize)).collect()
}

fn lookups(c: &mut Criterion) {
    let (there, absent) = (random_keys(0), random_keys(KEYS));
    let tail = TailIndex::new(RANDOM);
    (0..KEYS).for_each(|number| tail.insert(entry(&key(number), number)));
    let in_memory = Index::new(RANDOM, Vec::new(), Lsn::NONE, 0);
    (0..KEYS).for_each(|number| in_memory.insert(entry(&key(number), number)));
    let table = table();
    let mut group = c.benchmark_group("look-up among 1 M keys");
    group.throughput(Throughput::Elements(there.len() as u64)).sample_size(20);
    let found =
        |keys: &[[u8; 16]], find: &dyn Fn(&[u8]) -> bool| keys.iter().filter(|key| find(*key)).count();
    for (name, keys, expected) in [("there", &there, there.len()), ("absent", &absent, 0)] {
        group.bench_function(format!("table, {name}"), |b| {
            let find = |key: &[u8]| table.at(COLLECTION, key, Lsn::MAX).expect("no damage").is_some();
            b.iter(|| assert_eq!(found(keys, &find), expected));
        });
        group.bench_function(format!("tail, {name}"), |b| {
            b.iter(|| assert_eq!(found(keys, &|key| tail.newest(COLLECTION, key).is_some()), expected));
        });
    }
    group.bench_function("validate: unchanged since it was read", |b| {
        let seen: Vec<(Lsn, &[u8; 16])> =
            there.iter().map(|key| (tail.newest(COLLECTION, key).expect("there").lsn, key)).collect();
        let unchanged = |(lsn, key): &&(Lsn, &[u8; 16])| {
            !in_memory.changed(COLLECTION, *key, *lsn, *lsn).expect("in memory")
        };
        b.iter(|| assert_eq!(seen.iter().filter(unchanged).count(), seen.len()));
    });
    group.finish();
}

fn checksums(c: &mut Criterion) {
    let mut group = c.benchmark_group("checksum");
    let binding = Binding::new(STORE, RANDOM);
    for (size, bytes) in VALUES {
        let body = value(bytes);
        group.throughput(Throughput::Bytes(bytes));
        group.bench_function(size, |b| {
            b.iter(|| {
                savehold_wal::format::checksum::Unplaced::of(black_box(&body)).frame_at(lsn(1), binding)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, frames, scans, lookups, checksums);
criterion_main!(benches);
