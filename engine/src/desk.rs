//! Door: a socket that answers lines, whoever sends them and however slowly.
//!
//! It knows lines and nothing of what they ask: a thread waits for connections, a thread for each connection reads a
//! line, has it answered and writes the answer. What a client does can cost it its own connection only:
//!
//! - at most [`CLIENTS_MAX`] at a time; one more is told to come again;
//! - a line has at most [`LINE_BYTES_MAX`] bytes and must be whole [`LINE_TIME_MAX`] after its first byte; an answer is
//!   taken as fast. A connection that says nothing for [`IDLE_TIME_MAX`] is closed;
//! - lines and answers over [`SMALL_BYTES`] are let through one at a time, so memory is bounded;
//! - a panic while answering ends that answer.
//!
//! What takes long may tell lines before its answer; whoever tells learns whether anybody listens.
//!
//! Nothing here takes part in a commit, and no commit waits for it. [`Desk::stop`] ends all threads before it returns.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use savehold_wal::env::Env;
use savehold_wal::schedule;
use savehold_wal::socket::Listener;
use savehold_wal::sync::{Mutex, MutexGuard};

use crate::limits::VALUE_BYTES_MAX;

/// Connections at a time.
pub(crate) const CLIENTS_MAX: usize = 16;

/// Longest line: the largest value, were each of its bytes escaped, and what stands around it.
pub(crate) const LINE_BYTES_MAX: usize = 6 * VALUE_BYTES_MAX + (1 << 20);

/// Lines and answers up to this many bytes need no leave.
const SMALL_BYTES: usize = 8 << 20;

/// A line must be whole, and an answer taken, within this time.
const LINE_TIME_MAX: Duration = Duration::from_secs(60);

/// A connection may say nothing for this long.
const IDLE_TIME_MAX: Duration = Duration::from_secs(30);

/// Bytes read at a time.
const READ_BYTES: usize = 64 << 10;

/// Answers a line. What it answers is one line too, without its end; it may tell others before.
pub(crate) type Answer = dyn Fn(&[u8], &mut Tell<'_>) -> String + Send + Sync;

/// Tells a line, without its end, before the answer; `Break`: nobody listens.
pub(crate) type Tell<'a> = dyn FnMut(String) -> ControlFlow<()> + 'a;

/// A socket that answers lines, from [`Desk::open`] to [`Desk::stop`].
pub(crate) struct Desk {
    shared: Arc<Shared>,
    path: PathBuf,
    process: u32,
    /// The thread that waits for connections; gone once it is stopped.
    porter: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    env: Env,
    listener: Listener,
    answer: Box<Answer>,
    /// What is said where no line can be read or answered.
    refusal: fn(Refusal) -> String,
    clients: Mutex<Clients>,
    /// Whose line or answer is a large one.
    large: Mutex<()>,
}

/// Why a line is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There are as many clients as there may be.
    Crowded,
    /// Another line or answer is as large.
    Large,
    /// It is longer than any line may be.
    TooLong,
    /// Answering it failed by a fault of ours.
    Panicked,
}

#[derive(Default)]
struct Clients {
    next: u64,
    stopped: bool,
    open: HashMap<u64, (UnixStream, Option<JoinHandle<()>>)>,
    over: Vec<JoinHandle<()>>,
}

