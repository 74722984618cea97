//! Pure: what the demo says: for people a table that grows and a few sentences, for programs one JSON object.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use savehold::VersionInfo;

use super::check::Verdict;
use super::model::Model;
use super::player::Player;
use super::restored::Back;
use super::server::{ROOMS, THREADS};
use crate::args::Demo;
use crate::escape::visible;
use crate::output::{Cell, Column, Format, record};
use crate::quantity::{show_count, show_duration};

/// Columns of a terminal that nobody made wider.
const WIDTH: usize = 80;

/// All rounds together.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Commits that were acknowledged.
    pub acknowledged: u64,
    /// Writes by sessions that were over, each refused.
    pub fenced: u64,
    /// Servers that were killed.
    pub kills: u64,
    /// Commits in doubt that the store knew as done.
    pub done: u64,
    /// Commits in doubt that the store knew as not done.
    pub not_done: u64,
    /// How long it took to open the store after each kill.
    pub recoveries: Vec<Duration>,
    /// Whether the store came back out of its backup as it had been at a moment; `None`: it was not tried.
    pub restored: Option<bool>,
    /// What is missing, and what there is twice.
    pub verdict: Verdict,
}

/// One server's life and what it left.
#[derive(Clone, Debug)]
pub struct Round {
    number: u16,
    life: Duration,
    /// `None`: it was not killed.
    recovery: Option<Duration>,
    /// Commits acknowledged in it.
    pub acknowledged: u64,
    /// Of those in doubt: done.
    pub done: u64,
    /// Of those in doubt: not done.
    pub not_done: u64,
    /// Everything is as it must be.
    pub clean: bool,
}

/// One player's history.
#[derive(Clone, Debug)]
pub struct Story {
    /// His number.
    pub player: u64,
    /// His newest versions, newest first.
    pub versions: Vec<(VersionInfo, Player)>,
    /// So many of them are shown; the one behind says what the last of those changed.
    pub shown: usize,
    /// A time, microseconds since 1970.
    pub then_us: u64,
    /// What he had at that time.
    pub then: Option<Player>,
}

/// Says it, in one of the formats.
#[derive(Clone, Debug)]
pub struct Teller {
    format: Format,
    zone: TimeZone,
}

impl Round {
    /// A round before its check.
    #[must_use]
    pub const fn new(number: u16, life: Duration, recovery: Option<Duration>) -> Self {
        Self { number, life, recovery, acknowledged: 0, done: 0, not_done: 0, clean: false }
    }
}

impl Tally {
    /// The longest recovery.
    #[must_use]
    pub fn recovery_max(&self) -> Option<Duration> {
        self.recoveries.iter().max().copied()
    }

    /// The recovery in the middle; of two, the longer.
    #[must_use]
    pub fn recovery_median(&self) -> Option<Duration> {
        let mut sorted = self.recoveries.clone();
        sorted.sort();
        sorted.get(sorted.len() / 2).copied()
    }
}

impl Teller {
    /// Tells in this format, times as clocks show them in `zone`.
    #[must_use]
    pub const fn new(format: Format, zone: TimeZone) -> Self {
        Self { format, zone }
    }

    /// What is about to happen.
    #[must_use]
    pub fn opening(&self, demo: &Demo, dir: &Path, stays: bool, world: &Model) -> String {
        if self.format != Format::Table {
            return String::new();
        }
        let goes = if stays { "stays" } else { "goes away at the end" };
        let world_line = format!(
            "{} players, {} items, {} coins: none may be lost, none made",
            show_count(demo.players),
            show_count(world.owners.len() as u64),
            show_count(world.coins())
        );
        let kills = match demo.kills {
            0 => "none".to_owned(),
            1 => "one, by SIGKILL, at a random moment".to_owned(),
            kills => format!("{}, by SIGKILL, at random moments", show_count(kills)),
        };
        let play = format!(
            "{THREADS} threads in {ROOMS} rooms, every commit synced to disk, for {} s",
            show_count(demo.seconds)
        );
        format!(
            "A game server plays in a store of its own. It is killed without warning, and\n\
             after each kill everything that it had acknowledged must be there, once.\n\n\
             store  {} ({goes})\nworld  {world_line}\nplay   {play}\nkills  {kills}\n\n\
             {:>5} {:>9} {:>13} {:>18} {:>10}   {}\n{:>5} {:>9} {:>13} {:>18} {:>10}   {}\n",
            visible(&dir.display().to_string()),
            "kill",
            "played",
            "acknowledged",
            "in doubt",
            "recovery",
            "all there,",
            "",
            "",
            "commits",
            "(done / not done)",
            "",
            "all once?",
        )
    }

