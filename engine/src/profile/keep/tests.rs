use super::*;
use crate::profile::read::read;
use crate::profile::tests::{load, map, save};
use crate::tests::Dice;
use crate::value::tests::random;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Knows {
    a: Option<Inner>,
    b: BTreeMap<String, Inner>,
    c: Vec<Inner>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Inner {
    #[serde(default)]
    n: u32,
}

fn inner(dice: &mut Dice) -> Value {
    let mut value = map([("n", (dice.below(9) as u32).into())]);
    strange(dice, &mut value);
    value
}

/// Adds fields that no type knows.
fn strange(dice: &mut Dice, value: &mut Value) {
    let fields = value.as_map_mut().expect("a struct");
    for n in 0..dice.below(3) {
        fields.insert(format!("strange-{n}"), random(dice, 2));
    }
}

/// For any document: what is loaded and saved at once is what stood there, but for elements of lists.
#[test]
fn a_load_and_a_save_change_nothing() {
    let mut dice = Dice::new(3);
    for round in 0..2000 {
        let bag: Map = (0..dice.below(4)).map(|n| (format!("k{n}"), inner(&mut dice))).collect();
        let a = if dice.coin() { inner(&mut dice) } else { Value::Nil };
        let mut stored = map([("a", a), ("b", bag.into()), ("c", Value::List(vec![]))]);
        strange(&mut dice, &mut stored);
        let (value, unknown, done) = load(&stored, &Knows::default());
        assert!(done.is_empty());
        assert_eq!(save(&value, &unknown), stored, "{round}");
        let mut pruned = unknown.clone();
        pruned.prune(&stored);
        assert_eq!(pruned, unknown, "{round}: nothing went, so nothing is forgotten");
    }
}

#[test]
fn in_lists_nothing_is_kept_since_elements_have_no_name() {
    let stored = map([
        ("a", Value::Nil),
        ("b", map([])),
        ("c", Value::List(vec![map([("n", 1.into()), ("x", 2.into())])])),
    ]);
    let (value, unknown, _) = load(&stored, &Knows::default());
    assert!(unknown.is_empty());
    assert_eq!(save(&value, &unknown).get("c"), Some(&Value::List(vec![map([("n", 1.into())])])));
}

#[test]
fn a_value_knows_everything() {
    let mut dice = Dice::new(8);
    for _ in 0..200 {
        let stored = random(&mut dice, 4);
        let (value, asked) = read::<Value>(&stored).expect("anything is a value");
        assert!(Unknown::of(&stored, &asked).is_empty() && value == stored);
    }
}
