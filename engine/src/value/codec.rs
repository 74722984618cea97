//! Pure: typed values to stored bytes and back, through serde and MessagePack.
//!
//! Fields are stored under their names, so that a type may gain, lose and reorder fields. Types that have a form for
//! people and one for machines (dates, addresses, UUIDs) are stored in the form for people, as in JSON: documents
//! outlive the programs that wrote them. `None` and `()` are nil, so `Some(None)` comes back as `None`.

use std::any::type_name;

use rmp_serde::{Deserializer, Serializer};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Value;
use super::scan::{self, Flaw};
use super::serial::too_deep;
use crate::entry::check_value_bytes;
use crate::error::{Error, ErrorKind, Result};
use crate::format::Format;

/// Appends the stored form of `value` to `out` and says its format.
///
/// Whatever was encoded can be decoded, into `T` as far as `T` reads what it writes, and into [`Value`].
///
/// # Errors
///
/// - [`ErrorKind::TooLarge`]: more than [`VALUE_BYTES_MAX`](crate::limits::VALUE_BYTES_MAX) bytes.
/// - [`ErrorKind::Encode`]: `T` refused, is nested deeper than 128 lists and maps, or has a map whose keys are
///   neither text nor whole numbers.
///
/// After an error `out` is as it was.
pub fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<Format> {
    let start = out.len();
    let encoded = write(value, out);
    if encoded.is_err() {
        out.truncate(start);
    }
    encoded.map(|()| Format::MessagePack)
}

/// The value of type `T` that `bytes` hold.
///
/// # Errors
///
/// - [`ErrorKind::WrongType`]: the bytes are raw, not a document.
/// - [`ErrorKind::Decode`]: they are a document, and no `T`; or no document at all.
pub fn decode<T: DeserializeOwned>(format: Format, bytes: &[u8]) -> Result<T> {
    match format {
        Format::Raw => Err(raw::<T>()),
        Format::MessagePack => read(bytes),
    }
}

/// The value that `bytes` hold, whatever their format: what tools show. Raw bytes are [`Value::Bytes`].
///
/// # Errors
///
/// [`ErrorKind::Decode`]: they are no document.
pub fn view(format: Format, bytes: &[u8]) -> Result<Value> {
    match format {
        Format::Raw => Ok(Value::from(bytes)),
        Format::MessagePack => read(bytes),
    }
}

fn write<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<()> {
    let start = out.len();
    let mut serializer = Serializer::new(&mut *out).with_struct_map().with_human_readable();
    value.serialize(&mut serializer).map_err(|e| cannot_encode::<T>(&e.to_string()))?;
    check_value_bytes(out.len() - start)?;
    scan::check(&out[start..]).map_err(|flaw| cannot_encode::<T>(&written(flaw)))
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    check_value_bytes(bytes.len())?;
    scan::check(bytes).map_err(|flaw| cannot_decode::<T>(&stored(flaw)))?;
    let mut deserializer = Deserializer::from_read_ref(bytes).with_human_readable();
    T::deserialize(&mut deserializer).map_err(|e| cannot_decode::<T>(&e.to_string()))
}

fn written(flaw: Flaw) -> String {
    match flaw {
        Flaw::CutShort | Flaw::Trailing => {
            "its Serialize announced another number of elements than it wrote".into()
        }
        Flaw::TooDeep => too_deep(),
        Flaw::Key => "the keys of a map must be text or whole numbers: store a list of pairs instead".into(),
        Flaw::Kind => "MessagePack extensions are not kept: store bytes".into(),
    }
}

fn stored(flaw: Flaw) -> String {
    match flaw {
        Flaw::CutShort => "the bytes end before the document does".into(),
        Flaw::Trailing => "the bytes go on after the document".into(),
        Flaw::TooDeep => too_deep(),
        Flaw::Key => "the key of a map is neither text nor a whole number".into(),
        Flaw::Kind => "it holds a kind that documents do not have".into(),
    }
}

#[cold]
fn cannot_encode<T: ?Sized>(why: &str) -> Error {
    Error::new(ErrorKind::Encode, format!("a {} cannot be stored: {why}", type_name::<T>()))
}

#[cold]
fn cannot_decode<T>(why: &str) -> Error {
    let message = format!(
        "the value cannot be read as {}: {why}; it stands unchanged: read it as Value, or with the type that wrote it",
        type_name::<T>()
    );
    Error::new(ErrorKind::Decode, message)
}

#[cold]
fn raw<T>() -> Error {
    let message = format!("the value is raw bytes, no {}: open the collection with `raw`", type_name::<T>());
    Error::new(ErrorKind::WrongType, message)
}

#[cfg(test)]
mod tests;
