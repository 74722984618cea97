//! Corridor: the settings of history: of the store under `$set`, of a collection in the value of its name.
//!
//! ```text
//! retention                        {every_us, minutes_us, hours_us, outcomes_us}
//! collection/<name>/<number>       {retention: {explicit_us, autosaves_us, newest}}   or   {retention: "newest only"}
//! ```
//!
//! What is missing has its default. A time of all ones means for ever. By a setting that cannot be read nothing more is given
//! up: everything of its collection is kept, and the terms of the store stay as they are, until it is set again. Where only a
//! part of it is, the rest is as the newest older version says that can be read; where none says anything of it, it keeps
//! everything, for what was lost may have kept that.

use std::time::Duration;

use savehold_wal::{Lsn, Urgency};

use crate::core::Core;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::Version;
use crate::limits::RETENTIONS_MAX;
use crate::name::CollectionName;
use crate::naming::COLLECTION;
use crate::retention::{Moments, OUTCOMES, Retention, VersionsKept};
use crate::setting::{Setting, is_unread};
use crate::value::{Map, Value};

const STORE: &str = "retention";
const OF_COLLECTION: &str = "retention";
const NEWEST_ONLY: &str = "newest only";

/// What is kept of a collection of which nobody can tell what is to be kept.
const EVERYTHING: Retention =
    Retention::History(VersionsKept { explicit: Duration::MAX, autosaves: Duration::MAX, newest: u32::MAX });

/// The settings of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keeping {
    pub(crate) moments: Moments,
    pub(crate) outcomes: Duration,
}

impl Keeping {
    /// What is kept of a store of which nobody can tell what is to be kept.
    const EVERYTHING: Self = Self { moments: Moments::ALL, outcomes: Duration::MAX };
}

impl Core {
    /// The settings of the store at a moment.
    pub(crate) fn keeping(&self, moment: Lsn) -> Result<Keeping> {
        let setting = self.setting(STORE, "", moment).map_err(of_store)?;
        Ok(keeping_of(setting.as_ref()))
    }

    /// The settings of the store now, or what can be known of them, to be changed.
    pub(crate) fn known_keeping(&self) -> Result<Keeping> {
        Ok(keeping_of(self.known_setting(STORE, "", self.visible())?.1.as_ref()))
    }

