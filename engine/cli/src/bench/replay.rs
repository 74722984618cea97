//! Corridor: recovery after a kill, against a mapped scan of the same log with checksums and prefetched insertion.

use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use savehold_wal::env::Env;
use savehold_wal::format::header::DATA_OFFSET;
use savehold_wal::schedule;
use savehold_wal::segment::manifest;
use savehold_wal::segment::name::{LOG_DIR, segment_name};
use savehold_wal::vfs::{Map, OpenMode};

use super::figure::{Better, Figure, column};
use super::image;
use super::place::Place;
use super::sample::median;
use super::scan::{Gait, Scanned, scan};
use super::slots::Slots;
use super::{ROUNDS, failed, keys};
use crate::args::Workload;
use crate::exit::{Exit, Failure};
use crate::output::Cell;

/// Measures it.
pub(super) fn measure(env: &Env, place: &Place, work: &Workload) -> Result<Figure, Failure> {
    let threads = usize::from(work.threads);
    let killed = killed(env, place, work)?;
    let (mut ours, mut heads, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
    let (mut opened, mut verified) = (Vec::new(), Vec::new());
    let (mut cold, mut cold_read) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (records, took, whole) = replay(env, &killed, threads, Verified::Heads)?;
        ours.push(records as f64 / took.as_secs_f64());
        opened.push(whole.as_secs_f64() * 1e3);
        let (records_verified, took, _) = replay(env, &killed, threads, Verified::Bytes)?;
        verified.push(records_verified as f64 / took.as_secs_f64());
        image::drop_cached(env, &killed)?;
        cold.push(replay(env, &killed, threads, Verified::Heads)?.2.as_secs_f64() * 1e3);
        image::drop_cached(env, &killed)?;
        let begun = env.clock.monotonic();
        read_in_order(env, &killed)?;
        cold_read.push(env.clock.monotonic().saturating_sub(begun).as_secs_f64() * 1e3);
        for (gait, rates) in [(Gait::Heads, &mut heads), (Gait::Bytes, &mut bytes)] {
            let (scanned, took) = floor(env, &killed, work, gait)?;
            if scanned != records {
                let say = format!("the store replayed {records} records, and a bare scan found {scanned}");
                return Err(Failure::new(
                    Exit::Failed,
                    say,
                    "this is a mistake of the measurement: report it",
                ));
            }
            rates.push(scanned as f64 / took.as_secs_f64());
        }
    }
    let (heads, bytes) = (median(heads), median(bytes));
    let details = vec![
        (column("records", "records"), Cell::Count(work.records)),
        (column("threads", "threads"), Cell::Count(threads as u64)),
        (column("floor, heads alone, records/s", "floor_heads"), Cell::Float(heads)),
        (column("floor, every byte, records/s", "floor_bytes"), Cell::Float(bytes)),
        (column("every byte verified, records/s", "verified"), Cell::Float(median(verified))),
        (column("whole open, ms", "open_ms"), Cell::Float(median(opened))),
        (column("whole open, cold, ms", "cold_open_ms"), Cell::Float(median(cold))),
        (column("log read in order, cold, ms", "cold_read_ms"), Cell::Float(median(cold_read))),
    ];
    Ok(Figure {
        what: "records/s replayed",
        value: median(ours),
        floor: heads.max(bytes),
        better: Better::More,
        details,
    })
}

/// How often a store is filled that made a table of some of it meanwhile, as it does where nothing comes for a while.
const TRIES_MAX: usize = 5;

/// A store as a kill left it, with everything in the log and nothing in tables.
fn killed(env: &Env, place: &Place, work: &Workload) -> Result<PathBuf, Failure> {
    let mut tried = 0;
    loop {
        let [written, killed] = ["store", "killed"].map(|name| place.join(&format!("{name}-{tried}")));
        let store = keys::filled(&written, work, keys::NO_CHECKPOINT)?;
        image::copy(env, &written, &killed)?;
        store.close()?;
        let (replayed, ..) = replay(env, &killed, usize::from(work.threads), Verified::Heads)?;
        tried += 1;
        if replayed >= work.records || tried == TRIES_MAX {
            return Ok(killed);
        }
    }
}

/// What of proven records is verified.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verified {
    Heads,
    Bytes,
}

