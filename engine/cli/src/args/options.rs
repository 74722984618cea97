//! Pure: the options of each verb. What a verb does is told where the verbs are listed.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};
use savehold::limits::ONCE_ID_BYTES_MAX;
use savehold::value::json;
use savehold::{Key, Value, Version};

use crate::keypath::{Keypath, Prefix};
use crate::moment::Moment;
use crate::number;

/// Options of `demo`.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct Demo {
    /// How long to play
    #[arg(long, value_name = "S", default_value = "10", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seconds: u64,
    /// How many players
    #[arg(long, value_name = "N", default_value = "1000", value_parser = clap::value_parser!(u64).range(2..=1_000_000))]
    pub players: u64,
    /// How often the server is killed
    #[arg(long, value_name = "K", default_value = "10", value_parser = clap::value_parser!(u64).range(0..=10_000))]
    pub kills: u64,
}

/// Options of `get`.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct Get {
    /// The key, as collection/key
    #[arg(value_name = "KEY")]
    pub key: Keypath,
    /// As it was then
    #[arg(long, value_name = "MOMENT", default_value = "now", allow_hyphen_values = true)]
    pub at: Moment,
}

/// Options of `set`.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct Set {
    /// The key, as collection/key
    #[arg(value_name = "KEY")]
    pub key: Keypath,
    /// The value as JSON, or - for standard input
    #[arg(value_name = "VALUE", allow_negative_numbers = true)]
    pub value: Json,
    /// Only if there is no such key; else ends with code 7
    #[arg(long, conflicts_with = "if_version")]
    pub if_absent: bool,
    /// Only if the key still has this version; else ends with code 7
    #[arg(long, value_name = "VERSION")]
    pub if_version: Option<Version>,
    /// A user whom the value is about; may be given again. Without it the stored ones are kept
    #[arg(long = "user-id", value_name = "ID")]
    pub user_ids: Vec<String>,
    /// A note about the value; may be given again. Without it the stored ones are kept
    #[arg(long = "meta", value_name = "NAME=TEXT", value_parser = note)]
    pub meta: Vec<(String, String)>,
    /// Whether a repeated call does it again.
    #[command(flatten)]
    pub once: Once,
}

/// Options of `update`.
#[derive(Args, Clone, Debug, PartialEq)]
#[command(group = ArgGroup::new("change").required(true))]
pub struct Update {
    /// The key, as collection/key
    #[arg(value_name = "KEY")]
    pub key: Keypath,
    /// Add N to the whole number that is there; an absent key counts from 0
    #[arg(long, value_name = "N", group = "change", allow_negative_numbers = true)]
    pub increment: Option<i64>,
    /// Set these members of the JSON object that is there; null takes a member out (RFC 7396)
    #[arg(long, value_name = "JSON", group = "change", value_parser = object)]
    pub merge_json: Option<Value>,
    /// Whether a repeated call does it again.
    #[command(flatten)]
    pub once: Once,
}

/// Options of `remove`.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct Remove {
    /// The key, as collection/key
    #[arg(value_name = "KEY")]
    pub key: Keypath,
    /// Only if the key still has this version; else ends with code 7
    #[arg(long, value_name = "VERSION")]
    pub if_version: Option<Version>,
    /// Whether a repeated call does it again.
    #[command(flatten)]
    pub once: Once,
}

/// A change that a repeated call does not repeat.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct Once {
    /// Do it once: a repeated call with the same id changes nothing and tells the version of the first
    #[arg(long, value_name = "ID", value_parser = once_id)]
    pub id: Option<String>,
}

/// Options of `list`.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct List {
    /// A collection, or collection/prefix
    #[arg(value_name = "SCOPE")]
    pub scope: Option<Prefix>,
    /// Begin behind this key
    #[arg(long, value_name = "KEY", requires = "scope")]
    pub after: Option<Keypath>,
    /// At most so many; if there are more, the message says how to go on
    #[arg(long, value_name = "N", default_value = "1000", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: u64,
    /// Show the values too
    #[arg(long, requires = "scope")]
    pub values: bool,
}

/// Options of `history`.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct History {
    /// The key, as collection/key
    #[arg(value_name = "KEY")]
    pub key: Keypath,
    /// Only versions written since then
    #[arg(long, value_name = "MOMENT", allow_hyphen_values = true)]
    pub since: Option<Moment>,
    /// At most so many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
}

/// Options of `load`.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct Load {
    /// A file of JSON lines, or - for standard input
    #[arg(value_name = "FILE", default_value = "-")]
    pub file: PathBuf,
}

/// Options of `dump`.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct Scope {
    /// A collection, or collection/prefix
    #[arg(value_name = "SCOPE")]
    pub scope: Option<Prefix>,
}

/// Options of `stat`.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct Stat {
    /// Show the reports of the newest recoveries instead
    #[arg(long)]
    pub recoveries: bool,
}

/// Options of `sessions`.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct Sessions {
    /// What to do about them; to list them where nothing is said.
    #[command(subcommand)]
    pub verb: Option<SessionsVerb>,
}

/// What to do about sessions.
#[derive(Clone, Debug, PartialEq, Subcommand)]
pub enum SessionsVerb {
    /// End the session on a key; its holder learns the reason and can write no more
    ///
    /// Asks first, or wants `--yes`: what the holder has not saved is lost. Ends with code 7 if nobody has the key.
    #[command(after_help = "\
Examples:
  savehold sessions break players/42 --reason 'ticket 812'")]
    Break(Break),
}

