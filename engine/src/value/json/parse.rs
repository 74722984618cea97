//! Pure: JSON text (RFC 8259) as a deserializer, bounded by whoever reads through it.
//!
//! It knows the one thing that values of any shape need: to say what stands there. The visitor bounds the nesting.
//! Names and text may hold any character; a number that no float holds is refused.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// Why a text is no JSON, or not what its reader wants.
#[derive(Debug)]
pub(super) struct NoJson(String);

impl fmt::Display for NoJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoJson {}

impl serde::de::Error for NoJson {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self(what.to_string())
    }
}

/// Reads one document through `seed`; nothing but white space may follow it. An error names line and column.
pub(super) fn document<'a, S: DeserializeSeed<'a>>(text: &'a [u8], seed: S) -> Result<S::Value, NoJson> {
    let mut parser = Parser { text, at: 0 };
    let read = seed.deserialize(&mut parser).and_then(|value| match parser.peek() {
        None => Ok(value),
        Some(_) => Err(NoJson::custom("trailing characters")),
    });
    read.map_err(|NoJson(what)| {
        let before = &text[..parser.at.min(text.len())];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let column = before.len() - before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        NoJson(format!("{what} at line {line} column {column}"))
    })
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Parser<'a> {
    /// The next byte that is no white space, which stays.
    fn peek(&mut self) -> Option<u8> {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn some(&mut self, doing: &str) -> Result<u8, NoJson> {
        self.peek().ok_or_else(|| NoJson::custom(format!("EOF while parsing {doing}")))
    }

    fn word(&mut self, word: &str) -> Result<(), NoJson> {
        if self.text[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(());
        }
        Err(NoJson::custom("expected value"))
    }

    fn digits(&mut self) -> usize {
        let begun = self.at;
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        self.at - begun
    }

    fn one_of(&mut self, bytes: &[u8]) -> bool {
        let found = self.text.get(self.at).is_some_and(|byte| bytes.contains(byte));
        self.at += usize::from(found);
        found
    }

    /// The text of a number, and whether it is written as a whole one.
    fn number(&mut self) -> Result<(&'a str, bool), NoJson> {
        let begun = self.at;
        let negative = self.one_of(b"-");
        let zero = self.text.get(self.at) == Some(&b'0');
        let leading = self.digits();
        if leading == 0 || zero && leading > 1 {
            return Err(NoJson::custom("invalid number"));
        }
        let mut whole = !(negative && zero);
        if self.one_of(b".") {
            whole = false;
            if self.digits() == 0 {
                return Err(NoJson::custom("invalid number"));
            }
        }
        if self.one_of(b"eE") {
            whole = false;
            self.one_of(b"+-");
            if self.digits() == 0 {
                return Err(NoJson::custom("invalid number"));
            }
        }
        let text = std::str::from_utf8(&self.text[begun..self.at]);
        Ok((text.map_err(NoJson::custom)?, whole))
    }

    /// Text between quotes, the first of which stands here.
    fn string(&mut self) -> Result<String, NoJson> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let plain = self.at;
            while self.text.get(self.at).is_some_and(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)) {
                self.at += 1;
            }
            let part = std::str::from_utf8(&self.text[plain..self.at]);
            out.push_str(part.map_err(|_| NoJson::custom("invalid unicode code point"))?);
            match self.text.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => {
                    self.at += 1;
                    out.push(self.escaped()?);
                }
                Some(_) => return Err(NoJson::custom("control character while parsing a string")),
                None => return Err(NoJson::custom("EOF while parsing a string")),
            }
        }
    }

    fn escaped(&mut self) -> Result<char, NoJson> {
        let byte = self.text.get(self.at).ok_or_else(|| NoJson::custom("EOF while parsing a string"))?;
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(*byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => self.code_point()?,
            _ => return Err(NoJson::custom("invalid escape")),
        })
    }

    fn code_point(&mut self) -> Result<char, NoJson> {
        let first = self.four_digits()?;
        let number = match first {
            0xd800..0xdc00 => {
                if !(self.one_of(b"\\") && self.one_of(b"u")) {
                    return Err(NoJson::custom("lone leading surrogate in hex escape"));
                }
                let second = self.four_digits()?;
                if !(0xdc00..0xe000).contains(&second) {
                    return Err(NoJson::custom("lone leading surrogate in hex escape"));
                }
                0x1_0000 + (first - 0xd800) * 0x400 + (second - 0xdc00)
            }
            other => other,
        };
        char::from_u32(number).ok_or_else(|| NoJson::custom("lone surrogate in hex escape"))
    }

    fn four_digits(&mut self) -> Result<u32, NoJson> {
        let digits =
            self.text.get(self.at..self.at + 4).filter(|four| four.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|four| std::str::from_utf8(four).ok());
        let number = digits.and_then(|four| u32::from_str_radix(four, 16).ok());
        self.at += 4;
        number.ok_or_else(|| NoJson::custom("invalid escape"))
    }
}

