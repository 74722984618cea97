//! Corridor: records one after the other as they become durable, for as long as somebody asks.
//!
//! A follower holds no file and stops nobody: it remembers a place. Where what stood there was given up meanwhile, it
//! says so and ends, so that what it hands out is complete or refused.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;

use crate::env::Threads;
use crate::error::{Error, ErrorKind, Result};
use crate::format::frame::{FRAME_HEADER_BYTES, FrameKind};
use crate::format::header::SegmentKind;
use crate::iterate::damaged;
use crate::log::Log;
use crate::lsn::Lsn;
use crate::scan::Verify;
use crate::segment::file::Segment;
use crate::sync::{Sleeper, WaitKey};
use crate::window::{GLANCE_BYTES, Window};

/// Bytes that are read at a time where there are no maps: most groups fit.
const READ_BYTES: usize = 32 << 10;

/// A record that became durable: its head, verified. Its body is read by place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// Its place.
    pub lsn: Lsn,
    /// Engine time of its group, microseconds since 1970.
    pub time_us: u64,
    /// Its head.
    pub head: Bytes,
    /// Bytes from the record's place to its body.
    pub body_offset: u32,
}

/// Where in the log a follower stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Somewhere: the group that holds it is to be found.
    Place(Lsn),
    /// Where a group begins, or a segment ends.
    Group(Lsn),
}

/// Hands out the records from a place on as they become durable.
pub struct Follower {
    log: Arc<Log>,
    at: At,
    ready: VecDeque<Followed>,
    waiting: Option<WaitKey>,
}

impl Follower {
    pub(crate) fn new(log: Arc<Log>, from: Lsn) -> Self {
        Self { log, at: At::Place(from), ready: VecDeque::new(), waiting: None }
    }

    /// The next record, if one is durable by now.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Gone`]: what stood here was given up, or lost before a repair; [`Error::lsn`] says where to begin. Behind
    ///   a repair more may be lost there: then the next call says so.
    /// - [`ErrorKind::Corrupt`]: it is damaged, and where.
    /// - [`ErrorKind::Closed`], [`ErrorKind::Halted`]: everything durable was handed out, and nothing more will be.
    pub fn try_next(&mut self) -> Result<Option<Followed>> {
        loop {
            if let Some(record) = self.ready.pop_front() {
                return Ok(Some(record));
            }
            let ended = self.ended(); // before the look: what was answered until then is handed out first
            if !self.next_group()? {
                return ended.map(|()| None);
            }
        }
    }

    /// Everything before it was handed out.
    #[must_use]
    pub fn place(&self) -> Lsn {
        match (self.ready.front(), self.at) {
            (Some(record), _) => record.lsn,
            (None, At::Place(lsn) | At::Group(lsn)) => lsn,
        }
    }

    /// Sleeps until more is durable, at most for `timeout`; true where more may be. Where a log has no threads it does
    /// what is due instead of sleeping.
    pub fn wait(&mut self, timeout: Option<Duration>) -> bool {
        if !self.ready.is_empty() || self.more() {
            return true;
        }
        if self.log.env.threads == Threads::None {
            self.log.tick();
            return self.more();
        }
        let clock = self.log.env.clock.clone();
        let deadline = timeout.map(|timeout| clock.monotonic().saturating_add(timeout));
        let Some(key) = self.enlist(Sleeper::Thread(std::thread::current())) else { return true };
        while !self.more() {
            match deadline.map(|deadline| deadline.saturating_sub(clock.monotonic())) {
                None => std::thread::park(),
                Some(Duration::ZERO) => break,
                Some(left) => std::thread::park_timeout(left),
            }
        }
        self.log.followers.remove(key);
        self.more()
    }

