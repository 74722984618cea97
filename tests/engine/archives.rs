//! An archive beside a store whose history is thinned: it is thinned by itself, by the same plan, and whatever is restored
//! from it is what the store was at that moment, or refused.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use savehold::backup::{KeptMoment, backups_in, restore_in};
use savehold::{
    At, Create, ErrorKind, Moments, Options, Restore, Retention, Selection, Store, Version, VersionsKept,
};
use savehold_wal::clock::SimClock;
use savehold_wal::env::{Env, Threads};
use savehold_wal::sim::{Draw, SimDisk, SimEntropy};

use crate::scaled;

const STORE: &str = "/store";
const ARCHIVE: &str = "/archive";

type State = BTreeMap<String, Vec<u8>>;

struct World {
    disk: SimDisk,
    clock: Arc<SimClock>,
    draw: Draw,
    store: Store,
    commits: Vec<(Version, u64, State)>,
}

fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}

impl World {
    fn new(seed: u64) -> Self {
        let (disk, clock) = (SimDisk::new(seed), Arc::new(SimClock::default()));
        let store = open(&env(&disk, &clock), STORE, Some(ARCHIVE));
        store
            .set_moments(Moments { every: minutes(20), minutes: minutes(90), hours: minutes(600) })
            .expect("sets");
        Self { disk, clock, draw: Draw::from_seed(seed), store, commits: Vec::new() }
    }

    fn env(&self) -> Env {
        env(&self.disk, &self.clock)
    }

    /// One key gets another value, or goes: of a few that change often, and of many that hardly do.
    fn commit(&mut self) {
        let players = self.store.raw("players").expect("opens");
        let mut state = self.commits.last().map_or_else(State::new, |(_, _, state)| state.clone());
        let key = match self.draw.below(8) {
            0 => format!("seldom-{}", self.draw.below(60)),
            _ => format!("often-{}", self.draw.below(6)),
        };
        let version = if self.draw.below(5) == 0 {
            if state.remove(&key).is_none() {
                return;
            }
            players.remove(&*key).expect("removes");
            self.store.version()
        } else {
            let value = vec![self.draw.below(256) as u8; 500 + self.draw.below(4000) as usize];
            state.insert(key.clone(), value.clone());
            players.set(&*key, &value.into()).expect("writes")
        };
        self.commits.push((version, self.store.time_us(), state));
    }

    fn pass(&mut self, time: Duration) {
        self.clock.advance(time);
        self.store.tick();
    }

    /// Whether the archive has this very moment.
    fn has(&self, version: Version) -> bool {
        let env = env(&self.disk.fork(), &self.clock);
        let done = restore_in(
            &env,
            Path::new(ARCHIVE),
            Path::new("/restored"),
            &At::Version(version),
            Restore::new(),
        );
        done.map_err(|e| assert_eq!(e.kind(), ErrorKind::Gone, "{e}")).is_ok()
    }

    /// What stood as of a version.
    fn then(&self, version: Version) -> State {
        let before = self.commits.iter().rev().find(|(other, _, _)| *other <= version);
        before.map_or_else(State::new, |(_, _, state)| state.clone())
    }

    fn archive_bytes(&self) -> u64 {
        let held = backups_in(&self.env(), Path::new(ARCHIVE)).expect("lists");
        held.iter().map(|held| held.as_ref().expect("whole").bytes).sum()
    }
}

fn env(disk: &SimDisk, clock: &Arc<SimClock>) -> Env {
    Env {
        vfs: Arc::new(disk.clone()),
        clock: clock.clone(),
        entropy: Arc::new(SimEntropy::new(7)),
        threads: Threads::None,
    }
}

fn open(env: &Env, dir: &str, archive: Option<&str>) -> Store {
    let options = archive.map_or_else(Options::new, |to| Options::new().archive(to));
    options.open_in(env.clone(), Path::new(dir)).expect("opens")
}

/// All that stands in a store that was restored.
fn stands(env: &Env, dir: &str) -> State {
    let options = Options::new().create(Create::Never).verify_on_open(true);
    let store = options.open_in(env.clone(), Path::new(dir)).expect("opens");
    let players = store.raw("players").expect("opens");
    let all = players.scan("").map(|entry| entry.map(|e| (e.key.to_string(), e.value.to_vec())));
    let all = all.collect::<Result<State, _>>().expect("reads");
    store.close().expect("closes");
    all
}

