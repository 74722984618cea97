//! Pure: values that have their place in the log and are not in its files yet.
//!
//! Invariant: whoever finds a version in the index finds its value here or, once the system has it, in the file. An
//! entry goes only after the log's accepted place has passed it.

use std::collections::VecDeque;

use bytes::Bytes;
use savehold_wal::format::frame::PART_HEADER_BYTES;
use savehold_wal::sync::Mutex;
use savehold_wal::{Frame, Lsn};

use crate::planted::{self, Fault};

/// Records that one push forgets at the most: whoever places one is waited for.
const FORGOTTEN_MAX: usize = 8;

/// Large ones among them.
const LARGE_MAX: usize = 4;

/// Large records that were forgotten, to be freed where nobody waits for it.
pub(crate) type Forgotten = [Option<Bytes>; LARGE_MAX];

/// Bytes of a block, unless a record takes more.
const BLOCK_BYTES: usize = 64 << 10;

/// Empty blocks that are kept.
const SPARE_MAX: usize = 16;

/// One record on its way.
#[derive(Debug)]
struct Placed {
    lsn: Lsn,
    bytes: Kept,
}

/// Where its bytes are.
#[derive(Debug)]
enum Kept {
    /// Copied behind those of others.
    Copied { block: u64, start: usize, end: usize },
    /// The log writes these very bytes.
    Shared(Bytes),
}

/// Bytes of small records behind one another.
#[derive(Debug, Default)]
struct Block {
    bytes: Vec<u8>,
    /// Records in it that are not forgotten.
    live: usize,
}

#[derive(Debug, Default)]
struct List {
    /// In the order of their places.
    placed: VecDeque<Placed>,
    blocks: VecDeque<Block>,
    /// Number of the first block.
    first: u64,
    spare: Vec<Vec<u8>>,
}

/// Records on their way, in the order of their places.
#[derive(Debug, Default)]
pub(crate) struct InFlight(Mutex<List>);

impl InFlight {
    /// Adds a placed record and lets `show` put its versions where readers find them; called in commit order. A reader
    /// who finds one of them meanwhile waits here until the record is there. Forgets a few records that the system has.
    pub(crate) fn push(
        &self,
        lsn: Lsn,
        frame: &Frame,
        accepted: Lsn,
        show: impl FnOnce(&Frame),
    ) -> Forgotten {
        let mut list = self.0.lock();
        let forgotten = list.forget(accepted);
        show(frame);
        if !planted::has(Fault::LoseInFlight) {
            list.add(lsn, frame);
        }
        forgotten
    }

    /// The part at `offset` in the record at `lsn`, if that record is still on its way.
    pub(crate) fn part(&self, lsn: Lsn, offset: u32, bytes: u32) -> Option<Bytes> {
        let start = offset as usize + PART_HEADER_BYTES;
        let range = start..start.checked_add(bytes as usize)?;
        let list = self.0.lock();
        let at = list.placed.binary_search_by_key(&lsn, |placed| placed.lsn).ok()?;
        match &list.placed[at].bytes {
            Kept::Copied { block, start, end } => {
                let record = &list.blocks[list.index(*block)].bytes[*start..*end];
                record.get(range).map(Bytes::copy_from_slice)
            }
            Kept::Shared(record) => (range.end <= record.len()).then(|| record.slice(range)),
        }
    }
}

impl List {
    fn index(&self, block: u64) -> usize {
        usize::try_from(block - self.first).expect("an entry's block is kept")
    }

    fn add(&mut self, lsn: Lsn, frame: &Frame) {
        let bytes = match frame.shared() {
            Some(shared) => Kept::Shared(shared.clone()),
            None => self.copy(frame.bytes()),
        };
        self.placed.push_back(Placed { lsn, bytes });
    }

