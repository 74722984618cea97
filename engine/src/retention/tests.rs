use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use savehold_wal::Lsn;

use super::*;
use crate::index::{Judge, Kind, Place, VersionRef};
use crate::limits::{MOMENTS_MAX, PINS_MAX, RETENTIONS_MAX};
use crate::record::Cause;
use crate::tests::Dice;

mod terms;

const SECOND_US: u64 = 1_000_000;
const MINUTE_US: u64 = 60 * SECOND_US;
const HOUR_US: u64 = 60 * MINUTE_US;
const DAY_US: u64 = 24 * HOUR_US;

/// In these tests a place is a time, so that every time has one.
fn place(time_us: u64) -> Lsn {
    Lsn::new(1, time_us)
}

fn version(time_us: u64, kind: Kind, cause: Cause) -> VersionRef {
    VersionRef { lsn: place(time_us), place: Place { offset: 0, bytes: 8 }, kind, cause }
}

/// The single times that are kept.
fn times(horizon: Horizon) -> impl Iterator<Item = u64> {
    let marks = horizon.marks();
    (0..marks.count()).map(move |n| marks.time(n))
}

/// The plan at a time, as the store makes it.
fn plan(horizon: Horizon, retention: Retention, now_us: u64, pins: &[u64], held: &[u64]) -> Plan {
    let places = |times: &mut dyn Iterator<Item = u64>| times.map(place).collect();
    let marks = places(&mut times(horizon).chain(pins.iter().copied()));
    let since = |time: Duration| place(now_us.saturating_sub(time.as_micros() as u64));
    Plan {
        kept: Kept::new(
            place(horizon.every_us),
            marks,
            Holds { moments: places(&mut held.iter().copied()), ..Holds::default() },
        ),
        usual: Rule::of(retention, since),
        rules: BTreeMap::new(),
        settled: Lsn::NONE,
    }
}

fn thin(plan: &Plan, versions: &mut Vec<VersionRef>, reach: Reach) {
    let mut stay = Vec::new();
    plan.kept.judge(plan.rule(16), versions, reach, &mut stay);
    let mut stays = stay.iter();
    versions.retain(|_| *stays.next().expect("one for each"));
}

/// What a key is at a moment.
fn at(versions: &[VersionRef], moment: Lsn) -> Option<Lsn> {
    versions.iter().find(|v| v.lsn <= moment).filter(|v| v.kind == Kind::Put).map(|v| v.lsn)
}

#[test]
fn moments_are_all_then_minutes_then_hours_and_the_earlier_one_serves() {
    let now = 100 * DAY_US + 5 * HOUR_US + 17 * MINUTE_US + 23;
    let horizon = Horizon::default().advanced(&Moments::default(), now);
    let ago = |us: u64| now - us;
    for (asked, served) in [
        (now, Some(now)),
        (ago(HOUR_US), Some(ago(HOUR_US))),
        (ago(HOUR_US) - 24, Some(ago(HOUR_US) - 23 - MINUTE_US)),
        (ago(2 * HOUR_US), Some(ago(2 * HOUR_US) - 23)),
        (ago(DAY_US), Some(100 * DAY_US + 5 * HOUR_US - DAY_US)),
        (ago(9 * DAY_US), Some(91 * DAY_US + 5 * HOUR_US)),
        (ago(30 * DAY_US) + 43 * MINUTE_US, Some(70 * DAY_US + 6 * HOUR_US)),
        (ago(30 * DAY_US), None),
    ] {
        assert_eq!(horizon.kept_at(asked), served, "{asked}");
    }
    assert_eq!(times(horizon).count(), 23 * 60 + 29 * 24);
    assert!(times(horizon).is_sorted_by(|a, b| a < b), "none twice");
    assert!(times(horizon).all(|mark| horizon.kept_at(mark) == Some(mark)));
}

