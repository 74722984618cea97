//! Pure: what a profile notes beside its document: which migrations made it, what was deleted on purpose, when it was
//! imported. It stands in the entry's schema section; writes that know nothing of it keep it.
//!
//! ```text
//! +--------+--------------------+----------------------+----------------------+
//! | format | migrations         | deleted              | imported             |
//! | u8 = 1 | count, each:       | count, each: u64     | u64: 0 no, else      |
//! |        | name, compatible   | numbers of places    | µs since 1970        |
//! +--------+--------------------+----------------------+----------------------+
//! ```
//!
//! Whole numbers and lengths as in every record of the store's own (`meta`). No section at all means none of them.

use bytes::Bytes;

use super::migrate::{Applied, Compatible};
use crate::error::Result;
use crate::meta::{self, Decode, DecodeError, Decoder, Encode, EncodeError, Encoder, Meta};

/// What a profile notes beside its document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Schema {
    /// Migrations that made the document what it is, in order.
    pub(crate) applied: Vec<Applied>,
    /// Numbers of places whose members were deleted on purpose, ascending; of documents without a type only.
    pub(crate) deleted: Vec<u64>,
    /// Engine time at which `on_absent` gave the document, µs since 1970.
    pub(crate) imported_us: Option<u64>,
}

impl Schema {
    /// As it stands in an entry; empty where there is nothing to say.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge): too much was noted.
    pub(crate) fn to_bytes(&self) -> Result<Bytes> {
        if *self == Self::default() {
            return Ok(Bytes::new());
        }
        meta::encode(self).map(Bytes::from)
    }

    /// What an entry's section says.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Format`](crate::ErrorKind::Format): only a newer program knows. `Damaged`.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self> {
        if bytes.is_empty() { Ok(Self::default()) } else { meta::decode(bytes) }
    }
}

impl Meta for Schema {
    const FORMAT: u8 = 1;
    const WHAT: &'static str = "what a profile notes beside its document";
}

impl Encode for Schema {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        (self.applied.len() as u64).encode(encoder)?;
        for Applied { name, compatible } in &self.applied {
            name.encode(encoder)?;
            (*compatible == Compatible::Yes).encode(encoder)?;
        }
        self.deleted.encode(encoder)?;
        self.imported_us.unwrap_or(0).encode(encoder)
    }
}

impl<C> Decode<C> for Schema {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let count = u64::decode(decoder)?;
        let mut applied = Vec::new();
        for _ in 0..count {
            let name = String::decode(decoder)?;
            let compatible = if bool::decode(decoder)? { Compatible::Yes } else { Compatible::No };
            applied.push(Applied { name, compatible });
        }
        let deleted = Vec::decode(decoder)?;
        let imported_us = Some(u64::decode(decoder)?).filter(|us| *us > 0);
        Ok(Self { applied, deleted, imported_us })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::tests::Dice;

    fn schema() -> Schema {
        let applied = |name: &str, compatible| Applied { name: name.into(), compatible };
        Schema {
            applied: vec![applied("gold", Compatible::No), applied("é", Compatible::Yes)],
            deleted: vec![1, u64::MAX],
            imported_us: Some(7),
        }
    }

    #[test]
    fn it_stands_as_drawn() -> Result<()> {
        let bytes = [
            &[1, 2, 4][..],
            b"gold",
            &[0, 2, 0xc3, 0xa9, 1],
            &[2, 1, 253, 255, 255, 255, 255, 255, 255, 255, 255],
            &[7],
        ]
        .concat();
        assert_eq!(schema().to_bytes()?, bytes);
        assert_eq!(Schema::from_bytes(&bytes)?, schema());
        assert!(Schema::default().to_bytes()?.is_empty());
        assert_eq!(Schema::from_bytes(&[])?, Schema::default());
        Ok(())
    }

    #[test]
    fn any_bytes_are_a_section_or_an_error() -> Result<()> {
        let whole = schema().to_bytes()?;
        for len in 1..whole.len() {
            assert_eq!(Schema::from_bytes(&whole[..len]).unwrap_err().kind(), ErrorKind::Damaged, "{len}");
        }
        let newer = [&[2], &whole[1..]].concat();
        assert_eq!(Schema::from_bytes(&newer).unwrap_err().kind(), ErrorKind::Format);
        let mut dice = Dice::new(1);
        for _ in 0..20_000 {
            let mut bytes = dice.bytes(1, 40);
            bytes[0] = 1;
            if let Ok(schema) = Schema::from_bytes(&bytes) {
                assert_eq!(Schema::from_bytes(&schema.to_bytes()?)?, schema);
            }
        }
        Ok(())
    }
}
