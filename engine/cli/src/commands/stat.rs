//! Corridor: `savehold stat`.

use std::time::Duration;

use jiff::tz::TimeZone;
use savehold::{RecoveryReport, Store, Version};

use super::print::{self, Out, Reader};
use super::{open, when};
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
    let store = open::existing(args)?;
    if stat.recoveries {
        return recoveries(args, &store);
    }
    let mut fields = fields(&store)?;
    if args.format == Format::Table {
        fields.retain(|(_, cell)| *cell != Cell::Nothing);
    }
    print::answer(&record(args.format, &fields, &TimeZone::system()))?;
    Ok(Exit::Fine)
}

fn fields(store: &Store) -> Result<Vec<(Column, Cell)>, Failure> {
    let (stats, opened) = (store.stats(), store.recovery());
    let names = store.collections()?;
    let mut keys = 0;
    for name in &names {
        keys += store.any(name)?.keys("").count() as u64;
    }
    let last = store.recoveries().last().copied();
    let column = |title, name| Column { title, name };
    let recovered = |of: fn(&RecoveryReport) -> Cell| last.as_ref().map_or(Cell::Nothing, of);
    Ok(vec![
        (column("Collections", "collections"), Cell::Count(names.len() as u64)),
        (column("Keys", "keys"), Cell::Count(keys)),
        (column("Versions, the store's own too", "versions"), Cell::Count(stats.versions)),
        (column("Log", "log_bytes"), Cell::Bytes(stats.log_bytes)),
        (column("Segments", "segments"), Cell::Count(stats.segments)),
        (column("Index in memory", "index_bytes"), Cell::Bytes(stats.index_bytes)),
        (column("Durable through", "durable"), Cell::Version(stats.durable)),
        (
            column("Recovery would take about", "estimated_recovery_ms"),
            Cell::Duration(stats.estimated_recovery),
        ),
        (column("This opening", "opening"), Cell::Text(opened.to_string())),
        (column("Last recovery", "last_recovery"), recovered(|report| when::cell(report.at_us))),
        (column("Last recovery took", "last_recovery_ms"), recovered(|report| Cell::Duration(took(report)))),
    ])
}

fn recoveries(args: &Args, store: &Store) -> Result<Exit, Failure> {
    let mut rows = Rows::new(args.format, RECOVERIES, TimeZone::system());
    let mut out = Out::new();
    let reports = store.recoveries();
    for report in reports.iter().rev() {
        let cells = vec![
            when::cell(report.at_us),
            Cell::Version(Version::from(report.proven)),
            Cell::Bytes(report.unproven_bytes()),
            Cell::Count(report.groups_dropped),
            Cell::Bytes(report.scanned_bytes),
            Cell::Count(report.replayed_records),
            Cell::Duration(report.judging),
            Cell::Duration(report.replaying),
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

fn took(report: &RecoveryReport) -> Duration {
    report.judging + report.replaying
}
