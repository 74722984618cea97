//! Pure: the ordered views of an index, one a collection, each built when it is first asked for.
//!
//! A view is *registered* first and filled from the partitions after that. Whoever inserts a key under a partition's
//! lock either did so before the filling came to that partition, which then finds the key, or sees the view
//! registered and leaves the key in its inbox; a key that took both ways is there once. Readers empty the inbox
//! first, so a view holds every key whose insertion had returned.
//!
//! Locks are taken in this order: a view's keys, then partitions, then the list of views, then an inbox. A view is
//! built with its keys locked, so that whoever finds it meanwhile waits.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use savehold_wal::sync::{Mutex, RwLock};

use super::ordered::{Address, Keys, Ordered};

/// All views of an index.
#[derive(Default)]
pub(super) struct Views {
    /// A bit for the collections of which there is one, by number % 64; never unset.
    registered: AtomicU64,
    list: RwLock<HashMap<u32, Arc<View>>>,
}

#[derive(Default)]
struct View {
    keys: RwLock<Ordered>,
    inbox: Mutex<Keys>,
    /// Keys in `inbox`.
    waiting: AtomicUsize,
}

impl Views {
    /// Whether new keys of any collection are to be told. Asked under the lock of the partition that gets them.
    #[inline(always)]
    pub(super) fn any(&self) -> bool {
        self.registered.load(Ordering::Acquire) != 0
    }

    /// Tells of a new key, under the lock of its partition.
    #[inline(always)]
    pub(super) fn tell(&self, collection: u32, key: &[u8], address: Address) {
        if self.registered.load(Ordering::Acquire) & bit_of(collection) != 0 {
            self.tell_view(collection, key, address);
        }
    }

    #[cold]
    fn tell_view(&self, collection: u32, key: &[u8], address: Address) {
        if let Some(view) = self.list.read().get(&collection) {
            let mut inbox = view.inbox.lock();
            inbox.push(key, address);
            view.waiting.store(inbox.len(), Ordering::Release);
        }
    }

    /// Shows the view of `collection` to `read`, with every key whose insertion had returned before the call. If it
    /// is not there yet, `fill` must give all keys of the partitions.
    pub(super) fn read<R>(
        &self,
        collection: u32,
        fill: impl FnOnce() -> Keys,
        read: impl FnOnce(&Ordered) -> R,
    ) -> R {
        let view = self.view(collection, fill);
        if view.waiting.load(Ordering::Acquire) != 0 {
            let mut keys = view.keys.write();
            let inbox = {
                let mut inbox = view.inbox.lock();
                view.waiting.store(0, Ordering::Release);
                std::mem::take(&mut *inbox)
            };
            keys.extend(inbox);
        }
        read(&view.keys.read())
    }

    /// Bytes of all views.
    pub(super) fn memory_bytes(&self) -> usize {
        let views: Vec<_> = self.list.read().values().cloned().collect();
        views.iter().map(|view| view.keys.read().memory_bytes() + view.inbox.lock().memory_bytes()).sum()
    }

    fn view(&self, collection: u32, fill: impl FnOnce() -> Keys) -> Arc<View> {
        if let Some(view) = self.list.read().get(&collection) {
            return view.clone();
        }
        let view = Arc::new(View::default());
        let mut keys = view.keys.write();
        {
            let mut list = self.list.write();
            if let Some(other) = list.get(&collection) {
                return other.clone();
            }
            list.insert(collection, view.clone());
            self.registered.fetch_or(bit_of(collection), Ordering::Release);
        }
        keys.extend(fill());
        drop(keys);
        view
    }
}

fn bit_of(collection: u32) -> u64 {
    1 << (collection % u64::BITS)
}

#[cfg(test)]
mod tests {
    use savehold_wal::Lsn;

    use crate::ids::CollectionId;
    use crate::index::{Direction, Entry, KeyRange, Kind, Place, TailIndex, VersionRef};
    use crate::record::Cause;

    fn insert(index: &TailIndex, number: u64, collection: u32, key: &[u8]) {
        let (lsn, place) = (Lsn::new(1, 8 * number), Place { offset: 0, bytes: 0 });
        let version = VersionRef { lsn, place, kind: Kind::Put, cause: Cause::Explicit };
        index.insert(Entry { collection, key, version });
    }

    #[test]
    fn views_of_collections_whose_numbers_share_a_bit_hold_their_own_keys() {
        let (index, all) = (TailIndex::new(12), |index: &TailIndex, collection| {
            index.range(collection, KeyRange::ALL, None, Lsn::MAX, usize::MAX, Direction::Ascending).len()
        });
        for (number, collection) in [(1, 17), (2, 81), (3, CollectionId::ONCE.0), (4, CollectionId::SET.0)] {
            insert(&index, number, collection, b"before");
        }
        assert_eq!((all(&index, 17), all(&index, 0)), (1, 1));
        for (number, collection) in [(5, 17), (6, 81), (7, 145), (8, CollectionId::ONCE.0)] {
            insert(&index, number, collection, b"behind");
        }
        let found =
            [17, 81, 145, CollectionId::ONCE.0, CollectionId::SET.0].map(|number| all(&index, number));
        assert_eq!(found, [2, 2, 1, 2, 1]);
    }
}
