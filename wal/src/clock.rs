//! Door: the three clocks.

use std::fmt;
use std::time::Duration;

use parking_lot::Mutex;

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

/// Clocks that stand still until they are told to move: each alone, or all together.
#[derive(Debug)]
pub struct SimClock(Mutex<Hands>);

#[derive(Clone, Copy, Debug)]
struct Hands {
    wall_us: u64,
    monotonic: Duration,
    boot: Duration,
}

impl SimClock {
    /// A machine that was just switched on, with the wall clock at `wall_us` microseconds since 1970-01-01 UTC.
    #[must_use]
    pub fn new(wall_us: u64) -> Self {
        Self(Mutex::new(Hands { wall_us, monotonic: Duration::ZERO, boot: Duration::ZERO }))
    }

    /// Time passes: all three clocks move.
    pub fn advance(&self, time: Duration) {
        self.sleep(time);
        self.advance_monotonic(time);
    }

    /// The machine sleeps: the monotonic clock stands still.
    pub fn sleep(&self, time: Duration) {
        self.advance_boot(time);
        self.step_wall(i64::try_from(time.as_micros()).unwrap_or(i64::MAX));
    }

    /// The machine is switched on anew: monotonic and boot clock begin at zero.
    pub fn reboot(&self) {
        let mut hands = self.0.lock();
        (hands.monotonic, hands.boot) = (Duration::ZERO, Duration::ZERO);
    }

    /// Somebody sets the wall clock.
    pub fn set_wall(&self, wall_us: u64) {
        self.0.lock().wall_us = wall_us;
    }

    /// The wall clock alone steps by so many microseconds, either way; it stops at both ends of its range.
    pub fn step_wall(&self, by_us: i64) {
        let mut hands = self.0.lock();
        hands.wall_us = hands.wall_us.saturating_add_signed(by_us);
    }

    /// The monotonic clock alone moves.
    pub fn advance_monotonic(&self, time: Duration) {
        let mut hands = self.0.lock();
        hands.monotonic = hands.monotonic.saturating_add(time);
    }

    /// The boot clock alone moves.
    pub fn advance_boot(&self, time: Duration) {
        let mut hands = self.0.lock();
        hands.boot = hands.boot.saturating_add(time);
    }
}

/// A machine switched on at the beginning of 2026, UTC.
impl Default for SimClock {
    fn default() -> Self {
        Self::new(1_767_225_600_000_000)
    }
}

impl Clock for SimClock {
    fn wall_us(&self) -> u64 {
        self.0.lock().wall_us
    }

    fn monotonic(&self) -> Duration {
        self.0.lock().monotonic
    }

    fn boot(&self) -> Duration {
        self.0.lock().boot
    }
}

#[cfg(test)]
mod tests;
