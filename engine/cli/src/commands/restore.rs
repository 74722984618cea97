//! Corridor: `savehold restore`.

use jiff::tz::TimeZone;
use savehold::backup::{Lost, Preview};
use savehold::{At, Key, Map, Restored};
use serde_json::{Value, json};

use super::backup::{column, rooted};
use super::verify::{bar, link_bar};
use super::{open, print, when};
use crate::answer::Said;
use crate::args::{Args, Restore};
use crate::consent::{Consent, agrees, consent};
use crate::exit::{Exit, Failure};
use crate::output::{Cell, Column, Format, Rows, record};

const HOURS: &[Column] = &[
    Column { title: "Lost in the hour from", name: "from" },
    Column { title: "Commits", name: "commits" },
    Column { title: "Keys", name: "keys" },
];

/// Makes a store out of a backup, or says what that would lose.
///
/// # Errors
///
/// There is no backup, or none of that moment; it is damaged; the target is not empty; nobody agreed.
pub fn run(args: &Args, restore: &Restore) -> Result<Exit, Failure> {
    let at = when::on_clock(&restore.at)?;
    if let Some(collection) = &restore.keys_of {
        return keys(args, restore, collection, at);
    }
    let mut bar = bar("restoring");
    let mut how = savehold::Restore::new().progress(&mut bar);
    how = restore.beside.iter().fold(how, |how, other| how.beside(other));
    if let Some(name) = restore.backup {
        how = how.backup(name);
    }
    if restore.or_earlier {
        how = how.or_earlier();
    }
    if restore.dry_run {
        let seen = savehold::preview(&restore.from, at, how)?;
        return answer(args.format, previewed(&seen), &seen.lost);
    }
    if let Some(to) = &restore.to {
        let done = savehold::restore_with(&restore.from, to, at, how)?;
        return answer(args.format, restored(&done, to.display().to_string(), Cell::Nothing), &done.lost);
    }
    let store = args.store()?;
    let what = format!("set {} back", store.display());
    if consent(&what, args.yes, print::on_terminal())? == Consent::Ask
        && !agrees(&print::ask(&format!("{what}? What stands there is kept beside it. [y/N]"))?)
    {
        return Err(Failure::new(Exit::No, format!("{what}: not agreed to"), "nothing was changed"));
    }
    let done = savehold::restore_in_place(&restore.from, store, at, how)?;
    let kept = Cell::Text(done.kept.display().to_string());
    answer(args.format, restored(&done.restored, store.display().to_string(), kept), &done.restored.lost)
}

