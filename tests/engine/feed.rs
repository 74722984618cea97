//! The change feed: a replica that is fed by it, through crashes of both sides, is the store.

use std::collections::BTreeMap;
use std::ops::ControlFlow::Continue;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use savehold::sim::Sim;
use savehold::{At, Changes, Durability, ErrorKind, Moments, Options, Result, Retention, Store, Version};
use savehold_wal::sim::Draw;

use crate::damage::hurt_where;
use crate::scaled;

/// What was fed, and how far: kept together, as a consumer should.
#[derive(Clone, Default)]
struct Replica {
    values: BTreeMap<String, i64>,
    at: Option<Version>,
}

impl Replica {
    fn feed(&mut self, changes: &mut Changes) -> Result<usize> {
        let mut commits = 0;
        while let Some(commit) = changes.try_next()? {
            assert!(self.at < Some(commit.version), "in order, and none twice");
            for change in &commit.changes {
                let key = change.key.to_string();
                let old = change.old.as_ref().map(|entry| entry.value.as_i64().expect("a number"));
                assert_eq!(
                    old,
                    self.values.get(&key).copied(),
                    "what stood under {key} at {}",
                    commit.version
                );
                match &change.new {
                    Some(entry) => self.values.insert(key, entry.value.as_i64().expect("a number")),
                    None => self.values.remove(&key),
                };
                assert_eq!(change.removed, change.new.is_none());
            }
            self.at = Some(commit.version);
            commits += 1;
        }
        Ok(commits)
    }

    fn open(&self, store: &Store) -> Result<Changes> {
        let from = self.at.map_or(At::Time(0), At::Version);
        Ok(store.changes(from)?.collection("counts").values().old_values())
    }
}

fn write(store: &Store, draw: &mut Draw) -> Result<()> {
    let counts = store.collection::<i64>("counts")?;
    let key = |draw: &mut Draw| format!("k{}", draw.below(12));
    match draw.below(6) {
        0 => drop(counts.remove(key(draw))?),
        1 => drop(store.collection::<i64>("others")?.set(key(draw), &1)?),
        2 => drop(store.transaction(|tx| -> Result<()> {
            for _ in 0..=draw.below(4) {
                tx.set(&counts, key(draw), &(draw.below(1000) as i64))?;
            }
            Ok(())
        })?),
        _ => drop(counts.set(key(draw), &(draw.below(1000) as i64))?),
    }
    Ok(())
}

#[test]
fn a_replica_that_is_fed_through_crashes_is_the_store() -> Result<()> {
    for seed in 0..scaled(60) {
        let (mut sim, mut draw) = (Sim::new(seed), Draw::from_seed(seed));
        let durability = if draw.below(2) == 0 { Durability::Buffered } else { Durability::Synced };
        let (mut replica, mut kept) = (Replica::default(), Replica::default());
        for _ in 0..6 {
            let store = sim.open_with(Options::new().durability(durability))?;
            replica = kept.clone(); // a consumer that died goes on where it kept what it had
            let mut changes = replica.open(&store)?;
            for _ in 0..draw.below(40) {
                write(&store, &mut draw)?;
                if draw.below(5) == 0 {
                    replica.feed(&mut changes)?;
                    if draw.below(2) == 0 {
                        kept = replica.clone();
                    }
                }
                if draw.below(9) == 0 {
                    sim.advance(Duration::from_millis(700));
                }
            }
            match draw.below(3) {
                0 => sim.cut_power(),
                1 => sim.kill(),
                _ => store.close()?,
            }
        }
        let store = sim.open()?;
        store.sync()?;
        replica.clone_from(&kept);
        replica.feed(&mut replica.open(&store)?)?;
        let counts = store.collection::<i64>("counts")?;
        let shown: Result<BTreeMap<String, i64>> =
            counts.scan("").map(|entry| entry.map(|e| (e.key.to_string(), e.value))).collect();
        assert_eq!(replica.values, shown?, "seed {seed}");
    }
    Ok(())
}

