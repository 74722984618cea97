//! Corridor: the profiles of a collection, as a game works with them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::doc::Doc;
use super::events::ProfileEvents;
use super::ground::{Engine, Ground};
use super::handle::Profile;
use super::leave::CloseReport;
use super::migrate::{self, Compatible, Migration};
use super::playable::Playable;
use super::reconcile::Mismatch;
use super::rules::Rules;
use super::shared::Shared;
use super::start::Starting;
use super::template::Template;
use crate::attributes::UserId;
use crate::error::{Error, ErrorKind, Result};
use crate::holder::{Holder, Start};
use crate::key::{Key, KeyRef};
use crate::lease::Ended;
use crate::limits::VALUE_BYTES_MAX;
use crate::name::CollectionName;
use crate::store::Store;

/// The holder of profiles for which no other is named: the process itself.
const PROCESS: &str = "process";

/// How soon a change is in the log.
const AUTOSAVE: Duration = Duration::from_secs(10);

/// How long a change may wait for its save before more of them are refused.
const UNSAVED_MAX: Duration = Duration::from_secs(30);

/// How long a hook may take on the store's own thread.
const HOOK_TIME: Duration = Duration::from_secs(2);

/// Largest document, unless the program says otherwise.
const BYTES_MAX: usize = 4 << 20;

type Boxed = Box<dyn std::error::Error + Send + Sync>;

impl Store {
    /// The profiles of the collection `name`: documents of type `T` under sessions. `T::default()` is the template: what a
    /// new player has, and where fields come from that a stored document has not.
    ///
    /// The documents stand in the collection like any others: [`Store::collection`] reads them too.
    #[doc(alias = "GetProfileStore")]
    pub fn profiles<T: Playable + Default>(&self, name: &str) -> Builder<T> {
        self.profiles_with(name, T::default())
    }

    /// [`Store::profiles`] with a template of your own.
    pub fn profiles_with<T: Playable>(&self, name: &str, template: T) -> Builder<T> {
        Builder {
            store: self.clone(),
            name: name.to_owned(),
            holder: None,
            rules: Rules {
                template: Template::NOT_YET,
                fresh: template,
                mismatch: Mismatch::default(),
                migrations: Vec::new(),
                knows_all: false,
                check: None,
                bytes_max: BYTES_MAX,
                user_id: None,
                on_absent: None,
                before_save: None,
                before_release: None,
                autosave: AUTOSAVE,
                unsaved_max: UNSAVED_MAX,
                hook_time: HOOK_TIME,
            },
        }
    }
}

/// How the profiles of a collection are made: `store.profiles::<Player>("players")….open()`.
#[must_use = "it does nothing until `open`"]
pub struct Builder<T: Playable> {
    store: Store,
    name: String,
    holder: Option<Holder>,
    rules: Rules<T>,
}

impl<T: Playable> Builder<T> {
    /// Whose document stands under a key, by the key: the tag is set with the session, and exports and erasures find it.
    #[doc(alias = "AddUserId")]
    pub fn user_id<U: Into<UserId>>(
        mut self,
        of: impl Fn(&Key) -> Option<U> + Send + Sync + 'static,
    ) -> Self {
        self.rules.user_id = Some(Box::new(move |key| of(key).map(Into::into)));
        self
    }

    /// Looks at each change when it is made: an error refuses it, and the old value stands.
    pub fn validate<E: Into<Boxed>>(
        mut self,
        check: impl Fn(&T) -> std::result::Result<(), E> + Send + Sync + 'static,
    ) -> Self {
        self.rules.check = Some(Box::new(move |value| check(value).map_err(|e| e.into().to_string())));
        self
    }

    /// Changes documents that were written before it, once each, in the order of these calls, in the commit that starts
    /// the session. The name is stored with each document: it is for ever.
    pub fn migration<E: Into<Boxed>>(
        mut self,
        name: &str,
        compatible: Compatible,
        run: impl Fn(&mut Doc<'_>) -> std::result::Result<(), E> + Send + Sync + 'static,
    ) -> Self {
        let run = move |doc: &mut Doc<'_>| {
            run(doc).map_err(|e| Error::new(ErrorKind::Refused, e.into().to_string()))
        };
        self.rules.migrations.push(Migration { name: name.to_owned(), compatible, run: Box::new(run) });
        self
    }