/// Restores the moment on a copy of the disk: exactly, or the kept one before, after the refusal has named it.
fn restored(world: &World, at: &At, exact: Version) -> (bool, Version) {
    let disk = world.disk.fork();
    let env = env(&disk, &world.clock);
    let (from, to) = (Path::new(ARCHIVE), Path::new("/restored"));
    match restore_in(&env, from, to, at, Restore::new()) {
        Ok(done) => {
            assert_eq!(done.earlier, None);
            assert_eq!(stands(&env, "/restored"), world.then(exact), "{at:?}");
            (true, done.version)
        }
        Err(e) => {
            assert_eq!(e.kind(), ErrorKind::Gone, "{e}");
            assert!(
                disk.files().iter().all(|(path, _)| !path.starts_with("/restored/log/")),
                "nothing was made"
            );
            let Some(named) = e.version() else {
                let later = |kept: &KeptMoment| match at {
                    At::Time(time_us) => kept.time_us > *time_us,
                    _ => kept.version > exact,
                };
                let none: Vec<KeptMoment> = kept(world).into_iter().filter(|kept| !later(kept)).collect();
                assert_eq!(none, [], "{at:?}, {exact}: an earlier moment is not named: {e}");
                return (false, exact);
            };
            assert!(e.message().contains(&named.to_string()), "{e}");
            let done = restore_in(&env, from, to, at, Restore::new().or_earlier()).expect("the earlier one");
            assert_eq!(done.earlier, Some(named));
            let before = named < exact || named == exact && matches!(at, At::Time(_)); // nothing came since
            assert!(before && done.version <= named, "{named} is not before {exact}: {done:?}");
            assert_eq!(stands(&env, "/restored"), world.then(named), "{at:?}: {named}");
            (false, named)
        }
    }
}

fn kept(world: &World) -> Vec<KeptMoment> {
    let listed = backups_in(&world.env(), Path::new(ARCHIVE)).expect("lists");
    listed[0].as_ref().expect("whole").kept.clone()
}

#[test]
fn an_archive_is_thinned_by_the_plan_of_the_store_and_restores_what_was_or_says_what_it_has() {
    for seed in 0..scaled(2) {
        let mut world = World::new(seed);
        let (mut copied, mut pinned) = (0, None);
        for n in 0..1500 {
            world.commit();
            let time = Duration::from_secs(world.draw.below(40));
            world.pass(time);
            if n % 100 == 99 {
                copied = copied.max(world.archive_bytes());
            }
            if n == 400 {
                let version = world.store.pin("update").expect("pins");
                pinned = Some(version);
            }
            if n % 500 == 499 {
                world.store.compact(|_| std::ops::ControlFlow::Continue(())).expect("compacts");
            }
        }
        for _ in 0..20 {
            world.pass(Duration::from_secs(61));
        }
        let archive = world.store.stats().archive.expect("there is one");
        assert!(archive.failure.is_none() && archive.thinning_failure.is_none(), "{archive:?}");
        let written: u64 =
            world.commits.windows(2).map(|pair| pair[1].0.lsn().raw() - pair[0].0.lsn().raw()).sum();
        let held = world.archive_bytes();
        assert!(held < written / 2, "{held} of {written} bytes, {copied} before");
        let kept = kept(&world);
        assert!(kept.len() > 20, "{} kept moments", kept.len());

        let all: Vec<(Version, u64)> =
            world.commits.iter().map(|(version, time_us, _)| (*version, *time_us)).collect();
        let (mut exact, mut earlier) = (0, 0);
        for (version, time_us) in all.iter().step_by(11).chain(all.last()) {
            let (was, _) = restored(&world, &At::Version(*version), *version);
            if was {
                exact += 1
            } else {
                earlier += 1
            }
            let newest = all.iter().rev().find(|(_, at)| at <= time_us).expect("that one").0;
            restored(&world, &At::Time(*time_us), newest);
        }
        // of what is older than twenty minutes, which is all of it by now, minutes and hours are kept
        assert!(exact > 1 && earlier > 20, "{exact} exactly, {earlier} at an earlier moment");
        for kept in kept.iter().step_by(7) {
            assert!(restored(&world, &At::Version(kept.version), kept.version).0, "{kept:?} is kept");
            assert!(restored(&world, &At::Time(kept.time_us), kept.version).0, "{kept:?} is kept");
        }
        let pinned = pinned.expect("it was");
        assert!(restored(&world, &At::Pin("update".into()), pinned).0, "a pinned moment is kept");
        assert!(restored(&world, &At::Now, all.last().expect("many").0).0);

        // and a new process goes on with it, and one whose archive was elsewhere for a while
        let World { disk, clock, store, .. } = &world;
        store.clone().close().expect("closes");
        let store = open(&env(disk, clock), STORE, Some(ARCHIVE));
        world.store = store;
        (0..30).for_each(|_| {
            world.commit();
            world.pass(Duration::from_secs(30));
        });
        assert!(world.archive_bytes() < held + (400 << 10), "nothing was taken again");
        restored(&world, &At::Now, world.commits.last().expect("many").0);
        world.store.clone().close().expect("closes");
        world.store = open(&world.env(), STORE, None);
        (0..400).for_each(|_| {
            world.commit();
            world.pass(Duration::from_secs(30));
        });
        world.store.compact(|_| std::ops::ControlFlow::Continue(())).expect("compacts");
        world.store.clone().close().expect("closes");
        world.store = open(&world.env(), STORE, Some(ARCHIVE));
        (0..50).for_each(|_| {
            world.commit();
            world.pass(Duration::from_secs(30));
        });
        assert!(restored(&world, &At::Now, world.commits.last().expect("many").0).0);
        world.store.clone().close().expect("closes");
    }
}

