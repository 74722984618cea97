use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::Deserialize;
use serde::ser::SerializeSeq;

use super::*;
use crate::ids::Version;
use crate::limits::VALUE_BYTES_MAX;
use crate::limits::VALUE_DEPTH_MAX;
use crate::tests::Dice;
use crate::value::tests::{nested, random, same};
use crate::value::{Map, MapKey};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Player {
    coins: u64,
    #[serde(default)]
    level: u32,
    bag: BTreeMap<u32, i8>,
    class: Class,
    pet: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Class {
    Novice,
    Mage { mana: f64 },
    Pair(u8, bool),
    Boxed(Box<Class>),
}

fn player(class: Class) -> Player {
    Player { coins: 500, level: 3, bag: BTreeMap::from([(7, -1)]), class, pet: None }
}

fn stored<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    assert_eq!(encode(value, &mut out).unwrap(), Format::MessagePack);
    out
}

fn load<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    decode(Format::MessagePack, bytes)
}

#[test]
fn bytes_are_messagepack_with_names() {
    #[rustfmt::skip]
    let drawn: &[u8] = &[
        0x85,
        0xa5, b'c', b'o', b'i', b'n', b's', 0xcd, 0x01, 0xf4,
        0xa5, b'l', b'e', b'v', b'e', b'l', 3,
        0xa3, b'b', b'a', b'g', 0x81, 7, 0xff,
        0xa5, b'c', b'l', b'a', b's', b's', 0xa6, b'N', b'o', b'v', b'i', b'c', b'e',
        0xa3, b'p', b'e', b't', 0xc0,
    ];
    assert_eq!(stored(&player(Class::Novice)), drawn);
    assert_eq!(stored(&Value::from(&b"ab"[..])), [0xc4, 2, b'a', b'b']);
    assert_eq!(stored(&-2i64), [0xfe]);
    assert_eq!(stored(&Value::F64(1.5)), [0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn typed_values_come_back_directly_and_by_way_of_a_value() {
    let nested = Class::Boxed(Box::new(Class::Mage { mana: 0.1 }));
    for class in [Class::Novice, Class::Mage { mana: f64::INFINITY }, Class::Pair(255, true), nested] {
        let player = player(class);
        let bytes = stored(&player);
        assert_eq!(load::<Player>(&bytes).unwrap(), player);
        let value: Value = load(&bytes).unwrap();
        assert_eq!(stored(&value), bytes, "a value writes what it read");
        assert_eq!(value.get("bag").unwrap().get(7), Some(&Value::I64(-1)), "keys stay whole numbers");
    }
}

#[test]
fn every_value_comes_back_in_kind_number_bit_and_order() {
    let mut dice = Dice::new(6);
    for _ in 0..3_000 {
        let value = random(&mut dice, 4);
        let bytes = stored(&value);
        let back: Value = load(&bytes).unwrap();
        assert!(same(&back, &value), "{value:?}\n{back:?}");
        assert_eq!(stored(&back), bytes);
    }
}

#[test]
fn a_document_of_an_older_type_is_read_and_one_of_another_type_says_what_is_wrong() {
    let old: Value = Map::from([("pet", Value::from("cat")), ("coins", 1.into()), ("gone", 2.into())]).into();
    let mut old_player = old.clone();
    old_player.as_map_mut().unwrap().insert("bag", Map::new());
    old_player.as_map_mut().unwrap().insert("class", "Novice");
    let read: Player = load(&stored(&old_player)).unwrap();
    assert_eq!((read.coins, read.level, read.pet.as_deref()), (1, 0, Some("cat")));

    let error = load::<Player>(&stored(&old)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
    assert!(error.message().contains("bag") && error.message().contains("Player"), "{error}");
    assert_eq!(load::<u64>(&stored("text")).unwrap_err().kind(), ErrorKind::Decode);
    assert_eq!(load::<u8>(&stored(&256)).unwrap_err().kind(), ErrorKind::Decode);
}

#[test]
fn types_with_a_form_for_people_are_stored_in_it() {
    let address = Ipv4Addr::new(127, 0, 0, 1);
    assert_eq!(stored(&address), stored("127.0.0.1"));
    assert_eq!(load::<Ipv4Addr>(&stored("127.0.0.1")).unwrap(), address);
    let version: Version = "2517.40960".parse().unwrap();
    assert_eq!(stored(&version), stored("2517.40960"));
    assert_eq!(load::<Version>(&stored(&version)).unwrap(), version);
}

#[test]
fn raw_bytes_are_no_typed_value_and_are_shown_as_bytes() {
    let error = decode::<Player>(Format::Raw, b"\xc0").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongType);
    assert_eq!(view(Format::Raw, b"\xc0").unwrap(), Value::from(&b"\xc0"[..]));
    assert!(view(Format::MessagePack, b"\xc0").unwrap().is_nil());
}

#[test]
fn nesting_has_one_limit_for_writing_and_reading() {
    let deepest = stored(&nested(VALUE_DEPTH_MAX));
    assert!(same(&load(&deepest).unwrap(), &nested(VALUE_DEPTH_MAX)));
    let mut out = vec![9];
    let error = encode(&nested(VALUE_DEPTH_MAX + 1), &mut out).unwrap_err();
    assert_eq!((error.kind(), out.as_slice()), (ErrorKind::Encode, &[9u8][..]));
    assert!(error.message().contains("128"));
    let deeper = [&[0x91], deepest.as_slice()].concat();
    assert_eq!(load::<Value>(&deeper).unwrap_err().kind(), ErrorKind::Decode);

    let boxes = |n: usize| (0..n).fold(Class::Novice, |inner, _| Class::Boxed(Box::new(inner)));
    assert_eq!(load::<Class>(&stored(&boxes(VALUE_DEPTH_MAX))).unwrap(), boxes(VALUE_DEPTH_MAX));
    assert_eq!(encode(&boxes(VALUE_DEPTH_MAX + 1), &mut out).unwrap_err().kind(), ErrorKind::Encode);
    let hostile = b"\x81\xa5Boxed".repeat(1 << 20);
    assert_eq!(load::<Class>(&hostile).unwrap_err().kind(), ErrorKind::Decode);
}

#[test]
fn what_could_not_be_read_back_is_not_written() {
    struct Liar;
    impl Serialize for Liar {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut list = serializer.serialize_seq(Some(2))?;
            list.serialize_element(&1)?;
            list.end()
        }
    }
    struct Refuses;
    impl Serialize for Refuses {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("half a player"))
        }
    }
    let mut out = vec![9];
    let tuple_keys = BTreeMap::from([((1, 2), "tile")]);
    let errors = [
        (encode(&Liar, &mut out).unwrap_err(), "announced"),
        (encode(&Refuses, &mut out).unwrap_err(), "half a player"),
        (encode(&tuple_keys, &mut out).unwrap_err(), "list of pairs"),
    ];
    for (error, says) in errors {
        assert_eq!(error.kind(), ErrorKind::Encode);
        assert!(error.message().contains(says), "{error}");
    }
    assert_eq!(out, [9]);
}

