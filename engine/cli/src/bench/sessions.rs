//! Corridor: sessions: acquired with what they play, updated, saved, released; and what the rest of their life costs.
//!
//! A cycle is four synced commits: the grant, which reads the document in the same commit; an update of it; a save of it
//! as a whole; the release. The floor is a bare write and sync, four for a cycle.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use savehold::{Change, Collection, Entry, Holder, Options, Session, Start, Store};
use savehold_wal::clock::Clock;
use savehold_wal::env::Env;
use savehold_wal::schedule;

use super::commit::rounds;
use super::figure::{Figure, column};
use super::image;
use super::keys::{self, Numbers};
use super::place::Place;
use super::sample::Sample;
use crate::args::Workload;
use crate::exit::{Exit, Failure};
use crate::output::{Cell, Column};

/// Commits of a cycle.
const COMMITS: f64 = 4.0;

/// Sessions that a killed process had.
const TAKEN_OVER: u64 = 1000;

/// Keys of one lease while many sessions are made to live.
const KEYS_OF_A_LEASE: u64 = 100;

/// Handoffs measured.
const HANDOFFS: usize = 200;

/// How long whoever plays waits to be asked.
const PATIENCE: Duration = Duration::from_secs(10);

/// Heartbeats measured.
const HEARTBEATS: u32 = 10_000;

/// Measures it.
pub(super) fn measure(env: &Env, place: &Place, work: &Workload) -> Result<Figure, Failure> {
    let dir = place.join("store");
    keys::filled(&dir, work, keys::BUDGET)?.close()?;
    let store = Options::new().durability(keys::durability(work)).open(&dir)?;
    let phases: [Phase; 4] = Default::default();
    let figure =
        rounds(env, place, work, &store, "sessions/s, from acquire to release", |thread, runner| {
            let holder = store.holder(&format!("room-{thread}"))?;
            let (players, mut numbers) = (keys::players(&store)?, Numbers::new(thread, work));
            while let Some(begun) = runner.go_on() {
                cycle(&*env.clock, &holder, &players, &numbers.key(), &phases)?;
                runner.done(begun);
            }
            Ok(())
        })?;
    let mut figure = Figure { floor: figure.floor / COMMITS, ..figure };
    for (phase, (title, name)) in phases.iter().zip(NAMES) {
        figure.details.push((column(title, name), Cell::Float(phase.median_us())));
    }
    let handoff = handoffs(&*env.clock, &store)?;
    figure
        .details
        .push((column("handoff, last edit included, median µs", "handoff_p50_us"), Cell::Float(handoff)));
    figure.details.extend(heartbeats(&*env.clock, &store, work.records)?);
    store.close()?;
    let taken = takeover(env, place, work)?;
    figure
        .details
        .push((column("1,000 sessions taken over after a kill, ms", "takeover_ms"), Cell::Float(taken)));
    Ok(figure)
}

const NAMES: [(&str, &str); 4] = [
    ("acquire and load, median µs", "acquire_p50_us"),
    ("update, median µs", "update_p50_us"),
    ("save, median µs", "save_p50_us"),
    ("release, median µs", "release_p50_us"),
];

/// Latencies that several threads note.
#[derive(Debug, Default)]
struct Phase(Mutex<Sample>);

impl Phase {
    fn note(&self, time: Duration) {
        if let Ok(mut sample) = self.0.lock() {
            sample.note(time);
        }
    }

    fn median_us(&self) -> f64 {
        self.0.lock().map_or(0.0, |sample| sample.quantile_us(0.5))
    }
}

fn cycle(
    clock: &dyn Clock,
    holder: &Holder,
    players: &Collection<Bytes>,
    key: &[u8],
    phases: &[Phase; 4],
) -> Result<(), Failure> {
    let mut last = clock.monotonic();
    let mut note = |phase: usize| {
        let now = clock.monotonic();
        phases[phase].note(now.saturating_sub(last));
        last = now;
    };
    let load = |tx: &savehold::Tx<'_>| -> savehold::Result<Bytes> {
        Ok(tx.get(players, key)?.map(|entry| entry.value).unwrap_or_default())
    };
    let (session, document) = holder.acquire_with([players.key(key)], Start::new(), load)?;
    note(0);
    let mine = players.with_token(session.token());
    mine.update(key, edited)?;
    note(1);
    mine.set(key, &document)?;
    note(2);
    session.release()?;
    note(3);
    Ok(())
}