    /// Ready once more may be durable; otherwise the task is woken when it is.
    pub fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.forget();
        if !self.ready.is_empty() || self.more() {
            return Poll::Ready(());
        }
        self.waiting = self.enlist(Sleeper::Task(cx.waker().clone()));
        if self.waiting.is_some() { Poll::Pending } else { Poll::Ready(()) }
    }

    /// Whether there is something to hand out, or to say.
    fn more(&self) -> bool {
        self.place() < self.log.settled() || self.ended().is_err()
    }

    /// Why nothing more will be durable, where that is so. While a log is being closed more may be.
    fn ended(&self) -> Result<()> {
        match self.log.check() {
            Err(e) if e.kind() == ErrorKind::Closed && !self.log.settled_down.load(Ordering::Acquire) => {
                Ok(())
            }
            checked => checked,
        }
    }

    fn enlist(&self, sleeper: Sleeper) -> Option<WaitKey> {
        let beyond = Lsn::from_raw(self.place().max(self.log.settled()).raw().saturating_add(1));
        self.log.followers.add(beyond, sleeper, || self.more())
    }

    fn forget(&mut self) {
        if let Some(key) = self.waiting.take() {
            self.log.followers.remove(key);
        }
    }

    /// Reads the heads of the next group; false where no whole one is durable.
    fn next_group(&mut self) -> Result<bool> {
        let limit = self.log.settled();
        let Some((segment, end, at)) = self.locate(limit)? else { return Ok(false) };
        let mut window = Window::new(&segment, end, READ_BYTES, Vec::new())?;
        let group = window.group(at)?.ok_or_else(|| damaged(&segment, at))?;
        let next = group.head.next(at).ok_or_else(|| damaged(&segment, at))?;
        let (from, ready) = (self.place(), &mut self.ready);
        let (mut in_gap, mut lost) = (false, false);
        let walked = window.walk(group, Verify::Heads, |lsn, kind, head| {
            lost |= in_gap && lsn > from;
            in_gap = kind == FrameKind::Lost;
            if kind == FrameKind::Record && lsn >= from {
                let body_offset = u32::try_from(FRAME_HEADER_BYTES + head.len()).expect("HEAD_BYTES_MAX");
                let head = Bytes::copy_from_slice(head); // the file is nobody's while nobody asks
                ready.push_back(Followed { lsn, time_us: group.head.time_us, head, body_offset });
            }
        })?;
        if lost || in_gap {
            ready.clear();
            return Err(gone_before(next)); // a repair found no whole record there
        }
        self.at = At::Group(next);
        walked.map_err(|bad| damaged(&segment, bad))?;
        Ok(true)
    }

    /// The segment of the next group, up to where it may be read, and where the group begins.
    fn locate(&self, limit: Lsn) -> Result<Option<(Arc<Segment>, Lsn, Lsn)>> {
        let (place, list) = (self.place(), self.log.segments.read());
        let complete = self.log.complete.get();
        if place < complete && place != Lsn::NONE {
            return Err(gone_before(complete));
        }
        for segment in list.iter() {
            let end = segment.end().unwrap_or(segment.capacity_end()).min(limit);
            let packed = segment.kind == SegmentKind::Packed; // nothing at or behind `complete` stood in it
            if packed || end <= segment.base || end <= place || end <= complete {
                continue;
            }
            let at = match self.at {
                _ if place <= segment.base => segment.base,
                At::Group(at) => at,
                At::Place(at) => group_of(segment, end, at)?,
            };
            return Ok((at < end).then(|| (segment.clone(), end, at)));
        }
        Ok(None)
    }
}

impl Log {
    /// Whether a repair found lost what stood at `lsn`, in a segment that is not packed.
    pub(crate) fn is_lost(&self, segment: &Segment, lsn: Lsn) -> Result<bool> {
        let end = segment.end().unwrap_or(segment.capacity_end()).min(self.settled());
        let at = group_of(segment, end, lsn)?;
        if at >= end {
            return Ok(false);
        }
        let mut window = Window::new(segment, end, READ_BYTES, Vec::new())?;
        let group = window.group(at)?.ok_or_else(|| damaged(segment, at))?;
        let mut lost = false;
        let walked = window.walk(group, Verify::Heads, |at, kind, _| {
            if at <= lsn {
                lost = kind == FrameKind::Lost;
            }
        })?;
        walked.map(|()| lost).map_err(|bad| damaged(segment, bad))
    }
}

#[cold]
fn gone_before(complete: Lsn) -> Error {
    let say = format!("what was written before {complete} is no longer kept whole: begin there");
    Error::new(ErrorKind::Gone, say).at(complete)
}

/// Where the group begins that holds `lsn`, or `end` where none does.
fn group_of(segment: &Segment, end: Lsn, lsn: Lsn) -> Result<Lsn> {
    let mut window = Window::new(segment, end, GLANCE_BYTES, Vec::new())?;
    let mut at = window.entry_before(lsn)?;
    while at < end {
        let group = window.group(at)?.ok_or_else(|| damaged(segment, at))?;
        match group.head.next(at) {
            Some(next) if next <= lsn => at = next,
            _ => return Ok(at),
        }
    }
    Ok(end)
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.forget();
    }
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Follower({})", self.place())
    }
}

#[cfg(test)]
mod tests;
