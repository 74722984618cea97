//! Door: parts of a run in processes of their own: so that memory and accounts are those of one engine, and one can be
//! killed.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::case::Case;
use crate::engine::{Kind, Result};
use crate::line::Measured;
use crate::workloads::{self, Leave};

/// What a process does.
#[derive(Serialize, Deserialize)]
pub enum Part {
    /// Fills a store and closes it.
    Fill {
        /// Of which engine.
        engine: Kind,
        /// For which case.
        case: Case,
        /// Where.
        dir: PathBuf,
    },
    /// Fills a store and waits to be killed.
    FillForKill {
        /// Of which engine.
        engine: Kind,
        /// For which case.
        case: Case,
        /// Where.
        dir: PathBuf,
    },
    /// Measures.
    Measure {
        /// Which engine.
        engine: Kind,
        /// Which case.
        case: Case,
        /// Where.
        dir: PathBuf,
    },
}

/// Said when there is nothing left but to be killed.
const READY: &str = "ready";

/// Does a part; what was measured goes to standard output.
pub fn part(text: &str) -> Result<()> {
    match serde_json::from_str(text)? {
        Part::Fill { engine, case, dir } => workloads::fill(engine, &case, &dir, Leave::Closed),
        Part::FillForKill { engine, case, dir } => {
            workloads::fill(engine, &case, &dir, Leave::Open)?;
            println!("{READY}");
            loop {
                std::thread::sleep(Duration::from_secs(60));
            }
        }
        Part::Measure { engine, case, dir } => {
            println!("{}", serde_json::to_string(&workloads::measure(engine, &case, &dir)?)?);
            Ok(())
        }
    }
}

impl Part {
    /// A command that does it.
    pub fn command(&self) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("part").arg(serde_json::to_string(self)?);
        Ok(command)
    }
}

/// Fills a store and closes it.
pub fn fill(engine: Kind, case: &Case, dir: &Path) -> Result<()> {
    let part = Part::Fill { engine, case: case.clone(), dir: dir.to_path_buf() };
    answer(&part).map(drop)
}

/// Fills a store and kills who did, the moment all is written.
pub fn fill_and_kill(engine: Kind, case: &Case, dir: &Path) -> Result<()> {
    let part = Part::FillForKill { engine, case: case.clone(), dir: dir.to_path_buf() };
    let mut child = part.command()?.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut said = String::new();
    if let Some(out) = child.stdout.take() {
        BufReader::new(out).read_line(&mut said)?;
    }
    child.kill()?; // SIGKILL
    let mut complaint = String::new();
    if let Some(mut errors) = child.stderr.take() {
        errors.read_to_string(&mut complaint)?;
    }
    child.wait()?;
    if said.trim() == READY { Ok(()) } else { Err(complaint.trim().to_owned().into()) }
}

/// Measures.
pub fn measure(engine: Kind, case: &Case, dir: &Path) -> Result<Measured> {
    let part = Part::Measure { engine, case: case.clone(), dir: dir.to_path_buf() };
    Ok(serde_json::from_str(&answer(&part)?)?)
}

fn answer(part: &Part) -> Result<String> {
    let done = part.command()?.output()?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        return Err(format!("{}: {}", done.status, said.trim()).into());
    }
    Ok(String::from_utf8(done.stdout)?)
}
