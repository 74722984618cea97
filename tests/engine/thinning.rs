//! Whatever is written, thinned, held, pinned, crashed and opened again: at every moment that the store answers for, it is
//! as a model says it was.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use savehold::planted::{Fault, plant};
use savehold::sim::Sim;
use savehold::{At, ErrorKind, Moments, Options, Result, Retention, Snapshot, Store, Version, VersionsKept};
use savehold_wal::clock::SimClock;
use savehold_wal::env::{Env, Threads};
use savehold_wal::sim::{Choice, Draw, SimDisk, SimEntropy};

use crate::scaled;

type State = BTreeMap<(usize, String), i64>;

const NAMES: [&str; 3] = ["left", "right", "cache"];
const ACCOUNTS: u64 = 5;
const SUM: i64 = 100 * ACCOUNTS as i64;

/// A store, and all that was ever committed to it: version, engine time, and everything that then stood there.
struct World {
    sim: Sim,
    draw: Draw,
    store: Store,
    commits: Vec<(Version, u64, State)>,
    held: Vec<(Snapshot, State)>,
    pins: Vec<(String, State)>,
    moments: Moments,
    named: u32,
}

impl World {
    fn new(seed: u64) -> Result<Self> {
        let (mut sim, mut draw) = (Sim::new(seed), Draw::from_seed(seed));
        let store = sim.open_with(options())?;
        let minutes = |n: u64| Duration::from_secs(60 * n);
        let moments = match draw.below(3) {
            0 => Moments::default(),
            1 => Moments { every: minutes(10), minutes: minutes(60), hours: minutes(300) },
            _ => Moments::NONE,
        };
        store.set_moments(moments)?;
        store.set_retention("cache", Retention::NewestOnly)?;
        let kept = VersionsKept { explicit: minutes(30), ..VersionsKept::default() };
        store.set_retention("right", Retention::History(kept))?;
        let (commits, held, pins) = (vec![(store.version(), 0, State::new())], Vec::new(), Vec::new());
        let mut world = Self { sim, draw, store, commits, held, pins, moments, named: 0 };
        for n in 0..ACCOUNTS {
            world.commit(&[(0, format!("k{n}"), Some(100))])?;
        }
        Ok(world)
    }

    fn commit(&mut self, writes: &[(usize, String, Option<i64>)]) -> Result<()> {
        let done = self.store.transaction(|tx| -> Result<()> {
            for (c, key, value) in writes {
                let counts = self.store.collection::<i64>(NAMES[*c])?;
                match value {
                    Some(value) => tx.set(&counts, key, value)?,
                    None => drop(tx.remove(&counts, key)?),
                }
            }
            Ok(())
        })?;
        if done.wrote {
            let mut state = self.commits.last().expect("the first").2.clone();
            for (c, key, value) in writes {
                match value {
                    Some(value) => drop(state.insert((*c, key.clone()), *value)),
                    None => drop(state.remove(&(*c, key.clone()))),
                }
            }
            self.commits.push((done.version, self.store.time_us(), state));
        }
        Ok(())
    }

    fn step(&mut self) -> Result<()> {
        let (a, b) = (self.draw.below(ACCOUNTS), self.draw.below(ACCOUNTS));
        let state = self.commits.last().expect("the first").2.clone();
        match self.draw.below(16) {
            0..6 if a != b => {
                let by = self.draw.below(30) as i64;
                let value = |n: u64| state[&(0, format!("k{n}"))];
                self.commit(&[
                    (0, format!("k{a}"), Some(value(a) - by)),
                    (0, format!("k{b}"), Some(value(b) + by)),
                ])?;
            }
            6..8 => {
                let c = 1 + self.draw.below(2) as usize;
                let value = (self.draw.below(4) > 0).then(|| self.draw.below(9) as i64);
                let key = format!("k{a}");
                if value.is_some() || state.contains_key(&(c, key.clone())) {
                    self.commit(&[(c, key, value)])?;
                }
            }
            8 => self.held.push((self.store.snapshot(), state)),
            9 if !self.held.is_empty() => {
                let which = self.draw.below(self.held.len() as u64) as usize;
                drop(self.held.swap_remove(which));
            }
            10 => {
                self.named += 1;
                let name = format!("pin {}", self.named);
                self.store.pin(&name)?;
                self.pins.push((name, state));
            }
            11 if !self.pins.is_empty() => {
                let which = self.draw.below(self.pins.len() as u64) as usize;
                let (name, _) = self.pins.swap_remove(which);
                assert!(self.store.unpin(&name)?);
            }
            12 => drop(self.store.thin()?),
            13 => {
                self.held.clear();
                match self.draw.below(3) {
                    0 => self.sim.cut_power(),
                    1 => self.sim.kill(),
                    _ => self.store.clone().close()?,
                }
                self.store = self.sim.open_with(options())?;
            }
            _ => {
                let most = [1, 60, 1200, 7200][self.draw.below(4) as usize];
                self.sim.advance(Duration::from_secs(1 + self.draw.below(most)));
            }
        }
        Ok(())
    }

