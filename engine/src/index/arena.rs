//! Pure: the nodes of one partition, key and newest version side by side, written one behind the other.
//!
//! ```text
//! offset  0        8        12       16       20           24    26        34        34+len
//!         +--------+--------+--------+--------+------------+-----+---------+---------+------+
//!         | lsn    | offset | bytes  | older  | collection | len | created | key     | pad  |
//!         +--------+--------+--------+--------+------------+-----+---------+---------+------+
//! lsn, offset, bytes are the newest version (bytes: its top bit says removed); older names the others, see history.
//! created is for the caller to keep with the newest version: see `TailIndex::insert_created`.
//! pad fills up to a multiple of 4. In memory only: nothing of this is on disk.
//! ```
//!
//! Nodes stand in chunks of 4 KiB that double up to 1 MiB. They never move, so that a place, counted in units of 4
//! bytes, stays good for the life of the index, and growing copies nothing.

use savehold_wal::{Lsn, raw};

use super::entry::Packed;
use super::history;
use crate::limits::RESERVED_KEY_BYTES_MAX;

/// Bytes of a node before its key.
pub(super) const HEAD_BYTES: usize = 34;
/// Most bytes of a node.
pub(super) const NODE_BYTES_MAX: usize = node_bytes(RESERVED_KEY_BYTES_MAX);
/// Bytes that [`Arena::append_staged`] may read past the end of a node.
pub(super) const SLACK_BYTES: usize = COPY_BYTES;

/// Bytes of a chunk that memory is got for at a time: a commit may have to wait for it.
const STEP_BYTES: usize = 64 << 10;

const UNIT: usize = 4;
/// A node of so many bytes is copied at once.
const COPY_BYTES: usize = 72;
/// Bytes of the node of a short key.
const SHORT_BYTES: usize = node_bytes(16);
const CHUNK_UNITS_MIN: u32 = 4096 / UNIT as u32;
const DOUBLINGS: u32 = 8;
/// Units in the chunks before the first of full size.
const DOUBLING_UNITS: u32 = CHUNK_UNITS_MIN * ((1 << DOUBLINGS) - 1);
const CHUNK_UNITS: u32 = CHUNK_UNITS_MIN << DOUBLINGS;

const _: () = assert!(NODE_BYTES_MAX + SLACK_BYTES + UNIT <= CHUNK_UNITS_MIN as usize * UNIT);
const _: () = assert!(RESERVED_KEY_BYTES_MAX <= u16::MAX as usize);

/// Bytes of the node of a key of `key_bytes`.
#[inline(always)]
pub(super) const fn node_bytes(key_bytes: usize) -> usize {
    (HEAD_BYTES + key_bytes).next_multiple_of(UNIT)
}

/// The node of a key with one version, up to the key.
#[inline(always)]
pub(super) fn head(version: Packed, created_us: u64, collection: u32, key_bytes: usize) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    set_version(&mut head, version, created_us, history::NONE);
    head[20..24].copy_from_slice(&collection.to_le_bytes());
    head[24..26].copy_from_slice(&(key_bytes as u16).to_le_bytes());
    head
}

#[inline(always)]
fn set_version(head: &mut [u8], version: Packed, created_us: u64, older: u32) {
    head[0..8].copy_from_slice(&version.lsn.raw().to_le_bytes());
    head[8..12].copy_from_slice(&version.offset.to_le_bytes());
    head[12..16].copy_from_slice(&version.bytes.to_le_bytes());
    head[16..20].copy_from_slice(&older.to_le_bytes());
    head[26..34].copy_from_slice(&created_us.to_le_bytes());
}

/// A node, as its bytes.
#[derive(Clone, Copy)]
pub(super) struct Node<'a>(&'a [u8]);

impl<'a> Node<'a> {
    /// The node at the front of `bytes`.
    #[inline(always)]
    pub(super) fn at(bytes: &'a [u8]) -> Self {
        let key_bytes = usize::from(u16::from_le_bytes(field(bytes, 24)));
        Self(&bytes[..HEAD_BYTES + key_bytes])
    }

    #[inline(always)]
    pub(super) fn version(self) -> Packed {
        Packed {
            lsn: Lsn::from_raw(u64::from_le_bytes(field(self.0, 0))),
            offset: u32::from_le_bytes(field(self.0, 8)),
            bytes: u32::from_le_bytes(field(self.0, 12)),
        }
    }

    #[inline(always)]
    pub(super) fn older(self) -> u32 {
        u32::from_le_bytes(field(self.0, 16))
    }

    #[inline(always)]
    pub(super) fn collection(self) -> u32 {
        u32::from_le_bytes(field(self.0, 20))
    }

    #[inline(always)]
    pub(super) fn created_us(self) -> u64 {
        u64::from_le_bytes(field(self.0, 26))
    }

    #[inline(always)]
    pub(super) fn key(self) -> &'a [u8] {
        &self.0[HEAD_BYTES..]
    }

    /// Bytes that the node takes, padding included.
    #[inline(always)]
    pub(super) fn bytes(self) -> usize {
        self.0.len().next_multiple_of(UNIT)
    }
}

#[inline(always)]
fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

/// The nodes of one partition.
#[derive(Default)]
pub(super) struct Arena {
    chunks: Vec<Vec<u8>>,
    /// Place of the last chunk's first byte.
    last: u32,
    /// Bytes of the last chunk that may be written to without asking for memory first.
    ready: usize,
}

