//! How many commits a second: values of 100 B and of 1 KiB, synced and buffered, from 1, 8 and 64 threads.
//!
//! An iteration is one commit by each thread; what is measured is the wall time in which all threads finish theirs.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use savehold::Durability;
use savehold_benches::{Ground, value};

const THREADS: [usize; 3] = [1, 8, 64];
const VALUES: [(&str, u64); 2] = [("100 B", 100), ("1 KiB", 1024)];
const LEVELS: [(&str, Durability); 2] = [("synced", Durability::Synced), ("buffered", Durability::Buffered)];

fn write(c: &mut Criterion) {
    for (level, durability) in LEVELS {
        let mut group = c.benchmark_group(format!("write/{level}"));
        group.sample_size(20).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
        for (size, bytes) in VALUES {
            let value = value(bytes);
            for threads in THREADS {
                let ground = Ground::new(durability).expect("a new store opens");
                group.throughput(Throughput::Elements(threads as u64));
                group.bench_function(BenchmarkId::new(size, format!("{threads} threads")), |b| {
                    b.iter_custom(|each| ground.commit(threads, each, &value).expect("the disk works"));
                });
            }
        }
        group.finish();
    }
}

criterion_group!(benches, write);
criterion_main!(benches);