    /// Lets `change` say what the settings of the store become, on a full disk too: less history frees it. Durable on return.
    pub(crate) fn change_keeping(&self, change: impl Fn(&mut Keeping)) -> Result<Version> {
        self.change_setting(STORE, "", Urgency::Reserve, |stands| {
            let mut keeping = keeping_of(stands);
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
        let key = format!("{name}/{}", id.0);
        let retention = match self.setting(COLLECTION, &key, moment) {
            Ok(setting) => setting.as_ref().map_or(Ok(None), retention_of),
            Err(e) => Err(e),
        };
        Ok(retention.map_err(|e| of_collection(&key, e))?.unwrap_or_default())
    }

    /// The setting of a collection now, or what can be known of it, to be changed.
    pub(crate) fn known_retention(&self, name: &CollectionName) -> Result<Retention> {
        let moment = self.visible();
        let Some(id) = self.collection_id(name, moment)? else { return Ok(Retention::default()) };
        let (_, setting) = self.known_setting(COLLECTION, &format!("{name}/{}", id.0), moment)?;
        let Some(setting) = setting else { return Ok(Retention::default()) };
        Ok(match retention_of(&setting) {
            Ok(Some(retention)) => retention,
            Ok(None) if !setting.unread => Retention::default(),
            Ok(None) | Err(_) => EVERYTHING,
        })
    }

    /// Settings of collections, by number, where they have one of their own; where that cannot be read, everything is kept.
    pub(crate) fn retentions(&self, moment: Lsn) -> Result<Vec<(u32, Retention)>> {
        let mut all = Vec::new();
        for (name, setting) in self.settings(COLLECTION, moment)? {
            let number = name.rsplit_once('/').and_then(|(_, number)| number.parse().ok());
            let retention = setting.and_then(|setting| retention_of(&setting)).unwrap_or(Some(EVERYTHING));
            all.extend(number.zip(retention));
        }
        Ok(all)
    }

    /// Why a setting of history cannot be read, if one cannot, and what to do about it.
    pub(crate) fn unread(&self) -> Option<Error> {
        let moment = self.visible();
        let collections = || {
            let mut all = self.settings(COLLECTION, moment).ok()?.into_iter();
            all.find_map(|(key, setting)| {
                let e = setting.and_then(|setting| retention_of(&setting)).err()?;
                Some(of_collection(&key, e))
            })
        };
        let store = self.keeping(moment).err().filter(is_unread);
        store.or_else(|| self.listed_pins().ok()?.into_iter().find_map(Result::err)).or_else(collections)
    }

    /// Gives a collection a setting of its own. Durable on return.
    pub(crate) fn set_retention(&self, name: &CollectionName, retention: Retention) -> Result<Version> {
        let moment = self.visible();
        if self.collection_id(name, moment)?.is_none() {
            self.check_room(moment)?; // a collection stays once it has a number
        }
        let id = self.ensure_collection(name)?;
        self.change_setting(COLLECTION, &format!("{name}/{}", id.0), Urgency::Reserve, |stands| {
            if stands.is_none_or(|stands| stands.value.get(OF_COLLECTION).is_none() && !stands.unread) {
                self.check_room(self.visible())?;
            }
            let mut value = stands.and_then(|stands| stands.value.as_map()).cloned().unwrap_or_default();
            value.insert(OF_COLLECTION, value_of(retention));
            Ok(Some(Value::Map(value)))
        })
    }

    /// Refuses one more collection with a setting of its own where the terms of history may have no room for it: found out
    /// later, when that of another day has grown, nothing more would be given up.
    fn check_room(&self, moment: Lsn) -> Result<()> {
        let few = self.collections(moment)?.len() < RETENTIONS_MAX; // told without reading a value
        if few || self.retentions(moment)?.len() < RETENTIONS_MAX {
            return Ok(());
        }
        let say = format!(
            "{RETENTIONS_MAX} collections have a setting of history of their own, and a store keeps no more of them: nothing was changed; leave this collection the usual one, or put the keys of several that keep the same into one collection"
        );
        Err(Error::new(ErrorKind::TooLarge, say))
    }
}

/// What a setting of the store says.
fn keeping_of(setting: Option<&Setting>) -> Keeping {
    let none = Map::new();
    let value = match setting {
        Some(setting) if setting.unread && setting.value.as_map().is_none() => return Keeping::EVERYTHING,
        setting => setting.and_then(|setting| setting.value.as_map()).unwrap_or(&none),
    };
    let usual = Moments::default();
    Keeping {
        moments: Moments {
            every: time(value, "every_us", usual.every),
            minutes: time(value, "minutes_us", usual.minutes),
            hours: time(value, "hours_us", usual.hours),
        },
        outcomes: time(value, "outcomes_us", OUTCOMES),
    }
}

#[cold]
fn of_store(e: Error) -> Error {
    if !is_unread(&e) {
        return e;
    }
    e.within(
        "what is kept of the store's history cannot be read, so nothing more of it is given up: set both again with \
         `savehold retention --moments … --outcomes …`",
    )
}

#[cold]
fn of_collection(key: &str, e: Error) -> Error {
    if !is_unread(&e) {
        return e;
    }
    let name = key.rsplit_once('/').map_or(key, |(name, _)| name);
    e.within(format!(
        "what is kept of the history of {name} cannot be read, so all of it is: set it again with `savehold retention \
         {name} …`"
    ))
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
            let say = "it is none that this program knows";
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
    use bytes::Bytes;

    use super::*;
    use crate::attributes::Attributes;
    use crate::draft::{Draft, Write};
    use crate::entry::{Entry, EntryHead};
    use crate::ids::CollectionId;
    use crate::key::Key;
    use crate::record::{Author, Cause};
    use crate::value::codec;

    /// Gives so many collections a setting of their own, in one commit.
    fn set_many(core: &Core, count: usize, retention: Retention) {
        let mut value = Map::new();
        value.insert(OF_COLLECTION, value_of(retention));
        let mut bytes = Vec::new();
        let format = codec::encode(&Value::Map(value), &mut bytes).unwrap();
        let (created_us, schema) = (core.wal.time_us(), Bytes::new());
        let head = EntryHead { created_us, attributes: Attributes::NONE, schema, format };
        let entry = Entry { head, value: Bytes::from(bytes) };
        let of = |n: usize| {
            let key = Key::new(format!("{COLLECTION}kept{n}/{}", n + 16)).unwrap();
            ((CollectionId::SET, key), Write::Put(entry.clone()))
        };
        let draft = Draft {
            author: Author { cause: Cause::Explicit, origin: 0, token: None, id: None },
            writes: &(0..count).map(of).collect::<Vec<_>>(),
            reads: &[],
            ranges: &[],
            moment: Lsn::NONE,
            remembered: &[],
            claim: None,
            memory: None,
        };
        let Ok(placed) = core.place(&draft, core.how()) else { panic!("nothing hinders it") };
        core.wal.wait(placed).unwrap();
    }

    /// As many settings as there may be do not keep history from being thinned, tables from being written or the log from
    /// being packed; one more is refused.
    #[test]
    fn one_setting_more_than_fits_is_refused_and_all_others_hinder_nothing() {
        let store = crate::Store::in_memory().unwrap();
        let kept = VersionsKept { explicit: Duration::ZERO, autosaves: Duration::ZERO, newest: u32::MAX };
        for retention in [Retention::NewestOnly, Retention::History(kept)] {
            set_many(&store.core, RETENTIONS_MAX, retention);
            assert!(store.thin().unwrap());
            store.compact(|_| std::ops::ControlFlow::Continue(())).unwrap();
        }
        let e = store.set_retention("another", Retention::NewestOnly).unwrap_err();
        assert_eq!(
            (e.kind(), store.retention("another").unwrap()),
            (ErrorKind::TooLarge, Retention::default())
        );
        assert!(e.message().contains(&RETENTIONS_MAX.to_string()), "{e}");
        store.set_retention("kept7", Retention::NewestOnly).unwrap(); // it has one
        assert_eq!(store.retention("kept7").unwrap(), Retention::NewestOnly);
        store.raw("another").unwrap().set("key", &Bytes::from_static(b"value")).unwrap();
        assert!(store.thin().unwrap() && store.stats().thinning_failure.is_none());
    }

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
            let setting =
                Setting { name: "a/16".into(), version, made_us: 0, value: value.into(), unread: false };
            assert_eq!(retention_of(&setting).expect("one of ours"), Some(retention));
        }
    }
}
