//! Corridor: one key, read, decided on and written: what `set`, `update`, `increment` and their like have in common.
//!
//! 1. Read the newest state in commit order, with no lock held.
//! 2. Decide: the caller's closure. It may run again after a conflict.
//! 3. Place, validated. A conflict gives a turn on the key, and the run is repeated in turn, perhaps by another thread
//!    that has the turn.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering;

use bytes::Bytes;
use savehold_wal::{Lsn, Placed, Urgency};

use crate::attributes::{Attributes, UserId};
use crate::commit::{How, NotCommitted, Patience};
use crate::core::{Core, Seen, Stored, seen};
use crate::draft::{Draft, FullKey, Write};
use crate::entry::{Entry, EntryHead};
use crate::error::{Error, ErrorKind, Result};
use crate::format::Format;
use crate::guard;
use crate::ids::{CollectionId, Token};
use crate::key::Key;
use crate::lease::{Barred, Claim};
use crate::planted::{self, Fault};
use crate::record::{Author, Cause, check_id};
use crate::standing::Standing;
use crate::table::Table;
use crate::ticket::Ticket;

/// What a closure decides on a key.
#[derive(Clone, Debug)]
pub(crate) enum Decision {
    /// Nothing changes.
    Keep,
    /// It has this value from now on.
    Put(Wanted),
    /// It is absent from now on.
    Remove,
}

/// A value to write; what is not mentioned is kept.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) format: Format,
    pub(crate) value: Bytes,
    pub(crate) user_ids: Option<Vec<UserId>>,
    pub(crate) meta: Option<BTreeMap<String, String>>,
    /// What the layer above notes about the value's shape; empty takes it away.
    pub(crate) schema: Option<Bytes>,
}

impl Wanted {
    /// The value, and whatever stands beside it now.
    pub(crate) fn value(format: Format, value: Bytes) -> Self {
        Self { format, value, user_ids: None, meta: None, schema: None }
    }
}

/// What became of a key.
#[derive(Clone, Debug)]
pub(crate) struct Modified {
    /// Whether anything was written.
    pub(crate) wrote: bool,
    /// The version that the key has now: the commit's, or the one that was kept; [`Lsn::NONE`] for never.
    pub(crate) version: Lsn,
    /// What stands there now; none for who asked [`Sight::Unseen`].
    pub(crate) entry: Option<Entry>,
}

/// What a call on one key became.
#[derive(Debug)]
pub(crate) enum Once<T> {
    /// It was done now.
    Now(T),
    /// It was done before, by the commit of this version.
    Before(Lsn),
}

/// A call on one key.
#[derive(Clone)]
pub(crate) struct Call<'a> {
    pub(crate) table: &'a Table,
    pub(crate) key: Key,
    pub(crate) id: Option<&'a [u8]>,
    pub(crate) how: How,
    pub(crate) sight: Sight,
    pub(crate) right: Right,
}

/// By what right a call writes a key that may be leased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Right {
    /// As the holder of this lease.
    pub(crate) token: Option<Token>,
    /// Whoever has it.
    pub(crate) force: bool,
}

impl Right {
    /// What a commit that writes `key` by it claims.
    pub(crate) fn claim(self, key: &FullKey) -> Option<Claim> {
        let Self { token, force } = self;
        if token.is_none() && !force {
            return None;
        }
        let mut claim = Claim::default();
        if let Some(token) = token {
            claim.bring(token);
            claim.covers.push((key.clone(), token));
        }
        if force {
            claim.forced.push(key.clone());
        }
        Some(claim)
    }
}

/// Whether a call must see the value that stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// It decides on it: where it cannot be read, nothing is decided.
    Needed,
    /// It writes or removes whatever stands there, a damaged value too, of whose attributes what can be found is kept.
    Blind,
    /// As `Blind`, and the value is not handed to it either: what decides is the store's own, and no closure of a caller.
    Unseen,
}

/// What a run came to.
enum Outcome {
    Placed(Placed, Modified),
    /// Nothing to write; decided on the version at this place.
    Kept(Lsn, Modified),
    Before(Lsn),
    /// The closure refused, seeing the version at this place.
    Refused(Lsn, Error),
    Failed(Error),
}