    /// What becomes of stored values of another kind than the template's; they are kept unless this says otherwise.
    pub fn mismatch(mut self, mismatch: Mismatch) -> Self {
        self.rules.mismatch = mismatch;
        self
    }

    /// Asked once about a key that never was: its first document, or `None` for the template. Document, user tag and the
    /// mark that it was imported stand in the commit that starts the session. An error refuses the session; the template
    /// never takes its place.
    ///
    /// A key whose profile was [wiped](Profiles::wipe) is never asked about again. One that only
    /// [`Collection::remove`](crate::Collection::remove) took away, or [`Store::revert`], counts as one that was for as long
    /// as its history is kept.
    pub fn on_absent<E: Into<Boxed>>(
        mut self,
        ask: impl Fn(&Key) -> std::result::Result<Option<T>, E> + Send + Sync + 'static,
    ) -> Self {
        self.rules.on_absent = Some(Box::new(move |key| ask(key).map_err(|e| e.into().to_string())));
        self
    }

    /// May edit the document before each save. It may run on a thread of the store's, with a deadline. Where it panics, or does
    /// not come back in time, what stands without it is saved; see [`Stats::hook_failure`](crate::Stats::hook_failure).
    #[doc(alias = "OnSave")]
    pub fn before_save(mut self, hook: impl Fn(&Key, &mut T) + Send + Sync + 'static) -> Self {
        self.rules.before_save = Some(Arc::new(hook));
        self
    }

    /// May edit the document a last time before its session ends, by a handoff too: what it writes is in the last save.
    /// It may run on a thread of the store's, with a deadline; where it fails, as [`Builder::before_save`].
    #[doc(alias = "OnLastSave")]
    pub fn before_release(mut self, hook: impl Fn(&Key, &mut T, &Ended) + Send + Sync + 'static) -> Self {
        self.rules.before_release = Some(Arc::new(hook));
        self
    }

    /// Who has the sessions: the process itself, unless this names another.
    pub fn holder(mut self, holder: &Holder) -> Self {
        self.holder = Some(holder.clone());
        self
    }

    /// Changes are in the log within this time; default 10 s.
    pub fn autosave(mut self, time: Duration) -> Self {
        self.rules.autosave = time;
        self
    }

    /// Changes are refused while an older one has waited for longer than this to be saved; default 30 s, and never less
    /// than three times the autosave time.
    pub fn unsaved_max(mut self, time: Duration) -> Self {
        self.rules.unsaved_max = time;
        self
    }

    /// How long a hook may take that runs on a thread of the store's; default 2 s. What stands without it is saved then.
    pub fn hook_time(mut self, time: Duration) -> Self {
        self.rules.hook_time = time;
        self
    }

    /// For whoever carries out migrations by hand: names that the documents have and this program does not are older ones.
    pub(crate) fn knowing_all(mut self) -> Self {
        self.rules.knows_all = true;
        self
    }

    /// Largest document, in bytes as stored; default 4 MiB, at most 64 MiB.
    pub fn bytes_max(mut self, bytes: usize) -> Self {
        self.rules.bytes_max = bytes.min(VALUE_BYTES_MAX);
        self
    }

    /// Opens them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`], [`ErrorKind::TooLarge`], [`ErrorKind::Encode`], [`ErrorKind::Refused`]: no name for a
    /// collection, the template may not be stored or is refused by `validate`, migrations do not fit together.
    pub fn open(self) -> Result<Profiles<T>> {
        let Self { store, name, holder, mut rules } = self;
        let name = CollectionName::new(&name)?;
        migrate::check(&rules.migrations).map_err(|e| e.within(&name))?;
        rules.template = Template::of(&rules.fresh).map_err(|e| e.within(&name))?;
        rules.validate(&rules.fresh).map_err(|e| e.within(format_args!("{name}, the template")))?;
        rules.unsaved_max = rules.unsaved_max.max(rules.autosave.saturating_mul(3));
        let holder = holder.map_or_else(|| store.holder(PROCESS), Ok)?;
        let ground = Engine::new(&store, name, &holder)?;
        let shared = Arc::new(Shared::new(ground, holder, rules));
        shared.ground.attend(&shared)?;
        Ok(Profiles(shared))
    }
}

