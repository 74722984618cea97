//! How fast the tail index takes entries, beside the floor: a flat table of 16-byte slots, sized once, filled by hash
//! alone with sixteen fetches in flight.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use savehold::index::{Direction, Entry, KeyRange, Kind, Place, Staging, TailIndex, VersionRef};
use savehold_wal::{Lsn, raw};

const KEYS: usize = 1_000_000;
const RECORD_BYTES: usize = 132;
const SEED: u64 = 0x5eed;

/// A log as replay sees it: a record every 132 bytes, with its key of 16 bytes in front.
fn log() -> Vec<u8> {
    let mut log = vec![0; KEYS * RECORD_BYTES];
    let mut state = SEED;
    for record in log.chunks_exact_mut(RECORD_BYTES) {
        for half in record[..16].chunks_exact_mut(8) {
            // SplitMix64: no two keys are equal.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = state;
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            half.copy_from_slice(&(word ^ (word >> 31)).to_le_bytes());
        }
    }
    log
}

/// The same records in another order.
fn shuffled(log: &[u8]) -> Vec<u8> {
    const STEP: usize = 618_033; // has no divisor in common with the number of keys
    (0..KEYS).flat_map(|at| log[at * STEP % KEYS * RECORD_BYTES..][..RECORD_BYTES].iter().copied()).collect()
}

fn entry(record: &[u8], at: usize) -> Entry<'_> {
    let place = Place { offset: 32, bytes: 100 };
    Entry {
        collection: 7,
        key: &record[..16],
        version: VersionRef {
            lsn: Lsn::new(1, at as u64),
            place,
            kind: Kind::Put,
            cause: savehold::record::Cause::Explicit,
        },
    }
}

/// The records of a log, the next ones being fetched: a scan has just read them when replay takes their keys.
fn records(log: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let ahead = |at| raw::prefetch_at(log, (at + 8) * RECORD_BYTES);
    log.chunks_exact(RECORD_BYTES).enumerate().inspect(move |&(at, _)| ahead(at))
}

fn load(index: &TailIndex, log: &[u8], first: usize) {
    let mut loader = index.loader(Staging::default());
    for (at, record) in records(log) {
        loader.push(entry(record, (first + at) * RECORD_BYTES));
    }
}

fn load_on_two(index: &TailIndex, log: &[u8]) {
    let (front, back) = log.split_at(KEYS / 2 * RECORD_BYTES);
    std::thread::scope(|scope| {
        scope.spawn(|| load(index, back, KEYS / 2));
        load(index, front, 0);
    });
}

/// Hash and LSN of every key into a flat table at load one half; no key is stored or compared.
fn floor(log: &[u8]) -> Vec<(u64, u64)> {
    const SLOTS: usize = (2 * KEYS).next_power_of_two();
    const AHEAD: usize = 16;
    let hash = |record: &[u8]| {
        let word = |at: usize| u64::from_le_bytes(record[at..at + 8].try_into().unwrap_or_default());
        let product = u128::from(word(0) ^ SEED) * u128::from(word(8) ^ !SEED);
        (product as u64 ^ (product >> 64) as u64) | 1
    };
    let home = |hash: u64| (hash >> 1) as usize & (SLOTS - 1);
    let mut slots = vec![(0u64, 0u64); SLOTS];
    let mut ahead = [(0u64, 0u64); AHEAD];
    let put = |slots: &mut [(u64, u64)], (hash, lsn): (u64, u64)| {
        let mut at = home(hash);
        while slots[at].0 != 0 && slots[at].0 != hash {
            at = (at + 1) & (SLOTS - 1);
        }
        slots[at] = (hash, lsn);
    };
    for (index, record) in records(log) {
        let hash = hash(record);
        raw::prefetch_at(&slots, home(hash));
        let due = std::mem::replace(&mut ahead[index % AHEAD], (hash, index as u64));
        if index >= AHEAD {
            put(&mut slots, due);
        }
    }
    ahead.into_iter().for_each(|due| put(&mut slots, due));
    slots
}

fn insert(criterion: &mut Criterion) {
    let log = log();
    let mut group = criterion.benchmark_group("index");
    group.throughput(Throughput::Elements(KEYS as u64)).sample_size(20);
    // What a run builds is handed back, so that giving its memory back is not measured.
    group.bench_function("floor", |b| b.iter_with_large_drop(|| floor(black_box(&log))));
    let new = || TailIndex::new(SEED);
    let sized = || {
        let index = new();
        index.reserve(KEYS);
        index
    };
    let run = |index: TailIndex, load: fn(&TailIndex, &[u8])| {
        load(&index, black_box(&log));
        index
    };
    let one: fn(&TailIndex, &[u8]) = |index, log| load(index, log, 0);
    group.bench_function("load", |b| b.iter_with_large_drop(|| run(new(), one)));
    group.bench_function("load, sized", |b| b.iter_with_large_drop(|| run(sized(), one)));
    group.bench_function("load, two threads", |b| b.iter_with_large_drop(|| run(new(), load_on_two)));
    group
        .bench_function("load, sized, two threads", |b| b.iter_with_large_drop(|| run(sized(), load_on_two)));
    let shuffled = shuffled(&log);
    group.bench_function("load a second version of each key", |b| {
        b.iter_batched_ref(
            || run(new(), one),
            |index| load(index, black_box(&shuffled), KEYS),
            BatchSize::PerIteration,
        );
    });
    group.bench_function("insert", |b| {
        b.iter_with_large_drop(|| {
            let index = new();
            for (at, record) in records(&log) {
                index.insert(entry(record, at * RECORD_BYTES));
            }
            index
        });
    });
    let index = run(new(), one);
    group.bench_function("newest", |b| {
        b.iter(|| {
            let known = |record: &[u8]| index.newest(7, record.get(..16).unwrap_or_default()).is_some();
            assert_eq!(records(&log).filter(|(_, record)| known(record)).count(), KEYS);
        });
    });
    group.bench_function("first range read", |b| {
        b.iter_batched(|| run(new(), one), first_range, BatchSize::PerIteration);
    });
    group.finish();
    println!("memory: {:.1} B a key, 16 of them the key", index.memory_bytes() as f64 / KEYS as f64);
}

fn first_range(index: TailIndex) -> TailIndex {
    let page = index.range(7, KeyRange::ALL, None, Lsn::MAX, 1, Direction::Ascending);
    assert_eq!(page.len(), 1);
    index
}

criterion_group!(benches, insert);
criterion_main!(benches);
