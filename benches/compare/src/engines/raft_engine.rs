//! Door: raft-engine, a log of raft groups with their index in memory.
//!
//! Each thread writes entries to a group of its own, as replicas do. Durable: `sync`, and files prepared when it opens
//! (`prefill_for_recycle`, 512 MiB), which is off as it comes. Buffered: no `sync`. `update`: its key-value messages;
//! it has no conflict check, so that the adapter locks one of 1,024 stripes meanwhile.

use std::sync::Mutex;

use protobuf::descriptor::UninterpretedOption;
use raft_engine::{Config, Engine as Raft, LogBatch, MessageExt, ReadableSize};

use crate::engine::{Engine, Opening, Result, Session};
use crate::keys::Key;

/// The group of key-value messages.
const PLAYERS: u64 = 1;
const STRIPES: usize = 1024;

/// An entry as raft has it: a number and bytes. Of the messages that come with the package this one has both.
#[derive(Clone)]
struct Numbered;

impl MessageExt for Numbered {
    type Entry = UninterpretedOption;

    fn index(entry: &UninterpretedOption) -> u64 {
        entry.get_positive_int_value()
    }
}

/// An open log.
pub struct RaftEngine {
    raft: Raft,
    durable: bool,
    stripes: Vec<Mutex<()>>,
}

impl RaftEngine {
    /// Opens it.
    pub fn open(opening: &Opening) -> Result<Self> {
        let durable = opening.setting.is_durable();
        let config = Config {
            dir: opening.dir.to_str().ok_or("a directory with a name in UTF-8 is needed")?.to_owned(),
            prefill_for_recycle: durable,
            prefill_limit: durable.then_some(ReadableSize::mb(512)),
            ..Config::default()
        };
        let stripes = (0..STRIPES).map(|_| Mutex::new(())).collect();
        Ok(Self { raft: Raft::open(config)?, durable, stripes })
    }
}

impl Engine for RaftEngine {
    fn session(&self, thread: usize) -> Result<Box<dyn Session + '_>> {
        let group = PLAYERS + 1 + thread as u64;
        let next = self.raft.last_index(group).map_or(1, |last| last + 1);
        Ok(Box::new(Replica { engine: self, group, next, batch: LogBatch::default() }))
    }

    fn recovered(&self) -> Option<u64> {
        let entries = |group| match (self.raft.first_index(group), self.raft.last_index(group)) {
            (Some(first), Some(last)) => last + 1 - first,
            _ => 0,
        };
        Some(self.raft.raft_groups().into_iter().map(entries).sum())
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.raft.sync()?)
    }
}

struct Replica<'e> {
    engine: &'e RaftEngine,
    group: u64,
    next: u64,
    batch: LogBatch,
}

impl Session for Replica<'_> {
    fn put(&mut self, key: &Key, value: &[u8]) -> Result<()> {
        self.put_many(&mut std::iter::once((*key, value)))
    }

    fn put_many(&mut self, items: &mut dyn Iterator<Item = (Key, &[u8])>) -> Result<()> {
        let entries: Vec<UninterpretedOption> = items
            .map(|(key, value)| {
                let mut entry = UninterpretedOption::new();
                entry.set_positive_int_value(self.next);
                entry.set_string_value([&key, value].concat());
                self.next += 1;
                entry
            })
            .collect();
        if entries.is_empty() {
            return Ok(());
        }
        self.batch.add_entries::<Numbered>(self.group, &entries)?;
        self.engine.raft.write(&mut self.batch, self.engine.durable)?;
        Ok(())
    }

    fn update(&mut self, key: &Key, change: fn(&mut Vec<u8>)) -> Result<()> {
        let stripe =
            key.iter().fold(0usize, |hash, byte| hash.wrapping_mul(31) + usize::from(*byte)) % STRIPES;
        let _turn = self.engine.stripes[stripe].lock().map_err(|_| "a thread panicked while it wrote")?;
        let mut value = self.engine.raft.get(PLAYERS, key).unwrap_or_default();
        change(&mut value);
        self.batch.put(PLAYERS, key.to_vec(), value)?;
        self.engine.raft.write(&mut self.batch, self.engine.durable)?;
        Ok(())
    }
}
