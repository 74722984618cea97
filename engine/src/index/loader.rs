//! Pure: bulk insertion for replay: entries gather in a buffer for each partition and enter it a batch at a time.
//!
//! Batches are so long that the slots of a partition are fetched once for several of its entries, and a batch takes its
//! partition's lock once. Slots and nodes are fetched some entries ahead, so that their misses overlap; so is the place where
//! the next node of each batch goes: a processor that has to wait for many lines to write to stops in the end.

use std::sync::atomic::Ordering;

use savehold_wal::{Lsn, raw};

use super::arena::{self, HEAD_BYTES, NODE_BYTES_MAX, Node, SLACK_BYTES};
use super::entry::Entry;
use super::hash::{Hashed, PARTITIONS};
use super::tail::TailIndex;

/// Most entries of a batch.
const BATCH: usize = 512;
/// Bytes of the nodes of a batch: as many as fit when keys have 16 bytes, two of the longest at the least.
const BATCH_BYTES: usize = BATCH * arena::node_bytes(16);

/// How far behind the end of a batch the next node will end, for most keys.
const NEXT_BYTES: usize = 64;

/// Entries between fetching a slot, or the node that it names, and inserting.
const SLOTS_AHEAD: usize = 32;
const NODES_AHEAD: usize = 16;

const _: () = assert!(BATCH_BYTES >= NODE_BYTES_MAX);
const _: () = assert!(BATCH_BYTES <= u32::MAX as usize);
const _: () = assert!(PARTITIONS <= 1 << u8::BITS, "a partition's number is a u8 in an ordered view");

/// Inserts many entries, in any order, for one thread of a replay. Several may load the same index at once.
///
/// Entries are copied: neither key nor record need outlive the call. What was pushed is in the index after
/// [`flush`](Loader::flush) or once the loader is dropped, not before.
pub struct Loader<'i> {
    index: &'i TailIndex,
    batches: [Batch; PARTITIONS],
    /// The partition that is flushed first: loaders that end at once begin apart.
    first: usize,
    staging: Staging,
    /// The newest of all versions pushed.
    newest: Lsn,
    /// The largest number of a collection pushed.
    largest: u32,
}

/// Where what was pushed waits for its batch. A loader gives it to the next one: such memory, zeroed anew for each part of a
/// log, costs more than replaying a part of large records.
pub struct Staging {
    /// The tags of each batch; only what is used of it takes memory, and so of the next.
    tags: Box<[u32]>,
    /// The nodes of each batch, and what [`arena::Arena::append_staged`] may read past the last.
    nodes: Box<[u8]>,
}

impl Default for Staging {
    fn default() -> Self {
        Self {
            tags: vec![0; PARTITIONS * BATCH].into_boxed_slice(),
            nodes: vec![0; PARTITIONS * BATCH_BYTES + SLACK_BYTES].into_boxed_slice(),
        }
    }
}

/// What waits for one partition.
#[derive(Clone, Copy, Default)]
struct Batch {
    len: u32,
    /// Bytes of its nodes.
    bytes: u32,
}

impl TailIndex {
    /// A loader for one thread of a replay.
    #[must_use]
    pub fn loader(&self, staging: Staging) -> Loader<'_> {
        Loader {
            index: self,
            batches: [Batch::default(); PARTITIONS],
            first: self.loaders.fetch_add(1, Ordering::Relaxed) * (PARTITIONS / 4 + 1) % PARTITIONS,
            staging,
            newest: Lsn::NONE,
            largest: 0,
        }
    }
}

impl Loader<'_> {
    /// Takes one entry over.
    #[inline]
    pub fn push(&mut self, entry: Entry<'_>) {
        entry.check();
        let Entry { collection, key, version } = entry;
        let Hashed { partition, tag } = self.index.hasher.hash(collection, key);
        let bytes = arena::node_bytes(key.len());
        let mut batch = self.batches[partition];
        if batch.len as usize == BATCH || batch.bytes as usize + bytes > BATCH_BYTES {
            self.flush_partition(partition);
            batch = Batch::default();
        }
        let start = partition * BATCH_BYTES + batch.bytes as usize;
        let node = &mut self.staging.nodes[start..start + HEAD_BYTES + key.len()];
        node[..HEAD_BYTES].copy_from_slice(&arena::head(version.into(), 0, collection, key.len()));
        node[HEAD_BYTES..].copy_from_slice(key);
        self.staging.tags[partition * BATCH + batch.len as usize] = tag;
        raw::prefetch_at(&self.staging.nodes, start + bytes + NEXT_BYTES);
        self.batches[partition] = Batch { len: batch.len + 1, bytes: batch.bytes + bytes as u32 };
        self.newest = self.newest.max(version.lsn);
        self.largest = self.largest.max(collection);
    }

    /// Inserts everything that was pushed, and gives the memory back for another loader.
    #[must_use]
    pub fn finish(mut self) -> Staging {
        self.flush();
        let empty = Staging { tags: Box::default(), nodes: Box::default() };
        std::mem::replace(&mut self.staging, empty)
    }

    /// Inserts everything that was pushed.
    pub fn flush(&mut self) {
        for partition in (self.first..PARTITIONS).chain(0..self.first) {
            if self.batches[partition].len != 0 {
                self.flush_partition(partition);
            }
        }
    }

    #[inline(never)]
    fn flush_partition(&mut self, number: usize) {
        let batch = std::mem::take(&mut self.batches[number]);
        let tags = &self.staging.tags[number * BATCH..][..batch.len as usize];
        let mut nodes = &self.staging.nodes[number * BATCH_BYTES..][..batch.bytes as usize + SLACK_BYTES];
        let watched = self.index.recent.announce(self.newest);
        self.index.note_collection(self.largest);
        let mut partition = self.index.partitions[number].0.write();
        partition.reserve(tags.len());
        tags.iter().take(SLOTS_AHEAD).for_each(|&tag| partition.prefetch_slot(tag));
        tags.iter().take(NODES_AHEAD).for_each(|&tag| partition.prefetch_node(tag));
        let telling = watched || self.index.views.any();
        for (n, &tag) in tags.iter().enumerate() {
            if let Some(&tag) = tags.get(n + SLOTS_AHEAD) {
                partition.prefetch_slot(tag);
            }
            if let Some(&tag) = tags.get(n + NODES_AHEAD) {
                partition.prefetch_node(tag);
            }
            let inserted = partition.insert_staged(tag, nodes);
            let node = Node::at(nodes);
            if telling {
                let (collection, key) = (node.collection(), node.key());
                let entry = Entry { collection, key, version: node.version().into() };
                self.index.tell(inserted, number, watched, &entry);
            }
            nodes = &nodes[node.bytes()..];
        }
    }
}

impl Drop for Loader<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}