    /// How one round went.
    #[must_use]
    pub fn round(&self, round: &Round) -> String {
        if self.format != Format::Table {
            return String::new();
        }
        let (kill, recovery) = match round.recovery {
            Some(recovery) => (round.number.to_string(), show_duration(recovery)),
            None => ("end".to_owned(), String::new()),
        };
        let doubt = match round.done + round.not_done {
            0 => "none".to_owned(),
            _ => format!("{} / {}", round.done, round.not_done),
        };
        format!(
            "{kill:>5} {:>9} {:>13} {doubt:>18} {recovery:>10}   {}\n",
            show_duration(round.life),
            show_count(round.acknowledged),
            if round.clean { "yes" } else { "NO" }
        )
    }

    /// A player's history.
    #[must_use]
    pub fn story(&self, story: &Story) -> String {
        if self.format != Format::Table {
            return String::new();
        }
        let mut text = format!(
            "\nNothing is overwritten: the newest versions of player {}\n\n{:>18}  {:<12}  {:<14} {:>5} {:>5}  {}\n",
            story.player, "version", "time", "commit", "coins", "items", "change"
        );
        for (at, (version, player)) in story.versions.iter().take(story.shown).enumerate() {
            let id = version.id.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
            let line = format!(
                "{:>18}  {:<12}  {:<14} {:>5} {:>5}  {}",
                version.version.to_string(),
                self.clock(version.time_us),
                visible(&id),
                player.coins,
                player.bag.len(),
                change(story.versions.get(at + 1).map(|(_, before)| before), player)
            );
            text += line.trim_end();
            text.push('\n');
        }
        let then = self.clock(story.then_us);
        let had = match &story.then {
            Some(player) => format!("he had {} coins and {}", player.coins, items(&player.bag)),
            None => "the world did not exist yet".to_owned(),
        };
        text + "\n" + &wrapped(&format!("Five seconds earlier, at {then}, {had}."))
    }

    /// How the store came back.
    #[must_use]
    pub fn restored(&self, back: &Back) -> String {
        if self.format != Format::Table {
            return String::new();
        }
        let [players, items, coins] = back.found.map(show_count);
        let text = format!(
            "Then all {} players lost everything, the store was backed up, and its directory was deleted. Restored as of \
             {} (version {}), {} later commits undone: {players} players, {items} items and {coins} coins, as they were.",
            show_count(back.hurt),
            self.clock(back.time_us),
            back.version,
            show_count(back.undone)
        );
        format!("\n{}", wrapped(&text))
    }

    /// How all of it went, and where the store is if it stays.
    #[must_use]
    pub fn summary(&self, tally: &Tally, kept: Option<&Path>) -> String {
        if self.format == Format::Table { told(tally, kept) } else { self.object(tally) }
    }