/// What a restored store has of the numbers in `cache`, after it said whether that is what stood at the moment: `set` are all
/// versions of each of its keys.
fn check_cache(world: &World, at: &At, set: &[BTreeMap<Version, u64>; 2]) -> bool {
    let disk = world.disk.fork();
    let env = env(&disk, &world.clock);
    let done =
        restore_in(&env, Path::new(ARCHIVE), Path::new("/restored"), at, Restore::new()).expect("kept");
    let store = open(&env, "/restored", None);
    let cache = store.collection::<u64>("cache").expect("opens");
    for (key, set) in ["often", "seldom"].into_iter().zip(set) {
        let found = cache.get(key).expect("reads").map(|entry| (entry.version, entry.value));
        let stood = set.range(..=done.version).next_back().map(|(version, n)| (*version, *n));
        let known = found.is_none_or(|(version, n)| set.get(&version) == Some(&n));
        assert!(known && found <= stood, "{at:?}: {key} is {found:?}, and was {stood:?}");
        assert!(
            !done.not_whole.is_empty() || found == stood,
            "{at:?}: {key} is {found:?}, and was {stood:?}"
        );
    }
    let past = store.snapshot_at(done.version).and_then(|then| then.get(&cache, "often"));
    match done.not_whole.as_slice() {
        [] => assert!(past.is_ok(), "{at:?}: {past:?}"),
        [name] => assert_eq!((&**name, past.unwrap_err().kind()), ("cache", ErrorKind::Gone), "{at:?}"),
        more => panic!("{at:?}: {more:?}"),
    }
    done.not_whole.is_empty()
}

