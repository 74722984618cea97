//! Door: a world for tests, a disk that lies and a clock that obeys, all of it decided by a seed or by a fuzzer's
//! bytes.
//!
//! What runs on the world gets [`Sim::env`] and is opened again after each crash: the world sees to it that the next
//! `env` is a machine started anew.
//!
//! ```
//! use savehold_wal::sim::Sim;
//! use savehold_wal::vfs::OpenMode;
//! use std::io::IoSlice;
//!
//! # fn main() -> std::io::Result<()> {
//! let mut sim = Sim::new(7);
//! let path = sim.dir().join("note");
//! let vfs = sim.env().vfs;
//! let file = vfs.open(&path, OpenMode::CreateNew)?;
//! file.write_at(&mut [IoSlice::new(b"kept")], 0)?;
//! file.sync()?;
//! vfs.sync_dir(sim.dir())?; // without this line, some seeds lose the file
//! sim.cut_power();
//! assert!(file.sync().is_err());
//! assert_eq!(sim.disk().read(&path)?, b"kept");
//! # Ok(())
//! # }
//! ```

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use crate::clock::SimClock;
pub use crate::draw::Draw;
pub use crate::env::SimEntropy;
pub use crate::vfs::fault::{Counts, Death, Failure, Fault, When};
pub use crate::vfs::sim::{Choice, Fate, Pending, SimDisk, Tear, Weight, What};

use crate::clock::OsClock;
use crate::draw::mixed;
use crate::env::{Env, OsEntropy, Threads};
use crate::vfs::Vfs as _;

/// A world whose disk is memory and whose clocks and threads are the system's: what a store in memory runs on.
#[must_use]
pub fn memory() -> Env {
    Env {
        vfs: Arc::new(SimDisk::memory()),
        clock: Arc::new(OsClock),
        entropy: Arc::new(OsEntropy),
        threads: Threads::Own,
    }
}

/// What tests of rooms run on: this disk, clocks that stand still, no threads.
#[cfg(test)]
pub(crate) fn alone(disk: &SimDisk) -> Env {
    Env {
        vfs: Arc::new(disk.clone()),
        clock: Arc::new(SimClock::default()),
        entropy: Arc::new(SimEntropy::new(7)),
        threads: Threads::None,
    }
}

/// A simulated machine: it crashes when told, or when a fuzzer's bytes say so, and starts again.
#[derive(Debug)]
pub struct Sim {
    disk: SimDisk,
    clock: Arc<SimClock>,
    entropy: Arc<SimEntropy>,
    draw: Draw,
    /// Whether faults and clock steps come by themselves, as drawn.
    troubled: bool,
}

