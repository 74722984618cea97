//! Pure: values as JSON text and back, every value unchanged.
//!
//! What JSON has stands as it is: `null`, `true`, text, lists, maps with text as keys, members in their order. A number
//! without fraction and exponent is a whole number, every other one a float, and a float is always written so:
//! `1` is [`Value::I64`], `1.0`, `1e3` and `-0.0` are [`Value::F64`]. What JSON lacks is an object with one member
//! whose name begins with `$`:
//!
//! | value | as JSON |
//! |---|---|
//! | a whole number above `i64::MAX` | `{"$u64": "18446744073709551615"}` |
//! | a float that is no number | `{"$f64": "NaN"}`, `"inf"`, `"-inf"`; any other NaN by its bits, `"0xfff8000000000000"` |
//! | bytes | `{"$bytes": "aGVsbG8="}`, base64 with padding |
//! | a map with whole numbers among its keys | `{"$map": [[7, "sword"], ["seven", null]]}` |
//! | a text key that begins with `$` | the same key with one `$` more before it |
//!
//! So `read(write(v)) == v` for every value, floats bit by bit, and JSON text without names that begin with `$` comes
//! back as the same JSON, numbers by value. A whole number too large for 64 bits is read as the nearest float. An
//! object with a name twice, or with a `$` name not listed here, is refused: nothing is lost silently.

use std::io;

use serde::de::DeserializeSeed;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Value;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::VALUE_DEPTH_MAX;

mod base64;
mod parse;
mod read;
mod write;
mod print;

/// Names of the members that say what JSON lacks.
const U64: &str = "$u64";
const F64: &str = "$f64";
const BYTES: &str = "$bytes";
const MAP: &str = "$map";

/// The value as JSON text on one line.
///
/// # Errors
///
/// [`ErrorKind::Encode`]: it is nested deeper than 128 lists and maps.
pub fn to_string(value: &Value) -> Result<String> {
    print::text(value, Layout::Compact, VALUE_DEPTH_MAX).map_err(|why| cannot_write(&why))
}

/// [`to_string`] of an envelope: so many levels around values that are as deep as they may be.
pub(crate) fn line(value: &Value, levels: usize) -> Result<String> {
    print::text(value, Layout::Compact, VALUE_DEPTH_MAX + levels).map_err(|why| cannot_write(&why))
}

/// How JSON text is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// On one line, without spaces.
    Compact,
    /// A line for each member, indented by two spaces.
    Indented,
}

/// Writes the value as JSON text to `out`.
///
/// # Errors
///
/// - [`ErrorKind::Encode`]: it is nested deeper than 128 lists and maps.
/// - [`ErrorKind::Io`]: `out` refused.
pub fn write(value: &Value, layout: Layout, mut out: impl io::Write) -> Result<()> {
    let text = print::text(value, layout, VALUE_DEPTH_MAX).map_err(|why| cannot_write(&why))?;
    out.write_all(text.as_bytes()).map_err(|e| {
        Error::new(ErrorKind::Io, format!("writing JSON: {e}; call again when it can be written"))
            .caused_by(e)
    })
}

/// The value that a JSON text says.
///
/// # Errors
///
/// [`ErrorKind::Decode`]: the text is no JSON, or says no value; the message says where and why.
pub fn from_str(text: &str) -> Result<Value> {
    from_slice(text.as_bytes())
}

/// The value that a JSON text in UTF-8 says.
///
/// # Errors
///
/// As [`from_str`].
pub fn from_slice(text: &[u8]) -> Result<Value> {
    parse::document(text, read::Inside::TOP).map_err(|e| cannot_read(&e))
}

/// [`from_slice`] of an envelope: so many levels around values that are as deep as they may be.
pub(crate) fn from_line(text: &[u8], levels: usize) -> Result<Value> {
    parse::document(text, read::Inside(VALUE_DEPTH_MAX + levels)).map_err(|e| cannot_read(&e))
}

/// A value that serializes in the JSON form of this module, inside a JSON document of the caller's own.
#[derive(Clone, Copy, Debug)]
pub struct Json<'a>(pub &'a Value);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write::Nested::top(self.0).serialize(serializer)
    }
}

/// A value that deserializes from the JSON form of this module, inside a JSON document of the caller's own.
///
/// There the caller's reader bounds the nesting; `serde_json` takes 128 levels, of which a map with whole numbers
/// as keys uses three.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FromJson(pub Value);

impl<'de> Deserialize<'de> for FromJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read::Inside::TOP.deserialize(deserializer).map(Self)
    }
}

#[cold]
fn cannot_write(why: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Encode, format!("the value cannot be written as JSON: {why}"))
}

#[cold]
fn cannot_read(why: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Decode, format!("this JSON text is no value: {why}; mend it and call again"))
}

#[cfg(test)]
mod tests;
