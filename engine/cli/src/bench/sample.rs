//! Pure: latencies in buckets narrower than one per cent, and medians of rounds.

use std::time::Duration;

/// Every power of two is cut into so many buckets.
const CUTS: u64 = 1 << CUT_BITS;
const CUT_BITS: u32 = 7;

/// Latencies, counted as they come.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    counts: Vec<u64>,
    total: u64,
}

impl Sample {
    /// Counts one.
    pub(super) fn note(&mut self, latency: Duration) {
        let bucket = bucket_of(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
        if bucket >= self.counts.len() {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        self.total += 1;
    }

    /// Adds another's counts.
    pub(super) fn add(&mut self, other: &Self) {
        self.counts.resize(self.counts.len().max(other.counts.len()), 0);
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
    }

    /// A latency, in microseconds, that the given share (0 to 1) of all did not exceed; zero where there are none.
    pub(super) fn quantile_us(&self, share: f64) -> f64 {
        let wanted = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut below = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            below += count;
            if below >= wanted {
                return upper_edge(bucket) as f64 / 1000.0;
            }
        }
        0.0
    }
}

fn bucket_of(ns: u64) -> usize {
    let shift = (ns | (CUTS - 1)).ilog2() + 1 - CUT_BITS;
    let cut = (ns >> shift) & (CUTS - 1);
    let (group, within) = if shift == 0 { (0, cut) } else { (u64::from(shift), cut - CUTS / 2) };
    let before = if group == 0 { 0 } else { CUTS + (group - 1) * (CUTS / 2) };
    usize::try_from(before + within).unwrap_or(usize::MAX)
}

/// The largest number of nanoseconds in a bucket.
fn upper_edge(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    match bucket.checked_sub(CUTS) {
        None => bucket,
        Some(past) => {
            let (shift, within) = (past / (CUTS / 2) + 1, past % (CUTS / 2) + CUTS / 2);
            ((within + 1) << shift) - 1
        }
    }
}

/// The median of what the rounds gave; zero where there was none.
pub(super) fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of.get(of.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_latency_falls_in_a_bucket_that_ends_within_two_per_cent_of_it() {
        let mut last = 0;
        for ns in (0..5000).chain((13..40).map(|power| (1 << power) + 12_345)) {
            let bucket = bucket_of(ns);
            assert!(bucket >= last, "{ns}: buckets ascend");
            last = bucket;
            let edge = upper_edge(bucket);
            assert!(edge >= ns && edge - ns <= ns / 50, "{ns}: {edge}");
        }
    }

    #[test]
    fn quantiles_count_what_was_noted_and_added() {
        let (mut sample, mut other) = (Sample::default(), Sample::default());
        (1..=50).for_each(|us| sample.note(Duration::from_nanos(us)));
        (51..=100).for_each(|us| other.note(Duration::from_nanos(us)));
        sample.add(&other);
        assert_eq!(sample.quantile_us(0.5), 0.050);
        assert_eq!(sample.quantile_us(0.99), 0.099);
        assert_eq!(Sample::default().quantile_us(0.5), 0.0);
    }

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(Vec::new()), 0.0);
    }
}
