//! History is thinned as time goes by: what stays, what is told of what went, and what holds it.

use std::ops::ControlFlow;
use std::time::Duration;

use savehold::limits::MOMENTS_MAX;
use savehold::sim::Sim;
use savehold::{
    At, Collection, Durability, ErrorKind, Moments, Next, Options, Outcome, Result, Retention, Store,
    Version, VersionsKept,
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Versions of a key that are there, the newest first.
fn versions(counts: &Collection<i64>, key: &str) -> Result<Vec<Version>> {
    counts.versions(key)?.map(|info| Ok(info?.version)).collect()
}

/// A store that keeps each moment for a minute, and nothing else of its own accord.
fn brief(sim: &mut Sim) -> Result<(Store, Collection<i64>)> {
    let store = sim.open_with(Options::new())?;
    store.set_moments(Moments { every: MINUTE, ..Moments::NONE })?;
    let none = VersionsKept { explicit: Duration::ZERO, ..VersionsKept::default() };
    store.set_retention("counts", Retention::History(none))?;
    let counts = store.collection("counts")?;
    Ok((store, counts))
}

/// The store, its tables lost meanwhile, which are made anew.
fn opened_without_tables(sim: &mut Sim) -> Result<Store> {
    let disk = sim.disk();
    for (path, _) in disk.files().into_iter().filter(|(path, _)| path.ends_with(".idx")) {
        disk.uproot(std::path::Path::new(&path)).expect("a file");
    }
    let store = sim.open()?;
    assert!(store.stats().tables_remade > 0, "{:?}", store.stats());
    Ok(store)
}

#[test]
fn what_has_lapsed_goes_and_is_told_of_as_gone() -> Result<()> {
    let mut sim = Sim::new(1);
    let (store, counts) = brief(&mut sim)?;
    let first = counts.set("a", &1)?;
    let second = counts.set("a", &2)?;
    sim.advance(2 * MINUTE);
    let third = counts.set("a", &3)?;
    assert!(store.thin()?);
    assert_eq!(versions(&counts, "a")?, [third, second], "the second was the newest a minute ago");
    assert_eq!(counts.get_at("a", second)?.map(|e| e.value), Some(2));
    let gone = counts.get_at("a", first).unwrap_err();
    assert_eq!((gone.kind(), gone.version()), (ErrorKind::Gone, Some(first)));
    let gone = store.snapshot_at(first).unwrap_err();
    assert_eq!((gone.kind(), gone.oldest().is_some()), (ErrorKind::Gone, true), "{gone}");
    let oldest = store.snapshot_at(gone.oldest().expect("said"))?;
    assert_eq!(oldest.get(&counts, "a")?.map(|e| e.value), Some(2));
    assert_eq!(counts.get("a")?.map(|e| e.value), Some(3));
    Ok(())
}

/// Terms are durable at once; what was only given to the system may go with the power. Then nothing that is still there
/// may be told of as gone.
#[test]
fn a_power_cut_behind_thinning_takes_no_moment_but_what_it_took_of_the_log() -> Result<()> {
    for seed in 0..20 {
        let mut sim = Sim::new(seed);
        let (store, counts) = brief(&mut sim)?;
        let mut written = vec![counts.set("a", &0)?];
        store.close()?;
        let store = sim.open_with(Options::new().durability(Durability::Buffered))?;
        let counts = store.collection::<i64>("counts")?;
        for n in 1..40 {
            written.push(counts.set("a", &n)?);
            sim.clock().advance(seconds(5)); // nobody syncs meanwhile
        }
        store.thin()?;
        sim.cut_power();
        let store = sim.open()?;
        let counts = store.collection::<i64>("counts")?;
        let newest = store.version();
        let (now, last) = (counts.get("a")?.expect("synced"), written.iter().rposition(|v| *v <= newest));
        let last = last.expect("the first was synced");
        assert_eq!((now.value, now.version), (last as i64, written[last]), "seed {seed}");
        assert_eq!(
            store.snapshot_at(newest)?.get(&counts, "a")?.map(|e| e.value),
            Some(now.value),
            "seed {seed}"
        );
        let listed = versions(&counts, "a")?;
        assert_eq!(counts.get_at("a", listed[0])?.map(|e| e.value), Some(now.value), "seed {seed}");
    }
    Ok(())
}

#[test]
fn a_moment_that_is_not_kept_is_served_by_the_one_before_it() -> Result<()> {
    let mut sim = Sim::new(2);
    let store = sim.open()?;
    let counts = store.collection::<i64>("counts")?;
    let mut written = Vec::new();
    sim.advance(seconds(67 - store.time_us() / 1_000_000 % 60)); // nothing is written at a full minute
    for n in 0..60 {
        written.push((counts.set("a", &n)?, store.time_us()));
        counts.set("b", &-n)?;
        sim.advance(seconds(20));
    }
    sim.advance(2 * HOUR);
    assert!(store.thin()?);
    let stats = store.stats();
    assert!(stats.every_moment_from > written[59].0, "{stats:?}");
    for (version, time_us) in &written[3..] {
        let minute = time_us - time_us % 60_000_000;
        let then = written.iter().rev().find(|(_, at)| *at <= minute).map(|(v, _)| *v);
        let last = time_us / 1_000_000 % 60 == 47; // of its minute: at the full minute the store was still so
        let Some(then) = then.filter(|_| !last) else { continue };
        let shown = store.snapshot_at(At::Time(*time_us))?;
        assert!(shown.version() < *version && shown.version() >= then, "{version}: {}", shown.version());
        let a = shown.get(&counts, "a")?.expect("there").value;
        assert_eq!(written[a as usize].0, then);
        assert_eq!(shown.get(&counts, "b")?.map(|e| e.value), Some(-a), "{version}");
        assert_eq!(store.snapshot_at(*version)?.version(), shown.version());
        assert_eq!(store.diff(*version, At::Now)?.from(), shown.version());
        assert_eq!(counts.get_at("a", At::Time(*time_us))?.map(|e| e.value), Some(a));
        assert_eq!(counts.get_at("a", *version)?.map(|e| e.version), Some(*version), "explicit: for itself");
    }
    let back = store.revert(savehold::Selection::collection("counts"), At::Time(written[30].1))?;
    assert_eq!(back[0].to, store.snapshot_at(written[30].0)?.version(), "it says which moment");
    Ok(())
}

#[test]
fn snapshots_and_pins_hold_their_moment_and_statistics_name_them() -> Result<()> {
    let mut sim = Sim::new(3);
    let (store, counts) = brief(&mut sim)?;
    store.set_retention("cache", Retention::NewestOnly)?;
    let cache = store.collection::<i64>("cache")?;
    for n in 0..4 {
        counts.set("a", &n)?;
        cache.set("a", &n)?;
        sim.advance(seconds(1));
    }
    let held = store.snapshot().named("report");
    counts.set("a", &9)?;
    cache.set("a", &9)?;
    let pinned = store.pin("before 2.0")?;
    for n in 10..14 {
        counts.set("a", &n)?;
        cache.set("a", &n)?;
        sim.advance(MINUTE);
        store.thin()?;
    }
    assert_eq!(held.get(&counts, "a")?.map(|e| e.value), Some(3));
    assert_eq!(held.get(&cache, "a")?.map(|e| e.value), Some(3), "a snapshot holds what has no history too");
    let at = || At::Pin("before 2.0".into());
    assert_eq!(counts.get_at("a", at())?.map(|e| e.value), Some(9));
    assert_eq!(cache.get_at("a", at()).unwrap_err().kind(), ErrorKind::Gone);
    let keeper = store.stats().oldest_moment.expect("somebody");
    assert!(keeper.keeper.contains("report") && keeper.keeper.contains("240 s"), "{keeper:?}");
    assert_eq!(keeper.version, held.version());
    drop(held);
    store.thin()?;
    let keeper = store.stats().oldest_moment.expect("somebody");
    assert_eq!((keeper.version, keeper.keeper.as_str()), (pinned, "pin \"before 2.0\""));
    assert_eq!(versions(&counts, "a")?.len(), 2, "the pinned one, and the newest, which is a minute old");
    sim.cut_power();
    let store = sim.open()?;
    let counts = store.collection::<i64>("counts")?;
    store.thin()?;
    assert_eq!(counts.get_at("a", at())?.map(|e| e.value), Some(9));
    store.unpin("before 2.0")?;
    sim.advance(2 * MINUTE);
    store.thin()?;
    assert_eq!(versions(&counts, "a")?.len(), 1);
    assert_eq!(store.stats().oldest_moment, None);
    assert_eq!(store.pin_at("late", pinned).unwrap_err().kind(), ErrorKind::Gone);
    Ok(())
}

#[test]
fn a_collection_of_newest_values_is_gone_at_any_old_moment() -> Result<()> {
    let mut sim = Sim::new(4);
    let store = sim.open()?;
    store.set_retention("cache", Retention::NewestOnly)?;
    let (cache, counts) = (store.collection::<i64>("cache")?, store.collection::<i64>("counts")?);
    counts.set("a", &1)?;
    let old = cache.set("a", &1)?;
    let newest = cache.set("a", &2)?;
    counts.set("a", &2)?;
    store.thin()?;
    assert_eq!(versions(&cache, "a")?, [newest]);
    assert_eq!(cache.get("a")?.map(|e| e.value), Some(2));
    let then = store.snapshot_at(old)?;
    let gone = then.get(&cache, "a").unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::Gone, "{gone}");
    assert_eq!(then.scan(&cache, "").next().expect("an answer").unwrap_err().kind(), ErrorKind::Gone);
    assert_eq!(then.get(&counts, "a")?.map(|e| e.value), Some(1), "others are whole");
    let shown: Vec<_> = store.diff(old, At::Now)?.collect();
    assert_eq!(shown.iter().filter(|difference| difference.is_ok()).count(), 1);
    assert_eq!(
        shown.iter().filter_map(|d| d.as_ref().err()).map(|e| e.kind()).collect::<Vec<_>>(),
        [ErrorKind::Gone]
    );
    store.set_retention("cache", Retention::default())?;
    let kept = cache.set("a", &3)?;
    cache.set("a", &4)?;
    store.thin()?;
    assert_eq!(store.snapshot_at(kept)?.get(&cache, "a")?.map(|e| e.value), Some(3), "from now on");
    assert_eq!(store.snapshot_at(old)?.get(&cache, "a").unwrap_err().kind(), ErrorKind::Gone);
    Ok(())
}

