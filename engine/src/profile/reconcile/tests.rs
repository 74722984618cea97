use super::*;
use crate::profile::tests::map;
use crate::tests::Dice;
use crate::value::tests::{random, same};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Plain {
    level: u32,
    speed: f64,
    name: String,
    on: bool,
    home: Option<Home>,
    list: Vec<u32>,
    span: (u32, u32),
    at: Home,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Home {
    rooms: u32,
}

fn plain() -> Template {
    Template::of(&Plain { home: Some(Home::default()), ..Plain::default() }).expect("a template")
}

fn one(name: &str, value: Value) -> Value {
    let mut document = plain().document;
    document.as_map_mut().expect("a struct").insert(name, value);
    document
}

#[test]
fn a_value_of_another_kind_is_kept_replaced_or_refused_by_policy() {
    let fits = [
        ("speed", Value::from(3)),
        ("home", Value::Nil),
        ("level", u64::MAX.into()),
        ("list", Value::Bytes(vec![1, 2])),
    ];
    let does_not = [
        ("level", Value::from("5")),
        ("level", 5.0.into()),
        ("level", Value::Nil),
        ("name", 5.into()),
        ("on", 1.into()),
        ("home", 1.into()),
        ("at", Value::Nil),
        ("at", 1.into()),
        ("list", map([])),
        ("span", 5.into()),
    ];
    let cases = fits.map(|c| (c, false)).into_iter().chain(does_not.map(|c| (c, true)));
    for ((name, value), other) in cases {
        let (template, stored) = (plain(), one(name, value.clone()));
        let mut kept = stored.clone();
        let done = reconcile(&mut kept, &template, Mismatch::Keep, &[]).expect("kept");
        assert!(same(&kept, &stored) && done.len() == usize::from(other), "{name} {value:?}");
        let mut replaced = stored.clone();
        let done = reconcile(&mut replaced, &template, Mismatch::Replace, &[]).expect("replaced");
        let expected = if other { &template.document } else { &stored };
        assert!(same(&replaced, expected) && done.len() == usize::from(other), "{name} {value:?}");
        let refused = reconcile(&mut stored.clone(), &template, Mismatch::Refuse, &[]);
        assert_eq!(refused.err().map(|e| e.kind()), other.then_some(ErrorKind::Decode), "{name} {value:?}");
    }
}

fn deep() -> Template {
    let stats = map([("level", 1.into()), ("best", map([("kills", 0.into())]))]);
    Template::of(&map([("coins", 5.into()), ("stats", stats), ("list", [1, 2].into_iter().collect())]))
        .expect("a template")
}

#[test]
fn maps_of_a_value_are_filled_deep() {
    let mut stored =
        map([("stats", map([("best", map([("deaths", 2.into())]))])), ("list", Value::List(vec![]))]);
    let done = reconcile(&mut stored, &deep(), Mismatch::Refuse, &[]).expect("it is filled");
    let best = map([("deaths", 2.into()), ("kills", 0.into())]);
    let stats = map([("best", best), ("level", 1.into())]);
    assert_eq!(stored, map([("stats", stats), ("list", Value::List(vec![])), ("coins", 5.into())]));
    assert_eq!(done.len(), 3);
}

#[test]
fn what_was_deleted_of_a_value_on_purpose_stays_deleted() {
    let mut stored = deep().document;
    stored.as_map_mut().expect("a map").remove("coins");
    stored
        .as_map_mut()
        .and_then(|m| m.get_mut("stats"))
        .and_then(Value::as_map_mut)
        .expect("a map")
        .remove("best");
    let deleted = deleted_of(&stored, &deep());
    assert_eq!(deleted.len(), 2);
    let before = stored.clone();
    assert!(reconcile(&mut stored, &deep(), Mismatch::Keep, &deleted).expect("nothing to do").is_empty());
    assert_eq!(stored, before);
    let mut newer = deep();
    newer.document.as_map_mut().expect("a map").insert("gems", 0);
    let done = reconcile(&mut stored, &newer, Mismatch::Keep, &deleted).expect("it is filled");
    assert_eq!(done.len(), 1, "a member that is new to the template");
    assert!(deleted_of(&plain().document, &plain()).is_empty(), "a type's fields are not deleted");
}

/// For any document and any template: nothing that stood there is lost, a second run finds nothing to do, and what
/// is there at the end stands in one of the two.
#[test]
fn filling_loses_nothing_and_ends() {
    let mut dice = Dice::new(77);
    for round in 0..3000 {
        let (stored, template) = (random(&mut dice, 3), random(&mut dice, 3));
        let template = Template { shape: Shape { optional: false, of: Of::Deep }, document: template };
        let mut filled = stored.clone();
        let first = reconcile(&mut filled, &template, Mismatch::Keep, &[]).expect("never refused");
        assert!(holds(&filled, &stored), "{round}: {stored:?} became {filled:?}");
        let mut again = filled.clone();
        let second = reconcile(&mut again, &template, Mismatch::Keep, &[]).expect("never refused");
        assert!(same(&again, &filled), "{round}");
        let filled_in =
            |done: &[Adjustment]| done.iter().filter(|a| matches!(a, Adjustment::Filled { .. })).count();
        assert_eq!(filled_in(&second), 0, "{round}");
        assert!(first.len() >= second.len(), "{round}");
        assert!(deleted_of(&filled, &template).is_empty(), "{round}: a filled document lacks nothing");
        let mut restored = stored.clone();
        let deleted = deleted_of(&stored, &template);
        let done = reconcile(&mut restored, &template, Mismatch::Keep, &deleted).expect("never refused");
        assert!(same(&restored, &stored) && filled_in(&done) == 0, "{round}: deleted things stay deleted");
    }
}

/// Whether everything of `part` stands in `whole`.
fn holds(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Map(whole), Value::Map(part)) => {
            part.iter().all(|(key, value)| whole.get(key).is_some_and(|stands| holds(stands, value)))
        }
        _ => same(whole, part),
    }
}
