//! Corridor: the floor of a commit: a bare write of whole blocks into a prepared file, and a sync of it.

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use savehold_wal::clock::Clock;
use savehold_wal::env::Env;
use savehold_wal::limits::BLOCK_BYTES;
use savehold_wal::schedule;
use savehold_wal::vfs::{OpenMode, VfsFile};

use super::{failed, race};
use crate::args::{Durability, Workload};
use crate::exit::Failure;

/// Bytes of the prepared file, or sixteen writes where those are more.
const FILE_BYTES: u64 = 16 << 20;

/// Bytes that a commit of the smallest value takes beside the value.
const RECORD_BYTES: u64 = 160;

/// What the store began in the background is given so long to end, before something else is measured.
const SETTLE: Duration = Duration::from_millis(150);

/// A file whose blocks were all written before.
pub(super) struct Prepared {
    file: Arc<dyn VfsFile>,
    block: Vec<u8>,
    blocks: u64,
    next: u64,
    synced: bool,
}

impl Prepared {
    /// Makes the file at `path`, for the writes that commits of `work` need at least.
    pub(super) fn make(env: &Env, path: &Path, work: &Workload) -> Result<Self, Failure> {
        let bytes = (work.value_size + RECORD_BYTES).next_multiple_of(BLOCK_BYTES);
        let blocks = (FILE_BYTES / bytes).max(16);
        let block: Vec<u8> = (0..bytes).map(|at| at as u8).collect();
        let make = || {
            let file = env.vfs.open(path, OpenMode::CreateNew)?;
            for n in 0..blocks {
                file.write_at(&mut [IoSlice::new(&vec![0; block.len()])], n * bytes)?;
            }
            file.sync().map(|()| file)
        };
        let file = make().map_err(|e| failed(&format!("preparing {}", path.display()), &e))?;
        Ok(Self { file, block, blocks, next: 0, synced: work.durability == Durability::Synced })
    }

    /// Writes one block after the other, synced if commits are, for `time`.
    pub(super) fn lap(&mut self, clock: &Arc<dyn Clock>, time: Duration) -> Result<race::Lap, Failure> {
        schedule::pause(SETTLE);
        let (file, block, synced, blocks, first) =
            (&self.file, &self.block, self.synced, self.blocks, self.next);
        let lap = race::lap(clock, 1, time, |_, runner| {
            let mut next = first;
            while let Some(begun) = runner.go_on() {
                let wrote = file.write_at(&mut [IoSlice::new(block)], next % blocks * block.len() as u64);
                let wrote = wrote.and_then(|()| if synced { file.sync() } else { Ok(()) });
                wrote.map_err(|e| failed("writing a prepared file", &e))?;
                runner.done(begun);
                next += 1;
            }
            Ok(())
        })?;
        self.next += lap.done;
        schedule::pause(SETTLE);
        Ok(lap)
    }
}
