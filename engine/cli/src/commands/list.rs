//! Corridor: `savehold list`.

use jiff::tz::TimeZone;
use savehold::{Entry, ErrorKind, Value};

use super::open::{self, Link};
use super::pages::Pages;
use super::print::{self, Out, Reader};
use super::show;
use crate::answer::Said;
use crate::args::{Args, List};
use crate::exit::{Exit, Failure};
use crate::keypath::{Keypath, Prefix};
use crate::output::{Cell, Column, Rows};

const COLLECTIONS: &[Column] =
    &[Column { title: "Collection", name: "collection" }, Column { title: "Keys", name: "keys" }];

const KEYS: &[Column] = &[Column { title: "Key", name: "key" }];

const VALUES: &[Column] = &[
    Column { title: "Key", name: "key" },
    Column { title: "Version", name: "version" },
    Column { title: "Value", name: "value" },
];

/// Lists collections, or the keys of one.
///
/// # Errors
///
/// There is no such collection; the store cannot be read; a value in the list cannot.
pub fn run(args: &Args, list: &List) -> Result<Exit, Failure> {
    if let (Some(scope), Some(after)) = (&list.scope, &list.after)
        && scope.collection != after.collection
    {
        let say = format!("{after} is no key of {}", scope.collection);
        return Err(Failure::new(Exit::Usage, say, "name a key of the collection that is listed"));
    }
    let link = open::existing(args)?;
    match &list.scope {
        None => collections(args, &link, list.limit),
        Some(scope) if list.values => values(args, list, &link, scope),
        Some(scope) => keys(args, list, &link, scope),
    }
}

fn collections(args: &Args, link: &Link, limit: u64) -> Result<Exit, Failure> {
    let mut rows = Rows::new(args.format, COLLECTIONS, TimeZone::system());
    let mut out = Out::new();
    let answer = link.ask("collections", [("limit", limit.into())])?;
    let (listed, total) = (Said(&answer).objects("collections")?, Said(&answer).count("total")?);
    for one in &listed {
        let cells = vec![Cell::Text(one.text("name")?.to_owned()), Cell::Count(one.count("keys")?)];
        if out.put(&rows.row(cells))? == Reader::Gone {
            return Ok(Exit::Fine);
        }
    }
    out.put(&rows.finish())?;
    out.end()?;
    let left = total.saturating_sub(listed.len() as u64);
    if left > 0 {
        print::note(&format!("{left} more; for all of them `savehold list --limit {total}`"));
    }
    Ok(Exit::Fine)
}

fn keys(args: &Args, list: &List, link: &Link, scope: &Prefix) -> Result<Exit, Failure> {
    let mut pages = Pages::new("keys", scope, list.after.as_ref());
    let mut rows = Rows::new(args.format, KEYS, TimeZone::system());
    let (mut out, mut left) = (Out::new(), list.limit);
    while left > 0
        && let Some(page) = pages.next(link, left)?
    {
        for key in Said(&page).get("keys").as_list().unwrap_or_default() {
            let path = Keypath { collection: scope.collection.clone(), key: pages.seen(key)? };
            left -= 1;
            if out.put(&rows.row(vec![Cell::Text(path.to_string())]))? == Reader::Gone {
                return Ok(Exit::Fine);
            }
        }
    }
    out.put(&rows.finish())?;
    out.end()?;
    if pages.more() {
        more(scope, pages.last().as_ref(), "");
    }
    Ok(Exit::Fine)
}

fn values(args: &Args, list: &List, link: &Link, scope: &Prefix) -> Result<Exit, Failure> {
    let mut pages = Pages::new("scan", scope, list.after.as_ref());
    let mut rows = Rows::new(args.format, VALUES, TimeZone::system());
    let (mut out, mut left, mut damaged) = (Out::new(), list.limit, Damaged::default());
    while left > 0
        && let Some(page) = pages.next(link, left)?
    {
        for entry in Said(&page).objects("entries")? {
            pages.seen(entry.get("key"))?;
            let Some(entry) = damaged.sound(entry)? else { continue };
            left -= 1;
            let path = Keypath { collection: scope.collection.clone(), key: entry.key };
            let cells =
                vec![Cell::Text(path.to_string()), Cell::Version(entry.version), show::value(&entry.value)?];
            if out.put(&rows.row(cells))? == Reader::Gone {
                return Ok(Exit::Fine);
            }
        }
    }
    out.put(&rows.finish())?;
    out.end()?;
    if pages.more() {
        more(scope, pages.last().as_ref(), " --values");
    }
    damaged.end()
}

fn more(scope: &Prefix, last: Option<&Keypath>, options: &str) {
    let Some(last) = last else { return };
    print::note(&format!("there are more; go on with `savehold list {scope}{options} --after {last}`"));
}

/// Values that could not be read, while all else goes on.
#[derive(Debug, Default)]
pub struct Damaged(u64);

impl Damaged {
    /// An entry as `scan` tells it; `None` where its value is damaged, which is said.
    ///
    /// # Errors
    ///
    /// It cannot be read for another reason.
    pub fn sound(&mut self, entry: Said<'_>) -> Result<Option<Entry<Value>>, Failure> {
        let Some(e) = entry.get("error").as_map() else { return Ok(Some(entry.entry()?)) };
        let e = savehold::control::error(e);
        if !matches!(e.kind(), ErrorKind::Damaged | ErrorKind::Decode | ErrorKind::Format) {
            return Err(e.into());
        }
        self.0 += 1;
        print::note(e.message());
        Ok(None)
    }

    /// How a call ends that met them.
    ///
    /// # Errors
    ///
    /// There were any.
    pub fn end(self) -> Result<Exit, Failure> {
        match self.0 {
            0 => Ok(Exit::Fine),
            count => Err(Failure::new(
                Exit::Damaged,
                format!("{count} of the values cannot be read and are missing from the answer"),
                "see what else is damaged with `savehold verify`",
            )),
        }
    }
}