impl<'de> Deserializer<'de> for &mut Parser<'de> {
    type Error = NoJson;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NoJson> {
        match self.some("a value")? {
            b'n' => self.word("null").and_then(|()| visitor.visit_unit()),
            b't' => self.word("true").and_then(|()| visitor.visit_bool(true)),
            b'f' => self.word("false").and_then(|()| visitor.visit_bool(false)),
            b'"' => visitor.visit_string(self.string()?),
            b'-' | b'0'..=b'9' => {
                let (text, whole) = self.number()?;
                if let (true, Ok(number)) = (whole, text.parse()) {
                    return visitor.visit_i64(number);
                }
                if let (true, Ok(number)) = (whole, text.parse()) {
                    return visitor.visit_u64(number);
                }
                match text.parse::<f64>() {
                    Ok(number) if number.is_finite() => visitor.visit_f64(number),
                    _ => Err(NoJson::custom("number out of range")),
                }
            }
            b'[' => {
                self.at += 1;
                let mut elements = Row { parser: self, first: true, closed: false };
                let value = visitor.visit_seq(&mut elements)?;
                elements.end(b']', "a list").map(|()| value)
            }
            b'{' => {
                self.at += 1;
                let mut members = Row { parser: self, first: true, closed: false };
                let value = visitor.visit_map(&mut members)?;
                members.end(b'}', "an object").map(|()| value)
            }
            _ => Err(NoJson::custom("expected value")),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// Elements of a list, or members of an object.
struct Row<'p, 'de> {
    parser: &'p mut Parser<'de>,
    first: bool,
    closed: bool,
}

impl Row<'_, '_> {
    /// Whether another element follows.
    fn more(&mut self, close: u8, what: &str) -> Result<bool, NoJson> {
        if self.closed {
            return Ok(false);
        }
        match (self.parser.some(what)?, std::mem::take(&mut self.first)) {
            (byte, _) if byte == close => {
                self.parser.at += 1;
                self.closed = true;
                Ok(false)
            }
            (_, true) => Ok(true),
            (b',', false) => {
                self.parser.at += 1;
                match self.parser.some(what)? {
                    byte if byte == close => Err(NoJson::custom("trailing comma")),
                    _ => Ok(true),
                }
            }
            _ => Err(NoJson::custom(format!("expected `,` or `{}`", char::from(close)))),
        }
    }

    fn end(&mut self, close: u8, what: &str) -> Result<(), NoJson> {
        if self.more(close, what)? { Err(NoJson::custom("no more is expected here")) } else { Ok(()) }
    }
}

impl<'de> SeqAccess<'de> for &mut Row<'_, 'de> {
    type Error = NoJson;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, NoJson> {
        if self.more(b']', "a list")? { seed.deserialize(&mut *self.parser).map(Some) } else { Ok(None) }
    }
}

impl<'de> MapAccess<'de> for &mut Row<'_, 'de> {
    type Error = NoJson;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, NoJson> {
        if !self.more(b'}', "an object")? {
            return Ok(None);
        }
        match self.parser.some("an object")? {
            b'"' => seed.deserialize(&mut *self.parser).map(Some),
            _ => Err(NoJson::custom("key must be a string")),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, NoJson> {
        if self.parser.some("an object")? != b':' {
            return Err(NoJson::custom("expected `:`"));
        }
        self.parser.at += 1;
        seed.deserialize(&mut *self.parser)
    }
}
