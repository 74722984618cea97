//! Pure: whether a recorded history of calls could have happened one after the other, each between its beginning and
//! its end: strict serializability, by search.

use std::collections::HashSet;

/// Keys of a history.
pub(crate) const KEYS: usize = 3;

/// The state of all keys, and the ids that were used, one bit each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) values: [Option<i64>; KEYS],
    pub(crate) ids: u32,
}

/// What a call does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// Reads a key.
    Get(usize),
    /// Writes a key.
    Set(usize, i64),
    /// Removes a key and says what stood there.
    Remove(usize),
    /// Adds to a key and says the sum.
    Add(usize, i64),
    /// The same, once for the id of this number.
    AddOnce(u32, usize, i64),
    /// Writes where nothing stands.
    Create(usize, i64),
    /// Moves from one key to another and says what both had.
    Move(usize, usize, i64),
    /// Reads all keys at once.
    Scan,
    /// Writes the number of keys to one of them, having scanned.
    Count(usize),
}

/// What it answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    Refused,
    Before,
    Value(Option<i64>),
    Values([Option<i64>; KEYS]),
    /// It may have happened, now or later, or never.
    Unknown,
}

/// One call of a history.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) call: Call,
    pub(crate) answer: Answer,
    /// It began after everything that ended before this moment, and ended before what began after that one.
    pub(crate) begun: u64,
    pub(crate) ended: u64,
}

/// What a call answers in a state, which it changes.
fn run(call: &Call, state: &mut State) -> Answer {
    let values = &mut state.values;
    match *call {
        Call::Get(key) => Answer::Value(values[key]),
        Call::Set(key, value) => {
            values[key] = Some(value);
            Answer::Done
        }
        Call::Remove(key) => Answer::Value(values[key].take()),
        Call::Add(key, by) => {
            values[key] = Some(values[key].unwrap_or(0) + by);
            Answer::Value(values[key])
        }
        Call::AddOnce(id, key, by) => {
            if state.ids & 1 << id != 0 {
                return Answer::Before;
            }
            state.ids |= 1 << id;
            values[key] = Some(values[key].unwrap_or(0) + by);
            Answer::Value(values[key])
        }
        Call::Create(key, value) => match values[key] {
            Some(_) => Answer::Refused,
            None => {
                values[key] = Some(value);
                Answer::Done
            }
        },
        Call::Move(from, to, by) => {
            let before = *values;
            values[from] = Some(values[from].unwrap_or(0) - by);
            values[to] = Some(values[to].unwrap_or(0) + by);
            Answer::Values(before)
        }
        Call::Scan => Answer::Values(*values),
        Call::Count(key) => {
            let before = *values;
            values[key] = Some(before.iter().flatten().count() as i64);
            Answer::Values(before)
        }
    }
}

/// Whether `answer` is what was told; a move tells only of its own two keys.
fn agrees(call: &Call, told: &Answer, answer: &Answer) -> bool {
    match (call, told, answer) {
        (Call::Move(from, to, _), Answer::Values(a), Answer::Values(b)) => {
            a[*from] == b[*from] && a[*to] == b[*to]
        }
        _ => told == answer,
    }
}

/// Whether some order of the events, true to their times, explains every answer.
pub(crate) fn is_serializable(events: &[Event]) -> bool {
    assert!(events.len() <= 32, "the search keeps a set of events in 32 bits");
    search(events, 0, &State::default(), &mut HashSet::new())
}

fn search(events: &[Event], done: u32, state: &State, seen: &mut HashSet<(u32, State)>) -> bool {
    let is_open = |at: &usize| done & 1 << at == 0;
    let answered = |at: &usize| events[*at].answer != Answer::Unknown;
    let open: Vec<usize> = (0..events.len()).filter(is_open).collect();
    let Some(first_end) = open.iter().filter(|at| answered(at)).map(|at| events[*at].ended).min() else {
        return true; // what is left need not have happened
    };
    if !seen.insert((done, state.clone())) {
        return false;
    }
    open.into_iter().filter(|at| events[*at].begun < first_end).any(|at| {
        let mut after = state.clone();
        let answer = run(&events[at].call, &mut after);
        let fits = !answered(&at) || agrees(&events[at].call, &events[at].answer, &answer);
        fits && search(events, done | 1 << at, &after, seen)
    })
}

