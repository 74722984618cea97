//! Corridor: what is different between two moments, key by key.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Bound;

use savehold_wal::Lsn;

use crate::change::Entry;
use crate::error::{Error, Result};
use crate::form::Form;
use crate::ids::{CollectionId, Version};
use crate::index::{Direction, Kind, VersionRef};
use crate::key::{Key, KeyRef};
use crate::range::OwnRange;
use crate::snapshot::Snapshot;
use crate::value::Value;

/// Keys that are looked at at a time.
const PAGE: usize = 256;

/// A key that is not the same at two moments.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Difference {
    /// The name of the collection.
    pub collection: String,
    /// The key.
    pub key: Key,
    /// What stood there at the first moment; `None` where nothing did.
    pub old: Option<Entry<Value>>,
    /// What stood there at the second one.
    pub new: Option<Entry<Value>>,
}

/// The keys that are not the same at two moments: by collection, then by key, in order. Both moments are held.
///
/// ```
/// # fn main() -> savehold::Result<()> {
/// # let store = savehold::Store::in_memory()?;
/// use savehold::At;
///
/// let coins = store.collection::<u64>("coins")?;
/// let before = coins.set("42", &100)?;
/// coins.set("42", &0)?;
/// for difference in store.diff(before, At::Now)?.collection("coins") {
///     println!("{}", difference?.key);
/// }
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Diff {
    from: Snapshot,
    to: Snapshot,
    only: Option<String>,
    range: OwnRange,
    behind: Option<(String, Key)>,
    /// What is still to be gone through; `None` before the first step.
    collections: Option<VecDeque<(String, CollectionId)>>,
    after: Option<Vec<u8>>,
    found: VecDeque<Differs>,
    read_bytes: u64,
    /// Whoever closes the store waits for it.
    at_desk: bool,
}

/// A key with its versions at the older and the newer moment.
struct Differs {
    collection: String,
    key: Key,
    older: Option<VersionRef>,
    newer: Option<VersionRef>,
}

impl Diff {
    pub(crate) fn new(from: Snapshot, to: Snapshot) -> Self {
        let range = OwnRange { from: Bound::Unbounded, to: Bound::Unbounded, prefix: Vec::new() };
        Self {
            from,
            to,
            only: None,
            range,
            behind: None,
            collections: None,
            after: None,
            found: VecDeque::new(),
            read_bytes: 0,
            at_desk: false,
        }
    }

    /// The same, for somebody at the desk: it answers [`ErrorKind::Closed`](crate::ErrorKind::Closed) as soon as the store is
    /// about to be closed.
    pub(crate) fn at_desk(self) -> Self {
        Self { at_desk: true, ..self }
    }

    /// Only keys of this collection.
    pub fn collection(mut self, name: impl Into<String>) -> Self {
        self.only = Some(name.into());
        self
    }

    /// Only keys that begin with `prefix`.
    pub fn prefix(mut self, prefix: impl AsRef<[u8]>) -> Self {
        self.range.prefix = prefix.as_ref().to_vec();
        self
    }

