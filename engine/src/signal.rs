//! Door: something that comes to pass, and whoever waits for it: a thread, a task, a callback.
//!
//! Invariants:
//! - A waiter looks and adds itself under one lock: it is never missed.
//! - Nobody is woken, and no callback runs, while a lock of the store is held: they are gathered in [`Wakes`] first.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use savehold_wal::env::{Env, Threads};
use savehold_wal::sync::Mutex;
use savehold_wal::sync::Sleeper;

/// A call of the caller's own code.
pub(crate) type Call = Box<dyn FnOnce() + Send>;

type Callback<T> = Box<dyn FnOnce(T) + Send>;

/// Who is to be woken, and what is to be called, once no lock is held.
#[derive(Default)]
pub(crate) struct Wakes {
    sleepers: Vec<Sleeper>,
    /// Run by the store's own thread, or by `tick`: the caller's code may do anything, so nobody else may wait for it.
    pub(crate) calls: Vec<Call>,
}

impl Wakes {
    pub(crate) fn add(&mut self, sleeper: Sleeper) {
        self.sleepers.push(sleeper);
    }

    pub(crate) fn wake(&mut self) {
        self.sleepers.drain(..).for_each(Sleeper::wake);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sleepers.is_empty() && self.calls.is_empty()
    }
}

/// Something that comes to pass once, unless it is taken back.
pub(crate) struct Signal<T>(Mutex<State<T>>);

struct State<T> {
    value: Option<T>,
    sleepers: Vec<(u64, Sleeper)>,
    callbacks: Vec<Callback<T>>,
    next: u64,
}

impl<T> Default for Signal<T> {
    fn default() -> Self {
        Self(Mutex::new(State { value: None, sleepers: Vec::new(), callbacks: Vec::new(), next: 0 }))
    }
}

impl<T: Clone + Send + 'static> Signal<T> {
    /// It has come to pass; what came before stays.
    pub(crate) fn fire(&self, value: T, wakes: &mut Wakes) {
        let mut state = self.0.lock();
        if state.value.is_some() {
            return;
        }
        for callback in state.callbacks.drain(..) {
            let value = value.clone();
            wakes.calls.push(Box::new(move || callback(value)));
        }
        state.sleepers.drain(..).for_each(|(_, sleeper)| wakes.add(sleeper));
        state.value = Some(value);
    }

    /// It is as if it had not come to pass; who was told was told.
    pub(crate) fn take_back(&self) {
        self.0.lock().value = None;
    }

    /// What came to pass, if anything did.
    pub(crate) fn get(&self) -> Option<T> {
        self.0.lock().value.clone()
    }

    /// Calls `callback` when it comes to pass; hands it back where that was before.
    fn call(&self, callback: Callback<T>) -> Option<(Callback<T>, T)> {
        let mut state = self.0.lock();
        match state.value.clone() {
            Some(value) => Some((callback, value)),
            None => {
                state.callbacks.push(callback);
                None
            }
        }
    }

    /// The value, or the number under which `sleeper` waits for it, in place of `before`.
    fn look(&self, before: Option<u64>, sleeper: Sleeper) -> Result<T, u64> {
        let mut state = self.0.lock();
        if let Some(value) = state.value.clone() {
            return Ok(value);
        }
        state.sleepers.retain(|(number, _)| Some(*number) != before);
        let number = state.next;
        state.next += 1;
        state.sleepers.push((number, sleeper));
        Err(number)
    }

    fn leave(&self, number: u64) {
        self.0.lock().sleepers.retain(|(other, _)| *other != number);
    }
}

/// Something of a session that may come to pass: a future for any executor, and a call to ask or to wait with.
///
/// Dropping it forgets the wait only.
#[must_use = "it tells nothing unless it is asked, awaited or given a callback"]
pub struct Watch<T: Clone + Send + 'static> {
    signal: Arc<Signal<T>>,
    env: Env,
    waiting: Option<u64>,
}

impl<T: Clone + Send + 'static> Watch<T> {
    pub(crate) fn new(signal: Arc<Signal<T>>, env: Env) -> Self {
        Self { signal, env, waiting: None }
    }

    /// What came to pass, if it has.
    #[must_use]
    pub fn now(&self) -> Option<T> {
        self.signal.get()
    }

    /// Waits until it comes to pass, for at most `time`; `None`: it has not. In a simulation without threads nothing
    /// can happen meanwhile: it answers at once.
    #[must_use]
    pub fn wait_timeout(&self, time: Duration) -> Option<T> {
        let until = self.env.clock.monotonic().saturating_add(time);
        loop {
            let left = until.saturating_sub(self.env.clock.monotonic());
            if left.is_zero() || self.env.threads == Threads::None {
                return self.now();
            }
            match self.signal.look(None, Sleeper::Thread(std::thread::current())) {
                Ok(value) => return Some(value),
                Err(number) => {
                    std::thread::park_timeout(left);
                    self.signal.leave(number);
                }
            }
        }
    }

    /// Calls `told` when it comes to pass: soon after, on the store's own thread (by `tick` in a simulation), where a
    /// panic in it ends it alone and is counted ([`Stats::hook_failure`](crate::Stats::hook_failure)); or at once, on this
    /// thread, where it came to pass before.
    ///
    /// It must not wait for the store: expiries, handovers and saves of everybody stand behind it. What takes long belongs
    /// on a thread of your own. Keep no handle of the store in it: what it holds lives until the session is over.
    pub fn on(self, told: impl FnOnce(T) + Send + 'static) {
        if let Some((told, value)) = self.signal.call(Box::new(told)) {
            told(value);
        }
    }

    fn forget(&mut self) {
        if let Some(number) = self.waiting.take() {
            self.signal.leave(number);
        }
    }
}

impl<T: Clone + Send + 'static> Future for Watch<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let before = self.waiting.take();
        match self.signal.look(before, Sleeper::Task(cx.waker().clone())) {
            Ok(value) => Poll::Ready(value),
            Err(number) => {
                self.waiting = Some(number);
                Poll::Pending
            }
        }
    }
}

impl<T: Clone + Send + 'static> Drop for Watch<T> {
    fn drop(&mut self) {
        self.forget();
    }
}

impl<T: Clone + Send + fmt::Debug + 'static> fmt::Debug for Watch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watch({:?})", self.now())
    }
}
