//! Corridor: how far a backup or a restore is, told a few times a second, and asked whether to go on.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::inspect::Tell;
use crate::options::Progress;

/// Time between two words to the caller.
const TELL_AFTER: Duration = Duration::from_millis(100);

/// So much longer than it took until now it may take, and no more is said: all that is to come is what a destination claims.
const LEFT_MAX: f64 = 1e6;

/// Bytes that are done, of all.
pub(super) struct Meter<'a> {
    clock: Arc<dyn Clock>,
    tell: Tell<'a>,
    begun: Duration,
    told: Option<Duration>,
    done_bytes: u64,
    total_bytes: u64,
}

impl<'a> Meter<'a> {
    /// Nothing done yet, of `total_bytes`.
    pub(super) fn new(env: &Env, total_bytes: u64, tell: Tell<'a>) -> Self {
        let (clock, begun) = (env.clock.clone(), env.clock.monotonic());
        Self { clock, tell, begun, told: None, done_bytes: 0, total_bytes }
    }

    /// So many bytes more are done.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Aborted`]: the caller does not want to go on.
    pub(super) fn advance(&mut self, bytes: u64) -> Result<()> {
        self.done_bytes += bytes;
        let elapsed = self.clock.monotonic().saturating_sub(self.begun);
        if self.told.is_some_and(|told| elapsed < told + TELL_AFTER) && self.done_bytes < self.total_bytes {
            return Ok(());
        }
        self.told = Some(elapsed);
        let left = self.total_bytes.saturating_sub(self.done_bytes) as f64 / self.done_bytes.max(1) as f64;
        let remaining =
            if self.done_bytes == 0 { Duration::ZERO } else { elapsed.mul_f64(left.min(LEFT_MAX)) };
        let (done_bytes, total_bytes) = (self.done_bytes, self.total_bytes);
        match (self.tell)(Progress { done_bytes, total_bytes, elapsed, remaining }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => {
                Err(Error::new(ErrorKind::Aborted, "stopped by the progress callback: begin again to go on"))
            }
        }
    }
}
