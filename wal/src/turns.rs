//! Pure: who may sync at the same time as others, and what was written and has no answer yet.
//!
//! - *Apart*: a turn is one opening of each file, and has one holder: a sync that fails is told to whoever it concerns.
//! - *In order*: a group is answered when its own sync is done, and those of all before it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::group::Group;

/// Most syncs at once. Two take hardly longer than one where a disk is asked by a queue, and leave it no pause between them; a
/// third makes the groups smaller and none of them faster.
pub(crate) const TURNS: usize = 2;

/// Fewer commits than this at once go into one group: what a second sync would save them is less than it costs.
const APART_MIN: u32 = 8;

/// More than this keep the processors busy for longer than a sync takes: smaller groups would only cost them more.
const APART_MAX: u32 = 64;

/// Groups after which it is tried whether commits that go together would go in halves.
const TRIED_AFTER: u32 = 32;

/// Groups of half a crowd, one behind the other without a second beside it, before they go together again: of a trial, and of
/// halves that were beside each other.
const TRIAL: u32 = 2;
const PATIENCE: u32 = 8;

/// How many commits come again and again, and whether they go in halves, of which one is synced beside the other. Only those whose
/// threads wait for them make a second group: halves of a stream of tickets would be smaller groups and no more of them at once.
#[derive(Debug, Default)]
pub(crate) struct Crowd {
    /// Commits under way at once, of late.
    size: u32,
    /// Halves to go without a second group before they go together.
    halves_left: u32,
    /// Groups since they went together.
    together: u32,
}

impl Crowd {
    /// Takes note of a group of so many records that is about to be written, beside others that have no answer yet, and says how
    /// much company the next one waits for.
    pub(crate) fn note(&mut self, records: u32, unanswered: u32, synced: bool) -> u32 {
        if !synced {
            return records;
        }
        let now = records + unanswered;
        self.size = now.max(self.size - self.size.div_ceil(4));
        if unanswered > 0 && self.halves_left > 0 {
            self.halves_left = PATIENCE;
        } else if self.halves_left > 0 {
            self.halves_left -= 1;
            self.together = 0;
        } else {
            self.together += 1;
            if self.together >= TRIED_AFTER {
                self.halves_left = TRIAL;
            }
        }
        let apart = self.halves_left > 0 && (APART_MIN..=APART_MAX).contains(&self.size);
        if apart { self.size.div_ceil(2) } else { now }
    }
}

/// True where so many are enough for a second sync beside another, of a group that waits for this much company.
pub(crate) const fn is_enough(waiting: u32, company: u32) -> bool {
    let least = if company == 0 { 1 } else { company };
    waiting >= least && company <= APART_MAX
}

/// The right to sync, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn(usize);

impl Turn {
    /// True for the one whose opening of a segment is the segment's own file.
    pub(crate) const fn is_first(self) -> bool {
        self.0 == 0
    }
}

/// Turns that are taken, of those that there are.
#[derive(Debug)]
pub(crate) struct Turns {
    taken: [bool; TURNS],
    most: usize,
}

impl Turns {
    /// Of `most` turns, none is taken.
    pub(crate) const fn new(most: usize) -> Self {
        Self { taken: [false; TURNS], most }
    }

    /// How many there are.
    pub(crate) const fn most(&self) -> usize {
        self.most
    }

    /// From now on one at a time.
    pub(crate) const fn reduce(&mut self) {
        self.most = 1;
    }

    /// True where one can be taken.
    pub(crate) fn any(&self) -> bool {
        self.taken.iter().filter(|taken| **taken).count() < self.most
    }

    /// Takes one.
    pub(crate) fn take(&mut self) -> Option<Turn> {
        let free = self.taken.iter().position(|taken| !taken).filter(|_| self.any())?;
        self.taken[free] = true;
        Some(Turn(free))
    }

    /// Gives one back.
    pub(crate) const fn give_back(&mut self, turn: Turn) {
        self.taken[turn.0] = false;
    }
}

