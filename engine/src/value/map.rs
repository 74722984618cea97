//! Pure: maps that keep the order of their members.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use super::{MapKey, MapKeyRef, Value};

/// Values by key, in the order in which they were added. No key stands twice.
///
/// Two maps are equal when they have equal members, in whatever order. Looking up takes the same time in a map of
/// any size; removing moves the members behind.
#[derive(Clone, Default)]
pub struct Map {
    members: Vec<(MapKey, Value)>,
    /// Where each key stands in `members`; only while there are more than [`PLAIN_MAX`].
    index: Option<Box<Index>>,
}

/// Up to so many members are looked up one after the other, which is faster than hashing.
const PLAIN_MAX: usize = 16;

/// Places by hash. The seed is random, because keys are chosen by strangers; no order depends on it.
#[derive(Clone, Default)]
struct Index {
    seed: RandomState,
    places: HashTable<usize>,
}

impl Map {
    /// A map without members.
    #[must_use]
    pub const fn new() -> Self {
        Self { members: Vec::new(), index: None }
    }

    /// Members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The value under `key`.
    #[must_use]
    pub fn get<'k>(&self, key: impl Into<MapKeyRef<'k>>) -> Option<&Value> {
        self.place(key.into()).map(|place| &self.members[place].1)
    }

    /// The value under `key`, to be changed.
    #[must_use]
    pub fn get_mut<'k>(&mut self, key: impl Into<MapKeyRef<'k>>) -> Option<&mut Value> {
        self.place(key.into()).map(|place| &mut self.members[place].1)
    }

    /// Whether there is a value under `key`.
    #[must_use]
    pub fn contains_key<'k>(&self, key: impl Into<MapKeyRef<'k>>) -> bool {
        self.place(key.into()).is_some()
    }

    /// Puts `value` under `key` and returns what stood there: a new key at the end, a known one where it was.
    pub fn insert(&mut self, key: impl Into<MapKey>, value: impl Into<Value>) -> Option<Value> {
        let (key, value) = (key.into(), value.into());
        match self.place(key.as_ref()) {
            Some(place) => Some(std::mem::replace(&mut self.members[place].1, value)),
            None => {
                self.push(key, value);
                None
            }
        }
    }

    /// Takes the value under `key` out; the others keep their order.
    pub fn remove<'k>(&mut self, key: impl Into<MapKeyRef<'k>>) -> Option<Value> {
        let place = self.place(key.into())?;
        let (_, value) = self.members.remove(place);
        self.index = self.index.take().filter(|_| self.members.len() > PLAIN_MAX);
        if let Some(index) = &mut self.index {
            index.places.retain(|p| *p != place);
            index.places.iter_mut().filter(|p| **p > place).for_each(|p| *p -= 1);
        }
        Some(value)
    }

    /// The members, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&MapKey, &Value)> + DoubleEndedIterator {
        self.members.iter().map(|(key, value)| (key, value))
    }

    /// The members, in order, their values to be changed.
    pub fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = (&MapKey, &mut Value)> + DoubleEndedIterator {
        self.members.iter_mut().map(|(key, value)| (&*key, value))
    }

    /// Adds a member; gives the key back where it stands already.
    pub(super) fn try_add(&mut self, key: MapKey, value: Value) -> Result<(), MapKey> {
        if self.contains_key(&key) {
            return Err(key);
        }
        self.push(key, value);
        Ok(())
    }

    fn place(&self, key: MapKeyRef<'_>) -> Option<usize> {
        match &self.index {
            None => self.members.iter().position(|(k, _)| k.as_ref() == key),
            Some(index) => {
                let hash = index.seed.hash_one(key);
                index.places.find(hash, |place| self.members[*place].0.as_ref() == key).copied()
            }
        }
    }

    /// Adds a member whose key is new.
    fn push(&mut self, key: MapKey, value: Value) {
        self.members.push((key, value));
        let unlisted = match &self.index {
            Some(_) => self.members.len() - 1..self.members.len(),
            None if self.members.len() > PLAIN_MAX => 0..self.members.len(),
            None => return,
        };
        let Index { seed, places } = &mut **self.index.get_or_insert_default();
        let hash = |place: &usize| seed.hash_one(self.members[*place].0.as_ref());
        for place in unlisted {
            places.insert_unique(hash(&place), place, hash);
        }
    }
}

impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|(key, value)| other.get(key) == Some(value))
    }
}

impl Eq for Map {}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl IntoIterator for Map {
    type Item = (MapKey, Value);
    type IntoIter = std::vec::IntoIter<(MapKey, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.members.into_iter()
    }
}

impl<K: Into<MapKey>, V: Into<Value>> Extend<(K, V)> for Map {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, members: I) {
        for (key, value) in members {
            self.insert(key, value);
        }
    }
}

impl<K: Into<MapKey>, V: Into<Value>> FromIterator<(K, V)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(members: I) -> Self {
        let mut map = Self::new();
        map.extend(members);
        map
    }
}

impl<K: Into<MapKey>, V: Into<Value>, const N: usize> From<[(K, V); N]> for Map {
    fn from(members: [(K, V); N]) -> Self {
        members.into_iter().collect()
    }
}
