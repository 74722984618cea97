//! Pure: how values of a type become stored bytes, and entries again.

use bytes::Bytes;

use crate::change::{Change, Entry, What};
use crate::core::Stored;
use crate::entry::EntryHead;
use crate::error::Result;
use crate::format::Format;
use crate::key::Key;
use crate::modify::{Decision, Wanted};
use crate::value::{Value, codec};

/// How values of a type become bytes.
pub(crate) struct Form<T> {
    pub(crate) encode: fn(&T) -> Result<(Format, Bytes)>,
    pub(crate) decode: fn(Format, Bytes) -> Result<T>,
}

impl<T> Clone for Form<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Form<T> {}

impl<T: serde::Serialize + serde::de::DeserializeOwned> Form<T> {
    /// MessagePack with names.
    pub(crate) const TYPED: Self = Self {
        encode: |value| {
            let mut bytes = Vec::new();
            let format = codec::encode(value, &mut bytes)?;
            Ok((format, bytes.into()))
        },
        decode: |format, bytes| codec::decode(format, &bytes),
    };
}

impl Form<Value> {
    /// Whatever stands there, raw bytes too, which a value that is nothing but bytes becomes again.
    pub(crate) const ANY: Self = Self {
        encode: |value| match value {
            Value::Bytes(bytes) => Ok((Format::Raw, Bytes::copy_from_slice(bytes))),
            value => (Form::TYPED.encode)(value),
        },
        decode: |format, bytes| codec::view(format, &bytes),
    };
}

impl Form<Bytes> {
    /// Bytes as they are.
    pub(crate) const RAW: Self =
        Self { encode: |bytes| Ok((Format::Raw, bytes.clone())), decode: |_, bytes| Ok(bytes) };
}

impl<T> Form<T> {
    pub(crate) fn wanted(&self, value: &T) -> Result<Wanted> {
        let (format, value) = (self.encode)(value)?;
        Ok(Wanted::value(format, value))
    }

    #[inline]
    pub(crate) fn entry(&self, key: Key, stored: Stored) -> Result<Entry<T>> {
        let Stored { lsn, entry } = stored;
        let EntryHead { created_us, attributes, schema, format } = entry.head;
        let value = (self.decode)(format, entry.value)?;
        Ok(Entry { key, value, version: lsn.into(), created_us, attributes, schema })
    }

    pub(crate) fn decision(&self, change: Change<T>) -> Result<Decision> {
        let Change { what, user_ids, meta, schema } = change;
        Ok(match what {
            What::Write(value) => Decision::Put(Wanted { user_ids, meta, schema, ..self.wanted(&value)? }),
            What::Remove => Decision::Remove,
            What::Keep => Decision::Keep,
        })
    }
}
