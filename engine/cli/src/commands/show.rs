//! Corridor: values, attributes and absences as answers show them.

use savehold::value::json::{self, Layout};
use savehold::{Attributes, Error, ErrorKind, Value};

use crate::answer::Said;
use crate::escape;
use crate::exit::{Exit, Failure};
use crate::keypath::Keypath;
use crate::output::Cell;

use super::open::Link;
use super::when;

/// Bytes up to which a value is shown on one line.
const LINE_BYTES_MAX: usize = 96;

/// A value for people: on one line where it is short, else a line for each member; JSON all the same.
///
/// # Errors
///
/// It is nested too deep for JSON.
pub fn text(value: &Value) -> Result<String, Failure> {
    let line = json::to_string(value)?;
    if line.len() <= LINE_BYTES_MAX {
        return Ok(escape::visible_json(&line) + "\n");
    }
    let mut indented = Vec::new();
    json::write(value, Layout::Indented, &mut indented)?;
    let lines = String::from_utf8_lossy(&indented);
    Ok(lines.lines().map(|line| escape::visible_json(line) + "\n").collect())
}

/// A value as a cell.
///
/// # Errors
///
/// As [`text`].
pub fn value(value: &Value) -> Result<Cell, Failure> {
    Ok(Cell::Json(json::to_string(value)?))
}

/// User ids as a cell: a list.
#[must_use]
pub fn user_ids(attributes: &Attributes) -> Cell {
    let ids: Vec<&str> = attributes.user_ids().iter().map(savehold::UserId::as_str).collect();
    Cell::Json(serde_json::Value::from(ids).to_string())
}

/// Metadata as a cell: an object.
#[must_use]
pub fn metadata(attributes: &Attributes) -> Cell {
    let members = attributes.meta().iter().map(|(name, text)| (name.clone(), text.as_str().into()));
    Cell::Json(serde_json::Value::Object(members.collect()).to_string())
}

/// Why a key has no value, asked for now.
#[must_use]
pub fn absent(link: &Link, path: &Keypath) -> Failure {
    let asked = [("collection", path.collection.as_str().into()), ("key", path.key.to_string().into())];
    match link.ask("get", asked) {
        Ok(answer) => why_absent(Said(&answer), path),
        Err(e) => e.into(),
    }
}

/// Why a key has no value, as the answer to `get` tells: it was removed, and when; it was never there; or the whole
/// collection was not.
#[must_use]
pub fn why_absent(answer: Said<'_>, path: &Keypath) -> Failure {
    let collection = &path.collection;
    if let Some(newest) = answer.object("newest") {
        let when = when::shown(newest.get("time_us").as_u64().unwrap_or(0));
        let version = newest.text("version").unwrap_or_default();
        let say = format!("{path} was removed on {when} by version {version}");
        return Failure::new(Exit::No, say, format!("what it was says `savehold history {path}`"));
    }
    if !answer.flag("collection") {
        return no_collection(collection.as_str());
    }
    let next = format!("which keys there are says `savehold list {collection}`");
    Failure::new(Exit::No, format!("there is no {path}"), next)
}

/// Whether anything was ever written to a collection of this name.
///
/// # Errors
///
/// The store's.
pub fn is_known(link: &Link, name: &str) -> savehold::Result<bool> {
    let said = link.ask("names", [])?;
    let names = Said(&said).get("names").as_list().unwrap_or_default();
    Ok(names.iter().any(|known| known.as_str() == Some(name)))
}

/// That there is no collection of this name.
#[must_use]
pub fn no_collection(name: &str) -> Failure {
    Failure::new(Exit::No, format!("there is no collection {name}"), "which there are says `savehold list`")
}

/// A value that cannot be read: what the store says, and where an older one can be had.
#[must_use]
pub fn unreadable(e: Error, path: &Keypath) -> Failure {
    match e.older() {
        Some(older) if e.kind() == ErrorKind::Damaged => Failure::new(
            Exit::Damaged,
            e.message(),
            format!("the version before can be read: `savehold get {path} --at {older}`"),
        ),
        _ => e.into(),
    }
}
