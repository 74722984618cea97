//! Corridor: verbs that read.
//!
//! What may be long comes in pages: an answer says whether there is more, and the next request goes on behind its last
//! key, at the same moment.

use std::panic::Location;

use super::wire::{self, Asked};
use crate::at::At;
use crate::change::{Entry, Outcome};
use crate::collection::Collection;
use crate::error::Result;
use crate::ids::Version;
use crate::key::{Key, KeyRef};
use crate::listing::Versions;
use crate::moments::Hold;
use crate::range::Range;
use crate::store::{Doubt, Store};
use crate::table::{Listing, VersionInfo};
use crate::value::{Map, Value};

/// Most keys or versions of a page.
const PAGE_MAX: u64 = 1000;

/// A page of values ends with the one that brings it over this many stored bytes.
pub(super) const PAGE_BYTES: u64 = 1 << 20;

/// `{"do": "names"}` → `names` of all collections.
pub(super) fn names(store: &Store, asked: Asked<'_>) -> Result<Map> {
    asked.only(&[])?;
    Ok(Map::from([("names", store.collections()?.into_iter().collect::<Value>())]))
}

/// `{"do": "collections", "limit": n}` → `collections`: names and numbers of keys of the first n; `total`.
pub(super) fn collections(store: &Store, asked: Asked<'_>) -> Result<Map> {
    asked.only(&["limit"])?;
    let names = store.collections()?;
    let most = asked.count_if("limit")?.unwrap_or(u64::MAX);
    let mut listed = Vec::new();
    for name in names.iter().take(usize::try_from(most).unwrap_or(usize::MAX)) {
        let mut one = Map::new();
        one.insert("name", name.as_str());
        one.insert("keys", store.any(name)?.keys("").count() as u64);
        listed.push(one.into());
    }
    let mut said = Map::from([("collections", Value::List(listed))]);
    said.insert("total", names.len() as u64);
    Ok(said)
}

/// `{"do": "get", "collection": c, "key": k, "at": moment}` → `entry`, or null; then `newest`, the newest version that
/// the key ever had, and whether the `collection` is there, say why.
pub(super) fn get(store: &Store, asked: Asked<'_>) -> Result<Map> {
    asked.only(&["collection", "key", "at"])?;
    let (documents, key) = place(store, asked)?;
    if let Some(entry) = documents.get_at(&key, asked.at("at")?)? {
        let version = entry.version;
        let mut said = entry_of(entry);
        said.insert("time_us", store.time_of(version)?);
        return Ok(Map::from([("entry", said)]));
    }
    let newest = documents.versions(&key)?.described().next().transpose()?;
    let mut said = Map::from([("entry", Value::Nil)]);
    said.insert("newest", newest.map(version_of));
    said.insert("collection", is_there(store, documents.name())?);
    Ok(said)
}

/// `{"do": "keys", "collection": c, "prefix": p, "after": k, "at": moment, "limit": n, "hold": bool}` → `keys`, `more`,
/// and the moment `at`; `collection` says whether there is one. With `hold` the moment stays until nobody has asked for a
/// page of it for ten minutes.
pub(super) fn keys(store: &Store, asked: Asked<'_>) -> Result<Map> {
    let mut page = Page::of(store, asked)?;
    let mut keys: Vec<Value> = Vec::new();
    for item in page.listing.by_ref().take(page.limit) {
        keys.push(item?.0.to_string().into());
    }
    let more = keys.len() == page.limit && page.listing.next().transpose()?.is_some();
    page.said(store, "keys", keys, more)
}

/// `{"do": "scan", …}`, as `keys` → `entries`; one that cannot be read has an `error` in place of a value.
pub(super) fn scan(store: &Store, asked: Asked<'_>) -> Result<Map> {
    let mut page = Page::of(store, asked)?;
    let (mut entries, mut bytes): (Vec<Value>, u64) = (Vec::new(), 0);
    while entries.len() < page.limit && bytes < PAGE_BYTES {
        let Some((key, version)) = page.listing.next().transpose()? else { break };
        bytes += u64::from(version.place.bytes);
        let stored = store.core.stored(version);
        let entry = stored.and_then(|stored| page.documents.form.entry(key.clone(), stored));
        entries.push(match entry {
            Ok(e) => entry_of(e).into(),
            Err(e) => {
                let e = page.documents.table.named(&KeyRef::from(&key), e);
                let mut damaged = Map::from([("key", key.to_string())]);
                damaged.insert("error", wire::error(&e));
                damaged.into()
            }
        });
    }
    let more = page.listing.next().transpose()?.is_some();
    page.said(store, "entries", entries, more)
}

