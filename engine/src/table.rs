//! Corridor: a collection without its type: names, moments, pages.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::panic::Location;
use std::sync::{Arc, OnceLock};

use savehold_wal::Lsn;

use crate::at::At;
use crate::core::{Core, Stored, gone};
use crate::error::{Error, ErrorKind, Result};
use crate::horizon::before;
use crate::ids::{CollectionId, Version};
use crate::index::{Kind, Page, VersionRef};
use crate::key::{Key, KeyRef};
use crate::moments::{Held, Hold};
use crate::name::CollectionName;
use crate::range::Range;
use crate::record::{Cause, Head};
use crate::share::Share;

/// Keys that a listing reads at a time.
const PAGE: usize = 256;

/// A collection of an open store.
#[derive(Clone)]
pub(crate) struct Table {
    pub(crate) core: Share,
    pub(crate) name: CollectionName,
    id: Arc<OnceLock<CollectionId>>,
}

impl Table {
    pub(crate) fn new(core: Share, name: CollectionName) -> Self {
        Self { core, name, id: Arc::default() }
    }

    /// One of the store's own collections.
    pub(crate) fn own(core: Share, id: CollectionId, name: &str) -> Self {
        let name = CollectionName::stored(name).expect("the store's own names are good ones");
        Self { core, name, id: Arc::new(OnceLock::from(id)) }
    }

    /// Its number, if anything was ever written to it.
    pub(crate) fn id(&self) -> Result<Option<CollectionId>> {
        if let Some(id) = self.id.get() {
            return Ok(Some(*id));
        }
        let id = self.core.collection_id(&self.name, Lsn::MAX)?;
        Ok(id.map(|id| *self.id.get_or_init(|| id)))
    }

    /// Its number, given to it now if it has none.
    pub(crate) fn ensure_id(&self) -> Result<CollectionId> {
        if let Some(id) = self.id.get() {
            return Ok(*id);
        }
        let id = self.core.ensure_collection(&self.name)?;
        Ok(*self.id.get_or_init(|| id))
    }

    /// The key, to be kept.
    pub(crate) fn key(&self, key: &KeyRef<'_>) -> Result<Key> {
        key.to_key().map_err(|e| e.within(&self.name))
    }

    /// Refuses a collection of another store: its numbers and moments mean nothing in `core`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`].
    pub(crate) fn check_of(&self, core: &Core) -> Result<()> {
        if std::ptr::eq(&**self.core, core) {
            return Ok(());
        }
        let say = "the collection is of another store: take it from the store that this call is about";
        Err(Error::new(ErrorKind::Invalid, say).within(&self.name))
    }

    /// The value of a key at a moment.
    #[inline]
    pub(crate) fn get(&self, key: &KeyRef<'_>, moment: Lsn) -> Result<Option<Stored>> {
        let bytes = key.checked().map_err(|e| e.within(&self.name))?;
        let Some(id) = self.id()? else { return Ok(None) };
        Ok(self.core.read(id, bytes, moment).map_err(|e| self.named(key, e))?.stored)
    }

    /// The newest value of a key that readers see.
    #[inline]
    pub(crate) fn get_now(&self, key: &KeyRef<'_>) -> Result<Option<Stored>> {
        loop {
            let moment = self.core.visible();
            match self.get(key, moment) {
                // what was newest then went since: there is a newer one
                Err(e) if e.kind() == ErrorKind::Gone && self.core.visible() > moment => {}
                answer => return answer,
            }
        }
    }

    /// The value of a key at a moment as a caller names it; `At::Version` means just that version of the key.
    pub(crate) fn get_at(&self, key: &KeyRef<'_>, at: &At) -> Result<Option<Stored>> {
        let version = match at {
            At::Version(version) => version,
            At::Now => return self.get_now(key),
            at => return self.get(key, self.core.moment(at)?),
        };
        let bytes = key.checked().map_err(|e| e.within(&self.name))?;
        let found = match self.id()? {
            Some(id) => self.core.index.at(id.0, bytes, version.lsn()).map_err(|e| self.named(key, e))?,
            None => None,
        };
        match found.filter(|found| found.lsn == version.lsn() && found.lsn <= self.core.visible()) {
            Some(found) if found.kind == Kind::Remove => Ok(None),
            Some(found) => self.core.stored(found).map(Some).map_err(|e| self.named(key, e)),
            None => {
                self.core.place_of(at).map_err(|e| self.named(key, e))?; // of an undone future, if that is why
                let say =
                    format!("there is no version {version} of it: `savehold history` lists those that are");
                Err(self.named(key, Error::new(ErrorKind::Gone, say).at(*version)))
            }
        }
    }

