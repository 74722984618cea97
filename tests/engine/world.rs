//! Corridor: a store on a simulated machine, beside the model that says what it must show.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use savehold::sim::Sim;
use savehold::{
    At, Collection, Durability, Error, ErrorKind, Options, Outcome, Snapshot, Store, Ticket, Version,
};
use savehold_wal::sim::{Death, Draw, SimDisk};

use crate::model::{Cell, Commit, Model, Place};

/// Collections: two of bytes and one of numbers.
pub(crate) const NAMES: [&str; 3] = ["left", "right", "counts"];
pub(crate) const COUNTS: usize = 2;

/// A call that handed out a ticket, and the commit that it made.
pub(crate) type Pending = (Option<usize>, Ticket<Version>);

pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) sim: Sim,
    /// The disk of the store that is open.
    pub(crate) disk: SimDisk,
    pub(crate) draw: Draw,
    pub(crate) durability: Durability,
    /// What restarts may take: by the default no checkpoint comes in a run as short as these.
    pub(crate) budget: Duration,
    pub(crate) store: Option<Store>,
    pub(crate) model: Model,
    /// Commits that were answered, and those that must survive a power cut.
    pub(crate) answered: usize,
    pub(crate) durable: usize,
    pub(crate) tickets: Vec<Pending>,
    pub(crate) snapshots: Vec<(Snapshot, usize)>,
    /// Something failed since the store was opened that may take more than a killed process does.
    pub(crate) rough: bool,
    pub(crate) halted: bool,
    /// Every id that was ever used, and every version that an error named.
    pub(crate) ids: BTreeSet<String>,
    pub(crate) doubts: Vec<(usize, Version)>,
    births: BTreeMap<(Place, usize), u64>,
    highest: Option<Version>,
    pub(crate) trace: Vec<String>,
}

