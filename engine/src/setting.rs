//! Corridor: settings and pins of the store: documents under keys of `$set`, read and changed one at a time.
//!
//! One that cannot be read says nothing, and hinders no other. It is mended by being set again: that begins with what can be
//! known of it, which is what the newest older version says that can be read.

use bytes::Bytes;
use savehold_wal::{Durability, Lsn, Urgency};

use crate::attributes::Attributes;
use crate::commit::{How, NotCommitted, Patience};
use crate::core::{Core, Stored};
use crate::draft::{Draft, Write};
use crate::entry::{Entry, EntryHead};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{CollectionId, Version};
use crate::index::{Direction, KeyRange, Kind, VersionRef};
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
    /// It cannot be read: the value is that of the newest older version that can be, or nil where none can.
    pub(crate) unread: bool,
}

impl Core {
    /// The setting `prefix` + `name` at a moment.
    pub(crate) fn setting(&self, prefix: &str, name: &str, moment: Lsn) -> Result<Option<Setting>> {
        let seen = self.read(CollectionId::SET, format!("{prefix}{name}").as_bytes(), moment)?;
        seen.stored.map(|stored| setting_of(name.to_owned(), &stored)).transpose()
    }

    /// All settings under `prefix` at a moment, by name; for each that cannot be read, why.
    pub(crate) fn settings(&self, prefix: &str, moment: Lsn) -> Result<Vec<(String, Result<Setting>)>> {
        let (mut all, mut after) = (Vec::new(), None::<Vec<u8>>);
        loop {
            let (range, by) = (KeyRange::prefix(prefix.as_bytes()), Direction::Ascending);
            let page = self.index.range(CollectionId::SET.0, range, after.as_deref(), moment, PAGE, by)?;
            for (key, version) in page.iter().filter(|(_, version)| version.kind == Kind::Put) {
                let name = String::from_utf8_lossy(&key[prefix.len()..]).into_owned();
                match self.stored(version).and_then(|stored| setting_of(name.clone(), &stored)) {
                    Err(e) if !is_unread(&e) => return Err(e),
                    setting => all.push((name, setting)),
                }
            }
            match page.last_key() {
                Some(last) if page.len() == PAGE => after = Some(last.to_vec()),
                _ => return Ok(all),
            }
        }
    }

    /// The setting `prefix` + `name` at a moment, and of one that cannot be read what can be known; with the place at which
    /// it was set or removed last.
    pub(crate) fn known_setting(
        &self,
        prefix: &str,
        name: &str,
        moment: Lsn,
    ) -> Result<(Lsn, Option<Setting>)> {
        let key = format!("{prefix}{name}");
        let Some(version) = self.find(CollectionId::SET, key.as_bytes(), moment)? else {
            return Ok((Lsn::NONE, None));
        };
        if version.kind == Kind::Remove {
            return Ok((version.lsn, None));
        }
        let of = |version: VersionRef| setting_of(name.to_owned(), &self.stored(version)?);
        let setting = match of(version) {
            Err(e) if is_unread(&e) => {
                let all =
                    self.index.versions(CollectionId::SET.0, key.as_bytes(), version.lsn, usize::MAX)?;
                let older = all.into_iter().take_while(|version| version.kind == Kind::Put);
                let older = older.filter_map(|version| of(version).ok()).next();
                let now_us = || self.wal.time_us();
                Setting {
                    name: name.to_owned(),
                    version: version.lsn.into(),
                    made_us: older.as_ref().map_or_else(now_us, |older| older.made_us),
                    value: older.map_or(Value::Nil, |older| older.value),
                    unread: true,
                }
            }
            setting => setting?,
        };
        Ok((version.lsn, Some(setting)))
    }

    /// Lets `change` say what the setting `prefix` + `name` becomes, given what it is, or what can be known of it: `None`
    /// removes it. Durable on return. `urgency` says whether it may be put on a full disk; removed it may be always.
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
            let (seen, stands) = self.known_setting(prefix, name, moment)?;
            let wanted = match change(stands.as_ref()) {
                Ok(wanted) => wanted,
                Err(e) => return self.wait_for(seen).and(Err(e)), // what it was decided on must last
            };
            let write = match wanted {
                Some(value) => Write::Put(self.setting_entry(&value, stands.as_ref())?),
                None => Write::Remove,
            };
            let full = (CollectionId::SET, key.clone());
            let draft = Draft {
                author: Author { cause: Cause::Explicit, origin, token: None, id: None },
                writes: &[(full.clone(), write)],
                reads: &[(full, seen)],
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

    fn setting_entry(&self, value: &Value, stands: Option<&Setting>) -> Result<Entry> {
        let mut bytes = Vec::new();
        let format = codec::encode(value, &mut bytes)?;
        let created_us = stands.map_or_else(|| self.wal.time_us(), |stands| stands.made_us);
        let head = EntryHead { created_us, attributes: Attributes::NONE, schema: Bytes::new(), format };
        Ok(Entry { head, value: Bytes::from(bytes) })
    }
}

fn setting_of(name: String, stored: &Stored) -> Result<Setting> {
    let head = &stored.entry.head;
    let value = codec::decode(head.format, &stored.entry.value).map_err(|e| e.at(stored.lsn.into()))?;
    Ok(Setting { name, version: stored.lsn.into(), made_us: head.created_us, value, unread: false })
}

/// Whether an error says that the very bytes of a setting make no sense, and all others may be asked.
pub(crate) fn is_unread(e: &Error) -> bool {
    use ErrorKind::{Corrupt, Damaged, Decode, Format, WrongType};
    matches!(e.kind(), Damaged | Format | Decode | WrongType | Corrupt)
}
