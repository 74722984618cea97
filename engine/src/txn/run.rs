//! Corridor: how a transaction runs until it is through: again after each conflict, then in turn, at last at the bar.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use savehold_wal::{Lsn, Placed};

use super::memory::Memories;
use super::{Done, State, Tx};
use crate::attributes::UserId;
use crate::change::Once;
use crate::commit::{How, NotCommitted};
use crate::core::Core;
use crate::draft::{Draft, FullKey, Write};
use crate::error::{Error, ErrorKind, Result};
use crate::guard;
use crate::ids::CollectionId;
use crate::key::Key;
use crate::range::OwnRange;
use crate::record::Author;

/// Conflicts after which a transaction that scanned ranges holds the writers up.
pub(crate) const RANGE_CONFLICTS_MAX: u32 = 3;

/// What is said of a key that is written from memory, and was written beside it.
pub(crate) const OVERTAKEN: &str = "something else wrote the document under the session's token: nothing was written; release \
                                    the session and start it again";

/// What a transaction came to.
pub(crate) enum Ran<R, E> {
    /// It has its place.
    Placed(Placed, Done<R>),
    /// Nothing to write; decided on what stands up to this place.
    Read(Lsn, Done<R>),
    /// Done before by the commit at this place.
    Before(Lsn),
    /// The closure refused, having seen what stands up to this place.
    Refused(Lsn, E),
    /// A lease forbids it; decided on what stands up to this place.
    Barred(Lsn, Error),
    /// The store refused.
    Failed(Error),
}

