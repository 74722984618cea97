//! Corridor: one call of `savehold`: read the call, do it, say how it ended.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use savehold_cli::args::{Args, command_of};
use savehold_cli::commands;
use savehold_cli::exit::{Exit, Failure};

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let ended = match Args::try_parse_from(&words) {
        Ok(args) => commands::run(&args),
        Err(answer) => unread(&answer, &words),
    };
    ended
        .unwrap_or_else(|failure| {
            // Nobody is left to tell where standard error is closed.
            let _ = writeln!(io::stderr(), "savehold: {failure}");
            failure.exit
        })
        .into()
}

/// What the parser answers in place of a call: the help, the version, or why it is none.
fn unread(answer: &clap::Error, words: &[OsString]) -> Result<Exit, Failure> {
    match answer.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => match answer.print() {
            Ok(()) => Ok(Exit::Fine),
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Fine),
            Err(e) => Err(Failure::new(Exit::Failed, format!("printing: {e}"), "")),
        },
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = answer.print();
            Ok(Exit::Usage)
        }
        _ => Err(Failure::usage(answer, &command_of(words))),
    }
}