/// Chosen keys come back into the live store.
fn keys(args: &Args, restore: &Restore, collection: &str, at: At) -> Result<Exit, Failure> {
    let from = rooted(&restore.from)?;
    let mut request = Map::from([("do", "restore_keys"), ("collection", collection), ("from", &from)]);
    request.insert("to", when::as_value(at));
    if let Some(name) = restore.backup {
        request.insert("backup", name.to_string());
    }
    if restore.or_earlier {
        request.insert("or_earlier", true);
    }
    if let Some(prefix) = &restore.prefix {
        request.insert("prefix", prefix.to_string());
    }
    if let Some(path) = &restore.keys_from {
        request.insert("keys", super::revert::keys(path)?);
    }
    if let Some(time) = restore.handoff {
        request.insert("handoff_us", u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }
    let link = open::existing(args)?;
    request.insert("dry_run", true);
    let planned = link.ask_telling(request.clone(), link_bar("reading the backup"))?;
    let said = Said(&planned);
    let (written, removed) = (said.count("written")?, said.count("removed")?);
    let what = format!("set {written} keys of {collection} back and remove {removed}");
    if restore.dry_run {
        print::note(&format!("nothing was written: this would {what}"));
        return counts(args.format, said);
    }
    if written + removed > 0
        && consent(&what, args.yes, print::on_terminal())? == Consent::Ask
        && !agrees(&print::ask(&format!("{what}? [y/N]"))?)
    {
        return Err(Failure::new(Exit::No, format!("{what}: not agreed to"), "nothing was changed"));
    }
    request.insert("dry_run", false);
    counts(args.format, Said(&link.ask_telling(request, link_bar("setting keys back"))?))
}

fn counts(format: Format, said: Said<'_>) -> Result<Exit, Failure> {
    let fields = [
        (column("Keys set back", "written"), Cell::Count(said.count("written")?)),
        (column("Keys removed", "removed"), Cell::Count(said.count("removed")?)),
        (column("Keys as they were", "unchanged"), Cell::Count(said.count("unchanged")?)),
    ];
    print::answer(&record(format, &fields, &TimeZone::system()))?;
    Ok(Exit::Fine)
}

fn previewed(seen: &Preview) -> Vec<(Column, Cell)> {
    vec![
        (column("Backup", "backup"), Cell::Text(seen.backup.to_string())),
        (column("The kept moment before", "earlier"), seen.earlier.map_or(Cell::Nothing, Cell::Version)),
        (column("Not whole", "not_whole"), names(&seen.not_whole)),
        (column("Leases that would end", "leases_ended"), Cell::Count(seen.leases_ended)),
        (column("Commits that would be lost", "lost_commits"), Cell::Count(seen.lost.commits)),
        (column("Keys that they wrote", "lost_keys"), Cell::Count(seen.lost.keys)),
        (column("Receipts among them", "lost_receipts"), Cell::Count(seen.lost.receipts.len() as u64)),
    ]
}

fn restored(done: &Restored, to: String, kept: Cell) -> Vec<(Column, Cell)> {
    vec![
        (column("Store", "store"), Cell::Text(to)),
        (column("The one of before", "kept"), kept),
        (column("Backup", "backup"), Cell::Text(done.backup.to_string())),
        (column("As of version", "version"), Cell::Version(done.version)),
        (column("The kept moment before", "earlier"), done.earlier.map_or(Cell::Nothing, Cell::Version)),
        (column("Not whole", "not_whole"), names(&done.not_whole)),
        (column("Newest commit", "time"), when::cell(done.time_us)),
        (column("Commits", "commits"), Cell::Count(done.commits)),
        (column("Written", "written_bytes"), Cell::Bytes(done.bytes)),
        (column("Goes on in timeline", "timeline"), Cell::Text(done.timeline.to_string())),
        (column("Leases ended", "leases_ended"), Cell::Count(done.leases_ended)),
        (column("Commits lost", "lost_commits"), Cell::Count(done.lost.commits)),
        (column("Keys that they wrote", "lost_keys"), Cell::Count(done.lost.keys)),
        (column("Receipts among them", "lost_receipts"), Cell::Count(done.lost.receipts.len() as u64)),
    ]
}

/// Collections whose keys may have older values, or none; nothing where there are none.
fn names(not_whole: &[String]) -> Cell {
    if not_whole.is_empty() { Cell::Nothing } else { Cell::Text(not_whole.join(", ")) }
}

fn answer(format: Format, mut fields: Vec<(Column, Cell)>, lost: &Lost) -> Result<Exit, Failure> {
    let zone = TimeZone::system();
    let mut text = String::new();
    if format == Format::Table {
        fields.retain(|(_, cell)| *cell != Cell::Nothing);
        text.push_str(&record(format, &fields, &zone));
        if !lost.hours.is_empty() {
            let mut rows = Rows::new(format, HOURS, zone);
            text.push('\n');
            for hour in &lost.hours {
                let row = vec![when::cell(hour.begins_us), Cell::Count(hour.commits), Cell::Count(hour.keys)];
                text.push_str(&rows.row(row));
            }
            text.push_str(&rows.finish());
        }
    } else {
        let hours: Vec<Value> = lost
            .hours
            .iter()
            .map(|h| json!({"from_us": h.begins_us, "commits": h.commits, "keys": h.keys}))
            .collect();
        let receipts: Vec<Value> = lost
            .receipts
            .iter()
            .map(|r| json!({"id": shown(&r.id), "version": r.version.to_string(), "time_us": r.time_us}))
            .collect();
        fields.push((column("", "lost_hours"), Cell::Json(Value::from(hours).to_string())));
        fields.push((column("", "receipts"), Cell::Json(Value::from(receipts).to_string())));
        text = record(format, &fields, &zone);
    }
    print::answer(&text)?;
    if !lost.receipts.is_empty() && format == Format::Table {
        print::note("`--format json` names the receipts: what they granted must be granted again by hand");
    }
    Ok(Exit::Fine)
}

/// An idempotency id as text.
pub(super) fn shown(id: &[u8]) -> String {
    Key::new(id).map_or_else(|_| String::new(), |key| key.to_string())
}
