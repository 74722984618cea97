//! Corridor: the share that a handle has in an open store. The last one closes it, on the thread that gives it up.
//!
//! The store's own threads have none: while one of them works, the store is not closed by whoever comes last but by the
//! thread, which may be too late for a process that ends. So handles are counted apart from what keeps memory alive.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::core::Core;

/// A share. Everything that a program can hold and call has one.
pub(crate) struct Share {
    core: Arc<Core>,
    counted: bool,
}

impl Share {
    /// For a call that the store makes on itself: it is open because others have it open, and not longer.
    pub(crate) fn uncounted(core: Arc<Core>) -> Self {
        Self { core, counted: false }
    }
}

impl From<&Arc<Core>> for Share {
    fn from(core: &Arc<Core>) -> Self {
        core.shares.fetch_add(1, Ordering::Relaxed);
        Self { core: core.clone(), counted: true }
    }
}

impl Clone for Share {
    fn clone(&self) -> Self {
        if self.counted { Self::from(&self.core) } else { Self::uncounted(self.core.clone()) }
    }
}

impl Deref for Share {
    type Target = Arc<Core>;

    fn deref(&self) -> &Arc<Core> {
        &self.core
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let last = self.counted && self.core.shares.fetch_sub(1, Ordering::AcqRel) == 1;
        if last && !self.core.closed.load(Ordering::Acquire) {
            _ = self.core.close(); // where it fails, the next opening says so
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::options::Options;

    #[test]
    fn the_last_handle_closes_the_store_though_a_thread_of_its_own_still_works() {
        let env = savehold_wal::sim::memory();
        let open = || Options::new().open_in(env.clone(), Path::new("/store")).unwrap();
        let store = open();
        let coins = store.collection::<u64>("coins").unwrap();
        let working: Arc<Core> = (*store.core).clone();
        drop(store);
        coins.set("42", &7).unwrap();
        drop(coins);
        let again = open();
        assert!(again.recovery().clean, "{}", again.recovery());
        assert_eq!(again.collection::<u64>("coins").unwrap().get("42").unwrap().unwrap().value, 7);
        drop(working); // takes nothing from the new one
        again.collection::<u64>("coins").unwrap().set("42", &8).unwrap();
        again.close().unwrap();
    }

    #[test]
    fn a_call_that_the_store_makes_on_itself_closes_nothing() {
        let store = crate::Store::in_memory().unwrap();
        let own = Share::uncounted((*store.core).clone());
        drop(own.clone());
        drop(own);
        store.collection::<u64>("coins").unwrap().set("42", &7).unwrap();
    }
}
