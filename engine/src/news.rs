//! Door: what somebody is told: a bounded queue to poll, to wait for, to await.
//!
//! Invariants:
//! - Who waits looks and adds itself under one lock: it is never missed.
//! - Nobody is woken under it: whoever adds wakes.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use savehold_wal::env::{Env, Threads};
use savehold_wal::sync::Mutex;
use savehold_wal::sync::Sleeper;

/// Events that wait to be fetched, oldest first.
pub(crate) struct News<E> {
    most: usize,
    waiting: Mutex<Waiting<E>>,
}

struct Waiting<E> {
    events: VecDeque<E>,
    missed: u64,
    sleepers: Vec<Sleeper>,
}

/// What is next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next<E> {
    Event(E),
    /// So many events before the next went, because they were not fetched in time.
    Missed(u64),
}

/// What an event did.
pub(crate) struct Added<E> {
    /// Who is to be woken.
    pub(crate) sleepers: Vec<Sleeper>,
    /// What went for it.
    pub(crate) gone: Option<E>,
}

impl<E> News<E> {
    /// A queue for at most so many.
    pub(crate) fn new(most: usize) -> Self {
        let waiting = Waiting { events: VecDeque::new(), missed: 0, sleepers: Vec::new() };
        Self { most, waiting: Mutex::new(waiting) }
    }

    /// Adds an event. Where there are too many the oldest goes, and is counted.
    pub(crate) fn add(&self, event: E) -> Added<E> {
        let mut waiting = self.waiting.lock();
        let gone = if waiting.events.len() >= self.most { waiting.events.pop_front() } else { None };
        waiting.missed += u64::from(gone.is_some());
        waiting.events.push_back(event);
        Added { sleepers: std::mem::take(&mut waiting.sleepers), gone }
    }

    /// The next one; where there is none, `sleeper` is woken by it.
    pub(crate) fn take(&self, sleeper: Option<Sleeper>) -> Option<Next<E>> {
        let mut waiting = self.waiting.lock();
        if waiting.missed > 0 {
            return Some(Next::Missed(std::mem::take(&mut waiting.missed)));
        }
        let event = waiting.events.pop_front();
        if let Some(sleeper) = sleeper.filter(|_| event.is_none()) {
            waiting.sleepers.retain(|other| !other.is_same(&sleeper));
            waiting.sleepers.push(sleeper);
        }
        event.map(Next::Event)
    }
}

/// What `take` answers, waited for at most so long. In a simulation without threads nothing can happen meanwhile: it
/// answers at once.
pub(crate) fn wait<E>(env: &Env, time: Duration, take: impl Fn(Sleeper) -> Option<E>) -> Option<E> {
    let until = env.clock.monotonic().saturating_add(time);
    loop {
        if let Some(event) = take(Sleeper::Thread(std::thread::current())) {
            return Some(event);
        }
        let left = until.saturating_sub(env.clock.monotonic());
        if left.is_zero() || env.threads == Threads::None {
            return None;
        }
        std::thread::park_timeout(left);
    }
}

/// What `take` answers, as a future.
pub(crate) struct Awaited<F>(pub(crate) F);

impl<E, F: Fn(Sleeper) -> Option<E> + Unpin> Future for Awaited<F> {
    type Output = E;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<E> {
        (self.0)(Sleeper::Task(cx.waker().clone())).map_or(Poll::Pending, Poll::Ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_fetched_in_time_goes_oldest_first_and_is_counted() {
        let news = News::new(2);
        assert_eq!(news.take(None), None);
        assert_eq!([1, 2, 3, 4].map(|n| news.add(n).gone), [None, None, Some(1), Some(2)]);
        let told: Vec<_> = std::iter::from_fn(|| news.take(None)).collect();
        assert_eq!(told, [Next::Missed(2), Next::Event(3), Next::Event(4)]);
    }

    #[test]
    fn a_thread_that_waits_twice_is_woken_once() {
        let news = News::new(2);
        for _ in 0..2 {
            assert_eq!(news.take(Some(Sleeper::Thread(std::thread::current()))), None);
        }
        assert_eq!(news.add(1).sleepers.len(), 1);
        assert!(news.add(2).sleepers.is_empty());
    }
}
