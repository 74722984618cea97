//! Corridor: the start of a session: lease, read, migrate and reconcile in one commit.
//!
//! 1. The request stands in the queue for the key; in its turn it drafts the grant.
//! 2. In the same run the document is read, migrated, filled in and read as the program's type. A key that never was is
//!    asked about once, whatever conflicts come. What cannot be read, or is not known, refuses the session: nothing is
//!    written, and no template is ever put over it.
//! 3. What changed, the user's tag and the grant are one record.
//! 4. When it is durable the profile is in play, and what holders may be told is listened for. Who sends mail before that
//!    finds nobody to tell: it is looked for once whoever sends finds somebody.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use savehold_wal::Lsn;
use savehold_wal::sync::Sleeper;

use super::events::Event;
use super::ground::Ground;
use super::handle::{Handle, Profile};
use super::leave::HookTime;
use super::live::{Base, Live};
use super::playable::Playable;
use super::rules::Loaded;
use super::shared::Shared;
use crate::acquire::{Request, Taken};
use crate::attributes::Attributes;
use crate::entry::EntryHead;
use crate::error::{Error, Result};
use crate::format::Format;
use crate::holder::Start;
use crate::key::{FullKey, Key, KeyRef};
use crate::lease::Ended;
use crate::modify::Wanted;
use crate::planted::{self, Fault};
use crate::session::Session;
use crate::ticket::Ticket;
use crate::txn::{Done, Ran, Tx};
use crate::value::{Value, codec};

/// What a start found.
pub(crate) struct Found<T> {
    loaded: Loaded<T>,
    head: EntryHead,
    /// The version that stands there; `None`: the one of the grant.
    lsn: Option<Lsn>,
    full: FullKey,
    bytes: usize,
    has_mail: bool,
}

/// What `on_absent` answered, however often the run is repeated.
pub(crate) type Asked<T> = Option<Option<T>>;

impl<T: Playable> Shared<T> {
    pub(crate) fn start(self: &Arc<Self>, key: KeyRef<'_>, start: Start) -> Result<Profile<T>> {
        let key = self.ground.key(&key)?;
        let mut asked = None;
        let started = self.request(&key, start).and_then(|request| {
            request.run(|tx| self.find(tx, &key, &mut asked)).map_err(|e| self.about(&key, e))
        });
        let (session, found) = started.inspect_err(|e| self.trouble(e))?;
        Ok(self.play(key, session, found))
    }

    pub(crate) fn start_async(self: &Arc<Self>, key: KeyRef<'_>, start: Start) -> Starting<T> {
        let begun = self.ground.key(&key).and_then(|key| {
            let request = self.request(&key, start)?;
            Ok((key, request))
        });
        match begun {
            Ok((key, request)) => {
                let state = State::Waiting { request, asked: None };
                Starting { shared: self.clone(), key: Some(key), state }.begun()
            }
            Err(e) => {
                Starting { shared: self.clone(), key: None, state: State::Told(Ticket::answered(Err(e))) }
            }
        }
    }

    fn request(&self, key: &Key, start: Start) -> Result<Request> {
        self.check_open()?;
        self.ground.request(&self.holder, key, start)
    }

    /// An error says which profile it is about, unless it does already.
    fn about(&self, key: &Key, e: Error) -> Error {
        let place = format!("{}/{key}", self.ground.name());
        if e.message().starts_with(&place) { e } else { e.within(place) }
    }

