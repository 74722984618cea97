//! Corridor: `savehold backup`.

use std::path::Path;

use jiff::tz::TimeZone;
use savehold::backup::{self, Do, Keep, KeptMoment};
use savehold::{Map, Restore, Version};
use serde_json::{Value, json};

use super::open;
use super::verify::{bar, link_bar};
use super::{print, when};
use crate::answer::Said;
use crate::args::{Args, Backup, BackupVerb, Drill, Make, Prune};
use crate::consent::{Consent, agrees, consent};
use crate::exit::{Exit, Failure};
use crate::output::{Cell, Column, Format, Rows, record};

const BACKUPS: &[Column] = &[
    Column { title: "Backup", name: "backup" },
    Column { title: "Made", name: "made" },
    Column { title: "Newest version", name: "version" },
    Column { title: "Needs", name: "needed_bytes" },
    Column { title: "Alone", name: "own_bytes" },
    Column { title: "Restores from", name: "from" },
    Column { title: "To", name: "to" },
    Column { title: "Kept before", name: "kept_before" },
    Column { title: "Pins", name: "pins" },
    Column { title: "State", name: "state" },
];

/// Makes, lists, verifies, rehearses or prunes backups.
///
/// # Errors
///
/// There is no store or no backup; the directory holds something else; the disk is full.
pub fn run(args: &Args, backup: &Backup) -> Result<Exit, Failure> {
    match &backup.verb {
        BackupVerb::Make(make) => made(args, make),
        BackupVerb::List(place) => listed(args, &place.from),
        BackupVerb::Verify(place) => verified(args, &place.from),
        BackupVerb::Drill(drill) => drilled(args, drill),
        BackupVerb::Prune(prune) => pruned(args, prune),
    }
}

pub(super) const fn column(title: &'static str, name: &'static str) -> Column {
    Column { title, name }
}

/// A directory of backups from the root on, as whoever has the store can find it.
pub(super) fn rooted(path: &Path) -> Result<String, Failure> {
    let refused = |what| Failure::new(Exit::Usage, format!("{}: {what}", path.display()), "name a directory");
    let whole = std::path::absolute(path).map_err(|e| refused(e.to_string()))?;
    whole.into_os_string().into_string().map_err(|_| refused("its name is no UTF-8 text".to_owned()))
}

fn made(args: &Args, make: &Make) -> Result<Exit, Failure> {
    let to = &*rooted(&make.to)?;
    let link = open::existing(args)?;
    let mut request = Map::from([("do", "backup"), ("to", to)]);
    request.insert("keep_damaged", make.keep_damaged);
    request.insert("compress", make.compress);
    let answer = link.ask_telling(request, link_bar("backing up"))?;
    let said = Said(&answer);
    let fields = [
        (column("Backup", "backup"), Cell::Text(said.text("backup")?.to_owned())),
        (column("As of version", "version"), Cell::Version(said.version("version")?)),
        (column("Newest commit", "time"), when::cell(said.count("time_us")?)),
        (column("Copied", "copied_bytes"), Cell::Bytes(said.count("copied_bytes")?)),
        (column("Linked", "linked_bytes"), Cell::Bytes(said.count("linked_bytes")?)),
        (column("Holds", "held_bytes"), Cell::Bytes(said.count("held_bytes")?)),
        (column("Damaged values", "damaged_values"), Cell::Count(said.count("damaged_values")?)),
    ];
    print::answer(&record(args.format, &fields, &TimeZone::system()))?;
    if let Ok(warning) = said.text("warning") {
        print::note(warning);
    }
    Ok(Exit::Fine)
}

fn listed(args: &Args, from: &Path) -> Result<Exit, Failure> {
    let (mut rows, mut text, mut exit) =
        (Rows::new(args.format, BACKUPS, TimeZone::system()), String::new(), Exit::Fine);
    for held in backup::backups(from)? {
        let row = match held {
            Ok(held) => {
                let from_us = held.windows.iter().map(|window| window.from_us).min();
                let to_us = held.windows.iter().map(|window| window.through_us).max();
                vec![
                    Cell::Text(held.name.to_string()),
                    when::cell(held.made_us),
                    Cell::Version(held.version),
                    Cell::Bytes(held.bytes),
                    Cell::Bytes(held.own_bytes),
                    from_us.map_or(Cell::Nothing, when::cell),
                    to_us.map_or(Cell::Nothing, when::cell),
                    kept(args.format, &held.kept),
                    pins(args.format, &held.pins),
                    Cell::Text("whole".to_owned()),
                ]
            }
            Err(e) => {
                exit = Exit::Damaged;
                let mut row = vec![Cell::Nothing; BACKUPS.len() - 1];
                row.push(Cell::Text(e.message().to_owned()));
                row
            }
        };
        text.push_str(&rows.row(row));
    }
    text.push_str(&rows.finish());
    print::answer(&text)?;
    Ok(exit)
}