#[test]
fn a_feed_is_about_one_collection_one_prefix_one_origin() -> Result<()> {
    let mut sim = Sim::new(1);
    for origin in ["build 812", "build 813", "build 813, eu-1"] {
        let store = sim.open_with(Options::new().origin(origin))?;
        let (left, right) = (store.collection::<i64>("left")?, store.collection::<i64>("right")?);
        for n in 0..3 {
            left.set(format!("a{n}"), &n)?;
            right.set(format!("b{n}"), &n)?;
        }
        left.set("b9", &9)?;
        store.close()?;
    }
    let store = sim.open()?;
    let count = |changes: Changes| -> Result<usize> { Ok(changes.until(At::Now)?.count()) };
    let all = || store.changes(At::Time(0));
    assert_eq!(count(all()?)?, 21);
    assert_eq!(count(all()?.collection("left"))?, 12);
    assert_eq!(count(all()?.prefix("b"))?, 12);
    assert_eq!(count(all()?.collection("left").prefix("b"))?, 3);
    assert_eq!(count(all()?.origin("build 813"))?, 7);
    assert_eq!(count(all()?.origin("build 813*"))?, 14);
    assert_eq!(count(all()?.collection("nowhere"))?, 0);
    let first = all()?.until(At::Now)?.next().expect("one")?;
    assert_eq!(
        (first.origin.as_deref(), first.explicit, first.changes[0].new.is_none()),
        (Some("build 812"), true, true)
    );
    let mut after = store.changes(first.version)?;
    assert_eq!(after.cursor(), first.version);
    assert!(after.try_next()?.expect("the next").version > first.version);
    Ok(())
}

#[test]
fn a_feed_ends_where_it_should_and_filtered_commits_move_its_cursor() -> Result<()> {
    let store = Sim::new(2).open()?;
    let counts = store.collection::<i64>("counts")?;
    let versions: Vec<Version> = (0..5).map(|n| counts.set(n, &0)).collect::<Result<_>>()?;
    let mut some = store.changes(versions[1])?.until(versions[3])?;
    let seen: Vec<Version> = some.by_ref().map(|commit| commit.map(|c| c.version)).collect::<Result<_>>()?;
    assert_eq!(seen, versions[2..=3]);
    let mut none = store.changes(At::Time(0))?.prefix("x");
    assert_eq!(none.try_next()?, None);
    assert!(none.cursor() >= versions[4]);
    counts.set("x", &1)?;
    assert_eq!(none.try_next()?.expect("it follows").changes[0].key, "x");
    Ok(())
}

#[test]
fn a_feed_goes_on_at_the_cursor_of_one_that_has_caught_up() -> Result<()> {
    let store = Sim::new(11).open()?;
    let counts = store.collection::<i64>("counts")?;
    let mut cursor = counts.set("a", &0)?;
    for n in 1..50 {
        let mut before = store.changes(cursor)?;
        while before.try_next()?.is_some() {}
        cursor = before.cursor();
        let written = counts.set("a", &n)?;
        let next = store.changes(cursor)?.try_next()?.expect("a commit behind the cursor");
        assert_eq!(next.version, written);
    }
    Ok(())
}

/// The commit at which it stands was packed too, with all before it: after a restart as before it, it missed nothing.
#[test]
fn a_feed_that_had_caught_up_goes_on_after_a_restart_though_everything_was_packed() -> Result<()> {
    let ends: [fn(&mut Sim, Store) -> Result<()>; 3] = [
        |_, store| store.close(),
        |sim, store| {
            sim.kill();
            drop(store);
            Ok(())
        },
        |sim, store| {
            sim.cut_power();
            drop(store);
            Ok(())
        },
    ];
    for (end, removed) in ends.iter().flat_map(|end| [(end, false), (end, true)]) {
        let mut sim = Sim::new(12);
        let store = sim.open()?;
        store.set_moments(Moments::NONE)?;
        store.set_retention("counts", Retention::NewestOnly)?;
        let mut versions = Vec::new();
        for n in 0..400 {
            versions.push(store.raw("counts")?.set(n % 40, &Bytes::from(vec![7; 4_000]))?);
        }
        if removed {
            versions.push(store.raw("counts")?.remove_async(7).wait()?);
        }
        let mut feed = store.changes(At::Time(0))?;
        while feed.try_next()?.is_some() {}
        let [.., short, last] = versions[..] else { unreachable!("many") };
        let cursors = [last, feed.cursor()];
        assert!(store.compact(|_| Continue(()))?.dropped > 0);
        drop(feed);
        end(&mut sim, store)?;
        let store = sim.open()?;
        let mut feeds: Vec<Changes> =
            cursors.iter().map(|cursor| store.changes(*cursor)).collect::<Result<_>>()?;
        for feed in &mut feeds {
            assert_eq!(feed.try_next()?, None);
        }
        let gone = store.changes(short)?.try_next().expect_err("a commit behind it may be gone");
        assert_eq!((gone.kind(), gone.oldest()), (ErrorKind::Gone, Some(last)));
        let next = store.raw("counts")?.set("next", &Bytes::from_static(b"value"))?;
        for feed in &mut feeds {
            assert_eq!(feed.try_next()?.map(|commit| commit.version), Some(next));
        }
    }
    Ok(())
}

