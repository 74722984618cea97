//! Corridor: `compare`: savehold beside the engines that people use instead, on one machine, in one run.

mod keys;
mod histogram;
mod case;
mod engine;
mod line;
mod args;
mod account;
mod disk;
mod machine;
mod race;
mod engines;
mod workloads;
mod child;
mod run;
mod syncs;
mod report;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use args::{Cli, Verb};
use case::{Workload, cases};
use engine::{Kind, Result};

fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Run(args) => run::run(&args),
        Verb::Report(args) => report::report(&args),
        Verb::Syncs(args) => syncs::syncs(&args),
        Verb::Part { part } => child::part(&part),
        Verb::List => list(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) if e.downcast_ref().is_some_and(|e: &io::Error| e.kind() == io::ErrorKind::BrokenPipe) => {
            ExitCode::SUCCESS // whoever read has read enough
        }
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

/// What there is to measure.
fn list() -> Result<()> {
    let mut out = io::stdout().lock();
    for kind in Kind::value_variants() {
        writeln!(out, "{} {}", kind.name(), run::version(*kind))?;
    }
    for case in Workload::value_variants().iter().flat_map(|workload| cases(*workload, 1.0)) {
        writeln!(out, "{:?}: {} ({:?})", case.workload, case.name, case.setting)?;
    }
    Ok(())
}
