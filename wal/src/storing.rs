//! Corridor: what no sync follows, stored and answered under the lock under which it gets its place: a record that nothing is in front
//! of becomes no group, and nobody waits for it. What came while somebody wrote is stored as the group that it is.
//!
//! 1. Only where a stretch of the segment is ready to be stored to (`mapped`), and nobody writes: answers stand in log order.
//! 2. The bytes are those of a group of one record.
//! 3. Where a store fails what was to be stored goes the way of all, whose write is refused then, and halts the log.

use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::format::checksum::Binding;
use crate::format::frame::{Frame, FrameKind, put_own};
use crate::format::group::{GROUP_FRAME_BYTES, GroupHead};
use crate::group::{Group, Placed};
use crate::log::{Due, Log, Order};
use crate::lsn::Lsn;
use crate::mapped::Wanted;

impl Log {
    /// Places, stores and answers a record; `None` where it has to go the way of all, and nothing changed.
    pub(crate) fn store_alone(&self, order: &mut Order, frame: &mut Frame) -> Option<(Placed, Due)> {
        let bytes = (GROUP_FRAME_BYTES + frame.len()) as u64;
        if self.writing.load(Ordering::Acquire)
            || !order.unanswered.is_empty()
            || self.failure.get().is_some()
        {
            return None;
        }
        let (start, segment) = order.frames.alone(bytes)?;
        let (offset, binding) = (segment.file_offset(start), segment.binding);
        if !order.mapped.reach(segment, &(offset..offset + bytes)) {
            return None;
        }
        let at = self.env.clock.boot();
        let own = own_bytes(&self.group_head(bytes, 1, at), start, binding);
        let lsn = start.plus(GROUP_FRAME_BYTES as u64);
        frame.place(lsn, binding);
        let stored = self.latch.guard(|| order.mapped.store(&[&own, frame.bytes()], offset));
        stored.ok()?;
        order.frames.pass(bytes);
        let end = start.plus(bytes);
        self.counters.note(1, bytes);
        order.habit.note(bytes, false);
        order.add_unsynced(at, bytes);
        self.accepted.raise(end);
        self.acknowledged.raise(end);
        Some((Placed::at(lsn, end), order.due(&self.options)))
    }

    /// Stores the oldest group that waits, for whoever has the writing or finds that nobody does: nothing keeps its answer back then.
    /// False where it has to be written, or nothing waits.
    ///
    /// # Errors
    ///
    /// Those of the store: the log is to be halted.
    pub(crate) fn store_oldest(&self, order: &mut Order) -> Result<bool> {
        let may_store = order.may_store() && self.failure.get().is_none();
        let Some(mut group) = (if may_store { order.frames.take() } else { None }) else { return Ok(false) };
        let at = self.env.clock.boot();
        let own = self.own_frame(&group, at);
        group.first[..GROUP_FRAME_BYTES].copy_from_slice(&own);
        group.pad();
        let offset = group.segment.file_offset(group.start);
        let group = Arc::new(group);
        order.on_its_way = Some(group.clone()); // and stays so where it fails
        let stored = self.latch.guard(|| order.mapped.store(&[&group.first], offset));
        stored.map_err(|e| Error::io(ErrorKind::Halted, "writing", &group.segment.path, e))?;
        order.on_its_way = None;
        self.waiting.store(order.frames.records_waiting(), Ordering::Release);
        self.accepted.raise(group.padded_end());
        order.unanswered.push(group, Some(at));
        Ok(true)
    }

    /// Unmaps what is used no more, and makes ready what is going to be stored to, unless a writer thread has something else to do.
    pub(crate) fn tend_mapped(&self) {
        let mut order = self.order.lock();
        let Order { mapped, frames, unsynced, .. } = &mut *order;
        let due_bytes = self.options.sync_after_bytes.saturating_sub(unsynced.map_or(0, |(_, bytes)| bytes));
        let (spent, wanted) = (mapped.take_spent(), mapped.wanted(frames, due_bytes));
        drop(order);
        drop(spent);
        if let Some(wanted) = wanted {
            let begun = Cell::new(Duration::ZERO);
            let begins = |wanted: &Wanted, part: &Range<u64>| {
                let Order { handed, mapped, frames, .. } = &mut *self.order.lock();
                begun.set(self.env.clock.monotonic());
                let goes_on =
                    !*handed && self.failure.get().is_none() && !self.closed.load(Ordering::Relaxed);
                goes_on.then(|| mapped.begin_part(wanted, part, frames)).flatten()
            };
            let ends = || self.end_zeros(begun.get());
            let made = wanted.make(begins, ends);
            self.order.lock().mapped.add(made);
        }
    }

    /// Zeros that were begun then (monotonic clock) are there, or failed: who waits for them goes on.
    pub(crate) fn end_zeros(&self, begun: Duration) {
        let took = self.env.clock.monotonic().saturating_sub(begun);
        self.order.lock().mapped.end_zeros(took);
        self.drained.notify_all();
    }

    /// Waits until no zeros are being written where a group goes.
    pub(crate) fn wait_for_zeros(&self, group: &Group) {
        let place = group.in_file();
        let mut order = self.order.lock();
        while order.mapped.is_zeroed(&group.segment, &place) {
            self.drained.wait(&mut order);
        }
    }

    /// The group's own frame, with what is known only now.
    pub(crate) fn own_frame(&self, group: &Group, now: Duration) -> [u8; GROUP_FRAME_BYTES] {
        let bytes = group.end.bytes_since(group.start).expect("a group lies in one segment");
        let (padded, mark) = (group.padded, group.is_mark());
        let head = GroupHead { padded, mark, ..self.group_head(bytes, group.frames, now) };
        own_bytes(&head, group.start, group.segment.binding)
    }

    /// What is said now of a group of records of so many bytes and frames.
    fn group_head(&self, bytes: u64, frames: u32, now: Duration) -> GroupHead {
        GroupHead {
            durable_through: self.durable.get(),
            time_us: self.time.at_us(now),
            bytes: u32::try_from(bytes).expect("bounded by the limits of a record"),
            frames,
            padded: false,
            mark: false,
        }
    }
}

fn own_bytes(head: &GroupHead, start: Lsn, binding: Binding) -> [u8; GROUP_FRAME_BYTES] {
    let mut own = [0; GROUP_FRAME_BYTES];
    put_own(&mut own, FrameKind::Group, &head.encode(), start, binding);
    own
}
