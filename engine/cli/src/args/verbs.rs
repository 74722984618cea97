//! Pure: the verbs, and what the help teaches about each. A doc comment here is the help text.

use clap::Subcommand;

use super::backup::{Backup, Check, Restore, Revert};
use super::bench::Bench;
use super::options::{
    Demo, Diff, Get, History, List, Load, Migrate, Pin, Remove, Repair, Scope, Sessions, Set, Stat, Tail,
    Unpin, Update,
};
use super::retention::Retention;

/// What to do.
#[derive(Clone, Debug, PartialEq, Subcommand)]
pub enum Verb {
    /// Watch a store survive being killed
    ///
    /// Starts a game server as a process of its own: four rooms play the players as profiles; they earn, spend, trade
    /// items and get coins by mail, each deed durable, and go from room to room. Behind whoever went, the room that lost
    /// him tries to write: it must be refused (fenced). The server is killed at random moments (SIGKILL) and its store
    /// opened again; then every acknowledged commit must be there, and no item twice or nowhere. At last one player's
    /// history is shown, and his state five seconds earlier.
    ///
    /// The store is made in a directory of its own that goes away at the end, or in DIR, which must not exist yet, and
    /// stays.
    #[command(after_help = "\
Examples:
  savehold demo
  savehold demo --seconds 30 --kills 50
  savehold demo --dir played --format json")]
    Demo(Demo),

    /// Make an empty store
    ///
    /// Only `init`, `load`, `demo` and `bench` make a store; every other verb says so if there is none.
    #[command(after_help = "\
Examples:
  savehold init --dir data")]
    Init,

    /// Print the value of a key
    ///
    /// As a table the value alone, as JSON; with `--format json` also key, version, time, user ids and metadata. Ends
    /// with code 7 if the key is absent.
    #[command(after_help = "\
Examples:
  savehold get players/42
  savehold get players/42 --at 'yesterday 18:00'
  savehold get players/42 --at 2517.40960 --format json")]
    Get(Get),

    /// Write the value of a key
    ///
    /// The value is JSON; `-` reads it from standard input. Durable when the command ends. Prints the version written.
    #[command(after_help = "\
Examples:
  savehold set players/42 '{\"coins\": 100}'
  savehold set motd/today '\"Double loot!\"'
  savehold set players/42 - --if-version 2517.40960
  savehold set receipts/8817 true --if-absent --user-id 42 --meta shop=web")]
    Set(Set),

    /// Change the value of a key in one step: add to it, or merge into it
    ///
    /// Reads, changes and writes with nobody in between. Durable when the command ends. Prints the value written.
    #[command(after_help = "\
Examples:
  savehold update visits/oak-1 --increment 1
  savehold update visits/oak-1 --increment -5 --id ticket-812
  savehold update players/42 --merge-json '{\"coins\": 250, \"banned\": null}'")]
    Update(Update),

    /// Remove a key; its history stays readable
    ///
    /// Asks first, or wants `--yes`. Earlier versions remain: `savehold history`, `savehold get --at`. Ends with code 7
    /// if there is no such key. Prints the version of the removal.
    #[command(after_help = "\
Examples:
  savehold remove players/42
  savehold remove players/42 --yes --if-version 2517.40960")]
    Remove(Remove),

    /// List collections, or the keys of one, in order
    ///
    /// Without SCOPE the collections; with a collection its keys; with collection/prefix those that begin so.
    #[command(after_help = "\
Examples:
  savehold list
  savehold list players
  savehold list players/4 --values --limit 20
  savehold list players --after players/4711")]
    List(List),

    /// List every version of a key, newest first
    ///
    /// For each: version, local and UTC time, bytes, what it did, origin and idempotency id. Read one with
    /// `savehold get KEY --at VERSION`. Ends with code 7 if the key was never there.
    #[command(after_help = "\
Examples:
  savehold history players/42
  savehold history players/42 --since -90m
  savehold history players/42 --since 'yesterday 18:00' --format jsonl")]
    History(History),

    /// List the keys that are not the same at two moments
    ///
    /// With the value at each, null where there was none. The moments may stand in any order; which ones were compared is
    /// echoed. Of one key, of a collection, or of all.
    #[command(after_help = "\
Examples:
  savehold diff players/42 --from 21:39 --to now
  savehold diff players --prefix 4 --from 'yesterday 18:00'
  savehold diff --from 'pin:before update' --format jsonl
  savehold diff players --from -2h --to -1h --backups other-disk/backup")]
    Diff(Diff),

