//! Corridor: what `set`, `update` and `remove` have in common: a request that is one commit, and its answer.

use jiff::tz::TimeZone;
use savehold::{Error, ErrorKind, Map, Value, Version};

use super::open::Link;
use super::{print, show};
use crate::answer::Said;
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

/// A key of a store within reach, to be changed.
pub struct Place<'a> {
    /// The store.
    pub link: &'a Link,
    /// The key, as it was given.
    pub path: &'a Keypath,
}

/// What became of a change.
#[derive(Clone, Debug)]
pub struct Changed {
    /// The version of it, or of the same change done before.
    pub version: Version,
    /// Whether it was made now.
    pub now: bool,
    /// The value that it wrote, where the verb tells it.
    pub value: Value,
}

impl Place<'_> {
    /// Has a change made, once for each id; says beside the answer where it was done before.
    ///
    /// # Errors
    ///
    /// The condition does not hold; the commit failed; the id belongs to a change of another key.
    pub fn change<const N: usize>(
        &self,
        verb: &str,
        expected: Expected,
        id: Option<&str>,
        members: [(&str, Value); N],
    ) -> Result<Changed, Failure> {
        let mut request = Map::from([("do", verb)]);
        request.insert("collection", self.path.collection.as_str());
        request.insert("key", self.path.key.to_string());
        request.extend(members.into_iter().filter(|(name, value)| !value.is_nil() || *name == "value"));
        request.extend(id.map(|id| ("id", id)));
        match expected {
            Expected::Anything => {}
            Expected::Absent => drop(request.insert("if_absent", true)),
            Expected::Version(version) => drop(request.insert("if_version", version.to_string())),
        }
        let answer = self.link.ask_all(&request).map_err(|e| self.refused(expected, e))?;
        let said = Said(&answer);
        let version = said.version("version")?;
        let now = said.flag("now");
        if !now && !said.flag("same") {
            let id = id.unwrap_or_default();
            let say = format!(
                "the id {id:?} belongs to version {version}, which changed another key: nothing was changed"
            );
            return Err(Failure::new(Exit::No, say, "choose another id"));
        }
        if !now {
            print::note(&format!("done before, by version {version}: nothing was changed"));
        }
        Ok(Changed { version, now, value: said.get("value").clone() })
    }

    /// Why a change was not made, for whoever expected something.
    fn refused(&self, expected: Expected, e: Error) -> Failure {
        if e.kind() == ErrorKind::WrongType {
            let next = format!("to write another value use `savehold set {}`", self.path);
            return Failure::new(Exit::No, e.message(), next);
        }
        if e.kind() != ErrorKind::Conflict {
            return e.into();
        }
        let why = match (expected, e.version()) {
            (Expected::Anything, _) => return show::absent(self.link, self.path),
            (Expected::Absent, Some(version)) => format!("is there, version {version}"),
            (Expected::Version(_), Some(version)) => format!("has version {version}"),
            (_, None) => "is not there".to_owned(),
        };
        let next = format!("see `savehold history {}`", self.path);
        Failure::new(Exit::No, format!("{} {why}: nothing was written", self.path), next)
    }

    /// Prints the version that a change wrote: alone for people and scripts, with its key as JSON.
    ///
    /// # Errors
    ///
    /// The system refuses to write.
    pub fn answer_version(&self, format: Format, changed: &Changed) -> Result<(), Failure> {
        if format == Format::Table {
            return print::answer(&format!("{}\n", changed.version));
        }
        let fields = [
            (Column { title: "Key", name: "key" }, Cell::Text(self.path.to_string())),
            (Column { title: "Version", name: "version" }, Cell::Version(changed.version)),
            (Column { title: "Changed", name: "changed" }, Cell::Bool(changed.now)),
        ];
        print::answer(&record(format, &fields, &TimeZone::system()))
    }
}
