//! Corridor: calls that read and write, each with the answer that the model expects.

use bytes::Bytes;
use savehold::{Change, Entry, ErrorKind, Once, Result};

use super::model::{CACHE, KEYS, State, bytes, key, number};
use super::world::World;

impl World {
    pub(super) fn call(&mut self, kind: u64) {
        match kind {
            0..6 => self.set(),
            6..9 => self.set_later(),
            9 | 10 => self.remove(),
            11 | 12 => self.update(),
            13 | 14 => self.transaction(),
            15 => self.batch(),
            16 | 17 => self.once(),
            18 => self.compare(),
            19 => self.sync(),
            20 | 21 => self.settle(),
            22 => self.hold(),
            23 => self.let_go(),
            24 => self.pin(),
            _ => self.unpin(),
        }
    }

    fn place(&mut self) -> (usize, usize) {
        (self.draw.below(3) as usize, self.draw.below(KEYS as u64) as usize)
    }

    /// The state with another value.
    fn with(&self, (c, k): (usize, usize), value: Option<u64>) -> State {
        let mut state = *self.model.now();
        state[c][k] = value;
        state
    }

    fn set(&mut self) {
        let (place, number) = (self.place(), self.number());
        let answer = self.of(place.0).set(key(place.1), &bytes(number).into());
        self.note(("set", place, number, &answer));
        self.wrote(self.with(place, Some(number)), None, answer);
    }

    fn set_later(&mut self) {
        let (place, number) = (self.place(), self.number());
        let ticket = self.of(place.0).set_async(key(place.1), &bytes(number).into());
        self.note(("set_async", place, number));
        self.placed(self.with(place, Some(number)), ticket);
    }

    fn remove(&mut self) {
        let (c, k) = self.place();
        if self.model.now()[c][k].is_none() {
            return self.absent(c, k);
        }
        let ticket = self.of(c).remove_async(key(k));
        self.note(("remove", c, k));
        self.placed(self.with((c, k), None), ticket);
        self.settle();
    }

    /// Nothing is written where nothing stands.
    fn absent(&mut self, c: usize, k: usize) {
        match self.of(c).remove(key(k)) {
            Ok(None) => {}
            Ok(Some(found)) => self.fail(&format!("removed {:?}, which was not there", number(&found.value))),
            Err(e) => self.refused(&e),
        }
    }

    fn update(&mut self) {
        let (place, number) = (self.place(), self.number());
        let (keeps, stood) = (self.draw.below(3) == 0, self.model.now()[place.0][place.1]);
        let mut seen = None;
        let answer = self.of(place.0).update(key(place.1), |now: Option<Entry<Bytes>>| {
            seen = Some(now.map(|entry| super::model::number(&entry.value)));
            if keeps { Change::keep() } else { Change::write(Bytes::from(bytes(number))) }
        });
        self.note(("update", place, number, keeps, answer.as_ref().map(|done| done.version)));
        if seen.is_some_and(|seen| seen != stood.map(Some)) {
            self.fail(&format!("the closure saw {seen:?}, not {stood:?}"));
        }
        match (keeps, answer) {
            (true, Ok(done)) if done.wrote => self.fail("wrote though it keeps"),
            (true, Ok(_)) => {}
            (true, Err(e)) => self.refused(&e),
            (false, answer) => {
                self.wrote(self.with(place, Some(number)), None, answer.map(|done| done.version))
            }
        }
    }

    /// One value moves from the left to the right, and the cache is told: all or nothing.
    fn transaction(&mut self) {
        let keys: [usize; 3] = std::array::from_fn(|_| self.draw.below(KEYS as u64) as usize);
        let numbers = [self.number(), self.number()];
        let all: [_; 3] = std::array::from_fn(|c| self.of(c));
        let stood = self.model.now()[0][keys[0]];
        let answer = self.store().transaction(|tx| -> Result<()> {
            let found = tx.get(&all[0], key(keys[0]))?.map(|entry| number(&entry.value));
            assert_eq!(found, stood.map(Some), "a transaction reads what stands there");
            tx.remove(&all[0], key(keys[0]))?;
            tx.set(&all[1], key(keys[1]), &bytes(numbers[0]).into())?;
            tx.set(&all[CACHE], key(keys[2]), &bytes(numbers[1]).into())
        });
        self.note(("transaction", keys, numbers, answer.as_ref().map(|done| done.version)));
        let mut state = self.with((0, keys[0]), None);
        (state[1][keys[1]], state[CACHE][keys[2]]) = (Some(numbers[0]), Some(numbers[1]));
        self.wrote(state, None, answer.map(|done| done.version));
    }

