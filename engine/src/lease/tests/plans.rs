//! Whose turn it is.

use super::world::{World, grant, secs};
use crate::lease::{Ended, Policy, Refusal, Step, Wanted};

const WAIT: Policy = Policy::Wait;
const HANDOFF: Policy = Policy::Handoff { after: secs(10) };

/// What stands on the key, who asked before, what the request does, whether its time is over: every combination.
#[test]
fn every_combination_of_key_queue_policy_and_time() {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum On {
        Free,
        Other,
        Own,
        OwnEnding,
        Dead,
    }
    for on in [On::Free, On::Other, On::Own, On::OwnEnding, On::Dead] {
        for earlier in [false, true] {
            for policy in [Policy::Fail, WAIT, HANDOFF, Policy::Handoff { after: secs(0) }, Policy::Steal] {
                for late in [false, true] {
                    let mut world = World::new(&["me", "other", "first", "gone"]);
                    let lease = match on {
                        On::Free => None,
                        On::Other => Some(world.granted(grant("other"), &["k"])),
                        On::Own | On::OwnEnding => Some(world.granted(grant("me"), &["k"])),
                        On::Dead => Some(world.granted(grant("gone"), &["k"])),
                    };
                    if on == On::Dead {
                        world.state.part(&super::world::inside("gone"));
                    }
                    if on == On::OwnEnding {
                        lease.as_ref().expect("stands").begin_end();
                    }
                    if earlier {
                        world.ask("first", &["k"], WAIT, 100);
                    }
                    let id = world.ask("me", &["k"], policy, 20);
                    if late {
                        world.now += secs(20); // nobody looked meanwhile
                    }
                    let step = world.state.judge(id, world.now).expect("it is there");
                    let named = format!("{on:?}, earlier {earlier}, {policy:?}, late {late}: {step:?}");
                    let steals = policy == Policy::Steal;
                    let forces =
                        steals || matches!(policy, Policy::Handoff { after } if after.is_zero() || late);
                    let free = matches!(on, On::Free | On::Dead)
                        || forces && matches!(on, On::Other | On::OwnEnding);
                    let expected = match on {
                        On::Own => matches!(step, Step::Refused(Refusal::AlreadyActive(_))),
                        _ if late => matches!(step, Step::Refused(Refusal::Leased(_))),
                        _ if free && (steals || !earlier) => {
                            matches!(&step, Step::Up(ends) if ends.len() == usize::from(on != On::Free))
                        }
                        _ if policy == Policy::Fail => matches!(step, Step::Refused(Refusal::Leased(_))),
                        _ => matches!(step, Step::Waits(..)),
                    };
                    assert!(expected, "{named}");
                }
            }
        }
    }
}

#[test]
fn a_set_waits_for_all_its_keys_and_others_wait_behind_it() {
    let mut world = World::new(&["red", "blue", "green"]);
    let a = world.granted(grant("red"), &["a"]);
    let both = world.ask("blue", &["a", "b"], WAIT, 100);
    let b = world.ask("green", &["b"], WAIT, 100);
    let c = world.ask("green", &["c"], WAIT, 100);
    assert!(!world.is_up(both) && !world.is_up(b) && world.is_up(c));
    world.ends(&a);
    assert!(world.is_up(both) && !world.is_up(b));
    let lease = world.take(both).expect("its turn");
    assert!(!world.is_up(b));
    world.ends(&lease);
    assert!(world.is_up(b));
}

#[test]
fn a_holder_is_told_once_for_each_request_and_has_its_whole_time() {
    let mut world = World::new(&["red", "blue", "green"]);
    let a = world.granted(grant("red"), &["a"]);
    let first = world.ask("blue", &["a"], HANDOFF, 30);
    assert_eq!(a.wanted.get(), Some(Wanted { by: "blue".into(), after: secs(10) }));
    world.advance(secs(9));
    let second = world.ask("green", &["a"], HANDOFF, 30);
    world.advance(secs(1));
    assert!(world.is_up(first) && !world.is_up(second), "the first has waited long enough");
    let lease = world.take(first).expect("its turn");
    assert_eq!(a.ended.get(), Some(Ended::Stolen("blue".into())));
    assert_eq!(lease.wanted.get().map(|w| w.by), Some("green".into()), "told at once");
    world.advance(secs(9));
    assert!(!world.is_up(second), "the new holder has its whole time, too");
    world.advance(secs(1));
    assert!(world.is_up(second));
}

