//! Planted faults: whatever is missing or there twice is found.

use super::*;

fn version(offset: u64) -> Version {
    format!("7.{offset}").parse().unwrap()
}

fn id(number: u64) -> OpId {
    OpId::new(1, 0, number)
}

/// What the verdict is when the store holds the world after a change that no commit made.
fn after(change: impl FnOnce(&mut Model)) -> (u64, u64) {
    let expected = Model::new(4);
    let mut found = expected.clone();
    change(&mut found);
    let mut verdict = Verdict::default();
    verdict.state(&expected, &found);
    assert_eq!(verdict.is_clean(), verdict.findings.is_empty());
    (verdict.lost, verdict.duplicated)
}

/// What the verdict is about one commit.
fn about(told: Told, outcome: Outcome) -> (u64, u64) {
    let mut verdict = Verdict::default();
    verdict.outcome(id(1), told, outcome);
    (verdict.lost, verdict.duplicated)
}

#[test]
fn a_world_as_it_must_be_is_clean() {
    assert_eq!(after(|_| ()), (0, 0));
}

#[test]
fn an_acknowledged_commit_must_be_there_under_its_version() {
    let acknowledged = Told::Acknowledged(version(64));
    assert_eq!(about(acknowledged, Outcome::Committed(version(64))), (0, 0));
    assert_eq!(about(acknowledged, Outcome::NotCommitted), (1, 0));
    assert_eq!(about(acknowledged, Outcome::Forgotten), (1, 0));
    assert_eq!(about(acknowledged, Outcome::Committed(version(128))), (1, 0));
}

#[test]
fn a_declined_commit_must_not_be_there_and_one_in_doubt_may() {
    assert_eq!(about(Told::Declined, Outcome::NotCommitted), (0, 0));
    assert_eq!(about(Told::Declined, Outcome::Committed(version(64))), (0, 1));
    assert_eq!(about(Told::Nothing, Outcome::NotCommitted), (0, 0));
    assert_eq!(about(Told::Nothing, Outcome::Committed(version(64))), (0, 0));
    assert_eq!(about(Told::Nothing, Outcome::Forgotten), (1, 0));
}

#[test]
fn a_write_by_a_session_that_was_over_must_be_refused() {
    let passed = |count| {
        let mut verdict = Verdict::default();
        verdict.passed(count);
        (verdict.lost, verdict.duplicated, verdict.findings.len())
    };
    assert_eq!(passed(0), (0, 0, 0));
    assert_eq!(passed(2), (0, 2, 1));
}

#[test]
fn a_repetition_must_do_nothing_and_know_the_first() {
    let repeated = |before| {
        let mut verdict = Verdict::default();
        verdict.repeated(id(1), version(64), before);
        (verdict.lost, verdict.duplicated)
    };
    assert_eq!(repeated(Some(version(64))), (0, 0));
    assert_eq!(repeated(Some(version(65))), (1, 0));
    assert_eq!(repeated(None), (0, 1));
}

#[test]
fn the_effect_of_one_acknowledged_commit_more_is_missed() {
    let done = |number, coins| (version(number * 64), id(number), Op::Earn { player: 1, shop: 0, coins });
    let (mut world, mut store) = (Model::new(4), Model::new(4));
    let mut verdict = Verdict::default();
    verdict.replay(&mut store, vec![done(1, 5)], version(0));
    verdict.replay(&mut world, vec![done(2, 3), done(1, 5)], version(0));
    assert!(verdict.is_clean());
    verdict.state(&world, &store);
    assert_eq!((verdict.lost, verdict.duplicated), (2, 0), "player and shop: {:?}", verdict.findings);
}

#[test]
fn deeds_are_played_in_the_order_of_versions_whatever_was_reported_first() {
    let sell = |number, seller, buyer| {
        (version(number * 64), id(number), Op::Trade { item: 0, seller, buyer, coins: 1 })
    };
    let (mut world, mut verdict) = (Model::new(4), Verdict::default());
    let newest = verdict.replay(&mut world, vec![sell(3, 2, 3), sell(1, 0, 1), sell(2, 1, 2)], version(0));
    assert!(verdict.is_clean(), "{:?}", verdict.findings);
    assert_eq!((newest, world.owners[&0]), (version(192), 3));
}

#[test]
fn an_item_sold_twice_by_one_owner_and_a_version_issued_twice_are_found() {
    let sell =
        |at, number, buyer| (version(at), id(number), Op::Trade { item: 0, seller: 0, buyer, coins: 1 });
    let (mut world, mut verdict) = (Model::new(4), Verdict::default());
    verdict.replay(&mut world, vec![sell(64, 1, 1), sell(128, 2, 2)], version(0));
    assert_eq!((verdict.lost, verdict.duplicated), (0, 1), "{:?}", verdict.findings);
    let (mut world, mut verdict) = (Model::new(4), Verdict::default());
    verdict.replay(&mut world, vec![sell(64, 1, 1)], version(64));
    assert_eq!((verdict.lost, verdict.duplicated), (0, 1), "{:?}", verdict.findings);
}

#[test]
fn an_item_that_vanished_is_lost() {
    let (lost, duplicated) = after(|world| {
        world.players.get_mut(&2).unwrap().bag.pop();
    });
    assert_eq!((lost, duplicated), (2, 0), "the item, and the player that has it no more");
    assert_eq!(
        after(|world| {
            world.owners.remove(&3);
        }),
        (1, 0)
    );
}

#[test]
fn an_item_in_two_bags_is_duplicated() {
    let (_, duplicated) = after(|world| world.players.get_mut(&2).unwrap().bag.push(0));
    assert_eq!(duplicated, 1);
    let (_, duplicated) = after(|world| world.players.get_mut(&0).unwrap().bag.push(0));
    assert_eq!(duplicated, 1);
}

#[test]
fn an_item_whose_two_sides_disagree_is_found() {
    assert_eq!(
        after(|world| {
            world.owners.insert(0, 3);
        }),
        (1, 0)
    );
}

#[test]
fn coins_that_vanished_and_coins_from_nowhere_are_told_apart() {
    let (lost, duplicated) = after(|world| world.players.get_mut(&1).unwrap().coins -= 1);
    assert!(lost > 0 && duplicated == 0);
    let (_, duplicated) = after(|world| *world.shops.get_mut(&1).unwrap() += 1);
    assert_eq!(duplicated, 1);
}

#[test]
fn players_that_are_gone_and_strangers_are_found() {
    let (lost, _) = after(|world| {
        world.players.remove(&1);
    });
    assert!(lost >= 1);
    let (_, duplicated) = after(|world| {
        world.players.insert(4, Player::default());
    });
    assert_eq!(duplicated, 1);
}

#[test]
fn many_findings_are_counted_and_few_are_told() {
    let mut verdict = Verdict::default();
    (0..1000).for_each(|n| verdict.outcome(id(n), Told::Acknowledged(version(64)), Outcome::NotCommitted));
    assert_eq!((verdict.lost, verdict.findings.len()), (1000, TOLD_MAX));
}
