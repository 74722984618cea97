//! Corridor: a collection whose keys are leased: by what right a handle of it writes.

use super::Collection;
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::Result;
use crate::ids::Token;
use crate::key::{Key, KeyRef};
use crate::modify::Right;
use crate::name::CollectionName;

/// A key of a collection, to be leased; see [`Collection::key`].
#[derive(Clone, Debug)]
pub struct LeaseKey {
    pub(crate) collection: CollectionName,
    /// What is no key is refused where it is used.
    pub(crate) key: Result<Key>,
}

impl<T> Collection<T> {
    /// A key of it, to be leased: `holder.acquire([docs.key("42")], Start::new())`.
    pub fn key<'k>(&self, key: impl Into<KeyRef<'k>>) -> LeaseKey {
        LeaseKey { collection: self.table.name.clone(), key: self.table.key(&key.into()) }
    }

    /// The same collection for the holder of the lease `token`: its writes are made only while that lease stands and
    /// covers the key, and each is a sign of life of the holder. Otherwise they are refused with
    /// [`ErrorKind::Fenced`], and nothing is written.
    pub fn with_token(&self, token: Token) -> Self {
        Self { right: Right { token: Some(token), ..self.right }, ..self.clone() }
    }

    /// The same collection for who must write whoever has the key: a lease on it ends by the very commit, its token is
    /// refused from then on, and its holder learns [`Ended::Stolen`](crate::Ended::Stolen).
    pub fn force(&self) -> Self {
        Self { right: Right { force: true, ..self.right }, ..self.clone() }
    }
}
