//! Door: a record's place in the log, and the wait for its answer. Works with and without an executor.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::group::Placed;
use crate::log::Log;
use crate::lsn::Lsn;
use crate::sync::{Share, Sleeper, WaitKey};

/// A record on its way: it has its place in the log already, and this waits for the answer.
///
/// The record is durable (or, buffered, accepted by the system) once the ticket resolves. Until then a crash may lose
/// it, never tear it. Dropping a ticket loses the answer only. As a future it runs on any executor.
#[must_use = "the record is durable only once the ticket resolves"]
pub struct Ticket {
    log: Share<Log>,
    placed: Placed,
    waiting: Option<WaitKey>,
}

impl Ticket {
    pub(crate) fn new(log: Share<Log>, placed: Placed) -> Self {
        Self { log, placed, waiting: None }
    }

    /// The record's place, final whatever becomes of it.
    #[must_use]
    pub fn lsn(&self) -> Lsn {
        self.placed.lsn
    }

    /// Blocks until the answer is there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unknown`], naming the record's place: a write or sync failed, and only reopening tells whether the
    /// record survived; or this is a child of the process that placed it, which writes nothing.
    pub fn wait(self) -> Result<Lsn> {
        self.log.wait(self.placed)?;
        Ok(self.placed.lsn)
    }

    /// Blocks until the answer is there, or gives the ticket back after `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Ticket::wait`], inside the `Ok` of the outer result; the outer `Err` is the ticket, still waiting.
    pub fn wait_timeout(self, timeout: Duration) -> std::result::Result<Result<Lsn>, Self> {
        let clock = self.log.env.clock.clone();
        let deadline = clock.monotonic().saturating_add(timeout);
        loop {
            if let Some(answer) = self.try_result() {
                return Ok(answer);
            }
            let Some(left) = deadline.checked_sub(clock.monotonic()).filter(|left| !left.is_zero()) else {
                return Err(self);
            };
            self.log.drive(self.placed.end);
            let sleeper = Sleeper::Thread(std::thread::current());
            if let Some(key) = self.log.waiters.add(self.placed.end, sleeper, || self.try_result().is_some())
            {
                std::thread::park_timeout(left);
                self.log.waiters.remove(key);
            }
        }
    }

    /// The answer, if it is there already.
    #[must_use]
    pub fn try_result(&self) -> Option<Result<Lsn>> {
        if self.log.acknowledged.get() >= self.placed.end {
            return Some(Ok(self.placed.lsn));
        }
        let never = self.log.failure.get().is_some() || self.log.is_forked();
        never.then(|| Err(self.log.unknown(self.placed.lsn)))
    }

    fn forget(&mut self) {
        if let Some(key) = self.waiting.take() {
            self.log.waiters.remove(key);
        }
    }
}

impl Future for Ticket {
    type Output = Result<Lsn>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            if let Some(answer) = self.try_result() {
                self.waiting = None;
                return Poll::Ready(answer);
            }
            let sleeper = || Sleeper::Task(cx.waker().clone());
            if let Some(key) = self.waiting.take()
                && self.log.waiters.replace(key, sleeper())
            {
                self.waiting = Some(key);
                return Poll::Pending;
            }
            self.log.drive(self.placed.end);
            self.waiting = self.log.waiters.add(self.placed.end, sleeper(), || self.try_result().is_some());
            if self.waiting.is_some() {
                return Poll::Pending;
            }
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.forget();
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({})", self.placed.lsn)
    }
}

/// An error that says that a call would have to wait.
pub(crate) fn busy(bytes: u64) -> Error {
    let say = format!(
        "too much is in flight to take {bytes} bytes more: nothing was written; wait for a ticket, then retry"
    );
    Error::new(ErrorKind::Busy, say)
}
