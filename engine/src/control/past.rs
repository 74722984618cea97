//! Corridor: verbs about moments: what was changed since one, what is different between two, which have names.
//!
//! What may be long comes in pages. No page holds a moment for the next one: each says the moments that it was made of, and
//! whoever asks on compares.

use std::time::Duration;

use super::read::{PAGE_BYTES, entry_of};
use super::wire::{self, Asked, wrong};
use crate::error::{Error, ErrorKind, Result};
use crate::feed::{Changes, Commit, KeyChange};
use crate::key::Key;
use crate::pin::Pin;
use crate::store::Store;
use crate::value::{Map, Value};

/// Most commits or differences of a page.
const PAGE_MAX: u64 = 1000;

/// Longest time for which an answer is held back until there is something to say: closing the store waits for it.
const WAIT_MAX: Duration = Duration::from_millis(250);

/// `{"do": "pins"}` → `pins`, by name: `name`, `version`, `time_us` of that moment, `pinned_us`.
pub(super) fn pins(store: &Store, asked: Asked<'_>) -> Result<Map> {
    asked.only(&[])?;
    let pins = store.pins()?.into_iter().map(|pin| said_of(store, pin));
    Ok(Map::from([("pins", pins.collect::<Result<Value>>()?)]))
}

/// `{"do": "pin", "name": text, "at": moment}` → `version`, which was pinned, and its `time_us`.
pub(super) fn pin(store: &Store, asked: Asked<'_>) -> Result<Map> {
    asked.only(&["name", "at"])?;
    let version = store.pin_at(asked.text("name")?, asked.at("at")?)?;
    let mut said = Map::from([("version", version.to_string())]);
    said.insert("time_us", store.time_of(version)?);
    Ok(said)
}

/// `{"do": "unpin", "name": text}` → `there`: whether there was such a pin.
pub(super) fn unpin(store: &Store, asked: Asked<'_>) -> Result<Map> {
    asked.only(&["name"])?;
    Ok(Map::from([("there", store.unpin(asked.text("name")?)?)]))
}

fn said_of(store: &Store, pin: Pin) -> Result<Map> {
    let mut said = Map::from([("name", pin.name)]);
    said.insert("version", pin.version.to_string());
    said.insert("time_us", store.time_of(pin.version)?);
    said.insert("pinned_us", pin.pinned_us);
    Ok(said)
}

/// `{"do": "diff", "from": moment, "to": moment, "collection": c, "key": k, "prefix": p, "after": [c, k], "limit": n}` →
/// `differences`, each with `collection`, `key`, `old` and `new` as entries or null; `more`; the moments `from` and `to`.
pub(super) fn diff(store: &Store, asked: Asked<'_>) -> Result<Map> {
    asked.only(&["from", "to", "collection", "key", "prefix", "after", "limit"])?;
    let most = asked.count_if("limit")?.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
    let mut diff = store.diff(asked.at("from")?, asked.at("to")?)?.at_desk();
    if let Some(collection) = asked.text_if("collection")? {
        diff = diff.collection(collection);
    }
    if let Some(prefix) = asked.key_if("prefix")? {
        diff = diff.prefix(prefix);
    }
    if let Some(key) = asked.key_if("key")? {
        diff = diff.key(&key)?;
    }
    if let Some(after) = asked.get("after") {
        let (collection, key) = behind(after)?;
        diff = diff.after(collection, &key);
    }
    let mut said = Map::from([("from", diff.from().to_string()), ("to", diff.to().to_string())]);
    let (mut differences, mut more): (Vec<Value>, bool) = (Vec::new(), false);
    loop {
        let full = differences.len() as u64 == most || diff.read_bytes() >= PAGE_BYTES;
        let Some(difference) = diff.next().transpose()? else { break };
        if full {
            more = true;
            break;
        }
        let mut one = Map::from([("collection", difference.collection.as_str())]);
        one.insert("key", difference.key.to_string());
        for (name, entry) in [("old", difference.old), ("new", difference.new)] {
            one.insert(name, entry.map(entry_of));
        }
        differences.push(one.into());
    }
    said.insert("differences", differences);
    said.insert("more", more);
    Ok(said)
}