/// What the store shows of one key.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    cell: Cell,
    version: Version,
    created_us: u64,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut draw = Draw::from_seed(seed);
        let durability = if draw.below(3) == 0 { Durability::Buffered } else { Durability::Synced };
        let mut world = Self {
            seed,
            sim: Sim::new(seed),
            disk: SimDisk::new(seed),
            draw,
            durability,
            budget: Duration::from_micros([100_000, 1, 16, 32][seed as usize % 4]),
            store: None,
            model: Model::new(),
            answered: 0,
            durable: 0,
            tickets: Vec::new(),
            snapshots: Vec::new(),
            rough: false,
            halted: false,
            ids: BTreeSet::new(),
            doubts: Vec::new(),
            births: BTreeMap::new(),
            highest: None,
            trace: Vec::new(),
        };
        world.open();
        world
    }

    /// A power cut may have taken the collections themselves. Made here, none is made, or fails to be, by a call whose
    /// own commit is then none.
    fn make_collections(&mut self) {
        let there = self.store().collections().unwrap_or_else(|e| self.fail(&format!("{e:?}")));
        for c in (0..NAMES.len()).filter(|c| there.iter().all(|name| name != NAMES[*c])) {
            self.disk.heal();
            self.sim.free();
            self.write(c, "first", b"0");
        }
    }

    fn write(&mut self, c: usize, key: &str, value: &[u8]) {
        let place = (c, key.to_owned());
        let version = match c {
            COUNTS => self.counts().set(key, &0),
            _ => self.raw(c).set(key, &Bytes::copy_from_slice(value)),
        };
        let value = if c == COUNTS { 0_i64.to_le_bytes().to_vec() } else { value.to_vec() };
        self.wrote(None, BTreeMap::from([(place, Some(Cell { value, ..Cell::default() }))]), version);
    }

    pub(crate) fn store(&self) -> &Store {
        self.store.as_ref().expect("open")
    }

    pub(crate) fn raw(&self, c: usize) -> Collection<Bytes> {
        self.store().raw(NAMES[c]).expect("a name")
    }

    pub(crate) fn counts(&self) -> Collection<i64> {
        self.store().collection(NAMES[COUNTS]).expect("a name")
    }

    /// Panics with what led here.
    #[track_caller]
    pub(crate) fn fail(&self, what: &str) -> ! {
        panic!("seed {}: {what}", self.seed);
    }

    /// Enters a call that wrote, and whose version cannot be asked for any more.
    pub(crate) fn wrote_unseen(&mut self, id: Option<String>, writes: BTreeMap<Place, Option<Cell>>) {
        self.model.push(Commit { version: None, writes, id });
        self.told(self.model.len());
    }

    /// Enters a call that should have written, and its answer.
    #[track_caller]
    pub(crate) fn wrote(
        &mut self,
        id: Option<String>,
        writes: BTreeMap<Place, Option<Cell>>,
        answer: Result<Version, Error>,
    ) {
        let commit = |version| Commit { version, writes, id };
        match answer {
            Ok(version) => {
                self.newer(version);
                self.model.push(commit(Some(version)));
                self.told(self.model.len());
            }
            Err(e) if e.kind() == ErrorKind::Unknown => {
                let version = e.version().unwrap_or_else(|| self.fail("Unknown names no version"));
                self.newer(version);
                self.doubts.push((self.model.len(), version));
                self.model.push(commit(None));
                (self.halted, self.rough) = (true, true);
            }
            Err(e) => self.refused(&e),
        }
    }

    /// Enters a call that handed out a ticket for a write.
    pub(crate) fn placed(&mut self, writes: BTreeMap<Place, Option<Cell>>, ticket: Ticket<Version>) {
        if ticket.is_ready() {
            return self.wrote(None, writes, ticket.wait());
        }
        self.tickets.push((Some(self.model.len()), ticket));
        self.model.push(Commit { version: None, writes, id: None });
    }

    /// A call was refused: nothing was written, for a reason that there is.
    #[track_caller]
    pub(crate) fn refused(&mut self, e: &Error) {
        match e.kind() {
            ErrorKind::Full => {}
            ErrorKind::Halted | ErrorKind::Io | ErrorKind::Unknown => {
                (self.halted, self.rough) = (true, true)
            }
            _ => self.fail(&format!("refused: {e:?}")),
        }
    }

    /// The first `n` commits have their answer.
    pub(crate) fn told(&mut self, n: usize) {
        self.answered = self.answered.max(n);
        if self.durability == Durability::Synced {
            self.durable = self.durable.max(n);
        }
    }

    #[track_caller]
    pub(crate) fn newer(&mut self, version: Version) {
        if self.highest.is_some_and(|highest| version <= highest) {
            self.fail(&format!("version {version} comes after {:?}", self.highest));
        }
        self.highest = Some(version);
    }

    /// Settles one ticket.
    #[track_caller]
    pub(crate) fn settle(&mut self, which: usize) {
        let (commit, ticket) = self.tickets.remove(which);
        match (ticket.wait(), commit) {
            (Ok(version), Some(at)) => {
                self.model.commits[at].version = Some(version);
                self.highest = self.highest.max(Some(version));
                self.told(at + 1);
            }
            (Ok(_), None) => {}
            (Err(e), Some(at)) if e.kind() == ErrorKind::Unknown => {
                self.doubts.push((at, e.version().expect("Unknown names its version")));
                (self.halted, self.rough) = (true, true);
            }
            (Err(e), _) => self.refused(&e),
        }
    }

    /// Opens the store again, however often it takes, and finds the prefix that it shows.
    #[track_caller]
    pub(crate) fn open(&mut self) {
        self.tickets.clear();
        self.snapshots.clear();
        self.store = None;
        self.rough |= self.halted || self.disk.death() == Some(Death::Cut);
        for attempt in 0.. {
            let options = Options::new().durability(self.durability).recovery_budget(self.budget);
            match self.sim.open_with(options) {
                Ok(store) if store.read_only().is_some() => {
                    self.only_reads(store);
                    if attempt > 3 {
                        self.sim.disk().heal();
                        self.sim.free();
                    }
                }
                Ok(store) => {
                    self.store = Some(store);
                    self.disk = self.sim.disk();
                    break;
                }
                Err(e) if attempt > 8 => self.fail(&format!("does not open: {e:?}")),
                Err(e) if matches!(e.kind(), ErrorKind::Corrupt | ErrorKind::Foreign | ErrorKind::Format) => {
                    self.fail(&format!("does not open: {e:?}"))
                }
                Err(_) => {
                    self.rough = true;
                    if attempt > 3 {
                        self.sim.disk().heal();
                        self.sim.free();
                    }
                }
            }
        }
        self.find_prefix();
        (self.rough, self.halted) = (false, false);
        self.make_collections();
    }

    /// A store that was opened on a full disk shows everything, and takes nothing; what it shows is there for good.
    #[track_caller]
    fn only_reads(&mut self, store: Store) {
        self.store = Some(store);
        self.disk = self.sim.disk();
        let shown = self.prefix_shown();
        (self.answered, self.durable) = (self.answered.max(shown), self.durable.max(shown));
        let refused = [
            self.raw(0).set("never", &Bytes::from_static(b"written")).map(drop),
            self.counts().increment("never", 1).map(drop),
        ];
        for answer in refused {
            if !answer.as_ref().is_err_and(|e| e.kind() == ErrorKind::ReadOnly) {
                self.fail(&format!("a store that is open to read only answered {answer:?}"));
            }
        }
        self.store = None;
    }

    /// Which prefix of the commits the store shows; from now on that is all there is.
    #[track_caller]
    fn find_prefix(&mut self) {
        let shown = self.versions_shown();
        let n = self.prefix_of(&shown);
        for (at, version) in std::mem::take(&mut self.doubts) {
            let wanted = if at < n { Outcome::Committed(version) } else { Outcome::NotCommitted };
            let outcome = self.store().outcome(version);
            if !matches!(outcome, Ok(outcome) if outcome == wanted) {
                self.fail(&format!("commit {at} of {n} kept: outcome({version}) says {outcome:?}"));
            }
        }
        self.model.cut(n);
        (self.answered, self.durable) = (n, n);
        self.births.retain(|(_, birth), _| *birth < n);
        for (place, versions) in shown {
            let commits: Vec<usize> = self.model.history(n, &place).map(|(at, _)| at).collect();
            for (at, (version, _)) in commits.into_iter().zip(versions) {
                self.model.commits[at].version = Some(version);
            }
        }
        if !self.model.commits.is_sorted_by(|a, b| a.version < b.version) {
            self.fail("versions do not stand in the order of the commits");
        }
        self.highest = self.highest.max(self.model.commits.iter().filter_map(|c| c.version).max());
        self.check(&self.store().snapshot(), n);
        self.check_history();
        self.check_users();
    }

    /// The keys of each user are those whose values carry his id.
    #[track_caller]
    fn check_users(&self) {
        let commits = &self.model.commits;
        let cells = commits.iter().flat_map(|commit| commit.writes.values().flatten());
        let users: BTreeSet<&String> = cells.flat_map(|cell| &cell.user_ids).collect();
        for user in users {
            let now = self.model.state(self.answered).iter();
            let expected: BTreeSet<Place> = now
                .filter(|(_, cell)| cell.user_ids.contains(user))
                .map(|(place, _)| place.clone())
                .collect();
            let number =
                |name: &str| NAMES.iter().position(|own| *own == name).expect("a collection of ours");
            let found: Result<BTreeSet<Place>, Error> =
                self.store().keys_of(user.as_str()).and_then(|keys| {
                    keys.map(|item| item.map(|(name, key)| (number(&name), key.to_string()))).collect()
                });
            if found.as_ref().ok() != Some(&expected) {
                self.fail(&format!("user {user} has {found:?}, not {expected:?}"));
            }
        }
    }

    /// How many commits from the front the store shows.
    #[track_caller]
    fn prefix_shown(&self) -> usize {
        self.prefix_of(&self.versions_shown())
    }

    #[track_caller]
    fn prefix_of(&self, shown: &BTreeMap<Place, Vec<(Version, bool)>>) -> usize {
        let least = if self.rough { self.durable } else { self.answered };
        let ids: BTreeMap<&String, Option<Version>> =
            self.ids.iter().map(|id| (id, self.outcome(id))).collect();
        let fits = |n: usize| {
            let mut expected: BTreeMap<&Place, Vec<(Option<Version>, bool)>> = BTreeMap::new();
            for commit in self.model.commits[..n].iter().rev() {
                for (place, cell) in &commit.writes {
                    expected.entry(place).or_default().push((commit.version, cell.is_none()));
                }
            }
            let same = |a: &(Version, bool), b: &(Option<Version>, bool)| {
                a.1 == b.1 && b.0.is_none_or(|version| version == a.0)
            };
            shown.len() == expected.len()
                && shown.iter().zip(&expected).all(|((at, a), (be, b))| {
                    at == *be && a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
                })
                && ids.iter().all(|(id, known)| known.is_some() == self.model.with_id(n, id).is_some())
        };
        let found = (least..=self.model.len()).find(|n| fits(*n));
        found.unwrap_or_else(|| {
            self.fail(&format!(
                "no prefix of {least}..={} commits fits what is there: {shown:?} {ids:?}",
                self.model.len()
            ))
        })
    }

    fn outcome(&self, id: &str) -> Option<Version> {
        match self.store().outcome(id) {
            Ok(Outcome::Committed(version)) => Some(version),
            Ok(_) => None,
            Err(e) => self.fail(&format!("outcome({id}): {e:?}")),
        }
    }

    /// Versions of every key that was ever written, newest first.
    fn versions_shown(&self) -> BTreeMap<Place, Vec<(Version, bool)>> {
        let places: BTreeSet<Place> =
            self.model.commits.iter().flat_map(|commit| commit.writes.keys().cloned()).collect();
        let listed = places.into_iter().map(|place| {
            let versions = self.raw(place.0).versions(&place.1).expect("a key");
            let versions = versions.map(|v| v.map(|v| (v.version, v.removed)));
            (place, versions.collect::<Result<Vec<_>, _>>().unwrap_or_else(|e| self.fail(&format!("{e:?}"))))
        });
        listed.filter(|(_, versions)| !versions.is_empty()).collect()
    }

    /// Every entry that a snapshot shows, against the state behind the first `n` commits.
    #[track_caller]
    pub(crate) fn check(&self, snapshot: &Snapshot, n: usize) {
        for (c, name) in NAMES.iter().enumerate() {
            let shown = self.shown(snapshot, c);
            let expected: BTreeMap<&String, &Cell> = self
                .model
                .state(n)
                .iter()
                .filter(|(place, _)| place.0 == c)
                .map(|(p, cell)| (&p.1, cell))
                .collect();
            let found: BTreeMap<&String, &Cell> = shown.iter().map(|(key, s)| (key, &s.cell)).collect();
            if found != expected {
                self.fail(&format!("{} at {n}: {found:?} stands there, not {expected:?}", name));
            }
            for (key, shown) in &shown {
                let place = (c, key.clone());
                let (newest, _) = self.model.history(n, &place).next().expect("it stands there");
                if self.model.commits[newest].version.is_some_and(|version| version != shown.version) {
                    self.fail(&format!("{key} shows version {}", shown.version));
                }
            }
        }
    }

    /// The same, and that every key keeps the time at which it came to be.
    #[track_caller]
    pub(crate) fn check_created(&mut self, n: usize) {
        let snapshot = self.store().snapshot();
        for c in 0..NAMES.len() {
            for (key, shown) in self.shown(&snapshot, c) {
                let place = (c, key);
                let birth = self.model.birth(n, &place);
                let created_us = *self.births.entry((place.clone(), birth)).or_insert(shown.created_us);
                if created_us != shown.created_us {
                    self.fail(&format!("{place:?} was created at {created_us}, not {}", shown.created_us));
                }
            }
        }
    }

    fn shown(&self, snapshot: &Snapshot, c: usize) -> BTreeMap<String, Shown> {
        let cell = |value, attributes: &savehold::Attributes| Cell {
            value,
            meta: attributes.meta().clone(),
            user_ids: attributes.user_ids().iter().map(|id| id.as_str().to_owned()).collect(),
        };

        let mut all = BTreeMap::new();
        if c == COUNTS {
            for entry in snapshot.scan(&self.counts(), "") {
                let e = entry.unwrap_or_else(|e| self.fail(&format!("a read failed: {e:?}")));
                let cell = cell(e.value.to_le_bytes().to_vec(), &e.attributes);
                all.insert(e.key.to_string(), Shown { cell, version: e.version, created_us: e.created_us });
            }
        } else {
            for entry in snapshot.scan(&self.raw(c), "") {
                let e = entry.unwrap_or_else(|e| self.fail(&format!("a read failed: {e:?}")));
                let cell = cell(e.value.to_vec(), &e.attributes);
                all.insert(e.key.to_string(), Shown { cell, version: e.version, created_us: e.created_us });
            }
        }
        all
    }

    /// Every version of every key reads as it was written, by version and by time.
    #[track_caller]
    pub(crate) fn check_history(&self) {
        let places: BTreeSet<&Place> =
            self.model.commits.iter().flat_map(|commit| commit.writes.keys()).collect();
        for place in places.into_iter().filter(|place| place.0 != COUNTS) {
            let raw = self.raw(place.0);
            for (at, cell) in self.model.history(self.answered, place) {
                let Some(version) = self.model.commits[at].version else { continue };
                let found = raw.get_at(&place.1, version).unwrap_or_else(|e| self.fail(&format!("{e:?}")));
                if found.as_ref().map(|e| e.value.as_ref()) != cell.map(|cell| cell.value.as_slice()) {
                    self.fail(&format!("{place:?} at {version} reads {:?}", found.map(|e| e.value.len())));
                }
            }
            let infos: Vec<_> =
                raw.versions(&place.1).expect("a key").map(|v| v.expect("readable")).collect();
            for pair in infos.windows(2) {
                if pair[0].time_us < pair[1].time_us || pair[0].version <= pair[1].version {
                    self.fail(&format!("{place:?}: {pair:?} fall"));
                }
            }
            for info in &infos {
                let then = infos.iter().find(|other| other.time_us <= info.time_us).expect("itself at least");
                let found = raw.get_at(&place.1, At::Time(info.time_us)).expect("a time");
                if found.map(|e| e.version) != (!then.removed).then_some(then.version) {
                    self.fail(&format!("{place:?} at time {} is not {}", info.time_us, then.version));
                }
            }
        }
    }

    /// Ends the process or the machine, or closes the store.
    pub(crate) fn end(&mut self) {
        match self.draw.below(4) {
            0 => {
                self.trace.push("close".into());
                while !self.tickets.is_empty() {
                    self.settle(0);
                }
                self.snapshots.clear();
                if self.store.take().expect("open").close().is_ok() {
                    self.answered = self.model.len();
                    self.durable = self.answered;
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
                self.rough = true;
                self.sim.cut_power();
            }
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}, after:\n  {}", self.seed, self.trace.join("\n  "));
        }
    }
}