#[test]
fn a_version_that_is_not_there_yet_begins_no_feed() -> Result<()> {
    let store = Sim::new(3).open()?;
    let version = store.collection::<i64>("counts")?.set("a", &0)?;
    let later = Version::from(savehold_wal::Lsn::from_raw(version.lsn().raw() + 1_000_000));
    assert_eq!(store.changes(later).expect_err("not yet").kind(), ErrorKind::Invalid);
    Ok(())
}

#[test]
fn a_damaged_value_costs_its_commit_alone() -> Result<()> {
    let mut sim = Sim::new(4);
    let store = sim.open()?;
    let texts = store.collection::<String>("texts")?;
    let versions = ["first", "damaged-here", "last"].map(|text| texts.set("k", &text.to_owned()));
    let versions = versions.into_iter().collect::<Result<Vec<Version>>>()?;
    store.close()?;
    hurt_where(&mut sim, b"damaged-here");
    let store = sim.open()?;
    let mut changes = store.changes(At::Time(0))?.values();
    assert_eq!(changes.try_next()?.expect("whole").version, versions[0]);
    let damaged = changes.try_next().expect_err("damaged");
    assert_eq!((damaged.kind(), damaged.version()), (ErrorKind::Damaged, Some(versions[1])));
    assert!(damaged.message().starts_with("texts/k: "), "{damaged}");
    assert_eq!(changes.try_next()?.expect("whole").version, versions[2]);
    assert_eq!(store.changes(At::Time(0))?.until(At::Now)?.count(), 3, "who asks for no value needs none");
    Ok(())
}

#[test]
fn a_feed_leaves_no_commit_out_while_a_damaged_table_is_made_anew() -> Result<()> {
    const COMMITS: i64 = 240;
    let options = || Options::new().recovery_budget(Duration::from_micros(16)); // a checkpoint every score of commits
    let filled = || -> Result<(Sim, Vec<Version>)> {
        let mut sim = Sim::new(5);
        let store = sim.open_with(options())?;
        let counts = store.collection::<i64>("counts")?;
        let versions = (0..COMMITS).map(|n| counts.set(n % 40, &n)).collect::<Result<_>>()?;
        store.close().map(|()| (sim, versions))
    };
    let tables = |sim: &mut Sim| {
        let files = sim.disk().files().into_iter().map(|(path, bytes)| (PathBuf::from(path), bytes));
        files.filter(|(path, _)| path.extension().is_some_and(|end| end == "idx")).collect::<Vec<_>>()
    };
    let mut refused = 0;
    for (path, bytes) in tables(&mut filled()?.0) {
        for page in 0..bytes / 4096 {
            let (mut sim, versions) = filled()?;
            sim.disk().flip_bit(&path, page * 4096 + 3, 2).expect("it has that byte");
            let store = sim.open_with(options())?;
            let mut changes = store.changes(At::Time(0))?.collection("counts").values().old_values();
            let mut next = 0;
            while next < COMMITS {
                match changes.try_next() {
                    Ok(commit) => {
                        let commit = commit.expect("there are more");
                        assert_eq!(commit.version, versions[next as usize]);
                        let change = &commit.changes[0];
                        assert_eq!(change.new.as_ref().and_then(|entry| entry.value.as_i64()), Some(next));
                        let old = (next >= 40).then_some(next - 40);
                        assert_eq!(change.old.as_ref().and_then(|entry| entry.value.as_i64()), old);
                        next += 1;
                    }
                    Err(e) => {
                        assert_eq!(
                            (e.kind(), e.version()),
                            (ErrorKind::Busy, Some(versions[next as usize])),
                            "{e}"
                        );
                        assert!(changes.cursor() < versions[next as usize], "{e}");
                        refused += 1;
                        sim.advance(Duration::from_secs(1));
                    }
                }
            }
            assert!(changes.try_next()?.is_none());
        }
    }
    assert!(refused > 0, "no feed met the damage");
    Ok(())
}

#[test]
fn a_feed_in_another_thread_sees_every_commit_and_ends_with_the_store() -> Result<()> {
    let store = Store::in_memory()?;
    let counts = store.collection::<i64>("counts")?;
    let changes = store.changes(At::Now)?.values();
    std::thread::scope(|scope| {
        let fed = scope.spawn(move || {
            let (mut last, mut ended) = (-1, None);
            for commit in changes {
                match commit {
                    Ok(commit) => {
                        let value =
                            commit.changes[0].new.as_ref().and_then(|e| e.value.as_i64()).expect("a number");
                        assert_eq!(value, last + 1, "none is left out");
                        last = value;
                    }
                    Err(e) => ended = Some(e.kind()),
                }
            }
            (last, ended)
        });
        for n in 0..200 {
            counts.set("k", &n)?;
        }
        store.clone().close()?;
        assert_eq!(fed.join().expect("no panic"), (199, Some(ErrorKind::Closed)));
        Ok(())
    })
}