/// What a caller does once its commit has its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// It waits for the answer: nothing need wake it before.
    Waits,
    /// It goes on with a ticket.
    GoesOn,
}

type Decide<'a> = dyn FnMut(Option<&Stored>) -> Result<Decision> + Send + 'a;

impl Core {
    /// Runs `decide` on a key and waits for the answer.
    pub(crate) fn modify(&self, call: &Call<'_>, decide: &mut Decide<'_>) -> Result<Once<Modified>> {
        let begun = self.wal.env().clock.monotonic();
        match self.run(call, decide, Then::Waits)? {
            Outcome::Placed(placed, modified) => {
                if planted::has(Fault::AnswerEarly) {
                    return Ok(Once::Now(modified));
                }
                self.answer(placed)?;
                self.commits.note(self.wal.env().clock.monotonic().saturating_sub(begun));
                Ok(Once::Now(modified))
            }
            Outcome::Kept(lsn, modified) => self.wait_for(lsn).map(|()| Once::Now(modified)),
            Outcome::Before(lsn) => self.wait_for(lsn).map(|()| Once::Before(lsn)),
            Outcome::Refused(lsn, e) => self.wait_for(lsn).and(Err(e)),
            Outcome::Failed(e) => Err(e),
        }
    }

    /// Runs `decide` on a key and hands out a ticket for what `make` makes of the answer.
    pub(crate) fn modify_async<T>(
        &self,
        call: &Call<'_>,
        decide: &mut Decide<'_>,
        make: impl FnOnce(Modified) -> T,
    ) -> Ticket<T> {
        match self.run(call, decide, Then::GoesOn) {
            Ok(Outcome::Placed(placed, modified)) => Ticket::waiting(self.ticket(placed), Ok(make(modified))),
            Ok(Outcome::Kept(lsn, modified)) => self.told_with(lsn, Ok(make(modified))),
            Ok(Outcome::Before(lsn)) => {
                self.told_with(lsn, Ok(make(Modified { wrote: false, version: lsn, entry: None })))
            }
            Ok(Outcome::Refused(lsn, e)) => self.told_with(lsn, Err(e)),
            Ok(Outcome::Failed(e)) | Err(e) => Ticket::answered(Err(e)),
        }
    }

    /// A ticket for something decided on the version at `lsn`.
    pub(crate) fn told_with<T>(&self, lsn: Lsn, answer: Result<T>) -> Ticket<T> {
        if lsn <= self.visible() {
            return Ticket::answered(answer);
        }
        self.wait_until_shown(lsn);
        Ticket::waiting(self.wal.settle(seen(lsn)), answer)
    }

    fn run(&self, call: &Call<'_>, decide: &mut Decide<'_>, then: Then) -> Result<Outcome> {
        guard::check(self.number())?;
        let author = Author { token: call.right.token, ..self.author(call.id)? };
        loop {
            let full = || Ok::<_, Error>(call.table.id()?.map(|id| (id, call.key.clone())));
            if self.turns.any()
                && let Some(full) = full()?.filter(|full| self.turns.is_queued(full))
            {
                return self.run_in_turn(&full, call, &author, decide, then);
            }
            match self.attempt(call, &author, decide) {
                Err(Conflict) => {
                    self.conflicts.fetch_add(1, Ordering::Relaxed);
                }
                Ok(outcome) => return Ok(outcome),
            }
            if let Some(full) = full()? {
                return self.run_in_turn(&full, call, &author, decide, then);
            }
        }
    }

    fn run_in_turn(
        &self,
        full: &FullKey,
        call: &Call<'_>,
        author: &Author<'_>,
        decide: &mut Decide<'_>,
        then: Then,
    ) -> Result<Outcome> {
        let mut outcome = None;
        let mut work = || {
            // never unwinds: another thread may be running this
            let ran = catch_unwind(AssertUnwindSafe(|| {
                loop {
                    if let Ok(outcome) = self.attempt(call, author, decide) {
                        break outcome;
                    }
                    self.conflicts.fetch_add(1, Ordering::Relaxed);
                }
            }));
            let placed = match &ran {
                Ok(Outcome::Placed(placed, _)) if then == Then::Waits => Some(*placed),
                _ => None,
            };
            outcome = Some(ran);
            placed
        };
        self.turns.run(full, &mut work, |placed, thread| self.wal.wake_when(placed, thread));
        match outcome.expect("a turn runs its work") {
            Ok(outcome) => Ok(outcome),
            Err(panic) => resume_unwind(panic),
        }
    }

