//! Pure: what goes over into a restored store besides its past: leases that end, receipts that are undone.
//!
//! The first commits of the new timeline remove every lease that stood at the moment, so that a token of before is
//! fenced, and note each idempotency id behind the moment, so that `outcome` answers `Undone` and not that nobody knows. So they
//! do of an id that an earlier restore undid, where its note lies behind the moment too: the commit stands in no log any more. Out of a
//! thinned backup there is a first commit in any case: the present lies behind the moment then, and is whole.

use std::collections::BTreeMap;

use bytes::Bytes;
use savehold_wal::backup::{Carry, Cut, Passing};
use savehold_wal::format::frame::{FrameWriter, PART_HEADER_BYTES};
use savehold_wal::inspect::{Inspector, Seen};
use savehold_wal::{Frame, Lsn};

use super::go_on;
use super::kept::{Between, Thinned, not_whole_at};
use super::lost::{Receipt, Tally};
use crate::attributes::Attributes;
use crate::entry::{Entry, EntryHead};
use crate::error::Result;
use crate::ids::{CollectionId, Version};
use crate::inner_key::UNDONE;
use crate::load::unreadable;
use crate::naming::{collection_in, noted_version};
use crate::record::{Author, Effect, Head, HeadWriter, Part};
use crate::value::{Map, Value, codec};

/// Entries of one of the first commits.
const ENTRIES_MAX: usize = 1000;

/// What the records of a backup say, one after the other.
#[derive(Debug)]
pub(super) struct Gather {
    /// Ids of commits behind the backup, in the store that is replaced, unless the backup has a commit of that id that is kept:
    /// that one stands again.
    behind: BTreeMap<Vec<u8>, Version>,
    /// Receipts of those, at the front of all.
    counted: usize,
    /// Keys of `$lease` that stand at the moment.
    leases: BTreeMap<Vec<u8>, ()>,
    pub(super) tally: Tally,
    /// Ids that earlier restores undid, as they noted behind the moment, and the commits.
    undone_before: BTreeMap<Vec<u8>, Version>,
    thinned: Vec<Thinned>,
    cut: Cut,
    between: Between,
    /// Collections, as the backup names them.
    names: BTreeMap<u32, String>,
    now_us: u64,
}

impl Gather {
    /// Nothing yet of a moment where a backup whose files were `thinned` is cut; the time is that of the first commits.
    pub(super) fn new(thinned: Vec<Thinned>, cut: Cut, now_us: u64) -> Self {
        let (leases, tally, names) = (BTreeMap::new(), Tally::default(), BTreeMap::new());
        let (undone_before, behind) = (BTreeMap::new(), BTreeMap::new());
        Self {
            behind,
            counted: 0,
            leases,
            tally,
            undone_before,
            thinned,
            cut,
            between: Between::UNKNOWN,
            names,
            now_us,
        }
    }

    /// The names of the collections that are not whole, or their numbers where the backup has no name.
    pub(super) fn not_whole(&self) -> Vec<String> {
        let name = |number: &u32| self.names.get(number).cloned().unwrap_or_else(|| format!("#{number}"));
        not_whole_at(&self.thinned, self.cut, self.between).iter().map(name).collect()
    }

    /// Leases that end.
    pub(super) fn leases(&self) -> u64 {
        self.leases.len() as u64
    }

