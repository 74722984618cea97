//! What is said, and that it fits.

use std::path::PathBuf;

use super::*;

fn teller(format: Format) -> Teller {
    Teller::new(format, TimeZone::UTC)
}

fn tally() -> Tally {
    let ms = |ms| Duration::from_millis(ms);
    Tally {
        acknowledged: 123_456,
        fenced: 5,
        kills: 3,
        done: 7,
        not_done: 11,
        recoveries: vec![ms(9), ms(2), ms(4)],
        restored: Some(true),
        verdict: Verdict::default(),
    }
}

#[test]
fn programs_get_one_object_and_nothing_else() {
    let teller = teller(Format::Json);
    let demo = Demo { seconds: 1, players: 2, kills: 3 };
    assert_eq!(teller.opening(&demo, Path::new("x"), false, &Model::new(2)), "");
    assert_eq!(teller.round(&Round::new(1, Duration::ZERO, None)), "");
    assert_eq!(
        teller.summary(&tally(), None),
        "{\"acknowledged\":123456,\"lost\":0,\"duplicated\":0,\"kills\":3,\"ambiguous_resolved\":18,\
         \"recovery_ms_max\":9.000,\"recovery_ms_median\":4.000,\"fenced\":5,\"restored\":true}\n"
    );
    let none = teller.summary(&Tally::default(), None);
    assert!(none.contains("\"recovery_ms_max\":null"), "{none}");
}

#[test]
fn nothing_is_wider_than_a_terminal() {
    let teller = teller(Format::Table);
    let demo = Demo { seconds: 86_400, players: 1_000_000, kills: 10_000 };
    let mut text =
        teller.opening(&demo, Path::new("/tmp/savehold-demo-0123456789abcdef"), false, &Model::new(9));
    let mut round =
        Round::new(10_000, Duration::from_millis(864_000), Some(Duration::from_micros(1_999_999)));
    (round.acknowledged, round.done, round.not_done) = (123_456_789, 16, 16);
    text += &teller.round(&round);
    let mut long = tally();
    (long.done, long.not_done, long.acknowledged) = (123_456, 123_456, u64::MAX);
    text += &teller.summary(&long, None);
    text += &teller.story(&Story {
        player: 999_999,
        versions: Vec::new(),
        shown: 6,
        then_us: 1_795_366_800_250_000,
        then: Some(Player { coins: 100_000, bag: (4_999_900..4_999_930).collect() }),
    });
    for line in text.lines() {
        assert!(line.chars().count() <= WIDTH, "{line:?}");
    }
}

#[test]
fn a_broken_promise_is_said_aloud_and_the_store_is_named() {
    let mut tally = tally();
    tally.verdict = Verdict { lost: 1, duplicated: 2, findings: vec!["item 5 is in no bag".to_owned()] };
    let text = teller(Format::Table).summary(&tally, Some(&PathBuf::from("played")));
    for part in ["lost          1\n", "duplicated    2\n", "- item 5 is in no bag\n", "a bug", "--dir played"]
    {
        assert!(text.contains(part), "{text}");
    }
    assert!(!text.contains("no coin is missing"), "{text}");
}

#[test]
fn a_change_is_told_by_what_came_and_what_went() {
    let player = |coins, bag: &[u64]| Player { coins, bag: bag.to_vec() };
    let before = player(100, &[1, 2]);
    assert_eq!(change(Some(&before), &player(93, &[1, 2, 9])), "-7 +item 9");
    assert_eq!(change(Some(&before), &player(120, &[2])), "+20 -item 1");
    assert_eq!(change(Some(&before), &before), "");
    assert_eq!(change(None, &before), "the world begins");
}

#[test]
fn the_median_is_the_one_in_the_middle() {
    assert_eq!(tally().recovery_median(), Some(Duration::from_millis(4)));
    assert_eq!(Tally::default().recovery_median(), None);
}
