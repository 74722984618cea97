//! Corridor: `savehold tail`.

use jiff::tz::TimeZone;
use savehold::Map;

use super::open::{self, Link};
use super::past::{self, Unknown};
use super::print::{self, Out, Reader};
use super::when;
use crate::answer::Said;
use crate::args::{Args, Tail};
use crate::exit::{Exit, Failure};
use crate::output::{Cell, Column, Rows};

/// Most commits of an answer.
const PAGE_MAX: u64 = 1000;

/// For how long the holder is asked to wait for something to say.
const WAIT_MS: u64 = 250;

const COLUMNS: &[Column] = &[
    Column { title: "Version", name: "version" },
    Column { title: "Time", name: "time" },
    Column { title: "Key", name: "key" },
    Column { title: "Did", name: "did" },
    Column { title: "Size", name: "size_bytes" },
    Column { title: "Origin", name: "origin" },
    Column { title: "Id", name: "id" },
    Column { title: "Token", name: "token" },
    Column { title: "Old", name: "old" },
    Column { title: "New", name: "new" },
];

/// Lists commits, and follows what comes.
///
/// # Errors
///
/// History was thinned where it is to begin; the store cannot be read; the process that had it is gone.
pub fn run(args: &Args, tail: &Tail) -> Result<Exit, Failure> {
    let link = open::existing(args)?;
    let mut request = request(&link, tail)?;
    let columns = if tail.values { COLUMNS } else { &COLUMNS[..COLUMNS.len() - 2] };
    let mut rows = Rows::new(args.format, columns, TimeZone::system());
    let (mut out, mut left) = (Out::new(), tail.limit.unwrap_or(u64::MAX));
    let mut unread = 0;
    loop {
        let answer = link.ask_all(&request)?;
        let said = Said(&answer);
        let commits = said.objects("commits")?;
        for commit in &commits {
            unread += tell_unread(*commit);
            for change in commit.objects("changes").unwrap_or_default() {
                if left == 0 {
                    print::note("there are more; `--limit` says how many are shown");
                    return end(out, rows, unread);
                }
                if out.put(&rows.row(cells(*commit, change, tail.values)?))? == Reader::Gone {
                    return Ok(Exit::Fine);
                }
                left -= 1;
            }
        }
        request.insert("from", said.text("cursor")?);
        if let Ok(until) = said.text("until") {
            request.insert("until", until);
        }
        if tail.follow && matches!(link, Link::Beside(_)) {
            if out.put(&rows.so_far())? == Reader::Gone || out.flush()? == Reader::Gone {
                return Ok(Exit::Fine);
            }
        } else if commits.is_empty() || said.flag("over") {
            if tail.follow {
                print::note("nobody has the store, so nothing follows");
            }
            return end(out, rows, unread);
        }
    }
}

fn request(link: &Link, tail: &Tail) -> Result<Map, Failure> {
    let mut request = Map::from([("do", "changes")]);
    let follows = tail.follow && matches!(link, Link::Beside(_));
    let unknown = if follows { Unknown::Awaited } else { Unknown::Refused };
    past::ask_for(link, &mut request, tail.scope.as_ref(), tail.prefix.as_ref(), unknown)?;
    if let Some(from) = &tail.from {
        let at = when::at(link, from)?;
        print::note(&format!("behind {}", at.show(&TimeZone::system())));
        request.insert("from", when::for_store(&at));
    }
    match &tail.to {
        Some(to) => {
            let at = when::at(link, to)?;
            print::note(&format!("up to {}", at.show(&TimeZone::system())));
            // The newest, as it is when the first answer is made.
            let until = when::for_store(&at);
            request.insert("until", if until.is_nil() { when::now_us(link)?.into() } else { until });
        }
        None if tail.follow => drop(request.insert("wait_ms", WAIT_MS)),
        None => drop(request.insert("until", when::now_us(link)?)),
    }
    if let Some(origin) = &tail.origin {
        request.insert("origin", origin.as_str());
    }
    request.insert("values", tail.values);
    request.insert("limit", PAGE_MAX);
    Ok(request)
}

fn end(mut out: Out, rows: Rows, unread: u64) -> Result<Exit, Failure> {
    out.put(&rows.finish())?;
    out.end()?;
    Ok(if unread > 0 { Exit::Damaged } else { Exit::Fine })
}

/// Says of a commit that cannot be shown why; counts it.
fn tell_unread(commit: Said<'_>) -> u64 {
    let Some(e) = commit.object("error") else { return 0 };
    print::note(e.text("message").unwrap_or("a value cannot be read: run `savehold verify`"));
    1
}

fn cells(commit: Said<'_>, change: Said<'_>, values: bool) -> Result<Vec<Cell>, Failure> {
    let removed = change.flag("removed");
    let did = match (removed, commit.flag("explicit")) {
        (true, _) => "removed",
        (false, true) => "written",
        (false, false) => "autosaved",
    };
    let text = |name| commit.get(name).as_str().map_or(Cell::Nothing, |text| Cell::Text(text.to_owned()));
    let mut cells = vec![
        Cell::Version(commit.version("version")?),
        when::cell(commit.count("time_us")?),
        Cell::Text(past::path(change)?.to_string()),
        Cell::Text(did.to_owned()),
        if removed { Cell::Nothing } else { Cell::Bytes(change.count("bytes")?) },
        text("origin"),
        text("id"),
        text("token"),
    ];
    if values {
        cells.extend([past::stood(change, "old")?.1, past::stood(change, "new")?.1]);
    }
    Ok(cells)
}
