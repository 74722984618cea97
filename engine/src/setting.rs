//! Corridor: settings and pins of the store: documents under keys of `$set`, read and changed one at a time.

use bytes::Bytes;
use savehold_wal::{Durability, Lsn, Urgency};

use crate::attributes::Attributes;
use crate::commit::{How, NotCommitted, Patience};
use crate::core::{Core, Stored};
use crate::draft::{Draft, Write};
use crate::entry::{Entry, EntryHead};
use crate::error::Result;
use crate::ids::{CollectionId, Version};
use crate::index::{Direction, KeyRange, Kind};
use crate::key::Key;
use crate::record::{Author, Cause};
use crate::value::{Value, codec};

const PAGE: usize = 256;

/// A setting as it stands.
pub(crate) struct Setting {
    /// What stands behind the prefix.
    pub(crate) name: String,
    pub(crate) version: Version,
    /// Engine time at which it was made.
    pub(crate) made_us: u64,
    pub(crate) value: Value,
}

impl Core {
    /// The setting `prefix` + `name` at a moment.
    pub(crate) fn setting(&self, prefix: &str, name: &str, moment: Lsn) -> Result<Option<Setting>> {
        let seen = self.read(CollectionId::SET, format!("{prefix}{name}").as_bytes(), moment)?;
        seen.stored.map(|stored| setting_of(name.to_owned(), &stored)).transpose()
    }

    /// All settings under `prefix` at a moment, by name.
    pub(crate) fn settings(&self, prefix: &str, moment: Lsn) -> Result<Vec<Setting>> {
        let (mut all, mut after) = (Vec::new(), None::<Vec<u8>>);
        loop {
            let (range, by) = (KeyRange::prefix(prefix.as_bytes()), Direction::Ascending);
            let page = self.index.range(CollectionId::SET.0, range, after.as_deref(), moment, PAGE, by)?;
            for (key, version) in page.iter().filter(|(_, version)| version.kind == Kind::Put) {
                let name = String::from_utf8_lossy(&key[prefix.len()..]).into_owned();
                all.push(setting_of(name, &self.stored(version)?)?);
            }
            match page.last_key() {
                Some(last) if page.len() == PAGE => after = Some(last.to_vec()),
                _ => return Ok(all),
            }
        }
    }

    /// Lets `change` say what the setting `prefix` + `name` becomes, given what it is: `None` removes it. Durable on return.
    /// `urgency` says whether it may be put on a full disk; removed it may be always.
    pub(crate) fn change_setting(
        &self,
        prefix: &str,
        name: &str,
        urgency: Urgency,
        mut change: impl FnMut(Option<&Setting>) -> Result<Option<Value>>,
    ) -> Result<Version> {
        let key = Key::new(format!("{prefix}{name}"))?;
        let origin = self.origin_number()?;
        let how = How { durability: Durability::Synced, patience: Patience::Waits, urgency };
        loop {
            let (moment, watch) = self.watch();
            let seen = self.read(CollectionId::SET, key.as_bytes(), moment)?;
            let stands =
                seen.stored.as_ref().map(|stored| setting_of(name.to_owned(), stored)).transpose()?;
            let wanted = match change(stands.as_ref()) {
                Ok(wanted) => wanted,
                Err(e) => return self.wait_for(seen.lsn).and(Err(e)), // what it was decided on must last
            };
            let write = match wanted {
                Some(value) => Write::Put(self.setting_entry(&value, seen.stored.as_ref())?),
                None => Write::Remove,
            };
            let full = (CollectionId::SET, key.clone());
            let draft = Draft {
                author: Author { cause: Cause::Explicit, origin, token: None, id: None },
                writes: &[(full.clone(), write)],
                reads: &[(full, seen.lsn)],
                ranges: &[],
                moment,
                remembered: &[],
                claim: None,
                memory: None,
            };
            let placed = self.place(&draft, how);
            drop(watch);
            match placed {
                Ok(placed) => {
                    self.wal.wait(placed)?;
                    return Ok(placed.lsn.into());
                }
                Err(NotCommitted::Conflict(_)) => {}
                Err(NotCommitted::Failed(e) | NotCommitted::Barred(_, e, _)) => return Err(e),
            }
        }
    }

    fn setting_entry(&self, value: &Value, stands: Option<&Stored>) -> Result<Entry> {
        let mut bytes = Vec::new();
        let format = codec::encode(value, &mut bytes)?;
        let created_us = stands.map_or_else(|| self.wal.time_us(), |stored| stored.entry.head.created_us);
        let head = EntryHead { created_us, attributes: Attributes::NONE, schema: Bytes::new(), format };
        Ok(Entry { head, value: Bytes::from(bytes) })
    }
}

fn setting_of(name: String, stored: &Stored) -> Result<Setting> {
    let head = &stored.entry.head;
    let value = codec::decode(head.format, &stored.entry.value)?;
    Ok(Setting { name, version: stored.lsn.into(), made_us: head.created_us, value })
}
