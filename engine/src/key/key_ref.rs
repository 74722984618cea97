//! Pure: whatever a call takes as a key, without an allocation where none is needed.

use super::{Key, check};
use crate::error::Result;

/// What a call takes as a key: text, bytes, a whole number or a [`Key`].
///
/// Every method with a parameter `key: impl Into<KeyRef<'_>>` can be called with `"oak-1"`, `b"oak-1"`, a
/// `String`, a `Vec<u8>`, `42u64`, `42`, a `Key`, or a reference to one of these. A number is its decimal text.
/// Nothing is checked until the key is used; an empty or overlong one is then an error, never a panic.
#[derive(Clone, Debug)]
pub struct KeyRef<'a>(Repr<'a>);

#[derive(Clone, Debug)]
enum Repr<'a> {
    Bytes(&'a [u8]),
    Number(Decimal),
    Owned(Vec<u8>),
    Key(Key),
}

impl KeyRef<'_> {
    /// The bytes, if they may be a key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) where the key is empty,
    /// [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge) where it is longer than 1024 bytes.
    pub fn checked(&self) -> Result<&[u8]> {
        let bytes = match &self.0 {
            Repr::Bytes(bytes) => bytes,
            Repr::Number(decimal) => decimal.as_bytes(),
            Repr::Owned(bytes) => bytes,
            Repr::Key(key) => key.as_bytes(),
        };
        check(bytes).map(|()| bytes)
    }

    /// The key itself, to be kept.
    ///
    /// # Errors
    ///
    /// As [`KeyRef::checked`].
    pub fn to_key(&self) -> Result<Key> {
        match &self.0 {
            Repr::Key(key) => Ok(key.clone()),
            _ => self.checked().map(Key::of_checked),
        }
    }
}

impl<'a> From<&'a [u8]> for KeyRef<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self(Repr::Bytes(bytes))
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for KeyRef<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self(Repr::Bytes(bytes))
    }
}

impl<'a> From<&'a Vec<u8>> for KeyRef<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self(Repr::Bytes(bytes))
    }
}

impl<'a> From<&'a str> for KeyRef<'a> {
    fn from(text: &'a str) -> Self {
        Self(Repr::Bytes(text.as_bytes()))
    }
}

impl<'a> From<&'a String> for KeyRef<'a> {
    fn from(text: &'a String) -> Self {
        Self(Repr::Bytes(text.as_bytes()))
    }
}

impl<'a> From<&'a Key> for KeyRef<'a> {
    fn from(key: &'a Key) -> Self {
        Self(Repr::Bytes(key.as_bytes()))
    }
}

impl<'a> From<&KeyRef<'a>> for KeyRef<'a> {
    fn from(key: &KeyRef<'a>) -> Self {
        key.clone()
    }
}

impl From<Key> for KeyRef<'_> {
    fn from(key: Key) -> Self {
        Self(Repr::Key(key))
    }
}

impl From<String> for KeyRef<'_> {
    fn from(text: String) -> Self {
        Self(Repr::Owned(text.into_bytes()))
    }
}

impl From<Vec<u8>> for KeyRef<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Repr::Owned(bytes))
    }
}

macro_rules! from_numbers {
    ($($number:ty),*) => {$(
        impl From<$number> for KeyRef<'_> {
            fn from(number: $number) -> Self {
                Self(Repr::Number(Decimal::of(i128::from(number))))
            }
        }
    )*};
}

// `i32` is here for bare literals, negative numbers for the ids that test servers give their players.
from_numbers!(u32, u64, i32, i64);

/// A number of up to 64 bits as decimal text, in place.
#[derive(Clone, Debug)]
struct Decimal {
    first: u8,
    text: [u8; DECIMAL_BYTES_MAX],
}

/// Bytes of `-9223372036854775808` and of `18446744073709551615`.
const DECIMAL_BYTES_MAX: usize = 20;

impl Decimal {
    #[inline]
    fn of(number: i128) -> Self {
        let mut text = [0; DECIMAL_BYTES_MAX];
        let mut first = DECIMAL_BYTES_MAX;
        let mut left = number.unsigned_abs() as u64;
        while left >= 100 {
            let two = (left % 100) as u8;
            (text[first - 2], text[first - 1]) = (b'0' + two / 10, b'0' + two % 10);
            (first, left) = (first - 2, left / 100);
        }
        let two = left as u8;
        if two >= 10 {
            first -= 1;
            text[first] = b'0' + two % 10;
        }
        first -= 1;
        text[first] = b'0' + if two >= 10 { two / 10 } else { two };
        if number < 0 {
            first -= 1;
            text[first] = b'-';
        }
        Self { first: first as u8, text }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.text[usize::from(self.first)..]
    }
}
