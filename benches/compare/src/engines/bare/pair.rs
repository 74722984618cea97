//! Door: many writers: two threads write and sync what they hand over, one beside the other. Answers stand in the order of the
//! groups; who waits for a group is woken with the others.

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use savehold_wal::bell::Bell;
use savehold_wal::sync::{Condvar, Mutex};

use super::{BLOCK_BYTES, PREPARED_BYTES, encode, prepared};
use crate::engine::{Engine, Result, Session};
use crate::keys::Key;

/// Groups under way at once, at most, with those that fill.
const BELLS: usize = 8;

/// Two threads that write for all.
pub(super) struct Pair {
    shared: Arc<Shared>,
    writers: Vec<JoinHandle<io::Result<()>>>,
}

#[derive(Default)]
struct Shared {
    pending: Mutex<Pending>,
    /// Woken when a group may be written.
    ready: Condvar,
    /// Groups that are answered.
    answered: AtomicU64,
    bells: [Bell; BELLS],
}

/// What waits for a writer, and what is on its way.
#[derive(Default)]
struct Pending {
    buffer: Vec<u8>,
    records: u64,
    /// The number of the group that fills.
    group: u64,
    /// Where it will stand.
    at: u64,
    /// Records that are being synced.
    syncing: u64,
    /// Groups that are not answered: whether they are synced.
    synced: VecDeque<bool>,
    over: bool,
}

impl Pending {
    /// A second group goes beside the first where it is as large.
    fn is_ready(&self) -> bool {
        self.records > 0 && self.records >= self.syncing
    }
}

impl Pair {
    /// Prepares the file and starts the writers.
    pub(super) fn make(path: &Path) -> Result<Self> {
        drop(prepared(path)?);
        let shared = Arc::new(Shared::default());
        let start = |n| {
            let (path, theirs): (PathBuf, _) = (path.into(), shared.clone());
            thread::Builder::new().name(format!("bare-writer-{n}")).spawn(move || theirs.write(&path))
        };
        let writers = [0, 1].into_iter().map(start).collect::<io::Result<_>>()?;
        Ok(Self { shared, writers })
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.shared.pending.lock().over = true;
        self.shared.ready.notify_all();
        self.writers.drain(..).for_each(|writer| _ = writer.join());
    }
}

impl Shared {
    /// Writes group after group until it is over, through an opening of its own.
    fn write(&self, path: &Path) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(path)?;
        let mut buffer = Vec::new();
        let mut pending = self.pending.lock();
        loop {
            while !pending.is_ready() {
                if pending.over {
                    return Ok(());
                }
                self.ready.wait(&mut pending);
            }
            std::mem::swap(&mut pending.buffer, &mut buffer);
            buffer.resize(buffer.len().next_multiple_of(BLOCK_BYTES), 0);
            let (number, records) = (pending.group, std::mem::take(&mut pending.records));
            let bytes = buffer.len() as u64;
            let at = if pending.at + bytes > PREPARED_BYTES { 0 } else { pending.at };
            (pending.group, pending.at) = (number + 1, at + bytes);
            pending.syncing += records;
            pending.synced.push_back(false);
            drop(pending);
            file.write_all_at(&buffer, at)?;
            file.sync_data()?;
            buffer.clear();
            pending = self.pending.lock();
            pending.syncing -= records;
            let first = self.answered.load(Ordering::Relaxed);
            pending.synced[(number - first) as usize] = true;
            let mut answered = first;
            while pending.synced.front() == Some(&true) {
                pending.synced.pop_front();
                answered += 1;
            }
            self.answered.store(answered, Ordering::Release);
            drop(pending);
            (first..answered).for_each(|number| self.bell(number).ring());
            pending = self.pending.lock();
        }
    }

    fn bell(&self, group: u64) -> &Bell {
        &self.bells[group as usize % BELLS]
    }
}

impl Engine for Pair {
    fn session(&self, _thread: usize) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(Member { shared: &self.shared, begun: VecDeque::new(), told: 0 }))
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

struct Member<'e> {
    shared: &'e Shared,
    /// Groups with records of its own that were not seen answered, and how many those are.
    begun: VecDeque<(u64, u64)>,
    /// Records that were seen answered.
    told: u64,
}

impl Member<'_> {
    fn begin(&mut self, key: &Key, value: &[u8]) {
        let mut pending = self.shared.pending.lock();
        encode(key, value, &mut pending.buffer);
        pending.records += 1;
        let (group, ready) = (pending.group, pending.is_ready());
        drop(pending);
        if ready {
            self.shared.ready.notify_one();
        }
        match self.begun.back_mut() {
            Some((number, records)) if *number == group => *records += 1,
            _ => self.begun.push_back((group, 1)),
        }
    }

    /// Waits until at most so many are not answered.
    fn wait(&mut self, in_flight: u64) {
        loop {
            let answered = self.shared.answered.load(Ordering::Acquire);
            while let Some((_, records)) = self.begun.pop_front_if(|(number, _)| *number < answered) {
                self.told += records;
            }
            let waiting: u64 = self.begun.iter().map(|(_, records)| records).sum();
            let Some((oldest, _)) = self.begun.front().filter(|_| waiting > in_flight) else { return };
            let answered = || self.shared.answered.load(Ordering::Acquire) > *oldest;
            self.shared.bell(*oldest).sleep_until(answered);
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
        let (first, mut told) = (self.told, 0);
        let mut tell = |now: u64| {
            (told..now).for_each(&mut *done);
            told = now;
        };
        for (key, value) in items {
            self.wait(window as u64 - 1);
            tell(self.told - first);
            self.begin(&key, value);
        }
        self.wait(0);
        tell(self.told - first);
        Ok(())
    }
}
