//! Pure: the keys of maps, text or whole numbers.

use std::fmt;

/// The key of a member of a [`Map`](super::Map): text or a whole number. `7` and `"7"` are two keys.
#[derive(Clone, Debug)]
pub enum MapKey {
    /// Text.
    Str(String),
    /// A whole number.
    I64(i64),
    /// A whole number above [`i64::MAX`]; what is read from the store has smaller ones as [`MapKey::I64`].
    U64(u64),
}

/// A key of a map, borrowed: what looks up a member. Equal numbers are equal, however they are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MapKeyRef<'a> {
    /// Text.
    Str(&'a str),
    /// A whole number.
    Int(i128),
}

impl MapKey {
    /// The key, borrowed.
    #[must_use]
    pub fn as_ref(&self) -> MapKeyRef<'_> {
        match self {
            Self::Str(text) => MapKeyRef::Str(text),
            Self::I64(n) => MapKeyRef::Int(i128::from(*n)),
            Self::U64(n) => MapKeyRef::Int(i128::from(*n)),
        }
    }

    /// The text, or `None` where it is a number.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Str(text) = self { Some(text) } else { None }
    }
}

impl PartialEq for MapKey {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl Eq for MapKey {}

impl fmt::Display for MapKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Str(text) => f.write_str(text),
            Self::I64(n) => fmt::Display::fmt(n, f),
            Self::U64(n) => fmt::Display::fmt(n, f),
        }
    }
}

impl From<&str> for MapKey {
    fn from(text: &str) -> Self {
        Self::Str(text.into())
    }
}

impl From<String> for MapKey {
    fn from(text: String) -> Self {
        Self::Str(text)
    }
}

impl From<u64> for MapKey {
    fn from(number: u64) -> Self {
        i64::try_from(number).map_or(Self::U64(number), Self::I64)
    }
}

impl<'a> From<&'a str> for MapKeyRef<'a> {
    fn from(text: &'a str) -> Self {
        Self::Str(text)
    }
}

impl<'a> From<&'a String> for MapKeyRef<'a> {
    fn from(text: &'a String) -> Self {
        Self::Str(text)
    }
}

impl<'a> From<&'a MapKey> for MapKeyRef<'a> {
    fn from(key: &'a MapKey) -> Self {
        key.as_ref()
    }
}

impl From<u64> for MapKeyRef<'_> {
    fn from(number: u64) -> Self {
        Self::Int(i128::from(number))
    }
}

macro_rules! from_numbers {
    ($($number:ty),*) => {$(
        impl From<$number> for MapKey {
            fn from(number: $number) -> Self {
                Self::I64(i64::from(number))
            }
        }

        impl From<$number> for MapKeyRef<'_> {
            fn from(number: $number) -> Self {
                Self::Int(i128::from(number))
            }
        }
    )*};
}

from_numbers!(i32, i64, u32);
