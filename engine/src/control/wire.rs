//! Pure: the lines of CONTROL: what a request says, and how an answer says it.
//!
//! A line is a [`Value`] in the JSON form of [`crate::value::json`]: an object. A request names its verb and what the
//! verb needs; a member that the verb does not know is refused, for it would be lost silently.
//!
//! ```text
//! {"do": "get", "collection": "players", "key": "42", "at": "2517.40960"}
//! {"ok": {"entry": {"key": "42", "value": {"coins": 100}, "version": "2517.40960", …}}}
//! {"error": {"kind": "Locked", "next": "Retry", "message": "…", "version": null, "older": null}}
//! {"progress": {"done_bytes": 4096, "total_bytes": 65536, "elapsed_us": 1500, "remaining_us": 22500}}
//! {"progress": {"looked_at_keys": 9000, "set_back_keys": 2000, "elapsed_us": 1500}}
//! ```
//!
//! Lines of progress stand before an answer, where the request asked for them.
//!
//! Keys stand as they are shown everywhere, `\xNN` for a byte that does not print. Versions are text, times are
//! microseconds since 1970.

use std::time::Duration;

use savehold_wal::Lsn;

use crate::at::At;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{Token, Version};
use crate::key::Key;
use crate::options::Progress;
use crate::value::{Map, Value, json};

/// Levels that a line has around a value.
const LEVELS: usize = 4;

/// The number that a greeting names; it grows when a client of before would misunderstand.
pub const PROTOCOL: u64 = 1;

/// A line as what it says.
///
/// # Errors
///
/// [`ErrorKind::Decode`]: it is none.
pub(crate) fn read(line: &[u8]) -> Result<Value> {
    json::from_line(line, LEVELS)
}

/// What is said as a line, without its end.
///
/// # Errors
///
/// [`ErrorKind::Encode`]: a value in it is nested deeper than any may be.
pub(crate) fn write(said: &Value) -> Result<String> {
    json::line(said, LEVELS)
}

/// The line of an answer.
pub(crate) fn answer(answer: Result<Map>) -> String {
    let line = answer.and_then(|said| write(&Map::from([("ok", said)]).into()));
    line.unwrap_or_else(|e| {
        let refused: Value = Map::from([("error", error(&e))]).into();
        write(&refused).unwrap_or_default() // text is nested nowhere
    })
}

/// How far a verb has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Advance {
    /// A verb that reads or writes files.
    Bytes(Progress),
    /// A verb that sets keys back.
    Keys {
        /// Keys that were looked at.
        looked_at: u64,
        /// Keys among them that were set back, or in a dry run would be.
        set_back: u64,
        /// Time so far.
        elapsed: Duration,
    },
}

/// The line that says how far something has come.
pub(crate) fn progress(at: &Advance) -> String {
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let said = match at {
        Advance::Bytes(at) => Map::from([
            ("done_bytes", at.done_bytes),
            ("total_bytes", at.total_bytes),
            ("elapsed_us", micros(at.elapsed)),
            ("remaining_us", micros(at.remaining)),
        ]),
        Advance::Keys { looked_at, set_back, elapsed } => Map::from([
            ("looked_at_keys", *looked_at),
            ("set_back_keys", *set_back),
            ("elapsed_us", micros(*elapsed)),
        ]),
    };
    write(&Map::from([("progress", said)]).into()).unwrap_or_default() // numbers are nested nowhere
}

/// What a line of the other side says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Line {
    /// It is done.
    Answer(Map),
    /// It goes on.
    Progress(Advance),
}

/// What a line of the other side says.
///
/// # Errors
///
/// What the other side answered; [`ErrorKind::Decode`]: it makes no sense.
pub(crate) fn line(line: &[u8]) -> Result<Line> {
    let Value::Map(mut said) = read(line)? else { return Err(no_answer()) };
    let member = |name: &'static str| said.get(name).and_then(Value::as_map);
    match (member("error"), member("progress")) {
        (Some(e), _) => Err(error_of(e)),
        (_, Some(at)) => Ok(Line::Progress(progress_of(at))),
        _ => match said.remove("ok") {
            Some(Value::Map(said)) => Ok(Line::Answer(said)),
            _ => Err(no_answer()),
        },
    }
}