impl Arena {
    /// Appends the node at the front of `staged`, of `bytes` bytes with [`SLACK_BYTES`] more behind it, and gives its
    /// place, which is never zero.
    #[inline(always)]
    pub(super) fn append_staged(&mut self, staged: &[u8], bytes: usize) -> u32 {
        self.append_with(bytes, |chunk, end| {
            if bytes <= COPY_BYTES {
                // A copy of fixed length is a few moves; one of exact length is a call.
                chunk.extend_from_slice(&staged[..COPY_BYTES]);
                chunk.truncate(end);
            } else {
                chunk.extend_from_slice(&staged[..bytes]);
            }
        })
    }

    /// Appends the node of a key with one version and gives its place.
    pub(super) fn append(&mut self, version: Packed, created_us: u64, collection: u32, key: &[u8]) -> u32 {
        self.append_with(node_bytes(key.len()), |chunk, end| {
            chunk.extend_from_slice(&head(version, created_us, collection, key.len()));
            chunk.extend_from_slice(key);
            chunk.resize(end, 0);
        })
    }

    /// Has `write` fill a chunk, which has room, up to the end of a node of `bytes` bytes.
    #[inline(always)]
    fn append_with(&mut self, bytes: usize, write: impl FnOnce(&mut Vec<u8>, usize)) -> u32 {
        if self.chunks.last().is_none_or(|chunk| chunk.capacity() - chunk.len() < bytes + SLACK_BYTES) {
            self.begin_chunk();
        }
        let last = self.chunks.len() - 1;
        if self.chunks[last].len() + bytes + SLACK_BYTES > self.ready {
            self.make_ready();
        }
        let chunk = &mut self.chunks[last];
        let start = chunk.len();
        write(chunk, start + bytes);
        raw::prefetch(chunk.as_ptr().wrapping_add(start + bytes + COPY_BYTES)); // the next node's
        self.last + (start / UNIT) as u32
    }

    /// The node at `place`.
    #[inline(always)]
    pub(super) fn node(&self, place: u32) -> Node<'_> {
        let (chunk, start) = locate(place);
        Node::at(&self.chunks[chunk][start..])
    }

    /// Fetches the node at `place`, or as much of it as a short key needs.
    #[inline(always)]
    pub(super) fn prefetch(&self, place: u32) {
        let (chunk, start) = locate(place);
        if let Some(chunk) = self.chunks.get(chunk) {
            raw::prefetch_at(chunk, start);
            raw::prefetch_at(chunk, start + SHORT_BYTES - 1);
        }
    }

    /// Replaces the newest version of the node at `place`, what is kept with it, and what names the older ones.
    #[inline(always)]
    pub(super) fn update(&mut self, place: u32, version: Packed, created_us: u64, older: u32) {
        let (chunk, start) = locate(place);
        set_version(&mut self.chunks[chunk][start..], version, created_us, older);
    }

    /// Every node with its place, in the order of appending.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (u32, Node<'_>)> {
        self.chunks.iter().enumerate().flat_map(|(index, chunk)| {
            let (mut at, first) = (if index == 0 { UNIT } else { 0 }, first_place(index));
            std::iter::from_fn(move || {
                let node = Node::at(chunk.get(at..).filter(|rest| !rest.is_empty())?);
                let place = first + (at / UNIT) as u32;
                at += node.bytes();
                Some((place, node))
            })
        })
    }

    /// Bytes written; what a chunk has left is not touched, so it takes no memory yet.
    pub(super) fn memory_bytes(&self) -> usize {
        self.chunks.iter().map(Vec::len).sum()
    }

    /// Gets memory for what comes next: a page at a time would cost a fault for every hundred nodes.
    #[cold]
    fn make_ready(&mut self) {
        let Some(chunk) = self.chunks.last_mut() else { return };
        let (written, room) = (chunk.len(), chunk.spare_capacity_mut());
        let step = room.len().min(STEP_BYTES);
        if room.len() >= STEP_BYTES {
            raw::populate(&mut room[..step]);
        }
        self.ready = written + step;
    }

    #[cold]
    fn begin_chunk(&mut self) {
        let index = self.chunks.len();
        (self.last, self.ready) = (first_place(index), 0);
        let units = CHUNK_UNITS_MIN << (index as u32).min(DOUBLINGS);
        assert!(self.last.checked_add(units).is_some(), "a partition of the index ends at 16 GiB");
        let mut chunk = Vec::with_capacity(units as usize * UNIT);
        if index == 0 {
            chunk.extend_from_slice(&[0; UNIT]); // place 0 is no place
        }
        self.chunks.push(chunk);
    }
}

/// Place of the first byte of chunk `index`.
fn first_place(index: usize) -> u32 {
    let index = index as u32;
    match index.checked_sub(DOUBLINGS) {
        None => CHUNK_UNITS_MIN * ((1 << index) - 1),
        Some(full) => {
            full.checked_mul(CHUNK_UNITS).and_then(|u| u.checked_add(DOUBLING_UNITS)).unwrap_or(u32::MAX)
        }
    }
}

/// The chunk of `place`, and the byte in it.
#[inline(always)]
fn locate(place: u32) -> (usize, usize) {
    match place.checked_sub(DOUBLING_UNITS) {
        None => {
            let index = (place + CHUNK_UNITS_MIN).ilog2() - CHUNK_UNITS_MIN.ilog2();
            (index as usize, (place + CHUNK_UNITS_MIN - (CHUNK_UNITS_MIN << index)) as usize * UNIT)
        }
        Some(past) => ((DOUBLINGS + past / CHUNK_UNITS) as usize, (past % CHUNK_UNITS) as usize * UNIT),
    }
}
