//! Pure: values through serde, with any format that says itself what it holds.
//!
//! Nesting is bounded on both sides by [`VALUE_DEPTH_MAX`], so that neither hostile bytes nor a value built too deep
//! can use up the stack; lengths that the format announces are believed only as far as a small first allocation.

use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::ser::{self, SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Map, MapKey, Value};
use crate::limits::VALUE_DEPTH_MAX;

/// Most members for which an announced length makes room beforehand.
const TRUSTED_LEN_MAX: usize = 1024;

/// What both sides say about a value that is nested too deep.
pub(super) fn too_deep() -> String {
    format!("it is nested deeper than {VALUE_DEPTH_MAX} lists and maps: make it flatter")
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Nested { value: self, depth: 0 }.serialize(serializer)
    }
}

impl Serialize for MapKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Str(text) => serializer.serialize_str(text),
            Self::I64(number) => serializer.serialize_i64(*number),
            Self::U64(number) => serializer.serialize_u64(*number),
        }
    }
}

/// A value inside `depth` lists and maps.
struct Nested<'a> {
    value: &'a Value,
    depth: usize,
}

impl Serialize for Nested<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let depth = self.depth + 1;
        match self.value {
            Value::Nil => serializer.serialize_unit(),
            Value::Bool(b) => serializer.serialize_bool(*b),
            Value::I64(number) => serializer.serialize_i64(*number),
            Value::U64(number) => serializer.serialize_u64(*number),
            Value::F64(number) => serializer.serialize_f64(*number),
            Value::String(text) => serializer.serialize_str(text),
            Value::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Value::List(_) | Value::Map(_) if depth > VALUE_DEPTH_MAX => Err(ser::Error::custom(too_deep())),
            Value::List(values) => {
                let mut list = serializer.serialize_seq(Some(values.len()))?;
                values.iter().try_for_each(|value| list.serialize_element(&Nested { value, depth }))?;
                list.end()
            }
            Value::Map(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                members
                    .iter()
                    .try_for_each(|(key, value)| map.serialize_entry(key, &Nested { value, depth }))?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Inside(0).deserialize(deserializer)
    }
}

/// Reads a value inside so many lists and maps.
#[derive(Clone, Copy)]
struct Inside(usize);

impl Inside {
    fn enter<E: de::Error>(self) -> Result<Self, E> {
        if self.0 < VALUE_DEPTH_MAX { Ok(Self(self.0 + 1)) } else { Err(E::custom(too_deep())) }
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
        f.write_str("nil, a bool, a number, text, bytes, a list or a map")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nil)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Nil)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
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

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Value, E> {
        Ok(Value::from(bytes))
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Value, E> {
        Ok(Value::Bytes(bytes))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let inside = self.enter()?;
        let mut values = Vec::with_capacity(elements.size_hint().unwrap_or(0).min(TRUSTED_LEN_MAX));
        while let Some(value) = elements.next_element_seed(inside)? {
            values.push(value);
        }
        Ok(Value::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inside = self.enter()?;
        let mut map = Map::new();
        while let Some(key) = members.next_key()? {
            let value = members.next_value_seed(inside)?;
            map.try_add(key, value).map_err(|key| de::Error::custom(twice(&key)))?;
        }
        Ok(Value::Map(map))
    }
}

/// What is said about a map in which a key stands twice.
pub(super) fn twice(key: &MapKey) -> String {
    format!("the key {key:?} stands twice in one map: keep one of them")
}

impl<'de> Deserialize<'de> for MapKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyKey)
    }
}

struct AnyKey;

impl Visitor<'_> for AnyKey {
    type Value = MapKey;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text or a whole number as the key of a map")
    }

    fn visit_str<E>(self, text: &str) -> Result<MapKey, E> {
        Ok(MapKey::from(text))
    }

    fn visit_string<E>(self, text: String) -> Result<MapKey, E> {
        Ok(MapKey::Str(text))
    }

    fn visit_i64<E>(self, number: i64) -> Result<MapKey, E> {
        Ok(MapKey::I64(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<MapKey, E> {
        Ok(MapKey::from(number))
    }
}
