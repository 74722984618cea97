//! Pure: which stores this thread is running a closure of, so that a call from inside one is answered and not stuck.

use std::cell::RefCell;

use crate::error::{Error, ErrorKind, Result};

thread_local! {
    static INSIDE: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// This thread runs a closure of a store, until it goes.
pub(crate) struct Inside(());

/// Notes that this thread runs a closure of the store `store`.
pub(crate) fn enter(store: usize) -> Inside {
    INSIDE.with_borrow_mut(|stores| stores.push(store));
    Inside(())
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.with_borrow_mut(Vec::pop);
    }
}

/// Refuses a write to `store` from inside a closure that it runs.
///
/// # Errors
///
/// [`ErrorKind::Reentrant`].
pub(crate) fn check(store: usize) -> Result<()> {
    if INSIDE.with_borrow(|stores| !stores.contains(&store)) {
        return Ok(());
    }
    let say = "a store was written from inside a closure that it is running: nothing was written; write through the transaction that \
               the closure was given, in a hook change the document that it was given, or write after it returned";
    Err(Error::new(ErrorKind::Reentrant, say))
}