#[test]
fn who_forces_does_so_for_the_first_in_the_queue() {
    let mut world = World::new(&["red", "blue", "green"]);
    let a = world.granted(grant("red"), &["a"]);
    let patient = world.ask("blue", &["a"], WAIT, 100);
    let forcing = world.ask("green", &["a"], HANDOFF, 100);
    world.advance(secs(10));
    assert!(world.is_up(patient) && !world.is_up(forcing));
    world.take(patient).expect("its turn");
    assert_eq!(a.ended.get(), Some(Ended::Stolen("blue".into())));
}

#[test]
fn who_asks_no_more_wants_nothing_and_stands_in_nobodys_way() {
    let mut world = World::new(&["red", "blue", "green"]);
    let a = world.granted(grant("red"), &["a"]);
    let handoff = world.ask("blue", &["a"], HANDOFF, 5);
    let waiting = world.ask("green", &["a"], WAIT, 100);
    world.advance(secs(5));
    assert!(world.is_refused(handoff) && !world.is_up(waiting));
    assert_eq!(a.wanted.get(), None);
    world.advance(secs(50));
    assert!(!world.is_up(waiting), "what was not granted forces nothing");
    world.ends(&a);
    assert!(world.is_up(waiting));
    world.state.leave(waiting);
    assert!(world.state.queue.ids().len() == 1, "the refused one, until its asker goes");
}

#[test]
fn a_dead_lease_is_taken_over_by_the_one_whose_turn_it_is() {
    let mut world = World::new(&["red", "blue"]);
    let a = world.granted(grant("red"), &["a", "b"]);
    let waiting = world.ask("blue", &["a"], WAIT, 100);
    world.state.part(&super::world::inside("red"));
    world.state.review(world.now);
    assert!(world.is_up(waiting));
    world.take(waiting).expect("its turn");
    assert_eq!(a.ended.get(), Some(Ended::Closed));
    assert!(world.state.table.of_key(&super::world::key("b")).is_none(), "a lease ends as a whole");
}

/// All orders in which four requests for sets of three keys can come and go: each is granted in the end, and none before
/// an earlier one that shares a key with it.
#[test]
fn nobody_overtakes_and_nobody_is_forgotten() {
    const SETS: [&[&str]; 6] = [&["a"], &["b"], &["a", "b"], &["b", "c"], &["a", "c"], &["a", "b", "c"]];
    let names = ["h0", "h1", "h2", "h3"];
    for mut choice in 0..SETS.len().pow(4) {
        let mut world = World::new(&["red", "h0", "h1", "h2", "h3"]);
        let held = world.granted(grant("red"), &["a", "b", "c"]);
        let mut asked = Vec::new();
        for name in names {
            let set = SETS[choice % SETS.len()];
            choice /= SETS.len();
            asked.push((world.ask(name, set, WAIT, 100), set));
        }
        world.ends(&held);
        let mut waiting = asked.clone();
        while !waiting.is_empty() {
            let up: Vec<usize> = (0..waiting.len()).filter(|n| world.is_up(waiting[*n].0)).collect();
            assert!(!up.is_empty(), "somebody's turn it is: {asked:?}");
            for n in &up {
                let shares = |other: &[&str]| other.iter().any(|key| waiting[*n].1.contains(key));
                assert!(!waiting[..*n].iter().any(|(_, set)| shares(set)), "overtaken: {asked:?}");
            }
            let at = up[up.len() - 1];
            let (id, _) = waiting.remove(at);
            let lease = world.take(id).expect("its turn");
            world.ends(&lease);
        }
    }
}
