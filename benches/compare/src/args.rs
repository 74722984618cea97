//! Pure: the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::case::Workload;
use crate::engine::Kind;

/// savehold beside the engines that people use instead, on this machine, in one run.
#[derive(Parser)]
#[command(name = "compare")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What can be done.
#[derive(Subcommand)]
pub enum Verb {
    /// Measure, and write a line of JSON for each run.
    Run(Run),
    /// Make tables, and plots where a directory for them is named, of what was measured.
    Report(Report),
    /// Count the device flushes that each engine makes for a commit in its durable setting, with strace.
    Syncs(Syncs),
    /// Say what is measured: cases, engines, versions.
    List,
    /// One part of a run, in a process of its own.
    #[command(hide = true)]
    Part {
        /// Which, in JSON.
        part: String,
    },
}

/// Which engines, of which questions, how large.
#[derive(Args)]
pub struct Run {
    /// The questions, all of them if none is named.
    #[arg(long, value_delimiter = ',')]
    pub workloads: Vec<Workload>,
    /// The engines, all of them if none is named.
    #[arg(long, value_delimiter = ',')]
    pub engines: Vec<Kind>,
    /// Only cases whose names contain this.
    #[arg(long, default_value = "")]
    pub case: String,
    /// Rounds; in each the engines take turns.
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// How large: 1 is the full size, 0.01 shows that everything works.
    #[arg(long, default_value_t = 1.0)]
    pub scale: f64,
    /// A directory on the disk to measure; everything made in it goes away again.
    #[arg(long, default_value = "target/compare")]
    pub dir: PathBuf,
    /// The file that lines are put behind; standard output if none is named.
    #[arg(long)]
    pub out: Option<PathBuf>,
}

/// Of what, and where to.
#[derive(Args)]
pub struct Report {
    /// Files of lines, of one run or several of one machine.
    #[arg(required = true)]
    pub lines: Vec<PathBuf>,
    /// A directory for plots in PNG.
    #[arg(long)]
    pub plots: Option<PathBuf>,
}

/// Of which engines.
#[derive(Args)]
pub struct Syncs {
    /// The engines, all of them if none is named.
    #[arg(long, value_delimiter = ',')]
    pub engines: Vec<Kind>,
    /// Commits of one thread between two counts.
    #[arg(long, default_value_t = 500)]
    pub commits: u64,
    /// A directory on a disk.
    #[arg(long, default_value = "target/compare")]
    pub dir: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }
}
