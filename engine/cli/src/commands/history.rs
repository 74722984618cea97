//! Corridor: `savehold history`.

use jiff::tz::TimeZone;
use savehold::Map;

use super::open::{self, Link};
use super::print::{self, Out, Reader};
use super::{show, when};
use crate::answer::Said;
use crate::args::{Args, History};
use crate::exit::{Exit, Failure};
use crate::moment::At;
use crate::output::{Cell, Column, Rows};

/// Most versions of an answer.
const PAGE_MAX: u64 = 1000;

const COLUMNS: &[Column] = &[
    Column { title: "Version", name: "version" },
    Column { title: "Time", name: "time" },
    Column { title: "Size", name: "size_bytes" },
    Column { title: "Did", name: "did" },
    Column { title: "Origin", name: "origin" },
    Column { title: "Id", name: "id" },
];

/// Lists the versions of a key, newest first.
///
/// # Errors
///
/// The key was never there; the store cannot be read.
pub fn run(args: &Args, history: &History) -> Result<Exit, Failure> {
    let link = open::existing(args)?;
    let since_us = since(&link, history)?;
    let mut rows = Rows::new(args.format, COLUMNS, TimeZone::system());
    let (mut out, mut left) = (Out::new(), history.limit.unwrap_or(u64::MAX));
    let mut request = Map::from([("do", "versions"), ("collection", history.key.collection.as_str())]);
    request.insert("key", history.key.key.to_string());
    request.insert("since_us", since_us);
    loop {
        request.insert("limit", left.min(PAGE_MAX));
        let answer = link.ask_all(&request)?;
        let versions = Said(&answer).objects("versions")?;
        let more = Said(&answer).flag("more");
        if versions.is_empty() && !request.contains_key("below") && !was_there(&link, history)? {
            return Err(show::absent(&link, &history.key));
        }
        for version in &versions {
            if out.put(&rows.row(cells(*version)?))? == Reader::Gone {
                return Ok(Exit::Fine);
            }
        }
        left -= versions.len() as u64;
        match versions.last() {
            Some(last) if more && left > 0 => drop(request.insert("below", last.text("version")?)),
            _ if more => {
                print::note("there are older ones; `--limit` says how many are shown");
                break;
            }
            _ => break,
        }
    }
    out.put(&rows.finish())?;
    out.end()?;
    Ok(Exit::Fine)
}

/// Whether the key ever had a version.
fn was_there(link: &Link, history: &History) -> Result<bool, Failure> {
    let asked = [
        ("collection", history.key.collection.as_str().into()),
        ("key", history.key.key.to_string().into()),
        ("limit", 1.into()),
    ];
    Ok(!Said(&link.ask("versions", asked)?).objects("versions")?.is_empty())
}

/// The time from which on versions are listed; says what was understood.
fn since(link: &Link, history: &History) -> Result<u64, Failure> {
    let Some(moment) = &history.since else { return Ok(0) };
    let at = match when::at(link, moment)? {
        At::Pin(name) => At::Version(when::of_pin(link, &name)?),
        at => at,
    };
    let since_us = match &at {
        At::Version(version) => when::of_version(link, *version)?.ok_or_else(|| {
            let say = format!("version {version} is not in this store");
            Failure::new(Exit::No, say, format!("those of the key says `savehold history {}`", history.key))
        })?,
        At::Time(time) => u64::try_from(time.as_microsecond()).unwrap_or(0),
        At::Now | At::Pin(_) => when::now_us(link)?,
    };
    print::note(&format!("since {}", when::shown(since_us)));
    Ok(since_us)
}

fn cells(version: Said<'_>) -> Result<Vec<Cell>, Failure> {
    let removed = version.flag("removed");
    let did = match (removed, version.flag("explicit")) {
        (true, _) => "removed",
        (false, true) => "written",
        (false, false) => "autosaved",
    };
    let text = |name| version.get(name).as_str().map_or(Cell::Nothing, |text| Cell::Text(text.to_owned()));
    Ok(vec![
        Cell::Version(version.version("version")?),
        when::cell(version.count("time_us")?),
        if removed { Cell::Nothing } else { Cell::Bytes(version.count("bytes")?) },
        Cell::Text(did.to_owned()),
        text("origin"),
        text("id"),
    ])
}