#[test]
fn a_collection_without_history_takes_no_moment_from_the_others_and_is_named_where_it_is_not_whole() {
    let mut world = World::new(3);
    world.store.set_retention("cache", Retention::NewestOnly).expect("sets");
    let mut set = [BTreeMap::new(), BTreeMap::new()];
    for n in 0..600 {
        world.commit();
        let cache = world.store.collection::<u64>("cache").expect("opens");
        set[0].insert(cache.set("often", &n).expect("writes"), n);
        if n % 200 == 50 {
            set[1].insert(cache.set("seldom", &n).expect("writes"), n);
        }
        let time = Duration::from_secs(world.draw.below(40));
        world.pass(time);
        if n % 150 == 149 {
            world.store.compact(|_| std::ops::ControlFlow::Continue(())).expect("compacts");
        }
    }
    (0..5).for_each(|_| world.pass(Duration::from_secs(61)));
    let kept = kept(&world);
    assert!(kept.len() > 20, "{} kept moments", kept.len());
    let mut torn = 0;
    for kept in kept.iter().step_by(5) {
        assert!(restored(&world, &At::Version(kept.version), kept.version).0, "{kept:?} is kept");
        torn += u32::from(!check_cache(&world, &At::Version(kept.version), &set));
    }
    assert!(torn > 2, "{torn} moments at which it is not whole");
    let recent = world.store.time_us() - 19 * 60_000_000; // every moment is kept for twenty minutes
    let times: Vec<(Version, u64)> =
        world.commits.iter().map(|(version, time_us, _)| (*version, *time_us)).collect();
    let newest = |time_us: u64| times.iter().rfind(|(_, at)| *at <= time_us).expect("one").0;
    let mut before = 0;
    for (version, time_us) in times.iter().filter(|(_, at)| *at >= recent) {
        assert!(restored(&world, &At::Version(*version), *version).0, "{version} is kept");
        assert!(restored(&world, &At::Time(*time_us), newest(*time_us)).0, "{time_us} is kept");
        before += u32::from(!check_cache(&world, &At::Time(*time_us), &set));
    }
    assert!(before > 2, "{before} of the last twenty minutes are before what is whole");
    assert!(check_cache(&world, &At::Now, &set), "now all of it stands");

    let at = At::Version(kept[kept.len() / 2].version);
    let keys = |name| {
        let planned = world.store.restore_keys_preview(
            ARCHIVE,
            &Selection::collection(name),
            at.clone(),
            Restore::new(),
        );
        planned.map(drop).map_err(|e| e.kind())
    };
    assert_eq!((keys("players"), keys("cache")), (Ok(()), Err(ErrorKind::Gone)));
}

#[test]
fn a_file_that_ends_where_the_archive_ends_is_packed_only_when_the_archive_has_its_end() {
    let mut world = World::new(0);
    let players = world.store.raw("players").expect("opens");
    let value = vec![7; 4000].into();
    let all: Vec<Version> =
        (0..500).map(|n| players.set(format!("{}", n - n % 8 / 7), &value).expect("writes")).collect();
    (0..4).for_each(|_| world.pass(minutes(100)));
    let has = |world: &World| all.iter().rev().step_by(9).filter(|version| world.has(**version)).count();
    let before = has(&world);
    world.store.compact(|_| std::ops::ControlFlow::Continue(())).expect("compacts");
    world.commit();
    world.pass(minutes(1));
    assert!(before > 20 && has(&world) == before, "{before} before, then {}", has(&world));
}

#[test]
fn an_archive_that_is_never_due_again_has_its_first_step_and_its_last() {
    let (disk, clock) = (SimDisk::new(3), Arc::new(SimClock::default()));
    clock.advance(minutes(1));
    let options = Options::new().archive(ARCHIVE).archive_interval(Duration::MAX);
    let store = options.open_in(env(&disk, &clock), Path::new(STORE)).expect("opens");
    let players = store.raw("players").expect("opens");
    let commit = |value: &'static [u8]| players.set("42", &value.into()).expect("writes");
    let archived = || store.stats().archive.expect("there is one").through;
    let first = commit(b"first");
    store.tick();
    assert!(archived() >= first);
    let last = commit(b"last");
    clock.advance(minutes(1 << 20));
    store.tick();
    assert!(archived() < last);
    store.clone().close().expect("closes");
    assert!(archived() >= last);
}