    /// List commits in the order of the log, and follow what comes
    ///
    /// A line for each key that a commit changed: version, time, key, what was done, size, origin and idempotency id.
    /// With `--follow` it goes on until it is interrupted, beside the process that has the store; where nobody has it,
    /// nothing follows. A collection that is not there yet is waited for then, and this is said. If history was thinned where
    /// it is to begin, it says from where on every commit is there.
    #[command(after_help = "\
Examples:
  savehold tail --from 21:35 --to 21:45 --origin 'build 813*' --format jsonl
  savehold tail players/42 --from -90m --values
  savehold tail players --follow")]
    Tail(Tail),

    /// Give a moment a name, and keep it until it is unpinned
    ///
    /// `--at 'pin:NAME'` then reads it, with every verb that takes a moment, and `savehold restore` goes back to it.
    /// Durable when the command ends. Prints the version that was pinned.
    #[command(after_help = "\
Examples:
  savehold pin 'before update 2.0'
  savehold pin 'before the bug' --at 21:35
  savehold get players/42 --at 'pin:before the bug'")]
    Pin(Pin),

    /// Give a pin up: what only it kept may be dropped
    ///
    /// Asks first, or wants `--yes`. Ends with code 7 if there is no such pin.
    #[command(after_help = "\
Examples:
  savehold unpin 'before update 2.0' --yes")]
    Unpin(Unpin),

    /// List the pins
    ///
    /// By name: for each the version that it keeps, the time of that moment, and when it was pinned.
    #[command(after_help = "\
Examples:
  savehold pins
  savehold pins --format json")]
    Pins,

    /// Write many keys from JSON lines; makes the store if there is none
    ///
    /// Each line is an object: {"key": "players/42", "value": …}, and where there are any "user_ids" and "metadata".
    /// This is what `savehold dump` writes. A key that has this value already is passed over, so a load can be repeated;
    /// user ids and metadata that a line does not mention are kept. Durable when the command ends. Shows progress on a
    /// terminal.
    #[command(after_help = "\
Examples:
  savehold load --dir data players.jsonl
  savehold dump --dir old | savehold load --dir new")]
    Load(Load),

    /// Write every key as JSON lines to standard output
    ///
    /// One object a line: key, value, and where there are any user ids and metadata; all as of one moment, in order.
    /// `savehold load` reads it back. With `--format json` it is one JSON list. Shows progress on a terminal.
    #[command(after_help = "\
Examples:
  savehold dump > everything.jsonl
  savehold dump players > players.jsonl
  savehold dump players/4")]
    Dump(Scope),

    /// Say what is in the store and how it fares
    ///
    /// Counts, bytes, through which version all is durable, and how long a recovery would take now. `--recoveries` shows
    /// how the newest 20 recoveries went.
    #[command(after_help = "\
Examples:
  savehold stat
  savehold stat --recoveries --format json")]
    Stat(Stat),

    /// Give disk space back now: drop what history no longer keeps, pack what is left
    ///
    /// The store does the same by itself, in the background, for what is worth it. Works beside a running server, whose
    /// commits go on. Nothing that is kept changes; may be interrupted at any time.
    #[command(after_help = "\
Examples:
  savehold compact
  savehold compact --format json")]
    Compact,

    /// Say how long history is kept, or change it
    ///
    /// Every moment of the last hour stays, then one a minute for a day, then one an hour for 30 days, for all keys; pins
    /// and open snapshots stay besides. Versions that a call asked for stay 7 days for themselves, and the newest always.
    /// What is given up goes in the background, and does not come back where a later setting keeps more. Of minutes and hours
    /// together at most 32,768 may be kept: 22 days of minutes, or 3 years of hours; every moment as long as is wanted.
    /// Asks first where less is to be kept than before, or wants `--yes`.
    #[command(after_help = "\
Examples:
  savehold retention
  savehold retention players
  savehold retention players --autosaves 1m
  savehold retention guilds --versions 20 --explicit 30d
  savehold retention cache --newest-only --yes
  savehold retention --moments 2h/2d/60d")]
    Retention(Retention),

    /// List who plays what, or end one session
    ///
    /// For each key in play: its holder, since when, how long the holder may be silent, who waits for it, and its token.
    /// `savehold sessions break KEY --reason TEXT` ends a session: its holder is told, and its token is refused.
    #[command(after_help = "\
Examples:
  savehold sessions
  savehold sessions --format json
  savehold sessions break players/42 --reason 'ticket 812'")]
    Sessions(Sessions),

