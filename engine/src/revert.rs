//! Corridor: many keys back to what they were at a moment, as new versions, while everybody else goes on.
//!
//! The keys are chosen first; then, a thousand at a time: a transaction looks at its keys as they stand, sets those back that
//! are not as they were, and notes what that undoes. Those of them that are played are handed off before, so that their last
//! edits are there (`handing`). What was chosen and is written meanwhile is set back too, and named; what comes after its
//! transaction stays.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::ops::ControlFlow;
use std::panic::Location;
use std::time::Duration;

use savehold_wal::Lsn;

use crate::at::At;
use crate::collection::Collection;
use crate::error::{Error, ErrorKind, Result};
use crate::handing::HANDOFF;
use crate::ids::{CollectionId, Version};
use crate::index::{Kind, VersionRef};
use crate::key::{Key, KeyRef};
use crate::record::Head;
use crate::selection::Selection;
use crate::snapshot::Snapshot;
use crate::store::Store;
use crate::table::{VersionInfo, is_unreadable};
use crate::txn::Tx;
use crate::value::Value;

/// Keys of one transaction.
const BATCH: usize = 1000;

/// What a revert did to one key, or would.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reverted {
    /// The key.
    pub key: Key,
    /// The version that set it back; `None` in a dry run.
    pub version: Option<Version>,
    /// The moment whose state it has again: the one that is kept and was asked for, or the kept one before.
    pub to: Version,
    /// Whether the key is absent now, as it was then.
    pub removed: bool,
    /// The holder that played it and was told, if one did; in a dry run the one that plays it.
    pub played_by: Option<String>,
    /// The commits that this undid, the newest first: what their idempotency ids stand for must be granted again by
    /// hand, for `outcome` goes on saying that they happened. Of one whose record cannot be read stand there version, size
    /// and, where another tells it, the time.
    pub undone: Vec<VersionInfo>,
}

/// How keys are set back.
#[must_use]
pub struct Revert<'a> {
    handoff: Duration,
    progress: Option<Told<'a>>,
}

/// Told how many keys were set back so far; breaking stops it.
type Told<'a> = &'a mut dyn FnMut(u64) -> ControlFlow<()>;

/// How far a revert has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Far {
    /// Keys that were looked at.
    pub(crate) looked_at: u64,
    /// Keys among them that were set back, or in a dry run would be.
    pub(crate) set_back: u64,
}

impl<'a> Revert<'a> {
    /// Who plays a key that is to be set back has 10 s to save and release it; nobody is told how far it is.
    pub fn new() -> Self {
        Self { handoff: HANDOFF, progress: None }
    }

    /// Who plays a key that is to be set back is asked for it, and has this long to write a last time and release it; then
    /// the session ends all the same. The last edits are undone too, and named. Zero asks nobody.
    pub fn handoff(mut self, time: Duration) -> Self {
        self.handoff = time;
        self
    }

    /// Told after each transaction, and after each 1,000 keys that were looked at, how many keys were set back so far;
    /// `Break` stops there.
    pub fn progress(mut self, told: &'a mut dyn FnMut(u64) -> ControlFlow<()>) -> Self {
        self.progress = Some(told);
        self
    }
}

impl Default for Revert<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Revert<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Revert({:?})", self.handoff)
    }
}

/// Whether anything is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Keys are set back, and who plays one has this long to release it.
    For {
        /// Zero asks nobody.
        handoff: Duration,
    },
    /// Nothing is.
    Dry,
}

/// The keys of one transaction.
struct Batch<'a> {
    collection: &'a Collection<Value>,
    id: CollectionId,
    keys: &'a [Key],
    moment: Lsn,
}

impl Store {
    /// Sets the chosen keys back to what they were at the moment `at`, as new versions, in transactions of up to 1,000
    /// keys; a key that is as it was is not written. Values, user ids and metadata come back, and keys that came to be
    /// since go. Who plays such a key is asked for it first, has 10 s to save and release it, and learns
    /// [`Ended::Restored`](crate::Ended::Restored). Nobody else waits. Each transaction is durable when the next one begins; after an error those before it
    /// stand, and the same call goes on where it stopped.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Missing`]: there is no such collection.
    /// - [`ErrorKind::Undone`]: the moment belongs to a future that was undone. [`ErrorKind::Gone`]: none as old is kept.
    /// - [`ErrorKind::Damaged`]: what stood there then cannot be read. And as [`Collection::set`].
    #[track_caller]
    pub fn revert(&self, selection: Selection, at: impl Into<At>) -> Result<Vec<Reverted>> {
        self.revert_with(selection, at, Revert::new())
    }

