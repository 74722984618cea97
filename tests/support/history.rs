//! What a log was given and what it answered: the promise that every reopening is held to.

use std::hash::{Hash, Hasher};

use savehold_wal::{Durability, Lsn, Record};

/// What broke the promise, in words.
pub type Finding = String;

/// One record that was given a place, or may have been.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Tells it from all other records of its world; the head carries it.
    pub number: u64,
    /// Length of its body.
    pub bytes: usize,
    /// Its place, once anybody was told.
    pub lsn: Option<Lsn>,
    /// Changes of the disk when its place was told.
    told: u64,
    /// Changes of the disk when the system was said to have it.
    accepted: Option<u64>,
    /// Changes of the disk when it was said to be durable.
    durable: Option<u64>,
}

/// Which loss a stop excuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stop {
    /// The power went: what was said to be durable must be there.
    Cut,
    /// The process died: what the system was said to have must be there too.
    Kill,
}

/// Everything that one log was given, in order, through all its lives.
#[derive(Clone, Debug, Default)]
pub struct History {
    entries: Vec<Entry>,
    next: u64,
    /// Places that were told and whose records a crash took.
    lost: Vec<Lsn>,
    /// Records before a place may be gone: they were given up, when the disk had so many changes.
    retired: Vec<(u64, Lsn)>,
    /// A sync failed: what is not durable may be gone without a power cut.
    sync_failed: bool,
}

/// The head of record `number`.
#[must_use]
pub fn head(number: u64) -> Vec<u8> {
    [b"record ".as_slice(), &number.to_le_bytes()].concat()
}

/// The body of record `number`.
#[must_use]
pub fn body(number: u64, bytes: usize) -> Vec<u8> {
    let mut word = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut body = vec![0; bytes];
    for part in body.chunks_mut(8) {
        word = word.wrapping_mul(0x2545_f491_4f6c_dd1d).wrapping_add(1);
        part.copy_from_slice(&word.to_le_bytes()[..part.len()]);
    }
    body
}

impl History {
    /// A history of one record.
    #[must_use]
    pub fn of(entry: Entry) -> Self {
        Self { entries: vec![entry], ..Self::default() }
    }

    /// A record of `bytes` is about to be given to the log; says its number.
    pub fn give(&mut self, bytes: usize) -> u64 {
        let number = self.next;
        self.next += 1;
        let told = u64::MAX;
        self.entries.push(Entry { number, bytes, lsn: None, told, accepted: None, durable: None });
        number
    }

    /// A record that a thread of its own gave to the log: its place, and how it was acknowledged, if it was. In the
    /// order of places.
    ///
    /// # Errors
    ///
    /// Its place was told before, for another record.
    pub fn add(
        &mut self,
        number: u64,
        bytes: usize,
        lsn: Lsn,
        acknowledged: Option<Durability>,
    ) -> Result<(), Finding> {
        self.next = self.next.max(number + 1);
        self.entries.push(Entry { number, bytes, lsn: None, told: 0, accepted: None, durable: None });
        self.place(number, lsn, 0)?;
        if let Some(how) = acknowledged {
            self.acknowledge(number, how == Durability::Synced, 0);
        }
        Ok(())
    }

    /// The log told the place of `number`. Places only grow.
    ///
    /// # Errors
    ///
    /// The place was told before, for another record.
    pub fn place(&mut self, number: u64, lsn: Lsn, change: u64) -> Result<(), Finding> {
        let highest = self.highest(u64::MAX);
        let Some(entry) = self.entries.iter_mut().find(|e| e.number == number) else {
            return Err(format!("record {number} is not known"));
        };
        (entry.lsn, entry.told) = (Some(lsn), change);
        match highest {
            Some(highest) if lsn <= highest => {
                Err(format!("record {number} was placed at {lsn}, though {highest} had been told before"))
            }
            _ => Ok(()),
        }
    }

    /// The log holds `found`: tells the places of records that were told of none.
    pub fn learn(&mut self, found: &[Record], change: u64) {
        for entry in self.entries.iter_mut().filter(|e| e.lsn.is_none()) {
            entry.lsn = found.iter().find(|r| r.head == head(entry.number)).map(|r| r.lsn);
            entry.told = change;
        }
    }

    /// The log refused `number`: it must never appear.
    pub fn refuse(&mut self, number: u64) {
        self.entries.retain(|e| e.number != number);
    }

    /// `number`, and so everything before it, was acknowledged.
    pub fn acknowledge(&mut self, number: u64, durable: bool, change: u64) {
        if let Some(entry) = self.entries.iter_mut().find(|e| e.number == number) {
            entry.accepted.get_or_insert(change);
            if durable {
                entry.durable.get_or_insert(change);
            }
        }
    }

    /// The log says that everything before `accepted` has its answer, and everything before `durable` is durable.
    pub fn note(&mut self, accepted: Lsn, durable: Lsn, change: u64) {
        for entry in &mut self.entries {
            let Some(lsn) = entry.lsn else { continue };
            if lsn < accepted {
                entry.accepted.get_or_insert(change);
            }
            if lsn < durable {
                entry.durable.get_or_insert(change);
            }
        }
    }

    /// Records before `before` are given up from now on.
    pub fn retire(&mut self, before: Lsn, change: u64) {
        self.retired.push((change, before));
    }

    /// A sync failed.
    pub fn sync_failed(&mut self) {
        self.sync_failed = true;
    }

    /// True where a read may show what the medium lacks.
    #[must_use]
    pub fn cache_lies(&self) -> bool {
        self.sync_failed
    }

