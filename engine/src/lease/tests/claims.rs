//! Who may write a key: every combination of what stands there and what the commit brings.

use super::world::{World, grant, key, secs};
use crate::lease::{Barred, Claim, Ended, Granted, Life, Policy, check};

/// What stands on the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum On {
    Nothing,
    Own,
    Other,
    Dead,
}

/// What the commit brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Brings {
    Nothing,
    Force,
    /// The token of a lease that stands, for this key.
    Token,
    /// The same, not said to be for this key.
    TokenAside,
    /// A token that never was, or was overtaken.
    OldToken,
    TokenAndForce,
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Fine,
    /// It ends the lease itself.
    Ends(Ended),
    Leased,
    Fenced,
}

fn verdict(on: On, brings: Brings) -> Verdict {
    let mut world = World::new(&["me", "other"]);
    let mine = world.granted(grant("me"), &["mine"]);
    let of_key = match on {
        On::Nothing => None,
        On::Own => Some(world.granted(grant("me"), &["k"])),
        On::Other => Some(world.granted(grant("other"), &["k"])),
        On::Dead => {
            let dead = crate::lease::Grant { life: Life::Inside(1), ..grant("gone") };
            Some(world.granted(dead, &["k"]))
        }
    };
    let token = match on {
        On::Own => of_key.as_ref().expect("stands").token,
        _ => mine.token,
    };
    let mut claim = Claim::default();
    match brings {
        Brings::Nothing => {}
        Brings::Force => claim.forced.push(key("k")),
        Brings::Token | Brings::TokenAndForce => {
            claim.bring(token);
            claim.covers.push((key("k"), token));
            if brings == Brings::TokenAndForce {
                claim.forced.push(key("k"));
            }
        }
        Brings::TokenAside => claim.bring(token),
        Brings::OldToken => claim.bring(savehold_wal::Lsn::new(1, 1).into()),
    }
    let claim = (!claim.is_empty()).then_some(&claim);
    match check(&world.state, claim, [key("k")].iter(), world.now) {
        Ok(()) => Verdict::Fine,
        Err(Barred::Over(ends)) => Verdict::Ends(ends[0].1.clone()),
        Err(Barred::Leased(..)) => Verdict::Leased,
        Err(Barred::Fenced(_)) => Verdict::Fenced,
        Err(Barred::Late | Barred::Closed) => unreachable!(),
    }
}

#[test]
fn every_combination_has_its_verdict() {
    use Brings::{Force, OldToken, Token, TokenAndForce, TokenAside};
    let stolen = || Verdict::Ends(Ended::Stolen("a forced write".into()));
    let closed = || Verdict::Ends(Ended::Closed);
    for (on, brings, expected) in [
        (On::Nothing, Brings::Nothing, Verdict::Fine),
        (On::Own, Brings::Nothing, Verdict::Leased),
        (On::Other, Brings::Nothing, Verdict::Leased),
        (On::Dead, Brings::Nothing, closed()),
        (On::Nothing, Force, Verdict::Fine),
        (On::Own, Force, stolen()),
        (On::Other, Force, stolen()),
        (On::Dead, Force, closed()),
        (On::Nothing, Token, Verdict::Fenced),
        (On::Own, Token, Verdict::Fine),
        (On::Other, Token, Verdict::Fenced),
        (On::Dead, Token, Verdict::Fenced),
        (On::Nothing, TokenAside, Verdict::Fine),
        (On::Own, TokenAside, Verdict::Fine),
        (On::Other, TokenAside, Verdict::Fenced),
        (On::Dead, TokenAside, closed()),
        (On::Nothing, OldToken, Verdict::Fenced),
        (On::Own, OldToken, Verdict::Fenced),
        (On::Other, OldToken, Verdict::Fenced),
        (On::Dead, OldToken, Verdict::Fenced),
        (On::Own, TokenAndForce, Verdict::Fine),
        (On::Other, TokenAndForce, Verdict::Fenced),
    ] {
        assert_eq!(verdict(on, brings), expected, "{on:?} {brings:?}");
    }
}

#[test]
fn a_token_whose_lease_is_over_is_refused_though_no_record_says_so() {
    let mut world = World::new(&["me"]);
    let lease = world.granted(grant("me"), &["k"]);
    let mut claim = Claim::default();
    claim.bring(lease.token);
    assert!(check(&world.state, Some(&claim), [key("k")].iter(), world.now).is_ok());
    world.state.part(&super::world::inside("me"));
    match check(&world.state, Some(&claim), [key("k")].iter(), world.now) {
        Err(Barred::Fenced(fence)) => assert_eq!(fence.over.expect("it stands").1, Ended::Closed),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_the_record_itself_ends_is_in_nobodys_way() {
    let mut world = World::new(&["me"]);
    let lease = world.granted(grant("me"), &["k"]);
    let claim = Claim { ends: vec![(lease, Ended::Restored)], ..Claim::default() };
    assert!(check(&world.state, Some(&claim), [key("k")].iter(), world.now).is_ok());
}

#[test]
fn a_grant_is_refused_at_the_deadline_of_its_request() {
    let world = World::new(&["me"]);
    let granted = Granted { request: 1, before: world.now, slot: std::sync::Arc::default() };
    let claim = Claim { grants: Some(granted), ..Claim::default() };
    let at = |now| check(&world.state, Some(&claim), [].iter(), now).is_ok();
    assert!(at(world.now - secs(1)) && !at(world.now) && !at(world.now + secs(1)));
}

#[test]
fn nothing_is_granted_once_the_store_is_being_closed() {
    let mut world = World::new(&["me", "other"]);
    let before = world.ask("me", &["k"], Policy::Wait, 5);
    assert!(world.is_up(before));
    world.state.close();
    let behind = world.ask("other", &["free"], Policy::Wait, 5);
    assert!(world.is_refused(before) && world.is_refused(behind));
    let granted = Granted { request: before, before: world.now + secs(5), slot: std::sync::Arc::default() };
    let claim = Claim { grants: Some(granted), ..Claim::default() };
    let on_its_way = check(&world.state, Some(&claim), [].iter(), world.now);
    assert!(matches!(on_its_way, Err(Barred::Closed)), "{on_its_way:?}");
}
