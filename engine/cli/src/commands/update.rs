//! Corridor: `savehold update`.

use jiff::tz::TimeZone;
use savehold::{Map, Value};

use super::change::{Changed, Expected, Place};
use super::{open, print, show};
use crate::args::{Args, Update};
use crate::exit::{Exit, Failure};
use crate::output::{Cell, Column, Format, record};

/// Changes the value of a key in one step.
///
/// # Errors
///
/// What stands there is no whole number, or no object; the sum is none; the commit failed.
pub fn run(args: &Args, update: &Update) -> Result<Exit, Failure> {
    let link = open::existing(args)?;
    let place = Place { link: &link, path: &update.key };
    let id = update.once.id.as_deref();
    let changed = match update.increment {
        Some(by) => place.change("increment", Expected::Anything, id, [("by", by.into())])?,
        None => {
            let patch = update.merge_json.clone().unwrap_or(Value::Map(Map::new()));
            place.change("merge", Expected::Anything, id, [("patch", patch)])?
        }
    };
    answer(args.format, &place, &changed)?;
    Ok(Exit::Fine)
}

/// Prints the value written, or that of the same change done before.
fn answer(format: Format, place: &Place<'_>, changed: &Changed) -> Result<(), Failure> {
    if format == Format::Table {
        return print::answer(&show::text(&changed.value)?);
    }
    let fields = [
        (Column { title: "Key", name: "key" }, Cell::Text(place.path.to_string())),
        (Column { title: "Value", name: "value" }, show::value(&changed.value)?),
        (Column { title: "Version", name: "version" }, Cell::Version(changed.version)),
        (Column { title: "Changed", name: "changed" }, Cell::Bool(changed.now)),
    ];
    print::answer(&record(format, &fields, &TimeZone::system()))
}
