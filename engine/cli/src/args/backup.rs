//! Pure: the options of `savehold backup`, `restore`, `revert` and `check`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};
use savehold::Key;
use savehold::backup::BackupName;

use crate::moment::Moment;
use crate::quantity;

/// Options of `backup`.
#[derive(Args, Clone, Debug, PartialEq)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Backup {
    /// What to do.
    #[command(subcommand)]
    pub verb: BackupVerb,
}

/// What to do with backups.
#[derive(Clone, Debug, PartialEq, Subcommand)]
pub enum BackupVerb {
    /// Back the store up into a directory
    ///
    /// In full the first time; into the same directory again, only what is new. Every byte is verified as it is copied.
    /// Cut short, earlier backups are as they were, and the next call goes on from there.
    #[command(after_help = "\
Examples:
  savehold backup make other-disk/backup --dir data")]
    Make(Make),
    /// List the backups in a directory, and the moments that can be restored
    ///
    /// For each backup: when it was made, its newest version, how many bytes it needs, how many of them nobody else
    /// does, and from when to when it can be restored, exact to the commit.
    #[command(after_help = "\
Examples:
  savehold backup list other-disk/backup")]
    List(Place),
    /// Read every byte of all backups in a directory
    ///
    /// No store is needed, and nothing changes. Ends with code 4 if anything is missing or changed.
    #[command(after_help = "\
Examples:
  savehold backup verify other-disk/backup")]
    Verify(Place),
    /// Rehearse a restore of the newest backup
    ///
    /// Restores it into a new directory, opens it and reads every value. With `--dir` the store that it was made of is
    /// opened too, and both must have held the same at that moment; else the call ends with code 4. The new directory
    /// stays.
    #[command(after_help = "\
Examples:
  savehold backup drill other-disk/backup --to scratch
  savehold backup drill other-disk/backup --to scratch --dir data")]
    Drill(Drill),
    /// Give up backups that nobody asks for
    ///
    /// A backup stays that any of the rules keeps. The newest backup and the archive stay always; so does everything
    /// that those need which stay. Asks first, or wants `--yes`; `--dry-run` says what would go.
    #[command(after_help = "\
Examples:
  savehold backup prune other-disk/backup --keep-daily 7 --keep-weekly 4 --dry-run
  savehold backup prune other-disk/backup --keep-last 3 --yes")]
    Prune(Prune),
}

/// Options of `backup make`.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct Make {
    /// The directory for backups, on another disk
    #[arg(value_name = "BACKUPS")]
    pub to: PathBuf,
    /// Copy values that are damaged in the store as they are, instead of refusing
    #[arg(long)]
    pub keep_damaged: bool,
    /// Compress what is copied
    #[arg(long)]
    pub compress: bool,
}

/// A directory of backups.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct Place {
    /// The directory of backups
    #[arg(value_name = "BACKUPS")]
    pub from: PathBuf,
}

/// Options of `backup drill`.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct Drill {
    /// The directory of backups
    #[arg(value_name = "BACKUPS")]
    pub from: PathBuf,
    /// Where the store goes; must not exist, or be empty
    #[arg(long, value_name = "NEW_DIR")]
    pub to: PathBuf,
}

/// Options of `backup prune`.
#[derive(Args, Clone, Debug, PartialEq)]
#[command(group = ArgGroup::new("keep").required(true).multiple(true))]
pub struct Prune {
    /// The directory of backups
    #[arg(value_name = "BACKUPS")]
    pub from: PathBuf,
    /// Keep the newest so many
    #[arg(long, value_name = "N", group = "keep", default_value = "0", hide_default_value = true)]
    pub keep_last: usize,
    /// Keep the newest of each of the last so many hours that have any
    #[arg(long, value_name = "N", group = "keep", default_value = "0", hide_default_value = true)]
    pub keep_hourly: usize,
    /// Keep the newest of each of the last so many days that have any
    #[arg(long, value_name = "N", group = "keep", default_value = "0", hide_default_value = true)]
    pub keep_daily: usize,
    /// Keep the newest of each of the last so many weeks that have any
    #[arg(long, value_name = "N", group = "keep", default_value = "0", hide_default_value = true)]
    pub keep_weekly: usize,
    /// Keep all that are not older than this: 30d
    #[arg(long, value_name = "TIME", group = "keep", value_parser = quantity::duration)]
    pub keep_within: Option<Duration>,
    /// Only say what would go
    #[arg(long)]
    pub dry_run: bool,
}

