//! Corridor: `savehold check`.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use savehold::Version;
use savehold::backup::{self, BackupName, Held};

use super::{open, print};
use crate::answer::Said;
use crate::args::{Args, Check};
use crate::exit::{Exit, Failure};
use crate::output::{Cell, Column, Rows};
use crate::quantity::{show_bytes, show_duration};

const FINDINGS: &[Column] = &[
    Column { title: "Do", name: "urgency" },
    Column { title: "About", name: "about" },
    Column { title: "Finding", name: "finding" },
];

/// When somebody has to do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    /// Nothing need be done.
    Fine,
    /// Today.
    LookToday,
    /// Now.
    ActNow,
}

impl fmt::Display for Urgency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fine => "fine",
            Self::LookToday => "look today",
            Self::ActNow => "act now",
        })
    }
}

impl Urgency {
    /// What a measure asks for that should stay below `look`, and must stay below `act`.
    fn of<T: PartialOrd>(measured: T, look: T, act: T) -> Self {
        if measured >= act {
            Self::ActNow
        } else if measured >= look {
            Self::LookToday
        } else {
            Self::Fine
        }
    }

    /// This verb's own meaning of the codes 0, 1 and 2, as its help says.
    fn exit(self) -> Exit {
        match self {
            Self::Fine => Exit::Fine,
            Self::LookToday => Exit::Failed,
            Self::ActNow => Exit::Usage,
        }
    }
}

struct Finding {
    urgency: Urgency,
    about: &'static str,
    what: String,
}

/// Says whether anything needs a person.
///
/// # Errors
///
/// The call names no store.
pub fn run(args: &Args, check: &Check) -> Result<Exit, Failure> {
    let dir = args.store()?;
    let mut newest = None;
    let mut findings = match open::quietly(args).and_then(|link| link.ask("health", [])) {
        Ok(health) => {
            newest = Said(&health).version("version").ok();
            of_store(Said(&health), check)
        }
        Err(e) => {
            let what = format!("{} ({})", e.message(), dir.display());
            vec![Finding { urgency: Urgency::ActNow, about: "store", what }]
        }
    };
    findings.extend(check.backups.iter().map(|from| of_backups(from, check, newest)));
    let (mut rows, mut text) = (Rows::new(args.format, FINDINGS, TimeZone::system()), String::new());
    for finding in &findings {
        text.push_str(&rows.row(vec![
            Cell::Text(finding.urgency.to_string()),
            Cell::Text(finding.about.to_owned()),
            Cell::Text(finding.what.clone()),
        ]));
    }
    text.push_str(&rows.finish());
    print::answer(&text)?;
    Ok(findings.iter().map(|finding| finding.urgency).max().unwrap_or(Urgency::Fine).exit())
}

fn of_store(health: Said<'_>, check: &Check) -> Vec<Finding> {
    let time = |us: u64| Duration::from_micros(us);
    let mut findings = Vec::new();
    if let Ok(recovery) = health.count("estimated_recovery_us").map(time) {
        findings.push(Finding {
            urgency: Urgency::of(recovery, check.recovery, check.recovery * 10),
            about: "restart",
            what: format!("a restart would take about {}", show_duration(recovery)),
        });
    }
    findings.push(match health.count("free_bytes") {
        Ok(free) => {
            let (look, act) = (u64::MAX - check.free.saturating_mul(4), u64::MAX - check.free);
            let urgency = Urgency::of(u64::MAX - free, look, act);
            Finding { urgency, about: "disk", what: format!("{} are free", show_bytes(free)) }
        }
        Err(_) => {
            let what = "how much is free cannot be asked".to_owned();
            Finding { urgency: Urgency::LookToday, about: "disk", what }
        }
    });
    findings.extend(health.text("thinning_failure").ok().map(|why| {
        let what = format!("it is not thinned as it should be: {why}");
        Finding { urgency: Urgency::LookToday, about: "history", what }
    }));
    findings.extend(health.object("archive").map(of_archive));
    findings
}

/// An archive that is behind for minutes is one that does not get on.
fn of_archive(archive: Said<'_>) -> Finding {
    const LOOK: Duration = Duration::from_secs(60);
    const ACT: Duration = Duration::from_secs(3600);
    let behind = Duration::from_micros(archive.count("behind_us").unwrap_or(0));
    let mut what = format!(
        "{} is {} behind",
        archive.text("to").unwrap_or("the archive"),
        show_bytes(archive.count("behind_bytes").unwrap_or(0))
    );
    if let Ok(failure) = archive.text("failure") {
        what.push_str(&format!(", since {}: {failure}", show_duration(behind)));
    }
    let mut urgency =
        if archive.flag("superseded") { Urgency::ActNow } else { Urgency::of(behind, LOOK, ACT) };
    if let Ok(failure) = archive.text("thinning_failure") {
        what.push_str(&format!("; it cannot be thinned and grows: {failure}"));
        urgency = urgency.max(Urgency::LookToday);
    }
    Finding { urgency, about: "archive", what }
}

/// An archive that holds everything is never too old.
fn of_backups(from: &Path, check: &Check, version: Option<Version>) -> Finding {
    let about = "backups";
    let act = |what| Finding { urgency: Urgency::ActNow, about, what };
    let listed = match backup::backups(from) {
        Ok(listed) => listed,
        Err(e) => return act(e.message().to_owned()),
    };
    let damaged = listed.iter().filter(|held| held.is_err()).count();
    let newest = listed.iter().filter_map(|held| held.as_ref().ok()).map(|held| held.made_us).max();
    let Some(newest) = newest else {
        return act(format!("no backup in {} can be read", from.display()));
    };
    let now = u64::try_from(Timestamp::now().as_microsecond()).unwrap_or(0);
    let age = Duration::from_micros(now.saturating_sub(newest));
    let mut what = format!("the newest in {} is {} old", from.display(), show_duration(age));
    let mut urgency = Urgency::of(age, check.backup_age, check.backup_age * 3);
    let current = |held: &Held| version.is_some_and(|version| held.version >= version);
    let all = |held: &Held| held.name == BackupName::Archive && current(held);
    if listed.iter().filter_map(|held| held.as_ref().ok()).any(all) {
        what.push_str(", and the archive holds everything");
        urgency = Urgency::Fine;
    }
    if damaged > 0 {
        what.push_str(&format!("; {damaged} cannot be read: see `savehold backup verify`"));
        urgency = urgency.max(Urgency::LookToday);
    }
    Finding { urgency, about, what }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measure_asks_for_more_the_higher_it_is() {
        for (measured, expected) in [
            (0, Urgency::Fine),
            (9, Urgency::Fine),
            (10, Urgency::LookToday),
            (29, Urgency::LookToday),
            (30, Urgency::ActNow),
            (u32::MAX, Urgency::ActNow),
        ] {
            assert_eq!(Urgency::of(measured, 10, 30), expected, "{measured}");
        }
        let codes = [Urgency::Fine, Urgency::LookToday, Urgency::ActNow].map(|u| u.exit().code());
        assert_eq!(codes, [0, 1, 2]);
    }
}