    /// An error about a key says which.
    pub(crate) fn named(&self, key: &KeyRef<'_>, e: Error) -> Error {
        match key.to_key() {
            Ok(key) => e.within(format_args!("{}/{key}", self.name)),
            Err(_) => e.within(&self.name),
        }
    }

    /// The keys of a range at a moment, in order, with their versions; removed ones are passed over. The caller sees to it
    /// that the moment stays.
    pub(crate) fn list(&self, range: Range, moment: Lsn) -> Listing {
        let (table, page, id) = (self.clone(), Page::default(), CollectionId(0));
        let (after, refused, hold) = (None, None, None);
        Listing { table, range, moment, _hold: hold, after, id, page, at: 0, refused, over: false }
    }

    /// [`Table::list`] as of now, which is held until all is listed.
    pub(crate) fn list_now(&self, range: Range, place: &'static Location<'static>) -> Listing {
        let hold = self.core.hold_now(place);
        Listing { moment: hold.moment, _hold: Some(hold), ..self.list(range, Lsn::NONE) }
    }

    /// [`Table::list`] at a moment of `core`.
    pub(crate) fn list_of(&self, core: &Core, range: Range, moment: Lsn) -> Listing {
        Listing { refused: self.check_of(core).err(), ..self.list(range, moment) }
    }

    /// Versions of a key, newest first.
    pub(crate) fn versions(&self, key: &KeyRef<'_>) -> Result<VersionRefs> {
        let key = key.to_key().map_err(|e| e.within(&self.name))?;
        let before = Lsn::from_raw(self.core.visible().raw() + 1);
        Ok(VersionRefs { id: self.id()?, core: self.core.clone(), key, before, page: VecDeque::new() })
    }
}

