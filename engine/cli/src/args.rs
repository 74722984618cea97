//! Pure: the whole grammar of the command line, and the help that teaches it.

mod backup;
mod bench;
mod options;
mod retention;
mod verbs;

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::{CommandFactory, Parser, ValueEnum};

pub use backup::{Backup, BackupVerb, Check, Drill, Make, Place, Prune, Restore, Revert};
pub use bench::{Bench, BenchVerb, Durability, Workload};
pub use options::{
    Break, Demo, Diff, Get, History, Json, List, Load, Migrate, Once, Pin, Remove, Repair, Scope, Sessions,
    SessionsVerb, Set, Stat, Tail, Unpin, Update,
};
pub use retention::Retention;
pub use verbs::Verb;

use crate::exit::{Exit, Failure, codes};
use crate::output::Format;

/// One call of `savehold`.
#[derive(Clone, Debug, Parser, PartialEq)]
#[command(
    name = "savehold",
    version,
    about = "Look into a savehold store, change it, verify it, repair it, measure it.",
    after_help = format!("{FIRST_STEPS}\n\n{READ_ON}"),
    after_long_help = long_help(),
    max_term_width = 100,
    arg_required_else_help = true,
)]
pub struct Args {
    /// The store: a directory
    #[arg(
        long,
        global = true,
        help_heading = "With every verb",
        value_name = "DIR",
        env = "SAVEHOLD_DIR",
        hide_env_values = true
    )]
    pub dir: Option<PathBuf>,
    /// How answers look: `table` for people, `json` and `jsonl` for programs
    #[arg(
        long,
        global = true,
        help_heading = "With every verb",
        value_name = "FORMAT",
        value_enum,
        default_value = "table",
        hide_possible_values = true
    )]
    pub format: Format,
    /// Do not ask before something is destroyed
    #[arg(long, global = true, help_heading = "With every verb")]
    pub yes: bool,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Shown below the list of verbs.
const FIRST_STEPS: &str = "\
First steps:
  savehold demo
  savehold init --dir data
  savehold set --dir data players/42 '{\"coins\": 100}'
  savehold update --dir data players/42 --merge-json '{\"level\": 2}'
  savehold history --dir data players/42
  savehold diff --dir data --from -5m";

const READ_ON: &str =
    "Each verb explains itself: `savehold get --help`. Keys, moments, exit codes: `savehold --help`.";

const KEYS_AND_MOMENTS: &str = r"
Keys are written collection/key; the first slash splits. Bytes that do not print are written \xNN,
the backslash itself \\.

Moments, wherever one is asked for:
  now                    the newest
  'yesterday 18:00'      local time; also 'today 09:30', '2026-11-22 18:00'
  21:40                  the last time that clocks showed it
  -90m                   so long ago; also -2h30m, -1d
  2026-11-22T18:00:00Z   with its offset from UTC (RFC 3339)
  2517.40960             a version
  'pin:before update'    a pin; `pin:` may be left out where the name begins like nothing above
What was understood is echoed as local time and UTC.";

fn long_help() -> String {
    format!("{FIRST_STEPS}\n{KEYS_AND_MOMENTS}\n\n{}", codes())
}

impl ValueEnum for Format {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Table, Self::Json, Self::Jsonl]
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(match self {
            Self::Table => "table",
            Self::Json => "json",
            Self::Jsonl => "jsonl",
        }))
    }
}

/// The command that `words` call, as far as they do: `savehold bench commit`, to name it in a message.
#[must_use]
pub fn command_of<W: AsRef<OsStr>>(words: &[W]) -> String {
    let (mut name, mut command) = ("savehold".to_owned(), Args::command());
    for word in words {
        let Some(deeper) = word.as_ref().to_str().and_then(|word| command.find_subcommand(word)) else {
            continue;
        };
        name = format!("{name} {}", deeper.get_name());
        command = deeper.clone();
    }
    name
}

impl Args {
    /// The store that the call names.
    ///
    /// # Errors
    ///
    /// It names none.
    pub fn store(&self) -> Result<&PathBuf, Failure> {
        self.dir.as_ref().filter(|dir| !dir.as_os_str().is_empty()).ok_or_else(|| {
            Failure::new(
                Exit::Usage,
                "no store is named",
                "name its directory with `--dir DIR` or in SAVEHOLD_DIR",
            )
        })
    }
}

#[cfg(test)]
mod tests;
