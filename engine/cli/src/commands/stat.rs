//! Corridor: `savehold stat`.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::open::{self, Link};
use super::print::{self, Out, Reader};
use super::when;
use crate::answer::Said;
use crate::args::{Args, Stat};
use crate::exit::{Exit, Failure};
use crate::output::{Cell, Column, Format, Rows, record};

const RECOVERIES: &[Column] = &[
    Column { title: "Time", name: "time" },
    Column { title: "Proven through", name: "proven" },
    Column { title: "Unproven, kept", name: "unproven_bytes" },
    Column { title: "Groups dropped", name: "groups_dropped" },
    Column { title: "Read", name: "scanned_bytes" },
    Column { title: "Records", name: "replayed_records" },
    Column { title: "Judging", name: "judging_ms" },
    Column { title: "Replaying", name: "replaying_ms" },
];

/// Says what is in the store, or how its newest recoveries went.
///
/// # Errors
///
/// The store cannot be read.
pub fn run(args: &Args, stat: &Stat) -> Result<Exit, Failure> {
    let link = open::existing(args)?;
    if stat.recoveries {
        return recoveries(args, &link);
    }
    let answer = link.ask("stat", [])?;
    drop(link);
    let mut fields = fields(Said(&answer))?;
    if args.format == Format::Table {
        fields.retain(|(_, cell)| *cell != Cell::Nothing);
    }
    print::answer(&record(args.format, &fields, &TimeZone::system()))?;
    Ok(Exit::Fine)
}

fn fields(said: Said<'_>) -> Result<Vec<(Column, Cell)>, Failure> {
    let last = said.object("last_recovery");
    let oldest = match said.object("oldest_moment") {
        Some(oldest) => Cell::Text(format!("{}, by {}", oldest.text("version")?, oldest.text("keeper")?)),
        None => Cell::Nothing,
    };
    let held = match said.object("oldest_file") {
        Some(file) => Cell::Text(format!("{}, held by {}", file.text("version")?, file.text("held_by")?)),
        None => Cell::Nothing,
    };
    let failed = |name| said.text(name).map_or(Cell::Nothing, |why| Cell::Text(why.to_owned()));
    let recovered = |of: fn(Said<'_>) -> savehold::Result<Cell>| last.map_or(Ok(Cell::Nothing), of);
    let column = |title, name| Column { title, name };
    Ok(vec![
        (column("Collections", "collections"), Cell::Count(said.count("collections")?)),
        (column("Keys", "keys"), Cell::Count(said.count("keys")?)),
        (column("Versions, the store's own too", "versions"), Cell::Count(said.count("versions")?)),
        (column("Log", "log_bytes"), Cell::Bytes(said.count("log_bytes")?)),
        (column("Segments", "segments"), Cell::Count(said.count("segments")?)),
        (column("Dead, to be given back", "dead_bytes"), Cell::Bytes(said.count("dead_bytes")?)),
        (column("Dead, and soon to be", "reclaimable_bytes"), Cell::Bytes(said.count("reclaimable_bytes")?)),
        (column("Oldest segment", "oldest_file"), held),
        (column("Packed since open", "packed_segments"), Cell::Count(said.count("packed_segments")?)),
        (column("Given back since open", "freed_bytes"), Cell::Bytes(said.count("freed_bytes")?)),
        (column("Packing failed", "packing_failure"), failed("packing_failure")),
        (column("Thinning failed", "thinning_failure"), failed("thinning_failure")),
        (column("A hook of the program failed", "hook_failure"), failed("hook_failure")),
        (column("Index tables", "tables"), Cell::Count(said.count("tables")?)),
        (column("Index on disk", "table_bytes"), Cell::Bytes(said.count("table_bytes")?)),
        (column("Index in memory", "index_bytes"), Cell::Bytes(said.count("index_bytes")?)),
        (column("Commits held back for the index", "held_back"), Cell::Count(said.count("held_back")?)),
        (
            column("Commits held back for space", "held_back_for_space"),
            Cell::Count(said.count("held_back_for_space")?),
        ),
        (column("Every moment from", "every_moment_from"), version(said, "every_moment_from")),
        (column("Oldest moment that is held", "oldest_moment"), oldest),
        (column("Durable through", "durable"), version(said, "durable")),
        (column("Recovery would take about", "estimated_recovery_ms"), time(said, "estimated_recovery_us")?),
        (column("This opening", "opening"), Cell::Text(said.text("opening")?.to_owned())),
        (column("Last recovery", "last_recovery"), recovered(|r| Ok(when::cell(r.count("time_us")?)))?),
        (column("Last recovery took", "last_recovery_ms"), recovered(took)?),
    ])
}

fn recoveries(args: &Args, link: &Link) -> Result<Exit, Failure> {
    let mut rows = Rows::new(args.format, RECOVERIES, TimeZone::system());
    let mut out = Out::new();
    let answer = link.ask("recoveries", [])?;
    let reports = Said(&answer).objects("recoveries")?;
    for report in reports.iter().rev() {
        let cells = vec![
            when::cell(report.count("time_us")?),
            version(*report, "proven"),
            Cell::Bytes(report.count("unproven_bytes")?),
            Cell::Count(report.count("groups_dropped")?),
            Cell::Bytes(report.count("scanned_bytes")?),
            Cell::Count(report.count("replayed_records")?),
            time(*report, "judging_us")?,
            time(*report, "replaying_us")?,
        ];
        if out.put(&rows.row(cells))? == Reader::Gone {
            return Ok(Exit::Fine);
        }
    }
    out.put(&rows.finish())?;
    out.end()?;
    if reports.is_empty() {
        print::note("every stop so far was a clean one: nothing ever had to be recovered");
    }
    Ok(Exit::Fine)
}

fn time(said: Said<'_>, name: &str) -> savehold::Result<Cell> {
    Ok(Cell::Duration(Duration::from_micros(said.count(name)?)))
}

fn version(said: Said<'_>, name: &str) -> Cell {
    said.version(name).map_or(Cell::Nothing, Cell::Version)
}

fn took(report: Said<'_>) -> savehold::Result<Cell> {
    Ok(Cell::Duration(Duration::from_micros(report.count("judging_us")? + report.count("replaying_us")?)))
}
