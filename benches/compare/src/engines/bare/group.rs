//! Door: many writers: a thread writes and syncs what they hand over, then wakes them one by one.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, Thread};

use super::{BLOCK_BYTES, PREPARED_BYTES, encode, prepared};
use crate::engine::{Engine, Result, Session};
use crate::keys::Key;

/// A thread that writes for all.
pub(super) struct Group {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<io::Result<()>>>,
}

#[derive(Default)]
struct Shared {
    pending: Mutex<Pending>,
}

/// What waits for the writer.
#[derive(Default)]
struct Pending {
    buffer: Vec<u8>,
    waiting: Vec<(Arc<Slot>, u64)>,
    /// The writer, while it has nothing to do.
    idle: Option<Thread>,
    over: bool,
}

/// One that waits, and how many of its records are answered.
struct Slot {
    thread: Thread,
    answered: AtomicU64,
}

impl Group {
    /// Prepares the file and starts the writer.
    pub(super) fn make(path: &Path) -> Result<Self> {
        let (file, shared) = (prepared(path)?, Arc::new(Shared::default()));
        let theirs = shared.clone();
        let writer = thread::Builder::new().name("bare-writer".into()).spawn(move || theirs.write(&file))?;
        Ok(Self { shared, writer: Some(writer) })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let mut pending = self.shared.lock();
        pending.over = true;
        if let Some(writer) = pending.idle.take() {
            writer.unpark();
        }
        drop(pending);
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes group after group until it is over.
    fn write(&self, file: &File) -> io::Result<()> {
        let (mut buffer, mut waiting, mut next) = (Vec::new(), Vec::<(Arc<Slot>, u64)>::new(), 0);
        loop {
            let mut pending = self.lock();
            if pending.buffer.is_empty() {
                if pending.over {
                    return Ok(());
                }
                pending.idle = Some(thread::current());
                drop(pending);
                thread::park();
                continue;
            }
            std::mem::swap(&mut pending.buffer, &mut buffer);
            std::mem::swap(&mut pending.waiting, &mut waiting);
            drop(pending);
            buffer.resize(buffer.len().next_multiple_of(BLOCK_BYTES), 0);
            if next + buffer.len() as u64 > PREPARED_BYTES {
                next = 0;
            }
            file.write_all_at(&buffer, next)?;
            file.sync_data()?;
            next += buffer.len() as u64;
            buffer.clear();
            for (slot, records) in waiting.drain(..) {
                slot.answered.fetch_add(records, Ordering::Release);
                slot.thread.unpark();
            }
        }
    }
}

impl Engine for Group {
    fn session(&self, _thread: usize) -> Result<Box<dyn Session + '_>> {
        let slot = Arc::new(Slot { thread: thread::current(), answered: AtomicU64::new(0) });
        Ok(Box::new(Member { shared: &self.shared, slot, begun: 0 }))
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

struct Member<'e> {
    shared: &'e Shared,
    slot: Arc<Slot>,
    begun: u64,
}

impl Member<'_> {
    fn begin(&mut self, key: &Key, value: &[u8]) {
        let mut pending = self.shared.lock();
        encode(key, value, &mut pending.buffer);
        match pending.waiting.last_mut() {
            Some((slot, records)) if Arc::ptr_eq(slot, &self.slot) => *records += 1,
            _ => pending.waiting.push((self.slot.clone(), 1)),
        }
        let idle = pending.idle.take();
        drop(pending);
        if let Some(writer) = idle {
            writer.unpark();
        }
        self.begun += 1;
    }

    /// Waits until at most so many are not answered; says how many are.
    fn wait(&self, in_flight: u64) -> u64 {
        loop {
            let answered = self.slot.answered.load(Ordering::Acquire);
            if self.begun - answered <= in_flight {
                return answered;
            }
            thread::park();
        }
    }
}

impl Session for Member<'_> {
    fn put(&mut self, key: &Key, value: &[u8]) -> Result<()> {
        self.begin(key, value);
        self.wait(0);
        Ok(())
    }

    fn put_many(&mut self, items: &mut dyn Iterator<Item = (Key, &[u8])>) -> Result<()> {
        items.for_each(|(key, value)| self.begin(&key, value));
        self.wait(0);
        Ok(())
    }

    fn flow(
        &mut self,
        window: usize,
        items: &mut dyn Iterator<Item = (Key, &[u8])>,
        done: &mut dyn FnMut(u64),
    ) -> Result<()> {
        let (first, mut told) = (self.begun, self.begun);
        let mut tell = |answered: u64| {
            (told..answered).for_each(|n| done(n - first));
            told = told.max(answered);
        };
        for (key, value) in items {
            tell(self.wait(window as u64 - 1));
            self.begin(&key, value);
        }
        tell(self.wait(0));
        Ok(())
    }
}
