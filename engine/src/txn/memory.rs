//! Corridor: memory beside the index that a transaction reads and changes: profiles.

use std::any::Any;
use std::rc::Rc;

use savehold_wal::{Lsn, Placed};

use super::Tx;
use crate::attributes::UserId;
use crate::core::Core;
use crate::draft::{FullKey, Write};
use crate::entry::Entry;
use crate::error::{Error, ErrorKind, Result};
use crate::key::KeyRef;
use crate::memory::Memory;
use crate::modify::{Decision, Right, Wanted};
use crate::standing::Standing;
use crate::table::Table;

/// Something in memory that a run has opened.
pub(crate) trait Remembered: Memory {
    /// What it is about: nothing else has this address.
    fn subject(&self) -> *const ();

    /// Itself, of its own type.
    fn as_any(self: Rc<Self>) -> Rc<dyn Any>;

    /// The closure has run: what it changed is written.
    ///
    /// # Errors
    ///
    /// It may not be written.
    fn finish(&self, tx: &Tx<'_>) -> Result<()>;
}

impl Tx<'_> {
    pub(crate) fn core(&self) -> &Core {
        self.core
    }

    /// How often the transaction ran before.
    pub(crate) fn run(&self) -> u32 {
        self.run
    }

    /// What the run has opened of `subject`.
    pub(crate) fn remembered(&self, subject: *const ()) -> Option<Rc<dyn Any>> {
        let state = self.state.borrow();
        state.memory.iter().find(|memory| memory.subject() == subject).map(|memory| memory.clone().as_any())
    }

    /// The run has opened something.
    pub(crate) fn remember(&self, memory: Rc<dyn Remembered>) {
        self.state.borrow_mut().memory.push(memory);
    }

    /// The run saw the version `lsn` of a key in memory. `false`: it saw another before, or one that came behind the
    /// run's moment, and will be run again whatever it answers.
    pub(crate) fn saw(&self, full: &FullKey, lsn: Lsn) -> bool {
        let mut state = self.state.borrow_mut();
        state.in_memory.insert(full.clone(), lsn);
        let before = *state.reads.entry(full.clone()).or_insert(lsn);
        let same = before == lsn && lsn <= self.moment;
        state.stale |= !same;
        same
    }

    /// Writes an entry over the version `seen`, whatever the run read; what stands there belongs to `users`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`]: the run wrote the key in another way too.
    pub(crate) fn put_seen(&self, full: &FullKey, seen: Lsn, users: &[UserId], entry: Entry) -> Result<()> {
        let mut state = self.state.borrow_mut();
        state.reads.insert(full.clone(), seen);
        state.in_memory.insert(full.clone(), seen);
        state.users.insert(full.clone(), users.to_vec());
        match state.writes.insert(full.clone(), Write::Put(entry)) {
            None => Ok(()),
            Some(_) => {
                let say = "the transaction writes a profile's key plainly and edits the profile too: do one of them";
                Err(Error::new(ErrorKind::Invalid, say))
            }
        }
    }

    /// What stands under a key, as of the run's moment and its own writes.
    pub(crate) fn standing_of(&self, table: &Table, key: &KeyRef<'_>) -> Result<Standing> {
        self.standing(table, key)
    }

    /// Writes a value under a key of any collection.
    pub(crate) fn put_wanted(&self, table: &Table, key: &KeyRef<'_>, wanted: Wanted) -> Result<()> {
        self.decide(table, Right::default(), key, Decision::Put(wanted))
    }

    /// Removes a key of any collection; answers whether a value stood there.
    pub(crate) fn remove_from(&self, table: &Table, key: &KeyRef<'_>) -> Result<bool> {
        let stood = match self.standing(table, key) {
            Err(e) if e.kind() == ErrorKind::Damaged => true,
            now => now?.head().is_some(),
        };
        self.decide(table, Right::default(), key, Decision::Remove).map(|()| stood)
    }

    /// It sent mail to a key.
    pub(crate) fn posted(&self, full: FullKey) {
        self.state.borrow_mut().posted.push(full);
    }

    /// Everything that the run has opened is written.
    pub(super) fn finish(&self) -> Result<()> {
        let memory = self.state.borrow().memory.clone();
        memory.iter().try_for_each(|memory| memory.finish(self))
    }
}

/// All that a run has opened, as one.
pub(super) struct Memories<'a>(pub(super) &'a [Rc<dyn Remembered>]);

impl Memory for Memories<'_> {
    fn hold(&self) -> bool {
        let held = self.0.iter().take_while(|memory| memory.hold()).count();
        if held < self.0.len() {
            self.0[..held].iter().for_each(|memory| memory.let_go());
        }
        held == self.0.len()
    }

    fn let_go(&self) {
        self.0.iter().for_each(|memory| memory.let_go());
    }

    fn apply(&self, placed: Placed) {
        self.0.iter().for_each(|memory| memory.apply(placed));
    }
}
