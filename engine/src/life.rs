//! Corridor: the lives of external holders in the log: a life that another followed is over for ever, after our restart
//! too.
//!
//! A setting for each holder, `life/<name>` → `{"lives": [first, …, newest]}`: the newest and at most sixteen before it.
//! Written once for each life, when it is first heard of.

use std::sync::Arc;

use savehold_wal::{Lsn, Urgency};

use crate::core::Core;
use crate::error::{Error, ErrorKind, Result};
use crate::lease::{FORMER_MAX, Lives};
use crate::setting::Setting;
use crate::value::{Map, Value};

const LIFE: &str = "life/";
const LIVES: &str = "lives";

impl Core {
    /// Notes that this life of an external holder has begun, unless the log says so already; answers the lives before it,
    /// oldest first. Durable on return.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Ended`]: another life followed it.
    pub(crate) fn begin_life(&self, name: &str, life: u64) -> Result<Vec<u64>> {
        if let (_, Some(stands)) = self.known_setting(LIFE, name, self.visible())?
            && !stands.unread
            && let Some((newest, former)) = lives_of(&stands).split_last()
            && *newest == life
        {
            return Ok(former.to_vec());
        }
        let mut former = Vec::new();
        // on a full disk too: it ends the leases of the life before
        self.change_setting(LIFE, name, Urgency::Reserve, |stands| {
            former = stands.map(lives_of).unwrap_or_default();
            match former.iter().position(|known| *known == life) {
                // of an entry that cannot be read: those of the one before, which another followed
                Some(at) if at + 1 < former.len() || stands.is_some_and(|stands| stands.unread) => {
                    return Err(former_life(name));
                }
                Some(_) => _ = former.pop(), // somebody else noted it just now
                None => {}
            }
            let first = former.len().saturating_sub(FORMER_MAX);
            former.drain(..first);
            let lives: Value = former.iter().copied().chain([life]).collect();
            Ok(Some(Map::from([(LIVES, lives)]).into()))
        })?;
        Ok(former)
    }

    /// The newest life of each of these holders; of whom the log knows none, or cannot be asked, none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`]; [`ErrorKind::Busy`]: a table of the index is to be made anew.
    pub(crate) fn newest_lives<'a>(&self, names: impl Iterator<Item = &'a Arc<str>>) -> Result<Lives> {
        let mut lives = Lives::new();
        for name in names {
            let newest = match self.setting(LIFE, name, Lsn::MAX) {
                Err(e) if matches!(e.kind(), ErrorKind::Io | ErrorKind::Busy) => return Err(e),
                stands => stands.ok().flatten().and_then(|stands| lives_of(&stands).pop()),
            };
            lives.extend(newest.map(|newest| (name.clone(), newest)));
        }
        Ok(lives)
    }
}

fn lives_of(setting: &Setting) -> Vec<u64> {
    let lives = setting.value.get(LIVES).and_then(Value::as_list).unwrap_or_default();
    lives.iter().filter_map(Value::as_u64).collect()
}

/// The error of a life that another followed.
pub(crate) fn former_life(name: &str) -> Error {
    let say = format!(
        "another life of {name} has begun: this one is over; end its sessions, and draw a new number to begin again"
    );
    Error::new(ErrorKind::Ended, say)
}
