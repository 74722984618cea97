//! Pure: what is written down: a line of JSON for the machine, and one for each run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::case::{Case, Setting, Workload};
use crate::engine::Kind;

/// What one run measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The figure.
    pub value: f64,
    /// What it counts.
    pub unit: String,
    /// Others beside it, by name.
    pub more: BTreeMap<String, f64>,
}

impl Measured {
    /// A figure alone.
    pub fn new(value: f64, unit: &str) -> Self {
        Self { value, unit: unit.to_owned(), more: BTreeMap::new() }
    }

    /// The same with another figure beside it.
    pub fn with(mut self, name: &str, value: f64) -> Self {
        self.more.insert(name.to_owned(), value);
        self
    }
}

/// One run of one engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The question.
    pub workload: Workload,
    /// Which of its cases.
    pub case: String,
    /// How durable.
    pub setting: Setting,
    /// Who.
    pub engine: Kind,
    /// Of the packages that it is.
    pub version: String,
    /// Rounds are counted from 1.
    pub round: usize,
    /// What was measured, or why nothing was.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Outcome {
    /// With figures.
    Measured(Measured),
    /// With an error.
    Failed {
        /// What it said.
        error: String,
    },
}

/// Where and how it was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The day, in UTC.
    pub date: String,
    /// Processor.
    pub processor: String,
    /// Of them.
    pub cores: usize,
    /// GiB of memory.
    pub memory_gib: f64,
    /// Kernel.
    pub kernel: String,
    /// File system of the directory, and its mount options.
    pub filesystem: String,
    /// Compiler.
    pub rustc: String,
    /// Revision of the sources.
    pub revision: String,
    /// The call.
    pub command: String,
    /// Its `--scale`.
    pub scale: f64,
    /// Its `--rounds`.
    pub rounds: usize,
    /// Processes that wanted to run, of others, when it began: more than about 0.2 disturbs the figures.
    pub load: f64,
}

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The first one.
    Machine(Machine),
    /// All others.
    Run(Run),
}

impl Run {
    /// For a case and an engine.
    pub fn of(case: &Case, engine: Kind, version: String, round: usize, outcome: Outcome) -> Self {
        let (name, setting) = (case.name.clone(), case.setting);
        Self { workload: case.workload, case: name, setting, engine, version, round, outcome }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_as_they_went_in() {
        let case = &crate::case::cases(Workload::Get, 1.0)[0];
        let measured = Outcome::Measured(Measured::new(2.5, "reads/s").with("p50_us", 1.0));
        let failed = Outcome::Failed { error: "no space".into() };
        for outcome in [measured, failed] {
            let line = Line::Run(Run::of(case, Kind::Lmdb, "1.0".into(), 2, outcome));
            let text = serde_json::to_string(&line).expect("it is JSON");
            assert!(!text.contains('\n'));
            assert_eq!(serde_json::from_str::<Line>(&text).expect("it is a line"), line);
        }
    }
}
