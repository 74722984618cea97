//! Holders in memory: what was over once is over for ever, whatever its holder does.

use std::collections::HashMap;
use std::time::Duration;

use super::world::{RUN, World, inside, key, keys, secs};
use crate::ids::Token;
use crate::lease::{Ended, Event, Grant, Heard, HolderId, Life, Policy};
use crate::signal::Wakes;

fn far() -> HolderId {
    HolderId { external: true, name: "eu-1".into() }
}

fn far_grant(life: u64) -> Grant {
    Grant { holder: "eu-1".into(), life: Life::External(life), time: Some(secs(30)) }
}

/// Every sequence of five steps of a holder's life: no lease that was over at some moment lives at a later one.
#[test]
fn a_lease_that_was_over_once_never_lives_again() {
    const STEPS: usize = 8;
    for mut sequence in 0..STEPS.pow(5) {
        let mut world = World::new(&[]);
        world.state.greet(&far(), Life::External(1), Some(secs(30)), &[], world.now);
        let mut leases = vec![world.granted(far_grant(1), &["a"])];
        let (mut over, mut life) = (vec![false], 1);
        for _ in 0..5 {
            match sequence % STEPS {
                0 => world.now += secs(29),
                1 => world.now += secs(30),
                2 => _ = world.state.heartbeat(&far(), Life::External(life), world.now),
                3 => world.state.heard(&leases.iter().map(|l| l.token).collect::<Vec<Token>>(), world.now),
                4 => {
                    life += 1;
                    world.state.greet(&far(), Life::External(life), Some(secs(30)), &[], world.now);
                }
                5 => _ = world.state.greet(&far(), Life::External(1), Some(secs(30)), &[], world.now),
                step => {
                    let (life, key) = (if step == 6 { life } else { 1 }, leases.len() - 1);
                    leases.push(world.granted(far_grant(life), &[["b", "c", "d", "e", "f"][key]]));
                    over.push(false);
                }
            }
            sequence /= STEPS;
            for (lease, over) in leases.iter().zip(&mut over) {
                let stale = world.state.stale(lease, world.now).is_some();
                assert!(stale || !*over, "{lease:?} lives again");
                *over = stale;
                let listed = world.state.over(world.now).iter().any(|(other, _)| other.token == lease.token);
                assert_eq!(listed, stale, "whatever is over is to be ended");
            }
        }
    }
}

#[test]
fn a_sign_of_life_gives_the_full_time_and_a_late_one_says_so() {
    let mut world = World::new(&[]);
    world.state.greet(&far(), Life::External(1), Some(secs(30)), &[], world.now);
    world.granted(far_grant(1), &["a"]);
    world.now += secs(29);
    let heard = |world: &mut World, life| world.state.heartbeat(&far(), Life::External(life), world.now);
    assert_eq!(heard(&mut world, 1), Heard::InTime);
    world.now += secs(30);
    assert_eq!(heard(&mut world, 1), Heard::TooLate(1));
    assert_eq!(heard(&mut world, 1), Heard::TooLate(1), "until it was told");
    assert_eq!(world.state.over(world.now).len(), 1);
    assert!(world.state.told(&far(), Life::External(1), 1));
    assert!(!world.state.told(&far(), Life::External(1), 1), "once");
    assert_eq!(heard(&mut world, 1), Heard::InTime);
    assert_eq!(heard(&mut world, 2), Heard::OtherLife);
}

#[test]
fn nobody_is_due_before_the_alarm() {
    let mut world = World::new(&["red"]);
    assert_eq!(world.state.alarm(), None);
    world.granted(super::world::grant("red"), &["z"]);
    assert_eq!(world.state.alarm(), None, "nothing falls due by itself");
    world.state.greet(&far(), Life::External(1), Some(secs(30)), &[], world.now);
    world.granted(far_grant(1), &["a"]);
    let alarm = world.state.alarm().expect("the holder's deadline");
    assert_eq!(alarm, world.now + secs(30));
    world.now = alarm - Duration::from_nanos(1);
    assert!(world.state.over(world.now).is_empty());
    world.state.heartbeat(&far(), Life::External(1), world.now);
    world.state.look_ahead();
    assert_eq!(world.state.alarm(), Some(world.now + secs(30)));
    world.now += secs(30);
    assert_eq!(world.state.over(world.now).len(), 1);
}

#[test]
fn a_holder_of_whom_nothing_is_left_is_forgotten() {
    let mut world = World::new(&["red"]);
    let lease = world.granted(super::world::grant("red"), &["a"]);
    world.state.part(&inside("red"));
    assert_eq!(world.state.over(world.now).len(), 1, "its handle went, and its lease with it");
    world.ends(&lease);
    assert!(world.state.holders.is_empty());
    world.state.greet(&far(), Life::External(1), None, &[], world.now);
    let lease = world.granted(far_grant(1), &["a"]);
    world.state.part(&far());
    assert!(world.state.stale(&lease, world.now).is_none(), "an external holder needs no handle");
    world.ends(&lease);
    assert!(world.state.holders.is_empty());
}

