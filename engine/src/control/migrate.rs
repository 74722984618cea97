//! Corridor: the verb that brings the documents of a collection up to date, a page of keys at a time.

use std::ops::ControlFlow;

use super::wire::{self, Asked, wrong};
use crate::error::Result;
use crate::key::Key;
use crate::origin::COMMAND_LINE;
use crate::profile::{Compatible, Doc};
use crate::store::Store;
use crate::value::{Map, Value};

/// Most keys that one request looks at.
const PAGE_MAX: u64 = 1000;

/// A change of one document.
enum Step {
    Rename(String, String),
    Set(String, Value),
    Remove(String),
}

/// `{"do": "migrate", "collection": c, "name": n, "steps": [{"rename": a, "to": b}, {"set": a, "value": v}, {"remove": a}],
/// "compatible": true, "after": k, "limit": n, "dry_run": true}` → `changed`, `unchanged`, `in_play`; `failed`, each with
/// `key` and `error`; `last`, the key to go on behind; `more`.
pub(super) fn migrate(store: &Store, asked: Asked<'_>) -> Result<Map> {
    asked.only(&["collection", "name", "steps", "compatible", "after", "limit", "dry_run"])?;
    let steps = steps(asked)?;
    let compatible = if asked.flag("compatible")? { Compatible::Yes } else { Compatible::No };
    let documents = store
        .profiles_with::<Value>(asked.text("collection")?, Map::new().into())
        .migration(asked.text("name")?, compatible, move |doc| {
            steps.iter().try_for_each(|step| step.run(doc))
        })
        .knowing_all()
        .holder(&store.holder(COMMAND_LINE)?) // plays nothing; of its own, so that none of the program's is touched
        .open()?;
    let after = asked.key_if("after")?;
    let mut left = asked.count_if("limit")?.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
    let mut last: Option<Key> = None;
    let told = |_: &_, key: &Key| {
        last = Some(key.clone());
        left -= 1;
        if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let report = if asked.flag("dry_run")? {
        documents.dry_run_all(after.as_ref(), told)
    } else {
        documents.migrate_all(after.as_ref(), told)
    }?;
    let failed = report.failed.iter().map(|(key, e)| {
        let mut said = Map::from([("key", key.to_string())]);
        said.insert("error", wire::error(e));
        said
    });
    let mut said = Map::from([("failed", failed.collect::<Value>())]);
    said.insert("changed", report.changed);
    said.insert("unchanged", report.unchanged);
    said.insert("in_play", report.in_play);
    said.insert("more", report.stopped_at.is_some());
    said.insert("last", last.map(|key| key.to_string()));
    Ok(said)
}

fn steps(asked: Asked<'_>) -> Result<Vec<Step>> {
    let Some(list) = asked.value("steps")?.as_list().filter(|list| !list.is_empty()) else {
        return Err(wrong("\"steps\" is not a list of at least one".into()));
    };
    list.iter()
        .map(|step| step.as_map().ok_or_else(|| wrong("a step is an object".into())).and_then(Step::of))
        .collect()
}

impl Step {
    fn of(said: &Map) -> Result<Self> {
        let said = Asked(said);
        if let Some(from) = said.text_if("rename")? {
            said.only(&["rename", "to"])?;
            return Ok(Self::Rename(from.into(), said.text("to")?.into()));
        }
        if let Some(name) = said.text_if("set")? {
            said.only(&["set", "value"])?;
            return Ok(Self::Set(name.into(), said.value("value")?.clone()));
        }
        said.only(&["remove"])?;
        Ok(Self::Remove(said.text("remove")?.into()))
    }

    fn run(&self, doc: &mut Doc<'_>) -> Result<()> {
        match self {
            Self::Rename(from, to) => doc.rename(from, to),
            Self::Set(name, value) => doc.set(name, value.clone()),
            Self::Remove(name) => doc.remove(name).map(drop),
        }
    }
}
