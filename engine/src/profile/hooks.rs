//! Door: the program's hooks, run with a deadline on a thread of their own.
//!
//! A hook that does not come back in time is left alone: its answer counts for nothing, and the next hook gets another
//! thread. Where a store has no threads, hooks run where they are called and have all the time they take.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use savehold_wal::env::Threads;
use savehold_wal::schedule;
use savehold_wal::sync::Mutex;

use crate::caught::caught;

type Job = Box<dyn FnOnce() + Send>;

/// Runs hooks, one at a time.
#[derive(Default)]
pub(crate) struct Hooks {
    worker: Mutex<Option<Sender<Job>>>,
}

/// Why a hook gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CutShort {
    /// Its time was over.
    Late,
    /// It panicked: what it said.
    Panicked(String),
}

impl Hooks {
    /// What `hook` answers, within `time`.
    ///
    /// # Errors
    ///
    /// Why there is no answer.
    pub(crate) fn run<R: Send + 'static>(
        &self,
        threads: Threads,
        time: Duration,
        hook: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, CutShort> {
        if threads == Threads::None {
            return caught(hook).map_err(CutShort::Panicked);
        }
        let (answer, answered) = channel();
        let job: Job = Box::new(move || {
            let ran = caught(hook).map_err(CutShort::Panicked);
            _ = caught(|| drop(answer.send(ran))); // where nobody waits any more it came too late, and its value goes here
        });
        let mut worker = self.worker.lock();
        if !give(&mut worker, job) {
            return Err(CutShort::Late);
        }
        match answered.recv_timeout(time) {
            Ok(ran) => ran,
            Err(_) => {
                *worker = None; // it ends when the hook does
                Err(CutShort::Late)
            }
        }
    }
}

/// Gives a job to the worker, which is started if there is none; `false`: the system gives no thread.
fn give(worker: &mut Option<Sender<Job>>, job: Job) -> bool {
    if worker.is_none() {
        let (sender, jobs) = channel();
        if schedule::start("savehold-hooks", move || work(&jobs)).is_err() {
            return false;
        }
        *worker = Some(sender);
    }
    worker.as_ref().is_some_and(|sender| sender.send(job).is_ok())
}

fn work(jobs: &Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        job();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn a_hook_answers_or_is_left_alone() {
        for threads in [Threads::Own, Threads::None] {
            let hooks = Hooks::default();
            assert_eq!(hooks.run(threads, LONG, || 1), Ok(1));
            let panicked = CutShort::Panicked("on purpose".to_owned());
            assert_eq!(hooks.run(threads, LONG, || panic!("on purpose")), Err::<(), _>(panicked));
            assert_eq!(hooks.run(threads, LONG, || 2), Ok(2), "a panic ends nothing but its hook");
        }
        let hooks = Hooks::default();
        let (go, stop) = channel::<()>();
        let stuck = hooks.run(Threads::Own, Duration::ZERO, move || stop.recv().is_ok());
        assert_eq!(stuck, Err(CutShort::Late));
        assert_eq!(hooks.run(Threads::Own, LONG, || 3), Ok(3), "the next has another thread");
        drop(go);
    }
}