#[test]
fn a_collection_may_keep_its_last_versions_or_keep_them_longer() -> Result<()> {
    let mut sim = Sim::new(5);
    let store = sim.open()?;
    store.set_moments(Moments::NONE)?;
    let keep = |name, explicit, newest| {
        let kept = VersionsKept { explicit, newest, ..VersionsKept::default() };
        store.set_retention(name, Retention::History(kept))
    };
    keep("last", Duration::ZERO, 3)?;
    keep("long", 2 * DAY, 1)?;
    let (last, long) = (store.collection::<i64>("last")?, store.collection::<i64>("long")?);
    for n in 0..10 {
        last.set("a", &n)?;
        long.set("a", &n)?;
        sim.advance(6 * HOUR);
    }
    store.thin()?;
    assert_eq!(
        (versions(&last, "a")?.len(), versions(&long, "a")?.len()),
        (3, 7),
        "the eighth is two days old"
    );
    let (one, of_long) = (store.retention("last")?, store.retention("long")?);
    assert_ne!(one, of_long);
    assert_eq!(store.retention("other")?, Retention::default());
    Ok(())
}

#[test]
fn outcomes_are_forgotten_after_their_time_and_not_before() -> Result<()> {
    let mut sim = Sim::new(6);
    let store = sim.open()?;
    let counts = store.collection::<i64>("counts")?;
    counts.increment_once("receipt", "a", 1)?;
    let receipt = counts.get("a")?.expect("just added").version;
    assert_eq!(store.forgotten_through(), None);
    for _ in 0..6 {
        sim.advance(DAY);
        store.thin()?;
    }
    assert!(matches!(store.outcome("receipt")?, Outcome::Committed(_)));
    assert_eq!(store.outcome("never")?, Outcome::NotCommitted);
    sim.advance(DAY + MINUTE);
    store.thin()?;
    assert_eq!(store.outcome("receipt")?, Outcome::Forgotten);
    assert_eq!(store.outcome("never")?, Outcome::Forgotten, "it might have been");
    assert_eq!(store.forgotten_through(), Some(receipt), "no id of a newer commit was forgotten");
    sim.cut_power();
    let store = sim.open()?;
    assert_eq!(store.outcome("receipt")?, Outcome::Forgotten);
    assert_eq!(store.forgotten_through(), Some(receipt));
    Ok(())
}