impl Desk {
    /// Listens at `name` in `dir`, in place of whoever listened there before: the caller knows that nobody does.
    ///
    /// # Errors
    ///
    /// The system's.
    pub(crate) fn open(
        env: &Env,
        dir: &Path,
        name: &str,
        refusal: fn(Refusal) -> String,
        answer: Box<Answer>,
    ) -> io::Result<Self> {
        let path = dir.join(name);
        match env.vfs.remove(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let listener = Listener::bind(dir, name)?;
        let (clients, large) = (Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { env: env.clone(), listener, answer, refusal, clients, large });
        let porter = {
            let shared = shared.clone();
            schedule::start("savehold-control", move || shared.wait_for_clients())
        };
        let porter = porter.map_err(io::Error::other)?;
        Ok(Self { shared, path, process: std::process::id(), porter: Mutex::new(Some(porter)) })
    }

    /// Where it listens.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the socket up, closes every connection and waits for all threads but the calling one. A forked child
    /// does nothing: all of it is its parent's.
    pub(crate) fn stop(&self) {
        if std::process::id() != self.process {
            return;
        }
        let mut porter = self.porter.lock();
        let Some(thread) = porter.take() else { return };
        // Where the name stays it is refused by the next client, and replaced by the next holder.
        let _ = self.shared.env.vfs.remove(&self.path);
        self.shared.listener.stop();
        let mut threads = vec![thread];
        {
            let mut clients = self.shared.clients.lock();
            clients.stopped = true;
            for (stream, thread) in clients.open.values_mut() {
                let _ = stream.shutdown(Shutdown::Both);
                threads.extend(thread.take());
            }
            threads.append(&mut clients.over);
        }
        let own = std::thread::current().id();
        for thread in threads.into_iter().filter(|thread| thread.thread().id() != own) {
            let _ = thread.join(); // what it did to end it has said
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn wait_for_clients(self: &Arc<Self>) {
        while let Some(stream) = self.listener.accept() {
            let limits =
                [stream.set_read_timeout(Some(IDLE_TIME_MAX)), stream.set_write_timeout(Some(IDLE_TIME_MAX))];
            if limits.into_iter().all(|limit| limit.is_ok()) {
                self.admit(stream);
            }
        }
    }

    /// Gives a connection a thread, if there is room.
    fn admit(self: &Arc<Self>, mut stream: UnixStream) {
        let mut clients = self.clients.lock();
        for over in std::mem::take(&mut clients.over) {
            let _ = over.join(); // it takes no lock any more
        }
        if clients.stopped {
            return;
        }
        let Ok(kept) = stream.try_clone() else { return };
        if clients.open.len() >= CLIENTS_MAX {
            drop(clients);
            // The connection is new: as much as this it holds without anybody reading.
            let _ = stream.write_all(((self.refusal)(Refusal::Crowded) + "\n").as_bytes());
            return;
        }
        let number = clients.next;
        clients.next += 1;
        clients.open.insert(number, (kept, None));
        let shared = self.clone();
        let begun = schedule::start("savehold-client", move || {
            let _leave = Leave { shared: &shared, number };
            shared.serve(stream);
        });
        match (begun, clients.open.get_mut(&number)) {
            (Ok(thread), Some((_, kept))) => *kept = Some(thread),
            (Err(_), _) => drop(clients.open.remove(&number)),
            (Ok(_), None) => unreachable!("whoever leaves waits for this lock"),
        }
    }

    /// Answers lines until the client goes, or must.
    fn serve(&self, mut stream: UnixStream) {
        let mut rest = Vec::new();
        loop {
            let mut leave = None;
            let line = match self.read_line(&mut stream, &mut rest, &mut leave) {
                Ok(Some(line)) => line,
                Ok(None) => return,
                Err(refusal) => {
                    let _ = self.write(&mut stream, (self.refusal)(refusal));
                    return; // what follows of the line is none
                }
            };
            let mut gone = false;
            let mut tell = |said| match self.write(&mut stream, said) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => {
                    gone = true;
                    ControlFlow::Break(())
                }
            };
            let mut answer = catch_unwind(AssertUnwindSafe(|| (self.answer)(&line, &mut tell)))
                .unwrap_or_else(|_| (self.refusal)(Refusal::Panicked));
            drop(line);
            if gone {
                return; // half a line may stand there
            }
            if answer.len() > SMALL_BYTES && leave.is_none() {
                leave = self.large.try_lock();
                if leave.is_none() {
                    answer = (self.refusal)(Refusal::Large);
                }
            }
            if self.write(&mut stream, answer).is_err() {
                return;
            }
        }
    }

    /// The next line without its end; `None` where the client is gone or too slow.
    fn read_line<'s>(
        &'s self,
        stream: &mut UnixStream,
        rest: &mut Vec<u8>,
        leave: &mut Option<MutexGuard<'s, ()>>,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        let mut line = std::mem::take(rest);
        let (mut begun, mut looked) = (None, 0);
        loop {
            if let Some(end) = line[looked..].iter().position(|byte| *byte == b'\n') {
                *rest = line.split_off(looked + end + 1);
                line.pop();
                return Ok(Some(line));
            }
            looked = line.len();
            if looked > LINE_BYTES_MAX {
                return Err(Refusal::TooLong);
            }
            if looked > SMALL_BYTES && leave.is_none() {
                *leave = Some(self.large.try_lock().ok_or(Refusal::Large)?);
            }
            let now = self.env.clock.monotonic();
            if looked > 0 && now.saturating_sub(*begun.get_or_insert(now)) > LINE_TIME_MAX {
                return Ok(None);
            }
            line.resize(looked + READ_BYTES, 0);
            let read = match stream.read(&mut line[looked..]) {
                Ok(0) => return Ok(None),
                Ok(read) => read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => 0,
                Err(_) => return Ok(None),
            };
            line.truncate(looked + read);
        }
    }

    fn write(&self, stream: &mut UnixStream, answer: String) -> io::Result<()> {
        let bytes = (answer + "\n").into_bytes();
        let begun = self.env.clock.monotonic();
        let mut left = bytes.as_slice();
        while !left.is_empty() {
            if self.env.clock.monotonic().saturating_sub(begun) > LINE_TIME_MAX {
                return Err(io::ErrorKind::TimedOut.into());
            }
            match stream.write(left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => left = &left[written..],
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// Takes a client off the list, whatever ended it.
struct Leave<'a> {
    shared: &'a Shared,
    number: u64,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let mut clients = self.shared.clients.lock();
        if let Some((stream, thread)) = clients.open.remove(&self.number) {
            let _ = stream.shutdown(Shutdown::Both);
            clients.over.extend(thread);
        }
    }
}

#[cfg(test)]
mod tests;
