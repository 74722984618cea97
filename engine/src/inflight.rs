//! Pure: values that have their place in the log and are not in its files yet.
//!
//! Invariant: whoever finds a version in the index finds its value here or, once the system has it, in the file. An
//! entry goes only after the log's accepted place has passed it.

use std::collections::VecDeque;

use bytes::Bytes;
use savehold_wal::format::frame::{FrameBytes, PART_HEADER_BYTES};
use savehold_wal::sync::Mutex;
use savehold_wal::{Frame, Lsn};

use crate::planted::{self, Fault};

/// One record on its way.
#[derive(Debug)]
struct Placed {
    lsn: Lsn,
    frame: FrameBytes,
}

/// Records that one push forgets at the most: whoever places one is waited for.
const FORGOTTEN_MAX: usize = 4;

/// What was forgotten, to be freed where nobody waits for it.
pub(crate) type Forgotten = [Option<FrameBytes>; FORGOTTEN_MAX];

/// Records on their way, in the order of their places.
#[derive(Debug, Default)]
pub(crate) struct InFlight(Mutex<VecDeque<Placed>>);

impl InFlight {
    /// Adds a placed record and lets `show` put its versions where readers find them; called in commit order. A reader
    /// who finds one of them meanwhile waits here until the record is there. Forgets a few records that the system has.
    pub(crate) fn push(
        &self,
        lsn: Lsn,
        frame: &mut Frame,
        accepted: Lsn,
        show: impl FnOnce(&Frame),
    ) -> Forgotten {
        let mut list = self.0.lock();
        let forgotten = std::array::from_fn(|_| {
            let old = list.front().is_some_and(|first| first.lsn < accepted);
            if old { list.pop_front().map(|placed| placed.frame) } else { None }
        });
        show(frame);
        if !planted::has(Fault::LoseInFlight) {
            list.push_back(Placed { lsn, frame: frame.take_bytes() });
        }
        forgotten
    }

    /// The part at `offset` in the record at `lsn`, if that record is still on its way.
    pub(crate) fn part(&self, lsn: Lsn, offset: u32, bytes: u32) -> Option<Bytes> {
        let list = self.0.lock();
        let at = list.binary_search_by_key(&lsn, |placed| placed.lsn).ok()?;
        list[at].frame.part(offset as usize + PART_HEADER_BYTES, bytes as usize)
    }
}