#[test]
fn after_a_leap_of_the_clock_nothing_goes_for_a_day() -> Result<()> {
    let mut sim = Sim::new(7);
    let (store, counts) = brief(&mut sim)?;
    counts.set("a", &1)?;
    counts.set("a", &2)?;
    store.close()?;
    sim.step_wall(400 * DAY.as_micros() as i64);
    let store = sim.open()?;
    let until = store.nothing_goes_until().expect("it leapt");
    store.collection::<i64>("counts")?.set("b", &1)?;
    assert!(!store.thin()?);
    sim.cut_power();
    let store = sim.open()?;
    assert_eq!(store.nothing_goes_until(), Some(until), "the next opening knows it too");
    assert!(!store.thin()?);
    sim.advance(DAY + MINUTE);
    let counts = store.collection::<i64>("counts")?;
    assert!(store.thin()?);
    assert_eq!(versions(&counts, "a")?.len(), 1);
    counts.set("a", &3)?;
    store.close()?;
    sim.step_wall(3 * DAY.as_micros() as i64);
    let store = sim.open()?;
    assert!(!store.thin()?);
    store.trust_clock()?;
    assert_eq!((store.thin()?, store.nothing_goes_until()), (true, None));
    Ok(())
}

#[test]
fn what_has_lapsed_goes_by_itself_when_the_store_is_idle_too() -> Result<()> {
    let mut sim = Sim::new(8);
    let store = sim.open_with(Options::new().recovery_budget(Duration::from_micros(16)))?;
    let none = VersionsKept { explicit: Duration::ZERO, ..VersionsKept::default() };
    store.set_retention("counts", Retention::History(none))?;
    let counts = store.collection::<i64>("counts")?;
    for n in 0..100 {
        counts.set("a", &n)?;
    }
    for _ in 0..8 {
        sim.advance(15 * MINUTE);
    }
    assert_eq!(versions(&counts, "a")?.len(), 1);
    Ok(())
}

