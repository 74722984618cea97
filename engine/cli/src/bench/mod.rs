//! Corridor: `savehold bench`: what a store does on this machine, beside what the machine can do at best.
//!
//! Every verb measures its own figure and a *floor* by turns, in rounds, in the same directory, and shows the medians
//! and their ratio: 1 is the floor reached. Absolute figures are the machine's; the ratio is ours. A floor does only
//! what no log, index or store can do without: a bare write and sync, a bare scan, a bare chase of pointers.

mod backup;
mod chase;
mod commit;
mod compact;
mod figure;
mod get;
mod image;
mod keys;
mod open;
mod place;
mod race;
mod replay;
mod sample;
mod scan;
mod sessions;
mod slots;
mod sync;
mod update;

use std::io::Write;

use jiff::tz::TimeZone;
use savehold_wal::env::Env;

use crate::args::{Args, Bench, BenchVerb};
use crate::exit::{Exit, Failure};
use place::Place;

/// Rounds of figure and floor, by turns.
const ROUNDS: usize = 5;

/// Measures what the call asks for and prints it.
///
/// # Errors
///
/// The directory exists already or cannot be made, a commit failed, or nobody can be told.
pub fn run(args: &Args, bench: &Bench) -> Result<Exit, Failure> {
    let env = Env::os();
    let place = Place::make(&env, args.dir.as_deref())?;
    let figure = match &bench.verb {
        BenchVerb::Commit(work) => commit::measure(&env, &place, work),
        BenchVerb::Update(work) => update::measure(&env, &place, work),
        BenchVerb::Replay(work) => replay::measure(&env, &place, work),
        BenchVerb::Get(work) => get::measure(&env, &place, work),
        BenchVerb::Open(work) => open::measure(&env, &place, work),
        BenchVerb::Backup(work) => backup::measure(&env, &place, work),
        BenchVerb::Restore(work) => backup::restoring(&env, &place, work),
        BenchVerb::Compact(work) => compact::measure(&env, &place, work),
        BenchVerb::Sessions(work) => sessions::measure(&env, &place, work),
    }?;
    std::io::stdout()
        .write_all(figure.shown(args.format, &TimeZone::system()).as_bytes())
        .map_err(|e| Failure::new(Exit::Failed, format!("printing: {e}"), ""))?;
    Ok(Exit::Fine)
}

/// A call of the system that failed while something was prepared or measured.
fn failed(doing: &str, e: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("{doing}: {e}"), "name a directory on a disk with some space left")
}