#[test]
fn the_largest_value_is_exact_and_one_byte_more_is_refused() {
    let bytes = vec![0u8; VALUE_BYTES_MAX + 1];
    let mut out = Vec::with_capacity(VALUE_BYTES_MAX + 1);
    let fits = &bytes[..VALUE_BYTES_MAX - 5]; // marker and length of raw bytes
    encode(&Raw(fits), &mut out).unwrap();
    assert_eq!(out.len(), VALUE_BYTES_MAX);
    out.clear();
    assert_eq!(
        encode(&Raw(&bytes[..VALUE_BYTES_MAX - 4]), &mut out).unwrap_err().kind(),
        ErrorKind::TooLarge
    );
    assert!(out.is_empty());
}

struct Raw<'a>(&'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

#[test]
fn bytes_that_are_no_document_are_refused_whatever_they_announce() {
    let wrong: [&[u8]; 13] = [
        &[],
        &[0xc1],                               // reserved
        &[0xc0, 0xc0],                         // two documents
        &[0xdd, 0xff, 0xff, 0xff, 0xff],       // a list of 4 G values
        &[0xdf, 0xff, 0xff, 0xff, 0xff],       // a map of 4 G members
        &[0xdb, 0xff, 0xff, 0xff, 0xff],       // text of 4 GiB
        &[0xc6, 0xff, 0xff, 0xff, 0xff],       // 4 GiB of bytes
        &[0xc7, 4, 1, 0, 0, 0, 0],             // an extension
        &[0xd4, 1, 0],                         // an extension
        &[0x81, 0x90, 0xc0],                   // a list as a key
        &[0x81, 0xc0, 0xc0],                   // nil as a key
        &[0x82, 0xa1, b'a', 1, 0xa1, b'a', 2], // a key twice
        &[0x82, 7, 1, 0xcc, 7, 2],             // a number twice, in two forms
    ];
    for bytes in wrong {
        assert_eq!(load::<Value>(bytes).unwrap_err().kind(), ErrorKind::Decode, "{bytes:x?}");
    }
}

#[test]
fn every_cut_and_every_flipped_bit_of_a_document_is_an_answer() {
    let mut dice = Dice::new(7);
    let class = Class::Boxed(Box::new(Class::Mage { mana: 0.1 }));
    let documents = [stored(&player(class)), stored(&random(&mut dice, 4)), stored(&random(&mut dice, 5))];
    for bytes in documents {
        for len in 0..bytes.len() {
            assert_eq!(load::<Value>(&bytes[..len]).unwrap_err().kind(), ErrorKind::Decode);
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_answered(&flipped);
        }
    }
    for _ in 0..50_000 {
        assert_answered(&dice.bytes(0, 16));
    }
}

/// Reads `bytes` in several types; whatever is accepted writes back to an equal value.
fn assert_answered(bytes: &[u8]) {
    let _ = load::<Player>(bytes);
    let _ = load::<Class>(bytes);
    let _ = load::<Option<BTreeMap<String, Vec<f32>>>>(bytes);
    if let Ok(value) = load::<Value>(bytes) {
        assert!(same(&load(&stored(&value)).unwrap(), &value));
    }
}

#[test]
fn a_large_map_with_a_key_twice_is_refused_in_linear_time() {
    let mut members: Vec<u8> = (0..60_000u16).flat_map(|i| [0xcd, (i >> 8) as u8, i as u8, 0xc0]).collect();
    members.extend([0xcd, 0, 1, 0xc0]);
    let bytes = [&[0xde, 0xea, 0x61][..], &members].concat();
    let error = load::<Value>(&bytes).unwrap_err();
    assert!(error.message().contains("twice"), "{error}");
    let once = [&[0xde, 0xea, 0x60][..], &members[..240_000]].concat();
    let map: Value = load(&once).unwrap();
    assert_eq!(map.as_map().unwrap().iter().next_back().unwrap().0, &MapKey::I64(59_999));
}
