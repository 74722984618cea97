//! Corridor: user ids and metadata of a profile: written with its present state, tags in the same record.

use super::ground::Ground;
use super::handle::Profile;
use super::playable::Playable;
use crate::attributes::Attributes;
use crate::error::Result;
use crate::ids::Version;

impl<T: Playable> Profile<T> {
    /// Writes the present state with other attributes. Durable on return.
    pub(super) fn relabel(&self, change: impl Fn(Attributes) -> Attributes) -> Result<Version> {
        let live = self.live();
        let done = live.ground().transaction(None, |tx| -> Result<()> {
            let mut edit = tx.edit(self)?;
            edit.relabel(change(live.lock().base.head.attributes.clone()));
            Ok(())
        })?;
        Ok(match done {
            crate::change::Once::Now(done) => done.version,
            crate::change::Once::Before(version) => version,
        })
    }
}
