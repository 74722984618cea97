//! Pure: one key's value as it stands in a part of a record's body.
//!
//! ```text
//! +-------+--------+---------+----------------+----------------+--------------+-------------------+
//! | flags | format | created | user ids, if 1 | metadata, if 2 | schema, if 4 | value, to the end |
//! | u8    | u8     | varint  |                |                |              |                   |
//! +-------+--------+---------+----------------+----------------+--------------+-------------------+
//!
//! flags     1 user ids follow · 2 metadata follows · 4 schema section follows
//! format    how the value is to be read, see `format`
//! created   engine time at which the key came to be, µs since 1970
//! user ids  count varint ≥ 1, each: len varint, UTF-8
//! metadata  count varint ≥ 1, each: len varint, name, len varint, text; names ascending
//! schema    len varint ≥ 1, bytes: what the layer above notes about the value's shape; the store only keeps it
//! ```
//!
//! The length of the part is the log's to keep, and so is its checksum. Counts and lengths are bounded by `limits`,
//! the same when writing and when reading, checked before any allocation. Flags are on disk for ever: add, never
//! renumber. A reader refuses flags that it does not know, as a newer format.

use std::collections::BTreeMap;

use bytes::{Buf, Bytes};

use crate::attributes::{Attributes, UserId};
use crate::error::{Error, ErrorKind, Result};
use crate::format::Format;
use crate::limits::{
    META_BYTES_MAX, META_MAX, SCHEMA_BYTES_MAX, USER_ID_BYTES_MAX, USER_IDS_MAX, VALUE_BYTES_MAX,
};
use crate::varint;

const FLAG_USER_IDS: u8 = 1;
const FLAG_META: u8 = 2;
const FLAG_SCHEMA: u8 = 4;
const FLAGS_KNOWN: u8 = FLAG_USER_IDS | FLAG_META | FLAG_SCHEMA;

/// What stands before a value: when its key came to be, what it carries, how it is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryHead {
    /// Engine time at which the key came to be, µs since 1970; later writes keep it, until the key is removed.
    pub created_us: u64,
    /// User ids and metadata.
    pub attributes: Attributes,
    /// What the layer above notes about the value's shape, at most [`SCHEMA_BYTES_MAX`] bytes; empty for none. The
    /// store keeps it with each write that does not mention it, and reads nothing in it.
    pub schema: Bytes,
    /// How the value is to be read.
    pub format: Format,
}

