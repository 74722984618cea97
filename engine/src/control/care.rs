//! Corridor: verbs that look after a store: backups, many keys set back, what needs a person.

use std::ops::ControlFlow;
use std::panic::Location;
use std::path::Path;
use std::time::Duration;

use super::wire::{Advance, Asked, wrong};
use crate::at::At;
use crate::backup::{BackupName, BackupOptions, Damaged, Packing, Restore};
use crate::error::Result;
use crate::handing::HANDOFF;
use crate::key::Key;
use crate::options::Progress;
use crate::range::Range;
use crate::revert::{Far, Mode, Reverted};
use crate::selection::Selection;
use crate::store::Store;
use crate::table::VersionInfo;
use crate::value::{Map, Value};

/// Who is told how far a verb has come.
pub(super) type Told<'a> = &'a mut dyn FnMut(Advance) -> ControlFlow<()>;

/// Times between two lines of progress.
const TOLD_EVERY: Duration = Duration::from_millis(200);

/// Lines of progress where the request asks for them, not too many of them; of bytes the last one always.
fn told_now_and_then<'a>(
    asked: Asked<'_>,
    progress: Told<'a>,
) -> Result<impl FnMut(Advance) -> ControlFlow<()> + use<'a>> {
    let (telling, mut told) = (asked.flag("progress")?, None::<Duration>);
    Ok(move |at: Advance| {
        let (elapsed, last) = match at {
            Advance::Bytes(at) => (at.elapsed, at.done_bytes >= at.total_bytes),
            Advance::Keys { elapsed, .. } => (elapsed, false), // nobody knows how many there are
        };
        let soon = told.is_some_and(|told| told <= elapsed && elapsed < told + TOLD_EVERY);
        if !telling || soon && !last {
            return ControlFlow::Continue(());
        }
        told = Some(elapsed);
        progress(at)
    })
}

/// [`told_now_and_then`] of a verb that counts bytes.
fn told_bytes<'a>(
    asked: Asked<'_>,
    progress: Told<'a>,
) -> Result<impl FnMut(Progress) -> ControlFlow<()> + use<'a>> {
    let mut told = told_now_and_then(asked, progress)?;
    Ok(move |at| told(Advance::Bytes(at)))
}

/// `{"do": "backup", "to": directory, "keep_damaged": bool, "compress": bool, "progress": bool}` → the `backup`'s name, its
/// `version`, `time_us`, `copied_bytes`, `linked_bytes`, `held_bytes`, `damaged_values`, and a `warning` where there is one.
/// With `progress` lines that say how far it is come before it, and it stops where nobody takes them.
pub(super) fn backup(store: &Store, asked: Asked<'_>, progress: Told<'_>) -> Result<Map> {
    asked.only(&["to", "keep_damaged", "compress", "progress"])?;
    let to = rooted(asked, "to")?;
    let damaged = if asked.flag("keep_damaged")? { Damaged::Keep } else { Damaged::Refuse };
    let packing = if asked.flag("compress")? { Packing::Lz4 } else { Packing::Plain };
    let mut told = told_bytes(asked, progress)?;
    let how = BackupOptions::new().damaged(damaged).packing(packing).progress(&mut told);
    Ok(store.backup_with(to, how)?.as_map())
}

/// `{"do": "revert", "collection": c, "to": moment, "prefix": p, "keys": […], "origin": o, "since": moment,
/// "handoff_us": n, "dry_run": bool, "progress": bool}` → `keys`: each with its new `version`, the moment `to` that it is
/// back at, whether it is `removed`, who it is `played_by`, and the commits `undone`. `progress` counts keys; it stops
/// between two transactions where nobody takes the lines.
pub(super) fn revert(store: &Store, asked: Asked<'_>, progress: Told<'_>) -> Result<Map> {
    asked.only(&[
        "collection",
        "to",
        "prefix",
        "keys",
        "origin",
        "since",
        "handoff_us",
        "dry_run",
        "progress",
    ])?;
    let mut selection = selection(asked)?;
    if let Some(origin) = asked.text_if("origin")? {
        selection = selection.origin(origin);
    }
    if asked.get("since").is_some() {
        selection = selection.since(asked.at("since")?);
    }
    let to: At = asked.at("to")?;
    let mode = match asked.flag("dry_run")? {
        true => Mode::Dry,
        false => Mode::For { handoff: handoff(asked)?.unwrap_or(HANDOFF) },
    };
    let (mut told, clock) = (told_now_and_then(asked, progress)?, &store.core.wal.env().clock);
    let begun = clock.monotonic();
    let mut told = |Far { looked_at, set_back }| {
        let elapsed = clock.monotonic().saturating_sub(begun);
        told(Advance::Keys { looked_at, set_back, elapsed })
    };
    let done = store.reverting(&selection, &to, mode, &mut told, Location::caller())?;
    Ok(Map::from([("keys", done.into_iter().map(reverted).collect::<Value>())]))
}

