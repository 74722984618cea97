//! Door: the three clocks.

use std::fmt;
use std::time::Duration;

/// The three readings that a store needs; the real one is [`OsClock`], the simulated one obeys its test.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Wall clock: microseconds since 1970-01-01 UTC. May step either way.
    fn wall_us(&self) -> u64;
    /// Monotonic clock: stands still while the machine sleeps. For intervals and rates only.
    fn monotonic(&self) -> Duration;
    /// Boot clock: goes on while the machine sleeps, begins anew at boot. For deadlines.
    fn boot(&self) -> Duration;
}

/// The clocks of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsClock;

impl Clock for OsClock {
    fn wall_us(&self) -> u64 {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1000
    }

    fn monotonic(&self) -> Duration {
        reading(rustix::time::ClockId::Monotonic)
    }

    fn boot(&self) -> Duration {
        #[cfg(target_os = "linux")]
        return reading(rustix::time::ClockId::Boottime);
        #[cfg(not(target_os = "linux"))]
        reading(rustix::time::ClockId::Monotonic)
    }
}

fn reading(clock: rustix::time::ClockId) -> Duration {
    let now = rustix::time::clock_gettime(clock);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}