#[test]
fn single_times_are_found_by_their_number_and_numbers_by_a_time() {
    let mut dice = Dice::new(2);
    for _ in 0..200 {
        let [a, b, c] = [(); 3].map(|()| dice.next() % (3 * DAY_US));
        let (every_us, minutes_us, hours_us) =
            (a.max(b).max(c), a.min(c).max(a.max(c).min(b)), a.min(b).min(c));
        let horizon = Horizon { every_us, minutes_us, hours_us };
        let all: Vec<u64> = times(horizon).collect();
        assert!(
            all.is_sorted_by(|a, b| a < b) && all.iter().all(|time| horizon.kept_at(*time) == Some(*time))
        );
        for asked in [0, hours_us, minutes_us, every_us, dice.next() % (3 * DAY_US), u64::MAX] {
            let expected = all.partition_point(|time| *time < asked) as u64;
            assert_eq!(horizon.marks().first_from(asked), expected, "{asked} in {horizon:?}");
        }
        let kept = (0..DAY_US * 3 / MINUTE_US).map(|n| n * MINUTE_US);
        let kept = kept.filter(|time| *time < every_us && horizon.kept_at(*time) == Some(*time));
        assert_eq!(all, kept.collect::<Vec<_>>(), "{horizon:?}");
    }
    for (every_us, minutes_us, hours_us) in
        [(u64::MAX, u64::MAX - 1, u64::MAX - 1), (0, 9, u64::MAX), (7, 7, 8)]
    {
        assert_eq!(Horizon { every_us, minutes_us, hours_us }.marks().count(), 0, "whatever MANIFEST says");
    }
}

/// However settings are changed, no more single moments are kept than one of them allows.
#[test]
fn single_moments_stay_within_what_settings_may_keep() {
    for seed in 0..200 {
        let mut dice = Dice::new(seed);
        let (mut now, mut horizon) = (3000 * DAY_US, Horizon::default());
        for _ in 0..12 {
            let days = |dice: &mut Dice, most| Duration::from_secs(dice.next() % (most * DAY_US / SECOND_US));
            let (every, minutes) = (days(&mut dice, 30), days(&mut dice, 40));
            let hours = if dice.coin() { Duration::ZERO } else { days(&mut dice, 1400) };
            let moments = Moments { every, minutes, hours };
            for _ in 0..if moments.check().is_ok() { 4 } else { 0 } {
                horizon = horizon.advanced(&moments, now);
                assert!(horizon.marks().count() <= MOMENTS_MAX, "seed {seed}: {horizon:?}");
                now += dice.next() % (9 * DAY_US);
            }
        }
    }
}

#[test]
fn a_moment_that_was_given_up_never_comes_back() {
    let mut dice = Dice::new(1);
    for _ in 0..40 {
        let (mut now, mut horizon) = (50 * DAY_US, Horizon::default());
        let mut gone: Vec<u64> = Vec::new();
        for _ in 0..30 {
            now += dice.next() % (2 * DAY_US);
            let time = |dice: &mut Dice| Duration::from_micros(dice.next() % (9 * DAY_US));
            let (every, minutes, hours) = (time(&mut dice), time(&mut dice), time(&mut dice));
            horizon = horizon.advanced(&Moments { every, minutes, hours }, now);
            assert!(horizon.hours_us <= horizon.minutes_us && horizon.minutes_us <= horizon.every_us);
            assert!(gone.iter().all(|time| horizon.kept_at(*time) != Some(*time)), "{horizon:?}");
            let asked: Vec<u64> = (0..200).map(|_| (dice.next() % (now / MINUTE_US)) * MINUTE_US).collect();
            gone.extend(asked.into_iter().filter(|time| horizon.kept_at(*time) != Some(*time)));
        }
    }
}

#[test]
fn nothing_is_given_up_where_all_is_kept() {
    let horizon = Horizon::default().advanced(&Moments::ALL, 400 * DAY_US);
    assert_eq!((horizon.every_us, times(horizon).count()), (0, 0));
    assert_eq!(horizon.kept_at(7), Some(7));
}

