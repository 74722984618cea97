//! Pure: answers as text: a table for people, JSON for programs.
//!
//! Both show the same cells. A table writes quantities for people (`1.50 MiB`), shortens long values and escapes what
//! a terminal would obey; JSON writes numbers in the unit that the column's name ends in, times in UTC, versions as
//! strings (a number would lose digits above 2^53), and values whole.

use std::time::Duration;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use savehold::Version;

use crate::escape;
use crate::moment::show_time;
use crate::quantity::{show_bytes, show_count, show_duration};

/// How an answer looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Columns for people.
    #[default]
    Table,
    /// One JSON text: a list of objects, or an object.
    Json,
    /// One JSON object a line.
    Jsonl,
}

/// A column: its title in a table, its member name in JSON, with the unit last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Above the column in a table.
    pub title: &'static str,
    /// Name of the member in JSON.
    pub name: &'static str,
}

/// One thing to show.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Nothing to show: empty, `null` in JSON.
    Nothing,
    /// Yes or no; true or false.
    Bool(bool),
    /// A number of things: `2,941`; a number.
    Count(u64),
    /// A size: `1.50 MiB`; bytes.
    Bytes(u64),
    /// A duration: `3.21 ms`; milliseconds.
    Duration(Duration),
    /// A measured number: three decimals; a number, `null` where it is not finite.
    Float(f64),
    /// A text.
    Text(String),
    /// A version: `2517.40960`; the same as a string.
    Version(Version),
    /// A time: local and UTC; RFC 3339 in UTC.
    Time(Timestamp),
    /// A value that is JSON text already, on one line: shortened; whole.
    Json(String),
}

/// Rows that a table gathers before it is laid out; longer answers are several tables.
const TABLE_ROWS_MAX: usize = 1000;

/// Characters of a text or value that a table shows.
const TABLE_CHARS_MAX: usize = 120;

/// An answer of many rows. Each call returns the text to print now, which may be empty: memory stays bounded.
#[derive(Debug)]
pub struct Rows {
    format: Format,
    columns: &'static [Column],
    zone: TimeZone,
    waiting: Vec<Vec<Cell>>,
    printed: bool,
}

impl Rows {
    /// An answer with these columns; times are local in `zone`.
    #[must_use]
    pub fn new(format: Format, columns: &'static [Column], zone: TimeZone) -> Self {
        Self { format, columns, zone, waiting: Vec::new(), printed: false }
    }

    /// One more row, a cell for each column.
    #[must_use]
    pub fn row(&mut self, cells: Vec<Cell>) -> String {
        debug_assert_eq!(cells.len(), self.columns.len(), "a cell for each column");
        let first = !self.printed;
        match self.format {
            Format::Table => {
                self.waiting.push(cells);
                if self.waiting.len() == TABLE_ROWS_MAX { self.table(true) } else { String::new() }
            }
            Format::Json if first => self.line("[\n  ", &cells, ""),
            Format::Json => self.line(",\n  ", &cells, ""),
            Format::Jsonl => self.line("", &cells, "\n"),
        }
    }

    /// What was given so far and not printed, for an answer that grows while it is read: a table goes on without its
    /// titles.
    #[must_use]
    pub fn so_far(&mut self) -> String {
        if self.waiting.is_empty() { String::new() } else { self.table(!self.printed) }
    }

    /// What remains to print.
    #[must_use]
    pub fn finish(mut self) -> String {
        match self.format {
            Format::Table if self.waiting.is_empty() && self.printed => String::new(),
            Format::Table => self.table(true),
            Format::Json if self.printed => "\n]\n".to_owned(),
            Format::Json => "[]\n".to_owned(),
            Format::Jsonl => String::new(),
        }
    }

    fn line(&mut self, before: &str, cells: &[Cell], after: &str) -> String {
        self.printed = true;
        format!("{before}{}{after}", object(self.columns.iter().zip(cells)))
    }

    fn table(&mut self, titled: bool) -> String {
        let mut table = blank_table();
        self.printed = true;
        if titled {
            table.set_header(self.columns.iter().map(|column| column.title));
        }
        for (at, column) in table.column_iter_mut().enumerate() {
            if self.waiting.iter().any(|row| row[at].is_number()) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        for row in self.waiting.drain(..) {
            table.add_row(row.iter().map(|cell| cell.shown(&self.zone)));
        }
        without_blank_ends(&table)
    }
}

/// An answer of one thing: a line for each field, or one JSON object.
#[must_use]
pub fn record(format: Format, fields: &[(Column, Cell)], zone: &TimeZone) -> String {
    if format != Format::Table {
        return object(fields.iter().map(|(column, cell)| (column, cell))) + "\n";
    }
    let mut table = blank_table();
    for (column, cell) in fields {
        table.add_row([column.title.to_owned(), cell.shown(zone)]);
    }
    without_blank_ends(&table)
}

impl Cell {
    fn is_number(&self) -> bool {
        matches!(self, Self::Count(_) | Self::Bytes(_) | Self::Duration(_) | Self::Float(_))
    }

    fn shown(&self, zone: &TimeZone) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::Bool(true) => "yes".to_owned(),
            Self::Bool(false) => "no".to_owned(),
            Self::Count(count) => show_count(*count),
            Self::Bytes(bytes) => show_bytes(*bytes),
            Self::Duration(duration) => show_duration(*duration),
            Self::Float(number) => format!("{number:.3}"),
            Self::Text(text) => escape::visible(&shortened(text)),
            Self::Version(version) => version.to_string(),
            Self::Time(time) => show_time(*time, zone),
            Self::Json(json) => escape::visible_json(&shortened(json)),
        }
    }

    fn json(&self) -> String {
        match self {
            Self::Nothing => "null".to_owned(),
            Self::Bool(yes) => yes.to_string(),
            Self::Count(number) | Self::Bytes(number) => number.to_string(),
            Self::Duration(duration) => {
                let us = duration.as_micros();
                format!("{}.{:03}", us / 1000, us % 1000)
            }
            Self::Float(number) if number.is_finite() => number.to_string(),
            Self::Float(_) => "null".to_owned(),
            Self::Text(text) => string(text),
            Self::Version(version) => string(&version.to_string()),
            Self::Time(time) => string(&time.to_string()),
            Self::Json(json) => escape::visible_json(json),
        }
    }
}

fn object<'a>(members: impl Iterator<Item = (&'a Column, &'a Cell)>) -> String {
    let members: Vec<String> =
        members.map(|(column, cell)| format!("{}:{}", string(column.name), cell.json())).collect();
    format!("{{{}}}", members.join(","))
}

fn string(text: &str) -> String {
    escape::visible_json(&serde_json::Value::from(text).to_string())
}

/// The beginning of `text`, with an ellipsis where it was longer.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(TABLE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A table without lines, as wide as its content: it stays readable in a pipe.
fn blank_table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table
}

fn without_blank_ends(table: &Table) -> String {
    let lines =
        table.lines().map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned() + "\n");
    lines.collect()
}

#[cfg(test)]
mod tests;