    fn object(&self, tally: &Tally) -> String {
        let fields = [
            ("acknowledged", Cell::Count(tally.acknowledged)),
            ("lost", Cell::Count(tally.verdict.lost)),
            ("duplicated", Cell::Count(tally.verdict.duplicated)),
            ("kills", Cell::Count(tally.kills)),
            ("ambiguous_resolved", Cell::Count(tally.done + tally.not_done)),
            ("recovery_ms_max", tally.recovery_max().map_or(Cell::Nothing, Cell::Duration)),
            ("recovery_ms_median", tally.recovery_median().map_or(Cell::Nothing, Cell::Duration)),
            ("fenced", Cell::Count(tally.fenced)),
            ("restored", tally.restored.map_or(Cell::Nothing, Cell::Bool)),
        ];
        record(self.format, &fields.map(|(name, cell)| (Column { title: name, name }, cell)), &self.zone)
    }

    fn clock(&self, time_us: u64) -> String {
        let time = i64::try_from(time_us).ok().and_then(|us| Timestamp::from_microsecond(us).ok());
        let time = time.unwrap_or_default().to_zoned_datetime(self.zone.clone());
        time.strftime("%H:%M:%S%.3f").to_string()
    }
}

fn told(tally: &Tally, kept: Option<&Path>) -> String {
    let verdict = &tally.verdict;
    let mut text = String::from("\n");
    text += &format!("acknowledged  {} commits\n", show_count(tally.acknowledged));
    text += &format!("lost          {}\nduplicated    {}\n", verdict.lost, verdict.duplicated);
    text += &format!("fenced        {} writes of rooms that had lost the player\n", show_count(tally.fenced));
    if let (Some(median), Some(max)) = (tally.recovery_median(), tally.recovery_max()) {
        let (median, max) = (show_duration(median), show_duration(max));
        text +=
            &format!("recovery      {median} in the median, {max} at most, after {} kills\n", tally.kills);
    }
    text.push('\n');
    for finding in &verdict.findings {
        text += &format!("- {}\n", visible(finding));
    }
    let mut say = if verdict.is_clean() {
        "Every commit that the server had acknowledged is there, with its version. Every item is in just one bag, and \
         no coin is missing."
            .to_owned()
    } else {
        "The store broke its promise: that is a bug. Please keep the directory and report it.".to_owned()
    };
    let doubts = tally.done + tally.not_done;
    if verdict.is_clean() && doubts > 0 {
        say += &format!(
            " {} more were under way when the server died. Nobody had heard how they ended; the store knew, by their \
             ids: {} were done and {} were not. Repeating those that were done changed nothing.",
            show_count(doubts),
            show_count(tally.done),
            show_count(tally.not_done)
        );
    }
    text += &wrapped(&say);
    if let Some(dir) = kept {
        let dir = visible(&dir.display().to_string());
        text += &format!("\nThe store stays there:\n  savehold stat --dir {dir}\n");
    }
    text
}

/// What made `now` of `before`.
fn change(before: Option<&Player>, now: &Player) -> String {
    let Some(before) = before else { return "the world begins".to_owned() };
    let came = now.bag.iter().filter(|item| !before.bag.contains(item)).map(|item| format!("+item {item}"));
    let went = before.bag.iter().filter(|item| !now.bag.contains(item)).map(|item| format!("-item {item}"));
    let coins = i128::from(now.coins) - i128::from(before.coins);
    let coins = (coins != 0).then(|| format!("{coins:+}"));
    coins.into_iter().chain(came).chain(went).collect::<Vec<_>>().join(" ")
}

fn items(bag: &[u64]) -> String {
    match bag {
        [] => "no items".to_owned(),
        [one] => format!("item {one}"),
        more => {
            let numbers: Vec<String> = more.iter().map(u64::to_string).collect();
            format!("the items {}", numbers.join(", "))
        }
    }
}

/// A paragraph in lines that fit a terminal.
fn wrapped(text: &str) -> String {
    let (mut lines, mut width) = (String::new(), 0);
    for word in text.split_whitespace() {
        let len = word.chars().count();
        if width > 0 && width + 1 + len > WIDTH {
            lines.push('\n');
            width = 0;
        }
        if width > 0 {
            lines.push(' ');
            width += 1;
        }
        lines += word;
        width += len;
    }
    lines + "\n"
}

#[cfg(test)]
mod tests;
