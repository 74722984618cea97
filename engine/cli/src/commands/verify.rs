//! Corridor: `savehold verify`.

use std::ops::ControlFlow;

use jiff::tz::TimeZone;
use savehold::control::Advance;
use savehold::inspect::{Damage, DamagedVersion, Weight};
use savehold::{ErrorKind, Verified, Version};
use serde_json::{Value, json};

use super::print;
use crate::args::Args;
use crate::exit::{Exit, Failure};
use crate::output::{Cell, Column, Format, Rows, record};
use crate::progress::Progress;

const DAMAGE: &[Column] = &[
    Column { title: "Damage", name: "what" },
    Column { title: "That means", name: "weight" },
    Column { title: "From", name: "from" },
    Column { title: "To", name: "to" },
    Column { title: "File", name: "file" },
    Column { title: "Offset", name: "offset" },
];

const VERSIONS: &[Column] = &[
    Column { title: "Key", name: "key" },
    Column { title: "Version lost", name: "version" },
    Column { title: "Newest", name: "newest" },
    Column { title: "Falls back to", name: "falls_back" },
    Column { title: "In a repaired store", name: "repaired" },
];

/// Reads every byte of the store and says what that proves.
///
/// # Errors
///
/// There is no store, or somebody has it. Damage is an answer.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    let found = savehold::verify(args.store()?, bar("verifying")).map_err(held)?;
    print::answer(&answer(args.format, &found))?;
    found.damaged_tables.iter().for_each(|said| print::note(said));
    let repair = "run `savehold repair --to NEW_DIR --report FILE`";
    Ok(match found.worst() {
        Some(Weight::Acknowledged) => {
            if found.repair_helps() {
                print::note(&format!(
                    "commits that were promised durable are missing or changed: restore a backup, or {repair}"
                ));
            }
            advice(&found).iter().for_each(|said| print::note(said));
            Exit::Damaged
        }
        Some(Weight::Blocking) => {
            print::note(&format!("every commit is there, but the store does not open: {repair}"));
            Exit::Damaged
        }
        _ => Exit::Fine,
    })
}

/// What to do about values that cannot be read, which no repair brings back.
pub(super) fn advice(found: &Verified) -> Vec<String> {
    let (newest, older): (Vec<_>, Vec<_>) =
        found.damaged.iter().filter(|version| !version.record_lost).partition(|version| version.newest);
    let (own, keys): (Vec<_>, Vec<_>) =
        newest.into_iter().partition(|version| version.collection.starts_with('$'));
    let mut said = Vec::new();
    if !keys.is_empty() {
        said.push(format!(
            "newest values that cannot be read: {}; a repair copies them as they are: take each from a backup with \
             `savehold restore BACKUP --keys-of COLLECTION`, or `savehold get KEY --at VERSION` the version that its key \
             falls back to, and `savehold set` it",
            keys.len()
        ));
    }
    if !own.is_empty() {
        said.push(format!(
            "entries of the store's own that cannot be read: {}; a repair copies them as they are: restore a backup; a \
             setting is mended by setting it again with `savehold retention`",
            own.len()
        ));
    }
    if !older.is_empty() {
        said.push(format!(
            "older versions that cannot be read: {}; only a backup has them, and the newest values do not need them",
            older.len()
        ));
    }
    if said.is_empty() && !found.repair_helps() {
        said.push(
            "bytes that were promised durable are changed, and a repair copies them: restore a backup"
                .to_owned(),
        );
    }
    said
}

/// Why a store that somebody has is not read byte by byte: what is written meanwhile would look like damage.
pub(super) fn held(e: savehold::Error) -> Failure {
    if e.kind() != ErrorKind::Locked {
        return e.into();
    }
    let next = "this verb reads the files of a store that nobody writes: stop it first; beside a running server `savehold \
                dump` reads every newest value";
    Failure::new(Exit::Busy, e.message(), next)
}

/// A bar for as long as it takes.
pub(super) fn bar(doing: &'static str) -> impl FnMut(savehold::Progress) -> ControlFlow<()> {
    let (mut bar, mut done) = (None, 0);
    move |at| {
        if at.done_bytes < done {
            (bar, done) = (None, 0); // a second pass
        }
        let shown = bar.get_or_insert_with(|| Progress::of_bytes(doing, Some(at.total_bytes)));
        shown.advance(at.done_bytes - done);
        done = at.done_bytes;
        ControlFlow::Continue(())
    }
}

/// [`bar`] for what is asked of whoever has the store.
pub(super) fn link_bar(doing: &'static str) -> impl FnMut(Advance) -> ControlFlow<()> {
    let mut bar = bar(doing);
    move |at| match at {
        Advance::Bytes(at) => bar(at),
        _ => ControlFlow::Continue(()), // no count of bytes
    }
}