    fn note(&mut self, passing: &Passing<'_>) -> Result<()> {
        let head = Head::decode(passing.head())?;
        self.between.note(passing.lsn, passing.kept);
        if passing.kept
            && let Some(id) = head.author.id
        {
            self.undone_before.remove(id);
            self.behind.remove(id);
        }
        if !passing.kept {
            let part = |part: Part| passing.part(part.offset, part.bytes);
            self.undo((passing.lsn, passing.time_us), &head, part)?;
        }
        for entry in head.entries() {
            let entry = entry?;
            if let Some((name, number)) = collection_in(entry.collection, entry.key) {
                self.names.insert(number, name);
            }
            match (passing.kept, entry.collection, entry.effect) {
                (true, CollectionId::LEASE, Effect::Put(_)) => {
                    self.leases.insert(entry.key.to_vec(), ());
                }
                (true, CollectionId::LEASE, Effect::Remove) => {
                    self.leases.remove(entry.key);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes note of a commit that is undone, of which `part` answers what it put.
    fn undo<'b>(
        &mut self,
        (lsn, time_us): (Lsn, u64),
        head: &Head<'_>,
        part: impl Fn(Part) -> Option<&'b [u8]>,
    ) -> Result<()> {
        self.tally.commit(time_us);
        if let Some(id) = head.author.id {
            self.tally.receipts.push(Receipt { id: id.to_vec(), version: Version::from(lsn), time_us });
        }
        for entry in head.entries() {
            let entry = entry?;
            match (entry.collection, entry.effect) {
                (CollectionId::SET, Effect::Put(put)) => {
                    if let Some(id) = entry.key.strip_prefix(UNDONE) {
                        let said = part(put).and_then(version_in);
                        self.undone_before.insert(id.to_vec(), said.unwrap_or(lsn.into()));
                    }
                }
                (collection, _) if !collection.is_reserved() => {
                    self.tally.key(time_us, collection, entry.key);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes note of what a store holds that a restore replaces, behind the end of its backup: undone like what the backup
    /// holds behind the moment. Damage there keeps nobody from a restore: what cannot be read is not counted.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub(super) fn undo_behind(&mut self, through: Lsn, before: &Inspector) -> Result<()> {
        let mut visit = |seen: &Seen<'_>| {
            if seen.lsn >= through
                && let Ok(head) = Head::decode(seen.head())
            {
                let part = |part: Part| seen.part(part.offset.checked_add(seen.body_offset())?, part.bytes);
                _ = self.undo((seen.lsn, seen.time_us), &head, part);
            }
            Ok(())
        };
        before.inspect_from(through, &mut go_on, &mut visit)?;
        let receipts = self.tally.receipts.iter();
        self.behind = receipts.map(|receipt| (receipt.id.clone(), receipt.version)).collect();
        self.counted = self.tally.receipts.len();
        Ok(())
    }

    fn ends(&self) -> Result<Vec<Frame>> {
        let keys: Vec<&Vec<u8>> = self.leases.keys().collect();
        let frame = |keys: &[&Vec<u8>]| {
            let mut frame = FrameWriter::new(64 * keys.len());
            frame.head(|out| {
                let mut head = HeadWriter::begin(out, &Author::NOBODY)?;
                keys.iter().try_for_each(|key| head.remove(CollectionId::LEASE, key))
            })?;
            Ok(frame.finish()?)
        };
        keys.chunks(ENTRIES_MAX).map(frame).collect()
    }

    fn undone(&self) -> Result<Vec<Frame>> {
        let before = self.undone_before.iter().chain(&self.behind).map(|(id, version)| (&**id, *version));
        let own = &self.tally.receipts[self.counted..];
        let mut all: BTreeMap<&[u8], Version> = before.collect(); // one that was applied again is undone again
        for receipt in own {
            let version = all.entry(&receipt.id).or_insert(receipt.version);
            *version = receipt.version.max(*version);
        }
        let all: Vec<(&[u8], Version)> = all.into_iter().collect();
        let frame = |undone: &[(&[u8], Version)]| {
            let entries =
                undone.iter().map(|(_, version)| self.entry(*version)).collect::<Result<Vec<_>>>()?;
            let mut frame = FrameWriter::new(192 * undone.len());
            frame.head(|out| {
                let (mut head, mut offset) = (HeadWriter::begin(out, &Author::NOBODY)?, 0);
                for ((id, _), entry) in undone.iter().zip(&entries) {
                    let bytes = u32::try_from(entry.bytes()).expect("a few dozen");
                    head.put(CollectionId::SET, &[UNDONE, id].concat(), Part { offset, bytes })?;
                    offset += PART_HEADER_BYTES as u32 + bytes;
                }
                Ok::<(), crate::error::Error>(())
            })?;
            for entry in &entries {
                frame.part(|out| entry.encode(out))?;
            }
            Ok(frame.finish()?)
        };
        all.chunks(ENTRIES_MAX).map(frame).collect()
    }

    fn entry(&self, undone: Version) -> Result<Entry> {
        let mut map = Map::default();
        map.insert("version", undone.to_string());
        let mut bytes = Vec::new();
        let format = codec::encode(&Value::Map(map), &mut bytes)?;
        let (attributes, schema) = (Attributes::NONE, Bytes::new());
        let head = EntryHead { created_us: self.now_us, attributes, schema, format };
        Ok(Entry { head, value: Bytes::from(bytes) })
    }
}

/// The version that a note of what was undone says; none where it cannot be read.
fn version_in(part: &[u8]) -> Option<Version> {
    let (head, value) = EntryHead::decode(part).ok()?;
    noted_version(head.format, value).ok()?
}

/// A commit that changes nothing.
fn nothing() -> Result<Frame> {
    let mut frame = FrameWriter::new(64);
    frame.head(|out| HeadWriter::begin(out, &Author::NOBODY).map(drop))?;
    Ok(frame.finish()?)
}

impl Carry for Gather {
    fn record(&mut self, passing: &Passing<'_>) -> savehold_wal::Result<()> {
        self.note(passing).map_err(|e| unreadable(passing.lsn, &e))
    }

    fn first_records(&mut self) -> savehold_wal::Result<Vec<Frame>> {
        let made = self.ends().and_then(|mut frames| {
            frames.extend(self.undone()?);
            if frames.is_empty() && !self.thinned.is_empty() {
                frames.push(nothing()?);
            }
            Ok(frames)
        });
        made.map_err(|e| unreadable(savehold_wal::Lsn::NONE, &e))
    }
}
