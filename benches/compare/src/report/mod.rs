//! Corridor: tables and plots of what was measured.

mod curve;
mod plot;
mod summary;
mod table;

use crate::args;
use crate::engine::Result;
use crate::line::Line;
use summary::Summary;

/// Prints tables in Markdown, and draws plots where a directory for them is named.
pub fn report(args: &args::Report) -> Result<()> {
    let mut lines = Vec::new();
    for path in &args.lines {
        for text in std::fs::read_to_string(path)?.lines().filter(|text| !text.trim().is_empty()) {
            lines.push(serde_json::from_str::<Line>(text).map_err(|e| format!("{}: {e}", path.display()))?);
        }
    }
    let summary = Summary::of(lines);
    print!("{}", table::document(&summary));
    if let Some(dir) = &args.plots {
        std::fs::create_dir_all(dir)?;
        plot::draw(&summary, dir)?;
    }
    Ok(())
}
