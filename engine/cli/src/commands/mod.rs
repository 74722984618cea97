//! Corridor: the verbs, one room each: from a call to the store and to an answer.

pub mod open;

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
        Verb::Init => Err(unbuilt("init")),
        Verb::Get(_) => Err(unbuilt("get")),
        Verb::Set(_) => Err(unbuilt("set")),
        Verb::Update(_) => Err(unbuilt("update")),
        Verb::Remove(_) => Err(unbuilt("remove")),
        Verb::List(_) => Err(unbuilt("list")),
        Verb::History(_) => Err(unbuilt("history")),
        Verb::Load(_) => Err(unbuilt("load")),
        Verb::Dump(_) => Err(unbuilt("dump")),
        Verb::Stat(_) => Err(unbuilt("stat")),
        Verb::Verify => Err(unbuilt("verify")),
        Verb::Repair(_) => Err(unbuilt("repair")),
        Verb::Bench(_) => Err(unbuilt("bench")),
    }
}

fn unbuilt(verb: &str) -> Failure {
    Failure::new(
        Exit::Failed,
        format!("`savehold {verb}` is not joined with the store yet"),
        "nothing was done",
    )
}
