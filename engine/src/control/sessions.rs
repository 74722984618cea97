//! Corridor: verbs about sessions.

use std::time::Duration;

use super::read::place;
use super::wire::Asked;
use crate::error::Result;
use crate::session::SessionInfo;
use crate::store::Store;
use crate::value::{Map, Value};

/// `{"do": "sessions"}` → `sessions`, oldest first: `token`, `keys` as collection and key, `holder`, `life`,
/// `time_left_us`, `since_us`, `wanted_by`.
pub(super) fn sessions(store: &Store, asked: Asked<'_>) -> Result<Map> {
    asked.only(&[])?;
    let sessions: Value = store.sessions()?.into_iter().map(session).collect();
    Ok(Map::from([("sessions", sessions)]))
}

/// `{"do": "break", "collection": c, "key": k, "reason": text}` → `session`, the one that was ended; null: nobody has
/// the key.
pub(super) fn end(store: &Store, asked: Asked<'_>) -> Result<Map> {
    asked.only(&["collection", "key", "reason"])?;
    let (documents, key) = place(store, asked)?;
    let ended = store.break_session(documents.name(), &key, asked.text("reason")?)?;
    Ok(Map::from([("session", ended.map(session))]))
}

fn session(info: SessionInfo) -> Map {
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let key = |held: &crate::lease::HeldKey| {
        let mut said = Map::from([("collection", held.collection.as_str())]);
        said.insert("key", held.key.to_string());
        said
    };
    let mut said = Map::from([("token", info.token.to_string())]);
    said.insert("keys", info.keys.iter().map(key).collect::<Value>());
    said.insert("holder", info.holder);
    said.insert("life", info.life);
    said.insert("time_left_us", info.time_left.map(micros));
    said.insert("since_us", info.since_us);
    said.insert("wanted_by", info.wanted_by);
    said
}
