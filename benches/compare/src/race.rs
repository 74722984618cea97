//! Door: threads that begin at the same moment and work until the time is over or the work is done.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use crate::engine::{Engine, Result, Session};
use crate::histogram::Histogram;

/// What all threads did together.
pub struct Lap {
    /// How long each call took.
    pub calls: Histogram,
    /// From the common beginning until the last one ended.
    pub took: Duration,
}

impl Lap {
    /// Calls a second.
    pub fn rate(&self) -> f64 {
        self.calls.total() as f64 / self.took.as_secs_f64()
    }
}

/// When a thread stops.
#[derive(Clone, Copy)]
pub enum Until {
    /// The time is over.
    Time(Duration),
    /// It has made so many calls.
    Calls(u64),
}

/// What one thread asks before each call, and tells behind it.
pub struct Runner {
    until: Until,
    began: Instant,
    calls: Histogram,
}

impl Runner {
    /// The time at which the next call begins; `None` when it is time to stop.
    pub fn next(&self) -> Option<Instant> {
        let now = Instant::now();
        let more = match self.until {
            Until::Time(time) => now - self.began < time,
            Until::Calls(calls) => self.calls.total() < calls,
        };
        more.then_some(now)
    }

    /// Calls answered so far.
    pub fn called(&self) -> u64 {
        self.calls.total()
    }

    /// Calls that began at `at`, all together, are answered.
    pub fn done(&mut self, at: Instant, calls: u64) {
        let ns = u64::try_from(at.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.calls.add(ns / calls.max(1), calls);
    }

    /// A call that began at `at` is answered: for those that overlap.
    pub fn answered(&mut self, at: Instant) {
        self.done(at, 1);
    }

    /// Whether a call that would be number `begun` should still begin.
    pub fn begins(&self, begun: u64) -> Option<Instant> {
        match self.until {
            Until::Time(_) => self.next(),
            Until::Calls(calls) => (begun < calls).then(Instant::now),
        }
    }
}

/// Runs `work` on `threads` threads, each with its number, a session of its own and a runner.
pub fn lap(
    engine: &dyn Engine,
    threads: usize,
    until: Until,
    work: &(dyn Fn(usize, &mut dyn Session, &mut Runner) -> Result<()> + Sync),
) -> Result<Lap> {
    let barrier = Barrier::new(threads);
    let one = |thread: usize| -> Result<(Histogram, Instant, Instant)> {
        let session = engine.session(thread);
        barrier.wait(); // by each, whatever its session is: nobody waits for one that failed
        let began = Instant::now();
        let mut runner = Runner { until, began, calls: Histogram::new() };
        work(thread, &mut *session?, &mut runner)?;
        Ok((runner.calls, began, Instant::now()))
    };
    let done: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || one(thread))).collect();
        running
            .into_iter()
            .map(|thread| thread.join().expect("a thread of the measurement panicked"))
            .collect()
    });
    let (mut calls, mut span) = (Histogram::new(), None::<(Instant, Instant)>);
    for each in done {
        let (counted, began, ended) = each?;
        calls.merge(&counted);
        span = Some(span.map_or((began, ended), |(first, last)| (first.min(began), last.max(ended))));
    }
    let (first, last) = span.ok_or("no thread ran")?;
    Ok(Lap { calls, took: last - first })
}
