//! Pure: what is measured: the cases of each workload, as large as `--scale` says.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::keys::Pick;

/// The questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// Opening after a kill: everything that was written has to be replayed.
    Replay,
    /// Commits that are answered after the device's flush.
    Durable,
    /// Commits that are answered when the system has them.
    Buffered,
    /// Read, change, write.
    Update,
    /// Reads of keys at random.
    Get,
    /// Listing the keys of a prefix.
    List,
    /// Opening after a kill as the engine comes, by the size of the store.
    Open,
    /// Opening after a kill, reading and committing by the size of the store.
    Size,
    /// Bytes that go to the device for each byte of payload.
    Bytes,
}

/// How durable a call is when it returns, and what is done with the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Setting {
    /// Each call returns after the device said that its bytes are on the medium.
    Durable,
    /// Each call returns when the system has its bytes.
    Buffered,
    /// As `Buffered`, and everything written stays in the log, so that an opening has to replay it.
    InLog,
    /// As `InLog`, each call as in `Durable`.
    InLogSynced,
    /// As the engine comes, calls as in `Buffered`.
    Defaults,
    /// As `Buffered`, of a store that was written to for longer: every value was written again, in no order, and the engine was
    /// asked to tidy up, as far as its adapter has that.
    Tidied,
}

impl Setting {
    /// Whether each call returns after the device said that its bytes are on the medium.
    pub fn is_durable(self) -> bool {
        matches!(self, Self::Durable | Self::InLogSynced)
    }

    /// Whether everything written stays in the log.
    pub fn keeps_the_log(self) -> bool {
        matches!(self, Self::InLog | Self::InLogSynced)
    }
}

/// One measurement that is made of each engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// The question.
    pub workload: Workload,
    /// What tells it from the other cases of the workload.
    pub name: String,
    /// How durable.
    pub setting: Setting,
    /// Keys that are there, or are written to.
    pub keys: u64,
    /// Bytes of a value.
    pub value_bytes: usize,
    /// Threads at work.
    pub threads: usize,
    /// Commits that a thread begins before the first is answered.
    pub in_flight: usize,
    /// Which keys.
    pub pick: Pick,
    /// How long a lap takes, where time is what ends it.
    pub seconds: f64,
    /// Commits of all threads, where their number is what ends it.
    pub commits: u64,
}

/// Keys that are written to where nothing else is asked.
const KEYS: u64 = 100_000;

/// A lap at full scale.
const LAP_SECONDS: f64 = 3.0;