#[test]
fn tables_that_are_made_anew_bring_nothing_back() -> Result<()> {
    let mut sim = Sim::new(9);
    let (store, counts) = brief(&mut sim)?;
    let first = counts.set("a", &1)?;
    counts.set("a", &2)?;
    counts.set("gone", &1)?;
    counts.remove("gone")?;
    counts.increment_once("id", "b", 1)?;
    store.set_outcomes_kept(MINUTE)?;
    sim.advance(2 * MINUTE);
    counts.set("a", &3)?;
    store.thin()?;
    let expected = versions(&counts, "a")?;
    let oldest = store.snapshot_at(first).unwrap_err().oldest();
    store.close()?;
    let store = opened_without_tables(&mut sim)?;
    let counts = store.collection::<i64>("counts")?;
    assert_eq!(versions(&counts, "a")?, expected);
    assert_eq!(store.snapshot_at(first).unwrap_err().oldest(), oldest);
    assert_eq!((counts.get("gone")?, store.outcome("id")?), (None, Outcome::Forgotten));
    Ok(())
}

/// The terms say which moments of a collection of newest values are whole; a table of what came after them is made anew by
/// these same terms, and must keep what they say.
#[test]
fn tables_that_are_made_anew_keep_every_moment_that_is_whole() -> Result<()> {
    let mut sim = Sim::new(9);
    let store = sim.open()?;
    store.set_moments(Moments::NONE)?;
    store.set_retention("cache", Retention::NewestOnly)?;
    let cache = store.collection::<i64>("cache")?;
    cache.set("a", &0)?;
    cache.set("a", &1)?;
    assert!(store.thin()?, "from here on it is whole");
    let then = cache.set("b", &2)?;
    cache.set("a", &3)?;
    cache.set("b", &4)?;
    store.close()?;
    let store = opened_without_tables(&mut sim)?;
    let (cache, shown) = (store.collection::<i64>("cache")?, store.snapshot_at(then)?);
    assert_eq!(shown.version(), then);
    let read = |key: &str| -> Result<Option<i64>> { Ok(shown.get(&cache, key)?.map(|e| e.value)) };
    assert_eq!((read("a")?, read("b")?), (Some(1), Some(2)));
    Ok(())
}

