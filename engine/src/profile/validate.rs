//! Pure: whether a value may be stored, looked at when it changes: its size, its depth, its numbers, the user's check.
//!
//! Nothing is written for it: the bytes are counted as MessagePack would have them.

use std::fmt;

use serde::ser;
use serde::{Serialize, Serializer};

use super::template::document_of;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::VALUE_DEPTH_MAX;
use crate::value::Value;

/// What a program says of its own values: `Err` refuses one.
pub(crate) type Check<T> = dyn Fn(&T) -> std::result::Result<(), String> + Send + Sync;

/// Looks at a value; answers the bytes that it is stored in.
///
/// # Errors
///
/// - [`ErrorKind::TooLarge`]: more than `bytes_max`.
/// - [`ErrorKind::Encode`]: nested too deep, a number that is not finite, keys that are neither text nor whole numbers.
/// - [`ErrorKind::Refused`]: `check` refused it.
pub(crate) fn validate<T: Serialize>(value: &T, bytes_max: usize, check: Option<&Check<T>>) -> Result<usize> {
    let bytes =
        value.serialize(Measure { depth: 0, is_key: false }).map_err(|flaw| cannot(&flaw.to_string()))?;
    if bytes > bytes_max {
        return Err(too_large(bytes, bytes_max));
    }
    match check.map(|check| check(value)) {
        Some(Err(says)) => Err(refused(&says)),
        _ => Ok(bytes),
    }
}

#[cold]
fn cannot(why: &str) -> Error {
    Error::new(ErrorKind::Encode, format!("the change was refused, and the old value stands: {why}"))
}

#[cold]
fn too_large(bytes: usize, bytes_max: usize) -> Error {
    let message = format!(
        "the change was refused, and the old value stands: it would take {bytes} bytes, and {bytes_max} are allowed; store \
         less, or raise `bytes_max`"
    );
    Error::new(ErrorKind::TooLarge, message)
}

#[cold]
fn refused(says: &str) -> Error {
    let message = format!("the change was refused, and the old value stands: {says}");
    Error::new(ErrorKind::Refused, message)
}

/// Why a value may not be stored, and where it stands.
#[derive(Debug)]
pub(crate) struct Flaw {
    /// Innermost first.
    path: Vec<String>,
    says: String,
}

impl Flaw {
    fn new(says: impl Into<String>) -> Self {
        Self { path: Vec::new(), says: says.into() }
    }

    fn inside(mut self, step: impl fmt::Display) -> Self {
        self.path.push(step.to_string());
        self
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            let steps: Vec<&str> = self.path.iter().rev().map(String::as_str).collect();
            write!(f, "{}: ", steps.join("."))?;
        }
        f.write_str(&self.says)
    }
}

impl std::error::Error for Flaw {}

impl ser::Error for Flaw {
    fn custom<T: fmt::Display>(says: T) -> Self {
        Self::new(says.to_string())
    }
}

/// Counts the bytes of a value that stands inside `depth` lists and maps, perhaps as the key of a member.
#[derive(Clone, Copy)]
struct Measure {
    depth: usize,
    is_key: bool,
}

impl Measure {
    fn enter(self) -> Result<Self, Flaw> {
        self.no_key(0)?;
        if self.depth < VALUE_DEPTH_MAX {
            return Ok(Self { depth: self.depth + 1, is_key: false });
        }
        Err(Flaw::new(format!("it is nested deeper than {VALUE_DEPTH_MAX} lists and maps: make it flatter")))
    }

    /// Something that cannot be the key of a member, in so many bytes.
    fn no_key(self, bytes: usize) -> Result<usize, Flaw> {
        if !self.is_key {
            return Ok(bytes);
        }
        Err(Flaw::new("the keys of a map must be text or whole numbers: store a list of pairs instead"))
    }

    /// A list or a map whose elements follow.
    fn many(self) -> Result<Many, Flaw> {
        Ok(Many { inside: self.enter()?, bytes: 0, elements: 0 })
    }

    /// The variant of an enum: a map of one member.
    fn variant(self, name: &str) -> Result<(Self, usize), Flaw> {
        Ok((self.enter()?, 1 + text(name.len())))
    }
}