/// Each rule by a table: versions newest first as (hours ago, kind, cause, stays).
#[test]
fn each_rule_keeps_what_it_says() {
    use Cause::{Autosave, Explicit};
    use Kind::{Put, Remove};
    let now = 100 * DAY_US;
    let ago = |minutes: u64| now - minutes * MINUTE_US;
    let horizon = Horizon::default().advanced(&Moments::default(), now);
    let history = |versions: VersionsKept| Retention::History(versions);
    let usual = history(VersionsKept::default());
    let two = history(VersionsKept { newest: 2, ..VersionsKept::default() });
    let day = Duration::from_secs(24 * 3600);
    let saves = history(VersionsKept { autosaves: 40 * day, explicit: Duration::ZERO, newest: 1 });
    type Row = (u64, Kind, Cause, bool);
    let cases: &[(&str, Retention, &[Row])] = &[
        (
            "all of the last hour",
            usual,
            &[(0, Put, Autosave, true), (1, Put, Autosave, true), (59, Remove, Autosave, true)],
        ),
        ("the one that stood when it began", usual, &[(59, Put, Autosave, true), (61, Put, Autosave, true)]),
        (
            "one an hour after a day",
            usual,
            &[
                (1, Put, Autosave, true),
                (25 * 60 + 10, Put, Autosave, true),
                (25 * 60 + 20, Put, Autosave, false),
                (25 * 60 + 70, Put, Autosave, true),
            ],
        ),
        (
            "explicit ones for a week",
            usual,
            &[
                (1, Put, Autosave, true),
                (25 * 60 + 10, Put, Autosave, true),
                (25 * 60 + 20, Put, Explicit, true),
                (8 * 24 * 60 + 10, Put, Explicit, true),
                (8 * 24 * 60 + 20, Put, Explicit, false),
            ],
        ),
        (
            "the newest, however old",
            usual,
            &[(40 * 24 * 60, Put, Autosave, true), (41 * 24 * 60, Put, Autosave, false)],
        ),
        (
            "the newest two",
            two,
            &[
                (40 * 24 * 60, Put, Autosave, true),
                (41 * 24 * 60, Put, Autosave, true),
                (42 * 24 * 60, Put, Autosave, false),
            ],
        ),
        (
            "autosaves for themselves",
            saves,
            &[
                (0, Put, Autosave, true),
                (39 * 24 * 60, Put, Autosave, true),
                (39 * 24 * 60 + 1, Put, Explicit, false),
            ],
        ),
        (
            "no history",
            Retention::NewestOnly,
            &[(0, Put, Explicit, true), (1, Put, Explicit, false), (2, Remove, Explicit, false)],
        ),
    ];
    for (name, retention, rows) in cases {
        let versions: Vec<VersionRef> = rows.iter().map(|row| version(ago(row.0), row.1, row.2)).collect();
        let (mut stay, plan) = (Vec::new(), plan(horizon, *retention, now, &[], &[]));
        plan.kept.judge(plan.rule(16), &versions, Reach::Part, &mut stay);
        assert_eq!(stay, rows.iter().map(|row| row.3).collect::<Vec<_>>(), "{name}");
    }
}

#[test]
fn pins_and_snapshots_keep_their_moment_and_a_snapshot_holds_what_has_no_history() {
    let now = 100 * DAY_US;
    let horizon = Horizon::default().advanced(&Moments::NONE, now);
    let mut all: Vec<VersionRef> =
        (0..9).map(|n| version(now - n * DAY_US, Kind::Put, Cause::Autosave)).collect();
    let none =
        Retention::History(VersionsKept { explicit: Duration::ZERO, autosaves: Duration::ZERO, newest: 1 });
    let (pin, held) = (now - 3 * DAY_US + 5, now - 6 * DAY_US);
    let kept = |retention| {
        let mut versions = all.clone();
        thin(&plan(horizon, retention, now, &[pin], &[held]), &mut versions, Reach::Part);
        versions.iter().map(|v| (now - v.lsn.offset()) / DAY_US).collect::<Vec<_>>()
    };
    assert_eq!(kept(none), [0, 3, 6]);
    assert_eq!(kept(Retention::NewestOnly), [0, 6]);
    all.truncate(1);
    assert_eq!(all.len(), 1);
}

/// A backup that is being made may be of any moment since it began.
#[test]
fn a_backup_holds_every_moment_since_it_began() {
    let holds = Holds { onward: place(50), ..Holds::default() };
    let kept = Kept::new(place(100), Vec::new(), holds);
    let versions: Vec<VersionRef> =
        [90, 60, 51, 40, 30].map(|at| version(at, Kind::Put, Cause::Autosave)).to_vec();
    let none = Rule::History { explicit: Lsn::MAX, autosaves: Lsn::MAX, newest: 1 };
    for rule in [none, Rule::NewestOnly] {
        let mut stay = Vec::new();
        kept.judge(&rule, &versions, Reach::Part, &mut stay);
        assert_eq!(stay, [true, true, true, true, false], "{rule:?}");
    }
}

#[test]
fn outcomes_pass_whole() {
    let versions = vec![version(10, Kind::Put, Cause::Explicit)];
    let mut stay = Vec::new();
    let kept = Kept::new(place(0), Vec::new(), Holds::default());
    for (from, expected) in [(10, true), (11, false)] {
        kept.judge(&Rule::Passing(place(from)), &versions, Reach::Part, &mut stay);
        assert_eq!(stay, [expected]);
    }
}