    /// Loads the document by the run of a grant; what loading changes is written by it.
    fn find(&self, tx: &Tx<'_>, key: &Key, asked: &mut Asked<T>) -> Result<Found<T>> {
        let full = self.ground.full(&KeyRef::from(key))?;
        let standing = self.ground.standing(tx, &KeyRef::from(key))?;
        let loaded = match &standing.stored {
            Some(stored) => match self.rules.load(&stored.entry) {
                Err(_) if planted::has(Fault::TemplateOver) => self.first(tx, key, standing.lsn, asked)?,
                loaded => loaded?,
            },
            None => self.first(tx, key, standing.lsn, asked)?,
        };
        let mut head = standing.head().cloned().unwrap_or_else(|| EntryHead {
            created_us: self.ground.time_us(),
            attributes: Attributes::NONE,
            schema: bytes::Bytes::new(),
            format: Format::MessagePack,
        });
        let user = self.rules.user_id.as_ref().and_then(|user_id| user_id(key));
        let tag = user.filter(|user| !head.attributes.user_ids().contains(user));
        let mut lsn = Some(standing.lsn);
        if loaded.store.is_some() || tag.is_some() {
            lsn = None;
            if let Some(user) = tag {
                let ids = head.attributes.user_ids().iter().cloned().chain([user]).collect::<Vec<_>>();
                head.attributes = head.attributes.with_user_ids(ids);
            }
            let stands = standing.stored.as_ref().map(|stored| &stored.entry.value);
            head.schema = self.write_first(tx, key, &loaded, &head.attributes, stands)?;
        }
        let bytes = self.rules.validate(&loaded.value).unwrap_or(0); // an old document may be against a new check
        let has_mail = self.ground.count_mail(tx, &KeyRef::from(key))? > 0;
        Ok(Found { loaded, head, lsn, full, bytes, has_mail })
    }

    /// The first document of a key; `on_absent` is asked once, and only about a key that never was. That one was is said by
    /// its newest version `was`, or by the mark of a wipe where its history lapsed; what was answered before it came to be is
    /// not given then.
    pub(crate) fn first(&self, tx: &Tx<'_>, key: &Key, was: Lsn, asked: &mut Asked<T>) -> Result<Loaded<T>> {
        let asks = was == Lsn::NONE && self.rules.on_absent.is_some();
        let never_was = asks && !self.ground.was_wiped(tx, &KeyRef::from(key))?;
        if never_was && asked.is_none() {
            *asked = Some(self.rules.ask(key)?);
        }
        let given = asked.clone().flatten().filter(|_| never_was);
        self.rules.first(given, self.ground.time_us())
    }

    /// Writes what loading made; answers what stands beside it.
    fn write_first(
        &self,
        tx: &Tx<'_>,
        key: &Key,
        loaded: &Loaded<T>,
        attributes: &Attributes,
        stands: Option<&bytes::Bytes>,
    ) -> Result<bytes::Bytes> {
        let section = loaded.schema.to_bytes()?;
        let value = match (&loaded.store, stands) {
            (Some(document), _) => encoded(document)?,
            (None, Some(stands)) => stands.clone(),
            (None, None) => unreachable!("a first document is stored"),
        };
        let wanted = Wanted {
            user_ids: Some(attributes.user_ids().to_vec()),
            schema: Some(section.clone()),
            ..Wanted::value(Format::MessagePack, value)
        };
        self.ground.put(tx, &KeyRef::from(key), wanted)?;
        Ok(section)
    }

    /// Whether mail waits that has its place by now, durable or not; also where that cannot be known.
    fn finds_mail(&self, key: &Key) -> bool {
        let count = |tx: &Tx<'_>| self.ground.count_mail(tx, &KeyRef::from(key));
        !matches!(self.ground.transact(self.how(), count), Ran::Read(_, Done { value: 0, .. }))
    }

    /// The session stands: the profile is in play.
    fn play(self: &Arc<Self>, key: Key, session: Session, found: Found<T>) -> Profile<T> {
        let Found { loaded, head, lsn, full, bytes, has_mail } = found;
        let lsn = lsn.unwrap_or_else(|| session.token().lsn());
        let base = Base { lsn, head, unknown: loaded.unknown, schema: loaded.schema };
        let live = Arc::new(Live::new(self.clone(), key.clone(), full, session, loaded.value, bytes, base));
        let handle = Arc::new(Handle { live: live.clone() });
        self.seat(&live, &handle);
        if has_mail || self.finds_mail(&key) {
            self.tell(Event::Mail { key });
        }
        let (lost, wanted) = (Arc::downgrade(&live), Arc::downgrade(&live));
        live.session.ended().on(move |why| {
            if let Some(live) = lost.upgrade() {
                live.lose(why);
            }
        });
        live.session.wanted().on(move |by| {
            if let Some(live) = wanted.upgrade() {
                live.hand_over(by.by);
            }
        });
        if self.closed.load(Ordering::Acquire) {
            live.end_unwatched(Ended::Closed, HookTime::Own); // it was granted while they were being closed
        }
        Profile(handle)
    }
}

