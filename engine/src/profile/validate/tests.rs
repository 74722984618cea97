use super::*;
use crate::limits::VALUE_BYTES_MAX;
use crate::tests::Dice;
use crate::value::codec;
use crate::value::tests::{nested, random};
use std::collections::{BTreeMap, HashMap};

fn size<T: Serialize>(value: &T) -> Result<usize> {
    validate(value, VALUE_BYTES_MAX, None)
}

fn encoded<T: Serialize>(value: &T) -> usize {
    let mut bytes = Vec::new();
    codec::encode(value, &mut bytes).expect("it is written");
    bytes.len()
}

/// Whatever has only finite numbers is counted to the byte.
#[test]
fn bytes_are_counted_as_they_are_written() {
    fn is_finite(value: &Value) -> bool {
        match value {
            Value::F64(number) => number.is_finite(),
            Value::List(values) => values.iter().all(is_finite),
            Value::Map(map) => map.iter().all(|(_, value)| is_finite(value)),
            _ => true,
        }
    }
    let mut dice = Dice::new(11);
    for _ in 0..3000 {
        let value = random(&mut dice, 4);
        match size(&value) {
            Ok(bytes) => assert_eq!(bytes, encoded(&value), "{value:?}"),
            Err(e) => assert_eq!((e.kind(), is_finite(&value)), (ErrorKind::Encode, false), "{value:?}"),
        }
    }
}

#[test]
fn every_shape_of_a_type_is_counted() {
    #[derive(Serialize)]
    enum Enum {
        Unit,
        New(u32),
        Tuple(u32, String),
        Struct { a: u8, b: Option<u8> },
    }
    #[derive(Serialize)]
    struct Unit;
    #[derive(Serialize)]
    struct New(f32);
    #[derive(Serialize)]
    struct Tuple(u8, i128);
    #[derive(Serialize)]
    struct All {
        enums: Vec<Enum>,
        unit: Unit,
        new: New,
        tuple: Tuple,
        c: char,
        map: HashMap<u64, ()>,
        by_enum: BTreeMap<Day, [u16; 3]>,
        wide: u128,
        #[serde(skip_serializing_if = "Option::is_none")]
        gone: Option<u8>,
        #[serde(flatten)]
        flat: BTreeMap<String, bool>,
    }
    #[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
    enum Day {
        Monday,
    }
    let enums =
        vec![Enum::Unit, Enum::New(70_000), Enum::Tuple(1, "x".repeat(300)), Enum::Struct { a: 1, b: None }];
    let all = All {
        enums,
        unit: Unit,
        new: New(1.5),
        tuple: Tuple(200, -5),
        c: 'é',
        map: (0..40).map(|n| (n << 40, ())).collect(),
        by_enum: BTreeMap::from([(Day::Monday, [1, 300, 5])]),
        wide: 7,
        gone: None,
        flat: BTreeMap::from([("t".into(), true)]),
    };
    assert_eq!(size(&all).expect("it may be stored"), encoded(&all));
    for number in
        [i64::MIN, -40_000, -32_769, -32_768, -129, -128, -33, -32, -1, 0, 127, 128, 255, 256, 65_536]
    {
        assert_eq!(size(&number).expect("a number"), encoded(&number), "{number}");
    }
    for len in [0, 31, 32, 255, 256, 65_535, 65_536] {
        assert_eq!(size(&"x".repeat(len)).expect("text"), encoded(&"x".repeat(len)));
        assert_eq!(size(&Value::Bytes(vec![0; len])).expect("bytes"), encoded(&Value::Bytes(vec![0; len])));
        assert_eq!(size(&vec![true; len]).expect("a list"), encoded(&vec![true; len]));
    }
}

#[test]
fn what_may_not_be_stored_is_refused_and_says_where() {
    #[derive(Serialize)]
    struct Player {
        bag: BTreeMap<u32, Vec<f64>>,
    }
    let player = |number| Player { bag: BTreeMap::from([(7, vec![1.0, number])]) };
    assert!(size(&player(2.0)).is_ok());
    let e = size(&player(f64::NAN)).expect_err("no number");
    assert_eq!(e.kind(), ErrorKind::Encode);
    assert!(e.message().contains("bag.7.1: NaN"), "{e}");
    assert_eq!(size(&f32::INFINITY).unwrap_err().kind(), ErrorKind::Encode);
    assert!(size(&nested(VALUE_DEPTH_MAX)).is_ok());
    assert_eq!(size(&BTreeMap::from([(true, 1)])).unwrap_err().kind(), ErrorKind::Encode);
    assert_eq!(size(&BTreeMap::from([((1, 2), 1)])).unwrap_err().kind(), ErrorKind::Encode);
    assert_eq!(validate(&"four", 4, None).unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(validate(&"four", 5, None).expect("five bytes"), 5);
    let check: Box<Check<u32>> = Box::new(|level| match level {
        0..=100 => Ok(()),
        _ => Err("level over 100".into()),
    });
    assert!(validate(&100, 9, Some(&*check)).is_ok());
    let e = validate(&101, 9, Some(&*check)).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Refused);
    assert!(e.message().ends_with("level over 100"), "{e}");
}

#[test]
fn nesting_is_bounded_before_the_stack_is() {
    struct Endless;
    impl Serialize for Endless {
        fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
            use serde::ser::SerializeSeq;
            let mut list = serializer.serialize_seq(Some(1))?;
            list.serialize_element(self)?;
            list.end()
        }
    }
    assert_eq!(size(&Endless).unwrap_err().kind(), ErrorKind::Encode);
}
