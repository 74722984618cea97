//! Pure: the versions of a partition's keys that are not their newest.
//!
//! Most keys have few: a chain of links, newest first. From [`CHAIN_MAX`] on they move into a run: blocks of versions
//! in ascending order, so that a key written a million times is still searched, and filled in any order, in a few
//! steps. A `u32` names them: zero none; top bit set a run; else the length of a chain, and behind it the chain's first
//! link. So what is newer than all that is there, as live commits make it, goes in without a look at any of it.

use savehold_wal::{Lsn, raw};

use super::entry::Packed;

/// Longest chain.
const CHAIN_MAX: u32 = 8;
/// Versions in a full block.
const BLOCK: usize = 128;
/// Set in a name: it names a run.
const RUN: u32 = 1 << 31;
/// A chain's name holds its length above so many bits of its first link.
const LINK_BITS: u32 = 27;
const LINKS_MAX: u32 = 1 << LINK_BITS;

const _: () = assert!(CHAIN_MAX < (RUN >> LINK_BITS));

/// Names no versions.
pub(super) const NONE: u32 = 0;

struct Link {
    version: Packed,
    /// The next older link, or [`NONE`].
    next: u32,
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
    /// Adds `version`, which is newer than all that `name` names. Gives their new name.
    #[inline]
    pub(super) fn push(&mut self, name: u32, version: Packed) -> u32 {
        if name & RUN != 0 {
            self.runs[(name & !RUN) as usize].push(version);
            return name;
        }
        if length(name) == CHAIN_MAX {
            let run = self.promote(name);
            return self.push(run, version);
        }
        chain_name(length(name) + 1, self.link(version, first(name)))
    }

    /// Adds `version` to those that `name` names. Gives their new name, or `None` if that LSN is among them already.
    pub(super) fn insert(&mut self, name: u32, version: Packed) -> Option<u32> {
        if name & RUN != 0 {
            let run = &mut self.runs[(name & !RUN) as usize];
            return run.insert(version).then_some(name);
        }
        let mut before = NONE;
        let mut at = first(name);
        while at != NONE && self.links[index(at)].version.lsn > version.lsn {
            before = at;
            at = self.links[index(at)].next;
        }
        if at != NONE && self.links[index(at)].version.lsn == version.lsn {
            return None;
        }
        if length(name) == CHAIN_MAX {
            let run = self.promote(name);
            return self.insert(run, version);
        }
        let new = self.link(version, at);
        if before != NONE {
            self.links[index(before)].next = new;
        }
        let first = if before == NONE { new } else { first(name) };
        Some(chain_name(length(name) + 1, first))
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
        let mut at = first(name);
        std::iter::from_fn(move || {
            let link = self.links.get(at.checked_sub(1)? as usize)?;
            at = link.next;
            Some(link.version)
        })
    }

    fn link(&mut self, version: Packed, next: u32) -> u32 {
        let link = Link { version, next };
        if self.free != NONE {
            let at = self.free;
            self.free = std::mem::replace(&mut self.links[index(at)], link).next;
            return at;
        }
        self.links.push(link);
        raw::prefetch(self.links.as_ptr().wrapping_add(self.links.len() + 1)); // of the next ones
        let at = u32::try_from(self.links.len()).unwrap_or(LINKS_MAX);
        assert!(at < LINKS_MAX, "a partition of the index holds fewer than 2^27 links");
        at
    }

    /// Moves the chain of `name` into a run and frees its links.
    fn promote(&mut self, name: u32) -> u32 {
        let mut block: Vec<Packed> = self.chain(name).collect();
        block.reverse();
        let mut at = first(name);
        while at != NONE {
            let link = &mut self.links[index(at)];
            let next = std::mem::replace(&mut link.next, self.free);
            self.free = at;
            at = next;
        }
        self.runs.push(Run::new(block));
        RUN | (self.runs.len() - 1) as u32
    }
}

