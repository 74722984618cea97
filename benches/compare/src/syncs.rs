//! Corridor: equal durability, checked: how often each engine asks the device to flush for one commit of one thread.

use std::path::Path;
use std::process::Command;

use clap::ValueEnum;

use crate::args;
use crate::case::{Case, Setting, Workload, cases};
use crate::child::Part;
use crate::disk;
use crate::engine::{Kind, Result};

/// The calls that flush. Files opened with `O_SYNC` or `O_DSYNC` flush with each write, and are counted too.
const FLUSHES: &str = "fsync,fdatasync,msync,sync_file_range,sync,syncfs";

/// Prints, for each engine, flushes a commit: of twice as many commits less those of as many, so that opening and
/// closing do not count.
pub fn syncs(args: &args::Syncs) -> Result<()> {
    std::fs::create_dir_all(&args.dir)?;
    println!(
        "\n## Flushes a commit\n\nOf one thread, counted by strace over {} commits of 100 B.\n",
        args.commits
    );
    println!(
        "| engine | fsync | fdatasync | msync | writes through `O_SYNC`, `O_DSYNC` | flushes a commit |"
    );
    println!("|---|---|---|---|---|---|");
    let named = if args.engines.is_empty() { Kind::value_variants() } else { &args.engines };
    for kind in named.iter().copied().filter(|kind| kind.can(Workload::Bytes, Setting::Durable)) {
        let less = Counts::of(kind, args.commits, &args.dir)?;
        let more = Counts::of(kind, args.commits * 2, &args.dir)?;
        let each = |of: fn(&Counts) -> u64| (of(&more) as f64 - of(&less) as f64) / args.commits as f64;
        let (fsync, fdatasync, msync) = (each(|c| c.fsync), each(|c| c.fdatasync), each(|c| c.msync));
        let through = each(|c| c.through);
        let all = fsync + fdatasync + msync + through;
        println!("| {} | {fsync:.3} | {fdatasync:.3} | {msync:.3} | {through:.3} | {all:.3} |", kind.name());
    }
    Ok(())
}

/// Calls of one run.
#[derive(Default)]
struct Counts {
    fsync: u64,
    fdatasync: u64,
    msync: u64,
    through: u64,
}

impl Counts {
    fn of(kind: Kind, commits: u64, dir: &Path) -> Result<Self> {
        let (work, trace) = (dir.join("syncs"), dir.join("syncs.trace"));
        disk::remove(&work)?;
        std::fs::create_dir_all(&work)?;
        let case = Case { commits, ..lone_commits()? };
        let part = Part::Measure { engine: kind, case, dir: work.clone() }.command()?;
        let mut traced = Command::new("strace");
        let calls = format!("trace={FLUSHES},openat,write,pwrite64,writev,pwritev,pwritev2");
        traced.args(["-f", "-qq", "-e", &calls, "-e", "signal=none", "-o"]).arg(&trace);
        let done = traced.arg(part.get_program()).args(part.get_args()).output();
        let done = done.map_err(|e| format!("strace, which must be installed: {e}"))?;
        if !done.status.success() {
            return Err(format!("{}: {}", kind.name(), String::from_utf8_lossy(&done.stderr).trim()).into());
        }
        let counts = Self::in_trace(&std::fs::read_to_string(&trace)?);
        disk::remove(&work)?;
        std::fs::remove_file(&trace)?;
        Ok(counts)
    }

    /// Counts the calls in what strace wrote down: a process, a call, its arguments, what it answered.
    fn in_trace(trace: &str) -> Self {
        let mut counts = Self::default();
        let mut through = std::collections::BTreeSet::new();
        for line in trace.lines() {
            let call = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
            let Some((name, rest)) = call.split_once('(') else { continue };
            match name {
                "fsync" => counts.fsync += 1,
                "fdatasync" => counts.fdatasync += 1,
                "msync" => counts.msync += 1,
                "openat" if rest.contains("O_DSYNC") || rest.contains("O_SYNC") => {
                    through
                        .extend(rest.rsplit_once("= ").and_then(|(_, file)| file.trim().parse::<i64>().ok()));
                }
                // The number is given again when it was closed.
                "openat" => {
                    let file = rest.rsplit_once("= ").and_then(|(_, file)| file.trim().parse::<i64>().ok());
                    if let Some(file) = file {
                        through.remove(&file);
                    }
                }
                name if name.contains("write") => {
                    let file = rest.split(',').next().and_then(|file| file.trim().parse::<i64>().ok());
                    counts.through += u64::from(file.is_some_and(|file| through.contains(&file)));
                }
                _ => {}
            }
        }
        counts
    }
}

/// The case of single commits by one thread.
fn lone_commits() -> Result<Case> {
    let lone = |case: &Case| case.setting == Setting::Durable && case.threads == 1;
    cases(Workload::Bytes, 1.0).into_iter().find(lone).ok_or_else(|| "no case of lone commits".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flushes_are_counted_in_a_trace_also_those_of_files_opened_to_sync() {
        let trace = "12 openat(AT_FDCWD, \"a\", O_RDWR|O_DSYNC) = 5\n\
                     12 pwrite64(5, \"x\"..., 4096, 0) = 4096\n\
                     13 pwrite64(6, \"x\"..., 4096, 0) = 4096\n\
                     13 fdatasync(6 <unfinished ...>\n\
                     13 <... fdatasync resumed>) = 0\n\
                     12 fsync(6) = 0\n\
                     12 openat(AT_FDCWD, \"b\", O_RDWR) = 5\n\
                     12 pwrite64(5, \"x\"..., 4096, 0) = 4096\n";
        let counts = Counts::in_trace(trace);
        assert_eq!((counts.fsync, counts.fdatasync, counts.msync, counts.through), (1, 1, 0, 1));
    }
}
