//! Pure: the store's own small records: lease grants, mailboxes, what profiles note about a document.
//!
//! ```text
//! +--------+------------------------------+
//! | format | fields in order, to the end  |
//! | u8     | bincode, standard form       |
//! +--------+------------------------------+
//! ```
//!
//! Whole numbers are varints of bincode (0 to 250 one byte), texts and lists have their length first. A record has at
//! most [`BYTES_MAX`] bytes, or as many as its kind says, the same when writing and when reading. Before a length inside makes an allocation it is
//! checked against [`ROOM_MAX`], which no record that may be written comes near, as long as nothing in a list takes more
//! than 64 times as much memory as bytes. Bytes behind the last field are refused. Format numbers are on disk for ever:
//! add, never renumber. This is the only room that knows bincode. Values of users never come here.

use bincode::config::{self, Config};
use bincode::de::read::Reader as _;
pub(crate) use bincode::de::{Decode, Decoder};
pub(crate) use bincode::enc::{Encode, Encoder};
pub(crate) use bincode::error::{DecodeError, EncodeError};

use crate::error::{Error, ErrorKind, Result};

/// Most bytes of one record, where its kind says nothing else.
pub(crate) const BYTES_MAX: usize = 1 << 20;

/// Most memory that reading one may take, whatever its bytes claim.
const ROOM_MAX: usize = 64 * BYTES_MAX;

/// A small record of the store's own. Its fields are encoded and decoded by hand, in the order of the picture that its
/// room draws.
pub(crate) trait Meta: Encode + Decode<()> {
    /// The number of its format.
    const FORMAT: u8;
    /// What it is, for errors: "a lease grant".
    const WHAT: &'static str;
    /// Most bytes of one.
    const BYTES_MAX: usize = BYTES_MAX;
}

fn form() -> impl Config {
    config::standard().with_limit::<ROOM_MAX>()
}

/// The bytes of a record.
///
/// # Errors
///
/// [`ErrorKind::TooLarge`]: more than [`Meta::BYTES_MAX`].
pub(crate) fn encode<T: Meta>(record: &T) -> Result<Vec<u8>> {
    let mut bytes = vec![T::FORMAT];
    let written = bincode::encode_into_std_write(record, &mut bytes, form());
    match written {
        Ok(_) if bytes.len() <= T::BYTES_MAX => Ok(bytes),
        _ => Err(too_large(T::WHAT, T::BYTES_MAX)),
    }
}

/// The record that stands in `bytes`.
///
/// # Errors
///
/// - [`ErrorKind::Format`]: a format that only a newer program knows.
/// - [`ErrorKind::Damaged`]: no such record at all.
pub(crate) fn decode<T: Meta>(bytes: &[u8]) -> Result<T> {
    let Some((format, fields)) = bytes.split_first() else { return Err(malformed(T::WHAT)) };
    if *format != T::FORMAT {
        return Err(newer(T::WHAT, *format));
    }
    match bincode::decode_from_slice(fields, form()) {
        Ok((record, read)) if read == fields.len() && bytes.len() <= T::BYTES_MAX => Ok(record),
        _ => Err(malformed(T::WHAT)),
    }
}

/// Whether more fields follow: what was written by a program that did not know them ends before.
pub(crate) fn goes_on<D: Decoder>(decoder: &mut D) -> bool {
    decoder.reader().peek_read(1).is_some()
}

#[cold]
fn too_large(what: &str, most: usize) -> Error {
    let message = format!("{what} would have more than {most} bytes: nothing was written; name fewer things");
    Error::new(ErrorKind::TooLarge, message)
}

/// Bytes that passed the log's checksum and yet are no such record.
#[cold]
pub(crate) fn malformed(what: &str) -> Error {
    let message = format!(
        "{what} is malformed although its checksum is right: run `savehold verify`, then `savehold repair`"
    );
    Error::new(ErrorKind::Damaged, message)
}

#[cold]
fn newer(what: &str, format: u8) -> Error {
    let message = format!(
        "{what} has format {format}, which this program does not know: open the store with the newer program that wrote it"
    );
    Error::new(ErrorKind::Format, message)
}

#[cfg(test)]
mod tests;
