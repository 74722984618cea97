//! Pure: from when on which moments are kept. Moves forward only: what was given up once is given up for good, whatever
//! the settings say later. It must be durable before anything is dropped by it.

use std::time::Duration;

use super::settings::{HOUR_US, MINUTE_US, Moments};

/// Times, microseconds since 1970, from which on moments are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Horizon {
    /// Every moment.
    pub every_us: u64,
    /// Full minutes.
    pub minutes_us: u64,
    /// Full hours.
    pub hours_us: u64,
}

impl Horizon {
    /// The horizon at `now_us`. Something is given up only here.
    #[must_use]
    pub fn advanced(self, moments: &Moments, now_us: u64) -> Self {
        let since =
            |time: Duration| now_us.saturating_sub(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        let every_us = self.every_us.max(since(moments.every));
        let minutes_us = self.minutes_us.max(since(moments.minutes)).min(every_us);
        let hours_us = self.hours_us.max(since(moments.hours)).min(minutes_us);
        Self { every_us, minutes_us, hours_us }
    }

    /// The newest kept time that is not later than `time_us`; `None` where all are later.
    #[must_use]
    pub fn kept_at(self, time_us: u64) -> Option<u64> {
        if time_us >= self.every_us {
            return Some(time_us);
        }
        let minute = time_us - time_us % MINUTE_US;
        let hour = time_us - time_us % HOUR_US;
        [(minute, self.minutes_us), (hour, self.hours_us)]
            .into_iter()
            .find(|(at, from)| at >= from)
            .map(|(at, _)| at)
    }

    /// The single times that are kept before `every_us`.
    #[must_use]
    pub fn marks(self) -> Marks {
        Marks {
            hours: Steps::new(self.hours_us, self.minutes_us, HOUR_US),
            minutes: Steps::new(self.minutes_us, self.every_us, MINUTE_US),
        }
    }
}

/// Single times, ascending, by their number: of minutes that are kept for ever there are millions, and hardly any stands for
/// a moment of its own.
#[derive(Clone, Copy, Debug)]
pub struct Marks {
    hours: Steps,
    /// Behind the hours.
    minutes: Steps,
}

impl Marks {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.hours.count + self.minutes.count
    }

    /// The time with a number below the count.
    #[must_use]
    pub fn time(&self, n: u64) -> u64 {
        debug_assert!(n < self.count());
        match n.checked_sub(self.hours.count) {
            None => self.hours.time(n),
            Some(n) => self.minutes.time(n),
        }
    }

    /// The number of the first one that is not before `time_us`; the count where all are.
    #[must_use]
    pub fn first_from(&self, time_us: u64) -> u64 {
        self.hours.before(time_us) + self.minutes.before(time_us)
    }
}

/// Full minutes, or full hours, behind one another.
#[derive(Clone, Copy, Debug)]
struct Steps {
    first: u64,
    step: u64,
    count: u64,
}

impl Steps {
    /// Those in `from..to`.
    fn new(from: u64, to: u64, step: u64) -> Self {
        let first = from.checked_next_multiple_of(step).unwrap_or(u64::MAX);
        Self { first, step, count: to.saturating_sub(first).div_ceil(step) }
    }

    fn time(self, n: u64) -> u64 {
        self.first + n * self.step
    }

    /// How many stand before `time_us`.
    fn before(self, time_us: u64) -> u64 {
        time_us.saturating_sub(self.first).div_ceil(self.step).min(self.count)
    }
}
