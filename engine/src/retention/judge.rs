//! Pure: which versions of a key stay. All is said in places of the log: who asks has looked up where times stand.

use std::collections::BTreeMap;
use std::time::Duration;

use savehold_wal::Lsn;

use super::settings::{Retention, VersionsKept};
use crate::ids::CollectionId;
use crate::index::{Judge, Kind, VersionRef};
use crate::inner_key::is_outcome;
use crate::record::Cause;

/// The moments that are kept, as places.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// Every moment at or behind it.
    every: Lsn,
    /// Single moments, ascending: full minutes and hours, pins.
    marks: Vec<Lsn>,
    /// Open snapshots and running transactions, ascending: they hold collections without history too.
    held: Vec<Lsn>,
    /// Every moment at or behind it is held as they are: by a backup that is being made.
    onward: Lsn,
}

/// Who holds what.
#[derive(Clone, Debug)]
pub struct Holds {
    /// Single moments, in any order.
    pub moments: Vec<Lsn>,
    /// Every moment at or behind it; [`Lsn::MAX`]: none.
    pub onward: Lsn,
}

impl Default for Holds {
    fn default() -> Self {
        Self { moments: Vec::new(), onward: Lsn::MAX }
    }
}

impl Kept {
    /// Every moment from `every` on, the single ones `marks`, in any order, and what is held.
    #[must_use]
    pub fn new(every: Lsn, mut marks: Vec<Lsn>, holds: Holds) -> Self {
        let Holds { moments: mut held, onward } = holds;
        marks.sort_unstable();
        marks.dedup();
        held.sort_unstable();
        held.dedup();
        Self { every, marks, held, onward }
    }

    /// Whether `moment` is kept.
    #[must_use]
    pub fn holds(&self, moment: Lsn) -> bool {
        moment >= self.every
            || self.marks.binary_search(&moment).is_ok()
            || self.held.binary_search(&moment).is_ok()
    }

    /// The newest kept moment that is not newer than `moment`; `None` where all are newer.
    #[must_use]
    pub fn at_or_before(&self, moment: Lsn) -> Option<Lsn> {
        if moment >= self.every {
            return Some(moment);
        }
        let last = |list: &[Lsn]| list[..list.partition_point(|mark| *mark <= moment)].last().copied();
        last(&self.marks).max(last(&self.held))
    }

    /// The oldest kept moment.
    #[must_use]
    pub fn oldest(&self) -> Lsn {
        let first = |list: &[Lsn]| list.first().copied().unwrap_or(Lsn::MAX);
        self.every.min(first(&self.marks)).min(first(&self.held))
    }

    /// Whether a kept moment lies in `from..before`, where a version is the newest of its key.
    fn any_in(&self, from: Lsn, before: Lsn) -> bool {
        before > self.every || any_in(&self.marks, from, before) || self.any_held(from, before)
    }

    /// Whether somebody holds a moment in `from..before`.
    fn any_held(&self, from: Lsn, before: Lsn) -> bool {
        before > self.onward || any_in(&self.held, from, before)
    }
}

fn any_in(list: &[Lsn], from: Lsn, before: Lsn) -> bool {
    list.get(list.partition_point(|mark| *mark < from)).is_some_and(|mark| *mark < before)
}

/// What is kept of a collection, as places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// What the moments keep, and versions for themselves.
    History {
        /// Versions of explicit commits at or behind it stay.
        explicit: Lsn,
        /// Versions that the autosave wrote at or behind it stay.
        autosaves: Lsn,
        /// The newest so many stay.
        newest: u32,
    },
    /// The newest version, and what snapshots hold.
    NewestOnly,
    /// The same, and what was the newest at any moment at or behind the one right before this place: those are whole.
    NewestFrom(Lsn),
    /// Nothing that is older, the newest version neither: outcomes of commits.
    Passing(Lsn),
}

