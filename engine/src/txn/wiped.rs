//! Corridor: marks of profiles that were wiped: a key of `$set` each, which says of a key that it was, for ever.
//!
//! An ending goes once nothing is left of what it ended, and a key that was removed then looks like one that never was.

use savehold_wal::Lsn;

use super::Tx;
use crate::draft::Write;
use crate::error::{ErrorKind, Result};
use crate::ids::CollectionId;
use crate::inner_key;
use crate::key::{FullKey, KeyRef};
use crate::table::Table;

impl Tx<'_> {
    /// Whether the profile of a key was ever wiped.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`], [`ErrorKind::TooLarge`]: the key is none.
    pub(crate) fn was_wiped(&self, table: &Table, key: &KeyRef<'_>) -> Result<bool> {
        let Some(id) = self.id_of(table)? else { return Ok(false) };
        self.stands((CollectionId::SET, inner_key::wiped(id, &table.key(key)?)))
    }

    /// Notes that the profile of a key was wiped. Of a key that never was nothing is noted, and nothing twice.
    ///
    /// # Errors
    ///
    /// As [`Tx::was_wiped`]; as [`Collection::get`](crate::Collection::get).
    pub(crate) fn mark_wiped(&self, table: &Table, key: &KeyRef<'_>) -> Result<()> {
        if self.standing(table, key)?.lsn == Lsn::NONE {
            return Ok(());
        }
        let mark = (CollectionId::SET, inner_key::wiped(table.ensure_id()?, &table.key(key)?));
        if !self.stands(mark.clone())? {
            let wiped = Write::own(Vec::new(), self.core.wal.time_us());
            self.state.borrow_mut().writes.insert(mark, wiped);
        }
        Ok(())
    }

    /// Whether a mark stands, noted as read. Its key says all: one whose value is damaged stands too.
    fn stands(&self, mark: FullKey) -> Result<bool> {
        match self.standing_at(mark.clone()) {
            Err(e) if e.kind() == ErrorKind::Damaged => self.past(mark, &e).map(|_| true),
            now => Ok(now?.head().is_some()),
        }
    }
}
