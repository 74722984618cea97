//! Corridor: `savehold pin`, `unpin` and `pins`.

use jiff::tz::TimeZone;

use super::open;
use super::print::{self, Out, Reader};
use super::when;
use crate::answer::Said;
use crate::args::{Args, Pin, Unpin};
use crate::consent::{Consent, agrees, consent};
use crate::exit::{Exit, Failure};
use crate::output::{Cell, Column, Rows, record};

const COLUMNS: &[Column] = &[
    Column { title: "Pin", name: "pin" },
    Column { title: "Version", name: "version" },
    Column { title: "Moment", name: "time" },
    Column { title: "Pinned", name: "pinned" },
];

/// Gives a moment a name.
///
/// # Errors
///
/// There is a pin of that name, or the moment is no longer kept.
pub fn pin(args: &Args, pin: &Pin) -> Result<Exit, Failure> {
    let link = open::existing(args)?;
    let asked = [("name", pin.name.as_str().into()), ("at", when::for_store(&when::at(&link, &pin.at)?))];
    let answer = link.ask("pin", asked)?;
    let said = Said(&answer);
    let fields = [
        (COLUMNS[0], Cell::Text(pin.name.clone())),
        (COLUMNS[1], Cell::Version(said.version("version")?)),
        (COLUMNS[2], said.get("time_us").as_u64().map_or(Cell::Nothing, when::cell)),
    ];
    print::answer(&record(args.format, &fields, &TimeZone::system()))?;
    Ok(Exit::Fine)
}

/// Gives a pin up.
///
/// # Errors
///
/// There is none of that name; nobody agreed.
pub fn unpin(args: &Args, unpin: &Unpin) -> Result<Exit, Failure> {
    args.store()?;
    let what = format!("give up the pin {:?}", unpin.name);
    if consent(&what, args.yes, print::on_terminal())? == Consent::Ask
        && !agrees(&print::ask(&format!("{what}? What only it keeps may be dropped then. [y/N]"))?)
    {
        return Err(Failure::new(Exit::No, format!("{what}: not agreed to"), "nothing was changed"));
    }
    let link = open::existing(args)?;
    let answer = link.ask("unpin", [("name", unpin.name.as_str().into())])?;
    if !Said(&answer).flag("there") {
        let say = format!("there is no pin {:?}", unpin.name);
        return Err(Failure::new(Exit::No, say, "those that there are says `savehold pins`"));
    }
    Ok(Exit::Fine)
}

/// Lists the pins, by name.
///
/// # Errors
///
/// The store cannot be read.
pub fn list(args: &Args) -> Result<Exit, Failure> {
    let link = open::existing(args)?;
    let answer = link.ask("pins", [])?;
    let (mut rows, mut out) = (Rows::new(args.format, COLUMNS, TimeZone::system()), Out::new());
    for pin in Said(&answer).objects("pins")? {
        let time = |name| pin.get(name).as_u64().map_or(Cell::Nothing, when::cell);
        let cells = vec![
            Cell::Text(pin.text("name")?.to_owned()),
            Cell::Version(pin.version("version")?),
            time("time_us"),
            time("pinned_us"),
        ];
        if out.put(&rows.row(cells))? == Reader::Gone {
            return Ok(Exit::Fine);
        }
    }
    out.put(&rows.finish())?;
    out.end()?;
    Ok(Exit::Fine)
}
