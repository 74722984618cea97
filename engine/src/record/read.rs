//! Pure: reading the head of a record. Stands in the hot path of replay: no allocation, no copy, never a panic.

use savehold_wal::Lsn;

use super::{
    Author, Cause, Effect, FLAG_AUTOSAVE, FLAG_ID, FLAG_TOKEN, FLAGS_KNOWN, HeadEntry, KIND_PUT, KIND_REMOVE,
    Part, malformed, newer,
};
use crate::error::Result;
use crate::ids::{CollectionId, Token};
use crate::key;
use crate::limits::ONCE_ID_BYTES_MAX;
use crate::varint;

/// The head of a record, borrowed from its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// Who wrote it, and why.
    pub author: Author<'a>,
    entries: &'a [u8],
}

impl<'a> Head<'a> {
    /// Reads the part before the entries; the entries are read by [`Head::entries`], one at a time.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Format`](crate::ErrorKind::Format): a flag that only a newer program knows.
    /// - [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt): no head at all.
    #[inline]
    pub fn decode(bytes: &'a [u8]) -> Result<Self> {
        match *bytes {
            // The head of nearly every record: no token, no id, one of the first 127 origins or none.
            [flags, origin, ref entries @ ..] if flags <= FLAG_AUTOSAVE && origin < 0x80 => {
                let author = Author { cause: cause(flags), origin: u32::from(origin), token: None, id: None };
                Ok(Self { author, entries })
            }
            _ => Self::decode_full(bytes),
        }
    }

    #[inline(never)]
    fn decode_full(bytes: &'a [u8]) -> Result<Self> {
        let (&flags, rest) = bytes.split_first().ok_or_else(|| malformed("it is empty"))?;
        if flags & !FLAGS_KNOWN != 0 {
            return Err(newer("flags", flags));
        }
        let (origin, rest) = varint::take_u32(rest).ok_or_else(|| malformed("origin"))?;
        let (token, rest) = if flags & FLAG_TOKEN == 0 { (None, rest) } else { take_token(rest)? };
        let (id, entries) = if flags & FLAG_ID == 0 { (None, rest) } else { take_id(rest)? };
        Ok(Self { author: Author { cause: cause(flags), origin, token, id }, entries })
    }

    /// What the record did, in the order in which it was written.
    #[inline]
    #[must_use]
    pub fn entries(&self) -> Entries<'a> {
        Entries { rest: self.entries }
    }
}

#[inline]
const fn cause(flags: u8) -> Cause {
    if flags & FLAG_AUTOSAVE == 0 { Cause::Explicit } else { Cause::Autosave }
}

fn take_token(bytes: &[u8]) -> Result<(Option<Token>, &[u8])> {
    let (raw, rest) = bytes.split_first_chunk().ok_or_else(|| malformed("token"))?;
    Ok((Some(Token::from(Lsn::from_raw(u64::from_le_bytes(*raw)))), rest))
}

fn take_id(bytes: &[u8]) -> Result<(Option<&[u8]>, &[u8])> {
    let (&len, rest) = bytes.split_first().ok_or_else(|| malformed("id"))?;
    if len == 0 || usize::from(len) > ONCE_ID_BYTES_MAX {
        return Err(malformed("length of the id"));
    }
    let (id, rest) = rest.split_at_checked(usize::from(len)).ok_or_else(|| malformed("id"))?;
    Ok((Some(id), rest))
}

/// The entries of a head. After an error there are no more.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<HeadEntry<'a>>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match take_entry(self.rest) {
            Some((entry, rest)) => {
                self.rest = rest;
                Some(Ok(entry))
            }
            None => {
                let rest = std::mem::take(&mut self.rest);
                Some(Err(why(rest)))
            }
        }
    }
}

impl std::iter::FusedIterator for Entries<'_> {}

/// The entry at the front of `bytes` and what follows it.
#[inline(always)]
fn take_entry(bytes: &[u8]) -> Option<(HeadEntry<'_>, &[u8])> {
    let (collection, rest) = varint::take_u32(bytes)?;
    let (&kind, rest) = rest.split_first()?;
    let (key_len, rest) = varint::take(rest)?;
    if key_len.wrapping_sub(1) >= key::bytes_max(CollectionId(collection)) as u64 {
        return None;
    }
    let (key, rest) = rest.split_at_checked(key_len as usize)?;
    let (effect, rest) = match kind {
        KIND_PUT => {
            let (offset, rest) = varint::take_u32(rest)?;
            let (bytes, rest) = varint::take_u32(rest)?;
            let part = Part { offset, bytes };
            if !part.fits() {
                return None;
            }
            (Effect::Put(part), rest)
        }
        KIND_REMOVE => (Effect::Remove, rest),
        _ => return None,
    };
    Some((HeadEntry { collection: CollectionId(collection), key, effect }, rest))
}

/// Why [`take_entry`] refused these bytes.
#[cold]
fn why(bytes: &[u8]) -> crate::error::Error {
    match varint::take_u32(bytes).and_then(|(_, rest)| rest.first()) {
        Some(&kind) if kind != KIND_PUT && kind != KIND_REMOVE => newer("entries of kind", kind),
        _ => malformed("an entry"),
    }
}
