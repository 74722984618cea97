//! Door: a machine for users' own tests: its disk lies, its clocks obey, and a seed or a fuzzer's bytes decide.
//!
//! A store opened here runs the same code as on a real disk, without threads: what is due in the background is done by
//! the calls themselves and by [`Sim::advance`]. Sixteen lines test that a purchase survives anything:
//!
//! ```
//! use savehold::sim::Sim;
//! use savehold::{Change, Once, Result};
//!
//! # fn main() -> Result<()> {
//! let mut sim = Sim::new(7);
//! let store = sim.open()?;
//! let coins = store.collection::<u64>("coins")?;
//! coins.update_once("receipt-1", "42", |now| Change::write(now.map_or(0, |e| e.value) + 100))?;
//! sim.cut_power();
//! assert!(coins.set("42", &0).is_err()); // the machine is dark
//!
//! let coins = sim.open()?.collection::<u64>("coins")?;
//! assert_eq!(coins.get("42")?.map(|e| e.value), Some(100)); // it was answered, so it is there
//! let again = coins.update_once("receipt-1", "42", |_| Change::write(1_000_000))?;
//! assert!(matches!(again, Once::Before(_)));
//! # Ok(())
//! # }
//! ```

use std::sync::{Arc, Weak};
use std::time::Duration;

use savehold_wal::sim::{SimClock, SimDisk};

use crate::core::Core;
use crate::error::Result;
use crate::options::Options;
use crate::store::Store;

/// A simulated machine: stores are opened on it, it crashes when told, or when a fuzzer's bytes say so, and it starts
/// again with the next open.
#[derive(Debug)]
pub struct Sim {
    machine: savehold_wal::sim::Sim,
    /// What was opened, as long as somebody has it.
    open: Vec<Weak<Core>>,
}

impl Sim {
    /// A machine with an empty disk. Nothing fails that was not ordered; `seed` decides what a power cut leaves.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { machine: savehold_wal::sim::Sim::new(seed), open: Vec::new() }
    }

    /// A machine with an empty disk on which a fuzzer's bytes decide everything: what a power cut leaves, which calls
    /// fail, where power and process end by themselves, how the clocks step between two starts. Where the bytes end,
    /// nothing fails any more.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self { machine: savehold_wal::sim::Sim::from_bytes(bytes), open: Vec::new() }
    }

    /// Opens the store of this machine, which it makes the first time. Starts the machine again if it crashed.
    ///
    /// # Errors
    ///
    /// As [`Store::open`]; [`ErrorKind::Locked`](crate::ErrorKind::Locked) at once where a handle of the same run of
    /// the machine is still open.
    pub fn open(&mut self) -> Result<Store> {
        self.open_with(Options::new())
    }

    /// [`Sim::open`] with options.
    ///
    /// # Errors
    ///
    /// As [`Sim::open`].
    pub fn open_with(&mut self, options: Options) -> Result<Store> {
        let store = options.open_in(self.machine.env(), self.machine.dir())?;
        self.open.retain(|core| core.strong_count() > 0);
        self.open.push(Arc::downgrade(&store.core));
        Ok(store)
    }

    /// Cuts the power. What was synced stays; of the rest any part may, as drawn. Handles get errors from now on.
    pub fn cut_power(&mut self) {
        self.machine.cut_power();
    }

    /// Kills the process. What the system was given stays. Handles get errors from now on.
    pub fn kill(&mut self) {
        self.machine.kill();
    }

    /// The n-th sync of a file from now on (1: the next) fails and loses what it should have made durable.
    pub fn fail_sync(&mut self, n: u64) {
        self.machine.fail_sync(n);
    }

    /// The n-th sync of a directory from now on (1: the next) fails.
    pub fn fail_dir_sync(&mut self, n: u64) {
        self.machine.fail_dir_sync(n);
    }

    /// Fills the disk: no file can take more space.
    pub fn fill(&mut self) {
        self.machine.fill();
    }

    /// Gives the disk unlimited space.
    pub fn free(&mut self) {
        self.machine.free();
    }

    /// Time passes on all clocks, and open stores do what falls due by it.
    pub fn advance(&mut self, time: Duration) {
        self.machine.advance(time);
        for core in self.open.iter().filter_map(Weak::upgrade) {
            core.tick();
        }
    }

    /// The wall clock alone steps by so many microseconds, either way.
    pub fn step_wall(&mut self, by_us: i64) {
        self.machine.step_wall(by_us);
    }

    /// The clocks, to move without anybody doing what falls due by it.
    #[must_use]
    pub fn clock(&self) -> Arc<SimClock> {
        self.machine.shared_clock()
    }

    /// The disk, to look at, to damage, to order faults for. Starts the machine again if it crashed.
    #[must_use]
    pub fn disk(&mut self) -> SimDisk {
        self.machine.disk()
    }
}