/// The median time from asking for a key that another plays to having it, his last edit included, in microseconds.
fn handoffs(clock: &dyn Clock, store: &Store) -> Result<f64, Failure> {
    let (players, key) = (keys::players(store)?, keys::key(0));
    let holders = [store.holder("room-red")?, store.holder("room-blue")?];
    let mut sample = Sample::default();
    let mut session = holders[0].acquire([players.key(&key)], Start::new())?;
    for round in 1..=HANDOFFS {
        let playing = Mutex::new(Some(session));
        let answers = schedule::share(2, |thread| match thread {
            0 => {
                let begun = clock.monotonic();
                let next = holders[round % 2].acquire([players.key(&key)], Start::new())?;
                Ok(Some((next, clock.monotonic().saturating_sub(begun))))
            }
            _ => give(&players, &key, playing.lock().ok().and_then(|mut playing| playing.take()))
                .map(|()| None),
        });
        let mut next = None;
        let answers = answers.into_iter().collect::<Result<Vec<_>, Failure>>()?;
        for (session, took) in answers.into_iter().flatten() {
            sample.note(took);
            next = Some(session);
        }
        session =
            next.ok_or_else(|| Failure::new(Exit::Failed, "a handoff ended without a session", "report it"))?;
    }
    session.release()?;
    Ok(sample.quantile_us(0.5))
}

/// Plays until another asks, edits a last time, and gives up.
fn give(players: &Collection<Bytes>, key: &[u8], session: Option<Session>) -> Result<(), Failure> {
    let Some(session) = session else { return Ok(()) };
    if session.wanted().wait_timeout(PATIENCE).is_some() {
        players.with_token(session.token()).update(key, edited)?;
        session.release()?;
    }
    Ok(())
}

fn edited(now: Option<Entry<Bytes>>) -> Change<Bytes> {
    Change::write(now.map(|entry| entry.value).unwrap_or_default())
}

/// What a heartbeat costs where one holder has so many live sessions: time, and bytes of log.
fn heartbeats(clock: &dyn Clock, store: &Store, sessions: u64) -> Result<Vec<(Column, Cell)>, Failure> {
    let (players, holder) = (keys::players(store)?, store.external_holder("game", 1)?);
    let mut held = Vec::new();
    for first in (0..sessions).step_by(KEYS_OF_A_LEASE as usize) {
        let keys: Vec<_> = (first..sessions.min(first + KEYS_OF_A_LEASE)).map(keys::key).collect();
        held.push(holder.acquire(keys.iter().map(|key| players.key(key)), Start::new())?);
    }
    let (written, begun) = (store.stats().log_bytes_written, clock.monotonic());
    for _ in 0..HEARTBEATS {
        holder.heartbeat()?;
    }
    let each = clock.monotonic().saturating_sub(begun) / HEARTBEATS;
    let bytes = store.stats().log_bytes_written - written;
    held.into_iter().try_for_each(Session::release)?;
    Ok(vec![
        (column("keys in live sessions", "live"), Cell::Count(sessions)),
        (column("a heartbeat for all of them, µs", "heartbeat_us"), Cell::Float(each.as_secs_f64() * 1e6)),
        (column("log written by 10,000 heartbeats", "heartbeat_log_bytes"), Cell::Bytes(bytes)),
    ])
}

/// Milliseconds from opening the store of a process that was killed with 1,000 live sessions to having them all again.
fn takeover(env: &Env, place: &Place, work: &Workload) -> Result<f64, Failure> {
    let (before, after) = (place.join("played"), place.join("killed"));
    let work = Workload { records: TAKEN_OVER, ..work.clone() };
    let store = keys::filled(&before, &work, keys::NO_CHECKPOINT)?;
    let (players, holder) = (keys::players(&store)?, store.holder("before the kill")?);
    let held = (0..TAKEN_OVER).map(|number| holder.acquire([players.key(&keys::key(number))], Start::new()));
    let held = held.collect::<savehold::Result<Vec<Session>>>()?;
    store.sync()?;
    image::copy(env, &before, &after)?;
    drop((held, holder, players));
    store.close()?;
    let begun = env.clock.monotonic();
    let store = Options::new().open(&after)?;
    let (players, holder) = (keys::players(&store)?, store.holder("after the kill")?);
    let asked: Vec<_> = (0..TAKEN_OVER)
        .map(|number| holder.acquire_async([players.key(&keys::key(number))], Start::new()))
        .collect();
    let held = asked.into_iter().map(savehold::Acquire::wait).collect::<savehold::Result<Vec<Session>>>()?;
    let took = env.clock.monotonic().saturating_sub(begun);
    debug_assert_eq!(held.len() as u64, TAKEN_OVER);
    drop((held, holder, players));
    store.close()?;
    Ok(took.as_secs_f64() * 1e3)
}
