use super::*;
use crate::meta;

/// Commits at some times; a place is a time, and the moment of a time is that of the newest commit before it.
fn stood(commits: &[u64]) -> impl FnMut(u64) -> Result<Lsn, ()> {
    move |time_us| {
        Ok(commits[..commits.partition_point(|at| *at <= time_us)].last().map_or(Lsn::NONE, |at| place(*at)))
    }
}

fn asked(collections: &[(u32, Retention)], now_us: u64) -> Asked<'_> {
    let (moments, outcomes, through) = (Moments::default(), OUTCOMES, place(now_us));
    Asked { moments, outcomes, collections, now_us, through }
}

/// Places are told in a few steps just as each kept time by itself would tell them, however often terms follow terms.
#[test]
fn marks_are_the_moments_of_the_kept_times() {
    for seed in 0..30 {
        let mut dice = Dice::new(seed);
        let (mut now, mut terms, mut commits) = (50 * DAY_US, Terms::default(), Vec::new());
        for _ in 0..40 {
            for _ in 0..dice.below(30) {
                now += 1 + dice.next() % [SECOND_US, MINUTE_US, 5 * MINUTE_US][dice.below(3)];
                commits.push(now);
            }
            now += dice.next() % [MINUTE_US, 9 * HOUR_US, 3 * DAY_US][dice.below(3)];
            terms = terms.advanced(&asked(&[], now), stood(&commits)).expect("no error");
            let mut places: Vec<Lsn> =
                times(terms.horizon).map(|time| stood(&commits)(time).expect("no error")).collect();
            places.dedup();
            let marks: Vec<Lsn> = terms.marks.iter().map(|mark| mark.place).collect();
            assert_eq!(marks, places, "seed {seed}");
            assert_eq!(terms.every, stood(&commits)(terms.horizon.every_us).expect("no error"));
            assert_eq!(meta::decode::<Terms>(&meta::encode(&terms).unwrap()).unwrap(), terms);
            let time = 50 * DAY_US + dice.next() % (now - 50 * DAY_US + 1);
            let kept = terms.kept_before(place(time));
            assert!(kept.is_none_or(|kept| kept <= place(time) && terms.keeps(kept)));
        }
    }
}

#[test]
fn a_night_without_commits_is_one_mark() {
    let now = 100 * DAY_US;
    let commits = [now - 20 * HOUR_US, now - 2 * HOUR_US];
    let terms = Terms::default().advanced(&asked(&[], now), stood(&commits)).expect("no error");
    let places: Vec<Lsn> = terms.marks.iter().map(|mark| mark.place).collect();
    assert_eq!(places, [Lsn::NONE, place(commits[0]), place(commits[1])]);
    assert_eq!(terms.kept_before(place(commits[1] - 1)), Some(place(commits[0])));
    assert!(meta::encode(&terms).unwrap().len() < 150);
}

/// Minutes that are kept for ever go back to 1970, and hardly any of them has a moment of its own.
#[test]
fn terms_cost_what_stood_however_long_minutes_are_kept() {
    let now = u64::MAX - 7;
    let commits = [3 * HOUR_US, 2 * HOUR_US].map(|ago| now - ago);
    let mut asked_for = 0;
    let mut stood = |time_us| {
        asked_for += 1;
        Ok::<_, ()>(Lsn::from_raw(commits.partition_point(|at| *at <= time_us) as u64))
    };
    let moments = Moments { minutes: Duration::MAX, ..Moments::default() };
    let asked = Asked { moments, outcomes: OUTCOMES, collections: &[], now_us: now, through: Lsn::MAX };
    let terms = Terms::default().advanced(&asked, &mut stood).expect("no error");
    let next = terms.advanced(&Asked { now_us: now + 5, ..asked }, &mut stood).expect("no error");
    for terms in [terms, next] {
        assert_eq!(terms.marks.iter().map(|mark| mark.place.raw()).collect::<Vec<_>>(), [0, 1, 2]);
    }
    assert!(asked_for < 200, "{asked_for} times");
}

/// As many single moments as settings may keep fit into MANIFEST, and with the rest into the note of a packed file.
#[test]
fn all_that_settings_may_keep_can_be_written() {
    let now = 3000 * DAY_US;
    let moments = Moments { hours: Duration::from_secs(MOMENTS_MAX * 3600), ..Moments::NONE };
    moments.check().expect("the most that there may be");
    let asked = Asked { moments, ..asked(&[], now) };
    let place = |time| Ok::<_, ()>(Lsn::from_raw(u64::MAX / 2 + time));
    let terms = Terms::default().advanced(&asked, place).unwrap();
    assert_eq!(terms.marks.len() as u64, MOMENTS_MAX);
    let most = Rule::History { explicit: Lsn::MAX, autosaves: Lsn::MAX, newest: u32::MAX };
    let collections = || (0..RETENTIONS_MAX as u32).map(|n| u32::MAX - n);
    let terms = Terms {
        pins: vec![Lsn::MAX; PINS_MAX],
        rules: collections().map(|number| (number, most)).collect(),
        partial: collections().map(|number| (number, Lsn::MAX)).collect(),
        ..terms
    };
    let bytes = meta::encode(&terms).unwrap();
    assert_eq!(meta::decode::<Terms>(&bytes).unwrap(), terms);
}

/// Full marks of a busy store, and settings of a hundred collections, are no burden to MANIFEST.
#[test]
fn terms_of_a_busy_store_take_some_kilobytes() {
    let now = 100 * DAY_US;
    let collections: Vec<(u32, Retention)> = (16..116).map(|n| (n, Retention::NewestOnly)).collect();
    let terms =
        Terms::default().advanced(&asked(&collections, now), |time| Ok::<_, ()>(place(time))).unwrap();
    assert_eq!(terms.marks.len(), 23 * 60 + 29 * 24);
    assert!(meta::encode(&terms).unwrap().len() < 64 << 10);
}