    /// [`Store::revert`] with options.
    ///
    /// # Errors
    ///
    /// As [`Store::revert`]; [`ErrorKind::Aborted`]: the progress callback asked to stop, and what was set back stays so.
    #[track_caller]
    pub fn revert_with(
        &self,
        selection: Selection,
        at: impl Into<At>,
        how: Revert<'_>,
    ) -> Result<Vec<Reverted>> {
        let mut silent = |_| ControlFlow::Continue(());
        let told = how.progress.unwrap_or(&mut silent);
        let mut told = |far: Far| told(far.set_back);
        let mode = Mode::For { handoff: how.handoff };
        self.reverting(&selection, &at.into(), mode, &mut told, Location::caller())
    }

    /// What [`Store::revert`] would do now; nothing is written.
    ///
    /// # Errors
    ///
    /// As [`Store::revert`].
    #[track_caller]
    pub fn revert_preview(&self, selection: Selection, at: impl Into<At>) -> Result<Vec<Reverted>> {
        let mut silent = |_: Far| ControlFlow::Continue(());
        self.reverting(&selection, &at.into(), Mode::Dry, &mut silent, Location::caller())
    }

    /// [`Store::revert_with`] or [`Store::revert_preview`], by the mode, and tells both counts.
    pub(crate) fn reverting(
        &self,
        selection: &Selection,
        at: &At,
        mode: Mode,
        told: &mut dyn FnMut(Far) -> ControlFlow<()>,
        place: &'static Location<'static>,
    ) -> Result<Vec<Reverted>> {
        let collection = self.any(&selection.collection)?;
        let Some(id) = collection.table.id()? else {
            let say = format!(
                "there is no collection {:?}: see `savehold list` for their names",
                selection.collection
            );
            return Err(Error::new(ErrorKind::Missing, say));
        };
        let held = Snapshot::at(&self.core, at, place)?;
        let moment = held.version().lsn();
        let chosen = Chosen::new(self, selection, id)?;
        let (mut done, mut far) = (Vec::<Reverted>::new(), Far::default());
        let mut tell = |far| match told(far) {
            ControlFlow::Continue(()) => self.core.check_closing(),
            ControlFlow::Break(()) => Err(stopped(mode, far)),
        };
        let mut chosen_keys = chosen.keys(selection, &collection)?;
        loop {
            let mut keys = Vec::with_capacity(BATCH);
            while keys.len() < BATCH
                && let Some(key) = chosen_keys.next().transpose()?
            {
                far.looked_at += 1;
                if chosen.wants(self, &key)? {
                    keys.push(key);
                }
                if keys.len() < BATCH && far.looked_at.is_multiple_of(BATCH as u64) {
                    tell(far)?;
                }
            }
            if keys.is_empty() {
                return Ok(done);
            }
            let batch = Batch { collection: &collection, id, keys: &keys, moment };
            done.extend(self.revert_batch(&batch, mode)?);
            far.set_back = done.len() as u64;
            tell(far)?;
        }
    }

    fn revert_batch(&self, batch: &Batch<'_>, mode: Mode) -> Result<Vec<Reverted>> {
        let Mode::For { handoff } = mode else {
            return self.described(self.look_back(batch, None, self.core.visible())?);
        };
        let (done, mut players) = self.core.taking(handoff, |tx| {
            let looked = self.look_back(batch, Some(tx), tx.moment().lsn())?;
            let taken = looked.iter().map(|(back, _)| (batch.id, back.key.clone())).collect();
            Ok((looked, taken))
        })?;
        let version = done.wrote.then_some(done.version);
        let mut reverted = self.described(done.value)?; // everything that it undid is durable now, and can be read
        for back in &mut reverted {
            back.version = version;
            if let Some(asked) = players.remove(&(batch.id, back.key.clone())) {
                back.played_by = Some(asked);
            }
        }
        Ok(reverted)
    }

    /// What is known of all that was undone. It was undone whether its record can be read or not: of one whose record is
    /// damaged, or went since, stands there what the index knows.
    fn described(&self, looked: Vec<(Reverted, Vec<VersionRef>)>) -> Result<Vec<Reverted>> {
        let one = |(back, undone): (Reverted, Vec<VersionRef>)| {
            let undone =
                undone.into_iter().map(|version| self.core.described(version)).collect::<Result<_>>()?;
            Ok(Reverted { undone, ..back })
        };
        looked.into_iter().map(one).collect()
    }

