//! Corridor: a store on a simulated machine that ends at any time, and how it begins again.

use std::time::Duration;

use bytes::Bytes;
use savehold::sim::Sim;
use savehold::{
    Backup, Collection, Durability, Error, ErrorKind, Moments, Options, Outcome, Result, Retention, Snapshot,
    Store, Ticket, Version, VersionsKept,
};
use savehold_wal::sim::{Death, Draw, Failure, Fault, SimDisk, When};

use super::model::{Commit, Model, NAMES, State};

/// The least of every setting that there ever was: what it keeps must be there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    pub(super) every: Duration,
    /// Versions of `left` and `right` for themselves.
    pub(super) explicit: [Duration; 2],
    pub(super) outcomes: Duration,
}

pub(super) struct World {
    pub(super) seed: u64,
    pub(super) sim: Sim,
    /// The disk of the store that is open.
    pub(super) disk: SimDisk,
    pub(super) draw: Draw,
    pub(super) durability: Durability,
    budget: Duration,
    pub(super) store: Option<Store>,
    pub(super) model: Model,
    /// Commits that were answered, and those that must survive a power cut; the first, which is none, is among them.
    pub(super) answered: usize,
    pub(super) durable: usize,
    pub(super) pending: Vec<(usize, Ticket<Version>)>,
    /// Commits of which it is not known whether they happened, with their versions.
    doubts: Vec<(usize, Version)>,
    /// Something failed since the store was opened that may take more than a killed process does.
    rough: bool,
    /// A table was hurt: who needs it is told to come again.
    pub(super) hurt: bool,
    /// The next number of a value, of a name, of a directory.
    numbers: u64,
    pub(super) held: Vec<(Snapshot, State)>,
    pub(super) pins: Vec<(String, Version, State)>,
    /// With what may stand in each.
    pub(super) backups: Vec<(Backup, Vec<State>)>,
    pub(super) restored: u64,
    /// The feed was read through so many commits, and on from this version; `None`: from the beginning on.
    pub(super) fed: usize,
    pub(super) cursor: Option<Version>,
    pub(super) kept: Kept,
    highest: Option<Version>,
    trace: Vec<String>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut draw = Draw::from_seed(seed);
        let durability = if draw.below(3) == 0 { Durability::Buffered } else { Durability::Synced };
        let day = Duration::from_secs(24 * 3600);
        let mut sim = Sim::new(seed);
        let mut world = Self {
            seed,
            disk: sim.disk(),
            sim,
            draw,
            durability,
            budget: Duration::from_micros([100_000, 16, 64, 400][seed as usize % 4]),
            store: None,
            model: Model::new(),
            answered: 1,
            durable: 1,
            pending: Vec::new(),
            doubts: Vec::new(),
            rough: false,
            hurt: false,
            numbers: 0,
            held: Vec::new(),
            pins: Vec::new(),
            backups: Vec::new(),
            restored: 0,
            fed: 0,
            cursor: None,
            kept: Kept { every: day / 24, explicit: [7 * day; 2], outcomes: 7 * day },
            highest: None,
            trace: Vec::new(),
        };
        world.open();
        world.settle_in();
        world
    }

    /// The settings that the run begins with; those of `cache` never change.
    fn settle_in(&mut self) {
        let ask = |answer: Result<()>| answer.expect("nothing fails yet");
        ask(self.store().set_retention(NAMES[super::model::CACHE], Retention::NewestOnly));
        self.set_right(Duration::from_secs(1800));
        if self.draw.below(3) > 0 {
            let every = [600, 0][self.draw.below(2) as usize];
            self.set_moments(every);
        }
    }

    pub(super) fn set_right(&mut self, explicit: Duration) {
        let kept = VersionsKept { explicit, ..VersionsKept::default() };
        let answer = self.store().set_retention(NAMES[1], Retention::History(kept));
        self.note(("right", explicit, &answer));
        self.kept.explicit[1] = self.kept.explicit[1].min(explicit);
        self.changed(answer);
    }

    pub(super) fn set_moments(&mut self, every: u64) {
        let every = Duration::from_secs(every);
        let answer = self.store().set_moments(Moments { every, minutes: 3 * every, hours: 12 * every });
        self.note(("moments", every, &answer));
        self.kept.every = self.kept.every.min(every);
        self.changed(answer);
    }

    pub(super) fn set_outcomes(&mut self, kept: Duration) {
        let answer = self.store().set_outcomes_kept(kept);
        self.note(("outcomes", kept, &answer));
        self.kept.outcomes = self.kept.outcomes.min(kept);
        self.changed(answer);
    }

    /// A setting, or a pin: durable when it is answered, with all that was placed before it.
    pub(super) fn changed(&mut self, answer: Result<()>) {
        match answer {
            Ok(()) => (self.answered, self.durable) = (self.model.len(), self.model.len()),
            Err(e) => self.refused(&e),
        }
    }

    /// So many calls, and all that comes between them; says how many there were.
    pub(super) fn run(&mut self, calls: u64) -> u64 {
        let mut done = 0;
        while done < calls {
            for _ in 0..1 + self.draw.below(90) {
                done += 1;
                self.step();
                if self.is_over() {
                    break;
                }
            }
            self.end();
            self.open();
            self.look_through();
        }
        self.restore_some();
        done
    }

    fn step(&mut self) {
        let kind = self.draw.below(44);
        self.trace.push(format!("call {kind}"));
        let strikes = self.draw.below(11) == 0;
        if strikes {
            self.strike();
        }
        match kind {
            0..26 => self.call(if strikes { kind % 22 } else { kind }),
            26..36 => self.tend(kind),
            _ if strikes => self.call(kind % 22),
            _ => self.look(kind),
        }
        self.disk.heal();
    }

    /// One of the next changes of the disk goes wrong.
    fn strike(&mut self) {
        let within = [4, 12, 60][self.draw.below(3) as usize];
        let n = self.disk.counts().changes + 1 + self.draw.below(within);
        let fault = match self.draw.below(10) {
            0 | 1 => Fault::CutBefore,
            2 => Fault::CutInside,
            3 | 4 => Fault::KillBefore,
            5 => Fault::KillInside,
            6 => Fault::Fail(Failure::Io),
            7 => Fault::FailHalfway(Failure::Io),
            8 => Fault::FailHalfway(Failure::Full),
            _ => Fault::Fail(Failure::Full),
        };
        self.note(("strikes", n, fault));
        self.rough |= matches!(fault, Fault::Fail(_) | Fault::FailHalfway(_)); // a failed sync may take more than a kill
        self.disk.order(When::Change(n), fault);
    }

    pub(super) fn store(&self) -> &Store {
        self.store.as_ref().expect("open")
    }

    pub(super) fn of(&self, c: usize) -> Collection<Bytes> {
        self.store().raw(NAMES[c]).expect("a name")
    }

    /// Nothing can be done with the store as it is.
    pub(super) fn is_over(&self) -> bool {
        self.disk.death().is_some() || self.store().log().failure().is_some()
    }

    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(super) fn note(&mut self, what: impl std::fmt::Debug) {
        if let Some(last) = self.trace.last_mut() {
            *last = format!("{last}: {what:.160?}");
        }
    }

    #[track_caller]
    pub(super) fn fail(&self, what: &str) -> ! {
        panic!("seed {}: {what}", self.seed);
    }

    /// Asks again where a table that was hurt is being made anew.
    #[track_caller]
    pub(super) fn ask<T>(&self, what: impl Fn(&Self) -> Result<T>) -> Result<T> {
        for _ in 0..6 {
            match what(self) {
                Err(e) if self.hurt && matches!(e.kind(), ErrorKind::Busy | ErrorKind::Corrupt) => {
                    self.store().tick();
                }
                answer => return answer,
            }
        }
        what(self)
    }

    /// Enters a call that should have written, and its answer; `state` stands behind it.
    #[track_caller]
    pub(super) fn wrote(&mut self, state: State, id: Option<u64>, answer: Result<Version>) {
        let time_us = self.store().time_us();
        let commit = |version| Commit { version, time_us, state, id };
        match answer {
            Ok(version) => {
                self.newer(version);
                self.model.0.push(commit(Some(version)));
                self.told(self.model.len());
            }
            Err(e) if e.kind() == ErrorKind::Unknown => {
                let version = e.version().unwrap_or_else(|| self.fail("Unknown names no version"));
                self.newer(version);
                self.doubts.push((self.model.len(), version));
                self.model.0.push(commit(Some(version)));
                self.rough = true;
            }
            Err(e) => self.refused(&e),
        }
    }

    /// Enters a call that handed out a ticket.
    pub(super) fn placed(&mut self, state: State, ticket: Ticket<Version>) {
        if ticket.is_ready() {
            return self.wrote(state, None, ticket.wait());
        }
        let time_us = self.store().time_us();
        self.pending.push((self.model.len(), ticket));
        self.model.0.push(Commit { version: None, time_us, state, id: None });
    }

    /// Has every ticket answered.
    pub(super) fn settle(&mut self) {
        for (at, ticket) in std::mem::take(&mut self.pending) {
            match ticket.wait() {
                Ok(version) => {
                    self.model.0[at].version = Some(version);
                    self.highest = self.highest.max(Some(version));
                    self.told(at + 1);
                }
                Err(e) if e.kind() == ErrorKind::Unknown => {
                    let version = e.version().unwrap_or_else(|| self.fail("Unknown names no version"));
                    self.model.0[at].version = Some(version);
                    self.doubts.push((at, version));
                    self.rough = true;
                }
                Err(e) => self.refused(&e),
            }
        }
    }

    /// A call was refused, for a reason that there is, and changed nothing.
    #[track_caller]
    pub(super) fn refused(&mut self, e: &Error) {
        match e.kind() {
            ErrorKind::Full => {}
            ErrorKind::Busy | ErrorKind::Corrupt if self.hurt => drop(self.store().tick()),
            ErrorKind::Halted | ErrorKind::Io | ErrorKind::Unknown | ErrorKind::Closed => self.rough = true,
            _ => self.fail(&format!("refused: {e:?}")),
        }
    }

    /// The first `n` commits have their answer.
    pub(super) fn told(&mut self, n: usize) {
        self.answered = self.answered.max(n);
        if self.durability == Durability::Synced {
            self.durable = self.durable.max(n);
        }
    }

    #[track_caller]
    fn newer(&mut self, version: Version) {
        if self.highest.is_some_and(|highest| version <= highest) {
            self.fail(&format!("version {version} comes after {:?}", self.highest));
        }
        self.highest = Some(version);
    }

    /// Ends the process or the machine, or closes the store.
    fn end(&mut self) {
        match self.draw.below(4) {
            0 if !self.is_over() => {
                self.trace.push("close".into());
                self.settle();
                self.held.clear();
                if self.store.take().expect("open").close().is_ok() {
                    (self.answered, self.durable) = (self.model.len(), self.model.len());
                } else {
                    self.rough = true;
                }
            }
            1 => {
                self.trace.push("kill".into());
                self.sim.kill();
            }
            _ => {
                self.trace.push("cut power".into());
                self.sim.cut_power();
                self.rough = true;
            }
        }
        self.rough |= self.disk.death() == Some(Death::Cut);
        (self.store, self.hurt) = (None, false);
        self.held.clear();
        self.pending.clear();
        self.sim.free();
        match self.draw.below(12) {
            0 => self.sim.step_wall(-5_000_000_000),
            1 => self.sim.step_wall(3_600_000_000),
            2 => self.sim.step_wall(3 * 24 * 3_600_000_000),
            _ => {}
        }
    }

    /// A table's file is lost, or a bit in it flips: it is derived, and made anew.
    fn hurt_a_table(&mut self) {
        let disk = self.sim.disk();
        let tables: Vec<(String, u64)> = disk
            .files()
            .into_iter()
            .filter(|(name, bytes)| name.starts_with("/store") && name.ends_with(".idx") && *bytes > 0)
            .collect();
        if tables.is_empty() || self.draw.below(6) > 0 {
            return;
        }
        let (name, bytes) = &tables[self.draw.below(tables.len() as u64) as usize];
        self.hurt = true;
        self.trace.push(format!("hurt {name}"));
        match self.draw.below(3) {
            0 => disk.uproot(std::path::Path::new(name)).expect("a file"),
            _ => disk.flip_bit(std::path::Path::new(name), self.draw.below(*bytes), 3).expect("a byte of it"),
        }
    }

    /// Opens the store again, however often it takes, and finds what survived.
    fn open(&mut self) {
        self.trace.push("open".into());
        self.hurt_a_table();
        for attempt in 0.. {
            if attempt < 2 && self.draw.below(6) == 0 {
                self.disk = self.sim.disk();
                self.strike();
            }
            let options = Options::new().durability(self.durability).recovery_budget(self.budget);
            match self.sim.open_with(options) {
                Ok(store) if store.read_only().is_some() => drop(store),
                Ok(store) => {
                    self.store = Some(store);
                    break;
                }
                Err(e) if attempt > 4 => self.fail(&format!("does not open: {e:?}")),
                Err(e) if matches!(e.kind(), ErrorKind::Corrupt | ErrorKind::Foreign | ErrorKind::Format) => {
                    self.fail(&format!("does not open: {e:?}"))
                }
                Err(_) => self.rough = true,
            }
            self.sim.disk().heal();
            self.sim.free();
        }
        self.disk = self.sim.disk();
        self.disk.heal();
        if self.is_over() {
            self.trace.push("it died over it".into());
            (self.rough, self.store) = (true, None);
            return self.open();
        }
        self.find_what_survived();
        self.rough = false;
    }

    fn find_what_survived(&mut self) {
        let least = if self.rough { self.durable } else { self.answered };
        let shown = self.ask(Self::shown).unwrap_or_else(|e| self.fail(&format!("{e:?}")));
        let doubts = std::mem::take(&mut self.doubts);
        let outcome = |version: Version| self.ask(|world| world.store().outcome(version));
        let kept: Vec<(usize, bool)> = doubts
            .iter()
            .map(|(at, version)| (*at, matches!(outcome(*version), Ok(Outcome::Committed(_)))))
            .collect();
        let newest = self.store().version();
        let fits = |n: &usize| {
            let last = &self.model.0[n - 1];
            last.state == shown
                && last.version.is_none_or(|version| version <= newest)
                && kept.iter().all(|(at, kept)| *kept == (at < n))
        };
        let n = (least..=self.model.len()).rev().find(fits).unwrap_or_else(|| {
            self.fail(&format!(
                "no prefix of {least}..={} commits shows {shown:?}, {kept:?}",
                self.model.len()
            ))
        });
        self.model.0.truncate(n);
        (self.answered, self.durable) = (n, n);
        if self.fed >= n {
            self.fail(&format!("a feed was told of {} commits, and {} are left", self.fed, n - 1));
        }
        self.highest = self.highest.max(Some(self.store().version()));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let from = self.trace.len().saturating_sub(200);
            eprintln!("seed {}, after:\n  {}", self.seed, self.trace[from..].join("\n  "));
        }
    }
}