#[test]
fn what_was_given_up_does_not_come_back_with_a_longer_setting() {
    let now = 100 * DAY_US;
    let kept = |days: u64| {
        let explicit = Duration::from_secs(days * 24 * 3600);
        Retention::History(VersionsKept { explicit, ..VersionsKept::default() })
    };
    let every = |time_us| Ok::<_, ()>(place(time_us));
    let mut terms = Terms::default();
    for (days, after, expected) in [(3, 0, 3), (30, 0, 3), (30, 10, 13), (5, 10, 5)] {
        terms = terms.advanced(&asked(&[(16, kept(days))], now + after * DAY_US), every).unwrap();
        let Some(Rule::History { explicit, .. }) = terms.rules.get(&16) else { panic!("{terms:?}") };
        assert_eq!(*explicit, place(now + after * DAY_US - expected * DAY_US + 1), "{days} after {after}");
    }
    terms = terms.advanced(&asked(&[(17, Retention::NewestOnly)], now + 20 * DAY_US), every).unwrap();
    assert_eq!((terms.partial(17), terms.partial(16)), (place(now + 20 * DAY_US), Lsn::NONE));
    terms = terms.advanced(&asked(&[], now + 21 * DAY_US), every).unwrap();
    assert_eq!(terms.partial(17), place(now + 20 * DAY_US), "it was not whole before");
}

#[test]
fn pins_of_moments_that_are_not_kept_are_none() {
    let now = 100 * DAY_US;
    let before = Terms::default().advanced(&asked(&[], now), |time| Ok::<_, ()>(place(time))).unwrap();
    let (new, full, torn, held) = (now - 5, now - 3 * HOUR_US, now - 3 * HOUR_US + 9, now - 4 * HOUR_US + 9);
    let pins = [new, full, torn].map(place);
    let next = before.clone().with_pins(&before, &pins, vec![place(held)]);
    assert_eq!(next.pins, [held, full, new].map(place));
    assert!(next.keeps(place(held)) && !next.keeps(place(torn)));
    let later = next.clone().with_pins(&next, &[place(held)], Vec::new());
    assert_eq!(later.pins, [place(held)], "once it is pinned it stays");
}

/// Tables that list so many versions, of a hundred bytes of log each, and take as much themselves.
fn extent(versions: u64) -> Extent {
    Extent { versions, log_bytes: 100 * versions, table_bytes: 100 * versions }
}

/// Only much, or a little for long, is worth a merge.
#[test]
fn it_is_looked_as_tables_grow_and_as_time_goes_by() {
    let (mut looked, second) = (Looked::default(), Duration::from_secs(1));
    assert!(looked.next(5 * second, extent(10)).is_zero());
    looked.note(5 * second, extent(1000), Duration::from_secs(3600));
    assert_eq!(looked.next(6 * second, extent(1125)), 224 * second);
    assert!(looked.next(6 * second, extent(1126)).is_zero());
    let heavy = Extent { log_bytes: 113_000, ..extent(1000) };
    assert!(looked.next(6 * second, heavy).is_zero(), "few versions, and large ones");
    looked.note(6 * second, extent(1300), Duration::ZERO);
    assert_eq!(looked.next(6 * second, extent(1300)), 10 * second);
    let share = |all: u64, lapsed: u64| Share {
        versions: (all, lapsed),
        bytes: (all * 100, lapsed * 100),
        waiting: 0,
    };
    for (share, worth) in [(share(0, 0), false), (share(100, 24), false), (share(100, 25), true)] {
        assert_eq!(looked.worth(100 * second, share, extent(1300)), worth, "{share:?}");
    }
    let day = 24 * 3600 * second;
    assert!(!looked.worth(day, share(100, 1), extent(1300)));
    assert!(looked.worth(day + 5 * second, share(100, 1), extent(1300)), "a day after the first look");
    looked.note_merged(day + 5 * second, extent(5));
    assert!(!looked.worth(day + 6 * second, share(100, 1), extent(1300)));
    let mut large = Share::default();
    large.note(10, false);
    large.note(4, true);
    assert!(looked.worth(second, large, extent(1300)));
}

#[test]
fn files_are_settled_once_an_eighth_of_all_versions_are_endings_that_wait_for_it() {
    let waits = |all, waiting| Share { versions: (all, 0), waiting, ..Share::default() }.waits();
    assert!(!waits(0, 0) && !waits(256, 0) && !waits(256, 31));
    assert!(waits(256, 32) && waits(1, 1));
}

/// Writing tables costs little where values are large, and gives much space back.
#[test]
fn the_less_tables_take_of_the_log_the_sooner_they_are_merged() {
    let share = |lapsed: u64| Share { versions: (100, 0), bytes: (100_000, lapsed), waiting: 0 };
    let of_log = |part: u64| Extent { versions: 1000, log_bytes: 1 << 30, table_bytes: (1 << 30) / part };
    for (lapsed, part, worth) in [
        (10_000, 30, true),
        (9_999, 30, false),
        (10_000, 19, false),
        (11_000, 19, true),
        (24_999, 7, false),
        (25_000, 7, true),
    ] {
        assert_eq!(
            Looked::default().worth(Duration::ZERO, share(lapsed), of_log(part)),
            worth,
            "{lapsed} of {part}"
        );
    }
    assert_eq!((share(10_000).of(1 << 30), Share::default().of(9)), ((1 << 30) / 10, 0));
}
