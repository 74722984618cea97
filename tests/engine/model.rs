//! Pure: the store as a simple model sees it: commits in order, and the state behind each.

use std::collections::BTreeMap;

use savehold::Version;

/// A key, with the number of its collection.
pub(crate) type Place = (usize, String);

/// What stands under a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) value: Vec<u8>,
    pub(crate) meta: BTreeMap<String, String>,
    pub(crate) user_ids: Vec<String>,
}

/// The state behind a commit.
pub(crate) type State = BTreeMap<Place, Cell>;

/// One commit.
#[derive(Clone, Debug)]
pub(crate) struct Commit {
    /// Its version, once anybody told it.
    pub(crate) version: Option<Version>,
    /// What it wrote; `None` removes.
    pub(crate) writes: BTreeMap<Place, Option<Cell>>,
    /// Its idempotency id.
    pub(crate) id: Option<String>,
}

/// All commits, with the state behind each.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) commits: Vec<Commit>,
    states: Vec<State>,
}

impl Model {
    pub(crate) fn new() -> Self {
        Self { commits: Vec::new(), states: vec![State::new()] }
    }

    pub(crate) fn len(&self) -> usize {
        self.commits.len()
    }

    /// The state behind the first `n` commits.
    pub(crate) fn state(&self, n: usize) -> &State {
        &self.states[n]
    }

    /// The state behind all commits.
    pub(crate) fn now(&self) -> &State {
        self.state(self.len())
    }

    pub(crate) fn push(&mut self, commit: Commit) {
        let mut state = self.now().clone();
        for (place, cell) in &commit.writes {
            match cell {
                Some(cell) => state.insert(place.clone(), cell.clone()),
                None => state.remove(place),
            };
        }
        self.states.push(state);
        self.commits.push(commit);
    }

    /// Forgets all but the first `n` commits.
    pub(crate) fn cut(&mut self, n: usize) {
        self.commits.truncate(n);
        self.states.truncate(n + 1);
    }

    /// The commits among the first `n` that wrote to `place`, newest first, each with what it left there.
    pub(crate) fn history<'a>(
        &'a self,
        n: usize,
        place: &'a Place,
    ) -> impl Iterator<Item = (usize, Option<&'a Cell>)> {
        let commits = self.commits[..n].iter().enumerate().rev();
        commits.filter_map(move |(at, commit)| Some((at, commit.writes.get(place)?.as_ref())))
    }

    /// The commit among the first `n` that made the key what it is: since then it was never absent.
    pub(crate) fn birth(&self, n: usize, place: &Place) -> usize {
        let standing = self.history(n, place).take_while(|(_, cell)| cell.is_some());
        standing.last().map_or(0, |(at, _)| at)
    }

    /// The commit among the first `n` that carried an id.
    pub(crate) fn with_id(&self, n: usize, id: &str) -> Option<usize> {
        self.commits[..n].iter().position(|commit| commit.id.as_deref() == Some(id))
    }
}
