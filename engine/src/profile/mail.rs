//! Corridor: mail to profiles: sent to whom it may concern, there or not, taken in the commit of its effect.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ground::Ground;
use super::handle::Profile;
use super::playable::Playable;
use super::profiles::Profiles;
use crate::change::Once;
use crate::error::Result;
use crate::ids::Version;
use crate::key::KeyRef;
use crate::planted::{self, Fault};
use crate::txn::{Done, Tx};
use crate::value::{Value, codec};

/// A message that waits in a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Letter {
    /// Its number in the mailbox: larger than that of every message before it, never used again.
    pub number: u64,
    /// Engine time at which it was sent, microseconds since 1970.
    pub sent_us: u64,
    /// What was sent.
    pub value: Value,
}

impl Tx<'_> {
    /// Sends a message to a profile: in play, absent, or never seen. It is taken in the order of sending, once, in the
    /// commit of its effect.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::MailboxFull`](crate::ErrorKind::MailboxFull): 1,000 messages wait there; nothing is dropped for it.
    /// [`ErrorKind::Encode`](crate::ErrorKind::Encode), [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge).
    pub fn send<'k, T: Playable, M: Serialize + ?Sized>(
        &self,
        profiles: &Profiles<T>,
        key: impl Into<KeyRef<'k>>,
        message: &M,
    ) -> Result<()> {
        let (key, ground) = (key.into(), &profiles.0.ground);
        let mut bytes = Vec::new();
        let format = codec::encode(message, &mut bytes).map_err(|e| ground.named(&key, e))?;
        ground.send(self, &key, (format, bytes.into()))
    }
}

impl<T: Playable> Profiles<T> {
    /// Sends a message to a profile: in play, absent, or never seen. Durable on return.
    ///
    /// # Errors
    ///
    /// As [`Tx::send`].
    #[doc(alias = "MessageAsync")]
    #[doc(alias = "GlobalUpdateProfileAsync")]
    pub fn send<'k, M: Serialize + ?Sized>(
        &self,
        key: impl Into<KeyRef<'k>>,
        message: &M,
    ) -> Result<Version> {
        let key = key.into();
        let sent = self.0.ground.transaction(None, |tx| tx.send(self, key.clone(), message))?;
        Ok(version_of(sent))
    }

    /// [`Profiles::send`], done once for each id, with the player in it: see [`Store::transaction_once`](crate::Store::transaction_once).
    ///
    /// # Errors
    ///
    /// As [`Tx::send`].
    pub fn send_once<'k, M: Serialize + ?Sized>(
        &self,
        id: impl AsRef<[u8]>,
        key: impl Into<KeyRef<'k>>,
        message: &M,
    ) -> Result<Once<Version>> {
        let key = key.into();
        let ground = &self.0.ground;
        let sent = ground.transaction(Some(id.as_ref()), |tx| tx.send(self, key.clone(), message))?;
        Ok(sent.map(|done| done.version))
    }

    /// Messages that wait for a profile.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Damaged`](crate::ErrorKind::Damaged), [`ErrorKind::Io`](crate::ErrorKind::Io).
    pub fn mail_count<'k>(&self, key: impl Into<KeyRef<'k>>) -> Result<u64> {
        let key = key.into();
        let counted = self.0.ground.transaction(None, |tx| self.0.ground.count_mail(tx, &key))?;
        Ok(match counted {
            Once::Now(done) => done.value,
            Once::Before(_) => unreachable!("only a call with an id is done once"),
        })
    }

    /// The message that is taken next, without taking it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Damaged`](crate::ErrorKind::Damaged): it cannot be read: [`Profiles::discard`] takes it out.
    pub fn next_letter<'k>(&self, key: impl Into<KeyRef<'k>>) -> Result<Option<Letter>> {
        let (key, ground) = (key.into(), &self.0.ground);
        let seen = ground.transaction(None, |tx| -> Result<Option<Letter>> {
            let Some(message) = ground.first_mail(tx, &key)? else { return Ok(None) };
            let value = codec::view(message.format, &message.value).map_err(|e| ground.named(&key, e))?;
            Ok(Some(Letter { number: message.seq, sent_us: message.sent_us, value }))
        })?;
        Ok(match seen {
            Once::Now(done) => done.value,
            Once::Before(_) => unreachable!("only a call with an id is done once"),
        })
    }

    /// Takes a message out that nobody takes, a damaged one too, by its number; the mailbox's history keeps the reason.
    /// Answers whether it stood there. Durable on return.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge): the reason has more than 256 bytes.
    pub fn discard<'k>(&self, key: impl Into<KeyRef<'k>>, number: u64, reason: &str) -> Result<bool> {
        let (key, ground) = (key.into(), &self.0.ground);
        let done = ground.transaction(None, |tx| ground.discard_mail(tx, &key, number, reason))?;
        Ok(matches!(done, Once::Now(Done { value: true, .. })))
    }
}

impl<T: Playable> Profile<T> {
    /// Takes the next message: `f` gives it its effect, and both are one commit. Durable on return; `false`: there was no
    /// message.
    ///
    /// `f` runs again where the profile changed meanwhile.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Decode`](crate::ErrorKind::Decode): it is no `M`; it stays the next one, until another type takes it
    /// ([`Value`] takes any) or [`Profiles::discard`] does. Otherwise as [`Profile::update_once`].
    #[doc(alias = "MessageHandler")]
    pub fn receive<M: DeserializeOwned, R>(&self, mut f: impl FnMut(&mut T, M) -> R) -> Result<bool> {
        let (live, ground) = (self.live(), &self.live().shared.ground);
        let mut apart = None;
        let done = ground.transaction(None, |tx| -> Result<bool> {
            let key = KeyRef::from(&live.key);
            let mut document = tx.edit(self)?;
            let Some(message) = ground.take_mail(tx, &key)? else { return Ok(false) };
            let decoded: M = codec::decode(message.format, &message.value).map_err(|e| live.named(e))?;
            if planted::has(Fault::MailApart) {
                apart = Some(decoded);
            } else {
                f(&mut document, decoded);
            }
            Ok(true)
        })?;
        if let Some(decoded) = apart {
            self.update(|document| f(document, decoded))?;
        }
        Ok(matches!(done, Once::Now(Done { value: true, .. })))
    }

    /// Messages that wait.
    ///
    /// # Errors
    ///
    /// As [`Profiles::mail_count`].
    pub fn mail_count(&self) -> Result<u64> {
        Profiles(self.live().shared.clone()).mail_count(&self.live().key)
    }
}

fn version_of<R>(done: Once<Done<R>>) -> Version {
    match done {
        Once::Now(done) => done.version,
        Once::Before(version) => version,
    }
}
