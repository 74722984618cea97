//! Corridor: what a store shows, against the model.

use std::time::Duration;

use savehold::{At, Changes, ErrorKind, Outcome, Result, Snapshot, Store};

use super::model::{CACHE, Commit, KEYS, NAMES, State, key, number};
use super::world::World;

/// What a moment shows.
pub(super) fn shown_at(store: &Store, snapshot: &Snapshot) -> Result<State> {
    let mut state = State::default();
    for (c, name) in NAMES.iter().enumerate() {
        let of = store.raw(name)?;
        for entry in snapshot.scan(&of, "") {
            let entry = entry?;
            let k = (0..KEYS).find(|k| entry.key == *key(*k)).expect("a key of ours");
            state[c][k] =
                Some(number(&entry.value).unwrap_or_else(|| panic!("{name}/{} is torn", entry.key)));
        }
    }
    Ok(state)
}

impl World {
    pub(super) fn look(&mut self, kind: u64) {
        self.settle();
        if self.is_over() {
            return;
        }
        match kind {
            36 => self.look_at_all(),
            37 => self.look_at_held(),
            38 => self.look_at_pins(),
            39 | 40 => self.look_back(),
            41 => self.look_at_versions(),
            42 => self.look_at_outcomes(),
            _ => self.feed(),
        }
    }

    pub(super) fn look_through(&mut self) {
        (36..44).for_each(|kind| self.look(kind));
    }

    pub(super) fn shown(&self) -> Result<State> {
        shown_at(self.store(), &self.store().snapshot())
    }

    /// No less than the engine says.
    pub(super) fn age(&self, commit: &Commit) -> Duration {
        Duration::from_micros(self.store().time_us().saturating_sub(commit.time_us))
    }

    #[track_caller]
    fn read<T>(&self, what: impl Fn(&Self) -> Result<T>) -> T {
        self.ask(what).unwrap_or_else(|e| self.fail(&format!("{e:?}")))
    }

    fn look_at_all(&self) {
        let shown = self.read(Self::shown);
        if shown != *self.model.now() {
            self.fail(&format!("{shown:?} stands there, not {:?}", self.model.now()));
        }
    }

    fn look_at_held(&self) {
        for (snapshot, state) in &self.held {
            let shown = self.read(|world| shown_at(world.store(), snapshot));
            if shown != *state {
                self.fail(&format!("{snapshot:?} shows {shown:?}, not {state:?}"));
            }
        }
    }

    fn look_at_pins(&self) {
        for (name, version, state) in &self.pins {
            let pinned = self.read(|world| world.store().snapshot_at(At::Pin(name.clone())));
            if pinned.version() != *version {
                self.fail(&format!("{name} is {}, not {version}", pinned.version()));
            }
            self.is_as(&pinned, &[*state]);
        }
    }

    /// Whether a moment shows one of `states`; the cache may have given that moment up.
    #[track_caller]
    fn is_as(&self, snapshot: &Snapshot, states: &[State]) {
        let read = |c: usize, k: usize| -> Option<Option<u64>> {
            let of = self.of(c);
            match self.ask(|_| snapshot.get(&of, key(k))) {
                Ok(found) => Some(found.map(|entry| number(&entry.value).expect("whole"))),
                Err(e) if e.kind() == ErrorKind::Gone && c == CACHE => None,
                Err(e) => self.fail(&format!("{snapshot:?}: {e:?}")),
            }
        };
        let shown: [[_; KEYS]; 3] = std::array::from_fn(|c| std::array::from_fn(|k| read(c, k)));
        let same = |state: &State| {
            state.iter().flatten().zip(shown.iter().flatten()).all(|(was, is)| is.is_none_or(|is| is == *was))
        };
        if !states.iter().any(same) {
            self.fail(&format!("{snapshot:?} shows {shown:?}, not one of {states:?}"));
        }
    }

    /// Any moment of the past is as it was, or is gone and may be.
    fn look_back(&mut self) {
        let n = self.draw.below(self.model.len() as u64) as usize;
        let commit = self.model.0[n].clone();
        let Some(version) = commit.version else { return };
        // Of a commit that wrote to the cache alone nothing need be left: its moment is the one before.
        let lasts = n > 0 && (0..CACHE).any(|c| commit.state[c] != self.model.0[n - 1].state[c]);
        match self.ask(|world| world.store().snapshot_at(version)) {
            Ok(snapshot) => {
                let then: Vec<State> =
                    self.model.then(snapshot.version()).iter().map(|commit| commit.state).collect();
                let exact = lasts && self.age(&commit) < self.kept.every;
                if snapshot.version() > version || exact && snapshot.version() != version {
                    self.fail(&format!("asked for {version}, and got {}", snapshot.version()));
                }
                self.is_as(&snapshot, &then);
            }
            Err(e) if e.kind() == ErrorKind::Gone => {
                let right = e.oldest().is_some_and(|oldest| oldest > version);
                if !right || self.age(&commit) < self.kept.every {
                    self.fail(&format!("{version} is gone: {e:?}"));
                }
            }
            Err(e) => self.fail(&format!("{version}: {e:?}")),
        }
    }

