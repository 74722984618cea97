//! Pure: which versions of which keys are damaged or lost, and what each key falls back to.

use std::collections::BTreeMap;

use savehold_wal::Lsn;
use savehold_wal::inspect::{Damage, Seen};

use super::survey::{State, Survey, entries, state};
use crate::ids::{CollectionId, Version};
use crate::key::Key;

/// A version of a key that cannot be read any more.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DamagedVersion {
    /// The collection's name, or `#` and its number where the name is lost too.
    pub collection: String,
    /// The key.
    pub key: Key,
    /// The version.
    pub version: Version,
    /// Whether it is the newest of its key that is known of.
    pub newest: bool,
    /// Whether its record is lost with it: a repaired store goes on with the version before. Otherwise the record is copied as
    /// it is, and reads of this version are refused in the copy too.
    pub record_lost: bool,
    /// The newest older version that has a value which is whole; `None` where the key was absent before, or where there
    /// is none.
    pub falls_back: Option<Version>,
}

/// All versions of the keys that have damaged ones.
#[derive(Debug)]
pub(super) struct Suspects(BTreeMap<(u32, Vec<u8>), BTreeMap<Lsn, State>>);

impl Suspects {
    /// The keys that the survey found damaged, and those of lost records whose heads survived.
    pub(super) fn of(survey: &Survey, damage: &[Damage]) -> Self {
        let mut keys = BTreeMap::<_, BTreeMap<_, _>>::new();
        for (collection, key, lsn) in &survey.damaged {
            keys.entry((collection.0, key.clone())).or_default().insert(*lsn, State::Damaged);
        }
        for (lsn, head) in damage.iter().filter_map(|d| Some((d.from, d.head.as_ref()?))) {
            for entry in entries(head).unwrap_or_default() {
                let versions = keys.entry((entry.collection.0, entry.key.to_vec())).or_default();
                versions.insert(lsn, State::Lost);
            }
        }
        Self(keys)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Notes the versions that a record makes of these keys.
    pub(super) fn record(&mut self, seen: &Seen<'_>) {
        for entry in entries(seen.head()).unwrap_or_default() {
            if let Some(versions) = self.0.get_mut(&(entry.collection.0, entry.key.to_vec())) {
                versions.insert(seen.lsn, state(seen, &entry));
            }
        }
    }

    /// Every damaged version, by collection and key, the newest first.
    pub(super) fn damaged(&self, survey: &Survey) -> Vec<DamagedVersion> {
        let mut all = Vec::new();
        for ((collection, key), versions) in &self.0 {
            let Ok(key) = Key::stored(CollectionId(*collection), key) else { continue };
            for (n, (lsn, state)) in versions.iter().rev().enumerate() {
                if state.reads() {
                    continue;
                }
                let mut older = versions.range(..lsn).rev();
                let before = older.find(|(_, state)| state.reads());
                all.push(DamagedVersion {
                    collection: survey.name(CollectionId(*collection)),
                    key: key.clone(),
                    version: (*lsn).into(),
                    newest: n == 0,
                    record_lost: *state == State::Lost,
                    falls_back: before
                        .filter(|(_, state)| **state == State::Whole)
                        .map(|(lsn, _)| (*lsn).into()),
                });
            }
        }
        all
    }
}
