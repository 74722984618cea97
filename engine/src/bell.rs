//! Door: what wakes the store's own thread, and what it is to call.

use std::time::Duration;

use savehold_wal::sync::{Condvar, Mutex};

use crate::signal::Call;

/// Wakes whoever does what falls due by itself; see `upkeep`.
#[derive(Default)]
pub(crate) struct Bell {
    state: Mutex<State>,
    ring: Condvar,
}

#[derive(Default)]
struct State {
    rung: bool,
    stop: bool,
    /// It looks again at that time of the boot clock; `None`: when it is rung.
    until: Option<Duration>,
    calls: Vec<Call>,
}

impl Bell {
    /// Something is to be looked at now.
    pub(crate) fn ring(&self) {
        self.state.lock().rung = true;
        self.ring.notify_all();
    }

    /// Something falls due at `at` of the boot clock.
    pub(crate) fn ring_by(&self, at: Duration) {
        let mut state = self.state.lock();
        if state.until.is_none_or(|until| at < until) {
            state.until = Some(at);
            state.rung = true;
            self.ring.notify_all();
        }
    }

    /// When something falls due, as far as it was told of since it looked.
    #[cfg(test)]
    pub(crate) fn until(&self) -> Option<Duration> {
        self.state.lock().until
    }

    /// These are to be called soon.
    pub(crate) fn call(&self, calls: Vec<Call>) {
        self.state.lock().calls.extend(calls);
        self.ring();
    }

    /// What is to be called.
    pub(crate) fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.state.lock().calls)
    }

    /// The thread that waits is to end.
    pub(crate) fn stop(&self) {
        self.state.lock().stop = true;
        self.ring.notify_all();
    }

    /// Waits until it is rung, or for `time`; `false`: the thread is to end. `until` is when that time is over, on the
    /// boot clock.
    pub(crate) fn wait(&self, time: Option<Duration>, until: Option<Duration>) -> bool {
        let mut state = self.state.lock();
        if !state.rung && !state.stop {
            state.until = until;
            match time {
                Some(time) => _ = self.ring.wait_for(&mut state, time),
                None => self.ring.wait(&mut state),
            }
        }
        state.rung = false;
        state.until = None;
        !state.stop
    }
}
