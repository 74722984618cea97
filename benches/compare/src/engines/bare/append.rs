//! Door: a file of records, one behind the other, and a table that says where each key's newest is.

use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Mutex;

use savehold_wal::env::Env;
use savehold_wal::vfs::{Map, OpenMode};

use super::slots::{Slots, hash};
use super::{decode, encode};
use crate::engine::{Engine, Result, Session};
use crate::keys::Key;

/// Bytes that are written at once where many records are.
const BATCH_BYTES: usize = 1 << 20;

/// The file, what of it was there when it was opened, and where its keys are.
pub(super) struct Append {
    file: File,
    end: Mutex<u64>,
    map: Option<Map>,
    slots: Slots,
    records: u64,
}

impl Append {
    /// Opens it and goes through what is there.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let bytes = file.metadata()?.len();
        let map = match bytes {
            0 => None,
            _ => Env::os().vfs.open(path, OpenMode::Read)?.map(bytes)?,
        };
        let (slots, records, end) = scan(map.as_deref().unwrap_or_default());
        Ok(Self { file, end: Mutex::new(end), map, slots, records })
    }
}

/// Every record: how many there are, and where they end.
fn scan(bytes: &[u8]) -> (Slots, u64, u64) {
    // All records are as long as the first one, or the table is a little small and grows.
    let first = decode(bytes).map_or(1, |(key, value)| super::HEADER_BYTES + key.len() + value.len());
    let (mut slots, mut records, mut at) = (Slots::new(bytes.len() / first), 0, 0);
    while let Some((key, value)) = decode(&bytes[at..]) {
        slots.push(hash(key), at as u64);
        records += 1;
        at += super::HEADER_BYTES + key.len() + value.len();
    }
    slots.settle();
    (slots, records, at as u64)
}

impl Engine for Append {
    fn session(&self, _thread: usize) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(Client { append: self, buffer: Vec::new() }))
    }

    fn recovered(&self) -> Option<u64> {
        Some(self.records)
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.file.sync_data()?)
    }
}

struct Client<'e> {
    append: &'e Append,
    buffer: Vec<u8>,
}

impl Client<'_> {
    fn written(&mut self) -> Result<()> {
        let mut end = self.append.end.lock().map_err(|_| "a thread panicked while it wrote")?;
        self.append.file.write_all_at(&self.buffer, *end)?;
        *end += self.buffer.len() as u64;
        drop(end);
        self.buffer.clear();
        Ok(())
    }
}

impl Session for Client<'_> {
    fn put(&mut self, key: &Key, value: &[u8]) -> Result<()> {
        encode(key, value, &mut self.buffer);
        self.written()
    }

    fn put_many(&mut self, items: &mut dyn Iterator<Item = (Key, &[u8])>) -> Result<()> {
        for (key, value) in items {
            encode(&key, value, &mut self.buffer);
            if self.buffer.len() >= BATCH_BYTES {
                self.written()?;
            }
        }
        self.written()
    }

    fn get(&mut self, key: &Key) -> Result<Option<usize>> {
        let Some(map) = &self.append.map else { return Ok(None) };
        let Some(at) = self.append.slots.find(hash(key)) else { return Ok(None) };
        let (stands, value) = decode(&map[at as usize..]).ok_or("a record with a wrong checksum")?;
        black_box(value.first());
        Ok((stands == key).then_some(value.len()))
    }
}
