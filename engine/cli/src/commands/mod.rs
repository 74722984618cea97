//! Corridor: the verbs, one room each: from a call to the store and to an answer.

pub mod open;
pub mod print;
pub mod input;
pub mod when;
pub mod change;
pub mod show;
pub mod pages;
pub mod init;
pub mod get;
pub mod set;
pub mod update;
pub mod remove;
pub mod list;
pub mod history;
pub mod past;
pub mod diff;
pub mod tail;
pub mod pins;
pub mod load;
pub mod dump;
pub mod stat;
pub mod compact;
pub mod retention;
pub mod sessions;
pub mod migrate;
pub mod verify;
pub mod repair;
pub mod backup;
pub mod restore;
pub mod revert;
pub mod check;

use crate::args::{Args, Verb};
use crate::exit::{Exit, Failure};

/// Does what the call asks for.
///
/// # Errors
///
/// What went wrong and what to do next; the process ends with its exit code.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    match &args.verb {
        Verb::Demo(demo) => crate::demo::run(args, demo),
        Verb::Init => init::run(args),
        Verb::Get(get) => get::run(args, get),
        Verb::Set(set) => set::run(args, set),
        Verb::Update(update) => update::run(args, update),
        Verb::Remove(remove) => remove::run(args, remove),
        Verb::List(list) => list::run(args, list),
        Verb::History(history) => history::run(args, history),
        Verb::Diff(diff) => diff::run(args, diff),
        Verb::Tail(tail) => tail::run(args, tail),
        Verb::Pin(pin) => pins::pin(args, pin),
        Verb::Unpin(unpin) => pins::unpin(args, unpin),
        Verb::Pins => pins::list(args),
        Verb::Load(load) => load::run(args, load),
        Verb::Dump(scope) => dump::run(args, scope),
        Verb::Stat(stat) => stat::run(args, stat),
        Verb::Compact => compact::run(args),
        Verb::Retention(wanted) => retention::run(args, wanted),
        Verb::Sessions(which) => sessions::run(args, which),
        Verb::Migrate(migrate) => migrate::run(args, migrate),
        Verb::Verify => verify::run(args),
        Verb::Repair(repair) => repair::run(args, repair),
        Verb::Backup(backup) => backup::run(args, backup),
        Verb::Restore(restore) => restore::run(args, restore),
        Verb::Revert(revert) => revert::run(args, revert),
        Verb::Check(check) => check::run(args, check),
        Verb::Bench(bench) => crate::bench::run(args, bench),
    }
}