/// A group that was written.
#[derive(Debug)]
struct Written {
    group: Arc<Group>,
    /// When what it waited for was done (boot clock).
    done: Option<Duration>,
}

/// Groups that were written and have no answer yet, in the order of their places.
#[derive(Debug, Default)]
pub(crate) struct Unanswered(VecDeque<Written>);

impl Unanswered {
    /// Takes what was written behind all that is there.
    pub(crate) fn push(&mut self, group: Arc<Group>, done: Option<Duration>) {
        self.0.push_back(Written { group, done });
    }

    /// Notes that the group of this number was synced, and when.
    pub(crate) fn synced(&mut self, number: u32, at: Duration) {
        if let Some(written) = self.0.iter_mut().find(|written| written.group.number == number) {
            written.done = Some(at);
        }
    }

    /// The oldest one, if nothing keeps it from its answer any more.
    pub(crate) fn pop(&mut self) -> Option<(Arc<Group>, Duration)> {
        let at = self.0.front()?.done?;
        self.0.pop_front().map(|written| (written.group, at))
    }

    /// True where the n-th of them, from 0, keeps no answer back itself.
    #[cfg(test)]
    pub(crate) fn is_done(&self, n: usize) -> bool {
        self.0.get(n).is_some_and(|written| written.done.is_some())
    }

    /// Records in them.
    pub(crate) fn records(&self) -> u32 {
        self.0.iter().map(|written| written.group.records).sum()
    }

    /// True where everything that was written has its answer.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_has_one_holder_and_as_many_are_out_as_there_are() {
        let mut turns = Turns::new(TURNS);
        let (first, second) = (turns.take().unwrap(), turns.take().unwrap());
        assert!(first.is_first() && !second.is_first());
        assert_eq!((turns.take(), turns.any()), (None, false));
        turns.give_back(first);
        assert_eq!(turns.take(), Some(first));
        turns.reduce();
        turns.give_back(first);
        assert_eq!(turns.take(), None, "the other is still out, and from now on one is at a time");
        turns.give_back(second);
        assert_eq!(turns.take(), Some(first));
        assert_eq!(turns.take(), None);
    }

    #[test]
    fn few_go_together_some_in_halves_and_many_together() {
        for (size, company) in [(1, 1), (2, 2), (7, 7), (8, 4), (9, 5), (64, 32), (65, 65), (2_000, 2_000)] {
            let mut crowd = Crowd::default();
            (0..TRIED_AFTER).for_each(|_| _ = crowd.note(size, 0, true));
            assert_eq!(crowd.note(size, 0, true), company, "a trial of {size}");
            for _ in 0..100 {
                assert_eq!(crowd.note(size - size / 2, size / 2, true), company, "halves of {size}");
            }
        }
    }

    #[test]
    fn halves_that_are_alone_go_together_again() {
        let mut crowd = Crowd::default();
        let small = (0..1_000).filter(|_| crowd.note(40, 0, true) < 40).count();
        assert!((20..80).contains(&small), "{small} of 1000 wait for less than all, to try it");
        (0..2 * TRIED_AFTER).for_each(|_| _ = crowd.note(20, 20, true));
        let halves = (0..100).filter(|_| crowd.note(40, 0, true) < 40).count() as u32;
        assert!(
            (PATIENCE - 1..PATIENCE + 3 * TRIAL).contains(&halves),
            "{halves} after one that was beside another"
        );
        assert_eq!(crowd.note(12, 0, false), 12, "what no sync follows waits for as many as were there");
    }

    #[test]
    fn as_many_as_a_group_waits_for_are_enough_for_a_second_one() {
        for (waiting, company, enough) in [
            (0, 0, false),
            (1, 0, true),
            (0, 1, false),
            (1, 1, true),
            (3, 4, false),
            (4, 4, true),
            (70, 65, false),
        ] {
            assert_eq!(is_enough(waiting, company), enough, "{waiting} of {company}");
        }
    }
}
