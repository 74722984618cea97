//! Door: what a game is told of its profiles: a bounded queue to poll, to wait for, to await.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use savehold_wal::env::{Env, Threads};
use savehold_wal::sync::Sleeper;

use crate::key::Key;
use crate::lease::Ended;

/// Most events that wait; beyond it the oldest go, and their number is told.
const EVENTS_MAX: usize = 1 << 16;

/// What a game is told of its profiles.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Another holder asks for the profile: it is being handed over.
    Wanted {
        /// The profile.
        key: Key,
        /// The holder that asks.
        by: String,
    },
    /// A session is over, and its last save, if there was one, is durable.
    Ended {
        /// The profile.
        key: Key,
        /// Why.
        why: Ended,
    },
    /// There is mail for a profile that is played here; told once until it is fetched from this queue.
    Mail {
        /// The profile.
        key: Key,
    },
    /// Saving is in trouble (`true`): five errors in 120 s, or a change that could not be saved in time. `false`: calm
    /// for 120 s.
    Critical(bool),
    /// So many events before the next were not fetched in time.
    Missed(u64),
}

/// Events that wait to be fetched.
#[derive(Default)]
pub(crate) struct Queue(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    events: VecDeque<Event>,
    /// Profiles with mail that is told and not fetched.
    mail: HashSet<Key>,
    missed: u64,
    sleepers: Vec<Sleeper>,
}

impl Queue {
    /// Adds an event, and wakes who waits.
    pub(crate) fn push(&self, event: Event) {
        let mut waiting = self.0.lock();
        if let Event::Mail { key } = &event
            && !waiting.mail.insert(key.clone())
        {
            return;
        }
        if waiting.events.len() >= EVENTS_MAX {
            waiting.missed += 1;
            if let Some(Event::Mail { key }) = waiting.events.pop_front() {
                waiting.mail.remove(&key);
            }
        }
        waiting.events.push_back(event);
        let sleepers = std::mem::take(&mut waiting.sleepers);
        drop(waiting);
        sleepers.into_iter().for_each(Sleeper::wake);
    }

    fn take(&self, sleeper: Option<Sleeper>) -> Option<Event> {
        let mut waiting = self.0.lock();
        if waiting.missed > 0 {
            return Some(Event::Missed(std::mem::take(&mut waiting.missed)));
        }
        let event = waiting.events.pop_front();
        match (&event, sleeper) {
            (Some(Event::Mail { key }), _) => _ = waiting.mail.remove(key),
            (None, Some(sleeper)) => {
                waiting.sleepers.retain(|other| !is_same(other, &sleeper));
                waiting.sleepers.push(sleeper);
            }
            _ => {}
        }
        event
    }
}

fn is_same(one: &Sleeper, other: &Sleeper) -> bool {
    match (one, other) {
        (Sleeper::Task(one), Sleeper::Task(other)) => one.will_wake(other),
        (Sleeper::Thread(one), Sleeper::Thread(other)) => one.id() == other.id(),
        _ => false,
    }
}

/// The events of a collection's profiles. All handles share one queue.
pub struct ProfileEvents {
    pub(crate) queue: Arc<Queue>,
    pub(crate) env: Env,
    /// Looks what has come to pass since.
    pub(crate) look: Box<dyn Fn() + Send + Sync>,
}

impl ProfileEvents {
    /// The next event, if there is one.
    #[must_use]
    pub fn try_next(&self) -> Option<Event> {
        (self.look)();
        self.queue.take(None)
    }

    /// Waits for the next event, for at most `time`. In a simulation without threads nothing can happen meanwhile: it
    /// answers at once.
    #[must_use]
    pub fn next_timeout(&self, time: Duration) -> Option<Event> {
        (self.look)();
        let until = self.env.clock.monotonic().saturating_add(time);
        loop {
            let sleeper = Sleeper::Thread(std::thread::current());
            if let Some(event) = self.queue.take(Some(sleeper)) {
                return Some(event);
            }
            let left = until.saturating_sub(self.env.clock.monotonic());
            if left.is_zero() || self.env.threads == Threads::None {
                return None;
            }
            std::thread::park_timeout(left);
        }
    }

    /// The next event, on any executor.
    pub fn next(&self) -> impl Future<Output = Event> + Send + '_ {
        NextEvent(self)
    }
}

impl fmt::Debug for ProfileEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProfileEvents")
    }
}

struct NextEvent<'a>(&'a ProfileEvents);

impl Future for NextEvent<'_> {
    type Output = Event;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Event> {
        (self.0.look)();
        match self.0.queue.take(Some(Sleeper::Task(cx.waker().clone()))) {
            Some(event) => Poll::Ready(event),
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_is_told_once_until_it_is_fetched_and_what_is_too_much_is_counted() {
        let queue = Queue::default();
        let mail = || Event::Mail { key: Key::new("a").expect("a key") };
        queue.push(mail());
        queue.push(mail());
        assert_eq!((queue.take(None), queue.take(None)), (Some(mail()), None));
        queue.push(mail());
        for _ in 0..EVENTS_MAX {
            queue.push(Event::Critical(true));
        }
        assert_eq!(queue.take(None), Some(Event::Missed(1)));
        let critical = || queue.take(None) == Some(Event::Critical(true));
        assert!(critical());
        queue.push(mail());
        assert_eq!((1..EVENTS_MAX).filter(|_| critical()).count(), EVENTS_MAX - 1);
        assert_eq!((queue.take(None), queue.take(None)), (Some(mail()), None));
    }
}
