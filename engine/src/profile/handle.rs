//! Corridor: a profile in the hands of the game.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::ground::Ground;
use super::leave::HookTime;
use super::live::{Live, Saved};
use super::playable::Playable;
use super::save::Save;
use crate::attributes::UserId;
use crate::change::Once;
use crate::commit::Patience;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{Token, Version};
use crate::key::Key;
use crate::lease::Ended;
use crate::record::Cause;
use crate::ticket::Ticket;
use crate::txn::Done;

/// A document that this process plays: its present state is in memory, and nobody else may write it. Cheap to clone.
///
/// [`Profile::update`] changes memory and is in the log within the autosave time. Every other call is as durable as the
/// store's level says when it returns. When the last handle is dropped the session ends: `before_release` may edit, the
/// state is saved, the lease is freed; from inside a closure that the store runs, soon after it. Once it is over, by
/// whatever, calls answer [`ErrorKind::Ended`] and nothing is written any more.
pub struct Profile<T: Playable>(pub(crate) Arc<Handle<T>>);

/// All handles of a session; when the last one goes the session ends.
pub(crate) struct Handle<T: Playable> {
    pub(crate) live: Arc<Live<T>>,
}

impl<T: Playable> Drop for Handle<T> {
    fn drop(&mut self) {
        if self.live.check().is_ok() {
            self.live.end_unwatched(self.live.session.release_reason(), HookTime::Own);
        }
    }
}

impl<T: Playable> Clone for Profile<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Playable> Profile<T> {
    pub(crate) fn live(&self) -> &Arc<Live<T>> {
        &self.0.live
    }

    /// The present state. No lock is held by it: it is a picture, and later changes are not in it. Of a session that is
    /// over it is the last state that memory had.
    #[must_use]
    #[doc(alias = "Data")]
    pub fn read(&self) -> Arc<T> {
        self.live().value()
    }

    /// Changes the state in memory, on a copy: in the log within the autosave time (10 s by default), not on return.
    /// What must not be lost, or must hold together with anything else, goes through [`Profile::update_once`],
    /// [`Profile::save`] or a transaction.
    ///
    /// `f` runs once. Where it panics, or the new value is refused, the old one stands.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Ended`]: the session is over.
    /// - [`ErrorKind::Refused`], [`ErrorKind::TooLarge`], [`ErrorKind::Encode`]: the new value may not be stored.
    /// - [`ErrorKind::Busy`], [`ErrorKind::Full`], [`ErrorKind::Halted`] …: changes could not be saved for longer than
    ///   `unsaved_max`, for this reason.
    /// - [`ErrorKind::Reentrant`]: called from inside a closure that the store runs.
    pub fn update<R>(&self, f: impl FnOnce(&mut T) -> R) -> Result<R> {
        self.try_update(|value| Ok(f(value)))
    }

    /// [`Profile::update`] by a closure that may fail: where it does, the old value stands.
    ///
    /// # Errors
    ///
    /// What `f` answers; and as [`Profile::update`].
    pub fn try_update<R, E: From<Error>>(&self, f: impl FnOnce(&mut T) -> Result<R, E>) -> Result<R, E> {
        let live = self.live();
        let ground = live.ground();
        ground.check_outside()?;
        let turn = live.turn();
        self.check_changeable()?;
        let mut value = (*turn.value).clone();
        let answer = {
            let _inside = ground.enter();
            f(&mut value)?
        };
        let bytes = live.shared.rules.validate(&value).map_err(|e| live.named(e))?;
        let now = ground.boot();
        if let Some(save_at) = turn.install(value, bytes, now, || live.shared.save_at(now))? {
            ground.ring_by(save_at);
        }
        Ok(answer)
    }

