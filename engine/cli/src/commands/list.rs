//! Corridor: `savehold list`.

use jiff::tz::TimeZone;
use savehold::{Collection, ErrorKind, Range, Store, Value};

use super::print::{self, Out, Reader};
use super::{open, show};
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
    let store = open::existing(args)?;
    match &list.scope {
        None => collections(args, &store, list.limit),
        Some(scope) => {
            let documents = of(&store, scope)?;
            let range = list.after.iter().fold(range(scope), |range, after| range.after(&after.key));
            if list.values {
                values(args, list, &documents, scope, range)
            } else {
                keys(args, list, &documents, scope, range)
            }
        }
    }
}

/// The collection of a scope, which must be there.
///
/// # Errors
///
/// It is not.
pub fn of(store: &Store, scope: &Prefix) -> Result<Collection<Value>, Failure> {
    let name = scope.collection.as_str();
    let documents = store.any(name)?;
    if store.collections()?.iter().any(|there| there == name) {
        Ok(documents)
    } else {
        Err(show::no_collection(name))
    }
}

/// The keys of a scope.
pub fn range(scope: &Prefix) -> Range {
    scope.prefix.as_ref().map_or_else(Range::all, Range::prefix)
}

fn collections(args: &Args, store: &Store, limit: u64) -> Result<Exit, Failure> {
    let mut rows = Rows::new(args.format, COLLECTIONS, TimeZone::system());
    let mut out = Out::new();
    let all = store.collections()?;
    for name in all.iter().take(usize::try_from(limit).unwrap_or(usize::MAX)) {
        let keys = store.any(name)?.keys("").count() as u64;
        if out.put(&rows.row(vec![Cell::Text(name.clone()), Cell::Count(keys)]))? == Reader::Gone {
            return Ok(Exit::Fine);
        }
    }
    out.put(&rows.finish())?;
    out.end()?;
    if all.len() as u64 > limit {
        print::note(&format!(
            "{} more; for all of them `savehold list --limit {}`",
            all.len() as u64 - limit,
            all.len()
        ));
    }
    Ok(Exit::Fine)
}

fn keys(
    args: &Args,
    list: &List,
    documents: &Collection<Value>,
    scope: &Prefix,
    range: Range,
) -> Result<Exit, Failure> {
    let mut rows = Rows::new(args.format, KEYS, TimeZone::system());
    let (mut out, mut last, mut left) = (Out::new(), None, list.limit);
    for key in documents.keys(range) {
        let path = Keypath { collection: scope.collection.clone(), key: key? };
        if left == 0 {
            out.put(&rows.finish())?;
            out.end()?;
            more(scope, last.as_ref(), "");
            return Ok(Exit::Fine);
        }
        if out.put(&rows.row(vec![Cell::Text(path.to_string())]))? == Reader::Gone {
            return Ok(Exit::Fine);
        }
        (left, last) = (left - 1, Some(path));
    }
    out.put(&rows.finish())?;
    out.end()?;
    Ok(Exit::Fine)
}

fn values(
    args: &Args,
    list: &List,
    documents: &Collection<Value>,
    scope: &Prefix,
    range: Range,
) -> Result<Exit, Failure> {
    let mut rows = Rows::new(args.format, VALUES, TimeZone::system());
    let (mut out, mut last, mut left, mut damaged) = (Out::new(), None, list.limit, Damaged::default());
    let mut ended = true;
    for entry in documents.scan(range) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(e) => {
                damaged.note(e)?;
                continue;
            }
        };
        if left == 0 {
            ended = false;
            break;
        }
        let path = Keypath { collection: scope.collection.clone(), key: entry.key };
        let cells =
            vec![Cell::Text(path.to_string()), Cell::Version(entry.version), show::value(&entry.value)?];
        if out.put(&rows.row(cells))? == Reader::Gone {
            return Ok(Exit::Fine);
        }
        (left, last) = (left - 1, Some(path));
    }
    out.put(&rows.finish())?;
    out.end()?;
    if !ended {
        more(scope, last.as_ref(), " --values");
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
    /// Says that a value is damaged.
    ///
    /// # Errors
    ///
    /// `e` is about something else.
    pub fn note(&mut self, e: savehold::Error) -> Result<(), Failure> {
        if !matches!(e.kind(), ErrorKind::Damaged | ErrorKind::Decode | ErrorKind::Format) {
            return Err(e.into());
        }
        self.0 += 1;
        print::note(e.message());
        Ok(())
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
