//! Corridor: profiles inside transactions: the present state in hand, written whole with everything else.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;
use std::sync::Arc;

use super::ground::Ground;
use super::handle::Profile;
use super::live::{Base, Live, Picture};
use super::playable::Playable;
use crate::attributes::Attributes;
use crate::error::{Error, ErrorKind, Result};
use crate::memory::Memory;
use crate::planted::{self, Fault};
use crate::txn::{Remembered, Tx};
use savehold_wal::Placed;

impl Tx<'_> {
    /// The present state of a profile, to be read and changed; several may be open at once. What is changed is written
    /// whole, changes that were not saved yet included, in the transaction's one record; memory shows it from then on.
    /// Where the closure answers an error, or panics, memory stays as it is, too.
    ///
    /// The closure runs again where the profile changed meanwhile.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Ended`]: the session is over. [`ErrorKind::Invalid`]: it is open in this transaction already, or of
    /// another store. The transaction answers [`ErrorKind::Conflict`], and writes nothing, where something else wrote the
    /// document under the session's token: memory will not learn of that; release the session and start it again.
    pub fn edit<'t, T>(&'t self, profile: &Profile<T>) -> Result<Edit<'t, T>>
    where
        T: Playable,
    {
        let live = profile.live();
        live.ground().check_of(self)?;
        live.check()?;
        let cell = match self.remembered(Arc::as_ptr(live).cast()) {
            Some(known) => known.downcast::<Edited<T>>().map_err(|_| live.named(open_already()))?,
            None => self.open(live)?,
        };
        let value = cell.value.borrow_mut().take().ok_or_else(|| live.named(open_already()))?;
        Ok(Edit { cell, value: Some(value), touched: false, _of: std::marker::PhantomData })
    }

    fn open<T>(&self, live: &Arc<Live<T>>) -> Result<Rc<Edited<T>>>
    where
        T: Playable,
    {
        let alone = self.run() > 0;
        let mut picture = live.picture(true, alone);
        if planted::has(Fault::EditSaved) {
            picture.value = live.last_saved().value;
        }
        let cell = Rc::new(Edited {
            live: live.clone(),
            value: RefCell::new(Some((*picture.value).clone())),
            picture,
            touched: Cell::new(false),
            attributes: RefCell::new(None),
            alone,
            next: RefCell::new(None),
        });
        if !self.saw(&live.full, cell.picture.base.lsn) {
            return Err(live.named(Error::new(
                ErrorKind::Conflict,
                "it changed while the transaction ran: run it again",
            )));
        }
        self.bring(live.session.token());
        self.remember(cell.clone());
        Ok(cell)
    }
}

/// A profile that a run of a transaction has opened.
struct Edited<T: Playable> {
    live: Arc<Live<T>>,
    picture: Picture<T>,
    /// As the run has it; `None` while it is in hand.
    value: RefCell<Option<T>>,
    touched: Cell<bool>,
    /// User ids and metadata in place of those that stand there.
    attributes: RefCell<Option<Attributes>>,
    /// Updates wait until the run is over.
    alone: bool,
    /// What is written: the new value, its bytes, and what memory knows beside it.
    next: RefCell<Option<(Arc<T>, usize, Base)>>,
}

impl<T: Playable> Remembered for Edited<T> {
    fn subject(&self) -> *const () {
        Arc::as_ptr(&self.live).cast()
    }

    fn as_any(self: Rc<Self>) -> Rc<dyn Any> {
        self
    }

    fn finish(&self, tx: &Tx<'_>) -> Result<()> {
        let live = &self.live;
        let mut value = self.value.borrow_mut().take().ok_or_else(|| live.named(open_still()))?;
        if !self.touched.get() {
            return Ok(());
        }
        if let Some(hook) = &live.shared.rules.before_save {
            let _inside = live.ground().enter();
            hook(&live.key, &mut value);
        }
        let bytes = live.shared.rules.validate(&value).map_err(|e| live.named(e))?;
        let (mut entry, mut base) = live.entry(&value, &self.picture.base)?;
        if let Some(attributes) = self.attributes.borrow_mut().take() {
            attributes.check().map_err(|e| live.named(e))?;
            (entry.head.attributes, base.head.attributes) = (attributes.clone(), attributes);
        }
        let before = &self.picture.base;
        tx.put_seen(&live.full, before.lsn, before.head.attributes.user_ids(), entry)?;
        self.next.replace(Some((Arc::new(value), bytes, base)));
        Ok(())
    }
}

impl<T: Playable> Memory for Edited<T> {
    fn hold(&self) -> bool {
        self.live.hold(self.picture.revision)
    }

    fn let_go(&self) {
        self.live.let_go();
    }

    fn apply(&self, placed: Placed) {
        if let Some((value, bytes, base)) = self.next.borrow_mut().take() {
            let mut state = self.live.lock();
            state.change(value.clone(), bytes);
            let picture = Picture {
                value: value.clone(),
                revision: state.revision,
                base: self.picture.base.clone(),
                ..self.picture
            };
            drop(state);
            self.live.placed(placed, &picture, value, base);
        }
        self.live.let_go();
    }
}

impl<T: Playable> Drop for Edited<T> {
    fn drop(&mut self) {
        if self.alone {
            self.live.share();
        }
    }
}

/// A profile's document in the hands of a transaction; see [`Tx::edit`].
pub struct Edit<'t, T: Playable> {
    cell: Rc<Edited<T>>,
    value: Option<T>,
    touched: bool,
    _of: std::marker::PhantomData<&'t ()>,
}

impl<T: Playable> Edit<'_, T> {
    /// User ids and metadata in place of those that stand there.
    pub(super) fn relabel(&mut self, attributes: Attributes) {
        self.touched = true;
        self.cell.attributes.replace(Some(attributes));
    }
}

impl<T: Playable> Deref for Edit<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("it is given back on drop only")
    }
}

impl<T: Playable> DerefMut for Edit<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.touched = true;
        self.value.as_mut().expect("it is given back on drop only")
    }
}

impl<T: Playable> Drop for Edit<'_, T> {
    fn drop(&mut self) {
        self.cell.value.replace(self.value.take());
        if self.touched {
            self.cell.touched.set(true);
        }
    }
}

impl<T: Playable + fmt::Debug> fmt::Debug for Edit<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

#[cold]
fn open_already() -> Error {
    let say = "the profile is open in this transaction already: drop the first guard, or use it";
    Error::new(ErrorKind::Invalid, say)
}

#[cold]
fn open_still() -> Error {
    let say =
        "a guard of the profile outlived the closure of its transaction: nothing was written; drop it inside";
    Error::new(ErrorKind::Invalid, say)
}
