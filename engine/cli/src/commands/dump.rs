//! Corridor: `savehold dump`.

use std::io::IsTerminal;

use super::list::Damaged;
use super::open;
use super::pages::Pages;
use super::print::{Out, Reader};
use crate::answer::Said;
use crate::args::{Args, Scope};
use crate::exit::{Exit, Failure};
use crate::keypath::{Keypath, Prefix};
use crate::line;
use crate::output::Format;
use crate::progress::Progress;

/// Writes every key of the store, or of a part of it, as of one moment.
///
/// # Errors
///
/// There is no such collection; the store cannot be read; a value in it cannot, and all others are written.
pub fn run(args: &Args, scope: &Scope) -> Result<Exit, Failure> {
    let link = open::existing(args)?;
    let scopes: Vec<Prefix> = match &scope.scope {
        Some(scope) => vec![scope.clone()],
        None => {
            let answer = link.ask("names", [])?;
            let names = Said(&answer).get("names").as_list().unwrap_or_default();
            names.iter().map(|name| whole(name.as_str().unwrap_or_default())).collect::<Result<_, _>>()?
        }
    };
    let (mut frame, mut damaged) = (Frame::new(args.format), Damaged::default());
    let mut moment: Option<String> = None;
    for scope in scopes {
        let mut pages = Pages::new("scan", &scope, None).held();
        if let Some(moment) = &moment {
            pages = pages.at(moment);
        }
        while let Some(page) = pages.next(&link, u64::MAX)? {
            moment = Some(Said(&page).text("at")?.to_owned());
            for entry in Said(&page).objects("entries")? {
                pages.seen(entry.get("key"))?;
                let Some(entry) = damaged.sound(entry)? else { continue };
                let path = Keypath { collection: scope.collection.clone(), key: entry.key.clone() };
                if frame.put(&line::text(&path, &entry)?)? == Reader::Gone {
                    return Ok(Exit::Fine);
                }
            }
        }
    }
    frame.end()?;
    damaged.end()
}

fn whole(name: &str) -> Result<Prefix, Failure> {
    Ok(Prefix { collection: savehold::name::CollectionName::stored(name)?, prefix: None })
}

/// Lines as they are asked for: one after the other, or as a JSON list.
struct Frame {
    out: Out,
    format: Format,
    first: bool,
    progress: Option<Progress>,
}

impl Frame {
    fn new(format: Format) -> Self {
        let shown = !std::io::stdout().is_terminal(); // a bar among the lines would hide both
        let progress = shown.then(|| Progress::of_bytes("dumping", None));
        Self { out: Out::new(), format, first: true, progress }
    }

    fn put(&mut self, line: &str) -> Result<Reader, Failure> {
        if let Some(progress) = &self.progress {
            progress.advance(line.len() as u64 + 1);
        }
        let first = std::mem::take(&mut self.first);
        self.out.put(&match self.format {
            Format::Json if first => format!("[\n  {line}"),
            Format::Json => format!(",\n  {line}"),
            Format::Table | Format::Jsonl => format!("{line}\n"),
        })
    }

    fn end(mut self) -> Result<(), Failure> {
        let end = match (self.format, self.first) {
            (Format::Json, true) => "[]\n",
            (Format::Json, false) => "\n]\n",
            _ => "",
        };
        self.out.put(end)?;
        self.out.end()
    }
}
