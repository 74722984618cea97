//! Door: what a log runs on: files, clocks, randomness, threads. One value, so that nothing reaches past it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::clock::{Clock, OsClock};
use crate::draw::Draw;
use crate::error::{Error, ErrorKind, Result};
use crate::vfs::{OsVfs, Vfs};

/// Random numbers that nobody can guess; in a simulation, numbers from its seed.
pub trait Entropy: Send + Sync + fmt::Debug {
    /// Fills `buf`.
    fn fill(&self, buf: &mut [u8]);

    /// A random number.
    fn next_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

/// Whether background work has threads of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// Writer threads, as many as may sync at once, and a keeper thread for each log.
    Own,
    /// None: the calling thread does background work at the point where it falls due. Deterministic.
    None,
}

/// What a log runs on.
#[derive(Clone, Debug)]
pub struct Env {
    /// Files, directories, locks.
    pub vfs: Arc<dyn Vfs>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Background work.
    pub threads: Threads,
}

impl Env {
    /// The operating system's files, clocks and randomness, and threads.
    #[must_use]
    pub fn os() -> Self {
        Self {
            vfs: Arc::new(OsVfs),
            clock: Arc::new(OsClock),
            entropy: Arc::new(OsEntropy),
            threads: Threads::Own,
        }
    }

    /// The directory that `dir` names, from the root on: whoever keeps a path keeps this one, since the working directory of
    /// a process may change.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`]: it names none. [`ErrorKind::Io`]: the working directory is gone.
    pub fn full_path(&self, dir: &Path) -> Result<PathBuf> {
        if dir.as_os_str().is_empty() {
            let say = "the path is empty and names no directory: give a directory, `.` for the current one";
            return Err(Error::new(ErrorKind::Invalid, say));
        }
        self.vfs.full_path(dir).map_err(|e| Error::io(ErrorKind::Io, "asking for the full path of", dir, e))
    }
}

/// The randomness of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, buf: &mut [u8]) {
        let mut done = 0;
        while done < buf.len() {
            match rustix::rand::getrandom(&mut buf[done..], rustix::rand::GetRandomFlags::empty()) {
                Ok(n) => done += n,
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => panic!("the system gives no random numbers: {e}"),
            }
        }
    }
}

/// Numbers that look random, all of them decided by a seed.
#[derive(Debug)]
pub struct SimEntropy(Mutex<Draw>);

impl SimEntropy {
    /// The same numbers for the same seed, in the order of the calls.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(Draw::from_seed(seed)))
    }
}

impl Entropy for SimEntropy {
    fn fill(&self, buf: &mut [u8]) {
        let mut draw = self.0.lock();
        for part in buf.chunks_mut(8) {
            part.copy_from_slice(&draw.next_u64().to_le_bytes()[..part.len()]);
        }
    }
}

#[cfg(test)]
mod tests;
