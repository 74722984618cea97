//! Corridor: keys, entries and versions, one after the other and by pages.

use std::collections::HashMap;

use crate::change::Entry;
use crate::error::Result;
use crate::form::Form;
use crate::ids::CollectionId;
use crate::inner_key;
use crate::key::{Key, KeyRef};
use crate::table::{Listing, VersionInfo, VersionRefs};

/// Keys of a range, in order.
pub struct Keys(pub(crate) Listing);

impl Iterator for Keys {
    type Item = Result<Key>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|item| item.map(|(key, _)| key))
    }
}

/// Keys whose values belong to a user, with the names of their collections; the keys of one collection together, in
/// order.
pub struct KeysOf {
    pub(crate) tags: Listing,
    pub(crate) names: HashMap<CollectionId, String>,
}

impl Iterator for KeysOf {
    type Item = Result<(String, Key)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (tag, _) = match self.tags.next()? {
                Ok(item) => item,
                Err(e) => return Some(Err(e)),
            };
            // a tag is made by us alone: what is none is none of a newer program either
            let Some((_, collection, key)) = inner_key::tagged(tag.as_bytes()) else { continue };
            let name = self.names.get(&collection).cloned();
            return Some(Ok((name.unwrap_or_else(|| collection.to_string()), key)));
        }
    }
}

/// Versions of a key, newest first.
pub struct Versions(pub(crate) VersionRefs);

impl Versions {
    /// The same, with what the index knows of those whose record cannot be read.
    pub(crate) fn described(self) -> impl Iterator<Item = Result<VersionInfo>> {
        let core = self.0.core.clone();
        self.0.map(move |version| core.described(version?))
    }
}

impl Iterator for Versions {
    type Item = Result<VersionInfo>;

    fn next(&mut self) -> Option<Self::Item> {
        let version = self.0.next()?;
        Some(version.and_then(|version| self.0.core.describe(version)))
    }
}

/// Entries of a range, in order.
pub struct Scan<T> {
    pub(crate) listing: Listing,
    pub(crate) form: Form<T>,
}

impl<T> Iterator for Scan<T> {
    type Item = Result<Entry<T>>;

    fn next(&mut self) -> Option<Self::Item> {
        let (key, version) = match self.listing.next()? {
            Ok(item) => item,
            Err(e) => return Some(Err(e)),
        };
        let table = &self.listing.table;
        let entry = table.core.stored(version).and_then(|stored| self.form.entry(key.clone(), stored));
        Some(entry.map_err(|e| table.named(&KeyRef::from(&key), e)))
    }
}

/// Some entries of a range, and where the next page begins.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The entries, in order.
    pub entries: Vec<Entry<T>>,
    /// For the next page; `None` where nothing follows.
    pub cursor: Option<Key>,
}
