//! Pure: how long a restart would take: rates that earlier restarts measured, times what is to be replayed.

use std::time::Duration;

/// What replaying takes, and what finding the end of the log takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rates {
    /// For each version that a record gives a key, in picoseconds.
    pub(crate) version_ps: u64,
    /// For each KiB of log, in picoseconds.
    pub(crate) kib_ps: u64,
    /// For all that comes before the replay, in microseconds.
    pub(crate) judging_us: u64,
    /// For each KiB of log that nothing proves, in picoseconds: it is synced, read from the medium, and written anew.
    pub(crate) rest_kib_ps: u64,
}

/// What a restart goes through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Course {
    /// Bytes of log that are replayed.
    pub(crate) bytes: u64,
    /// Versions that their records give keys.
    pub(crate) versions: u64,
    /// Bytes of log that nothing proves.
    pub(crate) unproven: u64,
}

/// Shorter times say more about the clock than about the work.
const LEAST: Duration = Duration::from_millis(2);
/// By how much one restart may change a rate, either way.
const STEP_MAX: u64 = 4;

impl Default for Rates {
    /// A slow machine's: what nobody has measured is estimated with care.
    fn default() -> Self {
        Self { version_ps: 100_000, kib_ps: 60_000, judging_us: 5_000, rest_kib_ps: 4_000_000 }
    }
}

impl Rates {
    /// Picoseconds that replaying takes.
    #[inline]
    pub(crate) fn replay_ps(&self, bytes: u64, versions: u64) -> u64 {
        versions.saturating_mul(self.version_ps).saturating_add((bytes / 1024).saturating_mul(self.kib_ps))
    }

    /// Microseconds that finding the log's end takes where so many bytes of it are not proven.
    fn judging_us(&self, unproven: u64) -> u64 {
        self.judging_us.saturating_add((unproven / 1024).saturating_mul(self.rest_kib_ps) / 1_000_000)
    }

    /// How long a restart takes that replays for `replay_ps`, where so many bytes of the log are not proven.
    pub(crate) fn restart(&self, replay_ps: u64, unproven: u64) -> Duration {
        Duration::from_micros(self.judging_us(unproven)) + Duration::from_nanos(replay_ps / 1000)
    }

    /// How much replaying may be due before a checkpoint begins: so much that a restart takes half the budget, for while
    /// it is written as much again may come.
    pub(crate) fn due_ps(&self, budget: Duration) -> u64 {
        let us = u64::try_from(budget.as_micros()).unwrap_or(u64::MAX);
        (us / 2).saturating_sub(self.judging_us).max(us / 8).saturating_mul(1_000_000)
    }

    /// The rates after a restart that took such a course, replaying in the time `replaying`, having judged for `judging`;
    /// zero where there was nothing to judge.
    pub(crate) fn after(self, course: Course, replaying: Duration, judging: Duration) -> Self {
        let judged = learned(self.judging_us(course.unproven), judging.as_micros());
        let scale = |learn: Learn, rate: u64, range: (u64, u64)| {
            learn.map_or(rate, |(took, expected)| {
                let measured = u128::from(rate) * u128::from(took) / u128::from(expected);
                u64::midpoint(rate, u64::try_from(measured).unwrap_or(u64::MAX)).clamp(range.0, range.1)
            })
        };
        let expected = self.replay_ps(course.bytes, course.versions) / 1000;
        let replayed = learned(expected, replaying.as_nanos()).filter(|_| replaying >= LEAST);
        Self {
            version_ps: scale(replayed, self.version_ps, (1_000, 100_000_000)),
            kib_ps: scale(replayed, self.kib_ps, (1_000, 100_000_000)),
            judging_us: scale(judged, self.judging_us, (100, 10_000_000)),
            rest_kib_ps: scale(judged, self.rest_kib_ps, (10_000, 10_000_000_000)),
        }
    }
}

/// By how much what was measured differs from what was expected, as a fraction; nothing where one of them says nothing.
type Learn = Option<(u64, u64)>;

fn learned(expected: u64, took: u128) -> Learn {
    let took = u64::try_from(took).unwrap_or(u64::MAX);
    let bounded = |expected: u64| took.clamp(expected.div_ceil(STEP_MAX), expected.saturating_mul(STEP_MAX));
    (took > 0 && expected > 0).then(|| (bounded(expected), expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_grows_with_what_is_to_be_replayed() {
        let rates = Rates { version_ps: 50_000, kib_ps: 10_000, judging_us: 300, rest_kib_ps: 2_000_000 };
        assert_eq!(rates.restart(0, 0), Duration::from_micros(300));
        assert_eq!(rates.restart(rates.replay_ps(0, 20_000), 0), Duration::from_micros(1_300));
        assert_eq!(rates.restart(rates.replay_ps(10 << 20, 20_000), 0), Duration::from_nanos(1_402_400));
        assert_eq!(rates.restart(0, 1 << 20), Duration::from_micros(300 + 2_048));
        assert_eq!(rates.replay_ps(u64::MAX, u64::MAX), u64::MAX);
    }

    #[test]
    fn a_checkpoint_begins_at_half_the_budget_less_what_comes_before_the_replay() {
        let rates = Rates { judging_us: 10_000, ..Rates::default() };
        assert_eq!(rates.due_ps(Duration::from_millis(100)), 40_000 * 1_000_000);
        assert_eq!(rates.due_ps(Duration::from_millis(16)), 2_000 * 1_000_000, "never less than an eighth");
    }

    #[test]
    fn rates_follow_what_was_measured_and_no_single_restart_throws_them_far() {
        let rates = Rates { version_ps: 100_000, kib_ps: 1_000, judging_us: 1_000, rest_kib_ps: 1_000_000 };
        let ms = Duration::from_millis;
        let course = Course { versions: 1_000_000, ..Course::default() };
        let after = |took| rates.after(course, took, Duration::ZERO);
        assert_eq!(after(ms(100)).version_ps, 100_000);
        assert_eq!(after(ms(50)).version_ps, 75_000);
        assert_eq!(after(ms(300)).version_ps, 200_000);
        assert_eq!(
            after(ms(90_000)).version_ps,
            250_000,
            "four times as slow at the most, half of it believed"
        );
        assert_eq!(after(ms(1)).version_ps, 100_000, "too short to say anything");
        assert_eq!(after(ms(50)).judging_us, 1_000, "there was nothing to judge");
        let judged = rates.after(Course::default(), ms(50), ms(3));
        assert_eq!((judged.judging_us, judged.version_ps), (2_000, 100_000));
        let settled = (0..40).fold(rates, |rates, _| rates.after(course, ms(20), ms(4)));
        assert!(settled.version_ps.abs_diff(20_000) < 100 && settled.judging_us.abs_diff(4_000) < 10);
    }

    #[test]
    fn what_is_not_proven_is_estimated_by_its_bytes() {
        let (ms, course) = (Duration::from_millis, Course { unproven: 8 << 20, ..Course::default() });
        let settled = (0..40).fold(Rates::default(), |rates, _| rates.after(course, ms(0), ms(80)));
        assert!(settled.restart(0, 8 << 20).abs_diff(ms(80)) < ms(1));
        assert!(settled.restart(0, 0) < ms(20), "a short tail takes less");
    }
}
