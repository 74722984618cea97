//! Corridor: what `diff` and `tail` share: which keys they are about, and cells of what changed.

use savehold::name::CollectionName;
use savehold::{Entry, Error, ErrorKind, Key, Map, Value};

use super::open::Link;
use super::{print, show};
use crate::answer::Said;
use crate::exit::Failure;
use crate::keypath::{Keypath, Prefix};
use crate::output::Cell;

/// What is made of a collection that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// An empty answer would say that nothing was changed in it.
    Refused,
    /// It is said, and may come.
    Awaited,
}

/// Has a request ask for the keys of a scope alone: one key, those of a collection, or those that begin with `prefix`.
///
/// # Errors
///
/// One key cannot begin with anything. There is no such collection, and `unknown` ones are refused.
pub fn ask_for(
    link: &Link,
    request: &mut Map,
    scope: Option<&Prefix>,
    prefix: Option<&Key>,
    unknown: Unknown,
) -> Result<(), Failure> {
    let Some(scope) = scope else { return Ok(()) };
    let name = scope.collection.as_str();
    if !show::is_known(link, name)? {
        match unknown {
            Unknown::Refused => return Err(show::no_collection(name)),
            Unknown::Awaited => print::note(&format!("there is no collection {name} yet: waiting for it")),
        }
    }
    request.insert("collection", scope.collection.as_str());
    if let Some(key) = &scope.prefix {
        if prefix.is_some() {
            let say = format!("{scope} is one key: name the collection alone beside --prefix");
            return Err(Error::new(ErrorKind::Invalid, say).into());
        }
        request.insert("key", key.to_string());
    }
    request.extend(prefix.map(|prefix| ("prefix", prefix.to_string())));
    Ok(())
}

/// Where something changed.
///
/// # Errors
///
/// The answer does not say it.
pub fn path(said: Said<'_>) -> Result<Keypath, Failure> {
    let collection = CollectionName::stored(said.text("collection")?)?;
    Ok(Keypath { collection, key: said.text("key")?.parse::<Key>()? })
}

/// What stood there, if anything did: the version and the value.
///
/// # Errors
///
/// The answer does not say it, or the value is nested too deep for JSON.
pub fn stood(said: Said<'_>, name: &str) -> Result<(Cell, Cell), Failure> {
    let entry: Option<Entry<Value>> = said.object(name).map(Said::entry).transpose()?;
    Ok(match entry {
        Some(entry) => (Cell::Version(entry.version), show::value(&entry.value)?),
        None => (Cell::Nothing, Cell::Nothing),
    })
}
