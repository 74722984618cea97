//! Corridor: `savehold retention`.

use std::time::Duration;

use jiff::tz::TimeZone;
use savehold::{Map, Moments, Value};

use super::{open, print, show, when};
use crate::answer::Said;
use crate::args::{Args, Retention};
use crate::consent::{Consent, agrees, consent};
use crate::exit::{Exit, Failure};
use crate::output::{Cell, Column, record};
use crate::quantity::show_duration;

/// Says how long history is kept, after changing it where the call asks for that.
///
/// # Errors
///
/// The collection's name is none; nobody agreed to keep less; the store cannot be read, or the commit failed.
pub fn run(args: &Args, wanted: &Retention) -> Result<Exit, Failure> {
    let link = open::existing(args)?;
    let known = match &wanted.collection {
        Some(name) if !show::is_known(&link, name)? => {
            print::note(&format!(
                "there is no collection {name} yet: this is what one of that name keeps; which there are says `savehold list`"
            ));
            false
        }
        _ => true,
    };
    let collection = wanted.collection.as_deref().map_or(Value::Nil, Value::from);
    let stands = link.ask("retention", [("collection", collection)])?;
    let less = less(Said(&stands), wanted, known);
    if !less.is_empty() {
        let what = format!("keep less history ({})", less.join(", "));
        if consent(&what, args.yes, print::on_terminal())? == Consent::Ask
            && !agrees(&print::ask(&format!("{what}? What goes does not come back. [y/N]"))?)
        {
            return Err(Failure::new(Exit::No, format!("{what}: not agreed to"), "nothing was changed"));
        }
    }
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

/// What is kept for less long by the setting that is wanted; of a collection to which nothing was written there is nothing to
/// lose.
fn less(stands: Said<'_>, wanted: &Retention, known: bool) -> Vec<&'static str> {
    let kept = |name: &str| stands.get(name).as_u64().map_or(Duration::MAX, Duration::from_micros);
    let history = known && !stands.flag("newest_only");
    let shorter = |name: &str, time: Option<Duration>| time.is_some_and(|time| time < kept(name));
    // what every moment is kept for needs no single ones
    let times = |m: Moments| [m.every, m.every.max(m.minutes), m.every.max(m.minutes).max(m.hours)];
    let moments = Moments { every: kept("every_us"), minutes: kept("minutes_us"), hours: kept("hours_us") };
    let fewer = wanted.moments.is_some_and(|wanted| {
        times(wanted).iter().zip(times(moments)).any(|(wanted, stands)| *wanted < stands)
    });
    let newest = stands.get("newest").as_u64().unwrap_or(0);
    let found = [
        (history && wanted.newest_only, "the newest versions only"),
        (history && shorter("explicit_us", wanted.explicit), "versions asked for"),
        (history && shorter("autosaves_us", wanted.autosaves), "autosaved versions"),
        (
            history && wanted.versions.is_some_and(|wanted| u64::from(wanted) < newest),
            "fewer newest versions",
        ),
        (fewer, "moments of the whole store"),
        (shorter("outcomes_us", wanted.outcomes), "outcomes of ids"),
    ];
    found.into_iter().filter_map(|(less, what)| less.then_some(what)).collect()
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