fn event(begun: u64, ended: u64, call: Call, answer: Answer) -> Event {
    Event { call, answer, begun, ended }
}

#[test]
fn the_checker_accepts_what_may_happen() {
    let both = [Some(1), None, None];
    let good: [(&str, Vec<Event>); 5] = [
        ("nothing", vec![]),
        (
            "calls that overlap stand in either order",
            vec![
                event(0, 9, Call::Set(0, 1), Answer::Done),
                event(1, 2, Call::Get(0), Answer::Value(None)),
                event(3, 8, Call::Get(0), Answer::Value(Some(1))),
            ],
        ),
        (
            "an unknown call may have happened",
            vec![
                event(0, 1, Call::Set(0, 1), Answer::Unknown),
                event(2, 3, Call::Scan, Answer::Values(both)),
            ],
        ),
        (
            "or not",
            vec![
                event(0, 1, Call::Set(0, 1), Answer::Unknown),
                event(2, 3, Call::Get(0), Answer::Value(None)),
            ],
        ),
        (
            "an id counts once",
            vec![
                event(0, 3, Call::AddOnce(1, 0, 5), Answer::Before),
                event(1, 4, Call::AddOnce(1, 0, 5), Answer::Value(Some(5))),
            ],
        ),
    ];
    for (name, events) in good {
        assert!(is_serializable(&events), "{name}");
    }
}

#[test]
fn the_checker_refuses_what_must_not_happen() {
    let sum = |n| Answer::Value(Some(n));
    let values = |a, b, c| Answer::Values([a, b, c]);
    let bad: [(&str, Vec<Event>); 9] = [
        ("a lost update", vec![event(0, 5, Call::Add(0, 1), sum(1)), event(1, 6, Call::Add(0, 1), sum(1))]),
        (
            "a stale read",
            vec![event(0, 1, Call::Set(0, 1), Answer::Done), event(2, 3, Call::Get(0), Answer::Value(None))],
        ),
        (
            "a read that goes back",
            vec![
                event(0, 9, Call::Set(0, 1), Answer::Done),
                event(1, 2, Call::Get(0), sum(1)),
                event(3, 4, Call::Get(0), Answer::Value(None)),
            ],
        ),
        ("a read of what nobody wrote", vec![event(0, 1, Call::Get(0), sum(7))]),
        (
            "half a move",
            vec![
                event(0, 9, Call::Move(0, 1, 5), values(None, None, None)),
                event(1, 8, Call::Scan, values(Some(-5), None, None)),
            ],
        ),
        (
            "write skew: two scans that both count none",
            vec![
                event(0, 5, Call::Count(0), values(None, None, None)),
                event(1, 6, Call::Count(1), values(None, None, None)),
            ],
        ),
        (
            "an id that counts twice",
            vec![event(0, 5, Call::AddOnce(1, 0, 5), sum(5)), event(1, 6, Call::AddOnce(1, 0, 5), sum(10))],
        ),
        (
            "an id that was done before nobody did it",
            vec![event(0, 1, Call::AddOnce(1, 0, 5), Answer::Before)],
        ),
        (
            "an answered write that a crash took",
            vec![
                event(0, 1, Call::Set(0, 1), Answer::Done),
                event(2, 3, Call::Set(1, 1), Answer::Unknown),
                event(4, 5, Call::Scan, values(None, Some(1), None)),
            ],
        ),
    ];
    for (name, events) in bad {
        assert!(!is_serializable(&events), "{name}");
    }
}
