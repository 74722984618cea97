//! Door: a plot of what things cost by the size of the store, in times of what they cost in the smallest.

use std::path::Path;

use clap::ValueEnum;
use plotters::coord::Shift;
use plotters::prelude::*;

use super::plot::{FONT, OURS, PANEL, PEER};
use super::summary::CaseSummary;
use crate::engine::{Kind, Result};
use crate::line::Measured;

/// What a panel shows, and how it is found in what was measured.
type Cost = (&'static str, fn(&Measured) -> Option<f64>);

const COSTS: [Cost; 3] = [
    ("opening after a kill", |measured| measured.more.get("open_ms").copied()),
    ("a read", |measured| Some(1.0 / measured.value)),
    ("a buffered commit", |measured| measured.more.get("commits_per_second").map(|rate| 1.0 / rate)),
];

/// Millions of keys and the cost there.
type Points = Vec<(f64, f64)>;

/// A panel for each cost, a line for each engine.
pub fn picture(cases: &[&CaseSummary], path: &Path) -> Result<()> {
    let root = BitMapBackend::new(path, (PANEL.0 * COSTS.len() as u32, PANEL.1)).into_drawing_area();
    root.fill(&WHITE)?;
    for ((name, cost), area) in COSTS.iter().zip(root.split_evenly((1, COSTS.len()))) {
        let lines = Kind::value_variants()
            .iter()
            .copied()
            .filter_map(|kind| Some((kind, points(cases, kind, *cost)?)))
            .collect::<Vec<_>>();
        panel(name, &lines, &area)?;
    }
    root.present()?;
    Ok(())
}

/// What one engine took, in times of the first; `None` where it was measured at one size or none.
fn points(cases: &[&CaseSummary], kind: Kind, cost: fn(&Measured) -> Option<f64>) -> Option<Points> {
    let at = |case: &&CaseSummary| Some((millions(&case.name)?, cost(case.engines.get(&kind)?)?));
    let mut points: Points = cases.iter().filter_map(at).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let first = points.first()?.1;
    points.iter_mut().for_each(|(_, cost)| *cost /= first);
    (points.len() > 1).then_some(points)
}

/// Of a name that begins with them.
fn millions(name: &str) -> Option<f64> {
    name.split(' ').next()?.parse().ok()
}

fn panel(name: &str, lines: &[(Kind, Points)], area: &DrawingArea<BitMapBackend<'_>, Shift>) -> Result<()> {
    let all = || lines.iter().flat_map(|(_, points)| points);
    let (least, most) = all().fold((f64::MAX, 1.0_f64), |(a, b), (x, _)| (a.min(*x), b.max(*x)));
    let top = all().fold(2.0_f64, |top, (_, y)| top.max(*y)) * 1.1;
    let text = |size: i32| (FONT, size).into_font().color(&BLACK);
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{name}: times the smallest store, by keys"), text(17))
        .margin(12)
        .margin_right(70)
        .x_label_area_size(30)
        .y_label_area_size(36)
        .build_cartesian_2d((least.min(most)..most * 1.01).log_scale(), 0.0..top)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .label_style(text(13))
        .x_label_formatter(&|x| match all().any(|(size, _)| (size - x).abs() < 0.001) {
            true => format!("{x:.0} M"), // of keys
            false => String::new(),
        })
        .y_label_formatter(&|y| format!("{y:.1}"))
        .draw()?;
    for (kind, points) in lines {
        let color = if *kind == Kind::Savehold { OURS } else { PEER };
        chart.draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)))?;
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, color.filled())))?;
        if let Some((x, y)) = points.last() {
            let beside = (6, -7);
            let named =
                EmptyElement::at((*x, *y)) + Text::new(format!("{} {y:.1}", kind.name()), beside, text(13));
            chart.draw_series(std::iter::once(named))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{Workload, cases};
    use crate::line::{Line, Outcome, Run};
    use crate::report::plot;
    use crate::report::summary::Summary;

    #[test]
    fn costs_are_told_in_times_of_the_smallest_store() {
        let reads = [4.0, 2.0, 2.0, 1.0];
        let lines = cases(Workload::Size, 1.0).into_iter().zip(reads).map(|(case, reads)| {
            let measured = Measured::new(reads, "reads/s").with("open_ms", 20.0);
            Line::Run(Run::of(&case, Kind::Savehold, "1".into(), 1, Outcome::Measured(measured)))
        });
        let summary = Summary::of(lines.collect());
        let cases = summary.of_workload(Workload::Size);
        let read = points(&cases, Kind::Savehold, COSTS[1].1).expect("measured");
        assert_eq!(read, [(1.0, 1.0), (3.0, 2.0), (10.0, 2.0), (30.0, 4.0)]);
        assert_eq!(points(&cases, Kind::Lmdb, COSTS[1].1), None);
        assert_eq!(points(&cases, Kind::Savehold, COSTS[2].1), None);
        let dir = tempfile::tempdir().expect("a directory");
        plot::draw(&summary, dir.path()).expect("drawn"); // it brings the font
        assert!(dir.path().join("size.png").is_file());
    }
}
