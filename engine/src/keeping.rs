//! Corridor: the settings of history: of the store under `$set`, of a collection in the value of its name.
//!
//! ```text
//! retention                        {every_us, minutes_us, hours_us, outcomes_us}
//! collection/<name>/<number>       {retention: {explicit_us, autosaves_us, newest}}   or   {retention: "newest only"}
//! ```
//!
//! What is missing has its default. A time of all ones means for ever.

use std::time::Duration;

use savehold_wal::{Lsn, Urgency};

use crate::core::Core;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::Version;
use crate::name::CollectionName;
use crate::naming::COLLECTION;
use crate::retention::{Moments, OUTCOMES, Retention, VersionsKept};
use crate::setting::Setting;
use crate::value::{Map, Value};

const STORE: &str = "retention";
const OF_COLLECTION: &str = "retention";
const NEWEST_ONLY: &str = "newest only";

/// The settings of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keeping {
    pub(crate) moments: Moments,
    pub(crate) outcomes: Duration,
}

impl Core {
    /// The settings of the store at a moment.
    pub(crate) fn keeping(&self, moment: Lsn) -> Result<Keeping> {
        let setting = self.setting(STORE, "", moment)?;
        let none = Map::new();
        let value = setting.as_ref().and_then(|setting| setting.value.as_map()).unwrap_or(&none);
        let usual = Moments::default();
        Ok(Keeping {
            moments: Moments {
                every: time(value, "every_us", usual.every),
                minutes: time(value, "minutes_us", usual.minutes),
                hours: time(value, "hours_us", usual.hours),
            },
            outcomes: time(value, "outcomes_us", OUTCOMES),
        })
    }

    /// Lets `change` say what the settings of the store become, on a full disk too: less history frees it. Durable on return.
    pub(crate) fn change_keeping(&self, change: impl Fn(&mut Keeping)) -> Result<Version> {
        self.change_setting(STORE, "", Urgency::Reserve, |_| {
            let mut keeping = self.keeping(Lsn::MAX)?;
            change(&mut keeping);
            let Keeping { moments: Moments { every, minutes, hours }, outcomes } = keeping;
            let mut value = Map::new();
            for (name, time) in
                [("every_us", every), ("minutes_us", minutes), ("hours_us", hours), ("outcomes_us", outcomes)]
            {
                value.insert(name, micros(time));
            }
            Ok(Some(Value::Map(value)))
        })
    }

    /// The setting of a collection; the usual one where there is none.
    pub(crate) fn retention(&self, name: &CollectionName, moment: Lsn) -> Result<Retention> {
        let Some(id) = self.collection_id(name, moment)? else { return Ok(Retention::default()) };
        let setting = self.setting(COLLECTION, &format!("{name}/{}", id.0), moment)?;
        Ok(setting.as_ref().map_or_else(|| Ok(None), retention_of)?.unwrap_or_default())
    }

    /// Settings of collections, by number, where they have one of their own.
    pub(crate) fn retentions(&self, moment: Lsn) -> Result<Vec<(u32, Retention)>> {
        let mut all = Vec::new();
        for setting in self.settings(COLLECTION, moment)? {
            let number = setting.name.rsplit_once('/').and_then(|(_, number)| number.parse().ok());
            if let (Some(number), Some(retention)) = (number, retention_of(&setting)?) {
                all.push((number, retention));
            }
        }
        Ok(all)
    }

    /// Gives a collection a setting of its own. Durable on return.
    pub(crate) fn set_retention(&self, name: &CollectionName, retention: Retention) -> Result<Version> {
        let id = self.ensure_collection(name)?;
        self.change_setting(COLLECTION, &format!("{name}/{}", id.0), Urgency::Reserve, |stands| {
            let mut value = stands.and_then(|stands| stands.value.as_map()).cloned().unwrap_or_default();
            value.insert(OF_COLLECTION, value_of(retention));
            Ok(Some(Value::Map(value)))
        })
    }
}

fn value_of(retention: Retention) -> Value {
    match retention {
        Retention::NewestOnly => NEWEST_ONLY.into(),
        Retention::History(kept) => {
            let mut value = Map::new();
            value.insert("explicit_us", micros(kept.explicit));
            value.insert("autosaves_us", micros(kept.autosaves));
            value.insert("newest", u64::from(kept.newest));
            value.into()
        }
    }
}

/// What a setting says; `None` where it says nothing.
fn retention_of(setting: &Setting) -> Result<Option<Retention>> {
    let usual = VersionsKept::default();
    match setting.value.get(OF_COLLECTION) {
        None => Ok(None),
        Some(Value::String(text)) if text == NEWEST_ONLY => Ok(Some(Retention::NewestOnly)),
        Some(Value::Map(value)) => Ok(Some(Retention::History(VersionsKept {
            explicit: time(value, "explicit_us", usual.explicit),
            autosaves: time(value, "autosaves_us", usual.autosaves),
            newest: value.get("newest").and_then(Value::as_u64).map_or(usual.newest, |n| {
                u32::try_from(n).unwrap_or(u32::MAX).max(1) // the newest always stays
            }),
        }))),
        Some(_) => {
            let say = format!(
                "the retention of {} is none that this program knows: set it again with `savehold retention`",
                setting.name
            );
            Err(Error::new(ErrorKind::Format, say).at(setting.version))
        }
    }
}

fn time(value: &Map, name: &str, usual: Duration) -> Duration {
    match value.get(name).and_then(Value::as_u64) {
        None => usual,
        Some(u64::MAX) => Duration::MAX,
        Some(us) => Duration::from_micros(us),
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_is_read_again() {
        let second = Duration::from_secs(1);
        for retention in [
            Retention::default(),
            Retention::NewestOnly,
            Retention::History(VersionsKept { explicit: second, autosaves: Duration::MAX, newest: 9 }),
        ] {
            let mut value = Map::new();
            value.insert(OF_COLLECTION, value_of(retention));
            let version = "1.1".parse().expect("a version");
            let setting = Setting { name: "a/16".into(), version, made_us: 0, value: value.into() };
            assert_eq!(retention_of(&setting).expect("one of ours"), Some(retention));
        }
    }
}