impl Core {
    /// Runs `f` as a transaction and waits for the answer.
    pub(crate) fn transaction<R, E: From<Error>>(
        &self,
        id: Option<&[u8]>,
        f: impl FnMut(&Tx<'_>) -> Result<R, E>,
    ) -> Result<Once<Done<R>>, E> {
        let begun = self.wal.env().clock.monotonic();
        match self.transact(id, self.how(), f) {
            Ran::Placed(placed, done) => {
                self.answer(placed)?;
                self.commits.note(self.wal.env().clock.monotonic().saturating_sub(begun));
                Ok(Once::Now(done))
            }
            Ran::Read(lsn, done) => Ok(self.wait_for(lsn).map(|()| Once::Now(done))?),
            Ran::Before(lsn) => Ok(self.wait_for(lsn).map(|()| Once::Before(lsn.into()))?),
            Ran::Refused(lsn, e) => {
                self.wait_for(lsn)?;
                Err(e)
            }
            Ran::Barred(lsn, e) => {
                self.wait_for(lsn)?;
                Err(e.into())
            }
            Ran::Failed(e) => Err(e.into()),
        }
    }

    /// Runs `f` until it commits without a conflict.
    pub(crate) fn transact<R, E>(
        &self,
        id: Option<&[u8]>,
        how: How,
        mut f: impl FnMut(&Tx<'_>) -> Result<R, E>,
    ) -> Ran<R, E> {
        let author = match guard::check(self.number()).and_then(|()| self.author(id)) {
            Ok(author) => author,
            Err(e) => return Ran::Failed(e),
        };
        let mut met = Conflicts::default();
        loop {
            let turns = self.turns.take(&met.keys);
            if met.want_bar() {
                return self.run_at_the_bar(&author, how, &met, f);
            }
            match self.run_once(&author, how, met.run(), &mut f) {
                Ok(ran) => return ran,
                Err(conflict) => {
                    drop(turns);
                    if let Some(failure) = self.wal.failure() {
                        return Ran::Failed(failure.into()); // what was placed is never seen: it would go on for ever
                    }
                    if let Some(key) = conflict.overtaken(&met.in_memory) {
                        return Ran::Failed(self.overtaken(key));
                    }
                    met.add(conflict);
                }
            }
        }
    }

    /// Runs `f` while the writers of all that it conflicted on wait: only those who were past the bar can come between.
    fn run_at_the_bar<R, E>(
        &self,
        author: &Author<'_>,
        how: How,
        met: &Conflicts,
        mut f: impl FnMut(&Tx<'_>) -> Result<R, E>,
    ) -> Ran<R, E> {
        let bar = self.bar.raise(met.collections());
        let mut in_memory = met.in_memory.clone();
        loop {
            match self.run_once(author, how, met.run(), &mut f) {
                Ok(ran) => return ran,
                Err(conflict) => {
                    if let Some(failure) = self.wal.failure() {
                        return Ran::Failed(failure.into());
                    }
                    if let Some(key) = conflict.overtaken(&in_memory) {
                        return Ran::Failed(self.overtaken(key));
                    }
                    in_memory.clone_from(&conflict.in_memory);
                    bar.extend(conflict.collections());
                }
            }
        }
    }

    /// The error of who changes in memory what was written beside it.
    #[cold]
    fn overtaken(&self, key: &FullKey) -> Error {
        Error::new(ErrorKind::Conflict, OVERTAKEN).within(self.held_key(key))
    }

    fn run_once<R, E>(
        &self,
        author: &Author<'_>,
        how: How,
        Run { number: run, holds }: Run,
        f: &mut impl FnMut(&Tx<'_>) -> Result<R, E>,
    ) -> Result<Ran<R, E>, Conflict> {
        let id = author.id;
        let mut watch = None;
        let mut watched = || {
            let (moment, watching) = self.watch(); // before anything is read
            watch = Some(watching);
            moment
        };
        let held = holds.then(|| self.hold_placed(&mut watched));
        let moment = held.as_ref().map_or_else(watched, |held| held.moment);
        match id.map(|id| self.once(id)).transpose() {
            Ok(Some(Some(before))) => return Ok(Ran::Before(before)),
            Ok(_) => {}
            Err(e) => return Ok(Ran::Failed(e)),
        }
        let tx = Tx { core: self, moment, run, state: RefCell::default() };
        let value = {
            let _inside = guard::enter(self.number());
            f(&tx)
        };
        let torn = held.is_none() && self.moments.may_be_torn(moment);
        if tx.state.borrow().stale || torn {
            self.conflicts.fetch_add(1, Ordering::Relaxed);
            let State { reads, in_memory, .. } = tx.state.into_inner();
            let newer = |(full, lsn): &(FullKey, Lsn)| reads.get(full).is_some_and(|read| read > lsn);
            let in_memory = in_memory.into_iter().filter(newer).collect();
            return Err(Conflict { keys: Vec::new(), ranges: BTreeSet::new(), in_memory, torn });
        }
        let finished = if value.is_ok() { tx.finish() } else { Ok(()) };
        let State { reads, ranges, writes, users, claim, memory, in_memory, posted, .. } =
            tx.state.into_inner();
        let decided_on = decided_on(&reads, &ranges, moment);
        let value = match value {
            Ok(value) => value,
            Err(e) => return Ok(Ran::Refused(decided_on, e)),
        };
        if let Err(e) = finished {
            return Ok(Ran::Barred(decided_on, e));
        }
        if writes.is_empty() && id.is_none() {
            return Ok(Ran::Read(decided_on, Done { value, version: moment.into(), wrote: false }));
        }
        let mut reads: Vec<(FullKey, Lsn)> = reads.into_iter().collect();
        if let Some(Ok(id)) = id.map(Key::new) {
            reads.push(((CollectionId::ONCE, id), Lsn::NONE));
        }
        let mut writes: Vec<(FullKey, Write)> = writes.into_iter().collect();
        self.tag_all(&mut writes, &users);
        let remembered: Vec<(FullKey, Lsn)> = in_memory.into_iter().collect();
        let author = Author { token: claim.tokens.first().copied(), ..*author };
        let claim = (!claim.is_empty()).then_some(&claim);
        let memories = Memories(&memory);
        let draft = Draft {
            author,
            writes: &writes,
            reads: &reads,
            ranges: &ranges,
            moment,
            remembered: &remembered,
            claim,
            memory: (!memory.is_empty()).then_some(&memories),
        };
        let placed = self.place(&draft, how);
        drop(watch);
        match placed {
            Ok(placed) => {
                self.hear(&posted);
                Ok(Ran::Placed(placed, Done { value, version: placed.lsn.into(), wrote: true }))
            }
            Err(NotCommitted::Failed(e)) => Ok(Ran::Failed(e)),
            Err(NotCommitted::Barred(lsn, e, None)) => Ok(Ran::Barred(lsn, e)),
            Err(NotCommitted::Barred(lsn, e, Some(key))) => {
                Ok(Ran::Barred(lsn, e.within(self.held_key(&key))))
            }
            Err(NotCommitted::Conflict(keys)) => {
                self.conflicts.fetch_add(1, Ordering::Relaxed);
                let ranges = ranges.into_iter().map(|(collection, _)| collection).collect();
                let in_memory = remembered.into_iter().filter(|(full, _)| keys.contains(full)).collect();
                Err(Conflict { keys, ranges, in_memory, torn: false })
            }
        }
    }
}

/// What a run read that has changed.
struct Conflict {
    keys: Vec<FullKey>,
    /// The collections of which it scanned ranges, changed or not.
    ranges: BTreeSet<CollectionId>,
    /// Keys whose version in memory is not the newest, with that version.
    in_memory: Vec<(FullKey, Lsn)>,
    /// Its moment was given up while it ran.
    torn: bool,
}

/// A run of a transaction.
#[derive(Clone, Copy)]
struct Run {
    /// How many came before.
    number: u32,
    /// It holds its moment.
    holds: bool,
}

impl Conflict {
    /// The key of which memory still has the version that was not the newest when the conflict `before` was met. Memory learns
    /// of what is written from it in the step that gives it its place, so somebody else wrote the key.
    fn overtaken(&self, before: &[(FullKey, Lsn)]) -> Option<&FullKey> {
        self.in_memory.iter().find(|stale| before.contains(stale)).map(|(full, _)| full)
    }

    fn collections(self) -> BTreeSet<CollectionId> {
        self.ranges.into_iter().chain(self.keys.into_iter().map(|(collection, _)| collection)).collect()
    }
}

/// What the runs of a transaction conflicted on so far.
#[derive(Default)]
struct Conflicts {
    met: u32,
    torn: bool,
    /// In order, each once.
    keys: Vec<FullKey>,
    ranges: BTreeSet<CollectionId>,
    /// As the last one says.
    in_memory: Vec<(FullKey, Lsn)>,
}

impl Conflicts {
    fn add(&mut self, conflict: Conflict) {
        self.met += 1;
        self.in_memory = conflict.in_memory;
        self.torn |= conflict.torn;
        self.ranges.extend(conflict.ranges);
        self.keys.extend(conflict.keys);
        self.keys.sort();
        self.keys.dedup();
    }

    fn run(&self) -> Run {
        Run { number: self.met, holds: self.torn }
    }

    fn want_bar(&self) -> bool {
        self.met >= RANGE_CONFLICTS_MAX && !self.ranges.is_empty()
    }

    fn collections(&self) -> BTreeSet<CollectionId> {
        self.ranges.iter().copied().chain(self.keys.iter().map(|(collection, _)| *collection)).collect()
    }
}

impl Core {
    /// Adds to the writes of a run what they change in `$user`, where the keys belonged to these users.
    fn tag_all(&self, writes: &mut Vec<(FullKey, Write)>, users: &BTreeMap<FullKey, Vec<UserId>>) {
        let before = |full| users.get(full).map_or(&[][..], Vec::as_slice);
        let tags: Vec<_> =
            writes.iter().flat_map(|(full, write)| self.tags(full, before(full), write)).collect();
        writes.extend(tags);
    }
}

/// The newest thing that a run saw: its answer waits for that.
fn decided_on(reads: &BTreeMap<FullKey, Lsn>, ranges: &[(CollectionId, OwnRange)], moment: Lsn) -> Lsn {
    let newest = reads.values().copied().max().unwrap_or(Lsn::NONE);
    if ranges.is_empty() { newest } else { moment }
}
