//! Corridor: names and numbers of collections and origins, which are keys of `$set` like any other.

use bytes::Bytes;
use savehold_wal::Lsn;

use crate::attributes::Attributes;
use crate::commit::NotCommitted;
use crate::core::Core;
use crate::draft::{Draft, Write};
use crate::entry::{Entry, EntryHead};
use crate::error::{Error, ErrorKind, Result};
use crate::format::Format;
use crate::ids::CollectionId;
use crate::index::{Direction, KeyRange};
use crate::key::Key;
use crate::name::CollectionName;
use crate::range::OwnRange;
use crate::record::{Author, Cause};
use crate::value::{Map, Value, codec};

const COLLECTION: &str = "collection/";
const ORIGIN: &str = "origin/";
const PAGE: usize = 256;

impl Core {
    /// The number of a collection at a moment, if it has one.
    pub(crate) fn collection_id(&self, name: &CollectionName, moment: Lsn) -> Result<Option<CollectionId>> {
        let number = self.number_of(&format!("{COLLECTION}{name}"), moment)?;
        Ok(number.map(CollectionId))
    }

    /// The number of a collection, given to it now if it has none.
    pub(crate) fn ensure_collection(&self, name: &CollectionName) -> Result<CollectionId> {
        self.ensure_number(COLLECTION, name.as_str(), CollectionId::FIRST.0).map(CollectionId)
    }

    /// Names and numbers of all collections, by name.
    pub(crate) fn collections(&self, moment: Lsn) -> Result<Vec<(String, CollectionId)>> {
        let all = self.numbers(COLLECTION, moment)?;
        Ok(all.into_iter().map(|(name, number)| (name, CollectionId(number))).collect())
    }

    /// The number of this process's origin; 0 where it has none.
    pub(crate) fn origin_number(&self) -> Result<u32> {
        if self.origin.is_empty() {
            return Ok(0);
        }
        if let Some(number) = self.origin_number.get() {
            return Ok(*number);
        }
        let number = self.ensure_number(ORIGIN, &self.origin, 1)?;
        Ok(*self.origin_number.get_or_init(|| number))
    }

    /// The text of an origin's number.
    pub(crate) fn origin_text(&self, number: u32) -> Result<Option<String>> {
        if number == 0 {
            return Ok(None);
        }
        let all = self.numbers(ORIGIN, Lsn::MAX)?;
        Ok(all.into_iter().find(|(_, n)| *n == number).map(|(text, _)| text))
    }

    fn number_of(&self, key: &str, moment: Lsn) -> Result<Option<u32>> {
        let seen = self.read(CollectionId::SET, key.as_bytes(), moment)?;
        seen.stored.map(|stored| number_in(&stored.entry)).transpose()
    }

    fn numbers(&self, prefix: &str, moment: Lsn) -> Result<Vec<(String, u32)>> {
        let (mut all, mut after) = (Vec::new(), None::<Vec<u8>>);
        loop {
            let range = KeyRange::prefix(prefix.as_bytes());
            let page = self.index.range(
                CollectionId::SET.0,
                range,
                after.as_deref(),
                moment,
                PAGE,
                Direction::Ascending,
            );
            for (key, _) in page.iter() {
                let name = String::from_utf8_lossy(&key[prefix.len()..]).into_owned();
                let key = String::from_utf8_lossy(key);
                if let Some(number) = self.number_of(&key, moment)? {
                    all.push((name, number));
                }
            }
            match page.last_key() {
                Some(last) if page.len() == PAGE => after = Some(last.to_vec()),
                _ => return Ok(all),
            }
        }
    }

    /// The number under `prefix` + `name`, or the next free one, committed: buffered, for any commit that uses it
    /// stands behind it.
    fn ensure_number(&self, prefix: &str, name: &str, first: u32) -> Result<u32> {
        let key = Key::new(format!("{prefix}{name}"))?;
        loop {
            let (moment, watch) = self.watch();
            if let Some(number) = self.number_of(&format!("{prefix}{name}"), moment)? {
                return Ok(number);
            }
            let largest = self.numbers(prefix, moment)?.into_iter().map(|(_, number)| number).max();
            let number = match largest {
                None => first,
                Some(largest) => largest.checked_add(1).ok_or_else(used_up)?,
            };
            let range = OwnRange {
                from: std::ops::Bound::Unbounded,
                to: std::ops::Bound::Unbounded,
                prefix: prefix.into(),
            };
            let draft = Draft {
                author: Author { cause: Cause::Explicit, origin: 0, token: None, id: None },
                writes: &[((CollectionId::SET, key.clone()), Write::Put(self.numbered(number)?))],
                reads: &[],
                ranges: &[(CollectionId::SET, range)],
                moment,
            };
            let placed = self.place(&draft, self.how_own());
            drop(watch);
            match placed {
                Ok(placed) => {
                    self.wal.wait(placed)?;
                    return Ok(number);
                }
                Err(NotCommitted::Conflict(_)) => {}
                Err(NotCommitted::Failed(e)) => return Err(e),
            }
        }
    }

    fn numbered(&self, number: u32) -> Result<Entry> {
        let mut map = Map::default();
        map.insert("id", i64::from(number));
        let mut bytes = Vec::new();
        let format = codec::encode(&Value::Map(map), &mut bytes)?;
        let head = EntryHead {
            created_us: self.wal.time_us(),
            attributes: Attributes::NONE,
            schema: Bytes::new(),
            format,
        };
        Ok(Entry { head, value: Bytes::from(bytes) })
    }
}

/// The name and the number of a collection, where a key of `$set` with this value says one.
pub(crate) fn collection_in(
    collection: CollectionId,
    key: &[u8],
    format: Format,
    value: &[u8],
) -> Option<(String, u32)> {
    let name = (collection == CollectionId::SET).then(|| key.strip_prefix(COLLECTION.as_bytes()))??;
    let value: Value = codec::decode(format, &Bytes::copy_from_slice(value)).ok()?;
    let number = value.get("id").and_then(Value::as_i64).and_then(|n| u32::try_from(n).ok())?;
    Some((String::from_utf8_lossy(name).into_owned(), number))
}

fn number_in(entry: &Entry) -> Result<u32> {
    let value: Value = codec::decode(entry.head.format, &entry.value)?;
    let number = value.get("id").and_then(Value::as_i64).and_then(|n| u32::try_from(n).ok());
    let say = "a name's number in $set is not a number: run `savehold verify`, then `savehold repair`";
    number.ok_or_else(|| Error::new(ErrorKind::Corrupt, say))
}

fn used_up() -> Error {
    Error::new(
        ErrorKind::Invalid,
        "there are four billion collections or origins: no number is left for another",
    )
}