#[test]
fn a_feed_with_old_values_refuses_what_it_cannot_tell() -> Result<()> {
    let mut sim = Sim::new(10);
    let (store, counts) = brief(&mut sim)?;
    let first = counts.set("a", &1)?;
    counts.set("a", &2)?;
    counts.set("a", &3)?;
    sim.advance(2 * MINUTE);
    store.thin()?;
    let mut feed = store.changes(first)?.collection("counts").old_values();
    let gone = feed.try_next().unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::Gone);
    let from = gone.oldest().expect("said");
    let fourth = counts.set("a", &4)?;
    let rest: Vec<_> = store.changes(from)?.old_values().until(At::Now)?.collect::<Result<_>>()?;
    assert_eq!(rest.iter().map(|commit| commit.version).collect::<Vec<_>>(), [fourth]);
    assert_eq!(rest[0].changes[0].old.as_ref().and_then(|e| e.value.as_i64()), Some(3));
    assert_eq!(
        store.changes(first)?.collection("counts").until(At::Now)?.count(),
        3,
        "without, all are there"
    );
    Ok(())
}

/// A snapshot is held through a merge; says whether it shows what it showed. With a fault planted it does not.
pub(crate) fn held_through_a_merge() -> bool {
    let mut sim = Sim::new(11);
    let (store, counts) = brief(&mut sim).expect("opens");
    counts.set("a", &1).expect("writes");
    let held = store.snapshot();
    counts.set("a", &2).expect("writes");
    sim.advance(2 * MINUTE);
    store.thin().expect("merges");
    held.get(&counts, "a").ok().flatten().map(|e| e.value) == Some(1)
}

#[test]
fn a_transaction_that_runs_while_its_moment_goes_runs_again() -> Result<()> {
    let mut sim = Sim::new(12);
    let store = sim.open()?;
    store.set_moments(Moments::NONE)?;
    let none = VersionsKept { explicit: Duration::ZERO, ..VersionsKept::default() };
    store.set_retention("counts", Retention::History(none))?;
    let counts = store.collection::<i64>("counts")?;
    counts.set("a", &1)?;
    counts.set("b", &1)?;
    let mut runs = 0;
    let sum = store.transaction(|tx| -> Result<i64> {
        runs += 1;
        let a = tx.get(&counts, "a")?.map_or(0, |e| e.value);
        if runs <= 2 {
            let other = store.clone();
            let worker = std::thread::spawn(move || -> Result<()> {
                let counts = other.collection::<i64>("counts")?;
                for key in ["a", "b"] {
                    counts.increment(key, 1)?;
                }
                other.thin().map(drop)
            });
            worker.join().expect("no panic")?;
        }
        Ok(a + tx.get(&counts, "b")?.map_or(0, |e| e.value))
    })?;
    assert_eq!((sum.value % 2, runs), (0, 2), "the second run holds its moment: {}", sum.value);
    Ok(())
}