/// A moment that is kept is the last commit before a mark, and not the mark: what was dropped around it makes a store that ends there
/// no past.
#[test]
fn a_store_out_of_a_thinned_archive_is_read_before_anything_is_written_to_it() {
    let (disk, clock) = (SimDisk::new(1), Arc::new(SimClock::default()));
    let env = env(&disk, &clock);
    let options = Options::new().archive(ARCHIVE).recovery_budget(Duration::from_micros(50));
    let store = options.open_in(env.clone(), Path::new(STORE)).expect("opens");
    let alone = VersionsKept { explicit: Duration::ZERO, ..VersionsKept::default() };
    store.set_retention("players", Retention::History(alone)).expect("sets");
    let players = store.raw("players").expect("opens");
    for n in 0..900 {
        let value = format!("{n:2000}").into_bytes();
        players.set(format!("{}", n % 6), &value.into()).expect("writes");
        clock.advance(Duration::from_millis(1_900));
        if n % 10 == 5 {
            store.tick();
        }
    }
    clock.advance(minutes(70));
    players.set("idle", &b"x"[..].into()).expect("writes");
    store.tick();
    store.thin().expect("thins");
    for _ in 0..5 {
        clock.advance(minutes(2));
        store.tick();
    }
    drop(players);
    store.close().expect("closes");
    let held = backups_in(&env, Path::new(ARCHIVE)).expect("lists");
    let kept: Vec<_> = held.iter().flat_map(|held| held.as_ref().expect("whole").kept.clone()).collect();
    assert!(kept.len() > 10, "{kept:?}");
    for KeptMoment { version, .. } in kept {
        let env = self::env(&disk.fork(), &clock);
        let (from, to) = (Path::new(ARCHIVE), Path::new("/restored"));
        restore_in(&env, from, to, &At::Version(version), Restore::new()).expect("a moment that is kept");
        let store = open(&env, "/restored", None);
        let players = store.raw("players").expect("opens");
        let there = players.keys("").collect::<Result<Vec<_>, _>>().expect("lists");
        for key in there {
            let entry = players.get(&key).unwrap_or_else(|e| panic!("{version}: {key}: {e}"));
            assert!(entry.is_some(), "{version}: {key} is listed");
        }
        assert!(players.get("never").expect("reads").is_none());
        store.outcome("never").expect("an answer");
        store.pin("restored").expect("pins what was restored");
    }
}

/// What goes with the end of a log may lie behind the moments that its terms keep: what is left is read all the same.
#[test]
fn a_store_that_was_repaired_without_its_end_is_read_before_anything_is_written_to_it() {
    let (disk, clock) = (SimDisk::new(1), Arc::new(SimClock::default()));
    let env = env(&disk, &clock);
    let options = Options::new().recovery_budget(Duration::from_micros(50));
    let store = options.open_in(env.clone(), Path::new(STORE)).expect("opens");
    let alone = VersionsKept { explicit: Duration::ZERO, ..VersionsKept::default() };
    store.set_retention("players", Retention::History(alone)).expect("sets");
    let players = store.raw("players").expect("opens");
    for n in 0..900 {
        let value = format!("{n:2000}").into_bytes();
        players.set(format!("{}", n % 6), &value.into()).expect("writes");
        clock.advance(Duration::from_millis(1_900));
        if n % 10 == 5 {
            store.tick();
        }
    }
    clock.advance(minutes(70));
    players.set("idle", &b"x"[..].into()).expect("writes");
    store.thin().expect("thins");
    store.compact(|_| std::ops::ControlFlow::Continue(())).expect("packs");
    drop(players);
    store.close().expect("closes");
    let mut logs: Vec<String> = disk.files().into_iter().map(|(path, _)| path).collect();
    logs.retain(|path| path.starts_with("/store/log/"));
    logs.sort();
    for lost in 1..logs.len() {
        let env = self::env(&disk.fork(), &clock);
        for path in logs.iter().rev().take(lost) {
            env.vfs.remove(Path::new(path)).expect("removes");
        }
        let to = Path::new("/repaired");
        savehold::inspect::repair_in(&env, Path::new(STORE), to, |_| std::ops::ControlFlow::Continue(()))
            .unwrap_or_else(|e| panic!("{lost} of {logs:?}: {e}"));
        let store = open(&env, "/repaired", None);
        let players = store.raw("players").expect("opens");
        let there = players.keys("").collect::<Result<Vec<_>, _>>().expect("lists");
        for key in there {
            players.get(&key).unwrap_or_else(|e| panic!("{lost} of {}: {key}: {e}", logs.len()));
        }
        store.pin("repaired").expect("pins what was repaired");
    }
    assert!(logs.len() > 1, "{logs:?}");
}
