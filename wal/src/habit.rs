//! Pure: what groups were like of late, and whether space that is written ahead pays for them.
//!
//! A synced write into space that was only allocated makes the file system note that its blocks were written, by a commit of
//! its journal: about as long as the sync itself. Zeros ahead spare that, and are written twice over for what is large.

/// Groups larger than this on average pay for zeros twice: space is then only allocated. What the zeros of a group take of a
/// disk that writes half a gigabyte a second is then as much as its sync gains by them.
const ZEROS_GROUP_BYTES_MAX: u64 = 32 << 10;

/// One group counts as no more than this, so that few huge ones do not speak for many that follow.
const GROUP_BYTES_COUNTED: u64 = 4 * ZEROS_GROUP_BYTES_MAX;

/// Where so many groups were seen, they count half: what comes next is judged by the last few hundred.
const GROUPS_REMEMBERED: u64 = 256;

/// One in so many groups is synced, at least, where zeros pay.
const GROUPS_FOR_A_SYNC: u64 = 4;

/// What is remembered of the groups that were written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Habit {
    groups: u64,
    synced: u64,
    bytes: u64,
}

impl Habit {
    /// Takes a group into account.
    pub(crate) fn note(&mut self, bytes: u64, synced: bool) {
        if self.groups >= GROUPS_REMEMBERED {
            *self = Self { groups: self.groups / 2, synced: self.synced / 2, bytes: self.bytes / 2 };
        }
        self.groups += 1;
        self.synced += u64::from(synced);
        self.bytes += bytes.min(GROUP_BYTES_COUNTED);
    }

    /// Takes into account that a sync came behind groups that had none.
    pub(crate) fn note_sync(&mut self) {
        self.synced = self.groups.min(self.synced + 1);
    }

    /// Whether groups are small and synced; `None` before there was any.
    pub(crate) fn wants_zeros(self) -> Option<bool> {
        let mean = self.bytes.checked_div(self.groups)?;
        Some(mean <= ZEROS_GROUP_BYTES_MAX && self.synced * GROUPS_FOR_A_SYNC >= self.groups)
    }
}

#[cfg(test)]
mod tests {
    use super::{GROUPS_REMEMBERED, Habit};

    fn after(groups: impl IntoIterator<Item = (u64, u64, bool)>) -> Habit {
        let mut habit = Habit::default();
        for (times, bytes, synced) in groups {
            (0..times).for_each(|_| habit.note(bytes, synced));
        }
        habit
    }

    #[test]
    fn zeros_pay_for_small_synced_groups_alone() {
        for (what, groups, zeros) in [
            ("nothing was seen", vec![], None),
            ("one small and synced", vec![(1, 4096, true)], Some(true)),
            ("one small, not synced", vec![(1, 200, false)], Some(false)),
            ("large ones", vec![(500, 64 << 10, true)], Some(false)),
            ("one in four is synced", vec![(3, 200, false), (1, 4096, true)], Some(true)),
            ("one in five is synced", vec![(4, 200, false), (1, 4096, true)], Some(false)),
        ] {
            assert_eq!(after(groups).wants_zeros(), zeros, "{what}");
        }
    }

    #[test]
    fn groups_with_a_sync_of_their_own_behind_them_count_as_synced() {
        let mut habit = Habit::default();
        habit.note_sync();
        assert_eq!(habit.wants_zeros(), None);
        for _ in 0..1_000 {
            habit.note(4096, false);
            habit.note_sync();
        }
        assert_eq!(habit.wants_zeros(), Some(true));
        (0..2 * GROUPS_REMEMBERED).for_each(|_| habit.note(4096, false));
        assert_eq!(habit.wants_zeros(), Some(false));
    }

    #[test]
    fn what_came_before_is_forgotten_within_a_few_hundred_groups() {
        let unsynced = (1_000_000, 1024, false);
        assert_eq!(after([unsynced, (128, 4096, true)]).wants_zeros(), Some(true));
        let huge = (100, 4 << 20, false);
        assert_eq!(after([huge, (2 * GROUPS_REMEMBERED, 4096, true)]).wants_zeros(), Some(true));
        let synced = (1_000_000, 4096, true);
        assert_eq!(after([synced, (2 * GROUPS_REMEMBERED, 200, false)]).wants_zeros(), Some(false));
    }
}
