//! Pure: at which places of the log values lie that merges dropped from the tables, and which merge was the last to.
//!
//! A file of the log that was judged by that merge, or by a later one, holds none of them any more; and where no merge
//! dropped a value the tables list every value that a file holds, though nobody ever judged it. Either way the file is
//! *settled*. Endings do not count: tables that are made anew may list one that was dropped, and it ends nothing then.

use std::ops::Range;

use savehold_wal::Lsn;

/// From each place on, up to the next, the number of the newest merge that dropped a value there; 0: none did. Places ascend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Drops(Vec<(Lsn, u64)>);

impl Drops {
    /// This merge dropped values, and nobody knows where.
    pub(crate) fn anywhere(number: u64) -> Self {
        let mut all = Self::default();
        all.go_on(Lsn::NONE, number);
        all
    }

    /// What was written; `None`: the places do not ascend.
    pub(crate) fn of(steps: Vec<(Lsn, u64)>) -> Option<Self> {
        steps.windows(2).all(|pair| pair[0].0 < pair[1].0).then_some(Self(steps))
    }

    /// What is to be written.
    pub(crate) fn steps(&self) -> &[(Lsn, u64)] {
        &self.0
    }

    /// Says the number from `place` on, which lies behind all that was said.
    pub(crate) fn go_on(&mut self, place: Lsn, number: u64) {
        if self.0.last().map_or(0, |(_, last)| *last) != number {
            self.0.push((place, number));
        }
    }

    /// The newest merge that dropped a value in `places`; 0: none did.
    pub(crate) fn newest_in(&self, places: &Range<Lsn>) -> u64 {
        let first = self.0.partition_point(|(place, _)| *place <= places.start).saturating_sub(1);
        let inside = self.0[first..].iter().take_while(|(place, _)| *place < places.end);
        inside.map(|(_, number)| *number).max().unwrap_or(0)
    }

    /// What either says.
    pub(crate) fn with(&self, other: &Self) -> Self {
        let mut places: Vec<Lsn> = self.0.iter().chain(&other.0).map(|(place, _)| *place).collect();
        places.sort_unstable();
        let mut both = Self::default();
        places.into_iter().for_each(|place| both.go_on(place, self.at(place).max(other.at(place))));
        both
    }

    /// Puts together what lies within one file of the log, where files begin at `bases`, in order: the newest merge counts for
    /// all of it. Files become one and are never taken apart, so whoever asks for whole ones is told the same as before, and
    /// whoever asks for less is told no older merge. Else the list would grow with every merge for ever.
    pub(crate) fn put_together(&mut self, bases: &[Lsn]) {
        let (from, to) = ([Lsn::NONE].iter().chain(bases), bases.iter().chain(&[Lsn::MAX]));
        let mut whole = Self::default();
        for (from, to) in from.zip(to).filter(|(from, to)| from < to) {
            whole.go_on(*from, self.newest_in(&(*from..*to)));
        }
        *self = whole;
    }

    fn at(&self, place: Lsn) -> u64 {
        let behind = self.0.partition_point(|(from, _)| *from <= place);
        behind.checked_sub(1).map_or(0, |at| self.0[at].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drops(steps: &[(u64, u64)]) -> Drops {
        Drops::of(steps.iter().map(|(place, number)| (Lsn::from_raw(*place), *number)).collect()).unwrap()
    }

    #[test]
    fn a_stretch_of_the_log_knows_the_newest_merge_that_dropped_a_value_in_it() {
        let some = drops(&[(10, 3), (20, 0), (30, 7), (40, 0)]);
        for (from, to, newest) in [
            (0, 10, 0),
            (0, 11, 3),
            (10, 20, 3),
            (19, 30, 3),
            (20, 30, 0),
            (25, 31, 7),
            (0, 99, 7),
            (40, 99, 0),
        ] {
            assert_eq!(some.newest_in(&(Lsn::from_raw(from)..Lsn::from_raw(to))), newest, "{from}..{to}");
        }
        let all = Lsn::NONE..Lsn::MAX;
        assert_eq!((Drops::default().newest_in(&all), Drops::anywhere(5).newest_in(&all)), (0, 5));
        assert!(Drops::anywhere(0) == Drops::default() && Drops::anywhere(5) != Drops::default());
    }

    #[test]
    fn what_two_tables_say_together_is_what_either_says_of_every_place() {
        let all = [
            drops(&[]),
            drops(&[(10, 3), (20, 0), (30, 7), (40, 0)]),
            drops(&[(15, 4), (35, 0)]),
            drops(&[(0, 2)]),
            drops(&[(20, 9)]),
        ];
        for (one, other) in all.iter().flat_map(|one| all.iter().map(move |other| (one, other))) {
            let both = one.with(other);
            let at = |place| [one, other].map(|drops| drops.at(Lsn::from_raw(place))).into_iter().max();
            (0..50).for_each(|place| assert_eq!(Some(both.at(Lsn::from_raw(place))), at(place)));
            assert!(both.steps().windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 != pair[1].1));
        }
    }

    #[test]
    fn what_lies_in_one_file_is_put_together_and_files_are_told_what_they_were_told() {
        let some = drops(&[(10, 3), (15, 9), (20, 0), (30, 7), (34, 5), (35, 0), (50, 2)]);
        for bases in [vec![], vec![0], vec![0, 10, 20, 30, 40], vec![12, 25, 25, 33], vec![40, 60]] {
            let bases: Vec<Lsn> = bases.into_iter().map(Lsn::from_raw).collect();
            let mut whole = some.clone();
            whole.put_together(&bases);
            assert_eq!(Drops::of(whole.steps().to_vec()).as_ref(), Some(&whole), "it can be read again");
            assert!(whole.steps().len() <= bases.len() + 1, "{bases:?}: {whole:?}");
            let ends = || bases.iter().chain(&[Lsn::MAX]);
            for (from, to) in
                ends().flat_map(|from| ends().map(move |to| (*from, *to))).filter(|(a, b)| a < b)
            {
                assert_eq!(
                    whole.newest_in(&(from..to)),
                    some.newest_in(&(from..to)),
                    "{bases:?}: {from}..{to}"
                );
            }
            (0..70)
                .for_each(|place| assert!(whole.at(Lsn::from_raw(place)) >= some.at(Lsn::from_raw(place))));
        }
    }

    #[test]
    fn places_that_do_not_ascend_are_none() {
        for places in [[5, 5], [6, 5]] {
            assert_eq!(Drops::of(places.map(|place| (Lsn::from_raw(place), 1)).to_vec()), None);
        }
    }
}
