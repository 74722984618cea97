//! Pure: a document read as a type, and what the type asked for while it was read.
//!
//! serde tells a deserializer what a type expects at each place: a struct with these fields, a map, an option, a whole
//! number. That is noted while the value is read. So the fields that a type does not know are exactly those that it
//! said it ignores, and which maps of a template are structs is what the type itself says.
//!
//! Reads what [`codec`](crate::value::codec) reads, in the same way: fields by name, enums as a name or a map of one
//! member, nil as none, dates and the like in their form for people.

use std::fmt;

use serde::Deserializer;
use serde::de::{self, DeserializeSeed, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde::de::{DeserializeOwned, IntoDeserializer};

use crate::value::{MapKey, Value};

/// What a type asked for at one place of a document.
#[derive(Debug, Default)]
pub(crate) struct Asked<'d> {
    /// It would have taken nothing too.
    pub(crate) optional: bool,
    pub(crate) what: What<'d>,
}

/// What a type asked for.
#[derive(Debug, Default)]
pub(crate) enum What<'d> {
    /// Whatever stands there: an enum, a type that looks first.
    #[default]
    Anything,
    /// To be left alone: the type does not know it.
    Ignored,
    /// One value of a kind.
    Plain(Kind),
    /// A struct, with all names that it reads, and what it asked of each member.
    Fields(&'static [&'static str], Vec<(&'d MapKey, Asked<'d>)>),
    /// A map, and what it asked of each member.
    Members(Vec<(&'d MapKey, Asked<'d>)>),
    /// A tuple or an array of fixed length, and what it asked of each place.
    Places(Vec<Asked<'d>>),
}

/// A kind of value that a type asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Nil,
    Bool,
    Whole,
    Float,
    Text,
    Bytes,
    List,
    Map,
}

/// The value of type `T` that a document is, and what `T` asked for.
pub(crate) fn read<T: DeserializeOwned>(document: &Value) -> Result<(T, Asked<'_>), Unreadable> {
    let mut asked = Asked::default();
    let value = T::deserialize(Reader { value: document, asked: &mut asked })?;
    Ok((value, asked))
}

/// Why a document is no value of a type: where, and what serde says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    /// Innermost first.
    path: Vec<String>,
    says: String,
}

impl Unreadable {
    fn inside(mut self, step: impl fmt::Display) -> Self {
        self.path.push(step.to_string());
        self
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            let steps: Vec<&str> = self.path.iter().rev().map(String::as_str).collect();
            write!(f, "{}: ", steps.join("."))?;
        }
        f.write_str(&self.says)
    }
}

impl std::error::Error for Unreadable {}

impl de::Error for Unreadable {
    fn custom<T: fmt::Display>(says: T) -> Self {
        Self { path: Vec::new(), says: says.to_string() }
    }
}

/// A value that is being read.
struct Reader<'d, 'a> {
    value: &'d Value,
    asked: &'a mut Asked<'d>,
}

impl<'d> Reader<'d, '_> {
    fn asks(&mut self, kind: Kind) {
        self.asked.what = What::Plain(kind);
    }

    /// As it stands.
    fn show<V: Visitor<'d>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.value {
            Value::Nil => visitor.visit_unit(),
            Value::Bool(b) => visitor.visit_bool(*b),
            Value::I64(number) => whole(*number, visitor),
            Value::U64(number) => visitor.visit_u64(*number),
            Value::F64(number) => visitor.visit_f64(*number),
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Bytes(bytes) => visitor.visit_borrowed_bytes(bytes),
            Value::List(_) => self.list(visitor),
            Value::Map(map) => members(map.iter(), &mut |_, _| {}, visitor),
        }
    }

    /// A list whose places nobody notes; bytes are one too, where a list is asked for.
    fn list<V: Visitor<'d>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.value {
            Value::List(values) => places(values, &mut |_| {}, visitor),
            Value::Bytes(bytes) => visitor.visit_seq(de::value::SeqDeserializer::new(bytes.iter().copied())),
            _ => self.show(visitor),
        }
    }

    fn tuple<V: Visitor<'d>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        let Value::List(values) = self.value else {
            self.asked.what = What::Plain(Kind::List);
            return self.list(visitor);
        };
        let mut noted = Vec::with_capacity(values.len());
        let read = places(values, &mut |asked| noted.push(asked), visitor);
        self.asked.what = What::Places(noted);
        read
    }

    /// A whole number of 128 bits, which stands as such or as sixteen bytes, the highest first.
    fn wide(&self) -> Option<i128> {
        match self.value {
            Value::I64(number) => Some(i128::from(*number)),
            Value::U64(number) => Some(i128::from(*number)),
            Value::Bytes(bytes) => Some(i128::from_be_bytes(bytes.as_slice().try_into().ok()?)),
            _ => None,
        }
    }
}

