//! Corridor: verbs that say how a store fares.

use std::time::Duration;

use savehold_wal::RecoveryReport;

use super::wire::{self, Asked, PROTOCOL};
use crate::error::Result;
use crate::stats::{OldestFile, OldestMoment};
use crate::store::Store;
use crate::value::{Map, Value};

/// `{"do": "hello"}` → who answers: `pid`, `version`, `protocol`.
pub(super) fn hello(asked: Asked<'_>) -> Result<Map> {
    asked.only(&[])?;
    let mut said = Map::new();
    said.insert("pid", std::process::id());
    said.insert("version", env!("CARGO_PKG_VERSION"));
    said.insert("protocol", PROTOCOL);
    Ok(said)
}

/// `{"do": "stat"}` → counts and bytes; how this opening went, and the last recovery if there was one.
pub(super) fn stat(store: &Store, asked: Asked<'_>) -> Result<Map> {
    asked.only(&[])?;
    let stats = store.stats();
    let names = store.collections()?;
    let mut keys = 0;
    for name in &names {
        keys += store.any(name)?.keys("").count() as u64;
    }
    let mut said = Map::new();
    said.insert("collections", names.len() as u64);
    said.insert("keys", keys);
    said.insert("versions", stats.versions);
    said.insert("commits", stats.commits);
    said.insert("syncs", stats.syncs);
    said.insert("log_bytes", stats.log_bytes);
    said.insert("segments", stats.segments);
    said.insert("tables", stats.tables);
    said.insert("table_bytes", stats.table_bytes);
    said.insert("dead_bytes", stats.dead_bytes);
    said.insert("reclaimable_bytes", stats.reclaimable_bytes);
    said.insert("held_back", stats.held_back);
    said.insert("held_back_for_space", stats.held_back_for_space);
    said.insert("oldest_file", stats.oldest_file.map(oldest_file));
    said.insert("packed_segments", stats.packed_segments);
    said.insert("packed_bytes", stats.packed_bytes);
    said.insert("freed_bytes", stats.freed_bytes);
    said.insert("packing_failure", stats.packing_failure.map(|e| e.message().to_owned()));
    said.insert("thinning_failure", stats.thinning_failure.map(|e| e.message().to_owned()));
    said.insert("hook_failures", stats.hook_failures);
    said.insert("hook_failure", stats.hook_failure.map(|e| e.message().to_owned()));
    said.insert("snapshots", stats.snapshots);
    said.insert("every_moment_from", wire::version(stats.every_moment_from.lsn()));
    said.insert("oldest_moment", stats.oldest_moment.map(oldest));
    said.insert("index_bytes", stats.index_bytes);
    said.insert("durable", wire::version(stats.durable.lsn()));
    said.insert("estimated_recovery_us", micros(stats.estimated_recovery));
    said.insert("opening", store.recovery().to_string());
    said.insert("last_recovery", store.recoveries().last().map(report));
    Ok(said)
}

/// `{"do": "recoveries"}` → the newest recoveries, newest last.
pub(super) fn recoveries(store: &Store, asked: Asked<'_>) -> Result<Map> {
    asked.only(&[])?;
    let reports: Value = store.recoveries().iter().map(report).collect();
    Ok(Map::from([("recoveries", reports)]))
}

/// `{"do": "time"}` → the store's time now; with `"of"`, that of a version, null outside the log.
pub(super) fn time(store: &Store, asked: Asked<'_>) -> Result<Map> {
    asked.only(&["of"])?;
    let time_us = match asked.version_if("of")? {
        None => Some(store.time_us()),
        Some(version) => store.time_of(version)?,
    };
    Ok(Map::from([("time_us", time_us)]))
}

fn oldest(oldest: OldestMoment) -> Map {
    let mut said = Map::from([("version", oldest.version.to_string()), ("keeper", oldest.keeper)]);
    said.insert("time_us", oldest.time_us);
    said
}

fn oldest_file(oldest: OldestFile) -> Map {
    let mut said = Map::from([("version", oldest.version.to_string()), ("held_by", oldest.held_by)]);
    said.insert("bytes", oldest.bytes);
    said.insert("dead_bytes", oldest.dead_bytes);
    said
}

fn report(report: &RecoveryReport) -> Map {
    let mut said = Map::new();
    said.insert("time_us", report.at_us);
    said.insert("proven", wire::version(report.proven));
    said.insert("unproven_bytes", report.unproven_bytes());
    said.insert("groups_dropped", report.groups_dropped);
    said.insert("scanned_bytes", report.scanned_bytes);
    said.insert("replayed_records", report.replayed_records);
    said.insert("judging_us", micros(report.judging));
    said.insert("replaying_us", micros(report.replaying));
    said
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