    /// One run. `Err` is a conflict.
    fn attempt(
        &self,
        call: &Call<'_>,
        author: &Author<'_>,
        decide: &mut Decide<'_>,
    ) -> Result<Outcome, Conflict> {
        let moment = self.sequenced();
        let mut of_id = None;
        if let Some(id) = call.id {
            match self.once(id) {
                Ok(Some(before)) => return Ok(Outcome::Before(before)),
                Ok(None) => {}
                Err(e) => return Ok(Outcome::Failed(e)),
            }
            match Key::new(id) {
                Ok(_) if planted::has(Fault::ForgetId) => {}
                Ok(id) => of_id = Some(((CollectionId::ONCE, id), Lsn::NONE)),
                Err(e) => return Ok(Outcome::Failed(e)),
            }
        }
        let now = match self.newest(call) {
            Ok(now) => now,
            Err(e) => return Ok(Outcome::Failed(e)),
        };
        if planted::has(Fault::FenceEarly)
            && let Err(e) = self.check_early(call)
        {
            return Ok(Outcome::Refused(now.lsn, e));
        }
        let decided = {
            // what sees nothing is no closure of a caller
            let _inside = (call.sight != Sight::Unseen).then(|| guard::enter(self.number()));
            decide(now.stored.as_ref())
        };
        let write = match decided {
            Err(e) => return Ok(Outcome::Refused(now.lsn, e)),
            Ok(Decision::Keep) => return Ok(kept(now)),
            Ok(Decision::Remove) if now.head().is_none() && of_id.is_none() => return Ok(kept(now)),
            // where nothing stands the id alone is written: once removed is removed
            Ok(Decision::Remove) => now.head().map(|_| Write::Remove),
            Ok(Decision::Put(wanted)) => Some(Write::Put(self.entry_of(wanted, now.head()))),
        };
        self.place_one(call, author, (moment, of_id), &now, write)
    }

    /// Commits what a run decided on what it saw. `Err` is a conflict.
    fn place_one(
        &self,
        call: &Call<'_>,
        author: &Author<'_>,
        (moment, of_id): (Lsn, Option<(FullKey, Lsn)>),
        now: &Standing,
        write: Option<Write>,
    ) -> Result<Outcome, Conflict> {
        let full = match call.table.ensure_id() {
            Ok(id) => (id, call.key.clone()),
            Err(e) => return Ok(Outcome::Failed(e)),
        };
        let wrote = write.is_some();
        let claim = call.right.claim(&full);
        let of_key = (full.clone(), now.lsn);
        let (one, two);
        let reads: &[(FullKey, Lsn)] = match of_id {
            None => {
                one = [of_key];
                &one
            }
            Some(of_id) => {
                two = [of_id, of_key];
                &two
            }
        };
        let (mut alone, mut tagged) = (None, Vec::new());
        if let Some(write) = write {
            tagged = self.tags(&full, now.user_ids(), &write);
            match tagged.is_empty() {
                true => alone = Some((full, write)),
                false => tagged.insert(0, (full, write)),
            }
        }
        let writes = if tagged.is_empty() { alone.as_slice() } else { &tagged };
        let claim = claim.as_ref();
        let draft = Draft {
            author: *author,
            writes,
            reads,
            ranges: &[],
            moment,
            remembered: &[],
            claim,
            memory: None,
        };
        match self.place(&draft, call.how) {
            Ok(placed) => {
                let entry = match call.sight {
                    Sight::Unseen => None,
                    Sight::Needed | Sight::Blind => {
                        let written = alone.or_else(|| tagged.into_iter().next());
                        written.and_then(|(_, write)| write.into_entry())
                    }
                };
                Ok(Outcome::Placed(placed, Modified { wrote, version: placed.lsn, entry }))
            }
            Err(NotCommitted::Conflict(_)) => Err(Conflict),
            Err(NotCommitted::Barred(lsn, e, _)) => Ok(Outcome::Refused(lsn, e)),
            Err(NotCommitted::Failed(e)) => Ok(Outcome::Failed(e)),
        }
    }

