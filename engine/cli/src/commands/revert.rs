//! Corridor: `savehold revert`.

use std::ops::ControlFlow;
use std::path::Path;

use jiff::tz::TimeZone;
use savehold::control::Advance;
use savehold::{ErrorKind, Key, Map, Value};

use super::input::Lines;
use super::open::{self, Link};
use super::{print, when};
use crate::answer::Said;
use crate::args::{Args, Revert};
use crate::consent::{Consent, agrees, consent};
use crate::exit::{Exit, Failure};
use crate::moment::At;
use crate::output::{Cell, Column, Format, Rows};
use crate::progress::Progress;

const KEYS: &[Column] = &[
    Column { title: "Key", name: "key" },
    Column { title: "New version", name: "version" },
    Column { title: "Absent now", name: "removed" },
    Column { title: "Was played by", name: "played_by" },
    Column { title: "Commits undone", name: "undone" },
    Column { title: "Receipts undone", name: "receipts" },
];

/// Sets keys back, or says which would be.
///
/// # Errors
///
/// There is no such collection; nobody agreed; a commit failed: what was set back before it stays so.
pub fn run(args: &Args, revert: &Revert) -> Result<Exit, Failure> {
    let link = open::existing(args)?;
    let mut request = Map::from([("do", "revert"), ("collection", revert.collection.as_str())]);
    let to = when::at(&link, &revert.to)?;
    if is_before_all(&link, &to)? {
        print::note(&format!(
            "{} is before the first commit of this store that history has: nothing stood there then",
            to.show(&TimeZone::system())
        ));
    }
    request.insert("to", when::for_store(&to));
    if let Some(prefix) = &revert.prefix {
        request.insert("prefix", prefix.to_string());
    }
    if let Some(path) = &revert.keys_from {
        request.insert("keys", keys(path)?);
    }
    if let Some(origin) = &revert.origin {
        request.insert("origin", origin.as_str());
    }
    if let Some(since) = &revert.since {
        request.insert("since", when::for_store(&when::at(&link, since)?));
    }
    if let Some(time) = revert.handoff {
        request.insert("handoff_us", u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }
    request.insert("dry_run", true);
    let looking = Progress::of_keys("looking at keys", None);
    let planned = link.ask_telling(request.clone(), moving(looking, Count::LookedAt))?;
    let [count, removed, played, receipts] = counts(Said(&planned))?;
    let what = format!(
        "set {} keys of {} back and remove {removed} ({played} in play, handed off first), undoing {receipts} receipts",
        count - removed,
        revert.collection
    );
    if revert.dry_run {
        print::note(&format!("nothing was written: this would {what}"));
        return answer(args.format, &revert.collection, Said(&planned));
    }
    if count > 0
        && consent(&what, args.yes, print::on_terminal())? == Consent::Ask
        && !agrees(&print::ask(&format!("{what}? [y/N]"))?)
    {
        return Err(Failure::new(Exit::No, format!("{what}: not agreed to"), "nothing was changed"));
    }
    request.insert("dry_run", false);
    let setting = Progress::of_keys("setting keys back", Some(count as u64));
    let done = link.ask_telling(request, moving(setting, Count::SetBack))?;
    answer(args.format, &revert.collection, Said(&done))
}

/// What some editors write before a text. No key that is shown has one: there it is `\xef\xbb\xbf`.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Which keys a bar counts.
#[derive(Clone, Copy)]
enum Count {
    LookedAt,
    SetBack,
}

/// Moves a bar as far as the store says.
fn moving(bar: Progress, count: Count) -> impl FnMut(Advance) -> ControlFlow<()> {
    move |at| {
        if let Advance::Keys { looked_at, set_back, .. } = at {
            let done = match count {
                Count::LookedAt => looked_at,
                Count::SetBack => set_back,
            };
            bar.advance(done.saturating_sub(bar.done()));
        }
        ControlFlow::Continue(())
    }
}

/// The keys in a file, one a line, written as they are shown. What is another key than whoever wrote it meant is refused.
pub(super) fn keys(path: &Path) -> Result<Value, Failure> {
    let (mut keys, mut lines, mut line) = (Vec::<Value>::new(), Lines::of(path)?, Vec::new());
    while lines.read(&mut line)?.is_some() {
        let refused =
            |say: &str, advice| Failure::new(Exit::Usage, format!("{}: {say}", lines.place()), advice);
        let text = std::str::from_utf8(&line).map_err(|_| {
            refused("it is no UTF-8 text", "save the file as UTF-8; a byte that is no text is \\xNN")
        })?;
        let text = text.trim_end_matches(['\r', '\n']);
        if text.starts_with(BYTE_ORDER_MARK) {
            return Err(refused("it begins with a byte order mark", "save the file as UTF-8 without one"));
        }
        if !text.is_empty() {
            let key = text.parse::<Key>().map_err(|e| refused(e.message(), "write one key a line"))?;
            keys.push(key.to_string().into());
        }
    }
    Ok(Value::List(keys))
}

/// Whether a time lies before the first commit, of a store whose first commit history still has.
fn is_before_all(link: &Link, to: &At) -> Result<bool, Failure> {
    let At::Time(time) = to else { return Ok(false) };
    let asked = [("from", 1.into()), ("limit", 1.into())];
    let first = match link.ask("changes", asked) {
        Err(e) if e.kind() == ErrorKind::Gone => return Ok(false), // thinned, so older than what is there
        first => first?,
    };
    let first = Said(&first).objects("commits")?.first().and_then(|commit| commit.count("time_us").ok());
    Ok(first.is_some_and(|first| u64::try_from(time.as_microsecond()).unwrap_or(0) < first))
}

/// Keys, those that are removed, those that are played, and receipts among what is undone.
fn counts(said: Said<'_>) -> Result<[usize; 4], Failure> {
    let keys = said.objects("keys")?;
    let removed = keys.iter().filter(|key| key.flag("removed")).count();
    let played = keys.iter().filter(|key| key.text("played_by").is_ok()).count();
    let mut receipts = 0;
    for key in &keys {
        receipts += key.objects("undone")?.iter().filter(|commit| commit.text("id").is_ok()).count();
    }
    Ok([keys.len(), removed, played, receipts])
}

fn answer(format: Format, collection: &str, said: Said<'_>) -> Result<Exit, Failure> {
    let (mut rows, mut text) = (Rows::new(format, KEYS, TimeZone::system()), String::new());
    let json = |value: &Value| savehold::value::json::to_string(value);
    for key in said.objects("keys")? {
        let undone = key.objects("undone")?;
        let receipts: Vec<&str> = undone.iter().filter_map(|commit| commit.text("id").ok()).collect();
        let table = format == Format::Table;
        let listed: Value = receipts.iter().map(|id| Value::from(*id)).collect();
        text.push_str(&rows.row(vec![
            Cell::Text(format!("{collection}/{}", key.text("key")?)),
            key.version("version").map_or(Cell::Nothing, Cell::Version),
            Cell::Bool(key.flag("removed")),
            key.text("played_by").map_or(Cell::Nothing, |by| Cell::Text(by.to_owned())),
            if table { Cell::Count(undone.len() as u64) } else { Cell::Json(json(key.get("undone"))?) },
            if table { Cell::Text(receipts.join(", ")) } else { Cell::Json(json(&listed)?) },
        ]));
    }
    text.push_str(&rows.finish());
    print::answer(&text)?;
    Ok(Exit::Fine)
}