    /// Whether memory may change: the session stands, and what changed before could be saved.
    fn check_changeable(&self) -> Result<()> {
        let live = self.live();
        live.check()?;
        if let Some(failure) = live.ground().failure() {
            live.shared.alarm(live.ground().boot());
            return Err(live.named(failure));
        }
        let unsaved = self.unsaved_for();
        if unsaved.is_none_or(|time| time <= live.shared.rules.unsaved_max) {
            return Ok(());
        }
        let fault = live.lock().fault.clone();
        let kind = fault.as_ref().map_or(ErrorKind::Busy, Error::kind);
        let cause = fault.as_ref().map_or("saving is slow", Error::message);
        let say = format!(
            "changes have waited for {:?} to be saved, which is too long: nothing was changed, and it goes on by itself \
             once saving does ({cause})",
            unsaved.unwrap_or_default()
        );
        Err(live.named(Error::new(kind, say)))
    }

    /// Changes the state once for each id, across crashes too: a purchase that is repeated grants once. Put the player into the
    /// id, `daily-2026-11-28-42`: ids are those of the store, and not of this profile. Durable on return, with all changes
    /// before it.
    ///
    /// An id is known for [`outcomes_kept`](crate::Store::outcomes_kept), 7 days by default, and grants again later: see
    /// [`Store::transaction_once`](crate::Store::transaction_once).
    ///
    /// # Errors
    ///
    /// As [`Profile::update`]; otherwise as [`Store::transaction_once`](crate::Store::transaction_once).
    pub fn update_once<R>(
        &self,
        id: impl AsRef<[u8]>,
        mut f: impl FnMut(&mut T) -> R,
    ) -> Result<Once<Done<R>>> {
        self.live().ground().transaction(Some(id.as_ref()), |tx| -> Result<R> { Ok(f(&mut *tx.edit(self)?)) })
    }

    /// Saves the present state, if the log has it not. Durable on return; answers the version that has it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Ended`]; otherwise as [`Collection::set`](crate::Collection::set).
    pub fn save(&self) -> Result<Version> {
        let (live, ground) = (self.live(), self.live().ground());
        ground.check_outside()?;
        live.check()?;
        self.run_before_save();
        let save = live.save(Cause::Explicit, live.shared.how()).inspect_err(|e| live.shared.trouble(e))?;
        match &save {
            Save::Placed(placed) => ground.answer(*placed)?,
            Save::Unchanged(lsn) => ground.wait_for(*lsn)?,
        }
        Ok(save.lsn().into())
    }

    /// [`Profile::save`], handing over a ticket; the save has its place in the log when this returns.
    pub fn save_async(&self) -> Ticket<Version> {
        let (live, ground) = (self.live(), self.live().ground());
        let placed = ground.check_outside().and_then(|()| live.check()).and_then(|()| {
            self.run_before_save();
            live.save(Cause::Explicit, ground.how(Patience::AnswersBusy))
        });
        match placed {
            Ok(Save::Placed(placed)) => ground.settle(placed, placed.lsn.into()),
            Ok(Save::Unchanged(lsn)) => ground.told(lsn, Ok(lsn.into())),
            Err(e) => Ticket::answered(Err(e)),
        }
    }

    fn run_before_save(&self) {
        let live = self.live();
        live.before_save(live.shared.rules.hook_time);
    }

    /// What the store is known to hold, durably, and by which version: what a receipt may be acknowledged on.
    #[must_use]
    #[doc(alias = "LastSavedData")]
    pub fn last_saved(&self) -> Saved<T> {
        self.live().last_saved()
    }

    /// How long the oldest change has been waiting for its place in the log; `None`: there is none.
    #[must_use]
    pub fn unsaved_for(&self) -> Option<Duration> {
        let now = self.live().ground().boot();
        self.live().lock().unsaved_since.map(|since| now.saturating_sub(since))
    }

