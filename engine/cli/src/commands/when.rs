//! Corridor: moments and times of a store, as people name them and as they are shown.
//!
//! "Now" is the store's own time, which never falls: a moment is meant on the clock that history shows.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use savehold::Store;

use crate::exit::{Exit, Failure};
use crate::moment::{At, Moment};
use crate::output::Cell;

/// What a moment means in a store.
///
/// # Errors
///
/// It lies ahead of the clock or before every store, or is a pin that there is not.
pub fn at(store: &Store, moment: &Moment) -> Result<At, Failure> {
    let now =
        timestamp(store.time_us()).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned_datetime(TimeZone::system());
    let at = moment.at(&now).map_err(|e| Failure::new(Exit::Usage, e.to_string(), ""))?;
    match at {
        At::Pin(name) => Err(Failure::new(
            Exit::No,
            format!("there is no pin {name:?}"),
            "how moments are written says `savehold --help`",
        )),
        at => Ok(at),
    }
}

/// The same moment as the store takes it.
#[must_use]
pub fn for_store(at: &At) -> savehold::At {
    match at {
        At::Version(version) => savehold::At::Version(*version),
        At::Time(time) => savehold::At::Time(u64::try_from(time.as_microsecond()).unwrap_or(0)),
        At::Now | At::Pin(_) => savehold::At::Now,
    }
}

/// A time of the store as a cell; empty where it is no time.
#[must_use]
pub fn cell(us: u64) -> Cell {
    timestamp(us).map_or(Cell::Nothing, Cell::Time)
}

/// A time of the store, local and UTC.
#[must_use]
pub fn shown(us: u64) -> String {
    timestamp(us)
        .map_or_else(|| "an unknown time".to_owned(), |t| crate::moment::show_time(t, &TimeZone::system()))
}

fn timestamp(us: u64) -> Option<Timestamp> {
    Timestamp::from_microsecond(i64::try_from(us).ok()?).ok()
}
