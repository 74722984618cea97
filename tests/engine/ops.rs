//! Corridor: random calls on a store, each with the answer that the model expects.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use savehold::{Change, Done, Entry, Error, ErrorKind, Once, Result, Version, VersionInfo};
use savehold_wal::sim::{Failure, Fault, When};

use crate::model::{Cell, Place};
use crate::world::{COUNTS, World};

type Writes = BTreeMap<Place, Option<Cell>>;

const KEYS: [&str; 6] = ["a", "ab", "abc", "b", "ba", "first"];

impl World {
    fn key(&mut self) -> &'static str {
        KEYS[self.draw.below(KEYS.len() as u64) as usize]
    }

    pub(crate) fn place(&mut self) -> Place {
        (self.draw.below(COUNTS as u64) as usize, self.key().to_owned())
    }

    fn value(&mut self) -> Vec<u8> {
        let len = match self.draw.below(12) {
            0 => self.draw.below(40_000) as usize,
            1 => 0,
            _ => self.draw.below(40) as usize,
        };
        vec![self.draw.below(256) as u8; len]
    }

    fn standing(&self, place: &Place) -> Option<&Cell> {
        self.model.now().get(place)
    }

    /// The cell with another value and what it had beside.
    fn with(&self, place: &Place, value: Vec<u8>) -> Cell {
        Cell { value, ..self.standing(place).cloned().unwrap_or_default() }
    }

    fn one(place: Place, cell: Option<Cell>) -> Writes {
        BTreeMap::from([(place, cell)])
    }

    /// One random call.
    pub(crate) fn step(&mut self) {
        let kind = self.draw.below(25);
        self.trace.push(format!("call {kind}"));
        match kind {
            0..=2 => self.set(),
            3 | 4 => self.set_async(),
            5 | 6 => self.remove(),
            7 | 8 => self.update(),
            9 => self.update_async(),
            10 => self.increment(),
            11 => self.create(),
            12 => self.compare_and_set(),
            13 => self.batch(),
            14 | 15 => self.transaction(),
            16 | 17 => self.once(),
            18 => self.read_one(),
            19 => self.read_pages(),
            20 => self.snapshot(),
            21 => self.sync(),
            22 if !self.tickets.is_empty() => {
                let which = self.draw.below(self.tickets.len() as u64) as usize;
                self.settle(which);
            }
            23 => self.time_or_space(),
            _ => self.trouble(),
        }
    }

    pub(crate) fn note(&mut self, what: impl std::fmt::Debug) {
        if let Some(last) = self.trace.last_mut() {
            *last = format!("{last}: {what:.90?}");
        }
    }

    fn set(&mut self) {
        let (place, value) = (self.place(), self.value());
        let answer = self.raw(place.0).set(&place.1, &value.clone().into());
        self.note(("set", &place, value.len(), &answer));
        let cell = self.with(&place, value);
        self.wrote(None, Self::one(place, Some(cell)), answer);
    }

    fn set_async(&mut self) {
        let (place, value) = (self.place(), self.value());
        let ticket = self.raw(place.0).set_async(&place.1, &value.clone().into());
        self.note(("set_async", &place, value.len(), &ticket));
        let cell = self.with(&place, value);
        self.placed(Self::one(place, Some(cell)), ticket);
    }

    fn remove(&mut self) {
        let place = self.place();
        let stood = self.standing(&place).cloned();
        if self.draw.below(2) == 0 {
            let ticket = self.raw(place.0).remove_async(&place.1);
            self.note(("remove_async", &place, &ticket));
            return match stood {
                Some(_) => self.placed(Self::one(place, None), ticket),
                None if ticket.is_ready() => self.kept(&place, ticket.wait().map(drop)),
                None => self.tickets.push((None, ticket)),
            };
        }
        let answer = self.raw(place.0).remove(&place.1);
        self.note(("remove", &place, answer.as_ref().map(Option::is_some)));
        match (stood, answer) {
            (None, Ok(Some(_))) => self.fail("removed what was not there"),
            (None, answer) => self.kept(&place, answer.map(drop)),
            (Some(stood), Ok(Some(found))) if found.value == stood.value => {
                self.wrote_unnamed(place);
            }
            (Some(_), Ok(found)) => self.fail(&format!("removed {found:?}")),
            (Some(_), Err(e)) => self.wrote(None, Self::one(place, None), Err(e)),
        }
    }

    /// A removal was answered, which names no version: the history does.
    fn wrote_unnamed(&mut self, place: Place) {
        let newest = self.newest_of(&place);
        if newest.as_ref().is_some_and(|info| !info.removed) {
            self.fail(&format!("the removal is not in the history: {newest:?}"));
        }
        self.wrote_now(None, Self::one(place, None), Ok(newest));
    }

    /// A call that had nothing to write was answered.
    #[track_caller]
    fn kept(&mut self, place: &Place, answer: Result<()>) {
        match answer {
            Ok(()) => self.saw(place),
            Err(e) => self.refused(&e),
        }
    }

    /// An answer was decided on what stands at a place: it waited for that.
    fn saw(&mut self, place: &Place) {
        let newest = self.model.history(self.model.len(), place).next();
        if let Some((at, _)) = newest {
            self.told(at + 1);
        }
    }

    fn meta(&mut self) -> BTreeMap<String, String> {
        (0..self.draw.below(3)).map(|n| (format!("m{n}"), self.draw.below(9).to_string())).collect()
    }

    fn update(&mut self) {
        let (place, value, meta) = (self.place(), self.value(), self.meta());
        let user = self.draw.below(3);
        let before = self.standing(&place).cloned();
        let kind = self.draw.below(4);
        let change = || match kind {
            0 => Change::keep(),
            1 => Change::remove(),
            2 => Change::write(Bytes::from(value.clone())),
            _ => Change::write(Bytes::from(value.clone())).meta(meta.clone()).user_ids([user]),
        };
        let expected = before.as_ref().map(|cell| cell.value.clone());
        let mut seen = None;
        let answer = self.raw(place.0).update(&place.1, |now: Option<Entry<Bytes>>| {
            seen = Some(now.map(|e| e.value.to_vec()));
            change()
        });
        self.note(("update", &place, kind, answer.as_ref().map(|done| (done.wrote, done.version))));
        if seen.as_ref().is_some_and(|seen| *seen != expected) {
            self.fail("the closure saw something else");
        }
        let writes = match kind {
            0 => None,
            1 => before.map(|_| Self::one(place.clone(), None)),
            _ => {
                let mut cell = self.with(&place, value);
                if kind == 3 {
                    (cell.meta, cell.user_ids) = (meta, vec![user.to_string()]);
                }
                Some(Self::one(place.clone(), Some(cell)))
            }
        };
        match writes {
            Some(writes) => self.wrote(None, writes, answer.map(|done| done.version)),
            None if answer.as_ref().is_ok_and(|done| done.wrote) => self.fail("wrote though it keeps"),
            None => self.kept(&place, answer.map(drop)),
        }
    }

    fn update_async(&mut self) {
        let (place, keep) = (self.place(), self.draw.below(2) == 0);
        let ticket = self.raw(place.0).update_async(&place.1, |now| {
            let more = |e: Entry<Bytes>| Bytes::from([&e.value[..e.value.len().min(20)], b"+"].concat());
            now.filter(|_| !keep).map(more)
        });
        self.note(("update_async", &place, &ticket));
        match self.standing(&place).filter(|_| !keep) {
            Some(cell) => {
                let value = [&cell.value[..cell.value.len().min(20)], b"+"].concat();
                let cell = self.with(&place, value);
                self.placed(Self::one(place, Some(cell)), ticket);
            }
            None if ticket.is_ready() => self.kept(&place, ticket.wait().map(drop)),
            None => self.tickets.push((None, ticket)),
        }
    }

    fn count(&self, place: &Place) -> i64 {
        let number = |cell: &Cell| i64::from_le_bytes(cell.value.as_slice().try_into().expect("eight bytes"));
        self.standing(place).map_or(0, number)
    }

    fn increment(&mut self) {
        let (place, by) = ((COUNTS, self.key().to_owned()), self.draw.below(9) as i64 - 4);
        let sum = self.count(&place) + by;
        let ticket = self.counts().increment_async(&place.1, by);
        let answer = ticket.wait();
        self.note(("increment", &place, by, &answer));
        if answer.as_ref().is_ok_and(|found| *found != sum) {
            self.fail(&format!("{answer:?} is not {sum}"));
        }
        let cell = self.with(&place, sum.to_le_bytes().to_vec());
        let version = answer.map(|_| self.newest_of(&place));
        self.wrote_now(None, Self::one(place, Some(cell)), version);
    }

    /// The newest version of a key that was just written; `None` where the machine died since, in a checkpoint that came
    /// behind the answer: nothing can be read any more.
    fn newest_of(&self, place: &Place) -> Option<VersionInfo> {
        let versions = match place.0 {
            COUNTS => self.counts().versions(&place.1),
            c => self.raw(c).versions(&place.1),
        };
        match versions.map(|mut versions| versions.next()) {
            Ok(Some(Ok(info))) => Some(info),
            _ if self.disk.death().is_some() => None,
            other => {
                self.fail(&format!("what was just written is not in the history: {:?}", other.map(drop)))
            }
        }
    }

    /// Enters a call that wrote, or its error; what it wrote may not be readable any more.
    fn wrote_now(&mut self, id: Option<String>, writes: Writes, answer: Result<Option<VersionInfo>>) {
        match answer.map(|info| info.map(|info| info.version)) {
            Ok(None) => self.wrote_unseen(id, writes),
            Ok(Some(version)) => self.wrote(id, writes, Ok(version)),
            Err(e) => self.wrote(id, writes, Err(e)),
        }
    }

    fn create(&mut self) {
        let (place, value) = (self.place(), self.value());
        let answer = self.raw(place.0).create(&place.1, &value.clone().into());
        self.note(("create", &place, &answer));
        match (self.standing(&place).is_some(), answer) {
            (true, Err(e)) if e.kind() == ErrorKind::Conflict => self.saw(&place),
            (true, Err(e)) => self.refused(&e),
            (true, Ok(_)) => self.fail("created what was there"),
            (false, answer) => {
                self.wrote(None, Self::one(place, Some(Cell { value, ..Cell::default() })), answer)
            }
        }
    }

    fn compare_and_set(&mut self) {
        let (place, value) = (self.place(), self.value());
        let newest = self.model.history(self.model.len(), &place).next();
        let stands =
            newest.filter(|(_, cell)| cell.is_some()).and_then(|(at, _)| self.model.commits[at].version);
        let unknown =
            newest.is_some_and(|(at, cell)| cell.is_some() && self.model.commits[at].version.is_none());
        if unknown {
            return; // a ticket still has its version
        }
        let right = self.draw.below(2) == 0;
        let wrong = self.model.commits.first().and_then(|commit| commit.version);
        let expected = if right { stands } else { wrong };
        let answer = self.raw(place.0).compare_and_set(&place.1, expected, &value.clone().into());
        self.note(("compare_and_set", &place, expected, &answer));
        match (expected == stands, answer) {
            (false, Err(e)) if e.kind() == ErrorKind::Conflict && e.version() == stands => self.saw(&place),
            (false, Err(e)) => self.refused(&e),
            (false, Ok(_)) => self.fail("set though another version stood there"),
            (true, answer) => {
                let cell = self.with(&place, value);
                self.wrote(None, Self::one(place, Some(cell)), answer);
            }
        }
    }

    fn batch(&mut self) {
        let (mut batch, mut writes) = (self.store().batch(), Writes::new());
        for _ in 0..=self.draw.below(4) {
            let (place, value) = (self.place(), self.value());
            if self.draw.below(3) == 0 {
                batch.remove(&self.raw(place.0), &place.1).expect("a key");
                writes.insert(place, None);
            } else {
                batch.set(&self.raw(place.0), &place.1, &value.clone().into()).expect("a key");
                let cell = self.with(&place, value);
                writes.insert(place, Some(cell));
            }
        }
        writes.retain(|place, cell| cell.is_some() || self.standing(place).is_some());
        let answer = batch.commit();
        self.note(("batch", writes.len(), &answer));
        match answer {
            Ok(None) if writes.is_empty() => {}
            Ok(Some(version)) if !writes.is_empty() => self.wrote(None, writes, Ok(version)),
            Ok(other) => self.fail(&format!("a batch of {} writes became {other:?}", writes.len())),
            Err(e) if writes.is_empty() => self.refused(&e),
            Err(e) => self.wrote(None, writes, Err(e)),
        }
    }

    /// Moves bytes between the two collections, counts keys, and sometimes gives up.
    fn transaction(&mut self) {
        let (from, to) = ((0, self.key().to_owned()), (1, self.key().to_owned()));
        let (gives_up, later) = (self.draw.below(4) == 0, self.draw.below(2) == 0);
        let (left, right, counts) = (self.raw(0), self.raw(1), self.counts());
        let store = self.store().clone();
        let stood: Vec<String> = self
            .model
            .now()
            .keys()
            .filter(|p| p.0 == 0 && p.1.starts_with('a'))
            .map(|p| p.1.clone())
            .collect();
        let run = |tx: &savehold::Tx<'_>| -> Result<usize> {
            let found = tx.get(&left, &from.1)?;
            let keys: Vec<String> = tx.scan(&left, "a")?.iter().map(|e| e.key.to_string()).collect();
            assert_eq!(keys, stood, "a scan in a transaction");
            if let Some(entry) = found {
                tx.set(&right, &to.1, &entry.value)?;
                tx.remove(&left, &from.1)?;
                assert_eq!(tx.get(&left, &from.1)?.map(|e| e.value), None, "its own removal");
                assert_eq!(tx.get(&right, &to.1)?.map(|e| e.value), Some(entry.value), "its own write");
                tx.increment(&counts, "moved", 1)?;
            }
            if gives_up { Err(Error::new(ErrorKind::Refused, "no")) } else { Ok(keys.len()) }
        };
        let writes = self.standing(&from).cloned().filter(|_| !gives_up).map(|cell| {
            let moved = (COUNTS, "moved".to_owned());
            let sum = self.count(&moved) + 1;
            let counted = self.with(&moved, sum.to_le_bytes().to_vec());
            let written = self.with(&to, cell.value);
            BTreeMap::from([(from.clone(), None), (to.clone(), Some(written)), (moved, Some(counted))])
        });
        if later {
            let ticket = store.transaction_async(run);
            self.note(("transaction_async", &from, &to, gives_up, &ticket));
            return match writes {
                Some(writes) => self.answer_transaction(writes, ticket.wait()),
                None => self.answer_nothing(gives_up, ticket.wait()),
            };
        }
        let answer = store.transaction(run);
        self.note(("transaction", &from, &to, gives_up, &answer));
        match writes {
            Some(writes) => self.answer_transaction(writes, answer),
            None => self.answer_nothing(gives_up, answer),
        }
    }

    fn answer_transaction(&mut self, writes: Writes, answer: Result<Done<usize>>) {
        self.wrote(None, writes, answer.map(|done| done.version));
    }

    fn answer_nothing(&mut self, gives_up: bool, answer: Result<Done<usize>>) {
        match answer {
            // it scanned: everything up to its moment
            Ok(done) if !done.wrote && !gives_up => self.told(self.model.len()),
            Err(e) if gives_up && e.kind() == ErrorKind::Refused => self.told(self.model.len()),
            Err(e) => self.refused(&e),
            Ok(done) => self.fail(&format!("{done:?}")),
        }
    }

    fn once(&mut self) {
        let id = format!("id-{}", self.draw.below(12));
        let place = (COUNTS, self.key().to_owned());
        let sum = self.count(&place) + 5;
        let in_transaction = self.draw.below(2) == 0;
        let counts = self.counts();
        let answer: Result<Once<i64>> = if in_transaction {
            let done = self
                .store()
                .transaction_once(&id, |tx| -> Result<i64> { tx.increment(&counts, &place.1, 5) });
            done.map(|once| once.map(|done| done.value))
        } else {
            counts.increment_once(&id, &place.1, 5)
        };
        self.note(("once", &id, &place, &answer));
        let before = self.model.with_id(self.model.len(), &id).map(|at| (at, self.model.commits[at].version));
        match (before, answer) {
            (Some((at, known)), Ok(Once::Before(version))) if known.is_none_or(|known| known == version) => {
                self.told(at + 1);
            }
            (Some(_), Err(e)) => self.refused(&e),
            (None, Ok(Once::Now(found))) if found == sum => {
                self.ids.insert(id.clone());
                let cell = self.with(&place, sum.to_le_bytes().to_vec());
                let newest = self.newest_of(&place);
                self.wrote_now(Some(id), Self::one(place, Some(cell)), Ok(newest));
            }
            (None, Err(e)) => {
                self.ids.insert(id.clone());
                let cell = self.with(&place, sum.to_le_bytes().to_vec());
                self.wrote(Some(id), Self::one(place, Some(cell)), Err(e));
            }
            (before, answer) => self.fail(&format!("{id} became {answer:?} though the model has {before:?}")),
        }
    }

    fn sync(&mut self) {
        let answer: Result<Version> = self.store().sync();
        self.note(("sync", &answer));
        match answer {
            Ok(_) => {
                self.answered = self.model.len();
                self.durable = self.answered;
            }
            Err(e) => self.refused(&e),
        }
    }

    fn time_or_space(&mut self) {
        match self.draw.below(6) {
            0 => self.sim.fill(),
            1 | 2 => self.sim.free(),
            3 => self.sim.step_wall(-5_000_000_000),
            4 => self.sim.step_wall(3_000_000),
            _ => self.sim.advance(Duration::from_millis(1 + self.draw.below(3000))),
        }
    }

    /// Orders a fault for one of the next changes on the disk.
    fn trouble(&mut self) {
        let n = self.disk.counts().changes + 1 + self.draw.below(12);
        let fault = match self.draw.below(9) {
            0 => Fault::CutBefore,
            1 => Fault::CutInside,
            2 => Fault::KillBefore,
            3 => Fault::KillInside,
            4 => Fault::FailHalfway(Failure::Io),
            5 => Fault::Fail(Failure::Full),
            6 => Fault::FailHalfway(Failure::Full),
            _ => Fault::Fail(Failure::Io),
        };
        if self.draw.below(3) == 0 {
            self.note(("fault", n, fault));
            // what a failed call loses counts like a power cut for buffered commits
            self.rough |= matches!(fault, Fault::Fail(_) | Fault::FailHalfway(_));
            self.disk.order(When::Change(n), fault);
        }
    }
}
