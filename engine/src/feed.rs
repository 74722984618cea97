//! Corridor: the change feed: every commit, in the order of the log, as it becomes durable.
//!
//! A feed holds nothing: no file, no snapshot, no queue. It remembers a place in the log and reads on when it is asked.
//! So a slow reader blocks nobody, and one that comes too late is told, never served with a gap.

use std::collections::HashMap;
use std::fmt;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use savehold_wal::{Followed, Follower, Lsn};

use crate::at::At;
use crate::change::Entry;
use crate::core::Core;
use crate::error::{Error, ErrorKind, Next, Result};
use crate::form::Form;
use crate::horizon::before;
use crate::ids::{CollectionId, Token, Version};
use crate::index::{Kind, Place, VersionRef};
use crate::key::{Key, KeyRef};
use crate::pattern::Pattern;
use crate::record::{Cause, Effect, Head, HeadEntry};
use crate::share::Share;
use crate::value::Value;

/// One commit, as the feed hands it out.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Commit {
    /// Its version, which every key that it wrote has. A feed from this version on begins with the next commit.
    pub version: Version,
    /// Engine time, microseconds since 1970.
    pub time_us: u64,
    /// A call asked for it; otherwise the autosave wrote it.
    pub explicit: bool,
    /// The build and node that wrote it, where the process had given them.
    pub origin: Option<String>,
    /// Its idempotency id.
    pub id: Option<Vec<u8>>,
    /// The lease under which it was written.
    pub token: Option<Token>,
    /// What it did to the keys that the feed is about, in the order in which it was written.
    pub changes: Vec<KeyChange>,
}

/// What a commit did to one key.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct KeyChange {
    /// The name of the collection.
    pub collection: String,
    /// The key.
    pub key: Key,
    /// The commit removed it.
    pub removed: bool,
    /// Bytes of the value with its attributes, as stored.
    pub bytes: u32,
    /// What stands there from this commit on; `None` where it was removed, and unless [`Changes::values`] asks for it.
    pub new: Option<Entry<Value>>,
    /// What stood there before; `None` where nothing did, and unless [`Changes::old_values`] asks for it.
    pub old: Option<Entry<Value>>,
}

/// The commits from a moment on: those that there are, then each one as it becomes durable.
///
/// As an iterator it waits for the next one and ends only where [`Changes::until`] says so, after an error behind which the
/// feed is over, or with the store. To process each commit exactly once, keep [`Commit::version`] with what was
/// made of it and begin there again.
///
/// ```
/// # fn main() -> savehold::Result<()> {
/// # let store = savehold::Store::in_memory()?;
/// use savehold::At;
///
/// let coins = store.collection::<u64>("coins")?;
/// let first = coins.set("42", &100)?;
/// coins.set("42", &250)?;
/// for commit in store.changes(first)?.collection("coins").values().until(At::Now)? {
///     let commit = commit?;
///     let now = commit.changes[0].new.as_ref();
///     assert_eq!(now.and_then(|entry| entry.value.as_i64()), Some(250));
/// }
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Changes {
    core: Share,
    follower: Follower,
    wanted: Wanted,
    names: Names,
    /// A record that was taken from the follower and could not be looked at.
    pending: Option<Followed>,
    until: Lsn,
    over: bool,
    /// Whoever closes the store waits for it.
    at_desk: bool,
}

/// Which commits, and how much of them.
#[derive(Default)]
struct Wanted {
    collection: Option<String>,
    prefix: Vec<u8>,
    key: Option<Key>,
    origin: Option<Pattern>,
    new: bool,
    old: bool,
}

/// Names that were looked up. Numbers are never given to another name.
#[derive(Default)]
struct Names {
    collections: HashMap<u32, String>,
    origins: HashMap<u32, String>,
}

impl Changes {
    pub(crate) fn new(core: Share, at: &At) -> Result<Self> {
        let moment = core.place_asked(at)?;
        let from = Lsn::from_raw(moment.raw() + 1); // behind nothing stands the first that ever was, kept whole or not
        let follower = core.wal.follow(from);
        let (wanted, names) = (Wanted::default(), Names::default());
        Ok(Self {
            core,
            follower,
            wanted,
            names,
            pending: None,
            until: Lsn::MAX,
            over: false,
            at_desk: false,
        })
    }

    /// The same, for somebody at the desk: it is over as soon as the store is about to be closed, and not with its last commit.
    pub(crate) fn at_desk(self) -> Self {
        Self { at_desk: true, ..self }
    }

    /// Only what was done to keys of this collection, which need not be there yet.
    pub fn collection(mut self, name: impl Into<String>) -> Self {
        self.wanted.collection = Some(name.into());
        self
    }

    /// Only what was done to keys that begin with `prefix`.
    pub fn prefix(mut self, prefix: impl AsRef<[u8]>) -> Self {
        self.wanted.prefix = prefix.as_ref().to_vec();
        self
    }

