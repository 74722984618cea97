//! Pure: how much of what an archive holds stands as it is, while the log goes on and packs what it has.
//!
//! An archive takes nothing twice: what it holds of a place stays, whatever the log makes of that place later, and it
//! thins by itself. So it looks only at what the log has behind a border. At a border neither the archive nor the log has a
//! segment that reaches over it; before it all of the archive is of the log's past. Behind it the log must have everything
//! as it was written: what the log packed there was judged beside a log that no longer held what the archive holds before the
//! border, so an ending may be lacking, and what it ended would begin again. Then nothing of the archive stands, and it takes
//! the log as it is.

use super::inventory::Held;
use crate::lsn::Lsn;
use crate::segment::catalog::Timeline;

/// A segment of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct There {
    pub(super) base: Lsn,
    /// Behind the last place of which it may hold anything.
    pub(super) to: Lsn,
    pub(super) packed: bool,
}

/// How many segments of the archive stand, its first ones, and the border behind them: what the log has before it is not
/// looked at.
pub(super) fn standing(own: &[Held], timelines: &[Timeline], log: &[There]) -> (usize, Lsn) {
    let past = |held: &&Held| held.end.is_some_and(|end| is_past(timelines, held.base, end));
    let most = own.iter().take_while(past).count();
    let found = (1..=most).rev().map(|n| (n, border(own, n))).find(|(n, border)| {
        let held = own[*n - 1].end.unwrap_or(Lsn::NONE); // one that was closed and goes on is not all there
        let before = |there: &There| there.to <= if there.packed { *border } else { held };
        log.iter().all(|there| before(there) || there.base >= *border && !there.packed)
    });
    found.unwrap_or((0, Lsn::NONE))
}

/// Behind the last place that the first `n` segments own.
fn border(own: &[Held], n: usize) -> Lsn {
    let end = own[n - 1].capacity_end();
    own.get(n).map_or(end, |next| next.base.min(end))
}

/// Whether a segment, up to its end, is of the past of a log with these timelines: none was left before by a restore, and it
/// is of none of the same number that began elsewhere.
pub(super) fn is_past(timelines: &[Timeline], base: Lsn, end: Lsn) -> bool {
    let own = timelines.iter().position(|timeline| timeline.number == base.timeline());
    let Some(own) = own else { return false };
    let left = |next: &Timeline| next.branch != Lsn::NONE && next.branch < end;
    base >= timelines[own].first() && !timelines[own + 1..].iter().any(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::header::SegmentKind;

    fn lsn(n: u64) -> Lsn {
        Lsn::new(7, n * 4096)
    }

    fn held(base: u64, to: u64) -> Held {
        Held {
            base: lsn(base),
            capacity: (to - base) * 4096,
            number: base,
            generation: 0,
            kind: SegmentKind::Log,
            end: Some(lsn(to)),
            judged: Lsn::NONE,
            judgement: 0,
            records: 0,
            first_us: 1,
            last_us: 1,
            pieces: Vec::new(),
        }
    }

    fn there(base: u64, to: u64, packed: bool) -> There {
        There { base: lsn(base), to: lsn(to), packed }
    }

    #[test]
    fn what_the_archive_has_stands_up_to_a_border_behind_which_the_log_is_as_it_was_written() {
        let own = [held(0, 4), held(4, 8), held(8, 16), Held { end: None, ..held(16, 32) }];
        let first = [Timeline { number: 7, offset: 0, branch: Lsn::NONE, begun_us: 0 }];
        for (what, log, stands) in [
            (
                "as it was copied",
                &[there(0, 4, false), there(4, 8, false), there(8, 16, false), there(16, 20, false)][..],
                3,
            ),
            ("packed where the archive has it", &[there(0, 16, true), there(16, 20, false)], 3),
            ("packed up to a border", &[there(0, 8, true), there(8, 16, false), there(16, 20, false)], 3),
            (
                "packed over what the archive lacks",
                &[there(0, 4, false), there(4, 20, true), there(20, 24, false)],
                0,
            ),
            ("packed behind a border", &[there(0, 16, true), there(16, 32, true), there(32, 40, false)], 0),
            ("gone on with", &[there(0, 4, false), there(4, 8, false), there(8, 17, false)], 2),
            ("given up", &[there(8, 16, false), there(16, 20, false)], 3),
        ] {
            assert_eq!(standing(&own, &first, log).0, stands, "{what}");
        }
        assert_eq!(standing(&own, &first, &[]).1, lsn(16));
        assert_eq!(standing(&[], &first, &[there(0, 4, true)]), (0, Lsn::NONE));
    }

    #[test]
    fn what_another_restore_of_one_number_wrote_is_nobody_elses_past() {
        let line = |number, offset, branch| Timeline { number, offset, branch, begun_us: 0 };
        let lines = [
            line(7, 0, Lsn::NONE),
            line(9, 1 << 44, lsn(4)),
            line(11, 1 << 43, Lsn::new(9, (1 << 44) + 8192)),
        ];
        for (what, base, end, past) in [
            ("before the restore", lsn(0), lsn(4), true),
            ("undone by it", lsn(4), lsn(5), false),
            ("of the timeline that it began", Lsn::new(9, 1 << 44), Lsn::new(9, (1 << 44) + 4096), true),
            (
                "behind where the next one left that",
                Lsn::new(9, 1 << 44),
                Lsn::new(9, (1 << 44) + 12288),
                false,
            ),
            ("of another, in a lane before it", Lsn::new(9, 1 << 43), Lsn::new(9, (1 << 43) + 4096), false),
            ("of another, in a lane behind it", Lsn::new(9, 3 << 43), Lsn::new(9, (3 << 43) + 4096), false),
            ("of nobody", Lsn::new(10, 0), Lsn::new(10, 4096), false),
        ] {
            assert_eq!(is_past(&lines, base, end), past, "{what}");
        }
    }

    #[test]
    fn what_a_restore_undid_stands_no_more() {
        let own = [held(0, 4), held(4, 8), held(8, 16)];
        let mut lines = vec![Timeline { number: 7, offset: 0, branch: Lsn::NONE, begun_us: 0 }];
        lines.push(Timeline { number: 9, offset: 0, branch: Lsn::from_raw(lsn(7).raw()), begun_us: 0 });
        let cut = [there(0, 4, false), there(4, 7, false)];
        assert_eq!(standing(&own, &lines, &cut), (1, lsn(4)));
        assert_eq!(standing(&own, &lines, &[there(0, 4, false), there(4, 7, true)]).0, 0);
        assert_eq!(standing(&own, &lines, &[there(0, 7, false)]).0, 0);
    }
}