impl Sim {
    /// A machine with an empty disk. Nothing fails that was not ordered; `seed` decides what a power cut leaves, and
    /// all randomness.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::of(Draw::from_seed(seed), mixed(seed.wrapping_add(1)), false)
    }

    /// A machine with an empty disk on which a fuzzer's bytes decide everything: what a power cut leaves, which calls
    /// fail, where power and process end by themselves, how the clocks step between two starts. Where the bytes end,
    /// nothing fails any more and a power cut takes all that was pending.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let seed = bytes.iter().fold(0, |seed, byte| mixed(seed ^ u64::from(*byte)));
        let mut sim = Self::of(Draw::from_bytes(bytes), seed, true);
        sim.order_trouble();
        sim
    }

    fn of(draw: Draw, seed: u64, troubled: bool) -> Self {
        let disk = SimDisk::new(seed);
        let made = disk.create_dir(Path::new(DIR)).and_then(|()| disk.sync_dir(Path::new("/")));
        debug_assert!(made.is_ok(), "an empty disk has no fault and no limit");
        let (clock, entropy) = (Arc::default(), Arc::new(SimEntropy::new(seed)));
        Self { disk: disk.fork(), clock, entropy, draw, troubled }
    }

    /// The directory to open things in: it exists, empty and durable.
    #[must_use]
    pub fn dir(&self) -> &'static Path {
        Path::new(DIR)
    }

    /// What the next process runs on, without threads. Starts the machine again if it crashed; what ran on an earlier
    /// machine gets errors from its disk.
    #[must_use]
    pub fn env(&mut self) -> Env {
        Env {
            vfs: Arc::new(self.disk()),
            clock: Arc::<SimClock>::clone(&self.clock),
            entropy: Arc::<SimEntropy>::clone(&self.entropy),
            threads: Threads::None,
        }
    }

    /// The disk, to look at, to damage, to order faults for. Starts the machine again if it crashed.
    #[must_use]
    pub fn disk(&mut self) -> SimDisk {
        match self.disk.death() {
            None => return self.disk.clone(),
            Some(Death::Cut) => {
                self.disk = self.disk.reboot_by(&mut self.draw);
                self.clock.reboot();
            }
            Some(Death::Killed) => self.disk = self.disk.restart(),
        }
        if self.troubled {
            self.order_trouble();
            self.step_clocks();
        }
        self.disk.clone()
    }

    /// The clocks.
    #[must_use]
    pub fn clock(&self) -> &SimClock {
        &self.clock
    }

    /// The clocks, to be moved while something runs on them.
    #[must_use]
    pub fn shared_clock(&self) -> Arc<SimClock> {
        self.clock.clone()
    }

    /// Cuts the power. What was synced stays; of the rest any part may, as drawn.
    pub fn cut_power(&mut self) {
        self.disk.cut_power();
    }

    /// Kills the process. What the system was given stays.
    pub fn kill(&mut self) {
        self.disk.kill();
    }

    /// The n-th sync of a file from now on (1: the next) fails with `EIO` and loses what it should have made durable.
    pub fn fail_sync(&mut self, n: u64) {
        let disk = self.disk();
        disk.order(When::Sync(disk.counts().syncs + n), Fault::Fail(Failure::Io));
    }

    /// The n-th sync of a directory from now on (1: the next) fails with `EIO`.
    pub fn fail_dir_sync(&mut self, n: u64) {
        let disk = self.disk();
        disk.order(When::DirSync(disk.counts().dir_syncs + n), Fault::Fail(Failure::Io));
    }

    /// Fills the disk: no file can take more space.
    pub fn fill(&mut self) {
        let disk = self.disk();
        disk.set_capacity(Some(disk.used()));
    }

    /// Gives the disk unlimited space.
    pub fn free(&mut self) {
        self.disk().set_capacity(None);
    }

    /// Time passes on all clocks.
    pub fn advance(&mut self, time: Duration) {
        self.clock.advance(time);
    }

    /// The wall clock alone steps by so many microseconds, either way.
    pub fn step_wall(&mut self, by_us: i64) {
        self.clock.step_wall(by_us);
    }

    /// Draws up to three faults for this start of the machine.
    fn order_trouble(&mut self) {
        for _ in 0..self.draw.below(4) {
            let when = When::Change(1 + self.draw.below(256));
            let fault = match self.draw.below(8) {
                0 => Fault::CutInside,
                1 => Fault::CutBefore,
                2 => Fault::KillInside,
                3 => Fault::KillBefore,
                4 => Fault::FailHalfway(Failure::Io),
                5 => Fault::FailHalfway(Failure::Full),
                6 => Fault::Fail(Failure::Full),
                _ => Fault::Fail(Failure::Io),
            };
            self.disk.order(when, fault);
        }
    }

    /// Draws how long the machine was off, and what its wall clock believes.
    fn step_clocks(&mut self) {
        match self.draw.below(8) {
            1 => self.clock.sleep(Duration::from_secs(1)),
            2 => self.clock.sleep(2 * DAY),
            3 => self.clock.sleep(400 * DAY),
            4 => self.clock.step_wall(-3_600_000_000),
            5 => self.clock.set_wall(0),
            _ => {}
        }
    }
}

const DIR: &str = "/store";

const DAY: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests;