    /// Only what was done to this key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`], [`ErrorKind::TooLarge`]: no key.
    pub fn key<'k>(mut self, key: impl Into<KeyRef<'k>>) -> Result<Self> {
        self.wanted.key = Some(key.into().to_key()?);
        Ok(self)
    }

    /// Only commits of this origin; a `*` in it stands for any run of characters.
    pub fn origin(mut self, pattern: impl Into<String>) -> Self {
        self.wanted.origin = Some(Pattern::new(pattern));
        self
    }

    /// With the values that were written.
    pub fn values(mut self) -> Self {
        self.wanted.new = true;
        self
    }

    /// With the values that stood there before.
    pub fn old_values(mut self) -> Self {
        self.wanted.old = true;
        self
    }

    /// Ends with the last commit at or before this moment.
    ///
    /// # Errors
    ///
    /// As [`Store::snapshot_at`](crate::Store::snapshot_at).
    pub fn until(mut self, at: impl Into<At>) -> Result<Self> {
        self.until = self.core.place_asked(&at.into())?;
        Ok(self)
    }

    /// Everything up to here was handed out, or is nothing that this feed is about: a feed from here on misses nothing.
    #[must_use]
    pub fn cursor(&self) -> Version {
        before(self.place()).min(self.core.sequenced()).into() // behind the last commit may stand padding
    }

    /// The next commit, if one is durable by now; `None` also where the feed is over.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Gone`]: commits here are no longer kept whole; [`Error::oldest`] says from where on they are. The
    ///   feed is over.
    /// - [`ErrorKind::Damaged`], [`ErrorKind::Decode`]: a value of the commit [`Error::version`] cannot be read; the next
    ///   call goes on behind it.
    /// - [`ErrorKind::Busy`], [`ErrorKind::Io`]: the commit [`Error::version`] could not be looked at now; the next call looks at
    ///   it again. A feed from that version on goes on behind it.
    /// - [`ErrorKind::Corrupt`], [`ErrorKind::Closed`], [`ErrorKind::Halted`]: the feed is over.
    pub fn try_next(&mut self) -> Result<Option<Commit>> {
        while !self.ended() {
            if self.at_desk {
                self.core.check_closing()?;
            }
            let next = self.pending.take().map_or_else(|| self.follower.try_next(), |next| Ok(Some(next)));
            let followed = match next {
                Ok(Some(followed)) if followed.lsn <= self.until => followed,
                Ok(Some(_)) => break,
                Ok(None) => return Ok(None),
                Err(e) => return Err(self.end(e)),
            };
            match self.commit(&followed) {
                Ok(Some(commit)) => return Ok(Some(commit)),
                Ok(None) => {}
                Err(e) if e.kind() == ErrorKind::Gone => return Err(self.gone(followed.lsn)),
                Err(e) => {
                    let e = e.at(followed.lsn.into());
                    // where nothing is wrong with the record itself, it is the next one still
                    self.over |= e.next() == Next::Reopen;
                    self.pending = Some(followed).filter(|_| matches!(e.next(), Next::Retry | Next::Reopen));
                    return Err(e);
                }
            }
        }
        self.over = true;
        Ok(None)
    }

    /// The next commit, waited for; `None` where there is none within `timeout`, or where the feed is over.
    ///
    /// # Errors
    ///
    /// As [`Changes::try_next`].
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Commit>> {
        let clock = self.core.wal.env().clock.clone();
        let deadline = clock.monotonic().saturating_add(timeout);
        loop {
            if let Some(commit) = self.try_next()? {
                return Ok(Some(commit));
            }
            let left = deadline.saturating_sub(clock.monotonic());
            if left.is_zero() || self.ended() || !self.follower.wait(Some(left)) {
                return Ok(None);
            }
        }
    }

    /// The next commit, as a future on any executor; dropping it misses nothing.
    pub async fn next_async(&mut self) -> Option<Result<Commit>> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// What a stream asks for: `futures::stream::poll_fn(move |cx| changes.poll_next(cx))` is one.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Commit>>> {
        loop {
            match self.try_next() {
                Ok(None) if self.ended() => return Poll::Ready(None),
                Ok(None) => ready!(self.follower.poll_more(cx)),
                answer => return Poll::Ready(answer.transpose()),
            }
        }
    }

    /// The last place that it is about; `None` where it goes on with the store.
    pub(crate) fn ends(&self) -> Option<Version> {
        // A time may lie behind the newest commit: there is no version to name there.
        (self.until != Lsn::MAX).then(|| self.until.min(self.core.sequenced()).into())
    }

    /// Whether nothing will follow.
    pub(crate) fn ended(&self) -> bool {
        self.over || self.place() > self.until
    }

    /// Everything before it was handed out, or passed over.
    fn place(&self) -> Lsn {
        self.pending.as_ref().map_or_else(|| self.follower.place(), |followed| followed.lsn)
    }

    fn end(&mut self, e: savehold_wal::Error) -> Error {
        self.over = true;
        match (e.kind(), e.lsn()) {
            (savehold_wal::ErrorKind::Gone, Some(complete)) => self.gone_before(complete),
            _ => e.into(),
        }
    }

    /// A value went between the look at its record and the look at itself: what was behind the cursor was given up.
    fn gone(&mut self, lsn: Lsn) -> Error {
        self.over = true;
        let whole = Lsn::from_raw(self.core.moments.terms().whole().raw().saturating_add(1));
        let from = if self.wanted.old { whole } else { Lsn::NONE };
        self.gone_before(self.core.wal.complete().max(lsn).max(from))
    }

    /// Behind a repair what is whole may begin behind the newest commit: that is what can be asked for.
    fn gone_before(&self, complete: Lsn) -> Error {
        gone(complete.min(Lsn::from_raw(self.core.sequenced().raw().saturating_add(1))))
    }

    /// What a record says, if the feed is about it.
    fn commit(&mut self, followed: &Followed) -> Result<Option<Commit>> {
        self.core.wait_until_shown(followed.lsn); // who hears of it finds it
        let head = Head::decode(&followed.head)?;
        let mut wanted = Vec::new();
        for entry in head.entries() {
            let entry = entry?;
            if !entry.collection.is_reserved() && self.wanted.has(entry.key) {
                let name = self.names.collection(&self.core, entry.collection)?;
                if self.wanted.collection.as_ref().is_none_or(|wanted| *wanted == name) {
                    wanted.push((name, entry));
                }
            }
        }
        if wanted.is_empty() {
            return Ok(None);
        }
        let origin = self.names.origin(&self.core, head.author.origin)?;
        if let Some(pattern) = &self.wanted.origin
            && !origin.as_deref().is_some_and(|origin| pattern.matches(origin))
        {
            return Ok(None);
        }
        let changes = wanted.into_iter().map(|(name, entry)| self.change(followed, name, &entry));
        Ok(Some(Commit {
            version: followed.lsn.into(),
            time_us: followed.time_us,
            explicit: head.author.cause == Cause::Explicit,
            origin,
            id: head.author.id.map(<[u8]>::to_vec),
            token: head.author.token,
            changes: changes.collect::<Result<_>>()?,
        }))
    }

    fn change(&self, followed: &Followed, collection: String, entry: &HeadEntry<'_>) -> Result<KeyChange> {
        let key = Key::new(entry.key)?;
        let lsn = followed.lsn;
        let named = |e: Error| e.within(format_args!("{collection}/{key}")).at(lsn.into());
        let part = match entry.effect {
            Effect::Put(part) => Some(part),
            Effect::Remove => None,
        };
        let new = match part.filter(|_| self.wanted.new) {
            Some(part) => {
                let place = Place { offset: followed.body_offset + part.offset, bytes: part.bytes };
                let stored =
                    self.core.stored(VersionRef { lsn, place, kind: Kind::Put, cause: Cause::Explicit });
                Some(stored.and_then(|stored| Form::ANY.entry(key.clone(), stored)).map_err(named)?)
            }
            None => None,
        };
        let old = match self.wanted.old {
            true => {
                let seen = self.core.read(entry.collection, entry.key, before(lsn)).map_err(named)?;
                seen.stored.map(|stored| Form::ANY.entry(key.clone(), stored)).transpose().map_err(named)?
            }
            false => None,
        };
        let (removed, bytes) = (part.is_none(), part.map_or(0, |part| part.bytes));
        Ok(KeyChange { collection, key, removed, bytes, new, old })
    }
}

