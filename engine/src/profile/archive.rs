//! Corridor: profiles that nobody need play: looked at, as they were, edited, restored, wiped, migrated.

use std::fmt;
use std::ops::ControlFlow;

use super::adjust::Adjustment;
use super::ground::Ground;
use super::playable::Playable;
use super::profiles::Profiles;
use super::rules::Loaded;
use super::shared::Shared;
use super::start::{Asked, encoded};
use crate::at::At;
use crate::attributes::Attributes;
use crate::change::Once;
use crate::error::{Error, ErrorKind, Result};
use crate::format::Format;
use crate::ids::Version;
use crate::key::{Key, KeyRef};
use crate::lease::Ended;
use crate::listing::Versions;
use crate::modify::Wanted;
use crate::table::VersionInfo;
use crate::txn::{Done, Tx};

/// A profile as it stands in the store, seen without a session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct View<T> {
    /// Its key.
    pub key: Key,
    /// The document, migrated and filled in as a session would have it; nothing of that is written.
    pub value: T,
    /// The commit that wrote it.
    pub version: Version,
    /// Engine time at which the document came to be, microseconds since 1970.
    pub created_us: u64,
    /// User ids and metadata.
    pub attributes: Attributes,
    /// Engine time at which `on_absent` gave it, microseconds since 1970; `None`: it did not.
    pub imported_us: Option<u64>,
}

/// What a session on a key would do to its document.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DryRun<T> {
    /// The document as the session would have it.
    pub value: T,
    /// What loading would change, and what it would leave although it does not fit, one sentence each.
    pub changes: Vec<Adjustment>,
    /// Whether loading would write it.
    pub writes: bool,
}

/// What a restore of one profile did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoredProfile {
    /// The new version, which has the old state.
    pub version: Version,
    /// The version whose state it is.
    pub from: Version,
    /// What came between and is undone, newest first: whose idempotency ids say which receipts to grant again by hand. Of one
    /// whose record cannot be read stand there version, size and, where another tells it, the time.
    pub undone: Vec<VersionInfo>,
    /// The holder whose session ended by it.
    pub ended: Option<String>,
}

/// What became of the documents of a collection.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Migrated {
    /// Documents that were brought up to date.
    pub changed: u64,
    /// Documents that needed nothing.
    pub unchanged: u64,
    /// Documents that somebody plays: their sessions bring them up to date.
    pub in_play: u64,
    /// Documents that cannot be loaded, and why; they stand unchanged.
    pub failed: Vec<(Key, Error)>,
    /// The last key that was looked at, where it was stopped: go on behind it.
    pub stopped_at: Option<Key>,
}