    /// The records, in order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The last place that was told before `change`.
    #[must_use]
    pub fn highest(&self, change: u64) -> Option<Lsn> {
        let told = self.entries.iter().filter(|e| e.told <= change).filter_map(|e| e.lsn);
        told.chain(self.lost.iter().copied()).max()
    }

    /// Places told before `change` that do not stand among the first `kept` records.
    pub fn taken(&self, kept: usize, change: u64) -> impl Iterator<Item = Lsn> + '_ {
        let behind = self.entries[kept.min(self.entries.len())..].iter();
        let told = behind.filter(move |e| e.told <= change).filter_map(|e| e.lsn);
        told.chain(self.lost.iter().copied())
    }

    /// How many records from the front must be there after a stop behind `change` changes.
    #[must_use]
    pub fn required(&self, stop: Stop, change: u64) -> usize {
        let by = |said: Option<u64>| said.is_some_and(|at| at <= change);
        let must = |e: &Entry| by(e.durable) || (stop == Stop::Kill && !self.sync_failed && by(e.accepted));
        self.entries.iter().rposition(must).map_or(0, |last| last + 1)
    }

    /// Adds what a log is held to behind `change` changes, but for how many records must be there.
    pub fn digest(&self, change: u64, hasher: &mut impl Hasher) {
        for entry in &self.entries {
            (entry.number, entry.bytes, entry.lsn, entry.told <= change).hash(hasher);
        }
        self.lost.hash(hasher);
        let given_up = self.retired.iter().filter(|(at, _)| *at <= change).map(|(_, before)| *before);
        (given_up.max(), self.sync_failed).hash(hasher);
    }

    /// Compares what a log holds with the records: a run of them in order, every byte right, from the front but for
    /// what was given up before `change`. Says how many from the front are there.
    ///
    /// # Errors
    ///
    /// The first difference.
    pub fn compare(&self, found: &[Record], change: u64) -> Result<usize, Finding> {
        let given_up = self.retired.iter().filter(|(at, _)| *at <= change).map(|(_, before)| *before);
        let given_up = given_up.max().unwrap_or(Lsn::NONE);
        let Some(first) = found.first() else {
            return Ok((0..self.entries.len()).take_while(|n| self.stands_before(*n, given_up)).count());
        };
        let at = self.entries.iter().position(|e| head(e.number) == first.head);
        let at = at.ok_or_else(|| format!("a record at {} that was never given, or refused", first.lsn))?;
        if let Some(missing) = (0..at).find(|n| !self.stands_before(*n, given_up)) {
            return Err(format!("record {missing} is missing in front of record {at}"));
        }
        for (n, record) in found.iter().enumerate() {
            let Some(entry) = self.entries.get(at + n) else {
                return Err(format!("a record at {} behind all that was given", record.lsn));
            };
            if record.head != head(entry.number) {
                return Err(format!(
                    "another record at {} where record {} was due",
                    record.lsn, entry.number
                ));
            }
            if entry.lsn.is_some_and(|lsn| lsn != record.lsn) {
                return Err(format!("record {} moved from {:?} to {}", entry.number, entry.lsn, record.lsn));
            }
            if record.body() != body(entry.number, entry.bytes) {
                return Err(format!("record {} at {} has wrong bytes", entry.number, record.lsn));
            }
        }
        if !found.is_sorted_by(|a, b| a.lsn < b.lsn) {
            return Err("places do not grow".to_owned());
        }
        Ok(at + found.len())
    }

    /// True where the record was given up, if all before `kept` was.
    fn stands_before(&self, n: usize, kept: Lsn) -> bool {
        self.entries[n].lsn.is_some_and(|lsn| lsn < kept)
    }

    /// The history goes on with `found`: all of it was served when the disk had `now` changes, so all of it must stay
    /// from then on. What was told before `change` and is not there stays taken.
    #[must_use]
    pub fn survived(&self, found: &[Record], kept: usize, change: u64, now: u64) -> Self {
        let mut next = self.cut_down(found, kept, change, now);
        for entry in &mut next.entries {
            entry.accepted.get_or_insert(now);
            entry.durable.get_or_insert(now);
        }
        next.sync_failed = false;
        next
    }

    /// The history goes on with `found`, served to read only when the disk had `now` changes: all of it must stay. Of a
    /// group that is cut nothing is served, and some of it may be there once the log is recovered.
    #[must_use]
    pub fn shown(&self, found: &[Record], kept: usize, now: u64) -> Self {
        let mut next = self.clone();
        next.learn(found, now);
        for entry in &mut next.entries[..kept] {
            entry.accepted = Some(entry.accepted.map_or(now, |at| at.min(now)));
            entry.durable = Some(entry.durable.map_or(now, |at| at.min(now)));
        }
        next
    }

    /// The history of a disk that holds `found` and has served nothing yet.
    #[must_use]
    pub fn cut_down(&self, found: &[Record], kept: usize, change: u64, now: u64) -> Self {
        let mut next = self.clone();
        next.lost = self.taken(kept, change).collect();
        next.entries.truncate(kept);
        next.retired.retain(|(at, _)| *at <= change);
        next.learn(found, now);
        next
    }

    /// The same on another disk, whose changes are counted anew.
    #[must_use]
    pub fn counted_anew(mut self) -> Self {
        for entry in &mut self.entries {
            entry.told = entry.lsn.map_or(u64::MAX, |_| 0);
            entry.accepted = entry.accepted.and(Some(0));
            entry.durable = entry.durable.and(Some(0));
        }
        self.retired.iter_mut().for_each(|(at, _)| *at = 0);
        self
    }
}
