//! Corridor: live data overwritten ten times, its history dropped: how much disk that takes, against the live data
//! alone; how many bytes are written for each byte of payload; and what commits feel of it, beside the same commits before
//! anything was dropped.

use std::collections::VecDeque;
use std::ops::ControlFlow::Continue;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use savehold::{Moments, Retention, Store};
use savehold_wal::env::Env;
use savehold_wal::schedule;
use savehold_wal::vfs::OpenMode;

use super::figure::{Better, Figure, column};
use super::keys::{self, Numbers};
use super::place::Place;
use super::sample::Sample;
use crate::args::Workload;
use crate::exit::Failure;
use crate::output::Cell;

/// How often everything is written anew.
const TURNS: u64 = 10;
/// Time between two looks at the disk.
const LOOK: Duration = Duration::from_millis(50);

/// What the threads of a run did together.
struct Run {
    /// How long each commit took.
    commits: Sample,
    took: Duration,
    /// The most bytes that the files had meanwhile.
    most: u64,
}

/// Measures the disk that overwritten data take.
pub(super) fn measure(env: &Env, place: &Place, work: &Workload) -> Result<Figure, Failure> {
    let root = place.join("store");
    keys::filled(&root, work, keys::BUDGET)?.close()?;
    let store = keys::options(keys::BUDGET).durability(keys::durability(work)).open(&root)?;
    let quiet = run(env, &root, &store, work, 1)?; // all history is kept: nothing is packed
    store.set_moments(Moments::NONE)?;
    store.set_retention(keys::COLLECTION, Retention::NewestOnly)?;
    store.compact(|_| Continue(()))?;
    let (live, before, since) = (work.records * (work.value_size + 16), written(env), store.stats());
    let busy = run(env, &root, &store, work, TURNS)?;
    let payload = (work.records * TURNS * (work.value_size + 16)) as f64;
    let (stats, bytes) = (store.stats(), written(env).zip(before));
    let end = used(env, &root);
    let compacting = env.clock.monotonic();
    store.compact(|_| Continue(()))?;
    let compacted = env.clock.monotonic().saturating_sub(compacting);
    let of_payload = |now: u64, before: u64| Cell::Float(now.saturating_sub(before) as f64 / payload);
    let (p99, quiet_p99) = (busy.commits.quantile_us(0.99) / 1e3, quiet.commits.quantile_us(0.99) / 1e3);
    let rate = |commits: u64, run: &Run| Cell::Float(commits as f64 / run.took.as_secs_f64());
    let details = vec![
        (column("live bytes", "live_bytes"), Cell::Bytes(live)),
        (column("disk at the end", "end_bytes"), Cell::Bytes(end)),
        (column("disk when packed", "packed_bytes"), Cell::Bytes(used(env, &root))),
        (
            column("bytes written for each of payload", "written_ratio"),
            bytes.map_or(Cell::Nothing, |(now, before)| of_payload(now, before)),
        ),
        (
            column("of them by the log", "log_ratio"),
            of_payload(stats.log_bytes_written, since.log_bytes_written),
        ),
        (column("of them by packing", "packing_ratio"), of_payload(stats.packed_bytes, since.packed_bytes)),
        (column("segments packed", "segments"), Cell::Count(stats.packed_segments - since.packed_segments)),
        (column("commits/s", "commits"), rate(work.records * TURNS, &busy)),
        (column("commits/s, nothing packed", "quiet_commits"), rate(work.records, &quiet)),
        (column("commit p99, ms", "p99_ms"), Cell::Float(p99)),
        (column("commit p99, nothing packed, ms", "quiet_p99_ms"), Cell::Float(quiet_p99)),
        (column("of these two the ratio", "p99_ratio"), Cell::Float(p99 / quiet_p99.max(1e-3))),
        (column("commits held back for space", "held_back"), Cell::Count(stats.held_back_for_space)),
        (column("packing all of it took", "compact_ms"), Cell::Duration(compacted)),
    ];
    store.close()?;
    Ok(Figure {
        what: "disk at most, for each live byte, while all of it is overwritten ten times",
        value: busy.most as f64 / live.max(1) as f64,
        floor: 1.0,
        better: Better::Less,
        details,
    })
}

/// Overwrites as many values as there are, `turns` times, at random.
fn run(env: &Env, root: &Path, store: &Store, work: &Workload, turns: u64) -> Result<Run, Failure> {
    let (left, most) = (AtomicU64::new(u64::from(work.threads)), AtomicU64::new(used(env, root)));
    let begun = env.clock.monotonic();
    let answers = schedule::share(usize::from(work.threads) + 1, |thread| -> Result<Sample, Failure> {
        if thread > 0 {
            let done = overwrite(env, store, work, thread, turns);
            left.fetch_sub(1, Ordering::Release);
            return done;
        }
        while left.load(Ordering::Acquire) > 0 {
            most.fetch_max(used(env, root), Ordering::Relaxed);
            schedule::pause(LOOK);
        }
        Ok(Sample::default())
    });
    let mut commits = Sample::default();
    for answer in answers {
        commits.add(&answer?);
    }
    let took = env.clock.monotonic().saturating_sub(begun);
    Ok(Run { commits, took, most: most.into_inner() })
}

/// One thread's part of it, and how long each commit took from its call to its answer.
fn overwrite(
    env: &Env,
    store: &Store,
    work: &Workload,
    thread: usize,
    turns: u64,
) -> Result<Sample, Failure> {
    let (players, mut numbers) = (keys::players(store)?, Numbers::new(thread, work));
    let (value, mut took) = (keys::value(work.value_size), Sample::default());
    let mut answered = |begun: Duration| took.note(env.clock.monotonic().saturating_sub(begun));
    let mut under_way = VecDeque::new();
    for _ in 0..work.records * turns / u64::from(work.threads) {
        let begun = env.clock.monotonic();
        if work.in_flight == 1 {
            players.set(&numbers.key(), &value)?;
            answered(begun);
            continue;
        }
        under_way.push_back((begun, players.set_async(&numbers.key(), &value)));
        if under_way.len() >= work.in_flight as usize
            && let Some((begun, ticket)) = under_way.pop_front()
        {
            ticket.wait()?;
            answered(begun);
        }
    }
    for (begun, ticket) in under_way {
        ticket.wait()?;
        answered(begun);
    }
    Ok(took)
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
