//! Pure: how the bytes of a value are to be read, one tag byte each.

use crate::error::{Error, ErrorKind, Result};

/// How the bytes of a value are to be read. The tags are on disk for ever: add, never renumber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// Bytes that the store does not look into.
    Raw = 0,
    /// MessagePack with the names of fields; whole numbers of counters too.
    MessagePack = 1,
}

impl Format {
    /// The byte that stands for it on disk.
    #[must_use]
    pub const fn tag(self) -> u8 {
        self as u8
    }

    /// The format that `tag` stands for.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Format`]: only a newer program knows it.
    pub fn from_tag(tag: u8) -> Result<Self> {
        match tag {
            0 => Ok(Self::Raw),
            1 => Ok(Self::MessagePack),
            _ => Err(newer(tag)),
        }
    }
}

#[cold]
fn newer(tag: u8) -> Error {
    let message = format!(
        "the value has format {tag}, which this program does not know: read it with the newer program that wrote it"
    );
    Error::new(ErrorKind::Format, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_for_ever_and_an_unknown_one_is_a_newer_format() {
        assert_eq!((Format::Raw.tag(), Format::MessagePack.tag()), (0, 1));
        for tag in 0..=u8::MAX {
            match Format::from_tag(tag) {
                Ok(format) => assert_eq!(format.tag(), tag),
                Err(e) => assert_eq!((e.kind(), tag > 1), (ErrorKind::Format, true), "{tag}"),
            }
        }
    }
}
