//! Corridor: opening a store in a directory of this machine, and whatever comes to life with it.

use std::path::Path;
use std::sync::Arc;

use savehold_wal::env::Env;

use crate::control;
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::Result;
use crate::options::{Control, Options, Unwritable};
use crate::store::Store;

impl Options {
    /// Opens the store in the directory `path`.
    ///
    /// # Errors
    ///
    /// As [`Store::open`]; [`ErrorKind::Missing`]: there is none, and
    /// [`Create::Never`](crate::Create::Never) forbids making one.
    pub fn open(self, path: impl AsRef<Path>) -> Result<Store> {
        let control = self.control;
        let unchanged = self.wal.unwritable == Unwritable::Read;
        let store = self.open_in(Env::os(), path.as_ref())?;
        let wal = &store.core.wal;
        let unwritten = unchanged && wal.read_only().is_some(); // a socket is a file too
        if control == Control::On && !unwritten {
            let desk = control::listen(&Arc::downgrade(&store.core), wal.env(), wal.root());
            let first = store.core.desk.set(desk);
            debug_assert!(first.is_ok(), "a store is opened once");
        }
        Ok(store)
    }
}