fn progress_of(said: &Map) -> Advance {
    let count = |name: &'static str| said.get(name).and_then(Value::as_u64).unwrap_or(0);
    let elapsed = Duration::from_micros(count("elapsed_us"));
    if said.contains_key("looked_at_keys") {
        let (looked_at, set_back) = (count("looked_at_keys"), count("set_back_keys"));
        return Advance::Keys { looked_at, set_back, elapsed };
    }
    Advance::Bytes(Progress {
        done_bytes: count("done_bytes"),
        total_bytes: count("total_bytes"),
        elapsed,
        remaining: Duration::from_micros(count("remaining_us")),
    })
}

#[cold]
fn no_answer() -> Error {
    Error::new(ErrorKind::Decode, "the holder's answer makes no sense: use the command line of its version")
}

/// An error as an answer says it.
pub(crate) fn error(e: &Error) -> Map {
    let version = |v: Option<Version>| v.map_or(Value::Nil, |v| v.to_string().into());
    let mut said = Map::new();
    said.insert("kind", format!("{:?}", e.kind()));
    said.insert("next", format!("{:?}", e.next()));
    said.insert("message", e.message());
    said.insert("version", version(e.version()));
    said.insert("older", version(e.older()));
    let token = |token: Option<Token>| token.map(|token| token.to_string());
    let left = e.time_left().map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    let lease = [
        ("holder", Value::from(e.holder())),
        ("time_left_us", left.into()),
        ("held", token(e.held()).into()),
        ("current", token(e.current()).into()),
    ];
    said.extend(lease.into_iter().filter(|(_, fact)| !fact.is_nil()));
    said
}

/// The error that an answer says. A kind that only a newer holder knows becomes one that asks for the same next move.
pub(crate) fn error_of(said: &Map) -> Error {
    let text = |name: &'static str| said.get(name).and_then(Value::as_str).unwrap_or_default();
    let version = |name: &'static str| text(name).parse::<Version>().ok();
    let kind = KINDS.iter().copied().find(|kind| format!("{kind:?}") == text("kind"));
    let kind = kind.unwrap_or_else(|| {
        let alike = [ErrorKind::Busy, ErrorKind::Ended, ErrorKind::Invalid, ErrorKind::Corrupt];
        let same_move = |kind: &ErrorKind| format!("{:?}", kind.next()) == text("next");
        alike.into_iter().find(same_move).unwrap_or(ErrorKind::Halted)
    });
    let e = Error::new(kind, text("message"));
    let e = version("version").into_iter().fold(e, Error::at);
    let e = version("older").into_iter().fold(e, Error::or_older);
    let left = said.get("time_left_us").and_then(Value::as_u64).map(Duration::from_micros);
    let e =
        said.get("holder").and_then(Value::as_str).into_iter().fold(e, |e, holder| e.held_by(holder, left));
    let token = |name: &'static str| text(name).parse::<Token>().ok();
    token("held").into_iter().fold(e, |e, held| e.fenced(held, token("current")))
}

/// Every kind that travels.
const KINDS: &[ErrorKind] = &[
    ErrorKind::Locked,
    ErrorKind::Missing,
    ErrorKind::Foreign,
    ErrorKind::Format,
    ErrorKind::Corrupt,
    ErrorKind::Damaged,
    ErrorKind::Io,
    ErrorKind::Full,
    ErrorKind::Busy,
    ErrorKind::TooLarge,
    ErrorKind::Halted,
    ErrorKind::Unknown,
    ErrorKind::Closed,
    ErrorKind::Gone,
    ErrorKind::Forked,
    ErrorKind::Invalid,
    ErrorKind::Aborted,
    ErrorKind::ReadOnly,
    ErrorKind::Conflict,
    ErrorKind::Reentrant,
    ErrorKind::Panicked,
    ErrorKind::NotANumber,
    ErrorKind::Overflow,
    ErrorKind::Decode,
    ErrorKind::Encode,
    ErrorKind::WrongType,
    ErrorKind::Undone,
    ErrorKind::Leased,
    ErrorKind::Fenced,
    ErrorKind::Ended,
    ErrorKind::AlreadyActive,
    ErrorKind::MailboxFull,
    ErrorKind::Refused,
    ErrorKind::Superseded,
];

