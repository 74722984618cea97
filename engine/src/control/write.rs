//! Corridor: verbs that write: one commit each, durable when it is answered.
//!
//! `set`, `increment`, `merge` and `remove` answer the `version` of the commit and whether it was made `now`. With an
//! `id` that was committed before nothing is done: `now` is false, and `same` says whether that commit wrote this key.

use super::read::place;
use super::wire::{Asked, wrong};
use crate::change::{Change, Entry, Once};
use crate::collection::Collection;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::Version;
use crate::key::Key;
use crate::store::Store;
use crate::txn::Tx;
use crate::value::{Map, Value, counter, json};

/// What must stand under a key.
#[derive(Clone, Copy)]
enum Expected {
    Anything,
    Absent,
    Version(Version),
}

/// `{"do": "set", "collection": c, "key": k, "value": v, "user_ids": […], "metadata": {…}, "if_absent": true,
/// "if_version": version, "id": text}`. What is not mentioned is kept; `conflict` where the condition does not hold.
pub(super) fn set(store: &Store, asked: Asked<'_>) -> Result<Map> {
    asked.only(&["collection", "key", "value", "user_ids", "metadata", "if_absent", "if_version", "id"])?;
    let (expected, change) = (expected(asked)?, written(asked)?);
    commit(store, asked, |tx, documents, key| {
        expect(tx, documents, key, expected)?;
        tx.change(documents, key, change.clone())?;
        Ok(None)
    })
}

/// `{"do": "increment", "collection": c, "key": k, "by": n, "id": text}` → also `value`, the sum.
pub(super) fn increment(store: &Store, asked: Asked<'_>) -> Result<Map> {
    asked.only(&["collection", "key", "by", "id"])?;
    let by = asked.value("by")?.as_i64().ok_or_else(|| wrong("\"by\" is not a whole number".to_owned()))?;
    commit(store, asked, |tx, documents, key| {
        let now = tx.get(documents, key)?;
        let sum = counter::add(now.as_ref().map(|entry| &entry.value), by)
            .map_err(|e| documents.table.named(&key.into(), e))?;
        tx.change(documents, key, Change::write(sum.into()))?;
        Ok(Some(sum.into()))
    })
}

/// `{"do": "merge", "collection": c, "key": k, "patch": {…}, "id": text}` → also `value`, the map with the patch in it
/// (RFC 7396); an absent key counts as an empty map.
pub(super) fn merge(store: &Store, asked: Asked<'_>) -> Result<Map> {
    asked.only(&["collection", "key", "patch", "id"])?;
    let patch = asked.value("patch")?;
    commit(store, asked, |tx, documents, key| {
        let now = tx.get(documents, key)?.map_or_else(|| Map::new().into(), |entry| entry.value);
        if !matches!(now, Value::Map(_)) {
            let say = format!(
                "{}/{key} is no object ({}): nothing was written; replace it as a whole",
                documents.name(),
                now.kind()
            );
            return Err(Error::new(ErrorKind::WrongType, say));
        }
        let merged = now.merge(patch.clone());
        tx.change(documents, key, Change::write(merged.clone()))?;
        Ok(Some(merged))
    })
}

/// `{"do": "remove", "collection": c, "key": k, "if_version": version, "id": text}`; `conflict` where nothing stands
/// there.
pub(super) fn remove(store: &Store, asked: Asked<'_>) -> Result<Map> {
    asked.only(&["collection", "key", "if_version", "id"])?;
    let expected = expected(asked)?;
    commit(store, asked, |tx, documents, key| {
        expect(tx, documents, key, expected)?;
        if tx.remove(documents, key)? {
            return Ok(None);
        }
        let say =
            "there is nothing to remove: nothing was written; see which keys there are (`savehold list`)";
        Err(documents.table.named(&key.into(), Error::new(ErrorKind::Conflict, say)))
    })
}

/// `{"do": "load", "lines": [{"collection": c, "key": k, "value": v, "user_ids": […], "metadata": {…}, "schema": bytes,
/// "place": text}, …]}` → how many keys were `written` and how many were `unchanged`, all in one commit. An error names the `place`.
pub(super) fn load(store: &Store, asked: Asked<'_>) -> Result<Map> {
    asked.only(&["lines"])?;
    let lines = asked.value("lines")?.as_list().ok_or_else(|| wrong("\"lines\" is no list".to_owned()))?;
    let lines: Vec<Line> = lines.iter().map(|line| Line::of(store, line)).collect::<Result<_>>()?;
    let done = store.transaction(|tx| {
        lines.iter().try_fold(0_u64, |written, line| {
            let wrote = line.write(tx).map_err(|e| e.within(line.place))?;
            Ok::<_, Error>(written + u64::from(wrote))
        })
    })?;
    let mut said = Map::from([("written", done.value)]);
    said.insert("unchanged", lines.len() as u64 - done.value);
    Ok(said)
}

/// One line of a load.
struct Line<'a> {
    documents: Collection<Value>,
    key: Key,
    value: &'a Value,
    change: Change<Value>,
    place: &'a str,
}

