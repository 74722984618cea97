use super::*;
use BackupName::{Archive, Numbered};

/// A backup every six hours, the first at time zero.
fn backups(count: u64) -> Vec<(BackupName, u64)> {
    let mut all: Vec<_> = (0..count).map(|n| (Numbered(n + 1), n * 6 * HOUR_US)).collect();
    all.insert(0, (Archive, 0));
    all
}

fn staying(keep: Keep, count: u64) -> Vec<u64> {
    let (all, now_us) = (backups(count), count * 6 * HOUR_US);
    let going = keep.going(&all, now_us);
    assert!(!going.contains(&Archive));
    (1..=count).filter(|n| !going.contains(&Numbered(*n))).collect()
}

#[test]
fn each_rule_keeps_its_own_and_the_newest_stays_always() {
    let none = Keep::default();
    let cases: [(&str, Keep, Vec<u64>); 7] = [
        ("no rule keeps all", none, (1..=12).collect()),
        ("the last two", Keep { last: 2, ..none }, vec![11, 12]),
        ("more than there are", Keep { last: 20, ..none }, (1..=12).collect()),
        ("newest of each of two days", Keep { daily: 2, ..none }, vec![8, 12]),
        ("newest of each of three hours", Keep { hourly: 3, ..none }, vec![10, 11, 12]),
        ("a day", Keep { within: Duration::from_secs(86_400), ..none }, vec![9, 10, 11, 12]),
        ("a week", Keep { weekly: 1, ..none }, vec![12]),
    ];
    for (what, keep, stays) in cases {
        assert_eq!(staying(keep, 12), stays, "{what}");
    }
    assert_eq!(staying(Keep { last: 1, daily: 2, ..none }, 12), [8, 12], "rules add up");
    assert!(none.going(&[], 5).is_empty());
}
