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
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

/// What there is to measure.
fn list() -> Result<()> {
    for kind in Kind::value_variants() {
        println!("{} {}", kind.name(), run::version(*kind));
    }
    for case in Workload::value_variants().iter().flat_map(|workload| cases(*workload, 1.0)) {
        println!("{:?}: {} ({:?})", case.workload, case.name, case.setting);
    }
    Ok(())
}