impl EntryHead {
    /// Appends it to `out`; the value's bytes follow, up to the end of the part.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`], [`ErrorKind::TooLarge`]: the attributes may not be stored; `out` is as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        if self.is_plain() {
            out.extend_from_slice(&[0, self.format.tag()]);
            varint::put(out, self.created_us);
            return Ok(());
        }
        let (user_ids, meta) = (self.attributes.user_ids(), self.attributes.meta());
        self.attributes.check()?;
        check_schema_bytes(self.schema.len())?;
        let ids_flag = if user_ids.is_empty() { 0 } else { FLAG_USER_IDS };
        let meta_flag = if meta.is_empty() { 0 } else { FLAG_META };
        let schema_flag = if self.schema.is_empty() { 0 } else { FLAG_SCHEMA };
        out.extend_from_slice(&[ids_flag | meta_flag | schema_flag, self.format.tag()]);
        varint::put(out, self.created_us);
        if !user_ids.is_empty() {
            varint::put(out, user_ids.len() as u64);
            user_ids.iter().for_each(|id| put_text(out, id.as_str()));
        }
        if !meta.is_empty() {
            varint::put(out, meta.len() as u64);
            for (name, text) in meta {
                put_text(out, name);
                put_text(out, text);
            }
        }
        if !self.schema.is_empty() {
            varint::put(out, self.schema.len() as u64);
            out.extend_from_slice(&self.schema);
        }
        Ok(())
    }

    /// Whether nothing follows the time: the head of nearly every value.
    #[inline]
    fn is_plain(&self) -> bool {
        self.attributes.is_none() && self.schema.is_empty()
    }

    /// Bytes that [`EntryHead::encode`] appends.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> usize {
        if self.is_plain() { 2 + varint::bytes(self.created_us) } else { self.bytes_of_all() }
    }

    fn bytes_of_all(&self) -> usize {
        let text = |text: &str| varint::bytes(text.len() as u64) + text.len();
        let (user_ids, meta) = (self.attributes.user_ids(), self.attributes.meta());
        let mut bytes = 2 + varint::bytes(self.created_us);
        if !user_ids.is_empty() {
            bytes += varint::bytes(user_ids.len() as u64);
            bytes += user_ids.iter().map(|id| text(id.as_str())).sum::<usize>();
        }
        if !meta.is_empty() {
            bytes += varint::bytes(meta.len() as u64);
            bytes += meta.iter().map(|(name, say)| text(name) + text(say)).sum::<usize>();
        }
        if !self.schema.is_empty() {
            bytes += varint::bytes(self.schema.len() as u64) + self.schema.len();
        }
        bytes
    }

    /// When the key came to be, as the front of a part says, where nothing else stands before the value.
    #[must_use]
    #[inline]
    pub(crate) fn created_alone_us(part: &[u8]) -> Option<u64> {
        let [0, _, rest @ ..] = part else { return None };
        varint::take(rest).map(|(created_us, _)| created_us)
    }

    /// Reads it from the front of a part; what follows is the value's bytes, borrowed.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Format`]: a flag or a format that only a newer program knows.
    /// - [`ErrorKind::Damaged`]: no entry at all.
    #[inline]
    pub fn decode(part: &[u8]) -> Result<(Self, &[u8])> {
        let [flags, tag, rest @ ..] = part else { return Err(malformed("it is cut short")) };
        if flags & !FLAGS_KNOWN != 0 {
            return Err(newer(*flags));
        }
        let format = Format::from_tag(*tag)?;
        let (created_us, rest) = varint::take(rest).ok_or_else(|| malformed("time"))?;
        let (attributes, rest) = match flags & (FLAG_USER_IDS | FLAG_META) {
            0 => (Attributes::NONE, rest),
            _ => take_attributes(*flags, rest)?,
        };
        let (schema, value) = match flags & FLAG_SCHEMA {
            0 => (Bytes::new(), rest),
            _ => take_schema(rest).ok_or_else(|| malformed("schema"))?,
        };
        if value.len() > VALUE_BYTES_MAX {
            return Err(malformed("length of the value"));
        }
        Ok((Self { created_us, attributes, schema, format }, value))
    }
}

/// One key's value with what stands before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What stands before the value.
    pub head: EntryHead,
    /// The value's bytes, to be read as the head's format says.
    pub value: Bytes,
}

impl Entry {
    /// Appends the whole part to `out`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`], [`ErrorKind::TooLarge`]: attributes or value may not be stored; `out` is as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        check_value_bytes(self.value.len())?;
        self.head.encode(out)?;
        out.extend_from_slice(&self.value);
        Ok(())
    }

    /// Bytes that [`Entry::encode`] appends.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.head.bytes() + self.value.len()
    }

    /// Reads a part, whose memory becomes the value's.
    ///
    /// # Errors
    ///
    /// As [`EntryHead::decode`].
    #[inline]
    pub fn decode(mut part: Bytes) -> Result<Self> {
        let (head, value) = EntryHead::decode(&part)?;
        part.advance(part.len() - value.len());
        Ok(Self { head, value: part })
    }
}

/// Whether a value may have `len` bytes.
///
/// # Errors
///
/// [`ErrorKind::TooLarge`]: it may not.
pub(crate) fn check_value_bytes(len: usize) -> Result<()> {
    if len <= VALUE_BYTES_MAX {
        return Ok(());
    }
    let message = format!(
        "the value has {len} bytes: at most {VALUE_BYTES_MAX} are allowed, so split it over several keys"
    );
    Err(Error::new(ErrorKind::TooLarge, message))
}

