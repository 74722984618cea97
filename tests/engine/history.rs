//! Recorded histories: three threads with four calls each on three keys, checked for serializability.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use savehold::planted::{Fault, plant};
use savehold::{Change, Collection, Error, ErrorKind, Once, Options, Result, Store};
use savehold_wal::clock::OsClock;
use savehold_wal::env::{Env, OsEntropy, Threads};
use savehold_wal::sim::{Choice, Death, Draw, Fault as DiskFault, SimDisk, When};

use crate::checker::{Answer, Call, Event, KEYS, is_serializable};
use crate::scaled;

const THREADS: u64 = 3;
const CALLS: u64 = 4;

/// A store whose keys of this history begin with a prefix.
struct Place<'a> {
    store: &'a Store,
    counts: Collection<i64>,
    prefix: String,
}

impl<'a> Place<'a> {
    fn new(store: &'a Store, prefix: String) -> Result<Self> {
        Ok(Self { store, counts: store.collection("counts")?, prefix })
    }

    fn key(&self, key: usize) -> String {
        format!("{}{key}", self.prefix)
    }

    fn run(&self, call: &Call) -> Result<Answer> {
        let (store, counts) = (self.store, &self.counts);
        let pause = std::thread::yield_now;
        Ok(match *call {
            Call::Get(key) => Answer::Value(counts.get(self.key(key))?.map(|e| e.value)),
            Call::Set(key, value) => {
                counts.set(self.key(key), &value)?;
                Answer::Done
            }
            Call::Remove(key) => Answer::Value(counts.remove(self.key(key))?.map(|e| e.value)),
            Call::Add(key, by) => {
                let done = counts.update(self.key(key), |now| {
                    pause();
                    Change::write(now.map_or(0, |e| e.value) + by)
                })?;
                Answer::Value(done.value)
            }
            Call::AddOnce(id, key, by) => {
                match counts.increment_once(format!("{}{id}", self.prefix), self.key(key), by)? {
                    Once::Now(sum) => Answer::Value(Some(sum)),
                    Once::Before(_) => Answer::Before,
                }
            }
            Call::Create(key, value) => match counts.create(self.key(key), &value) {
                Ok(_) => Answer::Done,
                Err(e) if e.kind() == ErrorKind::Conflict => Answer::Refused,
                Err(e) => return Err(e),
            },
            Call::Move(from, to, by) => {
                let moved = store.transaction(|tx| -> Result<_> {
                    let mut before = [None; KEYS];
                    before[from] = tx.get(counts, self.key(from))?.map(|e| e.value);
                    pause();
                    before[to] = tx.get(counts, self.key(to))?.map(|e| e.value);
                    tx.increment(counts, self.key(from), -by)?;
                    tx.increment(counts, self.key(to), by)?;
                    Ok(before)
                })?;
                Answer::Values(moved.value)
            }
            Call::Scan => Answer::Values(store.transaction(|tx| self.scan(tx))?.value),
            Call::Count(key) => {
                let counted = store.transaction(|tx| -> Result<_> {
                    let values = self.scan(tx)?;
                    pause();
                    tx.set(counts, self.key(key), &(values.iter().flatten().count() as i64))?;
                    Ok(values)
                })?;
                Answer::Values(counted.value)
            }
        })
    }

    fn scan(&self, tx: &savehold::Tx<'_>) -> Result<[Option<i64>; KEYS]> {
        let mut values = [None; KEYS];
        for entry in tx.scan(&self.counts, &self.prefix)? {
            let key = entry.key.to_string();
            values[usize::from(key.as_bytes()[key.len() - 1] - b'0')] = Some(entry.value);
        }
        Ok(values)
    }
}

fn draw_call(draw: &mut Draw) -> Call {
    let key = draw.below(KEYS as u64) as usize;
    let value = 1 + draw.below(90) as i64;
    match draw.below(12) {
        0 => Call::Get(key),
        1 => Call::Set(key, value),
        2 => Call::Remove(key),
        3 | 4 => Call::Add(key, value),
        5 => Call::AddOnce(draw.below(2) as u32, key, value),
        6 => Call::Create(key, value),
        7 | 8 => Call::Move(key, (key + 1) % KEYS, value),
        9 => Call::Scan,
        _ => Call::Count(key),
    }
}

