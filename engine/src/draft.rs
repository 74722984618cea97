//! Pure: what a run of a closure wants to commit, what it saw, and the record that says so.

use bytes::Bytes;
use savehold_wal::{Frame, Lsn};

use crate::entry::Entry;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::CollectionId;
use crate::index::TailIndex;
use crate::key::Key;
use crate::limits::{TRANSACTION_BYTES_MAX, TRANSACTION_ENTRIES_MAX};
use crate::planted::{self, Fault};
use crate::range::OwnRange;
use crate::record::{Author, HeadWriter, Part};

/// A key of a collection.
pub(crate) type FullKey = (CollectionId, Key);

/// What a commit does to one key.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    /// It has this value from now on.
    Put(Entry),
    /// It is absent from now on.
    Remove,
}

/// What one run wants to commit.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    /// Who, and why.
    pub(crate) author: Author<'a>,
    /// What it does, each key once.
    pub(crate) writes: Vec<(FullKey, Write)>,
    /// The newest version that it saw of each key it read; [`Lsn::NONE`] where there was none.
    pub(crate) reads: Vec<(FullKey, Lsn)>,
    /// The ranges that it scanned.
    pub(crate) ranges: Vec<(CollectionId, OwnRange)>,
    /// The moment of all its reads.
    pub(crate) moment: Lsn,
}

/// A draft as a record: encoded, all but its place.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) frame: Frame,
    pub(crate) head: Vec<u8>,
    pub(crate) body: Bytes,
    pub(crate) body_offset: u32,
}

impl Draft<'_> {
    /// The keys whose state is not what the run saw; all of them `None` where only a range changed. `None` where
    /// nothing changed. Under the commit lock; touches memory only.
    pub(crate) fn conflicts(&self, index: &TailIndex) -> Option<Vec<FullKey>> {
        let changed = |((collection, key), seen): &&(FullKey, Lsn)| {
            index.newest(collection.0, key.as_bytes()).map_or(Lsn::NONE, |v| v.lsn) != *seen
        };
        let mut keys: Vec<FullKey> = self.reads.iter().filter(changed).map(|(key, _)| key.clone()).collect();
        if planted::has(Fault::SkipReads) {
            keys.clear();
        }
        let touched = |(collection, range): &(CollectionId, OwnRange)| {
            !planted::has(Fault::SkipRanges) && index.touched_since(collection.0, range.borrow(), self.moment)
        };
        (!keys.is_empty() || self.ranges.iter().any(touched)).then_some(keys)
    }

    /// The record.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`]: over a limit of the transaction.
    pub(crate) fn encode(&self) -> Result<Encoded> {
        const HEADER: usize = savehold_wal::format::frame::PART_HEADER_BYTES;
        if self.writes.len() > TRANSACTION_ENTRIES_MAX {
            return Err(too_large(&format!("{} keys", self.writes.len())));
        }
        let (mut body, mut parts, mut bytes) = (Vec::new(), Vec::with_capacity(self.writes.len()), 0);
        for (_, write) in &self.writes {
            let Write::Put(entry) = write else { continue };
            body.extend_from_slice(&[0; HEADER]); // where the log's own header stands in the record
            let start = body.len();
            entry.encode(&mut body)?;
            bytes += body.len() - start;
            if bytes > TRANSACTION_BYTES_MAX {
                return Err(too_large(&format!("more than {TRANSACTION_BYTES_MAX} bytes")));
            }
            parts.push(start..body.len());
        }
        let mut head = Vec::with_capacity(64);
        let mut writer = HeadWriter::begin(&mut head, &self.author)?;
        let mut placed = parts.iter();
        let torn = usize::from(planted::has(Fault::TearRecord) && self.writes.len() > 1);
        for ((collection, key), write) in &self.writes[..self.writes.len() - torn] {
            match write {
                Write::Put(_) => {
                    let part = placed.next().expect("one for each put");
                    let number = |n: usize| u32::try_from(n).expect("bounded by TRANSACTION_BYTES_MAX");
                    let part = Part { offset: number(part.start - HEADER), bytes: number(part.len()) };
                    writer.put(*collection, key.as_bytes(), part)?;
                }
                Write::Remove => writer.remove(*collection, key.as_bytes())?,
            }
        }
        let slices: Vec<&[u8]> = parts.iter().map(|part| &body[part.clone()]).collect();
        let frame = Frame::record(&head, &slices)?;
        let body_offset = u32::try_from(frame.len() - body.len()).expect("bounded by HEAD_BYTES_MAX");
        Ok(Encoded { frame, head, body: body.into(), body_offset })
    }
}

#[cold]
fn too_large(what: &str) -> Error {
    let message = format!("the transaction writes {what}: nothing was written; split it into smaller ones");
    Error::new(ErrorKind::TooLarge, message)
}
