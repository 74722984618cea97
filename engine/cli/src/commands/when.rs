//! Corridor: moments and times of a store, as people name them and as they are shown.
//!
//! "Now" is the store's own time, which never falls: a moment is meant on the clock that history shows.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use savehold::{Map, Value, Version};

use super::open::Link;
use crate::answer::Said;
use crate::exit::{Exit, Failure};
use crate::moment::{At, Moment};
use crate::output::Cell;

/// What a moment means in a store.
///
/// # Errors
///
/// It lies ahead of the clock or before every store.
pub fn at(link: &Link, moment: &Moment) -> Result<At, Failure> {
    let now = timestamp(now_us(link)?).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned_datetime(TimeZone::system());
    moment.at(&now).map_err(|e| Failure::new(Exit::Usage, e.to_string(), ""))
}

/// The version that a pin names.
///
/// # Errors
///
/// There is no such pin; the store cannot be read.
pub fn of_pin(link: &Link, name: &str) -> Result<Version, Failure> {
    let answer = link.ask("pins", [])?;
    for pin in Said(&answer).objects("pins")? {
        if pin.text("name")? == name {
            return Ok(pin.version("version")?);
        }
    }
    Err(no_pin(name))
}

/// What a moment means on this machine's clock, where no store is open; says what was understood of a time.
///
/// # Errors
///
/// It lies ahead of the clock or before every store.
pub fn on_clock(moment: &Moment) -> Result<savehold::At, Failure> {
    let now = Timestamp::now().to_zoned_datetime(TimeZone::system());
    match moment.at(&now).map_err(|e| Failure::new(Exit::Usage, e.to_string(), ""))? {
        At::Pin(name) => Ok(savehold::At::Pin(name)),
        at => {
            if let At::Time(_) = at {
                super::print::note(&format!("as of {}", at.show(&TimeZone::system())));
            }
            Ok(match at {
                At::Version(version) => savehold::At::Version(version),
                At::Time(time) => savehold::At::Time(u64::try_from(time.as_microsecond()).unwrap_or(0)),
                At::Now | At::Pin(_) => savehold::At::Now,
            })
        }
    }
}

/// A moment as a request says it.
#[must_use]
pub fn as_value(at: savehold::At) -> Value {
    match at {
        savehold::At::Version(version) => version.to_string().into(),
        savehold::At::Time(us) => us.into(),
        savehold::At::Pin(name) => savehold::Map::from([("pin", name)]).into(),
        _ => Value::Nil,
    }
}

fn no_pin(name: &str) -> Failure {
    let what = format!("there is no pin {name:?}");
    Failure::new(Exit::No, what, "how moments are written says `savehold --help`")
}

/// The store's time.
///
/// # Errors
///
/// The store's.
pub fn now_us(link: &Link) -> savehold::Result<u64> {
    Said(&link.ask("time", [])?).count("time_us")
}

/// The time of a version; `None` outside the log.
///
/// # Errors
///
/// The store's.
pub fn of_version(link: &Link, version: Version) -> savehold::Result<Option<u64>> {
    let said = link.ask("time", [("of", version.to_string().into())])?;
    Ok(Said(&said).get("time_us").as_u64())
}

/// The same moment as a request says it.
#[must_use]
pub fn for_store(at: &At) -> Value {
    match at {
        At::Version(version) => version.to_string().into(),
        At::Time(time) => u64::try_from(time.as_microsecond()).unwrap_or(0).into(),
        At::Pin(name) => Map::from([("pin", name.as_str())]).into(),
        At::Now => Value::Nil,
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
