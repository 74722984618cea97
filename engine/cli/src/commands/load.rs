//! Corridor: `savehold load`.
//!
//! Lines are committed in batches, each all or nothing. A line that the store says already is passed over, so that a
//! load that was interrupted can be repeated and history holds changes only.

use jiff::tz::TimeZone;
use savehold::{Map, Value};

use super::input::Lines;
use super::open::{self, Link};
use super::print;
use crate::answer::Said;
use crate::args::{Args, Load};
use crate::exit::{Exit, Failure};
use crate::line::Line;
use crate::output::{Cell, Column, record};
use crate::progress::Progress;

/// Lines of one commit.
const BATCH_LINES_MAX: usize = 1000;

/// Bytes of text after which a batch is committed.
const BATCH_BYTES_MAX: u64 = 4 << 20;

/// Writes many keys.
///
/// # Errors
///
/// The file cannot be read; a line is none, and which; a commit failed. The lines before it are loaded.
pub fn run(args: &Args, load: &Load) -> Result<Exit, Failure> {
    args.store()?;
    let mut lines = Lines::of(&load.file)?;
    let mut batch = Batch::read(&mut lines);
    if batch.lines.is_empty()
        && let Err(e) = batch.then
    {
        return Err(e); // before a store is made for nothing
    }
    let link = open::or_make(args)?;
    let progress = Progress::of_bytes("loading", lines.bytes());
    let mut loader = Loader { link: &link, written: 0, unchanged: 0 };
    loop {
        progress.advance(batch.bytes);
        loader.commit(&batch.lines).map_err(|e| loader.stopped(e))?;
        match batch.then {
            Err(e) => return Err(loader.stopped(e)),
            Ok(More::No) => break,
            Ok(More::Yes) => batch = Batch::read(&mut lines),
        }
    }
    drop(progress);
    let fields = [
        (Column { title: "Keys written", name: "written" }, Cell::Count(loader.written)),
        (Column { title: "Unchanged", name: "unchanged" }, Cell::Count(loader.unchanged)),
    ];
    print::answer(&record(args.format, &fields, &TimeZone::system()))?;
    Ok(Exit::Fine)
}

/// Lines that are committed together.
struct Batch {
    lines: Vec<(Line, String)>,
    bytes: u64,
    then: Result<More, Failure>,
}

/// Whether more lines follow.
enum More {
    Yes,
    No,
}

impl Batch {
    /// The next lines, each with its place, up to the first that is none.
    fn read(from: &mut Lines) -> Self {
        let mut batch = Self { lines: Vec::new(), bytes: 0, then: Ok(More::Yes) };
        let mut text = Vec::new();
        while batch.lines.len() < BATCH_LINES_MAX && batch.bytes < BATCH_BYTES_MAX {
            match from.read(&mut text) {
                Err(e) => batch.then = Err(e),
                Ok(None) => batch.then = Ok(More::No),
                Ok(Some(bytes)) => {
                    batch.bytes += bytes;
                    match Line::parse(&text) {
                        Ok(line) => {
                            batch.lines.extend(line.map(|line| (line, from.place())));
                            continue;
                        }
                        Err(e) => batch.then = Err(no_line(from, &e)),
                    }
                }
            }
            break;
        }
        batch
    }
}

fn no_line(from: &Lines, why: &str) -> Failure {
    Failure::new(
        Exit::Usage,
        format!("{}: {why}", from.place()),
        "mend it and load again; see `savehold load --help`",
    )
}

struct Loader<'s> {
    link: &'s Link,
    written: u64,
    unchanged: u64,
}

impl Loader<'_> {
    fn commit(&mut self, lines: &[(Line, String)]) -> Result<(), Failure> {
        let lines: Value = lines.iter().map(|(line, place)| request(line, place)).collect();
        let answer = self.link.ask("load", [("lines", lines)])?;
        self.written += Said(&answer).count("written")?;
        self.unchanged += Said(&answer).count("unchanged")?;
        Ok(())
    }

    /// Says what is loaded when a load stops in the middle.
    fn stopped(&self, e: Failure) -> Failure {
        let (written, unchanged) = (self.written, self.unchanged);
        if written + unchanged > 0 {
            print::note(&format!(
                "{written} keys are written, {unchanged} were there already; then it stopped"
            ));
        }
        e
    }
}

fn request(line: &Line, place: &str) -> Map {
    let mut said = Map::from([("collection", line.key.collection.as_str()), ("place", place)]);
    said.insert("key", line.key.key.to_string());
    said.insert("value", line.value.clone());
    if let Some(ids) = &line.user_ids {
        said.insert("user_ids", ids.iter().map(savehold::UserId::as_str).collect::<Value>());
    }
    if let Some(notes) = &line.metadata {
        said.insert("metadata", notes.iter().cloned().collect::<Map>());
    }
    if let Some(schema) = &line.schema {
        said.insert("schema", Value::Bytes(schema.clone()));
    }
    said
}
