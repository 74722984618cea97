use super::*;
use crate::tests::Dice;

/// A random value: every kind, awkward numbers, texts and keys, small and large maps.
pub(crate) fn random(dice: &mut Dice, depth_max: usize) -> Value {
    let kinds = if depth_max == 0 { 7 } else { 10 };
    match dice.below(kinds) {
        0 => Value::Nil,
        1 => Value::Bool(dice.coin()),
        2 => Value::I64(if dice.coin() { dice.number() as i64 } else { -(dice.number() as i64 >> 1) }),
        3 => Value::U64(u64::MAX - (dice.number() >> 1)),
        4 => Value::F64(random_float(dice)),
        5 => Value::String(random_text(dice)),
        6 => Value::Bytes(dice.bytes(0, 20)),
        7 => (0..dice.below(6)).map(|_| random(dice, depth_max - 1)).collect(),
        kind => {
            let len = if dice.below(20) == 0 { 40 } else { dice.below(6) };
            let numbers = kind == 9;
            let key = |dice: &mut Dice| match (numbers, dice.below(4)) {
                (false, _) | (true, 0) => MapKey::Str(random_text(dice)),
                (true, 1) => MapKey::from(dice.number()),
                (true, _) => MapKey::I64(-(dice.number() as i64 >> 1)),
            };
            (0..len).map(|_| (key(dice), random(dice, depth_max - 1))).collect::<Map>().into()
        }
    }
}

fn random_float(dice: &mut Dice) -> f64 {
    let likely = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        1e300,
        5e-324,
        0.1,
        f64::MAX,
        f64::NAN,
        -f64::NAN,
        f64::INFINITY,
        -f64::INFINITY,
    ];
    match dice.below(4) {
        0 => likely[dice.below(likely.len())],
        1 => dice.number() as f64,
        2 => dice.next() as i64 as f64 / 1024.0,
        _ => f64::from_bits(dice.next()),
    }
}

fn random_text(dice: &mut Dice) -> String {
    let likely = [
        "",
        "$",
        "$$",
        "$u64",
        "$$map",
        "$f64",
        "a",
        "coins",
        "é",
        "木",
        "\u{0}",
        "\n\"\\",
        "\u{1f600}",
        "7",
    ];
    let pick = |dice: &mut Dice| likely[dice.below(likely.len())];
    (0..1 + dice.below(2)).map(|_| pick(dice)).collect()
}

/// Whether two values are equal and their maps have their members in the same order, floats bit by bit.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.0 == b.0 && same(a.1, b.1))
        }
        _ => a == b && a.kind() == b.kind(),
    }
}

/// Lists inside one another, so many.
pub(crate) fn nested(depth: usize) -> Value {
    (0..depth).fold(Value::Nil, |inner, _| Value::List(vec![inner]))
}

#[test]
fn equality_is_by_number_by_bit_and_whatever_the_order_of_members() {
    assert_eq!(Value::U64(5), Value::I64(5));
    assert_ne!(Value::U64(u64::MAX), Value::I64(-1));
    assert_eq!(Value::F64(f64::NAN), Value::F64(f64::NAN));
    assert_ne!(Value::F64(0.0), Value::F64(-0.0));
    assert_ne!(Value::F64(1.0), Value::I64(1));
    assert_ne!(Value::from("a"), Value::from(&b"a"[..]));
    assert_eq!(Map::from([("a", 1), ("b", 2)]), Map::from([("b", 2), ("a", 1)]));
    assert_ne!(Map::from([("a", 1)]), Map::from([("a", 1), ("b", 2)]));
    assert_ne!(Map::from([("7", 1)]), Map::from([(7, 1)]));
}

#[test]
fn numbers_are_asked_for_in_the_type_that_holds_them() {
    assert_eq!((Value::from(7u64).as_i64(), Value::from(7u64).as_u64()), (Some(7), Some(7)));
    assert_eq!((Value::from(-7).as_i64(), Value::from(-7).as_u64()), (Some(-7), None));
    assert_eq!((Value::from(u64::MAX).as_i64(), Value::from(u64::MAX).as_u64()), (None, Some(u64::MAX)));
    assert_eq!((Value::from(1.0).as_i64(), Value::from(1).as_f64()), (None, None));
    assert!(matches!(Value::from(7u64), Value::I64(7)), "numbers that fit are I64");
}

#[test]
fn values_are_made_of_what_programs_have_at_hand() {
    let value: Value = Map::from([
        ("name", Value::from("Ada")),
        ("guild", Value::from(None::<&str>)),
        ("bag", [(7, "sword")].into_iter().collect::<Map>().into()),
        ("scores", [1, 2].into_iter().collect()),
    ])
    .into();
    assert_eq!(value.get("name").and_then(Value::as_str), Some("Ada"));
    assert!(value.get("guild").is_some_and(Value::is_nil) && value.get("none").is_none());
    assert_eq!(value.get("bag").and_then(|bag| bag.get(7u64)).and_then(Value::as_str), Some("sword"));
    assert_eq!(value.get("scores").and_then(Value::as_list).map(<[_]>::len), Some(2));
}

#[test]
fn a_map_behaves_as_a_list_of_pairs_at_every_size() {
    let mut dice = Dice::new(5);
    for _ in 0..60 {
        let (mut map, mut model) = (Map::new(), Vec::<(MapKey, Value)>::new());
        for step in 0..200 {
            let number = dice.below(60) as u64;
            let key = if number.is_multiple_of(3) {
                MapKey::from(number.to_string())
            } else {
                MapKey::from(number)
            };
            let at = model.iter().position(|(k, _)| *k == key);
            if dice.below(3) > 0 {
                let before = at.map(|at| std::mem::replace(&mut model[at].1, Value::from(step)));
                assert_eq!(map.insert(key.clone(), step), before);
                if at.is_none() {
                    model.push((key, Value::from(step)));
                }
            } else {
                assert_eq!(map.remove(&key), at.map(|at| model.remove(at).1));
            }
            assert!(map.iter().eq(model.iter().map(|(k, v)| (k, v))));
        }
        for (key, value) in &model {
            assert_eq!(map.get(key), Some(value));
        }
        assert!(map.get("61").is_none() && map.get(1_000).is_none());
    }
}

#[test]
fn a_number_finds_its_member_however_it_is_held() {
    for len in [1, 100] {
        let mut map: Map = (0..len).map(|i| (MapKey::U64(i), i)).collect();
        assert_eq!(map.get(0), Some(&Value::from(0)));
        assert_eq!(map.insert(MapKey::I64(0), "new"), Some(Value::from(0)));
        assert_eq!(map.len() as u64, len);
        *map.get_mut(0u32).unwrap() = Value::Nil;
        assert!(map.iter().next().unwrap().1.is_nil());
    }
}
