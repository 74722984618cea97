//! Corridor: `savehold compact`.

use jiff::tz::TimeZone;
use savehold::{Map, Value};

use super::backup::column;
use super::open::{self, Link};
use super::print;
use super::verify::bar;
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
    let answer = match &link {
        Link::Alone(store) => {
            let done = store.compact(bar("packing"))?;
            let mut said = Map::new();
            said.insert("bytes_before", done.bytes_before);
            said.insert("bytes_after", done.bytes_after);
            said.insert("segments", done.segments);
            said.insert("dropped", done.dropped);
            said
        }
        Link::Beside(client) => {
            let request = Map::from([("do", Value::from("compact")), ("progress", true.into())]);
            client.ask_telling(&request, bar("packing"))?
        }
    };
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
