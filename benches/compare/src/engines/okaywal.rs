//! Door: okaywal, a log and nothing else.
//!
//! Every entry is durable when it is committed; there is no other setting. Segments of 64 MiB instead of 1. In the log: no
//! checkpoint ever. What is recovered is counted and let go: what a store above it would do with it is not measured.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use okaywal::{Configuration, Entry, EntryId, LogManager, ReadChunkResult, SegmentReader, WriteAheadLog};

use crate::engine::{Engine, Opening, Result, Session};
use crate::keys::Key;

const SEGMENT_BYTES: u32 = 64 << 20;
const SEGMENT_BYTES_IN_LOG: u32 = 1 << 30;

/// An open log.
pub struct Okaywal {
    log: WriteAheadLog,
    recovered: Arc<AtomicU64>,
}

impl Okaywal {
    /// Opens it.
    pub fn open(opening: &Opening) -> Result<Self> {
        let recovered = Arc::new(AtomicU64::new(0));
        let in_log = opening.setting.keeps_the_log();
        let (segment, checkpoint) = if in_log {
            (SEGMENT_BYTES_IN_LOG, u64::MAX)
        } else {
            (SEGMENT_BYTES, u64::from(SEGMENT_BYTES) / 4 * 3)
        };
        let configuration = Configuration::default_for(&opening.dir)
            .preallocate_bytes(segment)
            .checkpoint_after_bytes(checkpoint);
        let log = configuration.open(Counting(recovered.clone()))?;
        Ok(Self { log, recovered })
    }
}

/// Counts what is recovered, having read it.
#[derive(Debug)]
struct Counting(Arc<AtomicU64>);

impl LogManager for Counting {
    fn recover(&mut self, entry: &mut Entry<'_>) -> io::Result<()> {
        while let ReadChunkResult::Chunk(mut chunk) = entry.read_chunk()? {
            let bytes = chunk.read_all()?;
            if !chunk.check_crc()? {
                return Err(io::Error::other("an entry with a wrong checksum"));
            }
            std::hint::black_box(bytes);
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn checkpoint_to(
        &mut self,
        _last: EntryId,
        _entries: &mut SegmentReader,
        _log: &WriteAheadLog,
    ) -> io::Result<()> {
        Ok(())
    }
}

impl Engine for Okaywal {
    fn session(&self, _thread: usize) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(self))
    }

    fn recovered(&self) -> Option<u64> {
        Some(self.recovered.load(Ordering::Relaxed))
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.log.shutdown()?)
    }
}

impl Session for &Okaywal {
    fn put(&mut self, key: &Key, value: &[u8]) -> Result<()> {
        self.put_many(&mut std::iter::once((*key, value)))
    }

    fn put_many(&mut self, items: &mut dyn Iterator<Item = (Key, &[u8])>) -> Result<()> {
        let Some(first) = items.next() else { return Ok(()) };
        let mut entry = self.log.begin_entry()?;
        for (key, value) in std::iter::once(first).chain(items) {
            let mut chunk = entry.begin_chunk(u32::try_from(key.len() + value.len())?)?;
            chunk.write_all(&key)?;
            chunk.write_all(value)?;
            chunk.finish()?;
        }
        entry.commit()?;
        Ok(())
    }
}
