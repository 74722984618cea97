//! Pure: when errors are so many that somebody should look.

use std::collections::VecDeque;
use std::time::Duration;

/// So many errors within [`WINDOW`] raise the signal.
pub(crate) const ERRORS: usize = 5;
/// The time in which errors are counted, and the time without one after which the signal clears.
pub(crate) const WINDOW: Duration = Duration::from_secs(120);

/// The signal that data are in trouble: five errors in 120 s raise it, 120 s without one clear it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Critical {
    errors: VecDeque<Duration>,
    raised: bool,
}

impl Critical {
    /// Notes an error at `now`; `true` where the signal is raised by it.
    pub(crate) fn note(&mut self, now: Duration) -> bool {
        self.errors.push_back(now);
        while self.errors.len() > ERRORS || self.errors.front().is_some_and(|at| now - *at > WINDOW) {
            self.errors.pop_front();
        }
        let raised = !self.raised && self.errors.len() >= ERRORS;
        self.raised |= raised;
        raised
    }

    /// Raises the signal whatever the count; `true` where it was not raised yet.
    pub(crate) fn raise(&mut self, now: Duration) -> bool {
        self.errors.push_back(now);
        !std::mem::replace(&mut self.raised, true)
    }

    /// Looks whether the signal clears at `now`; `true` where it does.
    pub(crate) fn calm(&mut self, now: Duration) -> bool {
        let clears = self.clears_at().is_some_and(|at| at <= now);
        if clears {
            self.raised = false;
            self.errors.clear();
        }
        clears
    }

    /// When it will clear, if no error comes; `None` where it is not raised.
    pub(crate) fn clears_at(&self) -> Option<Duration> {
        self.raised.then(|| self.errors.back().map_or(WINDOW, |last| *last + WINDOW))
    }

    /// Whether it is raised.
    pub(crate) fn is_raised(&self) -> bool {
        self.raised
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn five_errors_in_120_s_raise_it_and_120_s_of_calm_clear_it() {
        let mut critical = Critical::default();
        let raised: Vec<bool> = [0, 30, 60, 90, 120].map(|at| critical.note(secs(at))).into();
        assert_eq!(raised, [false, false, false, false, true]);
        assert!(!critical.note(secs(130)), "raised once");
        assert!(!critical.calm(secs(249)));
        assert!(critical.calm(secs(250)) && !critical.calm(secs(251)), "cleared once");
        assert!(!critical.note(secs(252)), "it counts anew");
    }

    #[test]
    fn errors_that_lie_far_apart_do_not_raise_it() {
        let mut critical = Critical::default();
        assert!((0..100).all(|n| !critical.note(secs(31 * n))));
        assert!(critical.raise(secs(4000)) && !critical.raise(secs(4001)), "some errors need no count");
        assert_eq!(critical.clears_at(), Some(secs(4121)));
    }
}
