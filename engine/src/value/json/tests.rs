use super::*;
use crate::limits::VALUE_DEPTH_MAX;
use crate::tests::Dice;
use crate::value::tests::{nested, random, same};
use crate::value::{Map, MapKey, codec};

fn refused(text: &str) -> String {
    let error = from_str(text).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode, "{text}");
    error.message().to_owned()
}

#[test]
fn each_value_has_the_form_that_is_documented() {
    let table: Vec<(Value, &str)> = vec![
        (Value::Nil, "null"),
        (true.into(), "true"),
        (1.into(), "1"),
        (i64::MIN.into(), "-9223372036854775808"),
        (u64::MAX.into(), r#"{"$u64":"18446744073709551615"}"#),
        (1.0.into(), "1.0"),
        ((-0.0).into(), "-0.0"),
        (f64::NAN.into(), r#"{"$f64":"NaN"}"#),
        ((-f64::NAN).into(), r#"{"$f64":"0xfff8000000000000"}"#),
        (f64::INFINITY.into(), r#"{"$f64":"inf"}"#),
        (f64::NEG_INFINITY.into(), r#"{"$f64":"-inf"}"#),
        ("a\"é\n".into(), r#""a\"é\n""#),
        (b"hello"[..].into(), r#"{"$bytes":"aGVsbG8="}"#),
        ([1, 2].into_iter().collect(), "[1,2]"),
        (Map::from([("b", 1), ("a", 2)]).into(), r#"{"b":1,"a":2}"#),
        (Map::from([("$u64", 1), ("$$", 2), ("a$", 3)]).into(), r#"{"$$u64":1,"$$$":2,"a$":3}"#),
        (
            [(MapKey::from("$7"), Value::Nil), (7.into(), 1.into()), (u64::MAX.into(), 2.into())]
                .into_iter()
                .collect::<Map>()
                .into(),
            r#"{"$map":[["$7",null],[7,1],[{"$u64":"18446744073709551615"},2]]}"#,
        ),
        (Map::new().into(), "{}"),
    ];
    for (value, text) in table {
        assert_eq!(to_string(&value).unwrap(), text);
        assert!(same(&from_str(text).unwrap(), &value), "{text}");
    }
}

#[test]
fn every_value_comes_back_in_kind_number_bit_and_order() {
    let mut dice = Dice::new(9);
    for _ in 0..5_000 {
        let value = random(&mut dice, 4);
        let text = to_string(&value).unwrap();
        assert!(same(&from_str(&text).unwrap(), &value), "{text}");
        let mut indented = Vec::new();
        write(&value, Layout::Indented, &mut indented).unwrap();
        assert!(same(&from_slice(&indented).unwrap(), &value));
    }
}

#[test]
fn floats_come_back_to_the_last_bit() {
    let mut dice = Dice::new(10);
    for _ in 0..50_000 {
        let number = f64::from_bits(dice.next());
        let back = from_str(&to_string(&number.into()).unwrap()).unwrap();
        assert_eq!(back.as_f64().map(f64::to_bits), Some(number.to_bits()), "{number:e}");
    }
}

#[test]
fn plain_json_comes_back_as_it_was_through_the_store_too() {
    let text = r#"{"Title":"Die Hard \u0041 é \ud83d\ude00","Gross":1234567890123,"Rating":7.5,"small":1e-7,"n":0.1,
        "none":null,"z":[],"a":{},"list":[true,false,[{"z":1,"a":2}]],"":"","neg":-17,"max":9223372036854775807}"#;
    let value = from_str(text).unwrap();
    let mut stored = Vec::new();
    let format = codec::encode(&value, &mut stored).unwrap();
    let back = to_string(&codec::view(format, &stored).unwrap()).unwrap();
    assert_eq!(
        back,
        r#"{"Title":"Die Hard A é 😀","Gross":1234567890123,"Rating":7.5,"small":1e-7,"n":0.1,"none":null,"z":[],"a":{},"list":[true,false,[{"z":1,"a":2}]],"":"","neg":-17,"max":9223372036854775807}"#
    );
    let parsed = |text: &str| text.parse::<serde_json::Value>().unwrap();
    assert_eq!(parsed(&back), parsed(text));
}

#[test]
fn a_number_is_whole_exactly_when_it_is_written_so() {
    let table = [
        ("1", Value::I64(1)),
        ("1.0", Value::F64(1.0)),
        ("1e3", Value::F64(1000.0)),
        ("-0", Value::F64(-0.0)),
        ("-0.0", Value::F64(-0.0)),
        ("18446744073709551615", Value::U64(u64::MAX)),
        ("18446744073709551616", Value::F64(18_446_744_073_709_551_616.0)),
        ("-9223372036854775809", Value::F64(-9_223_372_036_854_775_808.0)),
    ];
    for (text, value) in table {
        assert!(same(&from_str(text).unwrap(), &value), "{text}");
        // The same when another crate has serde_json hand out numbers as text.
        let as_text = format!(r#"{{"$serde_json::private::Number":"{text}"}}"#);
        assert!(same(&from_str(&as_text).unwrap(), &value), "{text}");
    }
}

#[test]
fn what_says_no_value_is_refused_with_place_and_reason() {
    let table = [
        (r#"{"$oid":"1"}"#, "one $ more"),
        (r#"{"a":1,"$u64":"1"}"#, "one $ more"),
        (r#"{"$u64":"1","a":1}"#, "stands alone"),
        (r#"{"$u64":1}"#, "line 1"),
        (r#"{"$u64":"-1"}"#, "not what"),
        (r#"{"$f64":"nan"}"#, "not what"),
        (r#"{"$f64":"1.5"}"#, "not what"),
        (r#"{"$f64":"0x3ff0000000000000"}"#, "not what"),
        (r#"{"$bytes":"a"}"#, "not what"),
        (r#"{"$map":{}}"#, "[key, value]"),
        (r#"{"$map":[[1]]}"#, "[key, value]"),
        (r#"{"$map":[[1,2,3]]}"#, "no more"),
        (r#"{"$map":[[[],2]]}"#, "list cannot be the key"),
        (r#"{"$map":[[1.0,2]]}"#, "float cannot be the key"),
        (r#"{"$map":[[1,2],[1,3]]}"#, "twice"),
        (r#"{"a":1,"a":2}"#, "twice"),
        ("[1,]", "line 1"),
        ("1 2", "trailing"),
        ("1e999", "out of range"),
        ("NaN", "line 1"),
        ("", "EOF"),
    ];
    for (text, says) in table {
        let message = refused(text);
        assert!(message.contains(says), "{text}: {message}");
    }
}

#[test]
fn nesting_has_the_limit_of_the_store_however_many_levels_json_takes() {
    let maps = |depth: usize| (0..depth).fold(Value::Nil, |inner, _| Map::from([(7, inner)]).into());
    let names = |depth: usize| (0..depth).fold(Value::Nil, |inner, _| Map::from([("n", inner)]).into());
    for deepest in [nested(VALUE_DEPTH_MAX), maps(VALUE_DEPTH_MAX), names(VALUE_DEPTH_MAX)] {
        let text = to_string(&deepest).unwrap();
        assert!(same(&from_str(&text).unwrap(), &deepest));
        let deeper = Value::List(vec![deepest]);
        assert_eq!(to_string(&deeper).unwrap_err().kind(), ErrorKind::Encode);
        assert!(refused(&format!("[{text}]")).contains("128"));
    }
    for opening in ["[", r#"{"n":"#, r#"{"$map":[[7,"#, r#"{"$map":[["#] {
        refused(&opening.repeat(100_000));
    }
    refused(&format!("{}{{}}", "[".repeat(VALUE_DEPTH_MAX)));
}

#[test]
fn a_value_stands_inside_a_document_of_the_callers_own() {
    let value: Value = Map::from([(7, "sword")]).into();
    let line = serde_json::to_string(&("players/42", Json(&value))).unwrap();
    assert_eq!(line, r#"["players/42",{"$map":[[7,"sword"]]}]"#);
    let (key, FromJson(back)): (String, FromJson) = serde_json::from_str(&line).unwrap();
    assert_eq!((key.as_str(), back), ("players/42", value));
}

#[test]
fn every_cut_and_every_changed_byte_of_a_text_is_an_answer() {
    let value: Value = Map::from([
        ("$k", Value::from(&b"bytes"[..])),
        ("m", Map::from([(7, f64::NAN)]).into()),
        ("u", u64::MAX.into()),
    ])
    .into();
    let text = to_string(&value).unwrap().into_bytes();
    for at in 0..text.len() {
        assert!(from_slice(&text[..at]).is_err());
        for byte in [b'"', b'$', b'{', b'[', b'0', b'\\', 0xff, b','] {
            let mut changed = text.clone();
            changed[at] = byte;
            if let Ok(value) = from_slice(&changed) {
                assert!(same(&from_str(&to_string(&value).unwrap()).unwrap(), &value));
            }
        }
    }
}

#[test]
fn a_writer_that_refuses_is_an_error_of_the_system() {
    struct Full;
    impl io::Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let error = write(&1.into(), Layout::Compact, Full).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
}

/// Texts that are JSON, and texts that nearly are: both readers agree which is which, and on what it says.
#[test]
fn what_is_json_and_what_it_says_is_judged_as_others_do() {
    let parts = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"a\"",
        "\"\\u00e9\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ud83d\"",
        "0",
        "-1",
        "01",
        "1.5e3",
        "1.",
        "-",
        ".5",
        "1e",
        "true",
        "nul",
        "null",
        " ",
        "\n",
        "\"\\x\"",
        "\"\t\"",
        "\"b\":",
        "1e400",
    ];
    let mut dice = Dice::new(11);
    let mut agreed = [0, 0];
    for _ in 0..60_000 {
        let text: String = (0..1 + dice.below(7)).map(|_| parts[dice.below(parts.len())]).collect();
        let theirs = text.parse::<serde_json::Value>();
        match from_str(&text) {
            Ok(ours) => {
                let theirs = theirs.unwrap_or_else(|e| panic!("{text:?}: {e}"));
                assert_eq!(
                    to_string(&ours).unwrap().parse::<serde_json::Value>().unwrap(),
                    theirs,
                    "{text:?}"
                );
                agreed[0] += 1;
            }
            Err(e) => {
                // an object with a name twice is the one text that only we refuse
                assert!(theirs.is_err() || e.message().contains("twice"), "{text:?}: {e}");
                agreed[1] += 1;
            }
        }
    }
    assert!(agreed[0] > 1000 && agreed[1] > 1000, "{agreed:?}");
}

#[test]
fn text_of_any_character_is_written_as_others_read_it_and_read_as_others_write_it() {
    let mut dice = Dice::new(12);
    for _ in 0..5_000 {
        let text: String = (0..dice.below(12))
            .map(|_| match dice.below(3) {
                0 => char::from(dice.below(128) as u8),
                1 => char::from_u32(dice.below(0x800) as u32).unwrap_or('x'),
                _ => char::from_u32(dice.below(0x11_0000) as u32).unwrap_or('\u{2028}'),
            })
            .collect();
        let ours = to_string(&text.as_str().into()).unwrap();
        assert_eq!(serde_json::from_str::<String>(&ours).unwrap(), text);
        let theirs = serde_json::to_string(&text).unwrap();
        assert_eq!(ours, theirs, "{text:?}");
        assert_eq!(from_str(&theirs).unwrap().as_str(), Some(text.as_str()));
    }
    for (value, pretty) in [("[]", "[]"), ("{\"a\":[1,{}]}", "{\n  \"a\": [\n    1,\n    {}\n  ]\n}")] {
        let mut out = Vec::new();
        write(&from_str(value).unwrap(), Layout::Indented, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), pretty);
    }
}
