//! Pure: bulk insertion for replay: entries gather in a buffer for each partition and enter it a batch at a time.
//!
//! A batch takes its partition's lock once and goes over its entries three times: fetch the slots, fetch the nodes
//! that those name, insert. So the misses of a batch overlap instead of following each other.

use savehold_wal::Lsn;

use super::arena::{self, NODE_BYTES_MAX, Node, SLACK_BYTES};
use super::entry::Entry;
use super::hash::{Hashed, PARTITIONS};
use super::partition::NO_OLDER;
use super::tail::TailIndex;

/// Bytes of the buffer of one partition: forty-odd entries with keys of 16 bytes, one with the longest.
const BUFFER_BYTES: usize = 2048 + 64;

const _: () = assert!(BUFFER_BYTES >= TAG_BYTES + NODE_BYTES_MAX);
const _: () = assert!(PARTITIONS <= 1 << u8::BITS, "a partition's number is a u8 in an ordered view");

/// Each staged node stands behind its tag.
const TAG_BYTES: usize = size_of::<u32>();

/// Inserts many entries, in any order, for one thread of a replay. Several may load the same index at once.
///
/// Entries are copied: neither key nor record need outlive the call. What was pushed is in the index after
/// [`flush`](Loader::flush) or once the loader is dropped, not before.
pub struct Loader<'i> {
    index: &'i TailIndex,
    /// A buffer for each partition, one behind the other.
    staged: Box<[u8]>,
    /// Bytes in each.
    filled: [usize; PARTITIONS],
}

impl<'i> Loader<'i> {
    pub(super) fn new(index: &'i TailIndex) -> Self {
        let staged = vec![0; PARTITIONS * BUFFER_BYTES + SLACK_BYTES].into_boxed_slice();
        Self { index, staged, filled: [0; PARTITIONS] }
    }

    /// Takes one entry over.
    #[inline]
    pub fn push(&mut self, entry: Entry<'_>) {
        entry.check();
        let Entry { collection, key, version } = entry;
        let Hashed { partition, tag } = self.index.hasher.hash(collection, key);
        if self.filled[partition] + TAG_BYTES + arena::node_bytes(key.len()) > BUFFER_BYTES {
            self.flush_partition(partition);
        }
        let start = partition * BUFFER_BYTES + self.filled[partition];
        let (head, node) = self.staged[start..].split_at_mut(TAG_BYTES);
        head.copy_from_slice(&tag.to_le_bytes());
        self.filled[partition] += TAG_BYTES + arena::encode(node, version.into(), NO_OLDER, collection, key);
    }

    /// Inserts everything that was pushed.
    pub fn flush(&mut self) {
        for partition in 0..PARTITIONS {
            if self.filled[partition] != 0 {
                self.flush_partition(partition);
            }
        }
    }

    fn flush_partition(&mut self, number: usize) {
        let filled = std::mem::take(&mut self.filled[number]);
        let staged = &self.staged[number * BUFFER_BYTES..][..filled + SLACK_BYTES];
        let (mut newest, mut count) = (Lsn::NONE, 0);
        for (_, node) in batch(staged, filled) {
            newest = newest.max(Node::at(node).version().lsn);
            count += 1;
        }
        let watched = self.index.recent.announce(newest);
        let mut partition = self.index.partitions[number].0.write();
        partition.reserve(count);
        for (tag, _) in batch(staged, filled) {
            partition.prefetch_slot(tag);
        }
        for (tag, _) in batch(staged, filled) {
            partition.prefetch_node(tag);
        }
        let telling = watched || self.index.views.any();
        for (tag, node) in batch(staged, filled) {
            let inserted = partition.insert(tag, node);
            if telling {
                let node = Node::at(node);
                let (collection, key) = (node.collection(), node.key());
                let entry = Entry { collection, key, version: node.version().into() };
                self.index.tell(inserted, number, watched, &entry);
            }
        }
    }
}

impl Drop for Loader<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}

/// The tags and nodes of a buffer; all that follows stands behind each node.
#[inline(always)]
fn batch(staged: &[u8], filled: usize) -> impl Iterator<Item = (u32, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at == filled {
            return None;
        }
        let (head, node) = staged[at..].split_at(TAG_BYTES);
        at += TAG_BYTES + Node::at(node).bytes();
        Some((u32::from_le_bytes([head[0], head[1], head[2], head[3]]), node))
    })
}