fn answer(format: Format, found: &Verified) -> String {
    let zone = TimeZone::system();
    let mut fields = fields(found);
    if format != Format::Table {
        let list = |list: Vec<Value>| Cell::Json(Value::from(list).to_string());
        fields.push((column("", "damage"), list(found.damage.iter().map(damage_json).collect())));
        fields.push((column("", "damaged"), list(found.damaged.iter().map(version_json).collect())));
        return record(format, &fields, &zone);
    }
    let mut text = record(format, &fields, &zone);
    let mut add = |columns, rows: Vec<Vec<Cell>>| {
        if !rows.is_empty() {
            let mut table = Rows::new(format, columns, zone.clone());
            text.push('\n');
            rows.into_iter().for_each(|row| text.push_str(&table.row(row)));
            text.push_str(&table.finish());
        }
    };
    add(DAMAGE, found.damage.iter().map(damage_row).collect());
    add(VERSIONS, found.damaged.iter().map(version_row).collect());
    text
}

const fn column(title: &'static str, name: &'static str) -> Column {
    Column { title, name }
}

fn fields(found: &Verified) -> Vec<(Column, Cell)> {
    let verdict = match found.worst() {
        None => "everything is as it was written",
        Some(Weight::Spare) => "every commit is there; a spare copy is damaged",
        Some(Weight::Undecidable) => "everything proven is there; behind that, commits may be missing",
        Some(Weight::Blocking) => "every commit is there, but the store does not open",
        Some(Weight::Acknowledged) => "commits that were promised durable are missing or changed",
    };
    vec![
        (column("Verdict", "verdict"), Cell::Text(verdict.to_owned())),
        (column("Segments", "segments"), Cell::Count(found.segments)),
        (column("Groups", "groups"), Cell::Count(found.groups)),
        (column("Commits", "commits"), Cell::Count(found.records)),
        (column("Verified", "verified_bytes"), Cell::Bytes(found.bytes)),
        (column("Keys", "keys"), Cell::Count(found.keys)),
        (column("Versions", "versions"), Cell::Count(found.versions)),
        (column("Proven through", "proven"), Cell::Version(found.proven)),
        (column("Ends at", "end"), Cell::Version(found.end)),
        (column("Behind the proof", "unproven_bytes"), Cell::Bytes(found.unproven_bytes)),
        (column("Lost before", "lost_earlier_bytes"), Cell::Bytes(found.bytes_lost_earlier)),
        (column("Index tables", "tables"), Cell::Count(found.tables)),
        (column("Damaged index tables", "damaged_tables"), Cell::Count(found.damaged_tables.len() as u64)),
    ]
}

fn weight(weight: Weight) -> &'static str {
    match weight {
        Weight::Spare => "nothing is missing",
        Weight::Undecidable => "never proven durable",
        Weight::Blocking => "the store does not open",
        Weight::Acknowledged => "promised durable",
    }
}

fn damage_row(damage: &Damage) -> Vec<Cell> {
    let place = |lsn| if damage.to > damage.from { Cell::Version(Version::from(lsn)) } else { Cell::Nothing };
    vec![
        Cell::Text(damage.what.to_string()),
        Cell::Text(weight(damage.weight).to_owned()),
        place(damage.from),
        place(damage.to),
        Cell::Text(damage.file.display().to_string()),
        Cell::Count(damage.offset),
    ]
}

fn version_row(version: &DamagedVersion) -> Vec<Cell> {
    vec![
        Cell::Text(key(version)),
        Cell::Version(version.version),
        Cell::Bool(version.newest),
        version.falls_back.map_or(Cell::Nothing, Cell::Version),
        Cell::Text(repaired(version).to_owned()),
    ]
}

/// What a read of it answers in a repaired store.
fn repaired(version: &DamagedVersion) -> &'static str {
    if version.record_lost { "gone" } else { "cannot be read" }
}

/// A damaged place as a JSON object.
pub(super) fn damage_json(damage: &Damage) -> Value {
    let place = |lsn| (damage.to > damage.from).then(|| Version::from(lsn).to_string());
    json!({
        "what": damage.what.to_string(),
        "acknowledged": damage.weight == Weight::Acknowledged,
        "weight": weight(damage.weight),
        "from": place(damage.from),
        "to": place(damage.to),
        "file": damage.file.display().to_string(),
        "offset": damage.offset,
    })
}

/// A damaged version as a JSON object.
pub(super) fn version_json(version: &DamagedVersion) -> Value {
    json!({
        "key": key(version),
        "version": version.version.to_string(),
        "newest": version.newest,
        "falls_back": version.falls_back.map(|version| version.to_string()),
        "repaired": repaired(version),
    })
}

fn key(version: &DamagedVersion) -> String {
    format!("{}/{}", version.collection, version.key)
}
