//! A store on a machine whose every crash, failure and clock step the input chooses, against a model: what was answered
//! is there, what was not is whole or not there at all.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use savehold::sim::Sim;
use savehold::{Change, Collection, ErrorKind, Outcome, Result, Store};

/// What may stand there: the state behind each commit that is not known to be over.
type State = BTreeMap<u8, i64>;

fuzz_target!(|data: &[u8]| {
    let half = data.len().min(64) / 2;
    let (trouble, calls) = data.split_at(half);
    let mut sim = Sim::from_bytes(trouble);
    let mut states = vec![State::new()];
    let mut ids: BTreeMap<String, bool> = BTreeMap::new();
    for calls in calls.chunks(12) {
        let Some(store) = open(&mut sim) else { return };
        let counts = store.collection::<i64>("counts").expect("a name");
        let found = shown(&counts).unwrap_or_else(|e| panic!("what opened reads: {e:?}"));
        assert!(states.contains(&found), "{found:?} is none of {states:?}");
        states = vec![found];
        for (id, sure) in &ids {
            let outcome = store.outcome(id).expect("an open store knows");
            assert!(!sure || matches!(outcome, Outcome::Committed(_)), "{id} was answered and is forgotten");
        }
        ids.retain(|id, _| store.outcome(id).is_ok_and(|outcome| outcome != Outcome::NotCommitted));
        for pair in calls.chunks_exact(2) {
            if !call(&store, &counts, pair[0], pair[1], &mut states, &mut ids) {
                break;
            }
        }
        if calls[0] % 2 == 0 { sim.cut_power() } else { sim.kill() }
    }
});

/// Opens the store, however often it takes; a disk that stays bad is healed. Nothing acknowledged may be missing.
fn open(sim: &mut Sim) -> Option<Store> {
    for attempt in 0..12 {
        match sim.open() {
            Ok(store) if store.read_only().is_none() => return Some(store),
            Ok(_) => {
                if attempt > 5 {
                    sim.disk().heal(); // open to read only: the disk was full when it recovered
                }
            }
            Err(e) => {
                let damage = [ErrorKind::Corrupt, ErrorKind::Foreign, ErrorKind::Format];
                assert!(!damage.contains(&e.kind()), "a crash damages nothing: {e:?}");
                if attempt > 5 {
                    sim.disk().heal();
                }
            }
        }
    }
    panic!("a healed disk opens")
}

fn shown(counts: &Collection<i64>) -> Result<State> {
    counts.scan("").map(|entry| entry.map(|e| (e.key.as_bytes()[0], e.value))).collect()
}

/// One call; false where the store takes no more.
fn call(
    store: &Store,
    counts: &Collection<i64>,
    what: u8,
    key: u8,
    states: &mut Vec<State>,
    ids: &mut BTreeMap<String, bool>,
) -> bool {
    let (key, other) = (b'a' + key % 5, b'a' + key / 5 % 5);
    let (name, its) = ([key], [other]);
    let now = states.last().expect("one").clone();
    let mut then = now.clone();
    let stood = now.get(&key).copied();
    let answer: Result<()> = match what % 6 {
        0 => {
            then.insert(key, i64::from(what));
            counts.set(&name, &i64::from(what)).map(drop)
        }
        1 => {
            then.remove(&key);
            counts.remove(&name).map(drop)
        }
        2 => {
            then.insert(key, stood.unwrap_or(0) + 1);
            counts.increment(&name, 1).map(|sum| assert_eq!(sum, stood.unwrap_or(0) + 1))
        }
        3 if key != other => {
            then.insert(key, stood.unwrap_or(0) - 3);
            *then.entry(other).or_insert(0) += 3;
            let moved = store.transaction(|tx| -> Result<()> {
                tx.increment(counts, &name, -3)?;
                tx.increment(counts, &its, 3).map(drop)
            });
            moved.map(drop)
        }
        4 => {
            let id = format!("id-{}", other);
            let used = ids.contains_key(&id);
            if !used {
                then.insert(key, stood.unwrap_or(0) + 100);
            }
            let answer = counts.increment_once(&id, &name, 100);
            if answer.is_ok() || answer.as_ref().is_err_and(|e| e.may_have_happened()) {
                *ids.entry(id).or_insert(false) |= answer.is_ok();
            }
            answer.map(drop)
        }
        _ => counts.update(&name, |_| Change::keep()).map(|done| assert_eq!(done.value, stood)),
    };
    match answer {
        Ok(()) => *states = vec![then],
        Err(e) if e.may_have_happened() => {
            states.push(then);
            return false;
        }
        Err(e) => return e.kind() == ErrorKind::Full,
    }
    true
}