    /// Ends the session: `before_release` may edit, the state is saved, the lease is freed. Durable on return: whoever
    /// acquires the key next has this state. Answers the version that it was saved by.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Ended`]: it was over before. [`ErrorKind::Conflict`]: something else wrote the document under the session's
    /// token, and what was not saved is lost; the session is over, durably once [`Event::Ended`](crate::Event::Ended) tells
    /// of it. Otherwise it is tried again by itself, and that event tells when it is done.
    #[doc(alias = "EndSession")]
    pub fn release(&self) -> Result<Version> {
        let (live, ground) = (self.live(), self.live().ground());
        ground.check_outside()?;
        let why = live.session.release_reason();
        let placed = live.end(why.clone(), HookTime::Own)?;
        let waited = ground.wait(placed);
        live.shared.go(live.gone(why, placed));
        waited?;
        Ok(live.lock().base.lsn.into())
    }

    /// [`Profile::release`], handing over a ticket; the session is over when this returns.
    pub fn release_async(&self) -> Ticket<Version> {
        let (live, ground) = (self.live(), self.live().ground());
        let why = live.session.release_reason();
        match ground.check_outside().and_then(|()| live.end(why.clone(), HookTime::Own)) {
            Ok(placed) => {
                let ticket = ground.settle(placed, live.lock().base.lsn.into());
                live.shared.gone.lock().push(live.gone(why, placed));
                ground.ring();
                ticket
            }
            Err(e) => Ticket::answered(Err(e)),
        }
    }

    /// Whether the session stands: changes are taken.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.live().check().is_ok()
    }

    /// Why the session is over, or ending; `None`: it stands.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        self.live().ended()
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.live().key
    }

    /// The number that fences its session.
    #[must_use]
    pub fn token(&self) -> Token {
        self.live().session.token()
    }

    /// Bytes that the present state is stored in.
    #[must_use]
    pub fn size(&self) -> usize {
        self.live().lock().bytes
    }

    /// Engine time at which the document came to be, microseconds since 1970.
    #[must_use]
    pub fn created_us(&self) -> u64 {
        self.live().lock().base.head.created_us
    }

    /// Engine time at which `on_absent` gave the document, microseconds since 1970; `None`: it did not.
    #[must_use]
    pub fn imported_us(&self) -> Option<u64> {
        self.live().lock().base.schema.imported_us
    }

    /// The users whose data the document is.
    #[must_use]
    pub fn user_ids(&self) -> Vec<UserId> {
        self.live().lock().base.head.attributes.user_ids().to_vec()
    }

    /// Names and texts kept beside the document.
    #[must_use]
    pub fn meta(&self) -> BTreeMap<String, String> {
        self.live().lock().base.head.attributes.meta().clone()
    }

    /// The document is this user's too. Durable on return, with the present state.
    ///
    /// # Errors
    ///
    /// As [`Profile::save`]; [`ErrorKind::TooLarge`]: too many user ids.
    #[doc(alias = "AddUserId")]
    pub fn add_user_id(&self, user: impl Into<UserId>) -> Result<Version> {
        let user = user.into();
        self.relabel(|attributes| {
            let mut ids = attributes.user_ids().to_vec();
            ids.push(user.clone());
            attributes.with_user_ids(ids)
        })
    }

    /// The document is not this user's any more. Durable on return, with the present state.
    ///
    /// # Errors
    ///
    /// As [`Profile::save`].
    #[doc(alias = "RemoveUserId")]
    pub fn remove_user_id(&self, user: impl Into<UserId>) -> Result<Version> {
        let user = user.into();
        self.relabel(|attributes| {
            let mut ids = attributes.user_ids().to_vec();
            ids.retain(|id| *id != user);
            attributes.with_user_ids(ids)
        })
    }

    /// A text kept beside the document; `None` takes it away. Durable on return, with the present state.
    ///
    /// # Errors
    ///
    /// As [`Profile::save`]; [`ErrorKind::TooLarge`]: too much metadata.
    pub fn set_meta(&self, name: &str, text: Option<&str>) -> Result<Version> {
        self.relabel(|attributes| match text {
            Some(text) => attributes.with_meta(name, text),
            None => attributes.without_meta(name),
        })
    }
}

impl<T: Playable> fmt::Debug for Profile<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Profile({:?})", self.live())
    }
}
