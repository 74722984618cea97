//! Pure: which moments a thinned backup still has, and which of them is the one before another.
//!
//! A file that was thinned says from which place on it has everything, and by which terms it was judged. A moment before
//! that place it has where those terms kept it, whole in every collection; and every moment at which nothing of the file
//! stood yet. A backup has the moments that all its files have.

use savehold_wal::Lsn;

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
        let kept = self
            .terms
            .as_ref()
            .and_then(|terms| terms.kept_before(moment).filter(|kept| is_whole(terms, *kept)));
        let none = (self.base.offset() > 0).then(|| Lsn::from_raw(self.base.raw() - 1)); // nothing of it stood there
        kept.max(none)
    }
}

/// Whether every collection is whole at a moment that the terms keep.
fn is_whole(terms: &Terms, moment: Lsn) -> bool {
    terms.partial.values().all(|place| moment.raw().saturating_add(1) >= place.raw())
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
    fn where_a_collection_kept_its_newest_values_alone_no_earlier_moment_is_whole() {
        let file = file(10, 100, &[20, 60, 90], Some(61));
        assert_eq!(kept_before(std::slice::from_ref(&file), lsn(95)), Some(lsn(90)));
        assert_eq!(kept_before(std::slice::from_ref(&file), lsn(70)), Some(lsn(60)));
        assert_eq!(kept_before(std::slice::from_ref(&file), lsn(50)), Some(lsn(9)));
        let unread = Thinned { terms: None, ..file };
        assert_eq!(kept_before(&[unread], lsn(95)), Some(lsn(9)));
    }
}
