//! Pure: the names of collections.

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::limits::NAME_BYTES_MAX;

/// The name of a collection: 1 to [`NAME_BYTES_MAX`] bytes of UTF-8 without control characters and without `/`.
///
/// Names that begin with `$` are the store's own.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CollectionName(Arc<str>);

impl CollectionName {
    /// The name `text`, for a collection of the user.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Invalid`]: it is empty, holds `/` or a control character, or begins with `$`.
    /// - [`ErrorKind::TooLarge`]: it is longer than [`NAME_BYTES_MAX`].
    pub fn new(text: &str) -> Result<Self> {
        if text.starts_with('$') {
            return Err(refused(text, "names that begin with $ are the store's own"));
        }
        Self::stored(text)
    }

    /// The name `text` as it stands in the store: one that begins with `$` is allowed.
    ///
    /// # Errors
    ///
    /// As [`CollectionName::new`], `$` aside.
    pub fn stored(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Err(Error::new(
                ErrorKind::Invalid,
                "the collection's name is empty: give it at least one character",
            ));
        }
        if text.len() > NAME_BYTES_MAX {
            let message = format!(
                "the collection's name has {} bytes: at most {NAME_BYTES_MAX} are allowed, so shorten it",
                text.len()
            );
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        if text.contains('/') {
            return Err(refused(text, "/ separates collection and key"));
        }
        if text.contains(char::is_control) {
            return Err(refused(text, "it holds a control character"));
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is one of the store's own.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with('$')
    }
}

#[cold]
fn refused(text: &str, why: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("{text:?} cannot name a collection: {why}; choose another name"))
}

impl fmt::Display for CollectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CollectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_checked_before_it_is_used() {
        let longest = "n".repeat(NAME_BYTES_MAX);
        for good in ["players", "p", "Häuser 2", "a$b", &longest] {
            assert_eq!(CollectionName::new(good).unwrap().as_str(), good);
        }
        let overlong = "n".repeat(NAME_BYTES_MAX + 1);
        let table = [
            ("", ErrorKind::Invalid),
            ("a/b", ErrorKind::Invalid),
            ("a\nb", ErrorKind::Invalid),
            ("a\u{85}", ErrorKind::Invalid),
            ("$lease", ErrorKind::Invalid),
            (overlong.as_str(), ErrorKind::TooLarge),
        ];
        for (bad, kind) in table {
            assert_eq!(CollectionName::new(bad).unwrap_err().kind(), kind, "{bad:?}");
        }
    }

    #[test]
    fn the_stores_own_names_begin_with_a_dollar_sign() {
        assert!(CollectionName::stored("$lease").unwrap().is_reserved());
        assert!(!CollectionName::stored("players").unwrap().is_reserved());
        assert!(CollectionName::stored("$/").is_err());
    }
}
