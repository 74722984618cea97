//! Corridor: `savehold set`.

use savehold::{Map, Value};

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
    let link = open::existing(args)?;
    let place = Place { link: &link, path: &set.key };
    let expected = match set.if_version {
        Some(version) => Expected::Version(version),
        None if set.if_absent => Expected::Absent,
        None => Expected::Anything,
    };
    let ids = (!set.user_ids.is_empty()).then(|| set.user_ids.iter().map(String::as_str).collect::<Value>());
    let meta = (!set.meta.is_empty()).then(|| set.meta.iter().cloned().collect::<Map>());
    let members = [("value", value), ("user_ids", ids.into()), ("metadata", meta.into())];
    let changed = place.change("set", expected, set.once.id.as_deref(), members)?;
    place.answer_version(args.format, &changed)?;
    Ok(Exit::Fine)
}
