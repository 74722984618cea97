//! Pure: what a backup notes of the store beside its log: the pins, so that a restore finds them without reading it.
//!
//! ```text
//! +--------+-------------------------------------------+
//! | format | pins: count, each: name, version          |
//! | 1      |                                           |
//! +--------+-------------------------------------------+
//! ```
//!
//! A small record of the store's own (see `meta`), in the attachment of a backup's inventory. An empty attachment notes
//! nothing.

use crate::ids::Version;
use crate::meta::{self, Decode, DecodeError, Decoder, Encode, EncodeError, Encoder, Meta};
use savehold_wal::Lsn;

/// What a backup notes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Noted {
    /// Names of pins, and their moments.
    pub(crate) pins: Vec<(String, Version)>,
}

impl Noted {
    /// As it stands in an inventory. Where there are more pins than a record may hold, those that come last by name are
    /// not noted.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut noted = self.clone();
        loop {
            match meta::encode(&noted) {
                Ok(bytes) => return bytes,
                Err(_) => noted.pins.truncate(noted.pins.len() / 2),
            }
        }
    }

    /// What an attachment notes; nothing where it cannot be read.
    pub(crate) fn of(attachment: &[u8]) -> Self {
        meta::decode(attachment).unwrap_or_default()
    }
}

impl Encode for Noted {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        let pins: Vec<(&str, u64)> = self.pins.iter().map(|(name, v)| (&**name, v.lsn().raw())).collect();
        pins.encode(encoder)
    }
}

impl<C> Decode<C> for Noted {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let pins: Vec<(String, u64)> = Decode::decode(decoder)?;
        let version = |raw| Version::from(Lsn::from_raw(raw));
        Ok(Self { pins: pins.into_iter().map(|(name, raw)| (name, version(raw))).collect() })
    }
}

impl Meta for Noted {
    const FORMAT: u8 = 1;
    const WHAT: &'static str = "what a backup notes";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_read_as_they_were_noted_and_anything_else_notes_nothing() {
        let version = |raw| Version::from(Lsn::from_raw(raw));
        let pins = vec![("before 2.0".to_owned(), version(7 << 48 | 4096)), ("ä".to_owned(), version(1))];
        let noted = Noted { pins };
        let bytes = noted.to_bytes();
        assert_eq!(Noted::of(&bytes), noted);
        assert_eq!(Noted::of(&Noted::default().to_bytes()), Noted::default());
        for other in [&b""[..], &bytes[..bytes.len() - 1], &[9, 0], &[1, 255, 255]] {
            assert_eq!(Noted::of(other), Noted::default(), "{other:?}");
        }
    }

    #[test]
    fn more_pins_than_a_record_holds_are_noted_in_part() {
        let pins = (0..40_000).map(|n| (format!("{n:064}"), Version::from(Lsn::from_raw(n)))).collect();
        let noted = Noted::of(&Noted { pins }.to_bytes());
        assert!(noted.pins.len() >= 10_000 && noted.pins[0].0.ends_with("00"), "{}", noted.pins.len());
    }
}