/// `{"do": "versions", "collection": c, "key": k, "below": version, "since_us": time, "limit": n}` → `versions`,
/// newest first, with who wrote them; `more`. Of one whose record cannot be read, what the index knows.
pub(super) fn versions(store: &Store, asked: Asked<'_>) -> Result<Map> {
    asked.only(&["collection", "key", "below", "since_us", "limit"])?;
    let (documents, key) = place(store, asked)?;
    let most = asked.count_if("limit")?.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
    let since_us = asked.count_if("since_us")?.unwrap_or(0);
    let mut refs = documents.table.versions(&KeyRef::from(&key))?;
    if let Some(below) = asked.version_if("below")? {
        refs = refs.below(below.lsn());
    }
    let (mut versions, mut more): (Vec<Value>, bool) = (Vec::new(), false);
    for info in Versions(refs).described() {
        let info = info?;
        if (1..since_us).contains(&info.time_us) {
            break;
        }
        if versions.len() as u64 == most {
            more = true;
            break;
        }
        versions.push(version_of(info).into());
    }
    let mut said = Map::from([("versions", Value::List(versions))]);
    said.insert("more", more);
    Ok(said)
}

/// `{"do": "outcome", "id": text}`, or `"version"` → `outcome`: `committed` with its `version`, `not committed`,
/// `undone` or `forgotten`.
pub(super) fn outcome(store: &Store, asked: Asked<'_>) -> Result<Map> {
    asked.only(&["id", "version"])?;
    let doubt = match asked.version_if("version")? {
        Some(version) => Doubt::Version(version),
        None => Doubt::from(asked.text("id")?),
    };
    let (outcome, version) = match store.outcome(doubt)? {
        Outcome::Committed(version) => ("committed", Some(version.to_string())),
        Outcome::NotCommitted => ("not committed", None),
        Outcome::Undone(version) => ("undone", Some(version.to_string())),
        Outcome::Forgotten => ("forgotten", None),
    };
    let mut said = Map::from([("outcome", outcome)]);
    said.insert("version", version);
    Ok(said)
}

/// The collection and the key that a request names.
pub(super) fn place(store: &Store, asked: Asked<'_>) -> Result<(Collection<Value>, Key)> {
    Ok((store.any(asked.text("collection")?)?, asked.key("key")?))
}

fn is_there(store: &Store, name: &str) -> Result<bool> {
    Ok(store.collections()?.iter().any(|there| there == name))
}

/// A page of a collection at a moment.
struct Page {
    documents: Collection<Value>,
    listing: Listing,
    hold: Hold,
    limit: usize,
}

impl Page {
    fn of(store: &Store, asked: Asked<'_>) -> Result<Self> {
        asked.only(&["collection", "prefix", "after", "at", "limit", "hold"])?;
        let documents = store.any(asked.text("collection")?)?;
        let hold = store.core.hold(&asked.at("at")?, Location::caller())?;
        hold.name("the command line".to_owned());
        if asked.flag("hold")? {
            let again = store.core.hold(&At::Version(hold.moment.into()), Location::caller())?;
            again.name("the command line, page by page".to_owned());
            store.core.paging.keep(again, store.core.wal.env().clock.monotonic());
        }
        let range = asked.key_if("prefix")?.map_or_else(Range::all, |prefix| Range::prefix(&prefix));
        let after = asked.key_if("after")?;
        let listing = documents.table.list(range, hold.moment).after(after.as_ref());
        let limit = asked.count_if("limit")?.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX) as usize;
        Ok(Self { documents, listing, hold, limit })
    }

    fn said(&self, store: &Store, name: &str, items: Vec<Value>, more: bool) -> Result<Map> {
        let mut said = Map::new();
        if items.is_empty() {
            said.insert("collection", is_there(store, self.documents.name())?);
        }
        said.insert(name, items);
        said.insert("more", more);
        said.insert("at", Version::from(self.hold.moment).to_string());
        Ok(said)
    }
}

pub(super) fn entry_of(entry: Entry<Value>) -> Map {
    let attributes = &entry.attributes;
    let mut said = Map::new();
    said.insert("key", entry.key.to_string());
    said.insert("value", entry.value);
    said.insert("version", entry.version.to_string());
    said.insert("created_us", entry.created_us);
    if !attributes.user_ids().is_empty() {
        said.insert("user_ids", attributes.user_ids().iter().map(|id| id.as_str()).collect::<Value>());
    }
    if !attributes.meta().is_empty() {
        let meta: Map = attributes.meta().iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        said.insert("metadata", meta);
    }
    if !entry.schema.is_empty() {
        said.insert("schema", Value::Bytes(entry.schema.to_vec()));
    }
    said
}

fn version_of(info: VersionInfo) -> Map {
    let mut said = Map::new();
    said.insert("version", info.version.to_string());
    said.insert("time_us", info.time_us);
    said.insert("removed", info.removed);
    said.insert("bytes", info.bytes);
    said.insert("explicit", info.explicit);
    said.insert("origin", info.origin);
    said.insert("id", info.id.map(|id| wire::id(&id)));
    said.insert("token", info.token.map(|token| token.to_string()));
    said
}
