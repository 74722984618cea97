//! Corridor: random reads of a store: each shows what was answered, or a little more, and never part of a commit.

use savehold::{At, Outcome, Range};

use crate::world::{COUNTS, World};

impl World {
    /// A read shows something between what was answered and what was placed.
    pub(crate) fn read_one(&mut self) {
        let place = self.place();
        let found = self.raw(place.0).get(&place.1).unwrap_or_else(|e| self.fail(&format!("{e:?}")));
        let found = found.map(|e| e.value.to_vec());
        self.note(("get", &place, found.as_ref().map(Vec::len)));
        let mut states = self.answered..=self.model.len();
        let shows = |n: usize| self.model.state(n).get(&place).map(|cell| &cell.value) == found.as_ref();
        match states.find(|n| shows(*n)) {
            Some(n) if n == self.answered || !self.halted => self.told(n), // what is shown has its answer
            _ => self.fail(&format!("{place:?} reads {found:?}")),
        }
        let version = self.model.history(self.answered, &place).next().map(|(at, _)| at);
        if let Some(version) = version.and_then(|at| self.model.commits[at].version) {
            let outcome = self.store().outcome(version);
            if !matches!(outcome, Ok(Outcome::Committed(v)) if v == version) {
                self.fail(&format!("outcome({version}) is {outcome:?}"));
            }
        }
    }

    pub(crate) fn read_pages(&mut self) {
        let (c, limit) = (self.draw.below(COUNTS as u64) as usize, 1 + self.draw.below(3) as usize);
        let (prefix, reverse) = (["", "a", "b", "x"][self.draw.below(4) as usize], self.draw.below(2) == 0);
        let range = || if reverse { Range::prefix(prefix).reverse() } else { Range::prefix(prefix) };
        let (mut keys, mut cursor) = (Vec::new(), None);
        loop {
            let page = self.raw(c).page(range(), cursor.as_ref(), limit);
            let page = page.unwrap_or_else(|e| self.fail(&format!("{e:?}")));
            if page.cursor.is_some() && page.entries.is_empty() {
                self.fail("an empty page has a cursor");
            }
            keys.extend(page.entries.iter().map(|e| e.key.to_string()));
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        let listed: Vec<String> =
            self.raw(c).keys(range()).map(|k| k.expect("readable").to_string()).collect();
        self.note(("pages", c, prefix, &keys));
        let shows = |n: usize| {
            let wanted = self.model.state(n).keys().filter(|p| p.0 == c && p.1.starts_with(prefix));
            let mut wanted: Vec<&String> = wanted.map(|p| &p.1).collect();
            if reverse {
                wanted.reverse();
            }
            wanted.iter().copied().eq(keys.iter())
        };
        if keys != listed || !(self.answered..=self.model.len()).any(shows) {
            self.fail(&format!("{keys:?} and {listed:?} are listed"));
        }
    }

    pub(crate) fn snapshot(&mut self) {
        self.note(("snapshot", self.answered));
        let n = self.answered;
        match self.snapshots.pop() {
            Some((snapshot, n)) => self.check(&snapshot, n),
            None => {
                let snapshot = self.store().snapshot();
                let at = self.store().snapshot_at(At::Version(snapshot.version()));
                let at = at.unwrap_or_else(|e| self.fail(&format!("{e:?}")));
                if n == self.model.len() {
                    self.check(&at, n);
                    self.check_created(n);
                    self.snapshots.push((snapshot, n));
                }
            }
        }
    }
}
