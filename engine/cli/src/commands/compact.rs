//! Corridor: `savehold compact`.

use jiff::tz::TimeZone;
use savehold::Map;

use super::backup::column;
use super::open;
use super::print;
use super::verify::link_bar;
use crate::answer::Said;
use crate::args::Args;
use crate::exit::{Exit, Failure};
use crate::output::{Cell, record};

/// Packs the log of a store, here or in the process that has it.
///
/// # Errors
///
/// There is no store; the disk is full or fails. Nothing is lost by it.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    let link = open::existing(args)?;
    let answer = link.ask_telling(Map::from([("do", "compact")]), link_bar("packing"))?;
    let said = Said(&answer);
    let fields = [
        (column("Log before", "bytes_before"), Cell::Bytes(said.count("bytes_before")?)),
        (column("Log now", "bytes_after"), Cell::Bytes(said.count("bytes_after")?)),
        (column("Segments packed", "segments"), Cell::Count(said.count("segments")?)),
        (column("Records dropped", "dropped"), Cell::Count(said.count("dropped")?)),
    ];
    print::answer(&record(args.format, &fields, &TimeZone::system()))?;
    Ok(Exit::Fine)
}