    /// Only this key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge): no key.
    pub fn key<'k>(mut self, key: impl Into<KeyRef<'k>>) -> Result<Self> {
        let key = key.into().to_key()?.as_bytes().to_vec();
        let behind = key.iter().copied().chain([0]).collect();
        self.range.from = Bound::Included(key);
        self.range.to = Bound::Excluded(behind);
        Ok(self)
    }

    /// Only what comes behind this key of this collection: to go on where another one, of the same moments, was left.
    pub fn after(mut self, collection: impl Into<String>, key: &Key) -> Self {
        self.behind = Some((collection.into(), key.clone()));
        self
    }

    /// The first moment: the one that is kept and was asked for, or the kept one before.
    #[must_use]
    pub fn from(&self) -> Version {
        self.from.version()
    }

    /// The second moment.
    #[must_use]
    pub fn to(&self) -> Version {
        self.to.version()
    }

    /// Stored bytes of the values that were read so far.
    pub(crate) fn read_bytes(&self) -> u64 {
        self.read_bytes
    }

    fn step(&mut self) -> Result<Option<Difference>> {
        loop {
            while let Some(differs) = self.found.pop_front() {
                self.check_closing()?;
                if let Some(difference) = self.read(differs)? {
                    return Ok(Some(difference));
                }
            }
            self.check_closing()?;
            if !self.look()? {
                return Ok(None);
            }
        }
    }

    fn check_closing(&self) -> Result<()> {
        if self.at_desk { self.to.core().check_closing() } else { Ok(()) }
    }

    /// Goes through the next page of keys; false where there is none.
    fn look(&mut self) -> Result<bool> {
        let (older, newer) = (self.moments().0, self.moments().1);
        if self.collections.is_none() {
            let all = self.to.core().collections(newer)?;
            let wanted =
                all.into_iter().filter(|(name, _)| self.only.as_ref().is_none_or(|only| only == name));
            let mut wanted: VecDeque<_> = wanted.collect();
            if let Some((collection, key)) = self.behind.take() {
                let at = wanted.iter().position(|(name, _)| *name == collection).unwrap_or(wanted.len());
                wanted.drain(..at);
                self.after = Some(key.as_bytes().to_vec());
            }
            self.collections = Some(wanted);
        }
        let collections = self.collections.get_or_insert_default();
        let Some((name, id)) = collections.front().cloned() else { return Ok(false) };
        let core = self.to.core();
        let (range, after) = (self.range.borrow(), self.after.as_deref());
        let page = core.range(id, range, after, newer, PAGE, Direction::Ascending);
        let page = match page.and_then(|page| core.check_whole(id, older).map(|()| page)) {
            Ok(page) => page,
            Err(e) => {
                collections.pop_front(); // the others may be whole
                self.after = None;
                return Err(e.within(name));
            }
        };
        for (key, version) in page.iter() {
            let before =
                if version.lsn <= older { Some(version) } else { core.index.at(id.0, key, older)? };
            let value = |version: Option<VersionRef>| version.filter(|version| version.kind == Kind::Put);
            let (before, now) = (value(before), value(Some(version)));
            if before.map(|v| v.lsn) != now.map(|v| v.lsn) {
                let key = Key::new(key)?;
                self.found.push_back(Differs { collection: name.clone(), key, older: before, newer: now });
            }
        }
        if page.len() == PAGE {
            self.after = page.last_key().map(<[u8]>::to_vec);
        } else {
            collections.pop_front();
            self.after = None;
        }
        Ok(true)
    }

    /// Reads both values; `None` where another version says the same.
    fn read(&mut self, differs: Differs) -> Result<Option<Difference>> {
        let Differs { collection, key, older, newer } = differs;
        self.read_bytes +=
            [older, newer].iter().flatten().map(|version| u64::from(version.place.bytes)).sum::<u64>();
        let entry = |version: Option<VersionRef>| -> Result<Option<Entry<Value>>> {
            let Some(version) = version else { return Ok(None) };
            let stored = self.to.core().stored(version);
            let entry = stored.and_then(|stored| Form::ANY.entry(key.clone(), stored));
            entry
                .map(Some)
                .map_err(|e: Error| e.within(format_args!("{collection}/{key}")).at(version.lsn.into()))
        };
        let (older, newer) = (entry(older)?, entry(newer)?);
        let says =
            |entry: &Option<Entry<Value>>| entry.as_ref().map(|e| (e.value.clone(), e.attributes.clone()));
        if says(&older) == says(&newer) {
            return Ok(None);
        }
        let forward = self.from.version() <= self.to.version();
        let (old, new) = if forward { (older, newer) } else { (newer, older) };
        Ok(Some(Difference { collection, key, old, new }))
    }

    /// The older moment, then the newer one.
    fn moments(&self) -> (Lsn, Lsn) {
        let (from, to) = (self.from.version().lsn(), self.to.version().lsn());
        (from.min(to), from.max(to))
    }
}

impl Iterator for Diff {
    type Item = Result<Difference>;

    fn next(&mut self) -> Option<Result<Difference>> {
        self.step().transpose()
    }
}

impl fmt::Debug for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Diff({}, {})", self.from.version(), self.to.version())
    }
}
