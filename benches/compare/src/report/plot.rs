//! Door: plots in PNG: for each question a panel for each case, a bar for each engine.

use std::path::Path;

use clap::ValueEnum;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::curve;
use super::summary::{CaseSummary, Summary};
use crate::case::Workload;
use crate::engine::{Kind, Result};

pub const PANEL: (u32, u32) = (480, 300);
const COLUMNS: usize = 2;
pub const FONT: &str = "sans-serif";
pub const OURS: RGBColor = RGBColor(196, 78, 40);
pub const PEER: RGBColor = RGBColor(90, 120, 160);
const FLOOR: RGBColor = RGBColor(160, 160, 160);

/// One picture for each question that was asked.
pub fn draw(summary: &Summary, dir: &Path) -> Result<()> {
    let font = epaint_default_fonts::UBUNTU_LIGHT;
    plotters::style::register_font(FONT, FontStyle::Normal, font).map_err(|_| "the font cannot be read")?;
    for workload in Workload::value_variants() {
        let cases = summary.of_workload(*workload);
        if !cases.is_empty() {
            let name = workload.to_possible_value().map_or_else(String::new, |v| v.get_name().to_owned());
            let path = dir.join(format!("{name}.png"));
            match workload {
                Workload::Size => curve::picture(&cases, &path)?,
                _ => picture(&cases, &path)?,
            }
        }
    }
    Ok(())
}

fn picture(cases: &[&CaseSummary], path: &Path) -> Result<()> {
    let rows = cases.len().div_ceil(COLUMNS);
    let size = (PANEL.0 * COLUMNS as u32, PANEL.1 * rows as u32);
    let root = BitMapBackend::new(path, size).into_drawing_area();
    root.fill(&WHITE)?;
    for (case, area) in cases.iter().zip(root.split_evenly((rows, COLUMNS))) {
        panel(case, &area)?;
    }
    root.present()?;
    Ok(())
}

/// A bar for each engine, its figure at its end.
fn panel(case: &CaseSummary, area: &DrawingArea<BitMapBackend<'_>, Shift>) -> Result<()> {
    let bars: Vec<(Kind, f64)> =
        case.engines.iter().map(|(kind, measured)| (*kind, measured.value)).collect();
    let longest = bars.iter().map(|(_, value)| *value).fold(f64::MIN_POSITIVE, f64::max);
    let unit = case.engines.values().next().map(|measured| measured.unit.clone()).unwrap_or_default();
    let (width, height) = area.dim_in_pixel();
    let text = |size: i32| (FONT, size).into_font().color(&BLACK);
    area.draw(&Text::new(format!("{}: {unit}", case.name), (12, 10), text(17)))?;
    let (top, left, right) = (38, 96, 84);
    let step = (height as i32 - top - 10) / bars.len().max(1) as i32;
    for (at, (kind, value)) in bars.iter().enumerate() {
        let y = top + at as i32 * step;
        let length = (value / longest * f64::from(width as i32 - left - right)) as i32;
        let color = match kind {
            Kind::Savehold => OURS,
            kind if kind.is_floor() => FLOOR,
            _ => PEER,
        };
        let bar = [(left, y + 2), (left + length.max(1), y + step - 3)];
        area.draw(&Rectangle::new(bar, color.filled()))?;
        let middle = y + step / 2;
        let named = text(14).pos(Pos::new(HPos::Right, VPos::Center));
        area.draw(&Text::new(kind.name(), (left - 6, middle), named))?;
        let figure = text(14).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw(&Text::new(short(*value), (left + length + 5, middle), figure))?;
    }
    Ok(())
}

/// A figure in few letters.
fn short(value: f64) -> String {
    match value {
        v if v >= 999_500.0 => format!("{:.2} M", v / 1e6),
        v if v >= 9_995.0 => format!("{:.0} k", v / 1e3),
        v if v >= 999.5 => format!("{:.1} k", v / 1e3),
        v if v >= 99.5 => format!("{v:.0}"),
        v => format!("{v:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::cases;
    use crate::line::{Line, Measured, Outcome, Run};

    #[test]
    fn figures_are_short() {
        for (value, shown) in
            [(0.5, "0.50"), (131.0, "131"), (7470.0, "7.5 k"), (97_500.0, "98 k"), (1.6e7, "16.00 M")]
        {
            assert_eq!(short(value), shown);
        }
    }

    #[test]
    fn a_picture_is_drawn_for_each_question() {
        let dir = tempfile::tempdir().expect("a directory");
        let case = &cases(Workload::Get, 1.0)[0];
        let run = |kind, value| {
            Line::Run(Run::of(case, kind, "1".into(), 1, Outcome::Measured(Measured::new(value, "reads/s"))))
        };
        let summary = Summary::of(vec![run(Kind::Savehold, 3.0), run(Kind::Lmdb, 2.0)]);
        draw(&summary, dir.path()).expect("drawn");
        let bytes = std::fs::read(dir.path().join("get.png")).expect("a picture");
        assert!(bytes.starts_with(b"\x89PNG"));
    }
}
