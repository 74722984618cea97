//! Corridor: names and numbers of collections and origins, which are keys of `$set` like any other.
//!
//! ```text
//! key    collection/<name>/<number>   origin/<text>/<number>      number: decimal, in its shortest form
//! value  {}                           room for settings
//! ```
//!
//! Name and number both stand in the key, which is in the head of its record: where the value is damaged, nothing of a
//! collection is lost but its settings. The text of an origin may hold `/` itself: the last one separates.

use std::ops::Bound;

use bytes::Bytes;
use savehold_wal::{Durability, Lsn, Urgency};

use crate::attributes::Attributes;
use crate::commit::{How, NotCommitted, Patience};
use crate::core::Core;
use crate::draft::{Draft, Write};
use crate::entry::{Entry, EntryHead};
use crate::error::{Error, ErrorKind, Result};
use crate::format::Format;
use crate::ids::{CollectionId, Version};
use crate::index::{Direction, KeyRange, Kind};
use crate::inner_key::UNDONE;
use crate::key::Key;
use crate::name::CollectionName;
use crate::range::OwnRange;
use crate::record::{Author, Cause};
use crate::value::{Map, Value, codec};

pub(crate) const COLLECTION: &str = "collection/";
const ORIGIN: &str = "origin/";
const PAGE: usize = 256;

impl Core {
    /// The number of a collection at a moment, if it has one.
    pub(crate) fn collection_id(&self, name: &CollectionName, moment: Lsn) -> Result<Option<CollectionId>> {
        let number = self.number_of(COLLECTION, name.as_str(), moment)?;
        Ok(number.map(CollectionId))
    }

    /// The number of a collection, given to it now if it has none.
    pub(crate) fn ensure_collection(&self, name: &CollectionName) -> Result<CollectionId> {
        self.ensure_number(COLLECTION, name.as_str(), CollectionId::FIRST.0).map(CollectionId)
    }

    /// Names and numbers of all collections, by name.
    pub(crate) fn collections(&self, moment: Lsn) -> Result<Vec<(String, CollectionId)>> {
        let mut all = self.numbers(COLLECTION, moment)?;
        all.sort(); // in the keys a number stands behind each name
        Ok(all.into_iter().map(|(name, number)| (name, CollectionId(number))).collect())
    }

    /// Gives a collection whose name is lost a name that says so: `lost-16`.
    pub(crate) fn name_lost(&self, id: CollectionId) -> Result<String> {
        let taken: Vec<String> =
            self.numbers(COLLECTION, Lsn::MAX)?.into_iter().map(|(name, _)| name).collect();
        let plain = format!("lost-{}", id.0);
        let others = (2..).map(|n| format!("{plain}-{n}"));
        let free = std::iter::once(plain.clone()).chain(others).find(|name| !taken.contains(name));
        let name = free.expect("there are more numbers than names");
        let key = Key::stored(CollectionId::SET, format!("{COLLECTION}{name}/{}", id.0).as_bytes())?;
        let draft = Draft {
            author: Author { cause: Cause::Explicit, origin: 0, token: None, id: None },
            writes: &[((CollectionId::SET, key), Write::Put(self.named()?))],
            reads: &[],
            ranges: &[],
            moment: Lsn::NONE,
            remembered: &[],
            claim: None,
            memory: None,
        };
        match self.place(&draft, self.how()) {
            Ok(placed) => Ok(self.wal.wait(placed).map(|()| name)?),
            Err(NotCommitted::Conflict(_)) => unreachable!("it read nothing"),
            Err(NotCommitted::Failed(e) | NotCommitted::Barred(_, e, _)) => Err(e),
        }
    }

    /// The name of a collection, if it has one.
    pub(crate) fn collection_name(&self, id: CollectionId) -> Result<Option<String>> {
        let all = self.collections(Lsn::MAX)?;
        Ok(all.into_iter().find(|(_, other)| *other == id).map(|(name, _)| name))
    }

    /// The number of the origin of what this thread commits; 0 where it has none.
    pub(crate) fn origin_number(&self) -> Result<u32> {
        let origin = self.origins.now();
        if origin.text.is_empty() {
            return Ok(0);
        }
        if let Some(number) = origin.number.get() {
            return Ok(*number);
        }
        let number = self.ensure_number(ORIGIN, &origin.text, 1)?;
        Ok(*origin.number.get_or_init(|| number))
    }

    /// Texts and numbers of all origins.
    pub(crate) fn origins(&self) -> Result<Vec<(String, u32)>> {
        self.numbers(ORIGIN, Lsn::MAX)
    }

    /// The text of an origin's number.
    pub(crate) fn origin_text(&self, number: u32) -> Result<Option<String>> {
        if number == 0 {
            return Ok(None);
        }
        let all = self.origins()?;
        Ok(all.into_iter().find(|(_, n)| *n == number).map(|(text, _)| text))
    }

    /// The version that a commit with this idempotency id had, in a future that a restore undid. None once an outcome behind
    /// the restore was forgotten: it may have been of this id, applied again.
    pub(crate) fn undone_id(&self, id: &[u8]) -> Result<Option<Version>> {
        let key = [UNDONE, id].concat();
        let Some(stored) = self.read(CollectionId::SET, &key, self.visible())?.stored else {
            return Ok(None);
        };
        if self.forgotten().is_some_and(|forgotten| forgotten >= stored.lsn) {
            return Ok(None);
        }
        let version = noted_version(stored.entry.head.format, &stored.entry.value)?;
        let say = "an undone receipt in $set names no version: run `savehold verify`, then `savehold repair`";
        version.map(Some).ok_or_else(|| Error::new(ErrorKind::Corrupt, say))
    }