impl Core {
    /// The moment that a reader at `at` sees: the newest that is kept and not newer than what was asked for. It may be
    /// given up right behind the answer, unless it is [held](Core::hold).
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Undone`]: a restore or a repair undid that version.
    /// - [`ErrorKind::Gone`]: no moment as old is kept any more; or there is no such pin.
    pub(crate) fn moment(&self, at: &At) -> Result<Lsn> {
        if *at == At::Now {
            return Ok(self.visible());
        }
        let place = self.place_of(at)?;
        self.moments.ask(|held| self.kept(held, at, place))
    }

    /// Holds the moment that a reader at `at` sees, for the caller of the public call at `place`.
    ///
    /// # Errors
    ///
    /// As [`Core::moment`].
    pub(crate) fn hold(&self, at: &At, place: &'static Location<'static>) -> Result<Hold> {
        if *at == At::Now {
            return Ok(self.hold_now(place));
        }
        let asked = self.place_of(at)?;
        self.moments.hold(place, self.wal.env().clock.monotonic(), |held| self.kept(held, at, asked))
    }

    /// Holds the newest moment.
    pub(crate) fn hold_now(&self, place: &'static Location<'static>) -> Hold {
        let now = self.wal.env().clock.monotonic();
        let Ok(hold) = self.moments.hold(place, now, |_| Ok::<Lsn, Infallible>(self.visible()));
        hold
    }

    /// Holds the moment that `moment` says of a run in commit order.
    #[track_caller]
    pub(crate) fn hold_placed(&self, moment: impl FnOnce() -> Lsn) -> Hold {
        let now = self.wal.env().clock.monotonic();
        let Ok(hold) = self.moments.hold(Location::caller(), now, |_| Ok::<Lsn, Infallible>(moment()));
        hold
    }

    /// The place that `at` names, whether its moment is kept or not.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Undone`]: a restore or a repair undid that version.
    pub(crate) fn place_of(&self, at: &At) -> Result<Lsn> {
        let visible = self.visible();
        match at {
            At::Now => Ok(visible),
            At::Pin(name) => self.pinned(name).map(|lsn| lsn.min(visible)),
            At::Version(version) => self.standing(*version).map(|lsn| lsn.min(visible)),
            At::Time(time_us) => self.place_at(*time_us),
            At::Ago(time) => {
                let ago_us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
                self.place_at(self.wal.time_us().saturating_sub(ago_us))
            }
        }
    }

    /// The moment that stood at a time, kept or not.
    pub(crate) fn place_at(&self, time_us: u64) -> Result<Lsn> {
        let behind = self.wal.at_time(time_us)?.unwrap_or(Lsn::NONE);
        Ok(before(behind).min(self.visible()))
    }

    fn kept(&self, held: &Held, at: &At, place: Lsn) -> Result<Lsn> {
        match (held.kept_before(place), at) {
            (Some(moment), At::Pin(_)) if moment == place => Ok(moment),
            (Some(moment), at) if !matches!(at, At::Pin(_)) => Ok(moment),
            _ => Err(gone(place, held.oldest())),
        }
    }

    /// [`Core::place_of`] as it was asked for: a version need not be visible yet, but it must have its place.
    pub(crate) fn place_asked(&self, at: &At) -> Result<Lsn> {
        let At::Version(version) = at else { return self.place_of(at) };
        let lsn = self.standing(*version)?;
        if lsn > self.sequenced() {
            let say = format!(
                "there is no version {version} yet: ask for one up to the newest, {}",
                Version::from(self.sequenced())
            );
            return Err(Error::new(ErrorKind::Invalid, say).at(*version));
        }
        Ok(lsn)
    }

    /// The place of a version that no restore and no repair undid.
    fn standing(&self, version: Version) -> Result<Lsn> {
        let Some(branch) = self.wal.undone(version.lsn()) else { return Ok(version.lsn()) };
        Err(undone(version, branch))
    }
}

#[cold]
fn undone(version: Version, branch: Lsn) -> Error {
    let say = format!(
        "version {version} belongs to a future that was undone: the store was set back to {branch} and went on from there; \
         a backup made before may hold it (`savehold backup list`)"
    );
    Error::new(ErrorKind::Undone, say).at(version).or_from(before(branch).into())
}

/// Keys of a range; see [`Table::list`].
pub(crate) struct Listing {
    pub(crate) table: Table,
    range: Range,
    moment: Lsn,
    /// What keeps the moment, where nobody else does.
    _hold: Option<Hold>,
    /// The key behind which it begins.
    after: Option<Vec<u8>>,
    /// The collection's number, once a page was read.
    id: CollectionId,
    page: Page,
    /// The item of the page that comes next.
    at: usize,
    /// Why there is nothing to list.
    refused: Option<Error>,
    over: bool,
}

impl Listing {
    /// The moment that it lists.
    pub(crate) fn moment(&self) -> Lsn {
        self.moment
    }

    /// Goes on behind `key`.
    pub(crate) fn after(mut self, key: Option<&Key>) -> Self {
        self.after = key.map(|key| key.as_bytes().to_vec());
        self
    }

    /// The next key of the page that was read.
    #[inline(always)]
    fn next_read(&mut self) -> Option<Result<(Key, VersionRef)>> {
        while let Some((key, version)) = self.page.get(self.at) {
            self.at += 1;
            if version.kind == Kind::Put {
                return Some(Key::stored(self.id, key).map(|key| (key, version)));
            }
        }
        None
    }

    fn read_page(&mut self) -> Result<()> {
        let Some(id) = self.table.id()? else {
            self.over = true;
            return Ok(());
        };
        self.id = id;
        let after = self.page.last_key().or(self.after.as_deref());
        let (core, range) = (&self.table.core, self.range.own.borrow());
        self.page = core.range(id, range, after, self.moment, PAGE, self.range.direction)?;
        (self.at, self.over) = (0, self.page.len() < PAGE);
        Ok(())
    }
}

