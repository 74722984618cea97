//! Corridor: live data overwritten ten times, its history dropped: how much disk that takes, against the live data
//! alone; how many bytes are written for each byte of payload; and what commits notice of it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use savehold::{Moments, Retention, Store};
use savehold_wal::env::Env;
use savehold_wal::schedule;
use savehold_wal::vfs::OpenMode;

use super::figure::{Better, Figure, column};
use super::keys::{self, Numbers};
use super::place::Place;
use crate::args::Workload;
use crate::exit::Failure;
use crate::output::Cell;

/// How often everything is written anew.
const TURNS: u64 = 10;
/// Time between two looks at the disk.
const LOOK: Duration = Duration::from_millis(50);

/// Measures the disk that overwritten data take.
pub(super) fn measure(env: &Env, place: &Place, work: &Workload) -> Result<Figure, Failure> {
    let root = place.join("store");
    keys::filled(&root, work, keys::BUDGET)?.close()?;
    let store = keys::options(keys::BUDGET).durability(keys::durability(work)).open(&root)?;
    store.set_moments(Moments::NONE)?;
    store.set_retention(keys::COLLECTION, Retention::NewestOnly)?;
    let live = work.records * (work.value_size + 16);
    let (going, most) = (AtomicBool::new(true), AtomicU64::new(0));
    let (before, begun) = (written(env), env.clock.monotonic());
    let answers = schedule::share(usize::from(work.threads) + 1, |thread| -> Result<(), Failure> {
        if thread > 0 {
            let done = overwrite(&store, work, thread);
            going.store(false, Ordering::Release);
            return done;
        }
        while going.load(Ordering::Acquire) {
            most.fetch_max(used(env, &root), Ordering::Relaxed);
            schedule::pause(LOOK);
        }
        Ok(())
    });
    answers.into_iter().collect::<Result<(), Failure>>()?;
    let took = env.clock.monotonic().saturating_sub(begun);
    let payload = (work.records * TURNS * (work.value_size + 16)) as f64;
    let (stats, bytes) = (store.stats(), written(env).zip(before));
    let end = used(env, &root);
    let compacting = env.clock.monotonic();
    store.compact(|_| std::ops::ControlFlow::Continue(()))?;
    let compacted = env.clock.monotonic().saturating_sub(compacting);
    let details = vec![
        (column("live bytes", "live_bytes"), Cell::Bytes(live)),
        (column("disk at the end", "end_bytes"), Cell::Bytes(end)),
        (column("disk when packed", "packed_bytes"), Cell::Bytes(used(env, &root))),
        (
            column("bytes written for each of payload", "written_ratio"),
            bytes.map_or(Cell::Nothing, |(now, before)| Cell::Float((now - before) as f64 / payload)),
        ),
        (column("of them by the log", "log_ratio"), Cell::Float(stats.log_bytes_written as f64 / payload)),
        (column("of them by packing", "packing_ratio"), Cell::Float(stats.packed_bytes as f64 / payload)),
        (column("segments packed", "segments"), Cell::Count(stats.packed_segments)),
        (column("commits/s", "commits"), Cell::Float((work.records * TURNS) as f64 / took.as_secs_f64())),
        (column("commit p99", "p99_ms"), Cell::Duration(stats.commit_latency.quantile(0.99))),
        (column("packing all of it took", "compact_ms"), Cell::Duration(compacted)),
    ];
    store.close()?;
    Ok(Figure {
        what: "disk at most, for each live byte, while all of it is overwritten ten times",
        value: most.into_inner() as f64 / live.max(1) as f64,
        floor: 1.0,
        better: Better::Less,
        details,
    })
}

/// One thread's part of all turns.
fn overwrite(store: &Store, work: &Workload, thread: usize) -> Result<(), Failure> {
    let (players, mut numbers) = (keys::players(store)?, Numbers::new(thread, work));
    let value = keys::value(work.value_size);
    let mut under_way = std::collections::VecDeque::new();
    for _ in 0..work.records * TURNS / u64::from(work.threads) {
        if work.in_flight == 1 {
            players.set(&numbers.key(), &value)?;
            continue;
        }
        under_way.push_back(players.set_async(&numbers.key(), &value));
        if under_way.len() >= work.in_flight as usize
            && let Some(ticket) = under_way.pop_front()
        {
            ticket.wait()?;
        }
    }
    under_way.into_iter().try_for_each(|ticket| ticket.wait().map(drop)).map_err(Failure::from)
}

/// Bytes that the files of a store have.
fn used(env: &Env, root: &Path) -> u64 {
    let bytes = |dir: &Path| -> u64 {
        let names = env.vfs.list(dir).unwrap_or_default().into_iter();
        let files = names.filter_map(|name| env.vfs.open(&dir.join(name), OpenMode::Read).ok());
        files.filter_map(|file| file.len().ok()).sum()
    };
    bytes(&root.join("log")) + bytes(&root.join("index"))
}

/// Bytes that this process wrote so far; `None` where the system does not say.
fn written(env: &Env) -> Option<u64> {
    let file = env.vfs.open(Path::new("/proc/self/io"), OpenMode::Read).ok()?;
    let mut text = vec![0; 1024];
    let read = file.read_at(&mut text, 0).ok()?;
    let text = String::from_utf8_lossy(&text[..read]).into_owned();
    text.lines().find_map(|line| line.strip_prefix("wchar: ")?.trim().parse().ok())
}
