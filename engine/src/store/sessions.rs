//! Corridor: holders and sessions of a store.

use savehold_wal::Lsn;

use super::Store;
#[cfg(doc)]
use crate::collection::Collection;
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::Result;
use crate::holder::{Holder, HolderOptions};
use crate::key::KeyRef;
use crate::name::CollectionName;
use crate::session::SessionInfo;

impl Store {
    /// A holder in this process, called `name`: a room, a world, the process itself. It lives as long as a handle of it,
    /// or a session, does.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`]: no name for a holder. [`ErrorKind::Io`]: the system gives no threads.
    pub fn holder(&self, name: &str) -> Result<Holder> {
        self.holder_with(name, HolderOptions::new())
    }

    /// [`Store::holder`] with options; those of the newest call count.
    ///
    /// # Errors
    ///
    /// As [`Store::holder`].
    pub fn holder_with(&self, name: &str, options: HolderOptions) -> Result<Holder> {
        self.core.holder(name, options)
    }

    /// A game server elsewhere, called `name`, in its life `life`: a number that it drew at its start. It lives while
    /// [`Holder::heartbeat`] is called for it, or writes come with its tokens; its leases outlive our restart. The first
    /// call with another life ends the leases of the former, durably.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Ended`]: this life was ended by a later one. Otherwise as [`Store::holder`].
    pub fn external_holder(&self, name: &str, life: u64) -> Result<Holder> {
        self.external_holder_with(name, life, HolderOptions::new())
    }

    /// [`Store::external_holder`] with options; those of the newest call count.
    ///
    /// # Errors
    ///
    /// As [`Store::external_holder`].
    pub fn external_holder_with(&self, name: &str, life: u64, options: HolderOptions) -> Result<Holder> {
        self.core.external_holder(name, life, options)
    }

    /// The leases that live now, oldest first.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`].
    pub fn sessions(&self) -> Result<Vec<SessionInfo>> {
        self.core.sessions()
    }

    /// Ends the session on a key, whoever has it: its token is refused from then on, and its holder learns
    /// [`Ended::Stolen`](crate::Ended::Stolen) with the reason given. Durable on return. `None`: nobody has the key.
    ///
    /// # Errors
    ///
    /// As [`Collection::set`].
    pub fn break_session<'k>(
        &self,
        collection: &str,
        key: impl Into<KeyRef<'k>>,
        reason: &str,
    ) -> Result<Option<SessionInfo>> {
        let name = CollectionName::new(collection)?;
        let key = key.into().to_key().map_err(|e| e.within(&name))?;
        match self.core.collection_id(&name, Lsn::MAX)? {
            Some(id) => self.core.break_session(&(id, key), reason),
            None => Ok(None),
        }
    }
}
