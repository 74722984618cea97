//! Pure: the numbers that users meet (versions and tokens) and the numbers of collections.

use std::fmt;
use std::str::FromStr;

use savehold_wal::Lsn;
use savehold_wal::lsn::ParseLsnError;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A number of the log under a name of its own: the same text form, order and serde form, never mixed up.
macro_rules! log_number {
    ($(#[$doc:meta])* $name:ident, $noun:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Lsn);

        impl $name {
            /// The place in the log that it is.
            #[must_use]
            pub const fn lsn(self) -> Lsn {
                self.0
            }
        }

        impl From<Lsn> for $name {
            fn from(lsn: Lsn) -> Self {
                Self(lsn)
            }
        }

        impl From<$name> for Lsn {
            fn from(number: $name) -> Self {
                number.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseLsnError;

            fn from_str(text: &str) -> Result<Self, ParseLsnError> {
                text.parse().map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl de::Visitor<'_> for Text {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str(concat!("a ", $noun, " as text, timeline.offset"))
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
    };
}

log_number! {
    /// One state of a key, and the commit that wrote it: all keys of one commit share one version.
    ///
    /// Grows with every commit, is never issued twice and never lowered, through restore and repair too. Shown,
    /// parsed and serialized as the text `timeline.offset`, for example `2517.40960`.
    Version, "version"
}

log_number! {
    /// What fences a lease: the number of the commit that granted it.
    ///
    /// A token is newer exactly when its number is larger; it is never issued twice and never lowered. Shown,
    /// parsed and serialized as the text `timeline.offset`, for example `2517.40960`.
    Token, "token"
}

/// The number of a collection: what stands for its name in records and in the index, for ever.
///
/// Numbers below [`CollectionId::FIRST`] are the store's own collections, whose names begin with `$`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CollectionId(pub u32);

impl CollectionId {
    /// `$set`: names and settings of collections, origins, pins.
    pub const SET: Self = Self(0);
    /// `$lease`: who holds which key.
    pub const LEASE: Self = Self(1);
    /// `$once`: the outcomes of commits with an idempotency id.
    pub const ONCE: Self = Self(2);
    /// `$mail`: messages to profiles.
    pub const MAIL: Self = Self(3);
    /// `$user`: which documents belong to which user.
    pub const USER: Self = Self(4);
    /// The first number that a collection of the user gets.
    pub const FIRST: Self = Self(16);

    /// Whether it is one of the store's own collections.
    #[must_use]
    pub const fn is_reserved(self) -> bool {
        self.0 < Self::FIRST.0
    }
}

impl fmt::Display for CollectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use serde::de::IntoDeserializer;
    use serde::de::value::{Error as TextError, StrDeserializer, U64Deserializer};

    use super::*;

    #[test]
    fn text_form_is_reversible_and_a_wrong_one_says_how_to_write_it() {
        let version = Version::from(Lsn::new(2517, 40960));
        assert_eq!(version.to_string(), "2517.40960");
        assert_eq!("2517.40960".parse::<Version>().unwrap(), version);
        for bad in ["", "2517", "2517.", "x.1", "1.2.3"] {
            assert!(bad.parse::<Token>().unwrap_err().to_string().contains("timeline.offset"), "{bad:?}");
        }
    }

    #[test]
    fn versions_are_ordered_as_the_log_is() {
        let of = |timeline, offset| Version::from(Lsn::new(timeline, offset));
        assert!(of(1, Lsn::OFFSET_MAX) < of(2, 0) && of(2, 0) < of(2, 1));
    }

    #[test]
    fn serde_sees_text_and_refuses_a_number_that_would_lose_digits() {
        let text: StrDeserializer<'_, TextError> = "7.4096".into_deserializer();
        assert_eq!(Token::deserialize(text).unwrap(), Token::from(Lsn::new(7, 4096)));
        let number: U64Deserializer<TextError> = 74096u64.into_deserializer();
        assert!(Version::deserialize(number).is_err());
    }

    #[test]
    fn the_store_keeps_the_small_numbers_for_itself() {
        let own = [
            CollectionId::SET,
            CollectionId::LEASE,
            CollectionId::ONCE,
            CollectionId::MAIL,
            CollectionId::USER,
        ];
        assert!(own.iter().all(|id| id.is_reserved()) && !CollectionId::FIRST.is_reserved());
        assert_eq!(own.map(|id| id.0), [0, 1, 2, 3, 4], "on disk for ever");
    }
}