impl<T: Playable> Profiles<T> {
    /// The profile of a key at a moment, seen without a session; `None`: there was none. [`At::Version`] is exactly that
    /// version. Never waits for anybody, and writes nothing.
    ///
    /// Of a profile in play it is what the store holds: changes that are not saved yet are not in it.
    ///
    /// # Errors
    ///
    /// As [`Profiles::start`], for documents that cannot be loaded; [`ErrorKind::Gone`]: there is no such version.
    #[doc(alias = "ViewProfileAsync")]
    #[doc(alias = "GetVersionAsync")]
    pub fn view<'k>(&self, key: impl Into<KeyRef<'k>>, at: impl Into<At>) -> Result<Option<View<T>>> {
        let (key, ground) = (key.into(), &self.0.ground);
        let Some(stored) = ground.get_at(&key, &at.into())? else { return Ok(None) };
        let loaded = self.0.rules.load(&stored.entry).map_err(|e| ground.named(&key, e))?;
        Ok(Some(View {
            key: key.to_key()?,
            value: loaded.value,
            version: stored.lsn.into(),
            created_us: stored.entry.head.created_us,
            attributes: stored.entry.head.attributes,
            imported_us: loaded.schema.imported_us,
        }))
    }

    /// Every version of a profile, newest first, with who wrote it.
    ///
    /// # Errors
    ///
    /// As [`Collection::versions`](crate::Collection::versions).
    #[doc(alias = "ProfileVersionQuery")]
    pub fn versions<'k>(&self, key: impl Into<KeyRef<'k>>) -> Result<Versions> {
        self.0.ground.versions(&key.into())
    }

    /// What a session on a key would do to its document. Writes nothing, and asks `on_absent` nothing.
    ///
    /// # Errors
    ///
    /// As [`Profiles::start`], for documents that cannot be loaded.
    pub fn dry_run<'k>(&self, key: impl Into<KeyRef<'k>>) -> Result<DryRun<T>> {
        let (key, ground) = (key.into(), &self.0.ground);
        let stored = ground.get(&key)?;
        let loaded = match stored {
            Some(stored) => self.0.rules.load(&stored.entry),
            None => self.0.rules.first(None, ground.time_us()),
        };
        let Loaded { value, changes, store, .. } = loaded.map_err(|e| ground.named(&key, e))?;
        Ok(DryRun { value, changes, writes: store.is_some() })
    }

    /// Changes a profile that nobody plays, or creates it, as a session would: migrated, filled in, checked. Durable on
    /// return.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Leased`]: somebody plays it: the error names the holder. Otherwise as [`Profiles::start`] and
    /// [`Profile::update`](super::Profile::update).
    pub fn edit<'k, R>(&self, key: impl Into<KeyRef<'k>>, f: impl FnMut(&mut T) -> R) -> Result<Done<R>> {
        match self.edit_by(None, key.into(), f)? {
            Once::Now(done) => Ok(done),
            Once::Before(_) => unreachable!("only a call with an id is done once"),
        }
    }

    /// [`Profiles::edit`], done once for each id, with the player in it: see [`Store::transaction_once`](crate::Store::transaction_once).
    ///
    /// # Errors
    ///
    /// As [`Profiles::edit`].
    pub fn edit_once<'k, R>(
        &self,
        id: impl AsRef<[u8]>,
        key: impl Into<KeyRef<'k>>,
        f: impl FnMut(&mut T) -> R,
    ) -> Result<Once<Done<R>>> {
        self.edit_by(Some(id.as_ref()), key.into(), f)
    }

    fn edit_by<R>(
        &self,
        id: Option<&[u8]>,
        key: KeyRef<'_>,
        mut f: impl FnMut(&mut T) -> R,
    ) -> Result<Once<Done<R>>> {
        let mut asked: Asked<T> = None;
        self.0.ground.transaction(id, |tx| -> Result<R> {
            let loaded = self.0.find_unplayed(tx, &key, &mut asked)?;
            let Loaded { mut value, unknown, schema, .. } = loaded;
            let answer = f(&mut value);
            let named = |e| self.0.ground.named(&key, e);
            self.0.rules.validate(&value).map_err(named)?;
            let encoded = self.0.rules.encode(&value, &unknown, &schema).map_err(named)?;
            let wanted =
                Wanted { schema: Some(encoded.section), ..Wanted::value(encoded.format, encoded.bytes) };
            self.0.write_unplayed(tx, &key, wanted)?;
            Ok(answer)
        })
    }

    /// Puts the state of a moment in place of the present one, as a new version. A session on it ends with
    /// [`Ended::Restored`], in the same commit, and what it had not saved is lost. User ids and metadata stay what they
    /// are now. Durable on return; lists what it undid.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`]: there was no document then. Otherwise as [`Collection::set`](crate::Collection::set).
    #[doc(alias = "OverwriteAsync")]
    pub fn restore<'k>(&self, key: impl Into<KeyRef<'k>>, at: impl Into<At>) -> Result<RestoredProfile> {
        let (key, ground) = (key.into(), &self.0.ground);
        let then = ground.get_at(&key, &at.into())?.ok_or_else(|| ground.named(&key, nothing_then()))?;
        let done = ground.transaction(None, |tx| -> Result<Option<String>> {
            let ended = self.0.end_session_in(tx, &key, Ended::Restored)?;
            let head = &then.entry.head;
            let wanted = Wanted {
                schema: Some(head.schema.clone()),
                ..Wanted::value(head.format, then.entry.value.clone())
            };
            ground.put(tx, &key, wanted)?;
            Ok(ended)
        })?;
        let Once::Now(Done { value: ended, version, .. }) = done else {
            unreachable!("only a call with an id is done once")
        };
        let between = |info: &Result<VersionInfo>| info.as_ref().is_ok_and(|info| info.version >= version);
        let newer = |info: &Result<VersionInfo>| {
            info.as_ref().map_or(true, |info| info.version > Version::from(then.lsn))
        };
        let undone = ground.versions(&key)?.described().skip_while(between).take_while(newer);
        Ok(RestoredProfile { version, from: then.lsn.into(), undone: undone.collect::<Result<_>>()?, ended })
    }

    /// Removes a profile and the messages that wait for it; its history stays readable. A session on it ends with
    /// [`Ended::Erased`], in the same commit. Durable on return; answers whether there was anything.
    ///
    /// Where there ever was a profile, a mark that it was wiped stays for good, when all of its history has lapsed too: whoever
    /// comes back begins with the template, and [`on_absent`](super::Builder::on_absent) is not asked. The mark holds the key
    /// and the time, and nothing of the document.
    ///
    /// # Errors
    ///
    /// As [`Collection::remove`](crate::Collection::remove).
    #[doc(alias = "WipeProfileAsync")]
    #[doc(alias = "RemoveAsync")]
    pub fn wipe<'k>(&self, key: impl Into<KeyRef<'k>>) -> Result<bool> {
        let (key, ground) = (key.into(), &self.0.ground);
        let done = ground.transaction(None, |tx| -> Result<bool> {
            self.0.end_session_in(tx, &key, Ended::Erased)?;
            let mut any = ground.remove(tx, &key)?;
            ground.mark_wiped(tx, &key)?;
            any |= ground.clear_mail(tx, &key, "the profile was wiped")?;
            Ok(any)
        })?;
        Ok(matches!(done, Once::Now(Done { value: true, .. })))
    }

    /// Brings all documents behind `after` up to date that nobody plays: migrations, and what the template fills in, each
    /// document in a commit of its own. `told` hears how far it is after each, and may stop it; it goes on where it was
    /// stopped, and a second run finds nothing to do.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Halted`], [`ErrorKind::Unknown`], [`ErrorKind::Io`], [`ErrorKind::Full`]: the store takes nothing
    /// more; what `told` heard last is done, and is where to go on. What is wrong with one document is in the report.
    pub fn migrate_all(
        &self,
        after: Option<&Key>,
        told: impl FnMut(&Migrated, &Key) -> ControlFlow<()>,
    ) -> Result<Migrated> {
        self.each(after, |key| self.migrate_one(key), told)
    }

    /// What [`Profiles::migrate_all`] would do, as the sessions are now: writes nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`]. What is wrong with one document is in the report.
    pub fn dry_run_all(
        &self,
        after: Option<&Key>,
        told: impl FnMut(&Migrated, &Key) -> ControlFlow<()>,
    ) -> Result<Migrated> {
        self.each(after, |key| self.dry_run_one(key), told)
    }

    /// Whether [`Profiles::migrate_all`] would write a document; what somebody plays it would leave.
    fn dry_run_one(&self, key: &Key) -> Result<bool> {
        let (writes, ground) = (self.dry_run(key)?.writes, &self.0.ground);
        let key = KeyRef::from(key);
        if writes && ground.leased(&ground.full(&key)?).is_some() {
            let say = "somebody plays it: it is left as it is; its next session brings it up to date, or another run does";
            return Err(ground.named(&key, Error::new(ErrorKind::Leased, say)));
        }
        Ok(writes)
    }

    fn each(
        &self,
        after: Option<&Key>,
        one: impl Fn(&Key) -> Result<bool>,
        mut told: impl FnMut(&Migrated, &Key) -> ControlFlow<()>,
    ) -> Result<Migrated> {
        let (mut report, ground) = (Migrated::default(), &self.0.ground);
        for item in ground.list(after) {
            let (key, _) = item?;
            match one(&key) {
                Ok(true) => report.changed += 1,
                Ok(false) => report.unchanged += 1,
                Err(e) if e.kind() == ErrorKind::Leased => report.in_play += 1,
                Err(e) if e.next() == crate::error::Next::Reopen || e.kind() == ErrorKind::Full => {
                    return Err(e);
                }
                Err(e) => report.failed.push((key.clone(), e)),
            }
            if told(&report, &key).is_break() {
                report.stopped_at = Some(key);
                break;
            }
        }
        Ok(report)
    }

    fn migrate_one(&self, key: &Key) -> Result<bool> {
        let (key, ground) = (KeyRef::from(key), &self.0.ground);
        let done = ground.transaction(None, |tx| -> Result<()> {
            let Some(stored) = ground.standing(tx, &key)?.stored else { return Ok(()) };
            let loaded = self.0.rules.load(&stored.entry).map_err(|e| ground.named(&key, e))?;
            let Some(document) = &loaded.store else { return Ok(()) };
            let value = encoded(document).map_err(|e| ground.named(&key, e))?;
            let section = loaded.schema.to_bytes()?;
            let wanted = Wanted { schema: Some(section), ..Wanted::value(Format::MessagePack, value) };
            self.0.write_unplayed(tx, &key, wanted)
        })?;
        Ok(matches!(done, Once::Now(Done { wrote: true, .. })))
    }
}

