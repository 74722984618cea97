//! Corridor: `savehold update`.

use jiff::tz::TimeZone;
use savehold::value::counter;
use savehold::{Change, Map, Value};

use super::change::{Changed, Expected, Place};
use super::{open, print, show};
use crate::args::{Args, Update};
use crate::exit::{Exit, Failure};
use crate::merge::merge;
use crate::output::{Cell, Column, Format, record};

/// Changes the value of a key in one step.
///
/// # Errors
///
/// What stands there is no whole number, or no object; the sum is none; the commit failed.
pub fn run(args: &Args, update: &Update) -> Result<Exit, Failure> {
    let store = open::existing(args)?;
    let place = Place::of(&store, &update.key)?;
    let changed = place.change(update.once.id.as_deref(), |tx| {
        let now = place.expect(tx, Expected::Anything)?.map(|entry| entry.value);
        let value = updated(now, update)?;
        tx.change(&place.documents, &update.key.key, Change::write(value.clone()))?;
        Ok(value)
    })?;
    answer(args.format, &place, changed)?;
    Ok(Exit::Fine)
}

fn updated(now: Option<Value>, update: &Update) -> Result<Value, Failure> {
    if let Some(by) = update.increment {
        return Ok(counter::add(now.as_ref(), by).map(Value::from).map_err(|e| e.within(&update.key))?);
    }
    let patch = update.merge_json.clone().unwrap_or(Value::Map(Map::new()));
    match now.unwrap_or(Value::Map(Map::new())) {
        Value::Map(now) => Ok(merge(Value::Map(now), patch)),
        other => {
            let say = format!("{} is no object ({}): nothing was written", update.key, other.kind());
            Err(Failure::new(
                Exit::No,
                say,
                format!("to write another value use `savehold set {}`", update.key),
            ))
        }
    }
}

/// Prints the value written, or that of the same change done before.
fn answer(format: Format, place: &Place<'_>, changed: Changed<Value>) -> Result<(), Failure> {
    let done_now = changed.now.is_some();
    let value = match changed.now {
        Some(value) => Some(value),
        None => place.documents.get_at(&place.path.key, changed.version)?.map(|entry| entry.value),
    };
    let value = value.unwrap_or_default();
    if format == Format::Table {
        return print::answer(&show::text(&value)?);
    }
    let fields = [
        (Column { title: "Key", name: "key" }, Cell::Text(place.path.to_string())),
        (Column { title: "Value", name: "value" }, show::value(&value)?),
        (Column { title: "Version", name: "version" }, Cell::Version(changed.version)),
        (Column { title: "Changed", name: "changed" }, Cell::Bool(done_now)),
    ];
    print::answer(&record(format, &fields, &TimeZone::system()))
}