/// `{"do": "restore_keys", "from": directory, "backup": name, "collection": c, "to": moment, "prefix": p, "keys": […],
/// "handoff_us": n, "or_earlier": bool, "dry_run": bool, "progress": bool}` → how many are `written`, `removed`,
/// `unchanged`; `progress` as for `backup`.
pub(super) fn restore_keys(store: &Store, asked: Asked<'_>, progress: Told<'_>) -> Result<Map> {
    asked.only(&[
        "from",
        "backup",
        "collection",
        "to",
        "prefix",
        "keys",
        "handoff_us",
        "or_earlier",
        "dry_run",
        "progress",
    ])?;
    let (from, selection, to) = (rooted(asked, "from")?, selection(asked)?, asked.at("to")?);
    let mut told = told_bytes(asked, progress)?;
    let mut how = Restore::new().progress(&mut told);
    if let Some(name) = asked.text_if("backup")? {
        let name = BackupName::named(name).ok_or_else(|| wrong(format!("{name:?} names no backup")))?;
        how = how.backup(name);
    }
    if let Some(time) = handoff(asked)? {
        how = how.handoff(time);
    }
    if asked.flag("or_earlier")? {
        how = how.or_earlier();
    }
    let done = match asked.flag("dry_run")? {
        true => store.restore_keys_preview(from, &selection, to, how)?,
        false => store.restore_keys(from, &selection, to, how)?,
    };
    let counts = [("written", done.written), ("removed", done.removed), ("unchanged", done.unchanged)];
    Ok(counts.into_iter().map(|(name, count)| (name, Value::from(count))).collect())
}

/// Which keys a request is about.
fn selection(asked: Asked<'_>) -> Result<Selection> {
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
    Ok(selection)
}

fn handoff(asked: Asked<'_>) -> Result<Option<Duration>> {
    let Some(time) = asked.get("handoff_us") else { return Ok(None) };
    let us = time.as_u64().ok_or_else(|| wrong("`handoff_us` is a whole number".to_owned()))?;
    Ok(Some(Duration::from_micros(us)))
}

/// A directory: whoever asks may stand elsewhere than we do.
fn rooted<'a>(asked: Asked<'a>, name: &str) -> Result<&'a Path> {
    let path = Path::new(asked.text(name)?);
    match path.is_absolute() {
        true => Ok(path),
        false => Err(wrong("the directory of backups must be named from the root on".to_owned())),
    }
}

fn reverted(back: Reverted) -> Map {
    let mut said = Map::new();
    said.insert("key", back.key.to_string());
    said.insert("to", back.to.to_string());
    said.insert("version", back.version.map(|version| version.to_string()));
    said.insert("removed", back.removed);
    said.insert("played_by", back.played_by);
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

/// `{"do": "compact", "progress": bool}` → `bytes_before` and `bytes_after` of the log, `segments` that were packed, records
/// that were `dropped` whole; `progress` as for `backup`, of each round.
pub(super) fn compact(store: &Store, asked: Asked<'_>, progress: Told<'_>) -> Result<Map> {
    asked.only(&["progress"])?;
    let done = store.compact(told_bytes(asked, progress)?)?;
    let mut said = Map::new();
    said.insert("bytes_before", done.bytes_before);
    said.insert("bytes_after", done.bytes_after);
    said.insert("segments", done.segments);
    said.insert("dropped", done.dropped);
    Ok(said)
}

/// `{"do": "digest", "at": version}` → the `digest` of all values there.
pub(super) fn digest(store: &Store, asked: Asked<'_>) -> Result<Map> {
    asked.only(&["at"])?;
    let version = asked.version_if("at")?.unwrap_or_else(|| store.version());
    Ok(Map::from([("digest", format!("{:032x}", store.digest_at(version)?))]))
}

/// `{"do": "health"}` → the newest `version`, `free_bytes` on the store's disk, `estimated_recovery_us`, `thinning_failure`: why
/// history is not thinned as it should be, and how the `archive` fares, if there is one.
pub(super) fn health(store: &Store, asked: Asked<'_>) -> Result<Map> {
    asked.only(&[])?;
    let (stats, log) = (store.stats(), store.log());
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let mut said = Map::from([("version", store.version().to_string())]);
    said.insert("free_bytes", log.env().vfs.free_bytes(log.root()).ok());
    said.insert("estimated_recovery_us", micros(stats.estimated_recovery));
    said.insert("thinning_failure", stats.thinning_failure.map(|e| e.message().to_owned()));
    said.insert(
        "archive",
        stats.archive.map(|archive| {
            let mut said = Map::from([("to", archive.to.display().to_string())]);
            said.insert("behind_bytes", archive.behind_bytes);
            said.insert("behind_us", micros(archive.behind));
            said.insert("superseded", archive.is_superseded());
            said.insert("failure", archive.failure.map(|e| e.message().to_owned()));
            said.insert("thinning_failure", archive.thinning_failure.map(|e| e.message().to_owned()));
            said
        }),
    );
    Ok(said)
}
