//! Corridor: from a frame to its place in the log.

use std::sync::atomic::Ordering;

use crate::env::Threads;
use crate::error::{Error, Result};
use crate::format::frame::Frame;
use crate::group::{NoRoom, Placed};
use crate::log::{Log, closed};
use crate::lsn::Lsn;
use crate::options::Durability;
use crate::sync::lock_soon;

/// Why a frame got no place.
#[derive(Debug)]
pub(crate) enum NotPlaced {
    /// A segment must be prepared first: [`Log::make_room`].
    NoRoom,
    /// The handle does not write.
    Refused(Error),
}

/// Who may write on a full disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Urgency {
    /// Refused while no segment is prepared behind the active one.
    #[default]
    Ordinary,
    /// May use the reserve: what frees space or must not fail.
    Reserve,
}

impl Log {
    /// Gives a frame its place in the log. Waits while too much is in flight or a segment is being prepared.
    pub(crate) fn append(
        &self,
        frame: &mut Frame,
        durability: Durability,
        urgency: Urgency,
    ) -> Result<Placed> {
        let bytes = frame.len() as u64;
        self.admit(bytes)?;
        loop {
            match self.try_append(frame, durability, urgency, |_| ()) {
                Ok(placed) => {
                    self.after_append();
                    return Ok(placed);
                }
                Err(NotPlaced::Refused(e)) => return Err(e),
                Err(NotPlaced::NoRoom) => self.make_room(bytes)?,
            }
        }
    }

    /// Waits until a frame of `bytes` may be in flight. One that is larger than the bound goes alone.
    pub(crate) fn admit(&self, bytes: u64) -> Result<()> {
        if self.admits(bytes) {
            return Ok(());
        }
        self.check()?; // in a forked child a thread that is not there may have the lock
        let mut order = self.order.lock();
        while !self.admits(bytes) {
            self.check()?;
            if !self.is_cared_for() && order.may_take() {
                drop(order);
                self.write_until(Lsn::MAX);
                order = self.order.lock();
                continue;
            }
            self.drained.wait(&mut order);
        }
        Ok(())
    }

    /// True where a frame of `bytes` may be in flight at once.
    pub(crate) fn admits(&self, bytes: u64) -> bool {
        let in_flight = self.in_flight.load(Ordering::Acquire);
        in_flight == 0 || in_flight + bytes <= self.options.in_flight_bytes_max
    }

    /// Gives a frame its place, or says what to do first. Waits for no disk. `placing` hears, right before the frame is placed, what
    /// has its answer: of that nothing changes until it is.
    pub(crate) fn try_append(
        &self,
        frame: &mut Frame,
        durability: Durability,
        urgency: Urgency,
        placing: impl FnOnce(Lsn),
    ) -> Result<Placed, NotPlaced> {
        self.check().map_err(NotPlaced::Refused)?;
        let bytes = frame.len() as u64;
        let mut order = lock_soon(&self.order);
        if self.closed.load(Ordering::Relaxed) {
            return Err(NotPlaced::Refused(closed())); // since it was looked at: what is placed now, nobody would write
        }
        let full = order.refusal().is_some() && urgency == Urgency::Ordinary;
        if !order.begun || full {
            return Err(NotPlaced::NoRoom);
        }
        placing(self.acknowledged.get());
        if durability == Durability::Buffered
            && let Some((placed, due)) = self.store_alone(&mut order, frame)
        {
            drop(order);
            self.tell(due);
            return Ok(placed);
        }
        let had_next = order.frames.next().is_some();
        let placed = order.frames.push(frame, durability).map_err(|NoRoom| NotPlaced::NoRoom)?;
        self.in_flight.store(self.in_flight.load(Ordering::Relaxed) + bytes, Ordering::Release);
        self.waiting.store(order.frames.records_waiting(), Ordering::Release);
        let begun_next = had_next && order.frames.next().is_none();
        drop(order);
        if begun_next {
            self.keeper.ring();
        }
        Ok(placed)
    }

    /// Does at once, where there is no keeper, what a new segment and a stretch that is wanted make due.
    pub(crate) fn after_append(&self) {
        if self.env.threads == Threads::Own {
            return;
        }
        let order = self.order.lock();
        let (wanted, next) = (order.mapped.is_wanted(), order.frames.next().is_some());
        drop(order);
        if wanted {
            self.tend_mapped();
        }
        if !next {
            _ = self.prepare_ahead(); // full: the next ordinary append says so; halted: the wait says so
        }
    }
}
