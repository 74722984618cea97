//! Pure: what the records of a log say, one after the other: keys, versions, names, and what of them is damaged.

use std::collections::hash_map::Entry as Slot;
use std::collections::{BTreeSet, HashMap};
use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use savehold_wal::Lsn;
use savehold_wal::inspect::{Damage, Seen, Weight, What};

use crate::entry::EntryHead;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::CollectionId;
use crate::naming::collection_in;
use crate::record::{Effect, Head, HeadEntry};

/// What the records said so far.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Of each key of the user's, by a fingerprint: its newest version, and whether it has a value there.
    newest: HashMap<u128, (Lsn, bool)>,
    /// Versions of keys of the user's.
    pub(super) versions: u64,
    /// Collections of the user's that have keys.
    collections: BTreeSet<u32>,
    /// Names of collections, by number.
    pub(super) names: HashMap<u32, String>,
    /// Versions whose value is damaged.
    pub(super) damaged: Vec<(CollectionId, Vec<u8>, Lsn)>,
    /// Records and values whose checksums are right and that make no sense.
    pub(super) senseless: Vec<Damage>,
}

/// How a version of a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It has a value, which is whole.
    Whole,
    /// The key is absent.
    Absent,
    /// It has a value, which is damaged.
    Damaged,
    /// The record that made it is lost.
    Lost,
}

impl State {
    /// Whether readers are told of it what it was.
    pub(super) fn reads(self) -> bool {
        matches!(self, Self::Whole | Self::Absent)
    }
}

impl Survey {
    /// Takes a record in.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Format`]: only a newer program understands it.
    pub(super) fn record(&mut self, seen: &Seen<'_>) -> Result<()> {
        let entries = match entries(seen.head()) {
            Ok(entries) => entries,
            Err(e) if e.kind() == ErrorKind::Format => return Err(e),
            Err(_) => {
                self.senseless.push(seen.damage(
                    What::Senseless,
                    Weight::Acknowledged,
                    0,
                    seen.body_offset(),
                ));
                return Ok(());
            }
        };
        for entry in &entries {
            let state = self.entry(seen, entry)?;
            if state == State::Damaged {
                self.damaged.push((entry.collection, entry.key.to_vec(), seen.lsn));
            }
            if !entry.collection.is_reserved() {
                self.versions += 1;
                self.collections.insert(entry.collection.0);
                self.note_newest(entry, seen.lsn, state != State::Absent);
            }
        }
        Ok(())
    }

    fn entry(&mut self, seen: &Seen<'_>, entry: &HeadEntry<'_>) -> Result<State> {
        let Effect::Put(part) = entry.effect else { return Ok(State::Absent) };
        if let Some((name, number)) = collection_in(entry.collection, entry.key) {
            self.names.insert(number, name);
        }
        let offset = seen.body_offset().saturating_add(part.offset);
        let Some(bytes) = seen.part(offset, part.bytes) else { return Ok(State::Damaged) };
        match EntryHead::decode(bytes) {
            Ok(_) => Ok(State::Whole),
            Err(e) if e.kind() == ErrorKind::Format => Err(e),
            Err(_) => {
                let damage = seen.damage(What::SenselessPart, Weight::Acknowledged, offset, part.bytes);
                self.senseless.push(damage);
                Ok(State::Damaged)
            }
        }
    }

    fn note_newest(&mut self, entry: &HeadEntry<'_>, lsn: Lsn, there: bool) {
        match self.newest.entry(fingerprint(entry.collection, entry.key)) {
            Slot::Occupied(mut known) if known.get().0 <= lsn => _ = known.insert((lsn, there)),
            Slot::Occupied(_) => {}
            Slot::Vacant(slot) => _ = slot.insert((lsn, there)),
        }
    }

    /// Keys of the user's that have a value.
    pub(super) fn keys(&self) -> u64 {
        self.newest.values().filter(|(_, there)| *there).count() as u64
    }

    /// The collections that have keys and whose names are lost, by number.
    pub(super) fn nameless(&self) -> Vec<CollectionId> {
        let lost = self.collections.iter().filter(|number| !self.names.contains_key(number));
        lost.map(|number| CollectionId(*number)).collect()
    }

    /// The name of a collection, or its number where its name is lost.
    pub(super) fn name(&self, collection: CollectionId) -> String {
        let own = match collection {
            CollectionId::SET => "$set",
            CollectionId::LEASE => "$lease",
            CollectionId::ONCE => "$once",
            CollectionId::MAIL => "$mail",
            CollectionId::USER => "$user",
            _ => {
                return self
                    .names
                    .get(&collection.0)
                    .cloned()
                    .unwrap_or_else(|| format!("#{}", collection.0));
            }
        };
        own.to_owned()
    }
}

/// What a record did, all of it.
pub(super) fn entries(head: &[u8]) -> Result<Vec<HeadEntry<'_>>> {
    Head::decode(head)?.entries().collect()
}

/// How the version that `entry` of a record makes is.
pub(super) fn state(seen: &Seen<'_>, entry: &HeadEntry<'_>) -> State {
    let Effect::Put(part) = entry.effect else { return State::Absent };
    let part = seen.part(seen.body_offset().saturating_add(part.offset), part.bytes);
    match part.map(EntryHead::decode) {
        Some(Ok(_)) => State::Whole,
        _ => State::Damaged,
    }
}

/// The same error for the log's callback.
pub(super) fn to_log(lsn: Lsn, e: &Error) -> savehold_wal::Error {
    crate::load::unreadable(lsn, e)
}

/// Two keys share one as good as never: counting needs no more.
fn fingerprint(collection: CollectionId, key: &[u8]) -> u128 {
    let half = |seed| u128::from(FixedState::with_seed(seed).hash_one((collection.0, key)));
    half(1) << 64 | half(2)
}
