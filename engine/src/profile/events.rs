//! Door: what a game is told of its profiles: a bounded queue to poll, to wait for, to await.

use std::collections::HashSet;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use savehold_wal::env::Env;
use savehold_wal::sync::Mutex;
use savehold_wal::sync::Sleeper;

use crate::key::Key;
use crate::lease::Ended;
use crate::news::{self, Awaited, News, Next};

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
pub(crate) struct Queue {
    news: News<Event>,
    /// Profiles with mail that is told and not fetched. Locked before the news.
    mail: Mutex<HashSet<Key>>,
}

impl Default for Queue {
    fn default() -> Self {
        Self { news: News::new(EVENTS_MAX), mail: Mutex::default() }
    }
}

impl Queue {
    /// Adds an event, and wakes who waits.
    pub(crate) fn push(&self, event: Event) {
        let mut mail = self.mail.lock();
        if let Event::Mail { key } = &event
            && !mail.insert(key.clone())
        {
            return;
        }
        let added = self.news.add(event);
        if let Some(Event::Mail { key }) = &added.gone {
            mail.remove(key);
        }
        drop(mail);
        added.sleepers.into_iter().for_each(Sleeper::wake);
    }

    fn take(&self, sleeper: Option<Sleeper>) -> Option<Event> {
        let mut mail = self.mail.lock();
        let event = match self.news.take(sleeper)? {
            Next::Event(event) => event,
            Next::Missed(count) => Event::Missed(count),
        };
        if let Event::Mail { key } = &event {
            mail.remove(key);
        }
        Some(event)
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
        news::wait(&self.env, time, |sleeper| self.queue.take(Some(sleeper)))
    }

    /// The next event, on any executor.
    pub fn next(&self) -> impl Future<Output = Event> + Send + '_ {
        Awaited(|sleeper| {
            (self.look)();
            self.queue.take(Some(sleeper))
        })
    }
}

impl fmt::Debug for ProfileEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProfileEvents")
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
