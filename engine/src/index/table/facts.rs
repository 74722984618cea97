//! Pure: what a table says of itself, on its last page, and where its shards stand.
//!
//! ```text
//! footer     0          8         12         16         32       40       48    56     64         72     80
//!            +----------+---------+----------+----------+--------+--------+-----+------+----------+------+----------+
//!            | magic    | version | features | store id | number | random | low | high | versions | keys | removals |
//!            +----------+---------+----------+----------+--------+--------+-----+------+----------+------+----------+
//!            88      92       96                108 … zeros
//!            +-------+--------+-----------------+
//!            | pages | shards | directory pages |
//!            +-------+--------+-----------------+
//!
//! shard      +------------+-----------+-------+--------+----------+-----+---------+-----+
//!            | first page | cell      | fence | bucket | versions | LSN | key len | key |
//!            | u32        | pages u32 | u32   | u32    | u64      | u64 | u16     |     |
//!            +------------+-----------+-------+--------+----------+-----+---------+-----+
//! ```
//!
//! magic is `SAVETABL`, version 1, features none. Every version v of the table has low ≤ v < high. pages counts the
//! footer; directory pages stand right before it, shards in order on them. A shard is its pages of cells, its pages of
//! fences and its pages of buckets, in this order from its first page on; bucket is the number of buckets; LSN and key
//! (collection in front) are those of its first cell. A shard ends before a new key once it has 65,536 keys or 3,072
//! pages of cells, and inside a key after 4,096 pages. Its buckets know the keys whose newest version it holds.

use savehold_wal::Lsn;
use savehold_wal::format::checksum::StoreId;
use savehold_wal::format::cursor::{Put, Take};

use super::cell::FULL_BYTES_MAX;
use super::page::{CONTENT_BYTES, Page};
use super::spread::{PAGE_BUCKETS, SHARD_PAGES_MAX};

const MAGIC: &[u8; 8] = b"SAVETABL";
const VERSION: u32 = 1;

/// Most bytes of a shard in the directory.
pub(super) const SHARD_BYTES_MAX: usize = 32 + 2 + FULL_BYTES_MAX;

const _: () = assert!(SHARD_BYTES_MAX <= CONTENT_BYTES);

/// What a table is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Facts {
    /// The number in its file's name.
    pub number: u64,
    /// Drawn for this file: it binds its pages to it and seeds its hashes.
    pub random: u64,
    /// No version is older.
    pub low: Lsn,
    /// Every version is older.
    pub high: Lsn,
    /// Versions of all keys.
    pub versions: u64,
    /// Keys.
    pub keys: u64,
    /// Versions that are removals.
    pub removals: u64,
    /// Pages of the file.
    pub pages: u32,
    /// Shards.
    pub shards: u32,
    /// Pages of the directory.
    pub directory_pages: u32,
}

/// Why a footer cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unusable {
    /// A newer format.
    Newer,
    /// Nothing that this program wrote.
    Damaged,
}

impl Facts {
    /// Puts the content of the footer into `page`.
    pub(super) fn encode(&self, store: StoreId, page: &mut Page) {
        let mut put = Put::default();
        put.bytes(MAGIC).u32(VERSION).u32(0).bytes(&store.0).u64(self.number).u64(self.random);
        put.u64(self.low.raw()).u64(self.high.raw()).u64(self.versions).u64(self.keys).u64(self.removals);
        put.u32(self.pages).u32(self.shards).u32(self.directory_pages);
        page.fill(0);
        page[..put.0.len()].copy_from_slice(&put.0);
    }

    /// Reads the content of the footer, whose checksum is right.
    pub(super) fn decode(page: &Page, store: StoreId) -> Result<Self, Unusable> {
        let mut take = Take(&page[..CONTENT_BYTES]);
        let newer = || {
            let (magic, version, features) = (take.bytes(8)?, take.u32()?, take.u32()?);
            Some((magic == MAGIC, version != VERSION || features != 0))
        };
        match { newer }() {
            Some((true, false)) => Self::decode_rest(take, store).ok_or(Unusable::Damaged),
            Some((true, true)) => Err(Unusable::Newer),
            _ => Err(Unusable::Damaged),
        }
    }

    fn decode_rest(mut take: Take<'_>, store: StoreId) -> Option<Self> {
        let own = take.bytes(16)? == store.0;
        let facts = Self {
            number: take.u64()?,
            random: take.u64()?,
            low: Lsn::from_raw(take.u64()?),
            high: Lsn::from_raw(take.u64()?),
            versions: take.u64()?,
            keys: take.u64()?,
            removals: take.u64()?,
            pages: take.u32()?,
            shards: take.u32()?,
            directory_pages: take.u32()?,
        };
        let fits = facts.directory_pages < facts.pages && facts.low <= facts.high;
        (own && fits && facts.shards <= facts.pages).then_some(facts)
    }
}

/// Where a shard stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shard {
    /// Its first page.
    pub(super) first: u32,
    /// Pages of cells.
    pub(super) cells: u32,
    /// Pages of fences.
    pub(super) fences: u32,
    /// Buckets.
    pub(super) buckets: u32,
    /// Its versions.
    pub(super) versions: u64,
    /// The version of its first cell.
    pub(super) lsn: Lsn,
    /// The key of its first cell, the collection in front.
    pub(super) key: Box<[u8]>,
}

impl Shard {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut put = Put(std::mem::take(out));
        put.u32(self.first).u32(self.cells).u32(self.fences).u32(self.buckets);
        put.u64(self.versions).u64(self.lsn.raw()).u16(self.key.len() as u16).bytes(&self.key);
        *out = put.0;
    }

    /// Takes a shard off the front; `None` for what cannot be one of a table with `pages`.
    pub(super) fn take(take: &mut Take<'_>, pages: u32) -> Option<Self> {
        let (first, cells, fences, buckets) = (take.u32()?, take.u32()?, take.u32()?, take.u32()?);
        let (versions, lsn, length) = (take.u64()?, Lsn::from_raw(take.u64()?), usize::from(take.u16()?));
        let key = take.bytes(length)?.into();
        let shard = Self { first, cells, fences, buckets, versions, lsn, key };
        let end =
            [cells, fences, shard.bucket_pages()].iter().try_fold(first, |sum, n| sum.checked_add(*n))?;
        let sane = cells > 0 && cells as usize <= SHARD_PAGES_MAX && fences > 0 && buckets > 0 && length >= 4;
        (sane && length <= FULL_BYTES_MAX && end < pages).then_some(shard)
    }

    /// Pages of buckets.
    pub(super) fn bucket_pages(&self) -> u32 {
        self.buckets.div_ceil(PAGE_BUCKETS as u32)
    }

    /// The page that bucket `n` stands on, and where.
    #[inline]
    pub(super) fn bucket(&self, n: usize) -> (u32, usize) {
        (self.first + self.cells + self.fences + (n / PAGE_BUCKETS) as u32, n % PAGE_BUCKETS)
    }
}