impl Iterator for Listing {
    type Item = Result<(Key, VersionRef)>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self.next_read() {
            Some(item) => Some(item),
            None => self.next_page(),
        }
    }
}

impl Listing {
    /// The first key of the next page that has one.
    #[cold]
    fn next_page(&mut self) -> Option<Result<(Key, VersionRef)>> {
        loop {
            if self.over {
                return None;
            }
            if let Some(e) = self.refused.take() {
                self.over = true;
                return Some(Err(e));
            }
            if let Err(e) = self.read_page() {
                self.over = true;
                return Some(Err(e));
            }
            if let Some(item) = self.next_read() {
                return Some(item);
            }
        }
    }
}

/// Versions of a key; see [`Table::versions`].
pub(crate) struct VersionRefs {
    id: Option<CollectionId>,
    pub(crate) core: Share,
    key: Key,
    before: Lsn,
    page: VecDeque<VersionRef>,
}

impl VersionRefs {
    /// Only versions below `lsn`.
    pub(crate) fn below(mut self, lsn: Lsn) -> Self {
        self.before = self.before.min(lsn);
        self
    }
}

impl Iterator for VersionRefs {
    type Item = Result<VersionRef>;

    fn next(&mut self) -> Option<Result<VersionRef>> {
        if self.page.is_empty() {
            match self.core.index.versions(self.id?.0, self.key.as_bytes(), self.before, PAGE) {
                Ok(page) => self.page = page.into(),
                Err(e) => {
                    self.id = None; // nothing follows
                    return Some(Err(e));
                }
            }
        }
        let version = self.page.pop_front()?;
        self.before = version.lsn;
        Some(Ok(version))
    }
}

/// One version of a key, and who wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VersionInfo {
    /// The version.
    pub version: Version,
    /// Engine time of the commit, microseconds since 1970.
    pub time_us: u64,
    /// The commit removed the key.
    pub removed: bool,
    /// Bytes of the value with its attributes, as stored.
    pub bytes: u32,
    /// A call asked for it; otherwise the autosave wrote it.
    pub explicit: bool,
    /// The build and node that wrote it, where the process had given them.
    pub origin: Option<String>,
    /// The idempotency id of the commit.
    pub id: Option<Vec<u8>>,
    /// The lease under which it was written.
    pub token: Option<crate::ids::Token>,
}

impl Core {
    /// What is known of a version whose record cannot be read.
    pub(crate) fn describe_unread(&self, version: VersionRef) -> VersionInfo {
        VersionInfo {
            version: version.lsn.into(),
            time_us: self.wal.time_of(version.lsn).ok().flatten().unwrap_or(0),
            removed: version.kind == Kind::Remove,
            bytes: version.place.bytes,
            explicit: true,
            origin: None,
            id: None,
            token: None,
        }
    }

    /// Who wrote a version, and when; of one whose record is damaged, or went, what is [known](Core::describe_unread).
    pub(crate) fn described(&self, version: VersionRef) -> Result<VersionInfo> {
        match self.describe(version) {
            Err(e) if is_unreadable(&e) => Ok(self.describe_unread(version)),
            described => described,
        }
    }

    /// Who wrote a version, and when.
    pub(crate) fn describe(&self, version: VersionRef) -> Result<VersionInfo> {
        let head = self.wal.read_head(version.lsn)?;
        let author = Head::decode(&head)?.author;
        Ok(VersionInfo {
            version: version.lsn.into(),
            time_us: self.wal.time_of(version.lsn)?.unwrap_or(0),
            removed: version.kind == Kind::Remove,
            bytes: version.place.bytes,
            explicit: author.cause == Cause::Explicit,
            origin: self.origin_text(author.origin)?,
            id: author.id.map(<[u8]>::to_vec),
            token: author.token,
        })
    }
}

/// Whether an error says that a record is damaged, or gone.
pub(crate) fn is_unreadable(e: &Error) -> bool {
    matches!(e.kind(), ErrorKind::Corrupt | ErrorKind::Damaged | ErrorKind::Gone)
}