    fn number_of(&self, prefix: &str, name: &str, moment: Lsn) -> Result<Option<u32>> {
        // what is more than digits is of a longer text that begins so: `origin/a/` begins `origin/a/b/1` too
        let all = self.behind(&format!("{prefix}{name}/"), moment)?;
        Ok(all.iter().find_map(|rest| number_in(rest)))
    }

    fn numbers(&self, prefix: &str, moment: Lsn) -> Result<Vec<(String, u32)>> {
        let all = self.behind(prefix, moment)?;
        all.iter().map(|rest| numbered(rest).ok_or_else(|| nonsense(prefix, rest))).collect()
    }

    /// What follows `prefix` in the keys that begin so.
    pub(crate) fn behind(&self, prefix: &str, moment: Lsn) -> Result<Vec<String>> {
        let (mut all, mut after) = (Vec::new(), None::<Vec<u8>>);
        loop {
            let range = KeyRange::prefix(prefix.as_bytes());
            let (from, up) = (after.as_deref(), Direction::Ascending);
            let page = self.range(CollectionId::SET, range, from, moment, PAGE, up)?;
            let there = page.iter().filter(|(_, version)| version.kind == Kind::Put);
            all.extend(there.map(|(key, _)| String::from_utf8_lossy(&key[prefix.len()..]).into_owned()));
            match page.last_key() {
                Some(last) if page.len() == PAGE => after = Some(last.to_vec()),
                _ => return Ok(all),
            }
        }
    }

    /// The number under `prefix` + `name`, or the next free one, committed: buffered, for any commit that uses it
    /// stands behind it.
    fn ensure_number(&self, prefix: &str, name: &str, first: u32) -> Result<u32> {
        // an origin stands before whatever a new build does first, what frees a full disk too
        let urgency = if prefix == ORIGIN { Urgency::Reserve } else { Urgency::Ordinary };
        let how = How { durability: Durability::Buffered, patience: Patience::Waits, urgency };
        loop {
            let (moment, watch) = self.watch();
            if let Some(number) = self.number_of(prefix, name, moment)? {
                return Ok(number);
            }
            let named = self.numbers(prefix, moment)?.into_iter().map(|(_, number)| number).max();
            // a repair may have lost a name and kept keys: their number is taken
            let keyed = if prefix == COLLECTION { self.index.largest_collection()? } else { 0 };
            let number = match named.unwrap_or(0).max(keyed) {
                taken if taken < first => first,
                taken => taken.checked_add(1).ok_or_else(used_up)?,
            };
            let key = Key::stored(CollectionId::SET, format!("{prefix}{name}/{number}").as_bytes())?;
            let draft = Draft {
                author: Author { cause: Cause::Explicit, origin: 0, token: None, id: None },
                writes: &[((CollectionId::SET, key), Write::Put(self.named()?))],
                reads: &[],
                ranges: &[(CollectionId::SET, prefixed(prefix.to_owned()))],
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
                    return Ok(number);
                }
                Err(NotCommitted::Conflict(_)) => {}
                Err(NotCommitted::Failed(e) | NotCommitted::Barred(_, e, _)) => return Err(e),
            }
        }
    }

    fn named(&self) -> Result<Entry> {
        let mut bytes = Vec::new();
        let format = codec::encode(&Value::Map(Map::default()), &mut bytes)?;
        let head = EntryHead {
            created_us: self.wal.time_us(),
            attributes: Attributes::NONE,
            schema: Bytes::new(),
            format,
        };
        Ok(Entry { head, value: Bytes::from(bytes) })
    }
}

/// The range of `$set` in which a collection of this name stands, if there is one.
pub(crate) fn range_of(name: &CollectionName) -> OwnRange {
    prefixed(format!("{COLLECTION}{name}/"))
}

fn prefixed(prefix: String) -> OwnRange {
    OwnRange { from: Bound::Unbounded, to: Bound::Unbounded, prefix: prefix.into_bytes() }
}

/// The name and the number of a collection, where a key of `$set` says one.
pub(crate) fn collection_in(collection: CollectionId, key: &[u8]) -> Option<(String, u32)> {
    let text = (collection == CollectionId::SET).then(|| std::str::from_utf8(key).ok())??;
    numbered(text.strip_prefix(COLLECTION)?)
}

/// The version of a commit that a restore undid, as the value of its note says it.
pub(crate) fn noted_version(format: Format, value: &[u8]) -> Result<Option<Version>> {
    let value: Value = codec::decode(format, value)?;
    Ok(value.get("version").and_then(Value::as_str).map(str::parse).transpose()?)
}

/// The name and the number that stand in `name/number`.
fn numbered(text: &str) -> Option<(String, u32)> {
    let (name, digits) = text.rsplit_once('/')?;
    Some((name.to_owned(), number_in(digits)?))
}

/// The number that `digits` are the shortest form of.
fn number_in(digits: &str) -> Option<u32> {
    let number: u32 = digits.parse().ok()?;
    (number.to_string() == digits).then_some(number)
}

#[cold]
fn nonsense(prefix: &str, rest: &str) -> Error {
    let key = format!("{prefix}{rest}");
    let say = format!(
        "the key {key:?} in $set is no name with its number: run `savehold verify`, then `savehold repair`"
    );
    Error::new(ErrorKind::Corrupt, say)
}

fn used_up() -> Error {
    Error::new(
        ErrorKind::Invalid,
        "there are four billion collections or origins: no number is left for another, so use one of those",
    )
}
