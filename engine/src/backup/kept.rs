//! Pure: which moments a thinned backup still has, and which of them is the one before another.
//!
//! A file that was thinned says from which place on it has everything, and by which terms it was judged. A moment before
//! that place it has where those terms kept it, whole in every collection that had a past then; and every moment at which
//! nothing of the file stood yet. A backup has the moments that all its files have.
//!
//! A collection that kept its newest versions alone takes no part in that: whoever set it so gave its past up, and not that of
//! all others. Of it a backup has of each key, at a moment that is not whole, no more than what no thinning has dropped: the
//! newest that is left may be older than what stood then, and never is newer.

use std::collections::BTreeSet;

use savehold_wal::Lsn;
use savehold_wal::backup::Cut;

use crate::retention::Terms;

/// A file of a backup that was thinned.
#[derive(Clone, Debug)]
pub(super) struct Thinned {
    /// Its first place.
    pub(super) base: Lsn,
    /// From here on it has every moment.
    pub(super) judged: Lsn,
    /// By what it was judged; `None` where that cannot be read.
    pub(super) terms: Option<Terms>,
}

impl Thinned {
    /// The newest moment not behind `moment` that this file has.
    fn before(&self, moment: Lsn) -> Option<Lsn> {
        if moment >= self.judged || moment < self.base {
            return Some(moment);
        }
        let kept = self.terms.as_ref().and_then(|terms| terms.kept_before(moment));
        let none = (self.base.offset() > 0).then(|| Lsn::from_raw(self.base.raw() - 1)); // nothing of it stood there
        kept.max(none)
    }
}

/// The collections that are not whole at a moment.
fn torn(terms: &Terms, moment: Lsn) -> impl Iterator<Item = u32> + '_ {
    let torn = move |(_, place): &(&u32, &Lsn)| moment.raw().saturating_add(1) < place.raw();
    terms.partial.iter().filter(torn).map(|(number, _)| *number)
}

/// Between which places a moment lies: the newest record that it shows, and the first that it does not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Between {
    shown: Lsn,
    hidden: Lsn,
}

impl Between {
    /// Nothing is known yet.
    pub(super) const UNKNOWN: Self = Self { shown: Lsn::NONE, hidden: Lsn::MAX };

    /// Notes a record of the backup.
    pub(super) fn note(&mut self, lsn: Lsn, shown: bool) {
        match shown {
            true => self.shown = self.shown.max(lsn),
            false => self.hidden = self.hidden.min(lsn),
        }
    }

    fn at(lsn: Lsn) -> Self {
        Self { shown: lsn, hidden: Lsn::from_raw(lsn.raw().saturating_add(1)) }
    }
}

/// The collections, by number, of which a backup with these files may lack something at the moment of a cut: right at its
/// place or, where it is cut by time, where the records say.
pub(super) fn not_whole_at(thinned: &[Thinned], cut: Cut, between: Between) -> BTreeSet<u32> {
    let by_place = cut.time_us == u64::MAX;
    not_whole(thinned, if by_place { Between::at(cut.last) } else { between })
}

fn not_whole(thinned: &[Thinned], moment: Between) -> BTreeSet<u32> {
    let harmed = thinned.iter().filter(|file| file.base < moment.hidden && moment.shown < file.judged);
    harmed.filter_map(|file| file.terms.as_ref()).flat_map(|terms| torn(terms, moment.shown)).collect()
}

/// Whether a backup with these files has every moment from a time on, microseconds since 1970, however it was thinned.
pub(super) fn keeps_all_since(thinned: &[Thinned], time_us: u64) -> bool {
    thinned.iter().all(|file| file.terms.as_ref().is_some_and(|terms| terms.horizon.every_us <= time_us))
}

/// The newest moment not behind `moment` that a backup with these files has; `None` where there is none.
pub(super) fn kept_before(thinned: &[Thinned], moment: Lsn) -> Option<Lsn> {
    let mut moment = moment;
    loop {
        let all: Option<Vec<Lsn>> = thinned.iter().map(|file| file.before(moment)).collect();
        match all?.into_iter().min() {
            Some(before) if before < moment => moment = before,
            _ => return Some(moment),
        }
    }
}

