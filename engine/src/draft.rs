//! Pure: what a run of a closure wants to commit, what it saw, and the record that says so.

use bytes::Bytes;
use savehold_wal::format::frame::{FrameWriter, PART_HEADER_BYTES};
use savehold_wal::{Frame, Lsn};

use crate::attributes::Attributes;
use crate::entry::{Entry, EntryHead};
use crate::error::{Error, ErrorKind, Result};
use crate::format::Format;
use crate::ids::CollectionId;
use crate::index::Index;
pub(crate) use crate::key::FullKey;
use crate::lease::Claim;
use crate::limits::{TRANSACTION_BYTES_MAX, TRANSACTION_ENTRIES_MAX};
use crate::memory::Memory;
use crate::planted::{self, Fault};
use crate::range::OwnRange;
use crate::record::{Author, HeadWriter, Part};

/// What a commit does to one key.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    /// It has this value from now on.
    Put(Entry),
    /// It is absent from now on.
    Remove,
}

impl Write {
    /// It has these bytes of the store's own from now on.
    pub(crate) fn own(bytes: Vec<u8>, created_us: u64) -> Self {
        let (attributes, schema, format) = (Attributes::NONE, Bytes::new(), Format::Raw);
        let head = EntryHead { created_us, attributes, schema, format };
        Self::Put(Entry { head, value: bytes.into() })
    }

    /// The value, if it has one.
    pub(crate) fn entry(&self) -> Option<&Entry> {
        match self {
            Self::Put(entry) => Some(entry),
            Self::Remove => None,
        }
    }

    /// The value, if it has one.
    pub(crate) fn into_entry(self) -> Option<Entry> {
        match self {
            Self::Put(entry) => Some(entry),
            Self::Remove => None,
        }
    }
}

/// What one run wants to commit.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    /// Who, and why.
    pub(crate) author: Author<'a>,
    /// What it does, each key once.
    pub(crate) writes: &'a [(FullKey, Write)],
    /// The newest version that it saw of each key it read; [`Lsn::NONE`] where there was none.
    pub(crate) reads: &'a [(FullKey, Lsn)],
    /// The ranges that it scanned.
    pub(crate) ranges: &'a [(CollectionId, OwnRange)],
    /// A moment at which, or later, all its reads were made; the ranges were scanned at this very moment.
    pub(crate) moment: Lsn,
    /// What it knows from memory: the newest version of each key as it was at that version's own moment, long ago perhaps.
    pub(crate) remembered: &'a [(FullKey, Lsn)],
    /// What it brings to write leased keys, and what it does to leases.
    pub(crate) claim: Option<&'a Claim>,
    /// What it changes in memory beside the index.
    pub(crate) memory: Option<&'a dyn Memory>,
}

impl Draft<'_> {
    /// The keys whose state is not what the run saw; all of them `None` where only a range changed. `None` where
    /// nothing changed. Under the commit lock; touches memory, and of tables only pages that the run has just read.
    ///
    /// # Errors
    ///
    /// As [`Index::changed`].
    pub(crate) fn conflicts(&self, index: &Index) -> Result<Option<Vec<FullKey>>> {
        let mut keys: Vec<FullKey> = Vec::new();
        let read = self.reads.iter().map(|(full, seen)| (full, *seen, self.moment));
        let remembered = self.remembered.iter().map(|(full, seen)| (full, *seen, self.moment.min(*seen)));
        for ((collection, key), seen, moment) in read.chain(remembered) {
            if index.changed(collection.0, key.as_bytes(), seen, moment)? {
                keys.push((*collection, key.clone()));
            }
        }
        if planted::has(Fault::SkipReads) {
            keys.clear();
        }
        if !keys.is_empty() {
            return Ok(Some(keys));
        }
        for (collection, range) in self.ranges.iter().filter(|_| !planted::has(Fault::SkipRanges)) {
            if index.touched_since(collection.0, range.borrow(), self.moment)? {
                return Ok(Some(keys));
            }
        }
        Ok(None)
    }

    /// The record, all but its place.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`]: over a limit of the transaction.
    pub(crate) fn encode(&self) -> Result<Frame> {
        if self.writes.len() > TRANSACTION_ENTRIES_MAX {
            return Err(too_large(&format!("{} keys", self.writes.len())));
        }
        let puts = || self.writes.iter().filter_map(|(_, write)| write.entry());
        let bytes = puts().map(Entry::bytes).sum::<usize>();
        if bytes > TRANSACTION_BYTES_MAX {
            return Err(too_large(&format!("more than {TRANSACTION_BYTES_MAX} bytes")));
        }
        let head: usize = self.writes.iter().map(|((_, key), _)| ENTRY_ROOM + key.as_bytes().len()).sum();
        let mut frame = FrameWriter::new(AUTHOR_ROOM + head + puts().count() * PART_HEADER_BYTES + bytes);
        frame.head(|out| self.encode_head(out))?;
        for entry in puts() {
            frame.part(|out| entry.encode(out))?;
        }
        Ok(frame.finish()?)
    }

    fn encode_head(&self, out: &mut Vec<u8>) -> Result<()> {
        let number = |n: usize| u32::try_from(n).expect("bounded by TRANSACTION_BYTES_MAX");
        let (mut head, mut offset) = (HeadWriter::begin(out, &self.author)?, 0);
        let torn = usize::from(planted::has(Fault::TearRecord) && self.writes.len() > 1);
        for ((collection, key), write) in &self.writes[..self.writes.len() - torn] {
            match write {
                Write::Put(entry) => {
                    let bytes = entry.bytes();
                    let part = Part { offset: number(offset), bytes: number(bytes) };
                    head.put(*collection, key.as_bytes(), part)?;
                    offset += PART_HEADER_BYTES + bytes;
                }
                Write::Remove => head.remove(*collection, key.as_bytes())?,
            }
        }
        Ok(())
    }
}

/// Room in a head for what stands there without an id, and for an entry without its key: enough nearly always.
const AUTHOR_ROOM: usize = 16;
const ENTRY_ROOM: usize = 12;

#[cold]
fn too_large(what: &str) -> Error {
    let message = format!("the transaction writes {what}: nothing was written; split it into smaller ones");
    Error::new(ErrorKind::TooLarge, message)
}
