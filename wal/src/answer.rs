//! Corridor: waiting for the answer to a record, and writing it meanwhile where nobody else does.
//!
//! Who waits for a write without a sync looks for its answer before it sleeps (`Log::awake` counts them). Whoever wrote a group
//! that way and sees one of them leaves the rest to them, and says so (`Log::left`). So whoever stops looking looks whether
//! something was left, and writes that, whatever became of its own answer; what a sync follows the writer threads take over.
//! The count and the note are changed and looked at in opposite orders: one of the two sees the other.

use std::sync::atomic::Ordering;

use crate::error::Result;
use crate::group::Placed;
use crate::log::Log;
use crate::lsn::Lsn;
use crate::sync::{Sleeper, lock_soon};

/// How often somebody who waits for a write without a sync looks for its answer before it sleeps, and how many looks
/// lie between two at which it lets others run.
const LOOKS: u32 = 1024;
const LOOKS_BETWEEN: u32 = 16;

/// How often it may find that nobody writes, and nothing to write.
const MISSED_MAX: u32 = 8;

impl Log {
    /// Waits for the answer to a record; writes it itself if nobody else does.
    pub(crate) fn wait(&self, Placed { lsn, end, group }: Placed) -> Result<()> {
        let done = || self.acknowledged.get() >= end || self.failure.get().is_some() || self.is_left_alone();
        loop {
            if self.acknowledged.get() >= end {
                return Ok(());
            }
            if self.failure.get().is_some() || self.is_forked() {
                return Err(self.unknown(lsn));
            }
            if self.write_until(end) || self.looks(end) {
                continue;
            }
            if let Some(group) = group {
                self.bell(group).sleep_until(done);
            } else if self.waiters.add(end, Sleeper::Thread(std::thread::current()), done).is_some() {
                self.park_until(end);
            }
        }
    }

    /// Looks for the answer for a while; false where that takes too long. Whoever writes meanwhile may leave what waits to those
    /// who look: it is seen to here that it gets written, whatever became of the answer.
    pub(crate) fn looks(&self, end: Lsn) -> bool {
        if !self.without_sync.load(Ordering::Acquire) {
            return self.comes_soon(end);
        }
        self.awake.fetch_add(1, Ordering::SeqCst);
        let came = self.comes_soon(end);
        self.awake.fetch_sub(1, Ordering::SeqCst);
        (self.left.load(Ordering::SeqCst) && self.write_until(end)) || came
    }

    /// Looks for the answer while somebody writes without a sync; false where that takes too long.
    fn comes_soon(&self, end: Lsn) -> bool {
        let mut missed = 0;
        for look in 1..=LOOKS {
            let writing = self.writing.load(Ordering::Acquire);
            if self.acknowledged.get() >= end {
                return true;
            }
            if !writing {
                if self.is_left_alone() {
                    return true;
                }
                missed += 1; // somebody else was sooner, or nobody may write now
            }
            let kept_back =
                !self.without_sync.load(Ordering::Acquire) || self.syncing.load(Ordering::Acquire) > 0;
            if kept_back || missed > MISSED_MAX {
                return false;
            }
            if look % LOOKS_BETWEEN == 0 {
                std::thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
        }
        false
    }

    fn is_left_alone(&self) -> bool {
        if self.writing.load(Ordering::Acquire) || self.syncing.load(Ordering::Acquire) > 0 {
            return false;
        }
        let order = lock_soon(&self.order);
        !self.writing.load(Ordering::Acquire) && self.syncing.load(Ordering::Acquire) == 0 && order.may_take()
    }

    fn park_until(&self, end: Lsn) {
        while self.acknowledged.get() < end && self.failure.get().is_none() {
            std::thread::park();
        }
    }
}