impl<T: Playable> fmt::Debug for Builder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Builder({})", self.name)
    }
}

/// Typed documents under sessions: each is played in one place at a time, and saved by itself. Cheap to clone.
pub struct Profiles<T: Playable>(pub(crate) Arc<Shared<T>>);

impl<T: Playable> Clone for Profiles<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Playable> Profiles<T> {
    /// The name of their collection.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.ground.name().as_str()
    }

    /// Starts a session on a key: lease, document, migrations and what the template fills in, all in one commit. Durable
    /// on return. Another holder hands the key over, within 10 s; after 15 s it is refused.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Leased`]: another holder has it.
    /// - [`ErrorKind::AlreadyActive`]: this holder plays it already: [`Profiles::active`] has the handle.
    /// - [`ErrorKind::Damaged`], [`ErrorKind::Decode`], [`ErrorKind::Format`], [`ErrorKind::Refused`]: there is a document
    ///   and it cannot be loaded, or `on_absent` failed. Nothing was written, and nothing is put over it.
    /// - [`ErrorKind::Closed`]: [`Profiles::close`] was called.
    #[doc(alias = "LoadProfileAsync")]
    #[doc(alias = "StartSessionAsync")]
    pub fn start<'k>(&self, key: impl Into<KeyRef<'k>>) -> Result<Profile<T>> {
        self.start_with(key, Start::new())
    }

    /// [`Profiles::start`] with a policy and a deadline.
    ///
    /// # Errors
    ///
    /// As [`Profiles::start`].
    pub fn start_with<'k>(&self, key: impl Into<KeyRef<'k>>, start: Start) -> Result<Profile<T>> {
        self.0.start(key.into(), start)
    }

    /// [`Profiles::start_with`], as a future: it stands in the queue when this returns. Dropping it withdraws the
    /// request, and gives back a session that was granted meanwhile.
    pub fn start_async<'k>(&self, key: impl Into<KeyRef<'k>>, start: Start) -> Starting<T> {
        self.0.start_async(key.into(), start)
    }

    /// The profile of a key that is in play here.
    #[must_use]
    pub fn active<'k>(&self, key: impl Into<KeyRef<'k>>) -> Option<Profile<T>> {
        let key = key.into().to_key().ok()?;
        self.0.handle(key.as_bytes()).map(Profile)
    }

    /// The keys that are in play here, in order.
    #[must_use]
    pub fn in_play(&self) -> Vec<Key> {
        self.0.keys()
    }

    /// What the game is told: to poll, to wait for, to await. One queue for all handles.
    #[must_use]
    pub fn events(&self) -> ProfileEvents {
        let (queue, env) = (self.0.queue.clone(), self.0.ground.env().clone());
        let shared = Arc::downgrade(&self.0);
        let look = move || {
            if let Some(shared) = shared.upgrade() {
                shared.settle();
            }
        };
        ProfileEvents { queue, env, look: Box::new(look) }
    }

    /// Whether saving is in trouble; [`Event::Critical`](crate::Event::Critical) tells when that changes.
    #[must_use]
    #[doc(alias = "CriticalState")]
    pub fn is_critical(&self) -> bool {
        self.0.is_critical()
    }

    /// Ends all sessions, for a process that stops: reason, hooks while there is time, then all last saves together, then
    /// one wait. Sessions can be started no more.
    #[doc(alias = "BindToClose")]
    pub fn close(&self, deadline: Duration) -> CloseReport {
        self.0.close_all(deadline)
    }
}

impl<T: Playable> fmt::Debug for Profiles<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Profiles({:?})", self.0)
    }
}