/// How many single moments there are, or which.
fn kept(format: Format, kept: &[KeptMoment]) -> Cell {
    if format == Format::Table {
        return Cell::Count(kept.len() as u64);
    }
    let named = kept.iter().map(|kept| json!({"version": kept.version.to_string(), "time_us": kept.time_us}));
    Cell::Json(Value::from_iter(named).to_string())
}

/// How many there are, or which.
fn pins(format: Format, pins: &[(String, Version)]) -> Cell {
    if format == Format::Table {
        return Cell::Count(pins.len() as u64);
    }
    let named = pins.iter().map(|(name, version)| json!({"name": name, "version": version.to_string()}));
    Cell::Json(Value::from_iter(named).to_string())
}

fn verified(args: &Args, from: &Path) -> Result<Exit, Failure> {
    let checked = backup::verify_backups(from, bar("verifying"))?;
    let faults: Vec<Value> = checked
        .faults
        .iter()
        .map(|fault| {
            let names: Vec<String> = fault.backups.iter().map(ToString::to_string).collect();
            json!({"backups": names, "what": fault.error.message()})
        })
        .collect();
    let verdict = match faults.len() {
        0 => "every backup is as it was written",
        _ => "backups are damaged",
    };
    let mut fields = vec![
        (column("Verdict", "verdict"), Cell::Text(verdict.to_owned())),
        (column("Backups", "backups"), Cell::Count(checked.backups)),
        (column("Pieces", "pieces"), Cell::Count(checked.pieces)),
        (column("Verified", "verified_bytes"), Cell::Bytes(checked.bytes)),
    ];
    if args.format != Format::Table {
        fields.push((column("", "damage"), Cell::Json(Value::from(faults.clone()).to_string())));
    }
    print::answer(&record(args.format, &fields, &TimeZone::system()))?;
    for fault in &checked.faults {
        let names: Vec<String> = fault.backups.iter().map(ToString::to_string).collect();
        print::note(&format!("backup {}: {}", names.join(", "), fault.error.message()));
    }
    Ok(if faults.is_empty() { Exit::Fine } else { Exit::Damaged })
}

fn drilled(args: &Args, drill: &Drill) -> Result<Exit, Failure> {
    let mut bar = bar("restoring");
    let done = backup::drill(&drill.from, &drill.to, Restore::new().progress(&mut bar))?;
    let digest = format!("{:032x}", done.digest);
    let same = match &args.dir {
        None => None,
        Some(_) => {
            let at = done.restored.version.to_string();
            let answer = open::existing(args)?.ask("digest", [("at", at.into())])?;
            Some(Said(&answer).text("digest")? == digest)
        }
    };
    let fields = [
        (column("Backup", "backup"), Cell::Text(done.restored.backup.to_string())),
        (column("As of version", "version"), Cell::Version(done.restored.version)),
        (column("Newest commit", "time"), when::cell(done.restored.time_us)),
        (column("Commits", "commits"), Cell::Count(done.restored.commits)),
        (column("Keys read", "keys"), Cell::Count(done.keys)),
        (column("Digest", "digest"), Cell::Text(digest)),
        (column("As the store was", "same"), same.map_or(Cell::Nothing, Cell::Bool)),
        (column("Restored to", "to"), Cell::Text(drill.to.display().to_string())),
    ];
    print::answer(&record(args.format, &fields, &TimeZone::system()))?;
    if same == Some(false) {
        print::note("the backup does not hold what the store held then: make a new one, and keep this one");
        return Ok(Exit::Damaged);
    }
    Ok(Exit::Fine)
}

fn pruned(args: &Args, prune: &Prune) -> Result<Exit, Failure> {
    let keep = Keep {
        last: prune.keep_last,
        hourly: prune.keep_hourly,
        daily: prune.keep_daily,
        weekly: prune.keep_weekly,
        within: prune.keep_within.unwrap_or_default(),
    };
    let would = backup::prune(&prune.from, &keep, Do::Nothing)?;
    let what = format!("give up {} backups in {}", would.backups.len(), prune.from.display());
    let names = |names: &[backup::BackupName]| {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        match args.format {
            Format::Table if names.is_empty() => Cell::Text("none".to_owned()),
            Format::Table => Cell::Text(names.join(", ")),
            _ => Cell::Json(Value::from(names).to_string()),
        }
    };
    if !prune.dry_run
        && !would.backups.is_empty()
        && consent(&what, args.yes, print::on_terminal())? == Consent::Ask
        && !agrees(&print::ask(&format!("{what}? [y/N]"))?)
    {
        return Err(Failure::new(Exit::No, format!("{what}: not agreed to"), "nothing was changed"));
    }
    let done = if prune.dry_run { would } else { backup::prune(&prune.from, &keep, Do::It)? };
    let fields = [
        (column("Given up", "pruned"), names(&done.backups)),
        (column("Left", "left"), names(&done.left)),
        (column("Came free", "freed_bytes"), Cell::Bytes(done.bytes)),
        (column("Only said", "dry_run"), Cell::Bool(prune.dry_run)),
    ];
    print::answer(&record(args.format, &fields, &TimeZone::system()))?;
    Ok(Exit::Fine)
}