fn index(link: u32) -> usize {
    link as usize - 1
}

fn length(chain: u32) -> u32 {
    chain >> LINK_BITS
}

fn first(chain: u32) -> u32 {
    chain & (LINKS_MAX - 1)
}

fn chain_name(length: u32, first: u32) -> u32 {
    length << LINK_BITS | first
}

/// The older versions of one key that has many, ascending. No block is empty, and `last` is one.
struct Run {
    /// The newest version's: whatever is newer goes to the end without a look at what stands there.
    newest: Lsn,
    earlier: Vec<Vec<Packed>>,
    last: Vec<Packed>,
}

impl Run {
    fn new(block: Vec<Packed>) -> Self {
        let newest = block.last().map_or(Lsn::NONE, |version| version.lsn);
        Self { newest, earlier: Vec::new(), last: block }
    }

    /// Adds `version`; false if its LSN is there already.
    fn insert(&mut self, version: Packed) -> bool {
        if version.lsn <= self.newest {
            return self.insert_before(version);
        }
        self.push(version);
        true
    }

    /// Adds a version that is the newest.
    fn push(&mut self, version: Packed) {
        if self.last.len() == BLOCK {
            self.earlier.push(std::mem::take(&mut self.last));
        }
        self.newest = version.lsn;
        self.last.push(version);
    }

    /// Adds a version that is not the newest.
    #[cold]
    fn insert_before(&mut self, version: Packed) -> bool {
        let mut blocks = std::mem::take(&mut self.earlier);
        blocks.push(std::mem::take(&mut self.last));
        let is_new = insert_among(&mut blocks, version);
        self.last = blocks.pop().expect("one was just put there");
        self.earlier = blocks;
        is_new
    }

    fn at(&self, as_of: Lsn) -> Option<Packed> {
        let block = match self.last.first() {
            Some(first) if first.lsn <= as_of => &self.last,
            _ => &self.earlier[block_of(&self.earlier, as_of)?],
        };
        let newer = block.partition_point(|v| v.lsn <= as_of);
        block[..newer].last().copied()
    }

    fn versions(&self, before: Lsn) -> impl Iterator<Item = Packed> {
        let older = move |block: &Vec<Packed>| block.partition_point(|v| v.lsn < before);
        let begun = self.earlier.partition_point(|block| block[0].lsn < before);
        let (whole, tail) = self.earlier[..begun].split_at(begun.saturating_sub(1));
        let tail = tail.iter().flat_map(move |block| block[..older(block)].iter().rev());
        let whole = whole.iter().rev().flat_map(|block| block.iter().rev());
        self.last[..older(&self.last)].iter().rev().chain(tail).chain(whole).copied()
    }

    fn memory_bytes(&self) -> usize {
        let versions: usize = self.earlier.iter().chain([&self.last]).map(Vec::capacity).sum();
        versions * size_of::<Packed>() + self.earlier.capacity() * size_of::<Vec<Packed>>()
    }
}

/// Adds `version` to the block where it belongs; false if its LSN is there already.
fn insert_among(blocks: &mut Vec<Vec<Packed>>, version: Packed) -> bool {
    let at = block_of(blocks, version.lsn).unwrap_or(0);
    let block = &mut blocks[at];
    let Err(slot) = block.binary_search_by_key(&version.lsn, |v| v.lsn) else { return false };
    if block.len() < BLOCK {
        block.insert(slot, version);
    } else {
        let mut upper = block.split_off(BLOCK / 2);
        match slot.checked_sub(BLOCK / 2) {
            Some(slot) => upper.insert(slot, version),
            None => block.insert(slot, version),
        }
        blocks.insert(at + 1, upper);
    }
    true
}

/// The last block that begins at or before `lsn`.
fn block_of(blocks: &[Vec<Packed>], lsn: Lsn) -> Option<usize> {
    blocks.partition_point(|block| block[0].lsn <= lsn).checked_sub(1)
}