/// An ending goes only once nothing older is there, in the index or in a file.
#[test]
fn an_ending_outlives_its_beginning() {
    let now = 100 * DAY_US;
    let plan = plan(Horizon::default().advanced(&Moments::NONE, now), Retention::default(), now, &[], &[]);
    let old = |day: u64, kind| version(day * DAY_US, kind, Cause::Explicit);
    let settled = place(50 * DAY_US);
    for (name, versions, reach, expected) in [
        ("older ones may be elsewhere", vec![old(10, Kind::Remove)], Reach::Part, 1),
        ("a file may still hold an older one", vec![old(60, Kind::Remove)], Reach::All(settled), 1),
        ("nothing older anywhere", vec![old(10, Kind::Remove)], Reach::All(settled), 0),
        ("its beginning goes first", vec![old(10, Kind::Remove), old(9, Kind::Put)], Reach::All(settled), 1),
        ("what began anew stays", vec![old(11, Kind::Put), old(10, Kind::Remove)], Reach::All(settled), 1),
        ("kept for itself", vec![old(95, Kind::Remove)], Reach::All(place(now)), 1),
    ] {
        let mut versions = versions;
        thin(&plan, &mut versions, reach);
        assert_eq!(versions.len(), expected, "{name}");
    }
}

/// One key of the model: everything ever written, and what is left of it.
#[derive(Default)]
struct ModelKey {
    all: Vec<VersionRef>,
    left: Vec<VersionRef>,
}

/// Whatever is written, thinned and thinned again as time goes by: at every moment that is kept, every key is as it was.
#[test]
fn at_every_kept_moment_every_key_is_as_it_was() {
    for seed in 0..60 {
        let mut dice = Dice::new(seed);
        let (mut now, mut horizon) = (50 * DAY_US, Horizon::default());
        let mut keys: BTreeMap<usize, ModelKey> = BTreeMap::new();
        let (mut pins, mut held): (Vec<u64>, Vec<u64>) = (Vec::new(), Vec::new());
        for _ in 0..600 {
            now += 1 + dice.next() % [SECOND_US, 3 * MINUTE_US, HOUR_US, 8 * HOUR_US][dice.below(4)];
            match dice.below(12) {
                0 => pins.push(now),
                1 => held.push(now),
                2 if !pins.is_empty() => drop(pins.swap_remove(dice.below(pins.len()))),
                3 if !held.is_empty() => drop(held.swap_remove(dice.below(held.len()))),
                4 => {
                    horizon = horizon.advanced(&Moments::default(), now);
                    let plan = plan(horizon, Retention::default(), now, &pins, &held);
                    let some = dice.below(3); // a merge is about some keys
                    for (n, key) in keys.iter_mut().filter(|(n, _)| **n % 3 != some) {
                        let reach = if dice.coin() { Reach::All(place(now)) } else { Reach::Part };
                        thin(&plan, &mut key.left, reach);
                        let moments = times(horizon).chain(pins.iter().copied()).chain(held.iter().copied());
                        let dense =
                            (0..20).map(|_| horizon.every_us + dice.next() % (now - horizon.every_us + 1));
                        for moment in moments.chain(dense.collect::<Vec<_>>()) {
                            let moment = place(moment);
                            assert_eq!(
                                at(&key.left, moment),
                                at(&key.all, moment),
                                "seed {seed}, key {n} at {moment}"
                            );
                        }
                    }
                }
                _ => {
                    let key = keys.entry(dice.below(5)).or_default();
                    let kind = if dice.below(4) == 0 { Kind::Remove } else { Kind::Put };
                    let cause = if dice.below(3) == 0 { Cause::Explicit } else { Cause::Autosave };
                    key.all.insert(0, version(now, kind, cause));
                    key.left.insert(0, version(now, kind, cause));
                }
            }
        }
    }
}

