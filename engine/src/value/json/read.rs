//! Pure: values out of the JSON form, through any deserializer of JSON.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{BYTES, F64, MAP, U64, base64};
use crate::limits::VALUE_DEPTH_MAX;
use crate::value::serial::{too_deep, twice};
use crate::value::{Map, MapKey, Value};

/// Reads a value that may be nested so many lists and maps deep.
#[derive(Clone, Copy)]
pub(super) struct Inside(pub(super) usize);

impl Inside {
    pub(super) const TOP: Self = Self(VALUE_DEPTH_MAX);

    fn enter<E: Error>(self) -> Result<Self, E> {
        self.0.checked_sub(1).map(Self).ok_or_else(|| E::custom(too_deep()))
    }
}

impl<'de> DeserializeSeed<'de> for Inside {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Inside {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nil)
    }

    fn visit_bool<E>(self, b: bool) -> Result<Value, E> {
        Ok(Value::Bool(b))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::I64(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::F64(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let inside = self.enter()?;
        let mut values = Vec::new();
        while let Some(value) = elements.next_element_seed(inside)? {
            values.push(value);
        }
        Ok(Value::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let key = match Name::of(name) {
                Name::Plain(key) => MapKey::Str(key),
                Name::Special(name) if map.is_empty() => return self.special(&name, members),
                Name::Special(name) => return Err(unknown(&name)),
            };
            let value = members.next_value_seed(self.enter()?)?;
            map.try_add(key, value).map_err(|key| A::Error::custom(twice(&key)))?;
        }
        self.enter::<A::Error>()?; // an empty map is nested as deep as a full one
        Ok(Value::Map(map))
    }
}

impl Inside {
    /// What the one member `name` of an object says.
    fn special<'de, A: MapAccess<'de>>(self, name: &str, mut members: A) -> Result<Value, A::Error> {
        let value = match name {
            U64 => parsed(name, members.next_value()?, |text| text.parse().ok().map(Value::U64))?,
            F64 => parsed(name, members.next_value()?, |text| float_named(text).map(Value::F64))?,
            BYTES => parsed(name, members.next_value()?, |text| base64::decode(text).map(Value::Bytes))?,
            MAP => Value::Map(members.next_value_seed(Pairs(self.enter()?))?),
            ANY_NUMBER => parsed("a number", members.next_value()?, number)?,
            _ => return Err(unknown(name)),
        };
        match members.next_key::<String>()? {
            None => Ok(value),
            Some(other) => {
                Err(A::Error::custom(format!("{name:?} stands alone in its object, here with {other:?}")))
            }
        }
    }
}

/// How `serde_json` hands out every number when some other crate of the program switches on its feature
/// `arbitrary_precision`: as an object with this one member, the number's text.
const ANY_NUMBER: &str = "$serde_json::private::Number";

/// The number that a JSON text says.
fn number(text: &str) -> Option<Value> {
    let whole = || text.parse().map(Value::I64).or_else(|_| text.parse().map(Value::U64)).ok();
    let float = || text.parse().ok().filter(|x: &f64| x.is_finite()).map(Value::F64);
    if text == "-0" { float() } else { whole().or_else(float) }
}

/// A name of a member: the key of a map, or one of the names that say what JSON lacks.
enum Name {
    Plain(String),
    Special(String),
}

impl Name {
    fn of(mut name: String) -> Self {
        if !name.starts_with('$') {
            Self::Plain(name)
        } else if name.starts_with("$$") {
            name.remove(0);
            Self::Plain(name)
        } else {
            Self::Special(name)
        }
    }
}

#[cold]
fn unknown<E: Error>(name: &str) -> E {
    E::custom(format!(
        "the name {name:?} says nothing here: a key that begins with $ is written with one $ more"
    ))
}

/// What `text`, under `name`, says.
fn parsed<E: Error>(name: &str, text: String, parse: impl FnOnce(&str) -> Option<Value>) -> Result<Value, E> {
    parse(&text).ok_or_else(|| E::custom(format!("{text:?} is not what {name} holds")))
}

/// The float that is not finite and has this name.
fn float_named(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "inf" => Some(f64::INFINITY),
        "-inf" => Some(f64::NEG_INFINITY),
        _ => {
            let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 16)?;
            let number = f64::from_bits(u64::from_str_radix(digits, 16).ok()?);
            number.is_nan().then_some(number)
        }
    }
}

/// The members of a map as pairs, their values inside so many lists and maps.
struct Pairs(Inside);

impl<'de> DeserializeSeed<'de> for Pairs {
    type Value = Map;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Map, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Pairs {
    type Value = Map;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of [key, value]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pairs: A) -> Result<Map, A::Error> {
        let mut map = Map::new();
        while let Some((key, value)) = pairs.next_element_seed(Pair(self.0))? {
            map.try_add(key, value).map_err(|key| A::Error::custom(twice(&key)))?;
        }
        Ok(map)
    }
}

/// One pair, its value inside so many lists and maps.
struct Pair(Inside);

impl<'de> DeserializeSeed<'de> for Pair {
    type Value = (MapKey, Value);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Pair {
    type Value = (MapKey, Value);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[key, value], the key text or a whole number")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<Self::Value, A::Error> {
        let short = |len| A::Error::invalid_length(len, &"[key, value]");
        let key = pair.next_element_seed(self.0)?.ok_or_else(|| short(0))?;
        let value = pair.next_element_seed(self.0)?.ok_or_else(|| short(1))?;
        let key = match key {
            Value::String(text) => MapKey::Str(text),
            Value::I64(number) => MapKey::I64(number),
            Value::U64(number) => MapKey::from(number),
            other => return Err(A::Error::custom(format!("a {} cannot be the key of a map", other.kind()))),
        };
        match pair.next_element::<Nothing>()? {
            None => Ok((key, value)),
            Some(Nothing) => Err(short(3)),
        }
    }
}

/// Where nothing may come any more.
struct Nothing;

impl<'de> serde::Deserialize<'de> for Nothing {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom("a pair has a key and a value, and no more"))
    }
}
