//! Pure: what a store must show: every commit, with the state behind it.

use savehold::Version;
use savehold_wal::draw::mixed;

/// Collections: two with history, and one that keeps its newest values alone.
pub(super) const NAMES: [&str; 3] = ["left", "right", "cache"];
pub(super) const CACHE: usize = 2;
/// Keys of each.
pub(super) const KEYS: usize = 8;

/// The number of the value that stands under each key of each collection. No number is written twice, so every commit
/// changes the state, and what it wrote is what it changed.
pub(super) type State = [[Option<u64>; KEYS]; 3];

pub(super) fn key(n: usize) -> String {
    format!("key {n}")
}

/// The value of a number: some are long, most are short.
pub(super) fn bytes(number: u64) -> Vec<u8> {
    let drawn = mixed(number);
    let len = match drawn % 64 {
        0 => drawn / 64 % 40_000,
        1..12 => drawn / 64 % 6_000,
        _ => drawn / 64 % 60,
    };
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.resize(8 + len as usize, drawn as u8);
    bytes
}

/// The number of a value; `None`: it is none of ours.
pub(super) fn number(value: &[u8]) -> Option<u64> {
    let number = u64::from_le_bytes(*value.first_chunk()?);
    (bytes(number) == value).then_some(number)
}

/// One commit.
#[derive(Clone, Debug)]
pub(super) struct Commit {
    /// Its version, once anybody told it.
    pub(super) version: Option<Version>,
    /// Engine time when it was asked for: it is no older.
    pub(super) time_us: u64,
    /// What stands behind it.
    pub(super) state: State,
    /// Its idempotency id.
    pub(super) id: Option<u64>,
}

/// All commits; the first one is none: nothing stands behind it.
#[derive(Debug)]
pub(super) struct Model(pub(super) Vec<Commit>);

impl Model {
    pub(super) fn new() -> Self {
        Self(vec![Commit { version: None, time_us: 0, state: State::default(), id: None }])
    }

    /// Commits, the first one too.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn now(&self) -> &State {
        &self.0[self.len() - 1].state
    }

    /// The commits of which one is the newest at a moment: more than one where nobody told the versions of some.
    pub(super) fn then(&self, moment: Version) -> &[Commit] {
        let first =
            self.0.iter().rposition(|commit| commit.version.is_some_and(|v| v <= moment)).unwrap_or(0);
        let more = self.0[first + 1..].iter().take_while(|commit| commit.version.is_none()).count();
        &self.0[first..=first + more]
    }

    /// The commits that wrote a key, newest first, by their numbers.
    pub(super) fn writes(&self, c: usize, k: usize) -> impl Iterator<Item = usize> {
        (1..self.len()).rev().filter(move |n| self.0[*n].state[c][k] != self.0[n - 1].state[c][k])
    }

    /// The newest commit that carried an id.
    pub(super) fn with_id(&self, id: u64) -> Option<&Commit> {
        self.0.iter().rev().find(|commit| commit.id == Some(id))
    }
}