/// A document that changes every second and is saved every ten, at a thousandth of the size and of the players.
#[test]
fn kept_bytes_of_a_thousand_players_stay_below_forty_gigabytes() -> Result<()> {
    const SCALE: u64 = 1000 * 1000;
    let mut sim = Sim::new(14);
    let options = Options::new().durability(savehold::Durability::Buffered);
    let store = sim.open_with(options.recovery_budget(Duration::from_millis(5)))?;
    let players = store.profiles::<[u64; 1]>("players").open()?;
    let player = players.start("42")?;
    let begun_us = store.time_us();
    for (after, name) in [(HOUR, "1 hour"), (DAY, "24 hours"), (7 * DAY, "7 days")] {
        while store.time_us() - begun_us < after.as_micros() as u64 {
            player.update(|document| document[0] += 1_000_000)?;
            sim.advance(seconds(10));
        }
        let stats = store.stats();
        let saves = store.collection::<[u64; 1]>("players")?.versions("42")?.count() as u64;
        let bytes = saves * 12 * SCALE;
        println!(
            "after {name}: {saves} versions of a player kept, {:.1} GB of 1,000 players",
            bytes as f64 / 1e9
        );
        println!("  the index: {} versions of all keys in {} tables", stats.versions, stats.tables);
        assert!(bytes <= 40_000_000_000, "{bytes} bytes after {name}");
    }
    Ok(())
}

/// What is kept is a note in every packed file: it has room for all that settings may ask for.
#[test]
fn a_log_is_packed_however_many_single_moments_are_kept() -> Result<()> {
    let mut sim = Sim::new(15);
    let store = sim.open_with(Options::new().durability(savehold::Durability::Buffered))?;
    store.set_moments(Moments { every: MINUTE, minutes: 3 * DAY, hours: Duration::ZERO })?;
    let counts = store.collection::<i64>("counts")?;
    for n in 0..3 * 24 * 60 {
        counts.set("a", &n)?;
        sim.clock().advance(MINUTE);
    }
    let packed = store.compact(|_| ControlFlow::Continue(()))?;
    assert!(packed.segments > 0, "{packed:?}");
    let then = store.snapshot_at(At::Ago(2 * DAY))?;
    assert_eq!(then.get(&counts, "a")?.map(|entry| entry.value), Some(24 * 60));
    assert!(store.stats().packing_failure.is_none());
    Ok(())
}

#[test]
fn settings_that_keep_more_single_moments_than_fit_are_refused() -> Result<()> {
    let mut sim = Sim::new(16);
    let store = sim.open()?;
    let (none, forever) = (Duration::ZERO, Duration::MAX);
    let most = MOMENTS_MAX * 60;
    let of = |every, minutes, hours| Moments { every, minutes, hours };
    for (moments, fits) in [
        (Moments::default(), true),
        (Moments::NONE, true),
        (Moments::ALL, true),
        (of(2 * HOUR, 2 * DAY, 60 * DAY), true),
        (of(none, 14 * DAY, 365 * DAY), true),
        (of(forever, DAY, 30 * DAY), true),
        (of(none, seconds(most), none), true),
        (of(none, seconds(most + 1), none), false),
        (of(HOUR, seconds(most + 3600), none), true),
        (of(none, seconds(most), seconds(most) + HOUR), false),
        (of(none, none, MOMENTS_MAX as u32 * HOUR), true),
        (of(HOUR, 30 * DAY, 60 * DAY), false),
        (of(HOUR, forever, forever), false),
        (of(HOUR, DAY, forever), false),
    ] {
        let before = store.moments()?;
        let set = store.set_moments(moments);
        assert_eq!(
            set.as_ref().err().map(|e| (e.kind(), e.next())),
            (!fits).then_some((ErrorKind::TooLarge, Next::FixCall)),
            "{moments:?}"
        );
        assert_eq!(store.moments()?, if fits { moments } else { before });
    }
    Ok(())
}
