//! Corridor: `savehold retention`.

use std::time::Duration;

use jiff::tz::TimeZone;
use savehold::{Map, Moments};

use super::{open, print, when};
use crate::answer::Said;
use crate::args::{Args, Retention};
use crate::exit::{Exit, Failure};
use crate::output::{Cell, Column, record};
use crate::quantity::show_duration;

/// Says how long history is kept, after changing it where the call asks for that.
///
/// # Errors
///
/// The collection's name is none; the store cannot be read, or the commit failed.
pub fn run(args: &Args, wanted: &Retention) -> Result<Exit, Failure> {
    let link = open::existing(args)?;
    let answer = link.ask_all(&request(wanted))?;
    drop(link);
    let said = Said(&answer);
    print::answer(&record(args.format, &fields(said), &TimeZone::system()))?;
    if said.get("nothing_until_us").as_u64().is_some() {
        print::note(
            "the clock stood more than a day ahead of the store when it was opened, so nothing goes for a day; \
             `savehold retention --trust-clock` says that it is right",
        );
    }
    Ok(Exit::Fine)
}

fn request(wanted: &Retention) -> Map {
    let mut request = Map::from([("do", "retention")]);
    let times = [
        ("explicit_us", wanted.explicit),
        ("autosaves_us", wanted.autosaves),
        ("outcomes_us", wanted.outcomes),
    ];
    request.extend(wanted.collection.as_ref().map(|name| ("collection", name.as_str())));
    request.extend(times.into_iter().filter_map(|(name, time)| Some((name, micros(time?)))));
    request.extend(wanted.versions.map(|newest| ("newest", u64::from(newest))));
    request.extend((wanted.newest_only || wanted.history).then_some(("newest_only", wanted.newest_only)));
    if let Some(Moments { every, minutes, hours }) = wanted.moments {
        request.extend(
            [("every_us", every), ("minutes_us", minutes), ("hours_us", hours)].map(|(n, t)| (n, micros(t))),
        );
    }
    request.extend(wanted.trust_clock.then_some(("trust_clock", true)));
    request
}

fn fields(said: Said<'_>) -> Vec<(Column, Cell)> {
    let column = |title, name| Column { title, name };
    let time = |name: &str| match said.get(name).as_u64() {
        None => Cell::Text("for ever".to_owned()),
        Some(0) => Cell::Text("not at all".to_owned()),
        Some(us) => Cell::Text(show_duration(Duration::from_micros(us))),
    };
    let mut fields = Vec::new();
    if let Ok(name) = said.text("collection") {
        let newest_only = said.flag("newest_only");
        fields.push((column("Collection", "collection"), Cell::Text(name.to_owned())));
        fields.push((column("Newest versions only", "newest_only"), Cell::Bool(newest_only)));
        if !newest_only {
            let newest = said.count("newest").map_or(Cell::Nothing, Cell::Count);
            fields.push((column("Versions asked for stay", "explicit"), time("explicit_us")));
            fields.push((column("Autosaved versions stay", "autosaves"), time("autosaves_us")));
            fields.push((column("Newest versions that stay, however old", "versions"), newest));
        }
    }
    fields.push((column("Every moment stays", "every"), time("every_us")));
    fields.push((column("Then one a minute", "minutes"), time("minutes_us")));
    fields.push((column("Then one an hour", "hours"), time("hours_us")));
    fields.push((column("Outcomes of ids stay", "outcomes"), time("outcomes_us")));
    if let Some(until_us) = said.get("nothing_until_us").as_u64() {
        fields.push((column("Nothing goes before", "nothing_until"), when::cell(until_us)));
    }
    fields
}

/// A time as a request says it; all ones mean for ever.
fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
