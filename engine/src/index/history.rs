//! Pure: the versions of a partition's keys that are not their newest.
//!
//! Most keys have few: a chain of links, newest first. From [`CHAIN_MAX`] on they move into a run: blocks of versions
//! in ascending order, so that a key written a million times is still searched, and filled in any order, in a few
//! steps. A `u32` names them: zero none, top bit clear a chain's first link, top bit set a run.

use savehold_wal::Lsn;

use super::entry::Packed;

/// Longest chain.
const CHAIN_MAX: u32 = 8;
/// Versions in a full block.
const BLOCK: usize = 128;
/// Set in a name: it names a run.
const RUN: u32 = 1 << 31;

/// Names no versions.
pub(super) const NONE: u32 = 0;

struct Link {
    version: Packed,
    /// The next older link, or [`NONE`].
    next: u32,
    /// Links from here to the end of the chain.
    length: u32,
}

/// The older versions of one partition.
#[derive(Default)]
pub(super) struct History {
    links: Vec<Link>,
    /// First of the links that are free again, chained by `next`.
    free: u32,
    runs: Vec<Run>,
}

impl History {
    /// Adds `version` to those that `name` names. Gives their new name, or `None` if that LSN is among them already.
    pub(super) fn insert(&mut self, name: u32, version: Packed) -> Option<u32> {
        if name & RUN != 0 {
            let run = &mut self.runs[(name & !RUN) as usize];
            return run.insert(version).then_some(name);
        }
        if name == NONE {
            return Some(self.link(version, NONE, 1));
        }
        let mut before = NONE;
        let mut at = name;
        while at != NONE && self.links[index(at)].version.lsn > version.lsn {
            before = at;
            at = self.links[index(at)].next;
        }
        if at != NONE && self.links[index(at)].version.lsn == version.lsn {
            return None;
        }
        if self.links[index(name)].length == CHAIN_MAX {
            let run = self.promote(name);
            return self.insert(run, version);
        }
        let length = if at == NONE { 0 } else { self.links[index(at)].length };
        let new = self.link(version, at, length + 1);
        if before == NONE {
            return Some(new);
        }
        self.links[index(before)].next = new;
        let mut passed = name;
        while passed != new {
            let link = &mut self.links[index(passed)];
            link.length += 1;
            passed = link.next;
        }
        Some(name)
    }

    /// The newest of the versions of `name` that is not newer than `as_of`.
    pub(super) fn at(&self, name: u32, as_of: Lsn) -> Option<Packed> {
        if name & RUN != 0 {
            return self.runs[(name & !RUN) as usize].at(as_of);
        }
        self.chain(name).find(|version| version.lsn <= as_of)
    }

    /// The versions of `name` older than `before`, newest first.
    pub(super) fn versions(&self, name: u32, before: Lsn) -> impl Iterator<Item = Packed> {
        let (run, chain) =
            if name & RUN != 0 { (Some(&self.runs[(name & !RUN) as usize]), NONE) } else { (None, name) };
        run.into_iter()
            .flat_map(move |run| run.versions(before))
            .chain(self.chain(chain).skip_while(move |version| version.lsn >= before))
    }

    /// Bytes of all links and blocks.
    pub(super) fn memory_bytes(&self) -> usize {
        let runs: usize = self.runs.iter().map(Run::memory_bytes).sum();
        self.links.len() * size_of::<Link>() + self.runs.len() * size_of::<Run>() + runs
    }

    fn chain(&self, name: u32) -> impl Iterator<Item = Packed> {
        let mut at = name;
        std::iter::from_fn(move || {
            let link = self.links.get(at.checked_sub(1)? as usize)?;
            at = link.next;
            Some(link.version)
        })
    }

    fn link(&mut self, version: Packed, next: u32, length: u32) -> u32 {
        let link = Link { version, next, length };
        if self.free != NONE {
            let at = self.free;
            self.free = std::mem::replace(&mut self.links[index(at)], link).next;
            return at;
        }
        self.links.push(link);
        let at = u32::try_from(self.links.len()).unwrap_or(RUN);
        assert!(at < RUN, "a partition of the index holds fewer than 2^31 links");
        at
    }

    /// Moves the chain of `name` into a run and frees its links.
    fn promote(&mut self, name: u32) -> u32 {
        let mut block: Vec<Packed> = self.chain(name).collect();
        block.reverse();
        let mut at = name;
        while at != NONE {
            let link = &mut self.links[index(at)];
            let next = std::mem::replace(&mut link.next, self.free);
            self.free = at;
            at = next;
        }
        self.runs.push(Run { blocks: vec![block] });
        RUN | (self.runs.len() - 1) as u32
    }
}

fn index(link: u32) -> usize {
    link as usize - 1
}

/// The older versions of one key that has many, ascending. No block is empty, and there is at least one.
struct Run {
    blocks: Vec<Vec<Packed>>,
}

impl Run {
    /// Adds `version`; false if its LSN is there already.
    fn insert(&mut self, version: Packed) -> bool {
        let last = self.blocks.len() - 1;
        let at = self.block_of(version.lsn).unwrap_or(0);
        let block = &mut self.blocks[at];
        let Err(slot) = block.binary_search_by_key(&version.lsn, |v| v.lsn) else { return false };
        if block.len() < BLOCK {
            block.insert(slot, version);
        } else if at == last && slot == BLOCK {
            self.blocks.push(vec![version]);
        } else {
            let mut upper = block.split_off(BLOCK / 2);
            match slot.checked_sub(BLOCK / 2) {
                Some(slot) => upper.insert(slot, version),
                None => block.insert(slot, version),
            }
            self.blocks.insert(at + 1, upper);
        }
        true
    }

    fn at(&self, as_of: Lsn) -> Option<Packed> {
        let block = &self.blocks[self.block_of(as_of)?];
        let newer = block.partition_point(|v| v.lsn <= as_of);
        block[..newer].last().copied()
    }

    fn versions(&self, before: Lsn) -> impl Iterator<Item = Packed> {
        let end = self.blocks.partition_point(|block| block[0].lsn < before);
        let tail = end.checked_sub(1).map_or(0, |last| self.blocks[last].partition_point(|v| v.lsn < before));
        let last = end.saturating_sub(1);
        let whole = self.blocks[..last].iter().rev().flat_map(|block| block.iter().rev());
        self.blocks[last][..tail].iter().rev().chain(whole).copied()
    }

    /// The last block that begins at or before `lsn`.
    fn block_of(&self, lsn: Lsn) -> Option<usize> {
        self.blocks.partition_point(|block| block[0].lsn <= lsn).checked_sub(1)
    }

    fn memory_bytes(&self) -> usize {
        let versions: usize = self.blocks.iter().map(Vec::capacity).sum();
        versions * size_of::<Packed>() + self.blocks.capacity() * size_of::<Vec<Packed>>()
    }
}