/// The single moments that the backup has before those of which it has every one, the oldest first, each with the time
/// at which it stood. Nothing stood before `first`, its first place.
pub(super) fn moments(thinned: &[Thinned], first: Lsn) -> Vec<(u64, Lsn)> {
    let judged = thinned.iter().map(|file| file.judged).max().unwrap_or(Lsn::NONE);
    let marks = thinned.iter().filter_map(|file| file.terms.as_ref()).flat_map(|terms| &terms.marks);
    let mut all: Vec<(u64, Lsn)> = marks
        .filter(|mark| mark.place >= first && mark.place < judged)
        .filter(|mark| kept_before(thinned, mark.place) == Some(mark.place))
        .map(|mark| (mark.time_us, mark.place))
        .collect();
    all.sort_unstable();
    all.dedup_by_key(|(_, place)| *place);
    all
}

/// The moment of `moments` that stood at a time; `None` where all are later.
pub(super) fn at_time(moments: &[(u64, Lsn)], time_us: u64) -> Option<(u64, Lsn)> {
    moments[..moments.partition_point(|(at, _)| *at <= time_us)].last().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retention::Mark;

    fn lsn(n: u64) -> Lsn {
        Lsn::new(7, n)
    }

    fn file(base: u64, judged: u64, marks: &[u64], partial: Option<u64>) -> Thinned {
        let mark = |n: &u64| Mark { time_us: n * 10, place: lsn(*n) };
        let terms = Terms {
            every: lsn(judged),
            marks: marks.iter().map(mark).collect(),
            pins: vec![lsn(15)],
            partial: partial.map(|place| (16, lsn(place))).into_iter().collect(),
            ..Terms::default()
        };
        Thinned { base: lsn(base), judged: lsn(judged), terms: Some(terms) }
    }

    #[test]
    fn a_moment_is_one_that_every_file_has_in_which_anything_stood_then() {
        let old = file(10, 100, &[20, 40, 60, 80], None);
        let new = file(50, 200, &[20, 60, 90, 150], None);
        let both = [old.clone(), new];
        for (asked, found) in [
            (9, Some(9)),
            (12, Some(9)),
            (15, Some(15)),
            (39, Some(20)),
            (40, Some(40)), // the newer file is of later
            (49, Some(40)),
            (60, Some(60)),
            (80, Some(60)), // the newer one dropped it
            (95, Some(60)), // 90 is none of the older one's
            (149, Some(90).map(|_| 60)),
            (150, Some(150)),
            (199, Some(150)),
            (200, Some(200)),
            (900, Some(900)),
        ] {
            assert_eq!(kept_before(&both, lsn(asked)), found.map(lsn), "{asked}");
        }
        assert_eq!(moments(&both, lsn(0)), [20, 40, 60, 150].map(|n| (n * 10, lsn(n))));
        assert_eq!(at_time(&moments(&both, lsn(0)), 1499), Some((600, lsn(60))));
        assert_eq!(at_time(&moments(&both, lsn(0)), 199), None);
        assert_eq!(kept_before(&[], lsn(5)), Some(lsn(5)));
        let first = Thinned { base: lsn(0), ..old };
        assert_eq!(kept_before(&[first], lsn(12)), None);
    }

    #[test]
    fn a_collection_that_keeps_its_newest_values_alone_takes_no_moment_from_the_others_and_is_told_of() {
        let mut file = file(10, 100, &[20, 60, 90], Some(61));
        let terms = file.terms.as_mut().expect("there");
        terms.every = lsn(80);
        terms.horizon.every_us = 800;
        let file = std::slice::from_ref(&file);
        for (asked, found, torn) in
            [(95, 95, false), (70, 60, false), (59, 20, true), (15, 15, true), (9, 9, false)]
        {
            assert_eq!(kept_before(file, lsn(asked)), Some(lsn(found)), "{asked}");
            let at = Between::at(lsn(found));
            assert_eq!(!not_whole(file, at).is_empty(), torn, "{found}");
        }
        let mut between = Between::UNKNOWN;
        for (n, shown) in [(10, true), (40, true), (75, false), (90, false)] {
            between.note(lsn(n), shown);
        }
        assert_eq!(not_whole(file, between), BTreeSet::from([16]));
        assert_eq!([799, 800, 900].map(|time_us| keeps_all_since(file, time_us)), [false, true, true]);
        let unread = Thinned { terms: None, ..file[0].clone() };
        assert_eq!(kept_before(std::slice::from_ref(&unread), lsn(95)), Some(lsn(9)));
        assert!(!keeps_all_since(&[unread], 900));
    }
}
