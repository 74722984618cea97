//! Corridor: `savehold set`.

use savehold::Change;

use super::change::{Expected, Place};
use super::{input, open};
use crate::args::{Args, Json, Set};
use crate::exit::{Exit, Failure};

/// Writes the value of a key.
///
/// # Errors
///
/// The condition does not hold; the value or its attributes are over a limit; the commit failed.
pub fn run(args: &Args, set: &Set) -> Result<Exit, Failure> {
    let value = match &set.value {
        Json::Value(value) => value.clone(),
        Json::Stdin => input::value()?,
    };
    let store = open::existing(args)?;
    let place = Place::of(&store, &set.key)?;
    let expected = match set.if_version {
        Some(version) => Expected::Version(version),
        None if set.if_absent => Expected::Absent,
        None => Expected::Anything,
    };
    let mut change = Change::write(value);
    if !set.user_ids.is_empty() {
        change = change.user_ids(set.user_ids.iter().map(String::as_str));
    }
    if !set.meta.is_empty() {
        change = change.meta(set.meta.iter().cloned());
    }
    let changed = place.change(set.once.id.as_deref(), |tx| {
        if expected != Expected::Anything {
            place.expect(tx, expected)?;
        }
        Ok(tx.change(&place.documents, &set.key.key, change.clone())?)
    })?;
    place.answer_version(args.format, &changed)?;
    Ok(Exit::Fine)
}
