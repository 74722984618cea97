//! Door: a file of records, one behind the other, and a table that says where each key's newest is.

use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Mutex;
use std::thread;

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
    /// Of the parts that were gone through, in order.
    slots: Vec<Slots>,
    records: u64,
}

impl Append {
    /// Opens it and goes through what is there, by so many threads.
    pub(super) fn open(path: &Path, threads: usize) -> Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let bytes = file.metadata()?.len();
        let map = match bytes {
            0 => None,
            _ => Env::os().vfs.open(path, OpenMode::Read)?.map(bytes)?,
        };
        let bytes = map.as_deref().unwrap_or_default();
        // All records are as long as the first one, or a table is a little small and grows, and one thread does it all.
        let each = decode(bytes).map_or(1, |(key, value)| super::HEADER_BYTES + key.len() + value.len());
        let part = (bytes.len() / each).div_ceil(threads) * each;
        let stretch = |n: usize| {
            (n * part).min(bytes.len())..if n + 1 < threads { (n + 1) * part } else { bytes.len() }
        };
        let parts: Vec<Part> = thread::scope(|scope| {
            let begun: Vec<_> =
                (0..threads).map(|n| scope.spawn(move || scan(bytes, stretch(n), each))).collect();
            begun.into_iter().map(|part| part.join().map_err(|_| "a thread panicked")).collect::<Vec<_>>()
        })
        .into_iter()
        .collect::<std::result::Result<_, _>>()?;
        let (records, end) =
            (parts.iter().map(|part| part.records).sum(), parts.iter().map(|part| part.end).max());
        let slots = parts.into_iter().map(|part| part.slots).collect();
        Ok(Self { file, end: Mutex::new(end.unwrap_or(0)), map, slots, records })
    }
}

/// What one thread went through.
struct Part {
    slots: Slots,
    records: u64,
    end: u64,
}

/// Every record that begins in a stretch of `bytes`.
fn scan(bytes: &[u8], stretch: Range<usize>, each: usize) -> Part {
    let (mut slots, mut records, mut at) = (Slots::new(stretch.len() / each), 0, stretch.start);
    while at < stretch.end
        && let Some((key, value)) = decode(&bytes[at..])
    {
        slots.push(hash(key), at as u64);
        records += 1;
        at += super::HEADER_BYTES + key.len() + value.len();
    }
    slots.settle();
    Part { slots, records, end: at as u64 }
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
        let newest = self.append.slots.iter().rev().find_map(|slots| slots.find(hash(key)));
        let Some(at) = newest else { return Ok(None) };
        let (stands, value) = decode(&map[at as usize..]).ok_or("a record with a wrong checksum")?;
        black_box(value.first());
        Ok((stands == key).then_some(value.len()))
    }
}