    /// What a key lists was written; the newest is there, and what its settings keep.
    fn look_at_versions(&mut self) {
        let (c, k) = (self.draw.below(3) as usize, self.draw.below(KEYS as u64) as usize);
        let listed = self.read(|world| world.of(c).versions(key(k))?.collect::<Result<Vec<_>>>());
        if !listed.is_sorted_by(|a, b| a.version > b.version) {
            self.fail(&format!("{listed:?} do not fall"));
        }
        let named = |n: &usize| self.model.0[*n].version;
        let all_told = self.model.writes(c, k).all(|n| named(&n).is_some());
        for info in &listed {
            let Some(n) = self.model.writes(c, k).find(|n| named(n) == Some(info.version)) else {
                if all_told {
                    self.fail(&format!("{}/{} never had {}", NAMES[c], key(k), info.version));
                }
                continue;
            };
            let was = self.model.0[n].state[c][k];
            let is = self.read(|world| world.of(c).get_at(key(k), info.version));
            if is.map(|entry| number(&entry.value)) != was.map(Some) || info.removed != was.is_none() {
                self.fail(&format!("{}/{} at {} is not {was:?}", NAMES[c], key(k), info.version));
            }
        }
        let newest = self.model.writes(c, k).next();
        for n in self.model.writes(c, k) {
            let commit = &self.model.0[n];
            let young = c != CACHE && self.age(commit) < self.kept.explicit[c].max(self.kept.every);
            let stands = newest == Some(n) && commit.state[c][k].is_some();
            if (young || stands)
                && commit.version.is_some_and(|version| listed.iter().all(|info| info.version != version))
            {
                self.fail(&format!("{}/{} lost {:?}: {listed:?}", NAMES[c], key(k), commit.version));
            }
        }
    }

    fn look_at_outcomes(&mut self) {
        for id in 0..12 {
            let outcome = self.read(|world| world.store().outcome(format!("id {id}").as_str()));
            let forgotten = self.store().forgotten_through();
            let known = self.model.with_id(id);
            let right = match (outcome, known) {
                (Outcome::Committed(version), Some(commit)) => {
                    commit.version.is_none_or(|told| told == version)
                }
                (Outcome::NotCommitted, None) => forgotten.is_none(),
                (Outcome::Forgotten, None) => forgotten.is_some(),
                (Outcome::Forgotten, Some(commit)) => {
                    forgotten >= commit.version && self.age(commit) >= self.kept.outcomes
                }
                _ => false,
            };
            if !right {
                self.fail(&format!(
                    "id {id}, known of {known:?}, is {outcome:?}, forgotten through {forgotten:?}"
                ));
            }
        }
    }

    /// The feed tells each commit once, in order, or says that it cannot and from where on it can.
    fn feed(&mut self) {
        let synced = self.store().sync().map(drop); // it tells what is durable
        self.changed(synced);
        if self.is_over() {
            return;
        }
        for again in [false, true] {
            let from = self.cursor.map_or(At::Time(0), At::Version);
            let changes = self.store().changes(from);
            match changes.and_then(|changes| self.follow(changes)) {
                Ok(()) if self.fed + 1 == self.model.len() => return,
                // It goes on behind commits that nobody told: they may all lie before where it is whole.
                Ok(())
                    if again
                        && self.model.0[self.fed + 1..].iter().all(|commit| commit.version.is_none()) =>
                {
                    self.fed = self.model.len() - 1;
                    return;
                }
                Ok(()) => self.fail(&format!("{} commits were told of {}", self.fed, self.model.len() - 1)),
                Err(e) if e.kind() == ErrorKind::Gone && !again => {
                    let oldest =
                        e.oldest().unwrap_or_else(|| self.fail("Gone says not from where on it is whole"));
                    if self.cursor.is_some_and(|cursor| oldest <= cursor) {
                        self.fail(&format!(
                            "what is behind {:?} is gone, and whole from {oldest} on",
                            self.cursor
                        ));
                    }
                    let behind = self.model.0.iter().rposition(|c| c.version.is_some_and(|v| v <= oldest));
                    (self.cursor, self.fed) = (Some(oldest), behind.unwrap_or(0));
                }
                Err(e) => self.fail(&format!("the feed behind {:?} says {e:?}", self.cursor)),
            }
        }
    }

    fn follow(&mut self, changes: Changes) -> Result<()> {
        let mut changes = changes.values();
        while let Some(commit) = changes.try_next()? {
            self.was_told(&commit);
        }
        Ok(())
    }

    fn was_told(&mut self, told: &savehold::Commit) {
        self.fed += 1;
        let Some(before) = self.model.0.get(self.fed - 1).map(|commit| commit.state) else {
            unreachable!("fed + 1")
        };
        let Some(commit) = self.model.0.get_mut(self.fed) else {
            self.fail(&format!("{told:?} was never committed"));
        };
        let version = *commit.version.get_or_insert(told.version); // nobody had told it before
        let (state, mut was) = (commit.state, before);
        for change in &told.changes {
            let c = NAMES.iter().position(|name| *name == change.collection).expect("a collection of ours");
            let k = (0..KEYS).find(|k| change.key == *key(*k)).expect("a key of ours");
            was[c][k] =
                change.new.as_ref().map(|entry| entry.value.as_bytes().and_then(number).expect("whole"));
        }
        if version != told.version || was != state {
            self.fail(&format!("commit {}, {version}, was told as {told:?}", self.fed));
        }
        self.cursor = Some(version);
    }
}