/// Options of `restore`.
#[derive(Args, Clone, Debug, PartialEq)]
#[command(group = ArgGroup::new("target").required(true).multiple(false))]
pub struct Restore {
    /// The directory of backups
    #[arg(value_name = "BACKUPS")]
    pub from: PathBuf,
    /// Where the store goes; must not exist, or be empty
    #[arg(long, value_name = "NEW_DIR", group = "target")]
    pub to: Option<PathBuf>,
    /// Set the store of `--dir` back where it stands; what stood there is kept beside it
    #[arg(long, group = "target")]
    pub in_place: bool,
    /// Give keys of this collection in the store of `--dir` their values of that moment, as new versions
    #[arg(long, value_name = "COLLECTION", group = "target")]
    pub keys_of: Option<String>,
    /// Only keys that begin so
    #[arg(long, value_name = "PREFIX", requires = "keys_of", conflicts_with = "keys_from")]
    pub prefix: Option<Key>,
    /// Only the keys in this file, one a line, without their collection; - for standard input
    #[arg(long, value_name = "FILE", requires = "keys_of")]
    pub keys_from: Option<PathBuf>,
    /// How long who plays a key has to save and release it
    #[arg(long, value_name = "TIME", requires = "keys_of", value_parser = quantity::duration)]
    pub handoff: Option<Duration>,
    /// The moment to go back to
    #[arg(long, value_name = "MOMENT", default_value = "now", allow_hyphen_values = true)]
    pub at: Moment,
    /// Another directory of backups of the same store: the timeline is claimed there too, so that of a copy of it nobody begins
    /// the same. May be given again
    #[arg(long, value_name = "BACKUPS")]
    pub beside: Vec<PathBuf>,
    /// Where that moment was thinned away: the kept one before it, which is named
    #[arg(long)]
    pub or_earlier: bool,
    /// From this backup and no other; `savehold backup list` shows their names
    #[arg(long, value_name = "NAME", value_parser = backup_name)]
    pub backup: Option<BackupName>,
    /// Only say what would be lost
    #[arg(long)]
    pub dry_run: bool,
}

/// Options of `revert`.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct Revert {
    /// The collection
    #[arg(value_name = "COLLECTION")]
    pub collection: String,
    /// The moment to go back to
    #[arg(long, value_name = "MOMENT", allow_hyphen_values = true)]
    pub to: Moment,
    /// Only keys that begin so
    #[arg(long, value_name = "PREFIX", conflicts_with = "keys_from")]
    pub prefix: Option<Key>,
    /// Only the keys in this file, one a line, without their collection; - for standard input
    #[arg(long, value_name = "FILE")]
    pub keys_from: Option<PathBuf>,
    /// Only keys that this build or node wrote; * stands for any text
    #[arg(long, value_name = "ORIGIN")]
    pub origin: Option<String>,
    /// Only keys written since then, by that origin if one is given
    #[arg(long, value_name = "MOMENT", allow_hyphen_values = true)]
    pub since: Option<Moment>,
    /// How long who plays a key has to save and release it: 10s unless it is said
    #[arg(long, value_name = "TIME", value_parser = quantity::duration)]
    pub handoff: Option<Duration>,
    /// Only say what would be set back
    #[arg(long)]
    pub dry_run: bool,
}

/// Options of `check`.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct Check {
    /// A directory of backups of this store; may be given again
    #[arg(long = "backups", value_name = "BACKUPS")]
    pub backups: Vec<PathBuf>,
    /// Look today where the newest backup is older than this, act now where it is three times as old
    #[arg(long, value_name = "TIME", default_value = "1d", value_parser = quantity::duration)]
    pub backup_age: Duration,
    /// Look today where a restart would take longer than this, act now where it takes ten times as long
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = quantity::duration)]
    pub recovery: Duration,
    /// Act now where the store's disk has less space than this; look today below four times as much
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = quantity::bytes)]
    pub free: u64,
}

fn backup_name(text: &str) -> Result<BackupName, String> {
    BackupName::named(text).ok_or_else(|| "a backup is named by its number, or `archive`".to_owned())
}
