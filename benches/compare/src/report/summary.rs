//! Pure: the medians over the rounds of each case and engine.

use std::collections::BTreeMap;

use crate::case::Workload;
use crate::engine::Kind;
use crate::line::{Line, Machine, Measured, Outcome};

/// Everything that was measured, in figures.
#[derive(Default)]
pub struct Summary {
    /// Where, newest last.
    pub machines: Vec<Machine>,
    /// What, in the order in which it was measured.
    pub cases: Vec<CaseSummary>,
    /// The engines' versions.
    pub versions: BTreeMap<Kind, String>,
}

/// One case.
pub struct CaseSummary {
    /// The question.
    pub workload: Workload,
    /// The case.
    pub name: String,
    /// Medians.
    pub engines: BTreeMap<Kind, Measured>,
    /// Whoever could not be measured, and why.
    pub failed: BTreeMap<Kind, String>,
}

impl Summary {
    /// Of these lines.
    pub fn of(lines: Vec<Line>) -> Self {
        let mut summary = Self::default();
        let mut rounds: Vec<BTreeMap<Kind, Vec<Measured>>> = Vec::new();
        for line in lines {
            let run = match line {
                Line::Machine(machine) => {
                    summary.machines.push(machine);
                    continue;
                }
                Line::Run(run) => run,
            };
            let is_it = |case: &CaseSummary| case.workload == run.workload && case.name == run.case;
            let at = summary.cases.iter().position(is_it).unwrap_or_else(|| {
                let (engines, failed) = (BTreeMap::new(), BTreeMap::new());
                let workload = run.workload;
                summary.cases.push(CaseSummary { workload, name: run.case, engines, failed });
                rounds.push(BTreeMap::new());
                rounds.len() - 1
            });
            match run.outcome {
                Outcome::Measured(measured) => rounds[at].entry(run.engine).or_default().push(measured),
                Outcome::Failed { error } => drop(summary.cases[at].failed.insert(run.engine, error)),
            }
            summary.versions.insert(run.engine, run.version);
        }
        for (case, engines) in summary.cases.iter_mut().zip(rounds) {
            case.engines = engines.into_iter().map(|(kind, all)| (kind, medians(&all))).collect();
        }
        summary
    }

    /// The cases of a question.
    pub fn of_workload(&self, workload: Workload) -> Vec<&CaseSummary> {
        self.cases.iter().filter(|case| case.workload == workload).collect()
    }
}

impl CaseSummary {
    /// The best of the peers, not we and not the floor.
    pub fn best_peer(&self) -> Option<(Kind, f64)> {
        let peers = self.engines.iter().filter(|(kind, _)| **kind != Kind::Savehold && !kind.is_floor());
        let figures = peers.map(|(kind, measured)| (*kind, measured.value));
        match self.less_is_better() {
            true => figures.min_by(|a, b| a.1.total_cmp(&b.1)),
            false => figures.max_by(|a, b| a.1.total_cmp(&b.1)),
        }
    }

    /// The figure of one.
    pub fn figure(&self, kind: Kind) -> Option<f64> {
        self.engines.get(&kind).map(|measured| measured.value)
    }

    /// How many times better we are than this figure.
    pub fn times(&self, other: f64) -> Option<f64> {
        let ours = self.figure(Kind::Savehold)?;
        Some(if self.less_is_better() { other / ours } else { ours / other })
    }

    fn less_is_better(&self) -> bool {
        matches!(self.workload, Workload::Open | Workload::Bytes)
    }
}

/// Of each figure for itself.
fn medians(all: &[Measured]) -> Measured {
    let of = |figure: &dyn Fn(&Measured) -> Option<f64>| median(all.iter().filter_map(figure).collect());
    let names = all.first().map(|first| first.more.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    Measured {
        value: of(&|measured| Some(measured.value)),
        unit: all.first().map(|first| first.unit.clone()).unwrap_or_default(),
        more: names.into_iter().map(|name| (name.clone(), of(&|m| m.more.get(&name).copied()))).collect(),
    }
}

/// The middle one, or the mean of the two in the middle.
fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    let middle = all.len() / 2;
    match all.len() {
        0 => 0.0,
        n if n % 2 == 1 => all[middle],
        _ => f64::midpoint(all[middle - 1], all[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::cases;
    use crate::line::Run;

    /// Lines of one case: who, and its figure.
    pub fn lines(workload: Workload, figures: &[(Kind, f64)]) -> Vec<Line> {
        let case = &cases(workload, 1.0)[0];
        let run = |(kind, value): &(Kind, f64)| {
            let measured = Measured::new(*value, "x/s").with("p50_us", *value * 2.0);
            Line::Run(Run::of(case, *kind, "1".into(), 1, Outcome::Measured(measured)))
        };
        figures.iter().map(run).collect()
    }

    #[test]
    fn medians_are_those_of_the_rounds() {
        let figures = [5.0, 1.0, 9.0].map(|value| (Kind::Savehold, value));
        let summary = Summary::of(lines(Workload::Get, &figures));
        assert_eq!(summary.cases[0].figure(Kind::Savehold), Some(5.0));
        assert_eq!(summary.cases[0].engines[&Kind::Savehold].more["p50_us"], 10.0);
        assert_eq!(median(vec![1.0, 2.0]), 1.5);
    }

    #[test]
    fn the_best_peer_is_neither_the_floor_nor_we() {
        let figures = [(Kind::Savehold, 30.0), (Kind::Bare, 60.0), (Kind::Lmdb, 10.0), (Kind::Redb, 20.0)];
        for (workload, best, times) in
            [(Workload::Get, (Kind::Redb, 20.0), 1.5), (Workload::Open, (Kind::Lmdb, 10.0), 1.0 / 3.0)]
        {
            let summary = Summary::of(lines(workload, &figures));
            assert_eq!(summary.cases[0].best_peer(), Some(best));
            assert_eq!(summary.cases[0].times(best.1), Some(times));
        }
    }
}
