//! Corridor: threads that do the same thing until a time is over, and what they did.

use std::sync::Arc;
use std::time::Duration;

use savehold_wal::clock::Clock;
use savehold_wal::schedule;

use super::sample::Sample;
use crate::exit::Failure;

/// What the threads of one lap did together.
#[derive(Clone, Debug, Default)]
pub(super) struct Lap {
    /// How often.
    pub(super) done: u64,
    /// From the start to when the last had finished.
    pub(super) took: Duration,
    /// How long each took.
    pub(super) sample: Sample,
}

impl Lap {
    /// How often in a second.
    pub(super) fn rate(&self) -> f64 {
        self.done as f64 / self.took.as_secs_f64().max(1e-9)
    }
}

/// One thread of a lap.
pub(super) struct Runner<'a> {
    clock: &'a dyn Clock,
    until: Duration,
    sample: Sample,
    done: u64,
}

impl Runner<'_> {
    /// The time, unless it is over.
    pub(super) fn go_on(&self) -> Option<Duration> {
        let now = self.clock.monotonic();
        (now < self.until).then_some(now)
    }

    /// One more is done, that was begun then.
    pub(super) fn done(&mut self, begun: Duration) {
        self.sample.note(self.clock.monotonic().saturating_sub(begun));
        self.done += 1;
    }

    /// `many` more are done, begun then: they share their time.
    pub(super) fn done_many(&mut self, begun: Duration, many: u32) {
        self.sample.note(self.clock.monotonic().saturating_sub(begun) / many.max(1));
        self.done += u64::from(many);
    }
}

/// Lets `threads` threads run for `time`; `run` goes on while its runner says so, and finishes what it began.
pub(super) fn lap(
    clock: &Arc<dyn Clock>,
    threads: usize,
    time: Duration,
    run: impl Fn(usize, &mut Runner<'_>) -> Result<(), Failure> + Sync,
) -> Result<Lap, Failure> {
    let begun = clock.monotonic();
    let answers = schedule::share(threads, |thread| {
        let mut runner = Runner { clock: &**clock, until: begun + time, sample: Sample::default(), done: 0 };
        run(thread, &mut runner).map(|()| (runner.done, runner.sample))
    });
    let mut lap = Lap { took: clock.monotonic().saturating_sub(begun), ..Lap::default() };
    for answer in answers {
        let (done, sample) = answer?;
        lap.done += done;
        lap.sample.add(&sample);
    }
    Ok(lap)
}