impl<'a> Line<'a> {
    fn of(store: &Store, line: &'a Value) -> Result<Self> {
        let asked = Asked(line.as_map().ok_or_else(|| wrong("a line is an object".to_owned()))?);
        asked.only(&["collection", "key", "value", "user_ids", "metadata", "schema", "place"])?;
        let named = asked.text_if("place")?.unwrap_or("a line");
        let (documents, key) = place(store, asked).map_err(|e| e.within(named))?;
        let change = written(asked).map_err(|e| e.within(named))?;
        Ok(Self { documents, key, value: asked.value("value")?, change, place: named })
    }

    /// Writes it, unless the store says it already.
    fn write(&self, tx: &Tx<'_>) -> Result<bool> {
        // what cannot be read is no reason not to write what is at hand
        let now = tx.get(&self.documents, &self.key).ok().flatten();
        if now.is_some_and(|now| self.is_said_by(&now)) {
            return Ok(false);
        }
        tx.change(&self.documents, &self.key, self.change.clone())?;
        Ok(true)
    }

    /// True where `entry` says already all that the line says, members of maps in the same order.
    fn is_said_by(&self, entry: &Entry<Value>) -> bool {
        let wanted = entry.attributes.clone().changed(self.change.user_ids.clone(), self.change.meta.clone());
        let alike = || {
            *self.value == entry.value // before the order of members, for it is much cheaper
                && json::to_string(self.value).ok() == json::to_string(&entry.value).ok()
        };
        let same_schema = self.change.schema.as_ref().is_none_or(|schema| *schema == entry.schema);
        wanted == entry.attributes && same_schema && alike()
    }
}

/// The value that a request writes, with what it mentions beside it.
fn written(asked: Asked<'_>) -> Result<Change<Value>> {
    let mut change = Change::write(asked.value("value")?.clone());
    if let Some(ids) = asked.get("user_ids") {
        let ids = ids.as_list().unwrap_or_default().iter().map(Value::as_str).collect::<Option<Vec<_>>>();
        change = change.user_ids(ids.ok_or_else(|| wrong("\"user_ids\" is no list of texts".to_owned()))?);
    }
    if let Some(meta) = asked.get("metadata") {
        let pairs = meta.as_map().and_then(|meta| {
            meta.iter().map(|(name, text)| Some((name.as_str()?, text.as_str()?))).collect::<Option<Vec<_>>>()
        });
        change = change.meta(pairs.ok_or_else(|| wrong("\"metadata\" is no object of texts".to_owned()))?);
    }
    if let Some(schema) = asked.get("schema") {
        let Value::Bytes(notes) = schema else { return Err(wrong("\"schema\" is no bytes".to_owned())) };
        change = change.schema(notes.clone());
    }
    Ok(change)
}

fn expected(asked: Asked<'_>) -> Result<Expected> {
    Ok(match asked.version_if("if_version")? {
        Some(version) => Expected::Version(version),
        None if asked.flag("if_absent")? => Expected::Absent,
        None => Expected::Anything,
    })
}

fn expect(tx: &Tx<'_>, documents: &Collection<Value>, key: &Key, expected: Expected) -> Result<()> {
    let wanted = match expected {
        Expected::Anything => return Ok(()),
        Expected::Absent => None,
        Expected::Version(version) => Some(version),
    };
    let stands = tx.get(documents, key)?.map(|entry| entry.version);
    if stands == wanted {
        return Ok(());
    }
    let refused = match stands {
        Some(stands) => Error::new(
            ErrorKind::Conflict,
            format!("it has version {stands}: nothing was written; read it again and decide anew"),
        )
        .at(stands),
        None => Error::new(
            ErrorKind::Conflict,
            "it is not there: nothing was written; read it again and decide anew",
        ),
    };
    Err(documents.table.named(&key.into(), refused))
}

/// Runs `f` as one commit, once for each id.
fn commit(
    store: &Store,
    asked: Asked<'_>,
    mut f: impl FnMut(&Tx<'_>, &Collection<Value>, &Key) -> Result<Option<Value>>,
) -> Result<Map> {
    let (documents, key) = place(store, asked)?;
    let run = |tx: &Tx<'_>| f(tx, &documents, &key);
    let done = match asked.text_if("id")? {
        None => Once::Now(store.transaction(run)?),
        Some(id) => store.transaction_once(id, run)?,
    };
    let mut said = Map::new();
    match done {
        Once::Now(done) => {
            said.insert("version", done.version.to_string());
            said.insert("now", true);
            said.insert("value", done.value);
        }
        Once::Before(version) => {
            let mut versions = documents.versions(&key)?;
            let same = versions.any(|found| found.is_ok_and(|found| found.version == version));
            let value = if same { documents.get_at(&key, version)?.map(|entry| entry.value) } else { None };
            said.insert("version", version.to_string());
            said.insert("now", false);
            said.insert("same", same);
            said.insert("value", value);
        }
    }
    Ok(said)
}