/// Every case of a workload. `scale` 1 is the full size.
pub fn cases(workload: Workload, scale: f64) -> Vec<Case> {
    let count = |full: u64| ((full as f64 * scale) as u64).max(100);
    let case = |name: &str, setting, value_bytes| Case {
        workload,
        name: name.to_owned(),
        setting,
        keys: count(KEYS),
        value_bytes,
        threads: 1,
        in_flight: 1,
        pick: Pick::Uniform,
        seconds: (LAP_SECONDS * scale).clamp(0.1, LAP_SECONDS),
        commits: 0,
    };
    match workload {
        Workload::Replay => [
            (Setting::InLogSynced, "in the log, synced"),
            (Setting::InLog, "in the log"),
            (Setting::Defaults, "defaults"),
        ]
        .into_iter()
        .flat_map(|(setting, how)| SIZES.map(|size| (setting, how, size)))
        .map(|(setting, how, (size, value_bytes, records))| Case {
            keys: count(records),
            ..case(&format!("{size}, {how}"), setting, value_bytes)
        })
        .collect(),
        Workload::Durable => [("100 B", 100), ("1 KiB", 1024)]
            .into_iter()
            .flat_map(|size| IN_COMPANY.map(|company| (size, company)))
            .map(|((size, value_bytes), (company, threads, in_flight))| Case {
                threads,
                in_flight,
                ..case(&format!("{size}, {company}"), Setting::Durable, value_bytes)
            })
            .collect(),
        Workload::Buffered => [("100 B", 100), ("1 KiB", 1024)]
            .into_iter()
            .flat_map(|size| [("1 thread", 1), ("4 threads", 4)].map(|company| (size, company)))
            .map(|((size, value_bytes), (company, threads))| Case {
                threads,
                ..case(&format!("{size}, {company}"), Setting::Buffered, value_bytes)
            })
            .collect(),
        Workload::Update => {
            let synced = |name, threads, pick| Case { threads, pick, ..case(name, Setting::Durable, 1024) };
            let buffered =
                |name, threads, pick| Case { threads, pick, ..case(name, Setting::Buffered, 1024) };
            vec![
                synced("synced, uniform, 1 thread", 1, Pick::Uniform),
                synced("synced, uniform, 8 threads", 8, Pick::Uniform),
                synced("synced, zipfian, 8 threads", 8, Pick::Zipfian),
                synced("synced, one hot key, 64 threads", 64, Pick::Hot),
                buffered("buffered, uniform, 1 thread", 1, Pick::Uniform),
                buffered("buffered, uniform, 8 threads", 8, Pick::Uniform),
                buffered("buffered, zipfian, 8 threads", 8, Pick::Zipfian),
            ]
        }
        Workload::Get => [
            ("1 M keys", 1_000_000, Setting::Buffered),
            ("1 M keys, tidied", 1_000_000, Setting::Tidied),
            ("10 M keys", 10_000_000, Setting::Buffered),
        ]
        .into_iter()
        .flat_map(|store| [("1 thread", 1), ("2 threads", 2)].map(|company| (store, company)))
        .map(|((name, keys, setting), (company, threads))| Case {
            keys: count(keys),
            threads,
            ..case(&format!("{name}, {company}"), setting, 100)
        })
        .collect(),
        Workload::List => [("1 M keys", 1_000_000), ("10 M keys", 10_000_000)]
            .into_iter()
            .map(|(size, keys)| Case { keys: count(keys), ..case(size, Setting::Buffered, 100) })
            .collect(),
        Workload::Open => [("100 k keys", 100_000), ("1 M keys", 1_000_000), ("10 M keys", 10_000_000)]
            .into_iter()
            .map(|(size, keys)| Case { keys: count(keys), ..case(size, Setting::Defaults, 100) })
            .collect(),
        Workload::Size => [("1 M keys", 1), ("3 M keys", 3), ("10 M keys", 10), ("30 M keys", 30)]
            .into_iter()
            .map(|(size, millions)| Case {
                keys: count(millions * 1_000_000),
                ..case(size, Setting::Defaults, 100)
            })
            .collect(),
        Workload::Bytes => vec![
            Case { commits: count(5_000), ..case("100 B, 1 thread, synced", Setting::Durable, 100) },
            Case {
                commits: count(200_000),
                threads: 64,
                ..case("100 B, 64 threads, synced", Setting::Durable, 100)
            },
            Case { commits: count(300_000), ..case("1 KiB, 1 thread, buffered", Setting::Buffered, 1024) },
        ],
    }
}

/// Records that are replayed.
const SIZES: [(&str, usize, u64); 3] =
    [("100 B", 100, 1_000_000), ("1 KiB", 1024, 500_000), ("16 KiB", 16 << 10, 50_000)];

/// Threads, and commits that each has under way.
const IN_COMPANY: [(&str, usize, usize); 4] =
    [("1 thread", 1, 1), ("8 threads", 8, 1), ("64 threads", 64, 1), ("2 × 1,024 in flight", 2, 1024)];

impl Case {
    /// What of the store is the same in another case, so that it is made once.
    pub fn shares_store_with(&self, other: &Self) -> bool {
        let what = |case: &Self| (case.workload, case.setting, case.keys, case.value_bytes);
        what(self) == what(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_of_a_workload_have_names_of_their_own_and_grow_with_the_scale() {
        for workload in Workload::value_variants() {
            let (small, full) = (cases(*workload, 0.01), cases(*workload, 1.0));
            let names: std::collections::BTreeSet<&str> = full.iter().map(|case| &*case.name).collect();
            assert_eq!(names.len(), full.len());
            assert!(small.iter().zip(&full).all(|(a, b)| a.keys <= b.keys && a.seconds < b.seconds));
        }
    }

    #[test]
    fn stores_are_shared_by_cases_that_differ_in_threads_alone() {
        let cases = cases(Workload::Get, 1.0);
        assert!(cases[0].shares_store_with(&cases[1]));
        assert!(!cases[1].shares_store_with(&cases[2]));
    }
}
