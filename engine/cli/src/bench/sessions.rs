//! Corridor: profiles under sessions: started, updated, saved, released; and what the rest of their life costs.
//!
//! A cycle is three synced commits: the start, which acquires the key and loads the document in one; a save; the release.
//! The update between them changes memory. The floor is a bare write and sync, three for a cycle.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use savehold::{Acquire, Durability, Holder, Options, Profile, Profiles, Session, Start, Starting, Store};
use savehold_wal::clock::Clock;
use savehold_wal::env::Env;
use serde::{Deserialize, Serialize};

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
const COMMITS: f64 = 3.0;

/// Sessions that a killed process had.
const TAKEN_OVER: u64 = 1000;

/// Documents that one commit makes while the store is filled.
const AT_ONCE: u64 = 500;

/// Requests for leases under way at once.
const UNDER_WAY: usize = 4096;

/// Handoffs measured.
const HANDOFFS: usize = 200;

/// Heartbeats measured.
const HEARTBEATS: u32 = 10_000;

/// The document that is played.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Player {
    coins: u64,
    bag: Bag,
}

/// The bulk of a document: so many bytes as the call asks for.
type Bag = String;

/// Measures it.
pub(super) fn measure(env: &Env, place: &Place, work: &Workload) -> Result<Figure, Failure> {
    let dir = place.join("store");
    filled(&dir, work)?;
    let store = Options::new().durability(keys::durability(work)).open(&dir)?;
    let phases: [Phase; 4] = Default::default();
    let figure = rounds(env, place, work, &store, "sessions/s, from start to release", |thread, runner| {
        let players = room(&store, &format!("room-{thread}"))?;
        let mut numbers = Numbers::own(thread, work); // a player in two rooms would be handed over, in the midst of a cycle
        while let Some(begun) = runner.go_on() {
            cycle(&*env.clock, &players, &numbers.key(), &phases)?;
            runner.done(begun);
        }
        Ok(())
    })?;
    let mut figure = Figure { floor: figure.floor / COMMITS, ..figure };
    for (phase, [median, rate]) in phases.iter().zip(NAMES) {
        figure.details.push((column(median.0, median.1), Cell::Float(phase.median_us())));
        figure.details.push((column(rate.0, rate.1), Cell::Float(phase.rate() * f64::from(work.threads))));
    }
    let handoff = handoffs(&*env.clock, &store)?;
    figure
        .details
        .push((column("handoff, last edit included, median µs", "handoff_p50_us"), Cell::Float(handoff)));
    figure.details.extend(heartbeats(&*env.clock, &store, work.records)?);
    store.close()?;
    let taken = takeover(env, place, work)?;
    figure.details.push((column("1,000 sessions back after a kill, ms", "takeover_ms"), Cell::Float(taken)));
    Ok(figure)
}

/// Title and name of a column.
type Named = (&'static str, &'static str);

/// Of each phase of a cycle: its median, and how often all threads would do nothing but it in a second.
const NAMES: [[Named; 2]; 4] = [
    [("start (acquire and load), median µs", "start_p50_us"), ("starts/s", "starts_per_s")],
    [("update in memory, median µs", "update_p50_us"), ("updates/s", "updates_per_s")],
    [("save, median µs", "save_p50_us"), ("saves/s", "saves_per_s")],
    [("release, median µs", "release_p50_us"), ("releases/s", "releases_per_s")],
];

/// Latencies that several threads note.
#[derive(Debug, Default)]
struct Phase(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    sample: Sample,
    count: u64,
    took: Duration,
}

impl Phase {
    fn note(&self, time: Duration) {
        if let Ok(mut noted) = self.0.lock() {
            noted.sample.note(time);
            noted.count += 1;
            noted.took += time;
        }
    }

    fn median_us(&self) -> f64 {
        self.0.lock().map_or(0.0, |noted| noted.sample.quantile_us(0.5))
    }

    /// How often one thread does it in a second.
    fn rate(&self) -> f64 {
        self.0.lock().map_or(0.0, |noted| noted.count as f64 / noted.took.as_secs_f64().max(1e-9))
    }
}

/// Makes a store with every player in it, all of it durable.
fn filled(dir: &std::path::Path, work: &Workload) -> Result<(), Failure> {
    let store = Options::new().durability(Durability::Buffered).open(dir)?;
    let players = store.collection::<Player>("players")?;
    let bag: Bag = keys::value(work.value_size).iter().map(|byte| char::from(b'a' + byte % 26)).collect();
    let player = Player { coins: 100, bag };
    for first in (0..work.records).step_by(AT_ONCE as usize) {
        let mut batch = store.batch();
        for number in first..work.records.min(first + AT_ONCE) {
            batch.set(&players, &keys::key(number), &player)?;
        }
        batch.commit()?;
    }
    Ok(store.close()?)
}

