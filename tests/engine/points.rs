//! Every point at which a short workload can crash, and every point at which its recovery can crash again.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use savehold::{Error, Options, Result, Store, Version};
use savehold_wal::clock::SimClock;
use savehold_wal::env::{Env, Threads};
use savehold_wal::sim::{Choice, SimDisk, SimEntropy};

use crate::scaled;

/// One call on a store, with what it leaves on the keys `a` and `b` and whether it writes at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Set,
    Remove,
    Move,
    Once,
    Ahead,
    Big,
}

const CALLS: [Call; 6] = [Call::Set, Call::Remove, Call::Move, Call::Once, Call::Ahead, Call::Big];

/// What stands under `a` and `b`, whether the id was used, and how many commits the history of both names.
type State = ([Option<i64>; 2], bool, usize);

impl Call {
    fn model(self, ([a, b], id, commits): State) -> State {
        match self {
            Self::Set | Self::Ahead => ([Some(a.unwrap_or(0) + 1), b], id, commits + 1),
            Self::Remove if a.is_none() => ([a, b], id, commits),
            Self::Remove => ([None, b], id, commits + 1),
            Self::Move => ([Some(a.unwrap_or(0) - 5), Some(b.unwrap_or(0) + 5)], id, commits + 1),
            Self::Once if id => ([a, b], id, commits),
            Self::Once => ([a, Some(b.unwrap_or(0) + 100)], true, commits + 1),
            Self::Big => ([a, Some(7)], id, commits + 1),
        }
    }

    /// `Ahead` does not wait: what comes behind it, or the close, makes it durable.
    fn run(self, store: &Store) -> Result<()> {
        let counts = store.collection::<i64>("counts")?;
        match self {
            Self::Set => counts.increment("a", 1).map(drop),
            Self::Remove => counts.remove("a").map(drop),
            Self::Move => store
                .transaction(|tx| -> Result<()> {
                    tx.increment(&counts, "a", -5)?;
                    tx.increment(&counts, "b", 5).map(drop)
                })
                .map(drop),
            Self::Once => counts.increment_once("id", "b", 100).map(drop),
            Self::Ahead => {
                drop(counts.increment_async("a", 1));
                Ok(())
            }
            Self::Big => {
                let mut batch = store.batch();
                batch.set(&counts, "b", &7)?.set(&store.raw("bulk")?, "b", &vec![9; 5000].into())?;
                batch.commit().map(drop)
            }
        }
    }
}

/// A checkpoint comes in no run as short as these.
const RARELY: Duration = Duration::from_millis(100);
/// Every commit is followed by a checkpoint, and every few of those by a merge.
const ALWAYS: Duration = Duration::from_micros(1);

fn open(disk: &SimDisk, budget: Duration) -> Result<Store> {
    let (clock, entropy) = (Arc::new(SimClock::default()), Arc::new(SimEntropy::new(5)));
    let env = Env { vfs: Arc::new(disk.clone()), clock, entropy, threads: Threads::None };
    Options::new().recovery_budget(budget).open_in(env, Path::new("/store"))
}

fn state_of(store: &Store) -> Result<State> {
    let counts = store.collection::<i64>("counts")?;
    let value = |key: &str| -> Result<Option<i64>> { Ok(counts.get(key)?.map(|e| e.value)) };
    let mut versions: Vec<Version> = Vec::new();
    for key in ["a", "b"] {
        for info in counts.versions(key)? {
            versions.push(info?.version);
        }
    }
    versions.sort();
    versions.dedup();
    let id = !matches!(store.outcome("id")?, savehold::Outcome::NotCommitted);
    Ok(([value("a")?, value("b")?], id, versions.len()))
}

/// Opens what a crash left and finds one of the allowed states there, twice; the second time writing goes on.
#[track_caller]
fn check(disk: &SimDisk, budget: Duration, allowed: &[State], what: &dyn Fn() -> String) {
    let looked = open(disk, budget).and_then(|store| {
        let state = state_of(&store)?;
        if !allowed.contains(&state) {
            return Err(Error::new(
                savehold::ErrorKind::Refused,
                format!("{state:?} is none of {allowed:?}"),
            ));
        }
        store.collection::<i64>("counts")?.set("later", &1)?;
        drop(store);
        let store = open(disk, budget)?;
        let later = store.collection::<i64>("counts")?.get("later")?.map(|e| e.value);
        assert_eq!((state_of(&store)?, later), (state, Some(1)), "{}", what());
        store.close()
    });
    if let Err(e) = looked {
        panic!("{}: {e:?}", what());
    }
}