    /// Bring the documents of a collection up to date
    ///
    /// Changes every document once by the steps given, in this order: renames, then fields set, then fields removed. The
    /// NAME is noted beside each document, as the program's own migration of that name would note it, so that the program
    /// finds it done. A document that has the name is left alone: an interrupted call is repeated. Documents in play are
    /// left to their sessions, and counted. Ends with code 1 if a document could not be changed.
    #[command(after_help = "\
Examples:
  savehold migrate players '2026-11 gold is coins' --rename gold=coins --dry-run
  savehold migrate players '2026-11 gold is coins' --rename gold=coins --yes
  savehold migrate players 'pets' --set 'pets=[]' --remove pet --compatible --yes")]
    Migrate(Migrate),

    /// Read every byte and say what is proven
    ///
    /// Every record is read and its checksums are verified; nothing is changed. Ends with code 4 if anything that was
    /// promised durable is missing or changed.
    #[command(after_help = "\
Examples:
  savehold verify --dir data
  savehold verify --format json")]
    Verify,

    /// Copy all that is sound of a damaged store into a new one
    ///
    /// Nothing is changed in place. Every record that validates is copied in order; the report, JSON lines, names each
    /// lost range of the log, and each version that is lost or cannot be read, with the version its key falls back to. A value
    /// whose bytes are damaged stays so in the copy: set it anew from that version, or from a backup. Versions and tokens go
    /// on above all that was seen. Ends with code 4 if anything that was promised durable is missing.
    #[command(after_help = "\
Examples:
  savehold verify --dir data
  savehold repair --dir data --to data.new --report lost.jsonl")]
    Repair(Repair),

    /// Make backups, list, verify, rehearse and prune them
    ///
    /// A backup is made while the store is in use, and only of what the directory does not hold yet; any moment that it
    /// holds can be restored, exact to the commit.
    #[command(after_help = "\
Examples:
  savehold backup make other-disk/backup --dir data
  savehold backup list other-disk/backup")]
    Backup(Backup),

    /// Make a store out of a backup, as of any moment that it holds
    ///
    /// Every byte is verified. Until the command ends the new directory opens as nothing. Versions and tokens go on above
    /// all that were ever issued, leases have ended, and for the receipts behind the moment `outcome` answers `Undone`.
    /// With `--in-place` the store of `--dir` is set back, and what stood there is kept beside it: nobody may have it
    /// open. Asks first then, or wants `--yes`.
    #[command(after_help = "\
Examples:
  savehold restore other-disk/backup --to scratch --at 'yesterday 18:00' --dry-run
  savehold restore other-disk/backup --to data.new --at 2517.40960
  savehold restore other-disk/backup --in-place --at -2h --dir data --yes
  savehold restore other-disk/backup --keys-of players --prefix 42 --at 'yesterday 18:00' --dir data --dry-run")]
    Restore(Restore),

    /// Set many keys back to what they were, while everybody else goes on
    ///
    /// The keys get new versions with the values of that moment, a thousand at a time; a key that is as it was stays.
    /// For each key the commits are listed that this undoes, with their idempotency ids: those purchases must be granted
    /// again by hand. Asks first, or wants `--yes`. Shows progress on a terminal.
    #[command(after_help = "\
Examples:
  savehold revert players --origin 'build 813*' --since 21:39 --to 21:39 --dry-run
  savehold revert players --prefix 4 --to 'yesterday 18:00' --yes
  savehold revert players --keys-from hurt.txt --to -2h --yes --format jsonl")]
    Revert(Revert),

    /// Say whether anything needs a person
    ///
    /// Judges the age of the newest backup, the space that is free, and how long a restart would take. One line for each
    /// finding; ends with code 0 if all is well, 1 to look today, 2 to act now. For cron.
    #[command(after_help = "\
Examples:
  savehold check --dir data --backups other-disk/backup
  savehold check --dir data --backups other-disk/backup --backup-age 2h --format jsonl")]
    Check(Check),

    /// Measure a store on this machine, beside what the machine can do at best
    ///
    /// Each verb prints its own figure, the physical floor measured in the same run, and their ratio. The store is made
    /// in a directory of its own that goes away at the end, or in DIR, which must not exist yet, and stays: measure on
    /// the disk that you will use.
    #[command(after_help = "\
Examples:
  savehold bench commit
  savehold bench commit --threads 64 --value-size 1KiB
  savehold bench update --hot --threads 64
  savehold bench replay --records 1M --format json
  savehold bench sessions --threads 16
  savehold bench get --dir bench-on-this-disk")]
    Bench(Bench),
}
