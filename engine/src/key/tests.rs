use std::collections::HashMap;

use super::*;
use crate::tests::Dice;

#[test]
fn text_bytes_numbers_and_keys_all_name_one_key() {
    let key = Key::new("42").unwrap();
    let all: [KeyRef<'_>; 12] = [
        "42".into(),
        (&String::from("42")).into(),
        String::from("42").into(),
        b"42".into(),
        (&b"42"[..]).into(),
        vec![b'4', b'2'].into(),
        42u64.into(),
        42u32.into(),
        42i64.into(),
        42.into(),
        (&key).into(),
        key.clone().into(),
    ]
    .map(|k: KeyRef<'_>| KeyRef::from(k.to_key().unwrap()));
    for same in all {
        assert_eq!(same.checked().unwrap(), b"42");
        assert_eq!(same.to_key().unwrap(), key);
    }
}

#[test]
fn a_number_is_its_decimal_text_and_comes_back() {
    for number in [0, 1, 9, 10, 99, 100, 999, 1_000, 1_000_000_007, u64::MAX - 1, u64::MAX] {
        let key = Key::new(number).unwrap();
        assert_eq!(key, number.to_string().as_str());
        assert_eq!(key.as_u64(), Some(number));
    }
    for number in [i64::MIN, -1, 0, i64::MAX] {
        assert_eq!(Key::new(number).unwrap().as_str(), Some(number.to_string().as_str()));
    }
    for other in ["042", "+42", "-42", "", "4 2", "18446744073709551616", "forty", "00"] {
        assert_eq!(Key::new(other).ok().and_then(|k| k.as_u64()), None, "{other:?}");
    }
}

#[test]
fn an_empty_or_overlong_key_is_an_error_that_says_so() {
    let table = [(0, Some(ErrorKind::Invalid)), (1, None), (22, None), (23, None), (1024, None)];
    for (len, kind) in table.into_iter().chain([(1025, Some(ErrorKind::TooLarge))]) {
        let key = Key::new(vec![7u8; len]);
        assert_eq!(key.as_ref().err().map(Error::kind), kind, "{len} bytes");
        if let Ok(key) = key {
            assert_eq!(key.as_bytes(), vec![7; len]);
        }
    }
    assert!(Key::new(vec![7u8; 1025]).unwrap_err().message().contains("1024"));
}

#[test]
fn order_and_hash_are_those_of_the_bytes() {
    let long = "x".repeat(30);
    let texts = ["", "\0", "a", "aa", "b", &long, "é"];
    for pair in texts[1..].windows(2) {
        assert!(Key::new(pair[0]).unwrap() < Key::new(pair[1]).unwrap(), "{pair:?}");
    }
    let map: HashMap<Key, usize> = texts[1..].iter().map(|t| (Key::new(*t).unwrap(), t.len())).collect();
    for text in &texts[1..] {
        assert_eq!(map.get(text.as_bytes()), Some(&text.len()), "{text:?}");
    }
}

#[test]
fn what_cannot_be_printed_is_shown_as_bytes() {
    let table: [(&[u8], &str); 8] = [
        (b"oak-1", "oak-1"),
        (b"a b'c\"/d", "a b'c\"/d"),
        ("Jürgen 木".as_bytes(), "Jürgen 木"),
        (b"a\\b", "a\\\\b"),
        (b"a\nb\x7f", "a\\x0ab\\x7f"),
        (b"\xff\xfe", "\\xff\\xfe"),
        ("\u{202e}".as_bytes(), "\\xe2\\x80\\xae"),
        ("\u{85}".as_bytes(), "\\xc2\\x85"),
    ];
    for (bytes, text) in table {
        assert_eq!(Key::new(bytes).unwrap().to_string(), text);
    }
}

#[test]
fn every_shown_key_reads_back_unchanged() {
    let mut dice = Dice::new(1);
    let likely = [b'\\', b'x', b'0', b'f', b'a', 0xc3, 0xa9, 0xff, 0, b'\n'];
    for _ in 0..5_000 {
        let mut bytes = dice.bytes(1, 40);
        for byte in &mut bytes {
            *byte = if dice.coin() { likely[dice.below(10)] } else { *byte };
        }
        let key = Key::new(&bytes).unwrap();
        let shown = key.to_string();
        assert!(!shown.contains(|c: char| c.is_control()), "{shown:?}");
        assert_eq!(shown.parse::<Key>().unwrap(), key, "{shown}");
    }
}

#[test]
fn a_backslash_that_stands_for_nothing_is_refused() {
    for text in ["\\", "\\n", "\\x", "\\x1", "\\xg0", "\\x0g", "a\\"] {
        let error = text.parse::<Key>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{text}");
        assert!(error.message().contains("\\xNN"));
    }
    assert_eq!("".parse::<Key>().unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!("\\xC3\\xa9".parse::<Key>().unwrap(), "é");
}

#[test]
fn a_key_is_three_words() {
    assert_eq!(size_of::<Key>(), 24);
}
