//! Pure: a value of any shape: what is stored when the program does not say a type of its own.

mod convert;
mod map;
mod map_key;
mod merge;
mod scan;
mod serial;

pub mod codec;
pub mod counter;
pub mod json;

pub use map::Map;
pub use map_key::{MapKey, MapKeyRef};

/// A value of any shape.
///
/// Every typed value of a collection can be read as one, and written back unchanged: whole numbers, floats, text
/// and bytes stay what they are, maps keep the order of their members.
///
/// Two values are equal when they say the same: whole numbers by number, floats bit by bit (`NaN` equals itself,
/// `-0.0` is not `0.0`, `1.0` is not `1`), maps whatever the order of their members.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// Nothing; `None` and `()` of typed values.
    #[default]
    Nil,
    /// True or false.
    Bool(bool),
    /// A whole number.
    I64(i64),
    /// A whole number above [`i64::MAX`]; what is read from the store has smaller ones as [`Value::I64`].
    U64(u64),
    /// A floating-point number, not finite ones too.
    F64(f64),
    /// Text.
    String(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Values in a row.
    List(Vec<Value>),
    /// Values by key, in the order in which they were added.
    Map(Map),
}

impl Value {
    /// Whether it is [`Value::Nil`].
    #[must_use]
    pub fn is_nil(&self) -> bool {
        matches!(self, Self::Nil)
    }

    /// The truth value, or `None` where it is of another kind.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(b) = self { Some(*b) } else { None }
    }

    /// The whole number, or `None` where it is of another kind or out of range.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        self.as_whole()?.try_into().ok()
    }

    /// The whole number, or `None` where it is of another kind or negative.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        self.as_whole()?.try_into().ok()
    }

    /// The floating-point number, or `None` where it is of another kind: whole numbers are not converted.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        if let Self::F64(x) = self { Some(*x) } else { None }
    }

    /// The text, or `None` where it is of another kind.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// The bytes, or `None` where it is of another kind.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    /// The values of the list, or `None` where it is of another kind.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Value]> {
        if let Self::List(values) = self { Some(values) } else { None }
    }

    /// The list, to be changed, or `None` where it is of another kind.
    #[must_use]
    pub fn as_list_mut(&mut self) -> Option<&mut Vec<Value>> {
        if let Self::List(values) = self { Some(values) } else { None }
    }

    /// The map, or `None` where it is of another kind.
    #[must_use]
    pub fn as_map(&self) -> Option<&Map> {
        if let Self::Map(map) = self { Some(map) } else { None }
    }

    /// The map, to be changed, or `None` where it is of another kind.
    #[must_use]
    pub fn as_map_mut(&mut self) -> Option<&mut Map> {
        if let Self::Map(map) = self { Some(map) } else { None }
    }

    /// The member of the map under `key`, or `None` where there is none or it is no map.
    #[must_use]
    pub fn get<'k>(&self, key: impl Into<MapKeyRef<'k>>) -> Option<&Value> {
        self.as_map()?.get(key)
    }

    /// The word for its kind, as messages say it: `nil`, `bool`, `integer`, `float`, `string`, `bytes`, `list`,
    /// `map`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "bool",
            Self::I64(_) | Self::U64(_) => "integer",
            Self::F64(_) => "float",
            Self::String(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Map(_) => "map",
        }
    }

    /// The whole number, wide enough for both variants.
    fn as_whole(&self) -> Option<i128> {
        match self {
            Self::I64(n) => Some(i128::from(*n)),
            Self::U64(n) => Some(i128::from(*n)),
            _ => None,
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Nil, Self::Nil) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::F64(a), Self::F64(b)) => a.to_bits() == b.to_bits(),
            (Self::String(a), Self::String(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::List(a), Self::List(b)) => a == b,
            (Self::Map(a), Self::Map(b)) => a == b,
            _ => self.as_whole().is_some_and(|n| Some(n) == other.as_whole()),
        }
    }
}

impl Eq for Value {}

#[cfg(test)]
pub(crate) mod tests;