/// Whether a schema section may have `len` bytes; none is no section.
///
/// # Errors
///
/// [`ErrorKind::TooLarge`]: it may not.
pub(crate) fn check_schema_bytes(len: usize) -> Result<()> {
    if len <= SCHEMA_BYTES_MAX {
        return Ok(());
    }
    let message = format!(
        "the notes on the value's shape have {len} bytes: at most {SCHEMA_BYTES_MAX} are allowed, so keep fewer names of migrations"
    );
    Err(Error::new(ErrorKind::TooLarge, message))
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    varint::put(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn take_attributes(flags: u8, bytes: &[u8]) -> Result<(Attributes, &[u8])> {
    let (user_ids, rest) = match flags & FLAG_USER_IDS {
        0 => (Vec::new(), bytes),
        _ => take_user_ids(bytes).ok_or_else(|| malformed("user ids"))?,
    };
    let (meta, rest) = match flags & FLAG_META {
        0 => (BTreeMap::new(), rest),
        _ => take_meta(rest).ok_or_else(|| malformed("metadata"))?,
    };
    let attributes = Attributes::stored(user_ids, meta);
    attributes.check().map_err(|e| malformed(e.message()))?;
    Ok((attributes, rest))
}

fn take_user_ids(bytes: &[u8]) -> Option<(Vec<UserId>, &[u8])> {
    let (count, mut rest) = take_bounded(bytes, USER_IDS_MAX)?;
    let mut user_ids = Vec::with_capacity(count);
    for _ in 0..count {
        let (text, after) = take_text(rest, USER_ID_BYTES_MAX)?;
        let id = UserId::from(text);
        if user_ids.contains(&id) {
            return None;
        }
        user_ids.push(id);
        rest = after;
    }
    (count > 0).then_some((user_ids, rest))
}

fn take_meta(bytes: &[u8]) -> Option<(BTreeMap<String, String>, &[u8])> {
    let (count, mut rest) = take_bounded(bytes, META_MAX)?;
    let mut meta = BTreeMap::<String, String>::new();
    for _ in 0..count {
        let (name, after) = take_text(rest, META_BYTES_MAX)?;
        let (text, after) = take_text(after, META_BYTES_MAX)?;
        let ascends = meta.last_key_value().is_none_or(|(last, _)| last.as_str() < name);
        if !ascends {
            return None;
        }
        meta.insert(name.into(), text.into());
        rest = after;
    }
    (count > 0).then_some((meta, rest))
}

fn take_schema(bytes: &[u8]) -> Option<(Bytes, &[u8])> {
    let (len, rest) = take_bounded(bytes, SCHEMA_BYTES_MAX)?;
    let (schema, rest) = rest.split_at_checked(len)?;
    (len > 0).then(|| (Bytes::copy_from_slice(schema), rest))
}

fn take_text(bytes: &[u8], bytes_max: usize) -> Option<(&str, &[u8])> {
    let (len, rest) = take_bounded(bytes, bytes_max)?;
    let (text, rest) = rest.split_at_checked(len)?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

/// A count or length of at most `most`.
fn take_bounded(bytes: &[u8], most: usize) -> Option<(usize, &[u8])> {
    let (number, rest) = varint::take(bytes)?;
    let number = usize::try_from(number).ok()?;
    (number <= most).then_some((number, rest))
}

#[cold]
fn malformed(what: &str) -> Error {
    let message = format!(
        "the stored value is malformed ({what}) although its checksum is right: read an older version; `savehold verify` says which there is"
    );
    Error::new(ErrorKind::Damaged, message)
}

#[cold]
fn newer(flags: u8) -> Error {
    let message = format!(
        "the stored value has flags {flags}, which this program does not know: read it with the newer program that wrote it"
    );
    Error::new(ErrorKind::Format, message)
}

#[cfg(test)]
mod tests;