impl Wanted {
    fn has(&self, key: &[u8]) -> bool {
        key.starts_with(&self.prefix) && self.key.as_ref().is_none_or(|only| only.as_bytes() == key)
    }
}

impl Iterator for Changes {
    type Item = Result<Commit>;

    fn next(&mut self) -> Option<Result<Commit>> {
        loop {
            match self.try_next() {
                Ok(None) if self.ended() || !self.follower.wait(None) => return None,
                Ok(None) => {}
                answer => return answer.transpose(),
            }
        }
    }
}

impl Names {
    fn collection(&mut self, core: &Core, id: CollectionId) -> Result<String> {
        if !self.collections.contains_key(&id.0) {
            let all = core.collections(Lsn::MAX)?;
            self.collections.extend(all.into_iter().map(|(name, id)| (id.0, name)));
        }
        Ok(self.collections.entry(id.0).or_insert_with(|| id.to_string()).clone())
    }

    fn origin(&mut self, core: &Core, number: u32) -> Result<Option<String>> {
        if number == 0 {
            return Ok(None);
        }
        if !self.origins.contains_key(&number) {
            self.origins.extend(core.origin_text(number)?.map(|text| (number, text)));
        }
        Ok(self.origins.get(&number).cloned())
    }
}

fn gone(complete: Lsn) -> Error {
    let oldest = Version::from(before(complete));
    let say = format!(
        "commits from here on are no longer kept whole: read the present state, then the changes from version {oldest} on"
    );
    Error::new(ErrorKind::Gone, say).or_from(oldest)
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Changes({})", self.cursor())
    }
}