    fn copy(&mut self, record: &[u8]) -> Kept {
        if self.blocks.back().is_none_or(|block| block.bytes.len() + record.len() > BLOCK_BYTES) {
            let bytes = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(BLOCK_BYTES));
            self.blocks.push_back(Block { bytes, live: 0 });
        }
        let block = self.first + self.blocks.len() as u64 - 1;
        let last = self.blocks.back_mut().expect("one is there by now");
        let start = last.bytes.len();
        last.bytes.extend_from_slice(record);
        last.live += 1;
        Kept::Copied { block, start, end: last.bytes.len() }
    }

    fn forget(&mut self, accepted: Lsn) -> Forgotten {
        let (mut large, mut larges) = (Forgotten::default(), 0);
        for _ in 0..FORGOTTEN_MAX {
            if larges == LARGE_MAX || self.placed.front().is_none_or(|first| first.lsn >= accepted) {
                break;
            }
            match self.placed.pop_front().map(|placed| placed.bytes) {
                Some(Kept::Copied { block, .. }) => {
                    let at = self.index(block);
                    self.blocks[at].live -= 1;
                }
                Some(Kept::Shared(bytes)) => {
                    large[larges] = Some(bytes);
                    larges += 1;
                }
                None => break,
            }
        }
        while self.blocks.len() > 1 && self.blocks[0].live == 0 {
            self.first += 1;
            if let Some(Block { mut bytes, .. }) = self.blocks.pop_front()
                && self.spare.len() < SPARE_MAX
            {
                bytes.clear();
                self.spare.push(bytes);
            }
        }
        large
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(fill: u8, bytes: usize) -> Frame {
        Frame::record(b"head", &[&vec![fill; bytes]]).unwrap()
    }

    #[test]
    fn what_the_system_has_is_forgotten_and_everything_else_is_found() {
        let (in_flight, offset) = (InFlight::default(), frame(0, 1).part_offset(0).unwrap());
        let bytes = |n: u64| 1 + (n * 37 % 5_000) as usize;
        let lsn = |n: u64| Lsn::new(1, 4096 + n * 8);
        let part = |n: u64| in_flight.part(lsn(n), offset, bytes(n) as u32);
        for n in 0..3_000_u64 {
            let accepted = lsn(n.saturating_sub(100)); // a hundred are on their way
            let mut shown = false;
            assert!(
                in_flight.push(lsn(n), &frame(n as u8, bytes(n)), accepted, |_| shown = true)[0].is_none()
            );
            assert!(shown);
            let oldest = n.saturating_sub(100);
            for at in [oldest, (oldest + n) / 2, n] {
                assert_eq!(part(at).unwrap(), vec![at as u8; bytes(at)], "{at} of {n}");
            }
            assert!(oldest == 0 || part(oldest - 1).is_none());
        }
        let list = in_flight.0.lock();
        assert_eq!(list.placed.len(), 101);
        assert!(list.blocks.len() <= 8 && list.spare.len() <= SPARE_MAX, "{} blocks", list.blocks.len());
    }

    #[test]
    fn large_records_go_faster_than_they_come() {
        let mut sim = savehold_wal::sim::Sim::new(1);
        let (env, dir) = (sim.env(), sim.dir().to_path_buf());
        let log = savehold_wal::Wal::open_in(env, &dir, savehold_wal::Options::default()).unwrap();
        let in_flight = InFlight::default();
        let push = |accepted: Option<Lsn>| {
            let mut frame = frame(1, 40 << 10);
            let placed = loop {
                match log.try_place(&mut frame, savehold_wal::Append::default()) {
                    Ok(placed) => break placed,
                    Err(_) => log.make_room(frame.len() as u64).unwrap(),
                }
            };
            log.wait(placed).unwrap();
            in_flight.push(placed.lsn, &frame, accepted.unwrap_or(placed.lsn), |_| {})
        };
        (0..60).for_each(|_| assert!(push(Some(Lsn::NONE))[0].is_none()));
        for _ in 0..20 {
            assert!(push(None).iter().all(Option::is_some) || in_flight.0.lock().placed.len() < 5);
        }
        assert!(in_flight.0.lock().placed.len() < 5);
    }
}
