//! Corridor: the verb that says how long history is kept, and changes it.

use std::time::Duration;

use super::wire::{Asked, wrong};
use crate::error::Result;
use crate::keeping::Keeping;
use crate::name::CollectionName;
use crate::retention::{Moments, Retention, VersionsKept};
use crate::store::Store;
use crate::value::{Map, Value};

/// Members that change a collection's setting, and those that change the store's.
const OF_COLLECTION: [&str; 4] = ["newest_only", "explicit_us", "autosaves_us", "newest"];
const OF_STORE: [&str; 4] = ["every_us", "minutes_us", "hours_us", "outcomes_us"];

/// `{"do": "retention", "collection": c, …}` → what is kept: of the store `every_us`, `minutes_us`, `hours_us`,
/// `outcomes_us`, and `nothing_until_us` after a leap of the clock; of a collection `newest_only`, or `explicit_us`,
/// `autosaves_us`, `newest`. Members of these names change it first; `trust_clock` ends the wait after a leap.
pub(super) fn retention(store: &Store, asked: Asked<'_>) -> Result<Map> {
    let known = [&["collection", "trust_clock"][..], &OF_COLLECTION, &OF_STORE].concat();
    asked.only(&known)?;
    let collection = asked.text_if("collection")?;
    let collection =
        collection.map(|name| CollectionName::new(name).map(|known| (name, known))).transpose()?;
    let changes = |names: &[&str]| names.iter().any(|name| asked.get(name).is_some());
    let trusts = asked.flag("trust_clock")?;
    if collection.is_none() && changes(&OF_COLLECTION) {
        return Err(wrong("versions are kept by collection: name one".to_owned()));
    }
    if changes(&OF_STORE) {
        let Keeping { moments: stands, outcomes } = store.core.known_keeping()?;
        let outcomes = time(asked, "outcomes_us", outcomes)?;
        let moments = Moments {
            every: time(asked, "every_us", stands.every)?,
            minutes: time(asked, "minutes_us", stands.minutes)?,
            hours: time(asked, "hours_us", stands.hours)?,
        };
        if moments != stands {
            store.set_moments(moments)?; // first: it may be refused
        }
        store.set_outcomes_kept(outcomes)?;
    }
    if let Some((name, known)) = &collection
        && changes(&OF_COLLECTION)
    {
        let stands = store.core.known_retention(known)?;
        store.set_retention(name, changed(asked, stands)?)?;
    }
    if trusts {
        store.trust_clock()?;
    }
    // what was changed is changed, whatever else cannot be read: of that, what can be known
    let (core, moment) = (&store.core, store.core.visible());
    let changed = trusts || changes(&OF_COLLECTION) || changes(&OF_STORE);
    let keeping = if changed { core.known_keeping()? } else { core.keeping(moment)? };
    let Some((name, known)) = collection else { return Ok(said(store, None, keeping)) };
    let retention = if changed { core.known_retention(&known)? } else { core.retention(&known, moment)? };
    Ok(said(store, Some((name, retention)), keeping))
}

fn said(store: &Store, of: Option<(&str, Retention)>, keeping: Keeping) -> Map {
    let mut said = Map::new();
    if let Some((name, retention)) = of {
        said.insert("collection", name);
        match retention {
            Retention::NewestOnly => drop(said.insert("newest_only", true)),
            Retention::History(kept) => {
                said.insert("newest_only", false);
                said.insert("explicit_us", micros(kept.explicit));
                said.insert("autosaves_us", micros(kept.autosaves));
                said.insert("newest", u64::from(kept.newest));
            }
        }
    }
    let Keeping { moments: Moments { every, minutes, hours }, outcomes } = keeping;
    said.insert("every_us", micros(every));
    said.insert("minutes_us", micros(minutes));
    said.insert("hours_us", micros(hours));
    said.insert("outcomes_us", micros(outcomes));
    said.insert("nothing_until_us", store.nothing_goes_until());
    said
}

/// A setting with the members that are asked for in place of its own.
fn changed(asked: Asked<'_>, stands: Retention) -> Result<Retention> {
    let kept = match stands {
        Retention::History(kept) => kept,
        Retention::NewestOnly => VersionsKept::default(),
    };
    let versions = ["explicit_us", "autosaves_us", "newest"].iter().any(|name| asked.get(name).is_some());
    if asked.flag("newest_only")? {
        if versions {
            return Err(wrong(
                "a collection keeps its newest versions alone, or history: not both".to_owned(),
            ));
        }
        return Ok(Retention::NewestOnly);
    }
    let newest = asked.count_if("newest")?.unwrap_or(u64::from(kept.newest));
    Ok(Retention::History(VersionsKept {
        explicit: time(asked, "explicit_us", kept.explicit)?,
        autosaves: time(asked, "autosaves_us", kept.autosaves)?,
        newest: u32::try_from(newest).unwrap_or(u32::MAX),
    }))
}

/// A time in microseconds; all ones mean for ever.
fn time(asked: Asked<'_>, name: &str, stands: Duration) -> Result<Duration> {
    Ok(match asked.count_if(name)? {
        None => stands,
        Some(u64::MAX) => Duration::MAX,
        Some(us) => Duration::from_micros(us),
    })
}

/// A time as an answer says it; nothing for ever.
fn micros(time: Duration) -> Value {
    u64::try_from(time.as_micros()).map_or(Value::Nil, Value::from)
}
