//! Pure: values from what programs have at hand.

use super::{Map, MapKey, Value};

impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Self::Bool(b)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        i64::try_from(number).map_or(Self::U64(number), Self::I64)
    }
}

macro_rules! from_numbers {
    ($($number:ty),* => $variant:ident($wide:ty)) => {$(
        impl From<$number> for Value {
            fn from(number: $number) -> Self {
                Self::$variant(<$wide>::from(number))
            }
        }
    )*};
}

from_numbers!(i8, i16, i32, i64, u8, u16, u32 => I64(i64));
from_numbers!(f32, f64 => F64(f64));

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Vec<Value>> for Value {
    fn from(values: Vec<Value>) -> Self {
        Self::List(values)
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Self::Map(map)
    }
}

impl From<MapKey> for Value {
    fn from(key: MapKey) -> Self {
        match key {
            MapKey::Str(text) => Self::String(text),
            MapKey::I64(number) => Self::I64(number),
            MapKey::U64(number) => Self::U64(number),
        }
    }
}

/// `None` is [`Value::Nil`].
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Nil, Into::into)
    }
}

/// A list.
impl<T: Into<Value>> FromIterator<T> for Value {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }
}