/// Transfers between accounts: their sum is the same at every moment that history answers for.
#[test]
fn a_sum_that_every_transaction_keeps_is_kept_at_every_moment() {
    const ACCOUNTS: usize = 6;
    for seed in 0..40 {
        let mut dice = Dice::new(seed);
        let (mut now, mut horizon) = (50 * DAY_US, Horizon::default());
        let mut balance = [100_i64; ACCOUNTS];
        let mut values: HashMap<(usize, Lsn), i64> = HashMap::new();
        let mut accounts: Vec<Vec<VersionRef>> = vec![Vec::new(); ACCOUNTS];
        let write = |accounts: &mut Vec<Vec<VersionRef>>,
                     values: &mut HashMap<_, _>,
                     n: usize,
                     now: u64,
                     value: i64| {
            accounts[n].insert(0, version(now, Kind::Put, Cause::Autosave));
            values.insert((n, place(now)), value);
        };
        for (n, value) in balance.iter().enumerate() {
            write(&mut accounts, &mut values, n, now, *value);
        }
        for _ in 0..400 {
            now += 1 + dice.next() % [MINUTE_US / 2, HOUR_US, 5 * HOUR_US][dice.below(3)];
            let (a, b, by) = (dice.below(ACCOUNTS), dice.below(ACCOUNTS), dice.below(50) as i64);
            if a != b {
                (balance[a], balance[b]) = (balance[a] - by, balance[b] + by);
                write(&mut accounts, &mut values, a, now, balance[a]);
                write(&mut accounts, &mut values, b, now, balance[b]);
            }
            if dice.below(8) != 0 {
                continue;
            }
            horizon = horizon.advanced(&Moments::default(), now);
            let plan = plan(horizon, Retention::default(), now, &[], &[]);
            let merged = dice.below(ACCOUNTS);
            thin(&plan, &mut accounts[merged], Reach::Part);
            for _ in 0..50 {
                let asked = place(50 * DAY_US + dice.next() % (now - 50 * DAY_US + 1));
                let Some(moment) = plan.kept.at_or_before(asked) else { continue };
                if moment < place(50 * DAY_US) {
                    continue; // before there was anything
                }
                let sum: i64 =
                    (0..ACCOUNTS).map(|n| values[&(n, at(&accounts[n], moment).expect("there"))]).sum();
                assert_eq!(sum, 100 * ACCOUNTS as i64, "seed {seed} at {moment}");
            }
        }
    }
}

/// Documents of 12 KB that change every second, which the autosave writes every ten: what a thousand of them take.
#[test]
fn a_thousand_players_who_change_every_second_take_less_than_forty_gigabytes() {
    const DOCUMENT_BYTES: u64 = 12_000;
    const PLAYERS: u64 = 1000;
    let begin = 100 * DAY_US + 17 * MINUTE_US + 3;
    let (mut versions, mut horizon, mut now) = (Vec::new(), Horizon::default(), begin);
    for (after, expected) in [(HOUR_US, 360), (DAY_US, 360 + 23 * 60), (7 * DAY_US, 360 + 23 * 60 + 6 * 24)] {
        while now < begin + after {
            let until = (now + HOUR_US).min(begin + after);
            while now < until {
                now += 10 * SECOND_US;
                versions.insert(0, version(now, Kind::Put, Cause::Autosave));
            }
            horizon = horizon.advanced(&Moments::default(), now);
            thin(&plan(horizon, Retention::default(), now, &[], &[]), &mut versions, Reach::Part);
        }
        let bytes = versions.len() as u64 * DOCUMENT_BYTES * PLAYERS;
        assert!(versions.len().abs_diff(expected) <= 2, "{} versions after {after} µs", versions.len());
        assert!(bytes <= 40_000_000_000, "{bytes} bytes after {after} µs");
    }
}

/// The hook of merges says the same: a removal goes only where no older table is left out.
#[test]
fn a_merge_asks_the_plan() {
    let now = 100 * DAY_US;
    let mut plan =
        plan(Horizon::default().advanced(&Moments::NONE, now), Retention::default(), now, &[], &[]);
    plan.settled = place(50 * DAY_US);
    let ended = [version(10 * DAY_US, Kind::Remove, Cause::Explicit)];
    let passed =
        [version(12 * DAY_US, Kind::Put, Cause::Explicit), version(11 * DAY_US, Kind::Put, Cause::Explicit)];
    for (versions, oldest, expected) in
        [(&ended[..], false, vec![true]), (&ended, true, vec![false]), (&passed, false, vec![true, false])]
    {
        let mut keep = vec![true; versions.len()];
        Judge::judge(&mut plan, 16, b"k", versions, oldest, &mut keep);
        assert_eq!(keep, expected);
    }
}