/// The members of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a>(pub(crate) &'a Map);

impl<'a> Asked<'a> {
    /// Refuses a member that is not among `known` and not the verb.
    pub(crate) fn only(self, known: &[&str]) -> Result<Self> {
        let strange = self
            .0
            .iter()
            .find(|(name, _)| name.as_str().is_none_or(|name| name != "do" && !known.contains(&name)));
        match strange {
            None => Ok(self),
            Some((name, _)) => Err(wrong(format!("the member {name} says nothing here: it knows {known:?}"))),
        }
    }

    /// A member that may be missing, or null.
    pub(crate) fn get(self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_nil())
    }

    /// A member whatever it is, which must be there.
    pub(crate) fn value(self, name: &str) -> Result<&'a Value> {
        self.0.get(name).ok_or_else(|| wrong(format!("there is no {name:?}")))
    }

    /// Text, which must be there.
    pub(crate) fn text(self, name: &str) -> Result<&'a str> {
        self.text_if(name)?.ok_or_else(|| wrong(format!("there is no {name:?}")))
    }

    /// Text that may be missing.
    pub(crate) fn text_if(self, name: &str) -> Result<Option<&'a str>> {
        self.get(name).map(|value| value.as_str().ok_or_else(|| kind(name, "text"))).transpose()
    }

    /// A whole number from 0 on, which may be missing.
    pub(crate) fn count_if(self, name: &str) -> Result<Option<u64>> {
        self.get(name).map(|value| value.as_u64().ok_or_else(|| kind(name, "a whole number"))).transpose()
    }

    /// Whether a member is true; it may be missing.
    pub(crate) fn flag(self, name: &str) -> Result<bool> {
        let said = self.get(name).map(|value| value.as_bool().ok_or_else(|| kind(name, "true or false")));
        Ok(said.transpose()?.unwrap_or(false))
    }

    /// A key, which must be there.
    pub(crate) fn key(self, name: &str) -> Result<Key> {
        self.text(name)?.parse()
    }

    /// A key that may be missing.
    pub(crate) fn key_if(self, name: &str) -> Result<Option<Key>> {
        self.text_if(name)?.map(str::parse).transpose()
    }

    /// A version that may be missing.
    pub(crate) fn version_if(self, name: &str) -> Result<Option<Version>> {
        Ok(self.text_if(name)?.map(str::parse::<Version>).transpose()?)
    }

    /// A moment: a version as text, a time as a number, `{"ago_us": n}`, `{"pin": name}`; now where it is missing.
    pub(crate) fn at(self, name: &str) -> Result<At> {
        Ok(match self.get(name) {
            None => At::Now,
            Some(Value::String(text)) => At::Version(text.parse()?),
            Some(Value::Map(pin)) if pin.contains_key("pin") => {
                match pin.get("pin").and_then(Value::as_str) {
                    Some(pin) => At::Pin(pin.to_owned()),
                    None => return Err(kind("pin", "text")),
                }
            }
            Some(Value::Map(ago)) => {
                let ago_us = ago.get("ago_us").and_then(Value::as_u64);
                At::Ago(Duration::from_micros(ago_us.ok_or_else(|| kind("ago_us", "a whole number"))?))
            }
            Some(value) => At::Time(value.as_u64().ok_or_else(|| kind(name, "a version or a time"))?),
        })
    }
}

#[cold]
pub(crate) fn wrong(why: String) -> Error {
    Error::new(ErrorKind::Invalid, format!("the request makes no sense: {why}; see the README of the engine"))
}

#[cold]
fn kind(name: &str, wanted: &str) -> Error {
    wrong(format!("{name:?} is not {wanted}"))
}

/// A version as an answer says it; nothing for the place before all.
pub(crate) fn version(lsn: Lsn) -> Value {
    if lsn == Lsn::NONE { Value::Nil } else { Version::from(lsn).to_string().into() }
}

/// An idempotency id as it is shown, `\xNN` for a byte that does not print.
pub(crate) fn id(id: &[u8]) -> String {
    Key::new(id).map_or_else(|_| String::new(), |id| id.to_string())
}

#[cfg(test)]
mod tests;
