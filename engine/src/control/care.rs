//! Corridor: verbs that look after a store: backups, many keys set back, what needs a person.

use std::path::Path;
use std::time::Duration;

use super::wire::{Asked, wrong};
use crate::at::At;
use crate::backup::{BackupOptions, Damaged};
use crate::error::Result;
use crate::key::Key;
use crate::range::Range;
use crate::revert::Reverted;
use crate::selection::Selection;
use crate::store::Store;
use crate::table::VersionInfo;
use crate::value::{Map, Value};

/// `{"do": "backup", "to": directory, "keep_damaged": bool}` → the `backup`'s name, its `version`, `time_us`,
/// `copied_bytes`, `held_bytes`, `damaged_values`, and a `warning` where there is one.
pub(super) fn backup(store: &Store, asked: Asked<'_>) -> Result<Map> {
    asked.only(&["to", "keep_damaged"])?;
    let to = Path::new(asked.text("to")?);
    if !to.is_absolute() {
        return Err(wrong("the directory for backups must be named from the root on".to_owned()));
    }
    let damaged = if asked.flag("keep_damaged")? { Damaged::Keep } else { Damaged::Refuse };
    Ok(store.backup_with(to, BackupOptions::new().damaged(damaged))?.as_map())
}

/// `{"do": "revert", "collection": c, "to": moment, "prefix": p, "keys": […], "origin": o, "since": moment,
/// "dry_run": bool}` → `keys`: each with its new `version`, whether it is `removed`, and the commits `undone`.
pub(super) fn revert(store: &Store, asked: Asked<'_>) -> Result<Map> {
    asked.only(&["collection", "to", "prefix", "keys", "origin", "since", "dry_run"])?;
    let mut selection = Selection::collection(asked.text("collection")?);
    if let Some(prefix) = asked.key_if("prefix")? {
        selection = selection.range(Range::prefix(prefix.as_bytes()));
    }
    if let Some(keys) = asked.get("keys") {
        let keys = keys.as_list().ok_or_else(|| wrong("`keys` is a list".to_owned()))?;
        let key = |key: &Value| {
            let text = key.as_str().ok_or_else(|| wrong("a key is a text".to_owned()))?;
            text.parse::<Key>()
        };
        let keys = keys.iter().map(key).collect::<Result<Vec<Key>>>()?;
        selection = selection.keys(&keys)?;
    }
    if let Some(origin) = asked.text_if("origin")? {
        selection = selection.origin(origin);
    }
    if asked.get("since").is_some() {
        selection = selection.since(asked.at("since")?);
    }
    let to: At = asked.at("to")?;
    let done = match asked.flag("dry_run")? {
        true => store.revert_preview(selection, to)?,
        false => store.revert(selection, to)?,
    };
    Ok(Map::from([("keys", done.into_iter().map(reverted).collect::<Value>())]))
}

fn reverted(back: Reverted) -> Map {
    let mut said = Map::new();
    said.insert("key", back.key.to_string());
    said.insert("version", back.version.map(|version| version.to_string()));
    said.insert("removed", back.removed);
    said.insert("undone", back.undone.into_iter().map(undone).collect::<Value>());
    said
}

fn undone(info: VersionInfo) -> Map {
    let mut said = Map::new();
    said.insert("version", info.version.to_string());
    said.insert("time_us", info.time_us);
    said.insert("origin", info.origin);
    said.insert("id", info.id.map(|id| Key::new(&id).map_or_else(|_| String::new(), |id| id.to_string())));
    said
}

/// `{"do": "digest", "at": version}` → the `digest` of all values there.
pub(super) fn digest(store: &Store, asked: Asked<'_>) -> Result<Map> {
    asked.only(&["at"])?;
    let version = asked.version_if("at")?.unwrap_or_else(|| store.version());
    Ok(Map::from([("digest", format!("{:032x}", store.digest_at(version)?))]))
}

/// `{"do": "health"}` → `free_bytes` on the store's disk, `estimated_recovery_us`, and how the `archive` fares, if there
/// is one.
pub(super) fn health(store: &Store, asked: Asked<'_>) -> Result<Map> {
    asked.only(&[])?;
    let (stats, log) = (store.stats(), store.log());
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let mut said = Map::new();
    said.insert("free_bytes", log.env().vfs.free_bytes(log.root()).ok());
    said.insert("estimated_recovery_us", micros(stats.estimated_recovery));
    said.insert(
        "archive",
        stats.archive.map(|archive| {
            let mut said = Map::from([("to", archive.to.display().to_string())]);
            said.insert("behind_bytes", archive.behind_bytes);
            said.insert("behind_us", micros(archive.behind));
            said.insert("superseded", archive.is_superseded());
            said.insert("failure", archive.failure.map(|e| e.message().to_owned()));
            said
        }),
    );
    Ok(said)
}