impl<T: Playable> Shared<T> {
    /// The document of a key that nobody plays, as a session would have it.
    fn find_unplayed(&self, tx: &Tx<'_>, key: &KeyRef<'_>, asked: &mut Asked<T>) -> Result<Loaded<T>> {
        let standing = self.ground.standing(tx, key)?;
        let loaded = match &standing.stored {
            Some(stored) => self.rules.load(&stored.entry),
            None => self.first(tx, &self.ground.key(key)?, standing.lsn, asked),
        };
        loaded.map_err(|e| self.ground.named(key, e))
    }

    /// Writes the document of a key that nobody plays, with the user's tag.
    fn write_unplayed(&self, tx: &Tx<'_>, key: &KeyRef<'_>, wanted: Wanted) -> Result<()> {
        let standing = self.ground.standing(tx, key)?;
        let full = self.ground.key(key)?;
        let user = self.rules.user_id.as_ref().and_then(|user_id| user_id(&full));
        let tag = user.filter(|user| !standing.user_ids().contains(user));
        let user_ids = tag.map(|user| standing.user_ids().iter().cloned().chain([user]).collect());
        self.ground.put(tx, key, Wanted { user_ids, ..wanted })
    }

    /// Ends the session on a key by a transaction's record; answers who had it.
    fn end_session_in(&self, tx: &Tx<'_>, key: &KeyRef<'_>, why: Ended) -> Result<Option<String>> {
        let Some(lease) = self.ground.leased(&self.ground.full(key)?) else { return Ok(None) };
        tx.end_lease(&lease, why);
        Ok(Some(lease.grant.holder.to_string()))
    }
}

#[cold]
fn nothing_then() -> Error {
    let say =
        "there was no document at that moment: nothing was written; `versions` lists those that there are";
    Error::new(ErrorKind::Gone, say)
}

impl fmt::Display for Migrated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { changed, unchanged, in_play, failed, .. } = self;
        write!(
            f,
            "{changed} brought up to date, {unchanged} were, {in_play} in play, {} failed",
            failed.len()
        )
    }
}