/// Numbers from 0 on are shown without a sign, as MessagePack holds them.
fn whole<'d, V: Visitor<'d>, E: de::Error>(number: i64, visitor: V) -> Result<V::Value, E> {
    match u64::try_from(number) {
        Ok(number) => visitor.visit_u64(number),
        Err(_) => visitor.visit_i64(number),
    }
}

macro_rules! plain {
    ($($method:ident => $kind:ident),* $(,)?) => {$(
        fn $method<V: Visitor<'d>>(mut self, visitor: V) -> Result<V::Value, Unreadable> {
            self.asks(Kind::$kind);
            self.show(visitor)
        }
    )*};
}

impl<'d> Deserializer<'d> for Reader<'d, '_> {
    type Error = Unreadable;

    fn deserialize_any<V: Visitor<'d>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        self.show(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'d>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        self.asked.what = What::Ignored;
        visitor.visit_unit()
    }

    plain! {
        deserialize_bool => Bool, deserialize_unit => Nil,
        deserialize_i8 => Whole, deserialize_i16 => Whole, deserialize_i32 => Whole, deserialize_i64 => Whole,
        deserialize_u8 => Whole, deserialize_u16 => Whole, deserialize_u32 => Whole, deserialize_u64 => Whole,
        deserialize_f32 => Float, deserialize_f64 => Float,
        deserialize_char => Text, deserialize_str => Text, deserialize_string => Text,
        deserialize_identifier => Text, deserialize_bytes => Bytes, deserialize_byte_buf => Bytes,
    }

    fn deserialize_i128<V: Visitor<'d>>(mut self, visitor: V) -> Result<V::Value, Unreadable> {
        self.asks(Kind::Whole);
        match self.wide() {
            Some(number) => visitor.visit_i128(number),
            None => self.show(visitor),
        }
    }

    fn deserialize_u128<V: Visitor<'d>>(mut self, visitor: V) -> Result<V::Value, Unreadable> {
        self.asks(Kind::Whole);
        match self.wide() {
            Some(number) => visitor.visit_u128(number as u128),
            None => self.show(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'d>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        self.asked.optional = true;
        match self.value {
            Value::Nil => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'d>>(
        mut self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        self.asks(Kind::List);
        match self.value {
            Value::List(values) if values.is_empty() => visitor.visit_unit(),
            _ => self.show(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'d>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'d>>(mut self, visitor: V) -> Result<V::Value, Unreadable> {
        self.asks(Kind::List);
        self.list(visitor)
    }

    fn deserialize_tuple<V: Visitor<'d>>(self, _: usize, visitor: V) -> Result<V::Value, Unreadable> {
        self.tuple(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'d>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        self.tuple(visitor)
    }

    fn deserialize_map<V: Visitor<'d>>(mut self, visitor: V) -> Result<V::Value, Unreadable> {
        let Value::Map(map) = self.value else {
            self.asks(Kind::Map);
            return self.show(visitor);
        };
        let mut noted = Vec::with_capacity(map.len());
        let read = members(map.iter(), &mut |key, asked| noted.push((key, asked)), visitor);
        self.asked.what = What::Members(noted);
        read
    }

    fn deserialize_struct<V: Visitor<'d>>(
        mut self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        let Value::Map(map) = self.value else {
            self.asks(Kind::Map);
            return self.list(visitor);
        };
        let mut noted = Vec::with_capacity(map.len());
        let read = members(map.iter(), &mut |key, asked| noted.push((key, asked)), visitor);
        self.asked.what = What::Fields(names, noted);
        read
    }

    fn deserialize_enum<V: Visitor<'d>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        match self.value {
            Value::Map(map) => match map.iter().next() {
                Some((name, content)) if map.len() == 1 => {
                    visitor.visit_enum(Variant { name, content: Some(content) })
                }
                _ => Err(de::Error::custom("the variant of an enum is a map of one member")),
            },
            Value::String(text) => visitor.visit_enum(text.as_str().into_deserializer()),
            Value::I64(number) => match u32::try_from(*number) {
                Ok(number) => visitor.visit_enum(number.into_deserializer()),
                Err(_) => Err(de::Error::custom("the number of an enum's variant is out of range")),
            },
            _ => Err(de::Error::custom("the variant of an enum is its name, or a map of one member")),
        }
    }

    fn is_human_readable(&self) -> bool {
        true
    }
}

/// Shows the values of a list one after the other and says what was asked of each.
fn places<'d, V: Visitor<'d>>(
    values: &'d [Value],
    note: &mut dyn FnMut(Asked<'d>),
    visitor: V,
) -> Result<V::Value, Unreadable> {
    let mut list = Places { values: values.iter().enumerate(), note };
    let read = visitor.visit_seq(&mut list)?;
    match list.values.len() {
        0 => Ok(read),
        left => Err(de::Error::custom(format_args!("the list has {left} elements more than the type reads"))),
    }
}

struct Places<'d, 'a> {
    values: std::iter::Enumerate<std::slice::Iter<'d, Value>>,
    note: &'a mut dyn FnMut(Asked<'d>),
}

