//! Pure: writing the head of a record.

use savehold_wal::limits::HEAD_BYTES_MAX;

use super::{Author, Cause, FLAG_AUTOSAVE, FLAG_ID, FLAG_TOKEN, KIND_PUT, KIND_REMOVE, Part};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::CollectionId;
use crate::key;
use crate::limits::{HEAD_ENTRY_BYTES_MAX, ONCE_ID_BYTES_MAX};
use crate::varint;

/// Appends the head of one record to a buffer that the caller keeps and reuses.
///
/// A refused call leaves the buffer as it was.
#[derive(Debug)]
pub struct HeadWriter<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> HeadWriter<'a> {
    /// Starts a head at the end of `out`.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Invalid`]: the idempotency id is empty.
    /// - [`ErrorKind::TooLarge`]: it is longer than [`ONCE_ID_BYTES_MAX`].
    pub fn begin(out: &'a mut Vec<u8>, author: &Author<'_>) -> Result<Self> {
        check_id(author.id)?;
        let start = out.len();
        let autosave = if author.cause == Cause::Autosave { FLAG_AUTOSAVE } else { 0 };
        let token = if author.token.is_some() { FLAG_TOKEN } else { 0 };
        let id = if author.id.is_some() { FLAG_ID } else { 0 };
        out.push(autosave | token | id);
        varint::put(out, u64::from(author.origin));
        if let Some(token) = author.token {
            out.extend_from_slice(&token.lsn().raw().to_le_bytes());
        }
        if let Some(id) = author.id {
            out.push(id.len() as u8);
            out.extend_from_slice(id);
        }
        Ok(Self { out, start })
    }

    /// Says that `key` has the value in `part` of the body.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Invalid`], [`ErrorKind::TooLarge`]: the key may not be one.
    /// - [`ErrorKind::TooLarge`]: the head or the body would be larger than the log takes.
    pub fn put(&mut self, collection: CollectionId, key: &[u8], part: Part) -> Result<()> {
        if !part.fits() {
            return Err(too_large());
        }
        self.entry(collection, KIND_PUT, key)?;
        varint::put(self.out, u64::from(part.offset));
        varint::put(self.out, u64::from(part.bytes));
        Ok(())
    }

    /// Says that `key` is absent.
    ///
    /// # Errors
    ///
    /// As [`HeadWriter::put`].
    pub fn remove(&mut self, collection: CollectionId, key: &[u8]) -> Result<()> {
        self.entry(collection, KIND_REMOVE, key)
    }

    /// Bytes of the head so far.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.out.len() - self.start
    }

    fn entry(&mut self, collection: CollectionId, kind: u8, key: &[u8]) -> Result<()> {
        key::check_in(collection, key)?;
        if self.bytes() + HEAD_ENTRY_BYTES_MAX > HEAD_BYTES_MAX {
            return Err(too_large());
        }
        varint::put(self.out, u64::from(collection.0));
        self.out.push(kind);
        varint::put(self.out, key.len() as u64);
        self.out.extend_from_slice(key);
        Ok(())
    }
}

/// Refuses an idempotency id that no head can carry.
///
/// # Errors
///
/// As [`HeadWriter::begin`].
pub(crate) fn check_id(id: Option<&[u8]>) -> Result<()> {
    match id.map(<[u8]>::len) {
        None | Some(1..=ONCE_ID_BYTES_MAX) => Ok(()),
        Some(0) => {
            Err(Error::new(ErrorKind::Invalid, "the idempotency id is empty: give it at least one byte"))
        }
        Some(len) => {
            let message = format!(
                "the idempotency id has {len} bytes: at most {ONCE_ID_BYTES_MAX} are allowed, so shorten it"
            );
            Err(Error::new(ErrorKind::TooLarge, message))
        }
    }
}

#[cold]
fn too_large() -> Error {
    Error::new(
        ErrorKind::TooLarge,
        "the transaction writes more than one record can hold: split it into smaller ones",
    )
}