/// The place behind which a page begins: a collection and a key.
fn behind(after: &Value) -> Result<(&str, Key)> {
    let parts = after.as_list().unwrap_or_default();
    match parts {
        [Value::String(collection), Value::String(key)] => Ok((collection.as_str(), key.parse()?)),
        _ => Err(wrong("\"after\" is not a collection and a key".to_owned())),
    }
}

/// `{"do": "changes", "from": moment, "until": moment, "collection": c, "key": k, "prefix": p, "origin": pattern, "values":
/// bool, "limit": n, "wait_ms": n}` → `commits` behind the moment, in order; the version `cursor`, from which to ask on;
/// `until`, if it was asked for; `over`: nothing follows. A commit of which a value cannot be read has an `error` in place
/// of its `changes`.
pub(super) fn changes(store: &Store, asked: Asked<'_>) -> Result<Map> {
    asked.only(&["from", "until", "collection", "key", "prefix", "origin", "values", "limit", "wait_ms"])?;
    let most = asked.count_if("limit")?.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
    let wait = Duration::from_millis(asked.count_if("wait_ms")?.unwrap_or(0)).min(WAIT_MAX);
    let mut changes = wanted(store.changes(asked.at("from")?)?.at_desk(), asked)?;
    let (mut commits, mut bytes): (Vec<Value>, u64) = (Vec::new(), 0);
    while (commits.len() as u64) < most && bytes < PAGE_BYTES {
        let wait = if commits.is_empty() { wait } else { Duration::ZERO };
        match changes.next_timeout(wait) {
            Ok(None) => break,
            Ok(Some(commit)) => {
                bytes += commit.changes.iter().map(|change| u64::from(change.bytes)).sum::<u64>();
                commits.push(commit_of(commit).into());
            }
            Err(e) => match unread(&e) {
                Some(unread) => commits.push(unread.into()),
                None if commits.is_empty() => return Err(e),
                None => break, // whoever asks on is told
            },
        }
    }
    let mut said = Map::from([("commits", Value::List(commits))]);
    said.insert("cursor", changes.cursor().to_string());
    said.insert("until", changes.ends().map(|until| until.to_string()));
    said.insert("over", changes.ended());
    Ok(said)
}

fn wanted(mut changes: Changes, asked: Asked<'_>) -> Result<Changes> {
    if let Some(collection) = asked.text_if("collection")? {
        changes = changes.collection(collection);
    }
    if let Some(prefix) = asked.key_if("prefix")? {
        changes = changes.prefix(prefix);
    }
    if let Some(key) = asked.key_if("key")? {
        changes = changes.key(&key)?;
    }
    if let Some(origin) = asked.text_if("origin")? {
        changes = changes.origin(origin);
    }
    if asked.flag("values")? {
        changes = changes.values().old_values();
    }
    if asked.get("until").is_some() {
        changes = changes.until(asked.at("until")?)?;
    }
    Ok(changes)
}

fn commit_of(commit: Commit) -> Map {
    let mut said = Map::from([("version", commit.version.to_string())]);
    said.insert("time_us", commit.time_us);
    said.insert("explicit", commit.explicit);
    said.insert("origin", commit.origin);
    said.insert("id", commit.id.map(|id| wire::id(&id)));
    said.insert("token", commit.token.map(|token| token.to_string()));
    said.insert("changes", commit.changes.into_iter().map(change_of).collect::<Value>());
    said
}

fn change_of(change: KeyChange) -> Map {
    let mut said = Map::from([("collection", change.collection)]);
    said.insert("key", change.key.to_string());
    said.insert("removed", change.removed);
    said.insert("bytes", change.bytes);
    said.insert("new", change.new.map(entry_of));
    said.insert("old", change.old.map(entry_of));
    said
}

/// A commit of which a value cannot be read, where the error is about one alone.
fn unread(e: &Error) -> Option<Map> {
    let alone = matches!(e.kind(), ErrorKind::Damaged | ErrorKind::Decode);
    let version = e.version().filter(|_| alone)?;
    let mut said = Map::from([("version", version.to_string())]);
    said.insert("error", wire::error(e));
    Some(said)
}