/// The players, for one room.
fn room(store: &Store, name: &str) -> Result<Profiles<Player>, Failure> {
    Ok(store.profiles::<Player>("players").holder(&store.holder(name)?).open()?)
}

fn cycle(
    clock: &dyn Clock,
    players: &Profiles<Player>,
    key: &[u8],
    phases: &[Phase; 4],
) -> Result<(), Failure> {
    let mut last = clock.monotonic();
    let mut note = |phase: usize| {
        let now = clock.monotonic();
        phases[phase].note(now.saturating_sub(last));
        last = now;
    };
    let player = players.start(key)?;
    note(0);
    player.update(|p| p.coins += 1)?;
    note(1);
    player.save()?;
    note(2);
    player.release()?;
    note(3);
    Ok(())
}

/// The median time from asking for a player whom another room plays to having him, the last edit included, in
/// microseconds.
fn handoffs(clock: &dyn Clock, store: &Store) -> Result<f64, Failure> {
    let rooms = [room(store, "room-red")?, room(store, "room-blue")?];
    let key = keys::key(0);
    let mut sample = Sample::default();
    let mut player = rooms[0].start(&key)?;
    for round in 1..=HANDOFFS {
        player.update(|p| p.coins += 1)?; // in memory only
        let last = player.read().coins;
        let begun = clock.monotonic();
        let next = rooms[round % 2].start(&key)?;
        sample.note(clock.monotonic().saturating_sub(begun));
        if next.read().coins != last {
            return Err(Failure::new(Exit::Damaged, "a handoff lost the last edit", "report it"));
        }
        player = next;
    }
    player.release()?;
    Ok(sample.quantile_us(0.5))
}

/// What a heartbeat costs where one holder has so many live sessions: time, and bytes of log.
fn heartbeats(clock: &dyn Clock, store: &Store, sessions: u64) -> Result<Vec<(Column, Cell)>, Failure> {
    let (players, holder) = (store.raw("players")?, store.external_holder("game", 1)?);
    let held = all_of(&holder, &players, sessions)?;
    let (written, begun) = (store.stats().log_bytes_written, clock.monotonic());
    for _ in 0..HEARTBEATS {
        holder.heartbeat()?;
    }
    let each = clock.monotonic().saturating_sub(begun) / HEARTBEATS;
    let bytes = store.stats().log_bytes_written - written;
    let released: Vec<_> = held.into_iter().map(Session::release_async).collect();
    released.into_iter().try_for_each(savehold::Ticket::wait)?;
    Ok(vec![
        (column("live sessions", "live"), Cell::Count(sessions)),
        (column("a heartbeat for all of them, µs", "heartbeat_us"), Cell::Float(each.as_secs_f64() * 1e6)),
        (column("log written by 10,000 heartbeats", "heartbeat_log_bytes"), Cell::Bytes(bytes)),
    ])
}

/// A session on each of the first keys.
fn all_of(
    holder: &Holder,
    players: &savehold::Collection<Bytes>,
    sessions: u64,
) -> Result<Vec<Session>, Failure> {
    let (mut held, mut asked) = (Vec::new(), VecDeque::<Acquire>::new());
    for number in 0..sessions {
        if asked.len() == UNDER_WAY
            && let Some(first) = asked.pop_front()
        {
            held.push(first.wait()?);
        }
        asked.push_back(holder.acquire_async([players.key(&keys::key(number))], Start::new()));
    }
    for one in asked {
        held.push(one.wait()?);
    }
    Ok(held)
}

/// Milliseconds from opening the store of a process that was killed with 1,000 live sessions to having them all again,
/// with their documents.
fn takeover(env: &Env, place: &Place, work: &Workload) -> Result<f64, Failure> {
    let (before, after) = (place.join("played"), place.join("killed"));
    filled(&before, &Workload { records: TAKEN_OVER, ..work.clone() })?;
    let start = |players: &Profiles<Player>| -> Result<Vec<Profile<Player>>, Failure> {
        let asked: Vec<Starting<Player>> =
            (0..TAKEN_OVER).map(|number| players.start_async(&keys::key(number), Start::new())).collect();
        Ok(asked.into_iter().map(Starting::wait).collect::<savehold::Result<_>>()?)
    };
    let store = Options::new().recovery_budget(keys::NO_CHECKPOINT).open(&before)?;
    let players = room(&store, "before the kill")?;
    let held = start(&players)?;
    store.sync()?;
    image::copy(env, &before, &after)?;
    drop((held, players));
    store.close()?;
    let begun = env.clock.monotonic();
    let store = Options::new().open(&after)?;
    let players = room(&store, "after the kill")?;
    let held = start(&players)?;
    let took = env.clock.monotonic().saturating_sub(begun);
    debug_assert_eq!(held.len() as u64, TAKEN_OVER);
    drop((held, players));
    store.close()?;
    Ok(took.as_secs_f64() * 1e3)
}