impl<T: Playable> Live<T> {
    /// Another asks for the key, or it is to be set back: the last edit is saved and the key given up at once.
    fn hand_over(self: &Arc<Self>, by: String) {
        if self.check().is_err() {
            return;
        }
        self.shared.tell(Event::Wanted { key: self.key.clone(), by: by.clone() });
        let why = match self.session.release_reason() {
            Ended::Restored => Ended::Restored,
            _ => Ended::HandedOver(by),
        };
        self.end_unwatched(why, HookTime::AtMost(self.shared.rules.hook_time));
    }
}

/// The stored form of a document.
pub(crate) fn encoded(document: &Value) -> Result<bytes::Bytes> {
    let mut bytes = Vec::new();
    codec::encode(document, &mut bytes)?;
    Ok(bytes.into())
}

/// A session on its way; see [`Profiles::start_async`](super::Profiles::start_async). As a future it runs on any
/// executor. Dropping it withdraws the request, and gives back a lease that was granted meanwhile.
#[must_use = "dropping it withdraws the request"]
pub struct Starting<T: Playable> {
    shared: Arc<Shared<T>>,
    key: Option<Key>,
    state: State<T>,
}

enum State<T> {
    /// In the queue.
    Waiting { request: Request, asked: Asked<T> },
    /// Granted or refused: told once that is durable.
    Told(Ticket<Box<(Session, Found<T>)>>),
}

impl<T: Playable> Starting<T> {
    /// Blocks until the session stands or is refused.
    ///
    /// # Errors
    ///
    /// As [`Profiles::start`](super::Profiles::start).
    pub fn wait(self) -> Result<Profile<T>> {
        let Self { shared, key, state } = self;
        let told = match (state, &key) {
            (State::Waiting { request, mut asked }, Some(key)) => {
                request.run(|tx| shared.find(tx, key, &mut asked)).map_err(|e| shared.about(key, e))
            }
            (State::Waiting { .. }, None) => unreachable!("a request is about a key"),
            (State::Told(ticket), _) => ticket.wait().map(|told| (told.0.told(), told.1)),
        };
        let (session, found) = told.inspect_err(|e| shared.trouble(e))?;
        Ok(shared.play(key.expect("a session is about a key"), session, found))
    }

    fn begun(mut self) -> Self {
        self.step();
        self
    }

    /// Takes the key, if it is its turn.
    fn step(&mut self) {
        let (State::Waiting { request, asked }, Some(key)) = (&mut self.state, &self.key) else { return };
        let (shared, ground) = (&self.shared, &self.shared.ground);
        match request.take(|tx| shared.find(tx, key, asked)) {
            Taken::NotYet => {}
            Taken::Refused(lsn, e) => self.state = State::Told(ground.told(lsn, Err(shared.about(key, e)))),
            Taken::Placed(placed, session, found) => {
                self.state = State::Told(ground.settle(placed, Box::new((session, found))));
            }
        }
    }
}

impl<T: Playable> Unpin for Starting<T> {}

impl<T: Playable> Future for Starting<T> {
    type Output = Result<Profile<T>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            self.step();
            let told = match &mut self.state {
                State::Waiting { request, .. } if request.sleep(Sleeper::Task(cx.waker().clone())) => {
                    return Poll::Pending;
                }
                State::Waiting { .. } => continue, // its turn came just now
                State::Told(ticket) => match Pin::new(ticket).poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(told) => told,
                },
            };
            let told = told.inspect_err(|e| self.shared.trouble(e));
            let key = self.key.take();
            return Poll::Ready(told.map(|told| {
                let (session, found) = *told;
                self.shared.play(key.expect("a session is about a key"), session.told(), found)
            }));
        }
    }
}

impl<T: Playable> fmt::Debug for Starting<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Starting({:?})", self.key)
    }
}
