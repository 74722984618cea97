//! Pure: values in the JSON form, through any serializer of JSON.

use serde::ser::{Error as _, Serialize, SerializeMap, SerializeSeq, Serializer};

use super::{BYTES, F64, MAP, U64, base64};
use crate::limits::VALUE_DEPTH_MAX;
use crate::value::serial::too_deep;
use crate::value::{Map, MapKey, Value};

/// A value inside `depth` lists and maps.
pub(super) struct Nested<'a> {
    value: &'a Value,
    depth: usize,
}

impl<'a> Nested<'a> {
    pub(super) fn top(value: &'a Value) -> Self {
        Self { value, depth: 0 }
    }
}

impl Serialize for Nested<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let depth = self.depth + 1;
        match self.value {
            Value::Nil => serializer.serialize_unit(),
            Value::Bool(b) => serializer.serialize_bool(*b),
            Value::I64(number) => serializer.serialize_i64(*number),
            Value::U64(number) => whole(*number, serializer),
            Value::F64(number) if number.is_finite() => serializer.serialize_f64(*number),
            Value::F64(number) => one(F64, &name_of(*number), serializer),
            Value::String(text) => serializer.serialize_str(text),
            Value::Bytes(bytes) => one(BYTES, &base64::encode(bytes), serializer),
            Value::List(_) | Value::Map(_) if depth > VALUE_DEPTH_MAX => Err(S::Error::custom(too_deep())),
            Value::List(values) => {
                let mut list = serializer.serialize_seq(Some(values.len()))?;
                values.iter().try_for_each(|value| list.serialize_element(&Nested { value, depth }))?;
                list.end()
            }
            Value::Map(map) if map.iter().all(|(key, _)| key.as_str().is_some()) => {
                object(map, depth, serializer)
            }
            Value::Map(map) => one(MAP, &Pairs { map, depth }, serializer),
        }
    }
}

/// An object with the one member `name`.
fn one<S: Serializer>(
    name: &str,
    member: &(impl Serialize + ?Sized),
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut object = serializer.serialize_map(Some(1))?;
    object.serialize_entry(name, member)?;
    object.end()
}

/// A whole number, as text where it is above `i64::MAX`.
fn whole<S: Serializer>(number: u64, serializer: S) -> Result<S::Ok, S::Error> {
    match i64::try_from(number) {
        Ok(number) => serializer.serialize_i64(number),
        Err(_) => one(U64, &number.to_string(), serializer),
    }
}

/// The name of a float that is not finite.
pub(super) fn name_of(number: f64) -> String {
    match number {
        f64::INFINITY => "inf".into(),
        f64::NEG_INFINITY => "-inf".into(),
        _ if number.to_bits() == f64::NAN.to_bits() => "NaN".into(),
        _ => format!("{:#018x}", number.to_bits()),
    }
}

/// A map whose keys are all text.
fn object<S: Serializer>(map: &Map, depth: usize, serializer: S) -> Result<S::Ok, S::Error> {
    let mut object = serializer.serialize_map(Some(map.len()))?;
    for (key, value) in map.iter() {
        let member = Nested { value, depth };
        match key.as_str() {
            Some(text) if text.starts_with('$') => object.serialize_entry(&format!("${text}"), &member)?,
            Some(text) => object.serialize_entry(text, &member)?,
            None => return Err(S::Error::custom("a whole number cannot name a member of an object")),
        }
    }
    object.end()
}

/// The members of a map as pairs.
struct Pairs<'a> {
    map: &'a Map,
    depth: usize,
}

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer
            .collect_seq(self.map.iter().map(|(key, value)| (Key(key), Nested { value, depth: self.depth })))
    }
}

struct Key<'a>(&'a MapKey);

impl Serialize for Key<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            MapKey::Str(text) => serializer.serialize_str(text),
            MapKey::I64(number) => serializer.serialize_i64(*number),
            MapKey::U64(number) => whole(*number, serializer),
        }
    }
}
