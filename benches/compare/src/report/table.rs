//! Pure: tables in Markdown.

use std::fmt::Write;

use clap::ValueEnum;

use super::summary::{CaseSummary, Summary};
use crate::case::Workload;
use crate::engine::Kind;
use crate::line::{Machine, Measured};

/// Everything.
pub fn document(summary: &Summary) -> String {
    let mut text = include_str!("intro.md").to_owned();
    text.push_str("## Where\n\n");
    summary.machines.iter().for_each(|machine| about(machine, &mut text));
    versions(summary, &mut text);
    for workload in Workload::value_variants() {
        let cases = summary.of_workload(*workload);
        if !cases.is_empty() {
            questions(*workload, &cases, &mut text);
        }
    }
    text
}

fn about(machine: &Machine, text: &mut String) {
    let Machine { date, processor, cores, memory_gib, kernel, filesystem, rustc, .. } = machine;
    let _ = writeln!(
        text,
        "- {date}, {cores} × {processor}, {memory_gib} GiB, {kernel}, {filesystem}, {rustc}, revision {}, load before {}: `{}`",
        machine.revision, machine.load, machine.command
    );
}

fn versions(summary: &Summary, text: &mut String) {
    let each = summary.versions.iter().filter(|(_, version)| !version.is_empty());
    let each: Vec<String> = each.map(|(kind, version)| format!("{} {version}", kind.name())).collect();
    let _ = writeln!(text, "- {}", each.join(", "));
}

/// What is said above the tables of a question.
fn title(workload: Workload) -> (&'static str, &'static str) {
    match workload {
        Workload::Replay => {
            ("Replay after a kill", "records/s, with the time until the first read is answered, in ms")
        }
        Workload::Durable => {
            ("Durable commits", "commits/s, with the median and the 99th percentile of one, in µs")
        }
        Workload::Buffered => {
            ("Buffered commits", "commits/s, with the median and the 99th percentile of one, in µs")
        }
        Workload::Update => (
            "Read, change, write of 1 KiB",
            "updates/s, with the median and the 99th percentile of one, in µs",
        ),
        Workload::Get => ("Point reads of 100 B", "reads/s"),
        Workload::List => ("Listing of the keys of a prefix", "keys/s, a hundred keys at a time"),
        Workload::Open => {
            ("Opening after a kill, as the engine comes", "ms until the first read is answered")
        }
        Workload::Size => (
            "Cost against size",
            "reads/s of keys at random, with ms until the first read after a kill and µs of a buffered commit (median)",
        ),
        Workload::Bytes => (
            "Bytes written for a byte of payload",
            "as the kernel accounts the process; in brackets, as the device counts",
        ),
    }
}

fn questions(workload: Workload, cases: &[&CaseSummary], text: &mut String) {
    let (title, unit) = title(workload);
    let _ = writeln!(text, "\n## {title}\n\n{}{}.\n", unit[..1].to_uppercase(), &unit[1..]);
    table(cases, text, |measured| main_cell(workload, measured));
    ratios(cases, text);
    match workload {
        Workload::Replay => {
            beside("Most memory while opening, MiB", cases, text, |m| {
                figure(m, "peak_bytes", 1.0 / 1048576.0)
            });
            beside("Files, MiB", cases, text, |m| figure(m, "store_bytes", 1.0 / 1048576.0));
        }
        Workload::Durable | Workload::Buffered | Workload::Update => {
            beside("Processor time of a call, µs", cases, text, |m| figure(m, "cpu_us", 1.0));
        }
        Workload::Get => {
            beside("Memory that is in no file, bytes a key", cases, text, |m| {
                figure(m, "anonymous_bytes_per_key", 1.0)
            });
            beside("Memory that is mapped from files, bytes a key", cases, text, |m| {
                figure(m, "mapped_bytes_per_key", 1.0)
            });
        }
        Workload::List | Workload::Size => {}
        Workload::Open => {
            beside("Most memory while opening, MiB", cases, text, |m| {
                figure(m, "peak_bytes", 1.0 / 1048576.0)
            });
        }
        Workload::Bytes => {
            beside("Bytes written for a commit", cases, text, |m| figure(m, "process_bytes_per_commit", 1.0));
        }
    }
    for (kind, error) in cases.iter().flat_map(|case| &case.failed) {
        let _ = writeln!(text, "\n{} failed: {}", kind.name(), error.lines().next().unwrap_or_default());
    }
}

