//! Pure: the keys of a collection, 1 to 1024 bytes in the order of their bytes.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

mod escape;
mod key_ref;

pub use key_ref::KeyRef;

use crate::error::{Error, ErrorKind, Result};
use crate::ids::CollectionId;
use crate::limits::{KEY_BYTES_MAX, RESERVED_KEY_BYTES_MAX};

/// The key of a value in a collection: 1 to [`KEY_BYTES_MAX`] bytes, ordered byte by byte.
///
/// Made from text, bytes or a whole number; a number becomes its decimal text, as `tostring(UserId)` does, so
/// `42` and `"42"` are one key. Cheap to clone: keys of up to 22 bytes lie inside, longer ones are shared.
///
/// Shown as text in which unprintable bytes stand as `\xNN` and a backslash as `\\`; [`str::parse`] reads that
/// form back, every key unchanged.
#[derive(Clone)]
pub struct Key(Repr);

/// A key of a collection.
pub(crate) type FullKey = (CollectionId, Key);

/// Longest key that needs no allocation.
const INLINE_BYTES_MAX: usize = 22;

#[derive(Clone)]
enum Repr {
    Inline { len: u8, bytes: [u8; INLINE_BYTES_MAX] },
    Shared(Arc<[u8]>),
}

impl Key {
    /// The key that `key` stands for: text, bytes or a number.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Invalid`]: it is empty.
    /// - [`ErrorKind::TooLarge`]: it is longer than [`KEY_BYTES_MAX`].
    pub fn new<'a>(key: impl Into<KeyRef<'a>>) -> Result<Self> {
        key.into().to_key()
    }

    /// The key of these bytes as it stands in `collection`: the store's own may be longer.
    ///
    /// # Errors
    ///
    /// As [`Key::new`].
    #[inline]
    pub(crate) fn stored(collection: CollectionId, bytes: &[u8]) -> Result<Self> {
        check_in(collection, bytes).map(|()| Self::of_checked(bytes))
    }

    /// The key of a reserved collection, made by the rules of `inner_key`.
    pub(crate) fn of_reserved(bytes: &[u8]) -> Self {
        debug_assert!((1..=RESERVED_KEY_BYTES_MAX).contains(&bytes.len()), "bounded by what it is made of");
        Self::of_checked(bytes)
    }

    /// The key of these bytes, checked by the caller.
    #[inline]
    fn of_checked(bytes: &[u8]) -> Self {
        if bytes.len() <= INLINE_BYTES_MAX {
            let mut inline = [0; INLINE_BYTES_MAX];
            inline[..bytes.len()].copy_from_slice(bytes);
            Self(Repr::Inline { len: bytes.len() as u8, bytes: inline })
        } else {
            Self(Repr::Shared(bytes.into()))
        }
    }

    /// The bytes, as stored and as ordered.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Repr::Shared(bytes) => bytes,
        }
    }

    /// The key as text, or `None` where it is not UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.as_bytes()).ok()
    }

    /// The number whose decimal text the key is, or `None`: `042` and `+42` are other keys than `42`.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        let digits = self.as_bytes();
        let canonical = digits.iter().all(u8::is_ascii_digit) && (digits[0] != b'0' || digits.len() == 1);
        if canonical { self.as_str()?.parse().ok() } else { None }
    }
}

/// Whether `bytes` may be a key.
///
/// # Errors
///
/// [`ErrorKind::Invalid`] where it is empty, [`ErrorKind::TooLarge`] where it is longer than [`KEY_BYTES_MAX`].
pub(crate) fn check(bytes: &[u8]) -> Result<()> {
    check_len(bytes.len(), KEY_BYTES_MAX)
}

/// Whether `bytes` may be a key of `collection`: the store's own are longer, for they carry a key of the user.
///
/// # Errors
///
/// As [`check`], with [`RESERVED_KEY_BYTES_MAX`] where the collection is reserved.
#[inline]
pub(crate) fn check_in(collection: CollectionId, bytes: &[u8]) -> Result<()> {
    check_len(bytes.len(), bytes_max(collection))
}

/// Longest key of `collection`.
#[inline]
pub(crate) const fn bytes_max(collection: CollectionId) -> usize {
    if collection.is_reserved() { RESERVED_KEY_BYTES_MAX } else { KEY_BYTES_MAX }
}

#[inline]
fn check_len(len: usize, most: usize) -> Result<()> {
    if (1..=most).contains(&len) { Ok(()) } else { Err(refused(len, most)) }
}

#[cold]
fn refused(len: usize, most: usize) -> Error {
    if len == 0 {
        return Error::new(ErrorKind::Invalid, "the key is empty: give it at least one byte");
    }
    let message = format!("the key has {len} bytes: at most {most} are allowed, so shorten it");
    Error::new(ErrorKind::TooLarge, message)
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state); // as the bytes hash: a map of keys is asked with bytes
    }
}

impl PartialEq<str> for Key {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for Key {
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape::write(self.as_bytes(), f)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Key {
    type Err = Error;

    /// Reads the form in which a key is shown: `\xNN` is a byte, `\\` a backslash, all else stands for itself.
    fn from_str(text: &str) -> Result<Self> {
        Self::new(&escape::read(text)?)
    }
}

#[cfg(test)]
mod tests;
