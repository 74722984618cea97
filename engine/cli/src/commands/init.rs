//! Corridor: `savehold init`.

use jiff::tz::TimeZone;
use savehold::ErrorKind;

use super::{open, print};
use crate::args::Args;
use crate::exit::{Exit, Failure};
use crate::output::{Cell, Column, Format, record};

/// Makes an empty store where there is none.
///
/// # Errors
///
/// There is one already, or something else.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    let dir = args.store()?.display().to_string();
    match open::quietly(args) {
        Ok(_) => {
            return Err(Failure::new(
                Exit::No,
                format!("{dir} holds a store already"),
                "nothing was changed",
            ));
        }
        Err(e) if e.kind() == ErrorKind::Missing => {}
        Err(e) => return Err(e.into()),
    }
    drop(open::made(args)?);
    if args.format == Format::Table {
        print::note(&format!(
            "{dir} is an empty store now; write to it with `savehold set` or `savehold load`"
        ));
        return Ok(Exit::Fine);
    }
    let made = [(Column { title: "Store", name: "dir" }, Cell::Text(dir))];
    print::answer(&record(args.format, &made, &TimeZone::system()))?;
    Ok(Exit::Fine)
}
