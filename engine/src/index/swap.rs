//! Pure: a shared value that is replaced as a whole, and read without waiting for one another.
//!
//! Each reading thread has a slot with a copy of its own, which few others share; whoever replaces the value goes through
//! all slots. So a read costs one lock, and a count of who holds the copy, that nobody contends for. While a replacement is under way some threads see the value before and
//! others the new one: both must answer alike.

use std::sync::Arc;

use savehold_wal::sync::{RwLock, RwLockReadGuard, SLOTS, slot};

/// A value behind an [`Arc`] in each slot, replaced as a whole.
pub(super) struct Swap<T>([Slot<T>; SLOTS]);

#[repr(align(128))]
struct Slot<T>(RwLock<Arc<T>>);

impl<T: Clone> Swap<T> {
    pub(super) fn new(value: &T) -> Self {
        Self(std::array::from_fn(|_| Slot(RwLock::new(Arc::new(value.clone())))))
    }

    /// The value, for a moment: a replacement waits for the guard.
    #[inline]
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Arc<T>> {
        self.0[slot()].0.read()
    }

    /// The value, for as long as it takes.
    #[inline]
    pub(super) fn get(&self) -> Arc<T> {
        self.read().clone()
    }

    /// Replaces the value. One at a time.
    pub(super) fn set(&self, value: &T) {
        for slot in &self.0 {
            let copy = Arc::new(value.clone());
            *slot.0.write() = copy;
        }
    }
}
