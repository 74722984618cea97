//! Corridor: `savehold get`.

use jiff::tz::TimeZone;
use savehold::{Entry, Value};

use super::{open, print, show, when};
use crate::answer::Said;
use crate::args::{Args, Get};
use crate::exit::{Exit, Failure};
use crate::moment::At;
use crate::output::{Cell, Column, Format, record};

/// Prints the value of a key as it is, or was.
///
/// # Errors
///
/// There is none; the store cannot be read.
pub fn run(args: &Args, get: &Get) -> Result<Exit, Failure> {
    let link = open::existing(args)?;
    let at = when::at(&link, &get.at)?;
    let asked = [
        ("collection", get.key.collection.as_str().into()),
        ("key", get.key.key.to_string().into()),
        ("at", when::for_store(&at)),
    ];
    let answer = link.ask("get", asked).map_err(|e| show::unreadable(e, &get.key))?;
    let Some(found) = Said(&answer).object("entry") else {
        let why = show::why_absent(Said(&answer), &get.key);
        return Err(if at == At::Now { why } else { not_then(get, &at) });
    };
    drop(link);
    let (entry, time_us) = (found.entry()?, found.get("time_us").as_u64().unwrap_or(0));
    echo(&at, &entry, time_us);
    let text = match args.format {
        Format::Table => show::text(&entry.value)?,
        format => record(format, &fields(get, &entry, time_us)?, &TimeZone::system()),
    };
    print::answer(&text)?;
    Ok(Exit::Fine)
}

/// Says which moment was understood, and which version stood there then.
fn echo(at: &At, entry: &Entry<Value>, time_us: u64) {
    let written = when::shown(time_us);
    match at {
        At::Now => {}
        At::Version(version) => print::note(&format!("version {version}, written {written}")),
        then => {
            let then = then.show(&TimeZone::system());
            print::note(&format!("as of {then}: version {}, written {written}", entry.version));
        }
    }
}

fn not_then(get: &Get, at: &At) -> Failure {
    let say = match at {
        At::Version(version) => format!("version {version} removed {}", get.key),
        then => format!("{} was not there as of {}", get.key, then.show(&TimeZone::system())),
    };
    Failure::new(Exit::No, say, format!("every version of it says `savehold history {}`", get.key))
}

fn fields(get: &Get, entry: &Entry<Value>, time_us: u64) -> Result<Vec<(Column, Cell)>, Failure> {
    let column = |title, name| Column { title, name };
    Ok(vec![
        (column("Key", "key"), Cell::Text(get.key.to_string())),
        (column("Value", "value"), show::value(&entry.value)?),
        (column("Version", "version"), Cell::Version(entry.version)),
        (column("Written", "time"), when::cell(time_us)),
        (column("Created", "created"), when::cell(entry.created_us)),
        (column("User ids", "user_ids"), show::user_ids(&entry.attributes)),
        (column("Metadata", "metadata"), show::metadata(&entry.attributes)),
    ])
}
