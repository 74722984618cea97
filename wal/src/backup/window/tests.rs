use super::*;
use crate::backup::form::Form;
use crate::backup::inventory::{Held, Piece};
use crate::format::checksum::StoreId;
use crate::format::header::SegmentKind;
use crate::segment::catalog::Timeline;
use BackupName::Numbered;

fn lsn(timeline: u16, blocks: u64) -> Lsn {
    Lsn::new(timeline, blocks * 4096)
}

fn held(from: Lsn, to: Lsn, times: (u64, u64)) -> Held {
    Held {
        base: from,
        capacity: 1 << 20,
        number: 1,
        generation: 0,
        kind: SegmentKind::Log,
        end: Some(to),
        judged: Lsn::NONE,
        judgement: 0,
        records: 0,
        first_us: times.0,
        last_us: times.1,
        pieces: vec![Piece { from, to, crc: 0, form: Form::Plain }],
    }
}

fn timeline(number: u16, branch: Lsn, begun_us: u64) -> Timeline {
    Timeline { number, offset: 0, branch, begun_us }
}

fn inventory(sequence: u64, timelines: Vec<Timeline>, segments: Vec<Held>) -> Inventory {
    let last = segments.last().unwrap();
    Inventory {
        sequence,
        store: StoreId([7; 16]),
        through: last.end.unwrap(),
        time_us: last.last_us,
        made_us: last.last_us,
        frontier: last.capacity_end(),
        lanes: crate::lane::Lanes::default(),
        timelines,
        segments,
        attachment: Vec::new(),
    }
}

/// Timeline 10 from 100 µs to 900 µs; a restore at 1000 µs goes back to its place of 400 µs and goes on as 12.
fn world() -> (Inventory, Inventory) {
    let first = timeline(10, Lsn::NONE, 50);
    let old = inventory(1, vec![first], vec![held(lsn(10, 0), lsn(10, 90), (100, 900))]);
    let second = timeline(12, lsn(10, 40), 1000);
    let kept = held(lsn(10, 0), lsn(10, 40), (100, 400));
    let new = inventory(2, vec![first, second], vec![kept, held(lsn(12, 0), lsn(12, 30), (1100, 2000))]);
    (old, new)
}

#[test]
fn a_time_means_the_timeline_that_was_live_then() {
    let (old, new) = world();
    let backups = [(Numbered(1), &old), (Numbered(2), &new)];
    let cases = [
        (99, None),
        (100, Some((2, lsn(10, 40)))),
        (400, Some((2, lsn(10, 40)))),
        (401, Some((1, lsn(10, 90)))), // undone since, and live then
        (900, Some((1, lsn(10, 90)))),
        (901, None), // nothing is known of it
        (1000, Some((2, lsn(12, 30)))),
        (2000, Some((2, lsn(12, 30)))),
        (2001, None),
    ];
    for (time_us, expected) in cases {
        let chosen = choose(&backups, Moment::Time(time_us));
        let expected = expected.map(|(n, through): (u64, Lsn)| {
            (Numbered(n), Cut { last: Lsn::from_raw(through.raw() - 1), time_us })
        });
        assert_eq!(chosen.ok(), expected, "{time_us}");
    }
}

#[test]
fn a_place_of_an_undone_future_is_refused_until_an_older_backup_is_named() {
    let (old, new) = world();
    let both = [(Numbered(1), &old), (Numbered(2), &new)];
    let undone = choose(&both, Moment::At(lsn(10, 50)));
    assert_eq!(undone, Err(NoWindow::Undone(lsn(10, 40))));
    let named = choose(&both[..1], Moment::At(lsn(10, 50))).unwrap();
    assert_eq!(named, (Numbered(1), Cut { last: lsn(10, 50), time_us: u64::MAX }));
    assert_eq!(choose(&both, Moment::At(lsn(10, 39))).unwrap().0, Numbered(2));
    assert_eq!(choose(&both, Moment::Latest).unwrap(), (Numbered(2), Cut::NOTHING));
    for outside in [lsn(9, 0), lsn(11, 5), lsn(12, 30), Lsn::MAX] {
        assert!(matches!(choose(&both, Moment::At(outside)), Err(NoWindow::Outside(w)) if w.len() == 3));
    }
    assert!(choose(&[], Moment::Latest).is_err());
}

#[test]
fn a_compacted_file_serves_moments_from_where_it_was_judged() {
    let first = timeline(10, Lsn::NONE, 50);
    let mut packed = held(lsn(10, 0), lsn(10, 20), (100, 300));
    packed.judged = lsn(10, 50);
    let rest = held(lsn(10, 300), lsn(10, 400), (310, 900));
    let thinned = inventory(1, vec![first], vec![packed, rest]);
    let [window] = windows(Numbered(1), &thinned)[..] else { panic!() };
    assert_eq!((window.from, window.through, window.from_us), (lsn(10, 50), lsn(10, 400), 300));
    assert!(choose(&[(Numbered(1), &thinned)], Moment::At(lsn(10, 10))).is_err());
    assert!(choose(&[(Numbered(1), &thinned)], Moment::At(lsn(10, 50))).is_ok());
}
