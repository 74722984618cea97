//! Moments: snapshots that hold one, pins that name one, and what is different between two.

use std::collections::BTreeMap;
use std::time::Duration;

use savehold::sim::Sim;
use savehold::{At, Change, ErrorKind, Result, Store, Version};
use savehold_wal::sim::Draw;

use crate::scaled;

type State = BTreeMap<(String, String), i64>;

#[test]
fn statistics_say_which_snapshots_are_open_how_long_and_whose() -> Result<()> {
    let mut sim = Sim::new(1);
    let store = sim.open()?;
    let counts = store.collection::<i64>("counts")?;
    let first = counts.set("a", &1)?;
    counts.set("a", &2)?;
    let old = store.snapshot_at(first)?;
    sim.advance(Duration::from_secs(90));
    let new = store.snapshot().named("nightly report");
    let stats = store.stats();
    assert_eq!(stats.snapshots, 2);
    let open: Vec<(Version, Duration)> = stats.open_snapshots.iter().map(|s| (s.version, s.age)).collect();
    assert_eq!(open, [(first, Duration::from_secs(90)), (new.version(), Duration::ZERO)], "the oldest first");
    let owners: Vec<&str> = stats.open_snapshots.iter().map(|s| s.owner.as_str()).collect();
    assert!(owners[0].contains("moments.rs:"), "file and line of the call: {owners:?}");
    assert_eq!(owners[1], "nightly report");
    assert_eq!(old.get(&counts, "a")?.map(|e| e.value), Some(1));
    drop(old);
    let diff = store.diff(first, At::Now)?;
    assert_eq!(store.stats().snapshots, 3, "a diff holds both its moments");
    drop((new, diff));
    assert_eq!((store.stats().snapshots, store.stats().open_snapshots.len()), (0, 0));
    Ok(())
}

#[test]
fn a_pin_names_its_moment_through_crashes_until_it_is_given_up() -> Result<()> {
    let mut sim = Sim::new(2);
    let store = sim.open()?;
    let counts = store.collection::<i64>("counts")?;
    let first = counts.set("a", &1)?;
    let pinned = store.pin("before 2.0")?;
    assert!(pinned >= first);
    counts.set("a", &2)?;
    counts.set("b", &2)?;
    assert_eq!(store.pin("before 2.0").unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(store.pin_at("first", first)?, first);
    sim.cut_power();
    let store = sim.open()?;
    let counts = store.collection::<i64>("counts")?;
    let pins: Vec<(String, Version)> = store.pins()?.into_iter().map(|pin| (pin.name, pin.version)).collect();
    assert_eq!(pins, [("before 2.0".to_owned(), pinned), ("first".to_owned(), first)]);
    let at = || At::Pin("before 2.0".to_owned());
    assert_eq!(counts.get_at("a", at())?.map(|e| e.value), Some(1));
    assert_eq!(store.snapshot_at(at())?.get(&counts, "b")?, None);
    assert_eq!(store.diff(at(), At::Now)?.count(), 2);
    assert_eq!(store.changes(at())?.until(At::Now)?.count(), 2, "what came after it");
    assert!(store.unpin("before 2.0")?);
    assert!(!store.unpin("before 2.0")?);
    assert_eq!(counts.get_at("a", at()).unwrap_err().kind(), ErrorKind::Gone);
    assert_eq!(store.pins()?.len(), 1);
    store.pin("before 2.0")?;
    for (name, kind) in [("", ErrorKind::Invalid), ("a\nb", ErrorKind::Invalid)] {
        assert_eq!(store.pin(name).unwrap_err().kind(), kind);
    }
    assert_eq!(store.pin(&"x".repeat(257)).unwrap_err().kind(), ErrorKind::TooLarge);
    Ok(())
}

fn state(store: &Store) -> Result<State> {
    let mut all = State::new();
    for name in store.collections()? {
        for entry in store.collection::<i64>(&name)?.scan("") {
            let entry = entry?;
            all.insert((name.clone(), entry.key.to_string()), entry.value);
        }
    }
    Ok(all)
}

#[test]
fn a_diff_of_any_two_moments_is_what_a_model_says() -> Result<()> {
    for seed in 0..scaled(25) {
        let (mut sim, mut draw) = (Sim::new(seed), Draw::from_seed(seed));
        let store = sim.open()?;
        let mut moments: Vec<(Version, State)> = vec![(store.version(), State::new())];
        for _ in 0..60 {
            let counts = store.collection::<i64>(["left", "right"][draw.below(2) as usize])?;
            let key = format!("k{}", draw.below(400));
            match draw.below(4) {
                0 => drop(counts.remove(&key)?),
                1 => drop(counts.update(&key, |now| Change::write(now.map_or(0, |e| e.value)))?),
                _ => drop(store.transaction(|tx| -> Result<()> {
                    (0..draw.below(9))
                        .try_for_each(|n| tx.set(&counts, format!("k{}", n * 40), &(draw.below(3) as i64)))
                })?),
            }
            moments.push((store.version(), state(&store)?));
        }
        for _ in 0..20 {
            let (from, to) = (&moments[draw.below(61) as usize], &moments[draw.below(61) as usize]);
            let mut shown = Vec::new();
            for difference in store.diff(from.0, to.0)? {
                let difference = difference?;
                let value = |e: Option<&savehold::Entry<savehold::Value>>| e.and_then(|e| e.value.as_i64());
                let (old, new) = (value(difference.old.as_ref()), value(difference.new.as_ref()));
                shown.push(((difference.collection, difference.key.to_string()), old, new));
            }
            let keys: std::collections::BTreeSet<_> = from.1.keys().chain(to.1.keys()).collect();
            let expected: Vec<_> = keys
                .into_iter()
                .map(|place| (place.clone(), from.1.get(place).copied(), to.1.get(place).copied()))
                .filter(|(_, old, new)| old != new)
                .collect();
            assert_eq!(shown, expected, "seed {seed}, {} to {}", from.0, to.0);
        }
    }
    Ok(())
}

#[test]
fn a_diff_may_be_about_one_collection_one_prefix_or_one_key() -> Result<()> {
    let store = Sim::new(4).open()?;
    let (left, right) = (store.collection::<i64>("left")?, store.collection::<i64>("right")?);
    let before = store.version();
    for n in 0..600 {
        left.set(n, &n)?;
    }
    right.set("4", &4)?;
    let diff = || store.diff(before, At::Now);
    assert_eq!(diff()?.count(), 601);
    assert_eq!(diff()?.collection("right").count(), 1);
    assert_eq!(diff()?.collection("left").prefix("4").count(), 111);
    assert_eq!(diff()?.collection("left").key("4")?.count(), 1);
    assert_eq!(diff()?.key("4")?.count(), 2);
    let backwards = store.diff(At::Now, before)?.collection("right").next().expect("one")?;
    assert_eq!((backwards.old.is_some(), backwards.new.is_some()), (true, false));
    assert_eq!(diff()?.key("").unwrap_err().kind(), ErrorKind::Invalid);
    Ok(())
}
