//! Door: one writer: a write and a sync for each commit, of a whole block or behind the one before.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Mutex;

use super::{BLOCK_BYTES, PREPARED_BYTES, Way, encode, prepared};
use crate::engine::{Engine, Result, Session};
use crate::keys::Key;

/// A prepared file.
pub(super) struct Lone {
    file: File,
    way: Way,
    next: Mutex<u64>,
}

impl Lone {
    /// Prepares it.
    pub(super) fn make(path: &Path, way: Way) -> Result<Self> {
        Ok(Self { file: prepared(path)?, way, next: Mutex::new(0) })
    }
}

impl Engine for Lone {
    fn session(&self, _thread: usize) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(Writer { lone: self, buffer: Vec::new() }))
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

struct Writer<'e> {
    lone: &'e Lone,
    buffer: Vec<u8>,
}

impl Writer<'_> {
    fn written(&mut self) -> Result<()> {
        if self.lone.way != Way::BlocksAgain {
            self.buffer.resize(self.buffer.len().next_multiple_of(BLOCK_BYTES), 0);
        }
        let mut next = self.lone.next.lock().map_err(|_| "a thread panicked while it wrote")?;
        let bytes = self.buffer.len() as u64;
        if *next + bytes > PREPARED_BYTES {
            *next = 0;
        }
        self.lone.file.write_all_at(&self.buffer, *next)?;
        self.lone.file.sync_data()?;
        *next += bytes;
        self.buffer.clear();
        Ok(())
    }
}

impl Session for Writer<'_> {
    fn put(&mut self, key: &Key, value: &[u8]) -> Result<()> {
        encode(key, value, &mut self.buffer);
        self.written()
    }

    fn put_many(&mut self, items: &mut dyn Iterator<Item = (Key, &[u8])>) -> Result<()> {
        items.for_each(|(key, value)| encode(&key, value, &mut self.buffer));
        self.written()
    }
}