    fn batch(&mut self) {
        let (mut batch, mut state) = (self.store().batch(), *self.model.now());
        for _ in 0..1 + self.draw.below(5) {
            let ((c, k), number) = (self.place(), self.number());
            batch.set(&self.of(c), key(k), &bytes(number).into()).expect("a key");
            state[c][k] = Some(number);
        }
        let answer = batch.commit();
        self.note(("batch", &answer));
        match answer {
            Ok(None) => self.fail("a batch wrote nothing"),
            Ok(Some(version)) => self.wrote(state, None, Ok(version)),
            Err(e) => self.wrote(state, None, Err(e)),
        }
    }

    fn once(&mut self) {
        let (id, place, number) = (self.draw.below(10), self.place(), self.number());
        let of = self.of(place.0);
        let answer = self.store().transaction_once(format!("id {id}"), |tx| -> Result<()> {
            tx.set(&of, key(place.1), &bytes(number).into())
        });
        self.note(("once", id, place, number, answer.as_ref().map(|once| once.map(|done| done.version))));
        let before = self.model.with_id(id).cloned();
        let state = self.with(place, Some(number));
        match (before, answer) {
            (Some(commit), Ok(Once::Before(version))) if commit.version.is_none_or(|v| v == version) => {}
            (Some(commit), Ok(Once::Now(done))) if self.age(&commit) >= self.kept.outcomes => {
                self.wrote(state, Some(id), Ok(done.version));
            }
            (None, Ok(Once::Now(done))) => self.wrote(state, Some(id), Ok(done.version)),
            (_, Err(e)) => self.wrote(state, Some(id), Err(e)),
            (before, answer) => self.fail(&format!("id {id}, known of {before:?}, answered {answer:?}")),
        }
    }

    fn compare(&mut self) {
        let ((c, k), number) = (self.place(), self.number());
        let stands = self.model.now()[c][k].and_then(|_| self.model.writes(c, k).next());
        let expected = match stands.map(|n| self.model.0[n].version) {
            Some(None) => return, // nobody told it
            known => known.flatten(),
        };
        let right = self.draw.below(2) == 0;
        let wrong = self.store().version();
        let asked = if right { expected } else { Some(wrong) };
        let answer = self.of(c).compare_and_set(key(k), asked, &bytes(number).into());
        self.note(("compare", c, k, asked, &answer));
        match answer {
            Err(e) if e.kind() == ErrorKind::Conflict && asked != expected => {}
            Ok(_) if asked != expected => self.fail("set though another version stood there"),
            answer => self.wrote(self.with((c, k), Some(number)), None, answer),
        }
    }

    fn sync(&mut self) {
        let answer = self.store().sync().map(drop);
        self.note(("sync", &answer));
        self.changed(answer);
    }

    fn hold(&mut self) {
        self.settle();
        if !self.is_over() && self.held.len() < 5 {
            self.held.push((self.store().snapshot(), *self.model.now()));
        }
    }

    fn let_go(&mut self) {
        if !self.held.is_empty() {
            let which = self.draw.below(self.held.len() as u64) as usize;
            drop(self.held.swap_remove(which));
        }
    }

    fn pin(&mut self) {
        self.settle();
        if self.pins.len() >= 4 {
            return self.unpin();
        }
        let name = format!("pin {}", self.number());
        let answer = self.store().pin(&name);
        self.note((&name, &answer));
        self.changed(answer.as_ref().map(drop).map_err(Clone::clone));
        if let Ok(version) = answer {
            self.pins.push((name, version, *self.model.now()));
        }
    }

    fn unpin(&mut self) {
        let Some((name, ..)) = self.pins.pop() else { return };
        let answer = self.store().unpin(&name);
        self.note(("unpin", &name, &answer));
        match answer {
            Ok(false) => self.fail(&format!("{name} was not there")),
            answer => self.changed(answer.map(drop)),
        }
    }
}
