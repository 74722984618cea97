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
}

/// Shorter times say more about the clock than about the work.
const LEAST: Duration = Duration::from_millis(2);
/// By how much one restart may change a rate, either way.
const STEP_MAX: u64 = 4;

impl Default for Rates {
    /// A slow machine's: what nobody has measured is estimated with care.
    fn default() -> Self {
        Self { version_ps: 100_000, kib_ps: 60_000, judging_us: 5_000 }
    }
}

impl Rates {
    /// Picoseconds that replaying takes.
    #[inline]
    pub(crate) fn replay_ps(&self, bytes: u64, versions: u64) -> u64 {
        versions.saturating_mul(self.version_ps).saturating_add((bytes / 1024).saturating_mul(self.kib_ps))
    }

    /// How long a restart takes that replays for `replay_ps`.
    pub(crate) fn restart(&self, replay_ps: u64) -> Duration {
        Duration::from_micros(self.judging_us) + Duration::from_nanos(replay_ps / 1000)
    }

    /// How much replaying may be due before a checkpoint begins: so much that a restart takes half the budget, for while
    /// it is written as much again may come.
    pub(crate) fn due_ps(&self, budget: Duration) -> u64 {
        let us = u64::try_from(budget.as_micros()).unwrap_or(u64::MAX);
        (us / 2).saturating_sub(self.judging_us).max(us / 8).saturating_mul(1_000_000)
    }

    /// The rates after a restart that replayed so much in the time `replaying`, having judged for `judging`.
    pub(crate) fn after(self, bytes: u64, versions: u64, replaying: Duration, judging: Duration) -> Self {
        let took_us = u64::try_from(judging.as_micros()).unwrap_or(u64::MAX);
        let judging_us = if took_us == 0 { self.judging_us } else { u64::midpoint(self.judging_us, took_us) };
        let expected = self.replay_ps(bytes, versions) / 1000;
        let took = u64::try_from(replaying.as_nanos()).unwrap_or(u64::MAX);
        if replaying < LEAST || expected == 0 {
            return Self { judging_us, ..self };
        }
        let took = took.clamp(expected.div_ceil(STEP_MAX), expected.saturating_mul(STEP_MAX));
        let scaled = |rate: u64| {
            let measured = u128::from(rate) * u128::from(took) / u128::from(expected);
            u64::midpoint(rate, u64::try_from(measured).unwrap_or(u64::MAX)).clamp(1_000, 100_000_000)
        };
        Self { version_ps: scaled(self.version_ps), kib_ps: scaled(self.kib_ps), judging_us }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_grows_with_what_is_to_be_replayed() {
        let rates = Rates { version_ps: 50_000, kib_ps: 10_000, judging_us: 300 };
        assert_eq!(rates.restart(0), Duration::from_micros(300));
        assert_eq!(rates.restart(rates.replay_ps(0, 20_000)), Duration::from_micros(1_300));
        assert_eq!(rates.restart(rates.replay_ps(10 << 20, 20_000)), Duration::from_nanos(1_402_400));
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
        let rates = Rates { version_ps: 100_000, kib_ps: 0, judging_us: 1_000 };
        let ms = Duration::from_millis;
        let after = |took| rates.after(0, 1_000_000, took, Duration::ZERO);
        assert_eq!(after(ms(100)).version_ps, 100_000);
        assert_eq!(after(ms(50)).version_ps, 75_000);
        assert_eq!(after(ms(300)).version_ps, 200_000);
        assert_eq!(
            after(ms(90_000)).version_ps,
            250_000,
            "four times as slow at the most, half of it believed"
        );
        assert_eq!(after(ms(1)).version_ps, 100_000, "too short to say anything");
        assert_eq!(rates.after(0, 0, ms(50), ms(3)), Rates { judging_us: 2_000, ..rates });
        let settled = (0..40).fold(rates, |rates, _| rates.after(0, 1_000_000, ms(20), ms(4)));
        assert!(settled.version_ps.abs_diff(20_000) < 100 && settled.judging_us.abs_diff(4_000) < 10);
    }
}