/// Runs one history and records it. Calls that were refused by a store that halted are left out: they did nothing.
fn record(place: &Place<'_>, seed: u64, fault: Option<Fault>) -> Vec<Event> {
    let (time, start) = (AtomicU64::new(0), Barrier::new(THREADS as usize));
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (time, start) = (&time, &start);
                scope.spawn(move || {
                    plant(fault);
                    let mut draw = Draw::from_seed(seed * THREADS + thread);
                    let mut events = Vec::new();
                    start.wait();
                    for _ in 0..CALLS {
                        let call = draw_call(&mut draw);
                        let begun = time.fetch_add(1, Ordering::SeqCst);
                        let answer = place.run(&call);
                        let ended = time.fetch_add(1, Ordering::SeqCst);
                        match answer {
                            Ok(answer) => events.push(Event { call, answer, begun, ended }),
                            Err(e) if e.may_have_happened() => {
                                events.push(Event { call, answer: Answer::Unknown, begun, ended });
                            }
                            Err(e) => assert_halted(&e),
                        }
                    }
                    events
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    })
}

#[track_caller]
fn assert_halted(e: &Error) {
    let halted = [ErrorKind::Halted, ErrorKind::Io, ErrorKind::Damaged];
    assert!(halted.contains(&e.kind()), "{e:?}");
}

/// How many of so many histories do not check out.
pub(crate) fn refused(histories: u64, fault: Option<Fault>) -> Vec<Vec<Event>> {
    refused_in(&Store::in_memory().expect("threads"), 0..histories, fault)
}

fn refused_in(store: &Store, seeds: std::ops::Range<u64>, fault: Option<Fault>) -> Vec<Vec<Event>> {
    let mut refused = Vec::new();
    for seed in seeds {
        let place = Place::new(store, format!("h{seed}-")).expect("a name");
        let events = record(&place, seed, fault);
        if !is_serializable(&events) {
            refused.push(events);
        }
    }
    refused
}

#[test]
fn a_thousand_histories_are_strictly_serializable() {
    let refused = refused(scaled(1000), None);
    assert!(refused.is_empty(), "{} of them are not: {:#?}", refused.len(), refused[0]);
}

#[test]
fn histories_beside_checkpoints_and_merges_are_strictly_serializable() {
    let (env, dir) = (savehold_wal::sim::memory(), Path::new("/memory"));
    let store = options(1).open_in(env, dir).expect("opens");
    for round in 0.. {
        let refused = refused_in(&store, round * scaled(200)..(round + 1) * scaled(200), None);
        assert!(refused.is_empty(), "{} of them are not: {:#?}", refused.len(), refused[0]);
        let stats = store.stats();
        if stats.checkpoints > 8 && stats.tables < stats.checkpoints {
            break;
        }
        assert!(round < 50, "checkpoints and merges come: {stats:?}");
    }
}

fn env(disk: &SimDisk) -> Env {
    let (clock, entropy) = (Arc::new(OsClock), Arc::new(OsEntropy));
    Env { vfs: Arc::new(disk.clone()), clock, entropy, threads: Threads::Own }
}

/// In every other one, checkpoints come while it goes on, and a merge now and then.
fn options(seed: u64) -> Options {
    let budget_us = if seed.is_multiple_of(2) { 100_000 } else { 100 };
    Options::new().recovery_budget(Duration::from_micros(budget_us))
}

/// The same with a crash in the middle, and a look at what is left.
#[test]
fn histories_with_a_crash_are_strictly_serializable() {
    let mut crashed = 0;
    for seed in 0..scaled(100) {
        let disk = SimDisk::new(seed);
        let store = options(seed).open_in(env(&disk), Path::new("/store")).expect("opens");
        let place = Place::new(&store, "h-".to_owned()).expect("a name");
        place.counts.set("first", &0).expect("writes");
        let mut draw = Draw::from_seed(seed);
        let fault = match draw.below(4) {
            0 => DiskFault::CutBefore,
            1 => DiskFault::CutInside,
            2 => DiskFault::KillInside,
            _ => DiskFault::KillBefore,
        };
        disk.order(When::Change(disk.counts().changes + 1 + draw.below(20)), fault);
        let mut events = record(&place, seed, None);
        drop(place);
        let closed = store.close(); // the fault may be due only now
        let disk = match disk.death() {
            Some(Death::Cut) => disk.reboot(Choice::Seed(seed)),
            Some(Death::Killed) => disk.restart(),
            None => closed.map(|()| disk.restart()).expect("nothing failed"),
        };
        crashed += u64::from(events.iter().any(|e| e.answer == Answer::Unknown));
        let store = options(seed).open_in(env(&disk), Path::new("/store")).expect("opens again");
        let place = Place::new(&store, "h-".to_owned()).expect("a name");
        let answer = place.run(&Call::Scan).expect("reads");
        events.push(Event { call: Call::Scan, answer, begun: u64::MAX - 1, ended: u64::MAX });
        assert!(is_serializable(&events), "seed {seed}: {events:#?}");
    }
    assert!(crashed > 0, "some crash leaves a call in doubt");
}
