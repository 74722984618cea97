//! Corridor: `savehold diff`.

use std::path::Path;

use jiff::tz::TimeZone;
use savehold::{At, Control, Create, Map, Options, Restore, Value, Version};
use tempfile::TempDir;

use super::open::{self, Link};
use super::print::{self, Out, Reader};
use super::verify::bar;
use super::{past, when};
use crate::answer::Said;
use crate::args::{Args, Diff};
use crate::exit::{Exit, Failure};
use crate::output::{Cell, Column, Rows};

/// Most differences of an answer.
const PAGE_MAX: u64 = 1000;

const COLUMNS: &[Column] = &[
    Column { title: "Key", name: "key" },
    Column { title: "Old", name: "old" },
    Column { title: "New", name: "new" },
    Column { title: "Old version", name: "old_version" },
    Column { title: "New version", name: "new_version" },
];

/// The newest backup, restored into a directory that goes away with the answer.
fn restored(backups: &Path) -> Result<TempDir, Failure> {
    let made = tempfile::tempdir().map_err(|e| {
        Failure::new(
            Exit::Failed,
            format!("making a temporary directory: {e}"),
            "set TMPDIR to one with space",
        )
    })?;
    let mut bar = bar("restoring");
    savehold::restore_with(backups, made.path(), At::Now, Restore::new().progress(&mut bar))?;
    Ok(made)
}

/// Lists the keys that are not the same at two moments.
///
/// # Errors
///
/// A moment is no longer kept; the store cannot be read.
pub fn run(args: &Args, diff: &Diff) -> Result<Exit, Failure> {
    let restored = diff.backups.as_deref().map(restored).transpose()?;
    let link = match &restored {
        None => open::existing(args)?,
        Some(dir) => {
            Link::Alone(Options::new().create(Create::Never).control(Control::Off).open(dir.path())?)
        }
    };
    let mut request = Map::from([("do", "diff")]);
    past::ask_for(&link, &mut request, diff.scope.as_ref(), diff.prefix.as_ref(), past::Unknown::Refused)?;
    request.insert("from", when::for_store(&when::at(&link, &diff.from)?));
    request.insert("to", when::for_store(&when::at(&link, &diff.to)?));
    let mut rows = Rows::new(args.format, COLUMNS, TimeZone::system());
    let (mut out, mut left, mut moments) = (Out::new(), diff.limit.unwrap_or(u64::MAX), None);
    loop {
        request.insert("limit", left.min(PAGE_MAX));
        let answer = link.ask_all(&request)?;
        let said = Said(&answer);
        let these = (said.version("from")?, said.version("to")?);
        match moments.replace(these) {
            None => echo(&link, these)?,
            Some(first) if first != these => return Err(moved()),
            Some(_) => {}
        }
        let found = said.objects("differences")?;
        for one in &found {
            if out.put(&rows.row(cells(*one)?))? == Reader::Gone {
                return Ok(Exit::Fine);
            }
        }
        left -= found.len() as u64;
        match found.last() {
            Some(last) if said.flag("more") && left > 0 => {
                let after: Vec<Value> = vec![last.text("collection")?.into(), last.text("key")?.into()];
                request.insert("after", after);
                request.insert("from", these.0.to_string());
                request.insert("to", these.1.to_string());
            }
            _ if said.flag("more") => {
                print::note("there are more; `--limit` says how many are shown");
                break;
            }
            _ => break,
        }
    }
    out.put(&rows.finish())?;
    out.end()?;
    Ok(Exit::Fine)
}

/// Says which moments are compared.
fn echo(link: &Link, (from, to): (Version, Version)) -> Result<(), Failure> {
    let shown = |version| -> Result<String, Failure> {
        let time =
            when::of_version(link, version)?.map_or_else(String::new, |us| format!(", {}", when::shown(us)));
        Ok(format!("version {version}{time}"))
    };
    print::note(&format!("from {} to {}", shown(from)?, shown(to)?));
    Ok(())
}

/// Between two pages retention gave up a moment.
fn moved() -> Failure {
    let next = "compare again, or pin the moments first: `savehold pin --help`";
    Failure::new(Exit::No, "a moment that was compared is no longer kept; the answer is not complete", next)
}

fn cells(said: Said<'_>) -> Result<Vec<Cell>, Failure> {
    let (old_version, old) = past::stood(said, "old")?;
    let (new_version, new) = past::stood(said, "new")?;
    Ok(vec![Cell::Text(past::path(said)?.to_string()), old, new, old_version, new_version])
}
