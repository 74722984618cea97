//! Pure: which backups of a destination stay.

use std::collections::BTreeSet;
use std::time::Duration;

use super::listing::BackupName;

/// What is kept. A backup stays that any of these asks for; where none asks for anything, all stay. The newest backup
/// and the archive stay always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// The newest so many.
    pub last: usize,
    /// The newest of each of the last so many hours in which there is any.
    pub hourly: usize,
    /// The same for days.
    pub daily: usize,
    /// The same for weeks.
    pub weekly: usize,
    /// All that are not older than this.
    pub within: Duration,
}

const HOUR_US: u64 = 3_600_000_000;
const DAY_US: u64 = 24 * HOUR_US;

impl Keep {
    /// Of backups with the times at which they were made, the newest last, those that may go at `now_us`.
    #[must_use]
    pub fn going(&self, backups: &[(BackupName, u64)], now_us: u64) -> Vec<BackupName> {
        if *self == Self::default() {
            return Vec::new();
        }
        let mut stay: BTreeSet<BackupName> = backups.last().map(|(name, _)| *name).into_iter().collect();
        stay.insert(BackupName::Archive);
        let newest_first = || backups.iter().rev().filter(|(name, _)| *name != BackupName::Archive);
        stay.extend(newest_first().take(self.last).map(|(name, _)| *name));
        let within_us = u64::try_from(self.within.as_micros()).unwrap_or(u64::MAX);
        let young =
            |(_, made_us): &&(BackupName, u64)| within_us > 0 && *made_us >= now_us.saturating_sub(within_us);
        stay.extend(newest_first().filter(young).map(|(name, _)| *name));
        for (count, step_us) in [(self.hourly, HOUR_US), (self.daily, DAY_US), (self.weekly, 7 * DAY_US)] {
            let mut steps: BTreeSet<u64> = BTreeSet::new();
            for (name, made_us) in newest_first() {
                if steps.len() == count {
                    break;
                }
                if steps.insert(made_us / step_us) {
                    stay.insert(*name);
                }
            }
        }
        newest_first().map(|(name, _)| *name).filter(|name| !stay.contains(name)).collect()
    }
}

#[cfg(test)]
mod tests;
