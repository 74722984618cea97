//! Corridor: `savehold sessions`.

use jiff::tz::TimeZone;
use savehold::Key;
use savehold::name::CollectionName;

use super::open::{self, Link};
use super::print::{self, Out, Reader};
use super::when;
use crate::answer::Said;
use crate::args::{Args, Break, Sessions, SessionsVerb};
use crate::consent::{Consent, agrees, consent};
use crate::exit::{Exit, Failure};
use crate::keypath::Keypath;
use crate::output::{Cell, Column, Rows, record};

const COLUMNS: &[Column] = &[
    Column { title: "Key", name: "key" },
    Column { title: "Holder", name: "holder" },
    Column { title: "Since", name: "since" },
    Column { title: "Silent for at most", name: "time_left_ms" },
    Column { title: "Wanted by", name: "wanted_by" },
    Column { title: "Token", name: "token" },
];

/// Lists who plays what, or ends one session.
///
/// # Errors
///
/// Nobody plays the key; nobody agreed; the store cannot be read, or the commit failed.
pub fn run(args: &Args, sessions: &Sessions) -> Result<Exit, Failure> {
    match &sessions.verb {
        None => list(args, &open::existing(args)?),
        Some(SessionsVerb::Break(which)) => end(args, which),
    }
}

fn list(args: &Args, link: &Link) -> Result<Exit, Failure> {
    let answer = link.ask("sessions", [])?;
    let mut rows = Rows::new(args.format, COLUMNS, TimeZone::system());
    let mut out = Out::new();
    for session in Said(&answer).objects("sessions")? {
        for key in session.objects("keys")? {
            if out.put(&rows.row(cells(session, key)?))? == Reader::Gone {
                return Ok(Exit::Fine);
            }
        }
    }
    out.put(&rows.finish())?;
    out.end()?;
    Ok(Exit::Fine)
}

fn cells(session: Said<'_>, key: Said<'_>) -> Result<Vec<Cell>, Failure> {
    let collection = CollectionName::stored(key.text("collection")?)?;
    let path = Keypath { collection, key: key.text("key")?.parse::<Key>()? };
    let life = session.get("life").as_u64().map_or_else(String::new, |life| format!(" (life {life})"));
    let left = session.get("time_left_us").as_u64().map(std::time::Duration::from_micros);
    let text = |name| session.get(name).as_str().map_or(Cell::Nothing, |text| Cell::Text(text.to_owned()));
    Ok(vec![
        Cell::Text(path.to_string()),
        Cell::Text(format!("{}{life}", session.text("holder")?)),
        session.get("since_us").as_u64().map_or(Cell::Nothing, when::cell),
        left.map_or(Cell::Nothing, Cell::Duration),
        text("wanted_by"),
        text("token"),
    ])
}

fn end(args: &Args, which: &Break) -> Result<Exit, Failure> {
    args.store()?;
    let what = format!("end the session on {}", which.key);
    if consent(&what, args.yes, print::on_terminal())? == Consent::Ask
        && !agrees(&print::ask(&format!("{what}? What its holder has not saved is lost. [y/N]"))?)
    {
        return Err(Failure::new(Exit::No, format!("{what}: not agreed to"), "nothing was changed"));
    }
    let link = open::existing(args)?;
    let asked = [
        ("collection", which.key.collection.as_str().into()),
        ("key", which.key.key.to_string().into()),
        ("reason", which.reason.as_str().into()),
    ];
    let answer = link.ask("break", asked)?;
    let Some(session) = Said(&answer).object("session") else {
        let say = format!("nobody has {}", which.key);
        return Err(Failure::new(Exit::No, say, "who has what says `savehold sessions`"));
    };
    let fields = [
        (Column { title: "Key", name: "key" }, Cell::Text(which.key.to_string())),
        (Column { title: "Was held by", name: "holder" }, Cell::Text(session.text("holder")?.to_owned())),
        (
            Column { title: "Token, refused from now on", name: "token" },
            Cell::Text(session.text("token")?.to_owned()),
        ),
    ];
    print::answer(&record(args.format, &fields, &TimeZone::system()))?;
    Ok(Exit::Fine)
}