#[test]
fn leases_of_the_log_come_back_by_their_token() {
    let mut world = World::new(&[]);
    let token = |n| Token::from(savehold_wal::Lsn::new(1, n));
    let dead = Grant { holder: "old".into(), life: Life::Inside(RUN + 1), time: None };
    let found = vec![
        (key("b"), token(9), far_grant(5)),
        (key("c"), token(4), dead),
        (key("a"), token(9), far_grant(5)),
    ];
    world.state.restore(found, &HashMap::new(), world.now);
    let lease = world.state.table.of_token(token(9)).expect("stands").clone();
    assert_eq!(lease.keys, keys(&["a", "b"]));
    assert!(world.state.stale(&lease, world.now + secs(29)).is_none());
    assert!(world.state.stale(&lease, world.now + secs(30)).is_some());
    let over: Vec<Token> = world.state.over(world.now).iter().map(|(lease, _)| lease.token).collect();
    assert_eq!(over, [token(4)]);
}

#[test]
fn what_a_former_life_is_granted_is_over_at_once_and_no_sign_of_life() {
    let mut world = World::new(&[]);
    world.state.greet(&far(), Life::External(1), Some(secs(30)), &[], world.now);
    world.state.greet(&far(), Life::External(2), Some(secs(30)), &[], world.now);
    let live = world.granted(far_grant(2), &["a"]);
    world.now += secs(29);
    let dead = world.granted(far_grant(1), &["b"]);
    let over: Vec<Token> = world.state.over(world.now).iter().map(|(lease, _)| lease.token).collect();
    assert_eq!((over, world.state.alarm()), (vec![dead.token], Some(Duration::ZERO)));
    assert!(world.state.stale(&live, world.now).is_none());
    assert!(world.state.stale(&live, world.now + secs(1)).is_some());
}

#[test]
fn requests_of_a_former_life_are_refused_and_stand_in_nobodys_way() {
    let mut world = World::new(&["red", "blue"]);
    world.granted(super::world::grant("red"), &["a"]);
    world.state.greet(&far(), Life::External(1), Some(secs(30)), &[], world.now);
    let dead = world.ask_as(far(), Life::External(1), &["a"], Policy::Wait, 60);
    let next = world.ask("blue", &["a"], Policy::Wait, 60);
    world.state.greet(&far(), Life::External(2), Some(secs(30)), &[], world.now);
    let live = world.ask_as(far(), Life::External(2), &["a"], Policy::Wait, 60);
    world.state.review(world.now);
    assert!(world.is_refused(dead) && !world.is_refused(live));
    world.state.part(&inside("red"));
    world.state.review(world.now);
    assert!(world.is_up(next) && !world.is_up(live));
}

/// The newest lease is of the former life, as a grant that lost a race leaves it.
#[test]
fn after_a_restart_the_life_that_the_log_names_has_its_leases_whatever_else_stands() {
    let mut world = World::new(&[]);
    let token = |n| Token::from(savehold_wal::Lsn::new(1, n));
    let of = |name: &str, life| Grant { holder: name.into(), ..far_grant(life) };
    let names: Vec<String> = (0..40).map(|n| n.to_string()).collect();
    let mut found = Vec::new();
    for (n, name) in (1..).zip(&names) {
        found.push((key(&format!("live {name}")), token(2 * n), of(name, 2)));
        found.push((key(&format!("dead {name}")), token(2 * n + 1), of(name, 1)));
    }
    let lives = names.iter().map(|name| (name.as_str().into(), 2)).collect();
    world.state.restore(found.clone(), &lives, world.now);
    let over: Vec<Token> = world.state.over(world.now).iter().map(|(lease, _)| lease.token).collect();
    assert_eq!(over, (1..=40).map(|n| token(2 * n + 1)).collect::<Vec<_>>());
    let mut unnamed = World::new(&[]);
    unnamed.state.restore(found, &HashMap::new(), unnamed.now);
    let over: Vec<Token> = unnamed.state.over(unnamed.now).iter().map(|(lease, _)| lease.token).collect();
    assert_eq!(over, (1..=40).map(|n| token(2 * n)).collect::<Vec<_>>(), "where it names none, the newest");
}

#[test]
fn events_are_bounded_and_say_how_many_were_missed() {
    let (events, mut wakes) = (crate::lease::Events::default(), Wakes::default());
    let token = Token::from(savehold_wal::Lsn::new(1, 1));
    let ended = |n: u64| Event::Ended(token, keys(&[&n.to_string()]), Ended::Released);
    for n in 0..(1 << 14) + 3 {
        events.push(ended(n), &mut wakes);
    }
    assert_eq!(events.take(None), Some(Event::Missed(3)));
    assert_eq!(events.take(None), Some(ended(3)));
    let rest = std::iter::from_fn(|| events.take(None)).count();
    assert_eq!(rest, (1 << 14) - 1);
}
