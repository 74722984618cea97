//! Corridor: the verbs, one room each: from a call to the store and to an answer.

use crate::args::{Args, Verb};
use crate::exit::{Exit, Failure};

/// Does what the call asks for.
///
/// # Errors
///
/// What went wrong and what to do next; the process ends with its exit code.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    match &args.verb {
        _ => Err(Failure::new(Exit::Failed, "this verb is not there", "nothing was done")),
    }
}
