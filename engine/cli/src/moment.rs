//! Pure: a moment as people name it, and what it means on a given clock in a given time zone.
//!
//! | written | means |
//! |---|---|
//! | `now` | the newest |
//! | `2517.40960` | that version |
//! | `2026-11-22T18:00:00Z`, `2026-11-22T18:00:00+01:00` | that time (RFC 3339) |
//! | `2026-11-22 18:00`, `2026-11-22 18:00:30` | that local time |
//! | `today 09:30`, `yesterday 18:00` | that local time |
//! | `21:40` | the last time that local clocks showed it: yesterday, where today's is still ahead |
//! | `-90m`, `-2h30m`, `-1d` | so long ago |
//! | `pin:before update`, or any text that begins like none of the above | the pin of that name |
//!
//! A local time that clocks skip means the time right behind the gap, one that they show twice the earlier; what
//! was understood is echoed, so nobody has to know. No moment lies ahead of the clock.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, ZonedDateTime};
use savehold::Version;

use crate::quantity;

/// A moment as it was written; [`Moment::at`] says what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The newest.
    Now,
    /// A version.
    Version(Version),
    /// A time that names its offset from UTC.
    Instant(Timestamp),
    /// A local date and time.
    Local(DateTime),
    /// A local time so many days ago.
    DaysAgo(i8, Time),
    /// The last time that local clocks showed it.
    Last(Time),
    /// So long ago.
    Ago(Duration),
    /// A pin by name.
    Pin(String),
}

/// What a [`Moment`] means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// The newest.
    Now,
    /// A version.
    Version(Version),
    /// A time, not before 1970.
    Time(Timestamp),
    /// A pin by name.
    Pin(String),
}

/// Why a text is no moment, or a moment means nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MomentError {
    /// It is written like none.
    Form,
    /// A day without a time.
    WantsTime,
    /// It lies ahead of the clock; holds what was understood.
    Ahead(String),
    /// It lies before every store.
    TooEarly,
}

impl FromStr for Moment {
    type Err = MomentError;

    fn from_str(text: &str) -> Result<Self, MomentError> {
        let day = |days, rest: &str| match rest.strip_prefix(' ') {
            Some(clock) => Ok(Self::DaysAgo(days, time(clock).ok_or(MomentError::Form)?)),
            None => Err(MomentError::WantsTime),
        };
        if text == "now" {
            Ok(Self::Now)
        } else if let Some(name) = text.strip_prefix("pin:") {
            if name.is_empty() { Err(MomentError::Form) } else { Ok(Self::Pin(name.to_owned())) }
        } else if let Some(ago) = text.strip_prefix('-') {
            quantity::duration(ago).map(Self::Ago).map_err(|_| MomentError::Form)
        } else if text == "today" || text.starts_with("today ") {
            day(0, &text["today".len()..])
        } else if text == "yesterday" || text.starts_with("yesterday ") {
            day(1, &text["yesterday".len()..])
        } else if text.starts_with(|c: char| c.is_ascii_digit()) {
            numeric(text)
        } else if text.is_empty() {
            Err(MomentError::Form)
        } else {
            Ok(Self::Pin(text.to_owned()))
        }
    }
}

impl Moment {
    /// What it means when clocks show `now`, in the time zone of `now`.
    ///
    /// # Errors
    ///
    /// [`MomentError::Ahead`] and [`MomentError::TooEarly`].
    pub fn at(&self, now: &ZonedDateTime) -> Result<At, MomentError> {
        let local = |date: DateTime| Some(date.to_zoned_datetime(now.time_zone().clone()).ok()?.timestamp());
        let days_ago = |days: i8, time: Time| {
            local(now.date().checked_sub(i32::from(days).days()).ok()?.to_datetime(time))
        };
        let time = match self {
            Self::Now => return Ok(At::Now),
            Self::Version(version) => return Ok(At::Version(*version)),
            Self::Pin(name) => return Ok(At::Pin(name.clone())),
            Self::Instant(time) => Some(*time),
            Self::Local(date) => local(*date),
            Self::DaysAgo(days, time) => days_ago(*days, *time),
            Self::Last(time) => {
                days_ago(0, *time).filter(|today| *today <= now.timestamp()).or_else(|| days_ago(1, *time))
            }
            Self::Ago(duration) => now.timestamp().checked_sub(*duration).ok(),
        };
        let time = time.filter(|time| *time >= Timestamp::UNIX_EPOCH).ok_or(MomentError::TooEarly)?;
        if time > now.timestamp() {
            return Err(MomentError::Ahead(show_time(time, now.time_zone())));
        }
        Ok(At::Time(time))
    }
}

impl At {
    /// How it is told to people: a time as local time and UTC.
    #[must_use]
    pub fn show(&self, zone: &TimeZone) -> String {
        match self {
            Self::Now => "now".to_owned(),
            Self::Version(version) => format!("version {version}"),
            Self::Time(time) => show_time(*time, zone),
            Self::Pin(name) => format!("pin {name:?}"),
        }
    }
}

/// A time as local clocks show it, and in UTC: `2026-11-22 18:00:00 +01:00 (2026-11-22T17:00:00Z)`.
#[must_use]
pub fn show_time(time: Timestamp, zone: &TimeZone) -> String {
    let local = time.to_zoned_datetime(zone.clone());
    format!("{} ({time})", local.strftime("%Y-%m-%d %H:%M:%S%.f %:z"))
}

/// What begins with a digit: a version, a clock, a date with a time.
fn numeric(text: &str) -> Result<Moment, MomentError> {
    if let Ok(version) = text.parse() {
        return Ok(Moment::Version(version));
    }
    if let Some(clock) = time(text) {
        return Ok(Moment::Last(clock));
    }
    let date = text.get(..10).and_then(date).ok_or(MomentError::Form)?;
    let clock = match text[10..].chars().next() {
        None => return Err(MomentError::WantsTime),
        Some(' ' | 'T' | 't') => &text[11..],
        Some(_) => return Err(MomentError::Form),
    };
    match time(clock) {
        Some(clock) => Ok(Moment::Local(date.to_datetime(clock))),
        None => text.parse().map(Moment::Instant).map_err(|_| MomentError::Form),
    }
}

/// `YYYY-MM-DD` and nothing else.
fn date(text: &str) -> Option<Date> {
    let shape = text
        .bytes()
        .enumerate()
        .all(|(at, b)| if matches!(at, 4 | 7) { b == b'-' } else { b.is_ascii_digit() });
    if shape { text.parse().ok() } else { None }
}

/// `HH:MM`, `HH:MM:SS`, `HH:MM:SS.fraction` and nothing else.
fn time(text: &str) -> Option<Time> {
    let shape = text.contains(':') && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b':' | b'.'));
    if shape { text.parse().ok() } else { None }
}

impl fmt::Display for MomentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form => f.write_str(
                "a moment is written like `yesterday 18:00`, `21:40`, `-90m`, `2026-11-22 18:00`, \
                 `2026-11-22T18:00:00Z`, `2517.40960` (a version), `pin:NAME` or `now`",
            ),
            Self::WantsTime => {
                f.write_str("a day wants a time, for example `yesterday 18:00` or `2026-11-22 18:00`")
            }
            Self::Ahead(shown) => {
                write!(f, "{shown} lies ahead of this machine's clock; for the newest write `now`")
            }
            Self::TooEarly => f.write_str("that is before 1970, and before every store"),
        }
    }
}

impl std::error::Error for MomentError {}

#[cfg(test)]
mod tests;
