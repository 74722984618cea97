//! Corridor: `savehold history`.

use jiff::tz::TimeZone;
use savehold::{Store, VersionInfo};

use super::print::{self, Out, Reader};
use super::{open, show, when};
use crate::args::{Args, History};
use crate::exit::{Exit, Failure};
use crate::moment::At;
use crate::output::{Cell, Column, Rows};

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
    let store = open::existing(args)?;
    let documents = store.any(history.key.collection.as_str())?;
    let since_us = since(&store, history)?;
    let mut versions = documents.versions(&history.key.key)?.peekable();
    if versions.peek().is_none() {
        return Err(show::absent(&store, &documents, &history.key));
    }
    let mut rows = Rows::new(args.format, COLUMNS, TimeZone::system());
    let (mut out, mut left) = (Out::new(), history.limit.unwrap_or(u64::MAX));
    for version in versions {
        let version = version?;
        if version.time_us < since_us {
            break;
        }
        if left == 0 {
            print::note("there are older ones; `--limit` says how many are shown");
            break;
        }
        left -= 1;
        if out.put(&rows.row(cells(version)))? == Reader::Gone {
            return Ok(Exit::Fine);
        }
    }
    out.put(&rows.finish())?;
    out.end()?;
    Ok(Exit::Fine)
}

/// The time from which on versions are listed; says what was understood.
fn since(store: &Store, history: &History) -> Result<u64, Failure> {
    let Some(moment) = &history.since else { return Ok(0) };
    let at = when::at(store, moment)?;
    let since_us = match &at {
        At::Version(version) => store.time_of(*version)?.ok_or_else(|| {
            let say = format!("version {version} is not in this store");
            Failure::new(Exit::No, say, format!("those of the key says `savehold history {}`", history.key))
        })?,
        At::Time(time) => u64::try_from(time.as_microsecond()).unwrap_or(0),
        At::Now | At::Pin(_) => store.time_us(),
    };
    print::note(&format!("since {}", when::shown(since_us)));
    Ok(since_us)
}

fn cells(version: VersionInfo) -> Vec<Cell> {
    let did = match (version.removed, version.explicit) {
        (true, _) => "removed",
        (false, true) => "written",
        (false, false) => "autosaved",
    };
    let id =
        version.id.map(|id| savehold::Key::new(&id[..]).map_or_else(|_| String::new(), |id| id.to_string()));
    vec![
        Cell::Version(version.version),
        when::cell(version.time_us),
        if version.removed { Cell::Nothing } else { Cell::Bytes(u64::from(version.bytes)) },
        Cell::Text(did.to_owned()),
        version.origin.map_or(Cell::Nothing, Cell::Text),
        id.map_or(Cell::Nothing, Cell::Text),
    ]
}
