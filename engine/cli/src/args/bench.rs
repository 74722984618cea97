//! Pure: the options of `savehold bench`.

use clap::{Args, Subcommand, ValueEnum};
use savehold::limits::VALUE_BYTES_MAX;

use crate::quantity;

/// Options of `bench`.
#[derive(Args, Clone, Debug, PartialEq)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Bench {
    /// What to measure.
    #[command(subcommand)]
    pub verb: BenchVerb,
}

/// What to measure.
#[derive(Clone, Debug, PartialEq, Subcommand)]
pub enum BenchVerb {
    /// Commits of new values, against a bare write and sync of a prepared file
    Commit(Workload),
    /// Read-modify-write of stored values, against a bare write and sync of a prepared file
    Update(Workload),
    /// Recovery after a kill, against a mapped scan of the same log with checksums and prefetched insertion
    Replay(Workload),
    /// Reads at random, against a chase of pointers through memory
    Get(Workload),
    /// Backing a store up, against a plain copy of the same bytes
    Backup(Workload),
    /// Restoring a store, against a plain copy of the same bytes
    Restore(Workload),
    /// Opening a store after a kill and after a clean close, against reading its files
    Open(Workload),
    /// Data overwritten ten times, history dropped: disk, against the live data alone; bytes written, commits meanwhile
    Compact(Workload),
    /// Sessions: acquired with their document, updated, saved, released, against bare writes and syncs; heartbeats,
    /// handoffs, takeover after a kill
    Sessions(Workload),
}

/// What is measured: how much, how large, how many at once, how durable.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct Workload {
    /// How many keys: 1000000, 50k, 1M
    #[arg(long, value_name = "N", default_value = "100k", value_parser = records)]
    pub records: u64,
    /// Bytes of each value: 100, 1KiB
    #[arg(long, value_name = "SIZE", default_value = "100", value_parser = value_size)]
    pub value_size: u64,
    /// How many threads work
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: u16,
    /// Commits that each thread has under way at once
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub in_flight: u32,
    /// How long to measure
    #[arg(long, value_name = "S", default_value = "5", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: u64,
    /// When a commit is acknowledged: `synced` once it survives a power cut, `buffered` once it survives a kill
    #[arg(long, value_name = "LEVEL", value_enum, default_value = "synced", hide_possible_values = true)]
    pub durability: Durability,
    /// All threads work on one key
    #[arg(long)]
    pub hot: bool,
}

/// When a commit is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Durability {
    /// Once it survives a power cut.
    Synced,
    /// Once it survives a killed process.
    Buffered,
}

fn records(text: &str) -> Result<u64, String> {
    within(quantity::count(text), 1, 1_000_000_000)
}

fn value_size(text: &str) -> Result<u64, String> {
    within(quantity::bytes(text), 0, VALUE_BYTES_MAX as u64)
}

fn within(number: Result<u64, quantity::QuantityError>, min: u64, max: u64) -> Result<u64, String> {
    let number = number.map_err(|e| e.to_string())?;
    if (min..=max).contains(&number) { Ok(number) } else { Err(format!("{number} is not in {min}..={max}")) }
}
