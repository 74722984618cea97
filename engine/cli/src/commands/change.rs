//! Corridor: what `set`, `update` and `remove` have in common: a condition, an id, a commit, an answer.

use jiff::tz::TimeZone;
use savehold::{Collection, Entry, Once, Store, Tx, Value, Version};

use super::print;
use crate::exit::{Exit, Failure};
use crate::keypath::Keypath;
use crate::output::{Cell, Column, Format, record};

/// What must stand under a key for a change to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Whatever stands there.
    Anything,
    /// Nothing.
    Absent,
    /// This version.
    Version(Version),
}

/// A key of an open store, to be changed.
pub struct Place<'a> {
    /// The store.
    pub store: &'a Store,
    /// The key, as it was given.
    pub path: &'a Keypath,
    /// Its collection.
    pub documents: Collection<Value>,
}

/// What became of a change.
#[derive(Clone, Debug)]
pub struct Changed<R> {
    /// The version of it, or of the same change done before.
    pub version: Version,
    /// What the change answered; nothing where it was done before.
    pub now: Option<R>,
}

impl<'a> Place<'a> {
    /// The place of a key.
    ///
    /// # Errors
    ///
    /// Its collection is one of the store's own.
    pub fn of(store: &'a Store, path: &'a Keypath) -> Result<Self, Failure> {
        Ok(Self { store, path, documents: store.any(path.collection.as_str())? })
    }

    /// Runs `f` as one commit, once for each id; says beside the answer where it was done before.
    ///
    /// # Errors
    ///
    /// What `f` answers; the commit failed; the id belongs to a change of another key.
    pub fn change<R>(
        &self,
        id: Option<&str>,
        f: impl FnMut(&Tx<'_>) -> Result<R, Failure>,
    ) -> Result<Changed<R>, Failure> {
        let done = match id {
            None => Once::Now(self.store.transaction(f)?),
            Some(id) => self.store.transaction_once(id, f)?,
        };
        match done {
            Once::Now(done) => Ok(Changed { version: done.version, now: Some(done.value) }),
            Once::Before(version) => self.done_before(id.unwrap_or_default(), version),
        }
    }

    fn done_before<R>(&self, id: &str, version: Version) -> Result<Changed<R>, Failure> {
        let mut versions = self.documents.versions(&self.path.key)?;
        if versions.any(|found| found.is_ok_and(|found| found.version == version)) {
            print::note(&format!("done before, by version {version}: nothing was changed"));
            return Ok(Changed { version, now: None });
        }
        let say = format!(
            "the id {id:?} belongs to version {version}, which changed another key: nothing was changed"
        );
        Err(Failure::new(Exit::No, say, "choose another id"))
    }

    /// What stands under the key, if it is what was expected.
    ///
    /// # Errors
    ///
    /// It is not.
    pub fn expect(&self, tx: &Tx<'_>, expected: Expected) -> Result<Option<Entry<Value>>, Failure> {
        let now = tx.get(&self.documents, &self.path.key)?;
        let stands = now.as_ref().map(|entry| entry.version);
        match (expected, stands) {
            (Expected::Anything, _) | (Expected::Absent, None) => Ok(now),
            (Expected::Version(wanted), Some(version)) if wanted == version => Ok(now),
            (Expected::Absent, Some(version)) => Err(self.refused(&format!("is there, version {version}"))),
            (Expected::Version(_), Some(version)) => Err(self.refused(&format!("has version {version}"))),
            (Expected::Version(_), None) => Err(self.refused("is not there")),
        }
    }

    fn refused(&self, why: &str) -> Failure {
        let next = format!("see `savehold history {}`", self.path);
        Failure::new(Exit::No, format!("{} {why}: nothing was written", self.path), next)
    }

    /// Prints the version that a change wrote: alone for people and scripts, with its key as JSON.
    ///
    /// # Errors
    ///
    /// The system refuses to write.
    pub fn answer_version<R>(&self, format: Format, changed: &Changed<R>) -> Result<(), Failure> {
        if format == Format::Table {
            return print::answer(&format!("{}\n", changed.version));
        }
        let fields = [
            (Column { title: "Key", name: "key" }, Cell::Text(self.path.to_string())),
            (Column { title: "Version", name: "version" }, Cell::Version(changed.version)),
            (Column { title: "Changed", name: "changed" }, Cell::Bool(changed.now.is_some())),
        ];
        print::answer(&record(format, &fields, &TimeZone::system()))
    }
}