    /// The newest commit at or before a place.
    fn then(&self, at: Version) -> &(Version, u64, State) {
        &self.commits[self.commits.partition_point(|(version, ..)| *version <= at).saturating_sub(1)]
    }

    fn check(&mut self) -> Result<()> {
        for (snapshot, state) in &self.held {
            assert_eq!(shown(&self.store, snapshot, 3)?, *state, "a snapshot holds everything");
        }
        for (name, state) in &self.pins {
            let pinned = self.store.snapshot_at(At::Pin(name.clone()))?;
            assert_eq!(shown(&self.store, &pinned, 2)?, of_two(state), "{name}");
        }
        for (version, time_us, _) in &self.commits[1..] {
            if self.draw.below(3) > 0 {
                continue;
            }
            let snapshot = match self.store.snapshot_at(*version) {
                Ok(snapshot) => snapshot,
                Err(e) => {
                    assert_eq!(e.kind(), ErrorKind::Gone);
                    assert!(e.oldest().is_some_and(|oldest| oldest > *version), "{e:?}");
                    continue;
                }
            };
            assert!(snapshot.version() <= *version);
            let (_, _, state) = self.then(snapshot.version());
            let shown = shown(&self.store, &snapshot, 2)?;
            assert_eq!(shown, of_two(state), "asked for {version}, shown {}", snapshot.version());
            let sum: i64 = shown.iter().filter(|((c, _), _)| *c == 0).map(|(_, value)| value).sum();
            let whole = shown.iter().filter(|((c, _), _)| *c == 0).count() as u64 == ACCOUNTS;
            assert!(!whole || sum == SUM, "the sum at {} is {sum}", snapshot.version());
            let age = Duration::from_micros(self.store.time_us() - time_us);
            assert!(age >= self.moments.every || snapshot.version() == *version, "{version} is {age:?} old");
        }
        self.check_keys()
    }

    /// Every version that a key lists is one that was written, the newest is there, and each is read or is gone.
    fn check_keys(&self) -> Result<()> {
        for (c, name) in NAMES.into_iter().enumerate() {
            let counts = self.store.collection::<i64>(name)?;
            for n in 0..ACCOUNTS {
                let key = format!("k{n}");
                let place = (c, key.clone());
                let newest = self.commits.last().and_then(|(_, _, state)| state.get(&place)).copied();
                assert_eq!(counts.get(&key)?.map(|e| e.value), newest, "{place:?}");
                for info in counts.versions(&key)? {
                    let version = info?.version;
                    let written = self.commits.iter().find(|(other, ..)| *other == version);
                    let (_, _, state) = written.unwrap_or_else(|| panic!("{place:?} never had {version}"));
                    let read = counts.get_at(&key, version)?.map(|e| e.value);
                    assert_eq!(read, state.get(&place).copied(), "{place:?} at {version}");
                }
            }
        }
        Ok(())
    }
}

fn options() -> Options {
    Options::new().recovery_budget(Duration::from_micros(16))
}

/// What stands in the first `collections` at the moment of a snapshot.
fn shown(store: &Store, snapshot: &Snapshot, collections: usize) -> Result<State> {
    let mut state = State::new();
    for (c, name) in NAMES[..collections].iter().enumerate() {
        for entry in snapshot.scan(&store.collection::<i64>(name)?, "") {
            let entry = entry?;
            state.insert((c, entry.key.to_string()), entry.value);
        }
    }
    Ok(state)
}

/// Without the collection that has no history.
fn of_two(state: &State) -> State {
    state.iter().filter(|((c, _), _)| *c < 2).map(|(place, value)| (place.clone(), *value)).collect()
}

#[test]
fn at_every_moment_that_is_answered_for_everything_is_as_it_was() -> Result<()> {
    for seed in 0..scaled(24) {
        let mut world = World::new(seed)?;
        for n in 0..160 {
            world.step().unwrap_or_else(|e| panic!("seed {seed}, step {n}: {e:?}"));
            if n % 16 == 15 {
                world.check().unwrap_or_else(|e| panic!("seed {seed}, step {n}: {e:?}"));
            }
        }
    }
    Ok(())
}

