//! Pure: everything in a tail index, in the order of keys: what a table is written from.

use std::cmp::Ordering;
use std::collections::HashMap;

use savehold_wal::Lsn;
use savehold_wal::sync::RwLockReadGuard;

use super::entry::{Entry, VersionRef};
use super::partition::Partition;
use super::tail::{Locked, TailIndex};
use crate::error::Result;

/// Steps between two breaths: some microseconds.
const BREATH_STEPS: u32 = 128;

/// A key by where it stands, with a part of it for sorting.
#[derive(Clone, Copy)]
struct Item {
    /// The eight bytes behind what all keys of the collection begin with, big-endian, zeros behind a shorter one.
    first: u64,
    collection: u32,
    place: u32,
    partition: u8,
}

impl TailIndex {
    /// The oldest version of all. Long work, as [`TailIndex::export`].
    #[must_use]
    pub fn oldest(&self, breathe: impl FnMut()) -> Option<Lsn> {
        let mut step = steps(breathe);
        let of_partition = |partition: &Locked| {
            let partition = partition.0.read();
            let mut oldest = |place| {
                step();
                partition.versions(place, Lsn::MAX).last().map(|version| version.lsn)
            };
            partition.nodes().filter_map(|(place, _)| oldest(place)).min()
        };
        self.partitions.iter().filter_map(of_partition).min()
    }

    /// Shows every version to `visit`, in the order of collection, key and falling LSN. Nothing is inserted meanwhile:
    /// whoever tries waits. Takes 24 bytes of memory a key. Long work: `breathe` is called often, for others to run meanwhile.
    ///
    /// # Errors
    ///
    /// Those of `visit`, which end it.
    pub fn export(
        &self,
        breathe: impl FnMut(),
        mut visit: impl FnMut(Entry<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut step = steps(breathe);
        let partitions: Vec<RwLockReadGuard<'_, Partition>> =
            self.partitions.iter().map(|partition| partition.0.read()).collect();
        let mut begins = Begins::default();
        let nodes = partitions.iter().flat_map(|partition| partition.nodes());
        nodes.for_each(|(_, node)| {
            step();
            begins.note(node.collection(), node.key());
        });
        let mut items = Vec::with_capacity(partitions.iter().map(|partition| partition.keys()).sum());
        for (number, partition) in partitions.iter().enumerate() {
            items.extend(partition.nodes().map(|(place, node)| {
                step();
                let collection = node.collection();
                let first = first_eight(&node.key()[begins.of(collection)..]);
                Item { first, collection, place, partition: number as u8 }
            }));
        }
        let key = |item: &Item| partitions[usize::from(item.partition)].node(item.place).key();
        items.sort_unstable_by(|a: &Item, b: &Item| {
            step();
            let by_number = (a.collection, a.first).cmp(&(b.collection, b.first));
            if by_number == Ordering::Equal { key(a).cmp(key(b)) } else { by_number }
        });
        for item in &items {
            let partition = &partitions[usize::from(item.partition)];
            let (collection, key) = (item.collection, key(item));
            for version in partition.versions(item.place, Lsn::MAX) {
                step();
                visit(Entry { collection, key, version: VersionRef::from(version) })?;
            }
        }
        Ok(())
    }
}

/// Steps of long work, with a breath now and then.
fn steps(mut breathe: impl FnMut()) -> impl FnMut() {
    let mut steps = 0_u32;
    move || {
        steps = steps.wrapping_add(1);
        if steps.is_multiple_of(BREATH_STEPS) {
            breathe();
        }
    }
}

/// What all keys of each collection begin with. Keys often begin alike: told apart by their first bytes alone, most
/// comparisons of a sort would have to fetch both.
#[derive(Default)]
struct Begins<'a> {
    known: HashMap<u32, &'a [u8]>,
    /// The collection that was asked for last, and what its keys begin with.
    last: Option<(u32, &'a [u8])>,
}

impl<'a> Begins<'a> {
    fn note(&mut self, collection: u32, key: &'a [u8]) {
        let (begin, is_new) = match self.last {
            Some((last, begin)) if last == collection => (begin, false),
            _ => self.known.get(&collection).map_or((key, true), |begin| (*begin, false)),
        };
        let same = begin.iter().zip(key).take_while(|(a, b)| a == b).count();
        self.last = Some((collection, &begin[..same]));
        if is_new || same < begin.len() {
            self.known.insert(collection, &begin[..same]);
        }
    }

    fn of(&mut self, collection: u32) -> usize {
        match self.last {
            Some((last, begin)) if last == collection => begin.len(),
            _ => {
                let begin = self.known.get(&collection).copied().unwrap_or_default();
                self.last = Some((collection, begin));
                begin.len()
            }
        }
    }
}

fn first_eight(key: &[u8]) -> u64 {
    let mut first = [0; 8];
    let known = key.len().min(8);
    first[..known].copy_from_slice(&key[..known]);
    u64::from_be_bytes(first)
}