fn unsigned(number: u64) -> usize {
    match number {
        0..=0x7f => 1,
        0x80..=0xff => 2,
        0x100..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

fn signed(number: i64) -> usize {
    match number {
        0.. => unsigned(number.unsigned_abs()),
        -32..0 => 1,
        -0x80..-32 => 2,
        -0x8000..-0x80 => 3,
        -0x8000_0000..-0x8000 => 5,
        _ => 9,
    }
}

fn text(len: usize) -> usize {
    len + match len {
        0..=31 => 1,
        32..=0xff => 2,
        0x100..=0xffff => 3,
        _ => 5,
    }
}

fn bytes(len: usize) -> usize {
    len + match len {
        0..=0xff => 2,
        0x100..=0xffff => 3,
        _ => 5,
    }
}

/// What stands before the elements of a list or the members of a map.
fn header(len: usize) -> usize {
    match len {
        0..=15 => 1,
        16..=0xffff => 3,
        _ => 5,
    }
}

fn finite(number: f64, bytes: usize) -> Result<usize, Flaw> {
    if number.is_finite() {
        return Ok(bytes);
    }
    Err(Flaw::new(format!("{number} is no number that can be stored: look where it was divided by zero")))
}

/// A list, a tuple, a map or a struct that is being counted.
struct Many {
    inside: Measure,
    bytes: usize,
    elements: usize,
}

impl Many {
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Flaw> {
        self.bytes += value.serialize(self.inside).map_err(|flaw| flaw.inside(self.elements))?;
        self.elements += 1;
        Ok(())
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Flaw> {
        self.bytes += text(name.len()) + value.serialize(self.inside).map_err(|flaw| flaw.inside(name))?;
        self.elements += 1;
        Ok(())
    }

    fn finish(self) -> Result<usize, Flaw> {
        Ok(header(self.elements) + self.bytes)
    }
}

impl Serializer for Measure {
    type Ok = usize;
    type Error = Flaw;
    type SerializeSeq = Many;
    type SerializeTuple = Many;
    type SerializeTupleStruct = Many;
    type SerializeTupleVariant = InVariant;
    type SerializeMap = Members;
    type SerializeStruct = Many;
    type SerializeStructVariant = InVariant;

    fn is_human_readable(&self) -> bool {
        true
    }

    fn serialize_bool(self, _: bool) -> Result<usize, Flaw> {
        self.no_key(1)
    }

    fn serialize_i8(self, number: i8) -> Result<usize, Flaw> {
        Ok(signed(number.into()))
    }

    fn serialize_i16(self, number: i16) -> Result<usize, Flaw> {
        Ok(signed(number.into()))
    }

    fn serialize_i32(self, number: i32) -> Result<usize, Flaw> {
        Ok(signed(number.into()))
    }

    fn serialize_i64(self, number: i64) -> Result<usize, Flaw> {
        Ok(signed(number))
    }

    fn serialize_i128(self, _: i128) -> Result<usize, Flaw> {
        self.no_key(bytes(16))
    }

    fn serialize_u8(self, number: u8) -> Result<usize, Flaw> {
        Ok(unsigned(number.into()))
    }

    fn serialize_u16(self, number: u16) -> Result<usize, Flaw> {
        Ok(unsigned(number.into()))
    }

    fn serialize_u32(self, number: u32) -> Result<usize, Flaw> {
        Ok(unsigned(number.into()))
    }

    fn serialize_u64(self, number: u64) -> Result<usize, Flaw> {
        Ok(unsigned(number))
    }

    fn serialize_u128(self, _: u128) -> Result<usize, Flaw> {
        self.no_key(bytes(16))
    }

    fn serialize_f32(self, number: f32) -> Result<usize, Flaw> {
        finite(number.into(), self.no_key(5)?)
    }

    fn serialize_f64(self, number: f64) -> Result<usize, Flaw> {
        finite(number, self.no_key(9)?)
    }

    fn serialize_char(self, c: char) -> Result<usize, Flaw> {
        Ok(text(c.len_utf8()))
    }

    fn serialize_str(self, say: &str) -> Result<usize, Flaw> {
        Ok(text(say.len()))
    }

    fn serialize_bytes(self, all: &[u8]) -> Result<usize, Flaw> {
        self.no_key(bytes(all.len()))
    }

    fn serialize_none(self) -> Result<usize, Flaw> {
        self.no_key(1)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<usize, Flaw> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<usize, Flaw> {
        self.no_key(1)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<usize, Flaw> {
        self.enter().map(|_| 1)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Result<usize, Flaw> {
        Ok(text(name.len()))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<usize, Flaw> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        value: &T,
    ) -> Result<usize, Flaw> {
        let (inside, before) = self.variant(name)?;
        Ok(before + value.serialize(inside).map_err(|flaw| flaw.inside(name))?)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Many, Flaw> {
        self.many()
    }

    fn serialize_tuple(self, _: usize) -> Result<Many, Flaw> {
        self.many()
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Many, Flaw> {
        self.many()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<InVariant, Flaw> {
        let (inside, before) = self.variant(name)?;
        Ok(InVariant { name, before, many: inside.many()? })
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Members, Flaw> {
        self.many().map(Members)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Many, Flaw> {
        self.many()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<InVariant, Flaw> {
        let (inside, before) = self.variant(name)?;
        Ok(InVariant { name, before, many: inside.many()? })
    }
}

impl ser::SerializeSeq for Many {
    type Ok = usize;
    type Error = Flaw;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Flaw> {
        self.element(value)
    }

    fn end(self) -> Result<usize, Flaw> {
        self.finish()
    }
}

impl ser::SerializeTuple for Many {
    type Ok = usize;
    type Error = Flaw;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Flaw> {
        self.element(value)
    }

    fn end(self) -> Result<usize, Flaw> {
        self.finish()
    }
}

impl ser::SerializeTupleStruct for Many {
    type Ok = usize;
    type Error = Flaw;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Flaw> {
        self.element(value)
    }

    fn end(self) -> Result<usize, Flaw> {
        self.finish()
    }
}

impl ser::SerializeStruct for Many {
    type Ok = usize;
    type Error = Flaw;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Flaw> {
        self.field(name, value)
    }

    fn end(self) -> Result<usize, Flaw> {
        self.finish()
    }
}

/// The content of a variant.
struct InVariant {
    name: &'static str,
    before: usize,
    many: Many,
}

impl ser::SerializeTupleVariant for InVariant {
    type Ok = usize;
    type Error = Flaw;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Flaw> {
        self.many.element(value).map_err(|flaw| flaw.inside(self.name))
    }

    fn end(self) -> Result<usize, Flaw> {
        Ok(self.before + self.many.finish()?)
    }
}

impl ser::SerializeStructVariant for InVariant {
    type Ok = usize;
    type Error = Flaw;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Flaw> {
        self.many.field(name, value).map_err(|flaw| flaw.inside(self.name))
    }

    fn end(self) -> Result<usize, Flaw> {
        Ok(self.before + self.many.finish()?)
    }
}

/// A map that is being counted.
struct Members(Many);

impl ser::SerializeMap for Members {
    type Ok = usize;
    type Error = Flaw;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Flaw> {
        self.0.bytes += key.serialize(Measure { is_key: true, ..self.0.inside })?;
        self.0.elements += 1;
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Flaw> {
        self.0.bytes += value.serialize(self.0.inside)?;
        Ok(())
    }

    fn serialize_entry<K: Serialize + ?Sized, V: Serialize + ?Sized>(
        &mut self,
        key: &K,
        value: &V,
    ) -> Result<(), Flaw> {
        self.serialize_key(key)?;
        self.serialize_value(value).map_err(|flaw| match document_of(key) {
            Ok(Value::String(key)) => flaw.inside(key),
            Ok(Value::I64(key)) => flaw.inside(key),
            Ok(Value::U64(key)) => flaw.inside(key),
            _ => flaw.inside("?"),
        })
    }

    fn end(self) -> Result<usize, Flaw> {
        self.0.finish()
    }
}

#[cfg(test)]
mod tests;
