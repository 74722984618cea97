//! Corridor: `savehold migrate`.

use jiff::tz::TimeZone;
use savehold::{Map, Value};

use super::open::{self, Link};
use super::print;
use crate::answer::Said;
use crate::args::{Args, Migrate};
use crate::consent::{Consent, agrees, consent};
use crate::exit::{Exit, Failure};
use crate::output::{Cell, Column, record};
use crate::progress::Progress;

/// Keys that one request looks at: so often the bar moves, and others get their turn.
const PAGE_KEYS: u64 = 200;

/// Documents that are named where they could not be changed.
const NAMED_MAX: usize = 20;

/// What became of the documents.
#[derive(Default)]
struct Tally {
    changed: u64,
    unchanged: u64,
    in_play: u64,
    failed: u64,
    /// The first that failed, a sentence each.
    named: Vec<String>,
    /// The last key that was looked at.
    last: Option<String>,
}

/// Brings the documents of a collection up to date, a page at a time.
///
/// # Errors
///
/// There is no such collection; nobody agreed; the store takes nothing more: what was done before it stays so.
pub fn run(args: &Args, migrate: &Migrate) -> Result<Exit, Failure> {
    let link = open::existing(args)?;
    let keys = keys(&link, &migrate.collection)?;
    let what = format!("change up to {keys} documents of {} by {:?}", migrate.collection, migrate.name);
    if !migrate.dry_run
        && consent(&what, args.yes, print::on_terminal())? == Consent::Ask
        && !agrees(&print::ask(&format!("{what}? [y/N]"))?)
    {
        return Err(Failure::new(Exit::No, format!("{what}: not agreed to"), "nothing was changed"));
    }
    let mut tally = Tally { last: after(migrate)?, ..Tally::default() };
    let progress = Progress::of_keys("migrating", Some(keys));
    let all = pages(&link, migrate, &mut tally, &progress);
    drop(progress);
    if let (Err(_), Some(last)) = (&all, &tally.last) {
        print::note(&format!(
            "it stopped; the same call goes on, with --after {}/{last} at once",
            migrate.collection
        ));
    }
    all?;
    if migrate.dry_run {
        print::note("nothing was written: this is what it would do");
    }
    answer(args, &tally)
}

/// The key to begin behind.
fn after(migrate: &Migrate) -> Result<Option<String>, Failure> {
    let Some(after) = &migrate.after else { return Ok(None) };
    if after.collection.as_str() != migrate.collection {
        let say = format!("{after} is no key of {}", migrate.collection);
        return Err(Failure::new(Exit::Usage, say, "name a key of the collection that is migrated"));
    }
    Ok(Some(after.key.to_string()))
}

fn keys(link: &Link, collection: &str) -> Result<u64, Failure> {
    let said = link.ask("collections", [])?;
    let all = Said(&said).objects("collections")?;
    let found = all.into_iter().find(|one| one.text("name").is_ok_and(|name| name == collection));
    let missing =
        || Failure::new(Exit::No, format!("there is no collection {collection}"), "see `savehold list`");
    Ok(found.ok_or_else(missing)?.count("keys")?)
}

fn pages(link: &Link, migrate: &Migrate, tally: &mut Tally, progress: &Progress) -> Result<(), Failure> {
    let mut request = Map::from([("do", "migrate"), ("collection", migrate.collection.as_str())]);
    request.insert("name", migrate.name.as_str());
    request.insert("steps", steps(migrate));
    request.insert("compatible", migrate.compatible);
    request.insert("dry_run", migrate.dry_run);
    request.insert("limit", PAGE_KEYS);
    loop {
        request.extend(tally.last.as_deref().map(|last| ("after", last)));
        let said = link.ask_all(&request)?;
        progress.advance(tally.add(Said(&said))?);
        if !Said(&said).flag("more") {
            return Ok(());
        }
    }
}

fn steps(migrate: &Migrate) -> Value {
    let renames =
        migrate.renames.iter().map(|(from, to)| Map::from([("rename", from.as_str()), ("to", to.as_str())]));
    let sets = migrate.sets.iter().map(|(name, value)| {
        let mut step = Map::from([("set", name.as_str())]);
        step.insert("value", value.clone());
        step
    });
    let removes = migrate.removes.iter().map(|name| Map::from([("remove", name.as_str())]));
    renames.chain(sets).chain(removes).collect()
}

impl Tally {
    /// Adds a page; answers how many keys it had.
    fn add(&mut self, page: Said<'_>) -> Result<u64, Failure> {
        let failed = page.objects("failed")?;
        let [changed, unchanged, in_play] =
            [page.count("changed")?, page.count("unchanged")?, page.count("in_play")?];
        for one in failed.iter().take(NAMED_MAX.saturating_sub(self.named.len())) {
            let why = one.object("error").and_then(|e| e.text("message").ok()).unwrap_or_default();
            self.named.push(why.to_owned());
        }
        self.changed += changed;
        self.unchanged += unchanged;
        self.in_play += in_play;
        self.failed += failed.len() as u64;
        self.last = page.text("last").ok().map(str::to_owned).or(self.last.take());
        Ok(changed + unchanged + in_play + failed.len() as u64)
    }
}

fn answer(args: &Args, tally: &Tally) -> Result<Exit, Failure> {
    tally.named.iter().for_each(|why| print::note(why));
    let fields = [
        (Column { title: "Brought up to date", name: "changed" }, Cell::Count(tally.changed)),
        (Column { title: "Were up to date", name: "unchanged" }, Cell::Count(tally.unchanged)),
        (Column { title: "In play, left to their sessions", name: "in_play" }, Cell::Count(tally.in_play)),
        (Column { title: "Failed", name: "failed" }, Cell::Count(tally.failed)),
    ];
    print::answer(&record(args.format, &fields, &TimeZone::system()))?;
    Ok(if tally.failed == 0 { Exit::Fine } else { Exit::Failed })
}
