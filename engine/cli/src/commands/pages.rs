//! Corridor: keys and entries of a collection, page by page, all as of the moment of the first.

use savehold::{Key, Map, Value};

use super::open::Link;
use super::show;
use crate::answer::Said;
use crate::exit::Failure;
use crate::keypath::{Keypath, Prefix};

/// Most keys of a page.
const PAGE_MAX: u64 = 1000;

/// The pages of a scope.
#[derive(Debug)]
pub struct Pages {
    request: Map,
    scope: Prefix,
    last: Option<Key>,
    more: bool,
}

impl Pages {
    /// The pages that the verb `verb` answers, behind `after`.
    #[must_use]
    pub fn new(verb: &str, scope: &Prefix, after: Option<&Keypath>) -> Self {
        let mut request = Map::from([("do", verb), ("collection", scope.collection.as_str())]);
        request.extend(scope.prefix.as_ref().map(|prefix| ("prefix", prefix.to_string())));
        Self { request, scope: scope.clone(), last: after.map(|after| after.key.clone()), more: true }
    }

    /// The same pages as of the version `at`.
    #[must_use]
    pub fn at(mut self, at: &str) -> Self {
        self.request.insert("at", at);
        self
    }

    /// The same pages, whose moment is held from one to the next.
    #[must_use]
    pub fn held(mut self) -> Self {
        self.request.insert("hold", true);
        self
    }

    /// The next page, of at most `most` keys; `None` behind the last.
    ///
    /// # Errors
    ///
    /// There is no such collection; the store cannot be read.
    pub fn next(&mut self, link: &Link, most: u64) -> Result<Option<Map>, Failure> {
        if !self.more {
            return Ok(None);
        }
        self.request.insert("limit", most.clamp(1, PAGE_MAX));
        self.request.extend(self.last.as_ref().map(|last| ("after", last.to_string())));
        let page = link.ask_all(&self.request)?;
        let said = Said(&page);
        if said.get("collection") == &Value::Bool(false) {
            return Err(show::no_collection(self.scope.collection.as_str()));
        }
        self.more = said.flag("more");
        self.request.insert("at", said.text("at")?);
        Ok(Some(page))
    }

    /// Notes a key of the page, behind which the next one begins.
    ///
    /// # Errors
    ///
    /// It is none.
    pub fn seen(&mut self, key: &Value) -> Result<Key, Failure> {
        let key: Key = key.as_str().unwrap_or_default().parse()?;
        self.last = Some(key.clone());
        Ok(key)
    }

    /// Whether there is more behind the last page.
    #[must_use]
    pub fn more(&self) -> bool {
        self.more
    }

    /// The key that came last.
    #[must_use]
    pub fn last(&self) -> Option<Keypath> {
        let key = self.last.clone()?;
        Some(Keypath { collection: self.scope.collection.clone(), key })
    }
}