/// Opens the store: how many records were replayed, how long that took, and the whole open.
fn replay(
    env: &Env,
    dir: &Path,
    threads: usize,
    verified: Verified,
) -> Result<(u64, Duration, Duration), Failure> {
    let begun = env.clock.monotonic();
    let threads = NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN);
    let options = keys::options(keys::NO_CHECKPOINT).verify_on_open(verified == Verified::Bytes);
    let store = options.replay_threads(threads).open(dir)?;
    let whole = env.clock.monotonic().saturating_sub(begun);
    let report = store.recovery();
    store.close()?;
    Ok((report.replayed_records, report.replaying, whole))
}

/// Scans the files of the same log: how many records there are, and how long that took.
fn floor(env: &Env, dir: &Path, work: &Workload, gait: Gait) -> Result<(u64, Duration), Failure> {
    let shares = shares(maps(env, dir)?, usize::from(work.threads));
    let whole: usize = shares.iter().map(bytes_of).sum();
    let begun = env.clock.monotonic();
    let scanned = schedule::share(shares.len(), |thread| {
        let share = &shares[thread];
        let keys = work.records as f64 * bytes_of(share) as f64 / whole as f64;
        let (mut slots, mut total) = (Slots::new(keys.ceil() as u64), Scanned::default());
        for (map, end) in share {
            let scanned = scan(&map[..map.len().min(*end)], gait, &mut slots);
            total = Scanned { records: total.records + scanned.records, sum: total.sum ^ scanned.sum };
        }
        total
    });
    let took = env.clock.monotonic().saturating_sub(begun);
    std::hint::black_box(&scanned);
    Ok((scanned.iter().map(|scanned| scanned.records).sum(), took))
}

type Share = Vec<(Map, usize)>;

/// The segments dealt out to threads, each to the one that has least.
fn shares(maps: Share, threads: usize) -> Vec<Share> {
    let mut shares: Vec<Share> = (0..threads).map(|_| Vec::new()).collect();
    for map in maps {
        if let Some(least) = shares.iter_mut().min_by_key(|share| bytes_of(share)) {
            least.push(map);
        }
    }
    shares
}

fn bytes_of(share: &Share) -> usize {
    share.iter().map(|(_, end)| end).sum()
}

/// Reads the segments that the catalog names from front to back, each as far as it counts.
fn read_in_order(env: &Env, dir: &Path) -> Result<(), Failure> {
    let mut buf = vec![0; 1 << 20];
    for (path, end) in files(env, dir)? {
        let mut read = || -> io::Result<()> {
            let (file, mut at) = (env.vfs.open(&path, OpenMode::Read)?, 0);
            while at < end {
                match file.read_at(&mut buf, at)? {
                    0 => break,
                    got => at += got as u64,
                }
            }
            Ok(())
        };
        read().map_err(|e| failed(&format!("reading {}", path.display()), &e))?;
    }
    Ok(())
}

/// The files of the segments that the catalog names, and how many bytes of each count: a kill may leave bytes behind an end
/// that recovery wrote anew elsewhere.
fn files(env: &Env, dir: &Path) -> Result<Vec<(PathBuf, u64)>, Failure> {
    let catalog = manifest::load(&*env.vfs, dir).map_err(savehold::Error::from)?;
    let segments = catalog.iter().flat_map(|catalog| &catalog.segments);
    let counted = segments.map(|segment| {
        let path = dir.join(LOG_DIR).join(segment_name(segment.base, segment.generation));
        let data = segment.end.and_then(|end| end.bytes_since(segment.base)).unwrap_or(segment.capacity);
        (path, DATA_OFFSET + data)
    });
    Ok(counted.collect())
}

/// The segments in maps, each as far as it counts, the largest first.
fn maps(env: &Env, dir: &Path) -> Result<Share, Failure> {
    let mut maps = Vec::new();
    for (path, end) in files(env, dir)? {
        let map = || -> io::Result<Option<Map>> {
            let file = env.vfs.open(&path, OpenMode::Read)?;
            file.map(file.len()?)
        };
        let map = map().map_err(|e| failed(&format!("mapping {}", path.display()), &e))?;
        maps.extend(map.map(|map| (map, usize::try_from(end).unwrap_or(usize::MAX))));
    }
    maps.sort_by_key(|(_, end)| std::cmp::Reverse(*end));
    Ok(maps)
}
