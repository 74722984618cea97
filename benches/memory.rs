//! What a large store takes of memory, and what reading it costs.
//!
//! `cargo bench -p savehold-benches --bench memory -- 10000000`: so many keys of 24 bytes with values of 100 bytes, written
//! buffered with the default options (a memory budget of 256 MiB). Anonymous memory (RssAnon of /proc/self/status) is looked
//! at every few milliseconds while the store is filled, and again at rest, when it was closed and opened; then keys are
//! read at random and listed by prefix, all of it in the page cache.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use std::{env, fs};

use bytes::Bytes;
use savehold::{Durability, Options, Result};
use savehold_benches::Flow;
use savehold_wal::draw::Draw;
use savehold_wal::env::Env;
use savehold_wal::schedule;

const UNDER_WAY: usize = 1024;
const READS: u64 = 1_000_000;
const LOOK_EVERY: Duration = Duration::from_millis(5);

fn main() {
    let keys: Vec<u64> = env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    println!(
        "{:>10} {:>9} {:>9} {:>9} {:>9} {:>9} {:>10} {:>10} {:>8}",
        "keys", "peak MiB", "rest MiB", "B/key", "index B", "tables B", "fill/s", "get/s", "list/s"
    );
    for keys in if keys.is_empty() { vec![1_000_000] } else { keys } {
        measure(keys).expect("the disk works");
    }
}

fn measure(keys: u64) -> Result<()> {
    let dir = tempfile::tempdir().expect("a directory");
    let clock = Env::os().clock;
    let begun = clock.monotonic();
    let peak = watched(|| fill(dir.path(), keys))?;
    let filled = clock.monotonic().saturating_sub(begun).as_secs_f64();
    let before = anonymous();
    let store = Options::new().open(dir.path())?;
    let raw = store.raw("players")?;
    let rest = anonymous();
    let mut draw = Draw::from_seed(keys);
    let drawn: Vec<String> = (0..READS).map(|_| name(draw.below(keys))).collect();
    let reading = clock.monotonic();
    for key in &drawn {
        assert!(raw.get(key.as_str())?.is_some());
    }
    let gets = READS as f64 / clock.monotonic().saturating_sub(reading).as_secs_f64();
    let (listing, mut listed) = (clock.monotonic(), 0);
    for _ in 0..1000 {
        let prefix = name(draw.below(keys))[..21].to_owned();
        listed += raw.keys(prefix.as_str()).count() as u64;
    }
    let lists = listed as f64 / clock.monotonic().saturating_sub(listing).as_secs_f64();
    let (stats, mib) = (store.stats(), |bytes: u64| bytes as f64 / f64::from(1 << 20));
    print!(
        "{keys:>10} {:>9.1} {:>9.1} {:>9.2} ",
        mib(peak),
        mib(rest),
        rest.saturating_sub(before) as f64 / keys as f64
    );
    println!(
        "{:>9} {:>9} {:>10.0} {gets:>10.0} {lists:>8.0}",
        stats.index_bytes,
        stats.table_bytes,
        keys as f64 / filled
    );
    drop(raw);
    store.close()
}

/// The most anonymous memory while `work` goes on.
fn watched(work: impl FnOnce() -> Result<()>) -> Result<u64> {
    let (over, peak) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let watcher = {
        let (over, peak) = (over.clone(), peak.clone());
        schedule::start("watcher", move || {
            while !over.load(Ordering::Relaxed) {
                peak.fetch_max(anonymous(), Ordering::Relaxed);
                schedule::pause(LOOK_EVERY);
            }
        })?
    };
    let done = work();
    over.store(true, Ordering::Relaxed);
    watcher.join().expect("it watches only");
    done.map(|()| peak.load(Ordering::Relaxed))
}

/// Bytes of memory that are neither file nor shared.
#[expect(clippy::disallowed_methods, reason = "the system's own account of this process")]
fn anonymous() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
}

fn name(number: u64) -> String {
    format!("player/{:017}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 100_000_000_000_000_000)
}

fn fill(dir: &std::path::Path, keys: u64) -> Result<()> {
    let store = Options::new().durability(Durability::Buffered).open(dir)?;
    let players = store.raw("players")?;
    let value: Bytes = (0..100u8).collect();
    let mut flow = Flow::new(UNDER_WAY);
    for number in 0..keys {
        flow.set(&players, name(number).as_str(), &value)?;
    }
    flow.finish()?;
    drop(players);
    store.close()
}
