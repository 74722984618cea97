//! Corridor: what no sync follows, stored and answered under the lock under which it gets its place: a record that nothing is in front
//! of becomes no group, and nobody waits for it. What came while somebody wrote is stored as the group that it is.
//!
//! 1. Only where a stretch of the segment is ready to be stored to (`mapped`), and nobody writes: answers stand in log order.
//! 2. The bytes are those of a group of one record.
//! 3. Where the store fails the log is halted, and the record waits for its answer like any other.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::format::frame::{Frame, FrameKind, put_own};
use crate::format::group::{GROUP_FRAME_BYTES, GroupHead};
use crate::group::{Group, Placed};
use crate::log::{Due, Log, Order};

/// What became of a record that was stored.
pub(crate) struct Stored {
    /// Its place.
    pub(crate) placed: Placed,
    /// Who is to be told of it.
    pub(crate) due: Due,
    /// Why the log is to be halted.
    pub(crate) failure: Option<Error>,
}

impl Log {
    /// Places, stores and answers a record; `None` where it has to go the way of all, and nothing changed.
    pub(crate) fn store_alone(&self, order: &mut Order, frame: &mut Frame) -> Option<Stored> {
        let bytes = (GROUP_FRAME_BYTES + frame.len()) as u64;
        if self.writing.load(Ordering::Acquire) || !order.unanswered.is_empty() {
            return None;
        }
        let (start, segment) = order.frames.alone(bytes)?;
        let (offset, binding) = (segment.file_offset(start), segment.binding);
        if !order.mapped.reach(segment, &(offset..offset + bytes)) {
            return None;
        }
        let at = self.env.clock.boot();
        let head = GroupHead {
            durable_through: self.durable.get(),
            time_us: self.time.at_us(at),
            bytes: u32::try_from(bytes).expect("what is stored is small"),
            frames: 1,
            padded: false,
            mark: false,
        };
        let mut own = [0; GROUP_FRAME_BYTES];
        put_own(&mut own, FrameKind::Group, &head.encode(), start, binding);
        let lsn = start.plus(GROUP_FRAME_BYTES as u64);
        frame.place(lsn, binding);
        let stored = self.latch.guard(|| order.mapped.store(&[&own, frame.bytes()], offset));
        let failure = stored.err().map(|e| Error::io(ErrorKind::Halted, "writing", &segment.path, e));
        order.frames.pass(bytes);
        let end = start.plus(bytes);
        if failure.is_none() {
            self.counters.note(1, bytes);
            order.habit.note(bytes, false);
            order.add_unsynced(at, bytes);
            self.accepted.raise(end);
            self.acknowledged.raise(end);
        }
        let due = order.due(self.options.sync_after_bytes);
        Some(Stored { placed: Placed::at(lsn, end), due, failure })
    }
    /// Stores the oldest group that waits, for whoever has the writing or finds that nobody does: nothing keeps its answer back then.
    /// False where it has to be written, or nothing waits.
    ///
    /// # Errors
    ///
    /// Those of the store: the log is to be halted.
    pub(crate) fn store_oldest(&self, order: &mut Order) -> Result<bool> {
        let Some(mut group) = (if order.may_store() { order.frames.take() } else { None }) else {
            return Ok(false);
        };
        let at = self.env.clock.boot();
        let own = self.own_frame(&group, at);
        group.first[..GROUP_FRAME_BYTES].copy_from_slice(&own);
        group.pad();
        let offset = group.segment.file_offset(group.start);
        let stored = self.latch.guard(|| order.mapped.store(&[&group.first], offset));
        stored.map_err(|e| Error::io(ErrorKind::Halted, "writing", &group.segment.path, e))?;
        self.waiting.store(order.frames.records_waiting(), Ordering::Release);
        self.accepted.raise(group.padded_end());
        order.unanswered.push(Arc::new(group), Some(at));
        Ok(true)
    }

    /// Makes ready what is going to be stored to.
    pub(crate) fn tend_mapped(&self) {
        let mut order = self.order.lock();
        let Order { mapped, frames, .. } = &mut *order;
        let (spent, wanted) = (mapped.take_spent(), mapped.wanted(frames));
        drop(order);
        drop(spent);
        if let Some(wanted) = wanted {
            let made = wanted.make();
            self.order.lock().mapped.add(made);
        }
    }

    /// The group's own frame, with what is known only now.
    pub(crate) fn own_frame(&self, group: &Group, now: Duration) -> [u8; GROUP_FRAME_BYTES] {
        let bytes = group.end.bytes_since(group.start).expect("a group lies in one segment");
        let head = GroupHead {
            durable_through: self.durable.get(),
            time_us: self.time.at_us(now),
            bytes: u32::try_from(bytes).expect("bounded by the limits of a record"),
            frames: group.frames,
            padded: group.padded,
            mark: group.is_mark(),
        };
        let mut own = [0; GROUP_FRAME_BYTES];
        put_own(&mut own, FrameKind::Group, &head.encode(), group.start, group.segment.binding);
        own
    }
}
