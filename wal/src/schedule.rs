//! Door: threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};

/// Starts a named background thread.
///
/// # Errors
///
/// [`ErrorKind::Io`]: the system gives no more threads.
#[expect(clippy::disallowed_methods, reason = "this is the door that threads come through")]
pub fn start(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|e| Error::new(ErrorKind::Io, format!("starting thread {name}: {e}")))
}

/// Sleeps.
#[expect(clippy::disallowed_methods, reason = "this is the door that pauses come through")]
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Runs `work` on `threads` threads, this one among them, and gathers what they answer.
pub fn share<T: Send>(threads: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let work = &work;
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|n| scope.spawn(move || work(n))).collect();
        let mut answers = vec![work(0)];
        for other in others {
            answers.push(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        answers
    })
}

/// What `work` answers for each of `parts`, in their order: `threads` threads, this one among them, take one after the other.
pub fn share_out<P: Sync, T: Send>(threads: usize, parts: &[P], work: impl Fn(&P) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let answers = share(threads.min(parts.len()), |_| {
        let take = || {
            let n = next.fetch_add(1, Ordering::Relaxed);
            parts.get(n).map(|part| (n, work(part)))
        };
        std::iter::from_fn(take).collect::<Vec<_>>()
    });
    let mut answers: Vec<(usize, T)> = answers.into_iter().flatten().collect();
    answers.sort_unstable_by_key(|(n, _)| *n);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// Threads that the machine runs at once.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
