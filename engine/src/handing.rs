//! Corridor: keys that are played, handed off before they are set back to an earlier state.
//!
//! 1. Whoever sets them back looks for what it takes from whom, and writes nothing before all of them were asked: who began
//!    to play meanwhile, or wrote a key that was to be left alone, is asked then.
//! 2. Their holders are told, as if another asked for the keys: they may write a last time, and release.
//! 3. Whoever sets the keys back stands first in the queue for them meanwhile, so that nobody takes them up in between.
//! 4. What was not released in time ends by the very record that sets the key back. Both ways the holder learns
//!    [`Ended::Restored`](crate::Ended::Restored).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::acquire::Request;
use crate::change::Once;
use crate::core::Core;
use crate::error::{Error, Result};
use crate::holder::HolderOptions;
use crate::key::FullKey;
use crate::txn::{Done, Tx};

/// Time for the holders of keys that are set back, unless the caller says otherwise.
pub(crate) const HANDOFF: Duration = Duration::from_secs(10);

/// Who asks, as holders are told.
const NAME: &str = "savehold revert";

impl Core {
    /// Who plays a key now.
    pub(crate) fn player_of(&self, key: &FullKey) -> Option<String> {
        if !self.leases.any() {
            return None;
        }
        let state = self.leases.lock();
        let lease = state.table.of_key(key).filter(|lease| state.stale(lease, self.boot()).is_none());
        lease.map(|lease| lease.grant.holder.to_string())
    }

    /// Has those of `keys` that are played handed off, within `time`. Nobody takes them up before the answer is dropped;
    /// `None` where none is played.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed), [`ErrorKind::Io`](crate::ErrorKind::Io): the system gives no
    /// threads; the store's own failure.
    pub(crate) fn hand_off(
        self: &Arc<Self>,
        keys: impl IntoIterator<Item = FullKey>,
        time: Duration,
    ) -> Result<Option<Request>> {
        let mut played: Vec<FullKey> = keys.into_iter().filter(|key| self.player_of(key).is_some()).collect();
        if played.is_empty() {
            return Ok(None);
        }
        played.sort();
        played.dedup();
        let holder = self.holder(NAME, HolderOptions::new())?;
        let request = Request::to_restore(&holder, played.into(), time)?;
        request.wait_for_turn();
        if self.leases.lock().is_closed() {
            return Err(Error::closed()); // nobody was asked to the end
        }
        Ok(Some(request))
    }

    /// Commits what `run` does, which answers beside it which keys it takes from whoever plays them. Who was not asked for one
    /// of them is asked first, and has `time` to hand it off; then it runs again. Answers who was asked for what, too; with no
    /// `time` nobody is.
    ///
    /// # Errors
    ///
    /// As a transaction and [`Core::hand_off`].
    pub(crate) fn taking<R>(
        self: &Arc<Self>,
        time: Duration,
        mut run: impl FnMut(&Tx<'_>) -> Result<(R, Vec<FullKey>)>,
    ) -> Result<(Done<R>, HashMap<FullKey, String>)> {
        let (mut players, mut asked) = (HashMap::new(), Vec::new());
        loop {
            self.check_closing()?; // whoever closes may wait for this
            let done = self.transaction(None, |tx| -> Result<R, Stop> {
                let (value, taken) = run(tx)?;
                let player = |key| self.player_of(&key).map(|player| (key, player));
                let played = taken.into_iter().filter(|_| !time.is_zero()).filter_map(player);
                // Another may have come in between, before the queue for the key was closed.
                let played: Vec<_> = played.filter(|(key, by)| players.get(key) != Some(by)).collect();
                if played.is_empty() { Ok(value) } else { Err(Stop::Played(played)) }
            });
            match done {
                Ok(Once::Now(done)) => return Ok((done, players)),
                Ok(Once::Before(_)) => unreachable!("only a call with an id is done once"),
                Err(Stop::Failed(e)) => return Err(e),
                Err(Stop::Played(played)) => {
                    asked.extend(self.hand_off(played.iter().map(|(key, _)| key.clone()), time)?);
                    players.extend(played);
                }
            }
        }
    }
}

/// Why a run does not commit.
enum Stop {
    /// Somebody plays what it takes, and was not asked.
    Played(Vec<(FullKey, String)>),
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(e: Error) -> Self {
        Self::Failed(e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;
    use crate::holder::Start;
    use crate::key::Key;
    use crate::lease::Ended;

    #[test]
    fn whoever_saves_a_key_that_was_to_be_left_alone_is_asked_before_it_is_taken() {
        let store = Store::in_memory().unwrap();
        let docs = store.collection::<i64>("docs").unwrap();
        docs.set("a", &1).unwrap();
        let full = (docs.table.id().unwrap().unwrap(), Key::new("a").unwrap());
        let red = store.holder("red").unwrap();
        let session = red.acquire([docs.key("a")], Start::new()).unwrap();
        let (mine, ended) = (&docs.with_token(session.token()), session.ended());
        let (mut runs, mut found) = (0, Vec::new());
        let (done, players) = std::thread::scope(|scope| {
            scope.spawn(move || {
                while session.wanted().now().is_none() {
                    std::thread::yield_now();
                }
                mine.set("a", &3).unwrap();
                session.release().unwrap();
            });
            let run = |tx: &Tx<'_>| {
                runs += 1;
                found.push(tx.get(&docs, "a")?.map(|entry| entry.value));
                tx.set(&docs, "b", &runs)?;
                if runs == 1 {
                    std::thread::scope(|scope| scope.spawn(|| mine.set("a", &2)).join().unwrap())?;
                    return Ok(((), Vec::new())); // it is to be left alone, and is written before this commits
                }
                tx.put_back(&docs.table, &"a".into(), None)?;
                Ok(((), vec![full.clone()]))
            };
            store.core.taking(Duration::from_secs(300), run).unwrap()
        });
        assert_eq!((found, done.wrote), (vec![Some(1), Some(2), Some(3)], true), "its last save is seen");
        assert_eq!(players.get(&full).map(String::as_str), Some("red"));
        assert_eq!((ended.now(), docs.get("a").unwrap()), (Some(Ended::Restored), None));
    }

    #[test]
    fn a_store_that_closes_while_somebody_is_asked_sets_nothing_back() {
        let store = Store::in_memory().unwrap();
        let docs = store.collection::<i64>("docs").unwrap();
        docs.set("a", &1).unwrap();
        let full = (docs.table.id().unwrap().unwrap(), Key::new("a").unwrap());
        let far = store.external_holder("far", 1).unwrap();
        let session = far.acquire([docs.key("a")], Start::new()).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while session.wanted().now().is_none() {
                    std::thread::yield_now();
                }
                store.clone().close().unwrap();
            });
            let asked = store.core.hand_off([full], Duration::from_secs(300));
            assert_eq!(asked.err().map(|e| e.kind()), Some(crate::error::ErrorKind::Closed));
        });
    }
}
