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

    /// The single times that are kept before `every_us`, ascending.
    pub fn marks(self) -> impl Iterator<Item = u64> {
        let steps = |from: u64, to: u64, step: u64| {
            let first = from.next_multiple_of(step);
            (0..).map_while(move |n| first.checked_add(n * step)).take_while(move |at| *at < to)
        };
        let hours = steps(self.hours_us, self.minutes_us, HOUR_US);
        hours.chain(steps(self.minutes_us, self.every_us, MINUTE_US))
    }
}
