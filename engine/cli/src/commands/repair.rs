//! Corridor: `savehold repair`.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use jiff::tz::TimeZone;
use savehold::Repaired;
use serde_json::{Value, json};

use super::print;
use super::verify::{advice, bar, damage_json, held, version_json};
use crate::args::{Args, Repair};
use crate::exit::{Exit, Failure};
use crate::output::{Cell, Column, record};

/// Copies all that is sound of the store into a new one, and reports what is not.
///
/// # Errors
///
/// There is no store, or somebody has it; the new directory or the report exists; the disk is full.
pub fn run(args: &Args, repair: &Repair) -> Result<Exit, Failure> {
    let store = args.store()?;
    let mut report = made(&repair.report).map_err(|e| unmade(&repair.report, &e))?;
    let repaired = match savehold::repair(store, &repair.to, bar("repairing")) {
        Ok(repaired) => repaired,
        Err(e) => {
            gone(&repair.report);
            return Err(held(e));
        }
    };
    let written = lines(&repaired).iter().try_for_each(|line| writeln!(report, "{line}"));
    written.and_then(|()| report.sync_all()).map_err(|e| {
        let what = format!("the copy is made, but not its report: writing {}: {e}", repair.report.display());
        Failure::new(Exit::Failed, what, "`savehold verify` says what is damaged")
    })?;
    print::answer(&record(args.format, &fields(repair, &repaired), &TimeZone::system()))?;
    if !repaired.found.acknowledged_missing() {
        return Ok(Exit::Fine);
    }
    print::note(&format!(
        "commits that were promised durable are missing or changed: {} names them",
        repair.report.display()
    ));
    advice(&repaired.found).iter().for_each(|said| print::note(said));
    Ok(Exit::Damaged)
}

/// The report: lost ranges, other damage, versions that are damaged, collections that got a name since their own is lost,
/// and at last what was copied.
fn lines(repaired: &Repaired) -> Vec<Value> {
    let named = |kind: &str, mut object: Value| {
        object["kind"] = kind.into();
        object
    };
    let damage = repaired
        .found
        .damage
        .iter()
        .map(|damage| named(if damage.loses_records() { "lost" } else { "damage" }, damage_json(damage)));
    let versions = repaired.found.damaged.iter().map(|version| named("key", version_json(version)));
    let copied = json!({
        "kind": "copied",
        "commits": repaired.records,
        "bytes": repaired.bytes,
        "timeline": repaired.timeline,
        "acknowledged_missing": repaired.found.acknowledged_missing(),
    });
    let names =
        repaired.named.iter().map(|(id, name)| named("named", json!({"collection": name, "number": id.0})));
    damage.chain(versions).chain(names).chain([copied]).collect()
}

fn fields(repair: &Repair, repaired: &Repaired) -> Vec<(Column, Cell)> {
    let column = |title, name| Column { title, name };
    let newest = |lost| {
        let damaged = repaired.found.damaged.iter();
        damaged.filter(|version| version.newest && version.record_lost == lost).count() as u64
    };
    vec![
        (column("New store", "to"), Cell::Text(repair.to.display().to_string())),
        (column("Commits copied", "commits"), Cell::Count(repaired.records)),
        (column("Written", "written_bytes"), Cell::Bytes(repaired.bytes)),
        (column("Goes on in timeline", "timeline"), Cell::Text(repaired.timeline.to_string())),
        (column("Ranges lost", "lost_ranges"), Cell::Count(repaired.lost().count() as u64)),
        (column("Keys set back", "keys_set_back"), Cell::Count(newest(true))),
        (column("Keys that cannot be read", "unreadable_keys"), Cell::Count(newest(false))),
        (
            column("Anything promised is missing", "acknowledged_missing"),
            Cell::Bool(repaired.found.acknowledged_missing()),
        ),
        (column("Report", "report"), Cell::Text(repair.report.display().to_string())),
    ]
}

#[expect(clippy::disallowed_methods, reason = "a file of the user's, not of the store")]
fn made(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

#[expect(clippy::disallowed_methods, reason = "a file of the user's, not of the store")]
fn gone(path: &Path) {
    // It is empty: where it stays it says nothing wrong.
    let _ = std::fs::remove_file(path);
}

fn unmade(path: &Path, e: &io::Error) -> Failure {
    if e.kind() == io::ErrorKind::AlreadyExists {
        let what = format!("{} exists already", path.display());
        return Failure::new(Exit::Usage, what, "name a new file for the report");
    }
    let what = format!("making {}: {e}", path.display());
    Failure::new(Exit::Usage, what, "nothing was done")
}
