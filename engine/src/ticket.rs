//! Door: an answer on its way. Works with and without an executor.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::error::{Error, Result};

/// The answer to an `_async` call: the closure has run and the commit has its place in the log; this waits until it is
/// as durable as was asked for.
///
/// Commits stand in the order of the calls, whatever is awaited first. Dropping a ticket loses the answer only. As a
/// future it runs on any executor. The call that hands it out waits for no disk, but it may be held back: for up to 20 ms where
/// the index falls behind the recovery budget, for up to 100 ms where far more of the log could go than compaction gives back.
#[must_use = "the commit is durable only once the ticket resolves"]
pub struct Ticket<T>(State<T>);

enum State<T> {
    /// Told once the ticket resolves: errors too wait for what they were decided on.
    Waiting(savehold_wal::Ticket, Result<T>),
    Answered(Option<Result<T>>),
}

impl<T> Ticket<T> {
    pub(crate) fn waiting(ticket: savehold_wal::Ticket, answer: Result<T>) -> Self {
        Self(State::Waiting(ticket, answer))
    }

    pub(crate) fn answered(answer: Result<T>) -> Self {
        Self(State::Answered(Some(answer)))
    }

    /// Blocks until the answer is there.
    ///
    /// # Errors
    ///
    /// What the call itself met, or [`ErrorKind::Unknown`](crate::ErrorKind::Unknown), which names the version in doubt.
    pub fn wait(self) -> Result<T> {
        match self.0 {
            State::Waiting(ticket, answer) => ticket.wait().map_err(Error::from).and(answer),
            State::Answered(answer) => answer.expect("a ticket answers once"),
        }
    }

    /// Blocks until the answer is there, or gives the ticket back after `timeout`.
    ///
    /// # Errors
    ///
    /// The outer `Err` is the ticket, still waiting; the inner result is as [`Ticket::wait`].
    pub fn wait_timeout(self, timeout: Duration) -> std::result::Result<Result<T>, Self> {
        match self.0 {
            State::Waiting(ticket, answer) => match ticket.wait_timeout(timeout) {
                Ok(waited) => Ok(waited.map_err(Error::from).and(answer)),
                Err(ticket) => Err(Self(State::Waiting(ticket, answer))),
            },
            State::Answered(answer) => Ok(answer.expect("a ticket answers once")),
        }
    }

    /// True once the answer is there and `wait` will not block.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        match &self.0 {
            State::Waiting(ticket, _) => ticket.try_result().is_some(),
            State::Answered(_) => true,
        }
    }

    /// The same ticket for something made of its answer.
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Ticket<U> {
        Ticket(match self.0 {
            State::Waiting(ticket, answer) => State::Waiting(ticket, answer.map(change)),
            State::Answered(answer) => State::Answered(answer.map(|answer| answer.map(change))),
        })
    }
}

impl<T: Unpin> Future for Ticket<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let waited = match &mut self.0 {
            State::Waiting(ticket, _) => match Pin::new(ticket).poll(cx) {
                Poll::Ready(waited) => waited,
                Poll::Pending => return Poll::Pending,
            },
            State::Answered(answer) => return Poll::Ready(answer.take().expect("a ticket answers once")),
        };
        let State::Waiting(_, answer) = std::mem::replace(&mut self.0, State::Answered(None)) else {
            unreachable!("it was waiting just now")
        };
        Poll::Ready(waited.map_err(Error::from).and(answer))
    }
}

impl<T> fmt::Debug for Ticket<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            State::Waiting(ticket, _) => write!(f, "{ticket:?}"),
            State::Answered(_) => f.write_str("Ticket(answered)"),
        }
    }
}
