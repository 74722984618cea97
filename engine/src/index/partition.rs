//! Pure: one partition of the tail index: slots that find nodes, nodes that hold keys and newest versions, and the
//! history of those keys that have more.

use savehold_wal::Lsn;

use super::arena::{Arena, Node};
use super::entry::{Entry, Packed};
use super::history::History;
use super::slots::{Found, Slots};
use crate::ids::CollectionId;

/// What an insertion changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Inserted {
    /// The key is new; its node stands at this place for good.
    Key(u32),
    /// The key was known, this version of it was not.
    Version,
    /// This very version was there already.
    Nothing,
}

/// One partition. Keys and versions are only ever added.
#[derive(Default)]
pub(super) struct Partition {
    slots: Slots,
    arena: Arena,
    history: History,
    /// Versions in `history`.
    older: usize,
    /// Places of the nodes of collections that are [listed apart](is_listed_apart).
    own: Vec<u32>,
}

impl Partition {
    /// Makes room for `more` keys.
    #[inline]
    pub(super) fn reserve(&mut self, more: usize) {
        self.slots.reserve(more);
    }

    /// Fetches the slot of `tag`.
    #[inline(always)]
    pub(super) fn prefetch_slot(&self, tag: u32) {
        self.slots.prefetch(tag);
    }

    /// Fetches the node that the slot of `tag` most likely names.
    #[inline(always)]
    pub(super) fn prefetch_node(&self, tag: u32) {
        if let Some(place) = self.slots.peek(tag) {
            self.arena.prefetch(place);
        }
    }

    /// Inserts an entry, whose version may be new, old or known.
    pub(super) fn insert(&mut self, tag: u32, entry: &Entry<'_>, created_us: u64) -> Inserted {
        let (collection, key, version) = (entry.collection, entry.key, Packed::from(entry.version));
        self.slots.reserve(1);
        match self.slots.find(tag, |place| is(self.arena.node(place), collection, key)) {
            Found::Vacant(slot) => {
                let place = self.arena.append(version, created_us, collection, key);
                self.slots.fill(slot, tag, place);
                self.note_own(collection, place);
                Inserted::Key(place)
            }
            Found::Key(place) => self.add_version(place, version, created_us),
        }
    }

    /// Inserts the node at the front of `staged` (slack behind it as [`Arena::append_staged`] wants), as
    /// [`insert`](Partition::insert) does. Room must have been [reserved](Partition::reserve).
    #[inline(always)]
    pub(super) fn insert_staged(&mut self, tag: u32, staged: &[u8]) -> Inserted {
        let node = Node::at(staged);
        let (collection, key) = (node.collection(), node.key());
        match self.slots.find(tag, |place| is(self.arena.node(place), collection, key)) {
            Found::Vacant(slot) => {
                let place = self.arena.append_staged(staged, node.bytes());
                self.slots.fill(slot, tag, place);
                self.note_own(collection, place);
                Inserted::Key(place)
            }
            Found::Key(place) => self.add_version(place, node.version(), node.created_us()),
        }
    }

    /// The place of a key's node.
    #[inline]
    pub(super) fn find(&self, tag: u32, collection: u32, key: &[u8]) -> Option<u32> {
        if self.slots.len() == 0 {
            return None;
        }
        match self.slots.find(tag, |place| is(self.arena.node(place), collection, key)) {
            Found::Key(place) => Some(place),
            Found::Vacant(_) => None,
        }
    }

    /// The newest version of the key at `place`.
    #[inline]
    pub(super) fn newest(&self, place: u32) -> Packed {
        self.arena.node(place).version()
    }

    /// What is kept with the newest version of the key at `place`.
    #[inline]
    pub(super) fn created_us(&self, place: u32) -> u64 {
        self.arena.node(place).created_us()
    }

    /// The newest version of the key at `place` that is not newer than `as_of`.
    #[inline]
    pub(super) fn at(&self, place: u32, as_of: Lsn) -> Option<Packed> {
        let node = self.arena.node(place);
        let newest = node.version();
        if newest.lsn <= as_of {
            return Some(newest);
        }
        self.history.at(node.older(), as_of)
    }

    /// The versions of the key at `place` that are older than `before`, newest first.
    pub(super) fn versions(&self, place: u32, before: Lsn) -> impl Iterator<Item = Packed> {
        let node = self.arena.node(place);
        let newest = Some(node.version()).filter(|newest| newest.lsn < before);
        newest.into_iter().chain(self.history.versions(node.older(), before))
    }

    /// Every key of the partition: its place and its node.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (u32, Node<'_>)> {
        self.arena.nodes()
    }

    /// Every key of a collection: its place and its node.
    pub(super) fn nodes_of(&self, collection: u32) -> impl Iterator<Item = (u32, Node<'_>)> {
        let is_apart = is_listed_apart(collection);
        let own = self.own.iter().filter(move |_| is_apart).map(|&place| (place, self.arena.node(place)));
        let all = (!is_apart).then(|| self.arena.nodes()).into_iter().flatten();
        own.chain(all).filter(move |(_, node)| node.collection() == collection)
    }

    /// The node at `place`.
    #[inline]
    pub(super) fn node(&self, place: u32) -> Node<'_> {
        self.arena.node(place)
    }

    /// Number of keys.
    pub(super) fn keys(&self) -> usize {
        self.slots.len()
    }

    /// Number of versions of all keys.
    pub(super) fn versions_total(&self) -> usize {
        self.slots.len() + self.older
    }

    /// Bytes of memory in use.
    pub(super) fn memory_bytes(&self) -> usize {
        let own = self.own.capacity() * size_of::<u32>();
        self.slots.memory_bytes() + self.arena.memory_bytes() + self.history.memory_bytes() + own
    }

    #[inline(always)]
    fn note_own(&mut self, collection: u32, place: u32) {
        if is_listed_apart(collection) {
            self.own.push(place);
        }
    }

    fn add_version(&mut self, place: u32, version: Packed, created_us: u64) -> Inserted {
        let node = self.arena.node(place);
        let (newest, older) = (node.version(), node.older());
        if version.lsn > newest.lsn {
            let name = self.history.push(older, newest);
            self.arena.update(place, version, created_us, name);
        } else {
            if newest.lsn == version.lsn {
                return Inserted::Nothing;
            }
            match self.history.insert(older, version) {
                None => return Inserted::Nothing,
                Some(name) => {
                    let created_us = self.arena.node(place).created_us();
                    self.arena.update(place, newest, created_us, name);
                }
            }
        }
        self.older += 1;
        Inserted::Version
    }
}

/// Whether a collection is one of the store's own that are asked for in order: at every opening, among keys that may be far
/// more. Outcomes of commits with an id are not, and may be many.
#[inline(always)]
fn is_listed_apart(collection: u32) -> bool {
    CollectionId(collection).is_reserved() && collection != CollectionId::ONCE.0
}

#[inline(always)]
fn is(node: Node<'_>, collection: u32, key: &[u8]) -> bool {
    node.key() == key && node.collection() == collection
}
