//! Door: what is done to an engine for each question, one file for each. Each runs in a process of its own.

mod fill;
mod get;
mod list;
mod open;
mod size;
mod update;
mod write;

use std::path::Path;

use crate::case::{Case, Workload};
use crate::engine::{Kind, Opening, Result};
use crate::line::Measured;

pub use fill::{Leave, fill};

/// Measures one case of one engine in `dir`. What `fill` made is there where the question asks for it.
pub fn measure(kind: Kind, case: &Case, dir: &Path) -> Result<Measured> {
    match case.workload {
        Workload::Replay | Workload::Open => open::measure(kind, case, dir),
        Workload::Durable | Workload::Buffered => write::rate(kind, case, dir),
        Workload::Bytes => write::bytes(kind, case, dir),
        Workload::Update => update::measure(kind, case, dir),
        Workload::Get => get::measure(kind, case, dir),
        Workload::List => list::measure(kind, case, dir),
        Workload::Size => size::measure(kind, case, dir),
    }
}

impl Case {
    /// What an adapter is to open.
    fn opening(&self, dir: &Path) -> Opening {
        Opening {
            dir: dir.to_path_buf(),
            setting: self.setting,
            threads: self.threads,
            updates: self.workload == Workload::Update,
        }
    }
}