    /// Keys that are not as they were at the moment of the batch, with their versions since; `tx` sets them back.
    fn look_back(
        &self,
        batch: &Batch<'_>,
        tx: Option<&Tx<'_>>,
        until: Lsn,
    ) -> Result<Vec<(Reverted, Vec<VersionRef>)>> {
        let (id, moment, mut back) = (batch.id, batch.moment, Vec::new());
        for key in batch.keys {
            self.core.check_closing()?; // whoever closes may wait for this
            let undone = self.since(id, key, moment, until)?;
            let Some(newest) = undone.first() else { continue };
            let then = self.core.read(id, key.as_bytes(), moment)?.stored.map(|stored| stored.entry);
            let differs = match (tx, newest.kind) {
                // What it passes over it has read: its answer waits until that is as durable as what it writes.
                (Some(tx), _) => tx.put_back(&batch.collection.table, &KeyRef::from(key), then.as_ref())?,
                (None, Kind::Remove) => then.is_some(),
                (None, Kind::Put) => match self.core.stored(*newest) {
                    Ok(now) => then != Some(now.entry),
                    Err(_) => true,
                },
            };
            if !differs {
                continue; // written since, and as it was all the same
            }
            let reverted = Reverted {
                key: key.clone(),
                version: None,
                to: moment.into(),
                removed: then.is_none(),
                played_by: self.core.player_of(&(id, key.clone())),
                undone: Vec::new(),
            };
            back.push((reverted, undone));
        }
        Ok(back)
    }

    /// Versions of a key behind `moment` and not behind `until`, the newest first.
    fn since(&self, id: CollectionId, key: &Key, moment: Lsn, until: Lsn) -> Result<Vec<VersionRef>> {
        let (mut all, mut before) = (Vec::new(), Lsn::from_raw(until.raw().saturating_add(1)));
        loop {
            let page = self.core.index.versions(id.0, key.as_bytes(), before, BATCH)?;
            let Some(last) = page.last() else { return Ok(all) };
            before = last.lsn;
            all.extend(page.iter().take_while(|version| version.lsn > moment));
            if before <= moment {
                return Ok(all);
            }
        }
    }
}

#[cold]
fn stopped(mode: Mode, far: Far) -> Error {
    let say = match mode {
        Mode::For { .. } => format!("stopped: {} keys are set back; the same call goes on", far.set_back),
        Mode::Dry => {
            format!("stopped after {} keys; nothing was written, call it again to see all", far.looked_at)
        }
    };
    Error::new(ErrorKind::Aborted, say)
}

fn origin_of(store: &Store, lsn: Lsn) -> Result<u32> {
    Ok(Head::decode(&store.core.wal.read_head(lsn)?)?.author.origin)
}

/// Which of the keys are meant.
struct Chosen {
    id: CollectionId,
    /// Numbers of the origins that are meant.
    origins: Option<HashSet<u32>>,
    since: Option<Lsn>,
}

impl Chosen {
    fn new(store: &Store, selection: &Selection, id: CollectionId) -> Result<Self> {
        let since = selection.since.as_ref().map(|at| store.core.place_of(at)).transpose()?;
        let origins = match &selection.origin {
            None => None,
            Some(pattern) => {
                let all = store.core.origins()?.into_iter().filter(|(text, _)| pattern.matches(text));
                let unnamed = pattern.matches("").then_some(0);
                Some(all.map(|(_, number)| number).chain(unnamed).collect())
            }
        };
        Ok(Self { id, origins, since })
    }

    /// Keys of the selection, those that were removed too.
    fn keys<'k>(
        &self,
        selection: &'k Selection,
        collection: &'k Collection<Value>,
    ) -> Result<Box<dyn Iterator<Item = Result<Key>> + 'k>> {
        if let Some(keys) = &selection.keys {
            let inside = |key: &&Key| selection.range.own.borrow().contains(key.as_bytes());
            return Ok(Box::new(keys.iter().filter(inside).cloned().map(Ok)));
        }
        let (core, id) = (collection.table.core.clone(), self.id);
        let (mut page, mut after, mut over) = (VecDeque::new(), None::<Vec<u8>>, false);
        Ok(Box::new(std::iter::from_fn(move || {
            while page.is_empty() && !over {
                let range = selection.range.own.borrow();
                let direction = crate::index::Direction::Ascending;
                let found = match core.index.range(id.0, range, after.as_deref(), Lsn::MAX, BATCH, direction)
                {
                    Ok(found) => found,
                    Err(e) => {
                        over = true;
                        return Some(Err(e));
                    }
                };
                over = found.len() < BATCH;
                after = found.last_key().map(<[u8]>::to_vec);
                page.extend(found.iter().map(|(key, _)| Key::new(key)));
            }
            page.pop_front()
        })))
    }

    fn wants(&self, store: &Store, key: &Key) -> Result<bool> {
        if self.origins.is_none() && self.since.is_none() {
            return Ok(true);
        }
        let since = self.since.unwrap_or(Lsn::NONE);
        for version in store.since(self.id, key, since, store.core.visible())? {
            let Some(origins) = &self.origins else { return Ok(true) };
            match origin_of(store, version.lsn) {
                Ok(origin) if origins.contains(&origin) => return Ok(true),
                Err(e) if !is_unreadable(&e) => return Err(e),
                _ => {} // another's, or whose it is nobody knows
            }
        }
        Ok(false)
    }
}
