//! Corridor: keys that are played, handed off before they are set back to an earlier state.
//!
//! 1. Their holders are told, as if another asked for the keys: they may write a last time, and release.
//! 2. Whoever sets the keys back stands first in the queue for them meanwhile, so that nobody takes them up in between.
//! 3. What was not released in time ends by the very record that sets the key back. Both ways the holder learns
//!    [`Ended::Restored`](crate::Ended::Restored).

use std::sync::Arc;
use std::time::Duration;

use crate::acquire::Request;
use crate::core::Core;
use crate::error::Result;
use crate::holder::HolderOptions;
use crate::key::FullKey;

/// Time for the holders of keys that are set back, unless the caller says otherwise.
pub(crate) const HANDOFF: Duration = Duration::from_secs(10);

/// Who asks, as holders are told.
const NAME: &str = "savehold revert";

impl Core {
    /// Who plays a key now.
    pub(crate) fn player_of(&self, key: &FullKey) -> Option<String> {
        if !self.leases.any() {
            return None;
        }
        let state = self.leases.lock();
        let lease = state.table.of_key(key).filter(|lease| state.stale(lease, self.boot()).is_none());
        lease.map(|lease| lease.grant.holder.to_string())
    }

    /// Has those of `keys` that are played handed off, within `time`. Nobody takes them up before the answer is dropped;
    /// `None` where none is played.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed), [`ErrorKind::Io`](crate::ErrorKind::Io): the system gives no
    /// threads; the store's own failure.
    pub(crate) fn hand_off(
        self: &Arc<Self>,
        keys: impl IntoIterator<Item = FullKey>,
        time: Duration,
    ) -> Result<Option<Request>> {
        let mut played: Vec<FullKey> = keys.into_iter().filter(|key| self.player_of(key).is_some()).collect();
        if played.is_empty() {
            return Ok(None);
        }
        played.sort();
        played.dedup();
        let holder = self.holder(NAME, HolderOptions::new())?;
        let request = Request::to_restore(&holder, played.into(), time)?;
        request.wait_for_turn();
        Ok(Some(request))
    }
}