/// A machine that crashes where it is told, with a clock that goes on behind the crash.
fn open(disk: &SimDisk, clock: &Arc<SimClock>) -> Result<Store> {
    let env = Env {
        vfs: Arc::new(disk.clone()),
        clock: clock.clone(),
        entropy: Arc::new(SimEntropy::new(5)),
        threads: Threads::None,
    };
    Options::new().open_in(env, Path::new("/store"))
}

/// Transfers, one every 20 s; then history is thinned twice, with a crash at every change of the disk. Says how many
/// crashes left a store that shows what never was.
fn crash_while_thinning(fault: Option<Fault>) -> Result<(u64, u64)> {
    let (disk, clock) = (SimDisk::new(1), Arc::new(SimClock::default()));
    let store = open(&disk, &clock)?;
    let minute = Duration::from_secs(60);
    store.set_moments(Moments { every: minute, minutes: 3 * minute, hours: Duration::ZERO })?;
    let none = VersionsKept { explicit: Duration::ZERO, ..VersionsKept::default() };
    store.set_retention("counts", Retention::History(none))?;
    let counts = store.collection::<i64>("counts")?;
    let mut commits: Vec<(Version, [i64; 2])> = Vec::new();
    let transfer = |commits: &mut Vec<(Version, [i64; 2])>, n: i64| -> Result<()> {
        let state = [n, 100 - n];
        let done = store.transaction(|tx| -> Result<()> {
            tx.set(&counts, "a", &state[0])?;
            tx.set(&counts, "b", &state[1])
        })?;
        commits.push((done.version, state));
        clock.sleep(Duration::from_secs(20));
        Ok(())
    };
    for n in 0..16 {
        transfer(&mut commits, n)?;
    }
    let pinned = store.pin("here")?;
    disk.record();
    plant(fault);
    store.thin()?;
    transfer(&mut commits, 16)?;
    clock.sleep(2 * minute);
    store.thin()?;
    plant(None);
    store.clone().close()?;
    let (mut crashes, mut wrong) = (0, 0);
    for (at, image) in disk.take_tape().into_iter().chain([disk.clone()]).enumerate() {
        let left = [
            image.restart(),
            image.reboot(Choice::KeepNone),
            image.reboot(Choice::KeepAll),
            image.reboot(Choice::Seed(at as u64)),
        ];
        for left in left {
            crashes += 1;
            wrong += u64::from(!is_right(&left, &clock, &commits, pinned)?);
        }
    }
    Ok((crashes, wrong))
}

/// Whether all that the store shows was so; then history is thinned again, and looked at again.
fn is_right(
    disk: &SimDisk,
    clock: &Arc<SimClock>,
    commits: &[(Version, [i64; 2])],
    pinned: Version,
) -> Result<bool> {
    let store = open(disk, clock)?;
    let counts = store.collection::<i64>("counts")?;
    for round in 0..2 {
        for (version, _) in commits {
            let Ok(snapshot) = store.snapshot_at(*version) else { continue };
            let then = commits.iter().rev().find(|(version, _)| *version <= snapshot.version());
            let Some((_, state)) = then else { continue }; // before the first
            let read =
                |key: &str| -> Result<Option<i64>> { Ok(snapshot.get(&counts, key)?.map(|e| e.value)) };
            let shown = [read("a")?, read("b")?];
            let ahead = store.version() < *version; // a crash took it
            if shown != state.map(Some)
                && !(ahead && shown.map(|n| n.unwrap_or(0)).iter().sum::<i64>() == 100)
            {
                return Ok(false);
            }
        }
        let at = store.snapshot_at(At::Pin("here".into()))?;
        if at.version() != pinned || at.get(&counts, "a")?.map(|e| e.value) != Some(15) {
            return Ok(false);
        }
        if round == 0 {
            store.thin()?;
        }
    }
    Ok(true)
}

#[test]
fn every_crash_while_history_is_thinned_leaves_moments_whole_or_gone() -> Result<()> {
    let (crashes, wrong) = crash_while_thinning(None)?;
    assert!(crashes > 100, "{crashes} crashes are too few: does the disk record its changes?");
    assert_eq!(wrong, 0);
    Ok(())
}

#[test]
fn faults_in_thinning_are_noticed() -> Result<()> {
    assert_ne!(crash_while_thinning(Some(Fault::DropUnsaid))?.1, 0, "dropped by terms that are not durable");
    assert!(crate::retention::held_through_a_merge());
    plant(Some(Fault::ForgetHeld));
    let held = crate::retention::held_through_a_merge();
    plant(None);
    assert!(!held, "dropped what a snapshot holds");
    Ok(())
}
