//! Corridor: rounds in which the engines take turns, case by case.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::args;
use crate::case::{Case, Workload, cases};
use crate::engine::{Kind, Result, version_of};
use crate::line::{Line, Outcome, Run};
use crate::{child, disk, machine};

/// Measures what the call asks for.
pub fn run(args: &args::Run) -> Result<()> {
    std::fs::create_dir_all(&args.dir)?;
    let mut paper = Paper::open(args.out.as_deref())?;
    paper.write(&Line::Machine(machine::about(&args.dir, args.scale, args.rounds)))?;
    let workloads = named(&args.workloads, Workload::value_variants());
    let cases = workloads.into_iter().flat_map(|workload| cases(workload, args.scale));
    let cases: Vec<Case> = cases.filter(|case| case.name.contains(&args.case)).collect();
    let engines = named(&args.engines, Kind::value_variants());
    for (at, case) in cases.iter().enumerate() {
        let mut ground = Ground { case, dir: &args.dir, paper: &mut paper };
        let able = engines.iter().copied().filter(|kind| kind.measures(case)).collect();
        let shares = |other: Option<&Case>| other.is_some_and(|other| other.shares_store_with(case));
        let stays = needs_store(case) && shares(cases.get(at + 1));
        let is_there = needs_store(case) && at > 0 && shares(cases.get(at - 1));
        ground.measure(able, args.rounds, is_there, stays)?;
    }
    disk::settle(&args.dir)?;
    Ok(())
}

/// Whether the question is about a store that was there before.
fn needs_store(case: &Case) -> bool {
    let without = [Workload::Durable, Workload::Buffered, Workload::Update, Workload::Bytes];
    !without.contains(&case.workload)
}

fn named<T: Copy>(some: &[T], all: &[T]) -> Vec<T> {
    if some.is_empty() { all.to_vec() } else { some.to_vec() }
}

/// What a case is measured on.
struct Ground<'a> {
    case: &'a Case,
    dir: &'a Path,
    paper: &'a mut Paper,
}

impl Ground<'_> {
    fn measure(&mut self, engines: Vec<Kind>, rounds: usize, is_there: bool, stays: bool) -> Result<()> {
        let mut ready = Vec::new();
        for kind in engines {
            match if is_there { Ok(()) } else { self.prepare(kind) } {
                Ok(()) => ready.push(kind),
                Err(e) => self.write(kind, 0, Outcome::Failed { error: e.to_string() })?,
            }
        }
        for round in 1..=rounds {
            // Each round begins with another one, so that nobody always comes behind the same neighbour's leavings.
            let turns = ready.len().max(1);
            for kind in ready.iter().cycle().skip(round % turns).take(ready.len()) {
                let outcome = match self.once(*kind) {
                    Ok(measured) => Outcome::Measured(measured),
                    Err(e) => Outcome::Failed { error: e.to_string() },
                };
                self.write(*kind, round, outcome)?;
            }
        }
        if !stays {
            ready.into_iter().try_for_each(|kind| disk::remove(&self.store(kind)))?;
        }
        Ok(())
    }

    /// Makes the store that the question is about.
    fn prepare(&self, kind: Kind) -> Result<()> {
        let store = self.store(kind);
        disk::remove(&store)?;
        match self.case.workload {
            Workload::Replay | Workload::Open | Workload::Size => {
                child::fill_and_kill(kind, self.case, &store)?;
            }
            Workload::Get | Workload::List => child::fill(kind, self.case, &store)?,
            _ => {}
        }
        Ok(())
    }

    fn once(&self, kind: Kind) -> Result<crate::line::Measured> {
        let (store, work) = (self.store(kind), self.dir.join("work"));
        disk::remove(&work)?;
        let dir = match self.case.workload {
            // Opening changes what a kill left: each time a copy is opened, which is in the page cache then.
            Workload::Replay | Workload::Open | Workload::Size => {
                disk::copy(&store, &work)?;
                &work
            }
            Workload::Get | Workload::List => &store,
            _ => {
                std::fs::create_dir_all(&work)?;
                &work
            }
        };
        disk::settle(dir)?;
        let measured = child::measure(kind, self.case, dir);
        let bytes = disk::bytes(dir);
        disk::remove(&work)?;
        disk::settle(self.dir)?;
        Ok(measured?.with("store_bytes", bytes as f64))
    }

    fn store(&self, kind: Kind) -> PathBuf {
        self.dir.join(format!("store-{kind:?}").to_lowercase())
    }

    fn write(&mut self, kind: Kind, round: usize, outcome: Outcome) -> Result<()> {
        if let Outcome::Failed { error } = &outcome {
            eprintln!("{} of {}: {error}", self.case.name, kind.name());
        }
        let run = Run::of(self.case, kind, version(kind), round, outcome);
        self.paper.write(&Line::Run(run))
    }
}

/// The versions of the packages that an engine is.
pub fn version(kind: Kind) -> String {
    let lock = include_str!("../Cargo.lock");
    let each = kind.packages().iter().filter_map(|name| version_of(lock, name));
    each.collect::<Vec<_>>().join(" / ")
}

/// Where lines go.
enum Paper {
    Out,
    File(File),
}

impl Paper {
    fn open(path: Option<&Path>) -> Result<Self> {
        Ok(match path {
            None => Self::Out,
            Some(path) => Self::File(OpenOptions::new().create(true).append(true).open(path)?),
        })
    }

    fn write(&mut self, line: &Line) -> Result<()> {
        let text = serde_json::to_string(line)? + "\n";
        match self {
            Self::Out => io::stdout().write_all(text.as_bytes())?,
            Self::File(file) => file.write_all(text.as_bytes())?,
        }
        Ok(())
    }
}