fn beside(title: &str, cases: &[&CaseSummary], text: &mut String, cell: impl Fn(&Measured) -> String) {
    let _ = writeln!(text, "\n{title}:\n");
    table(cases, text, cell);
}

/// A row for each engine, a column for each case.
fn table(cases: &[&CaseSummary], text: &mut String, cell: impl Fn(&Measured) -> String) {
    head(cases, text);
    for kind in Kind::value_variants() {
        if cases.iter().any(|case| case.engines.contains_key(kind)) {
            let name =
                if *kind == Kind::Savehold { format!("**{}**", kind.name()) } else { kind.name().into() };
            let cells = cases.iter().map(|case| case.engines.get(kind).map_or_else(|| "–".into(), &cell));
            row(&name, cells, text);
        }
    }
}

/// We, beside the best peer and the floor.
fn ratios(cases: &[&CaseSummary], text: &mut String) {
    let peers = cases.iter().map(|case| {
        let (kind, figure) = case.best_peer()?;
        Some(format!("{:.2} × {}", case.times(figure)?, kind.name()))
    });
    row("*times the best peer*", peers.map(|cell| cell.unwrap_or_else(|| "–".into())), text);
    if cases.iter().any(|case| case.figure(Kind::Bare).is_some()) {
        let floors = cases.iter().map(|case| Some(format!("{:.2}", case.times(case.figure(Kind::Bare)?)?)));
        row("*times the floor*", floors.map(|cell| cell.unwrap_or_else(|| "–".into())), text);
    }
}

fn head(cases: &[&CaseSummary], text: &mut String) {
    row("", cases.iter().map(|case| case.name.clone()), text);
    let _ = writeln!(text, "|---{}|", "|--:".repeat(cases.len()));
}

fn row(name: &str, cells: impl Iterator<Item = String>, text: &mut String) {
    let _ = write!(text, "| {name} |");
    for cell in cells {
        let _ = write!(text, " {cell} |");
    }
    text.push('\n');
}

fn main_cell(workload: Workload, measured: &Measured) -> String {
    let value = number(measured.value);
    match workload {
        Workload::Replay => format!("{value} ({})", figure(measured, "open_ms", 1.0)),
        Workload::Durable | Workload::Buffered | Workload::Update => {
            format!("{value} ({} / {})", figure(measured, "p50_us", 1.0), figure(measured, "p99_us", 1.0))
        }
        Workload::Size => {
            let (open, commit) = (figure(measured, "open_ms", 1.0), figure(measured, "commit_p50_us", 1.0));
            format!("{value} ({open} / {commit})")
        }
        Workload::Bytes => format!("{value} ({})", figure(measured, "device_bytes_per_byte", 1.0)),
        Workload::Get | Workload::List | Workload::Open => value,
    }
}

fn figure(measured: &Measured, name: &str, times: f64) -> String {
    measured.more.get(name).map_or_else(|| "–".into(), |value| number(value * times))
}

/// Three digits at least, thousands apart.
fn number(value: f64) -> String {
    if value < 9.995 {
        return format!("{value:.2}");
    }
    if value < 99.95 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut shown = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::cases;
    use crate::line::{Line, Outcome, Run};

    #[test]
    fn numbers_have_three_digits_or_all_of_them() {
        for (value, shown) in [
            (0.834, "0.83"),
            (12.345, "12.3"),
            (131.4, "131"),
            (7470.2, "7,470"),
            (16_300_000.0, "16,300,000"),
        ] {
            assert_eq!(number(value), shown);
        }
    }

    #[test]
    fn a_table_has_a_row_for_each_engine_and_says_how_many_times_the_best_peer() {
        let case = &cases(Workload::Get, 1.0)[0];
        let run = |kind, value| {
            let measured = Outcome::Measured(Measured::new(value, "reads/s"));
            Line::Run(Run::of(case, kind, "1".into(), 1, measured))
        };
        let failed = Outcome::Failed { error: "no space".into() };
        let failed = Line::Run(Run::of(case, Kind::Sqlite, "1".into(), 1, failed));
        let lines =
            vec![run(Kind::Savehold, 3000.0), run(Kind::Lmdb, 2000.0), run(Kind::Bare, 4000.0), failed];
        let text = document(&Summary::of(lines));
        for part in [
            "| **savehold** | 3,000 |",
            "| LMDB | 2,000 |",
            "1.50 × LMDB",
            "| 0.75 |",
            "SQLite failed: no space",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