impl Rule {
    /// The rule of a collection; `since` says which place stood at a time before now.
    pub fn of(retention: Retention, since: impl Fn(Duration) -> Lsn) -> Self {
        match retention {
            Retention::NewestOnly => Self::NewestOnly,
            Retention::History(VersionsKept { explicit, autosaves, newest }) => {
                Self::History { explicit: since(explicit), autosaves: since(autosaves), newest }
            }
        }
    }

    /// From where on a version stays for itself.
    fn alone(&self, cause: Cause) -> Lsn {
        match (self, cause) {
            (Self::History { explicit, .. }, Cause::Explicit) => *explicit,
            (Self::History { autosaves, .. }, Cause::Autosave) => *autosaves,
            _ => Lsn::MAX,
        }
    }
}

/// How much of a key's history is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Older versions may stand elsewhere: removals stay.
    Part,
    /// Nothing older stands in the index, and the files of the log before this place hold nothing that the index does not
    /// list.
    All(Lsn),
}

impl Kept {
    /// Says of each of a key's `versions`, newest first, whether it stays by `rule`.
    pub fn judge(&self, rule: &Rule, versions: &[VersionRef], reach: Reach, stay: &mut Vec<bool>) {
        stay.clear();
        let mut newer = Lsn::MAX;
        for (n, version) in versions.iter().enumerate() {
            debug_assert!(version.lsn < newer, "newest first");
            stay.push(self.stays(rule, n, version, newer));
            newer = version.lsn;
        }
        let Reach::All(settled) = reach else { return };
        // What an ending ended is in no table any more, and in no file: only now may it go, the oldest first.
        for (version, stay) in versions.iter().zip(stay).rev() {
            let own = version.lsn >= rule.alone(version.cause) || version.lsn >= self.every;
            if version.kind == Kind::Put || version.lsn >= settled || own {
                break;
            }
            *stay = false;
        }
    }

    fn stays(&self, rule: &Rule, n: usize, version: &VersionRef, newer: Lsn) -> bool {
        match rule {
            Rule::Passing(from) => version.lsn >= *from,
            _ if n == 0 => true,
            Rule::NewestOnly => self.any_held(version.lsn, newer),
            Rule::NewestFrom(whole) => newer >= *whole || self.any_held(version.lsn, newer),
            Rule::History { newest, .. } => {
                n < *newest as usize
                    || version.lsn >= rule.alone(version.cause)
                    || self.any_in(version.lsn, newer)
            }
        }
    }
}

/// What is kept of every collection.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The moments.
    pub kept: Kept,
    /// Of every collection that is not among `rules`.
    pub usual: Rule,
    /// By the number of the collection.
    pub rules: BTreeMap<u32, Rule>,
    /// The files of the log before this place hold nothing that the index does not list.
    pub settled: Lsn,
}

impl Plan {
    /// The rule of a collection.
    #[must_use]
    pub fn rule(&self, collection: u32) -> &Rule {
        self.rules.get(&collection).unwrap_or(&self.usual)
    }

    /// The rule of a key: that a restore undid an id is noted in `$set`, and lapses as outcomes do.
    fn rule_of(&self, collection: u32, key: &[u8]) -> &Rule {
        self.rule(if is_outcome(collection, key) { CollectionId::ONCE.0 } else { collection })
    }
}

impl Judge for Plan {
    fn judge(
        &mut self,
        collection: u32,
        key: &[u8],
        versions: &[VersionRef],
        oldest: bool,
        keep: &mut [bool],
    ) {
        let reach = if oldest { Reach::All(self.settled) } else { Reach::Part };
        let rule = self.rule_of(collection, key);
        if let [VersionRef { kind: Kind::Put, .. }] = versions
            && !matches!(rule, Rule::Passing(_))
        {
            return; // the newest stays, whatever it is: most keys have no other
        }
        let mut stay = Vec::new();
        self.kept.judge(rule, versions, reach, &mut stay);
        keep.iter_mut().zip(stay).for_each(|(keep, stay)| *keep &= stay);
    }
}
