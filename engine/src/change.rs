//! Pure: what the closure of an update answers, and what an update became.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::attributes::{Attributes, UserId};
use crate::ids::Version;
use crate::key::Key;

/// A value as it stands under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<T> {
    /// The key.
    pub key: Key,
    /// The value.
    pub value: T,
    /// The commit that wrote it.
    pub version: Version,
    /// Engine time at which the key came to be, microseconds since 1970.
    pub created_us: u64,
    /// User ids and metadata.
    pub attributes: Attributes,
    /// What profiles note about the value's shape; empty for none. The store keeps it with every write that does not
    /// mention it, and reads nothing in it.
    pub schema: Bytes,
}

/// What the closure of an update answers: write, remove or keep. What it does not mention is kept.
#[derive(Clone, Debug)]
#[must_use]
pub struct Change<T> {
    pub(crate) what: What<T>,
    pub(crate) user_ids: Option<Vec<UserId>>,
    pub(crate) meta: Option<BTreeMap<String, String>>,
    pub(crate) schema: Option<Bytes>,
}

#[derive(Clone, Debug)]
pub(crate) enum What<T> {
    Write(T),
    Remove,
    Keep,
}

impl<T> Change<T> {
    /// The key has this value from now on.
    pub fn write(value: T) -> Self {
        Self { what: What::Write(value), user_ids: None, meta: None, schema: None }
    }

    /// The key is absent from now on; its history stays readable.
    pub fn remove() -> Self {
        Self { what: What::Remove, user_ids: None, meta: None, schema: None }
    }

    /// Nothing changes, and nothing is written: `UpdateAsync`'s nil.
    pub fn keep() -> Self {
        Self { what: What::Keep, user_ids: None, meta: None, schema: None }
    }

    /// The users whose data the value is, in place of all former ones.
    pub fn user_ids(mut self, ids: impl IntoIterator<Item = impl Into<UserId>>) -> Self {
        self.user_ids = Some(ids.into_iter().map(Into::into).collect());
        self
    }

    /// Names and texts kept beside the value, in place of all former ones.
    pub fn meta(mut self, pairs: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>) -> Self {
        self.meta = Some(pairs.into_iter().map(|(name, text)| (name.into(), text.into())).collect());
        self
    }

    /// What profiles noted about the value's shape, as [`Entry::schema`] had it, so that a copy of a profile's value is
    /// one too: which migrations it has seen. At most 4096 bytes; empty takes it away.
    pub fn schema(mut self, notes: impl Into<Bytes>) -> Self {
        self.schema = Some(notes.into());
        self
    }
}

/// `None` keeps, as a nil does on the platform.
impl<T> From<Option<T>> for Change<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or_else(Self::keep, Self::write)
    }
}

/// What an update became.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Updated<T> {
    /// Whether anything was written.
    pub wrote: bool,
    /// The version that the key has now; of a key that never was, the smallest version of all.
    pub version: Version,
    /// What stands there now.
    pub value: Option<T>,
    /// User ids and metadata of what stands there now.
    pub attributes: Attributes,
}

/// What a call with an idempotency id became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Once<T> {
    /// It was done now.
    Now(T),
    /// It was done before, by the commit of this version; nothing ran.
    Before(Version),
}

impl<T> Once<T> {
    /// The same for something made of what was done now.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Once<U> {
        match self {
            Self::Now(done) => Once::Now(change(done)),
            Self::Before(version) => Once::Before(version),
        }
    }
}

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It is in the log, as durable as it was asked to be.
    Committed(Version),
    /// It is not, and never will be.
    NotCommitted,
    /// Nobody knows any more: it is older than what is kept, or a repair found commits lost that it may have been one of.
    Forgotten,
    /// It was in the log as this version, and a restore undid it, together with its effects: a retry applies again. Of an id
    /// that is told until outcomes of commits behind the restore are forgotten.
    Undone(Version),
}
