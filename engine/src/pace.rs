//! Pure: how fast the log is packed in the background, and an archive thinned: faster the more there is to gain, slower where
//! commits feel it.

use std::time::Duration;

/// Bytes that are gone through each second in the background where little is to be gained and nobody feels it…
const SLOW_BYTES: u64 = 32 << 20;
/// …after each of which so many the thread rests.
pub(crate) const STEP_BYTES: u64 = 1 << 20;
/// Commits may take so many times as long while the log is packed, on average.
const FELT_MAX: f64 = 1.5;
/// By how much rests are longer or shorter than usual, at most.
const EASE: (f64, f64) = (0.25, 8.0);

/// Commits that were answered, and how long all of them took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Felt {
    pub(crate) commits: u64,
    pub(crate) us: u64,
}

impl Felt {
    fn since(self, before: Self) -> Option<f64> {
        let commits = self.commits.checked_sub(before.commits).filter(|commits| *commits > 0)?;
        Some(self.us.saturating_sub(before.us) as f64 / commits as f64)
    }
}

/// How fast the log is packed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pace {
    /// How long a commit takes while nothing is packed, µs; zero where nobody knows.
    quiet: f64,
    /// By how much rests are longer or shorter than usual.
    ease: f64,
    /// What had been felt at the end of the last step, or of the last rest.
    last: Felt,
}

impl Default for Pace {
    fn default() -> Self {
        Self { quiet: 0.0, ease: 1.0, last: Felt::default() }
    }
}

impl Pace {
    /// A rest is over, in which nothing was packed.
    pub(crate) fn rested(&mut self, felt: Felt) {
        if let Some(us) = felt.since(self.last) {
            self.quiet = if self.quiet == 0.0 { us } else { self.quiet + (us - self.quiet) / 8.0 };
        }
        self.last = felt;
    }

    /// How long to rest after a step; `None`: not at all. At urgency 1 nothing else counts.
    pub(crate) fn rest(&mut self, felt: Felt, urgency: f64) -> Option<Duration> {
        if let Some(us) = felt.since(self.last)
            && self.quiet > 0.0
        {
            let ease = if us > self.quiet * FELT_MAX { self.ease * 1.25 } else { self.ease * 0.9 };
            self.ease = ease.clamp(EASE.0, EASE.1);
        }
        self.last = felt;
        let rest = usual().mul_f64(self.ease * (1.0 - urgency.clamp(0.0, 1.0)));
        (rest >= Duration::from_millis(1)).then_some(rest)
    }
}

/// How long to rest after each step in an archive, where no commit feels it: the less is dead the longer, not at all where
/// a quarter of what lives is dead.
pub(crate) fn rest_for(dead: u64, live: u64) -> Option<Duration> {
    let share = 4.0 * dead as f64 / live.max(1) as f64;
    (share < 1.0).then(|| usual().mul_f64((1.0 - share).min(1.0)))
}

fn usual() -> Duration {
    Duration::from_secs(1).mul_f64(STEP_BYTES as f64 / SLOW_BYTES as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_is_dead_the_faster_an_archive_is_thinned() {
        let ms = |dead, live| rest_for(dead, live).map(|rest| rest.as_millis());
        assert_eq!([ms(0, 100), ms(25, 200), ms(24, 100)], [Some(31), Some(15), Some(1)]);
        assert_eq!([ms(25, 100), ms(500, 100), ms(1, 0)], [None; 3]);
    }

    #[test]
    fn the_more_could_go_the_faster_it_is_packed() {
        let ms = |urgency| Pace::default().rest(Felt::default(), urgency).map(|rest| rest.as_millis());
        assert_eq!([ms(0.0), ms(0.5), ms(0.9)], [Some(31), Some(15), Some(3)]);
        assert_eq!([ms(1.0), ms(7.0)], [None; 2]);
    }

    #[test]
    fn where_commits_feel_it_there_is_more_rest_and_where_they_do_not_less() {
        let (mut pace, mut felt) = (Pace::default(), Felt::default());
        let mut step = |us: u64, quiet: u64| {
            felt = Felt { commits: felt.commits + 10, us: felt.us + 10 * us };
            let rest = pace.rest(felt, 0.0).unwrap();
            felt = Felt { commits: felt.commits + 10, us: felt.us + 10 * quiet };
            pace.rested(felt);
            rest
        };
        assert_eq!(step(900, 300).as_millis(), 31, "nobody knows yet what is quiet");
        let slower: Vec<_> = (0..40).map(|_| step(900, 300)).collect();
        assert!(slower.is_sorted() && slower[39] == Duration::from_millis(250), "{slower:?}");
        let faster: Vec<_> = (0..60).map(|_| step(350, 300)).collect();
        assert!(faster.is_sorted_by(|a, b| a >= b) && faster[59].as_millis() == 7, "{faster:?}");
    }

    #[test]
    fn where_nobody_commits_the_pace_stays() {
        let mut pace = Pace::default();
        let rests: Vec<_> = (0..9).map(|_| pace.rest(Felt::default(), 0.25)).collect();
        assert!(rests.iter().all(|rest| *rest == rests[0]));
    }
}
