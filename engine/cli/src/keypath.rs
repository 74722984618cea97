//! Pure: a key as the command line writes it: `collection/key`.
//!
//! The first slash splits, so a key may hold slashes. In both parts bytes that do not print are written `\xNN` and the
//! backslash `\\`, as keys are shown everywhere.

use std::fmt;
use std::str::FromStr;

use savehold::name::CollectionName;
use savehold::{Error, ErrorKind, Key, Result};

/// One key of one collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keypath {
    /// The collection.
    pub collection: CollectionName,
    /// The key in it.
    pub key: Key,
}

/// The keys of a collection that begin with a prefix, which may be empty: `players`, `players/`, `players/4`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// The collection.
    pub collection: CollectionName,
    /// What the keys begin with; nothing, for all of them.
    pub prefix: Option<Key>,
}

impl FromStr for Keypath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (collection, key) = text.split_once('/').ok_or_else(|| {
            Error::new(ErrorKind::Invalid, "a key is written collection/key, for example players/42")
        })?;
        Ok(Self { collection: name(collection)?, key: key.parse()? })
    }
}

impl FromStr for Prefix {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (collection, prefix) = text.split_once('/').unwrap_or((text, ""));
        let prefix = if prefix.is_empty() { None } else { Some(prefix.parse()?) };
        Ok(Self { collection: name(collection)?, prefix })
    }
}

impl fmt::Display for Keypath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show_name(&self.collection, f)?;
        write!(f, "/{}", self.key)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show_name(&self.collection, f)?;
        self.prefix.iter().try_for_each(|prefix| write!(f, "/{prefix}"))
    }
}

/// A name is escaped as a key is; it may be one of the store's own.
fn name(text: &str) -> Result<CollectionName> {
    if text.is_empty() {
        return CollectionName::stored(text);
    }
    let unescaped: Key = text.parse()?;
    let name = unescaped.as_str().ok_or_else(|| {
        Error::new(ErrorKind::Invalid, format!("{text} cannot name a collection: it is no UTF-8 text"))
    })?;
    CollectionName::stored(name)
}

fn show_name(name: &CollectionName, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match Key::new(name.as_str()) {
        Ok(shown) => fmt::Display::fmt(&shown, f),
        Err(_) => Ok(()), // no name is empty or as long as no key may be
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(collection: &str, key: &[u8]) -> Keypath {
        let collection = CollectionName::stored(collection).expect("a name");
        Keypath { collection, key: Key::new(key).expect("a key") }
    }

    #[test]
    fn the_first_slash_splits_and_escapes_stand_for_bytes() {
        for (text, collection, key) in [
            ("players/42", "players", &b"42"[..]),
            ("houses/oak/1", "houses", b"oak/1"),
            ("players//", "players", b"/"),
            (r"raw/\x00\xff", "raw", b"\x00\xff"),
            (r"a\\b/c\\d", "a\\b", b"c\\d"),
            (r"\xe2\x80\xaea/1", "\u{202e}a", b"1"),
            ("$lease/players/42", "$lease", b"players/42"),
        ] {
            let expected = path(collection, key);
            assert_eq!(text.parse::<Keypath>().expect(text), expected);
            assert_eq!(expected.to_string(), text);
        }
    }

    #[test]
    fn every_key_comes_back_from_its_text() {
        for first in 0..=u8::MAX {
            for second in [0, b'/', b'\\', b'x', 0x80, 0xc3, 0xff] {
                let path = path("Zo\u{eb} \\ \u{200b}", &[first, second]);
                assert_eq!(path.to_string().parse::<Keypath>().expect("a key"), path);
            }
        }
    }

    #[test]
    fn what_is_no_key_is_refused_with_its_reason() {
        let (long_name, long_key) = (format!("{}/1", "c".repeat(129)), format!("c/{}", "k".repeat(1025)));
        for (text, reason) in [
            ("", "written collection/key"),
            ("players", "written collection/key"),
            ("/42", "name is empty"),
            ("players/", "key is empty"),
            (r"\xff/1", "no UTF-8"),
            (r"a\x2fb/1", "separates"),
            (r"a\x0ab/1", "control character"),
            (r"c/\n", "backslash"),
            (r"c\n/1", "backslash"),
            (&long_name, "at most 128"),
            (&long_key, "at most 1024"),
        ] {
            let error = text.parse::<Keypath>().expect_err(text);
            assert!(error.to_string().contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn a_prefix_may_be_a_whole_collection() {
        for (text, prefix, shown) in [
            ("players", None, "players"),
            ("players/", None, "players"),
            ("players/4", Some("4"), "players/4"),
        ] {
            let collection = CollectionName::stored("players").expect("a name");
            let expected = Prefix { collection, prefix: prefix.map(|p| Key::new(p).expect("a key")) };
            assert_eq!(text.parse::<Prefix>().expect(text), expected);
            assert_eq!(expected.to_string(), shown);
        }
        assert!("".parse::<Prefix>().is_err());
    }
}