/// Options of `sessions break`.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct Break {
    /// The key, as collection/key
    #[arg(value_name = "KEY")]
    pub key: Keypath,
    /// Why; the holder is told
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

/// Options of `diff`.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct Diff {
    /// A collection, or one key as collection/key
    #[arg(value_name = "SCOPE")]
    pub scope: Option<Prefix>,
    /// Only keys of the collection that begin so
    #[arg(long, value_name = "PREFIX", requires = "scope")]
    pub prefix: Option<Key>,
    /// The first moment
    #[arg(long, value_name = "MOMENT", allow_hyphen_values = true)]
    pub from: Moment,
    /// The second moment
    #[arg(long, value_name = "MOMENT", default_value = "now", allow_hyphen_values = true)]
    pub to: Moment,
    /// Compare moments of the newest backup in this directory, restored into a temporary one, instead of a store
    #[arg(long, value_name = "BACKUPS")]
    pub backups: Option<PathBuf>,
    /// At most so many keys
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
}

/// Options of `tail`.
#[derive(Args, Clone, Debug, PartialEq)]
#[command(group = ArgGroup::new("begin").required(true).multiple(true))]
pub struct Tail {
    /// A collection, or one key as collection/key
    #[arg(value_name = "SCOPE")]
    pub scope: Option<Prefix>,
    /// Only keys of the collection that begin so
    #[arg(long, value_name = "PREFIX", requires = "scope")]
    pub prefix: Option<Key>,
    /// Commits behind this moment
    #[arg(long, value_name = "MOMENT", group = "begin", allow_hyphen_values = true)]
    pub from: Option<Moment>,
    /// Up to this moment; without it up to now
    #[arg(long, value_name = "MOMENT", conflicts_with = "follow", allow_hyphen_values = true)]
    pub to: Option<Moment>,
    /// Go on with each commit as it becomes durable, beside the process that has the store
    #[arg(long, group = "begin")]
    pub follow: bool,
    /// Only commits of this origin; a * stands for any characters
    #[arg(long, value_name = "PATTERN")]
    pub origin: Option<String>,
    /// Show the values too, before and after
    #[arg(long)]
    pub values: bool,
    /// At most so many changes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
}

/// Options of `pin`.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct Pin {
    /// Its name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Another moment than the present one
    #[arg(long, value_name = "MOMENT", default_value = "now", allow_hyphen_values = true)]
    pub at: Moment,
}

/// Options of `unpin`.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct Unpin {
    /// The pin
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// Options of `migrate`.
#[derive(Args, Clone, Debug, PartialEq)]
#[command(group = ArgGroup::new("steps").required(true).multiple(true).args(["renames", "sets", "removes"]))]
pub struct Migrate {
    /// The collection
    #[arg(value_name = "COLLECTION")]
    pub collection: String,
    /// The name of the migration; for ever
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Rename a field; may be given again
    #[arg(long = "rename", value_name = "FROM=TO", value_parser = note)]
    pub renames: Vec<(String, String)>,
    /// Write a field, whatever stands there; may be given again
    #[arg(long = "set", value_name = "FIELD=JSON", value_parser = field)]
    pub sets: Vec<(String, Value)>,
    /// Take a field out; may be given again
    #[arg(long = "remove", value_name = "FIELD")]
    pub removes: Vec<String>,
    /// Programs without this migration may go on reading and writing the documents
    #[arg(long)]
    pub compatible: bool,
    /// Go on behind this key
    #[arg(long, value_name = "KEY")]
    pub after: Option<Keypath>,
    /// Only say what it would do
    #[arg(long)]
    pub dry_run: bool,
}

/// Options of `repair`.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct Repair {
    /// Where the new store goes; must not exist
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// Where the report goes; must not exist
    #[arg(long, value_name = "FILE")]
    pub report: PathBuf,
}

/// A value given as JSON.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// The value.
    Value(Value),
    /// Standard input has it (`-`).
    Stdin,
}

impl FromStr for Json {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "-" { Ok(Self::Stdin) } else { value(text).map(Self::Value) }
    }
}

fn value(text: &str) -> Result<Value, String> {
    if let Some(number) = number::too_large(text.as_bytes()) {
        return Err(number::refused(number));
    }
    json::from_str(text).map_err(|e| format!("{e}; a text wants quotes of its own, '\"hello\"'"))
}

fn object(text: &str) -> Result<Value, String> {
    let value = value(text)?;
    if matches!(value, Value::Map(_)) {
        Ok(value)
    } else {
        Err("it must be a JSON object, for example '{\"coins\": 250}'".to_owned())
    }
}

fn note(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, said)) if !name.is_empty() => Ok((name.to_owned(), said.to_owned())),
        _ => Err("a note is written NAME=TEXT, for example build=812".to_owned()),
    }
}

fn field(text: &str) -> Result<(String, Value), String> {
    match text.split_once('=') {
        Some((name, said)) if !name.is_empty() => Ok((name.to_owned(), value(said)?)),
        _ => Err("a field is written FIELD=JSON, for example level=1".to_owned()),
    }
}

fn once_id(text: &str) -> Result<String, String> {
    if (1..=ONCE_ID_BYTES_MAX).contains(&text.len()) {
        Ok(text.to_owned())
    } else {
        Err(format!("an id has 1 to {ONCE_ID_BYTES_MAX} bytes"))
    }
}

impl Demo {
    /// How long to play.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}