    /// A fault: the key is looked at before the closure runs, and not when the commit gets its place.
    #[cold]
    fn check_early(&self, call: &Call<'_>) -> Result<()> {
        let Some(id) = call.table.id()? else { return Ok(()) };
        let full = (id, call.key.clone());
        let checked =
            self.leases.check(call.right.claim(&full).as_ref(), std::iter::once(&full), self.boot());
        match checked {
            Err(Barred::Leased(..)) => Err(Error::new(ErrorKind::Leased, "found early")),
            Err(Barred::Fenced(_)) => Err(Error::new(ErrorKind::Fenced, "found early")),
            _ => Ok(()),
        }
    }

    /// What stands there in commit order; nothing, where the collection was never written to.
    fn newest(&self, call: &Call<'_>) -> Result<Standing> {
        let Some(id) = call.table.id()? else { return Ok(Seen { lsn: Lsn::NONE, stored: None }.into()) };
        let key = call.key.as_bytes();
        let read = match call.sight {
            Sight::Unseen => self.beside(id, key),
            Sight::Needed | Sight::Blind => self.read(id, key, Lsn::MAX).map(Standing::from),
        };
        match read {
            Err(e) if call.sight != Sight::Needed && e.kind() == ErrorKind::Damaged => {
                self.rescue(&(id, call.key.clone()), &e)
            }
            read => read,
        }
    }

    /// The commit that carried this idempotency id, if there is one.
    pub(crate) fn once(&self, id: &[u8]) -> Result<Option<Lsn>> {
        if planted::has(Fault::ForgetId) {
            return Ok(None);
        }
        Ok(self.index.newest(CollectionId::ONCE.0, id)?.map(|version| version.lsn))
    }

    /// The entry that `wanted` makes of what stands there now.
    pub(crate) fn entry_of(&self, wanted: Wanted, before: Option<&EntryHead>) -> Entry {
        let created_us = before.map_or_else(|| self.wal.time_us(), |head| head.created_us);
        let before_attributes = before.filter(|_| !planted::has(Fault::ForgetAttributes));
        let kept = before_attributes.map_or(Attributes::NONE, |head| head.attributes.clone());
        let attributes = kept.changed(wanted.user_ids, wanted.meta);
        let kept_schema = || before_attributes.map_or(Bytes::new(), |head| head.schema.clone());
        let schema = wanted.schema.unwrap_or_else(kept_schema);
        Entry {
            head: EntryHead { created_us, attributes, schema, format: wanted.format },
            value: wanted.value,
        }
    }

    /// Who writes: this process, or the command line that it answers, with its origin.
    pub(crate) fn author<'a>(&self, id: Option<&'a [u8]>) -> Result<Author<'a>> {
        check_id(id)?;
        Ok(Author { cause: Cause::Explicit, origin: self.origin_number()?, token: None, id })
    }

    /// How plain calls commit.
    pub(crate) fn how(&self) -> How {
        How { durability: self.durability, patience: Patience::Waits, urgency: Urgency::Ordinary }
    }

    /// How `_async` calls commit.
    pub(crate) fn how_async(&self) -> How {
        How { patience: Patience::AnswersBusy, ..self.how() }
    }

    /// Tells this store from others of the process.
    pub(crate) fn number(&self) -> usize {
        std::ptr::from_ref(self) as usize
    }
}

/// What the run saw has changed.
struct Conflict;

fn kept(now: Standing) -> Outcome {
    let entry = now.stored.map(|stored| stored.entry);
    Outcome::Kept(now.lsn, Modified { wrote: false, version: now.lsn, entry })
}

#[cfg(test)]
mod tests;