impl<'d> SeqAccess<'d> for Places<'d, '_> {
    type Error = Unreadable;

    fn next_element_seed<S: DeserializeSeed<'d>>(&mut self, seed: S) -> Result<Option<S::Value>, Unreadable> {
        let Some((place, value)) = self.values.next() else { return Ok(None) };
        let mut asked = Asked::default();
        let read = seed.deserialize(Reader { value, asked: &mut asked }).map_err(|e| e.inside(place))?;
        (self.note)(asked);
        Ok(Some(read))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.values.len())
    }
}

/// Shows the members of a map one after the other and says what was asked of each.
fn members<'d, V: Visitor<'d>>(
    members: impl Iterator<Item = (&'d MapKey, &'d Value)>,
    note: &mut dyn FnMut(&'d MapKey, Asked<'d>),
    visitor: V,
) -> Result<V::Value, Unreadable> {
    visitor.visit_map(Members { members, next: None, note })
}

struct Members<'d, 'a, I> {
    members: I,
    next: Option<(&'d MapKey, &'d Value)>,
    note: &'a mut dyn FnMut(&'d MapKey, Asked<'d>),
}

impl<'d, I: Iterator<Item = (&'d MapKey, &'d Value)>> MapAccess<'d> for Members<'d, '_, I> {
    type Error = Unreadable;

    fn next_key_seed<S: DeserializeSeed<'d>>(&mut self, seed: S) -> Result<Option<S::Value>, Unreadable> {
        self.next = self.members.next();
        let Some((key, _)) = self.next else { return Ok(None) };
        seed.deserialize(Name(key)).map(Some).map_err(|e| e.inside(key))
    }

    fn next_value_seed<S: DeserializeSeed<'d>>(&mut self, seed: S) -> Result<S::Value, Unreadable> {
        let (key, value) = self.next.take().ok_or_else(|| de::Error::custom("a value without a key"))?;
        let mut asked = Asked::default();
        let read = seed.deserialize(Reader { value, asked: &mut asked }).map_err(|e| e.inside(key))?;
        (self.note)(key, asked);
        Ok(read)
    }

    fn size_hint(&self) -> Option<usize> {
        self.members.size_hint().1
    }
}

/// The key of a member, or the name of a variant.
struct Name<'d>(&'d MapKey);

impl<'d> Deserializer<'d> for Name<'d> {
    type Error = Unreadable;

    fn deserialize_any<V: Visitor<'d>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.0 {
            MapKey::Str(text) => visitor.visit_borrowed_str(text),
            MapKey::I64(number) => whole(*number, visitor),
            MapKey::U64(number) => visitor.visit_u64(*number),
        }
    }

    fn deserialize_option<V: Visitor<'d>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'d>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'d>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        visitor.visit_enum(Variant { name: self.0, content: None })
    }

    fn is_human_readable(&self) -> bool {
        true
    }

    serde::forward_to_deserialize_any! {
        <V: Visitor<'d>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// A variant of an enum.
struct Variant<'d> {
    name: &'d MapKey,
    content: Option<&'d Value>,
}

impl<'d> EnumAccess<'d> for Variant<'d> {
    type Error = Unreadable;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'d>>(self, seed: S) -> Result<(S::Value, Self), Unreadable> {
        let name = seed.deserialize(Name(self.name))?;
        Ok((name, self))
    }
}

impl<'d> Variant<'d> {
    fn content(&self) -> Result<&'d Value, Unreadable> {
        self.content
            .ok_or_else(|| de::Error::custom("the variant has content, and only its name stands here"))
    }
}

impl<'d> VariantAccess<'d> for Variant<'d> {
    type Error = Unreadable;

    fn unit_variant(self) -> Result<(), Unreadable> {
        match self.content {
            None | Some(Value::Nil) => Ok(()),
            Some(_) => Err(de::Error::custom("the variant has no content, and some stands here")),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'d>>(self, seed: S) -> Result<S::Value, Unreadable> {
        let value = self.content()?;
        let read = seed.deserialize(Reader { value, asked: &mut Asked::default() });
        read.map_err(|e| e.inside(self.name))
    }

    fn tuple_variant<V: Visitor<'d>>(self, len: usize, visitor: V) -> Result<V::Value, Unreadable> {
        let value = self.content()?;
        let read = Reader { value, asked: &mut Asked::default() }.deserialize_tuple(len, visitor);
        read.map_err(|e| e.inside(self.name))
    }

    fn struct_variant<V: Visitor<'d>>(
        self,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        let value = self.content()?;
        let read = Reader { value, asked: &mut Asked::default() }.deserialize_struct("", names, visitor);
        read.map_err(|e| e.inside(self.name))
    }
}
