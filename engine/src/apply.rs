//! Pure: the only place where a record changes memory, for live commits and for recovery alike.

use bytes::Bytes;
use savehold_wal::Lsn;
use savehold_wal::format::frame::PART_HEADER_BYTES;

use crate::entry::{Entry as Stored, EntryHead};
use crate::error::Result;
use crate::ids::CollectionId;
use crate::index::{Entry, Kind, Loader, Place, TailIndex, VersionRef};
use crate::inner_key;
use crate::lease::{Grant, Noted};
use crate::planted::{self, Fault};
use crate::record::{Effect, Head};

/// Where a record's entries go: the index itself, or a loader that fills it in bulk.
pub(crate) trait Target {
    /// One key's new version.
    fn put(&mut self, entry: Entry<'_>);
}

impl Target for &TailIndex {
    #[inline]
    fn put(&mut self, entry: Entry<'_>) {
        self.insert(entry);
    }
}

/// The index, for a record of ours that was just placed: what it says of `$lease` is noted beside.
pub(crate) struct Live<'a> {
    pub(crate) index: &'a TailIndex,
    /// The whole record.
    pub(crate) record: &'a [u8],
    pub(crate) noted: Noted,
}

impl Target for Live<'_> {
    #[inline]
    fn put(&mut self, entry: Entry<'_>) {
        if entry.collection == CollectionId::LEASE.0 {
            self.note(&entry);
        }
        let created_us = match entry.version.kind {
            Kind::Put => EntryHead::created_alone_us(self.part(entry.version.place)),
            Kind::Remove => None,
        };
        self.index.insert_created(entry, created_us.unwrap_or(0));
    }
}

impl Live<'_> {
    #[cold]
    fn note(&mut self, entry: &Entry<'_>) {
        let Some(key) = inner_key::leased(entry.key) else { return };
        match entry.version.kind {
            Kind::Remove => self.noted.removes.push(key),
            Kind::Put => {
                let part = Bytes::copy_from_slice(self.part(entry.version.place));
                self.noted.puts.push((key, grant_in(&part)));
            }
        }
    }

    /// What stands in a part of the record.
    #[inline]
    fn part(&self, Place { offset, bytes }: Place) -> &[u8] {
        let start = offset as usize + PART_HEADER_BYTES;
        self.record.get(start..start + bytes as usize).unwrap_or(&[])
    }
}

/// What an entry of `$lease` says; of one that cannot be read, that its lease is over.
pub(crate) fn grant_in(part: &Bytes) -> Grant {
    Grant::decode(Stored::decode(part.clone()).as_ref().map_or(&[][..], |stored| &stored.value))
}

impl Target for Loader<'_> {
    #[inline]
    fn put(&mut self, entry: Entry<'_>) {
        self.push(entry);
    }
}

/// Where a value stands that is nothing but its presence.
const NOWHERE: Place = Place { offset: 0, bytes: 0 };

/// Enters the record at `lsn`, whose body begins `body_offset` bytes behind it, into `target`; says how many entries it
/// had. Entries are results, so that any order of records gives the same memory.
///
/// # Errors
///
/// The head is of a newer format, or no head at all.
#[inline]
pub(crate) fn apply(target: &mut impl Target, lsn: Lsn, body_offset: u32, head: &[u8]) -> Result<u32> {
    let head = Head::decode(head)?;
    let mut entries = 0;
    for entry in head.entries() {
        let entry = entry?;
        let (kind, place) = match entry.effect {
            Effect::Put(part) => (Kind::Put, Place { offset: body_offset + part.offset, bytes: part.bytes }),
            Effect::Remove if planted::has(Fault::LoseRemoval) => continue,
            Effect::Remove => (Kind::Remove, NOWHERE),
        };
        target.put(Entry {
            collection: entry.collection.0,
            key: entry.key,
            version: VersionRef { lsn, place, kind, cause: head.author.cause },
        });
        entries += 1;
    }
    if let Some(id) = head.author.id.filter(|_| !planted::has(Fault::LoseId)) {
        let version = VersionRef { lsn, place: NOWHERE, kind: Kind::Put, cause: head.author.cause };
        target.put(Entry { collection: CollectionId::ONCE.0, key: id, version });
    }
    Ok(entries)
}