/// All ways in which a machine may come back from a crash at this moment.
fn aftermaths(disk: &SimDisk, seed: u64) -> [(&'static str, SimDisk); 4] {
    [
        ("killed", disk.restart()),
        ("cut, nothing kept", disk.reboot(Choice::KeepNone)),
        ("cut, all kept", disk.reboot(Choice::KeepAll)),
        ("cut, some kept", disk.reboot(Choice::Seed(seed))),
    ]
}

/// Crashes a workload at every change of the disk, and the recovery of every `deep`-th crash at every change of it.
fn crash_everywhere(calls: &[Call], deep: u64, budget: Duration) -> u64 {
    let disk = SimDisk::new(1);
    disk.record();
    let mut states = vec![([None, None], false, 0)];
    // changes of the disk after which this many calls had been answered
    let mut answered = vec![(disk.counts().changes, 0)];
    let store = open(&disk, budget).expect("opens");
    for (n, call) in calls.iter().enumerate() {
        call.run(&store).expect("nothing fails");
        let before = states[n];
        states.push(call.model(before));
        // a call that wrote nothing need not wait for one that went ahead
        if *call != Call::Ahead && states[n + 1] != before {
            answered.push((disk.counts().changes, n + 1));
        }
    }
    store.close().expect("nothing fails");
    answered.push((disk.counts().changes, calls.len()));
    let mut crashes = 0;
    for (at, image) in disk.take_tape().into_iter().chain([disk.clone()]).enumerate() {
        let sure = answered.iter().rev().find(|(changes, _)| *changes <= at as u64).map_or(0, |(_, n)| *n);
        for (how, left) in aftermaths(&image, at as u64) {
            crashes += 1;
            let what = || format!("{calls:?}, crash at change {at}, {how}");
            if crashes % deep == 0 {
                crashes += crash_recovery(&left, budget, &states[sure..], &what);
            }
            check(&left, budget, &states[sure..], &what);
        }
    }
    crashes
}

fn crash_recovery(left: &SimDisk, budget: Duration, allowed: &[State], what: &dyn Fn() -> String) -> u64 {
    let again = left.fork();
    again.record();
    open(&again, budget).and_then(Store::close).unwrap_or_else(|e| panic!("{}: {e:?}", what()));
    let mut crashes = 0;
    for (at, image) in again.take_tape().into_iter().enumerate() {
        for (how, left) in aftermaths(&image, at as u64) {
            crashes += 1;
            check(&left, budget, allowed, &|| format!("{}, then in recovery at change {at}, {how}", what()));
        }
    }
    crashes
}

#[test]
fn every_crash_of_every_workload_of_two_calls_leaves_a_prefix() {
    let mut crashes = 0;
    for a in CALLS {
        crashes += crash_everywhere(&[a], 8, RARELY);
        for b in CALLS {
            crashes += crash_everywhere(&[a, b], 40, RARELY);
        }
    }
    assert!(crashes > 1000, "{crashes} crashes are too few: does the disk record its changes?");
}

/// At every change of the disk inside a checkpoint, a merge, the replacing of MANIFEST, and the removal of files that it
/// names no more.
#[test]
fn every_crash_of_a_workload_that_writes_tables_leaves_a_prefix() {
    let mut crashes = 0;
    for calls in
        [&[Call::Set, Call::Remove][..], &[Call::Once, Call::Big, Call::Move], &[Call::Ahead, Call::Set]]
    {
        crashes += crash_everywhere(calls, 29, ALWAYS);
    }
    assert!(crashes > 1000, "{crashes} crashes are too few: does the disk record its changes?");
}

#[test]
fn a_workload_whose_every_commit_is_followed_by_a_checkpoint_merges_tables() {
    let disk = SimDisk::new(1);
    let store = open(&disk, ALWAYS).expect("opens");
    for _ in 0..6 {
        Call::Set.run(&store).expect("nothing fails");
    }
    let stats = store.stats();
    assert!(stats.checkpoints >= 6 && stats.tables < stats.checkpoints, "{stats:?}");
    assert_eq!(state_of(&store).expect("reads"), ([Some(6), None], false, 6));
}

/// All 216 of them where `SAVEHOLD_SCALE` is 12 or more; otherwise some, others each time the scale changes.
#[test]
fn every_crash_of_workloads_of_three_calls_leaves_a_prefix() {
    let all =
        CALLS.iter().flat_map(|a| CALLS.iter().flat_map(move |b| CALLS.iter().map(move |c| [*a, *b, *c])));
    let wanted = scaled(18);
    let every = (216 / wanted.clamp(1, 216)) as usize;
    for calls in all.step_by(every.max(1)) {
        crash_everywhere(&calls, 64, RARELY);
    }
}
