//! Corridor: `savehold get`.

use jiff::tz::TimeZone;
use savehold::{Entry, Store, Value};

use super::{open, print, show, when};
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
    let store = open::existing(args)?;
    let at = when::at(&store, &get.at)?;
    let documents = store.any(get.key.collection.as_str())?;
    let found = documents.get_at(&get.key.key, when::for_store(&at));
    let Some(entry) = found.map_err(|e| show::unreadable(e, &get.key))? else {
        let why = show::absent(&store, &documents, &get.key);
        return Err(if at == At::Now { why } else { not_then(get, &at) });
    };
    echo(&store, &at, &entry)?;
    let text = match args.format {
        Format::Table => show::text(&entry.value)?,
        format => record(format, &fields(&store, get, &entry)?, &TimeZone::system()),
    };
    print::answer(&text)?;
    Ok(Exit::Fine)
}

/// Says which moment was understood, and which version stood there then.
fn echo(store: &Store, at: &At, entry: &Entry<Value>) -> Result<(), Failure> {
    let written = when::shown(store.time_of(entry.version)?.unwrap_or(0));
    match at {
        At::Now => {}
        At::Version(version) => print::note(&format!("version {version}, written {written}")),
        then => {
            let then = then.show(&TimeZone::system());
            print::note(&format!("as of {then}: version {}, written {written}", entry.version));
        }
    }
    Ok(())
}

fn not_then(get: &Get, at: &At) -> Failure {
    let say = match at {
        At::Version(version) => format!("version {version} removed {}", get.key),
        then => format!("{} was not there as of {}", get.key, then.show(&TimeZone::system())),
    };
    Failure::new(Exit::No, say, format!("every version of it says `savehold history {}`", get.key))
}

fn fields(store: &Store, get: &Get, entry: &Entry<Value>) -> Result<Vec<(Column, Cell)>, Failure> {
    let column = |title, name| Column { title, name };
    Ok(vec![
        (column("Key", "key"), Cell::Text(get.key.to_string())),
        (column("Value", "value"), show::value(&entry.value)?),
        (column("Version", "version"), Cell::Version(entry.version)),
        (column("Written", "time"), when::cell(store.time_of(entry.version)?.unwrap_or(0))),
        (column("Created", "created"), when::cell(entry.created_us)),
        (column("User ids", "user_ids"), show::user_ids(&entry.attributes)),
        (column("Metadata", "metadata"), show::metadata(&entry.attributes)),
    ])
}
